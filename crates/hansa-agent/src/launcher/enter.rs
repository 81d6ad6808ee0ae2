//! Runs a further command inside a container that is already there: for health checks.
//!
//! A helper process joins the container's cgroups and namespaces, forks the command, waits for it with a time limit, and
//! hands its status back through a pipe. Helper and command die with the shim.

use super::command::{Streams, become_program};
use super::init::{descendants, parent};
use super::pipe::{Failures, pipe, set_nonblocking};
use super::plan::{Fence, Plan, Program};
use crate::cgroup::Container;
use crate::shim::LaunchError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A command running inside a container, as the shim holds it. The helper is a child of the caller.
#[derive(Debug)]
pub(crate) struct Execution {
    /// What the command writes, both outputs mixed; does not block.
    pub output: OwnedFd,
    /// Gives an [`Outcome`] as JSON and ends; does not block.
    pub outcome: OwnedFd,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// Variables besides the container's own, which win.
    pub env: &'a BTreeMap<String, String>,
    /// How long it may take; None: as long as it likes.
    pub timeout: Option<Duration>,
    /// Its standard streams, and whether they are a terminal. None: nothing to read, and both outputs to
    /// [`Execution::output`].
    pub streams: Option<(&'a [OwnedFd; 3], bool)>,
}

/// How it went: a wait status, and whether time was up.
pub(crate) type Outcome = Result<(i32, bool), LaunchError>;

/// Starts a command inside the container whose first process is `init`. Call it only from a process with one thread.
///
/// # Errors
/// The command is nonsense, or no process can be started.
pub(crate) fn execute(
    plan: &Plan,
    init: i32,
    cgroup: Option<&Container>,
    wanted: &Wanted<'_>,
) -> Result<Execution, LaunchError> {
    let mut program = Program::new(wanted.argv, wanted.env)?;
    program.inherit(&plan.program);
    in_helper(|output| run(plan, &program, init, cgroup, output, wanted))
}

/// Starts a process that does this and says how it went. It is given the end to which output goes. Call it only from a
/// process with one thread.
pub(super) fn in_helper(act: impl FnOnce(OwnedFd) -> Outcome) -> Result<Execution, LaunchError> {
    let broken = |error: io::Error| LaunchError::machine(format!("cannot start a process: {error}"));
    let (output, output_write) = pipe().map_err(broken)?;
    let (outcome, outcome_write) = pipe().map_err(broken)?;
    // SAFETY: this process has one thread, so that the child may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(broken(io::Error::last_os_error())),
        0 => {
            // SAFETY: no memory is passed.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
            drop((output, outcome));
            let result = act(output_write);
            let text = serde_json::to_vec(&result).unwrap_or_default();
            let _ = File::from(outcome_write).write_all(&text);
            // SAFETY: ends the process without running anything of its parent's.
            unsafe { libc::_exit(0) }
        }
        _ => {
            set_nonblocking(output.as_raw_fd()).map_err(broken)?;
            set_nonblocking(outcome.as_raw_fd()).map_err(broken)?;
            Ok(Execution { output, outcome })
        }
    }
}

/// In the helper.
fn run(
    plan: &Plan,
    program: &Program,
    init: i32,
    cgroup: Option<&Container>,
    output: OwnedFd,
    wanted: &Wanted<'_>,
) -> Outcome {
    let broken = |what: &str, error: io::Error| {
        LaunchError::machine(format!("cannot {what} of the container: {error}"))
    };
    if let Some(cgroup) = cgroup {
        cgroup.enter(0).map_err(|error| broken("enter the cgroup", error))?;
    }
    join(plan, init).map_err(|error| broken("enter the namespaces", error))?;
    super::root::enter(&plan.inside_dir)?;
    let (setup, failures) = pipe().map_err(|error| broken("make a pipe for a command", error))?;
    let deadline = wanted.timeout.map(|timeout| Instant::now() + timeout);
    // SAFETY: this process has one thread, so that the child may do anything.
    let command = match unsafe { libc::fork() } {
        -1 => return Err(broken("start a process", io::Error::last_os_error())),
        0 => {
            let mut failures = Failures::new(failures);
            let streams = match wanted.streams {
                Some(([stdin, stdout, stderr], terminal)) => Streams {
                    stdin: Some(stdin.as_raw_fd()),
                    stdout: stdout.as_raw_fd(),
                    stderr: stderr.as_raw_fd(),
                    terminal,
                },
                None => {
                    let output = output.as_raw_fd();
                    Streams { stdin: None, stdout: output, stderr: output, terminal: false }
                }
            };
            become_program(plan, program, streams, &mut failures)
        }
        pid => pid,
    };
    drop(failures);
    let mut text = Vec::new();
    let _ = File::from(setup).read_to_end(&mut text);
    if let Ok(error) = serde_json::from_slice::<LaunchError>(&text) {
        // SAFETY: the pointer may be null; the process is our child.
        unsafe { libc::waitpid(command, std::ptr::null_mut(), 0) };
        let _ = File::from(output).write_all(error.message.as_bytes());
        // As a shell would: 127 for what is not there, 126 for what cannot be executed.
        let code = if error.message.contains("no such") { 127 } else { 126 };
        return Ok((code << 8, false));
    }
    drop(output);
    Ok(await_end(command, deadline))
}

/// Waits for the command; kills it and its process group when time is up.
fn await_end(command: i32, deadline: Option<Instant>) -> (i32, bool) {
    let mut status = 0;
    let mut timed_out = false;
    if let Ok(pidfd) = pidfd(command) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let milliseconds = left.map_or(-1, |left| i32::try_from(left.as_millis()).unwrap_or(i32::MAX));
        let mut polled = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one entry.
        timed_out = unsafe { libc::poll(&mut polled, 1, milliseconds) } == 0;
    }
    // SAFETY: the status is ours; the process is our child and leads a group of its own. What has left that group stays
    // in the container and ends with it.
    unsafe {
        if timed_out {
            libc::kill(-command, libc::SIGKILL);
            libc::kill(command, libc::SIGKILL);
        }
        libc::waitpid(command, &mut status, 0);
    }
    (status, timed_out)
}

/// Joins init's namespaces, as far as the container has its own. What is forked from then on is inside.
fn join(plan: &Plan, init: i32) -> io::Result<()> {
    let names: &[&str] = match plan.fence {
        Fence::None => return Ok(()),
        Fence::Full if plan.network.is_some() => &["ipc", "uts", "cgroup", "net", "pid", "mnt"],
        Fence::Full => &["ipc", "uts", "cgroup", "pid", "mnt"],
        Fence::User => &["user", "ipc", "uts", "pid", "mnt"],
    };
    // All are opened before the first is joined: after `mnt`, /proc is another.
    let namespaces = namespaces(plan, init, names)?;
    for (namespace, name) in namespaces.into_iter().zip(names) {
        let namespace = match namespace {
            // Kernels before 4.6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && *name == "cgroup" => continue,
            opened => opened?,
        };
        // SAFETY: no memory is passed.
        if unsafe { libc::setns(namespace.as_raw_fd(), 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Opens namespaces of the container whose first process is `init`. Of that, only root may look at them; an ordinary user
/// may look at those of what it started.
pub(super) fn namespaces(plan: &Plan, init: i32, names: &[&str]) -> io::Result<Vec<io::Result<File>>> {
    let gone = || io::Error::other("nothing runs in the container any more");
    let is_child = |pid: &i32| parent(*pid) == Some(init);
    let process = match plan.fence {
        Fence::User => descendants(init).into_iter().find(is_child).ok_or_else(gone)?,
        Fence::Full | Fence::None => init,
    };
    let open = |name: &&str| File::open(format!("/proc/{process}/ns/{name}"));
    let opened = names.iter().map(open).collect();
    // Still the same one, not another that got its number meanwhile.
    if process == init || is_child(&process) { Ok(opened) } else { Err(gone()) }
}

fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is new and nobody else's.
    unsafe {
        match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd as i32)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
