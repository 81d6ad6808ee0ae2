//! A.7: what a task finds around it, and what an agent does for it.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, amount, info, launch, scalar, task};
use crate::support::{so, until};
use crate::wire::{Request, Stream};
use serde_json::{Value, json};

cases! {
    environment: "a command task finds out who and where it is",
    arguments: "without a shell the value is the file, and the first argument its name",
    user_variables: "variables of the command, and secrets by value",
    health: "a health check that holds, then one that fails for good",
    max_completion_time: "a task that runs for longer than it may fails for that",
    grace: "the grace period of the kill policy passes between SIGTERM and SIGKILL",
    uris: "files are fetched, archives unpacked, programs made executable",
    no_uri: "a file that cannot be fetched is the end of the task",
    shared_sandbox: "tasks of a group share a volume of the executor's sandbox",
    pod_fails_together: "a task of a group that fails takes the others with it",
    pod_frees: "what was one task's of a group is offered again when it ends, the rest when the group does",
    get_containers: "GET_CONTAINERS knows the containers",
}

/// Runs a command to its good end and gives what it printed.
pub async fn output(framework: &mut Scheduler<'_>, id: &str, change: impl FnOnce(&mut Value)) -> String {
    let offer = framework.offer().await;
    let mut task = task(id, &offer, "true");
    change(&mut task);
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until(id, "TASK_FINISHED").await;
    let path = format!("/frameworks/{}/executors/{id}/runs/latest/stdout", framework.id);
    Request::get(&format!("/files/download?path={path}")).send(&agent_of(&offer)).await.text()
}

/// Where the agent of an offer is.
pub fn agent_of(offer: &Value) -> String {
    let address = &offer["url"]["address"];
    format!("{}:{}", address["ip"].as_str().expect("an ip"), address["port"])
}

async fn environment(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let text =
        output(&mut framework, "env", |task| task["command"]["value"] = json!("env; echo in $(pwd)")).await;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    assert_eq!((value("MESOS_TASK_ID"), value("MESOS_EXECUTOR_ID")), ("env".into(), "env".into()));
    assert_eq!(
        (value("MESOS_FRAMEWORK_ID"), value("MESOS_ALLOCATION_ROLE")),
        (framework.id.clone(), "*".into())
    );
    assert_eq!(text.lines().last(), Some(format!("in {}", value("MESOS_SANDBOX")).as_str()));
    for name in ["MESOS_SLAVE_ID", "MESOS_CONTAINER_IP"] {
        assert!(!value(name).is_empty(), "{name}");
    }
    framework.teardown().await;
}

async fn arguments(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let text = output(&mut framework, "argv", |task| {
        task["command"] =
            json!({"shell": false, "value": "/bin/echo", "arguments": ["echo", "a b", "$HOME"]});
    })
    .await;
    assert!(text.lines().any(|line| line == "a b $HOME"), "{text}");
    framework.teardown().await;
}

async fn user_variables(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let text = output(&mut framework, "vars", |task| {
        task["command"]["value"] = json!("echo $GREETING $HIDDEN");
        task["command"]["environment"] = json!({"variables": [
            {"name": "GREETING", "value": "hello"},
            {"name": "HIDDEN", "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "d29ybGQ="}}},
        ]});
    })
    .await;
    assert!(text.contains("hello world"), "{text}");
    framework.teardown().await;
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

async fn uris(world: &World) {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/bin/sh\necho from a script\n").expect("written");
    let archive = folder.path().join("archive.tar.gz");
    let packed = std::process::Command::new("tar")
        .arg("-C")
        .arg(folder.path())
        .arg("-czf")
        .arg(&archive)
        .arg("script")
        .status();
    assert!(packed.expect("tar").success());
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let text = output(&mut framework, "fetches", |task| {
        task["command"] = json!({
            "value": "./program && cat script && test -e archive.tar.gz",
            "uris": [
                {"value": script.display().to_string(), "executable": true, "output_file": "program"},
                {"value": format!("file://{}", archive.display())},
            ],
        });
    })
    .await;
    assert!(text.contains("from a script\n") && text.contains("#!/bin/sh"), "{text}");
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

/// Launches a group of two tasks; gives the offer that it was launched with.
async fn pod(framework: &mut Scheduler<'_>, id: &str, commands: [&str; 2]) -> Value {
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
    offer
}

async fn shared_sandbox(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    pod(&mut framework, "pod", ["echo hi > shared/file", "until grep hi shared/file; do sleep 0.05; done"])
        .await;
    for id in ["pod-0", "pod-1"] {
        framework.until(id, "TASK_FINISHED").await;
    }
    framework.teardown().await;
}

async fn pod_fails_together(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    pod(&mut framework, "pod", ["sleep 0.2; exit 1", "sleep 100000"]).await;
    framework.until("pod-0", "TASK_FAILED").await;
    let status = framework.until("pod-1", "TASK_KILLED").await;
    assert!(status["message"].is_string(), "{status}");
    framework.teardown().await;
}

async fn pod_frees(world: &World) {
    nothing_is_used(world).await;
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = pod(&mut framework, "frees", ["sleep 0.2", "sleep 100000"]).await;
    framework.until("frees-0", "TASK_FINISHED").await;
    // Then there are one task and the executor.
    is_offered(&mut framework, &offer, 0.2).await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "frees-1"}}})).await;
    framework.until("frees-1", "TASK_KILLED").await;
    is_offered(&mut framework, &offer, 0.0).await;
    framework.teardown().await;
}

/// Waits until whatever was torn down before has gone: else it is offered beside what a case counts.
async fn nothing_is_used(world: &World) {
    until("nothing is used", async || {
        let slaves = Request::get("/slaves").send(&world.master).await.json();
        let slaves = slaves["slaves"].as_array().ok_or("no list of agents")?;
        let used: Vec<&Value> = slaves.iter().map(|slave| &slave["used_resources"]["cpus"]).collect();
        so(used.iter().all(|cpus| cpus.as_f64() == Some(0.0)), used)
    })
    .await;
}

/// Waits until the framework has been offered all that was in an offer, but for so many CPUs. Nothing else on the agent may
/// come to be free meanwhile.
pub async fn is_offered(framework: &mut Scheduler<'_>, offer: &Value, but_for: f64) {
    let left = amount(&offer["resources"], "cpus") - but_for;
    let begun = std::time::Instant::now();
    loop {
        let there = framework.offers.iter().filter(|one| one["agent_id"] == offer["agent_id"]);
        let sum: f64 = there.map(|one| amount(&one["resources"], "cpus")).sum();
        if (sum - left).abs() < 0.001 {
            return;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{sum} instead of {left}");
        framework.event("OFFERS").await;
    }
}

async fn get_containers(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("containers")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("seen", &offer, "sleep 100000")])]).await;
    let status = framework.until("seen", "TASK_RUNNING").await;
    for path in ["/api/v1", "/slave(1)/api/v1"] {
        let answer =
            Request::json(path, &json!({"type": "GET_CONTAINERS"})).send(&agent_of(&offer)).await.json();
        assert_eq!(answer["type"], "GET_CONTAINERS");
        let all = answer["get_containers"]["containers"].as_array().expect("containers");
        let id = &status["container_status"]["container_id"];
        let one =
            all.iter().find(|one| one["container_id"] == *id).unwrap_or_else(|| panic!("{id} in {all:?}"));
        assert_eq!(one["framework_id"]["value"], framework.id);
    }
    framework.teardown().await;
}

/// The bytes of an output stream until it ends: stdout and stderr together.
pub async fn drain(stream: &mut Stream) -> String {
    use base64::Engine;
    let mut text = String::new();
    while let Some(event) = stream.json().await {
        if event["type"] == "DATA" {
            let data = event["data"]["data"].as_str().expect("data");
            let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}
