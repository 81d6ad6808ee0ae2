//! Starts a command fenced in: namespaces, private mounts, capabilities, seccomp, user, limits.
//!
//! Plain processes run on the host's root file system. What keeps them apart: own pid, mount, ipc, uts and cgroup
//! namespaces, a private /proc, /dev and /dev/shm, a read-only /sys, the agent's own files hidden, Docker's default
//! capabilities less those that reach beyond a container on the host's file system and network, a seccomp filter, and
//! `no_new_privs`. `docs/decisions/0002-launcher.md` says why this is our own code.
//!
//! The parts, in the order they act: [`prepare`] clones the container's init, which waits for its plan; [`Plan::prepare`]
//! finds out everything about the command that can be found out from outside; `init` gets it, sets up mounts and forks
//! the command, then reaps; `command` turns itself into the program. An error on the way is sent back through a pipe that
//! closes when the program runs, so the caller knows at once. All of it runs in a single-threaded process: see [`crate::shim`].

mod capabilities;
mod command;
mod enter;
mod image_user;
mod init;
pub(crate) mod inside;
mod later;
mod mounts;
mod own_root;
mod pipe;
mod plan;
mod root;
pub mod seccomp;
mod shelf;
mod terminal;
mod tree;
mod user;
mod volumes;

pub use capabilities::KEPT as KEPT_CAPABILITIES;
pub(crate) use enter::{Execution, Outcome, Wanted, execute};
pub(crate) use init::{Init, Waiting, kill_descendants, prepare};
pub(crate) use later::change;
pub use own_root::root_is_a_mount;
pub(crate) use pipe::{pipe, set_nonblocking};
pub(crate) use plan::check_name;
pub use plan::{Base, Plan};
pub(crate) use terminal::{open_terminal, receive_with, resize, send_with};
pub use user::{Identity, UserError};

use std::fs;

/// What isolation the machine or this process' rights do not allow, each in words with how to get it. For the agent's
/// own start; cgroups are judged by [`crate::cgroup::Driver::detect`].
pub fn missing_isolation() -> Vec<String> {
    let mut missing = Vec::new();
    if !is_root() {
        let remedy = "run the agent as root";
        missing.push(match user_namespaces_allowed() {
            true => format!(
                "private /dev and read-only /sys, other users: tasks run in user namespaces as the agent's own user; {remedy}"
            ),
            false => format!(
                "namespaces, private mounts, other users: tasks are plain processes of the agent's own user; {remedy}"
            ),
        });
    }
    if !seccomp::supported() {
        missing.push("seccomp filters: the kernel has none; use one with CONFIG_SECCOMP_FILTER".into());
    }
    missing
}

/// Whether this process may do what root does (and not only is called so).
pub(crate) fn is_root() -> bool {
    // SAFETY: no memory is passed.
    let uid = unsafe { libc::geteuid() };
    uid == 0 && capabilities::effective().is_ok_and(|set| set & (1 << capabilities::SYS_ADMIN) != 0)
}

/// Whether an ordinary user may make user namespaces here, and is more in them than outside.
pub(crate) fn user_namespaces_allowed() -> bool {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    // Here they can be made, but give no rights.
    !is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") && a_user_namespace_can_be_made()
}

/// Tries it: there are many reasons why not (settings, limits, a kernel without, a chroot), and no file tells them all.
fn a_user_namespace_can_be_made() -> bool {
    // SAFETY: the child makes two system calls and ends; the pointer is to a status of ours.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(libc::unshare(libc::CLONE_NEWUSER));
        }
        let mut status = -1;
        child > 0
            && libc::waitpid(child, &mut status, 0) == child
            && libc::WIFEXITED(status)
            && libc::WEXITSTATUS(status) == 0
    }
}
