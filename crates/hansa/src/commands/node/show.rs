//! `hansa node show`: one machine, what of it is set apart, and what runs there.

use crate::commands::node::apart;
use crate::commands::node::list::state;
use crate::commands::task::list::table as task_table;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{pairs, terminal_width};
use crate::text;
use clap::Args;
use hansa_api::apart::NodeDetail;
use hansa_api::hansa::Task;
use hansa_model::Timestamp;
use serde::Serialize;

/// Shows a machine: what it has, what of it is kept for roles, and its tasks
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Its name or id
    pub node: String,
}

/// All that is shown.
#[derive(Serialize)]
struct Shown {
    node: NodeDetail,
    tasks: Vec<Task>,
}

/// Does it.
pub async fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let node: NodeDetail = match context.client.get(&format!("/hansa/v1/nodes/{}", args.node), &[]).await {
        Ok(node) => node,
        Err(failure) => return Err(context.explain_missing_node(&args.node, failure).await),
    };
    let tasks = context.tasks(&[("node", node.node.id.as_str())]).await?;
    context.format.print(&Shown { node, tasks }, |shown| render(shown, text::now()))
}

fn render(shown: &Shown, now: Timestamp) -> String {
    let node = &shown.node.node;
    let mut lines = vec![
        ("node", node.hostname.clone()),
        ("id", node.id.to_string()),
        ("address", node.address.clone()),
        ("state", format!("{} for {}", state(node.state), text::age(now, node.since))),
        ("has", node.total.to_string()),
        (
            "given",
            format!(
                "{} cpus ({}), {} memory ({})",
                text::cpus(node.allocated.cpus_milli),
                text::percent(node.allocated.cpus_milli, node.total.cpus_milli),
                text::bytes(node.allocated.mem),
                text::percent(node.allocated.mem, node.total.mem)
            ),
        ),
    ];
    for (name, used) in [("used", &node.used), ("machine uses", &node.machine)] {
        if let Some(used) = used {
            lines.push((
                name,
                format!("{} cpus, {} memory", text::cpus(used.cpus_milli), text::bytes(used.mem)),
            ));
        }
    }
    let attributes: Vec<String> =
        node.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    if !attributes.is_empty() {
        lines.push(("attributes", attributes.join(";")));
    }
    for (name, value) in [("region", &node.region), ("zone", &node.zone)] {
        if let Some(value) = value {
            lines.push((name, value.clone()));
        }
    }
    lines.push(("version", node.version.clone()));
    for missing in &node.missing_isolation {
        lines.push(("missing", missing.clone()));
    }
    let mut text = pairs(&lines, 14);
    for table in apart::tables(&shown.node) {
        text.push('\n');
        text.push_str(&table.render(terminal_width()));
    }
    if !shown.tasks.is_empty() {
        text.push('\n');
        text.push_str(&task_table(&shown.tasks, now).render(terminal_width()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_machine_is_shown_with_its_tasks() {
        let mut node = samples::divided();
        node.node.missing_isolation = vec!["no memory limits: no cgroups".into()];
        let text = render(&Shown { node, tasks: vec![samples::task("web.1")] }, Timestamp(62_000));
        for part in [
            "state         active for 1m 1s\n",
            "given         0.5 cpus (25%), 256M memory (25%)\n",
            "used          0.02 cpus, 30M memory\n",
            "missing       no memory limits: no cgroups\n",
            "db        dynamic  total     1",
            "/mnt/fast  mount",
            "web.1",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}
