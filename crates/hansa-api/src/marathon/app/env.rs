//! Environment and secrets. A secret is declared once, by a name that only this app knows it by, and referred to by that
//! name; what it contains is never here.

use super::Faults;
use crate::marathon::read::Fields;
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads `secrets`: where each comes from.
pub(super) fn read_secrets(fields: &Fields<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let at = fields.at("secrets");
    let mut secrets = BTreeMap::new();
    let given = fields.get("secrets").and_then(|value| Fields::of(value, &at, &mut faults.types));
    for (given, name) in given.iter().flat_map(|given| given.names().map(move |name| (given, name))) {
        let here = given.at(name);
        if name.is_empty() {
            faults.rules.add(at.as_str(), "must not be empty");
        }
        let Some(secret) = given.get(name).and_then(|value| Fields::of(value, &here, &mut faults.types))
        else {
            continue;
        };
        if secret.get("source").is_none() {
            faults.types.add(secret.at("source"), "error.path.missing");
        }
        let Some(source) = secret.text("source", &mut faults.types) else { continue };
        if source.is_empty() {
            faults.types.add(secret.at("source"), "error.minLength");
        }
        secrets.insert(name.clone(), source.to_owned());
    }
    secrets
}

/// Reads `env`: plain variables, and those that hold secrets with the secrets' names.
pub(super) fn read(
    fields: &Fields<'_>,
    secrets: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let at = fields.at("env");
    let (mut env, mut secret) = (BTreeMap::new(), BTreeMap::new());
    let Some(variables) = fields.get("env").and_then(|value| Fields::of(value, &at, &mut faults.types))
    else {
        return (env, secret);
    };
    for name in variables.names() {
        let here = variables.at(name);
        if name.is_empty() {
            faults.rules.add(at.as_str(), "must not be empty");
        } else if name.contains(['=', '\0']) {
            faults.rules.add(here.as_str(), "must not contain '=' or a NUL character");
        }
        match variables.get(name) {
            Some(Value::String(value)) if value.contains('\0') => {
                faults.rules.add(here, "must not contain a NUL character");
            }
            Some(Value::String(value)) => drop(env.insert(name.clone(), value.clone())),
            Some(value @ Value::Object(_)) => {
                if let Some(reference) = read_reference(value, &here, secrets, faults) {
                    secret.insert(name.clone(), reference);
                }
            }
            _ => faults.types.add(here, "error.expected.jsstring"),
        }
    }
    (env, secret)
}

fn read_reference(
    value: &Value,
    at: &str,
    secrets: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> Option<String> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    if fields.get("secret").is_none() {
        faults.types.add(fields.at("secret"), "error.path.missing");
    }
    let name = fields.text("secret", &mut faults.types)?;
    if !secrets.contains_key(name) {
        faults.rules.add(fields.at("secret"), "references an undefined secret");
    }
    Some(name.to_owned())
}
