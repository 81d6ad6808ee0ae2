//! Ports. On the host network `portDefinitions` (once `ports`); for containers with an address of their own
//! `container.portMappings` (once `container.docker.portMappings`, or the ports of `ipAddress.discovery`). Whichever is
//! not meant for the app's network is dropped, as Marathon does.

use super::Faults;
use super::parts::Parts;
use crate::marathon::read::{Fields, has_twice, int, is_name, item};
use hansa_model::app::{AppNetwork, NetworkMode, PortDefinition, ServiceMapping};

/// More ports than this for each instance are a mistake, and would make every placement slow.
const MOST_PORTS: usize = 1_024;

/// What ports may speak.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "udp,tcp"];

/// Reads the ports of an app on `networks` (empty: the machine's own).
pub(super) fn read(parts: &Parts<'_>, networks: &[AppNetwork], faults: &mut Faults) -> Vec<PortDefinition> {
    let definitions = read_host(parts, faults);
    let mappings = read_mapped(parts, faults);
    let (ports, at) = if networks.is_empty() {
        let at = parts.app.at("portDefinitions");
        let ports = definitions.unwrap_or_else(|| vec![default_port()]);
        if has_twice(ports.iter().filter_map(|port| port.name.as_deref())) {
            faults.rules.add(at.as_str(), "Port names must be unique.");
        }
        if has_twice(ports.iter().map(|port| port.port).filter(|port| *port != 0)) {
            faults.rules.add(at.as_str(), "Ports must be unique.");
        }
        (ports, at)
    } else {
        let at = format!("{}/portMappings", parts.app.at("container"));
        let mut ports = mappings.unwrap_or_else(|| vec![default_mapping(Some("default"))]);
        // Old clients say how many ports they want by `ports` and leave the mappings out.
        let missing = definitions.map_or(0, |definitions| definitions.len()).saturating_sub(ports.len());
        if parts.container.is_some() || parts.ip_address.is_some() {
            ports.extend((0..missing).map(|_| default_mapping(None)));
        }
        check_mappings(&mut ports, networks, &at, faults);
        (ports, at)
    };
    if ports.len() > MOST_PORTS {
        faults.rules.add(at, format!("got {}, expected {MOST_PORTS} or less", ports.len()));
    }
    ports
}

/// The port that an app has when it does not say: one, with any number.
fn default_port() -> PortDefinition {
    PortDefinition { protocol: "tcp".into(), name: Some("default".into()), ..PortDefinition::default() }
}

/// The same for a container with an address of its own.
fn default_mapping(name: Option<&str>) -> PortDefinition {
    PortDefinition {
        name: name.map(str::to_owned),
        mapping: Some(ServiceMapping::default()),
        ..default_port()
    }
}

/// `portDefinitions`, or `ports`.
fn read_host(parts: &Parts<'_>, faults: &mut Faults) -> Option<Vec<PortDefinition>> {
    let old = read_numbers(&parts.app, faults);
    let definitions = read_list(&parts.app, "portDefinitions", read_definition, faults);
    match (definitions, old) {
        (Some(definitions), old) => {
            let numbers = || definitions.iter().map(|definition| definition.port);
            if old.is_some_and(|old| !old.into_iter().eq(numbers())) {
                faults.old.add(parts.app.path(), "cannot specify both ports and port definitions");
            }
            Some(definitions)
        }
        (None, old) => {
            Some(old?.into_iter().map(|port| PortDefinition { port, name: None, ..default_port() }).collect())
        }
    }
}

fn read_numbers(fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<u16>> {
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
        faults.old.add(fields.path(), "ports must be unique");
    }
    Some(ports)
}

/// The mappings of a container, wherever they stand; None: it does not say.
fn read_mapped(parts: &Parts<'_>, faults: &mut Faults) -> Option<Vec<PortDefinition>> {
    let read = |fields: Option<Fields<'_>>, faults: &mut Faults| {
        read_list(&fields?, "portMappings", read_mapping, faults)
    };
    let (new, old) = (read(parts.container, faults), read(parts.docker, faults));
    if let (Some(docker), Some(old)) = (parts.docker, &old) {
        if has_twice(old.iter().filter_map(|port| port.name.as_deref())) {
            faults.old.add(docker.at("portMappings"), "Port names must be unique.");
        }
        if new.is_some() && !old.is_empty() {
            faults.old.add(parts.app.path(), "cannot specify both portMappings and docker.portMappings");
        }
    }
    let mapped = new.or(old);
    let discovered = read_discovered(parts, faults).filter(|ports| !ports.is_empty());
    if discovered.is_some() && mapped.is_some() {
        faults.old.add(
            parts.app.path(),
            "container.portMappings and ipAddress.discovery.ports must not both be set",
        );
    }
    mapped.or(discovered)
}

/// `ipAddress.discovery.ports`.
fn read_discovered(parts: &Parts<'_>, faults: &mut Faults) -> Option<Vec<PortDefinition>> {
    let at = parts.ip_address?.at("discovery");
    let discovery = Fields::of(parts.ip_address?.get("discovery")?, &at, &mut faults.types)?;
    read_list(&discovery, "ports", read_discovery, faults)
}

/// A list of ports, each read by `one`.
fn read_list(
    fields: &Fields<'_>,
    name: &str,
    one: impl Fn(&Fields<'_>, &mut Faults) -> PortDefinition,
    faults: &mut Faults,
) -> Option<Vec<PortDefinition>> {
    let list = fields.list(name, &mut faults.types)?;
    let at = fields.at(name);
    let mut ports = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let here = item(&at, index);
        if let Some(fields) = Fields::of(value, &here, &mut faults.types) {
            ports.push(one(&fields, faults));
        }
    }
    Some(ports)
}

/// What all kinds of ports have: protocol, name, labels.
fn read_common(fields: &Fields<'_>, faults: &mut Faults) -> PortDefinition {
    let name = fields.text("name", &mut faults.types);
    if name.is_some_and(|name| !is_name(name)) {
        faults.types.add(fields.at("name"), "error.pattern");
    }
    PortDefinition {
        port: 0,
        protocol: fields.word("protocol", &PROTOCOLS, &mut faults.types).unwrap_or("tcp").to_owned(),
        name: name.map(str::to_owned),
        labels: fields.text_map("labels", &mut faults.types).unwrap_or_default(),
        mapping: None,
    }
}

fn read_definition(fields: &Fields<'_>, faults: &mut Faults) -> PortDefinition {
    let port = fields.port("port", &mut faults.types).unwrap_or(0);
    PortDefinition { port, ..read_common(fields, faults) }
}

fn read_mapping(fields: &Fields<'_>, faults: &mut Faults) -> PortDefinition {
    let mapping = ServiceMapping {
        container_port: fields.port("containerPort", &mut faults.types).unwrap_or(0),
        host_port: fields.port("hostPort", &mut faults.types),
        networks: fields.texts("networkNames", &mut faults.types).unwrap_or_default(),
    };
    for (index, name) in mapping.networks.iter().enumerate() {
        if !is_name(name) || name.len() > 63 {
            faults.types.add(item(&fields.at("networkNames"), index), "error.pattern");
        }
    }
    let port = fields.port("servicePort", &mut faults.types).unwrap_or(0);
    PortDefinition { port, mapping: Some(mapping), ..read_common(fields, faults) }
}

fn read_discovery(fields: &Fields<'_>, faults: &mut Faults) -> PortDefinition {
    if fields.get("name").is_none() {
        faults.types.add(fields.at("name"), "error.path.missing");
    }
    let container_port = fields.port("number", &mut faults.types).unwrap_or(0);
    let mapping = ServiceMapping { container_port, ..ServiceMapping::default() };
    PortDefinition { mapping: Some(mapping), ..read_common(fields, faults) }
}

/// Fills in what the network says, and checks the rules of mappings.
fn check_mappings(ports: &mut [PortDefinition], networks: &[AppNetwork], at: &str, faults: &mut Faults) {
    let is_bridge = networks.iter().any(|network| network.mode == NetworkMode::Bridge);
    let names: Vec<&str> = networks.iter().filter_map(|network| network.name.as_deref()).collect();
    if has_twice(ports.iter().filter_map(|port| port.name.as_deref())) {
        faults.rules.add(at, "Port names must be unique.");
    }
    for (index, port) in ports.iter_mut().enumerate() {
        let Some(mapping) = &mut port.mapping else { continue };
        if is_bridge && mapping.host_port.is_none() {
            mapping.host_port = Some(0);
        }
        let here = item(at, index);
        for (index, name) in mapping.networks.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let place = item(&format!("{here}/networkNames"), index);
                faults.rules.add(place, format!("is not one of ({})", names.join(",")));
            }
        }
        if networks.len() > 1 && mapping.host_port.is_some() && mapping.networks.len() != 1 {
            faults.rules.add(
                here,
                "networkNames must be a single item list when hostPort is specified and more than 1 container \
                 network is defined",
            );
        }
    }
}
