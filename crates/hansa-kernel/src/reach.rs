//! How machines get out of reach.
//!
//! A broken stream is not a loss: the agent is `Disconnected`, nothing new is placed there, and that is all. It is
//! declared durably unreachable a while after it was last heard of (see [`Kernel::deadline_of`]), whether its stream
//! broke or just fell silent; then the owners of its groups are told and may replace them.
//!
//! **Lost together.** When more than 30 % of the machines, and at least three, are out of touch at once, a network or a
//! master is more likely at fault than the machines. An alarm says so, and owners are told of one machine every ten
//! seconds instead of at once, until the backlog is empty or the machines are back.

use crate::agents::Agent;
use crate::command::Effect;
use crate::record::Record;
use crate::{Kernel, Step, Timer};
use hansa_model::event::{AgentState, Event};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::Notice;
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, Timestamp};
use std::collections::BTreeSet;

/// Machines that are declared unreachable within this time count as lost together.
const TOGETHER_MS: u64 = 60_000;
/// So many at least.
const TOGETHER_AT_LEAST: usize = 3;
/// More than this many hundredths of all machines.
const TOGETHER_PERCENT: usize = 30;
/// When machines are lost together, owners are told of one in this time.
const SLOW_MS: u64 = 10_000;

/// Machines lost lately.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Declared unreachable within the last minute: since when, who.
    recent: BTreeSet<(Timestamp, AgentId)>,
    /// Unreachable, and the owners of their groups do not know yet.
    untold: BTreeSet<(Timestamp, AgentId)>,
    /// When they are told of the next.
    pub tell_at: Option<Timestamp>,
    /// The alarm was given and the backlog is not empty.
    alarmed: bool,
    /// When it was judged last whether machines are lost together (looking at all of them once a tick is enough), and
    /// the verdict: how many, of how many.
    judged: Option<(Timestamp, Option<(usize, usize)>)>,
}

impl Losses {
    /// It is back, or gone for good.
    pub fn forget(&mut self, id: &AgentId, unreachable_since: Option<Timestamp>) {
        let Some(since) = unreachable_since else { return };
        let key = (since, id.clone());
        self.recent.remove(&key);
        self.untold.remove(&key);
        if self.untold.is_empty() {
            self.tell_at = None;
            self.alarmed = false;
        }
    }
}

impl Kernel {
    /// When an agent is declared unreachable if nothing is heard of it: `unreachable_after_ms` after the last contact,
    /// but never before its shims have stopped its tasks (if they do so by themselves; the drift of clocks allowed for),
    /// nor before a return that it announced.
    fn deadline_of(&self, agent: &Agent) -> Option<Timestamp> {
        if agent.unreachable_since.is_some() {
            return None;
        }
        let silent = agent.last_contact + self.settings.unreachable_after_ms;
        let stopped = agent
            .hello
            .stop_deadline_ms
            .filter(|_| !planted(Bug::DeadlineIgnored))
            .map(|deadline| agent.last_contact + deadline.saturating_add(self.settings.drift_margin_ms));
        [Some(silent), stopped, agent.returns_by].into_iter().flatten().max()
    }

    /// Sets the timer for [`deadline_of`](Self::deadline_of).
    pub(crate) fn set_deadline(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let deadline = self.deadline_of(agent);
        if agent.deadline == deadline {
            return;
        }
        if let Some(old) = agent.deadline {
            self.timers.remove(&(old, Timer::Agent(id.clone())));
        }
        if let Some(new) = deadline {
            self.timers.insert((new, Timer::Agent(id.clone())));
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.deadline = deadline;
        }
    }

    /// If the kernel was not asked for a while (the process was stopped, the clock stepped), nothing could be heard of any
    /// agent: the silence of those that would be out of reach by now counts from now, as under a new leader.
    pub(crate) fn excuse_silence(&mut self, now: Timestamp) {
        /// A tick that comes later than this after its time was not just busy.
        const LATE_MS: u64 = 1_000;
        if self.timers.first().is_none_or(|(at, _)| now.since(*at) <= LATE_MS) {
            return;
        }
        let silent: Vec<AgentId> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter_map(|(_, timer)| if let Timer::Agent(id) = timer { Some(id.clone()) } else { None })
            .collect();
        for id in silent {
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.last_contact = now;
            }
            self.set_deadline(&id);
        }
    }

    /// Its deadline passed.
    pub(crate) fn agent_timed_out(&mut self, step: &mut Step, id: &AgentId) {
        let together = self.are_lost_together(step.now);
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.deadline = None;
        agent.unreachable_since = Some(step.now);
        agent.told = false;
        agent.returns_by = None;
        if agent.connected {
            // A stream that fell silent: whoever is at its other end has to say hello again.
            agent.connected = false;
            let reason = "nothing was heard of the agent for too long".into();
            step.effect(Effect::Refuse { agent: id.clone(), reason });
        }
        let record = agent.record();
        step.record(Record::PutAgent(Box::new(record)));
        self.state_changed(step, id);
        for number in self.numbers_on(id) {
            self.show_unreachable(step, number);
        }
        self.losses.recent.insert((step.now, id.clone()));
        self.losses.untold.insert((step.now, id.clone()));
        if let Some((lost, all)) = together
            && !self.losses.alarmed
        {
            self.losses.alarmed = true;
            step.event(Event::Alarm {
                code: "agents-lost-together",
                message: format!(
                    "{lost} of {all} machines are out of touch together: their tasks are replaced slowly, one machine \
                     every {} s; look at the network first",
                    SLOW_MS / 1000
                ),
            });
        }
        if self.losses.alarmed {
            self.losses.tell_at.get_or_insert(step.now + SLOW_MS);
        } else {
            while self.tell_next(step) {}
        }
    }

    /// If machines are being lost together: how many, of how many.
    fn are_lost_together(&mut self, now: Timestamp) -> Option<(usize, usize)> {
        if let Some((at, verdict)) = self.losses.judged
            && at == now
        {
            return verdict;
        }
        while self.losses.recent.first().is_some_and(|(at, _)| now.since(*at) >= TOGETHER_MS) {
            self.losses.recent.pop_first();
        }
        let recent = self.losses.recent.len();
        let (mut silent, mut standing) = (0, 0);
        for agent in self.agents.values().filter(|agent| agent.unreachable_since.is_none()) {
            standing += 1;
            let announced = agent.returns_by.is_some_and(|by| by > now);
            let late = agent.deadline.is_some_and(|deadline| deadline <= now);
            if late || (!agent.connected && !announced) {
                silent += 1;
            }
        }
        let (lost, all) = (recent + silent, recent + standing);
        let together = lost >= TOGETHER_AT_LEAST && lost * 100 > all * TOGETHER_PERCENT;
        let verdict = together.then_some((lost, all));
        self.losses.judged = Some((now, verdict));
        verdict
    }

    /// Time to tell the owners of another machine's groups.
    pub(crate) fn tell_slowly(&mut self, step: &mut Step) {
        if self.tell_next(step) && !self.losses.untold.is_empty() {
            self.losses.tell_at = Some(step.now + SLOW_MS);
        } else {
            self.losses.tell_at = None;
            self.losses.alarmed = false;
        }
    }

    fn tell_next(&mut self, step: &mut Step) -> bool {
        let Some((_, id)) = self.losses.untold.pop_first() else { return false };
        let Some(agent) = self.agents.get_mut(&id) else { return true };
        agent.told = true;
        if let Some(since) = agent.unreachable_since {
            for group in agent.groups.iter().filter_map(|&number| self.groups.get(number)) {
                let instance = group.instance().clone();
                step.notice(group.owner().clone(), Notice::Unreachable { instance, since });
            }
            self.tell_frameworks_unreachable(step, &id, since);
        }
        true
    }

    /// Shows a group's live tasks as unreachable.
    fn show_unreachable(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number) else { return };
        let lost: Vec<(usize, TaskStatus)> = group
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.view.status.state.is_terminal())
            .map(|(at, task)| {
                let (id, instance) = (task.view.status.task.clone(), task.view.instance.clone());
                let status = TaskStatus::new(id, instance, 0, TaskState::Unreachable, step.now)
                    .because(Reason::ReasonAgentDisconnected, "the agent is out of reach");
                (at, status)
            })
            .collect();
        for (at, status) in lost {
            self.show_status(step, number, at, status);
        }
    }

    /// Whether the owners of this machine's groups were told that it is out of reach.
    pub(crate) fn is_told_unreachable(&self, id: &AgentId) -> bool {
        self.agents.get(id).is_some_and(|agent| agent.state() == AgentState::Unreachable && agent.told)
    }
}
