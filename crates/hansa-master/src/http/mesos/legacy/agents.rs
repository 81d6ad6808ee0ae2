//! Machines as Mesos' older endpoints write them.

use super::super::about::{self, seconds};
use super::super::picture::{Picture, Scene, host_and_port, owner_of};
use super::sums::Sum;
use crate::read_model::{Agent, Told};
use hansa_mesos::{codec, legacy, offer};
use hansa_model::event::AgentState;
use hansa_model::framework::parts::give;
use hansa_model::framework::{Amount, Part};
use hansa_model::resources::PortSet;
use hansa_model::{AgentId, FrameworkId};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is used and offered on a machine, piece by piece, and how its tasks stand.
#[derive(Default)]
pub(in super::super) struct Use {
    /// What tasks and executors have.
    pub(in super::super) used: Vec<Part>,
    /// What is offered.
    pub(in super::super) offered: Vec<Part>,
    /// Tasks by state.
    pub(super) states: BTreeMap<&'static str, u64>,
    /// Whose they are.
    pub(super) frameworks: BTreeSet<FrameworkId>,
}

impl Use {
    /// What its live tasks, executors and offers make of every machine.
    pub(in super::super) fn of_all(picture: &Picture) -> BTreeMap<AgentId, Use> {
        let mut all: BTreeMap<AgentId, Use> = BTreeMap::new();
        for scene in &picture.scenes {
            for told in scene.tasks.iter().filter(|told| !told.view.status.state.is_terminal()) {
                give(&mut of(&mut all, &told.view.agent).used, &parts_of(told));
            }
            for executor in &scene.executors {
                give(&mut of(&mut all, &executor.agent).used, &executor.run.parts);
            }
            for offer in &scene.offers {
                give(&mut of(&mut all, &offer.agent).offered, &offer.parts);
            }
        }
        all
    }
}

fn of<'a>(all: &'a mut BTreeMap<AgentId, Use>, agent: &AgentId) -> &'a mut Use {
    if !all.contains_key(agent) {
        all.insert(agent.clone(), Use::default());
    }
    all.entry(agent.clone()).or_default()
}

/// What a task has, in pieces.
pub(in super::super) fn parts_of(told: &Told) -> Vec<Part> {
    match &told.view.framework {
        Some(of) => of.task().parts.clone(),
        None => {
            let given = &told.view.allocation;
            vec![Part::unreserved(Amount {
                cpus_milli: given.cpus_milli,
                mem: given.mem,
                disk: given.disk,
                gpus: u16::try_from(given.gpus.len()).unwrap_or(u16::MAX),
                ports: PortSet::from_ranges(given.ports.iter().map(|&port| (port, port))),
            })]
        }
    }
}

/// A machine.
#[derive(Serialize)]
pub(super) struct AgentJson<'a> {
    id: &'a str,
    hostname: &'a str,
    port: u16,
    attributes: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Value>,
    pid: String,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Sum,
    used_resources: Sum,
    offered_resources: Sum,
    reserved_resources: BTreeMap<&'a str, Sum>,
    unreserved_resources: Sum,
    active: bool,
    deactivated: bool,
    version: &'static str,
    capabilities: [&'static str; 5],
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_drain_start_time_seconds: Option<f64>,
    #[serde(flatten)]
    full: Option<FullJson<'a>>,
    #[serde(flatten)]
    summary: Option<SummaryJson<'a>>,
}

/// Resources in every detail, as the endpoints that change them want them.
#[derive(Serialize)]
struct FullJson<'a> {
    reserved_resources_full: BTreeMap<&'a str, Value>,
    unreserved_resources_full: Value,
    used_resources_full: Value,
    offered_resources_full: Value,
}

/// How tasks stand there, and whose.
#[derive(Serialize)]
struct SummaryJson<'a> {
    #[serde(flatten)]
    states: BTreeMap<&'static str, u64>,
    framework_ids: Vec<&'a str>,
}

/// What of a machine is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// As in `/state`.
    Plain,
    /// As in `/slaves`.
    Full,
    /// As in `/state-summary`.
    Summary,
}

/// A machine's resources without what is reserved on it: what anybody may have, and disks of their own.
pub(in super::super) fn unreserved(agent: &Agent) -> Vec<Part> {
    let mut left = Amount::offerable(&agent.view.total);
    for part in &agent.view.reserved {
        left = left.without(&part.amount);
    }
    let disks = agent.view.reserved.iter().filter(|part| part.role().is_none()).cloned();
    std::iter::once(Part::unreserved(left)).chain(disks).collect()
}

/// A machine of the picture.
pub(super) fn agent<'a>(
    picture: &Picture,
    agent: &'a Agent,
    used: Option<&'a Use>,
    detail: Detail,
) -> AgentJson<'a> {
    let view = &agent.view;
    let none = || (Vec::new(), Vec::new());
    let (used_parts, offered_parts) =
        used.map_or_else(none, |used| (used.used.clone(), used.offered.clone()));
    let mut total = Sum::default();
    total.resources(&view.total);
    let mut reserved: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
    for part in &view.reserved {
        if let Some(role) = part.reservations.last() {
            reserved.entry(role.role.as_str()).or_default().push(part.clone());
        }
    }
    let (host, port) = host_and_port(&view.address);
    let is_back = view.state != AgentState::Disconnected && view.since > view.registered_at;
    let drain = picture.drain_of(agent);
    AgentJson {
        id: view.id.as_str(),
        hostname: &view.hostname,
        port,
        attributes: legacy::attributes(&view.attributes),
        domain: offer::domain(view.region.as_deref(), view.zone.as_deref()).as_ref().map(codec::to_value),
        pid: format!("slave(1)@{host}:{port}"),
        registered_time: seconds(view.registered_at),
        reregistered_time: is_back.then(|| seconds(view.since)),
        used_resources: sum(&used_parts),
        offered_resources: sum(&offered_parts),
        reserved_resources: reserved.iter().map(|(role, parts)| (*role, sum(parts))).collect(),
        unreserved_resources: total.without(&reserved.values().flatten().cloned().collect::<Vec<_>>()),
        resources: total,
        active: view.state == AgentState::Active,
        deactivated: matches!(view.state, AgentState::Deactivated | AgentState::Draining),
        version: about::VERSION,
        capabilities: about::AGENT_CAPABILITIES,
        estimated_drain_start_time_seconds: drain.as_ref().map(|_| seconds(view.since)),
        drain_info: drain.map(|drain| codec::to_value(&drain)),
        full: (detail == Detail::Full).then(|| FullJson {
            reserved_resources_full: reserved
                .iter()
                .map(|(role, parts)| (*role, legacy::full(parts)))
                .collect(),
            unreserved_resources_full: legacy::full(&unreserved(agent)),
            used_resources_full: legacy::full(&used_parts),
            offered_resources_full: legacy::full(&offered_parts),
        }),
        summary: (detail == Detail::Summary).then(|| SummaryJson {
            states: used.map(|used| used.states.clone()).unwrap_or_else(no_tasks),
            framework_ids: used.into_iter().flat_map(|used| &used.frameworks).map(|id| id.as_str()).collect(),
        }),
    }
}

fn sum(parts: &[Part]) -> Sum {
    let mut sum = Sum::default();
    sum.parts(parts);
    sum
}

/// The states that are counted in summaries.
const COUNTED: [&str; 10] = [
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
];

/// No task in any state.
pub(super) fn no_tasks() -> BTreeMap<&'static str, u64> {
    COUNTED.iter().map(|state| (*state, 0)).collect()
}

/// Counts the tasks of all frameworks, the ended ones too, for each machine.
pub(super) fn count_states(picture: &Picture, all: &mut BTreeMap<AgentId, Use>) {
    let Some(services) = picture.scenes.first().map(|scene| scene.who.id()) else { return };
    for scene in &picture.scenes {
        for told in scene.tasks.iter().chain(&scene.ended) {
            let on = of(all, &told.view.agent);
            if on.states.is_empty() {
                on.states = no_tasks();
            }
            let state = super::super::picture::state_name(told.view.status.state, true);
            if let Some(count) = on.states.get_mut(state) {
                *count += 1;
            }
            let owner = owner_of(&told.view, services);
            if !on.frameworks.contains(owner) {
                on.frameworks.insert(owner.clone());
            }
        }
    }
}

/// What a framework's tasks and executors have, and what it is offered.
pub(super) fn of_scene(scene: &Scene) -> (Sum, Sum) {
    let (mut used, mut offered) = (Sum::default(), Sum::default());
    for told in scene.tasks.iter().filter(|told| !told.view.status.state.is_terminal()) {
        match &told.view.framework {
            Some(of) => used.parts(&of.task().parts),
            None => used.allocation(&told.view.allocation),
        }
    }
    scene.executors.iter().for_each(|executor| used.parts(&executor.run.parts));
    scene.offers.iter().for_each(|offer| offered.parts(&offer.parts));
    (used, offered)
}
