//! What agents say about tasks.
//!
//! Updates of a task come in the order of their sequence numbers; repeats are acknowledged again and change nothing.
//! States only move forward. A terminal update is acknowledged only together with the end of its group, because that is
//! what the store keeps: until then the agent keeps it.

use crate::command::{Effect, Refusal};
use crate::record::Record;
use crate::{Kernel, Step, Timer};
use hansa_model::AgentId;
use hansa_model::event::{Event, TaskChange};
use hansa_model::scheduler::{Answer, Notice};
use hansa_model::task::{TaskState, TaskStatus};
use std::sync::Arc;

impl Kernel {
    /// An update arrived on an agent's stream.
    pub(crate) fn update(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        status: TaskStatus,
    ) -> Result<Answer, Refusal> {
        if !self.heard_of(step, id)? {
            // The next hello says it again.
            return Ok(Answer::Done);
        }
        match self.find_task(id, &status) {
            Some((number, at)) => self.task_said(step, number, at, status, true),
            None => self.stranger_said(step, id, &status),
        }
        Ok(Answer::Done)
    }

    /// The task that an agent's status is about.
    fn find_task(&self, id: &AgentId, status: &TaskStatus) -> Option<(u64, usize)> {
        let number = self.groups.number_of_task(&status.task)?;
        let group = self.groups.get(number).filter(|group| group.agent() == id)?;
        Some((number, group.position(&status.task)?))
    }

    /// Its agent said this of a task. `acknowledge`: it waits for that.
    pub(crate) fn task_said(
        &mut self,
        step: &mut Step,
        number: u64,
        at: usize,
        mut status: TaskStatus,
        acknowledge: bool,
    ) {
        let Some(group) = self.groups.get_mut(number) else { return };
        status.instance = group.instance().clone();
        if group.framework.is_some() {
            return self.framework_task_said(step, number, at, status, acknowledge);
        }
        group.accepted |= status.state != TaskState::Gone && status.state != TaskState::Dropped;
        let id = group.agent().clone();
        let task = &mut group.tasks[at];
        let now = task.view.status.state;
        // What is newer counts; and so does whatever ends a task, or tells the newest of one that was out of reach. (What
        // was not acknowledged before that one comes again, too: older than what is known.)
        let counts = status.sequence > task.seen
            || (now == TaskState::Unreachable && status.sequence == task.seen)
            || (status.state.is_terminal() && !now.is_terminal());
        task.seen = task.seen.max(status.sequence);
        let (task, sequence) = (status.task.clone(), status.sequence);
        // An agent that speaks of a task reaches it; only the master can say that it does not.
        let over = if counts && status.state != TaskState::Unreachable && now.may_become(status.state) {
            self.move_task(step, number, at, status)
        } else {
            now.is_terminal()
        };
        if acknowledge && (!over || sequence == 0) {
            step.effect(Effect::Acknowledge { agent: id, task, sequence });
        }
        self.finish_if_over(step, number);
    }

    /// Moves a task, which may move so, and tells owner and world. Whether it is over.
    pub(crate) fn move_task(&mut self, step: &mut Step, number: u64, at: usize, status: TaskStatus) -> bool {
        let over = status.state.is_terminal();
        if self.groups.get(number).is_some_and(|group| group.framework.is_some()) {
            self.framework_task_is(step, number, at, status);
            return over;
        }
        if let Some(group) = self.groups.get(number) {
            step.notice(group.owner().clone(), Notice::Status(status.clone()));
        }
        self.show_status(step, number, at, status);
        over
    }

    /// Shows a task with this status.
    pub(crate) fn show_status(&mut self, step: &mut Step, number: u64, at: usize, status: TaskStatus) {
        let Some(task) = self.groups.get_mut(number).map(|group| &mut group.tasks[at]) else { return };
        let before = &task.view.status;
        let health = before.healthy != status.healthy || before.health != status.health;
        let change =
            if before.state == status.state && health { TaskChange::Health } else { TaskChange::State };
        let view = Arc::make_mut(&mut task.view);
        if view.started_at.is_none() && matches!(status.state, TaskState::Running | TaskState::Killing) {
            view.started_at = Some(status.at);
        }
        view.status = status;
        step.event(Event::Task { view: task.view.clone(), change });
    }

    /// If nothing of a group runs any more: its end is stored, its resources are free, its agent may forget it.
    pub(crate) fn finish_if_over(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number).filter(|group| group.is_over()) else { return };
        if group.framework.is_some() {
            return self.finish_framework_group(step, number);
        }
        let Some(group) = self.forget_group(step, number) else { return };
        let agent = group.agent();
        // Sequence 0: the master's own word, of which the agent knows nothing.
        for task in group.tasks.iter().filter(|task| task.view.status.sequence > 0) {
            step.effect(Effect::Acknowledge {
                agent: agent.clone(),
                task: task.view.status.task.clone(),
                sequence: task.seen,
            });
        }
        if group.tasks.iter().all(|task| task.view.status.sequence > 0) {
            step.effect(Effect::Release { agent: agent.clone(), instance: group.instance().clone() });
        }
    }

    /// Removes a live group: from the store, from its machine, from the world.
    pub(crate) fn forget_group(&mut self, step: &mut Step, number: u64) -> Option<crate::groups::Group> {
        self.free_group(step, number);
        let group = self.groups.remove(number)?;
        if let Some(killing) = &group.killing {
            self.timers.remove(&(killing.again_at, Timer::Kill(number)));
        }
        if let Some(agent) = self.agents.get_mut(group.agent()) {
            agent.groups.remove(&number);
        }
        match &group.framework {
            Some(launched) => self.leave_framework(number, launched),
            None => {
                step.record(Record::DeleteAssignment(number));
                self.give_back(group.agent(), group.allocation());
                self.roles.subtract(group.role(), group.allocation());
                self.use_changed(step.now, group.agent(), group.role());
            }
        }
        self.specs.unrefer(group.spec(), step);
        for task in group.task_ids() {
            step.event(Event::TaskRemoved(task.clone()));
        }
        Some(group)
    }

    /// An agent said this of a task that is not assigned to it.
    fn stranger_said(&mut self, step: &mut Step, id: &AgentId, status: &TaskStatus) {
        let acknowledge =
            Effect::Acknowledge { agent: id.clone(), task: status.task.clone(), sequence: status.sequence };
        let given_up = self.given_up.number_of(id, &status.instance);
        match (given_up, status.state.is_terminal()) {
            (Some(number), true) => {
                step.effect(acknowledge);
                self.given_up_ended(step, number, &status.task, status.state);
            }
            (Some(number), false) => {
                step.effect(acknowledge);
                self.kill_given_up(step, number);
            }
            (None, true) => {
                step.effect(acknowledge);
                let lives = self
                    .groups
                    .number_of(&status.instance)
                    .and_then(|number| self.groups.get(number))
                    .is_some_and(|group| group.agent() == id);
                if !lives {
                    step.effect(Effect::Release { agent: id.clone(), instance: status.instance.clone() });
                }
            }
            // Nothing is known of it, so nothing is done to it: the agent's next hello brings all there is to know.
            (None, false) => step.effect(acknowledge),
        }
    }
}
