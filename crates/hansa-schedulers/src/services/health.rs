//! What checks say about an instance, and when it is ended for it. The checks themselves run on the agents.

use hansa_model::app::HealthCheck;
use hansa_model::task::TaskStatus;
use hansa_model::words::counted;

/// Why an instance is to be ended, if a check has failed too often in a row. The agent counts, and leaves out what
/// falls into the grace period.
pub(super) fn verdict(checks: &[HealthCheck], status: &TaskStatus) -> Option<String> {
    checks.iter().zip(&status.health).find_map(|(check, result)| {
        let limit = check.max_consecutive_failures;
        if limit == 0 || result.consecutive_failures < limit {
            return None;
        }
        let cause = match result.last_failure_cause.as_deref() {
            Some(cause) if !cause.is_empty() => format!(": {cause}"),
            _ => String::new(),
        };
        Some(format!(
            "{} health check failed {} in a row{cause}",
            check.protocol,
            counted(result.consecutive_failures.into(), "time")
        ))
    })
}
