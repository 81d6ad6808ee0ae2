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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};
    use hansa_model::Timestamp;
    use hansa_model::framework::{Raw, Reservation};
    use hansa_model::resources::{MIB, PortSet, Resources};
    use hansa_model::role::Totals;
    use hansa_model::task::TaskState;
    use prost::Message;

    fn of_framework() -> FrameworkInfo {
        let json = br#"{"user":"u","name":"n","id":{"value":"F"},"role":"web"}"#;
        framework::read(&decode(Codec::Json, json).unwrap()).unwrap()
    }

    fn cpus(cpus_milli: u64) -> Amount {
        Amount { cpus_milli, ..Amount::default() }
    }

    #[test]
    fn a_task_to_the_byte() {
        let json = br#"{"name":"t","task_id":{"value":"1"},"agent_id":{"value":"S"},"command":{"value":"x"},
            "labels":{"labels":[{"key":"k","value":"v"}]},"limits":{"mem":{"value":64}}}"#;
        let info: v1::TaskInfo = decode(Codec::Json, json).unwrap();
        let framework = of_framework();
        let task = FrameworkTask {
            id: "1".into(),
            name: "t".into(),
            parts: vec![Part::unreserved(cpus(500))],
            info: Raw::new(info.encode_to_vec()),
        };
        let group = InstanceId::from("g");
        let (agent, role) = (AgentId::from("S"), RoleName::from("web"));
        let status =
            TaskStatus::new("g-1".into(), group.clone(), 0, TaskState::Unreachable, Timestamp(2_000));
        let of = TaskOf {
            framework: &framework,
            task: &task,
            executor: None,
            group: &group,
            agent: &agent,
            address: "10.0.0.1:5051",
            role: &role,
            status: &status,
        };
        assert_eq!(
            String::from_utf8(encode(Codec::Json, &of.write())).unwrap(),
            concat!(
                r#"{"name":"t","task_id":{"value":"1"},"framework_id":{"value":"F"},"agent_id":{"value":"S"},"#,
                r#""state":"TASK_LOST","resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"#,
                r#""allocation_info":{"role":"web"}}],"statuses":[{"task_id":{"value":"1"},"#,
                r#""state":"TASK_LOST","source":"SOURCE_MASTER","agent_id":{"value":"S"},"#,
                r#""executor_id":{"value":"1"},"timestamp":2.0,"container_status":{"container_id":{"value":"g"},"#,
                r#""network_infos":[{"ip_addresses":[{"protocol":"IPv4","ip_address":"10.0.0.1"}]}]}}],"#,
                r#""status_update_state":"TASK_LOST","labels":{"labels":[{"key":"k","value":"v"}]},"#,
                r#""user":"u","limits":{"mem":{"value":64.0}}}"#
            )
        );
    }

    #[test]
    fn an_agent_has_what_is_reserved_and_what_is_not() {
        let reservation =
            Reservation { role: "db".into(), principal: None, labels: Vec::new(), fixed: false };
        let view = AgentView {
            id: "S".into(),
            hostname: "h".into(),
            address: "10.0.0.1:7777".into(),
            state: AgentState::Deactivated,
            since: Timestamp(0),
            total: Resources {
                cpus_milli: 4_000,
                mem: 10 * MIB + 5,
                ports: PortSet::from_ranges([(1, 2)]),
                ..Resources::default()
            },
            allocated: Totals::default(),
            reserved: vec![Part { reservations: vec![reservation], volume: None, amount: cpus(1_000) }],
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            version: "0.1.0".into(),
            registered_at: Timestamp(1),
            missing_isolation: Vec::new(),
        };
        let told = agent(&view, "1.11.0", &[Part::unreserved(cpus(500))], &[]);
        let json = String::from_utf8(encode(Codec::Json, &told)).unwrap();
        let total = concat!(
            r#""total_resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":3.0}},"#,
            r#"{"name":"mem","type":"SCALAR","scalar":{"value":10.0}},"#,
            r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}},"#,
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"reservations":[{"type":"DYNAMIC","role":"db"}]}]"#
        );
        assert!(json.contains(total), "{json}");
        for part in [
            r#""agent_info":{"hostname":"h","port":7777,"#,
            r#""active":false,"deactivated":true,"version":"1.11.0","pid":"slave(1)@10.0.0.1:7777""#,
            r#""registered_time":{"nanoseconds":1000000}"#,
            r#""allocated_resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}]"#,
        ] {
            assert!(json.contains(part), "{part}: {json}");
        }
    }
}
