//! A.6: machines that are lost, come back, or are given up. Each has a cluster of its own, so these are for ours only.

use crate::World;
use crate::cases;
use crate::operator::{done, operate, read};
use crate::scheduler::{Scheduler, info, info_with, launch, task};
use crate::support::Cluster;
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    partition: "a machine out of reach: UNREACHABLE with the time of it, and RUNNING when it is back",
    lost: "a framework without PARTITION_AWARE is told LOST, and RUNNING when the machine is back",
    gone: "MARK_AGENT_GONE: the tasks are GONE_BY_OPERATOR, and the agent does not come back",
    agent_restarts: "an agent that restarts finds its tasks, and nobody else hears of it",
    master_restarts: "a new master: the framework comes back, its tasks are known again from the agents",
    not_yet_back: "while an agent that was known has not come back, nobody is told anything of its tasks",
    drained_and_gone: "DRAIN_AGENT with mark_gone: drained, then gone",
    maintenance_is_kept: "maintenance schedules, machines that are down and agents that are gone outlive the master",
}

/// A cluster with one agent, and what cases are given of it; None: the master is not ours.
async fn own(world: &World) -> Option<(World, Cluster)> {
    world.cluster.as_ref()?;
    let mut cluster = Cluster::start(1).await;
    // Nothing is to end by itself; a machine where it would is not out of reach before that.
    cluster.drop_argument(0, "--stop-deadline");
    cluster.stop_agent(0).await;
    cluster.start_agent(0);
    cluster.all_active().await;
    // Apart, so that a framework can watch what is done to the cluster.
    Some((World { master: cluster.http.base.replace("http://", ""), cluster: None }, cluster))
}

fn patient(name: &str, capabilities: &[&str]) -> Value {
    let mut info = info_with(name, "*", capabilities);
    info["failover_timeout"] = json!(600.0);
    info["checkpoint"] = json!(true);
    info
}

/// The same framework, with another master or another stream.
async fn again<'w>(world: &'w World, info: &Value, id: &str) -> Scheduler<'w> {
    let mut info = info.clone();
    info["id"] = json!({"value": id});
    Scheduler::subscribe(world, &info).await
}

async fn partition(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &patient("loss", &["PARTITION_AWARE"])).await;
    let running = framework.run("cut-off", "sleep 100000").await;
    cluster.kill_agent(0).await;
    let status = framework.update("cut-off").await;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_UNREACHABLE"), &json!("REASON_AGENT_REMOVED")),
        "{status}"
    );
    assert_eq!((&status["source"], &status["uuid"]), (&json!("SOURCE_MASTER"), &Value::Null), "{status}");
    assert!(status["unreachable_time"]["nanoseconds"].is_u64(), "{status}");
    let failure = framework.event("FAILURE").await;
    assert_eq!(failure, json!({"type": "FAILURE", "failure": {"agent_id": running["agent_id"]}}));
    let path = format!("/frameworks?framework_id={}", framework.id);
    let listed = Request::get(&path).send(&world.master).await.json();
    assert_eq!(listed["frameworks"][0]["unreachable_tasks"][0]["id"], "cut-off", "{listed}");
    let slaves = Request::get("/slaves").send(&world.master).await.json();
    assert_eq!(slaves["slaves"], json!([]), "it does not count as registered");
    let asked = json!({"type": "RECONCILE", "reconcile": {"tasks": [
        {"task_id": {"value": "cut-off"}, "agent_id": running["agent_id"]}
    ]}});
    framework.call(asked).await;
    let status = framework.update("cut-off").await;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_UNREACHABLE"), &json!("REASON_RECONCILIATION")),
        "{status}"
    );
    assert!(status["unreachable_time"].is_object(), "{status}");
    cluster.start_agent(0);
    let status = framework.until("cut-off", "TASK_RUNNING").await;
    assert_eq!(
        (&status["source"], &status["reason"], &status["uuid"]),
        (&json!("SOURCE_MASTER"), &json!("REASON_AGENT_REREGISTERED"), &Value::Null),
        "{status}"
    );
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "cut-off"}}})).await;
    framework.until("cut-off", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn lost(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &patient("loss", &[])).await;
    framework.run("lost", "sleep 100000").await;
    cluster.kill_agent(0).await;
    let status = framework.update("lost").await;
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_LOST"), &json!("REASON_AGENT_REMOVED")),
        "{status}"
    );
    cluster.start_agent(0);
    assert_eq!(framework.update("lost").await["state"], "TASK_RUNNING", "it was not the end");
    framework.teardown().await;
}

async fn gone(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &patient("loss", &["PARTITION_AWARE"])).await;
    let running = framework.run("gone", "sleep 100000").await;
    let agent = running["agent_id"].clone();
    // A machine that is really gone.
    cluster.kill_machine(0).await;
    done(&world, json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": agent}}), 200).await;
    let status = framework.until("gone", "TASK_GONE_BY_OPERATOR").await;
    assert_eq!((&status["source"], &status["agent_id"]), (&json!("SOURCE_MASTER"), &agent), "{status}");
    let nobody = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "nobody"}}});
    assert_eq!(operate(&world, &nobody).await.status(), 404);
    let asked = json!({"type": "RECONCILE", "reconcile": {"tasks": [
        {"task_id": {"value": "never-known"}, "agent_id": agent}
    ]}});
    framework.call(asked).await;
    assert_eq!(framework.update("never-known").await["state"], "TASK_GONE_BY_OPERATOR");
    framework.teardown().await;
}

async fn agent_restarts(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &patient("loss", &["PARTITION_AWARE"])).await;
    framework.run("survives", "sleep 100000").await;
    cluster.stop_agent(0).await;
    cluster.start_agent(0);
    framework.quiet("UPDATE", std::time::Duration::from_millis(500)).await;
    cluster.all_active().await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "survives"}}})).await;
    framework.until("survives", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn master_restarts(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let info = patient("loss", &[]);
    let mut framework = Scheduler::subscribe(&world, &info).await;
    framework.run("outlives", "sleep 100000").await;
    let id = framework.vanish();
    cluster.kill_master().await;
    cluster.start_master();
    cluster.all_active().await;
    let mut framework = again(&world, &info, &id).await;
    assert_eq!(framework.id, id);
    framework.offer().await;
    framework.call(json!({"type": "RECONCILE", "reconcile": {"tasks": []}})).await;
    assert_eq!(framework.update("outlives").await["state"], "TASK_RUNNING");
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "outlives"}}})).await;
    framework.until("outlives", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn not_yet_back(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let info = patient("loss", &["PARTITION_AWARE"]);
    let mut framework = Scheduler::subscribe(&world, &info).await;
    let running = framework.run("unsure", "sleep 100000").await;
    let id = framework.vanish();
    cluster.kill_agent(0).await;
    cluster.kill_master().await;
    cluster.start_master();
    crate::support::until("the master answers", async || cluster.http.text("/health").await.map(drop)).await;
    let mut framework = again(&world, &info, &id).await;
    let asked = json!({"type": "RECONCILE", "reconcile": {"tasks": [
        {"task_id": {"value": "unsure"}, "agent_id": running["agent_id"]}
    ]}});
    framework.call(asked).await;
    framework.quiet("UPDATE", std::time::Duration::from_millis(500)).await;
    cluster.start_agent(0);
    cluster.all_active().await;
    framework.call(json!({"type": "RECONCILE", "reconcile": {"tasks": []}})).await;
    framework.until("unsure", "TASK_RUNNING").await;
    framework.teardown().await;
}

async fn drained_and_gone(world: &World) {
    let Some((world, _cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &info("loss")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("leaves", &offer, "sleep 100000")])]).await;
    framework.until("leaves", "TASK_RUNNING").await;
    let drain = json!({"agent_id": offer["agent_id"], "mark_gone": true, "max_grace_period": {"seconds": 0}});
    done(&world, json!({"type": "DRAIN_AGENT", "drain_agent": drain}), 200).await;
    framework.until("leaves", "TASK_KILLED").await;
    let begun = std::time::Instant::now();
    loop {
        let agents = read(&world, "GET_AGENTS").await;
        let mut all = agents["agents"].as_array().into_iter().flatten();
        if !all.any(|agent| agent["agent_info"]["id"] == offer["agent_id"]) {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{agents}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    framework.teardown().await;
}

async fn maintenance_is_kept(world: &World) {
    let Some((world, mut cluster)) = own(world).await else { return };
    let mut framework = Scheduler::subscribe(&world, &patient("loss", &["PARTITION_AWARE"])).await;
    let agent = framework.offer().await["agent_id"].clone();
    let machines = json!([{"hostname": "Node1"}, {"hostname": "elsewhere", "ip": "10.9.9.9"}]);
    let window =
        json!({"start": {"nanoseconds": 4_000_000_000_000_000_000_u64}, "duration": {"nanoseconds": 5}});
    let windows = json!([{"machine_ids": machines, "unavailability": window}]);
    let set = json!({"schedule": {"windows": windows}});
    done(&world, json!({"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": set}), 200)
        .await;
    let down = json!({"machines": [{"hostname": "node1"}]});
    done(&world, json!({"type": "START_MAINTENANCE", "start_maintenance": down}), 200).await;
    let told = async || {
        let schedule = read(&world, "GET_MAINTENANCE_SCHEDULE").await;
        (schedule, read(&world, "GET_MAINTENANCE_STATUS").await)
    };
    let before = told().await;
    assert_eq!(before.0["schedule"]["windows"], windows, "as it was given");
    assert_eq!(before.1["status"]["down_machines"], json!([{"hostname": "node1"}]));
    let gone = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": agent}});
    cluster.kill_machine(0).await;
    done(&world, gone, 200).await;
    let id = framework.vanish();
    cluster.kill_master().await;
    cluster.start_master();
    crate::support::until("the master answers", async || cluster.http.text("/health").await.map(drop)).await;
    assert_eq!(told().await, before);
    let up = json!({"type": "STOP_MAINTENANCE", "stop_maintenance": down});
    done(&world, up, 200).await;
    assert_eq!(told().await.1["status"].get("down_machines"), None);
    let mut framework = again(&world, &patient("loss", &["PARTITION_AWARE"]), &id).await;
    let asked = json!({"type": "RECONCILE", "reconcile": {"tasks": [
        {"task_id": {"value": "was-there"}, "agent_id": agent}
    ]}});
    framework.call(asked).await;
    assert_eq!(framework.update("was-there").await["state"], "TASK_GONE_BY_OPERATOR");
    framework.teardown().await;
}
