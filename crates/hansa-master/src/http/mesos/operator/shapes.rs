//! The picture as messages of the operator API.

use super::super::about::{AGENT_CAPABILITIES, VERSION};
use super::super::legacy::agents::{Use, unreserved};
use super::super::legacy::tasks::{container, discovery};
use super::super::legacy::{roles_in_use, sums};
use super::super::picture::{Picture, SERVICES, Scene, Who, host_and_port, name_of_app, task_id};
use crate::read_model::{Agent, Told};
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::master::response::{self, get_agents, get_executors, get_frameworks};
use hansa_mesos::resources::{self, Form};
use hansa_mesos::{codec, constraints, framework, offer, status};
use hansa_model::app::AppVersion;
use hansa_model::event::{AgentState, ExecutorView, FrameworkView, TaskView};
use hansa_model::framework::{FrameworkInfo, Part};
use hansa_model::role::Totals;
use hansa_model::spec::Origin;
use hansa_model::task::TaskState;
use hansa_model::{FrameworkId, RoleName, Timestamp};
use prost::Message;

/// What is known around a task.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// Whose it is.
    pub(super) framework: &'a FrameworkId,
    /// What that framework says of itself; None: the services.
    pub(super) info: Option<&'a FrameworkInfo>,
    /// The definition that a service's task was made by.
    pub(super) version: Option<&'a AppVersion>,
    /// Where its machine is.
    pub(super) host: Option<&'a str>,
}

fn around<'a>(picture: &'a Picture, scene: &'a Scene, view: &TaskView) -> Around<'a> {
    Around {
        framework: scene.who.id(),
        info: match &scene.who {
            Who::Framework(view) => Some(&view.info),
            Who::Services { .. } => None,
        },
        version: picture.version(view),
        host: picture.host_of(&view.agent),
    }
}

fn framework_id(id: &FrameworkId) -> v1::FrameworkId {
    v1::FrameworkId { value: id.to_string() }
}

fn state(state: TaskState, around: &Around<'_>) -> v1::TaskState {
    let state = status::state(state);
    around.info.map_or(state, |info| status::state_for(state, info))
}

/// A task.
pub(super) fn task(told: &Told, around: &Around<'_>) -> v1::Task {
    let view = told.view.as_ref();
    let mut task = v1::Task {
        name: String::new(),
        task_id: v1::TaskId { value: task_id(view).to_owned() },
        framework_id: framework_id(around.framework),
        agent_id: v1::AgentId { value: view.agent.to_string() },
        state: state(view.status.state, around) as i32,
        resources: resources::write(
            &super::super::legacy::agents::parts_of(told),
            Form::whole(Some(&view.role)),
        ),
        statuses: statuses(told, around),
        status_update_state: Some(state(view.status.state, around) as i32),
        ..v1::Task::default()
    };
    match &view.framework {
        Some(of) => {
            task.name.clone_from(&of.task().name);
            task.executor_id =
                of.launch.executor.as_ref().map(|run| v1::ExecutorId { value: run.id.clone() });
            // Checked when it came; what cannot be read is not shown.
            let info = v1::TaskInfo::decode(of.task().info.bytes()).unwrap_or_default();
            let of_executor = info.executor.and_then(|executor| executor.command);
            let user = info.command.or(of_executor).and_then(|command| command.user);
            task.user = user.or_else(|| around.info.map(|info| info.user.clone()));
            task.labels = info.labels;
            task.discovery = info.discovery;
            task.container = info.container;
            task.health_check = info.health_check;
            task.kill_policy = info.kill_policy;
            task.limits = info.limits;
        }
        None => {
            if let Origin::App { id, .. } = &view.origin {
                task.name = name_of_app(id);
            }
            if let Some(AppVersion { spec, .. }) = around.version {
                task.user.clone_from(&spec.user);
                let label = |(key, value): (&String, &String)| v1::Label {
                    key: key.clone(),
                    value: Some(value.clone()),
                };
                let labels: Vec<_> = spec.labels.iter().map(label).collect();
                task.labels = (!labels.is_empty()).then_some(v1::Labels { labels });
                let shown = discovery(&task.name, spec, &view.allocation.ports);
                task.discovery = codec::from_value(&shown).ok();
                task.container = container(spec).and_then(|shown| codec::from_value(&shown).ok());
            }
        }
    }
    task
}

/// The newest status of a task.
pub(super) fn newest(view: &TaskView, around: &Around<'_>) -> v1::TaskStatus {
    let own = view.status.executor.as_ref();
    let own = own.and_then(|own| v1::TaskStatus::decode(own.raw.bytes()).ok());
    let mut newest = own.unwrap_or_else(|| status::ours(&view.status));
    newest.task_id = v1::TaskId { value: task_id(view).to_owned() };
    newest.state = state(view.status.state, around) as i32;
    newest.agent_id = Some(v1::AgentId { value: view.agent.to_string() });
    newest.timestamp.get_or_insert(status::seconds(view.status.at));
    newest.container_status.get_or_insert_with(|| container_status(view, around));
    newest
}

fn statuses(told: &Told, around: &Around<'_>) -> Vec<v1::TaskStatus> {
    let mut all: Vec<v1::TaskStatus> = told
        .marks
        .iter()
        .map(|mark| v1::TaskStatus {
            task_id: v1::TaskId { value: task_id(&told.view).to_owned() },
            state: state(mark.state, around) as i32,
            agent_id: Some(v1::AgentId { value: told.view.agent.to_string() }),
            timestamp: Some(status::seconds(mark.at)),
            healthy: mark.healthy,
            container_status: Some(container_status(&told.view, around)),
            ..v1::TaskStatus::default()
        })
        .collect();
    if let Some(last) = all.last_mut() {
        *last = newest(&told.view, around);
    }
    all
}

fn container_status(view: &TaskView, around: &Around<'_>) -> v1::ContainerStatus {
    let container = super::super::picture::container_of(view);
    let machine: Vec<String> = around.host.map(str::to_owned).into_iter().collect();
    let own = &view.status.addresses;
    v1::ContainerStatus {
        container_id: Some(v1::ContainerId { value: container.to_string(), parent: None }),
        network_infos: status::network_infos(if own.is_empty() { &machine } else { own }),
        ..v1::ContainerStatus::default()
    }
}

/// All tasks.
pub(super) fn tasks(picture: &Picture) -> response::GetTasks {
    let mut all = response::GetTasks::default();
    for scene in picture.scenes.iter().chain(&picture.completed) {
        let shown = |told: &Told| task(told, &around(picture, scene, &told.view));
        for told in &scene.tasks {
            match told.view.status.state {
                TaskState::Unreachable => all.unreachable_tasks.push(shown(told)),
                _ => all.tasks.push(shown(told)),
            }
        }
        all.completed_tasks.extend(scene.ended.iter().map(shown));
    }
    all
}

/// An executor, as its framework described it.
fn executor(view: &ExecutorView) -> get_executors::Executor {
    let mut info = v1::ExecutorInfo::decode(view.run.info.bytes()).unwrap_or_default();
    info.executor_id = v1::ExecutorId { value: view.run.id.clone() };
    info.framework_id = Some(framework_id(&view.framework));
    info.resources = resources::write(&view.run.parts, Form::whole(Some(&view.role)));
    get_executors::Executor { executor_info: info, agent_id: v1::AgentId { value: view.agent.to_string() } }
}

/// All executors.
pub(super) fn executors(picture: &Picture) -> response::GetExecutors {
    let all = picture.scenes.iter().flat_map(|scene| &scene.executors);
    response::GetExecutors { executors: all.map(|view| executor(view)).collect(), ..Default::default() }
}

/// A framework, without its tasks.
pub(super) fn framework_of(view: &FrameworkView, scene: Option<&Scene>) -> get_frameworks::Framework {
    let mut used: Vec<v1::Resource> = Vec::new();
    let mut offered: Vec<v1::Resource> = Vec::new();
    for told in scene.into_iter().flat_map(|scene| &scene.tasks) {
        if !told.view.status.state.is_terminal() {
            let parts = super::super::legacy::agents::parts_of(told);
            used.extend(resources::write(&parts, Form::whole(Some(&told.view.role))));
        }
    }
    for one in scene.into_iter().flat_map(|scene| &scene.offers) {
        offered.extend(resources::write(&one.parts, Form::whole(Some(&one.role))));
    }
    let offers = scene.into_iter().flat_map(|scene| &scene.offers);
    let removed_at = scene.and_then(|scene| scene.removed_at);
    let is_there = view.connected && removed_at.is_none();
    get_frameworks::Framework {
        framework_info: framework::write(&view.info),
        active: is_there,
        connected: is_there,
        recovered: view.recovered,
        registered_time: Some(status::time(view.registered_at)),
        reregistered_time: view.reregistered_at.map(status::time),
        unregistered_time: removed_at.map(status::time),
        offers: offers.map(|one| offer::write_whole(one)).collect(),
        inverse_offers: Vec::new(),
        allocated_resources: used,
        offered_resources: offered,
        offer_constraints: constraints::write(&view.constraints),
    }
}

/// The services, as a framework.
fn services(id: &FrameworkId, since: Timestamp, scene: &Scene) -> get_frameworks::Framework {
    let live = scene.tasks.iter().filter(|told| !told.view.status.state.is_terminal());
    let mut used = Vec::new();
    for told in live {
        let parts = super::super::legacy::agents::parts_of(told);
        used.extend(resources::write(&parts, Form::whole(Some(&told.view.role))));
    }
    get_frameworks::Framework {
        framework_info: v1::FrameworkInfo {
            user: "root".into(),
            name: SERVICES.into(),
            id: Some(framework_id(id)),
            failover_timeout: Some(604_800.0),
            checkpoint: Some(true),
            role: Some("*".into()),
            ..v1::FrameworkInfo::default()
        },
        active: true,
        connected: true,
        recovered: false,
        registered_time: Some(status::time(since)),
        allocated_resources: used,
        ..get_frameworks::Framework::default()
    }
}

fn shown(scene: &Scene) -> get_frameworks::Framework {
    match &scene.who {
        Who::Framework(view) => framework_of(view, Some(scene)),
        Who::Services { id, since } => services(id, *since, scene),
    }
}

/// All frameworks.
pub(super) fn frameworks(picture: &Picture) -> response::GetFrameworks {
    response::GetFrameworks {
        frameworks: picture.scenes.iter().map(shown).collect(),
        completed_frameworks: picture.completed.iter().map(shown).collect(),
        ..response::GetFrameworks::default()
    }
}

/// Everything that a machine has.
fn total(agent: &Agent) -> Vec<Part> {
    let mut all = unreserved(agent);
    let reserved = agent.view.reserved.iter().filter(|part| part.role().is_some()).cloned();
    hansa_model::framework::parts::give(&mut all, &reserved.collect::<Vec<_>>());
    all
}

/// A machine.
pub(super) fn agent(agent: &Agent, used: Option<&Use>, drain: Option<v1::DrainInfo>) -> get_agents::Agent {
    let view = &agent.view;
    let (host, port) = host_and_port(&view.address);
    let write = |parts: &[Part]| resources::write(parts, Form::whole(None));
    let capability = |name: &&str| v1::agent_info::Capability {
        r#type: v1::agent_info::capability::Type::from_str_name(name).map(|kind| kind as i32),
    };
    let is_back = view.state != AgentState::Disconnected && view.since > view.registered_at;
    get_agents::Agent {
        agent_info: v1::AgentInfo {
            hostname: view.hostname.to_string(),
            port: Some(i32::from(port)),
            resources: write(&total(agent)),
            attributes: offer::attributes(&view.attributes),
            id: Some(v1::AgentId { value: view.id.to_string() }),
            domain: offer::domain(view.region.as_deref(), view.zone.as_deref()),
        },
        active: view.state == AgentState::Active,
        deactivated: Some(matches!(view.state, AgentState::Deactivated | AgentState::Draining)),
        version: VERSION.into(),
        pid: Some(format!("slave(1)@{host}:{port}")),
        registered_time: Some(status::time(view.registered_at)),
        reregistered_time: is_back.then(|| status::time(view.since)),
        total_resources: write(&total(agent)),
        allocated_resources: used.map(|used| write(&used.used)).unwrap_or_default(),
        offered_resources: used.map(|used| write(&used.offered)).unwrap_or_default(),
        capabilities: AGENT_CAPABILITIES.iter().map(capability).collect(),
        estimated_drain_start_time: drain.as_ref().map(|_| status::time(view.since)),
        drain_info: drain,
    }
}

/// All machines that count as registered.
pub(super) fn agents(picture: &Picture) -> response::GetAgents {
    let used = Use::of_all(picture);
    let shown = |one: &Agent| agent(one, used.get(&one.view.id), picture.drain_of(one));
    response::GetAgents { agents: picture.registered().map(shown).collect(), ..Default::default() }
}

/// Everything.
pub(super) fn state_of(picture: &Picture) -> response::GetState {
    response::GetState {
        get_tasks: Some(tasks(picture)),
        get_executors: Some(executors(picture)),
        get_frameworks: Some(frameworks(picture)),
        get_agents: Some(agents(picture)),
    }
}

/// All roles.
pub(super) fn roles(picture: &Picture) -> response::GetRoles {
    let weight = |name: &RoleName| {
        let role = picture.roles.iter().find(|view| view.role.name == *name);
        role.map_or(1.0, |view| view.role.weight_milli as f64 / 1000.0)
    };
    let role = |(name, used): (&RoleName, &super::super::legacy::RoleUse)| v1::Role {
        name: name.to_string(),
        weight: weight(name),
        frameworks: used.frameworks.iter().map(|id| v1::FrameworkId { value: id.clone() }).collect(),
        resources: scalars(&used.allocated.scalars()),
    };
    response::GetRoles { roles: roles_in_use(picture).iter().map(role).collect() }
}

/// Totals as unreserved resources.
pub(super) fn scalars(totals: &Totals) -> Vec<v1::Resource> {
    let some = sums::named(totals).into_iter().filter(|(_, value)| *value > 0.0);
    some.map(|(name, value)| v1::Resource {
        name: name.to_owned(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value }),
        ..v1::Resource::default()
    })
    .collect()
}
