//! `hansa status`: the cluster at a glance, and what needs somebody.

use crate::commands::app::list::{state, why};
use crate::commands::node::list::state as node_state;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{Table, pairs, terminal_width};
use crate::text;
use hansa_api::hansa::{Cluster, Deployment, Deployments, Health, Node, Nodes, Service, Services};
use hansa_model::Timestamp;
use hansa_model::event::AgentState;
use serde::Serialize;
use std::collections::BTreeMap;

/// All that is shown.
#[derive(Serialize)]
struct Status {
    address: String,
    cluster: Cluster,
    /// Services by state.
    services: BTreeMap<&'static str, u64>,
    /// What somebody should look at, what is worst first.
    attention: Vec<Attention>,
}

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Attention {
    what: String,
    state: String,
    why: String,
}

/// Does it.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let cluster: Cluster = context.client.get("/hansa/v1/cluster", &[]).await?;
    let services: Services = context.client.get("/hansa/v1/services", &[]).await?;
    let nodes: Nodes = context.client.get("/hansa/v1/nodes", &[]).await?;
    let deployments: Deployments = context.client.get("/hansa/v1/deployments", &[]).await?;
    let mut by_state: BTreeMap<&'static str, u64> = BTreeMap::new();
    services.services.iter().for_each(|service| *by_state.entry(state(service)).or_default() += 1);
    let status = Status {
        address: context.client.address().to_owned(),
        cluster,
        services: by_state,
        attention: attention(&services.services, &nodes.nodes, &deployments.deployments, text::now()),
    };
    context.format.print(&status, |status| render(status, text::now()))
}

fn attention(
    services: &[Service],
    nodes: &[Node],
    deployments: &[Deployment],
    now: Timestamp,
) -> Vec<Attention> {
    let of_node = |node: &Node| {
        let away = matches!(node.state, AgentState::Unreachable | AgentState::Disconnected);
        away.then(|| Attention {
            what: node.hostname.clone(),
            state: node_state(node.state).into(),
            why: format!(
                "for {}, with {}",
                text::age(now, node.since),
                text::count(node.tasks.into(), "task")
            ),
        })
    };
    let of_service = |service: &Service| {
        let needs =
            service.failing.is_some() || matches!(service.health, Health::Unhealthy | Health::Waiting);
        needs.then(|| Attention {
            what: service.id.to_string(),
            state: state(service).into(),
            why: match why(service) {
                nothing if nothing.is_empty() => service.last_failure.clone().unwrap_or_default(),
                why => why,
            },
        })
    };
    let of_deployment = |deployment: &Deployment| {
        let (state, still) = match (&deployment.failing, &deployment.paused) {
            (Some(still), _) => ("failing", still),
            (None, Some(still)) => ("paused", still),
            (None, None) => return None,
        };
        let id = deployment.id.as_str();
        let what = format!("deployment {}", id.get(..8).unwrap_or(id));
        Some(Attention { what, state: state.into(), why: still.words.clone() })
    };
    let nodes = nodes.iter().filter_map(of_node);
    nodes
        .chain(services.iter().filter_map(of_service))
        .chain(deployments.iter().filter_map(of_deployment))
        .collect()
}

fn render(status: &Status, now: Timestamp) -> String {
    let cluster = &status.cluster;
    let (total, given, used) = (&cluster.total, &cluster.allocated, &cluster.used);
    let of = |part: &hansa_model::role::Totals| {
        format!(
            "{} of {} cpus ({}), {} of {} memory ({})",
            text::cpus(part.cpus_milli),
            text::cpus(total.cpus_milli),
            text::percent(part.cpus_milli, total.cpus_milli),
            text::bytes(part.mem),
            text::bytes(total.mem),
            text::percent(part.mem, total.mem)
        )
    };
    let nodes = cluster.nodes.iter().map(|(state, number)| (state.clone(), u64::from(*number)));
    let tasks = cluster.tasks.iter().map(|(state, number)| {
        (state.trim_start_matches("TASK_").to_lowercase().replace('_', " "), u64::from(*number))
    });
    let services = status.services.iter().map(|(state, number)| ((*state).to_owned(), *number));
    let lines = [
        ("cluster", format!("{} at {}", cluster.id, status.address)),
        ("master", format!("version {}, for {}", cluster.version, text::age(now, cluster.started_at))),
        ("nodes", counts(nodes.collect())),
        ("given", of(given)),
        ("used", of(used)),
        ("services", counts(services.collect())),
        ("tasks", counts(tasks.collect())),
        ("deployments", format!("{} under way", cluster.deployments)),
    ];
    let mut out = pairs(&lines, 13);
    out.push('\n');
    if status.attention.is_empty() {
        out.push_str(match cluster.services {
            0 => "nothing runs yet; `hansa app run FILE` starts a service\n",
            _ => "nothing needs attention\n",
        });
        return out;
    }
    let mut table = Table::new(&["<NEEDS ATTENTION", "STATE", "~WHY"]).paint("STATE", crate::paint::of_state);
    for one in &status.attention {
        table.row([one.what.clone(), one.state.clone(), one.why.clone()]);
    }
    out.push_str(&table.render(terminal_width()));
    out.push_str("\n`hansa explain` with a name of these says more, and what would help\n");
    out
}

/// `3: 2 active, 1 draining`; the most first.
fn counts(mut by_state: Vec<(String, u64)>) -> String {
    by_state.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let all: u64 = by_state.iter().map(|(_, number)| number).sum();
    let each: Vec<String> = by_state.iter().map(|(state, number)| format!("{number} {state}")).collect();
    match each.is_empty() {
        true => "none".into(),
        false => format!("{all}: {}", each.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::event::Failing;

    #[test]
    fn what_is_broken_is_named_and_nothing_else() {
        let failing = Failing { since: Timestamp(1), count: 1, last: "exit 1".into(), delay_ms: 1_000 };
        let services = [
            samples::service(),
            Service { id: "/broken".into(), failing: Some(failing), ..samples::service() },
            Service {
                id: "/stuck".into(),
                health: Health::Waiting,
                waiting_for: None,
                last_failure: Some("exit 2".into()),
                ..samples::service()
            },
        ];
        let gone = Node { state: AgentState::Unreachable, tasks: 1, ..samples::node() };
        let found = attention(&services, &[samples::node(), gone], &[], Timestamp(61_000));
        let told: Vec<(&str, &str, &str)> =
            found.iter().map(|one| (one.what.as_str(), one.state.as_str(), one.why.as_str())).collect();
        assert_eq!(
            told,
            [
                ("node1", "unreachable", "for 1m, with 1 task"),
                ("/broken", "failing", "1 time: exit 1"),
                ("/stuck", "waiting", "exit 2"),
            ]
        );
    }

    #[test]
    fn states_are_counted_the_most_first() {
        let by =
            |list: &[(&str, u64)]| counts(list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect());
        assert_eq!(by(&[("active", 1), ("draining", 2)]), "3: 2 draining, 1 active");
        assert_eq!(by(&[]), "none");
    }
}
