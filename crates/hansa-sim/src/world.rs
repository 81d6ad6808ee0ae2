//! The world: one master, some machines, a network between them, clients, faults, and one queue of what happens next.

use crate::disk::Disk;
use crate::executors::Deed;
use crate::frameworks::{Framework, Play, ROLES};
use crate::kept::Kept;
use crate::machine::{Machine, narrow, roomy};
use crate::master::{Act, Master};
use crate::oracle::{GroupIntent, Intent, Oracle};
use crate::report::{Fault, Report};
use crate::restore::Restored;
use crate::run::is_task_of;
use hansa_cell::{Input, RequestId, SessionId};
use hansa_link::{ToAgent, ToMaster, ToMasterBody};
use hansa_model::framework::{FrameworkCall, StreamId};
use hansa_model::service::ServiceAnswer;
use hansa_model::{AppId, InstanceId, TaskId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The world begins at this time: 2026-01-01.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// More events than this at one time are a loop.
const MAX_AT_ONCE: u32 = 10_000;

/// More events than this, and so many more for each minute, are a storm: somebody repeats what nobody hears. Healthy runs
/// stay below a tenth of it.
const MAX_EVENTS: u64 = 50_000;
const MAX_EVENTS_A_MINUTE: u64 = 50_000;

/// What is about to happen.
#[derive(Debug)]
pub enum Event {
    /// The master's deadline.
    MasterTick { life: u64 },
    /// Its store has written.
    Written { life: u64 },
    /// It starts again.
    MasterStart,
    /// A message arrives at the master.
    ToMaster { link: SessionId, message: Box<ToMaster> },
    /// A message arrives at an agent.
    ToAgent { link: SessionId, message: Box<ToAgent> },
    /// An attempt to connect reaches the master (or does not).
    Connect { machine: usize, epoch: u64, stream: u64 },
    /// The agent learns that its attempt worked.
    Connected { link: SessionId },
    /// The agent learns that its attempt failed, or its stream broke.
    AgentHearsEnd { machine: usize, epoch: u64, stream: u64 },
    /// The master learns that a stream broke.
    MasterHearsEnd { life: u64, link: SessionId },
    /// An agent's deadline.
    AgentTick { machine: usize, epoch: u64 },
    /// A shim has started its process, or could not.
    ProcessStarted { machine: usize, boot: u64, instance: InstanceId, failed: bool },
    /// A process ends.
    ProcessEnds { machine: usize, boot: u64, instance: InstanceId, exit: hansa_model::task::Exit },
    /// A shim looks at its stop deadline.
    DeadlineCheck { machine: usize, boot: u64, instance: InstanceId },
    /// A framework's executor does something.
    Executor { machine: usize, boot: u64, container: InstanceId, deed: Deed },
    /// A probe's result.
    Probed { machine: usize, epoch: u64, order: Box<hansa_node::ProbeOrder> },
    /// A running container was changed.
    Furnished { machine: usize, epoch: u64, instance: InstanceId, refused: Vec<hansa_node::Refusal> },
    /// An agent process starts.
    AgentStart { machine: usize },
    /// A machine gets power.
    PowerOn { machine: usize },
    /// A client does something.
    Client,
    /// A framework does something.
    Frameworks,
    /// A framework answers what it was told.
    FrameworkReacts { number: usize, stream: StreamId, call: Box<FrameworkCall> },
    /// A client gives up waiting.
    ClientTimeout { id: RequestId },
    /// Something goes wrong.
    Fault,
}

/// One stream.
#[derive(Debug)]
pub struct Link {
    /// Whose.
    pub machine: usize,
    /// Of which agent process.
    pub epoch: u64,
    /// Its number at the agent.
    pub stream: u64,
    /// To which life of the master.
    pub life: u64,
    /// Whether messages pass.
    pub open: bool,
    /// Whether, although it is not open, what was on its way to the master then still arrives.
    pub lingers_to_master: bool,
    /// The same towards the agent.
    pub lingers_to_agent: bool,
    /// Messages keep their order: not before these times.
    pub to_master_at: Timestamp,
    /// The other way.
    pub to_agent_at: Timestamp,
}

/// A command whose answer is awaited.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The apps it is about, and what they shall be.
    pub intents: Vec<(AppId, Intent)>,
    /// The groups it is about, and what they shall be.
    pub groups: Vec<(AppId, GroupIntent)>,
    /// The tasks that it kills.
    pub kills: Vec<TaskId>,
}

/// Everything.
pub struct World {
    /// The time.
    pub now: Timestamp,
    /// The dice.
    pub random: fastrand::Rng,
    queue: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    /// Events since time last moved.
    at_once: u32,
    /// Every instance that was ever started.
    pub started: BTreeSet<InstanceId>,
    /// The master's disk.
    pub disk: Disk,
    /// The master process, if it runs.
    pub master: Option<Master>,
    /// Counts master processes.
    pub life: u64,
    /// Whether the master has changed since it was last checked.
    pub master_moved: bool,
    /// Milliseconds (signed) that the master's clock is ahead.
    pub master_skew: i64,
    /// The machines.
    pub machines: Vec<Machine>,
    /// The streams that are open somewhere.
    pub links: BTreeMap<SessionId, Link>,
    next_link: SessionId,
    /// Commands under way.
    pub asked: BTreeMap<RequestId, Asked>,
    /// Number of the next command.
    pub next_request: RequestId,
    /// The frameworks.
    pub frameworks: Vec<Framework>,
    /// What they keep on machines.
    pub kept: Kept,
    /// Number of the next framework's stream.
    pub next_stream: StreamId,
    /// What was promised.
    pub oracle: Oracle,
    /// Apps whose deployment somebody replaced by force for another app's sake: what was half done stays so until a client
    /// speaks of them again.
    pub left: BTreeSet<AppId>,
    /// The master's store as it was once, and what has come of putting it back.
    pub restored: Restored,
    /// Whether things still go wrong.
    pub faults: bool,
    /// What happened.
    pub report: Report,
    /// The whole trace, if wanted.
    pub trace: Option<String>,
    /// A broken invariant, and the end of the run.
    pub broken: Option<String>,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(seed: u64, machines: usize, keep_trace: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let resources = if random.u8(0..3) == 0 { narrow() } else { roomy() };
        let mut machines: Vec<Machine> = (0..machines)
            .map(|number| Machine::new(number, random.u8(0..3) == 0, random.u64(0..2_000), resources.clone()))
            .collect();
        for machine in machines.iter_mut().filter(|machine| !(seed + machine.number as u64).is_multiple_of(3))
        {
            machine.sets_apart(ROLES[seed as usize % ROLES.len()]);
        }
        Self {
            now: BEGINNING,
            random,
            queue: BTreeMap::new(),
            sequence: 0,
            at_once: 0,
            started: BTreeSet::new(),
            disk: Disk::default(),
            master: None,
            life: 0,
            master_moved: false,
            master_skew: 0,
            machines,
            links: BTreeMap::new(),
            next_link: 1,
            asked: BTreeMap::new(),
            next_request: 1,
            frameworks: (0..)
                .zip(ROLES)
                .map(|(number, role)| Framework::new(number, role, Play::Restless))
                .collect(),
            kept: Kept::default(),
            next_stream: 1,
            oracle: Oracle::default(),
            left: BTreeSet::new(),
            restored: Restored::default(),
            faults: true,
            report: Report { fingerprint: seed, ..Report::default() },
            trace: keep_trace.then(String::new),
            broken: None,
        }
    }

    /// Lets something happen after so many milliseconds.
    pub fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    /// Lets something happen at a time.
    pub fn at(&mut self, time: Timestamp, event: Event) {
        self.sequence += 1;
        self.queue.insert((time.max(self.now), self.sequence), event);
    }

    /// The next thing that happens, if anything does before `until`.
    pub fn next(&mut self, until: Timestamp) -> Option<Event> {
        let (at, event) = loop {
            let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= until)?;
            let (at, event) = (entry.key().0, entry.remove());
            if !self.is_stale(at, &event) {
                break (at, event);
            }
        };
        self.at_once = if at > self.now { 0 } else { self.at_once + 1 };
        self.now = at;
        if self.at_once > MAX_AT_ONCE {
            self.broke(format!("time stands still: {MAX_AT_ONCE} events at once, the last is {event:?}"));
        }
        self.report.events += 1;
        let most = MAX_EVENTS + MAX_EVENTS_A_MINUTE * self.elapsed() / 60_000;
        if self.report.events > most {
            self.broke(format!("a storm: more than {most} events so far, the last is {event:?}"));
        }
        Some(event)
    }

    /// Whether it was meant for something that has died since, or for a deadline that has moved: then it is no event.
    fn is_stale(&self, at: Timestamp, event: &Event) -> bool {
        match event {
            Event::MasterTick { life } => {
                *life != self.life || self.master.as_ref().is_none_or(|master| master.tick_at != Some(at))
            }
            Event::AgentTick { machine, epoch } => {
                let machine = &self.machines[*machine];
                machine.epoch != *epoch || machine.tick_at != Some(at)
            }
            Event::Written { life } => *life != self.life,
            Event::Connect { machine, epoch, .. }
            | Event::AgentHearsEnd { machine, epoch, .. }
            | Event::Furnished { machine, epoch, .. }
            | Event::Probed { machine, epoch, .. } => self.machines[*machine].epoch != *epoch,
            Event::ProcessStarted { machine, boot, .. }
            | Event::ProcessEnds { machine, boot, .. }
            | Event::Executor { machine, boot, .. }
            | Event::DeadlineCheck { machine, boot, .. } => self.machines[*machine].boots != *boot,
            Event::ClientTimeout { id } => !self.asked.contains_key(id),
            _ => false,
        }
    }

    /// Whether it happens, once in `n`, while things go wrong.
    pub fn unlucky(&mut self, n: u32) -> bool {
        self.faults && self.random.u32(0..n) == 0
    }

    /// Notes something in the trace and its fingerprint.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        struct Hash<'a>(&'a mut u64);
        impl std::fmt::Write for Hash<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for byte in text.bytes() {
                    *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
                Ok(())
            }
        }
        let time = self.now.since(BEGINNING);
        let _ = writeln!(Hash(&mut self.report.fingerprint), "{time} {what}");
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{:>4}.{:03} {what}", time / 1000, time % 1000);
        }
    }

    /// Notes a broken invariant; the run ends.
    pub fn broke(&mut self, what: String) {
        self.note(format_args!("BROKEN {what}"));
        self.broken.get_or_insert(what);
    }

    /// Milliseconds since the beginning.
    pub fn elapsed(&self) -> u64 {
        self.now.since(BEGINNING)
    }

    /// The master's idea of the time.
    pub fn master_now(&self) -> Timestamp {
        Timestamp(self.now.0.saturating_add_signed(self.master_skew))
    }

    // The network.

    /// Whether anything passes between the master and the machine now.
    pub fn reaches(&self, machine: usize) -> bool {
        self.master.is_some() && self.machines[machine].up && self.machines[machine].cut_until <= self.now
    }

    /// How long something is on its way.
    pub fn travel_time(&mut self) -> u64 {
        if self.unlucky(200) {
            self.report.count(Fault::Delay);
            return self.random.u64(1_000..4_000);
        }
        self.random.u64(1..20)
    }

    /// Opens a stream and gives it its number at the master.
    pub fn open_link(&mut self, machine: usize, epoch: u64, stream: u64) -> SessionId {
        let link = self.next_link;
        self.next_link += 1;
        let (open, life) = (true, self.life);
        let (lingers_to_master, lingers_to_agent) = (false, false);
        let (to_master_at, to_agent_at) = (self.now, self.now);
        self.links.insert(
            link,
            Link {
                machine,
                epoch,
                stream,
                life,
                open,
                lingers_to_master,
                lingers_to_agent,
                to_master_at,
                to_agent_at,
            },
        );
        link
    }

    /// An agent says something on a stream.
    pub fn send_to_master(&mut self, link: SessionId, message: ToMaster) {
        let mut travel = self.travel_time();
        if matches!(message.body, ToMasterBody::Hello(_)) && self.unlucky(10) {
            // So long that the agent gives the stream up and begins another.
            self.report.count(Fault::Delay);
            travel = self.random.u64(2_500..8_000);
        }
        let twice = self.unlucky(100);
        let Some(state) = self.links.get_mut(&link) else { return };
        let at = state.to_master_at.max(self.now + travel);
        state.to_master_at = at;
        if twice {
            self.report.count(Fault::Duplicate);
            self.at(at, Event::ToMaster { link, message: Box::new(message.clone()) });
        }
        self.at(at, Event::ToMaster { link, message: Box::new(message) });
    }

    /// The master says something on a stream.
    pub fn send_to_agent(&mut self, link: SessionId, message: Box<ToAgent>) {
        let travel = self.travel_time();
        let twice = self.unlucky(100);
        self.check_spared(&message.body);
        let Some(state) = self.links.get_mut(&link).filter(|state| state.open) else { return };
        let at = state.to_agent_at.max(self.now + travel);
        state.to_agent_at = at;
        if twice {
            self.report.count(Fault::Duplicate);
            self.at(at, Event::ToAgent { link, message: message.clone() });
        }
        self.at(at, Event::ToAgent { link, message });
    }

    /// A stream stops passing messages. What was on its way is lost or arrives late. Each end hears of it after that, or
    /// (silent) finds out by itself.
    pub fn cut_link(&mut self, link: SessionId, silent: bool) {
        let lingers = (self.random.bool(), self.random.bool());
        self.end_link(link, silent, lingers);
    }

    fn end_link(&mut self, link: SessionId, silent: bool, lingers: (bool, bool)) {
        let Some(state) = self.links.get_mut(&link).filter(|state| state.open) else { return };
        state.open = false;
        (state.lingers_to_master, state.lingers_to_agent) = lingers;
        let (machine, epoch, stream, life) = (state.machine, state.epoch, state.stream, state.life);
        let (to_agent_at, to_master_at) = (state.to_agent_at, state.to_master_at);
        let silence = if silent { 8_000 } else { 1 };
        let (first, second) = (self.random.u64(0..20) * silence / 10, self.random.u64(0..20) * silence / 10);
        let (mut first, mut second) = (self.now + first, self.now + second);
        if lingers.0 {
            second = second.max(to_master_at);
        }
        if lingers.1 {
            first = first.max(to_agent_at);
        }
        self.at(first, Event::AgentHearsEnd { machine, epoch, stream });
        self.at(second, Event::MasterHearsEnd { life, link });
    }

    /// The streams of one machine.
    pub fn links_of(&self, machine: usize) -> Vec<SessionId> {
        self.links
            .iter()
            .filter(|(_, link)| link.machine == machine && link.open)
            .map(|(id, _)| *id)
            .collect()
    }

    /// The open stream of an agent process, by its own number.
    pub fn link_of_stream(&self, machine: usize, epoch: u64, stream: u64) -> Option<SessionId> {
        self.links
            .iter()
            .find(|(_, link)| {
                link.machine == machine && link.epoch == epoch && link.stream == stream && link.open
            })
            .map(|(id, _)| *id)
    }

    // The master.

    /// One input to the master, if it runs, and everything that follows.
    pub fn master_input(&mut self, input: Input) {
        let now = self.master_now();
        let Some(master) = &mut self.master else { return };
        let acts = master.apply(now, input);
        self.master_acts(acts);
    }

    /// Performs what the master wants, and keeps its tick scheduled.
    pub fn master_acts(&mut self, acts: Vec<Act>) {
        self.master_moved = true;
        self.forget_spared_on_unreached();
        for act in acts {
            match act {
                Act::Send(link, message) => self.send_to_agent(link, message),
                // Said and done: what it said before arrives, what comes is not read.
                Act::Close(link) => self.end_link(link, false, (false, true)),
                Act::StartWrite => {
                    let ms = if self.unlucky(100) { self.random.u64(50..500) } else { self.random.u64(1..4) };
                    self.after(ms, Event::Written { life: self.life });
                }
                Act::Reply(id, answer) => self.answered(id, answer),
                Act::ToFramework(stream, message) => self.framework_hears(stream, message),
            }
        }
        let skew = self.master_skew;
        let Some(master) = &mut self.master else { return };
        let deadline =
            master.cell.next_deadline().map(|at| Timestamp(at.0.saturating_add_signed(-skew)).max(self.now));
        if let Some(at) = deadline
            && master.tick_at.is_none_or(|scheduled| at < scheduled)
        {
            master.tick_at = Some(at);
            self.at(at, Event::MasterTick { life: self.life });
        }
    }

    fn answered(&mut self, id: RequestId, answer: Result<hansa_cell::Answer, hansa_cell::Failure>) {
        let Some(asked) = self.asked.remove(&id) else { return };
        self.report.answered += 1;
        match answer {
            Ok(answer) => {
                self.note(format_args!("answer {id}: accepted"));
                for (app, intent) in asked.intents {
                    self.oracle.promised(&app, intent);
                }
                for (group, intent) in asked.groups {
                    self.oracle.promised_group(&group, intent);
                }
                // Only of what was known: after an older store the master may not have heard of all that runs yet.
                if let hansa_cell::Answer::Service(ServiceAnswer::Killed(known)) = answer {
                    let is_known = |task: &TaskId| known.iter().any(|id| is_task_of(task, id));
                    self.oracle.killed(asked.kills.into_iter().filter(is_known).collect());
                }
            }
            // Refused: nothing has changed.
            Err(failure) => self.note(format_args!("answer {id}: {failure:?}")),
        }
    }

    /// A command's answer will never come.
    pub fn unanswered(&mut self, id: RequestId) {
        if let Some(asked) = self.asked.remove(&id) {
            self.note(format_args!("answer {id}: never"));
            for (app, intent) in asked.intents {
                self.oracle.unsure(&app, intent);
            }
            for (group, intent) in asked.groups {
                self.oracle.unsure_group(&group, intent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world in which one thing happens again and again, so many milliseconds later each time.
    fn again(pause: u64) -> String {
        let mut world = World::new(1, 1, false);
        while world.broken.is_none() {
            world.after(pause, Event::MasterHearsEnd { life: 0, link: 0 });
            world.next(Timestamp(u64::MAX)).expect("something happens");
        }
        world.broken.expect("it has ended")
    }

    #[test]
    fn a_run_ends_whatever_happens_in_it() {
        assert!(again(0).starts_with("time stands still: 10000 events at once"));
        assert!(again(1).starts_with("a storm: more than"));
    }

    #[test]
    fn what_was_meant_for_the_dead_is_no_event() {
        let mut world = World::new(1, 1, false);
        world.after(1, Event::AgentTick { machine: 0, epoch: 0 });
        world.after(2, Event::MasterTick { life: 0 });
        assert!(world.next(Timestamp(u64::MAX)).is_none());
        world.machines[0].tick_at = Some(world.now + 3);
        world.after(3, Event::AgentTick { machine: 0, epoch: 0 });
        assert!(world.next(Timestamp(u64::MAX)).is_some());
        assert_eq!(world.report.events, 1);
    }
}
