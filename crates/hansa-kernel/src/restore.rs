//! Taking over what was stored, at the beginning of a leadership.
//!
//! Stored is what was decided, not how it goes: every agent counts as disconnected since now and every task as staging,
//! until the agents say hello. Agents that were out of reach still are.

use crate::agents::Agent;
use crate::frameworks::Pots;
use crate::given_up::GivenUp;
use crate::groups::{Group, Killing, Task};
use crate::record::{AssignmentRecord, Record};
use crate::{Kernel, Step};
use hansa_model::event::{AgentState, Event, TaskChange, TaskView};
use hansa_model::maintenance::Maintenance;
use hansa_model::scheduler::Notice;
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, RoleName};
use std::sync::Arc;

impl Kernel {
    /// See [`Kernel::restore`].
    pub(crate) fn take_over(&mut self, step: &mut Step, records: Vec<Record>) {
        let mut assignments = Vec::new();
        let mut given_up = Vec::new();
        let (mut frameworks, mut parts, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            match record {
                Record::PutAgent(record) => {
                    if let Some(id) = record.hello.agent.clone() {
                        self.agents.insert(id, Agent::new(step.now, *record));
                    }
                }
                Record::PutSpec(id, group) => self.specs.restore(id, group),
                Record::PutAssignment(number, record) => assignments.push((number, *record)),
                Record::PutGivenUp(number, record) => given_up.push((number, *record)),
                Record::PutRole(role) => self.roles.set(role),
                Record::PutFramework(record) => frameworks.push(*record),
                Record::PutParts(agent, records) => parts.push((agent, records)),
                Record::PutMaintenance(maintenance) => self.maintenance = maintenance,
                Record::PutGone(agent, record) => gone.push((record.at, agent)),
                Record::DeleteAgent(_)
                | Record::DeleteSpec(_)
                | Record::DeleteAssignment(_)
                | Record::DeleteGivenUp(_)
                | Record::DeleteFramework(_)
                | Record::DeleteGone(_)
                | Record::DeleteRole(_) => {}
            }
        }
        assignments.sort_unstable_by_key(|&(number, _)| number);
        given_up.sort_unstable_by_key(|&(number, _)| number);
        gone.sort_unstable();
        for (at, agent) in gone {
            self.frameworks.agent_gone(agent, at);
        }
        if *self.maintenance != Maintenance::default() {
            step.event(Event::Maintenance(self.maintenance.clone()));
        }
        for (agent, records) in parts {
            if let Some(agent) = self.agents.get_mut(&agent) {
                agent.pots = Pots::restored(records);
                let pots = agent.pots.clone();
                self.charge_pots(&pots, true);
            }
        }
        let ids: Vec<AgentId> = self.agents.keys().cloned().collect();
        for id in &ids {
            self.restore_agent(id);
        }
        for (number, record) in assignments {
            self.restore_assignment(step, number, record);
        }
        for (number, mut record) in given_up {
            self.last_number = self.last_number.max(number);
            if record.at.is_none() {
                record.at = Some(step.now);
                step.record(Record::PutGivenUp(number, Box::new(record.clone())));
            }
            self.add_given_up(step, number, GivenUp::new(record));
        }
        let unused: Vec<_> =
            self.specs.iter().filter(|(_, spec)| spec.groups == 0).map(|(id, _)| id).collect();
        for id in unused {
            self.specs.collect(id, step);
        }
        self.restore_frameworks(step, frameworks);
        self.show_restored(step, &ids);
    }

    fn restore_agent(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.settling = true;
        let node = agent.node(id);
        // Of two machines with one name, one at most is not out of reach.
        let reachable = agent.unreachable_since.is_none();
        if reachable || !self.hostnames.contains_key(&agent.hostname) {
            self.hostnames.insert(agent.hostname.clone(), id.clone());
        }
        self.book.upsert(node);
        self.set_deadline(id);
    }

    fn restore_assignment(&mut self, step: &mut Step, number: u64, record: AssignmentRecord) {
        self.last_number = self.last_number.max(number);
        let usable = self.agents.contains_key(&record.agent)
            && self.groups.number_of(&record.instance).is_none()
            && !record.tasks.is_empty()
            && !record.tasks.iter().any(|task| self.groups.is_taken(task));
        let (Some(spec), true) = (self.specs.get(record.spec), usable) else {
            step.event(Event::Alarm {
                code: "store-inconsistent",
                message: format!(
                    "assignment {number} of {} cannot be used and is passed over",
                    record.instance
                ),
            });
            return;
        };
        let origin = spec.group.origin.clone();
        let Some((id, agent)) = self.agents.get_key_value(&record.agent) else { return };
        let (id, hostname, since) = (id.clone(), agent.hostname.clone(), agent.unreachable_since);
        let agent_boot = agent.boot();
        let role = self.roles.add(&record.role, &record.allocation);
        let allocation = self.specs.share(record.spec, record.allocation);
        let owner = self.groups.share_owner(record.owner);
        let boot = if agent_boot == record.boot { agent_boot } else { record.boot };
        let tasks = record.tasks.into_iter().map(|task| {
            let instance = record.instance.clone();
            let status = match since {
                None => TaskStatus::new(task, instance, 0, TaskState::Staging, record.placed_at),
                Some(since) => TaskStatus::new(task, instance, 0, TaskState::Unreachable, since)
                    .because(Reason::ReasonAgentDisconnected, "the agent is out of reach"),
            };
            let view = TaskView {
                instance: record.instance.clone(),
                owner: owner.clone(),
                role: role.clone(),
                spec: record.spec,
                origin: origin.clone(),
                agent: id.clone(),
                hostname: hostname.clone(),
                allocation: allocation.clone(),
                staged_at: record.placed_at,
                started_at: None,
                status,
                framework: None,
            };
            Task { view: Arc::new(view), seen: 0 }
        });
        let killing = record
            .killing
            .map(|(grace_ms, message)| Box::new(Killing { grace_ms, message, again_at: step.now }));
        let (tasks, adopted) = (tasks.collect(), record.adopted);
        let group = Group { tasks, boot, killing, accepted: false, adopted, framework: None };
        self.groups.insert(number, group);
        self.specs.refer_restored(record.spec);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.groups.insert(number);
        }
    }

    /// The whole state as events and notices.
    fn show_restored(&mut self, step: &mut Step, ids: &[AgentId]) {
        for id in ids {
            if let Some(agent) = self.agents.get_mut(id) {
                agent.settling = false;
            }
            self.recount(id);
            self.show_agent(step, id);
        }
        let roles: Vec<RoleName> = self.roles.iter().map(|state| state.role.name.clone()).collect();
        for role in &roles {
            self.show_role(step, role);
        }
        for (_, group) in self.groups.iter() {
            let since = self.agents.get(group.agent()).and_then(|agent| agent.unreachable_since);
            for task in &group.tasks {
                step.event(Event::Task { view: task.view.clone(), change: TaskChange::Restored });
            }
            step.notice(group.owner().clone(), Notice::Placed(Box::new(group.placed(since))));
        }
        for id in ids {
            if self.agents.get(id).is_some_and(|agent| agent.wanted == AgentState::Draining) {
                for number in self.numbers_on(id) {
                    self.tell_drain(step, number);
                }
            }
        }
    }
}
