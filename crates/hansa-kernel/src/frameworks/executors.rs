//! The book of executors: one run each, with resources of its own, to which groups refer.
//!
//! A run begins with the first group for it and ends when its agent says so, or does not name it any more.

use super::pots::Held;
use crate::command::{Effect, Refusal};
use crate::{Kernel, Step};
use hansa_model::event::{Event, ExecutorView};
use hansa_model::framework::{ExecutorAsked, ExecutorReport, ExecutorRun, FrameworkEvent, Part, Raw};
use hansa_model::scheduler::Answer;
use hansa_model::{AgentId, Allocation, FrameworkId, InstanceId, RoleName};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is said of an end that nobody saw.
const UNSEEN_END: i32 = -1;

/// One run of an executor.
#[derive(Debug)]
pub(crate) struct Executor {
    /// As it is shown.
    pub view: Arc<ExecutorView>,
    /// What it has besides its tasks.
    pub held: Held,
    /// Whether its agent is known to have begun it.
    pub confirmed: bool,
    /// Whether its framework is gone: it is nobody's, and is to end.
    pub ending: bool,
}

impl Kernel {
    /// A framework's executor on a machine.
    pub(crate) fn find_executor(
        &self,
        id: &FrameworkId,
        agent: &AgentId,
        executor: &str,
    ) -> Option<&Executor> {
        let runs = &self.agents.get(agent)?.executors;
        let mut runs = runs.iter().filter_map(|container| self.frameworks.executors.get(container));
        runs.find(|entry| !entry.ending && entry.view.framework == *id && entry.view.run.id == executor)
    }

    /// A framework's executors on a machine, by its ids of them.
    pub(crate) fn executor_ids(&self, id: &FrameworkId, agent: &AgentId) -> Vec<String> {
        let runs = self.agents.get(agent).into_iter().flat_map(|agent| &agent.executors);
        let runs = runs.filter_map(|container| self.frameworks.executors.get(container));
        let own = runs.filter(|entry| !entry.ending && entry.view.framework == *id);
        own.map(|entry| entry.view.run.id.clone()).collect()
    }

    /// A run begins, with these resources.
    pub(crate) fn start_executor(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        asked: ExecutorAsked,
        (held, allocation): (Held, Allocation),
    ) -> Option<Arc<ExecutorRun>> {
        let spec = *asked.spec.ok()?;
        let (_, container) = self.new_uuid();
        let run = Arc::new(ExecutorRun {
            id: asked.id,
            container: container.into(),
            kind: asked.kind,
            parts: asked.parts,
            allocation,
            spec,
            shutdown_grace_ms: asked.shutdown_grace_ms,
            info: asked.info,
        });
        self.hold(agent, &held);
        self.add_executor(step, id, role, agent, run.clone(), held, false);
        Some(run)
    }

    #[expect(clippy::too_many_arguments, reason = "they are all that an executor is")]
    fn add_executor(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        run: Arc<ExecutorRun>,
        held: Held,
        confirmed: bool,
    ) {
        let role = self.charge(id, role, &held);
        let container = run.container.clone();
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.executors.insert(container.clone());
        }
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.executors.insert(container.clone());
        }
        let view = ExecutorView { framework: id.clone(), agent: agent.clone(), role: role.clone(), run };
        let view = Arc::new(view);
        step.event(Event::Executor(view.clone()));
        self.frameworks.executors.insert(container, Executor { view, held, confirmed, ending: false });
        self.use_changed(step.now, agent, &role);
    }

    /// Its agent has begun it.
    pub(crate) fn executor_confirmed(&mut self, container: &InstanceId) {
        if let Some(executor) = self.frameworks.executors.get_mut(container) {
            executor.confirmed = true;
        }
    }

    /// If a run never began and nothing is left that would begin it, it is forgotten.
    pub(crate) fn drop_unstarted_executor(&mut self, step: &mut Step, container: &InstanceId) {
        let Some(executor) = self.frameworks.executors.get(container) else { return };
        if !executor.confirmed && !self.is_referred_to(&executor.view.agent, container, |_| true) {
            self.end_executor(step, container, None);
        }
    }

    /// Whether a group that has not ended needs this run.
    fn is_referred_to(
        &self,
        agent: &AgentId,
        container: &InstanceId,
        counts: impl Fn(&crate::groups::Group) -> bool,
    ) -> bool {
        let numbers = self.agents.get(agent).into_iter().flat_map(|agent| &agent.groups);
        numbers.filter_map(|&number| self.groups.get(number)).any(|group| {
            let own = group.framework.as_ref().and_then(|launched| launched.container());
            own == Some(container) && !group.is_over() && counts(group)
        })
    }

    /// A run is over: what it had is free. `told`: how it ended, for its framework.
    pub(crate) fn end_executor(&mut self, step: &mut Step, container: &InstanceId, told: Option<i32>) {
        let Some(executor) = self.frameworks.executors.remove(container) else { return };
        let view = &executor.view;
        if let Some(agent) = self.agents.get_mut(&view.agent) {
            agent.executors.remove(container);
        }
        self.unhold(step, &view.agent, &executor.held);
        if executor.ending {
            return;
        }
        self.discharge(&view.framework, &view.role, &executor.held);
        self.use_changed(step.now, &view.agent, &view.role);
        if let Some(framework) = self.frameworks.get_mut(&view.framework) {
            framework.executors.remove(container);
        }
        step.event(Event::ExecutorRemoved(container.clone()));
        if let Some(wait_status) = told {
            let executor = Some((view.run.id.clone(), wait_status));
            let failure = FrameworkEvent::Failure { agent: view.agent.clone(), executor };
            self.tell(step, &view.framework, failure);
        }
    }

    /// Its framework is gone: it is to end, and has what it has until then.
    pub(crate) fn abandon_executor(&mut self, step: &mut Step, container: &InstanceId) {
        let Some(executor) = self.frameworks.executors.get_mut(container) else { return };
        executor.ending = true;
        let (view, held) = (executor.view.clone(), executor.held.clone());
        self.discharge(&view.framework, &view.role, &held);
        if let Some(framework) = self.frameworks.get_mut(&view.framework) {
            framework.executors.remove(container);
        }
        self.use_changed(step.now, &view.agent, &view.role);
        step.event(Event::ExecutorRemoved(container.clone()));
        step.effect(Effect::ShutdownExecutor { agent: view.agent.clone(), container: container.clone() });
        let confirmed = self.frameworks.executors.get(container).is_some_and(|executor| executor.confirmed);
        if !confirmed && !self.is_referred_to(&view.agent, container, |_| true) {
            // Nothing is left that would begin it; if it was begun all the same, the next hello says so.
            self.end_executor(step, container, None);
        }
    }

    /// An agent says that a run is over.
    pub(crate) fn executor_ended(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        container: &InstanceId,
        wait_status: i32,
    ) -> Result<Answer, Refusal> {
        if self.heard_of(step, id)?
            && self.frameworks.executors.get(container).is_some_and(|executor| executor.view.agent == *id)
        {
            self.end_executor(step, container, Some(wait_status));
        }
        Ok(Answer::Done)
    }

    /// Which executors an agent holds. Those that nobody knew live on, unless their frameworks are gone.
    pub(crate) fn converge_executors(&mut self, step: &mut Step, id: &AgentId, reports: Vec<ExecutorReport>) {
        let mut named = BTreeSet::new();
        for report in reports {
            let container = report.run.container.clone();
            if !named.insert(container.clone()) {
                continue;
            }
            match self.frameworks.executors.get_mut(&container) {
                Some(executor) if executor.view.agent == *id => executor.confirmed = true,
                Some(_) => continue,
                None => self.adopt_executor(step, id, report),
            }
            if self.frameworks.executors.get(&container).is_some_and(|executor| executor.ending) {
                step.effect(Effect::ShutdownExecutor { agent: id.clone(), container });
            }
        }
        let known = self.agents.get(id).map(|agent| agent.executors.clone()).unwrap_or_default();
        for container in known.difference(&named) {
            let Some(executor) = self.frameworks.executors.get(container) else { continue };
            // What has not arrived there yet is sent again, and begins it; unless it had begun, and so has ended.
            let expected = !executor.confirmed && self.is_referred_to(id, container, |group| !group.accepted);
            if executor.ending || !expected {
                self.end_executor(step, container, Some(UNSEEN_END));
            }
        }
    }

    fn adopt_executor(&mut self, step: &mut Step, id: &AgentId, report: ExecutorReport) {
        let framework = report.framework.id.clone();
        let removed = self.frameworks.is_removed(&framework);
        if !removed {
            self.know_framework(step, &report.framework);
        }
        let held = self.take_reported(step, id, &report.run.allocation, &report.run.parts);
        let container = report.run.container.clone();
        self.add_executor(step, &framework, &report.role, id, report.run, held, true);
        if removed {
            self.abandon_executor(step, &container);
        }
    }

    /// A framework ends an executor, and with it its tasks, whose ends come from the agent.
    pub(crate) fn shut_down_executor(
        &self,
        step: &mut Step,
        id: &FrameworkId,
        agent: &AgentId,
        executor: &str,
    ) {
        if let Some(entry) = self.find_executor(id, agent, executor) {
            let container = entry.view.run.container.clone();
            step.effect(Effect::ShutdownExecutor { agent: agent.clone(), container });
        }
    }

    /// A framework says something to an executor.
    pub(crate) fn message_executor(
        &self,
        step: &mut Step,
        id: &FrameworkId,
        agent: &AgentId,
        executor: &str,
        data: Raw,
    ) {
        if let Some(entry) = self.find_executor(id, agent, executor) {
            let container = entry.view.run.container.clone();
            step.effect(Effect::ToExecutor { agent: agent.clone(), container, data });
        }
    }

    /// An executor says something to its framework.
    pub(crate) fn executor_said(
        &mut self,
        step: &mut Step,
        agent: AgentId,
        id: &FrameworkId,
        executor: String,
        data: Raw,
    ) -> Result<Answer, Refusal> {
        if self.heard_of(step, &agent)? {
            self.tell(step, id, FrameworkEvent::Message { agent, executor, data });
        }
        Ok(Answer::Done)
    }

    /// What an agent says that somebody has there: on the books, and reservations as large as it needs them.
    pub(crate) fn take_reported(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        all: &Allocation,
        parts: &[Part],
    ) -> Held {
        let Some(agent) = self.agents.get(id) else { return Held::open(all.clone()) };
        if parts.iter().all(Part::is_open) {
            return Held::open(all.clone());
        }
        let held = agent.pots.split(all, parts);
        let mut pots = agent.pots.clone();
        let grown = held.pots.iter().fold(false, |grown, taken| pots.take(taken) | grown);
        if grown {
            self.change_pots(step, id, pots);
        } else if let Some(agent) = self.agents.get_mut(id) {
            agent.pots = pots;
        }
        held
    }
}
