//! Updates that frameworks have in hand: told again until they are acknowledged, one of each task at a time.

use crate::command::Effect;
use crate::{Kernel, Step, Timer};
use hansa_model::framework::FrameworkEvent;
use hansa_model::planted::{Bug, planted};
use hansa_model::{AgentId, FrameworkId};

/// An update is told again after this time; the time doubles with each.
const FIRST_PAUSE_MS: u64 = 10_000;
/// Until it is as long as this.
const LONGEST_PAUSE_MS: u64 = 600_000;

impl Kernel {
    /// A framework has dealt with an update. Anything but the one that it has in hand is passed over.
    pub(crate) fn acknowledge(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        agent: &AgentId,
        task: &str,
        uuid: u128,
    ) {
        let Some(number) = self.find_framework_task(id, task, Some(agent)) else { return };
        let Some(group) = self.groups.get_mut(number) else { return };
        let Some(launched) = &mut group.framework else { return };
        let Some(at) = launched.launch.tasks.iter().position(|other| other.id == task) else { return };
        let waiting = &mut launched.waiting[at];
        if waiting.updates.front().is_none_or(|first| first.uuid() != uuid) {
            return;
        }
        let Some(status) = waiting.updates.pop_front() else { return };
        if let Some(again_at) = waiting.again_at.take() {
            self.timers.remove(&(again_at, Timer::Update(number, at)));
        }
        step.effect(Effect::Acknowledge {
            agent: agent.clone(),
            task: status.task,
            sequence: status.sequence,
        });
        self.repeat(step, number, at, true);
        self.finish_if_over(step, number);
    }

    /// Time to tell an update again.
    pub(crate) fn repeat_timed(&mut self, step: &mut Step, number: u64, at: usize) {
        if let Some(launched) = self.groups.get_mut(number).and_then(|group| group.framework.as_mut()) {
            launched.waiting[at].again_at = None;
        }
        self.repeat(step, number, at, false);
    }

    /// Tells the first update of a task that waits, if its framework listens; `first`: it was not told on this stream.
    pub(crate) fn repeat(&mut self, step: &mut Step, number: u64, at: usize, first: bool) {
        let Some(group) = self.groups.get_mut(number) else { return };
        let Some(launched) = &mut group.framework else { return };
        let listens = self.frameworks.get(&launched.id).is_some_and(|framework| framework.stream.is_some());
        let waiting = &mut launched.waiting[at];
        if !listens || waiting.updates.is_empty() {
            return;
        }
        waiting.pause_ms =
            if first { FIRST_PAUSE_MS } else { waiting.pause_ms.saturating_mul(2).min(LONGEST_PAUSE_MS) };
        let again_at = step.now + waiting.pause_ms;
        if let Some(old) = waiting.again_at.replace(again_at) {
            self.timers.remove(&(old, Timer::Update(number, at)));
        }
        self.timers.insert((again_at, Timer::Update(number, at)));
        let (id, status) = (launched.id.clone(), waiting.updates[0].clone());
        let Some(group) = self.groups.get(number) else { return };
        if planted(Bug::UpdateToldOnce) && !first {
            return;
        }
        let update = self.update_of(group, at, status);
        self.tell(step, &id, FrameworkEvent::Update(Box::new(update)));
    }

    /// A framework has a new stream: everything that waits is told at once.
    pub(crate) fn repeat_all(&mut self, step: &mut Step, id: &FrameworkId) {
        for (number, at) in self.waiting_of(id) {
            self.repeat(step, number, at, true);
        }
    }

    /// A framework does not listen any more.
    pub(crate) fn stop_repeating(&mut self, id: &FrameworkId) {
        for (number, at) in self.waiting_of(id) {
            let launched = self.groups.get_mut(number).and_then(|group| group.framework.as_mut());
            if let Some(again_at) = launched.and_then(|launched| launched.waiting[at].again_at.take()) {
                self.timers.remove(&(again_at, Timer::Update(number, at)));
            }
        }
    }

    fn waiting_of(&self, id: &FrameworkId) -> Vec<(u64, usize)> {
        let groups = self.frameworks.get(id).into_iter().flat_map(|framework| &framework.groups);
        let waiting = groups.filter_map(|&number| {
            let launched = self.groups.get(number)?.framework.as_ref()?;
            let places = 0..launched.waiting.len();
            Some(places.filter(|&at| !launched.waiting[at].updates.is_empty()).map(move |at| (number, at)))
        });
        waiting.flatten().collect()
    }
}
