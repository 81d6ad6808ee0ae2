//! One simulated machine: an agent process around the real core, its disk, and the processes that shims keep.

use crate::executors::Player;
use hansa_model::app::AppSpec;
use hansa_model::framework::{Amount, DiskSource, Part, Reservation, parts};
use hansa_model::resources::{Allocation, MIB};
use hansa_model::task::Exit;
use hansa_model::{AgentId, BootId, InstanceId, Resources, RoleName, TaskId, Timestamp};
use hansa_node::{Config, Found, Node, Saved};
use std::collections::{BTreeMap, BTreeSet};

/// A task's process under its shim.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its task.
    pub task: TaskId,
    /// What it was given.
    pub limits: Allocation,
    /// Its environment's `VERSION`: which definition it was started from.
    pub version: String,
    /// Whether the shim still sets it up.
    pub starting: bool,
    /// How it ended; None: it lives.
    pub exit: Option<Exit>,
    /// Whether it ignores SIGTERM.
    pub stubborn: bool,
    /// When its shim ends it unless told otherwise.
    pub deadline: Option<Timestamp>,
    /// Until when its health checks fail.
    pub sick_until: Timestamp,
    /// Milliseconds after which it ends by itself.
    pub lasts_ms: Option<u64>,
}

impl Process {
    /// Whether it holds its resources.
    pub fn is_alive(&self) -> bool {
        self.exit.is_none()
    }
}

/// A machine.
pub struct Machine {
    /// Its place in the world.
    pub number: usize,
    /// Its agent's id.
    pub id: AgentId,
    /// What it has.
    pub resources: Resources,
    /// What of that its configuration sets apart.
    pub parts: Vec<Part>,
    /// The agent process; None: it is not running.
    pub node: Option<Node>,
    /// Counts agent processes, so that what was meant for an earlier one is not given to a later.
    pub epoch: u64,
    /// Counts boots.
    pub boots: u64,
    /// Whether the machine has power.
    pub up: bool,
    /// What the agent has stored.
    pub saved: Saved,
    /// What runs, or ran and was not cleaned up.
    pub processes: BTreeMap<InstanceId, Process>,
    /// What executors of frameworks remember.
    pub players: BTreeMap<InstanceId, Player>,
    /// Persistent volumes that are there, by role and id.
    pub volumes: BTreeSet<(RoleName, String)>,
    /// The volume that is on a disk that cannot be divided.
    pub mounted: Option<(RoleName, String)>,
    /// Whether its shims have a stop deadline.
    pub fenced: bool,
    /// Milliseconds that its clock is ahead of the world's.
    pub skew: u64,
    /// Until when nothing reaches it.
    pub cut_until: Timestamp,
    /// The tick that is scheduled.
    pub tick_at: Option<Timestamp>,
}

/// What a machine has usually: room for everything on two or three of them.
pub fn roomy() -> Resources {
    "cpus:8;mem:16384;disk:10000;ports:[31000-31050]".parse().expect("a valid notation")
}

/// What machines have in worlds where instances wait for each other's places.
pub fn narrow() -> Resources {
    "cpus:1.5;mem:1024;disk:10000;ports:[31000-31050]".parse().expect("a valid notation")
}

/// Milliseconds after which a fenced machine's shims end everything.
pub const STOP_DEADLINE_MS: u64 = 7_000;

impl Machine {
    /// A machine that is switched off.
    pub fn new(number: usize, fenced: bool, skew: u64, resources: Resources) -> Self {
        Self {
            number,
            id: AgentId::from(format!("agent-{number}")),
            resources,
            parts: Vec::new(),
            node: None,
            epoch: 0,
            boots: 0,
            up: false,
            saved: Saved::default(),
            processes: BTreeMap::new(),
            players: BTreeMap::new(),
            volumes: BTreeSet::new(),
            mounted: None,
            fenced,
            skew,
            cut_until: Timestamp(0),
            tick_at: None,
        }
    }

    /// Its configuration sets something apart, which it has besides everything else: some for a role, and disks of their
    /// own, of which one cannot be divided and the other is that role's.
    pub fn sets_apart(&mut self, role: &str) {
        let amount = Amount { cpus_milli: 300, mem: 96 * MIB, ..Amount::default() };
        let disk = |mib: u64| Part::unreserved(Amount { disk: mib * MIB, ..Amount::default() });
        let fixed = Reservation { role: role.into(), principal: None, labels: Vec::new(), fixed: true };
        let fixed = vec![fixed];
        self.parts = vec![
            Part { reservations: fixed.clone(), ..Part::unreserved(amount) },
            Part { source: Some(DiskSource::Mount("/mnt".into())), ..disk(64) },
            Part { reservations: fixed, source: Some(DiskSource::Path("/path".into())), ..disk(32) },
        ];
        let all = parts::sum(&self.parts);
        self.resources.cpus_milli += all.cpus_milli;
        self.resources.mem += all.mem;
        self.resources.disk += all.disk;
    }

    /// What its agent is told about itself.
    pub fn config(&self) -> Config {
        let boot = BootId::from(format!("boot-{}-{}", self.number, self.boots));
        let mut config = Config::new(self.id.clone(), boot, format!("node{}", self.number));
        config.resources = self.resources.clone();
        config.parts.clone_from(&self.parts);
        config.address = format!("node{}:5051", self.number);
        config.attributes.insert("rack".into(), format!("r{}", self.number % 3));
        config.timing.stop_deadline_ms = self.fenced.then_some(STOP_DEADLINE_MS);
        config
    }

    /// What an agent process that starts now finds of stored groups.
    pub fn found(&self) -> BTreeMap<InstanceId, Found> {
        let found = |process: &Process| match process.exit {
            Some(exit) => Found::Exited { exit, limitation: None, message: String::new() },
            None if process.starting => Found::Starting,
            None => Found::Running { addresses: Vec::new() },
        };
        self.processes.iter().map(|(instance, process)| (instance.clone(), found(process))).collect()
    }

    /// Everything dies with the machine; what lies on its disk stays.
    pub fn power_off(&mut self) {
        self.up = false;
        self.node = None;
        self.epoch += 1;
        self.processes.clear();
        self.players.clear();
    }

    /// Compares what the living processes have with what the machine has.
    pub fn check(&self) -> Result<(), String> {
        let mut free = self.resources.clone();
        for (instance, process) in self.processes.iter().filter(|(_, process)| process.is_alive()) {
            free.take(&process.limits)
                .map_err(|error| format!("{} is over-committed by {instance}: {error}", self.id))?;
        }
        Ok(())
    }
}

/// The definition that an app spec's processes show as their version: all of it but the number of instances.
pub fn version_of(spec: &AppSpec) -> String {
    spec.env.get("VERSION").cloned().unwrap_or_default()
}
