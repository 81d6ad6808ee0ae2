//! What agent and shim say over `shim.sock`: a JSON object a line, each way.
//!
//! A request carries a number; its answer carries the same. Whoever connects gets [`Event`]s from then on: at once the
//! newest, so that nothing is missed. Unknown requests are answered with an error, unknown fields ignored.

use super::record::{ExitRecord, LaunchError, Started};
use super::world::Change;
use hansa_model::framework::Raw;
use hansa_model::task::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The longest line either side accepts, in bytes.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Bytes of a check's output that are kept.
pub const EXEC_OUTPUT_BYTES: usize = 1024;

/// From the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Chosen by the agent, unique on its connection.
    pub id: u64,
    /// What it wants.
    #[serde(flatten)]
    pub body: RequestBody,
}

/// What the agent wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum RequestBody {
    /// To a spare shim: run what the spec in this directory says, where its files have been moved to.
    Start {
        /// The container's runtime directory, absolute.
        dir: PathBuf,
    },
    /// Send a signal to every process of the container; SIGKILL ends it.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// SIGTERM, and SIGKILL after the grace. A second stop can only shorten the grace.
    Stop {
        /// Milliseconds; None: the spec's.
        grace_ms: Option<u64>,
    },
    /// Move the stop deadline, if it is later than the one known.
    Extend {
        /// Milliseconds of `CLOCK_BOOTTIME`.
        deadline_boottime_ms: u64,
    },
    /// Give the command something to read, if its standard streams are a terminal.
    Input {
        /// What.
        data: Raw,
    },
    /// The command's terminal has another size.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        columns: u16,
    },
    /// Change what the container sees. Answered when that is done.
    Change {
        /// What.
        change: Change,
    },
    /// Run a command beside the container's own, in its namespaces, cgroups and fences.
    Exec {
        /// As in the spec.
        argv: Vec<String>,
        /// Variables besides the container's own, which win.
        env: BTreeMap<String, String>,
        /// Milliseconds after which it is killed.
        timeout_ms: u64,
    },
    /// Likewise, but for somebody who talks to it: its standard streams are the three descriptors that come with the
    /// request. Answered when it has ended.
    Session {
        /// As in the spec.
        argv: Vec<String>,
        /// Variables besides the container's own, which win.
        env: BTreeMap<String, String>,
        /// Whether the streams are a terminal.
        terminal: bool,
    },
}

/// From the shim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// Something happened to the container.
    Event(Event),
    /// The answer to a request.
    Done {
        /// Whose.
        id: u64,
        /// Why it was not done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// What an exec gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecResult>,
    },
}

/// Something that happened to the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The command runs.
    Started(Started),
    /// It never will.
    Failed(LaunchError),
    /// Everything has ended; the shim's last word.
    Exited(ExitRecord),
}

/// How a command run inside a container went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecResult {
    /// How it ended; killed ones with signal 9.
    pub exit: Exit,
    /// Whether it was killed for taking too long.
    pub timed_out: bool,
    /// The first [`EXEC_OUTPUT_BYTES`] of its stdout and stderr, as they came.
    pub output: String,
}
