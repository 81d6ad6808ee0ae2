//! A mount of its own under the container's root directory.
//!
//! What a container mounts must not show outside, and that is a property of mounts, not of directories. An agent that
//! itself runs in a chroot has a root directory that is no mount: nothing could be said about how mounts below it spread.
//! So the mount namespace's real root is gone to (its own copy, nothing of the machine's), told not to spread anything,
//! and the directory becomes a mount and the root for good.

use super::mounts::{bind, failed, mount};
use crate::mountinfo;
use crate::shim::LaunchError;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Makes the root directory a mount from which nothing spreads. The caller has a mount namespace of its own. The working
/// directory is the root afterwards.
pub(super) fn detach() -> Result<(), LaunchError> {
    match keep_to_ourselves() {
        Ok(()) => Ok(()),
        Err(_) if !root_is_a_mount() => from_chroot(),
        Err(error) => Err(error),
    }
}

/// Nothing that is mounted here shows outside; what the host unmounts goes away here too.
fn keep_to_ourselves() -> Result<(), LaunchError> {
    mount("none", "/", "", libc::MS_REC | libc::MS_SLAVE, "")
}

/// Whether `/` is what some file system was mounted on, as the kernel lists it; false in a chroot.
pub fn root_is_a_mount() -> bool {
    mountinfo::is_mount(Path::new("/")).unwrap_or(false)
}

fn from_chroot() -> Result<(), LaunchError> {
    let error = |what: &str, error: &io::Error| failed(what, "/", error);
    let ours = super::mounts::hold("/".as_ref())?;
    // Whoever stands outside of his root directory can go up to the real one.
    std::env::set_current_dir("/").map_err(|why| error("enter", &why))?;
    chroot(c"/proc").map_err(|why| error("leave", &why))?;
    let identity = || fs::metadata(".").map(|data| (data.dev(), data.ino()));
    let mut here = identity().map_err(|why| error("look at", &why))?;
    loop {
        std::env::set_current_dir("..").map_err(|why| error("leave", &why))?;
        let above = identity().map_err(|why| error("look at", &why))?;
        if above == here {
            break;
        }
        here = above;
    }
    chroot(c".").map_err(|why| error("leave", &why))?;
    keep_to_ourselves()?;
    let path = path_of(&ours).map_err(|why| error("find", &why))?;
    let name = path.to_string_lossy();
    mount(&name, &name, "", libc::MS_BIND | libc::MS_REC, "").or_else(|_| bind(&name, &name))?;
    std::env::set_current_dir(&path).map_err(|why| error("enter", &why))?;
    // Old and new root in one place: what was put underneath is then taken away.
    // SAFETY: both paths are C strings.
    let done = unsafe {
        libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
            && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
    };
    if !done {
        return Err(error("make a root of", &io::Error::last_os_error()));
    }
    std::env::set_current_dir("/").map_err(|why| error("enter", &why))
}

fn chroot(path: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: the path is a C string.
    match unsafe { libc::chroot(path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A directory's path from the root directory as it is now.
fn path_of(dir: &OwnedFd) -> io::Result<PathBuf> {
    // SAFETY: no memory is passed.
    if unsafe { libc::fchdir(dir.as_raw_fd()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::env::current_dir()
}
