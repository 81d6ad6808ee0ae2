//! Fields that Marathon knows and Hansa cannot honour yet. Accepting one would silently run something else than was asked
//! for, so they are refused by name; values that ask for nothing (empty, or what happens anyway) pass.

use super::Faults;
use super::parts::Parts;
use crate::marathon::read::Fields;
use serde_json::{Value, json};

/// Fields, and what they are, that pass only when empty.
const ONLY_EMPTY: [(&str, &str); 4] = [
    ("storeUrls", "fetching files into the sandbox by storeUrls (use fetch)"),
    ("residency", "persistent volumes"),
    ("volumes", "volumes outside of container"),
    ("pods", "pods"),
];

/// Refuses what cannot be honoured.
pub(super) fn check(parts: &Parts<'_>, faults: &mut Faults) {
    for (name, feature) in ONLY_EMPTY {
        if !parts.app.get(name).is_none_or(is_empty) {
            refuse(parts.app.at(name), feature, faults);
        }
    }
    if !parts.app.get("executorResources").is_none_or(is_smallest_executor) {
        refuse(parts.app.at("executorResources"), "resources for executors (there are none)", faults);
    }
    if let Some(container) = parts.container {
        check_linux_info(&container, faults);
    }
}

/// Reads `executor`: empty and `//cmd` are what happens anyway.
pub(super) fn read_executor(fields: &Fields<'_>, faults: &mut Faults) -> String {
    let executor = fields.text("executor", &mut faults.types).unwrap_or_default();
    if !matches!(executor, "" | "//cmd") {
        refuse(fields.at("executor"), "custom executors", faults);
    }
    executor.to_owned()
}

/// `container.linuxInfo`: its rules, and then what of it has a meaning here.
fn check_linux_info(container: &Fields<'_>, faults: &mut Faults) {
    let at = container.at("linuxInfo");
    let Some(value) = container.get("linuxInfo") else { return };
    let Some(info) = Fields::of(value, &at, &mut faults.types) else { return };
    let seccomp_at = info.at("seccomp");
    if let Some(seccomp) =
        info.get("seccomp").and_then(|value| Fields::of(value, &seccomp_at, &mut faults.types))
    {
        let profile = seccomp.text("profileName", &mut faults.types);
        let unconfined = seccomp.flag("unconfined", &mut faults.types).unwrap_or(false);
        match (profile, unconfined) {
            (Some(_), true) => {
                faults.rules.add(at.as_str(), "Seccomp unconfined can NOT be true when Profile is defined");
            }
            (None, false) => {
                faults.rules.add(at.as_str(), "Seccomp unconfined must be true when Profile is NOT defined");
            }
            _ => refuse(seccomp_at.clone(), "choosing a seccomp profile", faults),
        }
    }
    let ipc_at = info.at("ipcInfo");
    if let Some(ipc) = info.get("ipcInfo").and_then(|value| Fields::of(value, &ipc_at, &mut faults.types)) {
        if ipc.get("mode").is_none() {
            faults.types.add(ipc.at("mode"), "error.path.missing");
        }
        let mode = ipc.word("mode", &["PRIVATE", "SHARE_PARENT"], &mut faults.types);
        if mode == Some("SHARE_PARENT") && ipc.get("shmSize").is_some() {
            faults.rules.add(at, "ipcInfo shmSize can NOT be set when mode is SHARE_PARENT");
        } else if mode == Some("SHARE_PARENT") || ipc.get("shmSize").is_some() {
            refuse(ipc_at.clone(), "choosing how memory is shared", faults);
        }
    }
}

/// Whether it asks for no more than Marathon's minimum, which is for a process that is not there.
fn is_smallest_executor(value: &Value) -> bool {
    let smallest = json!({"cpus": 0.1, "mem": 32.0, "disk": 10.0});
    value.as_object().is_some_and(|given| {
        given
            .iter()
            .all(|(name, value)| value.is_null() || value.as_f64() == smallest[name.as_str()].as_f64())
    })
}

pub(super) fn refuse(path: String, feature: &str, faults: &mut Faults) {
    faults.rules.add(path, format!("not supported by this version of Hansa: {feature}"));
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(Value::is_null),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
