//! What GET shows for an app, sent back, is the same definition.

use hansa_api::marathon::{Defaults, parse_app, render, update};
use hansa_model::app::*;
use hansa_model::spec::Command;
use hansa_model::{AppId, RoleName, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        "[ -~]{2,40}".prop_map(Command::Shell),
        prop::collection::vec("[!-~]{1,10}", 1..4).prop_map(Command::Argv),
    ]
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[A-Za-z_]{1,8}", "\\PC{0,12}", 0..4)
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let (field, value) = ("[a-z@]{1,6}", "[a-z0-9]{1,5}");
    prop_oneof![
        field.prop_map(|field| (field, Operator::Unique, None)),
        (field, proptest::option::of(value)).prop_map(|(field, value)| (field, Operator::Cluster, value)),
        (field, proptest::option::of(0u32..9)).prop_map(|(field, value)| (
            field,
            Operator::GroupBy,
            value.map(|value| value.to_string())
        )),
        (field, value).prop_map(|(field, value)| (field, Operator::Like, Some(value))),
        (field, value).prop_map(|(field, value)| (field, Operator::Unlike, Some(value))),
        (field, 0u32..9).prop_map(|(field, value)| (field, Operator::MaxPer, Some(value.to_string()))),
        (field, value).prop_map(|(field, value)| (field, Operator::Is, Some(value))),
    ]
    .prop_map(|(field, operator, value)| Constraint { field, operator, value })
}

fn ports() -> impl Strategy<Value = Vec<PortDefinition>> {
    let port = (0u16..3, prop::sample::select(vec!["tcp", "udp", "udp,tcp"]), any::<bool>(), texts());
    prop::collection::vec(port, 0..4).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(at, (group, protocol, named, labels))| PortDefinition {
                // Unique unless 0.
                port: if group == 0 { 0 } else { 1000 * group + at as u16 },
                protocol: protocol.into(),
                name: named.then(|| format!("p{at}")),
                labels,
                mapping: None,
            })
            .collect()
    })
}

fn check() -> impl Strategy<Value = HealthCheck> {
    let kind = prop::sample::select(vec!["HTTP", "HTTPS", "TCP", "COMMAND"]);
    (kind, "/[a-z/?=]{0,9}", any::<bool>(), any::<u16>(), 0u64..1000, 0u32..9).prop_map(
        |(protocol, path, ignore_1xx, port, seconds, max)| HealthCheck {
            protocol: protocol.into(),
            probe: match protocol {
                "TCP" => Probe::Tcp,
                "COMMAND" => Probe::Command { command: path },
                _ => Probe::Http { path, ignore_1xx, tls: protocol == "HTTPS" },
            },
            port: (protocol != "COMMAND").then_some(CheckPort::Number(port)),
            grace_ms: seconds * 1000,
            interval_ms: (seconds + 1) * 1000,
            timeout_ms: (seconds + 2) * 1000,
            max_consecutive_failures: max,
            delay_ms: (seconds + 3) * 1000,
            ip_protocol: "IPv4".into(),
        },
    )
}

fn unreachable() -> impl Strategy<Value = UnreachableStrategy> {
    prop_oneof![
        Just(UnreachableStrategy::Disabled),
        (0u64..100, 0u64..100).prop_map(|(inactive, more)| UnreachableStrategy::After {
            inactive_ms: inactive * 1000,
            expunge_ms: (inactive + more) * 1000,
        }),
    ]
}

prop_compose! {
    fn spec()(
        (id, command, user) in ("(/[a-z][a-z0-9]{0,5}){1,3}[0-9]", command(), proptest::option::of("[a-z]{1,8}")),
        (env, mut labels, quota) in (texts(), texts(), any::<bool>()),
        (cpus, mem, disk, gpus, instances) in
            (1u64..1_000_000, 0u64..10_000_000, 0u64..10_000_000, 0u16..9, 0u32..i32::MAX as u32),
        constraints in prop::collection::btree_set(constraint(), 0..4),
        (ports, require_ports) in (ports(), any::<bool>()),
        mut checks in prop::collection::vec(check(), 0..4),
        (minimum, over) in (0u16..=1000, 0u16..=1000),
        (initial, factor, max) in (0u64..1000, 1000u64..5000, 0u64..10_000),
        (oldest, unreachable, grace) in (any::<bool>(), unreachable(), proptest::option::of(0u64..100)),
        (role, accepted) in ("[a-z]{1,6}", proptest::option::of(any::<bool>())),
        dependencies in prop::collection::btree_set("(/[a-z][a-z0-9]{0,5}){1,2}[0-9]", 0..3),
    ) -> AppSpec {
        if quota {
            labels.insert("HANSA_CPU_QUOTA".into(), "true".into());
        }
        let mut seen: Vec<HealthCheck> = Vec::new();
        checks.retain(|check| { let new = !seen.contains(check); seen.push(check.clone()); new });
        let milli_mib = |milli: u64| (milli * 1_048_576 + 500) / 1000;
        AppSpec {
            user,
            env,
            labels,
            cpus_milli: cpus,
            mem: milli_mib(mem),
            disk: milli_mib(disk),
            gpus,
            instances,
            constraints: constraints.into_iter().collect(),
            ports,
            require_ports,
            health_checks: checks,
            upgrade: UpgradeStrategy { minimum_health_milli: minimum, maximum_over_milli: over },
            backoff: Backoff { initial_ms: initial * 1000, factor_milli: factor, max_ms: max * 1000 },
            kill_selection: if oldest { KillSelection::OldestFirst } else { KillSelection::YoungestFirst },
            unreachable,
            kill_grace_ms: grace.unwrap_or(3) * 1000,
            kill_grace_given: grace.is_some(),
            accepted_roles: accepted.map(|own| vec![if own { role.as_str().into() } else { RoleName::any() }]),
            role: RoleName::from(role),
            dependencies: dependencies.into_iter().map(AppId::from).collect(),
            cpu_quota: quota,
            ..AppSpec::new(AppId::from(id), command)
        }
    }
}

fn shown(spec: &AppSpec) -> Value {
    let version = AppVersion {
        version: Timestamp(1_000),
        last_scaling_at: Timestamp(1_000),
        last_config_change_at: Timestamp(1_000),
        spec: spec.clone(),
    };
    Value::Object(render::app::version(&version))
}

/// Any JSON, with the names that mean something.
fn anything() -> impl Strategy<Value = Value> {
    let names = "id cmd args env labels cpus mem disk gpus instances constraints ports portDefinitions port name \
        protocol requirePorts healthChecks path portIndex command value upgradeStrategy minimumHealthCapacity \
        maximumOverCapacity backoffSeconds backoffFactor killSelection unreachableStrategy inactiveAfterSeconds \
        expungeAfterSeconds role acceptedResourceRoles dependencies container type docker networks mode fetch version";
    let names: Vec<&str> = names.split_whitespace().collect();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        prop::sample::select(vec![
            "/a", "..", "host", "LIKE", "UNIQUE", "hostname", "HTTP", "disabled", "tcp", "*"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.clone()), inner), 0..8).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused(json in anything(), spec in spec()) {
        let refused = |problem: &hansa_api::marathon::Problem| {
            matches!(problem.status, 404 | 422) && !problem.message().is_empty()
        };
        match parse_app(&json, &Defaults::default()) {
            Ok(read) => prop_assert_eq!(parse_app(&shown(&read), &Defaults::default()), Ok(read)),
            Err(problem) => prop_assert!(refused(&problem), "{}", problem),
        }
        if let Err(problem) = update::merge(&spec, &json, &Defaults::default()) {
            prop_assert!(refused(&problem), "{}", problem);
        }
        for partial in [true, false] {
            if let Err(problem) = update::read_many(json.clone(), partial) {
                prop_assert!(refused(&problem), "{}", problem);
            }
        }
    }

    #[test]
    fn what_is_shown_reads_as_the_same(spec in spec()) {
        let text = shown(&spec).to_string();
        let back = parse_app(&serde_json::from_str(&text).unwrap(), &Defaults::default());
        prop_assert_eq!(back.as_ref(), Ok(&spec), "{}", text);
    }

    #[test]
    fn an_empty_update_changes_nothing(spec in spec()) {
        let back = update::merge(&spec, &json!({"env": null}), &Defaults::default());
        prop_assert_eq!(back.as_ref(), Ok(&spec));
    }

    #[test]
    fn a_field_of_another_app_is_taken_over_alone(spec in spec(), other in spec()) {
        let other = shown(&other);
        for field in ["env", "labels", "cpus", "mem", "instances", "constraints", "upgradeStrategy", "killSelection"] {
            let patch = json!({field: other.get(field).cloned().unwrap_or(Value::Null)});
            let after = update::merge(&spec, &patch, &Defaults::default()).unwrap();
            let (mut expected, after) = (shown(&spec), shown(&after));
            if !patch[field].is_null() {
                expected[field] = patch[field].clone();
            }
            prop_assert_eq!(after, expected);
        }
    }
}
