//! `hansa node list`: machines, what they have, what of it is given away and what is really used.

use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::paint::of_state;
use crate::table::Table;
use crate::text;
use clap::Args;
use hansa_api::hansa::{Node, Nodes};
use hansa_model::event::AgentState;

/// Lists machines
#[derive(Clone, Debug, Args)]
pub struct ListArgs {}

/// Does it.
pub async fn run(_: &ListArgs, context: &Context) -> Result<(), Failure> {
    let nodes: Nodes = context.client.get("/hansa/v1/nodes", &[]).await?;
    context.format.print(&nodes, |nodes| {
        let mut text = output::table(nodes.nodes.len(), "no machine has joined yet", &table(&nodes.nodes));
        if nodes.nodes.iter().any(|node| !node.missing_isolation.is_empty()) {
            text.push_str("\nless isolated: ");
            let names: Vec<&str> = nodes
                .nodes
                .iter()
                .filter(|node| !node.missing_isolation.is_empty())
                .map(|node| node.hostname.as_str())
                .collect();
            text.push_str(&format!("{} (`hansa node show` says what is missing)\n", names.join(", ")));
        }
        text
    })
}

/// A machine's state in one word.
pub fn state(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Deactivated => "deactivated",
        AgentState::Draining => "draining",
        AgentState::Disconnected => "disconnected",
        AgentState::Unreachable => "unreachable",
    }
}

fn table(nodes: &[Node]) -> Table {
    let mut table = Table::new(&[
        "<NODE",
        "STATE",
        ">TASKS",
        ">CPUS",
        "+>KEPT",
        ">GIVEN",
        ">USED",
        ">MEM",
        "+>KEPT",
        ">GIVEN",
        ">USED",
        "?~ZONE",
        "?~ATTRIBUTES",
    ])
    .paint("STATE", of_state);
    for node in nodes {
        let (total, given) = (&node.total, &node.allocated);
        let used = |part: fn(&hansa_model::role::Totals) -> u64, total| {
            node.used.as_ref().map(|used| text::percent(part(used), total)).unwrap_or_default()
        };
        let attributes: Vec<String> =
            node.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        table.row([
            node.hostname.clone(),
            state(node.state).into(),
            node.tasks.to_string(),
            text::cpus(total.cpus_milli),
            text::percent(node.reserved.cpus_milli, total.cpus_milli),
            text::percent(given.cpus_milli, total.cpus_milli),
            used(|used| used.cpus_milli, total.cpus_milli),
            text::bytes(total.mem),
            text::percent(node.reserved.mem, total.mem),
            text::percent(given.mem, total.mem),
            used(|used| used.mem, total.mem),
            node.zone.clone().or_else(|| node.region.clone()).unwrap_or_default(),
            attributes.join(";"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn machines_are_listed() {
        assert_eq!(
            table(&[samples::node()]).render(None),
            "NODE   STATE   TASKS  CPUS  GIVEN  USED  MEM  GIVEN  USED  ZONE  ATTRIBUTES\n\
             node1  active      3     2    25%    1%   1G    25%    3%  z1    rack:r1\n"
        );
    }
}
