//! A.6: the life of a task as its framework is told it, and asking again.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, info, info_with, launch, task};
use crate::wire::Request;
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    life: "STARTING, RUNNING, FINISHED, each with a uuid of its own, from the executor",
    failure: "a command that fails is TASK_FAILED, and the message says how",
    running_knows_where: "RUNNING tells the container and its address",
    one_at_a_time: "the next update does not come before the last one is acknowledged",
    repeated: "an update that is not acknowledged comes again, the same to the byte",
    known: "asking for a task gives its latest state, from the master, without uuid",
    everything: "asking for nothing gives all that are known",
    unknown: "asking for what nobody knows depends on the agent and on PARTITION_AWARE",
    failover: "a framework that comes back in time finds its tasks, and updates that it missed",
    given_up: "the tasks of a framework that does not come back in time are killed",
    killed_early: "a task that is killed before it runs ends exactly once",
    killing: "TASK_KILLING is for those that asked for it",
    store_first: "what an update says is in /tasks already",
}

async fn life(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("life", &offer, "sleep 0.2")])]).await;
    let mut uuids = Vec::new();
    for state in ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"] {
        let status = framework.update("life").await;
        assert_eq!(status["state"], state, "{status}");
        assert_eq!((&status["source"], &status["agent_id"]), (&json!("SOURCE_EXECUTOR"), &offer["agent_id"]));
        assert!(status["timestamp"].is_f64(), "{status}");
        let uuid = status["uuid"].as_str().expect("a uuid").to_owned();
        assert!(uuid.len() == 24 && !uuids.contains(&uuid), "{uuid} {uuids:?}");
        uuids.push(uuid);
    }
    framework.quiet("UPDATE", Duration::from_millis(300)).await;
    framework.teardown().await;
}

async fn failure(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("fails", &offer, "exit 3")])]).await;
    let status = framework.until("fails", "TASK_FAILED").await;
    // A command executor gives no reason: its message says it.
    assert_eq!(
        (&status["reason"], &status["message"]),
        (&Value::Null, &json!("Command exited with status 3"))
    );
    assert_eq!(status["source"], "SOURCE_EXECUTOR");
    framework.teardown().await;
}

async fn running_knows_where(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let status = framework.run("where", "sleep 100000").await;
    let container = &status["container_status"];
    assert!(container["container_id"]["value"].as_str().is_some_and(|id| !id.is_empty()), "{status}");
    let address = &container["network_infos"][0]["ip_addresses"][0]["ip_address"];
    assert!(address.as_str().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok()), "{status}");
    framework.teardown().await;
}

/// The next UPDATE of a task, not acknowledged.
async fn unacknowledged(framework: &mut Scheduler<'_>) -> Value {
    framework.event("UPDATE").await["update"]["status"].clone()
}

async fn one_at_a_time(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("orderly", &offer, "exit 0")])]).await;
    for state in ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"] {
        let status = unacknowledged(&mut framework).await;
        assert_eq!(status["state"], state);
        framework.quiet("UPDATE", Duration::from_millis(300)).await;
        framework.acknowledge(&status).await;
    }
    framework.teardown().await;
}

async fn repeated(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("again", &offer, "sleep 100000")])]).await;
    let first = unacknowledged(&mut framework).await;
    let second = unacknowledged(&mut framework).await;
    assert_eq!(first, second);
    framework.acknowledge(&first).await;
    assert_eq!(framework.update("again").await["state"], "TASK_RUNNING");
    framework.teardown().await;
}

/// Checks what every answer to a reconciliation has.
fn is_reconciled(status: &Value, state: &str) {
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!(state), &json!("REASON_RECONCILIATION")),
        "{status}"
    );
    assert_eq!((&status["source"], &status["uuid"]), (&json!("SOURCE_MASTER"), &Value::Null), "{status}");
}

fn reconcile(tasks: Value) -> Value {
    json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}})
}

async fn known(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let running = framework.run("known", "sleep 100000").await;
    for agent in [Value::Null, running["agent_id"].clone()] {
        framework.call(reconcile(json!([{"task_id": {"value": "known"}, "agent_id": agent}]))).await;
        let status = framework.update("known").await;
        is_reconciled(&status, "TASK_RUNNING");
        assert_eq!(status["agent_id"], running["agent_id"]);
    }
    framework.teardown().await;
}

async fn everything(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    for id in ["every-1", "every-2"] {
        framework.run(id, "sleep 100000").await;
    }
    framework.call(reconcile(json!([]))).await;
    for id in ["every-1", "every-2"] {
        is_reconciled(&framework.update(id).await, "TASK_RUNNING");
    }
    framework.teardown().await;
}

async fn unknown(world: &World) {
    for (capabilities, states) in
        [(&[][..], ["TASK_LOST", "TASK_LOST"]), (&["PARTITION_AWARE"][..], ["TASK_GONE", "TASK_UNKNOWN"])]
    {
        let mut framework = Scheduler::subscribe(world, &info_with("tasks", "*", capabilities)).await;
        let agent = framework.offer().await["agent_id"].clone();
        framework
            .call(reconcile(json!([
                {"task_id": {"value": "not-there"}, "agent_id": agent},
                {"task_id": {"value": "nowhere"}, "agent_id": {"value": "no-such-agent"}},
                {"task_id": {"value": "no-agent"}},
            ])))
            .await;
        for (id, state) in [("not-there", states[0]), ("nowhere", states[1]), ("no-agent", states[1])] {
            is_reconciled(&framework.update(id).await, state);
        }
        framework.teardown().await;
    }
}

fn patient() -> Value {
    let mut info = info("tasks");
    info["failover_timeout"] = json!(600.0);
    info["checkpoint"] = json!(true);
    info
}

async fn failover(world: &World) {
    let mut info = patient();
    let mut framework = Scheduler::subscribe(world, &info).await;
    framework.run("stays", "sleep 100000").await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("ends", &offer, "sleep 0.5")])]).await;
    framework.until("ends", "TASK_RUNNING").await;
    info["id"] = json!({"value": framework.vanish()});
    // Meanwhile the other task ends, and nobody is told.
    let frameworks = format!("/frameworks?framework_id={}", info["id"]["value"].as_str().expect("an id"));
    let begun = std::time::Instant::now();
    loop {
        let state = Request::get(&frameworks).send(&world.master).await.json();
        let one = &state["frameworks"][0];
        if one["connected"] == false
            && one["tasks"].as_array().is_some_and(|tasks| {
                tasks.iter().all(|task| task["id"] != "ends" || task["state"] == "TASK_FINISHED")
            })
        {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut framework = Scheduler::subscribe(world, &info).await;
    framework.until("ends", "TASK_FINISHED").await;
    framework.call(reconcile(json!([]))).await;
    is_reconciled(&framework.update("stays").await, "TASK_RUNNING");
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "stays"}}})).await;
    framework.until("stays", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn given_up(world: &World) {
    let mut info = patient();
    info["failover_timeout"] = json!(1.0);
    let mut framework = Scheduler::subscribe(world, &info).await;
    framework.run("left", "sleep 100000").await;
    let id = framework.vanish();
    let begun = std::time::Instant::now();
    loop {
        let state = Request::get(&format!("/frameworks?framework_id={id}")).send(&world.master).await.json();
        let completed = &state["completed_frameworks"][0];
        if completed["completed_tasks"][0]["state"] == "TASK_KILLED" {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn killed_early(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    for round in 0..3 {
        let id = format!("early-{round}");
        let offer = framework.offer().await;
        framework.accept(&offer, &[launch(&[task(&id, &offer, "sleep 100000")])]).await;
        framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": id}}})).await;
        framework.until(&id, "TASK_KILLED").await;
    }
    framework.quiet("UPDATE", Duration::from_millis(500)).await;
    framework.teardown().await;
}

async fn killing(world: &World) {
    for (capabilities, states) in
        [(&[][..], &["TASK_KILLED"][..]), (&["TASK_KILLING_STATE"][..], &["TASK_KILLING", "TASK_KILLED"])]
    {
        let mut framework = Scheduler::subscribe(world, &info_with("tasks", "*", capabilities)).await;
        framework.run("slowly", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.1; done").await;
        framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "slowly"}}})).await;
        for state in states {
            assert_eq!(framework.update("slowly").await["state"], *state);
        }
        framework.teardown().await;
    }
}

async fn store_first(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("tasks")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("seen", &offer, "exit 0")])]).await;
    loop {
        let status = framework.update("seen").await;
        let path = format!("/tasks?framework_id={}&task_id=seen", framework.id);
        let tasks = Request::get(&path).send(&world.master).await.json();
        let statuses = tasks["tasks"][0]["statuses"].as_array().expect("statuses");
        assert!(statuses.iter().any(|one| one["state"] == status["state"]), "{status} {tasks}");
        if status["state"] == "TASK_FINISHED" {
            break;
        }
    }
    framework.teardown().await;
}
