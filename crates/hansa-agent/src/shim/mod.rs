//! One small process per container, which outlives the agent that started it.
//!
//! [`spawn`] runs `hansa shim <runtime dir>`. The shim takes itself out of its starter's session and cgroup, fences in
//! and starts the command ([`crate::launcher`]), keeps its output in rotated files, serves a socket, and when everything
//! has ended writes `exit.json` and ends too. An agent that comes later finds it with [`attach`]. The shim is single
//! threaded and starts no runtime: `main` dispatches to [`main`] before anything else.
//!
//! An agent has some shims ready before it needs them: [`Pool`] gets them from a process that forks them (`nursery`), each
//! with cgroups and a container's first process in them, and all that is left to do is to tell one what to run.
//!
//! Invariants: a container never lives without its shim (its init dies with it); an exit record is only there when the
//! container's processes and cgroups are gone; what a dead shim leaves, [`cleanup`] removes from the files alone.

mod cleanup;
mod client;
mod connection;
mod events;
pub(crate) mod files;
mod nursery;
mod output;
mod pool;
mod protocol;
mod record;
mod running;
mod server;
mod spare;
mod spec;
mod timer;
pub(crate) mod title;
mod world;

pub use client::{Attached, Client, ClientError, ShimLost, attach, list, spawn};
pub use pool::Pool;
pub use protocol::{EXEC_OUTPUT_BYTES, ExecResult};
pub use record::{Cause, ExitRecord, LaunchError, LaunchErrorKind, ProcessId, Started};
pub use spec::{Isolation, Limits, Output, Rlimit, ShimSpec, VERSION};
pub use world::{Change, EtcFiles, MountKind, MountSpec, RootSpec, SANDBOX_IN_IMAGE};

use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The word that makes `hansa shim` a nursery.
const NURSERY: &str = "--nursery";

/// The shim process: `args` is what follows `shim` on the command line. Never returns.
///
/// Must be called before any thread is started.
pub fn main(args: Vec<OsString>) -> ! {
    match &args[..] {
        [runtime_dir] => server::run(Path::new(runtime_dir)),
        [word, spares, agent, ..] if word == NURSERY => {
            let program = std::env::args_os().next().unwrap_or_default();
            nursery::run(&program, Path::new(spares), &agent.to_string_lossy())
        }
        _ => {
            eprintln!("usage: hansa shim <runtime directory> (started by the agent, not by hand)");
            std::process::exit(2)
        }
    }
}

/// Ends and removes whatever is left of a container, from its runtime directory alone: kills a shim that still lives,
/// every process in the container's cgroups, and removes the cgroups. May be repeated at any time; the directory itself,
/// an exit record and the sandbox stay.
///
/// # Errors
/// Something cannot be read, killed or removed; repeat it.
pub async fn cleanup(runtime_dir: &Path) -> io::Result<()> {
    let runtime_dir = runtime_dir.to_owned();
    tokio::task::spawn_blocking(move || cleanup::cleanup(&runtime_dir)).await.map_err(io::Error::other)?
}

/// The kernel's name for this boot of the machine.
///
/// # Errors
/// /proc cannot be read.
pub fn boot_id() -> io::Result<String> {
    cleanup::boot_id()
}

/// Milliseconds since boot, sleep included: the clock of stop deadlines.
pub fn boottime_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Replaces a [`ShimSpec::deadline_file`].
///
/// # Errors
/// The file cannot be written.
pub fn write_deadline(path: &Path, deadline_boottime_ms: u64) -> io::Result<()> {
    files::write_atomic(path, deadline_boottime_ms.to_string().as_bytes(), false)
}
