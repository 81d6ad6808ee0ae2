//! Why something is not placed: the result of a real placement pass, in numbers.

use crate::id::{AgentId, AppId};
use crate::resources::Demand;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One reason why a machine cannot take a task. Ordered as Marathon's funnel is: a machine counts under its first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Obstacle {
    /// Its resources are reserved for roles that the app may not use.
    Role {
        /// The role they are reserved for.
        reserved: String,
    },
    /// A constraint says no.
    Constraint {
        /// The constraint in Marathon's notation, `["rack","LIKE","r1"]`.
        constraint: String,
        /// In words: `attribute rack is not r1`.
        words: String,
    },
    /// It is draining, deactivated, disconnected or out of reach.
    NotActive {
        /// Which of them.
        state: String,
    },
    /// Not enough CPU: thousandths short.
    Cpus {
        /// How much is missing.
        short: u64,
    },
    /// Not enough memory: bytes short.
    Mem {
        /// How much is missing.
        short: u64,
    },
    /// Not enough disk: bytes short.
    Disk {
        /// How much is missing.
        short: u64,
    },
    /// Not enough GPUs: devices (with enough thousandths free) short.
    Gpus {
        /// How many are missing.
        short: u64,
    },
    /// Ports that are taken or not offered by the machine: how many, or which.
    Ports {
        /// How many dynamic ports are missing.
        short: u64,
        /// Fixed ports that are not free there.
        taken: Vec<u16>,
    },
    /// It would fit, but the role's quota or other roles' guarantees say no.
    Quota {
        /// In words.
        words: String,
    },
}

/// Machines that share the same obstacles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleGroup {
    /// How many machines.
    pub machines: u32,
    /// Up to five of them by host name.
    pub examples: Vec<String>,
    /// Everything that stands in the way there, worst first in funnel order.
    pub obstacles: Vec<Obstacle>,
    /// The same in words: `1.5 cpus short`.
    pub words: String,
}

/// A whole placement pass, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked for, for one instance.
    pub demand: Demand,
    /// Machines looked at.
    pub machines: u32,
    /// Machines that could take it now.
    pub fitting: u32,
    /// The one that the policy would choose, if any.
    pub choice: Option<AgentId>,
    /// The rest by obstacle, most machines first.
    pub groups: Vec<ObstacleGroup>,
    /// The machine that misses least, in words: `node3 lacks 0.5 cpus`.
    pub nearest: Option<String>,
    /// All of it in one sentence: `3 machines: 1.5 cpus short; 2: attribute rack is not r1`.
    pub summary: String,
}

/// An app that waits for places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueItem {
    /// The app.
    pub app: AppId,
    /// Instances left to launch.
    pub count: u32,
    /// Since when.
    pub since: Timestamp,
    /// Not before this time, because of backoff.
    pub delayed_until: Option<Timestamp>,
    /// The last placement pass over the cluster as it is now.
    pub explanation: Explanation,
}
