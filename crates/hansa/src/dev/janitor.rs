//! The process that cleans up behind a supervisor that was killed: it reads from a pipe that only the supervisor holds
//! open, and when that ends without a word it ends the cluster and removes what it left.
//!
//! It is a convenience, not the guarantee: if it is killed too, the shims' stop deadline still ends every task, and the
//! next `hansa dev` removes the directory.

use crate::dev::directory::{remove_all, try_lock};
use crate::dev::process::{forget_settings, own_program};
use crate::dev::sweep::sweep;
use crate::failure::Failure;
use clap::Args;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// What the janitor is told.
#[derive(Clone, Debug, Args)]
pub struct JanitorArgs {
    /// The cluster's data directory
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Remove the directory too
    #[arg(long)]
    pub remove: bool,
}

/// The supervisor's end of the pipe.
pub struct Janitor {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Janitor {
    /// Starts the janitor of a cluster.
    pub fn start(data_dir: &Path, remove: bool) -> Result<Self, Failure> {
        let mut command = Command::new(own_program()?);
        command.arg("dev-janitor").arg("--data-dir").arg(data_dir);
        if remove {
            command.arg("--remove");
        }
        forget_settings(&mut command);
        // A group of its own, so that what is sent to the terminal's group does not reach it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir("/");
        let mut child = command.spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// The supervisor has cleaned up itself.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(b"done");
        }
        let _ = self.child.wait();
    }
}

/// The janitor's whole life.
pub fn run(args: &JanitorArgs) {
    let mut word = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut word);
    if word == b"done" {
        return;
    }
    // So that no new cluster begins in the directory meanwhile. Its lock went with the supervisor.
    let lock = try_lock(&args.data_dir);
    sweep(&args.data_dir, Duration::from_secs(30));
    if args.remove {
        remove_all(&args.data_dir);
    }
    drop(lock);
}
