//! Frameworks: schedulers outside of the program, which are offered what machines have idle.
//!
//! - `subscribe`: who is there, on which stream; `remove`: who is not any more.
//! - `offers`: leases of idle resources, and who ends them; `accept`: what is done with them: `launch` (tasks and their
//!   executors) and `operations` (reservations and volumes, which `pots` keeps).
//! - `tasks`: what agents say of frameworks' tasks, passed on one at a time; `acknowledge`: how frameworks deal with it;
//!   `reconcile`: how tasks stand, when asked; `converge`: what agents hold, after a stream began.
//! - `executors`: the book of executors.
//!
//! Who is offered what is decided elsewhere (`allocator`, told of everything by `seam`); here it becomes offers. What frameworks launch are groups like
//! any others, with [`Launched`](tasks::Launched) beside them, and nothing of them is stored: decision 0011 says why.

mod accept;
mod acknowledge;
mod check;
mod converge;
mod executors;
mod launch;
mod names;
mod offers;
mod operations;
mod pots;
mod reconcile;
mod remove;
mod seam;
mod subscribe;
mod tasks;

pub use pots::PotRecord;
pub use remove::FrameworkRecord;

pub(crate) use executors::Executor;
pub(crate) use offers::{Offers, offers_in_the_way};
pub(crate) use pots::{Held, Pots};
pub(crate) use tasks::Launched;

use crate::command::{Refusal, ToStream};
use crate::{Kernel, Step};
use hansa_model::event::{Event, FrameworkView};
use hansa_model::framework::{FrameworkCall, FrameworkEvent, FrameworkInfo, OfferConstraints, StreamId};
use hansa_model::scheduler::Answer;
use hansa_model::{AgentId, FrameworkId, InstanceId, Principal, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// One framework that was not removed.
#[derive(Debug)]
pub(crate) struct Framework {
    /// What it says of itself.
    pub info: Arc<FrameworkInfo>,
    /// On whose behalf it subscribed last.
    pub principal: Principal,
    /// Where it hears; None: it is not connected.
    pub stream: Option<StreamId>,
    /// When it subscribed first.
    pub registered_at: Timestamp,
    /// When it subscribed last, if that was not the first time.
    pub reregistered_at: Option<Timestamp>,
    /// Since when it is not connected.
    pub disconnected_at: Option<Timestamp>,
    /// Whether it is known from the store or from agents only.
    pub recovered: bool,
    /// Roles that it wants no offers in for now.
    pub suppressed: BTreeSet<RoleName>,
    /// Which machines it wants offers of.
    pub constraints: OfferConstraints,
    /// When it is removed if it does not come back.
    pub removal_at: Option<Timestamp>,
    /// Its live groups, and those whose last updates it has not acknowledged.
    pub groups: BTreeSet<u64>,
    /// The tasks of these: its own ids of them, and the groups.
    pub tasks: BTreeSet<(String, u64)>,
    /// Its executors, by their runs.
    pub executors: BTreeSet<InstanceId>,
    /// Its offers.
    pub offers: BTreeSet<u64>,
    /// How many offers it let run out since it last answered one.
    pub hoarded: u32,
}

impl Framework {
    /// One that has never been heard of.
    pub fn new(info: Arc<FrameworkInfo>, principal: Principal, registered_at: Timestamp) -> Self {
        Self {
            info,
            principal,
            stream: None,
            registered_at,
            reregistered_at: None,
            disconnected_at: None,
            recovered: false,
            suppressed: BTreeSet::new(),
            constraints: OfferConstraints::default(),
            removal_at: None,
            groups: BTreeSet::new(),
            tasks: BTreeSet::new(),
            executors: BTreeSet::new(),
            offers: BTreeSet::new(),
            hoarded: 0,
        }
    }

    /// As it is shown.
    pub fn view(&self) -> FrameworkView {
        FrameworkView {
            info: self.info.clone(),
            connected: self.stream.is_some(),
            disconnected_at: self.disconnected_at,
            registered_at: self.registered_at,
            reregistered_at: self.reregistered_at,
            recovered: self.recovered,
            suppressed: self.suppressed.clone(),
            constraints: self.constraints.clone(),
        }
    }

    /// The groups that have a task of this id, the newest last; more than one only after an id was used again while
    /// nobody here knew of the first.
    pub fn groups_of<'a>(&'a self, task: &str) -> impl DoubleEndedIterator<Item = u64> + 'a {
        let key = |number| (task.to_owned(), number);
        self.tasks.range(key(0)..=key(u64::MAX)).map(|&(_, number)| number)
    }
}

/// All frameworks, and what belongs to them.
#[derive(Debug, Default)]
pub(crate) struct Frameworks {
    by_id: BTreeMap<FrameworkId, Framework>,
    by_stream: BTreeMap<StreamId, FrameworkId>,
    /// Those that are gone for ever.
    removed: BTreeMap<FrameworkId, FrameworkRecord>,
    removed_in_order: BTreeSet<(Timestamp, FrameworkId)>,
    /// How many ids were made in this leadership.
    ids_made: u64,
    /// Executors, by run.
    pub executors: BTreeMap<InstanceId, Executor>,
    /// Outstanding offers.
    pub offers: Offers,
    /// Agents that operators declared gone, the oldest first.
    gone: VecDeque<(AgentId, Timestamp)>,
}

impl Frameworks {
    /// One.
    pub fn get(&self, id: &FrameworkId) -> Option<&Framework> {
        self.by_id.get(id)
    }

    /// One, to change.
    pub fn get_mut(&mut self, id: &FrameworkId) -> Option<&mut Framework> {
        self.by_id.get_mut(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All that were not removed, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&FrameworkId, &Framework)> {
        self.by_id.iter()
    }

    /// Whether it was removed, as far back as is known.
    pub fn is_removed(&self, id: &FrameworkId) -> bool {
        self.removed.contains_key(id)
    }

    /// Those that were removed, by id.
    pub fn removed(&self) -> impl Iterator<Item = &FrameworkRecord> {
        self.removed.values()
    }

    /// Numbers of entries: streams, the removed in both tables.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.by_stream.len(), self.removed.len(), self.removed_in_order.len())
    }

    /// Whose stream it is.
    pub fn on_stream(&self, stream: StreamId) -> Option<&FrameworkId> {
        self.by_stream.get(&stream)
    }

    /// An operator declared an agent gone. Gives one that is forgotten for that.
    pub fn agent_gone(&mut self, agent: AgentId, at: Timestamp) -> Option<AgentId> {
        /// How many are remembered.
        const REMEMBERED: usize = 1_000;
        // It may have come back under its old id, and gone again.
        self.gone.retain(|(known, _)| *known != agent);
        self.gone.push_back((agent, at));
        if self.gone.len() > REMEMBERED { self.gone.pop_front().map(|(agent, _)| agent) } else { None }
    }

    /// Whether that happened lately.
    pub fn is_gone(&self, agent: &AgentId) -> bool {
        self.gone.iter().any(|(gone, _)| gone == agent)
    }

    /// Agents that are gone, since when.
    pub fn gone(&self) -> impl Iterator<Item = &(AgentId, Timestamp)> {
        self.gone.iter()
    }
}

impl Kernel {
    /// A framework's call.
    pub(crate) fn framework_call(
        &mut self,
        step: &mut Step,
        framework: Option<FrameworkId>,
        principal: Principal,
        call: FrameworkCall,
    ) -> Result<Answer, Refusal> {
        match call {
            FrameworkCall::Subscribe { stream, info, suppressed, constraints } => {
                self.subscribe(step, stream, principal, *info, suppressed, *constraints);
                return Ok(Answer::Done);
            }
            FrameworkCall::Disconnected { stream } => {
                self.stream_ended(step, stream);
                return Ok(Answer::Done);
            }
            _ => {}
        }
        let id = framework.ok_or(Refusal::UnknownFramework)?;
        let known = self.frameworks.get(&id).ok_or(Refusal::UnknownFramework)?;
        if matches!(call, FrameworkCall::Teardown) {
            // Also by operators, in their own names, and of those that are away.
            self.remove_framework(step, &id, "its framework was torn down");
            return Ok(Answer::Done);
        }
        if known.principal != principal {
            return Err(Refusal::WrongPrincipal);
        }
        if known.stream.is_none() {
            return Err(Refusal::Invalid(format!("framework {id} is not subscribed")));
        }
        match call {
            // Dealt with above.
            FrameworkCall::Subscribe { .. }
            | FrameworkCall::Disconnected { .. }
            | FrameworkCall::Teardown => {}
            FrameworkCall::UpdateInfo { info, suppressed, constraints } => {
                self.update_info(step, &id, *info, suppressed, *constraints)?;
            }
            FrameworkCall::Accept { offers, operations, filter } => {
                self.accept(step, &id, &offers, operations, filter);
            }
            FrameworkCall::Decline { offers, filter } => self.decline(step, &id, &offers, filter),
            FrameworkCall::Revive { roles } => self.revive(step, &id, &roles),
            FrameworkCall::Suppress { roles } => self.suppress(step, &id, &roles),
            FrameworkCall::Kill { task, agent, grace_ms } => {
                self.kill_task(step, &id, task, agent, grace_ms);
            }
            FrameworkCall::Shutdown { executor, agent } => {
                self.shut_down_executor(step, &id, &agent, &executor);
            }
            FrameworkCall::Acknowledge { agent, task, uuid } => {
                self.acknowledge(step, &id, &agent, &task, uuid);
            }
            FrameworkCall::Reconcile { tasks } => self.reconcile(step, &id, tasks),
            FrameworkCall::Message { agent, executor, data } => {
                self.message_executor(step, &id, &agent, &executor, data);
            }
        }
        Ok(Answer::Done)
    }

    /// Tells a framework something, if it listens.
    pub(crate) fn tell(&self, step: &mut Step, id: &FrameworkId, event: FrameworkEvent) {
        if let Some(stream) = self.frameworks.get(id).and_then(|framework| framework.stream) {
            step.stream(stream, ToStream::Event(Box::new(event)));
        }
    }

    /// Tells every framework that listens.
    pub(crate) fn tell_all(&self, step: &mut Step, event: &FrameworkEvent) {
        for (_, framework) in self.frameworks.iter() {
            if let Some(stream) = framework.stream {
                step.stream(stream, ToStream::Event(Box::new(event.clone())));
            }
        }
    }

    /// Tells the world how a framework stands.
    pub(crate) fn show_framework(&self, step: &mut Step, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get(id) {
            step.event(Event::Framework(Arc::new(framework.view())));
        }
    }

    /// An id that no other group, task or executor of any leadership has.
    pub(crate) fn new_uuid(&mut self) -> (u64, String) {
        let number = self.new_number();
        (number, hansa_model::id::uuid_text(self.seed, number))
    }
}
