//! Tasks, agents, executors and frameworks as operators read them, on masters and agents.

use crate::executor::unwrapped;
use crate::proto::v1;
use crate::proto::v1::master::response::get_agents;
use crate::proto::v1::master::response::get_frameworks;
use crate::resources::{self, Form};
use crate::{constraints, framework, offer, status};
use hansa_model::event::{AgentState, AgentView, FrameworkView, TaskView};
use hansa_model::framework::{
    Amount, ExecutorRun, FrameworkInfo, FrameworkTask, FrameworkUpdate, Offer, Part, Source, parts,
};
use hansa_model::task::TaskStatus;
use hansa_model::{AgentId, InstanceId, RoleName};
use std::collections::BTreeMap;

/// Mesos' default port of agents, shown where none is known.
const AGENT_PORT: i32 = 5051;

/// A framework's task, wherever it is known.
#[derive(Clone, Copy, Debug)]
pub struct TaskOf<'a> {
    /// Whose it is.
    pub framework: &'a FrameworkInfo,
    /// What it is to its framework.
    pub task: &'a FrameworkTask,
    /// Who runs it; None: the agent itself.
    pub executor: Option<&'a ExecutorRun>,
    /// The group that it was launched in.
    pub group: &'a InstanceId,
    /// Where it is.
    pub agent: &'a AgentId,
    /// That agent's HTTP port, `host:port`.
    pub address: &'a str,
    /// The role that pays.
    pub role: &'a RoleName,
    /// The last thing said of it.
    pub status: &'a TaskStatus,
}

impl<'a> TaskOf<'a> {
    /// Of a task as masters know it; None: no framework launched it. `address` is its agent's.
    pub fn of_view(view: &'a TaskView, address: &'a str) -> Option<Self> {
        let of = view.framework.as_ref()?;
        Some(Self {
            framework: &of.launch.framework,
            task: of.task(),
            executor: of.launch.executor.as_deref(),
            group: &view.instance,
            agent: &view.agent,
            address,
            role: &view.role,
            status: &view.status,
        })
    }

    /// The last thing said of it, as its framework was told it.
    pub fn status(&self) -> v1::TaskStatus {
        let master = self.status.sequence == 0;
        let update = FrameworkUpdate {
            task: self.task.id.clone(),
            agent: Some(self.agent.clone()),
            address: self.address.to_owned(),
            executor: Some(self.executor.map_or(&self.task.id, |run| &run.id).clone()),
            container: Some(self.executor.map_or(self.group, |run| &run.container).clone()),
            source: if master { Source::SourceMaster } else { Source::SourceExecutor },
            status: self.status.clone(),
            unreachable_since: None,
            uuid: (!master).then(|| self.status.uuid()),
        };
        status::write(&update, self.framework)
    }

    /// All of it.
    pub fn write(&self) -> v1::Task {
        let info: v1::TaskInfo = unwrapped(&self.task.info);
        let status = self.status();
        let of_executor = info.executor.as_ref().and_then(|executor| executor.command.as_ref());
        let user = info.command.as_ref().or(of_executor).and_then(|command| command.user.clone());
        let user = user.or_else(|| Some(self.framework.user.clone()).filter(|user| !user.is_empty()));
        v1::Task {
            name: self.task.name.clone(),
            task_id: v1::TaskId { value: self.task.id.clone() },
            framework_id: v1::FrameworkId { value: self.framework.id.to_string() },
            executor_id: self.executor.map(|run| v1::ExecutorId { value: run.id.clone() }),
            agent_id: v1::AgentId { value: self.agent.to_string() },
            state: status.state,
            resources: resources::write(&self.task.parts, Form::whole(Some(self.role))),
            status_update_state: Some(status.state),
            status_update_uuid: status.uuid.clone(),
            statuses: vec![status],
            labels: info.labels,
            discovery: info.discovery,
            container: info.container,
            health_check: info.health_check,
            kill_policy: info.kill_policy,
            user,
            limits: info.limits,
        }
    }
}

/// An executor: as it came, with its resources as they are counted.
pub fn executor(run: &ExecutorRun, framework: &FrameworkInfo, role: &RoleName) -> v1::ExecutorInfo {
    let info: v1::ExecutorInfo = unwrapped(&run.info);
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: run.id.clone() },
        framework_id: Some(v1::FrameworkId { value: framework.id.to_string() }),
        resources: resources::write(&run.parts, Form::whole(Some(role))),
        ..info
    }
}

/// Who an agent is and what it has. `address` is its HTTP port, `host:port`.
pub fn agent_info(
    id: &AgentId,
    hostname: &str,
    address: &str,
    parts: &[Part],
    attributes: &BTreeMap<String, String>,
    domain: (Option<&str>, Option<&str>),
) -> v1::AgentInfo {
    v1::AgentInfo {
        hostname: hostname.to_owned(),
        port: Some(offer::split(address).map_or(AGENT_PORT, |(_, port)| port.into())),
        resources: resources::write(parts, Form::whole(None)),
        attributes: offer::attributes(attributes),
        id: Some(v1::AgentId { value: id.to_string() }),
        domain: offer::domain(domain.0, domain.1),
    }
}

/// All that an agent has: what nobody has reserved, and what somebody has.
pub fn total(view: &AgentView) -> Vec<Part> {
    let all = Amount::offerable(&view.total);
    let mut total = vec![Part::unreserved(all.without(&parts::sum(&view.reserved)))];
    parts::give(&mut total, &view.reserved);
    total
}

/// An agent with what of it is used and offered. `version` is the one that the master tells of itself.
pub fn agent(view: &AgentView, version: &str, allocated: &[Part], offered: &[Part]) -> get_agents::Agent {
    use v1::agent_info::capability::Type;
    let total = total(view);
    let domain = (view.region.as_deref(), view.zone.as_deref());
    let info = agent_info(&view.id, &view.hostname, &view.address, &total, &view.attributes, domain);
    let capabilities = [
        Type::MultiRole,
        Type::HierarchicalRole,
        Type::ReservationRefinement,
        Type::AgentDraining,
        Type::TaskResourceLimits,
    ];
    let deactivated = matches!(view.state, AgentState::Draining | AgentState::Deactivated);
    get_agents::Agent {
        total_resources: info.resources.clone(),
        agent_info: info,
        active: view.state == AgentState::Active,
        deactivated: Some(deactivated),
        version: version.to_owned(),
        pid: Some(format!("slave(1)@{}", view.address)),
        registered_time: Some(status::time(view.registered_at)),
        reregistered_time: None,
        allocated_resources: resources::write(allocated, Form::whole(None)),
        offered_resources: resources::write(offered, Form::whole(None)),
        capabilities: capabilities
            .map(|kind| v1::agent_info::Capability { r#type: Some(kind as i32) })
            .to_vec(),
        drain_info: None,
        estimated_drain_start_time: None,
    }
}

/// A framework with its offers, and what it uses.
pub fn framework<'a>(
    view: &FrameworkView,
    allocated: &[Part],
    offers: impl IntoIterator<Item = &'a Offer>,
) -> get_frameworks::Framework {
    let offers: Vec<&Offer> = offers.into_iter().collect();
    let mut offered = Vec::new();
    for offer in &offers {
        parts::give(&mut offered, &offer.parts);
    }
    get_frameworks::Framework {
        framework_info: framework::write(&view.info),
        active: view.connected,
        connected: view.connected,
        recovered: view.recovered,
        registered_time: Some(status::time(view.registered_at)),
        reregistered_time: view.reregistered_at.map(status::time),
        unregistered_time: view.disconnected_at.map(status::time),
        offers: offers.iter().map(|offer| offer::write_whole(offer)).collect(),
        inverse_offers: Vec::new(),
        allocated_resources: resources::write(allocated, Form::whole(None)),
        offered_resources: resources::write(&offered, Form::whole(None)),
        offer_constraints: constraints::write(&view.constraints),
    }
}
