//! Frameworks as clients: they take offers, launch, kill, lose their streams, come back, and end for ever. What they are
//! told is held against what the protocol promises.
//!
//! `answers` says what they do with offers, `told` what they hear of their tasks; `check` holds what they were told
//! against what is there. What runs on machines for them stands in [`executors`](crate::executors), what they keep there
//! in [`kept`](crate::kept).

mod answers;
mod check;
mod told;

pub use answers::Appetite;

use crate::world::{Event, World};
use hansa_cell::ToStream;
use hansa_cell::{Input, Request};
use hansa_model::framework::{Capability, FrameworkCall, FrameworkEvent, FrameworkInfo, Offer, StreamId};
use hansa_model::task::Reason;
use hansa_model::{AgentId, FrameworkId, InstanceId, OfferId, Principal, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use told::Told;

/// The roles of the frameworks in runs with faults.
pub const ROLES: [&str; 3] = ["fw", "fw", "db"];

/// Milliseconds after which an offer that nobody answers ends.
const OFFER_ENDS_MS: u64 = 60_000;

/// What a framework does with what it is offered.
#[derive(Clone, Debug, Default)]
pub enum Play {
    /// Whatever comes to its mind: for runs with faults.
    #[default]
    Restless,
    /// Fills what it is offered with tasks.
    Takes(Appetite),
    /// Neither accepts nor declines.
    Hoards,
    /// Declines everything, for so many milliseconds.
    Declines(u64),
}

/// An offer that a framework saw on its stream.
#[derive(Debug)]
struct Seen {
    offer: Arc<Offer>,
    at: Timestamp,
}

/// One framework.
#[derive(Debug, Default)]
pub struct Framework {
    number: usize,
    /// Rises when it has ended for ever: the next is another.
    generation: u64,
    role: String,
    play: Play,
    stream: Option<StreamId>,
    subscribed: bool,
    /// Offers that it has in hand.
    offers: BTreeMap<OfferId, Seen>,
    /// Offers that it answered and was not told the end of; the answer and the end may cross.
    answered: BTreeSet<OfferId>,
    tasks: BTreeMap<String, Told>,
    named: u64,
}

impl Framework {
    /// One that has never been heard of.
    pub fn new(number: usize, role: &str, play: Play) -> Self {
        Self { number, role: role.to_owned(), play, ..Self::default() }
    }

    /// Its id.
    pub fn id(&self) -> FrameworkId {
        FrameworkId::from(format!("fw-{}-{}", self.number, self.generation))
    }

    /// Its stream broke.
    pub fn hang_up(&mut self) -> Option<StreamId> {
        self.subscribed = false;
        self.offers.clear();
        self.answered.clear();
        self.stream.take()
    }

    /// It does something else with offers from now on.
    pub fn changes(&mut self, play: Play) {
        self.play = play;
    }

    /// How many offers it has in hand.
    pub fn in_hand(&self) -> usize {
        self.offers.len()
    }

    /// It ended for ever; another takes its place.
    fn end(&mut self) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::new(self.number, &self.role, self.play.clone()) };
    }

    fn role(&self) -> RoleName {
        RoleName::from(self.role.as_str())
    }

    /// A name that nothing of any framework had before.
    fn new_name(&mut self, what: &str) -> String {
        self.named += 1;
        format!("{what}{}-{}-{}", self.number, self.generation, self.named)
    }
}

/// Whether a process is of a framework's task or executor.
pub fn is_of_framework(instance: &InstanceId) -> bool {
    !instance.as_str().contains(".instance-")
}

/// Whether a task was said to have ended only because its framework did: it is being killed.
pub fn ended_with_framework(reason: Option<Reason>) -> bool {
    reason == Some(Reason::ReasonFrameworkRemoved)
}

impl World {
    /// A framework does something by itself.
    pub fn framework_acts(&mut self) {
        let number = self.random.usize(0..self.frameworks.len());
        if self.master.is_none() {
            return;
        }
        if self.frameworks[number].stream.is_none() {
            return self.framework_subscribes(number);
        }
        match self.random.u8(0..20) {
            0 => self.framework_hangs_up(number),
            // Another process takes over while the first still listens.
            1 => self.framework_subscribes(number),
            2..=4 => {
                let open = |(_, told): &(&String, &Told)| told.is_open();
                let tasks: Vec<String> =
                    self.frameworks[number].tasks.iter().filter(open).map(|(id, _)| id.clone()).collect();
                if !tasks.is_empty() {
                    let task = tasks[self.random.usize(0..tasks.len())].clone();
                    self.framework_kills(number, task);
                }
            }
            5..=6 => self.framework_reconciles(number),
            7 => self.framework_revives(number),
            8 => self.framework_calls(number, FrameworkCall::Suppress { roles: BTreeSet::new() }),
            9 if self.random.u8(0..8) == 0 => {
                self.framework_calls(number, FrameworkCall::Teardown);
            }
            10 => {
                let agent = self.machines[self.random.usize(0..self.machines.len())].id.clone();
                let executor = answers::some_executor(&mut self.random);
                self.framework_calls(number, FrameworkCall::Shutdown { executor, agent });
            }
            _ => {}
        }
    }

    /// Once the faults have stopped, frameworks come back and ask how their tasks stand.
    pub fn settle_frameworks(&mut self) {
        for number in 0..self.frameworks.len() {
            if self.frameworks[number].stream.is_none() {
                self.framework_subscribes(number);
            }
            self.framework_reconciles(number);
            let killed =
                self.frameworks[number].tasks.iter().filter(|(_, told)| told.killed && told.is_open());
            let killed: Vec<String> = killed.map(|(id, _)| id.clone()).collect();
            killed.into_iter().for_each(|task| self.framework_kills(number, task));
        }
    }

    /// A framework subscribes on a new stream.
    pub fn framework_subscribes(&mut self, number: usize) {
        if self.master.is_none() {
            return;
        }
        let stream = self.next_stream;
        self.next_stream += 1;
        let framework = &mut self.frameworks[number];
        framework.hang_up();
        framework.stream = Some(stream);
        let info = FrameworkInfo {
            id: framework.id(),
            name: "sim".into(),
            user: String::new(),
            roles: BTreeSet::from([framework.role()]),
            capabilities: BTreeSet::from([Capability::PartitionAware]),
            failover_timeout_ms: if number == 1 { 20_000 } else { 90_000 },
            checkpoint: true,
            hostname: String::new(),
            webui_url: None,
            principal: None,
            labels: Vec::new(),
            min_allocatable: BTreeMap::new(),
        };
        self.note(format_args!("{} subscribes on stream {stream}", info.id));
        let call = FrameworkCall::Subscribe {
            stream,
            info: Box::new(info),
            suppressed: BTreeSet::new(),
            constraints: Box::default(),
        };
        self.send_call(None, call);
    }

    /// A framework's stream breaks.
    pub fn framework_hangs_up(&mut self, number: usize) {
        if let Some(stream) = self.frameworks[number].hang_up() {
            self.note(format_args!("stream {stream} breaks"));
            self.master_input(Input::FrameworkGone { stream });
        }
    }

    /// A framework forgets what it refused; whatever is idle and not kept from it is offered to it at once.
    pub fn framework_revives(&mut self, number: usize) {
        if self.frameworks[number].subscribed {
            self.framework_calls(number, FrameworkCall::Revive { roles: BTreeSet::new() });
            self.check_revived(number);
        }
    }

    fn framework_reconciles(&mut self, number: usize) {
        // Also of those that nobody knew: their machine may have come back since.
        let tasks = self.frameworks[number].tasks.iter().filter(|(_, told)| !told.state.is_terminal());
        let tasks: Vec<_> = tasks.map(|(id, told)| (id.clone(), Some(told.agent.clone()))).collect();
        if !tasks.is_empty() {
            self.framework_calls(number, FrameworkCall::Reconcile { tasks });
        }
    }

    fn framework_kills(&mut self, number: usize, task: String) {
        if let Some(told) = self.frameworks[number].tasks.get_mut(&task) {
            told.killed = true;
        }
        self.framework_calls(number, FrameworkCall::Kill { task, agent: None, grace_ms: Some(500) });
    }

    /// A framework calls, if it is subscribed.
    pub fn framework_calls(&mut self, number: usize, call: FrameworkCall) {
        if self.frameworks[number].subscribed {
            let id = self.frameworks[number].id();
            self.send_call(Some(id), call);
        }
    }

    fn send_call(&mut self, framework: Option<FrameworkId>, call: FrameworkCall) {
        let id = self.next_request;
        self.next_request += 1;
        let request = Request::Framework { framework, call: Box::new(call) };
        self.master_input(Input::Request { id, principal: Principal::loopback(), request });
    }

    /// What a framework decided to do arrives, if its stream is still the same.
    pub fn framework_reacts(&mut self, number: usize, stream: StreamId, call: FrameworkCall) {
        if self.frameworks[number].stream == Some(stream) {
            self.framework_acknowledges(number, &call);
            self.framework_answered(number, &call);
            self.framework_calls(number, call);
        }
    }

    /// A framework hears something.
    pub fn framework_hears(&mut self, stream: StreamId, message: ToStream) {
        let Some(number) = self.frameworks.iter().position(|framework| framework.stream == Some(stream))
        else {
            return;
        };
        let event = match message {
            ToStream::Event(event) => *event,
            ToStream::Close => return self.frameworks[number].end(),
        };
        let framework = &mut self.frameworks[number];
        match event {
            FrameworkEvent::Subscribed { .. } => framework.subscribed = true,
            FrameworkEvent::Offers(offers) => {
                for offer in offers {
                    self.framework_sees(number, stream, &offer);
                }
            }
            FrameworkEvent::Rescind(offer) => {
                let known = framework.offers.remove(&offer).is_some() | framework.answered.remove(&offer);
                if !known {
                    self.broke(format!("{offer} is rescinded, and stream {stream} never saw it"));
                }
            }
            FrameworkEvent::Update(update) => self.framework_told(number, stream, &update),
            FrameworkEvent::Failure { .. } | FrameworkEvent::Message { .. } => {}
            // A close follows.
            FrameworkEvent::Error(_) => {}
        }
    }

    /// A framework sees an offer.
    fn framework_sees(&mut self, number: usize, stream: StreamId, offer: &Arc<Offer>) {
        let at = self.now;
        let framework = &mut self.frameworks[number];
        let role = framework.role();
        if offer.role != role {
            let what = format!(
                "{} is in role {role} and is offered {} for {}",
                framework.id(),
                offer.id,
                offer.role
            );
            return self.broke(what);
        }
        let other = offer.parts.iter().find(|part| part.role().is_some_and(|kept| *kept != role));
        if let Some(part) = other {
            let what = format!(
                "{} is in role {role} and is offered what is kept for another: {part:?}",
                framework.id()
            );
            return self.broke(what);
        }
        if framework.offers.insert(offer.id.clone(), Seen { offer: offer.clone(), at }).is_some() {
            return self.broke(format!("{} is offered twice", offer.id));
        }
        self.kept_is_offered(offer);
        self.framework_answers(number, stream, offer);
    }

    /// Whether so many milliseconds have passed for the master since then, and a little more.
    fn is_late(&self, since: Timestamp, ms: u64) -> bool {
        /// What may take its time: a write, and everything that happens at once.
        const SLACK_MS: u64 = 2_000;
        self.now > since + ms + SLACK_MS
    }

    /// Where a machine of this id is in the world.
    pub fn machine_of(&self, agent: &AgentId) -> Option<usize> {
        self.machines.iter().position(|machine| machine.id == *agent)
    }

    /// Lets a framework answer a while later.
    fn framework_will(&mut self, number: usize, stream: StreamId, ms: u64, call: FrameworkCall) {
        self.after(ms, Event::FrameworkReacts { number, stream, call: Box::new(call) });
    }
}
