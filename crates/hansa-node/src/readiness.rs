//! Readiness checks of a task: asked from the moment that it runs until they say "ready", and not again. Nothing ends for
//! what they say; a deployment waits for it.

use crate::env::own_ports;
use crate::groups::Task;
use crate::io::{ProbeOutcome, ProbeTarget};
use hansa_model::app::ReadinessCheck;
use hansa_model::spec::Launch;
use hansa_model::task::ReadinessResult;

/// Where a readiness check goes.
///
/// # Errors
/// It cannot be asked, in words: each time says "not ready".
pub fn target(check: &ReadinessCheck, launch: &Launch, ip: &str) -> Result<ProbeTarget, String> {
    let names = &launch.group.tasks[0].port_names;
    let named = names.iter().position(|name| name.as_deref() == Some(check.port_name.as_str()));
    let port = named.and_then(|index| own_ports(launch, 0).get(index).copied());
    let port = port.ok_or_else(|| format!("the task has no port named {}", check.port_name))?;
    let path = if check.path.starts_with('/') { check.path.clone() } else { format!("/{}", check.path) };
    Ok(ProbeTarget::Ready {
        host: ip.to_owned(),
        port,
        path,
        tls: check.tls,
        codes: check.ready_codes.clone(),
        keep: check.preserve_last_response,
    })
}

/// Whether the check at this place has said "ready".
pub fn is_there(task: &Task, at: usize) -> bool {
    task.readiness.get(at).and_then(Option::as_ref).is_some_and(|result| result.ready)
}

/// Takes an outcome. True: another answer than the last.
pub fn judge(last: &mut Option<ReadinessResult>, check: &ReadinessCheck, outcome: ProbeOutcome) -> bool {
    let (ready, last_response) = match outcome {
        ProbeOutcome::Answered { ready, response } => (ready, response),
        outcome => (outcome == ProbeOutcome::Healthy, None),
    };
    let said = |result: &ReadinessResult| {
        (result.ready, result.last_response.as_ref().map(|response| response.status))
    };
    let result = ReadinessResult { name: check.name.clone(), ready, last_response };
    let news = last.as_ref().map(said) != Some(said(&result));
    *last = Some(result);
    news
}
