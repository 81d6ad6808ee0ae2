//! What operators say about machines in general, whether agents run on them or not: when they are to be away, which are
//! away, and how agents are to be drained.
//!
//! Only kept here. What follows from it is ordered agent by agent.

use crate::id::AgentId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A machine as maintenance names it: by host name, by address, or by both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Its host name; in which case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// When machines are to be away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Which.
    pub machines: Vec<Machine>,
    /// From when: nanoseconds since 1970.
    pub start_ns: i64,
    /// For so many nanoseconds; None: nobody knows.
    #[serde(default)]
    pub duration_ns: Option<i64>,
}

/// What was said of an agent's draining besides that it is drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainWish {
    /// Nanoseconds of grace that tasks get at most; None: what they themselves say.
    pub max_grace_ns: Option<i64>,
    /// Whether it is to be declared gone when it is empty; None: not said.
    pub mark_gone: Option<bool>,
}

/// All of it. Set as a whole; the default is that nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Maintenance {
    /// The schedule, as it was given.
    pub windows: Vec<Window>,
    /// Machines of windows that have begun, whose agents were told to drain; host names in small letters.
    pub begun: BTreeSet<Machine>,
    /// Machines that are away; host names in small letters.
    pub down: BTreeSet<Machine>,
    /// How agents are to be drained, where that was said.
    pub drains: BTreeMap<AgentId, DrainWish>,
}
