//! Containers, networks, artifacts, secrets and checks: read from today's spellings and from old ones, and shown.

use hansa_api::marathon::{Defaults, Problem, parse_app, render};
use hansa_model::Timestamp;
use hansa_model::app::{AppSpec, CheckPort, NetworkMode, Question, ReadinessCheck, ResourceLimit};
use hansa_model::container::{Engine, NetworkSpec, Parameter, Volume};
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
