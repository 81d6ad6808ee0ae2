//! What a container finds around it beside limits: its root file system, what is mounted into it, its name service.
//!
//! Part of [`super::ShimSpec`]; plain data. The paths of sources are the machine's, those of targets the container's.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a container with a root file system of its own sees its sandbox.
pub const SANDBOX_IN_IMAGE: &str = "/mnt/mesos/sandbox";

/// A root file system made of an image's layers and a place for what the container writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootSpec {
    /// Unpacked layers with overlayfs' whiteouts, the uppermost first. Shared with other containers and never written.
    pub layers: Vec<PathBuf>,
    /// A directory of this container alone, on a disk's file system; made if it is not there. What the container writes
    /// lies below it. Whoever removes the container removes it.
    pub scratch: PathBuf,
    /// The container cannot write to its root (but to its mounts).
    #[serde(default)]
    pub read_only: bool,
}

/// Something mounted into a container, in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountSpec {
    /// What is shown; what it is, `kind` says.
    pub source: PathBuf,
    /// Where the container sees it: absolute. Links in it are followed inside the container's root and never out of it;
    /// what is missing is made, where the root is the container's own.
    pub target: PathBuf,
    /// Seen, but not changed.
    pub read_only: bool,
    /// Which sort.
    pub kind: MountKind,
}

/// Sorts of mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// `source` is a file or directory of the machine; absolute. One below a hidden path is refused.
    #[default]
    Bind,
    /// As `Bind`, but a missing directory is made first and belongs to the command's user.
    BindMade,
    /// `source` is a path below the sandbox, whose links are never followed out of it. A missing directory is made and
    /// belongs to the command's user.
    Sandbox,
    /// As `Sandbox`, but below another directory of the agent's that this container may see. An empty `source` is that
    /// directory itself, which belongs to the command's user from then on.
    Within {
        /// That directory; absolute, and there.
        root: PathBuf,
    },
    /// A directory for this mount alone, kept in the scratch directory, filled with what the image has at the target:
    /// what an image calls a volume. `source` is nothing.
    Anonymous,
    /// A file system in memory. `source` is nothing.
    Tmpfs {
        /// How much it holds, in bytes; None: as the kernel likes.
        bytes: Option<u64>,
        /// The mode of its root directory; None: 1777.
        mode: Option<u32>,
    },
    /// `source` is a file of the machine, whose content is copied to a file in memory that only the command's user reads.
    /// It is read when the container starts, and only then.
    Secret,
}

/// Something that a container sees from now on, or does not see any more. What is so already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A volume comes: a directory, and where it is seen.
    Mount(MountSpec),
    /// A volume goes, from wherever the container has it by now. Of the kind [`MountKind::Within`].
    Unmount(MountSpec),
    /// A device of the machine comes, by its path below `/dev`.
    AddDevice(PathBuf),
    /// A device of the machine goes.
    RemoveDevice(PathBuf),
}

/// The three files that a container with its own root finds in `/etc`, as text. None: as the machine has them (of
/// `hostname`: the container's).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EtcFiles {
    /// `/etc/resolv.conf`.
    pub resolv_conf: Option<String>,
    /// `/etc/hosts`.
    pub hosts: Option<String>,
    /// `/etc/hostname`.
    pub hostname: Option<String>,
}
