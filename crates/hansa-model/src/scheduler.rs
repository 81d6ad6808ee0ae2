//! The protocol between schedulers and the kernel: a scheduler sees the cluster and **claims** places on it.
//!
//! The built-in schedulers use nothing else, so what they can do, an outside scheduler can. Each placement of a claim is
//! decided by itself unless the claim is a gang; the test is "it fits and is allowed now", never "nothing changed
//! since". Claimants choose ids; a repeated placement gets its first answer.

use crate::app::Constraint;
use crate::id::{AgentId, FrameworkId, InstanceId, Owner, Principal, RoleName, SpecId, TaskId};
use crate::resources::{Allocation, Demand, Kind};
use crate::spec::{GroupSpec, Origin};
use crate::task::TaskStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Places for groups on machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose groups.
    pub owner: Owner,
    /// The role that pays.
    pub role: RoleName,
    /// Who asks.
    pub principal: Principal,
    /// All or nothing.
    pub gang: bool,
    /// Which machines the claimant chose among. They bind nobody (the claimant chose): the packing policy keeps room for
    /// what arrives, and a GPU of one type is no room for who asks for another.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// What goes where.
    pub placements: Vec<Placement>,
}

/// One group on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// The group's identity. A second claim for it, while the first is neither terminal nor given up, is refused
    /// (or, if it is the same claim again, answered as before).
    pub instance: InstanceId,
    /// A task id for each task of the spec.
    pub tasks: Vec<TaskId>,
    /// A registered spec.
    pub spec: SpecId,
    /// Where.
    pub agent: AgentId,
    /// What it takes there: devices and ports by name.
    pub allocation: Allocation,
}

/// Why a placement was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// No such agent.
    #[error("agent {0} is not known")]
    UnknownAgent(AgentId),
    /// It is disconnected, draining, deactivated or out of reach.
    #[error("agent {0} takes no new work")]
    AgentNotActive(AgentId),
    /// No such spec.
    #[error("the spec is not registered")]
    UnknownSpec,
    /// The allocation is not what the spec asks for, or the number of task ids is wrong.
    #[error("the allocation does not answer the spec's demand")]
    WrongAllocation,
    /// Not there any more.
    #[error("not enough {0} is free on the agent")]
    DoesNotFit(Kind),
    /// The role's limit would be exceeded.
    #[error("the quota limit of role {role} on {kind} is reached")]
    OverLimit {
        /// Whose limit.
        role: RoleName,
        /// On what.
        kind: Kind,
    },
    /// What is free is needed for other roles' guarantees.
    #[error("the free {kind} is kept for the guarantees of other roles")]
    Headroom {
        /// What is short.
        kind: Kind,
    },
    /// It is offered to a framework, whose role is not above its share more than the claim's.
    #[error(
        "what is free there is offered to framework {framework} (role {role}) at the moment; tried again until that offer ends"
    )]
    Offered {
        /// Whose offer it is.
        framework: FrameworkId,
        /// The role that it is for.
        role: RoleName,
    },
    /// The instance lives already, elsewhere or as something else.
    #[error("instance {0} has a live task already")]
    InstanceExists(InstanceId),
    /// A task of that id exists or existed recently.
    #[error("task id {0} is taken")]
    TaskIdTaken(TaskId),
    /// Another placement of the gang was refused.
    #[error("another placement of the gang was refused")]
    GangIncomplete,
}

/// What a scheduler asks of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Makes a spec known; durable together with the first claim that uses it.
    RegisterSpec {
        /// The group.
        group: Arc<GroupSpec>,
    },
    /// The scheduler will not use the spec again; it goes when nothing refers to it.
    DropSpec {
        /// Which.
        spec: SpecId,
    },
    /// Claims places.
    Claim(Claim),
    /// Ends a group. Durable before it is answered; repeated to the agent until a terminal update comes.
    Kill {
        /// Which.
        instance: InstanceId,
        /// Milliseconds between SIGTERM and SIGKILL instead of the spec's.
        grace_ms: Option<u64>,
        /// In words, for the update's message.
        message: String,
    },
    /// Gives up an unreachable group for good: its resources count as free, and it is killed if its agent returns.
    GiveUp {
        /// Which.
        instance: InstanceId,
    },
    /// How much the scheduler would place under the role if it could; replaces what it said before for that shape.
    SetDemand {
        /// The role.
        role: RoleName,
        /// One group's demand.
        shape: Demand,
        /// How many; 0 withdraws.
        count: u32,
    },
}

/// The kernel's answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The registered spec's number.
    Spec(SpecId),
    /// One answer for each placement, in order.
    Claim(Vec<Result<(), Rejection>>),
    /// It is done (and durable, if it has to be, before anyone outside is told).
    Done,
    /// There is no such group.
    UnknownInstance,
}

/// A group as its owner sees it when it appears without having just been claimed: after a restart, or when a returning
/// agent's unknown task is adopted.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The group.
    pub instance: InstanceId,
    /// Its tasks, each with the last thing known.
    pub tasks: Vec<TaskStatus>,
    /// Its spec.
    pub spec: SpecId,
    /// What it belongs to.
    pub origin: Origin,
    /// Where it is.
    pub agent: AgentId,
    /// What it has there.
    pub allocation: Allocation,
    /// When it was claimed, or adopted.
    pub placed_at: Timestamp,
    /// Whether nobody knew of it when its agent first told of it.
    pub adopted: bool,
    /// Since when its agent is out of reach, if it is.
    pub unreachable_since: Option<Timestamp>,
    /// Whether a kill was asked for.
    pub killing: bool,
}

/// What the kernel tells a scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A group appeared that the scheduler did not just claim.
    Placed(Box<Placed>),
    /// A task changed. After a terminal state of all its tasks the group is gone, its resources are free.
    Status(TaskStatus),
    /// The group's agent is durably out of reach since then.
    Unreachable {
        /// Which.
        instance: InstanceId,
        /// Since when.
        since: Timestamp,
    },
    /// The group's agent is back, and the group with it (a status follows if anything changed).
    Reachable {
        /// Which.
        instance: InstanceId,
    },
    /// The group's agent is to be emptied: replace it elsewhere, then kill it.
    Drain {
        /// Which.
        instance: InstanceId,
    },
}
