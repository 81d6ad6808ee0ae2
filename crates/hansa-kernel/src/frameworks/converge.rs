//! What agents hold of frameworks, when their streams begin: unknown groups are taken over with their frameworks, unless
//! these are gone; volumes that nobody knows are removed.

use super::{FrameworkRecord, Launched};
use crate::command::Effect;
use crate::groups::{Group, Task};
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::agent::GroupReport;
use hansa_model::event::{AgentState, Event, TaskChange, TaskView};
use hansa_model::framework::{FrameworkInfo, FrameworkLaunch, Part};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, Principal, RoleName};
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
        over: bool,
    ) -> Option<u64> {
        let launch = report.launch;
        let of_framework = launch.framework?;
        self.know_framework(step, &of_framework.framework);
        let number = self.new_number();
        let spec = self.specs.pass(launch.group.clone());
        let held = (!over).then(|| {
            let parts: Vec<Part> =
                of_framework.tasks.iter().flat_map(|task| task.parts.iter().cloned()).collect();
            self.take_reported(step, id, &launch.allocation, &parts)
        });
        let role = match &held {
            Some(held) => self.charge(&of_framework.framework.id, &launch.role, held),
            None => launch.role,
        };
        let allocation = Arc::new(launch.allocation);
        let owner = self.groups.share_owner(launch.owner);
        let mut launched = Launched::new(of_framework, held);
        let agent = self.agents.get_mut(id)?;
        agent.groups.insert(number);
        let (hostname, boot) = (agent.hostname.clone(), agent.boot());
        let draining = agent.wanted == AgentState::Draining;
        let mut tasks = Vec::new();
        for (index, task) in launch.tasks.iter().enumerate() {
            let said = |status: &&TaskStatus| status.task == *task && status.state != TaskState::Unreachable;
            let all = report.unacknowledged.iter().chain(&report.statuses).filter(said);
            let last = all.max_by_key(|status| status.sequence).cloned();
            let mut status = last.unwrap_or_else(|| {
                TaskStatus::new(task.clone(), launch.instance.clone(), 0, TaskState::Staging, step.now)
            });
            status.instance = launch.instance.clone();
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
