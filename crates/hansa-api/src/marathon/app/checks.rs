//! Health checks. The kinds that Marathon performed itself (HTTP, HTTPS, TCP) and those on the agent (COMMAND, MESOS_…)
//! differ only in their rules; all of them run on the agent.

use super::parts::Parts;
use super::{Faults, INT};
use crate::marathon::read::{Fields, item};
use hansa_model::app::{CheckPort, HealthCheck, PortDefinition, Probe};
use serde_json::Value;

/// The protocols, in Marathon's spelling.
pub const PROTOCOLS: [&str; 7] =
    ["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_TCP", "MESOS_HTTP", "MESOS_HTTPS"];

/// Reads `healthChecks`; the same one twice counts once.
pub(super) fn read(parts: &Parts<'_>, ports: &[PortDefinition], faults: &mut Faults) -> Vec<HealthCheck> {
    let fields = &parts.app;
    let at = fields.at("healthChecks");
    let mut checks: Vec<HealthCheck> = Vec::new();
    for (index, value) in
        fields.list("healthChecks", &mut faults.types).unwrap_or_default().iter().enumerate()
    {
        match read_one(value, &item(&at, index), parts.is_docker(), ports, faults) {
            Some(check) if !checks.contains(&check) => checks.push(check),
            _ => {}
        }
    }
    if checks.iter().filter(|check| check.protocol.starts_with("MESOS_")).count() > 1 {
        faults.rules.add(fields.path(), "AppDefinition can contain at most one Mesos health check");
    }
    checks
}

fn read_one(
    value: &Value,
    at: &str,
    is_docker: bool,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Option<HealthCheck> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    let protocol = fields.word("protocol", &PROTOCOLS, &mut faults.types).unwrap_or("HTTP");
    let ip_protocol = fields.word("ipProtocol", &["IPv4", "IPv6"], &mut faults.types).unwrap_or("IPv4");
    if ip_protocol == "IPv6" && !(is_docker && protocol.starts_with("MESOS_")) {
        faults.rules.add(
            at,
            "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
        );
    }
    let probe = read_probe(&fields, protocol, faults);
    let port = read_port(&fields, protocol, ports, faults);
    let mut seconds = |name: &str, otherwise: u32| {
        u64::from(fields.count(name, INT, &mut faults.types).unwrap_or(otherwise)) * 1_000
    };
    Some(HealthCheck {
        protocol: protocol.to_owned(),
        probe,
        port,
        grace_ms: seconds("gracePeriodSeconds", 300),
        interval_ms: seconds("intervalSeconds", 60),
        timeout_ms: seconds("timeoutSeconds", 20),
        delay_ms: seconds("delaySeconds", 15),
        max_consecutive_failures: fields.count("maxConsecutiveFailures", INT, &mut faults.types).unwrap_or(3),
        ip_protocol: ip_protocol.to_owned(),
    })
}

fn read_probe(fields: &Fields<'_>, protocol: &str, faults: &mut Faults) -> Probe {
    let path = fields.text("path", &mut faults.types).filter(|path| !path.is_empty()).unwrap_or("/");
    let ignore_1xx = fields.flag("ignoreHttp1xx", &mut faults.types).unwrap_or(false);
    let command = read_command(fields, faults);
    if protocol != "COMMAND" && command.is_some() {
        faults.rules.add(fields.at("command"), "is only allowed with protocol COMMAND");
    }
    match protocol {
        "COMMAND" => {
            if fields.get("command").is_none() {
                faults.rules.add(fields.at("command"), "not defined");
            }
            Probe::Command { command: command.unwrap_or_default() }
        }
        "TCP" | "MESOS_TCP" => Probe::Tcp,
        _ => {
            if path.contains(|c: char| c.is_control() || c == ' ') {
                faults.rules.add(fields.at("path"), "must not contain blanks or control characters");
            }
            // A path without its slash would change the request's address.
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            Probe::Http { path, ignore_1xx, tls: protocol.ends_with("HTTPS") }
        }
    }
}

fn read_command(fields: &Fields<'_>, faults: &mut Faults) -> Option<String> {
    let at = fields.at("command");
    let command = Fields::of(fields.get("command")?, &at, &mut faults.types)?;
    if command.get("value").is_none() {
        faults.types.add(command.at("value"), "error.path.missing");
    }
    let value = command.text("value", &mut faults.types)?;
    if value.is_empty() {
        faults.rules.add(command.at("value"), "must not be empty");
    }
    Some(value.to_owned())
}

fn read_port(
    fields: &Fields<'_>,
    protocol: &str,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Option<CheckPort> {
    let number = fields.port("port", &mut faults.types);
    let index = fields.port("portIndex", &mut faults.types);
    if protocol == "COMMAND" {
        return None;
    }
    let wrong =
        "Health check port indices must address an element of the ports array or container port mappings.";
    match (number, index) {
        (Some(number), _) => Some(CheckPort::Number(number)),
        (None, index) if usize::from(index.unwrap_or(0)) < ports.len() => {
            Some(CheckPort::Index(index.unwrap_or(0)))
        }
        (None, Some(_)) => {
            faults.rules.add(fields.path(), wrong);
            None
        }
        (None, None) => {
            let words = if protocol.starts_with("MESOS_") {
                "HealthCheck must specify either a port or a portIndex"
            } else {
                wrong
            };
            faults.rules.add(fields.path(), words);
            None
        }
    }
}
