//! Frameworks: schedulers outside of the program that are **offered** machines' resources and take or decline them.
//!
//! The ideas and words are those of Mesos' v1 API, the quantities ours. What stands here is what master, agents and
//! kernel must agree on; how it looks on the wire is the business of `hansa-mesos`.
//!
//! - [`FrameworkInfo`]: what a framework says of itself.
//! - [`parts`]: pieces of machines, unreserved or reserved, that offers and tasks are made of.
//! - [`call`]: what a framework asks for; [`event`]: what it is told.
//! - [`launch`]: what agents must know of a framework's tasks and executors besides how to run them.
//! - [`explain`]: why it is offered what it is offered.

pub mod call;
pub mod event;
pub mod explain;
pub mod launch;
pub mod parts;
mod raw;

pub use call::{
    AttributeConstraint, ExecutorAsked, ExecutorKind, FrameworkCall, OfferConstraints, OfferFilter,
    Operation, Predicate, Selector, TaskAsked,
};
pub use event::{FrameworkEvent, FrameworkStatus, FrameworkUpdate, Offer, Source};
pub use explain::{FilterInForce, FrameworkExplanation, LastOffer, OfferObstacle, RoleStanding};
pub use launch::{ExecutorReport, ExecutorRun, FrameworkLaunch, FrameworkTask};
pub use parts::{Amount, DiskSource, Part, PersistentVolume, Reservation};
pub use raw::Raw;

use crate::id::{FrameworkId, RoleName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One connection of a framework, numbered by the shell; never used twice.
pub type StreamId = u64;

/// Something that a framework says it understands, and is treated differently without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Capability {
    /// It may be offered revocable resources.
    RevocableResources,
    /// It may get `TASK_KILLING`.
    TaskKillingState,
    /// It is offered machines with GPUs.
    GpuResources,
    /// It may be offered shared volumes.
    SharedResources,
    /// It tells lost, dropped, gone and unreachable tasks apart.
    PartitionAware,
    /// It may be in several roles.
    MultiRole,
    /// It reads reservations as stacks.
    ReservationRefinement,
    /// It is offered machines of other regions.
    RegionAware,
}

/// What a framework says of itself when it subscribes. Stored, so that a new leader knows whose tasks come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkInfo {
    /// Its id; in a first subscription made by the kernel.
    pub id: FrameworkId,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The user that tasks run as unless they say otherwise; empty: the agent's own.
    #[serde(default)]
    pub user: String,
    /// The roles that it takes offers in; at least one.
    pub roles: BTreeSet<RoleName>,
    /// What it understands.
    #[serde(default)]
    pub capabilities: BTreeSet<Capability>,
    /// Milliseconds that its tasks wait for it after it disconnected.
    #[serde(default)]
    pub failover_timeout_ms: u64,
    /// Whether its tasks outlive their agent's process (ours always do; kept to be shown).
    #[serde(default)]
    pub checkpoint: bool,
    /// Where its scheduler runs, as it says.
    #[serde(default)]
    pub hostname: String,
    /// Its web page.
    #[serde(default)]
    pub webui_url: Option<String>,
    /// In whose name it speaks.
    #[serde(default)]
    pub principal: Option<String>,
    /// Labels: keys may repeat, values may be absent.
    #[serde(default)]
    pub labels: Vec<(String, Option<String>)>,
    /// By role: an offer must contain at least one of these; absent: the cluster's minimum.
    #[serde(default)]
    pub min_allocatable: BTreeMap<RoleName, Vec<Amount>>,
}

impl FrameworkInfo {
    /// Whether it understands this.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
