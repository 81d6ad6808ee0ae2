//! What a shim leaves behind: `started.json` once the command runs, `exit.json` once everything has ended.

use hansa_model::task::{Exit, Limitation};
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number in the agent's pid namespace.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks since boot.
    pub start_ticks: u64,
}

/// The command runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The shim's [`super::VERSION`].
    pub version: u32,
    /// Which agent's.
    pub agent: String,
    /// Which container.
    pub container: String,
    /// What its cgroups are called below the agent's; None: it has none, or an older shim called them like itself.
    #[serde(default)]
    pub cgroup: Option<String>,
    /// The kernel's boot id; under another one nothing of this lives.
    pub boot: String,
    /// The shim.
    pub shim: ProcessId,
    /// The container's init: the process that `ps` shows as the shim's child. Its namespaces are the container's.
    pub init: ProcessId,
    /// Wall clock, milliseconds.
    pub at_ms: u64,
    /// Isolation that was asked for and could not be given, in words.
    #[serde(default)]
    pub missing_isolation: Vec<String>,
}

impl Started {
    /// What its cgroups are called, if it has any.
    pub fn cgroup(&self) -> &str {
        self.cgroup.as_deref().unwrap_or(&self.container)
    }
}

/// Why a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The command ended by itself.
    Exited,
    /// It was told to stop (within grace or killed after it: the exit tells).
    Stopped,
    /// It used more memory than it may.
    OutOfMemory,
    /// Nobody extended the stop deadline.
    Deadline,
    /// It never started; see `launch_error`.
    LaunchFailed,
}

/// Everything about a container that has ended. When this file is there, its processes and cgroups are gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The shim's [`super::VERSION`].
    pub version: u32,
    /// Which agent's.
    pub agent: String,
    /// Which container.
    pub container: String,
    /// The kernel's boot id.
    pub boot: String,
    /// Why it ended.
    pub cause: Cause,
    /// How the command ended; None if it never started.
    pub exit: Option<Exit>,
    /// The memory limit that it broke, with what it used at most.
    #[serde(default)]
    pub limitation: Option<Limitation>,
    /// Why it never started.
    #[serde(default)]
    pub launch_error: Option<LaunchError>,
    /// Wall clock, milliseconds; 0 if it never started.
    pub started_at_ms: u64,
    /// Wall clock, milliseconds.
    pub ended_at_ms: u64,
    /// CPU time of everything in it, in nanoseconds; None without cgroups.
    #[serde(default)]
    pub cpu_ns: Option<u64>,
    /// Bytes of memory used at most; None without cgroups.
    #[serde(default)]
    pub memory_peak_bytes: Option<u64>,
    /// Bytes of output that could not be written (disk full).
    #[serde(default)]
    pub output_lost_bytes: u64,
    /// The last line that it wrote to stderr, if it wrote any.
    #[serde(default)]
    pub last_words: Option<String>,
    /// Nothing is left but files: a clean-up need not look for processes and cgroups.
    #[serde(default)]
    pub swept: bool,
}

/// A container could not be started. `kind` decides what the task's end is called; `message` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct LaunchError {
    /// Whose fault.
    pub kind: LaunchErrorKind,
    /// In words: what was tried, on what, what went wrong.
    pub message: String,
}

/// Whose fault a failed launch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchErrorKind {
    /// The spec's: no such program, user, directory or limit. Will fail again.
    Spec,
    /// The machine's: out of memory, processes, disk; isolation that broke. May work later or elsewhere.
    Machine,
}

impl LaunchError {
    /// The spec asks for something that is not there or not allowed.
    pub fn spec(message: impl Into<String>) -> Self {
        Self { kind: LaunchErrorKind::Spec, message: message.into() }
    }

    /// The machine could not do it.
    pub fn machine(message: impl Into<String>) -> Self {
        Self { kind: LaunchErrorKind::Machine, message: message.into() }
    }
}
