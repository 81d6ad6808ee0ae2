//! One alarm on the clock that goes on while the machine sleeps.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A timer on `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: OwnedFd,
    armed: Option<u64>,
}

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the descriptor is new and nobody else's.
        unsafe {
            match libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) {
                fd if fd >= 0 => Ok(Self { descriptor: OwnedFd::from_raw_fd(fd), armed: None }),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Readable from this time on, in milliseconds since boot.
    pub(super) fn arm(&mut self, at_ms: Option<u64>) {
        if self.armed == at_ms {
            return;
        }
        self.armed = at_ms;
        // Zero would mean never.
        let at_ms = at_ms.filter(|at| *at != u64::MAX).map(|at| at.max(1)).unwrap_or(0);
        let value = libc::timespec {
            tv_sec: (at_ms / 1000).cast_signed(),
            tv_nsec: (at_ms % 1000 * 1_000_000).cast_signed(),
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = libc::itimerspec { it_interval: never, it_value: value };
        // SAFETY: the setting is ours; the old one is not asked for.
        unsafe {
            let old = std::ptr::null_mut();
            libc::timerfd_settime(self.descriptor.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &setting, old);
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// After it has become readable.
    pub(super) fn reset(&mut self) {
        let mut count = 0u64;
        // SAFETY: the buffer is ours and eight bytes long.
        unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut count).cast(), 8) };
        self.armed = None;
    }
}
