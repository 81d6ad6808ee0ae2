//! A.11 and A.12: the endpoints that dashboards, exporters and scripts read.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, info, launch, scalar, task};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    state: "/state has its keys, and lists that are empty are there",
    slaves: "/slaves tells each agent with its resources as one object",
    frameworks: "/frameworks tells each framework with its tasks",
    tasks: "/tasks pages, orders, and has tasks that have ended",
    task_shape: "a task's labels are a list, its discovery as it came",
    summary: "/state-summary counts tasks",
    roles: "/roles tells weight and frameworks",
    metrics: "/metrics/snapshot is flat, and what exporters expect is there",
    agent_state: "an agent's /state leads to a task's sandbox, and files can be read there",
    statistics: "an agent's /monitor/statistics and /containers tell of each container",
    teardown: "POST /teardown ends a framework",
    old_names: "the suffix .json is forgiven",
}

async fn get(world: &World, path: &str) -> Value {
    Request::get(path).send(&world.master).await.json()
}

/// All of these keys are there.
fn has(object: &Value, keys: &str) {
    for key in keys.split_whitespace() {
        assert!(!object[key].is_null(), "{key} in {object}");
    }
}

async fn state(world: &World) {
    let state = get(world, "/master/state").await;
    has(
        &state,
        "version start_time elected_time id pid hostname capabilities activated_slaves deactivated_slaves \
         unreachable_slaves leader leader_info flags slaves recovered_slaves frameworks completed_frameworks \
         orphan_tasks unregistered_frameworks",
    );
    assert!(state["pid"].as_str().is_some_and(|pid| pid.starts_with("master@")), "{}", state["pid"]);
    assert_eq!((&state["orphan_tasks"], &state["unregistered_frameworks"]), (&json!([]), &json!([])));
    assert!(state["activated_slaves"].is_number(), "{}", state["activated_slaves"]);
}

fn resources_are_numbers(resources: &Value) {
    for kind in ["cpus", "gpus", "mem", "disk"] {
        assert!(resources[kind].is_number(), "{kind} in {resources}");
    }
    assert!(
        resources["ports"].is_null() || resources["ports"].as_str().is_some_and(|text| text.starts_with('['))
    );
}

async fn slaves(world: &World) {
    let all = get(world, "/slaves").await;
    let slave = &all["slaves"][0];
    has(
        slave,
        "id hostname port attributes pid registered_time resources used_resources offered_resources \
         reserved_resources unreserved_resources active version capabilities",
    );
    for key in ["resources", "used_resources", "offered_resources", "unreserved_resources"] {
        resources_are_numbers(&slave[key]);
    }
    let ports = slave["resources"]["ports"].as_str().expect("ports");
    assert!(ports.starts_with('[') && ports.contains('-') && ports.ends_with(']'), "{ports}");
    assert!(slave["attributes"].is_object() && all["recovered_slaves"].is_array());
    let id = slave["id"].as_str().expect("an id");
    let one = get(world, &format!("/slaves?slave_id={id}")).await;
    assert_eq!((one["slaves"].as_array().map(Vec::len), &one["slaves"][0]["id"]), (Some(1), &json!(id)));
}

async fn frameworks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("legacy")).await;
    framework.run("listed", "sleep 100000").await;
    let all = get(world, &format!("/frameworks?framework_id={}", framework.id)).await;
    let one = &all["frameworks"][0];
    has(
        one,
        "id name user hostname failover_timeout checkpoint active connected recovered registered_time capabilities \
         resources used_resources offered_resources tasks unreachable_tasks completed_tasks offers executors",
    );
    assert_eq!((&one["role"], &one["active"], &one["connected"]), (&json!("*"), &json!(true), &json!(true)));
    assert_eq!(one["tasks"][0]["id"], "listed");
    resources_are_numbers(&one["used_resources"]);
    assert_eq!(one["used_resources"]["mem"], 32.0);
    framework.teardown().await;
}

async fn tasks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("legacy")).await;
    for id in ["paged-1", "paged-2", "paged-3"] {
        let offer = framework.offer().await;
        framework.accept(&offer, &[launch(&[task(id, &offer, "exit 0")])]).await;
        framework.until(id, "TASK_FINISHED").await;
    }
    let ids = async |query: &str| -> Vec<String> {
        let all = get(world, &format!("/tasks?framework_id={}{query}", framework.id)).await;
        let all = all["tasks"].as_array().expect("tasks").clone();
        all.iter().map(|task| task["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids("&order=asc").await, ["paged-1", "paged-2", "paged-3"]);
    for order in ["", "&order=des", "&order=dsc", "&limit=-1"] {
        assert_eq!(ids(order).await, ["paged-3", "paged-2", "paged-1"], "{order}");
    }
    assert_eq!(ids("&order=asc&limit=1&offset=1").await, ["paged-2"]);
    assert_eq!(ids("&task_id=paged-3").await, ["paged-3"]);
    framework.teardown().await;
}

async fn task_shape(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("legacy")).await;
    let offer = framework.offer().await;
    let mut described = task("described", &offer, "sleep 100000");
    described["labels"] = json!({"labels": [{"key": "a", "value": "b"}, {"key": "alone"}]});
    described["discovery"] = json!({"visibility": "EXTERNAL", "name": "web", "ports": {"ports": [{"number": 80, "name": "http"}]}});
    described["resources"].as_array_mut().expect("a list").push(scalar("disk", 8.0));
    framework.accept(&offer, &[launch(&[described])]).await;
    framework.until("described", "TASK_RUNNING").await;
    let all = get(world, &format!("/tasks?framework_id={}&task_id=described", framework.id)).await;
    let task = &all["tasks"][0];
    has(task, "id name framework_id slave_id state resources statuses");
    assert_eq!(task["executor_id"], "", "command tasks have no executor");
    assert_eq!(task["labels"], json!([{"key": "a", "value": "b"}, {"key": "alone"}]));
    assert_eq!(
        (&task["discovery"]["visibility"], &task["discovery"]["name"]),
        (&json!("EXTERNAL"), &json!("web"))
    );
    assert_eq!(task["discovery"]["ports"]["ports"][0]["number"], 80);
    assert_eq!((&task["resources"]["cpus"], &task["resources"]["disk"]), (&json!(0.1), &json!(8.0)));
    let statuses = task["statuses"].as_array().expect("statuses");
    assert_eq!(statuses.iter().filter(|status| status["state"] == "TASK_RUNNING").count(), 1);
    let running = statuses.last().expect("a status");
    assert!(
        running["timestamp"].is_number() && running["container_status"]["container_id"]["value"].is_string()
    );
    framework.teardown().await;
}

async fn summary(world: &World) {
    let summary = get(world, "/state-summary").await;
    has(&summary, "hostname slaves frameworks");
    has(&summary["slaves"][0], "id hostname TASK_RUNNING TASK_FINISHED framework_ids");
}

async fn roles(world: &World) {
    let framework = Scheduler::subscribe(world, &info("legacy")).await;
    let roles = get(world, "/roles").await;
    let all = roles["roles"].as_array().expect("roles");
    let any = all.iter().find(|role| role["name"] == "*").expect("everybody's");
    has(any, "weight resources frameworks");
    assert!(any["frameworks"].as_array().expect("ids").contains(&json!(framework.id)), "{any}");
    framework.teardown().await;
}

async fn metrics(world: &World) {
    let metrics = get(world, "/metrics/snapshot").await;
    for (name, value) in metrics.as_object().expect("an object") {
        assert!(value.is_number(), "{name} is {value}");
    }
    for kind in ["cpus", "gpus", "mem", "disk"] {
        for suffix in ["total", "used", "percent", "revocable_total", "revocable_used", "revocable_percent"] {
            has(&metrics, &format!("master/{kind}_{suffix}"));
        }
    }
    for state in "staging starting running killing finished failed killed error lost dropped unreachable gone"
        .split(' ')
    {
        has(&metrics, &format!("master/tasks_{state}"));
    }
    has(
        &metrics,
        "master/uptime_secs master/elected master/slaves_connected master/slaves_active master/slaves_inactive \
         master/slaves_disconnected master/slave_registrations master/slave_reregistrations master/slave_removals \
         master/frameworks_active master/frameworks_connected master/frameworks_disconnected \
         master/frameworks_inactive master/outstanding_offers master/dropped_messages \
         master/event_queue_dispatches master/event_queue_http_requests master/event_queue_messages \
         master/valid_status_updates master/invalid_status_updates registrar/queued_operations \
         registrar/registry_size_bytes registrar/state_store_ms allocator/mesos/allocation_runs \
         system/cpus_total system/load_1min system/mem_total_bytes",
    );
    assert_eq!(metrics["master/elected"], 1.0);
    assert!(metrics["master/slaves_connected"].as_f64().is_some_and(|number| number >= 2.0));
}

async fn agent_state(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("legacy")).await;
    let offer = framework.offer().await;
    let address = &offer["url"]["address"];
    let agent = format!("{}:{}", address["ip"].as_str().expect("an ip"), address["port"]);
    let command = "echo something to read; exec sleep 100000";
    framework.accept(&offer, &[launch(&[task("writes", &offer, command)])]).await;
    framework.until("writes", "TASK_RUNNING").await;
    let state = Request::get("/slave(1)/state").send(&agent).await.json();
    has(&state, "id pid hostname resources attributes flags frameworks completed_frameworks version");
    let frameworks = state["frameworks"].as_array().expect("frameworks");
    let one = frameworks.iter().find(|one| one["id"] == framework.id.as_str()).expect("the framework");
    let executor = &one["executors"][0];
    has(executor, "id name source container directory tasks queued_tasks completed_tasks resources");
    assert_eq!((&executor["id"], &executor["tasks"][0]["id"]), (&json!("writes"), &json!("writes")));
    let directory = executor["directory"].as_str().expect("a directory");
    let alias = format!("/frameworks/{}/executors/writes/runs/latest", framework.id);
    for folder in [directory, &alias] {
        let files = Request::get(&format!("/files/browse?path={folder}")).send(&agent).await.json();
        let files = files.as_array().expect("files");
        let stdout =
            files.iter().find(|file| file["path"].as_str().is_some_and(|path| path.ends_with("/stdout")));
        has(stdout.unwrap_or_else(|| panic!("stdout in {files:?}")), "gid mode mtime nlink path size uid");
        let file = format!("path={folder}/stdout");
        let begun = std::time::Instant::now();
        loop {
            let read =
                Request::get(&format!("/files/read?{file}&offset=0&length=100")).send(&agent).await.json();
            if read["data"].as_str().is_some_and(|data| data.contains("something to read")) {
                break assert_eq!(read["offset"], 0);
            }
            assert!(begun.elapsed() < crate::PATIENCE, "{read}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let size = Request::get(&format!("/files/read?{file}&offset=-1")).send(&agent).await.json();
        assert!(size["data"] == "" && size["offset"].as_u64().is_some_and(|size| size >= 18), "{size}");
        let whole = Request::get(&format!("/files/download?{file}")).send(&agent).await;
        assert!(whole.status() == 200 && whole.text().contains("something to read"), "{}", whole.text());
        let missing = Request::get(&format!("/files/download?path={folder}/nothing")).send(&agent).await;
        assert_eq!(missing.status(), 404);
    }
    framework.teardown().await;
}

async fn statistics(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("legacy")).await;
    let offer = framework.offer().await;
    let address = &offer["url"]["address"];
    let agent = format!("{}:{}", address["ip"].as_str().expect("an ip"), address["port"]);
    let command = "head -c 2000000 /dev/zero > file; mv file written; sleep 100000";
    framework.accept(&offer, &[launch(&[task("measured", &offer, command)])]).await;
    framework.until("measured", "TASK_RUNNING").await;
    let path = format!("/frameworks/{}/executors/measured/runs/latest/written", framework.id);
    let begun = std::time::Instant::now();
    while Request::get(&format!("/files/read?path={path}&offset=-1")).send(&agent).await.status() != 200 {
        assert!(begun.elapsed() < crate::PATIENCE, "{path}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for path in ["/monitor/statistics", "/containers", "/slave(1)/containers"] {
        let all = Request::get(path).send(&agent).await.json();
        let all = all.as_array().expect("a list");
        let one = all.iter().find(|one| one["framework_id"] == framework.id.as_str()).expect("the task's");
        has(one, "executor_id executor_name framework_id source statistics");
        assert_eq!(one["executor_id"], "measured");
        has(&one["statistics"], "timestamp cpus_limit mem_limit_bytes disk_limit_bytes disk_used_bytes");
        assert!(one["statistics"]["disk_used_bytes"].as_u64() >= Some(2_000_000), "{one}");
    }
    framework.teardown().await;
}

async fn teardown(world: &World) {
    let framework = Scheduler::subscribe(world, &info("legacy")).await;
    let form = |body: String| {
        Request::new("POST", "/master/teardown")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let answer = form(format!("frameworkId={}", framework.id)).send(&world.master).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let all = get(world, &format!("/frameworks?framework_id={}", framework.id)).await;
    assert_eq!(all["completed_frameworks"][0]["id"], framework.id.as_str());
    assert_eq!(form("nothing=here".into()).send(&world.master).await.status(), 400);
}

/// Mesos 1.8 took it away, and tools broke: a successor may have it, and ours does.
async fn old_names(world: &World) {
    if world.cluster.is_none() {
        return;
    }
    for path in ["/master/state.json", "/state.json"] {
        has(&get(world, path).await, "id slaves");
    }
}
