//! Services on machines that do what they are told: deployed, seen, explained, moved, kept over a restart.

use crate::agents::{Agent, hello};
use crate::support::{Cluster, ask};
use hansa_model::agent::Usage;
use hansa_model::role::Totals;
use serde_json::json;

#[tokio::test]
async fn a_service_is_deployed_and_seen_everywhere() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events(None).await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/shop/web", 3).await;
    // Sums over machines are told a moment later than single tasks.
    events.find(|frame| frame.name == "node" && frame.data["allocated"]["cpus_milli"] == 300).await;

    let service = cluster.json("/hansa/v1/services/shop/web").await;
    assert_eq!((&service["running"], &service["instances"]), (&json!(3), &json!(3)));
    assert_eq!(service["command"], "sleep 1000");
    let tasks = cluster.json("/hansa/v1/tasks?app=/shop/web&state=running").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(tasks["next"], json!(null));
    let first = &tasks["tasks"][0];
    assert_eq!((&first["state"], &first["hostname"]), (&json!("TASK_RUNNING"), &json!("a.test")));
    assert_eq!(cluster.json(&format!("/hansa/v1/tasks/{}", first["id"].as_str().unwrap())).await, *first);
    let page = cluster.json("/hansa/v1/tasks?node=a.test&limit=2").await;
    assert_eq!(page["tasks"].as_array().unwrap().len(), 2);
    let after = page["next"].as_str().unwrap();
    let rest = cluster.json(&format!("/hansa/v1/tasks?node=a&limit=2&after={after}")).await;
    assert_eq!((rest["tasks"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)));

    let node = cluster.json("/hansa/v1/nodes/a.test").await;
    assert_eq!((&node["tasks"], &node["allocated"]["cpus_milli"]), (&json!(3), &json!(300)));
    let whole = cluster.json("/hansa/v1/cluster").await;
    assert_eq!((&whole["tasks"]["TASK_RUNNING"], &whole["services"]), (&json!(3), &json!(1)));
    assert_eq!((&whole["nodes"]["active"], &whole["allocated"]["cpus_milli"]), (&json!(1), &json!(300)));
    assert_eq!(cluster.json("/v2/apps//shop/web").await["app"]["tasksRunning"], 3);
    let metrics = cluster.get("/metrics").await.1;
    assert!(metrics.contains("hansa_tasks{state=\"TASK_RUNNING\"} 3\n"), "{metrics}");
    cluster.stop().await;
}

/// A write's answer waits until a read shows it, whoever else writes meanwhile.
#[tokio::test]
async fn a_get_sees_the_post_before_it() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let all = (0..40).map(|number| async move {
        let app = json!({ "id": format!("/app{number}"), "cmd": "true", "cpus": 0.01, "mem": 1 });
        let posted = ask(address, "POST", "/v2/apps", &[], &app.to_string()).await;
        assert_eq!(posted.status, 201, "{}", posted.body);
        let seen = ask(address, "GET", &format!("/hansa/v1/services/app{number}"), &[], "").await;
        assert_eq!(seen.status, 200, "{}", seen.body);
        let scaled =
            ask(address, "PUT", &format!("/v2/apps/app{number}?force=true"), &[], r#"{"instances": 2}"#)
                .await;
        assert_eq!(scaled.status, 200, "{}", scaled.body);
        let seen = ask(address, "GET", &format!("/hansa/v1/services/app{number}"), &[], "").await;
        assert!(seen.body.contains("\"instances\":2"), "{}", seen.body);
    });
    futures_util::future::join_all(all).await;
    let services = cluster.json("/hansa/v1/services?limit=7&after=/app1").await;
    let ids: Vec<_> = services["services"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["/app10", "/app11", "/app12", "/app13", "/app14", "/app15", "/app16"]);
    cluster.stop().await;
}

#[tokio::test]
async fn what_finds_no_place_is_explained() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/small", 1).await;
    let app = json!({ "id": "/large", "cmd": "true", "cpus": 64, "mem": 32 });
    assert_eq!(cluster.send("POST", "/v2/apps", app).await.0, 201);
    let why = cluster.json("/hansa/v1/explain/large").await;
    assert_eq!((&why["machines"], &why["fitting"]), (&json!(1), &json!(0)), "{why}");
    assert_eq!(why["groups"][0]["obstacles"][0], json!({ "kind": "cpus", "short": 60_100 }), "{why}");
    let why = cluster.json("/hansa/v1/explain/small").await;
    assert_eq!((&why["fitting"], &why["choice"]), (&json!(1), &json!("a")), "{why}");
    assert_eq!(cluster.get("/hansa/v1/explain/none").await.0, 404);
    cluster.stop().await;
}

#[tokio::test]
async fn intent_outlives_the_master() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 5).await;
    let (service, tasks) =
        (cluster.json("/hansa/v1/services/web").await, cluster.json("/hansa/v1/tasks?app=/web").await);
    let ids = |tasks: &serde_json::Value| {
        tasks["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect::<Vec<_>>()
    };
    let cluster = cluster.restart().await;
    // No agent has come back; nothing is forgotten, nothing was started anew.
    let again = cluster.json("/hansa/v1/services/web").await;
    assert_eq!((&again["version"], &again["instances"]), (&service["version"], &json!(5)));
    assert_eq!(ids(&cluster.json("/hansa/v1/tasks?app=/web").await), ids(&tasks));
    assert_eq!(cluster.json("/hansa/v1/nodes/a").await["hostname"], "a.test");
    cluster.stop().await;
}

#[tokio::test]
async fn a_drained_machine_is_emptied() {
    let cluster = Cluster::start().await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 2).await;
    let mut events = cluster.events(None).await;
    Agent::join(&cluster, hello("b")).await.work();
    events.find(|frame| frame.name == "node" && frame.data["id"] == "b").await;
    let (status, done) = cluster.send("POST", "/hansa/v1/nodes/a.test/drain", json!(null)).await;
    assert_eq!(status, 200, "{done}");
    assert!(done["index"].as_u64().is_some());
    assert_eq!(
        cluster.json("/hansa/v1/nodes/a").await["state"],
        "draining",
        "the answer waited for the picture"
    );
    events.find(|frame| frame.name == "node" && frame.data["id"] == "b" && frame.data["tasks"] == 2).await;
    events.find(|frame| frame.name == "node" && frame.data["id"] == "a" && frame.data["tasks"] == 0).await;
    assert_eq!(cluster.send("POST", "/hansa/v1/nodes/a/reactivate", json!(null)).await.0, 200);
    assert_eq!(cluster.json("/hansa/v1/nodes/a").await["state"], "active");
    cluster.stop().await;
}

#[tokio::test]
async fn roles_are_set_and_seen() {
    let cluster = Cluster::start().await;
    let role = json!({ "weight_milli": 3_000, "limit": { "cpus_milli": 500 } });
    let (status, body) = cluster.send("PUT", "/hansa/v1/roles/team-a", role).await;
    assert_eq!(status, 200, "{body}");
    let roles = cluster.json("/hansa/v1/roles").await;
    let own = roles["roles"].as_array().unwrap().iter().find(|role| role["name"] == "team-a").unwrap();
    assert_eq!((&own["weight_milli"], &own["limit"]["cpus_milli"]), (&json!(3_000), &json!(500)));
    let cluster = cluster.restart().await;
    assert!(cluster.get("/hansa/v1/roles").await.1.contains("team-a"), "it is durable");
    cluster.stop().await;
}

#[tokio::test]
async fn usage_is_passed_on_to_whoever_watches() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events(None).await;
    let mut agent = Agent::join(&cluster, hello("a")).await;
    events.find(|frame| frame.name == "node" && frame.data["used"].is_null()).await;
    agent.hear().await.unwrap();
    let used = Totals { cpus_milli: 250, mem: 1 << 20, ..Totals::default() };
    let usage = Usage { used, machine: Totals { cpus_milli: 900, ..used }, tasks: 0 };
    agent.say(hansa_link::ToMasterBody::Usage(usage)).await;
    let frame = events.find(|frame| frame.name == "usage").await;
    assert_eq!((&frame.data["id"], frame.id), (&json!("a"), None));
    assert_eq!(frame.data["used"]["cpus_milli"], 250);
    let node = cluster.json("/hansa/v1/nodes/a").await;
    assert_eq!(node["machine"]["cpus_milli"], 900);
    cluster.stop().await;
}
