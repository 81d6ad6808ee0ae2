//! A container's first process: sets up its world, forks the command, reaps, passes signals on, and ends with it.
//!
//! It is a fork of the shim, not a program of its own. As process 1 of its pid namespace its end is the end of everything
//! in there; and it ends when the shim does. The command is its child and not process 1 itself, as signals that a process
//! 1 has no handler for do nothing.

use super::command::{Streams, become_program};
use super::inside::Inside;
use super::mounts;
use super::pipe::{Failures, await_setup, is_closed, pipe, receive, send};
use super::plan::{Base, Fence, Plan};
use super::terminal::{open_terminal, receive_with, send_with};
use super::user::Identity;
use super::{capabilities, user};
use crate::cgroup::{Container, Place, Version};
use crate::shim::LaunchError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// With this bit a byte from the shim asks to stop: to wait for all processes after the command's end, not to end them.
const STOPPING: u8 = 0x80;

/// A container's first process, as the shim holds it.
#[derive(Debug)]
pub(crate) struct Init {
    /// Its pid.
    pub pid: i32,
    /// Becomes readable with the command's wait status (4 bytes), or ends without.
    pub status: OwnedFd,
    /// What the command writes.
    pub stdout: OwnedFd,
    /// What the command writes to its error output.
    pub stderr: OwnedFd,
    /// What could not be had.
    pub missing: Vec<String>,
    control: File,
}

impl Init {
    /// Passes a signal to every process of the container; with `stopping`, their ends are then awaited.
    pub fn signal(&mut self, signal: i32, stopping: bool) -> io::Result<()> {
        let number = u8::try_from(signal).ok().filter(|n| (1..65).contains(n));
        let number = number.ok_or_else(|| io::Error::other(format!("there is no signal {signal}")))?;
        self.control.write_all(&[number | if stopping { STOPPING } else { 0 }])
    }

    /// Ends everything at once, as far as the pid namespace reaches.
    pub fn kill(&self) {
        // SAFETY: no memory is passed. The process is our child and not yet reaped, so the number is its.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }
}

/// The ends of the pipes that init works with.
struct Ends {
    control: OwnedFd,
    status: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    report: UnixStream,
    failures: OwnedFd,
}

/// A container's first process before it knows its command: in its namespaces and cgroup, waiting for a [`Plan`]. Ends
/// with this value.
#[derive(Debug)]
pub(crate) struct Waiting {
    init: Init,
    report: UnixStream,
    setup: File,
}

/// Clones init into the container's cgroup and namespaces. Call it only from a process with one thread.
///
/// # Errors
/// Something could not be set up; nothing of it is left.
pub(crate) fn prepare(base: &Base, cgroup: Option<&Container>) -> Result<Waiting, LaunchError> {
    let broken = |error: io::Error| LaunchError::machine(format!("cannot make a pipe: {error}"));
    let (control_read, control) = pipe().map_err(broken)?;
    let (status, status_write) = pipe().map_err(broken)?;
    let (stdout, stdout_write) = pipe().map_err(broken)?;
    let (stderr, stderr_write) = pipe().map_err(broken)?;
    let (report, report_write) = UnixStream::pair().map_err(broken)?;
    let (setup, failures) = pipe().map_err(broken)?;
    let places = cgroup.map(Container::places).unwrap_or_default();
    let flags = match base.fence {
        Fence::None => 0,
        Fence::Full => NAMESPACES,
        Fence::User => NAMESPACES | libc::CLONE_NEWUSER,
    };
    let (pid, in_cgroup) = clone(flags, &places).map_err(|error| {
        LaunchError::machine(format!("cannot start a process in new namespaces: {error}"))
    })?;
    if pid == 0 {
        let ends = Ends {
            control: control_read,
            status: status_write,
            stdout: stdout_write,
            stderr: stderr_write,
            report: report_write,
            failures,
        };
        main(base, &places, ends);
    }
    let init = Init { pid, status, stdout, stderr, missing: base.missing.clone(), control: control.into() };
    let mut waiting = Waiting { init, report, setup: setup.into() };
    match admit(&mut waiting.init, base, cgroup.filter(|_| !in_cgroup)) {
        Ok(()) => Ok(waiting),
        Err(error) => {
            waiting.end();
            Err(error)
        }
    }
}

impl Waiting {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.init.pid
    }

    /// Hands over the plan and waits until the program runs. What was found out on the way becomes part of the plan.
    ///
    /// # Errors
    /// Something could not be set up, or the program not be executed; nothing of it is left.
    pub fn run(mut self, plan: &mut Plan) -> Result<Init, LaunchError> {
        let sent = send(&self.init.control, plan)
            .map_err(|error| LaunchError::machine(format!("cannot start the container: {error}")));
        // A process that could not even wait has said why.
        let told = |error| await_setup(&self.setup).err().unwrap_or(error);
        if let Err(error) = sent.map_err(told).and_then(|()| await_setup(&self.setup)) {
            self.end();
            return Err(error);
        }
        self.init.missing.extend_from_slice(&plan.missing);
        let (text, mut terminal) = read_report(&self.report);
        if let Ok(report) = serde_json::from_slice::<Report>(&text) {
            self.init.missing.extend(report.missing);
            match (report.identity, report.home) {
                (Some(identity), Some(home)) => plan.settle(identity, home),
                (identity, _) => plan.identity = identity,
            }
        }
        if let Some(terminal) = terminal.pop() {
            self.init.stdout = terminal;
        }
        Ok(self.init)
    }

    /// Ends it, and waits until it is gone.
    pub fn end(&self) {
        self.init.kill();
        // SAFETY: the pointer may be null; the process is our child.
        unsafe { libc::waitpid(self.init.pid, std::ptr::null_mut(), 0) };
    }
}

/// Everything until the other end is closed.
fn read_report(report: &UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    let (mut text, mut fds, mut buffer) = (Vec::new(), Vec::new(), [0; 4096]);
    loop {
        match receive_with(report.as_raw_fd(), &mut buffer, &mut fds) {
            Ok(0) => return (text, fds),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (text, fds),
        }
    }
}

/// What init found out while it set itself up.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    missing: Vec<String>,
    identity: Option<Identity>,
    home: Option<String>,
}

/// Puts init where it belongs and lets it go on.
fn admit(init: &mut Init, base: &Base, cgroup: Option<&Container>) -> Result<(), LaunchError> {
    let failed = |what: &str, error: io::Error| LaunchError::machine(format!("cannot {what}: {error}"));
    if let Some(cgroup) = cgroup {
        cgroup.enter(init.pid).map_err(|error| failed("put the container into its cgroup", error))?;
    }
    if base.fence == Fence::User {
        let (uid, gid) = user::own();
        for (file, text) in [
            ("setgroups", "deny".into()),
            ("uid_map", format!("{uid} {uid} 1")),
            ("gid_map", format!("{gid} {gid} 1")),
        ] {
            std::fs::write(format!("/proc/{}/{file}", init.pid), text)
                .map_err(|error| failed("map the user into the container", error))?;
        }
    }
    init.control.write_all(&[0]).map_err(|error| failed("start the container", error))
}

/// The mount namespace comes later: it is a copy of what is mounted at that moment.
const NAMESPACES: libc::c_int = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// Forks with namespaces; 0 in the child. Where the one hierarchy is a cgroup2, the child starts in its cgroup, which
/// is quicker than moving it; the answer says whether it did.
fn clone(flags: libc::c_int, places: &[Place]) -> io::Result<(i32, bool)> {
    if let [Place { version: Version::V2, dir, .. }] = places
        && let Ok(dir) = File::open(dir)
        && let Ok(pid) = clone_into(flags, dir.as_raw_fd())
    {
        return Ok((pid, true));
    }
    // SAFETY: without a stack of its own the child continues on a copy of ours, as after fork; there is one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) } {
        pid if pid >= 0 => Ok((pid as i32, false)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn clone_into(flags: libc::c_int, cgroup: RawFd) -> io::Result<i32> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // SAFETY: an all-zero clone_args is a valid value; the rest as in `clone`.
    unsafe {
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP;
        args.exit_signal = libc::SIGCHLD as u64;
        args.cgroup = u64::from(cgroup.cast_unsigned());
        match libc::syscall(libc::SYS_clone3, &args, std::mem::size_of::<libc::clone_args>()) {
            pid if pid >= 0 => Ok(pid as i32),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn main(base: &Base, places: &[Place], ends: Ends) -> ! {
    let mut control = File::from(ends.control);
    let mut failures = Failures::new(ends.failures);
    // The shim's lock and sockets end with the shim, and so must its ends of our pipes: while we hold one, the end of
    // the control pipe never comes.
    close_others([
        control.as_raw_fd(),
        ends.status.as_raw_fd(),
        ends.stdout.as_raw_fd(),
        ends.stderr.as_raw_fd(),
        ends.report.as_raw_fd(),
        failures.fd(),
    ]);
    die_with_shim(base.fence);
    // SAFETY: no memory is passed. Without a pid namespace, orphans come to us all the same.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    // No byte: the shim died before it could let us in.
    if control.read_exact(&mut [0]).is_err() {
        exit(1);
    }
    let signals = match child_signals() {
        Ok(signals) => signals,
        Err(error) => failures.fail(&LaunchError::machine(format!("cannot wait for signals: {error}"))),
    };
    if base.fence == Fence::Full && !places.is_empty() {
        // Its own cgroup is the root of what the container sees. Kernels before 4.6 cannot; it then sees its path.
        // SAFETY: no memory is passed.
        unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    }
    let mut plan = match receive::<Plan>(&control) {
        Ok(Some(plan)) => plan,
        // The shim is gone, or does not need us.
        Ok(None) => exit(0),
        Err(error) => failures.fail(&LaunchError::machine(format!("cannot read the plan: {error}"))),
    };
    // A shim that died before we asked to die with it may have sent the plan already; nobody would watch what it starts.
    if is_closed(&control) {
        exit(1);
    }
    let plan = &mut plan;
    if let Err(error) = plan.take_filters(base).and_then(|()| join_network(plan)) {
        failures.fail(&error);
    }
    if let Some((title, words)) = &plan.title {
        title.set(words);
    }
    if plan.fence != Fence::None {
        // SAFETY: no memory is passed.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            let error = io::Error::last_os_error();
            failures.fail(&LaunchError::machine(format!("cannot make a mount namespace: {error}")));
        }
    }
    if let Err(error) = name_host(plan) {
        failures.fail(&error);
    }
    let terminal = match mounts::arrange(plan, places) {
        Ok(missing) => {
            let terminal =
                match plan.tty.then(|| Inside::open(Path::new("/")).and_then(|root| open_terminal(&root))) {
                    Some(Err(error)) => failures.fail(&LaunchError::machine(format!(
                        "cannot open a terminal in the container: {error}"
                    ))),
                    Some(Ok(terminal)) => Some(terminal),
                    None => None,
                };
            let report = Report { missing, identity: plan.identity.clone(), home: plan.home.clone() };
            let text = serde_json::to_vec(&report).unwrap_or_default();
            let fds: Vec<RawFd> = terminal.iter().map(|(shown, _)| shown.as_raw_fd()).collect();
            let sent = send_with(ends.report.as_raw_fd(), &text, &fds).unwrap_or_default();
            let _ = (&ends.report).write_all(&text[sent..]);
            drop(ends.report);
            terminal.map(|(_, used)| used)
        }
        Err(error) => failures.fail(&error),
    };
    // SAFETY: this process has one thread, so that the child may do anything.
    let command = match unsafe { libc::fork() } {
        -1 => {
            let error = io::Error::last_os_error();
            failures.fail(&LaunchError::machine(format!("cannot start a process in the container: {error}")))
        }
        0 => {
            let streams = match &terminal {
                Some(terminal) => {
                    let terminal = terminal.as_raw_fd();
                    Streams { stdin: Some(terminal), stdout: terminal, stderr: terminal, terminal: true }
                }
                None => {
                    let (stdout, stderr) = (ends.stdout.as_raw_fd(), ends.stderr.as_raw_fd());
                    Streams { stdin: None, stdout, stderr, terminal: false }
                }
            };
            become_program(plan, &plan.program, streams, &mut failures)
        }
        pid => pid,
    };
    drop((ends.stdout, ends.stderr, terminal));
    // Not killed for what others in the container use, and harmless should anybody get hold of it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    if plan.keep.is_some() {
        let _ = capabilities::bound(capabilities::KEPT_BY_INIT);
        let _ = capabilities::keep_only(capabilities::KEPT_BY_INIT);
    }
    // SAFETY: no memory is passed. Nobody may look into us: we hold a copy of the shim's memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    // Again, as changed rights can make the kernel forget it.
    die_with_shim(plan.fence);
    drop(failures);
    supervise(plan, command, control, &signals, ends.status)
}

/// Before anything is mounted: /sys shows the network that its mounter is in.
fn join_network(plan: &Plan) -> Result<(), LaunchError> {
    let Some(path) = &plan.network else { return Ok(()) };
    let network = File::open(path).map_err(|error| {
        LaunchError::machine(format!("cannot open the network {}: {error}", path.display()))
    })?;
    // SAFETY: no memory is passed; this process has one thread.
    match unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => {
            let error = io::Error::last_os_error();
            Err(LaunchError::machine(format!("cannot join the container's network: {error}")))
        }
    }
}

fn name_host(plan: &Plan) -> Result<(), LaunchError> {
    let Some(name) = &plan.hostname else { return Ok(()) };
    if plan.fence == Fence::None {
        return Err(LaunchError::machine(
            "a host name of its own needs namespaces, which this agent has not: run it as root",
        ));
    }
    // SAFETY: the pointer is to as many bytes as said.
    match unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) } {
        0 => Ok(()),
        _ => {
            let error = io::Error::last_os_error();
            Err(LaunchError::spec(format!("cannot take the host name {name:?}: {error}")))
        }
    }
}

/// The shim's death is ours, and with a pid namespace everybody's in it. Without one we outlive it for as long as it takes
/// to kill the others: the end of the control pipe tells us.
fn die_with_shim(fence: Fence) {
    if fence != Fence::None {
        // SAFETY: no memory is passed.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    }
}

/// Reaps and passes signals on until the command has ended (when stopping: until everything has).
fn supervise(plan: &Plan, command: i32, mut control: File, signals: &OwnedFd, status: OwnedFd) -> ! {
    let mut ended: Option<i32> = None;
    let mut stopping = false;
    loop {
        let all_gone = reap(command, &mut ended);
        if ended.is_some() && (!stopping || all_gone) {
            break;
        }
        let mut polled = [(control.as_raw_fd(), libc::POLLIN), (signals.as_raw_fd(), libc::POLLIN)]
            .map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
        // SAFETY: the pointer is to as many entries as said.
        unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) };
        if polled[1].revents != 0 {
            let mut buffer = [0u8; 512];
            // SAFETY: the buffer is ours and as long as we say.
            unsafe { libc::read(signals.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        }
        if polled[0].revents != 0 {
            let mut byte = [0];
            if control.read_exact(&mut byte).is_err() {
                // The shim is gone.
                end_all(plan, command);
                exit(1);
            }
            stopping |= byte[0] & STOPPING != 0;
            signal_all(plan, command, i32::from(byte[0] & !STOPPING));
        }
    }
    end_all(plan, command);
    let _ = File::from(status).write_all(&ended.unwrap_or_default().to_ne_bytes());
    exit(0)
}

/// Collects every child that has ended; true if there is none left.
fn reap(command: i32, ended: &mut Option<i32>) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a status of ours.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            pid if pid == command => *ended = Some(status),
            0 => return false,
            -1 => return io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD),
            _ => {}
        }
    }
}

/// To every process of the container but ourselves.
fn signal_all(plan: &Plan, command: i32, signal: i32) {
    if plan.fence != Fence::None {
        // SAFETY: no memory is passed. In our own pid namespace, "all" is the container.
        unsafe { libc::kill(-1, signal) };
        return;
    }
    // SAFETY: no memory is passed. The command leads a session of its own, which has its number.
    unsafe { libc::kill(-command, signal) };
    for pid in descendants(std::process::id() as i32) {
        // SAFETY: no memory is passed.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Without a pid namespace the rest does not end with us: everything below is killed, as whatever loses its parent comes
/// to us.
fn end_all(plan: &Plan, command: i32) {
    if plan.fence != Fence::None {
        return;
    }
    let mut ended = None;
    while !reap(command, &mut ended) {
        signal_all(plan, command, libc::SIGKILL);
        // SAFETY: the pointer may be null. Waits for any child; one is dying.
        unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
    }
}

/// Kills everything below the calling process and waits until it is gone; for the shim, to which comes what has lost its
/// init.
pub(crate) fn kill_descendants() {
    // SAFETY: the pointer may be null; no memory is passed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } >= 0 {
        for pid in descendants(std::process::id() as i32) {
            // SAFETY: no memory is passed.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Every process below this one, its children first.
pub(super) fn descendants(root: i32) -> Vec<i32> {
    let mut children: std::collections::BTreeMap<i32, Vec<i32>> = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        children.entry(parent(pid).unwrap_or(0)).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}

/// The process that a process is the child of.
pub(super) fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the parent is the second word behind it.
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok())
}

/// A descriptor that is readable when a child ends; the signal itself is blocked.
fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is ours; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Closes every descriptor but these.
fn close_others<const N: usize>(mut keep: [RawFd; N]) {
    keep.sort_unstable();
    let mut from: libc::c_uint = 0;
    for fd in keep.map(RawFd::cast_unsigned).into_iter().chain([libc::c_uint::MAX]) {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd.wrapping_add(1);
    }
}

fn close_range(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: the descriptors are not used any more by what follows in this process; no memory is passed.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        // Kernels before 5.9.
        let highest = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 65_536) as libc::c_uint;
        for fd in first..=last.min(highest) {
            libc::close(fd.cast_signed());
        }
    }
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process without running anything of its parent's.
    unsafe { libc::_exit(code) }
}
