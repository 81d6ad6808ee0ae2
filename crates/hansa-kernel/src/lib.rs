//! The cluster state machine: agents, roles, quota, reservations, offers, claims, tasks.
//!
//! One value with one [`Kernel::apply`]: no clock, no randomness, no I/O; ordered iteration; integers. A rejected
//! command is an ordinary outcome that says why; a broken invariant is a bug and stops the process.
//!
//! Not here: what services and jobs want (`hansa-frameworks`), storing and encoding (`hansa-cell`), messages
//! (`hansa-link`).

use hansa_model::agent::Hello;
use hansa_model::event::{AgentState, Event};
use hansa_model::role::Role;
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::spec::{GroupSpec, Launch};
use hansa_model::task::TaskStatus;
use hansa_model::{
    AgentId, Allocation, BootId, InstanceId, Owner, Principal, RoleName, SpecId, TaskId, Timestamp,
};
use hansa_placement::Cluster;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What can be fixed about a kernel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Milliseconds without contact after which an agent is durably out of reach.
    pub unreachable_after_ms: u64,
    /// Milliseconds that are added to an agent's stop deadline before its tasks may be replaced: clock drift.
    pub drift_margin_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { unreachable_after_ms: 5_000, drift_margin_ms: 500 }
    }
}

/// Everything that changes the kernel.
#[derive(Clone, Debug)]
pub enum Command {
    /// Time passed.
    Tick,
    /// An agent's stream began, with everything it holds.
    AgentConnected {
        /// What it says.
        hello: Box<Hello>,
    },
    /// Its stream ended without a word.
    AgentDisconnected {
        /// Which.
        agent: AgentId,
    },
    /// It stops on purpose and comes back within this time.
    AgentLeaving {
        /// Which.
        agent: AgentId,
        /// Milliseconds.
        returns_in_ms: u64,
    },
    /// It sent something (a heartbeat, say): it is alive.
    AgentContact {
        /// Which.
        agent: AgentId,
    },
    /// A task's update.
    Update {
        /// From whom.
        agent: AgentId,
        /// What.
        status: TaskStatus,
    },
    /// An operator's order about an agent.
    AdminAgent {
        /// Who orders.
        principal: Principal,
        /// Which agent.
        agent: AgentId,
        /// What.
        order: AgentOrder,
    },
    /// A scheduler's call.
    Call {
        /// Which scheduler.
        owner: Owner,
        /// On whose behalf.
        principal: Principal,
        /// What.
        call: Call,
    },
    /// A role's settings.
    SetRole {
        /// Who orders.
        principal: Principal,
        /// The settings.
        role: Role,
    },
}

/// What an operator can order about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentOrder {
    /// Nothing new there.
    Deactivate,
    /// New work again; ends draining.
    Reactivate,
    /// Nothing new there, and what is there moves.
    Drain,
    /// It will never return: everything on it is lost for good.
    Gone,
}

/// What a command led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The answer to `Call`; for other commands, whether they were understood.
    pub answer: Option<Result<Answer, Refusal>>,
    /// To be durable before anything below leaves.
    pub records: Vec<Record>,
    /// For the read model, once durable.
    pub events: Vec<Event>,
    /// For the schedulers, at once (they run on the same loop).
    pub notices: Vec<(Owner, Notice)>,
    /// For the agents, once durable.
    pub effects: Vec<Effect>,
}

/// Why an operator's command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such agent.
    UnknownAgent(AgentId),
    /// The host name belongs to another agent that is alive.
    HostnameTaken(String),
    /// In words.
    Invalid(String),
}

/// A message for an agent. Repeating it does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run a group.
    Launch {
        /// Where.
        agent: AgentId,
        /// On which boot.
        boot: BootId,
        /// What.
        launch: Box<Launch>,
    },
    /// End a group.
    Kill {
        /// Where.
        agent: AgentId,
        /// Which.
        instance: InstanceId,
        /// Its tasks.
        tasks: Vec<TaskId>,
        /// Milliseconds between SIGTERM and SIGKILL; None: the spec's.
        grace_ms: Option<u64>,
        /// In words.
        message: String,
    },
    /// An update is dealt with.
    Acknowledge {
        /// Where.
        agent: AgentId,
        /// Whose.
        task: TaskId,
        /// Which.
        sequence: u64,
    },
    /// A group can be forgotten.
    Release {
        /// Where.
        agent: AgentId,
        /// Which.
        instance: InstanceId,
    },
    /// The agent's stream is to be ended: it may not join.
    Refuse {
        /// Which.
        agent: AgentId,
        /// Why.
        reason: String,
    },
}

/// What the kernel stores.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An agent was admitted or changed durably.
    PutAgent(Box<AgentRecord>),
    /// An agent is forgotten.
    DeleteAgent(AgentId),
    /// A spec.
    PutSpec(SpecId, Arc<GroupSpec>),
    /// A spec that nothing refers to any more.
    DeleteSpec(SpecId),
    /// An assignment, before its launch is sent; again when a kill is asked for.
    PutAssignment(u64, Box<AssignmentRecord>),
    /// All tasks of the assignment are terminal, or it moved to the given-up.
    DeleteAssignment(u64),
    /// A group that is not to come back.
    PutGivenUp(u64, Box<GivenUpRecord>),
    /// Its agent has heard of it, or will never return.
    DeleteGivenUp(u64),
    /// A role's settings.
    PutRole(Role),
    /// Default settings again.
    DeleteRole(RoleName),
}

/// A stored agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Who it is and what it has; `groups` is empty here.
    pub hello: Hello,
    /// When it was admitted.
    pub registered_at: Timestamp,
    /// Since when it is out of reach, if it is.
    pub unreachable_since: Option<Timestamp>,
    /// `Active`, `Deactivated` or `Draining`: what the operator wants.
    pub wanted: AgentState,
}

/// A stored assignment; at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssignmentRecord {
    /// The group.
    pub instance: InstanceId,
    /// Whose.
    pub owner: Owner,
    /// Who pays.
    pub role: RoleName,
    /// What.
    pub spec: SpecId,
    /// Its task ids.
    pub tasks: Vec<TaskId>,
    /// Where.
    pub agent: AgentId,
    /// On which boot.
    pub boot: BootId,
    /// What it has there.
    pub allocation: Allocation,
    /// When.
    pub placed_at: Timestamp,
    /// The kill that was asked for: (grace, message).
    pub killing: Option<(Option<u64>, String)>,
}

/// A stored group that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GivenUpRecord {
    /// The group.
    pub instance: InstanceId,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// Where it was.
    pub agent: AgentId,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Kernel {
    cluster: Cluster,
}

impl Kernel {
    /// An empty cluster.
    pub fn new(_settings: Settings) -> Self {
        Self::default()
    }

    /// Takes over what was stored (Put records only, any order), at the beginning of a leadership. The outcome has the
    /// whole state as events and notices.
    pub fn restore(&mut self, _now: Timestamp, _records: Vec<Record>) -> Outcome {
        Outcome::default()
    }

    /// The only way state changes. Same state and input: same outcome.
    pub fn apply(&mut self, _now: Timestamp, _command: Command) -> Outcome {
        Outcome::default()
    }

    /// When `Command::Tick` should next be applied.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// The machines, for schedulers to read.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}
