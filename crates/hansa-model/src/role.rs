//! Roles: how teams share the pool.

use crate::id::RoleName;
use crate::resources::Resources;
use serde::{Deserialize, Serialize};

/// An upper or lower bound in scalar resources; a kind that is absent is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bound {
    /// Thousandths of a CPU.
    pub cpus_milli: Option<u64>,
    /// Bytes of memory.
    pub mem: Option<u64>,
    /// Bytes of disk.
    pub disk: Option<u64>,
    /// Thousandths of GPUs.
    pub gpus_milli: Option<u64>,
}

/// The weight of a role that was never configured, in thousandths.
pub const USUAL_WEIGHT: u64 = 1_000;

/// A role's settings. A role that was never configured has weight 1 and no quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Thousandths; a role of weight 2 gets twice the share of a role of weight 1.
    pub weight_milli: u64,
    /// Guaranteed to be obtainable.
    #[serde(default)]
    pub guarantee: Bound,
    /// Never exceeded.
    #[serde(default)]
    pub limit: Bound,
}

impl Role {
    /// A role that was never configured.
    pub fn usual(name: RoleName) -> Self {
        Self { name, weight_milli: USUAL_WEIGHT, guarantee: Bound::default(), limit: Bound::default() }
    }

    /// Whether its settings are as if it had never been configured.
    pub fn is_usual(&self) -> bool {
        let none = Bound::default();
        self.weight_milli == USUAL_WEIGHT && self.guarantee == none && self.limit == none
    }
}

/// Scalar totals, for shares and quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// Bytes of disk.
    pub disk: u64,
    /// Thousandths of GPUs.
    pub gpus_milli: u64,
}

impl Totals {
    /// The scalar totals of an amount.
    pub fn of(resources: &Resources) -> Self {
        Self {
            cpus_milli: resources.cpus_milli,
            mem: resources.mem,
            disk: resources.disk,
            gpus_milli: resources.gpus.iter().map(|&milli| u64::from(milli)).sum(),
        }
    }

    /// The sum, kind by kind.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpus_milli: self.cpus_milli.saturating_add(other.cpus_milli),
            mem: self.mem.saturating_add(other.mem),
            disk: self.disk.saturating_add(other.disk),
            gpus_milli: self.gpus_milli.saturating_add(other.gpus_milli),
        }
    }

    /// The difference, kind by kind; zero where it would be less.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            cpus_milli: self.cpus_milli.saturating_sub(other.cpus_milli),
            mem: self.mem.saturating_sub(other.mem),
            disk: self.disk.saturating_sub(other.disk),
            gpus_milli: self.gpus_milli.saturating_sub(other.gpus_milli),
        }
    }
}
