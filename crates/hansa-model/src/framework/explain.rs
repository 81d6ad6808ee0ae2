//! Why a framework is offered what it is offered, or nothing: how it stands in each of its roles, in numbers and words.

use super::parts::{Amount, Part};
use crate::id::{AgentId, FrameworkId, RoleName};
use crate::resources::Kind;
use crate::role::{Bound, Totals};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A framework, as the allocator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkExplanation {
    /// Which.
    pub framework: FrameworkId,
    /// Whether it is connected and takes offers at all.
    pub active: bool,
    /// Its roles, by name; also those that it has left, but still has something in.
    pub roles: Vec<RoleStanding>,
}

/// How a framework stands in one of its roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleStanding {
    /// The role.
    pub role: RoleName,
    /// The role's weight, in thousandths.
    pub weight_milli: u64,
    /// What the role is guaranteed.
    pub guarantee: Bound,
    /// What the role may not exceed.
    pub limit: Bound,
    /// What counts for guarantee and limit: of the role and all below it.
    pub consumed: Totals,
    /// What the role and all below it have, in use and in offers.
    pub role_allocated: Totals,
    /// The share of the cluster that this is, of the kind that it has most of: millionths, before the weight.
    pub role_share_ppm: u64,
    /// That kind; None: it has nothing.
    pub role_dominant: Option<Kind>,
    /// What the framework has in this role, in use and in offers.
    pub allocated: Totals,
    /// The share of the cluster that this is: millionths.
    pub share_ppm: u64,
    /// Whether the framework wants no offers in this role for now.
    pub suppressed: bool,
    /// An offer contains at least one of these; none: any is sent.
    pub min_allocatable: Vec<Amount>,
    /// What it refused and is therefore not offered.
    pub filters: Vec<FilterInForce>,
    /// What it was offered last in this role.
    pub last_offer: Option<LastOffer>,
    /// Idle machines that it is not offered, by reason, most machines first.
    pub obstacles: Vec<OfferObstacle>,
    /// How it stands, in one sentence.
    pub words: String,
}

/// Parts of a machine that are not offered because they were refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterInForce {
    /// Where.
    pub agent: AgentId,
    /// What was refused: as much or less is not offered; more is.
    pub parts: Vec<Part>,
    /// Until when.
    pub until: Timestamp,
}

/// The last offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastOffer {
    /// Of which machine.
    pub agent: AgentId,
    /// When it was made.
    pub at: Timestamp,
}

/// Why idle machines are not offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferObstacle {
    /// How many machines.
    pub machines: u32,
    /// Up to five of them, by host name.
    pub examples: Vec<String>,
    /// In words: `a constraint of the framework excludes them`.
    pub words: String,
}
