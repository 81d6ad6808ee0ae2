//! A.2: who may subscribe, what replaces what, and the calls of a scheduler.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, Scheduler, info, info_with, launch, subscribe_call, task};
use crate::wire::Request;
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    new_id: "an id that is empty is none: a new framework",
    own_id: "an id that nobody knows is taken: the framework may be older than the master",
    fails_over: "subscribing again wins: the old stream is told and closed, offers on it are void",
    refused: "what cannot be subscribed is an ERROR on a stream of 200 that then ends",
    principal: "a framework's principal cannot change",
    teardown: "TEARDOWN kills its tasks, and its id is refused for ever",
    gone_at_once: "without failover_timeout a framework ends with its connection",
    decline: "DECLINE of offers that do not hold does no harm",
    revive: "REVIVE takes filters away, with and without a body",
    revive_elsewhere: "REVIVE with a role that the framework is not in does nothing at all",
    suppress: "SUPPRESS stops offers, leaves those that are out, until REVIVE",
    suppressed_from_the_start: "suppressed_roles of SUBSCRIBE are suppressed from the start",
    kill: "KILL ends a task, and nothing if the agent is not the task's",
    kill_unknown: "KILL of an unknown task is answered as a reconciliation",
    acknowledge: "ACKNOWLEDGE takes 16 bytes; what nobody waits for is passed over",
    no_effect: "REQUEST is accepted, and means nothing",
}

/// Long enough for an offer to come if one were to come.
const A_WHILE: Duration = Duration::from_millis(1_500);

fn named(id: &str) -> Value {
    let mut info = info("calls");
    info["id"] = json!({"value": id});
    info["failover_timeout"] = json!(60.0);
    info
}

/// What the only event on the stream of a refused subscription says.
async fn refusal(world: &World, call: &Value) -> String {
    let mut stream = Request::json(PATH, call).open(&world.master).await;
    assert_eq!(stream.head.status, 200, "{call}");
    let event = stream.json().await.expect("an event");
    assert_eq!(event["type"], "ERROR", "{call}: {event}");
    while let Some(event) = stream.json().await {
        assert_eq!(event["type"], "HEARTBEAT", "{call}: the stream should end: {event}");
    }
    event["error"]["message"].as_str().expect("a message").to_owned()
}

async fn new_id(world: &World) {
    let first = Scheduler::subscribe(world, &named("")).await;
    let second = Scheduler::subscribe(world, &named("")).await;
    assert!(first.id != second.id && !first.id.is_empty(), "{} {}", first.id, second.id);
    first.teardown().await;
    second.teardown().await;
}

async fn own_id(world: &World) {
    let id = format!(
        "own-{}-{:?}",
        std::process::id(),
        std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_nanos()
    );
    let mut framework = Scheduler::subscribe(world, &named(&id)).await;
    assert_eq!(framework.id, id);
    framework.offer().await;
    framework.teardown().await;
}

async fn fails_over(world: &World) {
    let mut first = Scheduler::subscribe(world, &named("")).await;
    let offer = first.offer().await;
    let mut second = Scheduler::subscribe(world, &named(&first.id)).await;
    assert_eq!(first.event("ERROR").await["error"]["message"], "Framework failed over");
    while let Some(event) = first.stream.json().await {
        assert_ne!(event["type"], "OFFERS", "nothing comes after the error: {event}");
    }
    second.accept(&offer, &[launch(&[task("old-offer", &offer, "exit 0")])]).await;
    let status = second.update("old-offer").await;
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS", "{status}");
    second.offer().await;
    second.teardown().await;
}

async fn refused(world: &World) {
    let mut roles_without = info("calls");
    roles_without["roles"] = json!(["a"]);
    let mut role_with = info_with("calls", "a", &["MULTI_ROLE"]);
    role_with["role"] = json!("a");
    let mut twice = info_with("calls", "a", &["MULTI_ROLE"]);
    twice["roles"] = json!(["a", "a"]);
    let mut for_ever = info("calls");
    for_ever["failover_timeout"] = json!(1e300);
    for (info, words) in [
        (info_with("calls", "a//b", &[]), "a//b"),
        (info_with("calls", "/a", &["MULTI_ROLE"]), "/a"),
        (info_with("calls", "..", &[]), ".."),
        (info_with("calls", "-a", &[]), "-a"),
        (roles_without, "MULTI_ROLE"),
        (role_with, "role"),
        (twice, "a"),
        (for_ever, "failover_timeout"),
    ] {
        let said = refusal(world, &subscribe_call(&info)).await;
        assert!(said.contains(words), "{info}: {said}");
    }
    let mut call = subscribe_call(&info_with("calls", "a", &["MULTI_ROLE"]));
    call["subscribe"]["suppressed_roles"] = json!(["b"]);
    let said = refusal(world, &call).await;
    assert!(said.contains('b'), "{said}");
}

async fn principal(world: &World) {
    let mut info = named("");
    info["principal"] = json!("one");
    let framework = Scheduler::subscribe(world, &info).await;
    info["id"] = json!({"value": framework.id});
    info["principal"] = json!("other");
    let said = refusal(world, &subscribe_call(&info)).await;
    assert!(said.contains("principal"), "{said}");
    // The one that is there is not disturbed.
    framework.teardown().await;
}

async fn teardown(world: &World) {
    let mut framework = Scheduler::subscribe(world, &named("")).await;
    framework.run("to-be-killed", "sleep 100000").await;
    let id = framework.id.clone();
    framework.teardown().await;
    assert_eq!(refusal(world, &subscribe_call(&named(&id))).await, "Framework has been removed");
    let begun = std::time::Instant::now();
    loop {
        let path = format!("/tasks?framework_id={id}&task_id=to-be-killed");
        let tasks = Request::get(&path).send(&world.master).await.json();
        if tasks["tasks"][0]["state"] == "TASK_KILLED" {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{tasks}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn gone_at_once(world: &World) {
    let framework = Scheduler::subscribe(world, &info("calls")).await;
    let id = framework.vanish();
    let begun = std::time::Instant::now();
    loop {
        // Until the master has noticed, the old connection would only be replaced.
        let state = Request::get(&format!("/frameworks?framework_id={id}")).send(&world.master).await.json();
        if !state["completed_frameworks"].as_array().expect("a list").is_empty() {
            break;
        }
        assert!(begun.elapsed() < crate::PATIENCE, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refusal(world, &subscribe_call(&named(&id))).await, "Framework has been removed");
}

async fn decline(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("calls")).await;
    let offer = framework.offer().await;
    framework.decline(&offer, 1.0).await;
    framework.decline(&offer, 1.0).await;
    framework.decline(&json!({"id": {"value": "no-such-offer"}}), 1.0).await;
    framework.call(json!({"type": "DECLINE", "decline": {"offer_ids": []}})).await;
    framework.teardown().await;
}

/// Declines everything for long, until nothing comes any more.
async fn decline_all(framework: &mut Scheduler<'_>) {
    for _ in 0..100 {
        let Ok(offer) = tokio::time::timeout(A_WHILE, framework.offer()).await else { break };
        framework.decline(&offer, 100_000.0).await;
    }
    framework.offers.clear();
}

async fn revive(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("calls")).await;
    for body in [
        json!({"type": "REVIVE"}),
        json!({"type": "REVIVE", "revive": {}}),
        json!({"type": "REVIVE", "revive": {"roles": ["*"]}}),
    ] {
        decline_all(&mut framework).await;
        framework.call(body).await;
        framework.offer().await;
    }
    framework.teardown().await;
}

async fn revive_elsewhere(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("calls", "here", &["MULTI_ROLE"])).await;
    decline_all(&mut framework).await;
    framework.call(json!({"type": "REVIVE", "revive": {"roles": ["here", "elsewhere"]}})).await;
    let offer = tokio::time::timeout(A_WHILE, framework.offer()).await;
    assert!(offer.is_err(), "the whole call does nothing: {offer:?}");
    framework.teardown().await;
}

async fn suppress(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("calls")).await;
    let offer = framework.offer().await;
    framework.call(json!({"type": "SUPPRESS"})).await;
    // The offer still holds.
    framework.accept(&offer, &[launch(&[task("suppressed", &offer, "exit 0")])]).await;
    framework.until("suppressed", "TASK_FINISHED").await;
    framework.quiet("RESCIND", Duration::ZERO).await;
    for offer in std::mem::take(&mut framework.offers) {
        framework.decline(&offer, 0.0).await;
    }
    let offer = tokio::time::timeout(A_WHILE, framework.offer()).await;
    assert!(offer.is_err(), "{offer:?}");
    framework.call(json!({"type": "REVIVE"})).await;
    framework.offer().await;
    framework.teardown().await;
}

async fn suppressed_from_the_start(world: &World) {
    let mut call = subscribe_call(&info_with("calls", "quiet", &["MULTI_ROLE"]));
    call["subscribe"]["suppressed_roles"] = json!(["quiet"]);
    let mut framework = Scheduler::with(world, &call).await;
    framework.quiet("OFFERS", A_WHILE).await;
    framework.call(json!({"type": "REVIVE", "revive": {"roles": ["quiet"]}})).await;
    framework.offer().await;
    framework.teardown().await;
}

async fn kill(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("calls")).await;
    framework.run("killed", "sleep 100000").await;
    let elsewhere = json!({"task_id": {"value": "killed"}, "agent_id": {"value": "elsewhere"}});
    framework.call(json!({"type": "KILL", "kill": elsewhere})).await;
    framework.quiet("UPDATE", Duration::from_millis(500)).await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "killed"}}})).await;
    let status = framework.until("killed", "TASK_KILLED").await;
    assert_eq!(status["source"], "SOURCE_EXECUTOR", "{status}");
    framework.teardown().await;
}

async fn kill_unknown(world: &World) {
    for (capabilities, state) in [(&[][..], "TASK_LOST"), (&["PARTITION_AWARE"][..], "TASK_UNKNOWN")] {
        let mut framework = Scheduler::subscribe(world, &info_with("calls", "*", capabilities)).await;
        framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "nobody"}}})).await;
        let status = framework.update("nobody").await;
        assert_eq!((&status["state"], &status["reason"]), (&json!(state), &json!("REASON_RECONCILIATION")));
        assert_eq!((&status["source"], &status["uuid"]), (&json!("SOURCE_MASTER"), &Value::Null));
        framework.teardown().await;
    }
}

async fn acknowledge(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("calls")).await;
    let status = framework.run("acknowledged", "sleep 100000").await;
    let uuid = status["uuid"].as_str().expect("a uuid");
    assert!(uuid.len() == 24 && uuid.ends_with("=="), "16 bytes: {uuid}");
    let call = |uuid: &str| {
        json!({"type": "ACKNOWLEDGE", "acknowledge": {
            "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid
        }})
    };
    // Again, and one that nobody waits for.
    framework.call(call(uuid)).await;
    framework.call(call("AAAAAAAAAAAAAAAAAAAAAA==")).await;
    let answer = framework.send(call("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1")).await;
    assert_eq!(answer.status(), 400, "the text of a uuid is no uuid: {}", answer.text());
    framework.teardown().await;
}

async fn no_effect(world: &World) {
    let framework = Scheduler::subscribe(world, &info("calls")).await;
    framework.call(json!({"type": "REQUEST", "request": {"requests": []}})).await;
    framework.teardown().await;
}
