//! A.9: the operator API of the master.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, amount, info, info_with, launch, scalar, task};
use crate::wire::{Answer, Request};
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    simple_reads: "what can be read has an answer of the call's own type",
    agents: "GET_AGENTS tells what each has, is given, and how it is reached",
    tasks_and_frameworks: "GET_TASKS, GET_FRAMEWORKS, GET_EXECUTORS and GET_STATE show what runs",
    events: "SUBSCRIBE: the state first, then what changes",
    refused: "what is no call is 400, and other methods are 405",
    weights: "weights are set and read",
    quota: "quota is set and read, all or nothing",
    reservations: "operators reserve what is free; what is not is 409",
    teardown: "TEARDOWN ends a framework that somebody else started",
    draining: "DRAIN_AGENT takes the tasks away and says so",
}

/// Makes a call on the master.
pub async fn operate(world: &World, call: &Value) -> Answer {
    Request::json("/api/v1", call).send(&world.master).await
}

/// Makes a call that only reads; what the answer has of its own type.
pub async fn read(world: &World, kind: &str) -> Value {
    let answer = operate(world, &json!({"type": kind})).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{kind}");
    let answer = answer.json();
    assert_eq!(answer["type"], kind);
    answer[kind.to_lowercase()].clone()
}

/// Makes a call that has nothing to answer.
pub async fn done(world: &World, call: Value, status: u16) {
    let answer = operate(world, &call).await;
    assert_eq!((answer.status(), answer.text()), (status, String::new()), "{call}");
}

async fn simple_reads(world: &World) {
    assert_eq!(read(world, "GET_HEALTH").await, json!({"healthy": true}));
    let version = read(world, "GET_VERSION").await;
    assert!(version["version_info"]["version"].is_string(), "{version}");
    let flags = read(world, "GET_FLAGS").await;
    assert!(flags["flags"][0]["name"].is_string(), "{flags}");
    let metrics = read(world, "GET_METRICS").await;
    let named = |name: &str| {
        metrics["metrics"].as_array().expect("metrics").iter().any(|metric| metric["name"] == name)
    };
    assert!(named("master/elected") && named("master/uptime_secs"), "{metrics}");
    let master = read(world, "GET_MASTER").await;
    assert!(master["master_info"]["port"].is_u64() && master["start_time"].is_f64(), "{master}");
    for kind in ["GET_ROLES", "GET_WEIGHTS", "GET_OPERATIONS"] {
        read(world, kind).await;
    }
    assert!(read(world, "GET_MAINTENANCE_STATUS").await["status"].is_object());
    assert!(read(world, "GET_MAINTENANCE_SCHEDULE").await["schedule"].is_object());
    assert!(read(world, "GET_QUOTA").await["status"].is_object());
}

async fn agents(world: &World) {
    let agents = read(world, "GET_AGENTS").await;
    let agents = agents["agents"].as_array().expect("agents");
    assert!(agents.len() >= 2, "{agents:?}");
    for agent in agents {
        let info = &agent["agent_info"];
        assert!(
            info["id"]["value"].is_string() && info["hostname"].is_string() && info["port"].is_u64(),
            "{agent}"
        );
        assert_eq!(agent["active"], true);
        assert!(agent["pid"].as_str().is_some_and(|pid| pid.starts_with("slave(1)@")), "{agent}");
        assert!(agent["registered_time"]["nanoseconds"].is_u64() && agent["version"].is_string(), "{agent}");
        assert!(amount(&agent["total_resources"], "cpus") >= 1.0, "{agent}");
    }
}

async fn tasks_and_frameworks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operator")).await;
    framework.run("shown", "sleep 100000").await;
    let tasks = read(world, "GET_TASKS").await;
    let state = read(world, "GET_STATE").await;
    for tasks in [&tasks, &state["get_tasks"]] {
        let all = tasks["tasks"].as_array().expect("tasks");
        let task = all.iter().find(|task| task["framework_id"]["value"] == framework.id).expect("the task");
        assert_eq!((&task["task_id"]["value"], &task["state"]), (&json!("shown"), &json!("TASK_RUNNING")));
        assert!(task["statuses"].as_array().is_some_and(|statuses| !statuses.is_empty()), "{task}");
    }
    let frameworks = read(world, "GET_FRAMEWORKS").await;
    let all = frameworks["frameworks"].as_array().expect("frameworks");
    let one = all.iter().find(|one| one["framework_info"]["id"]["value"] == framework.id).expect("it");
    assert_eq!(
        (&one["active"], &one["connected"], &one["recovered"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!(amount(&one["allocated_resources"], "mem"), 32.0, "{one}");
    assert!(state["get_agents"]["agents"].is_array() && state["get_frameworks"]["frameworks"].is_array());
    framework.teardown().await;
}

async fn events(world: &World) {
    let mut stream = Request::json("/api/v1", &json!({"type": "SUBSCRIBE"})).open(&world.master).await;
    assert_eq!((stream.head.status, stream.head.header("content-type")), (200, Some("application/json")));
    assert_eq!(stream.head.header("mesos-stream-id"), None);
    let first = stream.json().await.expect("an event");
    assert_eq!(
        (&first["type"], &first["subscribed"]["heartbeat_interval_seconds"]),
        (&json!("SUBSCRIBED"), &json!(15.0))
    );
    assert!(first["subscribed"]["get_state"]["get_agents"]["agents"].is_array(), "{first}");
    assert_eq!(stream.json().await.expect("an event")["type"], "HEARTBEAT");

    let mut framework = Scheduler::subscribe(world, &info("operator")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("watched", &offer, "exit 0")])]).await;
    framework.until("watched", "TASK_FINISHED").await;
    let id = framework.id.clone();
    framework.teardown().await;
    let mut seen = Vec::new();
    while !seen.contains(&"FRAMEWORK_REMOVED".to_owned()) {
        let event = stream.json().await.expect("it goes on");
        let of_it = event.to_string().contains(&id);
        let kind = event["type"].as_str().expect("a type").to_owned();
        let state = &event["task_updated"]["state"];
        if of_it && kind != "FRAMEWORK_UPDATED" {
            seen.push(if state.is_null() { kind } else { state.as_str().expect("a state").to_owned() });
        }
    }
    let order = ["FRAMEWORK_ADDED", "TASK_ADDED", "TASK_RUNNING", "TASK_FINISHED", "FRAMEWORK_REMOVED"];
    let found: Vec<usize> = order
        .iter()
        .map(|what| seen.iter().position(|one| one == what).unwrap_or_else(|| panic!("{what} in {seen:?}")))
        .collect();
    assert!(found.is_sorted(), "{seen:?}");
}

async fn refused(world: &World) {
    for call in
        [json!({}), json!({"type": "NONSENSE"}), json!({"type": "TEARDOWN"}), json!({"type": "READ_FILE"})]
    {
        assert_eq!(operate(world, &call).await.status(), 400, "{call}");
    }
    assert_eq!(Request::get("/api/v1").send(&world.master).await.status(), 405);
    let text = Request::new("POST", "/api/v1").header("Content-Type", "text/plain").body("{}");
    assert_eq!(text.send(&world.master).await.status(), 415);
    let html = Request::json("/api/v1", &json!({"type": "GET_HEALTH"})).header("Accept", "text/html");
    // The last header of a name counts.
    assert_eq!(html.send(&world.master).await.status(), 406);
}

async fn weights(world: &World) {
    for weight in [2.5, 1.0] {
        let infos = json!([{"role": "weighed", "weight": weight}]);
        let call = json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}});
        done(world, call, 200).await;
        let all = read(world, "GET_WEIGHTS").await;
        let found =
            all["weight_infos"].as_array().expect("weights").iter().find(|one| one["role"] == "weighed");
        assert_eq!(found.map(|one| &one["weight"]), Some(&json!(weight)), "{all}");
    }
    let bad = json!([{"role": "weighed", "weight": -1.0}]);
    let call = json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": bad}});
    assert_eq!(operate(world, &call).await.status(), 400);
}

fn quota_call(configs: Value) -> Value {
    json!({"type": "UPDATE_QUOTA", "update_quota": {"force": false, "quota_configs": configs}})
}

async fn quota(world: &World) {
    let configs = json!([{
        "role": "counted",
        "guarantees": {"cpus": {"value": 0.5}},
        "limits": {"cpus": {"value": 1.0}, "mem": {"value": 512.0}},
    }]);
    done(world, quota_call(configs), 200).await;
    let quota = read(world, "GET_QUOTA").await;
    let all = quota["status"]["configs"].as_array().expect("configs");
    let one = all.iter().find(|one| one["role"] == "counted").expect("it");
    assert_eq!(
        (&one["guarantees"]["cpus"]["value"], &one["limits"]["mem"]["value"]),
        (&json!(0.5), &json!(512.0))
    );
    // No offer of the role is larger than its limit.
    let mut framework = Scheduler::subscribe(world, &info_with("operator", "counted", &["MULTI_ROLE"])).await;
    let offer = framework.offer().await;
    assert!(
        amount(&offer["resources"], "cpus") <= 1.0 && amount(&offer["resources"], "mem") <= 512.0,
        "{offer}"
    );
    framework.teardown().await;
    // More is guaranteed than there is: nothing of the call is done.
    let configs = json!([
        {"role": "counted", "guarantees": {"cpus": {"value": 0.25}}},
        {"role": "greedy", "guarantees": {"cpus": {"value": 1_000_000.0}}},
    ]);
    assert_eq!(operate(world, &quota_call(configs)).await.status(), 400);
    let quota = read(world, "GET_QUOTA").await;
    let all = quota["status"]["configs"].as_array().expect("configs");
    let one = all.iter().find(|one| one["role"] == "counted").expect("it");
    assert_eq!(one["guarantees"]["cpus"]["value"], 0.5);
    done(world, quota_call(json!([{"role": "counted"}])), 200).await;
}

async fn reservations(world: &World) {
    let agents = read(world, "GET_AGENTS").await;
    let agent = agents["agents"][0]["agent_info"]["id"].clone();
    let mut resource = scalar("cpus", 0.5);
    resource["reservations"] = json!([{"type": "DYNAMIC", "role": "operated"}]);
    let call = |kind: &str, amount: f64| {
        let mut resource = resource.clone();
        resource["scalar"]["value"] = json!(amount);
        json!({"type": kind, kind.to_lowercase(): {"agent_id": agent, "resources": [resource]}})
    };
    done(world, call("RESERVE_RESOURCES", 0.5), 202).await;
    assert_eq!(operate(world, &call("RESERVE_RESOURCES", 100_000.0)).await.status(), 409);
    let mut framework = Scheduler::subscribe(
        world,
        &info_with("operator", "operated", &["MULTI_ROLE", "RESERVATION_REFINEMENT"]),
    )
    .await;
    framework
        .offer_where("what was reserved", |offer| {
            let all = offer["resources"].as_array().expect("resources");
            all.iter().any(|one| one["reservations"][0]["role"] == "operated")
        })
        .await;
    framework.teardown().await;
    done(world, call("UNRESERVE_RESOURCES", 0.5), 202).await;
}

async fn teardown(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operator")).await;
    let call = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework.id}}});
    done(world, call.clone(), 200).await;
    while let Some(event) = framework.stream.json().await {
        assert_ne!(event["type"], "UPDATE", "{event}");
    }
    assert_eq!(operate(world, &call).await.status(), 400, "it is gone already");
}

async fn draining(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operator", "*", &["PARTITION_AWARE"])).await;
    let status = framework.run("drained", "sleep 100000").await;
    let agent = status["agent_id"].clone();
    let drain = json!({"agent_id": agent, "max_grace_period": {"seconds": 1}});
    done(world, json!({"type": "DRAIN_AGENT", "drain_agent": drain}), 200).await;
    let status = framework.until("drained", "TASK_KILLED").await;
    assert_eq!(status["reason"], "REASON_AGENT_DRAINING", "{status}");
    let begun = std::time::Instant::now();
    loop {
        let agents = read(world, "GET_AGENTS").await;
        let all = agents["agents"].as_array().expect("agents");
        let one = all.iter().find(|one| one["agent_info"]["id"] == agent).expect("it");
        if one["drain_info"]["state"] == "DRAINED" {
            break assert_eq!(one["deactivated"], true, "{one}");
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{one}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    done(world, json!({"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": agent}}), 200).await;
    framework.offer_where("the agent", |offer| offer["agent_id"] == agent).await;
    framework.teardown().await;
}
