//! `hansa task list`: what runs where.

use crate::commands::task::logs::short_id;
use crate::context::{Context, app_path};
use crate::failure::Failure;
use crate::output;
use crate::paint::of_state;
use crate::table::Table;
use crate::text;
use clap::Args;
use hansa_api::hansa::{Task, Tasks};
use hansa_model::Timestamp;

/// Lists tasks
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only those of this service
    pub service: Option<String>,
    /// The same
    #[arg(long, conflicts_with = "service")]
    pub app: Option<String>,
    /// Only those on this machine
    #[arg(long)]
    pub node: Option<String>,
    /// Only those in this state, such as `running`
    #[arg(long)]
    pub state: Option<String>,
    /// Those that have ended, the newest first, as long as the master remembers them
    #[arg(long)]
    pub ended: bool,
}

/// Does it.
pub async fn run(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let app = args.service.as_deref().or(args.app.as_deref()).map(app_path);
    let state = args.state.as_deref().map(full_state);
    let filters: Vec<(&str, &str)> = [
        ("app", app.as_deref()),
        ("node", args.node.as_deref()),
        ("state", state.as_deref()),
        ("ended", args.ended.then_some("true")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let tasks = Tasks { tasks: context.tasks(&filters).await?, next: None };
    context.format.print(&tasks, |tasks| {
        output::table(tasks.tasks.len(), "no tasks", &table(&tasks.tasks, text::now()))
    })
}

/// Mesos' name of a state: `running` is `TASK_RUNNING`.
fn full_state(typed: &str) -> String {
    let upper = typed.to_uppercase();
    if upper.starts_with("TASK_") { upper } else { format!("TASK_{upper}") }
}

/// A task's state in one word, with its health.
pub fn state(task: &Task) -> String {
    let name = task.state.name();
    let plain = name.strip_prefix("TASK_").unwrap_or(name).to_lowercase();
    match task.healthy {
        Some(true) => format!("{plain}, healthy"),
        Some(false) => format!("{plain}, unhealthy"),
        None => plain,
    }
}

/// The tasks as a table; with what frameworks call theirs, if there are such.
pub fn table(tasks: &[Task], now: Timestamp) -> Table {
    let named = tasks.iter().any(|task| task.framework_task.is_some());
    let columns = ["ID", "<SERVICE", "?~FRAMEWORK'S ID", "STATE", "~NODE", "?PORTS", ">AGE", "~MESSAGE"];
    let columns: Vec<&str> =
        columns.into_iter().filter(|column| named || *column != "?~FRAMEWORK'S ID").collect();
    let mut table = Table::new(&columns).brief("ID", |id| short_id(&id.into())).paint("STATE", of_state);
    for task in tasks {
        let ports: Vec<String> = task.ports.iter().map(u16::to_string).collect();
        let mut row = vec![
            task.id.to_string(),
            task.app.as_ref().map(ToString::to_string).unwrap_or_default(),
            task.framework_task.clone().unwrap_or_default(),
            state(task),
            task.hostname.clone(),
            ports.join(","),
            text::age(now, task.started_at.unwrap_or(task.staged_at)),
            task.message.clone(),
        ];
        if !named {
            row.remove(2);
        }
        table.cells(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn tasks_are_listed() {
        assert_eq!(
            table(&[samples::task("web.1")], Timestamp(62_000)).render(None),
            "ID     SERVICE    STATE             NODE   PORTS  AGE  MESSAGE\n\
             web.1  /demo/web  running, healthy  node1  31000   1m  -\n"
        );
    }

    #[test]
    fn tasks_of_frameworks_are_told_by_their_names() {
        let task = Task { app: None, framework_task: Some("nightly-7".into()), ..samples::task("f-1.a") };
        assert_eq!(
            table(&[task], Timestamp(62_000)).render(None),
            "ID     SERVICE  FRAMEWORK'S ID  STATE             NODE   PORTS  AGE  MESSAGE\n\
             f-1.a  -        nightly-7       running, healthy  node1  31000   1m  -\n"
        );
    }

    #[test]
    fn states_may_be_typed_short() {
        assert_eq!(
            (full_state("running").as_str(), full_state("task_lost").as_str()),
            ("TASK_RUNNING", "TASK_LOST")
        );
    }
}
