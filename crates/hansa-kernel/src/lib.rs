//! The cluster state machine: agents, roles, quota, reservations, offers, claims, tasks.
//!
//! One value with one [`Kernel::apply`]: no clock, no randomness, no I/O; ordered iteration; integers. A rejected
//! command is an ordinary outcome that says why; a broken invariant is a bug and stops the process.
//!
//! Not here: what services and jobs want (`hansa-schedulers`), storing and encoding (`hansa-cell`), messages
//! (`hansa-link`).
//!
//! Where to start: [`Command`] and [`Outcome`] (the boundary); then a file for each family of commands: `hello` (master
//! and agent converge), `reach` (machines get lost), `claims`, `updates`, `kills`, `roles`, `frameworks`, `restore`. `groups`
//! and `agents` hold the state, `book` what is free; [`Kernel::check`] says what must always hold. `trial` says what would be.

mod agents;
mod allocator;
mod book;
mod check;
mod claims;
mod command;
mod frameworks;
mod given_up;
mod groups;
mod hello;
mod kills;
mod reach;
mod record;
mod restore;
#[expect(dead_code, reason = "the frameworks that some of it is for come next")]
mod roles;
mod set_roles;
mod specs;
mod trial;
mod updates;

pub use allocator::AllocatorSettings;
pub use command::{AgentOrder, Command, Effect, Outcome, Refusal, ToStream};
pub use frameworks::{FrameworkRecord, PotRecord};
pub use record::{AgentRecord, AssignmentRecord, GivenUpRecord, GoneRecord, Record};
pub use trial::{Resident, Trial};

use hansa_model::event::Event;
use hansa_model::framework::StreamId;
use hansa_model::maintenance::Maintenance;
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::{AgentId, FrameworkId, Owner, RoleName, Timestamp};
use hansa_placement::Cluster;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How late the world may hear of what is allocated, so that it does not hear of every claim.
const SHOW_USE_MS: u64 = 200;

/// What can be fixed about a kernel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Milliseconds without contact after which an agent is durably out of reach.
    pub unreachable_after_ms: u64,
    /// Milliseconds that are added to an agent's stop deadline before its tasks may be replaced: clock drift.
    pub drift_margin_ms: u64,
    /// A name of this leadership that no other of any cluster has: what it makes for frameworks is called after it.
    pub leadership: String,
    /// Milliseconds after which an offer that its framework does not answer ends.
    pub offer_timeout_ms: u64,
    /// What holds for all offers.
    pub allocator: AllocatorSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unreachable_after_ms: 5_000,
            drift_margin_ms: 500,
            leadership: "leadership".into(),
            offer_timeout_ms: 60_000,
            allocator: AllocatorSettings::default(),
        }
    }
}

/// The machine.
#[derive(Debug, Default)]
pub struct Kernel {
    settings: Settings,
    book: book::Book,
    agents: BTreeMap<AgentId, agents::Agent>,
    /// Who bears a name; of several, the one that is not out of reach.
    hostnames: BTreeMap<Arc<str>, AgentId>,
    groups: groups::Groups,
    given_up: given_up::GivenUps,
    specs: specs::Specs,
    roles: roles::Roles,
    /// What operators said of machines in general.
    maintenance: Arc<Maintenance>,
    frameworks: frameworks::Frameworks,
    allocator: allocator::Allocator,
    /// Makes the ids of this leadership unlike those of all others.
    seed: u64,
    losses: reach::Losses,
    timers: BTreeSet<(Timestamp, Timer)>,
    dirty: Dirty,
    last_number: u64,
    /// The latest time that was told; time never goes back.
    now: Timestamp,
}

/// What is to be done at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// An agent is out of reach if nothing was heard of it.
    Agent(AgentId),
    /// A kill is sent again.
    Kill(u64),
    /// A group was given up so long ago that it is forgotten.
    GivenUp(u64),
    /// An offer's lease ends.
    Offer(u64),
    /// A framework that is away is removed.
    Framework(FrameworkId),
    /// An update of a framework's task is told again.
    Update(u64, usize),
}

/// What the world has not heard yet: the use of these changed.
#[derive(Debug, Default)]
struct Dirty {
    agents: BTreeSet<AgentId>,
    roles: BTreeSet<RoleName>,
    show_at: Option<Timestamp>,
}

/// One application of a command: its time, and what it led to so far.
#[derive(Debug)]
struct Step {
    now: Timestamp,
    outcome: Outcome,
}

impl Step {
    fn record(&mut self, record: Record) {
        self.outcome.records.push(record);
    }

    fn event(&mut self, event: Event) {
        self.outcome.events.push(event);
    }

    fn notice(&mut self, owner: Owner, notice: Notice) {
        self.outcome.notices.push((owner, notice));
    }

    fn effect(&mut self, effect: Effect) {
        self.outcome.effects.push(effect);
    }

    fn stream(&mut self, stream: StreamId, message: ToStream) {
        self.outcome.streams.push((stream, message));
    }
}

impl Kernel {
    /// An empty cluster.
    pub fn new(settings: Settings) -> Self {
        let seed = seed(&settings.leadership);
        let allocator = allocator::Allocator::new(settings.allocator.clone());
        Self { settings, seed, allocator, ..Self::default() }
    }

    /// Takes over what was stored (Put records only, any order), at the beginning of a leadership. The outcome has the
    /// whole state as events and notices.
    pub fn restore(&mut self, now: Timestamp, records: Vec<Record>) -> Outcome {
        let mut step = self.step(now);
        self.take_over(&mut step, records);
        step.outcome
    }

    /// The only way state changes. Same state and input: same outcome.
    pub fn apply(&mut self, now: Timestamp, command: Command) -> Outcome {
        let mut step = self.step(now);
        let answer = self.dispatch(&mut step, command);
        self.offer_what_is_idle(&mut step);
        step.outcome.answer = Some(answer);
        step.outcome
    }

    fn step(&mut self, now: Timestamp) -> Step {
        self.now = self.now.max(now);
        Step { now: self.now, outcome: Outcome::default() }
    }

    fn dispatch(&mut self, step: &mut Step, command: Command) -> Result<Answer, Refusal> {
        match command {
            Command::Tick => {
                self.tick(step);
                Ok(Answer::Done)
            }
            Command::AgentConnected { hello } => self.agent_connected(step, *hello),
            Command::AgentDisconnected { agent } => self.agent_disconnected(step, &agent),
            Command::AgentLeaving { agent, returns_in_ms } => self.agent_leaving(step, &agent, returns_in_ms),
            Command::AgentContact { agent } => self.agent_contact(step, &agent),
            Command::AgentReleased { agent, instance } => self.released(step, &agent, &instance),
            Command::Update { agent, status } => self.update(step, &agent, status),
            Command::AdminAgent { principal: _, agent, order } => self.admin_agent(step, &agent, order),
            Command::Call { owner, principal: _, call } => self.call(step, &owner, call),
            Command::SetRole { principal: _, role } => self.set_role(step, role),
            Command::ExecutorEnded { agent, container, wait_status } => {
                self.executor_ended(step, &agent, &container, wait_status)
            }
            Command::FromExecutor { agent, framework, executor, data } => {
                self.executor_said(step, agent, &framework, executor, data)
            }
            Command::Framework { framework, principal, call } => {
                self.framework_call(step, framework, principal, call)
            }
            Command::AgentParts { principal: _, agent, operation } => {
                self.agent_parts(step, &agent, &operation)
            }
            Command::SetRoles { principal: _, roles, force } => self.set_roles(step, roles, force),
            Command::SetMaintenance { principal: _, maintenance } => {
                self.set_maintenance(step, maintenance);
                Ok(Answer::Done)
            }
        }
    }

    fn call(&mut self, step: &mut Step, owner: &Owner, call: Call) -> Result<Answer, Refusal> {
        match call {
            Call::RegisterSpec { group } => {
                if group.tasks.is_empty() {
                    return Err(Refusal::Invalid("a spec needs at least one task".into()));
                }
                Ok(Answer::Spec(self.specs.register(group)))
            }
            Call::DropSpec { spec } => {
                self.specs.release(spec, step);
                Ok(Answer::Done)
            }
            Call::Claim(claim) => self.claim(step, owner, claim),
            Call::Kill { instance, grace_ms, message } => {
                Ok(self.kill(step, owner, &instance, grace_ms, message))
            }
            Call::GiveUp { instance } => Ok(self.give_up(step, owner, &instance)),
            Call::SetDemand { role, shape, count } => {
                self.roles.set_demand(owner, &role, shape, count);
                Ok(Answer::Done)
            }
        }
    }

    fn tick(&mut self, step: &mut Step) {
        self.excuse_silence(step.now);
        while self.timers.first().is_some_and(|(at, _)| *at <= step.now) {
            let Some((_, timer)) = self.timers.pop_first() else { break };
            match timer {
                Timer::Agent(agent) => self.agent_timed_out(step, &agent),
                Timer::Kill(number) => self.kill_again(step, number),
                Timer::GivenUp(number) => self.given_up_long_ago(step, number),
                Timer::Offer(offer) => self.offer_ran_out(step, offer),
                Timer::Framework(framework) => self.failover_timed_out(step, &framework),
                Timer::Update(number, at) => self.repeat_timed(step, number, at),
            }
        }
        if self.losses.tell_at.is_some_and(|at| at <= step.now) {
            self.tell_slowly(step);
        }
        if self.dirty.show_at.is_some_and(|at| at <= step.now) {
            self.dirty.show_at = None;
            for agent in std::mem::take(&mut self.dirty.agents) {
                self.show_agent(step, &agent);
            }
            for role in std::mem::take(&mut self.dirty.roles) {
                self.show_role(step, &role);
            }
        }
    }

    fn set_maintenance(&mut self, step: &mut Step, maintenance: Arc<Maintenance>) {
        if self.maintenance != maintenance {
            self.maintenance = maintenance.clone();
            step.record(Record::PutMaintenance(maintenance.clone()));
            step.event(Event::Maintenance(maintenance));
        }
    }

    /// When `Command::Tick` should next be applied.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let timer = self.timers.first().map(|&(at, _)| at);
        let refusal = self.allocator.next_deadline().filter(|_| !self.frameworks.is_empty());
        [timer, self.losses.tell_at, self.dirty.show_at, refusal].into_iter().flatten().min()
    }

    /// The machines, for schedulers to read.
    pub fn cluster(&self) -> &Cluster {
        self.book.cluster()
    }

    fn new_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The use of a machine by a role changed; the world hears of it soon.
    fn use_changed(&mut self, now: Timestamp, agent: &AgentId, role: &RoleName) {
        self.agent_use_changed(now, agent);
        if !self.dirty.roles.contains(role) {
            self.dirty.roles.insert(role.clone());
        }
    }

    /// The use of a machine changed.
    fn agent_use_changed(&mut self, now: Timestamp, agent: &AgentId) {
        if !self.dirty.agents.contains(agent) {
            self.dirty.agents.insert(agent.clone());
        }
        self.dirty.show_at.get_or_insert(now + SHOW_USE_MS);
    }
}

/// FNV-1a.
fn seed(leadership: &str) -> u64 {
    leadership
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
