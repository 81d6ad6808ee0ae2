//! Network namespaces: made by a thread that goes in, looks after what only somebody inside can, and comes back.
//!
//! A container's namespace is not kept by a file. The agent holds it by a descriptor until the container's processes are
//! in it, and then they do: it disappears with the last of them, and with it its end of the links. So nothing of it can
//! be left behind, by whatever death.

use super::netlink::Socket;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What is set in a container's own namespace: as on Docker's networks, ports below 1024 and echo requests need no
/// rights (nobody else is harmed by either), and there is no IPv6 but on the loopback.
const SETTINGS: &[(&str, &str)] = &[
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
];

/// A namespace and a socket that speaks for it.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Holds it.
    pub fd: OwnedFd,
    /// Its route netlink.
    pub socket: Socket,
}

/// The calling thread's own namespace.
pub(super) fn own() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Makes a namespace. The calling thread is in `home` before and after; should the way back be shut, it never does
/// anything again.
pub(super) fn make(home: &OwnedFd) -> io::Result<Namespace> {
    unshare()?;
    let made = inside();
    // SAFETY: no memory is passed.
    if unsafe { libc::setns(home.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        // What it does next would be done to a container instead of the machine.
        panic!("cannot return from a network namespace: {}", io::Error::last_os_error());
    }
    made
}

/// Makes a namespace; the calling thread stays in it, also after an error.
pub(super) fn make_here() -> io::Result<Namespace> {
    unshare()?;
    inside()
}

/// Moves the calling thread into a namespace of its own.
pub(super) fn unshare() -> io::Result<()> {
    // SAFETY: no memory is passed; only the calling thread moves.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn inside() -> io::Result<Namespace> {
    for (path, value) in SETTINGS {
        match std::fs::write(path, value) {
            // A kernel without IPv6, or before 4.11.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(Namespace { fd: own()?, socket: Socket::open(libc::NETLINK_ROUTE)? })
}
