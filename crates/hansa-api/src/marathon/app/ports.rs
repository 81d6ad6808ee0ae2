//! Ports on the host network: `portDefinitions`, and `ports`, their old spelling.

use super::Faults;
use super::default_port;
use crate::marathon::read::{Fields, int, item};
use hansa_model::app::PortDefinition;
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads whichever of the two is given; without either there is one port.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Vec<PortDefinition> {
    let old = read_old(fields, faults);
    let definitions = read_definitions(fields, faults);
    match (definitions, old) {
        (Some(definitions), old) => {
            let numbers = || definitions.iter().map(|definition| definition.port);
            if old.is_some_and(|old| !old.into_iter().eq(numbers())) {
                faults.rules.add(fields.path(), "cannot specify both ports and port definitions");
            }
            definitions
        }
        (None, Some(old)) => {
            old.into_iter().map(|port| PortDefinition { port, name: None, ..default_port() }).collect()
        }
        (None, None) => vec![default_port()],
    }
}

fn read_old(fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<u16>> {
    let list = fields.list("ports", &mut faults.types)?;
    let at = fields.at("ports");
    let mut ports = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        match int(value, 0, 65_535) {
            Ok(port) => ports.push(u16::try_from(port).unwrap_or(0)),
            Err(code) => faults.types.add(item(&at, index), code),
        }
    }
    if has_twice(ports.iter().copied().filter(|port| *port != 0)) {
        faults.rules.add(fields.path(), "ports must be unique");
    }
    Some(ports)
}

fn read_definitions(fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<PortDefinition>> {
    let list = fields.list("portDefinitions", &mut faults.types)?;
    let at = fields.at("portDefinitions");
    let definitions: Vec<PortDefinition> = list
        .iter()
        .enumerate()
        .map(|(index, value)| read_definition(value, &item(&at, index), faults).unwrap_or_else(default_port))
        .collect();
    if has_twice(definitions.iter().filter_map(|definition| definition.name.as_deref())) {
        faults.rules.add(at.as_str(), "Port names must be unique.");
    }
    if has_twice(definitions.iter().map(|definition| definition.port).filter(|port| *port != 0)) {
        faults.rules.add(at, "Ports must be unique.");
    }
    Some(definitions)
}

fn read_definition(value: &Value, at: &str, faults: &mut Faults) -> Option<PortDefinition> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    let name = fields.text("name", &mut faults.types);
    if name.is_some_and(|name| !is_name(name)) {
        faults.types.add(fields.at("name"), "error.pattern");
    }
    Some(PortDefinition {
        port: fields
            .int("port", 0, 65_535, &mut faults.types)
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(0),
        protocol: fields
            .word("protocol", &["tcp", "udp", "udp,tcp"], &mut faults.types)
            .unwrap_or("tcp")
            .to_owned(),
        name: name.map(str::to_owned),
        labels: fields.text_map("labels", &mut faults.types).unwrap_or_default(),
        mapping: None,
    })
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
fn is_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

/// Whether something comes more than once.
fn has_twice<T: Ord>(values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.into_iter().any(|value| !seen.insert(value))
}
