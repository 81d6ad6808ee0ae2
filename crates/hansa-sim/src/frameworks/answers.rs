//! What frameworks do with offers.

use super::told::Told;
use super::{Framework, Play};
use crate::world::World;
use fastrand::Rng;
use hansa_model::framework::{
    Amount, ExecutorAsked, ExecutorKind, FrameworkCall, Offer, OfferFilter, Operation, Part,
    PersistentVolume, Raw, Reservation, StreamId, TaskAsked, parts,
};
use hansa_model::resources::MIB;
use hansa_model::spec::{Command, TaskSpec};
use std::sync::Arc;

/// Tasks that a restless framework wants at most at a time.
const TASKS: usize = 6;

/// What a framework wants that takes whatever it can use.
#[derive(Clone, Copy, Debug)]
pub struct Appetite {
    /// What one task takes: thousandths of a CPU,
    pub cpus_milli: u64,
    /// and bytes of memory.
    pub mem: u64,
    /// Tasks that it wants at most at a time.
    pub tasks: usize,
    /// Milliseconds after which a task ends by itself, or up to a half more; None: never.
    pub lasts_ms: Option<u64>,
}

/// An executor's name, of those that frameworks use.
pub fn some_executor(random: &mut Rng) -> String {
    ["x", "y", "pod"][random.usize(0..3)].to_owned()
}

/// An executor that takes this much besides its tasks.
fn executor(id: String, part: Part) -> Box<ExecutorAsked> {
    let kind = if id == "pod" { ExecutorKind::Default } else { ExecutorKind::Custom };
    Box::new(ExecutorAsked {
        info: Raw::new(id.clone().into_bytes()),
        id,
        kind,
        parts: vec![part],
        spec: Ok(Box::new(TaskSpec { command: Command::Shell("play".into()), ..TaskSpec::default() })),
        shutdown_grace_ms: Some(1_000),
    })
}

fn open(cpus_milli: u64, mem: u64) -> Part {
    Part::unreserved(Amount { cpus_milli, mem, ..Amount::default() })
}

impl World {
    /// A framework decides what to do with an offer; it does it a little later, or never.
    pub(super) fn framework_answers(&mut self, number: usize, stream: StreamId, offer: &Arc<Offer>) {
        let offers = vec![offer.id.clone()];
        let (operations, refuse_ms) = match self.frameworks[number].play.clone() {
            Play::Hoards => return,
            Play::Declines(refuse_ms) => (Vec::new(), refuse_ms),
            Play::Takes(appetite) => (self.as_many(number, offer, appetite), 5_000),
            // It hoards.
            Play::Restless if self.faults && self.random.u8(0..10) == 0 => return,
            Play::Restless => {
                let open = self.frameworks[number].tasks.values().filter(|told| told.is_open()).count();
                let takes = self.faults && open < TASKS && self.random.u8(0..3) > 0;
                let refuse_ms = if self.faults { self.random.u64(0..20_000) } else { 3_600_000 };
                (if takes { self.some_operations(number, offer) } else { Vec::new() }, refuse_ms)
            }
        };
        let filter = OfferFilter { refuse_ms };
        let call = match operations.is_empty() {
            true => FrameworkCall::Decline { offers, filter },
            false => FrameworkCall::Accept { offers, operations, filter },
        };
        let ms = self.random.u64(1..200);
        self.framework_will(number, stream, ms, call);
    }

    /// An answer leaves a framework: what it answers it has no more in hand.
    pub(super) fn framework_answered(&mut self, number: usize, call: &FrameworkCall) {
        let framework = &mut self.frameworks[number];
        if let FrameworkCall::Accept { offers, .. } | FrameworkCall::Decline { offers, .. } = call {
            for offer in offers {
                if framework.offers.remove(offer).is_some() {
                    framework.answered.insert(offer.clone());
                }
            }
        }
    }

    /// As many tasks as it wants and there is room for.
    fn as_many(&mut self, number: usize, offer: &Offer, appetite: Appetite) -> Vec<Operation> {
        let has = self.frameworks[number].tasks.values().filter(|told| told.is_open()).count();
        let part = open(appetite.cpus_milli, appetite.mem);
        let mut left = offer.parts.clone();
        let mut tasks = Vec::new();
        while has + tasks.len() < appetite.tasks
            && parts::take(&mut left, std::slice::from_ref(&part)).is_ok()
        {
            let command = match appetite.lasts_ms {
                Some(ms) => format!("work {}", ms + self.random.u64(0..=ms / 2)),
                None => "work".to_owned(),
            };
            tasks.push(self.frameworks[number].task(offer, vec![part.clone()], &command));
        }
        if tasks.is_empty() { Vec::new() } else { vec![Operation::Launch { tasks }] }
    }

    fn some_operations(&mut self, number: usize, offer: &Offer) -> Vec<Operation> {
        let mut operations = Vec::new();
        let mut wanted = vec![open(200, 32 * MIB)];
        let made = offer.parts.iter().find(|part| part.volume.is_some()).cloned();
        match (made, self.random.u8(0..8)) {
            (Some(volume), 0) => {
                let plain = Part { volume: None, ..volume.clone() };
                self.let_go(&volume);
                self.let_go(&plain);
                operations.push(Operation::Destroy { parts: vec![volume] });
                operations.push(Operation::Unreserve { parts: vec![plain] });
            }
            (Some(volume), _) => wanted.push(volume),
            (None, 0) => {
                let disk = Amount { disk: 8 * MIB, ..Amount::default() };
                // Of a disk of its own, if there is one: all of it, if it cannot be divided.
                let source = offer.parts.iter().find(|part| part.source.is_some());
                let from = source.cloned().unwrap_or_else(|| Part::unreserved(disk.clone()));
                let amount = if from.is_whole() { from.amount.clone() } else { disk };
                let framework = &mut self.frameworks[number];
                let kept = match from.role() {
                    Some(_) => Part { amount, ..from },
                    None => Part { source: from.source, ..framework.kept(amount) },
                };
                let id = framework.new_name("v");
                let volume = PersistentVolume { id, principal: None, container_path: "data".into() };
                let volume = Part { volume: Some(volume), ..kept.clone() };
                operations.push(Operation::Reserve { parts: vec![kept] });
                // (What is reserved already is not reserved again: that is dropped.)
                operations.push(Operation::Create { parts: vec![volume.clone()] });
                wanted.push(volume);
            }
            (None, _) => {}
        }
        let plain = |part: &&Part| part.role().is_some() && part.volume.is_none();
        match (offer.parts.iter().find(plain).cloned(), self.random.u8(0..12)) {
            (Some(kept), 0..3) if operations.is_empty() => {
                self.let_go(&kept);
                operations.push(Operation::Unreserve { parts: vec![kept] });
            }
            (Some(kept), 3..9) => wanted.push(kept),
            (None, 0) => {
                let amount = Amount { cpus_milli: 100, mem: 16 * MIB, ..Amount::default() };
                let kept = self.frameworks[number].kept(amount);
                operations.push(Operation::Reserve { parts: vec![kept] });
            }
            _ => {}
        }
        let (own, more) = (open(100, 32 * MIB), self.random.u8(0..8));
        // More than is asked for below, whatever that is: what is wanted and reserved above, too.
        if parts::contain(&offer.parts, &[open(700, 192 * MIB)]).is_err() {
            return operations;
        }
        let framework = &mut self.frameworks[number];
        match more {
            0..5 => {
                let task = framework.task(offer, wanted, "work");
                operations.push(Operation::Launch { tasks: vec![task] });
            }
            5..7 => {
                let id = if more == 5 { "x" } else { "y" };
                let task = framework.task(offer, wanted, "work");
                let task = TaskAsked { executor: Some(executor(id.to_owned(), own)), ..task };
                operations.push(Operation::Launch { tasks: vec![task] });
            }
            _ => {
                let first = framework.task(offer, wanted, "work");
                let second = framework.task(offer, vec![own.clone()], "work");
                let (executor, tasks) = (executor("pod".to_owned(), own), vec![first, second]);
                operations.push(Operation::LaunchGroup { executor, tasks });
            }
        }
        operations
    }
}

impl Framework {
    /// A task for an offer; from now on it is one of the framework's.
    fn task(&mut self, offer: &Offer, parts: Vec<Part>, command: &str) -> TaskAsked {
        let id = self.new_name("t");
        self.tasks.insert(id.clone(), Told::new(offer.agent.clone()));
        let command = Command::Shell(command.to_owned());
        let spec = TaskSpec { name: id.clone(), command, kill_grace_ms: 500, ..TaskSpec::default() };
        TaskAsked {
            name: id.clone(),
            info: Raw::new(id.clone().into_bytes()),
            id,
            agent: offer.agent.clone(),
            parts,
            executor: None,
            spec: Ok(Box::new(spec)),
        }
    }

    /// So much, reserved for its role under a label of its own.
    fn kept(&mut self, amount: Amount) -> Part {
        let labels = vec![("of".to_owned(), Some(self.new_name("r")))];
        let reservation = Reservation { role: self.role(), principal: None, labels, fixed: false };
        Part { reservations: vec![reservation], amount, ..Part::default() }
    }
}
