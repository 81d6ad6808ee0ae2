//! What frameworks have and what they only hold offers of, told apart in the same way everywhere, and as it changes.

use super::client::Scheduler;
use crate::agents::{Agent, hello};
use crate::support::Cluster;
use serde_json::{Value, json};

/// A role in the list, if it is there.
async fn role(cluster: &Cluster, name: &str) -> Option<Value> {
    let roles = cluster.json("/hansa/v1/roles").await;
    roles["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).cloned()
}

#[tokio::test]
async fn offers_count_for_shares_and_are_no_use() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events_of("only=framework,role").await;
    Agent::join(&cluster, hello("a")).await.work();
    let info = json!({"roles": ["team"], "capabilities": [{"type": "MULTI_ROLE"}]});
    let mut scheduler = Scheduler::subscribe(&cluster, info).await;
    scheduler.offer().await;

    let told = events.find(|frame| frame.name == "framework" && frame.data["offers"] == 1).await;
    assert_eq!(told.data["id"], json!(scheduler.id));
    assert_eq!(told.data["allocated"]["cpus_milli"], 0, "an offer is no use");
    assert_eq!(told.data["share_ppm"], 1_000_000, "it counts for the share");
    let path = format!("/hansa/v1/frameworks/{}", scheduler.id);
    let detail = cluster.json(&path).await;
    let standing = &detail["in_roles"][0];
    assert_eq!((&standing["role"], &standing["share_ppm"]), (&json!("team"), &json!(1_000_000)), "{detail}");
    assert_eq!(standing["allocated"]["cpus_milli"], 0);
    assert_eq!(standing["offered"]["cpus_milli"], 4_000);
    let team = role(&cluster, "team").await.unwrap();
    assert_eq!(
        (&team["allocated"]["cpus_milli"], &team["offered"]["cpus_milli"]),
        (&json!(0), &json!(4_000))
    );
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_framework_runs_is_its_use_until_it_is_torn_down() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events_of("only=framework,role").await;
    Agent::join(&cluster, hello("a")).await.work();
    let info = json!({"roles": ["team"], "capabilities": [{"type": "MULTI_ROLE"}]});
    let mut scheduler = Scheduler::subscribe(&cluster, info).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "t").await;
    let status = scheduler.update("t").await;
    assert_eq!(status["state"], "TASK_RUNNING", "{status}");
    scheduler.acknowledge(&status).await;
    let told = events.find(|frame| frame.name == "framework" && frame.data["tasks"] == 1).await;
    assert_eq!(told.data["allocated"]["cpus_milli"], 500, "{}", told.data);

    let preview = cluster.json("/hansa/v1/nodes/a.test/drain-preview").await;
    assert_eq!((&preview["killed"], &preview["moving"]), (&json!(1), &json!(0)), "{preview}");
    let task = &preview["tasks"][0];
    assert_eq!((&task["fate"], &task["framework"]), (&json!("killed"), &json!(scheduler.id)), "{preview}");

    scheduler.tell(json!({"type": "TEARDOWN"})).await;
    while role(&cluster, "team").await.is_some() {
        events.find(|frame| frame.name == "role_removed").await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn roles_are_listed_while_they_are_something() {
    let cluster = Cluster::start().await;
    let app = json!({ "id": "/once", "cmd": "true", "cpus": 0.1, "mem": 32, "role": "once", "instances": 0 });
    assert_eq!(cluster.send("POST", "/v2/apps", app).await.0, 201);
    let weight = |milli: u64| json!({ "weight_milli": milli });
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/once", weight(2_000)).await.0, 200);
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/heavy", weight(3_000)).await.0, 200);
    assert_eq!(cluster.send("PUT", "/hansa/v1/roles/usual", weight(1_000)).await.0, 200);
    assert!(role(&cluster, "heavy").await.is_some());
    assert!(role(&cluster, "usual").await.is_none(), "it is as if nothing had ever been said");
    assert_eq!(cluster.send("DELETE", "/hansa/v1/roles/heavy", json!(null)).await.0, 200);
    assert!(role(&cluster, "heavy").await.is_none());
    assert_eq!(cluster.send("DELETE", "/hansa/v1/roles/once", json!(null)).await.0, 200);
    assert!(role(&cluster, "once").await.is_some(), "a service is in it");
    assert_eq!(cluster.send("DELETE", "/v2/apps/once", json!(null)).await.0, 200);
    let mut events = cluster.events(None).await;
    events.find(|frame| frame.name == "resync").await;
    while cluster.get("/hansa/v1/services/once").await.0 == 200 {
        events.find(|frame| frame.name == "service_removed").await;
    }
    assert!(role(&cluster, "once").await.is_none());
    cluster.stop().await;
}
