//! `volumes` of a service, as host volumes.

use super::service::Place;
use super::units;
use serde_json::{Value, json};

/// Where named volumes live on the machine that runs a service.
const NAMED: &str = "/var/lib/hansa-volumes";

/// One entry of `volumes`.
///
/// # Errors
/// It is not a way to write a volume, or one of a kind that is not known; in words.
pub fn translate(value: &Value, place: &Place<'_>, notes: &mut Vec<String>) -> Result<Value, String> {
    let (source, target, read_only) = match value {
        Value::String(text) => short(text)?,
        Value::Object(fields) => {
            let of = |name: &str| fields.get(name).and_then(units::text);
            let kind = of("type").unwrap_or_else(|| "volume".into());
            if !matches!(kind.as_str(), "bind" | "volume") {
                return Err(format!("a volume of type {kind:?} is not known here"));
            }
            for name in fields.keys() {
                if !matches!(name.as_str(), "type" | "source" | "target" | "read_only") {
                    notes.push(format!("{name} of a volume"));
                }
            }
            let read_only = fields.get("read_only").and_then(Value::as_bool).unwrap_or(false);
            (of("source"), of("target").ok_or("a volume needs a target")?, read_only)
        }
        _ => return Err("not a volume".into()),
    };
    if !target.starts_with('/') {
        return Err(format!("{target:?} is not an absolute path in the container"));
    }
    let host = match source.as_deref() {
        // Nobody names it: it lives and dies with the instance.
        None => format!("volume{}", target.replace('/', "-")),
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(path) if path.starts_with('.') => {
            place.folder.join(path.trim_start_matches("./")).display().to_string()
        }
        Some(path) if path.starts_with('~') => return Err(format!("{path:?}: write the whole path")),
        Some(name) => format!("{NAMED}/{}/{name}", place.project),
    };
    Ok(json!({"containerPath": target, "hostPath": host, "mode": if read_only { "RO" } else { "RW" }}))
}

/// `[source:]target[:mode]`.
fn short(text: &str) -> Result<(Option<String>, String, bool), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some((*source).to_owned()), *target, ""),
        [source, target, mode] => (Some((*source).to_owned()), *target, *mode),
        _ => return Err(format!("{text:?} is not SOURCE:TARGET[:MODE]")),
    };
    let modes: Vec<&str> = mode.split(',').filter(|mode| !mode.is_empty()).collect();
    match modes.iter().find(|mode| !matches!(**mode, "ro" | "rw" | "z" | "Z" | "cached" | "delegated")) {
        Some(other) => Err(format!("{text:?}: the mode {other:?} is not known here")),
        None => Ok((source, target.to_owned(), modes.contains(&"ro"))),
    }
}
