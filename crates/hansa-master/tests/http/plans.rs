//! What would be: said before it is done, without anything being changed.

use crate::agents::{Agent, hello};
use crate::support::Cluster;
use serde_json::{Value, json};

/// Waits until a machine is shown.
async fn join(cluster: &Cluster, name: &str) {
    let mut events = cluster.events(None).await;
    Agent::join(cluster, hello(name)).await.work();
    events.find(|frame| frame.name == "node" && frame.data["id"] == name).await;
}

/// The field of every entry of a list.
fn all(list: &Value, field: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|entry| entry[field].clone()).collect()
}

#[tokio::test]
async fn a_drain_is_shown_before_it_is_done() {
    let cluster = Cluster::start().await;
    join(&cluster, "a").await;
    cluster.deploy("/web", 2).await;
    let path = "/hansa/v1/nodes/a.test/drain-preview";
    let alone = cluster.json(path).await;
    assert_eq!((&alone["waiting"], &alone["moving"]), (&json!(2), &json!(0)), "{alone}");
    assert_eq!(alone["summary"], "2 tasks find no place and stay until there is one");
    assert_eq!(all(&alone["tasks"], "why"), ["1 machine: draining", "1 machine: draining"]);

    join(&cluster, "b").await;
    let preview = cluster.json(path).await;
    assert_eq!(preview["summary"], "2 tasks move to another machine", "{preview}");
    assert_eq!((&preview["node"], &preview["state"]), (&json!("a"), &json!("active")));
    assert_eq!(all(&preview["tasks"], "hostname"), ["b.test", "b.test"]);
    assert_eq!(all(&preview["tasks"], "service"), ["/web", "/web"]);
    assert_eq!(all(&preview["tasks"], "fate"), ["moves", "moves"]);
    let tasks = cluster.json("/hansa/v1/tasks?node=a").await;
    assert_eq!(all(&preview["tasks"], "task"), all(&tasks["tasks"], "id"));
    assert_eq!(cluster.json("/hansa/v1/nodes/a").await["state"], "active", "nothing has changed");

    // A role's limit is in the way until something has ended; here, nothing will.
    let limit = json!({ "limit": { "cpus_milli": 250 } });
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/*", limit).await.0, 200);
    let limited = cluster.json(path).await;
    assert_eq!(limited["waiting"], 2, "{limited}");
    let why = limited["tasks"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("1 machine: ") && why.contains("limit"), "{why}");
    let limit = json!({ "limit": { "cpus_milli": 300 } });
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/*", limit).await.0, 200);
    assert_eq!(cluster.json(path).await["moving"], 2, "one after the other");

    assert_eq!(cluster.json("/hansa/v1/nodes/b/drain-preview").await["summary"], "nothing runs there");
    assert_eq!(cluster.get("/hansa/v1/nodes/c/drain-preview").await.0, 404);
    assert_eq!(cluster.send("POST", path, json!(null)).await.0, 405);
    cluster.stop().await;
}

#[tokio::test]
async fn several_more_instances_are_tried_at_once() {
    let cluster = Cluster::start().await;
    join(&cluster, "a").await;
    join(&cluster, "b").await;
    let app = json!({ "id": "/web", "cmd": "sleep 1000", "cpus": 1.5, "mem": 32, "instances": 0 });
    assert_eq!(cluster.send("POST", "/v2/apps", app).await.0, 201);
    let plain = cluster.json("/hansa/v1/explain/web").await;
    assert_eq!((&plain["fitting"], &plain["several"]), (&json!(2), &json!(null)), "{plain}");
    // Machines of four CPUs each.
    let three = cluster.json("/hansa/v1/explain/web?instances=3").await;
    let several = &three["several"];
    assert_eq!((&several["instances"], &several["fitting"]), (&json!(3), &json!(3)), "{three}");
    assert_eq!(several["obstacle"], json!(null));
    let nine = cluster.json("/hansa/v1/explain/web?instances=9").await;
    let several = &nine["several"];
    assert_eq!(several["fitting"], 4, "{nine}");
    assert_eq!(all(&several["places"], "hostname"), ["a.test", "b.test"]);
    assert_eq!(all(&several["places"], "instances"), [2, 2]);
    assert_eq!(several["obstacle"]["summary"], "2 machines: 0.5 cpus short");
    assert_eq!((&nine["fitting"], &nine["choice"]), (&plain["fitting"], &plain["choice"]));

    let limit = json!({ "limit": { "cpus_milli": 2000 } });
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/*", limit).await.0, 200);
    let limited = cluster.json("/hansa/v1/explain/web?instances=2").await;
    assert_eq!(limited["several"]["fitting"], 1, "{limited}");
    let why = limited["several"]["obstacle"]["summary"].as_str().unwrap();
    assert!(why.contains("limit"), "{why}");

    for wrong in ["0", "1001", "many"] {
        let (status, body) = cluster.get(&format!("/hansa/v1/explain/web?instances={wrong}")).await;
        assert_eq!(status, 400, "{body}");
    }
    assert_eq!(cluster.get("/hansa/v1/explain/none?instances=2").await.0, 404);
    cluster.stop().await;
}
