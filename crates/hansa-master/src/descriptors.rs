//! File descriptors: every agent and every client is one, and the usual soft limit of 1,024 is not many.

use tracing::warn;

/// Raises the soft limit to the hard one, which needs no privilege.
pub(crate) fn allow_many() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only read or write the one struct that they are given.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if !raised {
        warn!("cannot raise the limit of open files: {}", std::io::Error::last_os_error());
    }
}
