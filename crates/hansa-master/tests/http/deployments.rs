//! Deployments are seen, held, resumed and cancelled, and all of that survives a restart.

use crate::agents::{Agent, hello};
use crate::support::Cluster;
use serde_json::json;

#[tokio::test]
async fn a_deployment_says_what_it_waits_for_and_holds_over_a_restart() {
    let cluster = Cluster::start().await;
    let app = json!({"id": "/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 2});
    let (status, body) = cluster.send("POST", "/v2/apps", app).await;
    assert_eq!(status, 201, "{body}");
    let id = body["deployments"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/hansa/v1/deployments/{id}");
    let shown = cluster.json(&path).await;
    assert_eq!((&shown["services"], &shown["paused"]), (&json!(["/web"]), &json!(null)));
    assert_eq!(shown["doing"], json!(["ScaleApplication /web"]));
    assert_eq!(cluster.json("/hansa/v1/deployments").await["deployments"][0]["id"], json!(id));

    let (status, body) = cluster.send("POST", &format!("{path}/pause"), json!({})).await;
    assert_eq!((status, &body["deployment"]), (200, &json!(null)), "{body}");
    assert_eq!(cluster.json(&path).await["paused"]["words"], "it was paused");
    let cluster = cluster.restart().await;
    assert_eq!(cluster.json(&path).await["paused"]["words"], "it was paused");
    let (status, _) = cluster.send("POST", &format!("{path}/resume"), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(cluster.json(&path).await["paused"], json!(null));

    let (status, body) = cluster.send("POST", &format!("{path}/hurry"), json!({})).await;
    assert_eq!((status, &body["error"]["remedy"]), (404, &json!("the orders are pause, resume and cancel")));
    let (status, _) = cluster.send("POST", "/hansa/v1/deployments/none/pause", json!({})).await;
    assert_eq!((status, cluster.get("/hansa/v1/deployments/none").await.0), (404, 404));
    let (status, body) = cluster.send("POST", &format!("{path}/cancel"), json!({})).await;
    assert!(status == 200 && body["deployment"].is_string(), "{body}");
    assert_eq!(cluster.get("/v2/apps//web").await.0, 404, "its creation was taken back");
    cluster.stop().await;
}

#[tokio::test]
async fn a_canary_stands_until_it_is_resumed() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events(None).await;
    Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 4).await;
    events.find(|frame| frame.name == "deployment" && frame.data["state"] == "succeeded").await;
    let (status, _) = cluster.send("PATCH", "/v2/apps/web?canary=lots", json!({"cmd": "sleep 2000"})).await;
    assert_eq!(status, 400);
    let (status, body) =
        cluster.send("PATCH", "/v2/apps/web?canary=25%25", json!({"cmd": "sleep 2000"})).await;
    assert_eq!(status, 200, "{body}");
    let id = body["deploymentId"].as_str().unwrap().to_owned();
    let stands = "the canary stands: 1 of 4 instances of /web is of the new version";
    events.find(|frame| frame.name == "deployment" && frame.data["waiting_for"] == stands).await;
    let path = format!("/hansa/v1/deployments/{id}");
    let shown = cluster.json(&path).await;
    assert_eq!(shown["paused"]["words"], stands);
    assert!(shown["remedy"].as_str().unwrap().contains("hansa deployment resume"), "{shown}");
    let (status, _) = cluster.send("POST", &format!("{path}/resume"), json!({})).await;
    assert_eq!(status, 200);
    let ended = |state: &'static str| {
        let id = id.clone();
        move |frame: &crate::support::Frame| {
            frame.name == "deployment" && frame.data["id"] == id.as_str() && frame.data["state"] == state
        }
    };
    events.find(ended("succeeded")).await;
    cluster.stop().await;
}
