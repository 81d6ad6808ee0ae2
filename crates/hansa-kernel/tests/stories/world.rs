//! A kernel, its store and a clock; commands in, text out. After every command all invariants hold, and the store has
//! exactly what the kernel says it must.

use hansa_kernel::*;
use hansa_model::agent::{GroupReport, Hello};
use hansa_model::event::{Event, TaskChange};
use hansa_model::framework::{FrameworkEvent, FrameworkUpdate, Offer, StreamId};
use hansa_model::maintenance::Maintenance;
use hansa_model::role::{Bound, Role};
use hansa_model::scheduler::{Answer, Call, Claim, Notice, Placement};
use hansa_model::spec::{GroupSpec, Launch, Origin, TaskSpec};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub struct World {
    pub kernel: Kernel,
    pub settings: Settings,
    pub now: Timestamp,
    /// What is durable.
    pub store: BTreeMap<String, Record>,
    /// What was registered.
    pub specs: BTreeMap<SpecId, Arc<GroupSpec>>,
    /// The last launch of each instance.
    pub launches: BTreeMap<String, Launch>,
    /// Where each was launched.
    pub launched_on: BTreeMap<String, AgentId>,
    /// How many names were made for frameworks' tasks.
    pub named: u64,
    /// What the world was told last of each task: a fold of the events.
    pub tasks: BTreeMap<String, String>,
    /// The same of frameworks' tasks, which are not stored.
    pub framework_tasks: BTreeMap<String, String>,
    /// Outstanding offers, by id: a fold of the events.
    pub offers: BTreeMap<OfferId, Arc<Offer>>,
    /// Where each framework listens: a fold of what its streams were told.
    pub streams: BTreeMap<FrameworkId, StreamId>,
    /// Number of the newest stream.
    pub last_stream: StreamId,
    /// The last update of each framework's task that is to be acknowledged.
    pub updates: BTreeMap<(FrameworkId, String), FrameworkUpdate>,
    /// The machines that the world was told of.
    pub agents: BTreeSet<AgentId>,
    /// What of the outcome the text shows: the first letters of its lines.
    pub show: &'static str,
}

/// Shows all lines.
const EVERYTHING: &str = "<rents";

pub fn key(record: &Record) -> String {
    match record {
        Record::PutAgent(agent) => format!("agent {}", agent.hello.agent.clone().unwrap()),
        Record::DeleteAgent(id) => format!("agent {id}"),
        Record::PutSpec(id, _) | Record::DeleteSpec(id) => format!("spec {:06}", id.0),
        Record::PutAssignment(number, _) | Record::DeleteAssignment(number) => {
            format!("assignment {number:06}")
        }
        Record::PutGivenUp(number, _) | Record::DeleteGivenUp(number) => format!("given up {number:06}"),
        Record::PutRole(role) => format!("role {}", role.name),
        Record::DeleteRole(name) => format!("role {name}"),
        Record::PutFramework(record) => format!("framework {}", record.info.id),
        Record::DeleteFramework(id) => format!("framework {id}"),
        Record::PutParts(agent, _) => format!("parts {agent}"),
        Record::PutMaintenance(_) => "maintenance".into(),
        Record::PutGone(agent, _) | Record::DeleteGone(agent) => format!("gone {agent}"),
    }
}

fn is_put(record: &Record) -> bool {
    match record {
        Record::PutParts(_, parts) => !parts.is_empty(),
        Record::PutMaintenance(said) => **said != Maintenance::default(),
        record => matches!(
            record,
            Record::PutAgent(_)
                | Record::PutSpec(..)
                | Record::PutAssignment(..)
                | Record::PutGivenUp(..)
                | Record::PutRole(_)
                | Record::PutFramework(_)
                | Record::PutGone(..)
        ),
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings { leadership: "L1".into(), ..Settings::default() })
    }

    pub fn with(settings: Settings) -> Self {
        Self {
            kernel: Kernel::new(settings.clone()),
            settings,
            now: Timestamp(1_000_000),
            store: BTreeMap::new(),
            specs: BTreeMap::new(),
            launches: BTreeMap::new(),
            launched_on: BTreeMap::new(),
            named: 0,
            tasks: BTreeMap::new(),
            framework_tasks: BTreeMap::new(),
            offers: BTreeMap::new(),
            streams: BTreeMap::new(),
            last_stream: 0,
            updates: BTreeMap::new(),
            agents: BTreeSet::new(),
            show: EVERYTHING,
        }
    }

    /// Applies a command and tells what came of it.
    pub fn apply(&mut self, command: Command) -> String {
        let outcome = self.kernel.apply(self.now, command);
        self.took(outcome)
    }

    pub fn took(&mut self, outcome: Outcome) -> String {
        for record in &outcome.records {
            if is_put(record) {
                self.store.insert(key(record), record.clone());
            } else {
                let was = self.store.remove(&key(record));
                assert!(was.is_some(), "{record:?} deletes what is there");
            }
        }
        for effect in &outcome.effects {
            if let Effect::Launch { agent, launch, .. } = effect {
                self.launched_on.insert(launch.instance.to_string(), agent.clone());
                self.launches.insert(launch.instance.to_string(), (**launch).clone());
            }
        }
        for event in &outcome.events {
            match event {
                Event::Agent(view) => {
                    self.agents.insert(view.id.clone());
                }
                Event::AgentRemoved(id) => assert!(self.agents.remove(id), "{id} was shown before"),
                Event::Task { view, .. } => {
                    assert!(self.agents.contains(&view.agent), "a machine is shown before its tasks");
                    let tasks =
                        if view.framework.is_some() { &mut self.framework_tasks } else { &mut self.tasks };
                    tasks.insert(view.status.task.to_string(), view.status.state.to_string());
                }
                Event::TaskRemoved(id) => {
                    let was =
                        self.tasks.remove(id.as_str()).or_else(|| self.framework_tasks.remove(id.as_str()));
                    assert!(was.is_some(), "{id} was shown before");
                }
                Event::Offer(offer) => {
                    let was = self.offers.insert(offer.id.clone(), offer.clone());
                    assert!(was.is_none(), "{} is offered twice", offer.id);
                }
                Event::OfferEnded { id, .. } => {
                    assert!(self.offers.remove(id).is_some(), "{id} was shown before");
                }
                _ => {}
            }
        }
        for (stream, message) in &outcome.streams {
            self.heard(*stream, message);
        }
        self.check();
        text(&outcome, self.show)
    }

    /// A framework hears something: on the stream that it has, and what it is offered it holds.
    fn heard(&mut self, stream: StreamId, message: &ToStream) {
        let id = self.streams.iter().find(|(_, own)| **own == stream).map(|(id, _)| id.clone());
        match message {
            ToStream::Close => drop(id.and_then(|id| self.streams.remove(&id))),
            ToStream::Event(event) => match (&**event, id) {
                (FrameworkEvent::Subscribed { framework }, _) => {
                    self.streams.insert(framework.clone(), stream);
                }
                (FrameworkEvent::Error(_), _) => {}
                (FrameworkEvent::Update(update), Some(id)) if update.uuid.is_some() => {
                    self.updates.insert((id, update.task.clone()), (**update).clone());
                }
                (_, id) => assert!(id.is_some(), "stream {stream} hears {event:?} and is nobody's"),
            },
        }
    }

    pub fn check(&self) {
        self.kernel.check();
        let mut stored: Vec<_> = self.kernel.stored();
        stored.sort_by_key(key);
        let expected: Vec<_> = self.store.values().cloned().collect();
        assert_eq!(stored, expected, "the store has what it must");
        let mut live: Vec<_> = Vec::new();
        for record in &stored {
            if let Record::PutAssignment(_, record) = record {
                live.extend(record.tasks.iter().map(|task| task.to_string()));
            }
        }
        live.sort();
        assert!(live.iter().eq(self.tasks.keys()), "the world was told of just the live tasks");
    }

    /// Another leader takes over from the store.
    pub fn restart(&mut self) -> String {
        self.kernel = Kernel::new(self.settings.clone());
        self.settings.leadership =
            match self.settings.leadership.strip_prefix('L').and_then(|n| n.parse::<u32>().ok()) {
                Some(number) => format!("L{}", number + 1),
                None => "L1".into(),
            };
        self.kernel = Kernel::new(self.settings.clone());
        self.tasks.clear();
        self.framework_tasks.clear();
        self.offers.clear();
        self.streams.clear();
        self.agents.clear();
        // The order of records must not matter.
        let records: Vec<_> = self.store.values().rev().cloned().collect();
        let outcome = self.kernel.restore(self.now, records);
        self.took(outcome)
    }

    /// Time passes; every deadline is kept. The text of all ticks.
    pub fn pass(&mut self, ms: u64) -> String {
        let until = self.now + ms;
        let mut text = String::new();
        while let Some(at) = self.kernel.next_deadline().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            text += &self.apply(Command::Tick);
            let next = self.kernel.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "a tick does all that is due");
        }
        self.now = until;
        text
    }

    // Shorthands.

    pub fn hello(&mut self, hello: Hello) -> String {
        self.apply(Command::AgentConnected { hello: Box::new(hello) })
    }

    pub fn call(&mut self, call: Call) -> String {
        self.apply(Command::Call { owner: Owner::services(), principal: Principal::loopback(), call })
    }

    pub fn spec(&mut self, spec: GroupSpec) -> SpecId {
        let spec = Arc::new(spec);
        let call = Call::RegisterSpec { group: spec.clone() };
        let command = Command::Call { owner: Owner::services(), principal: Principal::loopback(), call };
        let outcome = self.kernel.apply(self.now, command);
        let Some(Ok(Answer::Spec(id))) = outcome.answer else { panic!("{:?}", outcome.answer) };
        self.specs.insert(id, spec);
        id
    }

    pub fn claim(&mut self, role: &str, gang: bool, placements: Vec<Placement>) -> String {
        let claim = Claim {
            owner: Owner::services(),
            role: role.into(),
            principal: Principal::loopback(),
            gang,
            constraints: vec![],
            placements,
        };
        self.call(Call::Claim(claim))
    }

    /// Claims a place for one instance of one task, named after it.
    pub fn place(&mut self, instance: &str, spec: SpecId, agent: &str) -> String {
        let placement = self.placement(instance, spec, agent);
        self.claim("*", false, vec![placement])
    }

    /// A placement that fits on the agent now (or would if it were empty).
    pub fn placement(&self, instance: &str, spec: SpecId, agent: &str) -> Placement {
        let demand = self.specs[&spec].demand();
        let allocation = self
            .kernel
            .cluster()
            .node(&agent.into())
            .and_then(|node| node.free.pick(&demand).or_else(|_| node.total.pick(&demand)).ok())
            .unwrap_or_else(|| Allocation {
                cpus_milli: demand.cpus_milli,
                mem: demand.mem,
                disk: demand.disk,
                ..Allocation::default()
            });
        Placement {
            instance: instance.into(),
            tasks: vec![task_id(instance)],
            spec,
            agent: agent.into(),
            allocation,
        }
    }

    pub fn update(&mut self, agent: &str, instance: &str, sequence: u64, state: TaskState) -> String {
        let status = status(instance, sequence, state);
        self.apply(Command::Update { agent: agent.into(), status })
    }

    pub fn kill(&mut self, instance: &str) -> String {
        self.call(Call::Kill { instance: instance.into(), grace_ms: None, message: "enough".into() })
    }

    pub fn give_up(&mut self, instance: &str) -> String {
        self.call(Call::GiveUp { instance: instance.into() })
    }

    pub fn disconnect(&mut self, agent: &str) -> String {
        self.apply(Command::AgentDisconnected { agent: agent.into() })
    }

    pub fn contact(&mut self, agent: &str) -> String {
        self.apply(Command::AgentContact { agent: agent.into() })
    }

    pub fn order(&mut self, agent: &str, order: AgentOrder) -> String {
        self.apply(Command::AdminAgent { principal: Principal::loopback(), agent: agent.into(), order })
    }

    pub fn role(&mut self, name: &str, weight_milli: u64, guarantee: Bound, limit: Bound) -> String {
        let role = Role { name: name.into(), weight_milli, guarantee, limit };
        self.apply(Command::SetRole { principal: Principal::loopback(), role })
    }

    /// What the agent would report of an instance that it was sent: its newest status, unacknowledged or not.
    pub fn report(&self, instance: &str, sequence: u64, state: TaskState, waiting: bool) -> GroupReport {
        let launch = self.launches.get(instance).expect("it was launched").clone();
        let status = status(instance, sequence, state);
        GroupReport {
            launch,
            unacknowledged: if waiting { vec![status.clone()] } else { Vec::new() },
            statuses: vec![status],
        }
    }

    pub fn free(&self, agent: &str) -> String {
        self.kernel.cluster().node(&agent.into()).map(|node| node.free.to_string()).unwrap_or_default()
    }
}

/// An agent with this name and host name, on its first boot, with 4 CPUs, 4096 MiB and ten ports.
pub fn agent(name: &str) -> Hello {
    Hello {
        agent: Some(name.into()),
        boot: Some("b1".into()),
        hostname: format!("host-{name}"),
        resources: "cpus:4;mem:4096;disk:1000;ports:[31000-31009]".parse().unwrap(),
        ..Hello::default()
    }
}

/// A spec of one task that takes so many thousandths of a CPU and 100 MiB.
pub fn cpus(milli: u64) -> GroupSpec {
    let demand = Demand { cpus_milli: milli, mem: 100 * resources::MIB, ..Demand::default() };
    let task = TaskSpec { name: "_app".into(), demand, ..TaskSpec::default() };
    GroupSpec { origin: Origin::Framework, tasks: vec![task], ..GroupSpec::default() }
}

pub fn task_id(instance: &str) -> TaskId {
    TaskId::from(format!("{instance}.t"))
}

pub fn status(instance: &str, sequence: u64, state: TaskState) -> TaskStatus {
    TaskStatus::new(task_id(instance), instance.into(), sequence, state, Timestamp(sequence))
}

/// Compares, showing both in full.
#[track_caller]
pub fn check(got: String, expected: &str) {
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got: Vec<_> = got.lines().collect();
    assert!(got == expected, "got:\n{}\n\nexpected:\n{}\n", got.join("\n"), expected.join("\n"));
}

/// An outcome in text, a thing a line.
pub fn text(outcome: &Outcome, show: &str) -> String {
    let mut lines = Vec::new();
    match &outcome.answer {
        None | Some(Ok(Answer::Done)) => {}
        Some(Ok(Answer::Claim(answers))) => lines.extend(answers.iter().map(|answer| match answer {
            Ok(()) => "< ok".to_string(),
            Err(rejection) => format!("< {rejection}"),
        })),
        Some(other) => lines.push(format!("< {other:?}")),
    }
    lines.extend(outcome.records.iter().map(|record| {
        let verb = if is_put(record) { "put" } else { "delete" };
        let more = match record {
            Record::PutAssignment(_, record) => match &record.killing {
                Some((grace, message)) => format!(" {} killing {grace:?} {message}", record.instance),
                None => format!(" {}", record.instance),
            },
            Record::PutGivenUp(_, record) => format!(" {}", record.instance),
            Record::PutAgent(record) => match record.unreachable_since {
                Some(since) => format!(" unreachable since {}", since.0),
                None => format!(" {:?}", record.wanted),
            },
            _ => String::new(),
        };
        format!("record {verb} {}{more}", key(record).replace(" 00000", " ").replace(" 0000", " "))
    }));
    lines.extend(outcome.events.iter().map(|event| match event {
        Event::Agent(view) => {
            format!("event agent {} {:?} {}", view.id, view.state, view.allocated.cpus_milli)
        }
        Event::AgentRemoved(id) => format!("event agent {id} removed"),
        Event::Task { view, change } => {
            let change = if *change == TaskChange::State { String::new() } else { format!(" {change:?}") };
            format!("event {} {}{change}", view.status.task, view.status.state)
        }
        Event::TaskRemoved(id) => format!("event {id} removed"),
        Event::GivenUpEnded { instance, state } => format!("event given up {instance} ended: {state}"),
        Event::Framework(view) => {
            let state = match (view.connected, view.recovered) {
                (true, _) => "connected",
                (false, true) => "recovered",
                (false, false) => "disconnected",
            };
            format!("event framework {} {state}", view.info.id)
        }
        Event::FrameworkRemoved(id) => format!("event framework {id} removed"),
        Event::Executor(view) => {
            format!("event executor {} of {} on {}", view.run.id, view.framework, view.agent)
        }
        Event::ExecutorRemoved(_) => "event executor removed".into(),
        Event::Offer(offer) => format!("event offer {}", offer.id),
        Event::OfferEnded { id, why } => format!("event offer {id} {why:?}"),
        Event::Role(view) => format!("event role {} {}", view.role.name, view.allocated.cpus_milli),
        Event::Alarm { code, .. } => format!("event alarm {code}"),
        other => format!("event {other:?}"),
    }));
    lines.extend(outcome.notices.iter().map(|(owner, notice)| match notice {
        Notice::Placed(placed) => {
            let unreachable = if placed.unreachable_since.is_some() { " unreachable" } else { "" };
            let killing = if placed.killing { " killing" } else { "" };
            let adopted = if placed.adopted { " adopted" } else { "" };
            let (instance, agent) = (&placed.instance, &placed.agent);
            format!("notice {owner} placed {instance} on {agent}{adopted}{unreachable}{killing}")
        }
        Notice::Status(status) => format!("notice {owner} {} {}", status.task, status.state),
        Notice::Unreachable { instance, since } => {
            format!("notice {owner} {instance} unreachable {}", since.0)
        }
        Notice::Reachable { instance } => format!("notice {owner} {instance} reachable"),
        Notice::Drain { instance } => format!("notice {owner} {instance} drain"),
    }));
    lines.extend(outcome.effects.iter().map(|effect| match effect {
        Effect::Launch { agent, boot, launch } => {
            format!("to {agent} launch {} under {boot}", launch.instance)
        }
        Effect::Kill { agent, instance, grace_ms, .. } => match grace_ms {
            None => format!("to {agent} kill {instance}"),
            Some(grace) => format!("to {agent} kill {instance} within {grace}"),
        },
        Effect::Acknowledge { agent, task, sequence } => format!("to {agent} acknowledge {task} {sequence}"),
        Effect::Release { agent, instance } => format!("to {agent} release {instance}"),
        Effect::ShutdownExecutor { agent, container } => format!("to {agent} shut down {container}"),
        Effect::ToExecutor { agent, container, data } => format!("to {agent} tell {container} {data:?}"),
        Effect::RemoveVolume { agent, role, id } => format!("to {agent} remove volume {id} of {role}"),
        Effect::Refuse { agent, reason } => format!("to {agent} refused: {reason}"),
    }));
    lines.extend(outcome.streams.iter().map(|(stream, message)| match message {
        ToStream::Close => format!("stream {stream} closed"),
        ToStream::Event(event) => format!("stream {stream} {}", heard(event)),
    }));
    let initials = |line: &String| line.starts_with(|first| show.contains(first));
    lines.into_iter().filter(initials).map(|line| line + "\n").collect()
}

/// What a framework hears, in text.
fn heard(event: &FrameworkEvent) -> String {
    match event {
        FrameworkEvent::Subscribed { framework } => format!("subscribed {framework}"),
        FrameworkEvent::Offers(offers) => {
            let offers = offers.iter().map(|offer| {
                let parts: Vec<_> = offer.parts.iter().map(part).collect();
                format!("{} on {} for {}: {}", offer.id, offer.agent, offer.role, parts.join(" + "))
            });
            format!("offers {}", offers.collect::<Vec<_>>().join(" | "))
        }
        FrameworkEvent::Rescind(offer) => format!("rescind {offer}"),
        FrameworkEvent::Update(update) => {
            let reason = update.status.reason.map(|reason| format!(" {}", reason.name())).unwrap_or_default();
            let again = if update.uuid.is_some() { " !" } else { "" };
            format!("update {} {}{reason}{again}", update.task, update.state())
        }
        FrameworkEvent::Failure { agent, executor: None } => format!("failure {agent}"),
        FrameworkEvent::Failure { agent, executor: Some((id, status)) } => {
            format!("failure {agent} {id} {status}")
        }
        FrameworkEvent::Message { agent, executor, data } => {
            format!("message from {executor} on {agent}: {data:?}")
        }
        FrameworkEvent::Error(message) => format!("error: {message}"),
    }
}

fn part(part: &hansa_model::framework::Part) -> String {
    let amount = &part.amount;
    let mut text = format!("{} {}", resources::milli_text(amount.cpus_milli), amount.mem / resources::MIB);
    if part.volume.is_some() || amount.cpus_milli == 0 && amount.mem == 0 {
        text = format!("disk {}", amount.disk / resources::MIB);
    }
    if amount.gpus > 0 {
        text += &format!(" gpus {}", amount.gpus);
    }
    if let Some(source) = &part.source {
        text += &format!(" on {}", source.root());
    }
    for reservation in &part.reservations {
        text += &if reservation.fixed {
            format!(" (={})", reservation.role)
        } else {
            format!(" ({})", reservation.role)
        };
    }
    if let Some(volume) = &part.volume {
        text += &format!(" [{}]", volume.id);
    }
    text
}
