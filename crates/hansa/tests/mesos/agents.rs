//! A.9: what an agent's own operator API tells.

use crate::World;
use crate::cases;
use crate::containers::agent_of;
use crate::scheduler::{Scheduler, amount, info, launch, task};
use crate::wire::{Answer, Request};
use base64::Engine;
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    reads: "an agent's reads have an answer of the call's own type",
    running: "an agent tells its tasks, executors and frameworks",
    ended: "an agent remembers what has ended",
    files: "LIST_FILES and READ_FILE look into a sandbox",
    logging: "an agent's SET_LOGGING_LEVEL holds for the time that it says",
    refused: "what is no call of an agent's is 400, 405, 406 or 415",
    low: "what an agent cannot do is 501 and named",
}

/// Where the first agent is.
pub async fn any_agent(world: &World) -> String {
    let slaves = Request::get("/slaves").send(&world.master).await.json();
    let pid = slaves["slaves"][0]["pid"].as_str().expect("a pid");
    pid.strip_prefix("slave(1)@").expect("the process's name").to_owned()
}

async fn ask(agent: &str, call: &Value) -> Answer {
    Request::json("/api/v1", call).send(agent).await
}

async fn read(agent: &str, call: Value) -> Value {
    let answer = ask(agent, &call).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{call}");
    let answer = answer.json();
    assert_eq!(answer["type"], call["type"]);
    answer[call["type"].as_str().expect("a type").to_lowercase()].clone()
}

async fn get(agent: &str, kind: &str) -> Value {
    read(agent, json!({"type": kind})).await
}

async fn reads(world: &World) {
    let agent = any_agent(world).await;
    assert_eq!(get(&agent, "GET_HEALTH").await, json!({"healthy": true}));
    assert!(get(&agent, "GET_VERSION").await["version_info"]["version"].is_string());
    assert!(get(&agent, "GET_FLAGS").await["flags"][0]["name"].is_string());
    let metrics = read(
        &agent,
        json!({"type": "GET_METRICS", "get_metrics": {"timeout": {"nanoseconds": 5_000_000_000_u64}}}),
    );
    let metrics = metrics.await;
    let mut names = metrics["metrics"].as_array().expect("metrics").iter().map(|metric| &metric["name"]);
    assert!(names.any(|name| name == "slave/registered"), "{metrics}");
    let info = get(&agent, "GET_AGENT").await["agent_info"].clone();
    assert!(info["id"]["value"].is_string() && info["hostname"].is_string(), "{info}");
    assert!(amount(&info["resources"], "cpus") >= 1.0, "{info}");
    let state = get(&agent, "GET_STATE").await;
    for part in ["get_tasks", "get_executors", "get_frameworks"] {
        assert!(state[part].is_object(), "{part} in {state}");
    }
    get(&agent, "GET_OPERATIONS").await;
    get(&agent, "GET_CONTAINERS").await;
}

async fn running(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("agents")).await;
    let offer = framework.offer().await;
    let agent = agent_of(&offer);
    framework.accept(&offer, &[launch(&[task("held", &offer, "sleep 100000")])]).await;
    framework.until("held", "TASK_RUNNING").await;
    let of_it = |list: &Value, key: &str| -> Vec<Value> {
        let all = list.as_array().map_or(&[][..], Vec::as_slice).iter();
        all.filter(|one| one[key]["value"] == framework.id).cloned().collect()
    };
    let state = get(&agent, "GET_STATE").await;
    for tasks in [get(&agent, "GET_TASKS").await, state["get_tasks"].clone()] {
        let launched = of_it(&tasks["launched_tasks"], "framework_id");
        assert_eq!(launched.len(), 1, "{tasks}");
        assert_eq!(
            (&launched[0]["task_id"]["value"], &launched[0]["state"]),
            (&json!("held"), &json!("TASK_RUNNING"))
        );
    }
    let executors = get(&agent, "GET_EXECUTORS").await;
    let infos: Vec<_> = executors["executors"]
        .as_array()
        .expect("executors")
        .iter()
        .map(|one| one["executor_info"].clone())
        .collect();
    assert_eq!(of_it(&json!(infos), "framework_id").len(), 1, "{executors}");
    let frameworks = get(&agent, "GET_FRAMEWORKS").await;
    let infos: Vec<_> = frameworks["frameworks"]
        .as_array()
        .expect("frameworks")
        .iter()
        .map(|one| one["framework_info"].clone())
        .collect();
    assert_eq!(of_it(&json!(infos), "id").len(), 1, "{frameworks}");
    framework.teardown().await;
}

async fn ended(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("agents")).await;
    let offer = framework.offer().await;
    let agent = agent_of(&offer);
    framework.accept(&offer, &[launch(&[task("over", &offer, "echo once > file")])]).await;
    framework.until("over", "TASK_FINISHED").await;
    let begun = std::time::Instant::now();
    let executor = loop {
        let state = Request::get("/state").send(&agent).await.json();
        let all = state["completed_frameworks"].as_array().expect("a list").iter();
        let mine = all.filter(|one| one["id"] == framework.id.as_str());
        if let Some(executor) = mine.map(|one| one["completed_executors"][0].clone()).next() {
            break executor;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        (&executor["id"], &executor["completed_tasks"][0]["state"]),
        (&json!("over"), &json!("TASK_FINISHED"))
    );
    let directory = executor["directory"].as_str().expect("a directory");
    let file = Request::get(&format!("/files/download?path={directory}/file")).send(&agent).await;
    assert_eq!((file.status(), file.text().as_str()), (200, "once\n"));
    let tasks = get(&agent, "GET_TASKS").await;
    let mut over =
        tasks["terminated_tasks"].as_array().into_iter().chain(tasks["completed_tasks"].as_array()).flatten();
    assert!(over.any(|task| task["framework_id"]["value"] == framework.id), "{tasks}");
    framework.teardown().await;
}

async fn files(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("agents")).await;
    let offer = framework.offer().await;
    let agent = agent_of(&offer);
    framework
        .accept(
            &offer,
            &[launch(&[task("writes", &offer, "printf 0123456789 > file; touch done; sleep 100000")])],
        )
        .await;
    framework.until("writes", "TASK_RUNNING").await;
    let folder = format!("/frameworks/{}/executors/writes/runs/latest", framework.id);
    let begun = std::time::Instant::now();
    let infos = loop {
        let listed = read(&agent, json!({"type": "LIST_FILES", "list_files": {"path": folder}})).await;
        let infos = listed["file_infos"].as_array().expect("files").clone();
        if infos.iter().any(|file| file["path"].as_str().is_some_and(|path| path.ends_with("/done"))) {
            break infos;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{infos:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let file = infos
        .iter()
        .find(|file| file["path"].as_str().is_some_and(|path| path.ends_with("/file")))
        .expect("it");
    assert_eq!(file["size"], 10);
    for key in ["nlink", "mode", "mtime", "uid", "gid"] {
        assert!(!file[key].is_null(), "{key} in {file}");
    }
    let call = json!({"type": "READ_FILE", "read_file": {"path": format!("{folder}/file"), "offset": 4, "length": 3}});
    let piece = read(&agent, call).await;
    let data = base64::engine::general_purpose::STANDARD.decode(piece["data"].as_str().expect("data"));
    assert_eq!((data.expect("base64"), &piece["size"]), (b"456".to_vec(), &json!(10)));
    let call = json!({"type": "READ_FILE", "read_file": {"path": format!("{folder}/none"), "offset": 0}});
    assert_eq!(ask(&agent, &call).await.status(), 404);
    framework.teardown().await;
}

/// Sets a level for a moment, and sees it come and go; at a master or an agent.
pub async fn set_logging_level(address: &str) {
    let level = async || get(address, "GET_LOGGING_LEVEL").await["level"].as_u64();
    let before = level().await;
    let duration = json!({"nanoseconds": 300_000_000});
    let call = json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": duration}});
    let answer = ask(address, &call).await;
    assert_eq!((answer.status(), answer.text()), (200, String::new()));
    let begun = std::time::Instant::now();
    while level().await != before {
        assert!(begun.elapsed() < crate::PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Long enough to be seen.
    let call = json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": 60_000_000_000_u64}}});
    assert_eq!(ask(address, &call).await.status(), 200);
    assert_eq!(level().await, Some(1));
    let toggled = Request::get("/logging/toggle").send(address).await;
    assert_eq!((toggled.status(), toggled.text().trim()), (200, "1"));
    assert_eq!(Request::get("/logging/toggle?level=0&duration=1secs").send(address).await.status(), 200);
    assert_eq!(level().await, Some(0));
    for wrong in ["level=1", "duration=1secs", "level=x&duration=1secs", "level=1&duration=soon"] {
        let answer = Request::get(&format!("/logging/toggle?{wrong}")).send(address).await;
        assert_eq!(answer.status(), 400, "{wrong}: {}", answer.text());
    }
}

async fn logging(world: &World) {
    set_logging_level(&any_agent(world).await).await;
}

async fn refused(world: &World) {
    let agent = any_agent(world).await;
    for path in ["/api/v1", "/slave(1)/api/v1"] {
        assert_eq!(Request::get(path).send(&agent).await.status(), 405);
        for body in ["", "{", "[]", "{}", "{\"type\":\"NO_SUCH_CALL\"}", "{\"type\":\"LIST_FILES\"}"] {
            let call = Request::new("POST", path).header("Content-Type", "application/json").body(body);
            let answer = call.send(&agent).await;
            assert_eq!(answer.status(), 400, "{body}: {}", answer.text());
        }
        let call = Request::new("POST", path).body("{\"type\":\"GET_HEALTH\"}");
        assert_eq!(call.send(&agent).await.status(), 400, "no Content-Type");
        let health = || Request::new("POST", path).body("{\"type\":\"GET_HEALTH\"}");
        assert_eq!(health().header("Content-Type", "text/plain").send(&agent).await.status(), 415);
        let json = || health().header("Content-Type", "application/json");
        assert_eq!(json().header("Accept", "text/html").send(&agent).await.status(), 406);
        assert_eq!(
            json().header("Message-Content-Type", "application/json").send(&agent).await.status(),
            415
        );
        assert_eq!(json().header("Message-Accept", "application/json").send(&agent).await.status(), 406);
    }
}

async fn low(world: &World) {
    let agent = any_agent(world).await;
    for kind in ["GET_RESOURCE_PROVIDERS", "ADD_RESOURCE_PROVIDER_CONFIG"] {
        let answer = ask(&agent, &json!({"type": kind})).await;
        let named = answer.text().contains(kind);
        assert!(answer.status() == 200 || (answer.status() == 501 && named), "{kind}: {}", answer.text());
    }
}
