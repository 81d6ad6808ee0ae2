//! Networks: `networks`, and the spellings that it has replaced (`ipAddress`, `container.docker.network`).

use super::Faults;
use super::parts::Parts;
use super::unsupported::refuse;
use crate::marathon::read::{Fields, has_twice, is_name, item};
use hansa_model::app::{AppNetwork, NetworkMode};
use serde_json::Value;
use std::collections::BTreeMap;

/// Marathon's modes, as they are written.
pub(in crate::marathon) const MODES: [(&str, NetworkMode); 3] = [
    ("container", NetworkMode::Container),
    ("container/bridge", NetworkMode::Bridge),
    ("host", NetworkMode::Host),
];

/// The name under which old clients ask for the bridge.
const BRIDGE_NAME: &str = "mesos-bridge";

/// Reads the networks that the instances join; empty: the machine's own.
pub(super) fn read(parts: &Parts<'_>, faults: &mut Faults) -> Vec<AppNetwork> {
    let given = read_list(parts, faults);
    let mode = parts
        .docker
        .and_then(|docker| docker.word("network", &["BRIDGE", "HOST", "NONE", "USER"], &mut faults.types));
    check_old(parts, mode, !given.is_empty(), faults);
    let (networks, at) = match (parts.ip_address, mode) {
        (None, None) => {
            check(parts, &given, faults);
            (given, parts.app.at("networks"))
        }
        (Some(address), mode) => (vec![of_address(&address, mode, faults)], address.path().to_owned()),
        (None, Some(mode)) => {
            let network = AppNetwork { mode: of_docker(mode), name: None, labels: BTreeMap::new() };
            (vec![network], format!("{}/network", parts.docker.map_or("", |docker| docker.path())))
        }
    };
    if networks.iter().any(|network| network.mode == NetworkMode::Container) {
        refuse(at, "named container networks (use the mode container/bridge, or host)", faults);
    }
    networks.into_iter().filter(|network| network.mode != NetworkMode::Host).collect()
}

fn read_list(parts: &Parts<'_>, faults: &mut Faults) -> Vec<AppNetwork> {
    let at = parts.app.at("networks");
    let list = parts.app.list("networks", &mut faults.types).unwrap_or_default();
    list.iter().enumerate().filter_map(|(index, value)| read_one(value, &item(&at, index), faults)).collect()
}

fn read_one(value: &Value, at: &str, faults: &mut Faults) -> Option<AppNetwork> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    let name = fields.text("name", &mut faults.types);
    if let Some(name) = name {
        if name.is_empty() {
            faults.types.add(fields.at("name"), "error.minLength");
        } else if name.len() > 63 {
            faults.types.add(fields.at("name"), "error.maxLength");
        } else if !is_name(&name.replace('_', "-")) || name.starts_with('_') || name.ends_with('_') {
            faults.types.add(fields.at("name"), "error.pattern");
        }
    }
    let word = fields.word("mode", &MODES.map(|(word, _)| word), &mut faults.types).unwrap_or("container");
    Some(AppNetwork {
        mode: MODES
            .iter()
            .find(|(known, _)| *known == word)
            .map_or(NetworkMode::Container, |(_, mode)| *mode),
        name: name.map(str::to_owned),
        labels: fields.text_map("labels", &mut faults.types).unwrap_or_default(),
    })
}

/// The rules about old spellings beside new ones.
fn check_old(parts: &Parts<'_>, mode: Option<&str>, given: bool, faults: &mut Faults) {
    let at = parts.app.path();
    if mode.is_some() && given {
        faults.old.add(at, "must not specify both container.docker.network and networks");
    }
    if mode == Some("NONE") {
        faults.old.add(at, "unsupported docker network type NONE");
    }
    let Some(address) = parts.ip_address else { return };
    if given {
        faults.old.add(at, "must not specify both networks and ipAddress");
    }
    let has_ports =
        |name: &str| parts.app.get(name).and_then(Value::as_array).is_some_and(|ports| !ports.is_empty());
    if has_ports("ports") || has_ports("portDefinitions") {
        faults.old.add(at, "cannot specify both an IP address and port");
    }
    if parts.is_docker() && address.get("discovery").is_some() {
        faults.old.add(address.path(), "ipAddress/discovery is not allowed for Docker containers");
    }
}

fn of_docker(mode: &str) -> NetworkMode {
    match mode {
        "BRIDGE" => NetworkMode::Bridge,
        "USER" => NetworkMode::Container,
        _ => NetworkMode::Host,
    }
}

/// What `ipAddress` asks for; beside `container.docker.network` the latter says the mode.
fn of_address(address: &Fields<'_>, mode: Option<&str>, faults: &mut Faults) -> AppNetwork {
    let name = address.text("networkName", &mut faults.types).map(str::to_owned);
    let labels = address.text_map("labels", &mut faults.types).unwrap_or_default();
    address.texts("groups", &mut faults.types);
    let mode = match mode {
        Some(mode) => of_docker(mode),
        None if name.as_deref() == Some(BRIDGE_NAME) => NetworkMode::Bridge,
        None => NetworkMode::Container,
    };
    match mode {
        NetworkMode::Host => AppNetwork { mode, name: None, labels: BTreeMap::new() },
        NetworkMode::Bridge => AppNetwork { mode, name: None, labels },
        NetworkMode::Container => AppNetwork { mode, name, labels },
    }
}

/// The rules of the canonical form.
fn check(parts: &Parts<'_>, networks: &[AppNetwork], faults: &mut Faults) {
    let at = parts.app.at("networks");
    let of = |mode: NetworkMode| networks.iter().filter(move |network| network.mode == mode);
    let (host, bridge) = (of(NetworkMode::Host).count(), of(NetworkMode::Bridge).count());
    let named = of(NetworkMode::Container).count();
    let mut rule = |broken: bool, words: &str| {
        if broken {
            faults.rules.add(at.as_str(), words);
        }
    };
    rule(
        of(NetworkMode::Host).any(|network| network.name.is_some() || !network.labels.is_empty()),
        "Host networks may not have names or labels",
    );
    rule(of(NetworkMode::Bridge).any(|network| network.name.is_some()), "Bridge networks may not have names");
    let unnamed = of(NetworkMode::Container).filter(|network| network.name.is_none()).count();
    rule(
        unnamed > 1 || has_twice(networks.iter().filter_map(|network| network.name.as_deref())),
        "Duplicate networks are not allowed",
    );
    let kinds = [host, bridge, named].iter().filter(|count| **count > 0).count();
    rule(
        kinds > 1 || host > 1 || bridge > 1,
        "May specify a single host network, single bridge network, or else 1-to-n container networks",
    );
    rule(unnamed > 0, "Network name must be specified when container network is selected.");
    if parts.is_docker() && named > 1 {
        faults.rules.add(
            parts.app.path(),
            "may only specify a single container network when using the Docker container engine",
        );
    }
}
