//! The operator API, as consoles and scripts use it.

use super::client::{Records, Scheduler, operator, request};
use super::legacy::wait_for_agent;
use crate::agents::{Agent, hello};
use crate::support::Cluster;
use hansa_mesos::codec::{self, Codec};
use hansa_mesos::proto::v1::master;
use serde_json::json;

#[tokio::test]
async fn every_question_has_an_answer_of_its_type() {
    let cluster = Cluster::start().await;
    let agent = Agent::join(&cluster, hello("a")).await.work();
    cluster.deploy("/web", 1).await;
    for kind in [
        "HEALTH",
        "FLAGS",
        "VERSION",
        "METRICS",
        "LOGGING_LEVEL",
        "STATE",
        "AGENTS",
        "FRAMEWORKS",
        "EXECUTORS",
        "OPERATIONS",
        "TASKS",
        "ROLES",
        "WEIGHTS",
        "MASTER",
        "MAINTENANCE_STATUS",
        "MAINTENANCE_SCHEDULE",
        "QUOTA",
    ] {
        let name = format!("GET_{kind}");
        let (status, answer) = operator(&cluster, json!({"type": name})).await;
        assert_eq!((status, &answer["type"]), (200, &json!(name)), "{answer}");
        assert!(answer[name.to_lowercase()].is_object(), "{name}: {answer}");
        // The same in the other form.
        let call = codec::from_value::<master::Call>(&json!({"type": name})).unwrap();
        let headers = [("content-type", "application/x-protobuf"), ("accept", "application/x-protobuf")];
        let body = codec::encode(Codec::Protobuf, &call);
        let answer = request(cluster.address(), "POST", "/api/v1/operator", &headers, &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-protobuf")));
        let message: master::Response = codec::decode(Codec::Protobuf, &answer.bytes).unwrap();
        assert_eq!(message.r#type().as_str_name(), name);
    }
    let (_, state) = operator(&cluster, json!({"type": "GET_STATE"})).await;
    let state = &state["get_state"];
    let agent_shown = &state["get_agents"]["agents"][0];
    assert_eq!((&agent_shown["active"], &agent_shown["pid"]), (&json!(true), &json!("slave(1)@127.0.0.1:1")));
    assert_eq!(state["get_tasks"]["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(state["get_frameworks"]["frameworks"][0]["framework_info"]["name"], "marathon");
    for (call, status) in [
        (json!({}), 400),
        (json!({"type": "GROW_VOLUME"}), 501),
        (json!({"type": "TEARDOWN"}), 400),
        (json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": "none"}}}), 400),
        (json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "none"}}}), 404),
        (json!({"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": "none"}}}), 400),
    ] {
        assert_eq!(operator(&cluster, call.clone()).await.0, status, "{call}");
    }
    cluster.stop().await;
    agent.await.unwrap();
}

#[tokio::test]
async fn who_watches_hears_what_changes() {
    let cluster = Cluster::start().await;
    let headers = [("content-type", "application/json"), ("accept", "application/json")];
    let mut events =
        Records::open(cluster.address(), "/api/v1", &headers, &json!({"type": "SUBSCRIBE"})).await;
    assert_eq!(events.header("transfer-encoding"), Some("chunked"));
    let first = events.next().await.unwrap();
    assert_eq!(
        (&first["type"], &first["subscribed"]["heartbeat_interval_seconds"]),
        (&json!("SUBSCRIBED"), &json!(15.0))
    );
    assert!(first["subscribed"]["get_state"]["get_frameworks"]["frameworks"].is_array());
    assert_eq!(events.next().await.unwrap()["type"], "HEARTBEAT");

    let agent = Agent::join(&cluster, hello("a")).await.work();
    let added = events.find("AGENT_ADDED").await;
    assert_eq!(added["agent_added"]["agent"]["agent_info"]["id"]["value"], "a");
    cluster.deploy("/web", 1).await;
    let added = events.find("TASK_ADDED").await;
    let task = added["task_added"]["task"].clone();
    assert_eq!((&task["state"], &task["name"]), (&json!("TASK_STAGING"), &json!("web")));
    let updated = events.find("TASK_UPDATED").await;
    assert_eq!(updated["task_updated"]["state"], "TASK_RUNNING");
    assert_eq!(updated["task_updated"]["status"]["task_id"], task["task_id"]);

    let scheduler =
        Scheduler::subscribe(&cluster, json!({"name": "watched", "failover_timeout": 60.0})).await;
    let added = events.find("FRAMEWORK_ADDED").await;
    assert_eq!(added["framework_added"]["framework"]["framework_info"]["name"], "watched");
    drop(scheduler);
    let updated = events.find("FRAMEWORK_UPDATED").await;
    assert_eq!(updated["framework_updated"]["framework"]["connected"], false);
    let id = updated["framework_updated"]["framework"]["framework_info"]["id"].clone();
    let (status, words) =
        operator(&cluster, json!({"type": "TEARDOWN", "teardown": {"framework_id": id}})).await;
    assert_eq!(status, 200, "{words}");
    let removed = events.find("FRAMEWORK_REMOVED").await;
    assert_eq!(removed["framework_removed"]["framework_info"]["id"], id);
    let gone = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "a"}}});
    assert_eq!(operator(&cluster, gone).await.0, 200);
    assert_eq!(events.find("AGENT_REMOVED").await["agent_removed"]["agent_id"]["value"], "a");
    let metrics = cluster.json("/metrics/snapshot").await;
    assert_eq!(metrics["master/operator_event_stream_subscribers"], 1.0);
    cluster.stop().await;
    assert_eq!(events.next().await, None);
    agent.await.unwrap();
}

#[tokio::test]
async fn roles_and_machines_are_steered() {
    let cluster = Cluster::start().await;
    let agent = Agent::join(&cluster, hello("a")).await.work();
    wait_for_agent(&cluster).await;
    let weights = json!({"weight_infos": [{"role": "r", "weight": 3.0}]});
    assert_eq!(operator(&cluster, json!({"type": "UPDATE_WEIGHTS", "update_weights": weights})).await.0, 200);
    let quota = |role: &str, cpus: f64| json!({"role": role, "guarantees": {"cpus": {"value": cpus}}, "limits": {"cpus": {"value": cpus}}});
    let update = |force: bool, configs: serde_json::Value| json!({"type": "UPDATE_QUOTA", "update_quota": {"force": force, "quota_configs": configs}});
    // Together more than there is: neither is set.
    let both = json!([quota("r", 3.0), quota("s", 3.0)]);
    let (status, words) = operator(&cluster, update(false, both.clone())).await;
    assert_eq!(status, 400, "{words}");
    let shown =
        async || operator(&cluster, json!({"type": "GET_QUOTA"})).await.1["get_quota"]["status"].clone();
    assert_eq!(shown().await, json!({}));
    assert_eq!(operator(&cluster, update(true, both)).await.0, 200);
    assert_eq!(shown().await["configs"].as_array().unwrap().len(), 2);

    let order = |kind: &str, field: &str| json!({"type": kind, field: {"agent_id": {"value": "a"}}});
    let reactivate = || order("REACTIVATE_AGENT", "reactivate_agent");
    assert_eq!(operator(&cluster, reactivate()).await.0, 400, "it is active");
    assert_eq!(operator(&cluster, order("DEACTIVATE_AGENT", "deactivate_agent")).await.0, 200);
    assert_eq!(cluster.json("/slaves").await["slaves"][0]["deactivated"], true);
    assert_eq!(operator(&cluster, reactivate()).await.0, 200);
    let drain = json!({"agent_id": {"value": "a"}, "max_grace_period": "5s"});
    assert_eq!(operator(&cluster, json!({"type": "DRAIN_AGENT", "drain_agent": drain})).await.0, 200);
    let slave = cluster.json("/slaves").await["slaves"][0].clone();
    assert_eq!(
        (&slave["drain_info"]["state"], &slave["active"]),
        (&json!("DRAINED"), &json!(false)),
        "{slave}"
    );
    assert_eq!(slave["drain_info"]["config"]["max_grace_period"]["nanoseconds"], 5_000_000_000_u64);
    assert_eq!(operator(&cluster, reactivate()).await.0, 200);

    let machines = json!([{"hostname": "A.TEST"}]);
    let far = json!({"start": {"nanoseconds": 4_000_000_000_000_000_000_u64}});
    let schedule = json!({"windows": [{"machine_ids": machines, "unavailability": far}]});
    assert_eq!(cluster.send("POST", "/maintenance/schedule", schedule).await.0, 200);
    let status = cluster.json("/maintenance/status").await;
    assert_eq!(status["draining_machines"][0]["id"]["hostname"], "a.test");
    assert_eq!(cluster.json("/slaves").await["slaves"][0]["active"], true, "not yet");
    assert_eq!(cluster.send("POST", "/machine/up", machines.clone()).await.0, 400);
    assert_eq!(cluster.send("POST", "/machine/down", machines.clone()).await.0, 200);
    assert_eq!(cluster.json("/slaves").await["slaves"][0]["active"], false);
    assert_eq!(cluster.send("POST", "/machine/up", machines).await.0, 200);
    assert_eq!(cluster.json("/slaves").await["slaves"][0]["active"], true);
    assert_eq!(cluster.json("/maintenance/schedule").await, json!({}));
    cluster.stop().await;
    agent.await.unwrap();
}
