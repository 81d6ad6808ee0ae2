//! What is stored of a framework's executor.

use crate::furnishing::Furnishings;
use hansa_model::framework::launch::ExecutorRun;
use hansa_model::framework::{ExecutorKind, FrameworkInfo};
use hansa_model::task::Reason;
use hansa_model::{BootId, RoleName, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An executor that the agent holds: about to be started, running, or ending. Its tasks are groups that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedExecutor {
    /// When its first group was accepted.
    pub at: Timestamp,
    /// In which boot.
    pub boot: BootId,
    /// The role that pays for it.
    pub role: RoleName,
    /// Whose it is.
    pub framework: Arc<FrameworkInfo>,
    /// Which run of it.
    pub run: Arc<ExecutorRun>,
    /// Since when its process runs.
    #[serde(default)]
    pub running_since: Option<Timestamp>,
    /// Its own addresses, if it has any besides the machine's.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Whether it has ever said that it is there. (One for groups of tasks is there when its surroundings are.)
    #[serde(default)]
    pub registered: bool,
    /// What of the machine its container may see by now; None: nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_with: Option<Furnishings>,
    /// How it is to end, if somebody wants that.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// The wait status of its process, if that has ended while tasks in its surroundings have not.
    #[serde(default)]
    pub ended: Option<i32>,
}

/// How an executor is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When it must be dead.
    pub until: Timestamp,
    /// Why its tasks fail with it, if that is not simply its end.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// In words; may be empty.
    #[serde(default)]
    pub message: String,
    /// It has nothing left to do: however its process ends, it has ended well.
    #[serde(default)]
    pub done: bool,
}

impl SavedExecutor {
    /// Whether it speaks for itself.
    pub fn is_custom(&self) -> bool {
        self.run.kind == ExecutorKind::Custom
    }
}
