//! Definitions read, and refused in Marathon's words.

use hansa_api::marathon::{Defaults, Problem, parse_app};
use hansa_model::Timestamp;
use hansa_model::app::{AppSpec, CheckPort, Constraint, Operator, Probe, UnreachableStrategy};
use hansa_model::resources::MIB;
use hansa_model::spec::Command;
use serde_json::{Value, json};

fn read(json: Value) -> Result<AppSpec, Problem> {
    parse_app(&json, &Defaults::default())
}

/// A definition that is fine, with some fields more.
fn with(fields: Value) -> Value {
    let mut app = json!({"id": "/a", "cmd": "sleep 1"});
    for (name, value) in fields.as_object().unwrap() {
        app[name] = value.clone();
    }
    app
}

/// The faults of a definition as `path: error`, one a line.
fn faults(json: Value) -> String {
    let problem = read(json.clone()).expect_err(&json.to_string());
    let mut lines = vec![format!("{} {}", problem.status, problem.message())];
    for detail in problem.body["details"].as_array().unwrap() {
        for error in detail["errors"].as_array().unwrap() {
            lines.push(format!("{}: {}", detail["path"].as_str().unwrap(), error.as_str().unwrap()));
        }
    }
    lines.join("\n")
}

#[track_caller]
fn wrong_type(fields: Value, expected: &str) {
    assert_eq!(faults(with(fields)), format!("422 Invalid JSON\n{expected}"));
}

#[track_caller]
fn not_valid(fields: Value, expected: &str) {
    assert_eq!(faults(with(fields)), format!("422 Object is not valid\n{expected}"));
}

#[test]
fn a_small_definition_has_marathons_defaults() {
    let spec = read(json!({"id": "web", "cmd": "sleep 1"})).unwrap();
    assert_eq!(spec.id.as_str(), "/web");
    assert_eq!(spec.command, Command::Shell("sleep 1".into()));
    assert_eq!((spec.cpus_milli, spec.mem, spec.disk, spec.gpus, spec.instances), (1000, 128 * MIB, 0, 0, 1));
    assert_eq!(spec.ports.len(), 1);
    assert_eq!((spec.ports[0].port, spec.ports[0].name.as_deref()), (0, Some("default")));
    assert_eq!(
        (spec.backoff.initial_ms, spec.backoff.factor_milli, spec.backoff.max_ms),
        (1000, 1150, 300_000)
    );
    assert_eq!((spec.upgrade.minimum_health_milli, spec.upgrade.maximum_over_milli), (1000, 1000));
    assert_eq!(spec.unreachable, UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 });
    assert_eq!((spec.kill_grace_ms, spec.kill_grace_given), (3000, false));
    assert_eq!((spec.role.as_str(), spec.accepted_roles), ("*", None));
}

#[test]
fn a_full_definition_is_read_field_by_field() {
    let spec = read(json!({
        "id": "/shop/web",
        "args": ["/bin/web", "--port", "$PORT0"],
        "user": "nobody",
        "env": {"A": "1", "EMPTY": ""},
        "labels": {"VIP": "x", "HANSA_CPU_QUOTA": "true"},
        "cpus": 0.1, "mem": 32.5, "disk": 10, "gpus": 1, "instances": 3, "executor": "//cmd",
        "constraints": [["hostname", "unique"], ["rack", "LIKE", "r[12]"], ["hostname", "UNIQUE"]],
        "portDefinitions": [{"port": 8080, "name": "http", "labels": {"VIP_0": "/web:80"}}, {"protocol": "UDP"}],
        "requirePorts": true,
        "healthChecks": [
            {"path": "health", "gracePeriodSeconds": 5},
            {"protocol": "command", "command": {"value": "true"}},
            {"protocol": "MESOS_TCP", "port": 99},
        ],
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25},
        "backoffSeconds": 2, "backoffFactor": 1.5, "maxLaunchDelaySeconds": 60,
        "killSelection": "oldest_first",
        "unreachableStrategy": {"inactiveAfterSeconds": 10, "expungeAfterSeconds": 20},
        "taskKillGracePeriodSeconds": 7,
        "role": "shop", "acceptedResourceRoles": ["shop", "*"],
        "dependencies": ["db", "/cache", "/cache"],
    }))
    .unwrap();
    assert_eq!(spec.command, Command::Argv(vec!["/bin/web".into(), "--port".into(), "$PORT0".into()]));
    assert_eq!((spec.cpus_milli, spec.mem, spec.disk), (100, 32 * MIB + MIB / 2, 10 * MIB));
    assert!(spec.cpu_quota && spec.require_ports && spec.kill_grace_given);
    let unique = Constraint { field: "hostname".into(), operator: Operator::Unique, value: None };
    assert_eq!(spec.constraints.len(), 2, "the same constraint twice counts once");
    assert_eq!(spec.constraints[0], unique);
    assert_eq!(spec.ports[0].labels["VIP_0"], "/web:80");
    assert_eq!((spec.ports[1].port, spec.ports[1].protocol.as_str()), (0, "udp"));
    let [http, command, tcp] = spec.health_checks.as_slice() else { panic!("{:?}", spec.health_checks) };
    assert_eq!(http.probe, Probe::Http { path: "/health".into(), ignore_1xx: false, tls: false });
    assert_eq!((http.protocol.as_str(), http.port), ("HTTP", Some(CheckPort::Index(0))));
    assert_eq!(
        (http.grace_ms, http.interval_ms, http.timeout_ms, http.delay_ms),
        (5000, 60_000, 20_000, 15_000)
    );
    assert_eq!((command.port, &command.probe), (None, &Probe::Command { command: "true".into() }));
    assert_eq!(tcp.port, Some(CheckPort::Number(99)));
    assert_eq!(spec.unreachable, UnreachableStrategy::After { inactive_ms: 10_000, expunge_ms: 20_000 });
    let dependencies: Vec<&str> = spec.dependencies.iter().map(|id| id.as_str()).collect();
    assert_eq!(dependencies, ["/cache", "/shop/db"]);
}

#[test]
fn unknown_fields_and_nulls_do_not_matter() {
    let plain = read(with(json!({}))).unwrap();
    let noisy = with(json!({
        "maintainer": "me", "tasksRunning": 3, "cpus": null, "args": null, "args ": 1,
        "portDefinitions": null, "healthChecks": [], "version": "2015-09-30T09:09:17.614Z",
        "upgradeStrategy": null, "versionInfo": {"x": 1}, "deployments": [{"id": "x"}],
    }));
    assert_eq!(read(noisy).unwrap(), plain);
}

#[test]
fn values_that_ask_for_nothing_pass() {
    let plain = read(with(json!({}))).unwrap();
    for nothing in [
        json!({"container": null}),
        json!({"container": {"type": "MESOS", "volumes": [], "docker": null, "linuxInfo": {}}}),
        json!({"container": {"type": "MESOS", "linuxInfo": {"seccomp": null, "ipcInfo": {"mode": "PRIVATE"}}}}),
        json!({"fetch": [], "uris": [], "storeUrls": []}),
        json!({"networks": [{"mode": "host"}]}),
        json!({"networks": []}),
        json!({"executor": ""}),
        json!({"executorResources": {"cpus": 0.1, "mem": 32}}),
        json!({"secrets": {}, "readinessChecks": [], "check": null, "residency": null, "tty": false}),
        json!({"resourceLimits": {"cpus": null}, "ipAddress": null}),
    ] {
        let read = read(with(nothing.clone())).unwrap();
        assert_eq!(AppSpec { container: None, ..read.clone() }, plain, "{nothing}");
        assert_eq!(read.group(Timestamp(1)), plain.group(Timestamp(1)), "{nothing}");
    }
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let no = "not supported by this version of Hansa";
    let networks = "named container networks (use the mode container/bridge, or host)";
    let volume = |kind: &str| json!({"container": {"type": "MESOS", "volumes": [{"containerPath": "x", "mode": "RW", (kind): {}}]}});
    let linux = |info: Value| json!({"container": {"type": "MESOS", "linuxInfo": info}});
    for (fields, path, feature) in [
        (volume("persistent"), "/container/volumes(0)/persistent", "persistent volumes"),
        (volume("external"), "/container/volumes(0)/external", "external volumes"),
        (json!({"networks": [{"name": "dcos"}]}), "/networks", networks),
        (json!({"ipAddress": {"networkName": "x"}}), "/ipAddress", networks),
        (
            json!({"container": {"docker": {"image": "x", "network": "USER"}}}),
            "/container/docker/network",
            networks,
        ),
        (
            json!({"fetch": [{"uri": "hdfs://x/y"}]}),
            "/fetch(0)/uri",
            "fetching 'hdfs://x/y' (http, https, file and absolute paths are)",
        ),
        (json!({"residency": {"taskLostBehavior": "WAIT_FOREVER"}}), "/residency", "persistent volumes"),
        (json!({"executor": "/my/own"}), "/executor", "custom executors"),
        (
            json!({"executorResources": {"cpus": 1}}),
            "/executorResources",
            "resources for executors (there are none)",
        ),
        (
            linux(json!({"seccomp": {"unconfined": true}})),
            "/container/linuxInfo/seccomp",
            "choosing a seccomp profile",
        ),
        (
            linux(json!({"ipcInfo": {"mode": "SHARE_PARENT"}})),
            "/container/linuxInfo/ipcInfo",
            "choosing how memory is shared",
        ),
        (
            json!({"resourceLimits": {"cpus": 2}}),
            "/resourceLimits/cpus",
            "a limit of CPU time above the request (say \"unlimited\", or the request itself)",
        ),
        (
            json!({"resourceLimits": {"mem": "unlimited"}}),
            "/resourceLimits/mem",
            "a limit of memory above the request (say the request itself)",
        ),
    ] {
        not_valid(fields, &format!("{path}: {no}: {feature}"));
    }
}

#[test]
fn wrong_types_have_plays_codes() {
    assert_eq!(faults(json!([])), "422 Invalid JSON\n/: error.expected.jsobject");
    assert_eq!(faults(json!({"cmd": "sleep 1"})), "422 Invalid JSON\n/id: error.path.missing");
    wrong_type(json!({"id": 1}), "/id: error.expected.jsstring");
    wrong_type(json!({"cmd": ["x"]}), "/cmd: error.expected.jsstring");
    wrong_type(json!({"args": "x"}), "/args: error.expected.jsarray");
    wrong_type(json!({"args": ["x", 1]}), "/args(1): error.expected.jsstring");
    wrong_type(json!({"cpus": "1"}), "/cpus: error.expected.jsnumber");
    wrong_type(json!({"cpus": 0}), "/cpus: error.min");
    wrong_type(json!({"mem": -1}), "/mem: error.min");
    wrong_type(json!({"mem": 1e300}), "/mem: error.max");
    wrong_type(json!({"instances": 1.5}), "/instances: error.expected.int");
    wrong_type(json!({"instances": "2"}), "/instances: error.expected.jsnumber");
    wrong_type(json!({"instances": -1}), "/instances: error.min");
    wrong_type(json!({"instances": 3_000_000_000u64}), "/instances: error.max");
    wrong_type(json!({"instances": u64::MAX}), "/instances: error.expected.int");
    wrong_type(json!({"env": {"A": 1}}), "/env/A: error.expected.jsstring");
    wrong_type(json!({"labels": []}), "/labels: error.expected.jsobject");
    wrong_type(json!({"requirePorts": "yes"}), "/requirePorts: error.expected.jsboolean");
    wrong_type(json!({"ports": [70000]}), "/ports(0): error.max");
    wrong_type(
        json!({"portDefinitions": [{"protocol": "tcp,udp"}]}),
        "/portDefinitions(0)/protocol: error.unknown.enum.literal",
    );
    wrong_type(json!({"portDefinitions": [{"name": "Web"}]}), "/portDefinitions(0)/name: error.pattern");
    wrong_type(
        json!({"portDefinitions": [{"port": "80"}]}),
        "/portDefinitions(0)/port: error.expected.jsnumber",
    );
    wrong_type(json!({"constraints": ["x"]}), "/constraints(0): error.expected.jsarray");
    wrong_type(json!({"constraints": [["a", "MAX_PER", 1]]}), "/constraints(0)(2): error.expected.jsstring");
    wrong_type(
        json!({"healthChecks": [{"protocol": "GRPC"}]}),
        "/healthChecks(0)/protocol: error.unknown.enum.literal",
    );
    wrong_type(
        json!({"upgradeStrategy": {"minimumHealthCapacity": 1}}),
        "/upgradeStrategy/maximumOverCapacity: error.path.missing",
    );
    wrong_type(json!({"killSelection": "RANDOM"}), "/killSelection: error.unknown.enum.literal");
    wrong_type(json!({"unreachableStrategy": "enabled"}), "/unreachableStrategy: error.unknown.enum.literal");
    wrong_type(json!({"backoffFactor": 0.5}), "/backoffFactor: error.min");
    wrong_type(
        json!({"cpus": true, "mem": "x"}),
        "/cpus: error.expected.jsnumber\n/mem: error.expected.jsnumber",
    );
    // Types come before rules.
    wrong_type(json!({"cmd": "x", "cpus": "1"}), "/cpus: error.expected.jsnumber");
    wrong_type(json!({"cmd": ""}), "/cmd: error.minLength");
}

#[test]
fn broken_rules_have_marathons_words() {
    let either = "/: AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    assert_eq!(faults(json!({"id": "/a"})), format!("422 Object is not valid\n{either}"));
    not_valid(json!({"args": ["x"]}), either);
    not_valid(json!({"cmd": "x"}), "/: must not be an empty string");
    not_valid(json!({"cmd": "a\u{0}b"}), "/cmd: must not contain a NUL character");
    not_valid(
        json!({"id": "/Bad"}),
        r"/id: must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'",
    );
    not_valid(json!({"id": "/"}), "/id: Path must contain at least one path element");
    not_valid(
        json!({"id": "/a/tasks"}),
        "/id: must not end with any of the following reserved keywords: restart, tasks, versions, ., ..",
    );
    not_valid(
        json!({"upgradeStrategy": {"minimumHealthCapacity": 1.2, "maximumOverCapacity": 0}}),
        "/upgradeStrategy/minimumHealthCapacity: got 1.2, expected between 0.0 and 1.0",
    );
    not_valid(
        json!({"unreachableStrategy": {"inactiveAfterSeconds": 9, "expungeAfterSeconds": 3}}),
        "/unreachableStrategy/inactiveAfterSeconds: inactiveAfterSeconds (9) must be less or equal to expungeAfterSeconds, which is 3",
    );
    not_valid(json!({"acceptedResourceRoles": []}), "/acceptedResourceRoles: must not be empty");
    not_valid(
        json!({"acceptedResourceRoles": ["x"]}),
        "/acceptedResourceRoles: acceptedResourceRoles can only contain * and *",
    );
    not_valid(json!({"role": "a b"}), "/role: 'a b' is not a valid role name");
    not_valid(json!({"env": {"A=B": "x"}}), "/env/A=B: must not contain '=' or a NUL character");
    not_valid(json!({"env": {"A": {"secret": "x"}}}), "/env/A/secret: references an undefined secret");
    not_valid(
        json!({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2, "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0}}),
        "/: Single instance app may only have one instance\n/upgradeStrategy/minimumHealthCapacity: got 1.0, expected 0.0",
    );
    not_valid(
        json!({"labels": {"DCOS_MIGRATION_API_VERSION": "v1"}}),
        "/: DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION",
    );
    not_valid(json!({"container": {"type": "DOCKER"}}), "/container/docker: not defined");
    not_valid(
        json!({"networks": [{"mode": "host", "name": "x"}]}),
        "/networks: Host networks may not have names or labels",
    );
}

#[test]
fn ports_have_rules() {
    not_valid(json!({"ports": [80, 80]}), "/: ports must be unique");
    not_valid(
        json!({"portDefinitions": [{"port": 80}, {"port": 80}]}),
        "/portDefinitions: Ports must be unique.",
    );
    not_valid(
        json!({"portDefinitions": [{"name": "a"}, {"name": "a"}]}),
        "/portDefinitions: Port names must be unique.",
    );
    not_valid(
        json!({"ports": [1], "portDefinitions": [{"port": 2}]}),
        "/: cannot specify both ports and port definitions",
    );
    let both =
        read(with(json!({"ports": [80, 0], "portDefinitions": [{"port": 80, "name": "x"}, {}]}))).unwrap();
    assert_eq!(both.ports[0].name.as_deref(), Some("x"), "equivalent ones may stand together");
    let old = read(with(json!({"ports": [0, 8080]}))).unwrap();
    assert_eq!(old.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [0, 8080]);
    assert_eq!(read(with(json!({"ports": []}))).unwrap().ports, []);
    let many: Vec<u16> = vec![0; 2000];
    not_valid(json!({"ports": many}), "/portDefinitions: got 2000, expected 1024 or less");
}

#[test]
fn health_checks_have_rules() {
    let index =
        "Health check port indices must address an element of the ports array or container port mappings.";
    not_valid(json!({"healthChecks": [{"portIndex": 1}]}), &format!("/healthChecks(0): {index}"));
    not_valid(
        json!({"ports": [], "healthChecks": [{"protocol": "TCP"}]}),
        &format!("/healthChecks(0): {index}"),
    );
    not_valid(
        json!({"ports": [], "healthChecks": [{"protocol": "MESOS_TCP"}]}),
        "/healthChecks(0): HealthCheck must specify either a port or a portIndex",
    );
    not_valid(json!({"healthChecks": [{"protocol": "COMMAND"}]}), "/healthChecks(0)/command: not defined");
    not_valid(
        json!({"healthChecks": [{"command": {"value": "true"}}]}),
        "/healthChecks(0)/command: is only allowed with protocol COMMAND",
    );
    not_valid(
        json!({"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}]}),
        "/: AppDefinition can contain at most one Mesos health check",
    );
    not_valid(
        json!({"healthChecks": [{"ipProtocol": "IPv6"}]}),
        "/healthChecks(0): IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
    );
    assert!(read(with(json!({"healthChecks": [{"protocol": "TCP"}, {"protocol": "HTTP"}]}))).is_ok());
}

#[test]
fn constraints_have_rules() {
    for (constraint, words) in [
        (json!(["hostname"]), "Each constraint must have either 2 or 3 fields"),
        (json!(["a", "LIKE", "b", "c"]), "Each constraint must have either 2 or 3 fields"),
        (json!(["", "UNIQUE"]), "illegal constraint specification"),
        (
            json!(["hostname", "NEAR"]),
            "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
        ),
        (json!(["hostname", "UNIQUE", "x"]), "UNIQUE does not accept a value"),
        (json!(["rack", "GROUP_BY", "x"]), "GROUP BY must define an integer value or else no value at all"),
        (json!(["rack", "MAX_PER"]), "MAX_PER requires an integer value"),
        (json!(["rack", "MAX_PER", "1.5"]), "MAX_PER requires an integer value"),
        (json!(["rack", "LIKE"]), "LIKE and UNLIKE require a non-empty, regular expression value"),
        (json!(["rack", "UNLIKE", "("]), "is not a valid regular expression"),
        (
            json!(["rack", "IS", "[1-2]"]),
            "IS only supports Mesos text and float values (see http://mesos.apache.org/documentation/latest/attributes-resources/)",
        ),
    ] {
        not_valid(json!({"constraints": [constraint]}), &format!("/constraints(0): {words}"));
    }
    let spec =
        read(with(json!({"constraints": [["rack", "CLUSTER", ""], ["@zone", "Max_Per", "2"]]}))).unwrap();
    assert_eq!(
        (spec.constraints[0].value.as_deref(), spec.constraints[1].operator),
        (None, Operator::MaxPer)
    );
}

#[test]
fn roles_can_be_bound_to_groups() {
    let defaults = Defaults { enforce_group_role: true, ..Defaults::default() };
    let read = |role: &str| parse_app(&json!({"id": "/dev/a/b", "cmd": "sleep 1", "role": role}), &defaults);
    assert!(read("dev").is_ok() && read("*").is_ok());
    assert_eq!(
        read("prod").unwrap_err().body["details"][0]["errors"][0],
        "got prod, expected one of: [*, dev]"
    );
}
