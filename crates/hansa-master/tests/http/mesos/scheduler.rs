//! The scheduler API, as its clients use it.

use super::client::{SCHEDULER, Scheduler, request, subscribe};
use crate::agents::{Agent, hello};
use crate::support::Cluster;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_stream_is_as_clients_need_it() {
    let cluster = Cluster::start().await;
    let events = subscribe(&cluster, &json!({})).await;
    assert!(events.head.starts_with("HTTP/1.1 200 "), "{}", events.head);
    assert_eq!(events.header("content-type"), Some("application/json"), "and no charset");
    assert_eq!(events.header("transfer-encoding"), Some("chunked"));
    assert_eq!((events.header("content-length"), events.header("content-encoding")), (None, None));
    let id = events.header("mesos-stream-id").unwrap();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "a UUID: {id}");
    let scheduler =
        Scheduler::subscribe(&cluster, json!({"capabilities": [{"type": "MULTI_ROLE"}], "roles": ["r"]}))
            .await;
    let (uuid, number) = scheduler.id.rsplit_once('-').unwrap();
    assert!((uuid.len(), number.len()) == (36, 4), "as Mesos' ids are: {}", scheduler.id);
    let (status, words) = scheduler.call(json!({"type": "REVIVE"})).await;
    assert_eq!(status, 202, "{words}");
    cluster.stop().await;
}

/// In Mesos' order: each request has one fault more than those after it.
#[tokio::test]
async fn faults_are_found_in_mesos_order() {
    let cluster = Cluster::start().await;
    let gone = Scheduler::subscribe(&cluster, json!({"failover_timeout": 1000.0})).await;
    let (gone_id, gone_stream) = (gone.id.clone(), gone.stream.clone());
    drop(gone);
    wait_for(&cluster, &gone_id, |framework| framework["connected"] == false).await;
    let here = Scheduler::subscribe(&cluster, json!({})).await;
    let call = |id: &str, kind: &str| json!({"framework_id": {"value": id}, "type": kind}).to_string();
    let subscribe = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u", "name": "n"}}});
    let subscribe = subscribe.to_string();
    let revive = call(&here.id, "REVIVE");
    let protobuf = ("content-type", "application/x-protobuf");
    let right = ("mesos-stream-id", here.stream.as_str());
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, String, u16, &'a str);
    let cases: Vec<Case> = vec![
        ("GET", vec![], String::new(), 405, "'POST'"),
        ("POST", vec![], "no JSON".into(), 400, "'Content-Type' to be present"),
        ("POST", vec![("content-type", "text/plain")], "no JSON".into(), 415, "Expecting 'Content-Type' of"),
        ("POST", vec![JSON], "no JSON".into(), 400, "Failed to parse body into JSON"),
        ("POST", vec![JSON], "[]".into(), 400, "JSON object"),
        ("POST", vec![protobuf], "{\"type\":1}".into(), 400, "Failed to parse body into Call protobuf"),
        ("POST", vec![JSON], "{}".into(), 400, "Failed to validate scheduler::Call: Expecting 'type'"),
        ("POST", vec![JSON, ("accept", "text/html")], subscribe.clone(), 406, "'Accept' to allow"),
        (
            "POST",
            vec![JSON, ("mesos-stream-id", "x")],
            subscribe.clone(),
            400,
            "should not include the 'Mesos-Stream-Id'",
        ),
        (
            "POST",
            vec![JSON, ("accept", "text/html")],
            call("none", "REVIVE"),
            400,
            "Framework cannot be found",
        ),
        (
            "POST",
            vec![JSON, ("mesos-stream-id", &gone_stream)],
            call(&gone_id, "REVIVE"),
            403,
            "not subscribed",
        ),
        ("POST", vec![JSON], revive.clone(), 400, "should include the 'Mesos-Stream-Id'"),
        (
            "POST",
            vec![JSON, ("mesos-stream-id", &gone_stream)],
            revive.clone(),
            400,
            "didn't match the stream ID",
        ),
        (
            "POST",
            vec![JSON, right, ("mesos-stream-id", "x")],
            revive.clone(),
            400,
            "didn't match the stream ID",
        ),
        ("POST", vec![JSON, right], call(&here.id, "UNKNOWN"), 501, "not supported"),
        ("POST", vec![JSON, ("mesos-stream-id", "x"), right], revive.clone(), 202, ""),
        ("POST", vec![("content-type", "application/json; charset=utf-8"), right], revive.clone(), 202, ""),
        ("PUT", vec![JSON, right], revive.clone(), 405, ""),
    ];
    for path in [SCHEDULER, "/master/api/v1/scheduler/", "/mesos/api/v1/scheduler"] {
        for (method, headers, body, status, words) in &cases {
            let answer = request(cluster.address(), method, path, headers, body.as_bytes()).await;
            assert_eq!(answer.status, *status, "{method} {headers:?} {body}: {}", answer.body);
            assert!(answer.body.contains(words), "{body}: {}", answer.body);
            if *status != 202 {
                let kind = answer.header("content-type").unwrap();
                assert!(kind.starts_with("text/plain"), "plain words: {kind}");
            }
        }
    }
    cluster.stop().await;
}

/// Waits until the picture shows a framework so.
pub async fn wait_for(cluster: &Cluster, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    // The stream is there before it is looked the first time: what changes after that is told.
    let mut events = cluster.events_of("only=framework,task").await;
    loop {
        events.next().await.expect("the stream goes on");
        let all = cluster.json(&format!("/frameworks?framework_id={id}")).await;
        let lists = [&all["frameworks"], &all["completed_frameworks"]];
        let mut known = lists.into_iter().filter_map(|list| list.as_array()).flatten();
        if let Some(found) = known.find(|framework| wanted(framework)) {
            return found.clone();
        }
    }
}

#[tokio::test]
async fn a_task_lives_and_dies() {
    let cluster = Cluster::start().await;
    let mut scheduler =
        Scheduler::subscribe(&cluster, json!({"name": "lives", "failover_timeout": 60.0})).await;
    let agent = Agent::join(&cluster, hello("a")).await.work();
    let offer = scheduler.offer().await;
    assert_eq!((&offer["agent_id"]["value"], &offer["hostname"]), (&json!("a"), &json!("a.test")));
    assert!(offer.get("allocation_info").is_none(), "it has not asked to be told of roles");
    scheduler.launch(&offer, "t1").await;
    let running = scheduler.update("t1").await;
    assert_eq!(running["state"], "TASK_RUNNING", "{running}");
    assert!(running["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"].is_string());
    let shown = cluster.json("/tasks?task_id=t1").await["tasks"][0].clone();
    assert_eq!(
        (&shown["id"], &shown["state"], &shown["executor_id"], &shown["slave_id"], &shown["name"]),
        (&json!("t1"), &json!("TASK_RUNNING"), &json!(""), &json!("a"), &json!("t1's name"))
    );
    assert_eq!(shown["labels"], json!([{"key": "k", "value": "v"}]), "a flat list");
    assert_eq!(shown["resources"], json!({"cpus": 0.5, "gpus": 0.0, "mem": 64.0, "disk": 0.0}));
    assert_eq!(shown["statuses"][0]["state"], "TASK_RUNNING");
    scheduler.acknowledge(&running).await;

    scheduler.tell(json!({"type": "KILL", "kill": {"task_id": {"value": "t1"}}})).await;
    let killed = scheduler.update("t1").await;
    assert_eq!(killed["state"], "TASK_KILLED", "{killed}");
    scheduler.acknowledge(&killed).await;
    let ended =
        |framework: &Value| framework["completed_tasks"].as_array().is_some_and(|ended| ended.len() == 1);
    let framework = wait_for(&cluster, &scheduler.id, ended).await;
    let task = &framework["completed_tasks"][0];
    let states: Vec<&str> =
        task["statuses"].as_array().unwrap().iter().map(|status| status["state"].as_str().unwrap()).collect();
    assert_eq!((states, &framework["tasks"]), (vec!["TASK_RUNNING", "TASK_KILLED"], &json!([])));

    scheduler
        .tell(json!({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "none"}}]}}))
        .await;
    let unknown = scheduler.update("none").await;
    assert_eq!((&unknown["state"], unknown.get("uuid")), (&json!("TASK_LOST"), None), "{unknown}");

    scheduler.tell(json!({"type": "TEARDOWN"})).await;
    while scheduler.events.next().await.is_some() {}
    let gone = wait_for(&cluster, &scheduler.id, |framework| framework["active"] == false).await;
    assert!(gone["unregistered_time"].as_f64().unwrap() > 0.0 && gone["completed_tasks"][0]["id"] == "t1");
    // For ever, and told as an event.
    let mut again = subscribe(&cluster, &json!({"id": {"value": scheduler.id}})).await;
    assert!(again.head.starts_with("HTTP/1.1 200 "));
    let error = again.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["error"]["message"], "Framework has been removed");
    assert_eq!(again.next().await, None);
    cluster.stop().await;
    agent.await.unwrap();
}

#[tokio::test]
async fn the_newest_subscription_wins() {
    let cluster = Cluster::start().await;
    let mut first = Scheduler::subscribe(&cluster, json!({"failover_timeout": 60.0})).await;
    let info = json!({"id": {"value": first.id}, "failover_timeout": 60.0});
    let second = Scheduler::subscribe(&cluster, info).await;
    assert_eq!(second.id, first.id);
    let error = first.events.find("ERROR").await;
    assert_eq!(error["error"]["message"], "Framework failed over");
    assert_eq!(first.events.next().await, None);
    assert_eq!(first.call(json!({"type": "REVIVE"})).await.0, 400, "its stream is another's now");
    second.tell(json!({"type": "REVIVE"})).await;
    cluster.stop().await;
}

#[tokio::test]
async fn who_cannot_subscribe_is_told_on_the_stream() {
    let cluster = Cluster::start().await;
    for (info, words) in [
        (json!({"failover_timeout": 1e12}), "failover_timeout"),
        (json!({"roles": ["a"]}), "MULTI_ROLE"),
        (json!({"role": "/a"}), "/a"),
    ] {
        let mut events = subscribe(&cluster, &info).await;
        assert!(events.head.starts_with("HTTP/1.1 200 "), "{}", events.head);
        let error = events.next().await.unwrap();
        assert!(
            error["type"] == "ERROR" && error["error"]["message"].as_str().unwrap().contains(words),
            "{error}"
        );
        assert_eq!(events.next().await, None);
    }
    cluster.stop().await;
}

/// A scheduler whose process died is away at once, and comes back as the same.
#[tokio::test]
async fn who_vanishes_is_noticed_and_may_come_back() {
    let cluster = Cluster::start().await;
    let scheduler = Scheduler::subscribe(&cluster, json!({"failover_timeout": 600.0})).await;
    let id = scheduler.id.clone();
    wait_for(&cluster, &id, |framework| framework["connected"] == true).await;
    drop(scheduler);
    let away = wait_for(&cluster, &id, |framework| framework["connected"] == false).await;
    assert_eq!((&away["active"], &away["failover_timeout"]), (&json!(false), &json!(600.0)));
    let back = Scheduler::subscribe(&cluster, json!({"id": {"value": id}, "failover_timeout": 600.0})).await;
    assert_eq!(back.id, id);
    let there = wait_for(&cluster, &id, |framework| framework["connected"] == true).await;
    assert!(there["reregistered_time"].is_number());
    cluster.stop().await;
}

/// It asks and asks and never reads: its stream is cut, and nobody else notices.
#[tokio::test]
async fn who_reads_too_slowly_loses_the_stream() {
    let cluster = Cluster::start().await;
    let slow = Scheduler::subscribe(&cluster, json!({"name": "slow", "failover_timeout": 600.0})).await;
    let tasks: Vec<Value> = (0..10_000).map(|n| json!({"task_id": {"value": format!("t{n}")}})).collect();
    let ask = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
    let mut asked = 0;
    while slow.call(ask.clone()).await.0 == 202 {
        asked += 1;
        assert!(asked < 1_000, "what waits for it has a bound");
    }
    wait_for(&cluster, &slow.id, |framework| framework["connected"] == false).await;
    let quick = Scheduler::subscribe(&cluster, json!({})).await;
    quick.tell(json!({"type": "REVIVE"})).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_framework_may_say_something_else_of_itself() {
    let cluster = Cluster::start().await;
    let scheduler = Scheduler::subscribe(&cluster, json!({"failover_timeout": 1.0})).await;
    let info = |user: &str| json!({"user": user, "name": "new", "id": {"value": scheduler.id}, "webui_url": "http://u"});
    let update =
        |user: &str| json!({"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": info(user)}});
    assert_eq!(scheduler.call(update("root")).await, (200, String::new()));
    let shown = cluster.json(&format!("/frameworks?framework_id={}", scheduler.id)).await;
    assert_eq!(shown["frameworks"][0]["webui_url"], "http://u", "with the answer it is shown");
    let (status, words) = scheduler.call(update("other")).await;
    assert!(status == 400 && words.contains("FrameworkInfo.user"), "{status} {words}");
    cluster.stop().await;
}
