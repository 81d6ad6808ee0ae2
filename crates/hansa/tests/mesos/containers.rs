//! A.7: what a task finds around it, and what an agent does for it.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, info, launch, scalar, task};
use serde_json::{Value, json};

cases! {
    health: "a health check that holds, then one that fails for good",
    max_completion_time: "a task that runs for longer than it may fails for that",
    grace: "the grace period of the kill policy passes between SIGTERM and SIGKILL",
    no_uri: "a file that cannot be fetched is the end of the task",
    pod_fails_together: "a task of a group that fails takes the others with it",
}

async fn health(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = framework.offer().await;
    let mut task = task("checked", &offer, "touch good; sleep 100000");
    task["health_check"] = json!({
        "type": "COMMAND",
        "command": {"value": "if test -e good; then rm good; else test -e better; fi"},
        "delay_seconds": 0.0, "interval_seconds": 0.1, "grace_period_seconds": 0.0, "consecutive_failures": 3,
    });
    framework.accept(&offer, &[launch(&[task])]).await;
    let good = loop {
        let status = framework.until("checked", "TASK_RUNNING").await;
        if status["healthy"] == true {
            break status;
        }
    };
    assert_eq!(good["reason"], "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", "{good}");
    let end = framework.until("checked", "TASK_KILLED").await;
    assert_eq!(end["healthy"], false, "{end}");
    framework.teardown().await;
}

async fn max_completion_time(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = framework.offer().await;
    let mut task = task("long", &offer, "sleep 100000");
    task["max_completion_time"] = json!({"nanoseconds": 500_000_000});
    framework.accept(&offer, &[launch(&[task])]).await;
    let status = framework.until("long", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_MAX_COMPLETION_TIME_REACHED", "{status}");
    framework.teardown().await;
}

async fn grace(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = framework.offer().await;
    let mut task = task("stubborn", &offer, "trap '' TERM; while :; do sleep 0.1; done");
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": 100_000_000}});
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("stubborn", "TASK_RUNNING").await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "stubborn"}}})).await;
    framework.until("stubborn", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn no_uri(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = framework.offer().await;
    let mut task = task("unfetched", &offer, "true");
    task["command"]["uris"] = json!([{"value": "file:///no/such/file"}]);
    framework.accept(&offer, &[launch(&[task])]).await;
    let status = framework.until("unfetched", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{status}");
    framework.teardown().await;
}

/// Launches a group of two tasks.
async fn pod(framework: &mut Scheduler<'_>, id: &str, commands: [&str; 2]) {
    let offer = framework.offer().await;
    let executor = json!({
        "type": "DEFAULT",
        "executor_id": {"value": id},
        "framework_id": {"value": framework.id},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 32.0)],
    });
    let volume = json!({
        "mode": "RW", "container_path": "shared",
        "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}},
    });
    let tasks: Vec<Value> = [0, 1]
        .map(|number| {
            let mut task = task(&format!("{id}-{number}"), &offer, commands[number]);
            task["container"] = json!({"type": "MESOS", "volumes": [volume]});
            task
        })
        .to_vec();
    let group = json!({"executor": executor, "task_group": {"tasks": tasks}});
    framework.accept(&offer, &[json!({"type": "LAUNCH_GROUP", "launch_group": group})]).await;
}

async fn pod_fails_together(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    pod(&mut framework, "pod", ["sleep 0.2; exit 1", "sleep 100000"]).await;
    framework.until("pod-0", "TASK_FAILED").await;
    let status = framework.until("pod-1", "TASK_KILLED").await;
    assert!(status["message"].is_string(), "{status}");
    framework.teardown().await;
}
