//! What agents say of frameworks' tasks, and how it gets to the frameworks.
//!
//! An agent's updates are kept here in their order until the framework has acknowledged them, and so they are at the
//! agent: a framework has one of each task in hand at a time. What the master says of a task by itself is told once, and
//! ends at once.
//!
//! **What is whose.** Each task of a group has its own parts of a machine, its devices by name, from its launch until it has
//! ended. An agent says so only once nothing of it runs, so the first terminal update frees them: whether or not its
//! framework has acknowledged it or anything before it, and whatever else of the group goes on. But for persistent volumes:
//! the others of the group see them, too, and so they are the group's until its last task has ended. What is said again
//! frees nothing, as there is nothing left. A new leader finds it the same way in what an agent tells of a group. What an
//! executor has besides its tasks it has until its run ends. When the master itself calls tasks ended, it does so with all
//! that live of a group; and what is given up holds, until all of it has ended, what was held last or what by its agent's
//! word still is (`hello`).

use super::pots::Held;
use crate::command::Effect;
use crate::groups::{Group, Killing};
use crate::{Kernel, Step, Timer};
use hansa_model::event::OfFramework;
use hansa_model::framework::{FrameworkEvent, FrameworkLaunch, FrameworkUpdate, Source};
use hansa_model::planted::{Bug, planted};
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, FrameworkId, InstanceId, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Updates of one task that are kept at most, as agents do: older ones that are not terminal make room, since each says
/// the whole state.
const MOST_WAITING: usize = 16;

/// What a group is to the framework that launched it.
#[derive(Debug)]
pub(crate) struct Launched {
    /// Which framework.
    pub id: FrameworkId,
    /// As its agent has it.
    pub launch: Arc<FrameworkLaunch>,
    /// What each task has on its machine; None: nothing any more. Of one that has ended before others, its volumes.
    pub held: Box<[Option<Held>]>,
    /// For each task, what the framework has not acknowledged.
    pub waiting: Box<[Waiting]>,
    /// Whether it was told to end because its machine is to be emptied.
    pub drained: bool,
}

impl Launched {
    /// Nothing waits. `held`: for each task.
    pub fn new(launch: Arc<FrameworkLaunch>, held: Vec<Option<Held>>) -> Self {
        debug_assert_eq!(launch.tasks.len(), held.len(), "every task has its own");
        Self {
            id: launch.framework.id.clone(),
            waiting: launch.tasks.iter().map(|_| Waiting::default()).collect(),
            held: held.into(),
            launch,
            drained: false,
        }
    }

    /// What its task at this place is to its framework, for views.
    pub fn of_task(&self, index: usize) -> OfFramework {
        OfFramework { launch: self.launch.clone(), index }
    }

    /// What its tasks have on their machine.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().flatten()
    }

    /// Its executor's run, if it has one.
    pub fn container(&self) -> Option<&InstanceId> {
        self.launch.executor.as_ref().map(|run| &run.container)
    }

    /// Whether a framework is still to acknowledge something.
    pub fn waits(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.updates.is_empty())
    }
}

/// Updates of one task that its framework has not acknowledged; the first is in its hands.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// In the order of their numbers.
    pub updates: VecDeque<TaskStatus>,
    /// When the first is told again; None: its framework does not listen.
    pub again_at: Option<Timestamp>,
    /// How long that was put off for.
    pub pause_ms: u64,
}

impl Waiting {
    /// Adds a newer one. (An end is the last word whatever its number is.)
    pub fn push(&mut self, status: TaskStatus) {
        self.updates.retain(|update| update.sequence < status.sequence);
        if self.updates.len() >= MOST_WAITING {
            let old = (1..self.updates.len()).find(|&at| !self.updates[at].state.is_terminal());
            old.and_then(|at| self.updates.remove(at));
        }
        self.updates.push_back(status);
    }
}

impl Kernel {
    /// An agent said this of a framework's task. `waits`: it keeps it until it is acknowledged.
    pub(crate) fn framework_task_said(
        &mut self,
        step: &mut Step,
        number: u64,
        at: usize,
        mut status: TaskStatus,
        waits: bool,
    ) {
        let Some(group) = self.groups.get_mut(number) else { return };
        let agent = group.agent().clone();
        group.accepted |= !matches!(status.state, TaskState::Gone | TaskState::Dropped);
        let killing = group.killing.is_some();
        let task = &mut group.tasks[at];
        let (now, sequence) = (task.view.status.state, status.sequence);
        let acknowledge = Effect::Acknowledge { agent, task: status.task.clone(), sequence };
        let news = sequence > task.seen || (status.state.is_terminal() && !now.is_terminal());
        task.seen = task.seen.max(sequence);
        let newest = task.seen;
        let may = status.state != TaskState::Unreachable && now.may_become(status.state);
        let Some(launched) = &mut group.framework else { return };
        let container = launched.container().cloned();
        if launched.drained && killing && status.state == TaskState::Killed {
            status.reason = Some(Reason::ReasonAgentDraining);
        }
        if !news {
            let known = launched.waiting[at].updates.iter().any(|update| update.sequence == sequence);
            if waits && !known {
                step.effect(acknowledge);
            }
            if now == TaskState::Unreachable && may && sequence == newest {
                self.show_status(step, number, at, status);
            }
        } else if may {
            let runs = began(&status);
            if waits {
                launched.waiting[at].push(status.clone());
                if planted(Bug::AcknowledgedUnheard) {
                    step.effect(acknowledge);
                }
            }
            let first = launched.waiting[at].updates.len() == 1;
            let ended = status.state.is_terminal();
            self.show_status(step, number, at, status);
            if ended || planted(Bug::TaskFreedEarly) {
                self.free_task(step, number, at, false);
            }
            if let Some(container) = container.filter(|_| runs) {
                self.executor_confirmed(&container);
            }
            if waits && first {
                self.repeat(step, number, at, true);
            }
        } else if waits {
            // It ended in everybody's eyes before this was said.
            step.effect(acknowledge);
        }
        self.finish_if_over(step, number);
    }

    /// A framework's task is this from now on, by the master's own word.
    pub(crate) fn framework_task_is(&mut self, step: &mut Step, number: u64, at: usize, status: TaskStatus) {
        if status.state.is_terminal()
            && let Some(launched) = self.groups.get_mut(number).and_then(|group| group.framework.as_mut())
            && let Some(again_at) = std::mem::take(&mut launched.waiting[at]).again_at
        {
            self.timers.remove(&(again_at, Timer::Update(number, at)));
        }
        self.show_status(step, number, at, status.clone());
        self.tell_status(step, number, at, status, None);
    }

    /// Tells a framework once how a task stands, in the master's name.
    pub(crate) fn tell_status(
        &self,
        step: &mut Step,
        number: u64,
        at: usize,
        mut status: TaskStatus,
        unreachable_since: Option<Timestamp>,
    ) {
        let Some(group) = self.groups.get(number) else { return };
        let Some(launched) = &group.framework else { return };
        status.executor = None;
        let update = FrameworkUpdate {
            source: Source::SourceMaster,
            unreachable_since,
            uuid: None,
            ..self.update_of(group, at, status)
        };
        self.tell(step, &launched.id, FrameworkEvent::Update(Box::new(update)));
    }

    /// An update as its framework is told it.
    pub(crate) fn update_of(&self, group: &Group, at: usize, status: TaskStatus) -> FrameworkUpdate {
        let task = group.framework.as_ref().map(|launched| &launched.launch.tasks[at].id);
        let run = group.framework.as_ref().and_then(|launched| launched.launch.executor.as_ref());
        let agent = group.agent();
        FrameworkUpdate {
            task: task.cloned().unwrap_or_default(),
            agent: Some(agent.clone()),
            address: self.agents.get(agent).map(|agent| agent.hello.address.clone()).unwrap_or_default(),
            executor: run.map(|run| run.id.clone()).or_else(|| task.cloned()),
            container: Some(run.map_or_else(|| group.instance().clone(), |run| run.container.clone())),
            source: Source::of(&status),
            uuid: Some(status.uuid()),
            status,
            unreachable_since: None,
        }
    }

    /// Nothing of a framework's group runs any more: what it had is free at once, and once its framework knows all of it,
    /// it is forgotten.
    pub(crate) fn finish_framework_group(&mut self, step: &mut Step, number: u64) {
        self.free_group(step, number);
        let Some(group) = self.groups.get_mut(number) else { return };
        if let Some(killing) = group.killing.take() {
            self.timers.remove(&(killing.again_at, Timer::Kill(number)));
        }
        let container = group.framework.as_ref().and_then(|launched| launched.container().cloned());
        if let Some(container) = &container {
            self.drop_unstarted_executor(step, container);
        }
        let Some(group) = self.groups.get(number) else { return };
        if group.framework.as_ref().is_some_and(|launched| launched.waits()) {
            return;
        }
        let (agent, instance) = (group.agent().clone(), group.instance().clone());
        // Sequence 0: the master's own word, of which the agent knows nothing.
        let release = group.tasks.iter().all(|task| task.view.status.sequence > 0);
        self.forget_group(step, number);
        if release {
            step.effect(Effect::Release { agent, instance });
        }
    }

    /// What a group of a framework has is free, if it was not before.
    pub(crate) fn free_group(&mut self, step: &mut Step, number: u64) {
        let tasks = self.groups.get(number).map_or(0, |group| group.tasks.len());
        (0..tasks).for_each(|at| self.free_task(step, number, at, true));
    }

    /// What one task of a framework's group has is free, if it was not before; its volumes only `with_volumes`.
    fn free_task(&mut self, step: &mut Step, number: u64, at: usize, with_volumes: bool) {
        let Some(group) = self.groups.get_mut(number) else { return };
        let Some(launched) = &mut group.framework else { return };
        let Some(mut held) = launched.held[at].take() else { return };
        if !with_volumes {
            launched.held[at] = held.take_volumes();
        }
        let (id, agent, role) = (launched.id.clone(), group.agent().clone(), group.role().clone());
        self.unhold(step, &agent, &held);
        self.discharge(&id, &role, &held);
        self.use_changed(step.now, &agent, &role);
    }

    /// What a group of a framework has is somebody else's from now on, and not on the books of framework and role.
    pub(crate) fn pass_on(&mut self, now: Timestamp, number: u64) -> Option<Held> {
        let group = self.groups.get_mut(number)?;
        let launched = group.framework.as_mut()?;
        let held: Vec<Held> = launched.held.iter_mut().filter_map(Option::take).collect();
        let held = (!held.is_empty()).then(|| Held::joined(held))?;
        let (id, agent, role) = (launched.id.clone(), group.agent().clone(), group.role().clone());
        self.discharge(&id, &role, &held);
        self.use_changed(now, &agent, &role);
        Some(held)
    }

    /// Takes this from what a machine has free. It was found to be there.
    pub(crate) fn hold(&mut self, agent: &AgentId, held: &Held) {
        let taken = self.book.take(agent, &held.open);
        debug_assert!(taken.is_ok(), "it was found to be free");
        if let Some(agent) = self.agents.get_mut(agent) {
            for taken in &held.pots {
                agent.pots.take(taken);
            }
        }
    }

    /// Gives it back.
    pub(crate) fn unhold(&mut self, step: &mut Step, id: &AgentId, held: &Held) {
        self.give_back(id, &held.open);
        if let Some(agent) = self.agents.get_mut(id) {
            for taken in &held.pots {
                agent.pots.give_back(taken);
            }
        }
        if !held.pots.is_empty() {
            self.configure_pots(step, id);
        }
        self.book.touch(id);
        self.agent_use_changed(step.now, id);
    }

    /// A framework ends a task, and with it the whole group that it was launched in.
    pub(crate) fn kill_task(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        task: String,
        agent: Option<AgentId>,
        grace_ms: Option<u64>,
    ) {
        let Some(number) = self.find_framework_task(id, &task, agent.as_ref()) else {
            let elsewhere = agent.is_some() && self.find_framework_task(id, &task, None).is_some();
            if !elsewhere {
                self.reconcile(step, id, vec![(task, agent)]);
            }
            return;
        };
        self.kill_framework_group(step, number, grace_ms, String::new());
    }

    /// Ends a group of a framework. Asked again, it is told again.
    pub(crate) fn kill_framework_group(
        &mut self,
        step: &mut Step,
        number: u64,
        grace_ms: Option<u64>,
        message: String,
    ) {
        let Some(group) = self.groups.get_mut(number).filter(|group| !group.is_over()) else { return };
        match &mut group.killing {
            None => group.killing = Some(Box::new(Killing { grace_ms, message, again_at: step.now })),
            Some(killing) if grace_ms.is_some() => killing.grace_ms = grace_ms,
            Some(_) => {}
        }
        self.send_kill(step, number);
    }

    /// A group of a framework ends because its machine is to be emptied.
    pub(crate) fn drain_framework_group(&mut self, step: &mut Step, number: u64) {
        if let Some(group) = self.groups.get_mut(number).filter(|group| group.killing.is_none())
            && let Some(launched) = &mut group.framework
        {
            launched.drained = true;
            self.kill_framework_group(step, number, None, "its machine is being drained".into());
        }
    }

    /// The group of a framework's task: on this agent, if one is named, else the newest.
    pub(crate) fn find_framework_task(
        &self,
        id: &FrameworkId,
        task: &str,
        agent: Option<&AgentId>,
    ) -> Option<u64> {
        let framework = self.frameworks.get(id)?;
        framework.groups_of(task).rev().find(|&number| {
            let group = self.groups.get(number);
            group.is_some_and(|group| agent.is_none_or(|agent| group.agent() == agent))
        })
    }

    /// A framework's group begins: its framework knows it.
    pub(crate) fn join_framework(&mut self, number: u64) {
        let Some(group) = self.groups.get(number) else { return };
        let Some(launched) = &group.framework else { return };
        let Some(framework) = self.frameworks.get_mut(&launched.id) else { return };
        framework.groups.insert(number);
        framework.tasks.extend(launched.launch.tasks.iter().map(|task| (task.id.clone(), number)));
    }

    /// A framework's group is forgotten.
    pub(crate) fn leave_framework(&mut self, number: u64, launched: &Launched) {
        for (at, waiting) in launched.waiting.iter().enumerate() {
            if let Some(again_at) = waiting.again_at {
                self.timers.remove(&(again_at, Timer::Update(number, at)));
            }
        }
        if let Some(framework) = self.frameworks.get_mut(&launched.id) {
            framework.groups.remove(&number);
            for task in &launched.launch.tasks {
                framework.tasks.remove(&(task.id.clone(), number));
            }
        }
    }

    /// The frameworks that have something on a machine that is out of reach are told so, each task by itself; and all of
    /// them that the machine is lost.
    pub(crate) fn tell_frameworks_unreachable(&self, step: &mut Step, id: &AgentId, since: Timestamp) {
        for number in self.numbers_on(id) {
            let Some(group) = self.groups.get(number).filter(|group| group.framework.is_some()) else {
                continue;
            };
            let hostname = &group.tasks[0].view.hostname;
            for (at, task) in group.tasks.iter().enumerate() {
                if task.view.status.state == TaskState::Unreachable {
                    let status = task.view.status.clone().because(
                        Reason::ReasonAgentRemoved,
                        format!("Agent {hostname} is unreachable: nothing was heard of it for too long"),
                    );
                    self.tell_status(step, number, at, status, Some(since));
                }
            }
        }
        self.tell_all(step, &FrameworkEvent::Failure { agent: id.clone(), executor: None });
    }

    /// A machine that frameworks were told is out of reach is back, and this group with it.
    pub(crate) fn tell_framework_reachable(&self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number) else { return };
        for (at, task) in group.tasks.iter().enumerate() {
            let status = task.view.status.clone();
            if !status.state.is_terminal() {
                let status =
                    status.because(Reason::ReasonAgentReregistered, "Unreachable agent re-reregistered");
                self.tell_status(step, number, at, status, None);
            }
        }
    }
}

/// Whether a task got so far that its executor, if it has one, has begun.
fn began(status: &TaskStatus) -> bool {
    match status.state {
        TaskState::Gone | TaskState::Dropped | TaskState::Error => false,
        TaskState::Killed => status.reason != Some(Reason::ReasonTaskKilledDuringLaunch),
        _ => true,
    }
}
