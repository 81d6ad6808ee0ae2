//! Mounts held by descriptors: taken from one place, changed, and put to another, without a path in between.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What is changed on a mount.
pub(super) const READ_ONLY: u64 = 0x1;
pub(super) const NO_SETUID: u64 = 0x2;
pub(super) const NO_DEVICES: u64 = 0x4;
pub(super) const NO_PROGRAMS: u64 = 0x8;

const EMPTY_PATH: libc::c_int = libc::AT_EMPTY_PATH;
const RECURSIVE: libc::c_int = 0x8000;

/// A mount that is nowhere yet; gone if it is dropped.
#[derive(Debug)]
pub(super) struct Tree(OwnedFd);

impl Tree {
    /// A second mount of what a descriptor stands for; `recursive`: with everything mounted below it.
    pub(super) fn copy(of: &OwnedFd, recursive: bool) -> io::Result<Self> {
        const CLONE: libc::c_int = 1;
        let flags = CLONE | libc::O_CLOEXEC | EMPTY_PATH | if recursive { RECURSIVE } else { 0 };
        // SAFETY: the path is a C string; the descriptor is new and nobody else's.
        unsafe {
            match libc::syscall(libc::SYS_open_tree, of.as_raw_fd(), c"".as_ptr(), flags) {
                fd if fd >= 0 => Ok(Self(OwnedFd::from_raw_fd(fd as i32))),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Puts it over what a descriptor stands for.
    pub(super) fn attach(self, over: &OwnedFd) -> io::Result<()> {
        const FROM_EMPTY_PATH: libc::c_int = 0x4;
        const TO_EMPTY_PATH: libc::c_int = 0x40;
        let (from, to, none) = (self.0.as_raw_fd(), over.as_raw_fd(), c"".as_ptr());
        // SAFETY: both paths are C strings.
        let done = unsafe {
            libc::syscall(libc::SYS_move_mount, from, none, to, none, FROM_EMPTY_PATH | TO_EMPTY_PATH)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sets attributes on it; `recursive`: and on everything below.
    pub(super) fn set(&self, attributes: u64, recursive: bool) -> io::Result<()> {
        set(&self.0, attributes, recursive)
    }

    /// Its root directory or file.
    pub(super) fn place(&self) -> &OwnedFd {
        &self.0
    }
}

/// Sets attributes on the mount that a descriptor stands for.
pub(super) fn set(mount: &OwnedFd, attributes: u64, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let attributes = Attributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
    let flags = EMPTY_PATH | if recursive { RECURSIVE } else { 0 };
    // SAFETY: path and struct are ours, and the size is the struct's.
    let done = unsafe {
        let size = std::mem::size_of::<Attributes>();
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, &attributes, size)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Tree {
    /// A new file system in memory. `options` as `mount -o` takes them; a `noswap` that the kernel does not know is left
    /// out.
    pub(super) fn in_memory(options: &[(&str, &str)]) -> io::Result<Self> {
        const SET_FLAG: libc::c_int = 0;
        const SET_STRING: libc::c_int = 1;
        const CREATE: libc::c_int = 6;
        let c = |text: &str| std::ffi::CString::new(text).map_err(io::Error::other);
        let null = std::ptr::null::<libc::c_char>();
        // SAFETY: all paths and options are C strings that outlive their calls; the descriptors are new.
        unsafe {
            let context = match libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1) {
                fd if fd >= 0 => OwnedFd::from_raw_fd(fd as i32),
                _ => return Err(io::Error::last_os_error()),
            };
            let fd = context.as_raw_fd();
            for (name, value) in options {
                let (key, text) = (c(name)?, c(value)?);
                let done = match value.is_empty() {
                    true => libc::syscall(libc::SYS_fsconfig, fd, SET_FLAG, key.as_ptr(), null, 0),
                    false => {
                        libc::syscall(libc::SYS_fsconfig, fd, SET_STRING, key.as_ptr(), text.as_ptr(), 0)
                    }
                };
                if done != 0 && *name != "noswap" {
                    return Err(io::Error::last_os_error());
                }
            }
            if libc::syscall(libc::SYS_fsconfig, fd, CREATE, null, null, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::syscall(libc::SYS_fsmount, fd, 1, NO_SETUID | NO_PROGRAMS) {
                fd if fd >= 0 => Ok(Self(OwnedFd::from_raw_fd(fd as i32))),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}
