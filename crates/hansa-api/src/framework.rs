//! Outside frameworks in Hansa's own API: who they are, what they hold, and why they are offered what they are offered.
//!
//! | method and path | answer |
//! |---|---|
//! | GET `/hansa/v1/frameworks?all=` | [`Frameworks`]; with `all=true` also those that are gone |
//! | GET `/hansa/v1/frameworks/{id or name}` | [`FrameworkDetail`] |
//! | GET `/hansa/v1/frameworks/{id or name}/explain` | [`FrameworkExplanation`] |
//!
//! A name finds a framework if only one that is not gone has it. Not here: Mesos' shapes of the same things.

use hansa_model::role::{Bound, Totals};
use hansa_model::{AgentId, Principal, RoleName, Timestamp};
use serde::{Deserialize, Serialize};

/// All frameworks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frameworks {
    /// By name, then by id.
    pub frameworks: Vec<FrameworkSummary>,
    /// Give this as `after` for the next page; None: this was the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// Whether a framework's scheduler is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameworkState {
    /// Its scheduler is subscribed.
    Connected,
    /// Its scheduler went away and may come back.
    Disconnected,
    /// Known from its tasks or from before this leadership only; its scheduler has not come yet.
    Recovered,
    /// Torn down or given up; its id is never taken again.
    Completed,
}

/// A framework at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkSummary {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Who it speaks as, if it said so.
    #[serde(default)]
    pub principal: Option<Principal>,
    /// The user whom its tasks run as, unless they say otherwise.
    #[serde(default)]
    pub user: String,
    /// The roles that it is in, in order of name.
    pub roles: Vec<RoleName>,
    /// Roles among them that it wants no offers for.
    #[serde(default)]
    pub suppressed: Vec<RoleName>,
    /// Whether its scheduler is there.
    pub state: FrameworkState,
    /// Since when.
    pub since: Timestamp,
    /// When it is given up with all its tasks unless its scheduler comes back; only while disconnected or recovered.
    #[serde(default)]
    pub given_up_at: Option<Timestamp>,
    /// Live tasks.
    pub tasks: u32,
    /// Offers that it has neither accepted nor declined.
    pub offers: u32,
    /// What its tasks and executors have; not what it only holds offers of.
    pub allocated: Totals,
    /// Its share of the cluster: what it has and what it holds offers of, by the kind of which that is most, in millionths,
    /// not weighted. Offers count because they do where it is decided who is offered something next.
    pub share_ppm: u64,
    /// That kind: `cpus`, `mem`, `disk` or `gpus`; None: it has nothing.
    #[serde(default)]
    pub dominant: Option<String>,
}

/// A framework with everything that is in force for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkDetail {
    /// At a glance.
    #[serde(flatten)]
    pub summary: FrameworkSummary,
    /// The host its scheduler says it is on.
    #[serde(default)]
    pub hostname: String,
    /// Where its own web page is.
    #[serde(default)]
    pub webui_url: Option<String>,
    /// What it says it understands, such as `PARTITION_AWARE`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Whether its tasks survive their agent's restart.
    #[serde(default)]
    pub checkpoint: bool,
    /// How long its scheduler may be away, in milliseconds, before it is given up.
    #[serde(default)]
    pub failover_timeout_ms: u64,
    /// When it first subscribed.
    pub registered_at: Timestamp,
    /// When it last subscribed again.
    #[serde(default)]
    pub reregistered_at: Option<Timestamp>,
    /// Live executors.
    #[serde(default)]
    pub executors: u32,
    /// Tasks on machines that are out of reach.
    #[serde(default)]
    pub unreachable_tasks: u32,
    /// Tasks that have ended, as far as still known.
    #[serde(default)]
    pub completed_tasks: u32,
    /// Each of its roles, in order of name.
    pub in_roles: Vec<FrameworkRole>,
    /// Offers that it holds, the oldest first.
    #[serde(default)]
    pub outstanding: Vec<FrameworkOffer>,
    /// What it has declined and until when, ending first first.
    #[serde(default)]
    pub filters: Vec<FrameworkFilter>,
}

/// A framework in one of its roles, and the role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkRole {
    /// The role's name.
    pub role: RoleName,
    /// The framework wants no offers for it.
    pub suppressed: bool,
    /// What the framework's tasks and executors have in this role; not what it only holds offers of.
    pub allocated: Totals,
    /// What it holds offers of.
    pub offered: Totals,
    /// The framework's share of the cluster in this role: of both together, as in [`FrameworkSummary::share_ppm`].
    pub share_ppm: u64,
    /// The role's weight in thousandths.
    pub weight_milli: u64,
    /// The role is guaranteed this.
    #[serde(default)]
    pub guarantee: Bound,
    /// The role never has more than this.
    #[serde(default)]
    pub limit: Bound,
    /// What everybody in the role and below it has together, in use and in offers.
    pub role_used: Totals,
    /// The role's share of the cluster: millionths, not weighted.
    pub role_share_ppm: u64,
}

/// An offer that a framework holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkOffer {
    /// Its id.
    pub id: String,
    /// The role that it is for.
    pub role: RoleName,
    /// The machine.
    pub node: AgentId,
    /// That machine's name.
    pub hostname: String,
    /// What is offered, in Mesos' notation: `cpus:4;mem:1024;ports:[31000-32000]`.
    pub resources: String,
    /// When it is taken back; None: never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Something that a framework declined and is not offered again for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkFilter {
    /// The role that it was offered for.
    pub role: RoleName,
    /// The machine.
    pub node: AgentId,
    /// That machine's name.
    pub hostname: String,
    /// What was declined, in Mesos' notation. Anything within it is not offered; more than it is.
    pub refused: String,
    /// Until when.
    pub until: Timestamp,
}

/// Why a framework is offered what it is offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkExplanation {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// The whole in one sentence.
    pub summary: String,
    /// Role by role, in order of name.
    pub roles: Vec<RoleExplanation>,
}

/// Why a framework is offered what it is offered in one of its roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleExplanation {
    /// How the framework stands in the role.
    #[serde(flatten)]
    pub standing: FrameworkRole,
    /// How the allocator sees that, in one sentence.
    pub words: String,
    /// The last offer that it made for the framework in this role; None: there was none.
    #[serde(default)]
    pub last_offer: Option<LastOffer>,
    /// What it does not offer now, the most machines first.
    #[serde(default)]
    pub obstacles: Vec<OfferObstacle>,
}

/// An offer that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastOffer {
    /// When.
    pub at: Timestamp,
    /// Of which machine.
    pub node: AgentId,
    /// That machine's name.
    pub hostname: String,
}

/// Machines that are not offered for the same reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferObstacle {
    /// In words.
    pub words: String,
    /// How many machines.
    pub machines: u32,
    /// Up to five of them by host name.
    pub examples: Vec<String>,
}
