//! Agents: what is known of each, its streams, and operators' orders about it.
//!
//! What an agent holds and how both sides converge is in `hello`; how it gets out of reach is in `reach`.

use crate::book::{totals, what_remains};
use crate::command::{AgentOrder, Effect, Refusal};
use crate::frameworks::Pots;
use crate::record::{AgentRecord, GivenUpRecord, GoneRecord, Record};
use crate::{Kernel, Step, Timer};
use hansa_model::agent::Hello;
use hansa_model::event::{AgentState, AgentView, Event};
use hansa_model::framework::FrameworkEvent;
use hansa_model::planted::{Bug, planted};
use hansa_model::role::Totals;
use hansa_model::scheduler::{Answer, Notice};
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, Allocation, BootId, InstanceId, Timestamp};
use hansa_placement::Node;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// What it said last; `groups` is empty here.
    pub hello: Hello,
    /// Its name, shared with the views of its tasks.
    pub hostname: Arc<str>,
    /// When it was admitted.
    pub registered_at: Timestamp,
    /// What the operator wants: `Active`, `Deactivated` or `Draining`.
    pub wanted: AgentState,
    /// Milliseconds of grace that groups get at most while it is drained; None: what they themselves say.
    pub drain_grace_ms: Option<u64>,
    /// Whether its stream stands.
    pub connected: bool,
    /// When it was heard of last.
    pub last_contact: Timestamp,
    /// It announced to be back by then.
    pub returns_by: Option<Timestamp>,
    /// Since when it is durably out of reach.
    pub unreachable_since: Option<Timestamp>,
    /// Whether the owners of its groups were told so (they are told later when many machines are lost together).
    pub told: bool,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// Live groups on it.
    pub groups: BTreeSet<u64>,
    /// Given-up groups on it.
    pub given_up: BTreeSet<u64>,
    /// It holds more than it has: what is free is counted afresh with every change.
    pub overcommitted: bool,
    /// What is free is counted at the end of its hello, not before.
    pub settling: bool,
    /// When it gets out of reach if nothing is heard; None once it is.
    pub deadline: Option<Timestamp>,
    /// Whether it has said hello to this leader.
    pub greeted: bool,
    /// Its reservations and volumes.
    pub pots: Pots,
    /// Runs of frameworks' executors on it.
    pub executors: BTreeSet<InstanceId>,
}

impl Agent {
    /// An agent as it was stored, or as it says hello for the first time.
    pub fn new(now: Timestamp, record: AgentRecord) -> Self {
        Self {
            hostname: record.hello.hostname.as_str().into(),
            hello: record.hello,
            registered_at: record.registered_at,
            wanted: record.wanted,
            drain_grace_ms: record.drain_grace_ms,
            connected: false,
            last_contact: now,
            returns_by: None,
            unreachable_since: record.unreachable_since,
            told: record.unreachable_since.is_some(),
            since: record.unreachable_since.unwrap_or(now),
            groups: BTreeSet::new(),
            given_up: BTreeSet::new(),
            overcommitted: false,
            settling: false,
            deadline: None,
            greeted: false,
            pots: Pots::default(),
            executors: BTreeSet::new(),
        }
    }

    /// Its state.
    pub fn state(&self) -> AgentState {
        match (self.unreachable_since, self.connected) {
            (Some(_), _) => AgentState::Unreachable,
            (None, false) => AgentState::Disconnected,
            (None, true) => self.wanted,
        }
    }

    /// The boot of its machine.
    pub fn boot(&self) -> BootId {
        self.hello.boot.clone().unwrap_or_else(|| BootId::from(""))
    }

    /// What the store has of it.
    pub fn record(&self) -> AgentRecord {
        AgentRecord {
            hello: self.hello.clone(),
            registered_at: self.registered_at,
            unreachable_since: self.unreachable_since,
            wanted: self.wanted,
            drain_grace_ms: self.drain_grace_ms,
        }
    }

    /// As placement sees it, with everything free.
    pub fn node(&self, id: &AgentId) -> Node {
        Node {
            id: id.clone(),
            hostname: self.hostname.clone(),
            region: self.hello.region.as_deref().map(Arc::from),
            zone: self.hello.zone.as_deref().map(Arc::from),
            attributes: self
                .hello
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), Arc::from(value.as_str())))
                .collect(),
            state: self.state(),
            reserved: None,
            total: self.hello.resources.clone(),
            free: self.hello.resources.clone(),
        }
    }
}

impl Kernel {
    /// Its stream ended without a word.
    pub(crate) fn agent_disconnected(&mut self, step: &mut Step, id: &AgentId) -> Result<Answer, Refusal> {
        let agent = self.agent_mut(id)?;
        if agent.connected {
            agent.connected = false;
            self.state_changed(step, id);
        }
        Ok(Answer::Done)
    }

    /// It stops on purpose and will be back.
    pub(crate) fn agent_leaving(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        returns_in_ms: u64,
    ) -> Result<Answer, Refusal> {
        /// The longest announced absence that is believed.
        const LONGEST_ABSENCE_MS: u64 = 60_000;
        let now = step.now;
        let agent = self.agent_mut(id)?;
        if agent.connected {
            agent.connected = false;
            agent.last_contact = now;
            agent.returns_by = Some(now + returns_in_ms.min(LONGEST_ABSENCE_MS));
            self.set_deadline(id);
            self.state_changed(step, id);
        }
        Ok(Answer::Done)
    }

    /// It is alive.
    pub(crate) fn agent_contact(&mut self, step: &mut Step, id: &AgentId) -> Result<Answer, Refusal> {
        self.heard_of(step, id)?;
        Ok(Answer::Done)
    }

    /// Something came from an agent. Whether it counts: not if its stream has ended for us; then whatever stream it has
    /// is ended, so that it says hello (unless it said farewell and will do so anyway).
    pub(crate) fn heard_of(&mut self, step: &mut Step, id: &AgentId) -> Result<bool, Refusal> {
        let now = step.now;
        let agent = self.agent_mut(id)?;
        if !agent.connected {
            if agent.returns_by.is_none() {
                let reason = "it has to say hello again".into();
                step.effect(Effect::Refuse { agent: id.clone(), reason });
            }
            return Ok(false);
        }
        if agent.last_contact < now {
            agent.last_contact = now;
            self.set_deadline(id);
        }
        Ok(true)
    }

    /// An operator's order.
    pub(crate) fn admin_agent(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        order: AgentOrder,
    ) -> Result<Answer, Refusal> {
        let agent = self.agent_mut(id)?;
        let (wanted, grace_ms) = match order {
            AgentOrder::Gone => return self.agent_gone(step, id),
            AgentOrder::Deactivate => (AgentState::Deactivated, None),
            AgentOrder::Reactivate => (AgentState::Active, None),
            AgentOrder::Drain => (AgentState::Draining, None),
            AgentOrder::DrainWithin(grace_ms) => (AgentState::Draining, Some(grace_ms)),
        };
        if (agent.wanted, agent.drain_grace_ms) == (wanted, grace_ms) {
            return Ok(Answer::Done);
        }
        let before = agent.state();
        (agent.wanted, agent.drain_grace_ms) = (wanted, grace_ms);
        let record = agent.record();
        step.record(Record::PutAgent(Box::new(record)));
        if self.agents[id].state() != before {
            self.state_changed(step, id);
        }
        if wanted == AgentState::Draining {
            for number in self.numbers_on(id) {
                self.tell_drain(step, number);
            }
        }
        Ok(Answer::Done)
    }

    /// Its group is to move.
    pub(crate) fn tell_drain(&mut self, step: &mut Step, number: u64) {
        let Some(group) = self.groups.get(number).filter(|group| group.killing.is_none()) else { return };
        if group.framework.is_some() {
            // Frameworks are not asked.
            self.drain_framework_group(step, number);
        } else {
            step.notice(group.owner().clone(), Notice::Drain { instance: group.instance().clone() });
        }
    }

    /// It will never return: everything on it is lost. Should its process live after all, it joins as a new agent, and
    /// what it still runs is killed: the given-up records remain.
    fn agent_gone(&mut self, step: &mut Step, id: &AgentId) -> Result<Answer, Refusal> {
        self.rescind_on(step, id);
        for number in self.numbers_on(id) {
            self.end_group(step, number, TaskState::GoneByOperator, |status| {
                status.because(Reason::ReasonAgentRemoved, "an operator declared the agent gone")
            });
        }
        // Of what has ended there, nobody else can tell.
        for number in self.numbers_on(id) {
            self.forget_group(step, number);
        }
        let runs = self.agents.get(id).map(|agent| agent.executors.clone()).unwrap_or_default();
        for container in runs {
            self.end_executor(step, &container, None);
        }
        let Some(agent) = self.agents.remove(id) else { return Ok(Answer::Done) };
        if !agent.pots.is_empty() {
            self.charge_pots(&agent.pots, false);
            step.record(Record::PutParts(id.clone(), Vec::new()));
        }
        step.record(Record::PutGone(id.clone(), GoneRecord { at: step.now }));
        if let Some(forgotten) = self.frameworks.agent_gone(id.clone(), step.now) {
            step.record(Record::DeleteGone(forgotten));
        }
        self.tell_all(step, &FrameworkEvent::Failure { agent: id.clone(), executor: None });
        if let Some(deadline) = agent.deadline {
            self.timers.remove(&(deadline, Timer::Agent(id.clone())));
        }
        for number in agent.given_up {
            if let Some(entry) = self.given_up.get_mut(number) {
                entry.held = None;
            }
        }
        if self.hostnames.get(&agent.hostname) == Some(id) {
            self.hostnames.remove(&agent.hostname);
        }
        self.book.remove(id);
        self.losses.forget(id, agent.unreachable_since);
        self.dirty.agents.remove(id);
        step.record(Record::DeleteAgent(id.clone()));
        step.event(Event::AgentRemoved(id.clone()));
        if agent.connected {
            let reason = "an operator declared this agent gone".into();
            step.effect(Effect::Refuse { agent: id.clone(), reason });
        }
        Ok(Answer::Done)
    }

    /// Ends a group by the master's own word: every task that still lives gets `state`. If its machine may still run it,
    /// that is remembered, so that it is killed there.
    pub(crate) fn end_group(
        &mut self,
        step: &mut Step,
        number: u64,
        state: TaskState,
        why: impl Fn(TaskStatus) -> TaskStatus,
    ) {
        let Some(group) = self.groups.get(number) else { return };
        if state == TaskState::GoneByOperator {
            let record = GivenUpRecord {
                instance: group.instance().clone(),
                tasks: group.task_ids().cloned().collect(),
                agent: group.agent().clone(),
                at: Some(step.now),
            };
            self.remember_given_up(step, number, record, None);
        }
        let Some(group) = self.groups.get(number) else { return };
        let statuses: Vec<(usize, TaskStatus)> = group
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.view.status.state.is_terminal())
            .map(|(at, task)| {
                let view = &task.view;
                (
                    at,
                    why(TaskStatus::new(view.status.task.clone(), view.instance.clone(), 0, state, step.now)),
                )
            })
            .collect();
        for (at, status) in statuses {
            self.move_task(step, number, at, status);
        }
        self.finish_if_over(step, number);
    }

    /// The numbers of its live groups.
    pub(crate) fn numbers_on(&self, id: &AgentId) -> Vec<u64> {
        self.agents.get(id).map(|agent| agent.groups.iter().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn agent_mut(&mut self, id: &AgentId) -> Result<&mut Agent, Refusal> {
        self.agents.get_mut(id).ok_or_else(|| Refusal::UnknownAgent(id.clone()))
    }

    /// Its state is another now: placement and the world are told.
    pub(crate) fn state_changed(&mut self, step: &mut Step, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.since = step.now;
        let state = agent.state();
        self.book.set_state(id, state);
        if state != AgentState::Active {
            self.rescind_on(step, id);
        }
        self.show_agent(step, id);
    }

    /// Tells the world how an agent stands.
    pub(crate) fn show_agent(&mut self, step: &mut Step, id: &AgentId) {
        self.dirty.agents.remove(id);
        let Some(agent) = self.agents.get(id) else { return };
        let allocated = match self.book.cluster().node(id) {
            Some(node) if !agent.overcommitted => {
                let kept = Self::kept_on(agent).map(totals).fold(Totals::default(), Totals::plus);
                Totals::of(&node.total).minus(Totals::of(&node.free)).minus(kept)
            }
            _ => self.held_on(agent).map(totals).fold(Totals::default(), Totals::plus),
        };
        let allocated = agent
            .pots
            .iter()
            .fold(allocated, |sum, pot| sum.plus(pot.part.amount.without(pot.free()).totals()));
        let hello = &agent.hello;
        step.event(Event::Agent(Arc::new(AgentView {
            id: id.clone(),
            hostname: agent.hostname.clone(),
            address: hello.address.clone(),
            state: agent.state(),
            since: agent.since,
            total: hello.resources.clone(),
            allocated,
            reserved: agent.pots.parts(),
            attributes: hello.attributes.clone(),
            region: hello.region.clone(),
            zone: hello.zone.clone(),
            version: hello.version.clone(),
            registered_at: agent.registered_at,
            missing_isolation: hello.missing_isolation.clone(),
        })));
    }

    /// Everything that is kept on a machine for a role, used or not.
    pub(crate) fn kept_on(agent: &Agent) -> impl Iterator<Item = &Allocation> {
        agent.pots.iter().map(|pot| &pot.allocation)
    }

    /// Everything that is held on a machine of what is nobody's in particular: by live groups, executors, and what was
    /// given up.
    pub(crate) fn held_on<'a>(&'a self, agent: &'a Agent) -> impl Iterator<Item = &'a Allocation> {
        let live = agent.groups.iter().filter_map(|&number| self.groups.get(number));
        let live = live.flat_map(|group| group.held());
        let given_up = agent.given_up.iter().filter(|_| !planted(Bug::OverCommitted));
        let given_up =
            given_up.filter_map(|&number| self.given_up.get(number)?.held.as_ref().map(|held| &held.open));
        let executors = agent.executors.iter();
        let executors = executors
            .filter_map(|run| self.frameworks.executors.get(run).map(|executor| &executor.held.open));
        live.chain(given_up).chain(executors)
    }

    /// Counts afresh what is free on a machine.
    pub(crate) fn recount(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if agent.settling {
            return;
        }
        let taken = self.held_on(agent).chain(Self::kept_on(agent));
        let (free, fits) = what_remains(&agent.hello.resources, taken);
        self.book.set_free(id, free);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.overcommitted = !fits;
        }
    }

    /// Something that was held on a machine no longer is.
    pub(crate) fn give_back(&mut self, id: &AgentId, allocation: &Allocation) {
        match self.agents.get(id) {
            None => {}
            Some(agent) if agent.settling => {}
            Some(agent) if agent.overcommitted => self.recount(id),
            Some(_) => self.book.give_back(id, allocation),
        }
    }
}
