//! The event stream.

use crate::support::Marathon;
use serde_json::json;

#[tokio::test]
async fn a_subscriber_hears_what_happens() {
    let marathon = Marathon::start().await;
    let mut events = marathon.events("").await;
    let (name, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &data["remoteAddress"]), ("event_stream_attached", &json!("127.0.0.1")));
    let created = marathon
        .ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "sleep 1", "healthChecks": [{}]}))
        .await
        .expect(201);
    // The cluster's news and the announcement of a request come by different ways, in either order.
    let mut seen = std::collections::BTreeMap::new();
    while !(seen.contains_key("deployment_info") && seen.contains_key("api_post_event")) {
        let (name, data) = events.next().await.unwrap();
        seen.insert(name, data);
    }
    let (info, post) = (&seen["deployment_info"], &seen["api_post_event"]);
    assert_eq!(info["plan"]["id"], created["deployments"][0]["id"]);
    assert_eq!((&post["uri"], &post["appDefinition"]["id"]), (&json!("/v2/apps"), &json!("/a")));
    marathon.ask("DELETE", "/v2/apps/a", "").await.expect(200);
    assert_eq!(events.find("app_terminated_event").await["appId"], "/a");
    assert_eq!(events.find("deployment_success").await["eventType"], "deployment_success");
    marathon.stop().await;
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn a_filter_lets_only_its_types_through() {
    let marathon = Marathon::start().await;
    let mut events =
        marathon.events("?event_type=app_terminated_event&event_type=group_change_success").await;
    marathon.ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "sleep 1"})).await.expect(201);
    assert_eq!(events.next().await.unwrap().0, "group_change_success");
    marathon.ask("DELETE", "/v2/apps/a", "").await.expect(200);
    let rest = [events.next().await.unwrap().0, events.next().await.unwrap().0];
    assert!(rest.contains(&"app_terminated_event".to_owned()), "{rest:?}");
    marathon.stop().await;
}

#[tokio::test]
async fn a_light_plan_has_no_groups() {
    let marathon = Marathon::start().await;
    let (mut light, mut full) = (marathon.events("?plan-format=light").await, marathon.events("").await);
    marathon.ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "sleep 1"})).await.expect(201);
    let (light, full) = (light.find("deployment_info").await, full.find("deployment_info").await);
    assert_eq!((light["plan"].get("target"), &full["plan"]["target"]["id"]), (None, &json!("/")));
    marathon.stop().await;
}

#[tokio::test]
async fn others_hear_who_comes_and_goes() {
    let marathon = Marathon::start().await;
    let mut first = marathon.events("").await;
    let second = marathon.events("").await;
    assert_eq!(first.next().await.unwrap().0, "event_stream_attached");
    assert_eq!(first.next().await.unwrap().0, "event_stream_attached");
    drop(second);
    assert_eq!(first.next().await.unwrap().0, "event_stream_detached");
    marathon.stop().await;
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let marathon = Marathon::start().await;
    let (mut lazy, mut keen) = (marathon.events("").await, marathon.events("?event_type=nothing").await);
    // Each change is a commit and an announcement at least.
    marathon.ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "sleep 1", "instances": 0})).await.expect(201);
    let reading = tokio::spawn(async move { keen.next().await });
    for cpus in 1..=600 {
        marathon.ask("PUT", "/v2/apps/a?force=true", json!({"cpus": cpus})).await.expect(200);
    }
    let mut heard = 0;
    while lazy.next().await.is_some() {
        heard += 1;
    }
    assert!(heard < 1_024, "{heard} events before the end");
    assert!(!reading.is_finished(), "who reads stays");
    marathon.stop().await;
    assert_eq!(reading.await.unwrap(), None);
}
