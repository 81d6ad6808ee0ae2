//! The general check of a task: asked as long as it runs, and reported when the answer is another one. Nothing follows
//! from it here.

use crate::io::{ProbeOutcome, ProbeTarget};
use crate::reach::Reach;
use hansa_model::app::{GeneralCheck, Question};
use hansa_model::task::CheckResult;

/// Where the question goes: to where the task listens, as somebody in its own network would ask.
///
/// # Errors
/// It cannot be asked, in words: each time is one without an answer.
pub fn target(check: &GeneralCheck, reach: Reach<'_>) -> Result<ProbeTarget, String> {
    let address = || reach.address(check.port.ok_or("the check names no port")?, true, false);
    Ok(match &check.question {
        Question::Http { path, tls } => {
            let (host, port) = address()?;
            let path = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
            ProbeTarget::Status { host, port, path, tls: *tls }
        }
        Question::Tcp => {
            let (host, port) = address()?;
            ProbeTarget::Accepts { host, port }
        }
        Question::Command(command) => ProbeTarget::ExitCode { argv: command.argv() },
    })
}

/// Takes an outcome. True: another answer than the last.
pub fn judge(last: &mut Option<CheckResult>, outcome: ProbeOutcome) -> bool {
    let result = match outcome {
        ProbeOutcome::Said(result) => result,
        _ => CheckResult::Silent,
    };
    last.replace(result) != Some(result)
}
