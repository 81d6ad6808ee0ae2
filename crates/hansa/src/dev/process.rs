//! The processes of a development cluster: each dies with its supervisor, however that dies.

use crate::failure::{Exit, Failure};
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::Child;

/// Ends that come sooner than this after the start make the next start wait longer.
const SETTLED: Duration = Duration::from_secs(10);

/// One process that is started again when it ends.
pub struct Process {
    /// `master`, or the agent's name.
    pub name: String,
    /// Where its log is.
    pub log: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    started: Instant,
    quick_ends: u32,
}

impl Process {
    /// Describes a process of this program; nothing is started yet.
    pub fn new(name: &str, arguments: Vec<String>, log: PathBuf) -> Self {
        Self { name: name.into(), log, arguments, child: None, started: Instant::now(), quick_ends: 0 }
    }

    /// Starts it. Must be called on the main thread: the process is killed when the thread that started it ends.
    pub fn start(&mut self) -> Result<(), Failure> {
        let failed =
            |error: std::io::Error, what: &str| Failure::new(Exit::Failed, format!("cannot {what}: {error}"));
        let program = own_program()?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|error| failed(error, "write a log").at(self.log.display().to_string()))?;
        let mut command = Command::new(program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        forget_settings(&mut command);
        // A group of its own: Ctrl-C in the terminal is for the supervisor, which ends the others in order.
        command.process_group(0);
        die_with_parent(&mut command);
        let mut command = tokio::process::Command::from(command);
        let child = command.spawn().map_err(|error| failed(error, &format!("start {}", self.name)))?;
        self.child = Some(child);
        self.started = Instant::now();
        Ok(())
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Waits until it ends. Pending for ever if it does not run.
    pub async fn ended(&mut self) -> ExitStatus {
        let Some(child) = &mut self.child else { return std::future::pending().await };
        match child.wait().await {
            Ok(status) => {
                self.child = None;
                self.quick_ends = if self.started.elapsed() < SETTLED { self.quick_ends + 1 } else { 0 };
                status
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// How long to wait before the next start: not at all after a long run, longer with each quick end.
    pub fn delay(&self) -> Duration {
        match self.quick_ends {
            0 | 1 => Duration::ZERO,
            ends => Duration::from_millis(250 << ends.min(5)),
        }
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, signal: libc::c_int) {
        if let Some(pid) = self.pid().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: the process is our child and not reaped yet, so that the id is still its own.
            unsafe {
                libc::kill(pid, signal);
            }
        }
    }

    /// What it said last about why it ended, in one line.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        reason(&String::from_utf8_lossy(&text))
    }
}

/// The last error in a log: what `main` prints, else a panic with its message, else the last line.
fn reason(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let Some(error) = lines.iter().rev().find_map(|line| line.strip_prefix("error: ")) {
        return error.to_owned();
    }
    match lines.iter().rposition(|line| line.contains(" panicked at ")) {
        Some(at) => lines[at..lines.len().min(at + 2)].join(" "),
        None => lines.last().map_or_else(|| "it said nothing".into(), |line| (*line).to_owned()),
    }
}

/// This program's file.
pub fn own_program() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?;
    // A rebuilt program: the running one's file is gone, the new one stands in its place.
    let text = path.to_string_lossy();
    Ok(match text.strip_suffix(" (deleted)") {
        Some(stripped) if Path::new(stripped).exists() => PathBuf::from(stripped),
        _ => path,
    })
}

/// The supervisor decides what its processes are told: no setting of the person at the terminal reaches them.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HANSA_") && name != "HANSA_LOG" {
            command.env_remove(name);
        }
    }
}

/// Makes the kernel kill the process when its parent dies, also by SIGKILL.
fn die_with_parent(command: &mut Command) {
    // SAFETY: the id of the own process has no preconditions.
    let parent = unsafe { libc::getpid() };
    // SAFETY: between fork and exec only system calls are made, no memory is allocated.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have died before the call above.
            if libc::getppid() != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_a_log() {
        assert_eq!(reason("INFO up\nerror: the port is in use\n  try: another\n"), "the port is in use");
        let panic =
            "INFO up\n\nthread 'main' (1) panicked at x.rs:1:2:\nno such thing\nstack backtrace:\n 0: a\n";
        assert_eq!(reason(panic), "thread 'main' (1) panicked at x.rs:1:2: no such thing");
        assert_eq!(reason("INFO up\nINFO down\n"), "INFO down");
        assert_eq!(reason(""), "it said nothing");
    }
}
