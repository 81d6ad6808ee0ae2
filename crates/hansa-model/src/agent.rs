//! What an agent says about itself and its machine.

use crate::framework::Part;
use crate::framework::launch::ExecutorReport;
use crate::id::{AgentId, BootId, RoleName};
use crate::resources::Resources;
use crate::role::Totals;
use crate::spec::Launch;
use crate::task::TaskStatus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who an agent is and everything it has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// Its id.
    pub agent: Option<AgentId>,
    /// Which boot of the machine.
    pub boot: Option<BootId>,
    /// Its name in the cluster.
    pub hostname: String,
    /// Its HTTP port as `host:port`.
    pub address: String,
    /// What it offers.
    pub resources: Resources,
    /// What of that its configuration sets apart: kept for roles ([`Reservation::fixed`]), on disks of their own, or both.
    ///
    /// [`Reservation::fixed`]: crate::framework::Reservation::fixed
    pub parts: Vec<Part>,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// The program's version.
    pub version: String,
    /// What isolation it cannot give, in words.
    pub missing_isolation: Vec<String>,
    /// Milliseconds without an acknowledged heartbeat after which its shims end everything; None: they never do.
    pub stop_deadline_ms: Option<u64>,
    /// Every group it holds: accepted and not yet released, terminal ones included.
    pub groups: Vec<GroupReport>,
    /// Every executor of frameworks that it holds.
    pub executors: Vec<ExecutorReport>,
    /// Every persistent volume that it holds: the role it is kept for, and its id.
    pub volumes: Vec<(RoleName, String)>,
    /// Which of the agent's streams this is; says nothing about the agent and is not stored.
    pub generation: Generation,
}

/// Which stream of which agent process. A later one is greater, across restarts of the agent: what it says is newer, in
/// whatever order the streams reach the master. The default is below all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Generation {
    /// The process.
    pub process: u64,
    /// Its stream.
    pub stream: u64,
}

/// One group that an agent holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// As it was launched.
    pub launch: Launch,
    /// The newest status of each task.
    pub statuses: Vec<TaskStatus>,
    /// Updates not yet acknowledged, in order.
    pub unacknowledged: Vec<TaskStatus>,
}

/// A machine's use of what it has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Really used by everything under Hansa on this agent.
    pub used: Totals,
    /// Really used by the whole machine (agents on one machine see the same).
    pub machine: Totals,
    /// Tasks that run.
    pub tasks: u32,
}
