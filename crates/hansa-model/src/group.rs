//! Groups: what there is to say about them besides the apps whose paths begin with theirs.
//!
//! A group exists while an app lies in it, or while a stored version says that it does. Versions are immutable; the
//! newest of a group is what holds.

use crate::id::AppId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One stored version of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupVersion {
    /// Absolute path; `/` is the root.
    pub id: AppId,
    /// When it was accepted; also its name.
    pub version: Timestamp,
    /// Whether there is such a group, even without apps; false: from then on it was removed.
    pub exists: bool,
    /// Apps or groups that must be up before any app of this group.
    #[serde(default)]
    pub dependencies: Vec<AppId>,
    /// Whether its apps must have its name as their role. Only for groups directly below the root; None: never said.
    #[serde(default)]
    pub enforce_role: Option<bool>,
}

/// What a group shall be, besides its apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupTarget {
    /// There, with these settings.
    Put {
        /// Apps or groups that must be up before its own.
        dependencies: Vec<AppId>,
        /// See [`GroupVersion::enforce_role`].
        enforce_role: Option<bool>,
    },
    /// Not there any more. Its apps are removed by changes of their own.
    Removed,
}

/// One group's part of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// The group.
    pub id: AppId,
    /// Refuse if the group is stored already: the client saw that there was none.
    pub must_be_new: bool,
    /// What it shall be.
    pub to: GroupTarget,
}
