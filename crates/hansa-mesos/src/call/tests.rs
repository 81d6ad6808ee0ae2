//! Calls as real clients send them.

use super::*;
use crate::codec::{Codec, decode};
use hansa_model::framework::Operation;
use hansa_model::resources::MIB;

fn call(json: &str) -> Call {
    decode(Codec::Json, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn of(rest: &str) -> FrameworkInfo {
    let json = format!(r#"{{"user":"u","name":"n","id":{{"value":"F"}}{rest}}}"#);
    framework::read(&decode(Codec::Json, json.as_bytes()).unwrap()).unwrap()
}

fn said(rest: &str) -> Result<Option<FrameworkCall>, String> {
    read(&call(&format!(r#"{{"framework_id":{{"value":"F"}},{rest}}}"#)), &of(""))
        .map_err(|error| error.to_string())
}

#[test]
fn a_first_subscription_as_pymesos_sends_it() {
    let call = call(
        r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"MinimalFramework",
            "hostname":"h","failover_timeout":100,"capabilities":[{"type":"GPU_RESOURCES"}]}}}"#,
    );
    assert_eq!((check(&call, None), id_of(&call)), (Ok(()), ""));
    let FrameworkCall::Subscribe { stream, info, suppressed, constraints } =
        subscribe(call.subscribe.as_ref().unwrap(), 7).unwrap()
    else {
        panic!("a subscription");
    };
    assert_eq!((stream, info.name.as_str(), info.failover_timeout_ms), (7, "MinimalFramework", 100_000));
    assert!(info.roles.contains(&RoleName::any()) && suppressed.is_empty() && constraints.roles.is_empty());
}

#[test]
fn subscriptions_that_make_no_sense() {
    let refused = |json: &str, principal| check(&call(json), principal).unwrap_err().to_string();
    let info = r#""user":"u","name":"n""#;
    for (json, principal, words) in [
        ("{}".to_owned(), None, "Expecting 'type' to be present"),
        (r#"{"type":"SUBSCRIBE"}"#.to_owned(), None, "Expecting 'subscribe' to be present"),
        (
            format!(
                r#"{{"type":"SUBSCRIBE","subscribe":{{"framework_info":{{{info},"id":{{"value":"F"}}}}}}}}"#
            ),
            None,
            "'framework_id' differs from 'subscribe.framework_info.id'",
        ),
        (
            format!(r#"{{"type":"SUBSCRIBE","subscribe":{{"framework_info":{{{info},"principal":"p"}}}}}}"#),
            Some("q"),
            "Authenticated principal 'q' does not match principal 'p' set in `FrameworkInfo`",
        ),
    ] {
        assert_eq!(refused(&json, principal), words);
    }
    // An empty id is none.
    let both = format!(
        r#"{{"type":"SUBSCRIBE","framework_id":{{"value":""}},"subscribe":{{"framework_info":{{{info}}}}}}}"#
    );
    assert_eq!(check(&call(&both), None), Ok(()));
    let event = |rest: &str| {
        let json = format!(r#"{{"type":"SUBSCRIBE","subscribe":{{"framework_info":{{{info}}},{rest}}}}}"#);
        subscribe(call(&json).subscribe.as_ref().unwrap(), 1).unwrap_err().to_string()
    };
    assert_eq!(
        event(r#""suppressed_roles":["x"]"#),
        "Suppressed roles { x } are not contained in the set of roles"
    );
    assert!(
        event(r#""offer_constraints":{"role_constraints":{"x":{}}}"#)
            .starts_with("Offer constraints specify")
    );
}

#[test]
fn calls_without_their_parts_are_refused() {
    for (name, part) in [
        ("ACCEPT", "accept"),
        ("DECLINE", "decline"),
        ("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers"),
        ("KILL", "kill"),
        ("SHUTDOWN", "shutdown"),
        ("ACKNOWLEDGE", "acknowledge"),
        ("RECONCILE", "reconcile"),
        ("MESSAGE", "message"),
        ("REQUEST", "request"),
        ("UPDATE_FRAMEWORK", "update_framework"),
    ] {
        let words = format!("Expecting '{part}' to be present");
        assert_eq!(said(&format!(r#""type":"{name}""#)), Err(words));
        let anonymous = call(&format!(r#"{{"type":"{name}"}}"#));
        assert_eq!(
            check(&anonymous, None).unwrap_err().to_string(),
            "Expecting 'framework_id' to be present"
        );
    }
    assert!(said(r#""type":"UNKNOWN""#).unwrap_err().contains("not supported"));
}

#[test]
fn the_simple_calls() {
    let roles = |names: &[&str]| names.iter().map(|name| RoleName::from(*name)).collect();
    for (json, expected) in [
        (r#""type":"TEARDOWN""#, FrameworkCall::Teardown),
        (r#""type":"REVIVE""#, FrameworkCall::Revive { roles: roles(&[]) }),
        (
            r#""type":"REVIVE","revive":{"roles":["a","b"]}"#,
            FrameworkCall::Revive { roles: roles(&["a", "b"]) },
        ),
        (r#""type":"SUPPRESS","suppress":{"roles":"a"}"#, FrameworkCall::Suppress { roles: roles(&["a"]) }),
        (
            r#""type":"DECLINE","decline":{"offer_ids":[{"value":"O1"},{"value":"O2"}]}"#,
            FrameworkCall::Decline {
                offers: vec!["O1".into(), "O2".into()],
                filter: OfferFilter { refuse_ms: 5_000 },
            },
        ),
        (
            r#""type":"KILL","kill":{"task_id":{"value":"t"}}"#,
            FrameworkCall::Kill { task: "t".into(), agent: None, grace_ms: None },
        ),
        (
            r#""type":"KILL","kill":{"task_id":{"value":"t"},"agent_id":{"value":"S"},
                "kill_policy":{"grace_period":{"nanoseconds":1000000}}}"#,
            FrameworkCall::Kill { task: "t".into(), agent: Some("S".into()), grace_ms: Some(1) },
        ),
        (
            r#""type":"SHUTDOWN","shutdown":{"executor_id":{"value":"e"},"agent_id":{"value":"S"}}"#,
            FrameworkCall::Shutdown { executor: "e".into(), agent: "S".into() },
        ),
        (
            r#""type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"S"},"task_id":{"value":"t"},
                "uuid":"AAECAwQFBgcICQoLDA0ODw=="}"#,
            FrameworkCall::Acknowledge {
                agent: "S".into(),
                task: "t".into(),
                uuid: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f,
            },
        ),
        (r#""type":"RECONCILE","reconcile":{}"#, FrameworkCall::Reconcile { tasks: Vec::new() }),
        (
            r#""type":"RECONCILE","reconcile":{"tasks":[{"task_id":{"value":"t"}},
                {"task_id":{"value":"u"},"agent_id":{"value":"S"}}]}"#,
            FrameworkCall::Reconcile { tasks: vec![("t".into(), None), ("u".into(), Some("S".into()))] },
        ),
        (
            r#""type":"MESSAGE","message":{"agent_id":{"value":"S"},"executor_id":{"value":"e"},"data":"aGk="}"#,
            FrameworkCall::Message { agent: "S".into(), executor: "e".into(), data: Raw::new(*b"hi") },
        ),
    ] {
        assert_eq!(said(json), Ok(Some(expected)), "{json}");
    }
    assert_eq!(said(r#""type":"REQUEST","request":{"requests":[{}]}"#), Ok(None));
    let textual = said(
        r#""type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"S"},"task_id":{"value":"t"},"uuid":"AAECAw=="}"#,
    );
    assert!(textual.unwrap_err().contains("16 bytes"));
}

#[test]
fn filters_are_what_they_can_be() {
    let refuse_ms = |filters: &str| {
        let json = format!(r#""type":"DECLINE","decline":{{"offer_ids":[]{filters}}}"#);
        match said(&json) {
            Ok(Some(FrameworkCall::Decline { filter, .. })) => filter.refuse_ms,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refuse_ms(r#","filters":{}"#), 5_000);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":0}"#), 0);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":"120.5"}"#), 120_500);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":-1}"#), 5_000);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":"NaN"}"#), 5_000);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":1e30}"#), 365 * 86_400_000);
    assert_eq!(refuse_ms(r#","filters":{"refuse_seconds":"Infinity"}"#), 365 * 86_400_000);
}

#[test]
fn what_is_not_supported_is_named() {
    for (json, words) in [
        (
            r#""type":"DECLINE_INVERSE_OFFERS","decline_inverse_offers":{}"#,
            "inverse offers are not supported",
        ),
        (r#""type":"RECONCILE_OPERATIONS","reconcile_operations":{}"#, "operation feedback is not supported"),
    ] {
        assert_eq!(said(json), Err(words.to_owned()));
    }
}

#[test]
fn a_framework_may_change_some_of_itself() {
    let update = |rest: &str| {
        let json = format!(
            r#""type":"UPDATE_FRAMEWORK","update_framework":{{"framework_info":{{"name":"new","id":{{"value":"F"}},{rest}}}}}"#
        );
        said(&json)
    };
    assert!(matches!(
        update(r#""user":"u","role":"web""#),
        Ok(Some(FrameworkCall::UpdateInfo { info, .. })) if info.name == "new"
    ));
    assert_eq!(
        update(r#""user":"u","principal":"p""#),
        Err("Changing framework's principal is not allowed.".into())
    );
    assert!(update(r#""user":"v""#).unwrap_err().starts_with("Updating 'FrameworkInfo.user' is unsupported"));
    assert!(update(r#""user":"u","checkpoint":true"#).unwrap_err().contains("'FrameworkInfo.checkpoint'"));
}

fn operations(json: &str, framework: &FrameworkInfo) -> Vec<Operation> {
    let json = format!(
        r#"{{"framework_id":{{"value":"F"}},"type":"ACCEPT","accept":{{"offer_ids":[{{"value":"O"}}],
            "operations":[{json}]}}}}"#
    );
    match read(&call(&json), framework) {
        Ok(Some(FrameworkCall::Accept { offers, operations, filter })) => {
            assert_eq!((offers.len(), filter), (1, OfferFilter::default()));
            operations
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn launches_fail_by_themselves() {
    let cpus = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1}}"#;
    let task = |id: &str, more: &str| {
        format!(
            r#"{{"name":"t","task_id":{{"value":"{id}"}},"agent_id":{{"value":"S"}},"resources":[{cpus}],
                "slave_id":{{"value":"S"}}{more}}}"#
        )
    };
    let good = task("good", r#","command":{"value":"x"}"#);
    let json = format!(r#"{{"type":"LAUNCH","launch":{{"task_infos":[{good},{}]}}}}"#, task("bad", ""));
    let all = operations(&json, &of(""));
    let [Operation::Launch { tasks }] = all.as_slice() else { panic!("a launch") };
    assert!(tasks[0].spec.is_ok() && tasks[1].spec.is_err());
    let with_id = format!(r#"{{"type":"LAUNCH","id":{{"value":"i"}},"launch":{{"task_infos":[{good}]}}}}"#);
    let all = operations(&with_id, &of(""));
    let [Operation::Launch { tasks }] = all.as_slice() else { panic!("a launch") };
    assert!(tasks[0].spec.as_ref().unwrap_err().contains("`id`"));

    let executor = format!(
        r#"{{"type":"DEFAULT","executor_id":{{"value":"e"}},"framework_id":{{"value":"F"}},"resources":[{cpus},
            {{"name":"mem","type":"SCALAR","scalar":{{"value":32}}}},{{"name":"disk","type":"SCALAR","scalar":{{"value":1}}}}]}}"#
    );
    let json = format!(
        r#"{{"type":"LAUNCH_GROUP","launch_group":{{"executor":{executor},"task_group":{{"tasks":[{good},{}]}}}}}}"#,
        task("other", r#","command":{"value":"x"},"executor":{"executor_id":{"value":"e2"}}"#)
    );
    let all = operations(&json, &of(""));
    let [Operation::LaunchGroup { executor, tasks }] = all.as_slice() else { panic!("a group") };
    assert_eq!((executor.id.as_str(), executor.spec.is_ok(), tasks[0].spec.is_ok()), ("e", true, true));
    assert!(tasks[1].spec.as_ref().unwrap_err().contains("is different from executor 'e'"));
}

#[test]
fn reservations_and_volumes() {
    let disk = |more: &str| {
        format!(r#"{{"name":"disk","type":"SCALAR","scalar":{{"value":10}},"role":"web"{more}}}"#)
    };
    let reserved = disk(r#","reservation":{"principal":"p"}"#);
    let volume = disk(
        r#","reservation":{"principal":"p"},"disk":{"persistence":{"id":"v","principal":"p"},
            "volume":{"mode":"RW","container_path":"data"}}"#,
    );
    let json = format!(
        r#"{{"type":"RESERVE","reserve":{{"resources":[{reserved}]}}}},
            {{"type":"CREATE","create":{{"volumes":[{volume}]}}}},
            {{"type":"DESTROY","destroy":{{"volumes":[{volume}]}}}},
            {{"type":"UNRESERVE","unreserve":{{"resources":[{reserved}]}}}}"#
    );
    let all = operations(&json, &of(r#","principal":"p","role":"web""#));
    let [
        Operation::Reserve { parts: reserved_parts },
        Operation::Create { parts: made },
        Operation::Destroy { parts: destroyed },
        Operation::Unreserve { parts: unreserved },
    ] = all.as_slice()
    else {
        panic!("{all:?}");
    };
    assert_eq!((reserved_parts, made), (unreserved, destroyed));
    assert_eq!(reserved_parts[0].amount.disk, 10 * MIB);
    assert_eq!(made[0].volume.as_ref().unwrap().id, "v");

    for (json, principal, words) in [
        (
            format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{}]}}}}"#, disk("")),
            "",
            "RESERVE: a resource in the request is not dynamically reserved",
        ),
        (
            format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{reserved}]}}}}"#),
            r#","principal":"q""#,
            "RESERVE: A reserve operation was attempted by principal 'q', but",
        ),
        (
            format!(r#"{{"type":"RESERVE","reserve":{{"resources":[{}]}}}}"#, disk(r#","reservation":{}"#)),
            r#","principal":"q""#,
            "RESERVE: A reserve operation was attempted by principal 'q', but there is a reserved resource in the request with no",
        ),
        (
            format!(r#"{{"type":"UNRESERVE","unreserve":{{"resources":[{volume}]}}}}"#),
            "",
            "UNRESERVE: a resource in the request is a persistent volume",
        ),
        (
            format!(r#"{{"type":"CREATE","create":{{"volumes":[{reserved}]}}}}"#),
            "",
            "CREATE: 'persistence' is not set in DiskInfo",
        ),
        (
            format!(r#"{{"type":"RESERVE","id":{{"value":"i"}},"reserve":{{"resources":[{reserved}]}}}}"#),
            "",
            "RESERVE: operation feedback is not supported",
        ),
        (r#"{"type":"RESERVE"}"#.to_owned(), "", "RESERVE: Expecting 'reserve' to be present"),
        (
            format!(r#"{{"type":"GROW_VOLUME","grow_volume":{{"volume":{volume},"addition":{reserved}}}}}"#),
            "",
            "GROW_VOLUME: it is not supported",
        ),
        (r#"{"type":"FLY"}"#.to_owned(), "", "UNKNOWN: its type is not known"),
    ] {
        let all = operations(&json, &of(principal));
        let [Operation::Unsupported { name }] = all.as_slice() else { panic!("{all:?}") };
        assert!(name.starts_with(words), "{name}");
    }
}
