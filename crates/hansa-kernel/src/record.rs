//! What the kernel stores, as data; how it is encoded is the business of `hansa-cell`.

use crate::frameworks::{FrameworkRecord, PotRecord};
use hansa_model::agent::Hello;
use hansa_model::event::AgentState;
use hansa_model::maintenance::Maintenance;
use hansa_model::role::Role;
use hansa_model::spec::GroupSpec;
use hansa_model::{
    AgentId, Allocation, BootId, FrameworkId, InstanceId, Owner, RoleName, SpecId, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// A framework subscribed, changed or was removed.
    PutFramework(Box<FrameworkRecord>),
    /// A framework was removed so long ago that it is forgotten.
    DeleteFramework(FrameworkId),
    /// All reservations and volumes of a machine; none if there is none any more.
    PutParts(AgentId, Vec<PotRecord>),
    /// What operators said of machines in general; if that is nothing, nothing is stored.
    PutMaintenance(Arc<Maintenance>),
    /// An operator declared an agent gone.
    PutGone(AgentId, GoneRecord),
    /// That was so long ago that it is forgotten.
    DeleteGone(AgentId),
}

/// A stored agent that is gone for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoneRecord {
    /// Since when.
    pub at: Timestamp,
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
    /// Milliseconds of grace that groups get at most while it is drained; None: what they themselves say.
    #[serde(default)]
    pub drain_grace_ms: Option<u64>,
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
    /// Whether it was adopted then, and not claimed.
    pub adopted: bool,
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
    /// When it was given up; None: written by a program that did not say, taken for the time at which it is read.
    #[serde(default)]
    pub at: Option<Timestamp>,
}
