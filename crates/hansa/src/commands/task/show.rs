//! `hansa task show`: one task.

use crate::commands::task::list::state;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::pairs;
use crate::text;
use clap::Args;
use hansa_api::hansa::Task;
use hansa_model::Timestamp;

/// Shows a task
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The task's id, or a piece of it that no other has
    pub id: String,
}

/// Does it.
pub async fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let task = context.task(&args.id).await?;
    context.format.print(&task, |task| render(task, text::now()))
}

fn render(task: &Task, now: Timestamp) -> String {
    let since = |at: Timestamp| format!("{at} ({} ago)", text::age(now, at));
    let ports: Vec<String> = task.ports.iter().map(u16::to_string).collect();
    let mut lines = vec![("task", task.id.to_string()), ("state", state(task))];
    if let Some(app) = &task.app {
        lines.push(("service", app.to_string()));
    }
    if let Some(version) = task.version {
        lines.push(("version", version.to_string()));
    }
    lines.push(("node", format!("{} ({})", task.hostname, task.node)));
    lines.push(("ports", if ports.is_empty() { "none".into() } else { ports.join(", ") }));
    lines.push(("has", format!("{} cpus, {} memory", text::cpus(task.cpus_milli), text::bytes(task.mem))));
    lines.push(("assigned", since(task.staged_at)));
    if let Some(started) = task.started_at {
        lines.push(("started", since(started)));
    }
    lines.push(("reported", since(task.updated_at)));
    if let Some(reason) = &task.reason {
        lines.push(("reason", reason.clone()));
    }
    if !task.message.is_empty() {
        lines.push(("message", task.message.clone()));
    }
    for (at, check) in task.health.iter().enumerate() {
        let stands = match check.alive {
            Some(true) => "succeeds".to_owned(),
            Some(false) => {
                format!("failed {} in a row", text::count(check.consecutive_failures.into(), "time"))
            }
            None => "undecided".to_owned(),
        };
        let cause = check.last_failure_cause.as_deref().map(|cause| format!("; last failure: {cause}"));
        lines.push(("check", format!("{at}: {stands}{}", cause.unwrap_or_default())));
    }
    pairs(&lines, 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::task::HealthResult;

    #[test]
    fn a_task_is_shown() {
        let failing = HealthResult {
            alive: Some(false),
            consecutive_failures: 2,
            last_failure_cause: Some("connection refused".into()),
            ..HealthResult::default()
        };
        let task = Task { health: vec![failing], reason: Some("REASON_X".into()), ..samples::task("web.1") };
        let text = render(&task, Timestamp(62_000));
        for line in [
            "state     running, healthy\n",
            "node      node1 (agent-1)\n",
            "started   1970-01-01T00:00:02.000Z (1m ago)\n",
            "reason    REASON_X\n",
            "check     0: failed 2 times in a row; last failure: connection refused\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
