//! A task as Mesos' older endpoints write it.

use super::super::about::seconds;
use super::super::picture::{Picture, Scene, Who, container_of, name_of_app, state_name, task_id};
use super::sums::Sum;
use crate::read_model::{Mark, Told};
use hansa_mesos::proto::v1;
use hansa_mesos::{codec, legacy};
use hansa_model::app::{AppSpec, AppVersion};
use hansa_model::container::Engine;
use hansa_model::event::TaskView;
use hansa_model::framework::FrameworkTask;
use hansa_model::spec::Origin;
use prost::Message;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// A task.
#[derive(Serialize)]
pub(super) struct TaskJson<'a> {
    id: &'a str,
    name: Cow<'a, str>,
    framework_id: &'a str,
    executor_id: &'a str,
    slave_id: &'a str,
    state: &'static str,
    resources: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Value>,
    role: &'a str,
    statuses: Vec<StatusJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Value>,
}

/// A label; of several endpoints the flat form.
#[derive(Serialize)]
pub(super) struct LabelJson<'a> {
    key: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
}

/// One of a task's statuses.
#[derive(Serialize)]
struct StatusJson<'a> {
    state: &'static str,
    timestamp: f64,
    container_status: ContainerStatusJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

#[derive(Clone, Serialize)]
struct ContainerStatusJson<'a> {
    container_id: IdJson<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network_infos: Vec<NetworkJson<'a>>,
}

#[derive(Clone, Serialize)]
struct IdJson<'a> {
    value: &'a str,
}

#[derive(Clone, Serialize)]
struct NetworkJson<'a> {
    ip_addresses: Vec<AddressJson<'a>>,
}

#[derive(Clone, Serialize)]
struct AddressJson<'a> {
    protocol: &'static str,
    ip_address: &'a str,
}

/// Labels of ours, as a flat list.
pub(super) fn labels(labels: &[(String, Option<String>)]) -> Vec<LabelJson<'_>> {
    let label = |(key, value): &'_ (String, Option<String>)| LabelJson {
        key: Cow::Owned(key.clone()),
        value: value.clone().map(Cow::Owned),
    };
    labels.iter().map(label).collect()
}

/// Labels of Mesos', as a flat list.
pub(super) fn labels_of(labels: Option<v1::Labels>) -> Vec<LabelJson<'static>> {
    let labels = labels.map(|labels| labels.labels).unwrap_or_default();
    let label =
        |label: v1::Label| LabelJson { key: Cow::Owned(label.key), value: label.value.map(Cow::Owned) };
    labels.into_iter().map(label).collect()
}

/// A task of a scene.
pub(super) fn task<'a>(picture: &'a Picture, scene: &'a Scene, told: &'a Told) -> TaskJson<'a> {
    let view = told.view.as_ref();
    let aware = scene.who.is_partition_aware();
    let mut json = TaskJson {
        id: task_id(view),
        name: Cow::Borrowed(""),
        framework_id: scene.who.id().as_str(),
        executor_id: "",
        slave_id: view.agent.as_str(),
        state: state_name(view.status.state, aware),
        resources: Sum::default(),
        limits: None,
        role: view.role.as_str(),
        statuses: statuses(picture, told, aware),
        user: None,
        labels: Vec::new(),
        discovery: None,
        container: None,
        health_check: None,
    };
    match &view.framework {
        Some(of) => {
            if let Some(executor) = &of.launch.executor {
                json.executor_id = &executor.id;
            }
            of_framework(&mut json, of.task());
            if json.user.is_none()
                && let Who::Framework(framework) = &scene.who
            {
                json.user = Some(Cow::Borrowed(&framework.info.user));
            }
        }
        None => of_service(&mut json, picture, view),
    }
    json
}

fn of_framework<'a>(json: &mut TaskJson<'a>, task: &'a FrameworkTask) {
    json.name = Cow::Borrowed(&task.name);
    json.resources.parts(&task.parts);
    // Checked when it came; what cannot be read is not shown.
    let Ok(info) = v1::TaskInfo::decode(task.info.bytes()) else { return };
    json.limits = (!info.limits.is_empty()).then(|| legacy::limits(&info.limits));
    let of_executor = info.executor.and_then(|executor| executor.command);
    let user = info.command.or(of_executor).and_then(|command| command.user);
    json.user = user.map(Cow::Owned);
    json.labels = labels_of(info.labels);
    json.discovery = info.discovery.as_ref().map(codec::to_value);
    json.container = info.container.as_ref().map(codec::to_value);
    json.health_check = info.health_check.as_ref().map(codec::to_value);
}

fn of_service<'a>(json: &mut TaskJson<'a>, picture: &'a Picture, view: &'a TaskView) {
    json.resources.allocation(&view.allocation);
    if let Origin::App { id, .. } = &view.origin {
        json.name = Cow::Owned(name_of_app(id));
    }
    let Some(AppVersion { spec, .. }) = picture.version(view) else { return };
    json.user = spec.user.as_deref().map(Cow::Borrowed);
    let label = |(key, value): (&'a String, &'a String)| LabelJson {
        key: Cow::Borrowed(key.as_str()),
        value: Some(Cow::Borrowed(value.as_str())),
    };
    json.labels = spec.labels.iter().map(label).collect();
    json.discovery = Some(discovery(&json.name, spec, &view.allocation.ports));
    json.container = container(spec);
}

/// What Marathon said of an instance's ports; DNS servers and balancers read it.
pub(in super::super) fn discovery(name: &str, spec: &AppSpec, allocated: &[u16]) -> Value {
    let mut next = 0;
    let mut ports = Vec::new();
    for port in &spec.ports {
        let is_on_host = port.mapping.as_ref().is_none_or(|mapping| mapping.host_port.is_some());
        let number = if is_on_host {
            next += 1;
            allocated.get(next - 1).copied()
        } else {
            port.mapping.as_ref().map(|mapping| mapping.container_port)
        };
        let Some(number) = number else { continue };
        for protocol in port.protocol.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let mut shown = json!({"number": number, "protocol": protocol});
            if let Some(name) = &port.name {
                shown["name"] = Value::from(name.as_str());
            }
            if !port.labels.is_empty() {
                let label = |(key, value): (&String, &String)| json!({"key": key, "value": value});
                shown["labels"] = json!({"labels": port.labels.iter().map(label).collect::<Vec<_>>()});
            }
            ports.push(shown);
        }
    }
    json!({"visibility": "FRAMEWORK", "name": name, "ports": {"ports": ports}})
}

/// Its container, if it has one.
pub(in super::super) fn container(spec: &AppSpec) -> Option<Value> {
    let container = spec.container.as_ref()?;
    let image = container.image.as_ref().map(|image| image.reference.as_str());
    Some(match (container.engine, image) {
        (Engine::Docker, Some(image)) => {
            let network = if spec.networks.is_empty() { "HOST" } else { "BRIDGE" };
            json!({"type": "DOCKER", "docker": {"image": image, "network": network, "privileged": container.privileged}})
        }
        (Engine::Docker, None) => json!({"type": "DOCKER"}),
        (Engine::Mesos, Some(image)) => {
            json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": image}, "cached": true}}})
        }
        (Engine::Mesos, None) => json!({"type": "MESOS"}),
    })
}

fn statuses<'a>(picture: &'a Picture, told: &'a Told, aware: bool) -> Vec<StatusJson<'a>> {
    let container_status = container_status(picture, &told.view);
    let status = |mark: &Mark| StatusJson {
        state: state_name(mark.state, aware),
        timestamp: seconds(mark.at),
        container_status: container_status.clone(),
        healthy: mark.healthy,
    };
    told.marks.iter().map(status).collect()
}

/// Its container and its addresses: its own, if it has any, else the machine's.
fn container_status<'a>(picture: &'a Picture, view: &'a TaskView) -> ContainerStatusJson<'a> {
    let own = view.status.addresses.iter().map(String::as_str);
    let mut addresses: Vec<&str> = own.collect();
    if addresses.is_empty() {
        addresses
            .extend(picture.host_of(&view.agent).filter(|host| host.parse::<std::net::IpAddr>().is_ok()));
    }
    let address = |ip_address: &&'a str| AddressJson {
        protocol: if ip_address.contains(':') { "IPv6" } else { "IPv4" },
        ip_address,
    };
    let ip_addresses: Vec<_> = addresses.iter().map(address).collect();
    let network_infos = if ip_addresses.is_empty() { Vec::new() } else { vec![NetworkJson { ip_addresses }] };
    ContainerStatusJson { container_id: IdJson { value: container_of(view).as_str() }, network_infos }
}
