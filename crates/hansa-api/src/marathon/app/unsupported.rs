//! Fields that Marathon knows and Hansa cannot honour yet. Accepting one would silently run something else than was asked
//! for, so they are refused by name; values that ask for nothing (empty, or what happens anyway) pass.

use super::Faults;
use crate::marathon::read::{Fields, item};
use serde_json::Value;

/// Fields, and what they are, that pass only when empty.
const ONLY_EMPTY: [(&str, &str); 13] = [
    ("ipAddress", "networks other than host"),
    ("fetch", "fetching files into the sandbox"),
    ("uris", "fetching files into the sandbox"),
    ("storeUrls", "fetching files into the sandbox"),
    ("secrets", "secrets"),
    ("readinessChecks", "readiness checks"),
    ("check", "general checks (use healthChecks)"),
    ("residency", "persistent volumes"),
    ("executorResources", "resources for executors"),
    ("resourceLimits", "limits above the requested resources"),
    ("volumes", "volumes"),
    ("linuxInfo", "seccomp and ipc settings"),
    ("pods", "pods"),
];

/// Refuses what cannot be honoured.
pub(super) fn check(fields: &Fields<'_>, faults: &mut Faults) {
    for (name, feature) in ONLY_EMPTY {
        if !fields.get(name).is_none_or(is_empty) {
            refuse(fields.at(name), feature, faults);
        }
    }
    if fields.flag("tty", &mut faults.types) == Some(true) {
        refuse(fields.at("tty"), "pseudo terminals", faults);
    }
    let executor = fields.text("executor", &mut faults.types).unwrap_or_default();
    if !matches!(executor, "" | "//cmd") {
        refuse(fields.at("executor"), "custom executors", faults);
    }
    check_container(fields, faults);
    check_networks(fields, faults);
}

/// Whether `container` is one without an image, which is what every task runs in.
pub(super) fn is_plain_container(fields: &Fields<'_>) -> bool {
    matches!(fields.get("container"), Some(Value::Object(container))
        if container.iter().all(|(name, value)| match name.as_str() {
            "type" => value.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("MESOS")),
            "docker" | "volumes" | "portMappings" | "linuxInfo" => is_empty(value),
            _ => true,
        }) && container.contains_key("type"))
}

fn check_container(fields: &Fields<'_>, faults: &mut Faults) {
    let Some(value) = fields.get("container") else { return };
    let at = fields.at("container");
    let Some(container) = Fields::of(value, &at, &mut faults.types) else { return };
    let kind = container.word("type", &["DOCKER", "MESOS"], &mut faults.types).unwrap_or("DOCKER");
    let mut refused = false;
    for (name, feature) in [
        ("docker", "container images"),
        ("volumes", "volumes"),
        ("portMappings", "port mappings (networks other than host)"),
        ("linuxInfo", "seccomp and ipc settings"),
    ] {
        if !container.get(name).is_none_or(is_empty) {
            refused = true;
            refuse(container.at(name), feature, faults);
        }
    }
    if kind == "DOCKER" && !refused {
        faults.rules.add(container.at("docker"), "not defined");
    }
}

fn check_networks(fields: &Fields<'_>, faults: &mut Faults) {
    let Some(networks) = fields.list("networks", &mut faults.types) else { return };
    let at = fields.at("networks");
    for (index, value) in networks.iter().enumerate() {
        let here = item(&at, index);
        let Some(network) = Fields::of(value, &here, &mut faults.types) else { continue };
        let modes = ["container", "container/bridge", "host"];
        match network.word("mode", &modes, &mut faults.types) {
            Some("host") => {
                if !network.get("name").is_none_or(is_empty) || !network.get("labels").is_none_or(is_empty) {
                    faults.rules.add(here, "Host networks may not have names or labels");
                }
            }
            None if network.get("mode").is_some() => {}
            _ => refuse(here, "networks other than host", faults),
        }
    }
    if networks.len() > 1 {
        faults.rules.add(
            at,
            "May specify a single host network, single bridge network, or else 1-to-n container networks",
        );
    }
}

fn refuse(path: String, feature: &str, faults: &mut Faults) {
    faults.rules.add(path, format!("not supported by this version of Hansa: {feature}"));
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(Value::is_null),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
