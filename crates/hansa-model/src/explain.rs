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

/// Marathon's reasons why an offer is not used, in the order of its funnel: a machine counts under the first.
pub const FUNNEL: [&str; 10] = [
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
];

impl Obstacle {
    /// Marathon's name for it, one of [`FUNNEL`].
    pub fn reason(&self) -> &'static str {
        match self {
            Obstacle::Role { .. } => "UnfulfilledRole",
            Obstacle::Constraint { .. } => "UnfulfilledConstraint",
            Obstacle::NotActive { .. } => "AgentMaintenance",
            Obstacle::Cpus { .. } => "InsufficientCpus",
            Obstacle::Mem { .. } => "InsufficientMemory",
            Obstacle::Disk { .. } => "InsufficientDisk",
            Obstacle::Gpus { .. } => "InsufficientGpus",
            Obstacle::Ports { .. } => "InsufficientPorts",
            Obstacle::Quota { .. } => "DeclinedScarceResources",
        }
    }
}

/// One step of Marathon's funnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FunnelStep {
    /// One of [`FUNNEL`].
    pub reason: &'static str,
    /// Machines that drop out here.
    pub declined: u32,
    /// Machines that were left after the earlier steps.
    pub processed: u32,
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

impl Explanation {
    /// The same pass as Marathon's funnel: always all ten steps, each machine counted once, under the first of its
    /// obstacles. What `processed` is left with after the last step is `fitting`.
    pub fn funnel(&self) -> [FunnelStep; FUNNEL.len()] {
        let mut left = self.machines;
        FUNNEL.map(|reason| {
            let first = |group: &&ObstacleGroup| {
                group.obstacles.iter().min().is_some_and(|first| first.reason() == reason)
            };
            let declined = self.groups.iter().filter(first).map(|group| group.machines).sum();
            let processed = left;
            left = left.saturating_sub(declined);
            FunnelStep { reason, declined, processed }
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_funnel_counts_each_machine_once_under_its_first_obstacle() {
        let group = |machines, obstacles| ObstacleGroup {
            machines,
            examples: vec![],
            obstacles,
            words: String::new(),
        };
        let explanation = Explanation {
            demand: Demand::default(),
            machines: 10,
            fitting: 1,
            choice: None,
            groups: vec![
                group(4, vec![Obstacle::Cpus { short: 500 }, Obstacle::Mem { short: 1 }]),
                group(3, vec![Obstacle::Ports { short: 0, taken: vec![80] }]),
                group(2, vec![Obstacle::Mem { short: 1 }, Obstacle::Role { reserved: "public".into() }]),
            ],
            nearest: None,
            summary: String::new(),
        };
        let counts = explanation.funnel().map(|step| (step.declined, step.processed));
        assert_eq!(counts, [(2, 10), (0, 8), (0, 8), (0, 8), (4, 8), (0, 4), (0, 4), (0, 4), (3, 4), (0, 1)]);
        assert_eq!(explanation.funnel().map(|step| step.reason), FUNNEL);
    }
}
