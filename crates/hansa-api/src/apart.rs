//! What of a machine is set apart: reservations for roles, persistent volumes, and disks of their own. A GET of
//! `/hansa/v1/nodes/{id or host name}` tells it, as a [`NodeDetail`]; lists and streams only sum it up
//! ([`Node::reserved`]).

use crate::hansa::Node;
use hansa_model::resources::PortSet;
use hansa_model::role::Totals;
use hansa_model::{FrameworkId, RoleName, TaskId};
use serde::{Deserialize, Serialize};

/// A machine, and what of it is set apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// The machine as in lists.
    #[serde(flatten)]
    pub node: Node,
    /// What anybody may have: kept for no role, and on no disk of its own.
    #[serde(default)]
    pub unreserved: Portion,
    /// What is kept for roles, by role; volumes and disks of their own are counted too.
    #[serde(default)]
    pub reservations: Vec<NodeReservation>,
    /// Persistent volumes, by role and id.
    #[serde(default)]
    pub volumes: Vec<NodeVolume>,
    /// Disks besides the one that the agent works on, by kind and root.
    #[serde(default)]
    pub disks: Vec<NodeDisk>,
}

/// A part of a machine: how much it is, and who has it now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// All of it.
    pub total: Amounts,
    /// What live tasks and executors have.
    pub used: Amounts,
    /// What frameworks hold offers of.
    pub offered: Amounts,
    /// The rest.
    pub free: Amounts,
}

/// Amounts with ports by number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amounts {
    /// The amounts.
    #[serde(flatten)]
    pub totals: Totals,
    /// Ports, as ranges.
    pub ports: PortSet,
}

/// Who made a reservation, and so who can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationKind {
    /// The machine's configuration.
    Static,
    /// A framework or an operator, while the machine ran.
    Dynamic,
}

impl ReservationKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            ReservationKind::Static => "static",
            ReservationKind::Dynamic => "dynamic",
        }
    }
}

/// What of a machine is kept for a role in one way: by the same principal, with the same labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReservation {
    /// For whom.
    pub role: RoleName,
    /// Made by whom.
    pub kind: ReservationKind,
    /// Whose it was before, the outermost first, where a role gave some of its own to a role below it.
    pub within: Vec<RoleName>,
    /// The principal that made it.
    pub principal: Option<String>,
    /// Labels; keys may repeat.
    pub labels: Vec<ReservationLabel>,
    /// How much it is, and who has it.
    #[serde(flatten)]
    pub portion: Portion,
}

/// A label of a reservation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReservationLabel {
    /// Its name.
    pub key: String,
    /// Its value, if it has one.
    pub value: Option<String>,
}

/// Who has something that is had as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// Nobody.
    Free,
    /// A framework holds an offer of it.
    Offered,
    /// A task or an executor.
    Used,
}

impl Holding {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Holding::Free => "free",
            Holding::Offered => "offered",
            Holding::Used => "used",
        }
    }
}

/// A directory on reserved disk that outlives the tasks which use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeVolume {
    /// Unique for its role on its machine.
    pub id: String,
    /// The role that it is kept for.
    pub role: RoleName,
    /// The principal that made it.
    pub principal: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Where tasks see it, below their sandboxes.
    pub container_path: String,
    /// The disk that it lies on; None: the one that the agent works on.
    pub disk: Option<DiskPlace>,
    /// Who has it.
    pub state: Holding,
    /// The framework that uses it or holds an offer of it.
    pub framework: Option<FrameworkId>,
    /// The tasks that use it: one that was given it, or those of an executor that was.
    pub tasks: Vec<TaskId>,
}

/// Which disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPlace {
    /// What kind of disk.
    pub kind: DiskKind,
    /// Its directory on the machine; one that is not absolute is below the agent's.
    pub root: String,
}

/// A kind of disk besides the one that the agent works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskKind {
    /// A directory: volumes share what there is.
    Path,
    /// A file system: somebody has all of it, or nobody.
    Mount,
}

impl DiskKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            DiskKind::Path => "path",
            DiskKind::Mount => "mount",
        }
    }
}

/// A disk of a machine besides the one that its agent works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDisk {
    /// Which.
    #[serde(flatten)]
    pub place: DiskPlace,
    /// Bytes.
    pub size: u64,
    /// Bytes of it that are kept for roles.
    pub reserved: u64,
    /// Bytes that tasks and executors have.
    pub used: u64,
    /// Bytes that frameworks hold offers of.
    pub offered: u64,
    /// The rest.
    pub free: u64,
}
