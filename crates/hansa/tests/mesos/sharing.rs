//! A.4: who is offered what.

use crate::World;
use crate::cases;
use crate::operator::{done, read};
use crate::scheduler::{Scheduler, amount, info, info_with, launch, subscribe_call, task};
use serde_json::{Value, json};
use std::time::Duration;

cases! {
    freed: "what becomes free is offered at once",
    least_first: "what becomes free goes to the role that has least",
    weights: "a role's share counts by its weight",
    smallest: "offers are not smaller than a framework asks for",
    hierarchy: "roles have parts, and some names cannot be roles",
    withheld: "a guarantee is kept free of others",
    rescinded_for_operators: "an operator's reservation takes what was offered",
    batches: "one offer for each agent, several in one event",
    attributes: "constraints by text, by absence, by expressions",
}

/// Long enough for anything that is on its way.
const A_WHILE: Duration = Duration::from_millis(600);

async fn freed(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("sharing")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task("short", &offer, "sleep 100000")])]).await;
    framework.until("short", "TASK_RUNNING").await;
    let all = amount(&offer["resources"], "cpus");
    let agent = offer["agent_id"].clone();
    let rest = framework.offer_where("the rest", |other| other["agent_id"] == agent).await;
    framework.decline(&rest, 3600.0).await;
    framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "short"}}})).await;
    framework.until("short", "TASK_KILLED").await;
    // More than what was declined.
    framework
        .offer_where("all of it", |other| {
            other["agent_id"] == agent && amount(&other["resources"], "cpus") >= all - 0.0001
        })
        .await;
    framework.teardown().await;
}

/// Holds every machine's offer.
async fn hold<'w>(world: &'w World, role: &str) -> (Scheduler<'w>, Vec<Value>) {
    let mut holder = Scheduler::subscribe(world, &info_with("sharing", role, &["MULTI_ROLE"])).await;
    let agents = read(world, "GET_AGENTS").await["agents"].as_array().expect("agents").len();
    let mut held = Vec::new();
    while held.len() < agents {
        held.push(holder.offer().await);
    }
    (holder, held)
}

/// Two roles wait, one has a task; which of them is offered what a third gives back?
async fn is_offered(world: &World, busy: &str, idle: &str) -> String {
    let mut has = Scheduler::subscribe(world, &info_with("sharing", busy, &["MULTI_ROLE"])).await;
    let mut wants = Scheduler::subscribe(world, &info_with("sharing", idle, &["MULTI_ROLE"])).await;
    let suppress = json!({"type": "SUPPRESS"});
    for (framework, cpus) in [(&mut has, 0.4), (&mut wants, 0.2)] {
        let offer = framework.offer().await;
        let mut own = task("has", &offer, "sleep 100000");
        own["resources"][0]["scalar"]["value"] = json!(cpus);
        framework.accept(&offer, &[launch(&[own])]).await;
        framework.until("has", "TASK_RUNNING").await;
        framework.call(suppress.clone()).await;
        for offer in std::mem::take(&mut framework.offers) {
            framework.decline(&offer, 0.0).await;
        }
    }
    let (holder, held) = hold(world, "holds").await;
    let revive = json!({"type": "REVIVE"});
    has.call(revive.clone()).await;
    wants.call(revive).await;
    // One of them: what the first is offered counts for the second.
    let decline = json!({"offer_ids": [held[0]["id"]], "filters": {"refuse_seconds": 3600.0}});
    let (_, winner) = tokio::join!(holder.call(json!({"type": "DECLINE", "decline": decline})), async {
        tokio::select! {
            _ = has.offer() => busy.to_owned(),
            _ = wants.offer() => idle.to_owned(),
        }
    });
    for framework in [has, wants, holder] {
        framework.teardown().await;
    }
    winner
}

async fn least_first(world: &World) {
    assert_eq!(is_offered(world, "busy", "idle").await, "idle");
}

async fn weights(world: &World) {
    let set = |weight: f64| {
        let infos = json!([{"role": "heavy", "weight": weight}]);
        json!({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}})
    };
    done(world, set(10.0), 200).await;
    assert_eq!(is_offered(world, "heavy", "light").await, "heavy", "0.4 of ten is less than 0.2 of one");
    done(world, set(1.0), 200).await;
}

async fn smallest(world: &World) {
    let with = |mem: f64| {
        let mut info = info_with("sharing", "picky", &["MULTI_ROLE"]);
        let quantities = json!([{"quantities": {"mem": {"value": mem}}}]);
        info["offer_filters"] = json!({"picky": {"min_allocatable_resources": {"quantities": quantities}}});
        info
    };
    let mut framework = Scheduler::subscribe(world, &with(1e9)).await;
    framework.quiet("OFFERS", A_WHILE).await;
    framework.teardown().await;
    let mut framework = Scheduler::subscribe(world, &with(64.0)).await;
    framework.offer().await;
    framework.teardown().await;
}

async fn hierarchy(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info_with("sharing", "a/b/c", &["MULTI_ROLE"])).await;
    assert_eq!(framework.offer().await["allocation_info"]["role"], "a/b/c");
    framework.teardown().await;
    for bad in ["/a", "a/", "a//b", "a/./b", "a/../b", "-a", "a/-b", "a/*", "a b", ""] {
        let call = subscribe_call(&info_with("sharing", bad, &["MULTI_ROLE"]));
        let mut stream = crate::wire::Request::json(crate::scheduler::PATH, &call).open(&world.master).await;
        let event = stream.json().await.expect("an event");
        assert_eq!((stream.head.status, &event["type"]), (200, &json!("ERROR")), "{bad:?}: {event}");
    }
}

async fn withheld(world: &World) {
    let agents = read(world, "GET_AGENTS").await;
    let all: f64 = agents["agents"]
        .as_array()
        .expect("agents")
        .iter()
        .map(|one| amount(&one["total_resources"], "mem"))
        .sum();
    let quota = |mem: f64| {
        let config = match mem {
            0.0 => json!({"role": "promised"}),
            mem => json!({"role": "promised", "guarantees": {"mem": {"value": mem}}}),
        };
        json!({"type": "UPDATE_QUOTA", "update_quota": {"force": true, "quota_configs": [config]}})
    };
    done(world, quota(all), 200).await;
    let mut other = Scheduler::subscribe(world, &info("sharing")).await;
    other.quiet("OFFERS", A_WHILE).await;
    let mut framework = Scheduler::subscribe(world, &info_with("sharing", "promised", &["MULTI_ROLE"])).await;
    framework.offer().await;
    framework.teardown().await;
    done(world, quota(0.0), 200).await;
    other.offer().await;
    other.teardown().await;
}

async fn rescinded_for_operators(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("sharing")).await;
    let offer = framework.offer().await;
    let resource = json!([{
        "name": "cpus", "type": "SCALAR", "scalar": {"value": amount(&offer["resources"], "cpus")},
        "reservations": [{"type": "DYNAMIC", "role": "taken"}],
    }]);
    let call = |kind: &str| json!({"type": kind, kind.to_lowercase(): {"agent_id": offer["agent_id"], "resources": resource}});
    done(world, call("RESERVE_RESOURCES"), 202).await;
    let event = framework.event("RESCIND").await;
    assert_eq!(event["rescind"]["offer_id"], offer["id"]);
    framework.teardown().await;
    done(world, call("UNRESERVE_RESOURCES"), 202).await;
}

async fn batches(world: &World) {
    let agents = read(world, "GET_AGENTS").await["agents"].as_array().expect("agents").len();
    let mut framework = Scheduler::subscribe(world, &info_with("sharing", "batched", &["MULTI_ROLE"])).await;
    let event = framework.event("OFFERS").await;
    let offers = event["offers"]["offers"].as_array().expect("offers");
    let mut hosts: Vec<String> = offers.iter().map(|offer| offer["agent_id"].to_string()).collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!((hosts.len(), offers.len()), (agents, agents), "{event}");
    framework.teardown().await;
}

async fn attributes(world: &World) {
    let agents = read(world, "GET_AGENTS").await;
    let host = agents["agents"][0]["agent_info"]["hostname"].as_str().expect("a name").to_owned();
    let hosts = agents["agents"].as_array().expect("agents").len();
    let hostname = json!({"pseudoattribute_type": "HOSTNAME"});
    let none = json!({"attribute_name": "no-such-attribute"});
    for (selector, predicate, expected) in [
        (&hostname, json!({"text_matches": {"regex": host}}), 1),
        (&hostname, json!({"text_not_matches": {"regex": host}}), hosts - 1),
        (&hostname, json!({"text_not_equals": {"value": host}}), hosts - 1),
        (&hostname, json!({"exists": {}}), hosts),
        (&none, json!({"not_exists": {}}), hosts),
        (&none, json!({"exists": {}}), 0),
        (&none, json!({"text_equals": {"value": "x"}}), 0),
    ] {
        let mut call = subscribe_call(&info_with("sharing", "choosy", &["MULTI_ROLE"]));
        let groups = json!([{"attribute_constraints": [{"selector": selector, "predicate": predicate}]}]);
        call["subscribe"]["offer_constraints"] = json!({"role_constraints": {"choosy": {"groups": groups}}});
        let mut framework = Scheduler::with(world, &call).await;
        for _ in 0..expected {
            framework.offer().await;
        }
        if expected < hosts {
            framework.quiet("OFFERS_NEVER", A_WHILE).await;
            assert!(framework.offers.is_empty(), "{predicate}: {:?}", framework.offers);
        }
        framework.teardown().await;
    }
}
