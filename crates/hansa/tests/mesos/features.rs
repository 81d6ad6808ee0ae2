//! A.7: what a task may ask for besides a command.

use crate::World;
use crate::cases;
use crate::containers::output;
use crate::scheduler::{Scheduler, info, launch, task};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    host_path: "a directory of the machine is there, or there to be read only",
    secret_volume: "a secret by value is a file",
    no_references: "a secret by reference is refused, and said so",
    limits: "limits may be more than what is taken, without end, too",
    http_health: "a health check over HTTP, one over TCP",
    check: "what a check finds out is told, and ends nothing",
    http_check: "a check over HTTP tells the status",
    out_of_memory: "a task that takes too much memory fails for that, with what it was",
    user: "a task runs as the user that its command says",
    unsupported: "what cannot be had is a TASK_ERROR that names it",
    sandbox_owner: "what is fetched to another name and directory is there",
    exit_signal: "a command that a signal ends says which",
    empty_checks: "a check that says nothing of its kind is a TASK_ERROR",
}

async fn host_path(world: &World) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "of the machine\n").expect("written");
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    for (mode, id) in [("RO", "reads"), ("RW", "writes")] {
        let text = output(&mut framework, id, |task| {
            let command =
                "cat data/file; (echo more >> data/file) 2>/dev/null && echo written || echo refused";
            task["command"]["value"] = json!(command);
            task["container"] = json!({"type": "MESOS", "volumes": [
                {"host_path": folder.path(), "container_path": "data", "mode": mode},
            ]});
        })
        .await;
        let done = if mode == "RO" { "refused" } else { "written" };
        assert!(text.contains("of the machine") && text.contains(done), "{mode}: {text}");
    }
    framework.teardown().await;
}

async fn secret_volume(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let text = output(&mut framework, "knows", |task| {
        task["command"]["value"] = json!("cat hidden/secret");
        task["container"] = json!({"type": "MESOS", "volumes": [{
            "container_path": "hidden/secret", "mode": "RO",
            "source": {"type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "d29ybGQ="}}},
        }]});
    })
    .await;
    assert!(text.ends_with("world"), "{text}");
    framework.teardown().await;
}

/// Launches a changed task; it must be refused with a message that has this word.
async fn is_refused(framework: &mut Scheduler<'_>, id: &str, word: &str, change: impl FnOnce(&mut Value)) {
    let offer = framework.offer().await;
    let mut task = task(id, &offer, "true");
    change(&mut task);
    framework.accept(&offer, &[launch(&[task])]).await;
    let status = framework.update(id).await;
    assert_eq!(status["state"], "TASK_ERROR", "{status}");
    assert!(status["message"].as_str().is_some_and(|text| text.contains(word)), "{word}: {status}");
}

async fn no_references(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let secret = json!({"type": "REFERENCE", "reference": {"name": "x"}});
    is_refused(&mut framework, "variable", "reference", |task| {
        task["command"]["environment"] =
            json!({"variables": [{"name": "HIDDEN", "type": "SECRET", "secret": secret.clone()}]});
    })
    .await;
    framework.teardown().await;
}

async fn limits(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let offer = framework.offer().await;
    let mut bursts = task("bursts", &offer, "sleep 100000");
    bursts["limits"] = json!({"cpus": {"value": "Infinity"}, "mem": {"value": 128.0}});
    framework.accept(&offer, &[launch(&[bursts])]).await;
    framework.until("bursts", "TASK_RUNNING").await;
    let path = format!("/tasks?framework_id={}&task_id=bursts", framework.id);
    let tasks = Request::get(&path).send(&world.master).await.json();
    let limits = &tasks["tasks"][0]["limits"];
    assert_eq!(
        (&limits["mem"], &tasks["tasks"][0]["resources"]["mem"]),
        (&json!(128.0), &json!(32.0)),
        "{tasks}"
    );
    is_refused(&mut framework, "less", "", |task| task["limits"] = json!({"mem": {"value": 1.0}})).await;
    framework.teardown().await;
}

/// The port of the agent of the next offer: something that answers.
async fn with_port(framework: &mut Scheduler<'_>, id: &str, change: impl FnOnce(&mut Value, &Value)) {
    let offer = framework.offer().await;
    let mut task = task(id, &offer, "sleep 100000");
    change(&mut task, &offer["url"]["address"]["port"]);
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until(id, "TASK_RUNNING").await;
}

async fn http_health(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    with_port(&mut framework, "http", |task, port| {
        task["health_check"] = json!({
            "type": "HTTP", "http": {"port": port, "path": "/health"}, "delay_seconds": 0.0, "interval_seconds": 0.1,
        });
    })
    .await;
    with_port(&mut framework, "tcp", |task, port| {
        task["health_check"] =
            json!({"type": "TCP", "tcp": {"port": port}, "delay_seconds": 0.0, "interval_seconds": 0.1});
    })
    .await;
    for id in ["http", "tcp"] {
        let status = framework.update(id).await;
        assert_eq!(
            (&status["state"], &status["healthy"]),
            (&json!("TASK_RUNNING"), &json!(true)),
            "{status}"
        );
        assert_eq!(status["reason"], "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", "{status}");
    }
    framework.teardown().await;
}

async fn check(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let offer = framework.offer().await;
    let mut asked = task("asked", &offer, "sleep 100000");
    asked["check"] = json!({
        "type": "COMMAND", "command": {"command": {"value": "test -e answer || { touch answer; exit 3; }"}},
        "delay_seconds": 0.0, "interval_seconds": 0.1,
    });
    framework.accept(&offer, &[launch(&[asked])]).await;
    // Of which kind it is, is told before it has an answer.
    let first = framework.until("asked", "TASK_RUNNING").await;
    assert_eq!(first["check_status"], json!({"type": "COMMAND", "command": {}}), "{first}");
    for code in [3, 0] {
        let status = framework.update("asked").await;
        assert_eq!(status["state"], "TASK_RUNNING", "{status}");
        assert_eq!(status["reason"], "REASON_TASK_CHECK_STATUS_UPDATED", "{status}");
        assert_eq!(
            status["check_status"],
            json!({"type": "COMMAND", "command": {"exit_code": code}}),
            "{status}"
        );
    }
    framework.teardown().await;
}

async fn http_check(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    with_port(&mut framework, "asked", |task, port| {
        task["check"] = json!({
            "type": "HTTP", "http": {"port": port, "path": "/no-such-path"}, "delay_seconds": 0.0, "interval_seconds": 0.1,
        });
    })
    .await;
    let status = framework.update("asked").await;
    assert_eq!(status["check_status"], json!({"type": "HTTP", "http": {"status_code": 404}}), "{status}");
    framework.teardown().await;
}

async fn out_of_memory(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let offer = framework.offer().await;
    let greedy = task("greedy", &offer, "x=x; while :; do x=$x$x; done");
    framework.accept(&offer, &[launch(&[greedy])]).await;
    let status = framework.until("greedy", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{status}");
    let limitation = &status["limitation"]["resources"][0];
    assert_eq!(limitation["name"], "mem", "{status}");
    framework.teardown().await;
}

async fn user(world: &World) {
    if std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).ok() != Some(0) {
        // Nobody else can be.
        return;
    }
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let text = output(&mut framework, "nobody", |task| {
        task["command"]["value"] = json!("id -un; touch mine && echo written");
        task["command"]["user"] = json!("nobody");
    })
    .await;
    assert!(text.contains("nobody\n") && text.contains("written"), "the sandbox is its: {text}");
    framework.teardown().await;
}

async fn unsupported(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let container = |more: Value| {
        let mut container = json!({"type": "MESOS"});
        container.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        container
    };
    if world.cluster.is_none() {
        // Elsewhere it may well be had.
        return framework.teardown().await;
    }
    let csi = json!({"type": "CSI_VOLUME"});
    for (id, word, more) in [
        ("csi", "CSI_VOLUME", json!({"volumes": [{"container_path": "x", "mode": "RW", "source": csi}]})),
        ("appc", "APPC", json!({"mesos": {"image": {"type": "APPC", "appc": {"name": "x"}}}})),
    ] {
        is_refused(&mut framework, id, word, |task| task["container"] = container(more)).await;
    }
    is_refused(&mut framework, "hdfs", "hdfs", |task| {
        task["command"]["uris"] = json!([{"value": "hdfs://x/y"}])
    })
    .await;
    framework.teardown().await;
}

async fn sandbox_owner(world: &World) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file.tar");
    std::fs::write(&file, "no archive").expect("written");
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let text = output(&mut framework, "renamed", |task| {
        task["command"] = json!({
            "value": "cat below/name file.tar",
            "uris": [
                {"value": file.display().to_string(), "extract": false, "output_file": "below/name"},
                {"value": file.display().to_string(), "extract": false, "cache": true},
            ],
        });
    })
    .await;
    assert!(text.ends_with("no archiveno archive"), "{text}");
    framework.teardown().await;
}

async fn exit_signal(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("signalled", &offer, "kill -9 $$")])]).await;
    let status = framework.until("signalled", "TASK_FAILED").await;
    let message = status["message"].as_str().expect("a message");
    assert!(message.starts_with("Command terminated with signal Killed"), "{message}");
    framework.teardown().await;
}

async fn empty_checks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("features")).await;
    is_refused(&mut framework, "kindless", "type", |task| task["check"] = json!({})).await;
    is_refused(&mut framework, "hollow", "'http'", |task| task["check"] = json!({"type": "HTTP"})).await;
    is_refused(&mut framework, "other", "'command'", |task| {
        task["health_check"] = json!({"type": "COMMAND"})
    })
    .await;
    framework.teardown().await;
}
