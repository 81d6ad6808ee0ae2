//! What agents hold of frameworks, when their streams begin: unknown groups are taken over with their frameworks, unless
//! these are gone; volumes that nobody knows are removed.

use super::{FrameworkRecord, Held, Launched};
use crate::command::Effect;
use crate::groups::{Group, Task};
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::agent::GroupReport;
use hansa_model::event::{AgentState, Event, TaskChange, TaskView};
use hansa_model::framework::{FrameworkInfo, FrameworkLaunch, parts};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, Allocation, Principal, RoleName, TaskId};
use std::sync::Arc;

impl Kernel {
    /// Whether a group that an agent holds, and nobody here knows, can be taken over for its framework.
    pub(crate) fn can_adopt_for(&self, launched: &FrameworkLaunch, tasks: usize) -> bool {
        launched.tasks.len() == tasks && !self.frameworks.is_removed(&launched.framework.id)
    }

    /// A framework that an agent tells of is known from now on.
    pub(crate) fn know_framework(&mut self, step: &mut Step, info: &FrameworkInfo) {
        let id = info.id.clone();
        if self.frameworks.get(&id).is_some() {
            return;
        }
        let record = FrameworkRecord {
            info: info.clone(),
            // On whose behalf it spoke nobody knows any more; its next subscription says.
            principal: info.principal.as_deref().map_or_else(Principal::loopback, Principal::from),
            registered_at: step.now,
            removed_at: None,
        };
        step.record(Record::PutFramework(Box::new(record.clone())));
        self.recover_framework(step.now, record);
        self.show_framework(step, &id);
    }

    /// Nobody knows a framework's group: it lives on as its agent tells, or waits for its framework to hear of its end.
    pub(crate) fn adopt_for_framework(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        report: GroupReport,
    ) -> Option<u64> {
        let launch = report.launch;
        let of_framework = launch.framework?;
        self.know_framework(step, &of_framework.framework);
        let number = self.new_number();
        let spec = self.specs.pass(launch.group.clone());
        let last = |task: &TaskId| {
            let said = |status: &&TaskStatus| status.task == *task && status.state != TaskState::Unreachable;
            let all = report.unacknowledged.iter().chain(&report.statuses).filter(said);
            // An end is the last word, whatever its number is.
            all.max_by_key(|status| (status.state.is_terminal(), status.sequence)).cloned()
        };
        let statuses: Vec<Option<TaskStatus>> = launch.tasks.iter().map(last).collect();
        let mut role = launch.role.clone();
        let mut each = Vec::new();
        let ended =
            |status: &Option<TaskStatus>| status.as_ref().is_some_and(|last| last.state.is_terminal());
        let over = statuses.iter().all(ended);
        for (index, status) in statuses.iter().enumerate().take_while(|_| !over) {
            let held =
                self.take_reported_task(step, id, &launch.allocation, &of_framework, (index, ended(status)));
            if let Some(held) = &held {
                role = self.charge(&of_framework.framework.id, &role, held);
            }
            each.push(held);
        }
        each.resize(statuses.len(), None);
        let allocation = Arc::new(launch.allocation);
        let owner = self.groups.share_owner(launch.owner);
        let mut launched = Launched::new(of_framework, each);
        let agent = self.agents.get_mut(id)?;
        agent.groups.insert(number);
        let (hostname, boot) = (agent.hostname.clone(), agent.boot());
        let draining = agent.wanted == AgentState::Draining;
        let mut tasks = Vec::new();
        for (index, (task, status)) in launch.tasks.iter().zip(statuses).enumerate() {
            let mut status = status.unwrap_or_else(|| {
                TaskStatus::new(task.clone(), launch.instance.clone(), 0, TaskState::Staging, step.now)
            });
            status.instance = launch.instance.clone();
            let said = |update: &&TaskStatus| update.task == *task && update.state != TaskState::Unreachable;
            for update in report.unacknowledged.iter().filter(said) {
                launched.waiting[index].push(update.clone());
            }
            let ran = matches!(status.state, TaskState::Running | TaskState::Killing);
            let seen = status.sequence;
            let view = TaskView {
                instance: launch.instance.clone(),
                owner: owner.clone(),
                role: role.clone(),
                spec,
                origin: launch.group.origin.clone(),
                agent: id.clone(),
                hostname: hostname.clone(),
                allocation: allocation.clone(),
                staged_at: step.now,
                started_at: ran.then_some(status.at),
                status,
                framework: Some(launched.of_task(index)),
            };
            step.event(Event::Task { view: Arc::new(view.clone()), change: TaskChange::Placed });
            tasks.push(Task { view: Arc::new(view), seen });
        }
        let places = 0..launched.waiting.len();
        let group = Group {
            tasks: tasks.into(),
            boot,
            killing: None,
            accepted: true,
            adopted: true,
            framework: Some(Box::new(launched)),
        };
        self.groups.insert(number, group);
        self.specs.refer(spec, step);
        self.join_framework(number);
        self.use_changed(step.now, id, &role);
        places.for_each(|at| self.repeat(step, number, at, true));
        if draining {
            self.drain_framework_group(step, number);
        }
        Some(number)
    }

    /// What an agent says that a task of a group has there, which goes on: if the task has `ended`, its volumes.
    pub(crate) fn take_reported_task(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        all: &Allocation,
        of: &FrameworkLaunch,
        (index, ended): (usize, bool),
    ) -> Option<Held> {
        let mut parts = of.tasks[index].parts.clone();
        if !ended {
            return Some(self.take_reported(step, id, &of.own(all, index), &parts));
        }
        parts.retain(|part| part.volume.is_some());
        let own = Allocation { disk: parts::sum(&parts).disk, ..Allocation::default() };
        let mut held = self.take_reported(step, id, &own, &parts);
        held.take_volumes()
    }

    /// Volumes that an agent holds and nobody knows are removed.
    pub(crate) fn converge_volumes(&self, step: &mut Step, id: &AgentId, volumes: Vec<(RoleName, String)>) {
        let Some(agent) = self.agents.get(id) else { return };
        for (role, volume) in volumes {
            if !agent.pots.has_volume(&role, &volume) {
                step.effect(Effect::RemoveVolume { agent: id.clone(), role, id: volume });
            }
        }
    }
}
