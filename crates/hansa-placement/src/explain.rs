//! Why something is not placed: every obstacle of every machine, grouped, counted and said in words.

use crate::cluster::{Node, Request};
use crate::engine::exact_ports;
use crate::rows::role_allows;
use crate::rule::Rule;
use hansa_model::event::AgentState;
use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup};
use hansa_model::resources::{MIB, milli_text};
use hansa_model::words::counted;
use hansa_model::{AgentId, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Machines named for each group.
const EXAMPLES: usize = 5;
/// Groups named in the summary; the others are summed up.
const IN_SUMMARY: usize = 4;

/// Machines with the same obstacles, but for the numbers.
struct Group {
    machines: u32,
    examples: Vec<String>,
    /// With the smallest shortfalls.
    least: Vec<Obstacle>,
    /// The largest shortfall of each obstacle.
    most: Vec<u64>,
}

/// Looks at all machines.
pub(crate) fn explain<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    request: &Request<'_>,
    rules: &[Arc<Rule>],
    choice: Option<AgentId>,
) -> Explanation {
    let (mut machines, mut fitting) = (0, 0);
    let mut groups: BTreeMap<Vec<Obstacle>, Group> = BTreeMap::new();
    let mut nearest: Option<(Distance, String)> = None;
    for node in nodes {
        machines += 1;
        let obstacles = obstacles(node, request, rules);
        if obstacles.is_empty() {
            fitting += 1;
            continue;
        }
        let distance = Distance::of(&obstacles, request);
        if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
            nearest = Some((distance, format!("{}{}", node.hostname, lacking(&obstacles))));
        }
        let shorts = obstacles.iter().map(|obstacle| short(obstacle).unwrap_or(0));
        let group = groups.entry(obstacles.iter().map(without_number).collect()).or_insert_with(|| Group {
            machines: 0,
            examples: Vec::new(),
            least: obstacles.clone(),
            most: vec![0; obstacles.len()],
        });
        group.machines += 1;
        for ((most, least), own) in group.most.iter_mut().zip(&mut group.least).zip(shorts) {
            *most = own.max(*most);
            if short(least).is_some_and(|least| own < least) {
                set_short(least, own);
            }
        }
        if group.examples.len() < EXAMPLES {
            group.examples.push(node.hostname.to_string());
        }
    }
    let mut groups: Vec<ObstacleGroup> = groups
        .into_values()
        .map(|group| ObstacleGroup {
            machines: group.machines,
            examples: group.examples,
            words: words(&group.least, &group.most),
            obstacles: group.least,
        })
        .collect();
    // Stable: between equals in the order of their obstacles.
    groups.sort_by_key(|group| std::cmp::Reverse(group.machines));
    Explanation {
        demand: request.demand.clone(),
        machines,
        fitting,
        choice,
        summary: summary(machines, fitting, &groups),
        groups,
        nearest: nearest.filter(|_| fitting == 0).map(|(_, words)| words),
    }
}

/// Everything that keeps the request from the machine, in funnel order.
fn obstacles(node: &Node, request: &Request<'_>, rules: &[Arc<Rule>]) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if !role_allows(node.reserved.as_ref(), request.accepted_roles) {
        let reserved = node.reserved.as_ref().map_or("*", RoleName::as_str).to_owned();
        obstacles.push(Obstacle::Role { reserved });
    }
    for rule in rules {
        let value = node.field(&rule.constraint.field);
        let peers = request.peers.field(&rule.constraint.field);
        if !rule.allows(value.as_deref(), peers) {
            let words = rule.words(value.as_deref(), peers);
            obstacles.push(Obstacle::Constraint { constraint: rule.notation(), words });
        }
    }
    let state = match node.state {
        AgentState::Active => None,
        AgentState::Deactivated => Some("deactivated"),
        AgentState::Draining => Some("draining"),
        AgentState::Disconnected => Some("disconnected"),
        AgentState::Unreachable => Some("unreachable"),
    };
    obstacles.extend(state.map(|state| Obstacle::NotActive { state: state.into() }));
    let (free, demand) = (&node.free, request.demand);
    let missing = |free: u64, wanted: u64| wanted.checked_sub(free).filter(|short| *short > 0);
    obstacles.extend(missing(free.cpus_milli, demand.cpus_milli).map(|short| Obstacle::Cpus { short }));
    obstacles.extend(missing(free.mem, demand.mem).map(|short| Obstacle::Mem { short }));
    obstacles.extend(missing(free.disk, demand.disk).map(|short| Obstacle::Disk { short }));
    let devices = free.gpus.iter().filter(|&&free| free >= demand.gpus.milli).count();
    obstacles
        .extend(missing(devices as u64, u64::from(demand.gpus.count)).map(|short| Obstacle::Gpus { short }));
    if !demand.ports.is_empty() {
        let exact = exact_ports(demand);
        let is_taken = |at: usize| !free.ports.contains(exact[at]) || exact[..at].contains(&exact[at]);
        let mut taken: Vec<u16> = (0..exact.len()).filter(|&at| is_taken(at)).map(|at| exact[at]).collect();
        taken.sort_unstable();
        let left = free.ports.len() - (exact.len() - taken.len());
        let short = missing(left as u64, (demand.ports.len() - exact.len()) as u64).unwrap_or(0);
        if short > 0 || !taken.is_empty() {
            obstacles.push(Obstacle::Ports { short, taken });
        }
    }
    obstacles
}

fn short(obstacle: &Obstacle) -> Option<u64> {
    match obstacle {
        Obstacle::Cpus { short }
        | Obstacle::Mem { short }
        | Obstacle::Disk { short }
        | Obstacle::Gpus { short }
        | Obstacle::Ports { short, .. } => Some(*short),
        Obstacle::Role { .. }
        | Obstacle::Constraint { .. }
        | Obstacle::NotActive { .. }
        | Obstacle::Quota { .. } => None,
    }
}

fn set_short(obstacle: &mut Obstacle, to: u64) {
    match obstacle {
        Obstacle::Cpus { short }
        | Obstacle::Mem { short }
        | Obstacle::Disk { short }
        | Obstacle::Gpus { short }
        | Obstacle::Ports { short, .. } => *short = to,
        Obstacle::Role { .. }
        | Obstacle::Constraint { .. }
        | Obstacle::NotActive { .. }
        | Obstacle::Quota { .. } => {}
    }
}

/// What groups have in common: the obstacle without its number, except whether ports are short at all.
fn without_number(obstacle: &Obstacle) -> Obstacle {
    let mut bare = obstacle.clone();
    let number = match obstacle {
        Obstacle::Ports { short, .. } => u64::from(*short > 0),
        _ => 0,
    };
    set_short(&mut bare, number);
    bare
}

/// `1.5 cpus short, attribute rack is not r1`; ranges where the machines of a group differ.
fn words(least: &[Obstacle], most: &[u64]) -> String {
    let one = |(obstacle, most): (&Obstacle, &u64)| describe(obstacle, *most);
    least.iter().zip(most).map(one).collect::<Vec<_>>().join(", ")
}

fn describe(obstacle: &Obstacle, most: u64) -> String {
    let range = |least: u64, text: fn(u64) -> String, unit: &str| {
        let amount = if least < most { format!("{} to {}", text(least), text(most)) } else { text(least) };
        format!("{amount}{unit} short")
    };
    match obstacle {
        Obstacle::Role { reserved } if reserved == "*" => "not reserved for an accepted role".into(),
        Obstacle::Role { reserved } => format!("reserved for role {reserved}"),
        Obstacle::Constraint { words, .. } | Obstacle::Quota { words } => words.clone(),
        Obstacle::NotActive { state } => state.clone(),
        Obstacle::Cpus { short } => range(*short, milli_text, " cpus"),
        Obstacle::Mem { short } => range(*short, mib_text, " MiB of memory"),
        Obstacle::Disk { short } => range(*short, mib_text, " MiB of disk"),
        Obstacle::Gpus { short } => range(*short, |count| count.to_string(), " gpus"),
        Obstacle::Ports { short, taken } => {
            let short = (*short > 0).then(|| range(*short, |count| count.to_string(), " ports"));
            let list = taken.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let taken = match taken.len() {
                0 => None,
                1 => Some(format!("port {list} is not free")),
                _ => Some(format!("ports {list} are not free")),
            };
            short.into_iter().chain(taken).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Bytes in MiB; with as many thousandths as it takes, so that what is short is never nothing.
fn mib_text(bytes: u64) -> String {
    let thousandths = u128::from(bytes) * 1000;
    milli_text(u64::try_from(thousandths.div_ceil(u128::from(MIB))).unwrap_or(u64::MAX))
}

/// ` lacks 0.5 cpus` if it is only a matter of amounts, otherwise everything: `: attribute rack is not r1`.
fn lacking(obstacles: &[Obstacle]) -> String {
    let words = |obstacle: &Obstacle| describe(obstacle, 0);
    let amount = |obstacle: &Obstacle| words(obstacle).strip_suffix(" short").map(str::to_owned);
    match obstacles.iter().map(amount).collect::<Option<Vec<_>>>() {
        Some(amounts) => format!(" lacks {}", amounts.join(", ")),
        None => format!(": {}", obstacles.iter().map(words).collect::<Vec<_>>().join(", ")),
    }
}

/// How far a machine is from taking the request: first what no amount would change, then the shortfalls relative to
/// what is asked for, in billionths: fine enough that machines differ which lack nearly the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    hard: usize,
    short: u128,
}

impl Distance {
    fn of(obstacles: &[Obstacle], request: &Request<'_>) -> Self {
        let demand = request.demand;
        let part = |short: u64, of: u64| u128::from(short) * 1_000_000_000 / u128::from(of.max(1));
        let amount = |obstacle: &Obstacle| match obstacle {
            Obstacle::Cpus { short } => part(*short, demand.cpus_milli),
            Obstacle::Mem { short } => part(*short, demand.mem),
            Obstacle::Disk { short } => part(*short, demand.disk),
            Obstacle::Gpus { short } => part(*short, u64::from(demand.gpus.count)),
            Obstacle::Ports { short, taken } => part(*short + taken.len() as u64, demand.ports.len() as u64),
            _ => 0,
        };
        Self {
            hard: obstacles.iter().filter(|obstacle| short(obstacle).is_none()).count(),
            short: obstacles.iter().map(amount).sum(),
        }
    }
}

fn summary(machines: u32, fitting: u32, groups: &[ObstacleGroup]) -> String {
    let count = |machines: u32| counted(machines.into(), "machine");
    if machines == 0 {
        return "there are no machines".into();
    }
    let mut parts = Vec::new();
    if fitting > 0 {
        parts.push(format!("fits on {fitting} of {}", count(machines)));
    }
    for group in groups.iter().take(IN_SUMMARY) {
        let who = if parts.is_empty() { count(group.machines) } else { group.machines.to_string() };
        parts.push(format!("{who}: {}", group.words));
    }
    let rest: u32 = groups.iter().skip(IN_SUMMARY).map(|group| group.machines).sum();
    if rest > 0 {
        parts.push(format!("{rest}: other obstacles"));
    }
    parts.join("; ")
}
