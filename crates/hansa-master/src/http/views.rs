//! The picture in the words of Hansa's own API.

use super::apart;
use crate::Master;
use crate::read_model::{Agent, ReadModel, STATES, app_of, framework_of};
use axum::Json;
use axum::extract::State;
use hansa_api::hansa::{Cluster, Health, Node, RoleStatus, Service, Task};
use hansa_model::app::AppSpec;
use hansa_model::event::{AgentState, AppView, TaskView};
use hansa_model::role::{Role, Totals};
use hansa_model::spec::{Command, Origin};
use hansa_model::{RoleName, Timestamp};
use std::collections::BTreeMap;

/// Characters of a command line that a list shows.
const SHOWN_COMMAND: usize = 160;

/// A service whose last failure is younger than this, and that lacks instances, is called unhealthy rather than waiting.
const RECENT_FAILURE_MS: u64 = 60_000;

/// `GET /hansa/v1/cluster`
pub(super) async fn cluster(State(master): State<Master>) -> Json<Cluster> {
    let identity = master.identity();
    let model = master.read();
    let mut nodes: BTreeMap<String, u32> = BTreeMap::new();
    for agent in model.agents() {
        *nodes.entry(state_name(agent.view.state).into()).or_default() += 1;
    }
    let (total, allocated, used) = sums(&model);
    let counts = model.counts();
    let tasks = STATES.iter().map(|&state| (state.name().to_owned(), counts.in_state(state)));
    Json(Cluster {
        id: identity.cluster.to_string(),
        version: identity.version.into(),
        term: identity.term.0,
        index: model.index(),
        started_at: identity.started_at,
        nodes,
        tasks: tasks.filter(|(_, count)| *count > 0).collect(),
        services: model.apps().len() as u32,
        deployments: model.deployments().len() as u32,
        total,
        allocated,
        used,
    })
}

/// The name of a machine's state on the wire.
pub(super) fn state_name(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Deactivated => "deactivated",
        AgentState::Draining => "draining",
        AgentState::Disconnected => "disconnected",
        AgentState::Unreachable => "unreachable",
    }
}

/// What all machines in reach have, what of it is given to tasks, and what of it is really used.
pub(super) fn sums(model: &ReadModel) -> (Totals, Totals, Totals) {
    let (mut total, mut allocated, mut used) = (Totals::default(), Totals::default(), Totals::default());
    for agent in model.agents().filter(|agent| agent.view.state != AgentState::Unreachable) {
        total = total.plus(Totals::of(&agent.view.total));
        allocated = allocated.plus(agent.view.allocated);
        if let Some(usage) = &agent.usage {
            used = used.plus(usage.used);
        }
    }
    (total, allocated, used)
}

/// A machine.
pub(super) fn node(model: &ReadModel, agent: &Agent) -> Node {
    let view = &agent.view;
    Node {
        id: view.id.clone(),
        hostname: view.hostname.to_string(),
        address: view.address.clone(),
        state: view.state,
        since: view.since,
        total: view.total.clone(),
        allocated: view.allocated,
        reserved: apart::reserved(&view.reserved),
        used: agent.usage.as_ref().map(|usage| usage.used),
        machine: agent.usage.as_ref().map(|usage| usage.machine),
        tasks: model.agent_counts(&view.id).live(),
        attributes: view.attributes.clone(),
        region: view.region.clone(),
        zone: view.zone.clone(),
        version: view.version.clone(),
        registered_at: view.registered_at,
        missing_isolation: view.missing_isolation.clone(),
    }
}

/// A service.
pub(super) fn service(model: &ReadModel, app: &AppView) -> Service {
    let spec = &app.current.spec;
    let counts = model.app_counts(&spec.id);
    let deployment = app.deployments.iter().find_map(|id| model.deployment(id));
    let waiting_for =
        deployment.map(|deployment| deployment.waiting_for.clone()).filter(|text| !text.is_empty());
    Service {
        id: spec.id.clone(),
        health: health(model, app),
        instances: spec.instances,
        running: counts.running(),
        staged: counts.staged(),
        healthy: counts.healthy(),
        unhealthy: counts.unhealthy(),
        version: app.current.version,
        cpus_milli: spec.cpus_milli,
        mem: spec.mem,
        role: spec.role.clone(),
        labels: spec.labels.clone(),
        command: shown(spec),
        deployments: app.deployments.clone(),
        waiting_for,
        last_failure: app.last_failure.as_ref().map(|failure| failure.message.clone()),
        last_failure_at: app.last_failure.as_ref().map(|failure| failure.at),
        failing: app.failing.as_deref().cloned(),
    }
}

fn health(model: &ReadModel, app: &AppView) -> Health {
    let spec = &app.current.spec;
    let counts = model.app_counts(&spec.id);
    let fails = app.last_failure.as_ref().is_some_and(|failure| {
        failure.version >= app.current.last_config_change_at
            && model.at().since(failure.at) < RECENT_FAILURE_MS
    });
    let good = if spec.health_checks.is_empty() { counts.running() } else { counts.healthy() };
    if !app.deployments.is_empty() {
        Health::Deploying
    } else if spec.instances == 0 {
        Health::Suspended
    } else if good >= spec.instances {
        Health::Healthy
    } else if counts.unhealthy() > 0 || fails || app.failing.is_some() {
        Health::Unhealthy
    } else {
        Health::Waiting
    }
}

/// What an instance runs: the image, if it is made of one, and the command.
pub(super) fn shown(spec: &AppSpec) -> String {
    let image = spec.container.as_ref().and_then(|container| container.image.as_ref());
    let command = match &spec.command {
        Command::Shell(line) => line.clone(),
        Command::Argv(words) => words.join(" "),
    };
    let line = match image {
        Some(image) => format!("{} {command}", image.reference).trim_end().to_owned(),
        None => command,
    };
    match line.char_indices().nth(SHOWN_COMMAND) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A role; `offered` is what [`offered`] says.
pub(super) fn role(model: &ReadModel, name: &RoleName, offered: &BTreeMap<&RoleName, Totals>) -> RoleStatus {
    let offered = offered.get(name).copied().unwrap_or_default();
    let (role, allocated) = match model.role(name) {
        Some(view) => (view.role.clone(), view.allocated),
        // Somebody is in it, or something is kept for it, and of it nothing was ever told.
        None => (Role::usual(name.clone()), Totals::default()),
    };
    RoleStatus { role, allocated, offered, reserved: model.reserved(name) }
}

/// What is offered to frameworks, by role.
pub(super) fn offered(model: &ReadModel) -> BTreeMap<&RoleName, Totals> {
    model.offered_by_role().collect()
}

/// A task.
pub(super) fn task(view: &TaskView) -> Task {
    let status = &view.status;
    Task {
        id: status.task.clone(),
        app: app_of(view).cloned(),
        version: version_of(view),
        framework: framework_of(view).cloned(),
        framework_task: view.framework.as_ref().map(|of| of.task().id.to_string()),
        role: view.role.clone(),
        state: status.state,
        healthy: status.healthy,
        health: status.health.clone(),
        reason: status.reason.map(|reason| reason.name()),
        message: status.message.clone(),
        node: view.agent.clone(),
        hostname: view.hostname.to_string(),
        ports: view.allocation.ports.clone(),
        cpus_milli: view.allocation.cpus_milli,
        mem: view.allocation.mem,
        staged_at: view.staged_at,
        started_at: view.started_at,
        updated_at: status.at,
        ended_at: status.state.is_terminal().then_some(status.at),
        exit: status.exit,
    }
}

fn version_of(view: &TaskView) -> Option<Timestamp> {
    match &view.origin {
        Origin::App { version, .. } => Some(*version),
        Origin::Framework => None,
    }
}
