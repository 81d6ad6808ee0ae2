//! A.4: what an offer has in it, when it comes, and when it does not.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, amount, info, info_with, launch, scalar, subscribe_call, task};
use crate::wire::Request;
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    content: "an offer says where it is, what there is, and how to reach the agent",
    plain_form: "a framework without capabilities sees roles of resources and no allocation",
    new_form: "a framework with MULTI_ROLE and RESERVATION_REFINEMENT sees allocations and no roles",
    roles_apart: "a framework in two roles is offered each machine for one of them",
    refused: "what was declined is not offered before its time",
    refused_default: "nonsense for refuse_seconds is five seconds",
    more_than_refused: "more than what was declined is offered at once",
    thousandths: "amounts are counted in thousandths",
    executors: "an offer names the framework's executors on the agent",
    constraints: "offer constraints choose machines by host name and attributes",
    bad_constraints: "offer constraints that cannot be understood are an ERROR",
    rescinded: "offers of a machine that takes no work any more are rescinded",
}

const A_WHILE: Duration = Duration::from_millis(1_500);

async fn content(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    assert_eq!(offer["framework_id"]["value"], framework.id);
    let id = offer["id"]["value"].as_str().expect("an id");
    assert!(
        id.rsplit_once("-O").is_some_and(|(_, number)| number.bytes().all(|b| b.is_ascii_digit())),
        "{id}"
    );
    assert!(offer["agent_id"]["value"].is_string() && offer["hostname"].is_string(), "{offer}");
    let address = &offer["url"]["address"];
    assert_eq!((&offer["url"]["scheme"], &offer["url"]["path"]), (&json!("http"), &json!("/slave(1)")));
    assert!(
        address["hostname"].is_string() && address["ip"].is_string() && address["port"].is_u64(),
        "{address}"
    );
    let resources = offer["resources"].as_array().expect("resources");
    for resource in resources {
        let value = match resource["type"].as_str() {
            Some("SCALAR") => &resource["scalar"]["value"],
            Some("RANGES") => &resource["ranges"]["range"][0]["begin"],
            other => panic!("{other:?} in {resource}"),
        };
        assert!(value.is_number(), "{resource}");
    }
    for kind in ["cpus", "mem", "disk", "ports"] {
        assert!(resources.iter().any(|resource| resource["name"] == kind), "{kind} in {offer}");
    }
    let (host, port) = (address["ip"].as_str().expect("an ip"), &address["port"]);
    let answer = Request::get("/slave(1)/state").send(&format!("{host}:{port}")).await.json();
    assert_eq!(answer["id"], offer["agent_id"]["value"]);
    framework.teardown().await;
}

async fn plain_form(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    assert!(offer["allocation_info"].is_null(), "{offer}");
    for resource in offer["resources"].as_array().expect("resources") {
        assert_eq!(resource["role"], "*", "{resource}");
        assert!(resource["allocation_info"].is_null() && resource["reservations"].is_null(), "{resource}");
    }
    framework.teardown().await;
}

async fn new_form(world: &World) {
    let info = info_with("offers", "form", &["MULTI_ROLE", "RESERVATION_REFINEMENT"]);
    let mut framework = Scheduler::subscribe(world, &info).await;
    let offer = framework.offer().await;
    assert_eq!(offer["allocation_info"], json!({"role": "form"}));
    for resource in offer["resources"].as_array().expect("resources") {
        assert_eq!(resource["allocation_info"], json!({"role": "form"}), "{resource}");
        assert!(resource["role"].is_null(), "{resource}");
    }
    framework.teardown().await;
}

async fn roles_apart(world: &World) {
    let mut info = info_with("offers", "left", &["MULTI_ROLE"]);
    info["roles"] = json!(["left", "right"]);
    let mut framework = Scheduler::subscribe(world, &info).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let offer = framework.offer().await;
        let role = offer["allocation_info"]["role"].as_str().expect("a role").to_owned();
        assert!(["left", "right"].contains(&role.as_str()), "{offer}");
        // Declined in one role it may come in the other.
        framework.decline(&offer, 100_000.0).await;
        if !seen.contains(&role) {
            seen.push(role);
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    framework.teardown().await;
}

async fn refused(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let first = framework.offer().await;
    framework.decline(&first, 100_000.0).await;
    let of_it = |offer: &Value| offer["agent_id"] == first["agent_id"];
    let again = tokio::time::timeout(A_WHILE, framework.offer_where("the same", of_it)).await;
    assert!(again.is_err(), "{again:?}");
    // Other machines are not touched by it.
    let other = framework.offer().await;
    framework.decline(&other, 0.0).await;
    framework.offer_where("the other", |offer| offer["agent_id"] == other["agent_id"]).await;
    framework.teardown().await;
}

async fn refused_default(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    let of_it = |other: &Value| other["agent_id"] == offer["agent_id"];
    framework.decline(&offer, -1.0).await;
    let again = tokio::time::timeout(A_WHILE, framework.offer_where("the same", of_it)).await;
    assert!(again.is_err(), "{again:?}");
    framework.offer_where("the same", of_it).await;
    framework.teardown().await;
}

async fn more_than_refused(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    let agent = offer["agent_id"].clone();
    framework
        .call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]],
            "operations": [launch(&[task("occupies", &offer, "sleep 100000")])],
            "filters": {"refuse_seconds": 100_000.0}
        }}))
        .await;
    framework.until("occupies", "TASK_RUNNING").await;
    let of_it = |offer: &Value| offer["agent_id"] == agent;
    let rest = tokio::time::timeout(A_WHILE, framework.offer_where("the rest", of_it)).await;
    assert!(rest.is_err(), "the rest was declined: {rest:?}");
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "occupies"}}})).await;
    framework.until("occupies", "TASK_KILLED").await;
    let whole = framework.offer_where("all of it", of_it).await;
    assert!(
        (amount(&whole["resources"], "cpus") - amount(&offer["resources"], "cpus")).abs() < 1e-9,
        "{whole}"
    );
    framework.teardown().await;
}

async fn thousandths(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    let before = amount(&offer["resources"], "cpus");
    let mut task = task("tenths", &offer, "sleep 100000");
    // 0.1 + 0.2 is not 0.3 in doubles, and 0.0004 is nothing.
    task["resources"] = json!([scalar("cpus", 0.1 + 0.2 + 0.0004), scalar("mem", 32.0)]);
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("tenths", "TASK_RUNNING").await;
    let is_rest =
        |other: &Value| other["agent_id"] == offer["agent_id"] && amount(&other["resources"], "cpus") >= 1.0;
    let rest = framework.offer_where("the rest", is_rest).await;
    let left = amount(&rest["resources"], "cpus");
    assert_eq!((left * 1000.0).round(), ((before - 0.3) * 1000.0).round(), "{left} of {before}");
    framework.teardown().await;
}

async fn executors(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    let mut task = task("with-executor", &offer, "");
    task["command"] = Value::Null;
    task["executor"] = json!({
        "executor_id": {"value": "mine"},
        "command": {"value": "sleep 100000"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    framework.accept(&offer, &[launch(&[task])]).await;
    // Others may have left something on the machine that is offered by itself.
    let is_rest = |other: &Value| other["agent_id"] == offer["agent_id"] && !other["executor_ids"].is_null();
    let rest = framework.offer_where("the rest", is_rest).await;
    assert_eq!(rest["executor_ids"], json!([{"value": "mine"}]), "{rest}");
    framework.teardown().await;
}

fn constrained(role: &str, constraint: Value) -> Value {
    let mut call = subscribe_call(&info_with("offers", role, &["MULTI_ROLE"]));
    call["subscribe"]["offer_constraints"] =
        json!({"role_constraints": {role: {"groups": [{"attribute_constraints": [constraint]}]}}});
    call
}

async fn constraints(world: &World) {
    let slaves = Request::get("/slaves").send(&world.master).await.json();
    let host = slaves["slaves"][0]["hostname"].as_str().expect("a host name").to_owned();
    let is = json!({
        "selector": {"pseudoattribute_type": "HOSTNAME"},
        "predicate": {"text_equals": {"value": host}},
    });
    let mut framework = Scheduler::with(world, &constrained("there", is)).await;
    let offer = framework.offer().await;
    assert_eq!(offer["hostname"], host);
    let other = tokio::time::timeout(A_WHILE, framework.offer()).await;
    assert!(other.is_err(), "{other:?}");
    framework.teardown().await;

    let has = json!({"selector": {"attribute_name": "no-such-attribute"}, "predicate": {"exists": {}}});
    let mut framework = Scheduler::with(world, &constrained("nowhere", has)).await;
    framework.quiet("OFFERS", A_WHILE).await;
    framework.teardown().await;
}

async fn bad_constraints(world: &World) {
    let broken = json!({
        "selector": {"attribute_name": "rack"},
        "predicate": {"text_matches": {"regex": "("}},
    });
    let call = constrained("broken", broken);
    let mut stream = Request::json(crate::scheduler::PATH, &call).open(&world.master).await;
    let event = stream.json().await.expect("an event");
    assert_eq!((stream.head.status, &event["type"]), (200, &json!("ERROR")), "{event}");
}

async fn rescinded(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("offers")).await;
    let offer = framework.offer().await;
    let order = |kind: &str, key: &str| json!({"type": kind, key: {"agent_id": offer["agent_id"]}});
    let deactivate = order("DEACTIVATE_AGENT", "deactivate_agent");
    let answer = Request::json("/api/v1", &deactivate).send(&world.master).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let event = framework.event("RESCIND").await;
    assert_eq!(event, json!({"type": "RESCIND", "rescind": {"offer_id": offer["id"]}}));
    let reactivate = order("REACTIVATE_AGENT", "reactivate_agent");
    assert_eq!(Request::json("/api/v1", &reactivate).send(&world.master).await.status(), 200);
    framework.offer_where("the machine", |other| other["agent_id"] == offer["agent_id"]).await;
    framework.teardown().await;
}
