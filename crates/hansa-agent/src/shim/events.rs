//! What the shim waits for: signals, and descriptors that become ready.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Blocks every signal; a descriptor tells of those that matter.
pub(super) fn signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is ours; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT] {
            libc::sigaddset(&mut set, signal);
        }
        match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Descriptors to wait for, in the order they were added.
#[derive(Default)]
pub(super) struct Polled(Vec<libc::pollfd>);

impl Polled {
    /// Adds one; the answer asks for it later.
    pub(super) fn add(&mut self, fd: RawFd, events: i16) -> usize {
        self.0.push(libc::pollfd { fd, events, revents: 0 });
        self.0.len() - 1
    }

    /// Until one of them is ready.
    pub(super) fn wait(&mut self) {
        // SAFETY: the pointer is to as many entries as said.
        unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, -1) };
    }

    /// Whether this one is.
    pub(super) fn ready(&self, index: usize) -> bool {
        self.0[index].revents != 0
    }
}
