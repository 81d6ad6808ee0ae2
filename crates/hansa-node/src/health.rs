//! One health check of one task: where it goes, and what an outcome means.
//!
//! Marathon's semantics. A failure is ignored while the check has never succeeded and the task is younger than the grace
//! period: it neither counts nor is reported. A success resets the count. The scheduler kills on a failure whose count
//! *before* it has reached the maximum, so failures are reported until the count is one above the maximum; further
//! ones say nothing new.

use crate::io::{ProbeOutcome, ProbeTarget};
use crate::reach::Reach;
use hansa_model::Timestamp;
use hansa_model::app::{HealthCheck, Probe};
use hansa_model::task::HealthResult;

/// Takes an outcome for a task that runs since `running_since`. True: worth reporting.
pub fn judge(
    result: &mut HealthResult,
    spec: &HealthCheck,
    running_since: Timestamp,
    now: Timestamp,
    outcome: ProbeOutcome,
) -> bool {
    match outcome {
        ProbeOutcome::Ignored | ProbeOutcome::Answered { .. } | ProbeOutcome::Said(_) => false,
        ProbeOutcome::Healthy => {
            let changed = result.alive != Some(true);
            result.alive = Some(true);
            result.consecutive_failures = 0;
            result.first_success.get_or_insert(now);
            result.last_success = Some(now);
            changed
        }
        ProbeOutcome::Unhealthy { cause } => {
            if result.first_success.is_none() && now.since(running_since) < spec.grace_ms {
                return false;
            }
            let changed = result.alive != Some(false);
            result.alive = Some(false);
            result.consecutive_failures = result.consecutive_failures.saturating_add(1);
            result.last_failure = Some(now);
            result.last_failure_cause = Some(cause);
            let max = spec.max_consecutive_failures;
            changed || (max > 0 && result.consecutive_failures <= max.saturating_add(1))
        }
    }
}

/// Whether a task whose check stands so is to be ended, as Mesos does it.
pub fn is_hopeless(result: &HealthResult, spec: &HealthCheck) -> bool {
    result.alive == Some(false) && result.consecutive_failures >= spec.max_consecutive_failures.max(1)
}

/// All checks of a task together: None while undecided or without checks.
pub fn healthy(results: &[HealthResult]) -> Option<bool> {
    let alive = || results.iter().map(|result| result.alive);
    if results.is_empty() {
        None
    } else if alive().any(|alive| alive == Some(false)) {
        Some(false)
    } else if alive().all(|alive| alive == Some(true)) {
        Some(true)
    } else {
        None
    }
}

/// Where a check goes.
///
/// Marathon's own kinds came from outside the machine, so they use its ports as long as there are any. Mesos' came from
/// within the task's network, so they go to where the task listens.
///
/// # Errors
/// The check cannot succeed, in words: it counts as a failure each time.
pub fn target(spec: &HealthCheck, reach: Reach<'_>) -> Result<ProbeTarget, String> {
    match &spec.probe {
        Probe::Http { path, ignore_1xx, tls } => {
            let (host, port) = address(spec, reach)?;
            let path = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
            Ok(ProbeTarget::Http { host, port, path, ignore_1xx: *ignore_1xx, tls: *tls })
        }
        Probe::Tcp => {
            let (host, port) = address(spec, reach)?;
            Ok(ProbeTarget::Tcp { host, port })
        }
        Probe::Command { command } => Ok(ProbeTarget::Command { command: command.clone() }),
    }
}

fn address(spec: &HealthCheck, reach: Reach<'_>) -> Result<(String, u16), String> {
    let port = spec.port.ok_or("the check names no port")?;
    reach.address(port, spec.protocol.starts_with("MESOS_"), spec.ip_protocol == "IPv6")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::app::CheckPort;
    use hansa_model::container::{NetworkSpec, PortMapping};

    fn spec(max_consecutive_failures: u32) -> HealthCheck {
        HealthCheck {
            protocol: "HTTP".into(),
            probe: Probe::Http { path: "/".into(), ignore_1xx: false, tls: false },
            port: Some(CheckPort::Index(0)),
            grace_ms: 10_000,
            interval_ms: 1_000,
            timeout_ms: 300,
            max_consecutive_failures,
            delay_ms: 0,
            ip_protocol: "IPv4".into(),
        }
    }

    /// Plays results, one a second from the given second on, and shows for each whether it is reported (`!`), how the
    /// check stands (`?`, `+`, `-`) and how many failures have counted.
    fn play(max: u32, from: u64, results: &str) -> String {
        let mut result = HealthResult::default();
        let mut shown = Vec::new();
        for (second, outcome) in (from..).zip(results.chars()) {
            let outcome = match outcome {
                '+' => ProbeOutcome::Healthy,
                '1' => ProbeOutcome::Ignored,
                _ => ProbeOutcome::Unhealthy { cause: "no".into() },
            };
            let reported = judge(&mut result, &spec(max), Timestamp(0), Timestamp(second * 1_000), outcome);
            let alive = match result.alive {
                None => '?',
                Some(true) => '+',
                Some(false) => '-',
            };
            shown.push(format!("{alive}{}{}", result.consecutive_failures, if reported { "!" } else { "" }));
        }
        shown.join(" ")
    }

    #[test]
    fn grace_failures_and_recovery() {
        let cases = [
            // max, first second, results, what is shown for each
            (3, 0, "----", "?0 ?0 ?0 ?0"),
            (3, 8, "----", "?0 ?0 -1! -2!"),
            (3, 0, "-+--", "?0 +0! -1! -2!"),
            (3, 0, "+-------", "+0! -1! -2! -3! -4! -5 -6 -7"),
            (1, 20, "----+-", "-1! -2! -3 -4 +0! -1!"),
            (0, 20, "---+-", "-1! -2 -3 +0! -1!"),
            (3, 20, "+++1-1+", "+0! +0 +0 +0 -1! -1 +0!"),
            (3, 0, "1", "?0"),
        ];
        for (max, from, results, expected) in cases {
            assert_eq!(play(max, from, results), expected, "max {max}, from {from} s: {results}");
        }
    }

    #[test]
    fn times_and_causes_are_kept() {
        let mut result = HealthResult::default();
        for (at, up) in [(20_000, true), (21_000, true), (22_000, false), (23_000, true)] {
            let outcome = if up {
                ProbeOutcome::Healthy
            } else {
                ProbeOutcome::Unhealthy { cause: "status 503".into() }
            };
            judge(&mut result, &spec(3), Timestamp(0), Timestamp(at), outcome);
        }
        assert_eq!(
            (result.first_success, result.last_success, result.last_failure),
            (Some(Timestamp(20_000)), Some(Timestamp(23_000)), Some(Timestamp(22_000)))
        );
        assert_eq!(result.last_failure_cause.as_deref(), Some("status 503"));
    }

    #[test]
    fn together() {
        let with = |alive: &[Option<bool>]| {
            let results: Vec<_> =
                alive.iter().map(|alive| HealthResult { alive: *alive, ..Default::default() }).collect();
            healthy(&results)
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[Some(true), None]), None);
        assert_eq!(with(&[Some(true), Some(true)]), Some(true));
        assert_eq!(with(&[None, Some(false)]), Some(false));
    }

    /// A target with its port, on a machine 10.0.0.7 with a container 172.20.4.2.
    fn shown(network: &NetworkSpec, ports: &[u16], protocol: &str, port: CheckPort) -> String {
        let spec = HealthCheck { protocol: protocol.into(), probe: Probe::Tcp, port: Some(port), ..spec(3) };
        let own = (*network != NetworkSpec::Host).then_some("172.20.4.2");
        match target(&spec, Reach { network, ports, machine: "10.0.0.7", own }) {
            Ok(ProbeTarget::Tcp { host, port }) => format!("{host}:{port}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn targets_in_a_bridge_network() {
        let mapping = |container_port, host_port| PortMapping {
            container_port,
            host_port,
            protocol: "tcp".into(),
            name: None,
        };
        let mappings =
            vec![mapping(80, Some(0)), mapping(9_000, None), mapping(0, Some(1)), mapping(0, None)];
        let bridge = NetworkSpec::Bridge { mappings };
        let cases = [
            ("TCP", CheckPort::Index(0), "10.0.0.7:31000"),
            ("MESOS_TCP", CheckPort::Index(0), "172.20.4.2:80"),
            ("TCP", CheckPort::Index(1), "172.20.4.2:9000"),
            ("MESOS_TCP", CheckPort::Index(1), "172.20.4.2:9000"),
            ("TCP", CheckPort::Index(2), "10.0.0.7:31001"),
            ("MESOS_TCP", CheckPort::Index(2), "172.20.4.2:31001"),
            ("TCP", CheckPort::Index(3), "Err(\"the task has no port with index 3\")"),
            ("TCP", CheckPort::Index(4), "Err(\"the task has no port with index 4\")"),
            ("TCP", CheckPort::Number(80), "10.0.0.7:80"),
            ("MESOS_TCP", CheckPort::Number(80), "172.20.4.2:80"),
        ];
        for (protocol, port, expected) in cases {
            assert_eq!(shown(&bridge, &[31_000, 31_001], protocol, port), expected, "{protocol} {port:?}");
        }
        assert_eq!(shown(&NetworkSpec::Host, &[31_000], "MESOS_TCP", CheckPort::Index(0)), "127.0.0.1:31000");
        let six = HealthCheck { ip_protocol: "IPv6".into(), ..spec(3) };
        let reach = Reach { network: &bridge, ports: &[31_000], machine: "10.0.0.7", own: None };
        assert!(target(&six, reach).unwrap_err().contains("IPv4"));
        assert!(target(&HealthCheck { protocol: "MESOS_HTTP".into(), ..spec(3) }, reach).is_err());
    }

    #[test]
    fn targets() {
        let on_host = |ports| Reach { network: &NetworkSpec::Host, ports, machine: "10.0.0.7", own: None };
        let mut http = spec(3);
        http.probe = Probe::Http { path: "health?x=1".into(), ignore_1xx: true, tls: false };
        assert_eq!(
            target(&http, on_host(&[31_000])),
            Ok(ProbeTarget::Http {
                host: "10.0.0.7".into(),
                port: 31_000,
                path: "/health?x=1".into(),
                ignore_1xx: true,
                tls: false,
            })
        );
        assert!(target(&http, on_host(&[])).unwrap_err().contains("index 0"));
        let tcp = HealthCheck {
            protocol: "MESOS_TCP".into(),
            probe: Probe::Tcp,
            port: Some(CheckPort::Number(22)),
            ..spec(3)
        };
        assert_eq!(target(&tcp, on_host(&[])), Ok(ProbeTarget::Tcp { host: "127.0.0.1".into(), port: 22 }));
        let tls =
            HealthCheck { probe: Probe::Http { path: "/".into(), ignore_1xx: false, tls: true }, ..spec(3) };
        assert!(matches!(target(&tls, on_host(&[1])), Ok(ProbeTarget::Http { tls: true, port: 1, .. })));
        let command = HealthCheck { probe: Probe::Command { command: "true".into() }, port: None, ..spec(3) };
        assert_eq!(target(&command, on_host(&[])), Ok(ProbeTarget::Command { command: "true".into() }));
    }
}
