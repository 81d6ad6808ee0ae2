//! Pieces of the older endpoints' JSON, which is not that of the messages: resources are an object of numbers and texts,
//! labels a plain list, ids plain texts.

use crate::codec::to_value;
use crate::offer;
use crate::proto::v1;
use crate::resources::{self, Form, from_milli, mib_of_bytes};
use hansa_model::RoleName;
use hansa_model::framework::{Amount, Part, parts};
use hansa_model::resources::PortSet;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An amount: scalars are always there, ports only if there are any.
pub fn resources(amount: &Amount) -> Value {
    let mut shown = Map::new();
    shown.insert("cpus".into(), json!(from_milli(amount.cpus_milli)));
    shown.insert("gpus".into(), json!(f64::from(amount.gpus)));
    shown.insert("mem".into(), json!(mib_of_bytes(amount.mem)));
    shown.insert("disk".into(), json!(mib_of_bytes(amount.disk)));
    if !amount.ports.is_empty() {
        shown.insert("ports".into(), json!(ranges(&amount.ports)));
    }
    Value::Object(shown)
}

/// All of some parts together.
pub fn resources_of(some: &[Part]) -> Value {
    resources(&parts::sum(some))
}

/// What is reserved, by role.
pub fn reserved(some: &[Part]) -> Value {
    let mut roles: BTreeMap<&RoleName, Amount> = BTreeMap::new();
    for (role, part) in some.iter().filter_map(|part| Some((part.role()?, part))) {
        roles.entry(role).or_default().add(&part.amount);
    }
    roles
        .into_iter()
        .map(|(role, amount)| (role.to_string(), resources(&amount)))
        .collect::<Map<_, _>>()
        .into()
}

/// What is not reserved.
pub fn unreserved(some: &[Part]) -> Value {
    let free: Vec<Part> = some.iter().filter(|part| part.reservations.is_empty()).cloned().collect();
    resources_of(&free)
}

/// Parts as a list of messages, as the keys that end in `_full` have them: reservations in both forms.
pub fn full(some: &[Part]) -> Value {
    let old = resources::write(some, Form::default());
    let new = resources::write(some, Form::whole(None));
    let both = |(old, new): (v1::Resource, v1::Resource)| {
        // More than one level cannot be said in the older form.
        let reservation = old.reservation.filter(|_| new.reservations.len() == 1);
        to_value(&v1::Resource { role: old.role, reservation, ..new })
    };
    old.into_iter().zip(new).map(both).collect()
}

/// What is reserved, by role, as lists of messages: see [`full`].
pub fn reserved_full(some: &[Part]) -> Value {
    let mut roles: BTreeMap<&RoleName, Vec<Part>> = BTreeMap::new();
    for (role, part) in some.iter().filter_map(|part| Some((part.role()?, part))) {
        roles.entry(role).or_default().push(part.clone());
    }
    roles.into_iter().map(|(role, parts)| (role.to_string(), full(&parts))).collect::<Map<_, _>>().into()
}

/// Ports as text: `[31000-31009, 32000-32000]`.
pub fn ranges(ports: &PortSet) -> String {
    let all: Vec<String> = ports.ranges().iter().map(|(begin, end)| format!("{begin}-{end}")).collect();
    format!("[{}]", all.join(", "))
}

/// Attributes by name: numbers, ranges as text, text.
pub fn attributes(attributes: &BTreeMap<String, String>) -> Value {
    let value = |attribute: &v1::Attribute| match (&attribute.scalar, &attribute.ranges, &attribute.text) {
        (Some(scalar), ..) => json!(scalar.value),
        (_, Some(ranges), _) => {
            let all: Vec<String> =
                ranges.range.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
            json!(format!("[{}]", all.join(", ")))
        }
        (.., text) => json!(text.as_ref().map(|text| text.value.as_str()).unwrap_or_default()),
    };
    let all = offer::attributes(attributes);
    all.iter().map(|attribute| (attribute.name.clone(), value(attribute))).collect::<Map<_, _>>().into()
}

/// Labels as a plain list.
pub fn labels(labels: &v1::Labels) -> Value {
    labels.labels.iter().map(to_value).collect()
}

/// Limits of a task: numbers; what is not limited is the text that clients send for it.
pub fn limits(limits: &BTreeMap<String, v1::value::Scalar>) -> Value {
    let number = |value: f64| if value.is_finite() { json!(value) } else { json!("Infinity") };
    limits.iter().map(|(name, scalar)| (name.clone(), number(scalar.value))).collect::<Map<_, _>>().into()
}

/// One of a task's statuses.
pub fn status(status: &v1::TaskStatus) -> Value {
    let mut shown = Map::new();
    shown.insert("state".into(), json!(status.state().as_str_name()));
    shown.insert("timestamp".into(), json!(status.timestamp()));
    if let Some(all) = &status.labels {
        shown.insert("labels".into(), labels(all));
    }
    if let Some(container) = &status.container_status {
        shown.insert("container_status".into(), container_status(container));
    }
    if let Some(healthy) = status.healthy {
        shown.insert("healthy".into(), json!(healthy));
    }
    Value::Object(shown)
}

/// A container's status; what is not known is left out.
pub fn container_status(status: &v1::ContainerStatus) -> Value {
    let mut shown = Map::new();
    if let Some(id) = &status.container_id {
        shown.insert("container_id".into(), to_value(id));
    }
    if !status.network_infos.is_empty() {
        shown.insert("network_infos".into(), status.network_infos.iter().map(network_info).collect());
    }
    if let Some(info) = &status.cgroup_info {
        shown.insert("cgroup_info".into(), to_value(info));
    }
    Value::Object(shown)
}

fn network_info(info: &v1::NetworkInfo) -> Value {
    let mut shown = Map::new();
    if !info.groups.is_empty() {
        shown.insert("groups".into(), json!(info.groups));
    }
    if let Some(all) = &info.labels {
        shown.insert("labels".into(), labels(all));
    }
    if !info.ip_addresses.is_empty() {
        shown.insert("ip_addresses".into(), info.ip_addresses.iter().map(to_value).collect());
    }
    if let Some(name) = &info.name {
        shown.insert("name".into(), json!(name));
    }
    if !info.port_mappings.is_empty() {
        shown.insert("port_mappings".into(), info.port_mappings.iter().map(to_value).collect());
    }
    Value::Object(shown)
}

/// A command, as executors show it.
pub fn command(command: &v1::CommandInfo) -> Value {
    let mut shown = Map::new();
    if let Some(shell) = command.shell {
        shown.insert("shell".into(), json!(shell));
    }
    if let Some(value) = &command.value {
        shown.insert("value".into(), json!(value));
    }
    shown.insert("argv".into(), json!(command.arguments));
    if let Some(environment) = &command.environment {
        shown.insert("environment".into(), to_value(environment));
    }
    let uri = |uri: &v1::command_info::Uri| json!({"value": uri.value, "executable": uri.executable()});
    shown.insert("uris".into(), command.uris.iter().map(uri).collect());
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::framework::Reservation;
    use hansa_model::resources::MIB;

    #[test]
    fn resources_to_the_byte() {
        let amount = Amount {
            cpus_milli: 1_500,
            mem: 64 * MIB,
            ports: PortSet::from_ranges([(31_000, 31_009), (32_000, 32_000)]),
            ..Amount::default()
        };
        let value: BTreeMap<String, Value> = serde_json::from_value(resources(&amount)).unwrap();
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"cpus":1.5,"disk":0.0,"gpus":0.0,"mem":64.0,"ports":"[31000-31009, 32000-32000]"}"#
        );
        assert!(resources(&Amount::default()).get("ports").is_none());
    }

    #[test]
    fn reserved_and_not() {
        let cpus = |cpus_milli| Amount { cpus_milli, ..Amount::default() };
        let reservation = |role: &str| Reservation {
            role: role.into(),
            principal: Some("p".into()),
            labels: Vec::new(),
            fixed: false,
        };
        let kept = |reservations| Part { reservations, amount: cpus(500), ..Part::default() };
        let all = [
            Part::unreserved(cpus(1_000)),
            kept(vec![reservation("a")]),
            kept(vec![reservation("a"), reservation("a/b")]),
        ];
        assert_eq!(unreserved(&all)["cpus"], json!(1.0));
        assert_eq!(reserved(&all)["a"]["cpus"], json!(0.5));
        assert_eq!(reserved(&all)["a/b"]["cpus"], json!(0.5));
        assert_eq!(resources_of(&all)["cpus"], json!(2.0));
        let full = full(&all);
        assert_eq!(full[0], json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}, "role": "*"}));
        assert_eq!(full[1]["reservation"], json!({"principal": "p"}));
        assert_eq!(full[1]["reservations"][0]["role"], json!("a"));
        assert_eq!((&full[2]["role"], full[2].get("reservation")), (&json!("a/b"), None));
    }

    #[test]
    fn other_shapes_than_the_messages() {
        let attributes = super::attributes(&BTreeMap::from([
            ("rack".to_owned(), "r1".to_owned()),
            ("speed".to_owned(), "2".to_owned()),
            ("ids".to_owned(), "[1-3,5-5]".to_owned()),
        ]));
        assert_eq!(attributes, json!({"rack": "r1", "speed": 2.0, "ids": "[1-3, 5-5]"}));
        let one = v1::TaskStatus {
            state: v1::TaskState::TaskRunning as i32,
            timestamp: Some(1.5),
            labels: Some(v1::Labels { labels: vec![v1::Label { key: "k".into(), value: Some("v".into()) }] }),
            container_status: Some(v1::ContainerStatus {
                container_id: Some(v1::ContainerId { value: "c".into(), parent: None }),
                network_infos: crate::status::network_infos(&["10.0.0.1".into()]),
                ..v1::ContainerStatus::default()
            }),
            ..v1::TaskStatus::default()
        };
        assert_eq!(
            status(&one),
            json!({
                "state": "TASK_RUNNING",
                "timestamp": 1.5,
                "labels": [{"key": "k", "value": "v"}],
                "container_status": {
                    "container_id": {"value": "c"},
                    "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "10.0.0.1"}]}],
                },
            })
        );
        let run = v1::CommandInfo { value: Some("x".into()), ..v1::CommandInfo::default() };
        assert_eq!(command(&run), json!({"value": "x", "argv": [], "uris": []}));
    }
}
