//! Ending groups: kills, and giving up what is out of reach.

use crate::command::{Effect, Refusal};
use crate::frameworks::Held;
use crate::given_up::{GivenUp, KEPT_MS};
use crate::groups::Killing;
use crate::record::{GivenUpRecord, Record};
use crate::{Kernel, Step, Timer};
use hansa_model::event::{AgentState, Event};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::Answer;
use hansa_model::task::{Reason, TaskState};
use hansa_model::{AgentId, InstanceId, Owner, TaskId};

/// A kill is sent again after this time, until the agent says that it is over.
pub(crate) const AGAIN_MS: u64 = 10_000;

impl Kernel {
    /// A scheduler ends a group. Asked again, it changes only what it says anew: a shorter grace.
    pub(crate) fn kill(
        &mut self,
        step: &mut Step,
        owner: &Owner,
        instance: &InstanceId,
        grace_ms: Option<u64>,
        message: String,
    ) -> Answer {
        let Some(number) = self.number_of(owner, instance) else { return Answer::UnknownInstance };
        let Some(group) = self.groups.get_mut(number) else { return Answer::UnknownInstance };
        match &mut group.killing {
            None => {
                group.killing = Some(Box::new(Killing { grace_ms, message, again_at: step.now }));
            }
            Some(killing) if grace_ms.is_some_and(|new| killing.grace_ms.is_none_or(|old| new < old)) => {
                killing.grace_ms = grace_ms;
            }
            Some(_) => return Answer::Done,
        }
        if !planted(Bug::KillNotStored) {
            step.record(Record::PutAssignment(number, Box::new(group.record())));
        }
        if planted(Bug::FreedAtKill) {
            let (agent, allocation) = (group.agent().clone(), group.allocation().clone());
            self.book.give_back(&agent, &allocation);
        }
        self.send_kill(step, number);
        Answer::Done
    }

    /// Sends the kill of a group that is being killed, if its agent listens, and sets the time to send it again.
    pub(crate) fn send_kill(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get_mut(number) else { return };
        let agent = group.agent().clone();
        let Some(host) = self.agents.get(&agent).filter(|agent| agent.connected) else { return };
        let most_ms = host.drain_grace_ms;
        let own_ms = || {
            let tasks = self.specs.get(group.spec()).map(|spec| &spec.group.tasks);
            tasks.into_iter().flatten().map(|task| task.kill_grace_ms).max()
        };
        // Of a machine that is drained in a hurry, nobody gets more time than that.
        let own_ms = most_ms.and_then(|_| own_ms());
        let (instance, tasks) = (group.instance().clone(), group.task_ids().cloned().collect());
        let Some(killing) = &mut group.killing else { return };
        if planted(Bug::KillNotRepeated) && killing.again_at != step.now {
            return;
        }
        self.timers.remove(&(killing.again_at, Timer::Kill(number)));
        killing.again_at = step.now + AGAIN_MS;
        self.timers.insert((killing.again_at, Timer::Kill(number)));
        let grace_ms = match most_ms {
            Some(most_ms) => Some(killing.grace_ms.or(own_ms).unwrap_or(most_ms).min(most_ms)),
            None => killing.grace_ms,
        };
        let message = killing.message.clone();
        step.effect(Effect::Kill { agent, instance, tasks, grace_ms, message });
    }

    /// A scheduler gives up a group. If its machine is not out of reach there is nothing to give up: it is killed.
    pub(crate) fn give_up(&mut self, step: &mut Step, owner: &Owner, instance: &InstanceId) -> Answer {
        let Some(number) = self.number_of(owner, instance) else { return Answer::UnknownInstance };
        let Some(group) = self.groups.get(number) else { return Answer::UnknownInstance };
        let state = self.agents.get(group.agent()).map(|agent| agent.state());
        if state != Some(AgentState::Unreachable) {
            return self.kill(step, owner, instance, None, "given up by its scheduler".into());
        }
        let record = GivenUpRecord {
            instance: instance.clone(),
            tasks: group.task_ids().cloned().collect(),
            agent: group.agent().clone(),
            at: Some(step.now),
        };
        self.remember_given_up(step, number, record, None);
        self.forget_group(step, number);
        Answer::Done
    }

    /// From now on the group is killed wherever its machine shows it.
    pub(crate) fn remember_given_up(
        &mut self,
        step: &mut Step,
        number: u64,
        record: GivenUpRecord,
        held: Option<Held>,
    ) {
        step.record(Record::PutGivenUp(number, Box::new(record.clone())));
        self.add_given_up(step, number, GivenUp { held, ..GivenUp::new(record) });
    }

    /// Adds one that is stored; another of its name on its machine is forgotten.
    pub(crate) fn add_given_up(&mut self, step: &mut Step, number: u64, entry: GivenUp) {
        let id = entry.record.agent.clone();
        if let Some(old) = self.given_up.number_of(&id, &entry.record.instance) {
            debug_assert_ne!(old, number, "a group is given up once");
            self.forget_given_up(step, old);
        }
        self.timers.insert((entry.forget_at, Timer::GivenUp(number)));
        self.given_up.insert(number, entry);
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.given_up.insert(number);
        }
    }

    /// Nobody has heard of a given-up group's machine for so long that it will not return.
    pub(crate) fn given_up_long_ago(&mut self, step: &mut Step, number: u64) {
        let Some(entry) = self.given_up.get_mut(number) else { return };
        if self.agents.get(&entry.record.agent).is_some_and(|agent| agent.unreachable_since.is_none()) {
            // It is being killed.
            entry.forget_at = step.now + KEPT_MS;
            self.timers.insert((entry.forget_at, Timer::GivenUp(number)));
        } else {
            self.forget_given_up(step, number);
        }
    }

    /// Sends the kill of a given-up group.
    pub(crate) fn kill_given_up(&mut self, step: &mut Step, number: u64) {
        let Some(entry) = self.given_up.get_mut(number) else { return };
        let record = &entry.record;
        if !self.agents.get(&record.agent).is_some_and(|agent| agent.connected) {
            return;
        }
        if let Some(at) = entry.again_at {
            self.timers.remove(&(at, Timer::Kill(number)));
        }
        let again_at = step.now + AGAIN_MS;
        entry.again_at = Some(again_at);
        self.timers.insert((again_at, Timer::Kill(number)));
        step.effect(Effect::Kill {
            agent: record.agent.clone(),
            instance: record.instance.clone(),
            tasks: record.tasks.clone(),
            grace_ms: None,
            message: "nobody wants it any more".into(),
        });
    }

    /// Time to send a kill again.
    pub(crate) fn kill_again(&mut self, step: &mut Step, number: u64) {
        if self.groups.get(number).is_some() {
            self.send_kill(step, number);
        } else {
            self.kill_given_up(step, number);
        }
    }

    /// A task of a given-up group has ended.
    pub(crate) fn given_up_ended(&mut self, step: &mut Step, number: u64, task: &TaskId, state: TaskState) {
        let Some(entry) = self.given_up.get_mut(number) else { return };
        entry.open.retain(|open| open != task);
        if entry.open.is_empty() {
            let (agent, instance) = (entry.record.agent.clone(), entry.record.instance.clone());
            self.forget_given_up(step, number);
            self.tell_given_up_ended(step, &instance, state);
            step.effect(Effect::Release { agent, instance });
        }
    }

    /// The world hears that a given-up group has ended after all, unless another of its name lives elsewhere by now.
    pub(crate) fn tell_given_up_ended(&self, step: &mut Step, instance: &InstanceId, state: TaskState) {
        if self.groups.number_of(instance).is_none() {
            step.event(Event::GivenUpEnded { instance: instance.clone(), state });
        }
    }

    /// Nothing of a given-up group is left.
    pub(crate) fn forget_given_up(&mut self, step: &mut Step, number: u64) {
        let Some(entry) = self.given_up.remove(number) else { return };
        step.record(Record::DeleteGivenUp(number));
        self.timers.remove(&(entry.forget_at, Timer::GivenUp(number)));
        if let Some(at) = entry.again_at {
            self.timers.remove(&(at, Timer::Kill(number)));
        }
        let id = &entry.record.agent;
        if let Some(agent) = self.agents.get_mut(id) {
            agent.given_up.remove(&number);
        }
        if let Some(held) = &entry.held {
            self.unhold(step, id, held);
        }
    }

    /// An agent has nothing of a group any more, and will not start it again.
    pub(crate) fn released(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        instance: &InstanceId,
    ) -> Result<Answer, Refusal> {
        if !self.heard_of(step, id)? {
            return Ok(Answer::Done);
        }
        if let Some(number) = self.given_up.number_of(id, instance) {
            self.forget_given_up(step, number);
        }
        if let Some(number) = self.groups.number_of(instance)
            && let Some(group) = self.groups.get(number).filter(|group| group.agent() == id)
        {
            // Assigned by a store that is older than the agent: it ran there once, and that is over.
            let state = if group.killing.is_some() { TaskState::Killed } else { TaskState::Gone };
            self.end_group(step, number, state, |status| {
                status.because(Reason::ReasonTaskUnknown, "its agent has released it already")
            });
        }
        Ok(Answer::Done)
    }

    /// The number of an owner's group.
    fn number_of(&self, owner: &Owner, instance: &InstanceId) -> Option<u64> {
        let number = self.groups.number_of(instance)?;
        self.groups.get(number).filter(|group| group.owner() == owner)?;
        Some(number)
    }
}
