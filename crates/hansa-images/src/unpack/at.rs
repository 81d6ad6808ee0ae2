//! System calls relative to an open directory. Names are single components; no call here follows a link.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

fn c(name: &OsStr) -> io::Result<CString> {
    debug_assert!(!name.as_bytes().contains(&b'/'), "a single component");
    CString::new(name.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn done(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn open(dir: BorrowedFd<'_>, name: &OsStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    let name = c(name)?;
    let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: the name is a C string; the descriptor is new and nobody else's.
    unsafe {
        match libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, 0o600) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A directory, and nothing else.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    open(dir, name, libc::O_RDONLY | libc::O_DIRECTORY)
}

/// A new file for writing.
pub(crate) fn create_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    open(dir, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)
}

pub(crate) fn make_dir(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: the name is a C string.
    done(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), 0o755) })
}

/// A pipe, or a character device: `kind` is the file type's bits.
pub(crate) fn make_node(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    let name = c(name)?;
    // Device number 0:0: the only device ever made is overlayfs' whiteout.
    // SAFETY: the name is a C string.
    done(unsafe { libc::mknodat(dir.as_raw_fd(), name.as_ptr(), mode, 0) })
}

pub(crate) fn make_symlink(dir: BorrowedFd<'_>, name: &OsStr, target: &OsStr) -> io::Result<()> {
    let name = c(name)?;
    let target = CString::new(target.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: both are C strings.
    done(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) })
}

pub(crate) fn link(
    from_dir: BorrowedFd<'_>,
    from: &OsStr,
    dir: BorrowedFd<'_>,
    name: &OsStr,
) -> io::Result<()> {
    let (from, name) = (c(from)?, c(name)?);
    // SAFETY: both are C strings. Without AT_SYMLINK_FOLLOW a link to a link is made, not to what it names.
    done(unsafe { libc::linkat(from_dir.as_raw_fd(), from.as_ptr(), dir.as_raw_fd(), name.as_ptr(), 0) })
}

pub(crate) fn unlink(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: the name is a C string.
    done(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0) })
}

/// What there is of that name; None: nothing.
pub(crate) fn stat(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<libc::stat>> {
    let name = c(name)?;
    // SAFETY: an all-zero stat is a valid value; name and struct are ours.
    unsafe {
        let mut stat = std::mem::zeroed();
        match libc::fstatat(dir.as_raw_fd(), name.as_ptr(), &mut stat, libc::AT_SYMLINK_NOFOLLOW) {
            0 => Ok(Some(stat)),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
                error => Err(error),
            },
        }
    }
}

pub(crate) fn chown(dir: BorrowedFd<'_>, name: &OsStr, uid: u32, gid: u32) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: the name is a C string.
    done(unsafe { libc::fchownat(dir.as_raw_fd(), name.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW) })
}

/// Of something that is no link (the kernel would follow one).
pub(crate) fn chmod(dir: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: the name is a C string.
    done(unsafe { libc::fchmodat(dir.as_raw_fd(), name.as_ptr(), mode, 0) })
}

pub(crate) fn set_mtime(dir: BorrowedFd<'_>, name: &OsStr, mtime: (i64, u32)) -> io::Result<()> {
    let name = c(name)?;
    let times = times(mtime);
    // SAFETY: name and times are ours.
    done(unsafe {
        libc::utimensat(dir.as_raw_fd(), name.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW)
    })
}

pub(crate) fn fchown(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    done(unsafe { libc::fchown(fd.as_raw_fd(), uid, gid) })
}

pub(crate) fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    done(unsafe { libc::fchmod(fd.as_raw_fd(), mode) })
}

pub(crate) fn fset_mtime(fd: BorrowedFd<'_>, mtime: (i64, u32)) -> io::Result<()> {
    let times = times(mtime);
    // SAFETY: the times are ours.
    done(unsafe { libc::futimens(fd.as_raw_fd(), times.as_ptr()) })
}

pub(crate) fn fset_xattr(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
    let name = CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the name is a C string and the value as long as said.
    done(unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}

pub(crate) fn fstat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    // SAFETY: an all-zero stat is a valid value and ours.
    unsafe {
        let mut stat = std::mem::zeroed();
        done(libc::fstat(fd.as_raw_fd(), &mut stat))?;
        Ok(stat)
    }
}

/// Bytes and inodes that are free on the file system, for whoever calls.
pub(crate) fn free(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    // SAFETY: an all-zero statvfs is a valid value and ours.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        done(libc::fstatvfs(fd.as_raw_fd(), &mut stat))?;
        // Some file systems (btrfs) do not count inodes.
        let inodes = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), inodes))
    }
}

/// Bytes in use and bytes free for ordinary users.
pub(crate) fn used_and_free(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    // SAFETY: an all-zero statvfs is a valid value and ours.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        done(libc::fstatvfs(fd.as_raw_fd(), &mut stat))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok((bytes(stat.f_blocks.saturating_sub(stat.f_bfree)), bytes(stat.f_bavail)))
    }
}

/// The access time is now, as nobody keeps it.
fn times((seconds, nanos): (i64, u32)) -> [libc::timespec; 2] {
    let now = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
    [now, libc::timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) }]
}
