//! `ports` and `expose` of a service, as port mappings.

use super::units;
use serde_json::{Value, json};

/// One entry of `ports`: one mapping for each port of a range.
///
/// # Errors
/// It is not a way to write ports; in words.
pub fn published(value: &Value, notes: &mut Vec<String>) -> Result<Vec<Value>, String> {
    match value {
        Value::Object(fields) => {
            for name in fields.keys() {
                if !matches!(name.as_str(), "target" | "published" | "protocol" | "name") {
                    notes.push(format!("{name} of a port"));
                }
            }
            let target = fields.get("target").and_then(units::text).unwrap_or_default();
            let host = fields.get("published").and_then(units::text);
            let protocol = fields.get("protocol").and_then(units::text).unwrap_or_else(|| "tcp".into());
            mappings(&target, host.as_deref(), &protocol)
        }
        other => {
            let text = units::text(other).ok_or("not a port")?;
            let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            let (host, target) = match ports.rsplit_once(':') {
                Some((host, target)) => (Some(host), target),
                None => (None, ports),
            };
            let host = host.map(|host| match host.rsplit_once(':') {
                Some((_, host)) => {
                    notes.push("the address of a port".into());
                    host
                }
                None => host,
            });
            mappings(target, host, protocol)
        }
    }
}

/// One entry of `expose`: reached through any port of the machine.
///
/// # Errors
/// It is not a way to write ports; in words.
pub fn exposed(value: &Value) -> Result<Vec<Value>, String> {
    let text = units::text(value).ok_or("not a port")?;
    let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    mappings(ports, None, protocol)
}

fn mappings(target: &str, host: Option<&str>, protocol: &str) -> Result<Vec<Value>, String> {
    if !matches!(protocol, "tcp" | "udp") {
        return Err(format!("protocol {protocol:?} is neither tcp nor udp"));
    }
    let targets = range(target)?;
    let hosts = match host.filter(|host| !host.is_empty()) {
        Some(host) => range(host)?,
        None => 0..=0,
    };
    let any = *hosts.end() == 0;
    if !any && hosts.clone().count() != targets.clone().count() {
        return Err(format!("{} ports of the machine for {target}", hosts.count()));
    }
    Ok(targets
        .enumerate()
        .map(|(at, port)| {
            let host = if any { 0 } else { hosts.start() + at as u16 };
            json!({"containerPort": port, "hostPort": host, "protocol": protocol})
        })
        .collect())
}

/// `80` or `80-90`.
fn range(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let port = |text: &str| match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{text:?} is not a port between 1 and 65535")),
    };
    match text.split_once('-') {
        Some((from, to)) if port(from)? <= port(to)? => Ok(port(from)?..=port(to)?),
        Some(_) => Err(format!("{text:?} runs backwards")),
        None => port(text).map(|port| port..=port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Value, String> {
        published(&value, &mut Vec::new()).map(Value::Array)
    }

    #[test]
    fn all_ways_to_write_ports() {
        let one = |container: u16, host: u16, protocol: &str| json!({"containerPort": container, "hostPort": host, "protocol": protocol});
        assert_eq!(read(json!("80")), Ok(json!([one(80, 0, "tcp")])));
        assert_eq!(read(json!(80)), Ok(json!([one(80, 0, "tcp")])));
        assert_eq!(read(json!("127.0.0.1:8080:80/udp")), Ok(json!([one(80, 8080, "udp")])));
        assert_eq!(
            read(json!("1000-1001:2000-2001")),
            Ok(json!([one(2000, 1000, "tcp"), one(2001, 1001, "tcp")]))
        );
        assert_eq!(read(json!({"target": 80, "published": "8080"})), Ok(json!([one(80, 8080, "tcp")])));
        for wrong in ["", "x", "0", "70000", "1-3:5", "9-1", "80/icmp"] {
            assert!(read(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_named_as_left_out() {
        let mut notes = Vec::new();
        published(&json!("127.0.0.1:1:1"), &mut notes).unwrap();
        assert_eq!(notes, ["the address of a port"]);
    }
}
