//! What frameworks ask for.

use super::parts::Part;
use super::raw::Raw;
use super::{FrameworkInfo, StreamId};
use crate::id::{AgentId, OfferId, RoleName};
use crate::spec::TaskSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One call of a framework. Its effects come as events; the call itself is only understood or not.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameworkCall {
    /// From now on the framework hears on this stream, and on no other.
    Subscribe {
        /// The stream.
        stream: StreamId,
        /// Who it is; for a first subscription the id is empty.
        info: Box<FrameworkInfo>,
        /// Roles that it wants no offers in for now.
        suppressed: BTreeSet<RoleName>,
        /// Which machines it wants offers of, by role.
        constraints: Box<OfferConstraints>,
    },
    /// The stream ended. Nothing happens if it is not the framework's newest.
    Disconnected {
        /// The stream.
        stream: StreamId,
    },
    /// It changes what it said of itself (all but its principal, user and checkpointing).
    UpdateInfo {
        /// Who it is now.
        info: Box<FrameworkInfo>,
        /// Roles that it wants no offers in for now.
        suppressed: BTreeSet<RoleName>,
        /// Which machines it wants offers of, by role.
        constraints: Box<OfferConstraints>,
    },
    /// Everything of it ends, for ever.
    Teardown,
    /// Takes offers (of one machine and role) and does something with them; what is left is declined.
    Accept {
        /// Which.
        offers: Vec<OfferId>,
        /// In order, each on what the ones before it left.
        operations: Vec<Operation>,
        /// For what is left.
        filter: OfferFilter,
    },
    /// Gives offers back.
    Decline {
        /// Which; unknown ones do no harm.
        offers: Vec<OfferId>,
        /// When it wants to see the like again.
        filter: OfferFilter,
    },
    /// Forgets filters and wants offers again.
    Revive {
        /// In these roles; empty: in all.
        roles: BTreeSet<RoleName>,
    },
    /// Wants no more offers.
    Suppress {
        /// In these roles; empty: in all.
        roles: BTreeSet<RoleName>,
    },
    /// Ends a task.
    Kill {
        /// The framework's id of it.
        task: String,
        /// Where it should be; elsewhere nothing is done.
        agent: Option<AgentId>,
        /// Milliseconds between SIGTERM and SIGKILL instead of the task's.
        grace_ms: Option<u64>,
    },
    /// Ends an executor and its tasks.
    Shutdown {
        /// The framework's id of it.
        executor: String,
        /// Where.
        agent: AgentId,
    },
    /// An update is dealt with.
    Acknowledge {
        /// Where the task is.
        agent: AgentId,
        /// The framework's id of it.
        task: String,
        /// The update's.
        uuid: u128,
    },
    /// Asks how tasks stand.
    Reconcile {
        /// The framework's ids, and where it believes them to be; empty: all that are known.
        tasks: Vec<(String, Option<AgentId>)>,
    },
    /// Passes something on to an executor, at best.
    Message {
        /// Where.
        agent: AgentId,
        /// The framework's id of it.
        executor: String,
        /// What.
        data: Raw,
    },
}

/// How long what was refused should not be offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferFilter {
    /// Milliseconds; 0: offer it again as soon as possible.
    pub refuse_ms: u64,
}

impl Default for OfferFilter {
    /// Five seconds.
    fn default() -> Self {
        Self { refuse_ms: 5_000 }
    }
}

/// Something to do with offered resources.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Starts tasks, each by itself.
    Launch {
        /// Which.
        tasks: Vec<TaskAsked>,
    },
    /// Starts tasks together on one executor: all or none.
    LaunchGroup {
        /// Which executor; its kind is [`ExecutorKind::Default`].
        executor: Box<ExecutorAsked>,
        /// Which tasks.
        tasks: Vec<TaskAsked>,
    },
    /// Keeps resources for a role.
    Reserve {
        /// As they are to be, the new reservation last.
        parts: Vec<Part>,
    },
    /// Takes back the last reservation.
    Unreserve {
        /// As they are.
        parts: Vec<Part>,
    },
    /// Makes volumes.
    Create {
        /// As they are to be.
        parts: Vec<Part>,
    },
    /// Removes volumes and what is in them.
    Destroy {
        /// As they are.
        parts: Vec<Part>,
    },
    /// Something that is not supported; dropped.
    Unsupported {
        /// Mesos' name of it.
        name: String,
    },
}

/// A task that a framework wants started. What is wrong with it in itself was found where it was read; what is wrong
/// with it here and now, the kernel finds.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskAsked {
    /// The framework's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where the framework believes the offers to be.
    pub agent: AgentId,
    /// What it takes.
    pub parts: Vec<Part>,
    /// Who runs it; None: the agent itself, a command task.
    pub executor: Option<Box<ExecutorAsked>>,
    /// How to run it (of a task that an executor of its own runs: only its demand, labels and checks count), or why it
    /// cannot be run, in words.
    pub spec: Result<Box<TaskSpec>, String>,
    /// As it came: mesos.v1.TaskInfo.
    pub info: Raw,
}

/// What kind of executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// A program of the framework's that speaks the executor API.
    Custom,
    /// The agent itself, for groups of tasks.
    Default,
}

/// An executor that a framework wants its task run by: started if it does not run there yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorAsked {
    /// The framework's id of it.
    pub id: String,
    /// What kind.
    pub kind: ExecutorKind,
    /// What it takes besides its tasks.
    pub parts: Vec<Part>,
    /// How to run it: the program of a custom one, the surroundings (network, volumes, sandbox) of a default one; or why
    /// it cannot be run, in words.
    pub spec: Result<Box<TaskSpec>, String>,
    /// Milliseconds between being asked to end and SIGKILL; None: the agent's.
    pub shutdown_grace_ms: Option<u64>,
    /// As it came: mesos.v1.ExecutorInfo.
    pub info: Raw,
}

/// Which machines a framework wants offers of: by role, at least one group must hold, and a group holds if all of it do.
/// A role that is not named here gets offers of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfferConstraints {
    /// By role.
    pub roles: BTreeMap<RoleName, Vec<Vec<AttributeConstraint>>>,
}

/// One condition on a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeConstraint {
    /// What of the machine.
    pub selector: Selector,
    /// What about it.
    pub predicate: Predicate,
}

/// Something that machines have a value for, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// The attribute of this name.
    Attribute(String),
    /// Its name in the cluster.
    Hostname,
    /// Its region.
    Region,
    /// Its zone.
    Zone,
}

/// A condition on a value. Patterns were checked where they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// There is one.
    Exists,
    /// There is none.
    NotExists,
    /// There is this one. (Of attributes that are no text: holds.)
    TextEquals(String),
    /// There is none, or another.
    TextNotEquals(String),
    /// There is one that this pattern matches as a whole.
    TextMatches(String),
    /// There is none, or one that it does not match.
    TextNotMatches(String),
}
