//! Frameworks as clients: they take offers, launch, kill, lose their streams, come back, and end for ever. What they are
//! told is held against what the protocol promises.

use crate::machine::Process;
use crate::world::{Event, World};
use hansa_cell::ToStream;
use hansa_cell::{Input, Request};
use hansa_model::framework::{
    Amount, Capability, FrameworkCall, FrameworkEvent, FrameworkInfo, FrameworkUpdate, Offer, OfferFilter,
    Operation, Part, PersistentVolume, Raw, Reservation, StreamId, TaskAsked, parts,
};
use hansa_model::resources::MIB;
use hansa_model::spec::{Command, TaskSpec};
use hansa_model::task::{Reason, TaskState};
use hansa_model::{AgentId, FrameworkId, InstanceId, OfferId, Principal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many frameworks there are.
pub const FRAMEWORKS: usize = 2;

/// Tasks that a framework wants at most at a time.
const TASKS: usize = 6;

/// What a framework was told of one of its tasks.
#[derive(Debug)]
struct Told {
    agent: AgentId,
    state: TaskState,
    /// The update that it has not acknowledged.
    in_hand: Option<u128>,
    acknowledged: BTreeSet<u128>,
    /// Whether it acknowledged an end.
    over: bool,
    killed: bool,
}

impl Told {
    /// Whether the framework believes that it may run.
    fn is_open(&self) -> bool {
        !self.state.is_terminal() && self.state != TaskState::Unknown
    }
}

/// One framework.
#[derive(Debug, Default)]
pub struct Framework {
    number: usize,
    /// Rises when it has ended for ever: the next is another.
    generation: u64,
    stream: Option<StreamId>,
    subscribed: bool,
    offers: BTreeMap<OfferId, Arc<Offer>>,
    tasks: BTreeMap<String, Told>,
    named: u64,
    /// Volumes that it was offered and has not destroyed.
    volumes: BTreeSet<(AgentId, String)>,
}

impl Framework {
    /// One that has never been heard of.
    pub fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    fn id(&self) -> FrameworkId {
        FrameworkId::from(format!("fw-{}-{}", self.number, self.generation))
    }

    /// Its stream broke.
    pub fn hang_up(&mut self) -> Option<StreamId> {
        self.subscribed = false;
        self.offers.clear();
        self.stream.take()
    }

    /// It ended for ever; another takes its place.
    fn end(&mut self) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::new(self.number) };
    }

    /// The store was replaced by an older copy: what was made since is lost.
    pub fn forget_volumes(&mut self) {
        self.volumes.clear();
    }
}

/// Whether a process is of a framework's task.
pub fn is_of_framework(instance: &InstanceId) -> bool {
    !instance.as_str().contains(".instance-")
}

impl World {
    /// A framework does something by itself.
    pub fn framework_acts(&mut self) {
        let number = self.random.usize(0..FRAMEWORKS);
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
            7 => self.framework_calls(number, FrameworkCall::Revive { roles: BTreeSet::new() }),
            8 => self.framework_calls(number, FrameworkCall::Suppress { roles: BTreeSet::new() }),
            9 if self.random.u8(0..8) == 0 => {
                self.framework_calls(number, FrameworkCall::Teardown);
            }
            _ => {}
        }
    }

    /// Once the faults have stopped, frameworks come back and ask how their tasks stand.
    pub fn settle_frameworks(&mut self) {
        for number in 0..FRAMEWORKS {
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

    fn framework_subscribes(&mut self, number: usize) {
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
            roles: BTreeSet::from(["fw".into()]),
            capabilities: BTreeSet::from([Capability::PartitionAware]),
            failover_timeout_ms: if number == 0 { 90_000 } else { 20_000 },
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

    fn framework_hangs_up(&mut self, number: usize) {
        if let Some(stream) = self.frameworks[number].hang_up() {
            self.note(format_args!("stream {stream} breaks"));
            self.master_input(Input::FrameworkGone { stream });
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

    fn framework_calls(&mut self, number: usize, call: FrameworkCall) {
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
                    let framework = &mut self.frameworks[number];
                    for part in &offer.parts {
                        if let Some(volume) = &part.volume {
                            framework.volumes.insert((offer.agent.clone(), volume.id.clone()));
                        }
                    }
                    framework.offers.insert(offer.id.clone(), offer.clone());
                    self.framework_answers(number, stream, &offer);
                }
            }
            FrameworkEvent::Rescind(offer) => {
                if framework.offers.remove(&offer).is_none() {
                    self.broke(format!("{offer} is rescinded, and stream {stream} never saw it"));
                }
            }
            FrameworkEvent::Update(update) => self.framework_told(number, stream, &update),
            FrameworkEvent::Failure { .. } | FrameworkEvent::Message { .. } => {}
            // A close follows.
            FrameworkEvent::Error(_) => {}
        }
    }

    /// A framework decides what to do with an offer; it does it a little later, or never.
    fn framework_answers(&mut self, number: usize, stream: StreamId, offer: &Arc<Offer>) {
        let offers = vec![offer.id.clone()];
        if self.faults && self.random.u8(0..10) == 0 {
            // It hoards.
            return;
        }
        let refuse_ms = if self.faults { self.random.u64(0..20_000) } else { 3_600_000 };
        let filter = OfferFilter { refuse_ms };
        let mut operations = Vec::new();
        let open = self.frameworks[number].tasks.values().filter(|told| told.is_open()).count();
        if self.faults && open < TASKS && self.random.u8(0..3) > 0 {
            operations = self.some_operations(number, offer);
        }
        let call = match operations.is_empty() {
            true => FrameworkCall::Decline { offers, filter },
            false => FrameworkCall::Accept { offers, operations, filter },
        };
        let ms = self.random.u64(1..200);
        self.after(ms, Event::FrameworkReacts { number, stream, call: Box::new(call) });
    }

    fn some_operations(&mut self, number: usize, offer: &Offer) -> Vec<Operation> {
        let mut operations = Vec::new();
        let amount = Amount { cpus_milli: 200, mem: 32 * MIB, ..Amount::default() };
        let mut wanted = vec![Part::unreserved(amount)];
        let disk = Amount { disk: 8 * MIB, ..Amount::default() };
        let reservation =
            Reservation { role: "fw".into(), principal: None, labels: Vec::new(), fixed: false };
        let kept = Part { reservations: vec![reservation], volume: None, amount: disk.clone() };
        let made = offer.parts.iter().find(|part| part.volume.is_some()).cloned();
        match (made, self.random.u8(0..8)) {
            (Some(volume), 0) => {
                let id = volume.volume.as_ref().map(|volume| volume.id.clone()).unwrap_or_default();
                // It is the role's: whoever else saw it loses it, too.
                for framework in &mut self.frameworks {
                    framework.volumes.remove(&(offer.agent.clone(), id.clone()));
                }
                let plain = Part { volume: None, ..volume.clone() };
                operations.push(Operation::Destroy { parts: vec![volume] });
                operations.push(Operation::Unreserve { parts: vec![plain] });
            }
            (Some(volume), _) => wanted.push(volume),
            (None, 0) => {
                self.frameworks[number].named += 1;
                let named = format!("v{}", self.frameworks[number].named);
                let volume = PersistentVolume { id: named, principal: None, container_path: "data".into() };
                let volume = Part { volume: Some(volume), ..kept.clone() };
                operations.push(Operation::Reserve { parts: vec![kept] });
                operations.push(Operation::Create { parts: vec![volume.clone()] });
                wanted.push(volume);
            }
            (None, _) => {}
        }
        let has_room = parts::contain(&offer.parts, &wanted[..1]).is_ok();
        if !has_room {
            return operations;
        }
        let framework = &mut self.frameworks[number];
        framework.named += 1;
        let id = format!("t{}", framework.named);
        let told = Told {
            agent: offer.agent.clone(),
            state: TaskState::Staging,
            in_hand: None,
            acknowledged: BTreeSet::new(),
            over: false,
            killed: false,
        };
        framework.tasks.insert(id.clone(), told);
        let command = Command::Shell("work".into());
        let spec = TaskSpec { name: id.clone(), command, kill_grace_ms: 500, ..TaskSpec::default() };
        let task = TaskAsked {
            name: id.clone(),
            id,
            agent: offer.agent.clone(),
            parts: wanted,
            executor: None,
            spec: Ok(Box::new(spec)),
            info: Raw::default(),
        };
        operations.push(Operation::Launch { tasks: vec![task] });
        operations
    }

    /// A framework is told how a task stands.
    fn framework_told(&mut self, number: usize, stream: StreamId, update: &FrameworkUpdate) {
        let (id, state) = (update.task.clone(), update.state());
        let Some(told) = self.frameworks[number].tasks.get_mut(&id) else {
            return self.broke(format!("an update of {id}, which fw-{number} never launched: {update:?}"));
        };
        let Some(uuid) = update.uuid else {
            let is_news = told.in_hand.is_none() || state.is_terminal();
            if !told.over && is_news {
                told.state = state;
            }
            return;
        };
        let known = told.acknowledged.contains(&uuid);
        if told.over && !known {
            return self
                .broke(format!("{id} has ended, that was acknowledged, and there is more of it: {state:?}"));
        }
        if !known && told.in_hand.is_some_and(|in_hand| in_hand != uuid) {
            return self
                .broke(format!("{state:?} of {id} comes before the update before it is acknowledged"));
        }
        if !known {
            told.in_hand = Some(uuid);
            told.state = state;
        }
        if self.faults && self.random.u8(0..10) == 0 {
            // It will be told again.
            return;
        }
        let Some(agent) = update.agent.clone() else {
            return self.broke(format!("an update of {id} is to be acknowledged and names no agent"));
        };
        let call = FrameworkCall::Acknowledge { agent, task: id, uuid };
        let ms = self.random.u64(1..100);
        self.after(ms, Event::FrameworkReacts { number, stream, call: Box::new(call) });
    }

    /// A framework's acknowledgement leaves it.
    fn framework_acknowledges(&mut self, number: usize, call: &FrameworkCall) {
        if let FrameworkCall::Acknowledge { task, uuid, .. } = call
            && let Some(told) = self.frameworks[number].tasks.get_mut(task)
        {
            told.acknowledged.insert(*uuid);
            if told.in_hand == Some(*uuid) {
                told.in_hand = None;
                told.over |= told.state.is_terminal();
            }
        }
    }

    /// Why frameworks are not yet what they should be; None: they are.
    pub fn frameworks_not_converged(&self) -> Option<String> {
        let master = self.master.as_ref()?;
        let shown = &master.picture.framework_tasks;
        for framework in &self.frameworks {
            let id = framework.id();
            if !framework.subscribed {
                return Some(format!("{id} is not subscribed"));
            }
            for (task, told) in &framework.tasks {
                let here = shown.values().find(|shown| shown.framework == id && shown.task == *task);
                let state = here.map(|shown| shown.state);
                if told.is_open() && told.killed {
                    return Some(format!(
                        "{task} of {id} was killed, and its framework believes it {:?}",
                        told.state
                    ));
                }
                if told.is_open() != state.is_some_and(|state| !state.is_terminal()) {
                    return Some(format!(
                        "{task} of {id} is shown as {state:?}, and it was told {:?}",
                        told.state
                    ));
                }
                let runs = here.is_some_and(|shown| self.runs(&shown.instance));
                if told.is_open() != runs {
                    return Some(format!("{task} of {id} runs: {runs}, and it was told {:?}", told.state));
                }
            }
            for (agent, volume) in &framework.volumes {
                let kept = master.picture.reserved.get(agent).into_iter().flatten();
                let mut kept = kept.filter_map(|part| part.volume.as_ref());
                if !kept.any(|kept| kept.id == *volume) {
                    return Some(format!("volume {volume} of {id} on {agent} is lost"));
                }
            }
        }
        for machine in &self.machines {
            let mut lives = machine.processes.iter().filter(|(_, process)| process.is_alive());
            let stray = lives.find(|(instance, _)| {
                is_of_framework(instance) && !shown.values().any(|shown| shown.instance == **instance)
            });
            if let Some((instance, _)) = stray {
                return Some(format!("{instance} runs on {}, and nobody knows", machine.id));
            }
            for group in machine.saved.groups().values().filter(|group| group.launch.framework.is_some()) {
                if !group.unacknowledged.is_empty() {
                    let what = &group.launch.instance;
                    return Some(format!(
                        "updates of {what} on {} wait: {:?}",
                        machine.id, group.unacknowledged
                    ));
                }
            }
        }
        None
    }

    fn runs(&self, instance: &InstanceId) -> bool {
        let process = self.machines.iter().find_map(|machine| machine.processes.get(instance));
        process.is_some_and(Process::is_alive)
    }
}

/// Whether a task was said to have ended only because its framework did: it is being killed.
pub fn ended_with_framework(reason: Option<Reason>) -> bool {
    reason == Some(Reason::ReasonFrameworkRemoved)
}
