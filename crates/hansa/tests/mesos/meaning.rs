//! C.1, C.6 and C.7: what is easily missed.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, Scheduler, amount, info, info_with, launch, subscribe_call, task};
use crate::wire::Request;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

cases! {
    known_keys: "C.1 events have no fields but Mesos' own",
    written: "C.1 what is not set is not written, but for what has a default",
    bytes: "C.1 bytes are base64, 64-bit numbers are numbers, amounts have a fraction",
    ids: "C.6 ids of frameworks and offers begin with that of the leadership, a uuid",
    long_timeout: "C.6 a failover_timeout that no clock holds is an ERROR that says so",
    removed_words: "C.6 an id that was removed is refused in the words that people search for",
    no_uuid: "C.6 an update without uuid that is acknowledged all the same does no harm",
    replaced: "C.7 a status with the state of the last one takes its place",
    freed_at_once: "C.7 what a task had is offered when it ends, not when that is acknowledged",
    ranges: "C.7 ranges are inclusive, and taken out of the middle leave two",
    early_answers: "C.7 version, health and metrics need no leader and no login",
    authorization_ignored: "C.7 a login that nobody asked for is passed over",
}

/// All keys of all objects inside, as paths without numbers.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| keys(one, path, found)),
        _ => {}
    }
}

/// Every key is one of these; `{a,b}` and `*` are no patterns here, but everything below a name with `**` is allowed.
fn only(event: &Value, allowed: &str) {
    let mut found = BTreeSet::new();
    keys(event, "", &mut found);
    let allowed: Vec<&str> = allowed.split_whitespace().collect();
    let is_allowed = |key: &str| {
        allowed.iter().any(|name| match name.strip_suffix("**") {
            Some(above) => key.starts_with(above),
            None => key == *name || name.starts_with(&format!("{key}.")),
        })
    };
    for key in &found {
        assert!(is_allowed(key), "{key} in {event}");
    }
}

async fn known_keys(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("meaning", "*", &["MULTI_ROLE"])).await;
    let offer = framework.offer().await;
    only(
        &offer,
        "id.value framework_id.value agent_id.value hostname url.scheme url.address.hostname url.address.ip \
         url.address.port url.path url.query url.fragment attributes.name attributes.type attributes.text.value \
         attributes.scalar.value attributes.ranges.range.begin attributes.ranges.range.end executor_ids.value \
         resources.name resources.type resources.scalar.value resources.ranges.range.begin \
         resources.ranges.range.end resources.set.item resources.role resources.allocation_info.role \
         resources.reservation** resources.disk** allocation_info.role domain.fault_domain.region.name \
         domain.fault_domain.zone.name unavailability.start.nanoseconds unavailability.duration.nanoseconds",
    );
    framework.accept(&offer, &[launch(&[task("keyed", &offer, "exit 0")])]).await;
    for _ in 0..3 {
        only(
            &framework.update("keyed").await,
            "task_id.value state message source reason data agent_id.value executor_id.value timestamp uuid healthy \
             check_status** labels** container_status.container_id.value container_status.container_id.parent** \
             container_status.network_infos.ip_addresses.protocol container_status.network_infos.ip_addresses.ip_address \
             container_status.network_infos.name container_status.cgroup_info** container_status.executor_pid \
             unreachable_time.nanoseconds limitation**",
        );
    }
    framework.teardown().await;
}

async fn written(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let offer = framework.offer().await;
    for list in ["executor_ids", "attributes"] {
        assert!(
            offer[list].as_array().is_none_or(|list| !list.is_empty()),
            "empty lists are left out: {offer}"
        );
    }
    fn no_nulls(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Object(object) => object.values().all(no_nulls),
            Value::Array(list) => list.iter().all(no_nulls),
            _ => true,
        }
    }
    assert!(no_nulls(&offer), "{offer}");
    // What has a default is told.
    let answer =
        Request::json("/api/v1", &json!({"type": "GET_FRAMEWORKS"})).send(&world.master).await.json();
    let all = answer["get_frameworks"]["frameworks"].as_array().expect("frameworks");
    let mine = all.iter().find(|one| one["framework_info"]["id"]["value"] == framework.id).expect("it");
    let told = &mine["framework_info"];
    assert_eq!((&told["failover_timeout"], &told["checkpoint"]), (&json!(0.0), &json!(false)), "{told}");
    framework.teardown().await;
}

async fn bytes(world: &World) {
    let mut stream = Request::json(PATH, &subscribe_call(&info("meaning"))).open(&world.master).await;
    let first = stream.text().await.expect("an event");
    assert!(first.contains("\"heartbeat_interval_seconds\":15.0"), "{first}");
    assert!(!first.contains("frameworkId"), "{first}");
    let offers = loop {
        let text = stream.text().await.expect("an event");
        if text.contains("\"OFFERS\"") {
            break text;
        }
    };
    let event: Value = serde_json::from_str(&offers).expect("JSON");
    assert_eq!(event.as_object().map(Map::len), Some(2), "{offers}");
    let offer = &event["offers"]["offers"][0];
    let ports = offer["resources"].as_array().expect("resources").iter().find(|one| one["name"] == "ports");
    let range = &ports.expect("ports")["ranges"]["range"][0];
    assert!(range["begin"].is_u64() && range["end"].is_u64(), "{range}");
    let cpus = amount(&offer["resources"], "cpus");
    assert!(offers.contains(&format!("\"scalar\":{{\"value\":{cpus:?}}}")), "{offers}");
    assert!(offers.contains("\"type\":\"SCALAR\"") && offers.contains("\"type\":\"RANGES\""), "{offers}");
}

async fn ids(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let offer = framework.offer().await;
    let id = offer["id"]["value"].as_str().expect("an id");
    let (master, number) = id.rsplit_once("-O").expect("an O and a number");
    assert!(master.len() == 36 && number.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert!(framework.id.starts_with(&format!("{master}-")), "{} and {id}", framework.id);
    let state = Request::get("/state").send(&world.master).await.json();
    assert_eq!(state["id"].as_str().map(str::len), Some(36), "a uuid, too");
    framework.teardown().await;
}

/// The only event of a subscription that is refused.
async fn refused(world: &World, info: &Value) -> String {
    let mut stream = Request::json(PATH, &subscribe_call(info)).open(&world.master).await;
    assert_eq!(stream.head.status, 200);
    let event = stream.json().await.expect("an event");
    assert_eq!(event["type"], "ERROR", "{event}");
    assert_eq!(stream.json().await, None, "the stream ends");
    event["error"]["message"].as_str().expect("a message").to_owned()
}

async fn long_timeout(world: &World) {
    for timeout in [1e10, -1e10] {
        let mut info = info("meaning");
        info["failover_timeout"] = json!(timeout);
        let words = refused(world, &info).await;
        assert!(words.contains("failover_timeout") && words.contains("invalid"), "{timeout}: {words}");
    }
}

async fn removed_words(world: &World) {
    let framework = Scheduler::subscribe(world, &info("meaning")).await;
    let mut info = info("meaning");
    info["id"] = json!({"value": framework.id});
    framework.teardown().await;
    assert_eq!(refused(world, &info).await, "Framework has been removed");
}

async fn no_uuid(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let status = framework.run("asked", "sleep 100000").await;
    framework
        .call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
            "agent_id": status["agent_id"], "task_id": {"value": "asked"}, "uuid": "AAAAAAAAAAAAAAAAAAAAAA=="
        }}))
        .await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "asked"}}})).await;
    framework.until("asked", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn replaced(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let offer = framework.offer().await;
    let mut healthy = task("healthy", &offer, "sleep 100000");
    healthy["health_check"] = json!({
        "type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0.0, "interval_seconds": 0.1,
    });
    framework.accept(&offer, &[launch(&[healthy])]).await;
    framework.until("healthy", "TASK_RUNNING").await;
    assert_eq!(framework.update("healthy").await["healthy"], true);
    let path = format!("/tasks?framework_id={}&task_id=healthy", framework.id);
    let tasks = Request::get(&path).send(&world.master).await.json();
    let statuses = tasks["tasks"][0]["statuses"].as_array().expect("statuses");
    let running: Vec<_> = statuses.iter().filter(|one| one["state"] == "TASK_RUNNING").collect();
    assert_eq!(running.len(), 1, "{statuses:?}");
    assert_eq!(running[0]["healthy"], true, "{statuses:?}");
    framework.teardown().await;
}

async fn freed_at_once(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let offer = framework.offer().await;
    let mut large = task("large", &offer, "exit 0");
    let cpus = amount(&offer["resources"], "cpus");
    large["resources"][0]["scalar"]["value"] = json!(cpus);
    framework.accept(&offer, &[launch(&[large])]).await;
    let agent = offer["agent_id"].clone();
    loop {
        let status = framework.event("UPDATE").await["update"]["status"].clone();
        if status["state"] == "TASK_FINISHED" {
            // Not acknowledged, and offered all the same.
            framework
                .offer_where("all of it", |other| {
                    other["agent_id"] == agent && amount(&other["resources"], "cpus") >= cpus - 0.0001
                })
                .await;
            break framework.acknowledge(&status).await;
        }
        framework.acknowledge(&status).await;
    }
    framework.teardown().await;
}

async fn ranges(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("meaning")).await;
    let offer = framework.offer().await;
    let list = |offer: &Value| -> Vec<(u64, u64)> {
        let all =
            offer["resources"].as_array().expect("resources").iter().filter(|one| one["name"] == "ports");
        let ranges = all.flat_map(|one| one["ranges"]["range"].as_array().expect("ranges").clone());
        ranges
            .map(|one| (one["begin"].as_u64().expect("a port"), one["end"].as_u64().expect("a port")))
            .collect()
    };
    let (begin, end) = list(&offer)[0];
    let mut takes = task("takes", &offer, "sleep 100000");
    let taken = json!({"name": "ports", "type": "RANGES", "ranges": {"range": [
        {"begin": begin + 2, "end": begin + 3}, {"begin": begin + 4, "end": begin + 4}
    ]}});
    takes["resources"].as_array_mut().expect("a list").push(taken);
    framework.accept(&offer, &[launch(&[takes])]).await;
    framework.until("takes", "TASK_RUNNING").await;
    let is_rest =
        |other: &Value| other["agent_id"] == offer["agent_id"] && amount(&other["resources"], "cpus") >= 1.0;
    let rest = framework.offer_where("the rest", is_rest).await;
    assert_eq!(list(&rest)[..2], [(begin, begin + 1), (begin + 5, end)], "{rest}");
    let tasks =
        Request::get(&format!("/tasks?framework_id={}", framework.id)).send(&world.master).await.json();
    let shown = format!("[{}-{}]", begin + 2, begin + 4);
    assert_eq!(tasks["tasks"][0]["resources"]["ports"], shown, "{tasks}");
    framework.teardown().await;
}

async fn early_answers(world: &World) {
    for path in ["/version", "/health", "/metrics/snapshot", "/flags", "/files/debug", "/logging/toggle"] {
        assert_eq!(Request::get(path).send(&world.master).await.status(), 200, "{path}");
    }
}

async fn authorization_ignored(world: &World) {
    for value in ["", "Basic", "Basic Og==", "Basic dXNlcjpwYXNz", "Bearer x"] {
        let call = subscribe_call(&info("meaning"));
        let mut stream = Request::json(PATH, &call).header("Authorization", value).open(&world.master).await;
        assert_eq!(stream.head.status, 200, "{value}");
        assert_eq!(stream.json().await.expect("an event")["type"], "SUBSCRIBED");
    }
}
