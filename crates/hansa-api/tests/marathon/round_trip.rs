//! What GET shows for an app, sent back, is the same definition.

use hansa_api::marathon::{Defaults, parse_app, render, update};
use hansa_model::app::*;
use hansa_model::container::*;
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

/// Ports on the machine's network, or mapped ones.
fn ports(mapped: bool) -> impl Strategy<Value = Vec<PortDefinition>> {
    let mapping = (any::<u16>(), any::<u16>());
    let port =
        (0u16..3, prop::sample::select(vec!["tcp", "udp", "udp,tcp"]), any::<bool>(), texts(), mapping);
    prop::collection::vec(port, 0..4).prop_map(move |list| {
        list.into_iter()
            .enumerate()
            .map(|(at, (group, protocol, named, labels, (inside, outside)))| PortDefinition {
                // Unique unless 0.
                port: if group == 0 { 0 } else { 1000 * group + at as u16 },
                protocol: protocol.into(),
                name: named.then(|| format!("p{at}")),
                labels,
                mapping: mapped.then(|| ServiceMapping {
                    container_port: inside,
                    host_port: Some(outside),
                    networks: Vec::new(),
                }),
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

/// The same secrets for all: two names, each with a source of its own.
const SECRETS: [(&str, &str); 2] = [("login", "/team/login"), ("token", "/team/token")];

fn volume() -> impl Strategy<Value = Volume> {
    let path = "/?[a-z]{1,8}";
    prop_oneof![
        (path, path, any::<bool>()).prop_map(|(container_path, host_path, read_only)| Volume::Host {
            container_path,
            host_path,
            read_only,
        }),
        (path, 0usize..2).prop_map(|(container_path, secret)| Volume::Secret {
            container_path,
            source: SECRETS[secret].1.into(),
        }),
    ]
}

fn container() -> impl Strategy<Value = ContainerSpec> {
    let image = proptest::option::of(("[a-z]{1,6}(:[a-z0-9]{1,3})?", any::<bool>(), any::<bool>()));
    let parameters =
        prop::collection::vec((prop::sample::select(vec!["label", "env"]), "[a-z]{1,4}=[ -~]{0,6}"), 0..3);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (image, prop::collection::vec(volume(), 0..3), parameters, flags).prop_map(
        |(image, volumes, parameters, (docker, privileged, tty))| {
            let docker = docker && image.is_some();
            ContainerSpec {
                engine: if docker { Engine::Docker } else { Engine::Mesos },
                image: image.map(|(reference, force_pull, login)| ImageSpec {
                    reference,
                    force_pull,
                    pull_secret: (login && !docker).then(|| SECRETS[0].1.into()),
                }),
                volumes,
                privileged: privileged && docker,
                parameters: parameters
                    .into_iter()
                    .filter(|_| docker)
                    .map(|(key, value)| Parameter { key: key.into(), value })
                    .collect(),
                tty,
            }
        },
    )
}

fn artifact() -> impl Strategy<Value = Artifact> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let (path, digest) =
        (proptest::option::of("[a-z]{1,5}(/[a-z]{1,5})?"), proptest::option::of("[0-9a-f]{64}"));
    ("(http://|https://|file:///|/)[a-z.]{1,9}", flags, path, digest).prop_map(
        |(uri, (extract, executable, cache), dest_path, sha256)| Artifact {
            uri,
            extract,
            executable,
            cache,
            dest_path,
            sha256,
        },
    )
}

fn readiness() -> impl Strategy<Value = ReadinessCheck> {
    let codes = prop::collection::btree_set(100u16..=999, 1..4);
    ("[a-z]{1,6}", any::<bool>(), "/[a-z]{0,5}", (1u64..50, 1u64..50), codes, any::<bool>()).prop_map(
        |(name, tls, path, (timeout, more), codes, preserve)| ReadinessCheck {
            name,
            tls,
            path,
            port_name: String::new(),
            interval_ms: (timeout + more) * 1000,
            timeout_ms: timeout * 1000,
            ready_codes: codes.into_iter().collect(),
            preserve_last_response: preserve,
        },
    )
}

fn general() -> impl Strategy<Value = GeneralCheck> {
    let question = prop_oneof![
        ("/[a-z]{0,5}", any::<bool>()).prop_map(|(path, tls)| Question::Http { path, tls }),
        Just(Question::Tcp),
        command().prop_map(Question::Command),
    ];
    (question, any::<u16>(), 0u64..100, 0u64..100, 0u64..100).prop_map(
        |(question, port, interval, timeout, delay)| GeneralCheck {
            port: (!matches!(question, Question::Command(_))).then_some(CheckPort::Number(port)),
            question,
            interval_ms: interval * 1000,
            timeout_ms: timeout * 1000,
            delay_ms: delay * 1000,
        },
    )
}

/// What goes beyond a plain process: container, networks, artifacts, secrets, checks, limits.
#[derive(Clone, Debug)]
struct Beyond {
    container: Option<ContainerSpec>,
    bridge: Option<BTreeMap<String, String>>,
    ports: Vec<PortDefinition>,
    fetch: Vec<Artifact>,
    readiness: Option<ReadinessCheck>,
    check: Option<GeneralCheck>,
    secret_env: bool,
    own_command: bool,
    limits: (Option<bool>, bool),
    executor: bool,
}

fn beyond() -> impl Strategy<Value = Beyond> {
    use proptest::option::of;
    any::<bool>().prop_flat_map(|bridged| {
        let network = texts().prop_map(move |labels| bridged.then_some(labels));
        let checks = (of(readiness()), of(general()));
        let flags = (any::<bool>(), any::<bool>(), (of(any::<bool>()), any::<bool>()), any::<bool>());
        (of(container()), network, ports(bridged), prop::collection::vec(artifact(), 0..3), checks, flags)
            .prop_map(
                |(
                    container,
                    bridge,
                    ports,
                    fetch,
                    (readiness, check),
                    (secret_env, own_command, limits, executor),
                )| {
                    Beyond {
                        container,
                        bridge,
                        ports,
                        fetch,
                        readiness,
                        check,
                        secret_env,
                        own_command,
                        limits,
                        executor,
                    }
                },
            )
    })
}

/// Puts it into a plain definition, as far as the rules let the two go together.
fn extend(mut spec: AppSpec, beyond: Beyond) -> AppSpec {
    let docker = beyond.container.as_ref().is_some_and(|container| container.engine == Engine::Docker);
    if docker {
        spec.gpus = 0;
    }
    spec.check = beyond.check.filter(|_| !docker);
    spec.require_ports &= beyond.bridge.is_none();
    spec.networks = beyond
        .bridge
        .map(|labels| AppNetwork { mode: NetworkMode::Bridge, name: None, labels })
        .into_iter()
        .collect();
    spec.ports = beyond.ports;
    let named = spec.ports.iter().find_map(|port| port.name.clone());
    spec.readiness_checks = beyond
        .readiness
        .zip(named)
        .map(|(check, port_name)| ReadinessCheck { port_name, ..check })
        .into_iter()
        .collect();
    spec.secrets = SECRETS.map(|(name, source)| (name.to_owned(), source.to_owned())).into();
    if beyond.secret_env {
        spec.secret_env = [("SECRET1".to_owned(), "token".to_owned())].into();
    }
    if !beyond.own_command && beyond.container.as_ref().is_some_and(|container| container.image.is_some()) {
        spec.command = Command::default();
    }
    let own_address = !spec.networks.is_empty();
    spec.container = beyond.container.or(own_address.then(ContainerSpec::default));
    spec.fetch = beyond.fetch;
    let (cpus, mem) = beyond.limits;
    spec.limits = ResourceLimits {
        cpus_milli: cpus
            .map(|all| if all { ResourceLimit::Unlimited } else { ResourceLimit::Amount(spec.cpus_milli) }),
        mem: mem.then_some(ResourceLimit::Amount(spec.mem)),
    };
    spec.cpu_quota |= cpus == Some(false);
    spec.executor = if beyond.executor { "//cmd".into() } else { String::new() };
    spec
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
        (beyond, require_ports) in (beyond(), any::<bool>()),
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
        let plain = AppSpec {
            user,
            env,
            labels,
            cpus_milli: cpus,
            mem: milli_mib(mem),
            disk: milli_mib(disk),
            gpus,
            instances,
            constraints: constraints.into_iter().collect(),
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
        };
        extend(plain, beyond)
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
        expungeAfterSeconds role acceptedResourceRoles dependencies container type docker networks mode fetch version image volumes \
        containerPath hostPath secret secrets source portMappings containerPort hostPort parameters key uris uri destPath \
        readinessChecks portName check http tcp exec shell argv resourceLimits tty ipAddress networkName discovery network \
        linuxInfo seccomp ipcInfo pullConfig executor";
    let names: Vec<&str> = names.split_whitespace().collect();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        prop::sample::select(vec![
            "/a",
            "..",
            "host",
            "LIKE",
            "UNIQUE",
            "hostname",
            "HTTP",
            "disabled",
            "tcp",
            "*",
            "MESOS",
            "BRIDGE",
            "container/bridge",
            "RW",
            "http://x/y",
            "unlimited"
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
        for field in ["env", "labels", "cpus", "mem", "instances", "constraints", "upgradeStrategy", "killSelection", "fetch",
                      "backoffSeconds", "dependencies"] {
            let patch = json!({field: other.get(field).cloned().unwrap_or(Value::Null)});
            let after = update::merge(&spec, &patch, &Defaults::default()).unwrap();
            let (mut expected, after) = (shown(&spec), shown(&after));
            if !patch[field].is_null() {
                expected[field] = patch[field].clone();
                // A limit goes along with what it is a limit of.
                if expected["resourceLimits"][field].is_number() {
                    expected["resourceLimits"][field] = patch[field].clone();
                }
            }
            prop_assert_eq!(after, expected);
        }
    }
}
