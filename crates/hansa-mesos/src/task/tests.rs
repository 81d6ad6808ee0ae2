//! Tasks as real clients send them, and what agents are told to run.

use super::*;
use crate::codec::{Codec, decode};
use crate::framework;
use hansa_model::app::{CheckPort, Probe, Question};
use hansa_model::container::{ContainerSpec, Engine, NetworkSpec, Parameter, Volume};
use hansa_model::spec::Command;

const CPU: &str = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}"#;
const MEM: &str = r#"{"name":"mem","type":"SCALAR","scalar":{"value":64}}"#;
const PORTS: &str = r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001}]}}"#;

fn of(user: &str) -> FrameworkInfo {
    let json = format!(r#"{{"user":"{user}","name":"n","id":{{"value":"F"}}}}"#);
    framework::read(&decode(Codec::Json, json.as_bytes()).unwrap()).unwrap()
}

fn asked_in(place: Place, rest: &str) -> TaskAsked {
    let json = format!(
        r#"{{"name":"t","task_id":{{"value":"t1"}},"agent_id":{{"value":"S"}},"resources":[{CPU},{MEM},{PORTS}],{rest}}}"#
    );
    read(
        &decode(Codec::Json, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")),
        &of("u"),
        place,
    )
}

fn asked(rest: &str) -> TaskAsked {
    asked_in(Place::Alone, rest)
}

fn spec(rest: &str) -> TaskSpec {
    *asked(rest).spec.unwrap_or_else(|error| panic!("{error}"))
}

fn refused(rest: &str) -> String {
    asked(rest).spec.expect_err("it cannot be run")
}

fn parameter(key: &str, value: &str) -> Parameter {
    Parameter { key: key.into(), value: value.into() }
}

fn argv(words: &[&str]) -> Command {
    Command::Argv(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn a_command_task_with_everything() {
    let task = asked(
        r#""command":{"value":"sleep 1 && true","user":"nobody",
            "environment":{"variables":[{"name":"A","value":"1"},{"name":"A","value":"2"},
                {"name":"S","type":"SECRET","secret":{"type":"VALUE","value":{"data":"aHVzaA=="}}}]},
            "uris":[{"value":"http://x/a.tgz"},{"value":"/b","extract":false,"executable":true,"cache":true,
                "output_file":"c/d"}]},
        "kill_policy":{"grace_period":{"nanoseconds":7500000000}},
        "max_completion_time":{"nanoseconds":60000000000},
        "labels":{"labels":[{"key":"k","value":"v"},{"key":"bare"}]},
        "limits":{"cpus":{"value":"Infinity"},"mem":{"value":128}}"#,
    );
    assert_eq!((task.id.as_str(), task.name.as_str(), task.agent.as_str()), ("t1", "t", "S"));
    assert!(task.executor.is_none());
    let spec = task.spec.unwrap();
    assert_eq!(spec.command, Command::Shell("sleep 1 && true".into()));
    assert_eq!(spec.user.as_deref(), Some("nobody"));
    assert_eq!(
        spec.env,
        BTreeMap::from([("A".to_owned(), "2".to_owned()), ("S".to_owned(), "hush".to_owned())])
    );
    assert_eq!((spec.artifacts[0].uri.as_str(), spec.artifacts[0].extract), ("http://x/a.tgz", true));
    let second = &spec.artifacts[1];
    assert_eq!((second.extract, second.executable, second.cache), (false, true, true));
    assert_eq!(second.dest_path.as_deref(), Some("c/d"));
    assert_eq!((spec.kill_grace_ms, spec.max_run_ms), (7_500, Some(60_000)));
    assert_eq!(spec.labels["bare"], "");
    assert_eq!(spec.limits, Limits { cpus_milli: Some(u64::MAX), mem: Some(128 * MIB) });
    assert_eq!((spec.demand.cpus_milli, spec.demand.mem), (500, 64 * MIB));
    assert_eq!(spec.demand.ports, [PortDemand::Exact(31_000), PortDemand::Exact(31_001)]);
    let raw: v1::TaskInfo = decode(Codec::Protobuf, task.info.bytes()).unwrap();
    assert_eq!(raw.task_id.value, "t1");
}

#[test]
fn commands_with_and_without_a_shell_and_an_image() {
    let mesos = r#""container":{"type":"MESOS","mesos":{"image":{"type":"DOCKER","docker":{"name":"i"}}}}"#;
    let docker = r#""container":{"type":"DOCKER","docker":{"image":"i"}}"#;
    let direct = r#""command":{"shell":false,"value":"/bin/p","arguments":["p","-x","y z"]}"#;
    assert_eq!(spec(direct).command, argv(&["/bin/p", "-x", "y z"]), "the first is what it is called");
    let in_image = spec(&format!("{direct},{mesos}"));
    assert_eq!(in_image.command, argv(&["-x", "y z"]));
    assert_eq!(
        in_image.container.parameters,
        [parameter("entrypoint", "/bin/p")],
        "in the place of the image's"
    );
    assert_eq!(spec(&format!("{direct},{docker}")).command, argv(&["/bin/p", "p", "-x", "y z"]));
    let only_arguments = r#""command":{"shell":false,"arguments":["a","b"]}"#;
    assert_eq!(spec(&format!("{only_arguments},{docker}")).command, argv(&["a", "b"]));
    let nothing = r#""command":{"shell":false}"#;
    assert_eq!(spec(&format!("{nothing},{docker}")).command, argv(&[]));
    assert!(refused(nothing).contains("no image"));
    assert!(refused(r#""command":{}"#).contains("'value' must be set"));
    // The framework's user, but not in Docker's containers, where the image says.
    assert_eq!(spec(direct).user.as_deref(), Some("u"));
    assert_eq!(spec(&format!("{direct},{docker}")).user, None);
    assert_eq!(spec(&format!("{direct},{mesos}")).user.as_deref(), Some("u"));
}

#[test]
fn a_docker_task_as_mesos_compose_sends_it() {
    let spec = spec(
        r#""command":{"shell":false},
        "container":{"type":"DOCKER","hostname":"web-1","docker":{"image":"nginx:1","network":"BRIDGE",
            "force_pull_image":true,"privileged":true,
            "port_mappings":[{"host_port":31001,"container_port":80},
                {"host_port":31000,"container_port":53,"protocol":"UDP"}],
            "parameters":[{"key":"cap-add","value":"NET_ADMIN"}]},
            "volumes":[{"container_path":"/data","host_path":"/srv","mode":"RO"},
                {"container_path":"/x","mode":"RW","source":{"type":"HOST_PATH","host_path":{"path":"x"}}},
                {"container_path":"/y","mode":"RW","source":{"type":"DOCKER_VOLUME",
                    "docker_volume":{"driver":"local","name":"/srv/y"}}},
                {"container_path":"/z","mode":"RO","source":{"type":"DOCKER_VOLUME","docker_volume":{"name":"z.1"}}}],
            "linux_info":{"effective_capabilities":{}},
            "rlimit_info":{"rlimits":[{"type":"RLMT_NOFILE","soft":1024,"hard":2048},{"type":"RLMT_CORE"}]},
            "tty_info":{}}"#,
    );
    let ContainerSpec { engine, image, volumes, privileged, parameters, tty } = spec.container;
    assert_eq!((engine, privileged, tty), (Engine::Docker, true, true));
    let image = image.unwrap();
    assert_eq!((image.reference.as_str(), image.force_pull), ("nginx:1", true));
    let host = |container: &str, host: &str, read_only| Volume::Host {
        container_path: container.into(),
        host_path: host.into(),
        read_only,
    };
    assert_eq!(
        volumes,
        [
            host("/data", "/srv", true),
            host("/x", "x", false),
            host("/y", "/srv/y", false),
            host("/z", "/var/lib/hansa-volumes/docker/z.1", true),
        ]
    );
    assert_eq!(
        parameters,
        [
            parameter("cap-add", "NET_ADMIN"),
            parameter("hostname", "web-1"),
            parameter("ulimit", "nofile=1024:2048"),
            parameter("ulimit", "core=-1:-1"),
        ]
    );
    let NetworkSpec::Bridge { mappings } = spec.network else { panic!("a network of its own") };
    let ends: Vec<_> = mappings
        .iter()
        .map(|mapping| (mapping.host_port, mapping.container_port, mapping.protocol.as_str()))
        .collect();
    assert_eq!(ends, [(Some(1), 80, "tcp"), (Some(0), 53, "udp")], "by the place among the task's ports");
}

#[test]
fn a_mesos_container_in_a_network() {
    let spec = spec(
        r#""command":{"value":"x"},"container":{"type":"MESOS",
            "mesos":{"image":{"type":"DOCKER","cached":false,"docker":{"name":"i",
                "config":{"type":"VALUE","value":{"data":"e30="}}}}},
            "network_infos":[{"name":"cni","port_mappings":[{"host_port":31000,"container_port":80}]}],
            "linux_info":{"effective_capabilities":{"capabilities":["NET_RAW"]},"shm_size":64},
            "volumes":[{"container_path":"in","mode":"RW","source":{"type":"SANDBOX_PATH",
                    "sandbox_path":{"type":"SELF","path":"out"}}},
                {"container_path":"key","mode":"RO","source":{"type":"SECRET",
                    "secret":{"type":"VALUE","value":{"data":"aHVzaA=="}}}}]}"#,
    );
    assert!(matches!(&spec.network, NetworkSpec::Bridge { mappings } if mappings.len() == 1));
    let image = spec.container.image.unwrap();
    assert!(image.force_pull);
    assert_eq!(inline_secret(image.pull_secret.as_deref().unwrap()).unwrap(), b"{}");
    assert_eq!(
        spec.container.parameters,
        [parameter("cap-drop", "ALL"), parameter("cap-add", "NET_RAW"), parameter("shm-size", "64m")]
    );
    assert!(matches!(&spec.container.volumes[0], Volume::Host { host_path, .. } if host_path == "out"));
    let Volume::Secret { source, .. } = &spec.container.volumes[1] else { panic!("a secret") };
    assert_eq!(inline_secret(source).unwrap(), b"hush");
    assert_eq!(inline_secret("team/password"), None);
}

#[test]
fn checks_with_mesos_defaults() {
    let spec = spec(
        r#""command":{"value":"x"},
        "health_check":{"type":"HTTP","http":{"port":80,"path":"/up","scheme":"https"}},
        "check":{"type":"COMMAND","interval_seconds":0.5,"command":{"command":{"shell":false,"value":"test",
            "arguments":["test","-e","it's"],"environment":{"variables":[{"name":"A","value":"b c"}]}}}}"#,
    );
    let health = &spec.health_checks[0];
    assert_eq!(health.probe, Probe::Http { path: "/up".into(), ignore_1xx: false, tls: true });
    assert_eq!(health.port, Some(CheckPort::Number(80)));
    assert_eq!(
        (health.delay_ms, health.interval_ms, health.timeout_ms, health.grace_ms),
        (15_000, 10_000, 20_000, 10_000)
    );
    assert_eq!((health.max_consecutive_failures, health.ip_protocol.as_str()), (3, "IPv4"));
    let check = spec.check.unwrap();
    let line = r"export A='b c'; 'test' '-e' 'it'\''s'";
    assert_eq!(check.question, Question::Command(Command::Shell(line.into())));
    assert_eq!((check.interval_ms, check.delay_ms, check.timeout_ms), (500, 15_000, 20_000));
}

#[test]
fn networks_of_docker_containers() {
    let network = |rest: &str| {
        let container = format!(r#"{{"type":"DOCKER","docker":{{"image":"i"{rest}}}}}"#);
        let spec = spec(&format!(r#""command":{{"value":"x"}},"container":{container}"#));
        assert_eq!(spec.container.parameters, []);
        spec.network
    };
    let bridge = NetworkSpec::Bridge { mappings: Vec::new() };
    assert_eq!(network(""), NetworkSpec::Host);
    assert_eq!(network(r#","network":"BRIDGE""#), bridge);
    assert_eq!(network(r#","network":"NONE""#), NetworkSpec::None);
    // What would be said to `docker run` wins.
    for (key, word, expected) in [
        ("net", "none", NetworkSpec::None),
        ("network", "host", NetworkSpec::Host),
        ("net", "bridge", bridge),
    ] {
        let parameters = format!(r#""parameters":[{{"key":"{key}","value":"{word}"}}]"#);
        assert_eq!(network(&format!(r#","network":"USER",{parameters}"#)), expected);
    }
}

#[test]
fn a_custom_executor_as_pymesos_sends_it() {
    let task = asked(
        r#""executor":{"executor_id":{"value":"MiniExecutor"},"name":"mini","data":"aGk=",
            "command":{"value":"python executor.py"},
            "resources":[{"name":"mem","type":"SCALAR","scalar":{"value":32}},
                {"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}]},"data":"aGk=""#,
    );
    let executor = task.executor.unwrap();
    assert_eq!((executor.id.as_str(), executor.kind), ("MiniExecutor", ExecutorKind::Custom));
    let program = executor.spec.unwrap();
    assert_eq!(program.command, Command::Shell("python executor.py".into()));
    assert_eq!((program.demand.cpus_milli, program.kill_grace_ms), (100, 5_000));
    assert_eq!(executor.shutdown_grace_ms, None);
    assert_eq!(task.spec.unwrap().command, Command::default());
    let raw: v1::TaskInfo = decode(Codec::Protobuf, task.info.bytes()).unwrap();
    assert_eq!(raw.executor.unwrap().framework_id.unwrap().value, "F", "filled in, as nobody sends it");
    let raw: v1::ExecutorInfo = decode(Codec::Protobuf, executor.info.bytes()).unwrap();
    assert_eq!((raw.framework_id.unwrap().value.as_str(), raw.data.unwrap().as_slice()), ("F", &b"hi"[..]));
}

#[test]
fn tasks_of_groups() {
    let task = asked_in(
        Place::InGroup,
        r#""command":{"value":"x"},"container":{"type":"MESOS","volumes":[{"container_path":"shared","mode":"RW",
            "source":{"type":"SANDBOX_PATH","sandbox_path":{"type":"PARENT","path":"shared"}}}]}"#,
    );
    let shared = Volume::Parent { container_path: "shared".into(), path: "shared".into(), read_only: false };
    assert_eq!(task.spec.unwrap().container.volumes, [shared]);
    for (rest, words) in [
        (r#""container":{"type":"DOCKER","docker":{"image":"i"}}"#, "Docker ContainerInfo is not supported"),
        (
            r#""limits":{"mem":{"value":100}}"#,
            "Resource limits may only be set for tasks within a task group",
        ),
        (
            r#""container":{"type":"MESOS","network_infos":[{"name":"x"}]}"#,
            "networks of single tasks of a group",
        ),
    ] {
        let error =
            asked_in(Place::InGroup, &format!(r#""command":{{"value":"x"}},{rest}"#)).spec.unwrap_err();
        assert!(error.starts_with(words), "{error}");
    }
    let own = r#""command":{"value":"x"},"limits":{"mem":{"value":100}},
        "container":{"type":"MESOS","linux_info":{"share_cgroups":false}}"#;
    assert!(asked_in(Place::InGroup, own).spec.is_ok());
    assert_eq!(refused(own), "Only tasks in a task group may have 'share_cgroups' set to 'false'");
}

#[test]
fn executors_of_groups() {
    let executor = |json: &str| {
        let json = format!(r#"{{"executor_id":{{"value":"e"}},{json}}}"#);
        let info: v1::ExecutorInfo = decode(Codec::Json, json.as_bytes()).unwrap();
        read_executor(&info, &of("u"), ExecutorKind::Default).spec.map(|spec| *spec)
    };
    let disk = r#"{"name":"disk","type":"SCALAR","scalar":{"value":32}}"#;
    let whole =
        format!(r#""type":"DEFAULT","framework_id":{{"value":"F"}},"resources":[{CPU},{MEM},{disk}]"#);
    let spec = executor(&whole).unwrap();
    assert_eq!((spec.command, spec.demand.disk), (Command::default(), 32 * MIB));
    let with_network = format!(r#"{whole},"container":{{"type":"MESOS","network_infos":[{{"name":"n"}}]}}"#);
    assert!(matches!(executor(&with_network).unwrap().network, NetworkSpec::Bridge { .. }));
    for (json, words) in [
        (
            format!(r#""framework_id":{{"value":"F"}},"resources":[{CPU},{MEM},{disk}]"#),
            "'ExecutorInfo.type' must be set",
        ),
        (
            format!(r#""type":"CUSTOM","command":{{"value":"x"}},"resources":[{CPU}]"#),
            "task groups of custom executors",
        ),
        (
            format!(r#""type":"DEFAULT","resources":[{CPU},{MEM},{disk}]"#),
            "'ExecutorInfo.framework_id' must be set",
        ),
        (
            format!(r#""type":"DEFAULT","framework_id":{{"value":"G"}},"resources":[{CPU},{MEM},{disk}]"#),
            "ExecutorInfo has an invalid FrameworkID (Actual: G vs Expected: F)",
        ),
        (
            format!(r#"{whole},"command":{{"value":"x"}}"#),
            "'ExecutorInfo.command' must not be set for 'DEFAULT'",
        ),
        (
            format!(r#""type":"DEFAULT","framework_id":{{"value":"F"}},"resources":[{CPU},{MEM}]"#),
            "Executor 'e' uses no disk",
        ),
        (
            format!(r#""type":"DEFAULT","framework_id":{{"value":"F"}},"resources":[{MEM},{disk}]"#),
            "Executor 'e' uses less CPUs than the minimum required (0.01)",
        ),
        (
            format!(r#"{whole},"container":{{"type":"DOCKER","docker":{{"image":"i"}}}}"#),
            "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor",
        ),
        (
            format!(r#"{whole},"shutdown_grace_period":{{"nanoseconds":-1}}"#),
            "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
        ),
    ] {
        let error = executor(&json).unwrap_err();
        assert!(error.starts_with(words), "{json}: {error}");
    }
}

#[test]
fn what_cannot_be_run_says_why() {
    let docker = |rest: &str| {
        format!(r#""command":{{"value":"x"}},"container":{{"type":"DOCKER","docker":{{"image":"i"{rest}}}}}"#)
    };
    let volume = |rest: &str| {
        format!(
            r#""command":{{"value":"x"}},"container":{{"type":"MESOS","volumes":[{{"container_path":"p","mode":"RW"{rest}}}]}}"#
        )
    };
    let command = |rest: &str| format!(r#""command":{{"value":"x",{rest}}}"#);
    for (rest, words) in [
        (r#""data":"aGk=""#.to_owned(), "Task should have at least one (but not both)"),
        (
            r#""command":{"value":"x"},"executor":{"executor_id":{"value":"e"},"command":{"value":"x"}}"#
                .to_owned(),
            "Task should have at least one (but not both)",
        ),
        (r#""executor":{"executor_id":{"value":"e"}}"#.to_owned(), "'ExecutorInfo.command' must be set"),
        (
            r#""executor":{"executor_id":{"value":"e/e"},"command":{"value":"x"}}"#.to_owned(),
            "'e/e' contains invalid",
        ),
        (
            r#""command":{"value":"x"},"limits":{"disk":{"value":1}}"#.to_owned(),
            "Only cpus and mem may be included",
        ),
        (
            r#""command":{"value":"x"},"limits":{"cpus":{"value":0.1}}"#.to_owned(),
            "The cpu limit must be greater than or equal to the cpu request",
        ),
        (
            r#""command":{"value":"x"},"kill_policy":{"grace_period":{"nanoseconds":-1}}"#.to_owned(),
            "Task's 'kill_policy.grace_period' must be non-negative",
        ),
        (
            r#""command":{"value":"x"},"health_check":{"type":"HTTP"}"#.to_owned(),
            "Task uses invalid health check: Expecting 'http' to be set for HTTP health check",
        ),
        (
            r#""command":{"value":"x"},"health_check":{}"#.to_owned(),
            "Task uses invalid health check: HealthCheck must specify 'type'",
        ),
        (
            r#""command":{"value":"x"},"check":{"type":"TCP","tcp":{"port":80},"delay_seconds":-1}"#
                .to_owned(),
            "Task uses invalid check: Expecting 'delay_seconds' to be non-negative",
        ),
        (
            docker(r#","network":"NONE","port_mappings":[{"host_port":31000,"container_port":80}]"#),
            "`ContainerInfo` is invalid: Port mappings are only supported for bridge and user-defined networks",
        ),
        (
            docker(r#","parameters":[{"key":"network","value":"container:web"}]"#),
            "`ContainerInfo` is invalid: the network \"container:web\" of a parameter is not supported",
        ),
        (
            docker(r#","parameters":[{"key":"name","value":"x"}]"#),
            "`ContainerInfo` is invalid: Parameter in DockerInfo",
        ),
        (
            docker(r#","parameters":[{"key":"memory","value":"1g"}]"#),
            "`ContainerInfo` is invalid: parameter \"memory\"",
        ),
        (
            docker(r#","network":"BRIDGE","port_mappings":[{"host_port":99,"container_port":80}]"#),
            "`ContainerInfo` is invalid: the host port 99 of a port mapping is not among the 'ports'",
        ),
        (
            r#""command":{"value":"x"},"container":{"type":"DOCKER"}"#.to_owned(),
            "`ContainerInfo` is invalid: DockerInfo 'docker' is not set",
        ),
        (volume(""), "`ContainerInfo` is invalid: Invalid volume: Only one of them should be set"),
        (
            volume(r#","source":{"type":"DOCKER_VOLUME","docker_volume":{"name":"v","driver":"rexray"}}"#),
            "`ContainerInfo` is invalid: Invalid volume: the volume driver 'rexray' is not supported",
        ),
        (
            volume(r#","source":{"type":"DOCKER_VOLUME","docker_volume":{"name":"a/../b"}}"#),
            "`ContainerInfo` is invalid: Invalid volume: 'a/../b' is no name of a volume",
        ),
        (
            volume(
                r#","source":{"type":"DOCKER_VOLUME","docker_volume":{"name":"v",
                    "driver_options":{"parameter":[{"key":"type","value":"nfs"}]}}}"#,
            ),
            "`ContainerInfo` is invalid: Invalid volume: options of volume drivers are not supported",
        ),
        (
            volume(r#","source":{"type":"SECRET","secret":{"type":"REFERENCE","reference":{"name":"v"}}}"#),
            "`ContainerInfo` is invalid: Invalid volume: secrets by reference are not supported",
        ),
        (
            volume(r#","source":{"type":"SANDBOX_PATH","sandbox_path":{"type":"SELF","path":"../x"}}"#),
            "`ContainerInfo` is invalid: Invalid volume: 'source.sandbox_path.path' must be a relative path",
        ),
        (
            command(r#""uris":[{"value":"hdfs://x/y"}]"#),
            "`CommandInfo` is invalid: fetching 'hdfs://x/y' is not supported",
        ),
        (
            command(r#""environment":{"variables":[{"name":"A"}]}"#),
            "`CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set",
        ),
        (
            command(r#""environment":{"variables":[{"name":"A=","value":"x"}]}"#),
            "`CommandInfo` is invalid: Environment variable 'A=' has no name",
        ),
    ] {
        let error = refused(&rest);
        assert!(error.starts_with(words), "{rest}: {error}");
    }
    let bare = |task: &str| {
        let json = format!(r#"{{"name":"t","agent_id":{{"value":"S"}},"command":{{"value":"x"}},{task}}}"#);
        read(&decode(Codec::Json, json.as_bytes()).unwrap(), &of("u"), Place::Alone)
    };
    assert_eq!(bare(r#""task_id":{"value":"t"}"#).spec.unwrap_err(), "Task uses no resources");
    assert_eq!(bare(r#""task_id":{"value":".."}"#).spec.unwrap_err(), "'..' is disallowed");
    let odd = bare(r#""task_id":{"value":"t"},"resources":[{"name":"bugs","type":"SET"}]"#);
    assert!(odd.spec.unwrap_err().starts_with("Task uses invalid resources: resource 'bugs'"));
    assert!(odd.parts.is_empty());
}
