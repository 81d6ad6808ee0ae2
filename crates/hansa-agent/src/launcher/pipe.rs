//! Pipes between shim, init and command.

use crate::shim::LaunchError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A pipe whose ends are closed on exec: what is read from, what is written to.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the pointer is to two descriptors' room; both are new and nobody else's.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Makes reads and writes return at once.
pub(crate) fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags < 0 || libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether nobody holds the other end of what is read from.
pub(super) fn is_closed(end: &File) -> bool {
    let mut polled = libc::pollfd { fd: end.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: the pointer is to one entry, as said.
    unsafe { libc::poll(&mut polled, 1, 0) };
    polled.revents & libc::POLLHUP != 0
}

/// Sends a value in one piece: its length, and then it.
pub(super) fn send<T: Serialize>(mut to: &File, value: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, value)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    to.write_all(&bytes)
}

/// Waits for what [`send`] sends; None if the other end is closed before anything came.
pub(super) fn receive<T: DeserializeOwned>(mut from: &File) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let mut bytes = vec![0; u32::from_ne_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Where a process that is being set up reports that it failed. It is closed by a successful exec.
#[derive(Debug)]
pub(super) struct Failures(File);

impl Failures {
    pub(super) fn new(end: OwnedFd) -> Self {
        Self(end.into())
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Sends the error and ends the process.
    pub(super) fn fail(&mut self, error: &LaunchError) -> ! {
        let text = serde_json::to_vec(error).unwrap_or_default();
        let _ = self.0.write_all(&text);
        // SAFETY: ends the process without running anything of its parent's.
        unsafe { libc::_exit(126) }
    }
}

/// Waits until the other end is closed everywhere; an error if something was sent.
pub(super) fn await_setup(end: &File) -> Result<(), LaunchError> {
    let mut text = Vec::new();
    match (&*end).read_to_end(&mut text) {
        Ok(0) => Ok(()),
        Ok(_) => Err(serde_json::from_slice(&text).unwrap_or_else(|_| {
            LaunchError::machine("setting up the container broke off in the middle of an error")
        })),
        Err(error) => Err(LaunchError::machine(format!("setting up the container: {error}"))),
    }
}
