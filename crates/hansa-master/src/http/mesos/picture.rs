//! What the readers of Mesos' surface see, taken out of the picture at one moment: pointers only. The picture is let go
//! before anything is written down, and writing is done where nothing waits for it.

use super::about::Me;
use super::steward;
use crate::Master;
use crate::read_model::{Agent, Framework, ReadModel, Told, app_of, framework_of};
use hansa_mesos::proto::v1;
use hansa_model::app::AppVersion;
use hansa_model::event::{AgentState, ExecutorView, FrameworkView, RoleView, TaskView};
use hansa_model::framework::{Capability, Offer};
use hansa_model::maintenance::Maintenance;
use hansa_model::spec::Origin;
use hansa_model::task::TaskState;
use hansa_model::{AgentId, AppId, FrameworkId, InstanceId, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name that services' tasks go by among frameworks: readers know it.
pub(super) const SERVICES: &str = "marathon";

/// A framework with everything of it.
pub(super) struct Scene {
    /// Who it is.
    pub(super) who: Who,
    /// Its tasks that are not forgotten, also those out of reach.
    pub(super) tasks: Vec<Told>,
    /// Its tasks that are, the oldest first.
    pub(super) ended: Vec<Told>,
    /// Its executors.
    pub(super) executors: Vec<Arc<ExecutorView>>,
    /// Its offers.
    pub(super) offers: Vec<Arc<Offer>>,
    /// When it was removed.
    pub(super) removed_at: Option<Timestamp>,
}

/// Who has tasks.
pub(super) enum Who {
    /// A framework.
    Framework(Arc<FrameworkView>),
    /// The services, shown as a framework: the cluster's id is its id.
    Services {
        /// Its id.
        id: FrameworkId,
        /// Since when.
        since: Timestamp,
    },
}

impl Who {
    /// Its id.
    pub(super) fn id(&self) -> &FrameworkId {
        match self {
            Self::Framework(view) => &view.info.id,
            Self::Services { id, .. } => id,
        }
    }

    /// Whether it tells the ways apart in which tasks are lost.
    pub(super) fn is_partition_aware(&self) -> bool {
        match self {
            Self::Framework(view) => view.info.can(Capability::PartitionAware),
            Self::Services { .. } => true,
        }
    }
}

/// Where executors' and groups' sandboxes and addresses are looked up.
pub(super) struct Picture {
    /// This master.
    pub(super) me: Me,
    /// Agents by id.
    pub(super) agents: BTreeMap<AgentId, Agent>,
    /// Frameworks that are there, the services first.
    pub(super) scenes: Vec<Scene>,
    /// Frameworks that are gone, the oldest first.
    pub(super) completed: Vec<Scene>,
    /// Roles by name.
    pub(super) roles: Vec<Arc<RoleView>>,
    /// How machines are being drained, where it was said.
    maintenance: Arc<Maintenance>,
    /// Machines that have tasks that live.
    busy: BTreeSet<AgentId>,
    /// The versions of services that tasks are of.
    versions: FxHashMap<(AppId, Timestamp), Arc<AppVersion>>,
}

/// What is wanted of it: each framework and task costs.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Only this framework.
    pub(super) framework: Option<String>,
    /// Only tasks of this id (the framework's id of it).
    pub(super) task: Option<String>,
    /// No tasks at all.
    pub(super) no_tasks: bool,
}

impl Wanted {
    fn framework(&self, id: &FrameworkId) -> bool {
        self.framework.as_deref().is_none_or(|wanted| wanted == id.as_str())
    }

    fn task(&self, told: &&Told) -> bool {
        !self.no_tasks && self.task.as_deref().is_none_or(|wanted| wanted == task_id(&told.view))
    }
}

impl Picture {
    /// Takes it.
    pub(super) fn take(master: &Master, me: Me, wanted: &Wanted) -> Self {
        Self::of(&master.read(), master, me, wanted)
    }

    /// The same, of a picture that stands still already.
    pub(super) fn of(model: &ReadModel, master: &Master, me: Me, wanted: &Wanted) -> Self {
        let identity = master.identity();
        let services = FrameworkId::from(identity.cluster.as_str());
        let mut scenes = Vec::with_capacity(model.frameworks().len() + 1);
        let mut versions = FxHashMap::default();
        if wanted.framework(&services) {
            let of_service = |told: &&Told| app_of(&told.view).is_some() && wanted.task(told);
            let tasks: Vec<Told> = model.told().filter(of_service).cloned().collect();
            let ended: Vec<Told> = model.ended_of_services().filter(of_service).cloned().collect();
            for told in tasks.iter().chain(&ended) {
                if let Origin::App { id, version } = &told.view.origin
                    && !versions.contains_key(&(id.clone(), *version))
                    && let Some(found) = model.version(id, *version)
                {
                    versions.insert((id.clone(), *version), found.clone());
                }
            }
            scenes.push(Scene {
                who: Who::Services { id: services, since: identity.started_at },
                tasks,
                ended,
                executors: Vec::new(),
                offers: Vec::new(),
                removed_at: None,
            });
        }
        let mut places: BTreeMap<FrameworkId, usize> = BTreeMap::new();
        for framework in model.frameworks() {
            let id = &framework.view.info.id;
            if wanted.framework(id) {
                places.insert(id.clone(), scenes.len());
                scenes.push(scene(model, framework, wanted));
            }
        }
        for executor in model.executors() {
            if let Some(&at) = places.get(&executor.framework) {
                scenes[at].executors.push(executor.clone());
            }
        }
        let completed = model.completed_frameworks().filter(|gone| wanted.framework(&gone.view.info.id));
        let completed = completed.map(|gone| scene(model, gone, wanted)).collect();
        let agents = model.agents().map(|agent| (agent.view.id.clone(), agent.clone())).collect();
        let roles = model.roles().cloned().collect();
        let live = |agent: &&Agent| model.agent_counts(&agent.view.id).live() > 0;
        let busy = model.agents().filter(live).map(|agent| agent.view.id.clone()).collect();
        let maintenance = model.maintenance().clone();
        Self { me, agents, scenes, completed, roles, maintenance, busy, versions }
    }

    /// The definition that a service's task was made by, as far as it is known.
    pub(super) fn version(&self, view: &TaskView) -> Option<&AppVersion> {
        match &view.origin {
            Origin::App { id, version } => self.versions.get(&(id.clone(), *version)).map(Arc::as_ref),
            Origin::Framework => None,
        }
    }

    /// Agents that count as registered: those out of reach do not.
    pub(super) fn registered(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values().filter(|agent| agent.view.state != AgentState::Unreachable)
    }

    /// How far draining of a machine has come, if it is being drained.
    pub(super) fn drain_of(&self, agent: &Agent) -> Option<v1::DrainInfo> {
        let id = &agent.view.id;
        let state = match agent.view.state {
            AgentState::Draining if self.busy.contains(id) => v1::DrainState::Draining,
            AgentState::Draining => v1::DrainState::Drained,
            _ => return None,
        };
        let config = self.maintenance.drains.get(id).map(steward::drain_config).unwrap_or_default();
        Some(v1::DrainInfo { state: state as i32, config })
    }

    /// Where a machine is, without its port.
    pub(super) fn host_of(&self, agent: &AgentId) -> Option<&str> {
        self.agents.get(agent).map(|agent| host_and_port(&agent.view.address).0)
    }
}

fn scene(model: &ReadModel, framework: &Framework, wanted: &Wanted) -> Scene {
    Scene {
        tasks: model.told_of(&framework.view.info.id).filter(|told| wanted.task(told)).cloned().collect(),
        ended: framework.ended.iter().filter(|told| wanted.task(told)).cloned().collect(),
        who: Who::Framework(framework.view.clone()),
        executors: Vec::new(),
        offers: model.offers_of(&framework.view.info.id).cloned().collect(),
        removed_at: framework.removed_at,
    }
}

/// The id of a task as its framework knows it.
pub(super) fn task_id(view: &TaskView) -> &str {
    match &view.framework {
        Some(of) => &of.task().id,
        None => view.status.task.as_str(),
    }
}

/// The container of a task: its executor's run, or its own group.
pub(super) fn container_of(view: &TaskView) -> &InstanceId {
    let run = view.framework.as_ref().and_then(|of| of.launch.executor.as_ref());
    run.map_or(&view.instance, |run| &run.container)
}

/// The state as it is told to who does, or does not, tell the ways apart in which tasks are lost.
pub(super) fn state_name(state: TaskState, is_partition_aware: bool) -> &'static str {
    use TaskState::*;
    match state {
        Unreachable | Dropped | Gone | GoneByOperator | Unknown if !is_partition_aware => "TASK_LOST",
        state => state.name(),
    }
}

/// Splits `host:port`; without a port: Mesos' own for agents.
pub(super) fn host_and_port(address: &str) -> (&str, u16) {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => {
            (host.trim_start_matches('[').trim_end_matches(']'), port.parse().unwrap_or(5051))
        }
        _ => (address, 5051),
    }
}

/// Marathon's name of a service among frameworks' tasks: `/shop/web` is `web.shop`.
pub(super) fn name_of_app(app: &AppId) -> String {
    let mut parts: Vec<&str> = app.as_str().split('/').filter(|part| !part.is_empty()).collect();
    parts.reverse();
    parts.join(".")
}

/// Whose a task is: a framework's, or the services'.
pub(super) fn owner_of<'a>(view: &'a TaskView, services: &'a FrameworkId) -> &'a FrameworkId {
    framework_of(view).unwrap_or(services)
}
