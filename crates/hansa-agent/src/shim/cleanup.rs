//! Removing what is left of a container whose shim is gone, or must go.

use super::files;
use super::record::{ExitRecord, ProcessId, Started};
use super::spec::ShimSpec;
use crate::cgroup::Driver;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a killed shim may take to let go of its directory.
const PATIENCE: Duration = Duration::from_secs(10);

/// See [`super::cleanup`]; blocks.
pub(super) fn cleanup(runtime_dir: &Path) -> io::Result<()> {
    if !runtime_dir.exists() {
        return Ok(());
    }
    let _lock = take_lock(runtime_dir)?;
    let ended: Option<ExitRecord> = files::read_json(&runtime_dir.join(files::EXIT)).unwrap_or_default();
    if !ended.is_some_and(|record| record.swept) {
        end_all(runtime_dir)?;
    }
    for name in [files::SOCKET, files::STARTED, files::SPEC, files::CGROUP] {
        match std::fs::remove_file(runtime_dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Kills the container's processes and removes its cgroups.
fn end_all(runtime_dir: &Path) -> io::Result<()> {
    let spec: Option<ShimSpec> = files::read_json(&runtime_dir.join(files::SPEC)).unwrap_or_default();
    let started: Option<Started> = files::read_json(&runtime_dir.join(files::STARTED)).unwrap_or_default();
    if let Some(started) = &started
        && boot_id()? == started.boot
    {
        // It ends with its shim, and everything in it; this is for the moment in which it has not yet.
        await_end(started.init);
        kill(started.init)?;
    }
    // Older shims did not write down what their cgroups are called: like the container.
    let named: Option<files::Named> = files::read_json(&runtime_dir.join(files::CGROUP)).unwrap_or_default();
    let named = named
        .map(|named| (named.agent, named.name))
        .or_else(|| spec.map(|spec| (spec.agent, spec.container)))
        .or_else(|| started.map(|started| (started.agent, started.container)));
    if let Some((agent, container)) = named
        && let Some(driver) = Driver::detect().driver
    {
        let cgroup = driver.container(&agent, &container);
        cgroup.kill_all()?;
        cgroup.remove()?;
        driver.remove_if_last(&agent);
    }
    Ok(())
}

/// Takes the directory from its shim, by force if it has one. A shim that has recorded the end is only putting things
/// away, and is let.
fn take_lock(runtime_dir: &Path) -> io::Result<std::fs::File> {
    const LEAVING: Duration = Duration::from_secs(2);
    let begin = Instant::now();
    let deadline = begin + PATIENCE;
    loop {
        if let Some(lock) = files::try_lock(runtime_dir)? {
            return Ok(lock);
        }
        let leaving = begin.elapsed() < LEAVING && runtime_dir.join(files::EXIT).exists();
        if !leaving && let Some(holder) = files::lock_holder(runtime_dir)? {
            kill(holder)?;
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the shim of {} does not end", runtime_dir.display()),
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits a moment for a process to end by itself.
fn await_end(process: ProcessId) {
    if let Some(pidfd) = open(process) {
        let mut polled = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one entry.
        unsafe { libc::poll(&mut polled, 1, 2000) };
    }
}

/// A descriptor of exactly that process; None if it is gone.
fn open(process: ProcessId) -> Option<OwnedFd> {
    // SAFETY: the descriptor is new and nobody else's; no memory is passed.
    let pidfd = unsafe {
        match libc::syscall(libc::SYS_pidfd_open, process.pid, 0) {
            fd if fd >= 0 => OwnedFd::from_raw_fd(fd as i32),
            _ => return None,
        }
    };
    // The descriptor is of whoever has the number now; only then it is asked who that is.
    (start_ticks(process.pid).ok() == Some(process.start_ticks)).then_some(pidfd)
}

/// Kills exactly that process; no harm if it is gone.
fn kill(process: ProcessId) -> io::Result<()> {
    let Some(pidfd) = open(process) else { return Ok(()) };
    // SAFETY: the info pointer may be null.
    let sent = unsafe {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, nothing, 0)
    };
    match sent {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        },
    }
}

/// When a process started, in ticks since boot.
pub(super) fn start_ticks(pid: i32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; behind it this is the 20th word.
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has another form")))
}

/// The kernel's name for this boot.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
