//! `readinessChecks`, which deployments wait for, and `check`, which only reports.

use super::parts::Parts;
use super::{Faults, INT};
use crate::marathon::read::{Fields, int, is_name, item};
use hansa_model::app::{CheckPort, GeneralCheck, PortDefinition, Question, ReadinessCheck};
use hansa_model::spec::Command;
use serde_json::Value;

/// Reads `readinessChecks`.
pub(super) fn read_all(
    fields: &Fields<'_>,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Vec<ReadinessCheck> {
    let at = fields.at("readinessChecks");
    let list = fields.list("readinessChecks", &mut faults.types).unwrap_or_default();
    if list.len() > 1 {
        faults.rules.add(at.as_str(), format!("got {}, expected 1 or less", list.len()));
    }
    list.iter()
        .enumerate()
        .filter_map(|(index, value)| read_one(value, &item(&at, index), ports, faults))
        .collect()
}

fn read_one(
    value: &Value,
    at: &str,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Option<ReadinessCheck> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    let mut text = |name: &str, otherwise: &str| {
        let given = fields.get(name).and_then(|_| fields.needed_text(name, &mut faults.types));
        given.unwrap_or(otherwise).to_owned()
    };
    let (name, path, port_name) =
        (text("name", "readinessCheck"), text("path", "/"), text("portName", "http-api"));
    check_path(&fields, &path, faults);
    if !is_name(&port_name) {
        faults.types.add(fields.at("portName"), "error.pattern");
    } else if !ports.iter().any(|port| port.name.as_deref() == Some(&port_name)) {
        let words = format!("No port definition reference for portName {port_name}");
        faults.rules.add(fields.at("portName"), words);
    }
    let interval = fields.count("intervalSeconds", INT, &mut faults.types).unwrap_or(30);
    let timeout =
        fields.int("timeoutSeconds", 1, i64::from(INT), &mut faults.types).map_or(10, i64::unsigned_abs);
    if timeout >= u64::from(interval) {
        let words = format!("got {timeout}, expected less than {interval}");
        faults.rules.add(fields.at("timeoutSeconds"), words);
    }
    Some(ReadinessCheck {
        name,
        tls: fields.word("protocol", &["HTTP", "HTTPS"], &mut faults.types) == Some("HTTPS"),
        path: rooted(&path),
        port_name,
        interval_ms: u64::from(interval) * 1_000,
        timeout_ms: timeout * 1_000,
        ready_codes: read_codes(&fields, faults),
        preserve_last_response: fields.flag("preserveLastResponse", &mut faults.types).unwrap_or(false),
    })
}

/// The status codes that say "ready"; the same one twice counts once.
fn read_codes(fields: &Fields<'_>, faults: &mut Faults) -> Vec<u16> {
    let at = fields.at("httpStatusCodesForReady");
    let mut codes = Vec::new();
    for (index, value) in
        fields.list("httpStatusCodesForReady", &mut faults.types).unwrap_or_default().iter().enumerate()
    {
        match int(value, 100, 999) {
            Ok(code) => codes.extend(u16::try_from(code)),
            Err(fault) => faults.types.add(item(&at, index), fault),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() { vec![200] } else { codes }
}

/// Reads `check`.
pub(super) fn read_general(
    parts: &Parts<'_>,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Option<GeneralCheck> {
    let at = parts.app.at("check");
    let check = Fields::of(parts.app.get("check")?, &at, &mut faults.types)?;
    if parts.is_docker() {
        faults.rules.add(parts.app.path(), "AppDefinition must not use 'checks' if using docker");
    }
    let mut seconds = |name: &str, otherwise: u32| {
        u64::from(check.count(name, INT, &mut faults.types).unwrap_or(otherwise)) * 1_000
    };
    let (interval_ms, timeout_ms, delay_ms) =
        (seconds("intervalSeconds", 60), seconds("timeoutSeconds", 20), seconds("delaySeconds", 15));
    let kinds: Vec<&str> =
        ["http", "tcp", "exec"].into_iter().filter(|kind| check.get(kind).is_some()).collect();
    let [kind] = kinds.as_slice() else {
        faults.rules.add(at, "expected one of http, tcp or exec checks");
        return None;
    };
    let here = check.at(kind);
    let inner = Fields::of(check.get(kind)?, &here, &mut faults.types)?;
    let question = match *kind {
        "http" => {
            let given = inner.get("path").and_then(|_| inner.needed_text("path", &mut faults.types));
            let path = given.unwrap_or("/").to_owned();
            check_path(&inner, &path, faults);
            let scheme = inner.word("scheme", &["HTTP", "HTTPS"], &mut faults.types);
            Question::Http { path: rooted(&path), tls: scheme == Some("HTTPS") }
        }
        "tcp" => Question::Tcp,
        _ => Question::Command(read_command(&inner, faults)?),
    };
    let port = match question {
        Question::Command(_) => None,
        _ => read_port(&inner, &at, ports, faults),
    };
    Some(GeneralCheck { question, port, interval_ms, timeout_ms, delay_ms })
}

fn read_port(
    fields: &Fields<'_>,
    at: &str,
    ports: &[PortDefinition],
    faults: &mut Faults,
) -> Option<CheckPort> {
    let number = fields.port("port", &mut faults.types);
    let index = fields.port("portIndex", &mut faults.types);
    match (index, number) {
        (Some(index), _) if usize::from(index) < ports.len() => Some(CheckPort::Index(index)),
        (None, Some(number)) => Some(CheckPort::Number(number)),
        (None, None) if ports.len() == 1 => Some(CheckPort::Index(0)),
        _ => {
            faults.rules.add(
                at,
                "check port index must address an element of the ports array or container port mappings.",
            );
            None
        }
    }
}

/// `{"command": {"shell": …}}` or `{"command": {"argv": […]}}`.
fn read_command(fields: &Fields<'_>, faults: &mut Faults) -> Option<Command> {
    let at = fields.at("command");
    let Some(value) = fields.get("command") else {
        faults.types.add(at, "error.path.missing");
        return None;
    };
    let command = Fields::of(value, &at, &mut faults.types)?;
    if let Some(argv) = command.texts("argv", &mut faults.types).filter(|_| command.get("shell").is_none()) {
        if argv.first().is_none_or(String::is_empty) {
            faults.types.add(command.at("argv"), "error.minLength");
        }
        return Some(Command::Argv(argv));
    }
    command.needed_text("shell", &mut faults.types).map(|shell| Command::Shell(shell.to_owned()))
}

fn check_path(fields: &Fields<'_>, path: &str, faults: &mut Faults) {
    if path.chars().count() > 1_024 {
        faults.types.add(fields.at("path"), "error.maxLength");
    }
    if path.contains(|c: char| c.is_control() || c == ' ') {
        faults.rules.add(fields.at("path"), "must not contain blanks or control characters");
    }
}

/// A path without its slash would change the request's address.
fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
