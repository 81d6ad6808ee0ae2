//! Containers, networks, artifacts, secrets and checks: read from today's spellings and from old ones, and shown.

use hansa_api::marathon::{Defaults, Problem, parse_app, render};
use hansa_model::Timestamp;
use hansa_model::app::{AppSpec, CheckPort, NetworkMode, Question, ReadinessCheck, ResourceLimit};
use hansa_model::container::{ContainerSpec, Engine, NetworkSpec, Parameter, Volume};
use hansa_model::resources::PortDemand;
use hansa_model::spec::Command;
use serde_json::{Value, json};

fn read(json: Value) -> Result<AppSpec, Problem> {
    parse_app(&json, &Defaults::default())
}

fn shown(spec: &AppSpec) -> Value {
    Value::Object(render::app::definition(spec))
}

/// The only fault, as `path: words`.
fn fault(json: Value) -> String {
    let problem = read(json.clone()).expect_err(&json.to_string());
    let details = problem.body["details"].as_array().unwrap().clone();
    let lines: Vec<String> = details
        .iter()
        .flat_map(|detail| {
            let path = detail["path"].as_str().unwrap();
            detail["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |error| format!("{path}: {}", error.as_str().unwrap()))
        })
        .collect();
    lines.join("\n")
}

fn nginx() -> Value {
    json!({
        "id": "/web",
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": "nginx:1", "forcePullImage": true, "privileged": true,
                "parameters": [{"key": "shm-size", "value": "64m"}],
            },
            "portMappings": [
                {"containerPort": 80, "hostPort": 0, "servicePort": 10080, "name": "http", "labels": {"VIP_0": "/web:80"}},
                {"containerPort": 53, "hostPort": 5353, "protocol": "udp,tcp"},
                {"containerPort": 9000},
            ],
            "volumes": [{"containerPath": "/data", "hostPath": "/srv/data", "mode": "ro"}],
        },
        "networks": [{"mode": "container/bridge", "labels": {"a": "b"}}],
        "requirePorts": true,
    })
}

#[test]
fn an_image_with_mapped_ports() {
    let spec = read(nginx()).unwrap();
    assert_eq!(spec.command, Command::Argv(vec![]), "the image's own command");
    let container = spec.container.clone().unwrap();
    let image = container.image.clone().unwrap();
    assert_eq!((container.engine, container.privileged), (Engine::Docker, true));
    assert_eq!((image.reference.as_str(), image.force_pull), ("nginx:1", true));
    assert_eq!(container.parameters, [Parameter { key: "shm-size".into(), value: "64m".into() }]);
    assert_eq!(
        container.volumes,
        [Volume::Host { container_path: "/data".into(), host_path: "/srv/data".into(), read_only: true }]
    );
    assert!(!spec.require_ports, "only the machine's own network has ports to require");
    let hosts: Vec<_> = spec.ports.iter().map(|port| port.mapping.as_ref().unwrap().host_port).collect();
    assert_eq!(hosts, [Some(0), Some(5353), Some(0)], "on the bridge there always is a host port");
    let group = spec.group(Timestamp(1));
    assert_eq!(group.tasks[0].demand.ports, [PortDemand::Any, PortDemand::Exact(5353), PortDemand::Any]);
    assert!(matches!(&group.tasks[0].network, NetworkSpec::Bridge { mappings } if mappings.len() == 3));
}

#[test]
fn a_container_is_shown_as_marathon_shows_it() {
    let shown = shown(&read(nginx()).unwrap());
    assert_eq!(
        shown["container"],
        json!({
            "type": "DOCKER",
            "docker": {
                "image": "nginx:1", "forcePullImage": true, "privileged": true,
                "parameters": [{"key": "shm-size", "value": "64m"}],
            },
            "volumes": [{"containerPath": "/data", "hostPath": "/srv/data", "mode": "RO"}],
            "portMappings": [
                {"containerPort": 80, "hostPort": 0, "servicePort": 10080, "protocol": "tcp", "name": "http",
                 "labels": {"VIP_0": "/web:80"}},
                {"containerPort": 53, "hostPort": 5353, "servicePort": 0, "protocol": "udp,tcp", "labels": {}},
                {"containerPort": 9000, "hostPort": 0, "servicePort": 0, "protocol": "tcp", "labels": {}},
            ],
        })
    );
    assert_eq!(shown["networks"], json!([{"mode": "container/bridge", "labels": {"a": "b"}}]));
    assert_eq!((shown.get("portDefinitions"), shown.get("cmd"), shown.get("args")), (None, None, None));
    assert_eq!(shown["requirePorts"], json!(false));
}

#[test]
fn old_spellings_of_networks_and_ports() {
    let docker = |network: &str, mappings: Value| json!({"id": "/a", "container": {"docker": {"image": "x", "network": network, "portMappings": mappings}}});
    let bridge = read(docker("bridge", json!([{"containerPort": 80, "servicePort": 9000}]))).unwrap();
    assert_eq!((bridge.networks[0].mode, bridge.ports[0].port), (NetworkMode::Bridge, 9000));
    assert_eq!(bridge.ports[0].mapping.as_ref().unwrap().host_port, Some(0));
    let host = read(docker("HOST", json!([{"containerPort": 80}]))).unwrap();
    assert_eq!(
        (host.networks.len(), host.ports[0].name.as_deref()),
        (0, Some("default")),
        "mappings are dropped"
    );
    let unsaid = read(docker("BRIDGE", Value::Null)).unwrap();
    assert_eq!((unsaid.ports.len(), unsaid.ports[0].name.as_deref()), (1, Some("default")));
    assert_eq!(read(docker("BRIDGE", json!([]))).unwrap().ports, [], "an empty list means no ports");

    // `ports` say how many, and their service ports are forgotten, as Marathon does.
    let mut counted = docker("BRIDGE", Value::Null);
    counted["ports"] = json!([1000, 2000, 3000]);
    let counted = read(counted).unwrap();
    assert_eq!(
        counted.ports.iter().map(|port| port.name.as_deref()).collect::<Vec<_>>(),
        [Some("default"), None, None]
    );

    let address = read(json!({
        "id": "/a", "cmd": "sleep 1",
        "ipAddress": {"networkName": "mesos-bridge", "labels": {"x": "y"},
                      "discovery": {"ports": [{"number": 80, "name": "http", "protocol": "tcp"}]}},
    }))
    .unwrap();
    assert_eq!(
        (address.networks[0].mode, address.networks[0].labels["x"].as_str()),
        (NetworkMode::Bridge, "y")
    );
    assert_eq!(address.ports[0].mapping.as_ref().unwrap().container_port, 80);
    assert_eq!(shown(&address)["container"]["type"], "MESOS");

    let plain =
        read(json!({"id": "/a", "cmd": "sleep 1", "networks": [{"mode": "container/bridge"}]})).unwrap();
    assert_eq!(
        (plain.container.clone(), plain.ports.len()),
        (Some(ContainerSpec::default()), 1),
        "a container comes along by itself"
    );
    assert_eq!(read(shown(&plain)).unwrap().ports, plain.ports);
}

#[test]
fn old_spellings_do_not_go_with_new_ones() {
    let app = |fields: Value| {
        let mut app = json!({"id": "/a", "cmd": "sleep 1"});
        for (name, value) in fields.as_object().unwrap() {
            app[name] = value.clone();
        }
        fault(app)
    };
    let docker = |docker: Value| json!({"type": "DOCKER", "docker": docker});
    assert_eq!(
        app(
            json!({"container": docker(json!({"image": "x", "network": "HOST"})), "networks": [{"mode": "host"}]})
        ),
        "/: must not specify both container.docker.network and networks"
    );
    assert_eq!(
        app(json!({"container": docker(json!({"image": "x", "network": "NONE"}))})),
        "/: unsupported docker network type NONE"
    );
    assert_eq!(
        app(json!({"ipAddress": {}, "networks": [{"mode": "host"}]})),
        "/: must not specify both networks and ipAddress"
    );
    assert_eq!(app(json!({"ipAddress": {}, "ports": [1]})), "/: cannot specify both an IP address and port");
    assert_eq!(
        app(json!({"ipAddress": {"discovery": {}}, "container": docker(json!({"image": "x"}))})),
        "/ipAddress: ipAddress/discovery is not allowed for Docker containers"
    );
    assert_eq!(
        app(
            json!({"container": {"docker": {"image": "x", "network": "BRIDGE", "portMappings": [{}]}, "portMappings": [{}]}})
        ),
        "/: cannot specify both portMappings and docker.portMappings"
    );
    assert_eq!(
        app(
            json!({"container": {"type": "MESOS", "docker": {"image": "x", "network": "HOST", "parameters": [{"key": "a", "value": "b"}]}}})
        ),
        "/container/docker/network: must be empty\n/container/docker/parameters: must be empty"
    );
    assert_eq!(
        app(json!({"uris": ["/a b"], "fetch": [{"uri": "http://x"}]})),
        "/uris(0): URI has invalid syntax.\n/uris: may not be set in conjunction with fetch"
    );
    // Old spellings are checked before the rest.
    assert_eq!(app(json!({"cmd": "x", "ports": [1, 1]})), "/: ports must be unique");
}

#[test]
fn networks_and_mappings_have_rules() {
    let app = |networks: Value, mappings: Value| {
        fault(json!({
            "id": "/a", "networks": networks,
            "container": {"type": "MESOS", "docker": {"image": "x"}, "portMappings": mappings},
        }))
    };
    let bridge = || json!([{"mode": "container/bridge"}]);
    assert_eq!(
        app(json!([{"mode": "container/bridge", "name": "x"}]), Value::Null),
        "/networks: Bridge networks may not have names"
    );
    assert_eq!(
        app(json!([{"mode": "container/bridge"}, {"mode": "host"}]), Value::Null),
        "/networks: May specify a single host network, single bridge network, or else 1-to-n container networks"
    );
    let named = "not supported by this version of Hansa: named container networks (use the mode container/bridge, or host)";
    assert_eq!(
        app(json!([{"name": "x"}, {"name": "x"}]), Value::Null),
        format!("/networks: Duplicate networks are not allowed\n/networks: {named}")
    );
    assert_eq!(
        app(json!([{}]), Value::Null),
        format!(
            "/networks: Network name must be specified when container network is selected.\n/networks: {named}"
        )
    );
    assert_eq!(
        app(json!([{"mode": "container/bridge", "name": "a b"}]), Value::Null),
        "/networks(0)/name: error.pattern"
    );
    assert_eq!(
        app(bridge(), json!([{"name": "a"}, {"name": "a"}])),
        "/container/portMappings: Port names must be unique."
    );
    assert_eq!(
        app(bridge(), json!([{"networkNames": ["x"]}])),
        "/container/portMappings(0)/networkNames(0): is not one of ()"
    );
    assert_eq!(app(bridge(), json!([{"hostPort": 70000}])), "/container/portMappings(0)/hostPort: error.max");
    assert_eq!(
        app(bridge(), json!([{"protocol": "sctp"}])),
        "/container/portMappings(0)/protocol: error.unknown.enum.literal"
    );
}

#[test]
fn containers_have_rules() {
    let app = |container: Value| fault(json!({"id": "/a", "cmd": "sleep 1", "container": container}));
    assert_eq!(app(json!({"type": "LXC"})), "/container/type: error.unknown.enum.literal");
    assert_eq!(app(json!({"docker": {}})), "/container/docker/image: error.path.missing");
    assert_eq!(app(json!({"docker": {"image": ""}})), "/container/docker/image: error.minLength");
    assert_eq!(
        app(json!({"docker": {"image": "a b"}})),
        "/container/docker/image: must not contain blanks or control characters"
    );
    assert_eq!(
        app(json!({"docker": {"image": "x", "credential": {"principal": "me"}}})),
        "/container/docker/credential: must be empty"
    );
    assert_eq!(
        app(json!({"docker": {"image": "x", "parameters": [{"value": 1}]}})),
        "/container/docker/parameters(0)/key: error.path.missing\n/container/docker/parameters(0)/value: error.expected.jsstring"
    );
    let parameter = |key: &str| {
        app(
            json!({"docker": {"image": "x", "parameters": [{"key": "shm-size", "value": "1m"}, {"key": key, "value": "x"}]}}),
        )
    };
    for key in ["network", "no-such-option"] {
        let words = parameter(key);
        assert!(words.starts_with("/container/docker/parameters(1): ") && words.contains(key), "{words}");
    }
    let volume = |volume: Value| app(json!({"type": "MESOS", "volumes": [volume]}));
    assert_eq!(
        volume(json!({"containerPath": "/x"})),
        "/container/volumes(0)/hostPath: error.path.missing\n/container/volumes(0)/mode: error.path.missing"
    );
    assert_eq!(
        volume(json!({"containerPath": "../x", "hostPath": "/y", "mode": "RW"})),
        "/container/volumes(0)/containerPath: must not contain '..'"
    );
    let linux = |info: Value| app(json!({"type": "MESOS", "linuxInfo": info}));
    assert_eq!(
        linux(json!({"seccomp": {"profileName": "x", "unconfined": true}})),
        "/container/linuxInfo: Seccomp unconfined can NOT be true when Profile is defined"
    );
    assert_eq!(
        linux(json!({"seccomp": {"unconfined": false}})),
        "/container/linuxInfo: Seccomp unconfined must be true when Profile is NOT defined"
    );
    assert_eq!(
        linux(json!({"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 5}})),
        "/container/linuxInfo: ipcInfo shmSize can NOT be set when mode is SHARE_PARENT"
    );
    let either = "/: AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    assert_eq!(fault(json!({"id": "/a", "container": {"type": "MESOS"}})), either);
    assert_eq!(
        fault(json!({"id": "/a", "gpus": 1, "container": {"docker": {"image": "x"}}})),
        "/: GPU resources only work with the Mesos containerizer"
    );
    let tty = read(json!({"id": "/a", "cmd": "sleep 1", "tty": true})).unwrap();
    assert!(tty.container.as_ref().is_some_and(|container| container.tty));
    assert_eq!((shown(&tty).get("container"), &shown(&tty)["tty"]), (None, &json!(true)));
}

#[test]
fn artifacts() {
    let spec = read(json!({
        "id": "/a", "cmd": "sleep 1",
        "fetch": [
            {"uri": "http://x/a.tgz"},
            {"uri": "file:///b", "extract": false, "executable": true, "cache": true, "destPath": "bin/b",
             "sha256": "AB".repeat(32)},
        ],
    }))
    .unwrap();
    assert_eq!(
        shown(&spec)["fetch"],
        json!([
            {"uri": "http://x/a.tgz", "extract": true, "executable": false, "cache": false},
            {"uri": "file:///b", "extract": false, "executable": true, "cache": true, "destPath": "bin/b",
             "sha256": "ab".repeat(32)},
        ])
    );
    let old =
        read(json!({"id": "/a", "cmd": "sleep 1", "uris": ["http://x/a.tar.xz?y", "/etc/hosts"]})).unwrap();
    assert_eq!(old.fetch.iter().map(|one| one.extract).collect::<Vec<_>>(), [true, false]);
    assert_eq!(shown(&old).get("uris"), None);
    let wrong = |artifact: Value| fault(json!({"id": "/a", "cmd": "sleep 1", "fetch": [artifact]}));
    assert_eq!(wrong(json!({})), "/fetch(0)/uri: error.path.missing");
    assert_eq!(wrong(json!({"uri": ""})), "/fetch(0)/uri: error.minLength");
    assert_eq!(wrong(json!({"uri": format!("/{}", "x".repeat(1024))})), "/fetch(0)/uri: error.maxLength");
    assert_eq!(wrong(json!({"uri": "http://a b"})), "/fetch(0)/uri: URI has invalid syntax.");
    assert_eq!(
        wrong(json!({"uri": "/a", "destPath": "../b"})),
        "/fetch(0)/destPath: must be a path below the sandbox"
    );
    assert_eq!(
        wrong(json!({"uri": "/a", "sha256": "xy"})),
        "/fetch(0)/sha256: must be 64 hexadecimal digits"
    );
}

#[test]
fn secrets_are_references() {
    let app = |fields: Value| {
        let mut app = json!({
            "id": "/a", "cmd": "sleep 1",
            "secrets": {"login": {"source": "/team/registry"}, "token": {"source": "/team/token"}},
        });
        for (name, value) in fields.as_object().unwrap() {
            app[name] = value.clone();
        }
        app
    };
    let full = app(json!({
        "env": {"TOKEN": {"secret": "token"}, "PLAIN": "x"},
        "container": {
            "type": "MESOS",
            "docker": {"image": "x", "pullConfig": {"secret": "login"}},
            "volumes": [{"containerPath": "run/token", "secret": "token"}],
        },
    }));
    let spec = read(full.clone()).unwrap();
    assert_eq!(spec.secret_env["TOKEN"], "token");
    let task = &spec.group(Timestamp(1)).tasks[0];
    assert_eq!(task.secret_env["TOKEN"], "/team/token");
    assert_eq!(task.container.image.as_ref().unwrap().pull_secret.as_deref(), Some("/team/registry"));
    let shown = shown(&spec);
    assert_eq!((&shown["env"], &shown["secrets"]), (&full["env"], &full["secrets"]));
    assert_eq!(shown["container"]["docker"]["pullConfig"], json!({"secret": "login"}));
    assert_eq!(shown["container"]["volumes"], full["container"]["volumes"]);

    assert_eq!(
        fault(app(json!({"env": {"A": {"secret": "x"}}}))),
        "/env/A/secret: references an undefined secret"
    );
    assert_eq!(fault(app(json!({"env": {"A": {}}}))), "/env/A/secret: error.path.missing");
    assert_eq!(fault(app(json!({"secrets": {"a": {"source": ""}}}))), "/secrets/a/source: error.minLength");
    assert_eq!(fault(app(json!({"secrets": {"": {"source": "x"}}}))), "/secrets: must not be empty");
    let docker = |kind: &str, secret: &str| {
        app(json!({"container": {"type": kind, "docker": {"image": "x", "pullConfig": {"secret": secret}}}}))
    };
    assert_eq!(
        fault(docker("DOCKER", "login")),
        "/container/docker/pullConfig: pullConfig is not supported with Docker containerizer"
    );
    assert_eq!(
        fault(docker("MESOS", "x")),
        "/container/docker/pullConfig: pullConfig.secret must refer to an existing secret"
    );
    assert_eq!(
        fault(app(
            json!({"container": {"type": "MESOS", "volumes": [{"containerPath": "x", "secret": "y"}]}})
        )),
        "/container/volumes(0): volume.secret must refer to an existing secret"
    );
}

#[test]
fn readiness_checks() {
    let app = |check: Value| {
        json!({"id": "/a", "cmd": "sleep 1", "portDefinitions": [{"name": "http-api"}, {"name": "admin"}],
               "readinessChecks": [check]})
    };
    let default = ReadinessCheck {
        name: "readinessCheck".into(),
        tls: false,
        path: "/".into(),
        port_name: "http-api".into(),
        interval_ms: 30_000,
        timeout_ms: 10_000,
        ready_codes: vec![200],
        preserve_last_response: false,
    };
    // Packages write `interval` and `timeout`, which Marathon ignores.
    assert_eq!(read(app(json!({"interval": 5, "timeout": 1}))).unwrap().readiness_checks, [default]);
    let given = json!({
        "name": "up", "protocol": "HTTPS", "path": "/up", "portName": "admin", "intervalSeconds": 5, "timeoutSeconds": 4,
        "httpStatusCodesForReady": [200, 204], "preserveLastResponse": true,
    });
    assert_eq!(shown(&read(app(given.clone())).unwrap())["readinessChecks"], json!([given]));
    assert_eq!(
        fault(app(json!({"portName": "x"}))),
        "/readinessChecks(0)/portName: No port definition reference for portName x"
    );
    assert_eq!(
        fault(app(json!({"timeoutSeconds": 30}))),
        "/readinessChecks(0)/timeoutSeconds: got 30, expected less than 30"
    );
    assert_eq!(
        fault(app(json!({"httpStatusCodesForReady": [99]}))),
        "/readinessChecks(0)/httpStatusCodesForReady(0): error.min"
    );
    let mut two = app(json!({}));
    two["readinessChecks"] = json!([{}, {}]);
    assert_eq!(fault(two), "/readinessChecks: got 2, expected 1 or less");
}

#[test]
fn the_general_check() {
    let app = |check: Value| json!({"id": "/a", "cmd": "sleep 1", "check": check});
    let http = read(app(json!({"http": {"path": "/x", "scheme": "https"}}))).unwrap().check.unwrap();
    assert_eq!(http.question, Question::Http { path: "/x".into(), tls: true });
    assert_eq!((http.port, http.interval_ms, http.delay_ms), (Some(CheckPort::Index(0)), 60_000, 15_000));
    for given in [
        json!({"tcp": {"port": 80}, "intervalSeconds": 1, "timeoutSeconds": 2, "delaySeconds": 3}),
        json!({"exec": {"command": {"argv": ["a", "b"]}}, "intervalSeconds": 1, "timeoutSeconds": 2, "delaySeconds": 3}),
        json!({"exec": {"command": {"shell": "true"}}, "intervalSeconds": 1, "timeoutSeconds": 2, "delaySeconds": 3}),
    ] {
        assert_eq!(shown(&read(app(given.clone())).unwrap())["check"], given);
    }
    assert_eq!(fault(app(json!({}))), "/check: expected one of http, tcp or exec checks");
    assert_eq!(
        fault(app(json!({"tcp": {}, "http": {}}))),
        "/check: expected one of http, tcp or exec checks"
    );
    assert_eq!(
        fault(app(json!({"tcp": {"portIndex": 1}}))),
        "/check: check port index must address an element of the ports array or container port mappings."
    );
    let mut docker = app(json!({"tcp": {}}));
    docker["container"] = json!({"docker": {"image": "x"}});
    assert_eq!(fault(docker), "/: AppDefinition must not use 'checks' if using docker");
}

#[test]
fn limits_that_say_what_happens_anyway() {
    let app = |limits: Value| json!({"id": "/a", "cmd": "sleep 1", "cpus": 0.5, "mem": 64, "resourceLimits": limits});
    let same = read(app(json!({"cpus": 0.5, "mem": 64}))).unwrap();
    assert_eq!((same.cpu_quota, same.limits.cpus_milli), (true, Some(ResourceLimit::Amount(500))));
    assert_eq!(shown(&same)["resourceLimits"], json!({"cpus": 0.5, "mem": 64}));
    let unlimited = read(app(json!({"cpus": "unlimited"}))).unwrap();
    assert!(!unlimited.cpu_quota);
    assert_eq!(shown(&unlimited)["resourceLimits"], json!({"cpus": "unlimited"}));
    assert_eq!(
        fault(app(json!({"cpus": 0.4}))),
        "/resourceLimits/cpus: resource limit must be greater than or equal to requested resource (0.5)"
    );
    assert_eq!(
        fault(app(json!({"mem": "much"}))),
        "/resourceLimits/mem: 'much' is an invalid resource limit. It must be 'unlimited' or a number"
    );
}
