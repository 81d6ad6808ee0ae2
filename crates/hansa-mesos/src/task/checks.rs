//! Checks and health checks.

use super::command::shell_line;
use crate::Invalid;
use crate::proto::v1;
use crate::proto::v1::network_info::Protocol;
use hansa_model::app::{CheckPort, GeneralCheck, HealthCheck, Probe, Question};
use hansa_model::spec::Command;

/// A health check: it ends its task when it fails too often.
pub(super) fn health(check: &v1::HealthCheck) -> Result<HealthCheck, Invalid> {
    use v1::health_check::Type;
    let kind = check
        .r#type
        .map(|_| check.r#type())
        .ok_or_else(|| Invalid::new("HealthCheck must specify 'type'"))?;
    let mut ip = Protocol::IPv4;
    let (protocol, probe, port_number) = match kind {
        Type::Command => {
            let command = check.command.as_ref();
            let command = command
                .ok_or_else(|| Invalid::new("Expecting 'command' to be set for COMMAND health check"))?;
            let command =
                shell_line(command).map_err(|why| Invalid(format!("Command health check {why}")))?;
            ("COMMAND", Probe::Command { command }, None)
        }
        Type::Http => {
            let http = check.http.as_ref();
            let http =
                http.ok_or_else(|| Invalid::new("Expecting 'http' to be set for HTTP health check"))?;
            ip = http.protocol();
            let scheme = http.scheme.as_deref().unwrap_or("http");
            if !["http", "https"].contains(&scheme) {
                return Err(Invalid(format!("Unsupported HTTP health check scheme: '{scheme}'")));
            }
            let path = path(http.path.as_deref(), "HTTP health check")?;
            let tls = scheme == "https";
            let protocol = if tls { "MESOS_HTTPS" } else { "MESOS_HTTP" };
            (protocol, Probe::Http { path, ignore_1xx: false, tls }, Some(port(http.port)?))
        }
        Type::Tcp => {
            let tcp = check.tcp.as_ref();
            let tcp = tcp.ok_or_else(|| Invalid::new("Expecting 'tcp' to be set for TCP health check"))?;
            ip = tcp.protocol();
            ("MESOS_TCP", Probe::Tcp, Some(port(tcp.port)?))
        }
        Type::Unknown => return Err(Invalid::new("'UNKNOWN' is not a valid health check type")),
    };
    Ok(HealthCheck {
        protocol: protocol.to_owned(),
        probe,
        port: port_number,
        grace_ms: milliseconds(check.grace_period_seconds(), "grace_period_seconds")?,
        interval_ms: milliseconds(check.interval_seconds(), "interval_seconds")?,
        timeout_ms: milliseconds(check.timeout_seconds(), "timeout_seconds")?,
        max_consecutive_failures: check.consecutive_failures(),
        delay_ms: milliseconds(check.delay_seconds(), "delay_seconds")?,
        ip_protocol: ip.as_str_name().to_owned(),
    })
}

/// A check: its answers are reported, and no more.
pub(super) fn check(check: &v1::CheckInfo) -> Result<GeneralCheck, Invalid> {
    use v1::check_info::Type;
    let kind =
        check.r#type.map(|_| check.r#type()).ok_or_else(|| Invalid::new("CheckInfo must specify 'type'"))?;
    let (question, port_number) = match kind {
        Type::Command => {
            let command = check.command.as_ref().map(|check| &check.command);
            let command =
                command.ok_or_else(|| Invalid::new("Expecting 'command' to be set for COMMAND check"))?;
            let line = shell_line(command).map_err(|why| Invalid(format!("Command check {why}")))?;
            (Question::Command(Command::Shell(line)), None)
        }
        Type::Http => {
            let http = check.http.as_ref();
            let http = http.ok_or_else(|| Invalid::new("Expecting 'http' to be set for HTTP check"))?;
            let path = path(http.path.as_deref(), "HTTP check")?;
            (Question::Http { path, tls: false }, Some(port(http.port)?))
        }
        Type::Tcp => {
            let tcp = check.tcp.as_ref();
            let tcp = tcp.ok_or_else(|| Invalid::new("Expecting 'tcp' to be set for TCP check"))?;
            (Question::Tcp, Some(port(tcp.port)?))
        }
        Type::Unknown => return Err(Invalid::new("'UNKNOWN' is not a valid check type")),
    };
    Ok(GeneralCheck {
        question,
        port: port_number,
        interval_ms: milliseconds(check.interval_seconds(), "interval_seconds")?,
        timeout_ms: milliseconds(check.timeout_seconds(), "timeout_seconds")?,
        delay_ms: milliseconds(check.delay_seconds(), "delay_seconds")?,
    })
}

fn path(path: Option<&str>, what: &str) -> Result<String, Invalid> {
    let path = path.unwrap_or("/");
    if !path.starts_with('/') {
        return Err(Invalid(format!("The path '{path}' of {what} must start with '/'")));
    }
    if path.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(Invalid(format!("The path of {what} holds blanks or control characters")));
    }
    Ok(path.to_owned())
}

fn port(number: u32) -> Result<CheckPort, Invalid> {
    u16::try_from(number).map(CheckPort::Number).map_err(|_| Invalid(format!("{number} is no port")))
}

fn milliseconds(seconds: f64, name: &str) -> Result<u64, Invalid> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(Invalid(format!("Expecting '{name}' to be non-negative")));
    }
    // More than any task lives is for ever.
    Ok((seconds * 1_000.0).min(1e15).round() as u64)
}
