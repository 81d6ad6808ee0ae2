//! A.3 and A.5: what can be done with offers.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, amount, info, info_with, launch, scalar, task};
use serde_json::{Value, json};

cases! {
    invalid_offers: "tasks on offers that do not hold are LOST or DROPPED, and the call is accepted",
    offers_of_two_agents: "offers of two agents do not go together",
    nothing_launched: "a LAUNCH without tasks is a decline",
    invalid_tasks: "an invalid task is a TASK_ERROR, and the others run",
    someone_elses: "an offer twice, or somebody else's, spoils the whole of it",
    same_id: "a second live task of one id is a TASK_ERROR",
    nothing_of_a_kind: "an amount of zero is an amount",
    two_offers: "offers of one agent are taken together",
    task_group: "a group of tasks starts together and is killed together",
    group_is_all_or_nothing: "one invalid task of a group is the end of all of it",
    reserve_then_launch: "what an operation makes, the next one of the same call can use",
    reservations_come_back: "reserved resources are offered as reserved until they are unreserved",
    old_form: "frameworks without RESERVATION_REFINEMENT reserve in the old form and are offered it",
    no_own_executor: "tasks of a group have no executors of their own, and their executor no command",
    bounds_of_ids: "ids are short, and names of files",
    small_executor: "an executor that takes next to nothing is taken; of a group it is not",
    operation_ids: "an operation of launching has no id",
    volumes: "a persistent volume outlives its tasks, with what is in it",
    bad_reservations: "what cannot be reserved changes nothing",
}

const REFINED: &[&str] = &["MULTI_ROLE", "RESERVATION_REFINEMENT"];

async fn invalid_offers(world: &World) {
    for (capabilities, state) in [(&[][..], "TASK_LOST"), (&["PARTITION_AWARE"][..], "TASK_DROPPED")] {
        let mut framework = Scheduler::subscribe(world, &info_with("operations", "*", capabilities)).await;
        let offer = framework.offer().await;
        let mut gone = offer.clone();
        gone["id"] = json!({"value": "no-such-offer"});
        framework.accept(&gone, &[launch(&[task("lost", &gone, "exit 0")])]).await;
        let status = framework.update("lost").await;
        assert_eq!((&status["state"], &status["reason"]), (&json!(state), &json!("REASON_INVALID_OFFERS")));
        assert_eq!((&status["source"], &status["uuid"]), (&json!("SOURCE_MASTER"), &Value::Null));
        let message = status["message"].as_str().expect("a message");
        assert!(message.starts_with("Task launched with invalid offers: "), "{message}");
        framework.teardown().await;
    }
}

async fn offers_of_two_agents(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let one = framework.offer().await;
    let other = framework.offer_where("another agent", |offer| offer["agent_id"] != one["agent_id"]).await;
    framework
        .call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [one["id"], other["id"]], "operations": [launch(&[task("both", &one, "exit 0")])]
        }}))
        .await;
    assert_eq!(framework.update("both").await["reason"], "REASON_INVALID_OFFERS");
    framework.teardown().await;
}

async fn nothing_launched(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[])]).await;
    let again = framework.offer_where("the same", |other| other["agent_id"] == offer["agent_id"]).await;
    assert!(amount(&again["resources"], "cpus") >= amount(&offer["resources"], "cpus"));
    framework.teardown().await;
}

async fn invalid_tasks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let with = |id: &str, key: &str, value: Value| {
        let mut task = task(id, &offer, "exit 0");
        task[key] = value;
        task
    };
    let executor = json!({"executor_id": {"value": "e"}, "command": {"value": "sleep 100000"}});
    let tasks = [
        with("no-command", "command", Value::Null),
        with("both", "executor", executor),
        with("elsewhere", "agent_id", json!({"value": "elsewhere"})),
        with("too-much", "resources", json!([scalar("cpus", 100_000.0), scalar("mem", 32.0)])),
        with("nothing", "resources", json!([])),
        with("sl/ash", "name", json!("slash")),
        with("..", "name", json!("dots")),
        with("grace", "kill_policy", json!({"grace_period": {"nanoseconds": -1}})),
        task("good", &offer, "exit 0"),
    ];
    framework.accept(&offer, &[launch(&tasks)]).await;
    for id in ["no-command", "both", "elsewhere", "too-much", "nothing", "sl/ash", "..", "grace"] {
        let status = framework.update(id).await;
        assert_eq!(status["state"], "TASK_ERROR", "{status}");
        assert_eq!(
            (&status["reason"], &status["source"]),
            (&json!("REASON_TASK_INVALID"), &json!("SOURCE_MASTER"))
        );
        assert!(status["message"].as_str().is_some_and(|text| !text.is_empty()), "{status}");
    }
    framework.until("good", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn same_id(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    framework.run("twin", "sleep 100000").await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("twin", &offer, "exit 0")])]).await;
    let status = framework.update("twin").await;
    assert_eq!((&status["state"], &status["reason"]), (&json!("TASK_ERROR"), &json!("REASON_TASK_INVALID")));
    framework.teardown().await;
}

async fn nothing_of_a_kind(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let mut task = task("zero", &offer, "exit 0");
    task["resources"].as_array_mut().expect("a list").push(scalar("gpus", 0.0));
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("zero", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn two_offers(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let first = framework.offer().await;
    let agent = first["agent_id"].clone();
    // What is given back of the first comes as another offer of the same agent.
    framework.accept(&first, &[launch(&[task("first", &first, "sleep 100000")])]).await;
    framework.until("first", "TASK_RUNNING").await;
    let rest = framework.offer_where("the same agent", |offer| offer["agent_id"] == agent).await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "first"}}})).await;
    framework.until("first", "TASK_KILLED").await;
    let freed = framework.offer_where("the same agent", |offer| offer["agent_id"] == agent).await;
    let sum = amount(&rest["resources"], "cpus") + amount(&freed["resources"], "cpus");
    let mut large = task("large", &rest, "exit 0");
    large["resources"] = json!([scalar("cpus", (sum * 1000.0).round() / 1000.0), scalar("mem", 32.0)]);
    framework
        .call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [rest["id"], freed["id"]], "operations": [launch(&[large])]
        }}))
        .await;
    framework.until("large", "TASK_FINISHED").await;
    framework.teardown().await;
}

/// An executor for a group of tasks.
fn default_executor(framework: &Scheduler<'_>, id: &str) -> Value {
    json!({
        "type": "DEFAULT",
        "executor_id": {"value": id},
        "framework_id": {"value": framework.id},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 32.0)],
    })
}

fn launch_group(executor: &Value, tasks: &[Value]) -> Value {
    json!({"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": tasks}}})
}

async fn task_group(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let executor = default_executor(&framework, "pod");
    let tasks = [task("pod-a", &offer, "sleep 100000"), task("pod-b", &offer, "sleep 100000")];
    framework.accept(&offer, &[launch_group(&executor, &tasks)]).await;
    for id in ["pod-a", "pod-b"] {
        framework.until(id, "TASK_RUNNING").await;
    }
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "pod-a"}}})).await;
    for id in ["pod-a", "pod-b"] {
        framework.until(id, "TASK_KILLED").await;
    }
    framework.teardown().await;
}

async fn group_is_all_or_nothing(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    for (round, spoil) in ["task", "framework_id", "resources", "type"].into_iter().enumerate() {
        let offer = framework.offer().await;
        let mut executor = default_executor(&framework, &format!("pod-{round}"));
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        let mut tasks = [task(&one, &offer, "exit 0"), task(&other, &offer, "exit 0")];
        match spoil {
            "task" => tasks[1]["command"] = Value::Null,
            "type" => executor["type"] = json!("CUSTOM"),
            key => executor[key] = Value::Null,
        }
        framework.accept(&offer, &[launch_group(&executor, &tasks)]).await;
        for id in [&one, &other] {
            let status = framework.update(id).await;
            assert_eq!(status["state"], "TASK_ERROR", "{spoil}: {status}");
            assert_eq!(status["reason"], "REASON_TASK_GROUP_INVALID", "{spoil}: {status}");
        }
    }
    framework.teardown().await;
}

fn reserved(role: &str, mut resource: Value) -> Value {
    resource["reservations"] = json!([{"type": "DYNAMIC", "role": role}]);
    resource["allocation_info"] = json!({"role": role});
    resource
}

fn is_reserved(resource: &Value, role: &str) -> bool {
    resource["reservations"]
        .as_array()
        .and_then(|stack| stack.last())
        .is_some_and(|last| last["role"] == role)
}

/// What of an offer is reserved for a role.
fn reserved_part(offer: &Value, role: &str) -> Vec<Value> {
    let all = offer["resources"].as_array().expect("resources");
    all.iter().filter(|resource| is_reserved(resource, role)).cloned().collect()
}

fn reserve(resources: &[Value]) -> Value {
    json!({"type": "RESERVE", "reserve": {"resources": resources}})
}

fn unreserve(resources: &[Value]) -> Value {
    json!({"type": "UNRESERVE", "unreserve": {"resources": resources}})
}

async fn reserve_then_launch(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operations", "keep1", REFINED)).await;
    let offer = framework.offer().await;
    let resources = [reserved("keep1", scalar("cpus", 0.5)), reserved("keep1", scalar("mem", 64.0))];
    let mut task = task("on-reserved", &offer, "exit 0");
    task["resources"] = json!(resources);
    framework.accept(&offer, &[reserve(&resources), launch(&[task])]).await;
    framework.until("on-reserved", "TASK_FINISHED").await;
    let offer =
        framework.offer_where("the reservation", |offer| reserved_part(offer, "keep1").len() == 2).await;
    framework.accept(&offer, &[unreserve(&reserved_part(&offer, "keep1"))]).await;
    framework.teardown().await;
}

async fn reservations_come_back(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operations", "keep2", REFINED)).await;
    let offer = framework.offer().await;
    let agent = offer["agent_id"].clone();
    let before = amount(&offer["resources"], "cpus");
    let resources = [reserved("keep2", scalar("cpus", 0.25))];
    framework.accept(&offer, &[reserve(&resources)]).await;
    let offer =
        framework.offer_where("the reservation", |offer| !reserved_part(offer, "keep2").is_empty()).await;
    assert_eq!(offer["agent_id"], agent);
    assert!((amount(&offer["resources"], "cpus") - before).abs() < 1e-9, "nothing got lost: {offer}");
    let kept = reserved_part(&offer, "keep2");
    assert_eq!(amount(&json!(kept), "cpus"), 0.25);
    // Somebody in another role does not see it.
    let mut other = Scheduler::subscribe(world, &info_with("operations", "other", REFINED)).await;
    framework.accept(&offer, &[unreserve(&kept)]).await;
    let offer = framework
        .offer_where("the agent without reservation", |offer| {
            offer["agent_id"] == agent && reserved_part(offer, "keep2").is_empty()
        })
        .await;
    framework.decline(&offer, 0.0).await;
    let offer = other.offer().await;
    assert!(reserved_part(&offer, "keep2").is_empty(), "{offer}");
    other.teardown().await;
    framework.teardown().await;
}

async fn old_form(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operations", "keep3", &[])).await;
    let offer = framework.offer().await;
    let mut resource = scalar("cpus", 0.25);
    resource["role"] = json!("keep3");
    resource["reservation"] = json!({});
    framework.accept(&offer, &[reserve(std::slice::from_ref(&resource))]).await;
    let kept = |offer: &Value| -> Vec<Value> {
        let all = offer["resources"].as_array().expect("resources");
        all.iter().filter(|resource| resource["role"] == "keep3").cloned().collect()
    };
    let offer = framework.offer_where("the reservation", |offer| !kept(offer).is_empty()).await;
    let kept = kept(&offer);
    assert_eq!(kept.len(), 1);
    assert!(kept[0]["reservation"].is_object() && kept[0]["reservations"].is_null(), "{}", kept[0]);
    framework.accept(&offer, &[unreserve(&kept)]).await;
    framework.teardown().await;
}

fn volume(role: &str, id: &str) -> Value {
    let mut disk = reserved(role, scalar("disk", 64.0));
    disk["disk"] = json!({
        "persistence": {"id": id},
        "volume": {"container_path": "data", "mode": "RW"},
    });
    disk
}

async fn volumes(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operations", "keep4", REFINED)).await;
    let offer = framework.offer().await;
    let (disk, volume) = (reserved("keep4", scalar("disk", 64.0)), volume("keep4", "v1"));
    let create = json!({"type": "CREATE", "create": {"volumes": [volume]}});
    let on_volume = |id: &str, offer: &Value, volume: &Value, command: &str| {
        let mut task = task(id, offer, command);
        for resource in task["resources"].as_array_mut().expect("a list") {
            resource["allocation_info"] = json!({"role": "keep4"});
        }
        task["resources"].as_array_mut().expect("a list").push(volume.clone());
        task
    };
    let writes = on_volume("writes", &offer, &volume, "echo kept > data/file");
    framework.accept(&offer, &[reserve(std::slice::from_ref(&disk)), create, launch(&[writes])]).await;
    framework.until("writes", "TASK_FINISHED").await;
    let of_offer = |offer: &Value| -> Option<Value> {
        let all = offer["resources"].as_array().expect("resources");
        all.iter().find(|resource| resource["disk"]["persistence"]["id"] == "v1").cloned()
    };
    let offer = framework.offer_where("the volume", |offer| of_offer(offer).is_some()).await;
    let volume = of_offer(&offer).expect("it is there");
    assert_eq!(volume["disk"]["volume"]["container_path"], "data");
    let reads = on_volume("reads", &offer, &volume, "grep kept data/file");
    framework.accept(&offer, &[launch(&[reads])]).await;
    framework.until("reads", "TASK_FINISHED").await;
    let offer = framework.offer_where("the volume", |offer| of_offer(offer).is_some()).await;
    let destroy = json!({"type": "DESTROY", "destroy": {"volumes": [of_offer(&offer)]}});
    framework.accept(&offer, &[destroy, unreserve(std::slice::from_ref(&disk))]).await;
    let agent = &offer["agent_id"];
    let offer = framework
        .offer_where("the agent without volume", |offer| {
            offer["agent_id"] == *agent && of_offer(offer).is_none()
        })
        .await;
    assert!(reserved_part(&offer, "keep4").is_empty(), "{offer}");
    framework.teardown().await;
}

async fn bad_reservations(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("operations", "keep5", REFINED)).await;
    for bad in [reserved("another", scalar("cpus", 0.1)), reserved("keep5", scalar("cpus", 100_000.0))] {
        let offer = framework.offer().await;
        framework.accept(&offer, &[reserve(&[bad])]).await;
    }
    let offer = framework.offer().await;
    for role in ["another", "keep5"] {
        assert!(reserved_part(&offer, role).is_empty(), "{offer}");
    }
    framework.teardown().await;
}

async fn someone_elses(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let accept = |ids: Value, task: Value| json!({"type": "ACCEPT", "accept": {"offer_ids": ids, "operations": [launch(&[task])]}});
    let twice = accept(json!([offer["id"], offer["id"]]), task("twice", &offer, "exit 0"));
    framework.call(twice).await;
    assert_eq!(framework.update("twice").await["reason"], "REASON_INVALID_OFFERS");
    // What was valid of it came back.
    let offer = framework.offer_where("the same agent", |other| other["agent_id"] == offer["agent_id"]).await;
    let other = Scheduler::subscribe(world, &info("operations")).await;
    other.call(accept(json!([offer["id"]]), task("stolen", &offer, "exit 0"))).await;
    let mut other = other;
    assert_eq!(other.update("stolen").await["reason"], "REASON_INVALID_OFFERS");
    other.teardown().await;
    // It still holds for whose it is.
    framework.accept(&offer, &[launch(&[task("own", &offer, "exit 0")])]).await;
    framework.until("own", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn no_own_executor(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    for round in 0..2 {
        let offer = framework.offer().await;
        let mut executor = default_executor(&framework, &format!("own-{round}"));
        let id = format!("member-{round}");
        let mut member = task(&id, &offer, "exit 0");
        match round {
            0 => {
                member["executor"] =
                    json!({"executor_id": {"value": "x"}, "command": {"value": "sleep 100000"}});
            }
            _ => executor["command"] = json!({"value": "sleep 100000"}),
        }
        framework.accept(&offer, &[launch_group(&executor, &[member])]).await;
        let status = framework.update(&id).await;
        assert_eq!(
            (&status["state"], &status["reason"]),
            (&json!("TASK_ERROR"), &json!("REASON_TASK_GROUP_INVALID"))
        );
    }
    framework.teardown().await;
}

async fn bounds_of_ids(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let (longest, longer) = ("l".repeat(255), "l".repeat(256));
    for bad in [longer.as_str(), ".", "..", "a/b", "a\\b", "a\nb", ""] {
        let offer = framework.offer().await;
        framework.accept(&offer, &[launch(&[task(bad, &offer, "exit 0")])]).await;
        let status = framework.update(bad).await;
        assert_eq!(
            (&status["state"], &status["reason"]),
            (&json!("TASK_ERROR"), &json!("REASON_TASK_INVALID")),
            "{bad:?}"
        );
    }
    for good in [longest.as_str(), "with blank", "ümläut", "a:b@c+d"] {
        let offer = framework.offer().await;
        framework.accept(&offer, &[launch(&[task(good, &offer, "exit 0")])]).await;
        framework.until(good, "TASK_FINISHED").await;
    }
    framework.teardown().await;
}

async fn small_executor(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let mut alone = task("alone", &offer, "");
    alone["command"] = Value::Null;
    alone["executor"] = json!({
        "executor_id": {"value": "small"}, "command": {"value": "exit 0"}, "resources": [scalar("mem", 1.0)],
    });
    framework.accept(&offer, &[launch(&[alone])]).await;
    let status = framework.update("alone").await;
    assert_ne!(status["state"], "TASK_ERROR", "it is started: {status}");
    let offer = framework.offer().await;
    let mut executor = default_executor(&framework, "small-pod");
    executor["resources"] = json!([scalar("cpus", 0.001), scalar("mem", 32.0), scalar("disk", 32.0)]);
    framework.accept(&offer, &[launch_group(&executor, &[task("member", &offer, "exit 0")])]).await;
    assert_eq!(framework.update("member").await["state"], "TASK_ERROR");
    framework.teardown().await;
}

async fn operation_ids(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("operations")).await;
    let offer = framework.offer().await;
    let mut named = launch(&[task("named", &offer, "exit 0")]);
    named["id"] = json!({"value": "op"});
    framework.accept(&offer, &[named]).await;
    let status = framework.update("named").await;
    assert_eq!(status["state"], "TASK_ERROR", "{status}");
    framework.teardown().await;
}
