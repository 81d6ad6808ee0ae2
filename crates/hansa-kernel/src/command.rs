//! What goes into the kernel and what comes out: commands, outcomes, effects. Data only.

use crate::record::Record;
use hansa_model::agent::Hello;
use hansa_model::event::Event;
use hansa_model::framework::{FrameworkCall, FrameworkEvent, Operation, Raw, StreamId};
use hansa_model::maintenance::Maintenance;
use hansa_model::role::Role;
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::spec::Launch;
use hansa_model::task::TaskStatus;
use hansa_model::{AgentId, BootId, FrameworkId, InstanceId, Owner, Principal, RoleName, TaskId};
use std::sync::Arc;

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
    /// An agent has removed everything of a group (or never held it).
    AgentReleased {
        /// Which.
        agent: AgentId,
        /// Which group.
        instance: InstanceId,
    },
    /// A framework's executor has ended.
    ExecutorEnded {
        /// Where.
        agent: AgentId,
        /// Which run.
        container: InstanceId,
        /// How it ended, as `wait` tells it.
        wait_status: i32,
    },
    /// A framework's executor says something to its framework.
    FromExecutor {
        /// Where.
        agent: AgentId,
        /// Whose.
        framework: FrameworkId,
        /// The framework's id of it.
        executor: String,
        /// What.
        data: Raw,
    },
    /// A framework's call. What comes of it, its stream hears.
    Framework {
        /// Which; None: it subscribes for the first time.
        framework: Option<FrameworkId>,
        /// On whose behalf.
        principal: Principal,
        /// What.
        call: FrameworkCall,
    },
    /// An operator reserves, unreserves, makes or removes volumes on a machine; offers in the way are rescinded.
    AgentParts {
        /// Who orders.
        principal: Principal,
        /// Where.
        agent: AgentId,
        /// `Reserve`, `Unreserve`, `Create` or `Destroy`.
        operation: Operation,
    },
    /// Several roles' settings, all or none.
    SetRoles {
        /// Who orders.
        principal: Principal,
        /// The settings.
        roles: Vec<Role>,
        /// Whether to look away if guarantees exceed the cluster or use exceeds the limits.
        force: bool,
    },
    /// What operators say of machines in general, in the place of all that they said before.
    SetMaintenance {
        /// Who orders.
        principal: Principal,
        /// All of it.
        maintenance: Arc<Maintenance>,
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
    /// The same, and whatever is ended there meanwhile gets so many milliseconds of grace at most.
    DrainWithin(u64),
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
    /// For the frameworks' streams, once durable, in order.
    pub streams: Vec<(StreamId, ToStream)>,
}

/// Something for a framework's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ToStream {
    /// An event.
    Event(Box<FrameworkEvent>),
    /// It ends.
    Close,
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
    /// No such framework, or it has never subscribed.
    UnknownFramework,
    /// It speaks in another principal's name than it subscribed in.
    WrongPrincipal,
    /// The resources are not free (any more).
    NotFree(String),
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
    /// End an executor.
    ShutdownExecutor {
        /// Where.
        agent: AgentId,
        /// Which run.
        container: InstanceId,
    },
    /// Tell an executor something.
    ToExecutor {
        /// Where.
        agent: AgentId,
        /// Which run.
        container: InstanceId,
        /// What.
        data: Raw,
    },
    /// Remove a persistent volume.
    RemoveVolume {
        /// Where.
        agent: AgentId,
        /// The role that it was kept for.
        role: RoleName,
        /// Its id.
        id: String,
    },
    /// The agent's stream is to be ended: it may not join.
    Refuse {
        /// Which.
        agent: AgentId,
        /// Why.
        reason: String,
    },
}
