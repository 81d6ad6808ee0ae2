//! A.5: volumes and GPUs of later tasks, in the containers of executors that run already.

use crate::World;
use crate::cases;
use crate::executors::{Executor, executor_task, next};
use crate::scheduler::{Scheduler, amount, info_with, launch, scalar, task};
use crate::support::Cluster;
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    custom: "a running executor is given a later task's volume, and it is gone from there when the task has ended",
    group: "a later group of a running default executor has its volume, and so has who looks into the sandbox",
    gpus: "a running executor is given a later task with a GPU, which is free when that has ended",
}

const REFINED: &[&str] = &["MULTI_ROLE", "RESERVATION_REFINEMENT"];

fn disk(role: &str) -> Value {
    let mut disk = scalar("disk", 64.0);
    disk["reservations"] = json!([{"type": "DYNAMIC", "role": role}]);
    disk
}

fn volume(role: &str) -> Value {
    let mut volume = disk(role);
    volume["disk"] =
        json!({"persistence": {"id": "later"}, "volume": {"container_path": "data", "mode": "RW"}});
    volume
}

fn on_volume(mut task: Value, role: &str) -> Value {
    task["resources"].as_array_mut().expect("a list").push(volume(role));
    task
}

fn has_volume(offer: &Value) -> bool {
    let all = offer["resources"].as_array().expect("resources");
    all.iter().any(|one| one["disk"]["persistence"]["id"] == "later")
}

/// A volume that a command task has left a file on, and its next offer.
async fn left_behind(framework: &mut Scheduler<'_>, role: &str) -> Value {
    let offer = framework.offer().await;
    let reserve = json!({"type": "RESERVE", "reserve": {"resources": [disk(role)]}});
    let create = json!({"type": "CREATE", "create": {"volumes": [volume(role)]}});
    let writes = on_volume(task("writes", &offer, "echo kept > data/file"), role);
    framework.accept(&offer, &[reserve, create, launch(&[writes])]).await;
    framework.until("writes", "TASK_FINISHED").await;
    with_room(framework).await
}

/// The volume, and room for a task: what came apart is given back, so that it is offered together.
async fn with_room(framework: &mut Scheduler<'_>) -> Value {
    loop {
        let offer = framework.offer_where("the volume", has_volume).await;
        if amount(&offer["resources"], "cpus") >= 0.5 {
            return offer;
        }
        framework.decline(&offer, 0.0).await;
        while let Some(other) = framework.offers.pop_front() {
            framework.decline(&other, 0.0).await;
        }
    }
}

/// Somebody else finds what was written, then the volume can be removed. Others go on.
async fn is_free(framework: &mut Scheduler<'_>, role: &str, goes_on: &str) {
    let offer = with_room(framework).await;
    let reads = on_volume(task("reads", &offer, "grep later data/later"), role);
    framework.accept(&offer, &[launch(&[reads])]).await;
    framework.until("reads", "TASK_FINISHED").await;
    let offer = with_room(framework).await;
    let destroy = json!({"type": "DESTROY", "destroy": {"volumes": [volume(role)]}});
    let unreserve = json!({"type": "UNRESERVE", "unreserve": {"resources": [disk(role)]}});
    framework.accept(&offer, &[destroy, unreserve]).await;
    let agent = &offer["agent_id"];
    framework
        .offer_where("the agent without it", |offer| offer["agent_id"] == *agent && !has_volume(offer))
        .await;
    let tasks = json!([{"task_id": {"value": goes_on}, "agent_id": agent}]);
    framework.call(json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}})).await;
    framework.until(goes_on, "TASK_RUNNING").await;
}

/// What a running program finds, writes, and misses later.
const LOOKS: &str = "until [ -e data/file ]; do sleep 0.05; done; cat data/file > seen; echo later > data/later; \
                     while [ -e data/file ]; do sleep 0.05; done; echo gone > missed; exec sleep 100000";

async fn custom(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("later", "later-custom", REFINED)).await;
    let offer = left_behind(&mut framework, "later-custom").await;
    let of_executor = |id: &str, offer: &Value| {
        let mut task = executor_task(id, offer, "looks");
        let command = format!("cd \"$MESOS_SANDBOX\"; env > environment; {LOOKS}");
        task["executor"]["command"]["value"] = json!(command);
        task
    };
    let executor = Executor::launch_as(&mut framework, &offer, of_executor("first", &offer)).await;
    let mut stream = executor.subscribe().await;
    assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], "first");
    executor.says("first", "TASK_RUNNING", "AAECAwQFBgcICQoLDA0OAQ==").await;
    executor.framework.until("first", "TASK_RUNNING").await;
    let offer = with_room(executor.framework).await;
    let second = on_volume(of_executor("second", &offer), "later-custom");
    executor.framework.accept(&offer, &[launch(&[second])]).await;
    assert_eq!(next(&mut stream).await["acknowledged"]["task_id"]["value"], "first");
    assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], "second");
    assert_eq!(written(&executor, "seen").await, "kept\n");
    executor.says("second", "TASK_RUNNING", "AAECAwQFBgcICQoLDA0OAg==").await;
    executor.framework.until("second", "TASK_RUNNING").await;
    executor.says("second", "TASK_FINISHED", "AAECAwQFBgcICQoLDA0OAw==").await;
    executor.framework.until("second", "TASK_FINISHED").await;
    assert_eq!(written(&executor, "missed").await, "gone\n");
    is_free(executor.framework, "later-custom", "first").await;
    framework.teardown().await;
}

/// A file that an executor's program writes into its sandbox sooner or later.
async fn written(executor: &Executor<'_, '_>, name: &str) -> String {
    let path = format!("/frameworks/{}/executors/looks/runs/latest/{name}", executor.framework.id);
    let begun = std::time::Instant::now();
    loop {
        let answer = Request::get(&format!("/files/download?path={path}")).send(&executor.agent).await;
        if answer.status() == 200 && !answer.text().is_empty() {
            return answer.text();
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{name}: {}", answer.text());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn group(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("later", "later-group", REFINED)).await;
    let offer = left_behind(&mut framework, "later-group").await;
    let executor = json!({
        "type": "DEFAULT",
        "executor_id": {"value": "pod"},
        "framework_id": {"value": framework.id},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 32.0)],
    });
    let group = |tasks: &[Value]| {
        let group = json!({"executor": executor, "task_group": {"tasks": tasks}});
        json!({"type": "LAUNCH_GROUP", "launch_group": group})
    };
    framework.accept(&offer, &[group(&[task("first", &offer, "sleep 100000")])]).await;
    framework.until("first", "TASK_RUNNING").await;
    let offer = with_room(&mut framework).await;
    let writes = "grep kept data/file && echo later > data/later";
    let second = on_volume(task("second", &offer, writes), "later-group");
    let mut looks = task("looks", &offer, "until grep later seen/later; do sleep 0.05; done");
    looks["container"] = json!({"type": "MESOS", "volumes": [{
        "mode": "RW", "container_path": "seen",
        "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "data"}},
    }]});
    framework.accept(&offer, &[group(&[second, looks])]).await;
    for id in ["second", "looks"] {
        framework.until(id, "TASK_FINISHED").await;
    }
    is_free(&mut framework, "later-group", "first").await;
    framework.teardown().await;
}

async fn gpus(world: &World) {
    if world.cluster.is_none() {
        return;
    }
    let resources = "cpus:4;mem:4096;disk:10000;gpus:1;ports:[31000-31010]";
    let cluster = Cluster::start_with(1, &["--resources", resources]).await;
    let world = World { master: cluster.http.base.replace("http://", ""), cluster: None };
    let mut framework = Scheduler::subscribe(&world, &info_with("gpus", "*", &["GPU_RESOURCES"])).await;
    let offer = framework.offer().await;
    let executor =
        Executor::launch_as(&mut framework, &offer, executor_task("first", &offer, "calculates")).await;
    let mut stream = executor.subscribe().await;
    assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], "first");
    let has_gpu = |offer: &Value| amount(&offer["resources"], "gpus") == 1.0;
    for (id, uuid) in [("second", "AAECAwQFBgcICQoLDA0OAQ=="), ("third", "AAECAwQFBgcICQoLDA0OAg==")] {
        let offer = executor.framework.offer_where("the GPU", has_gpu).await;
        let mut second = executor_task(id, &offer, "calculates");
        second["resources"].as_array_mut().expect("a list").push(scalar("gpus", 1.0));
        executor.framework.accept(&offer, &[launch(&[second])]).await;
        assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], id);
        executor.says(id, "TASK_FINISHED", uuid).await;
        executor.framework.until(id, "TASK_FINISHED").await;
        assert_eq!(next(&mut stream).await["acknowledged"]["task_id"]["value"], id);
    }
    framework.teardown().await;
}
