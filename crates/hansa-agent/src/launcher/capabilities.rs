//! Capabilities: which a command may keep, and dropping the others.

use crate::shim::{LaunchError, ShimSpec};
use std::io;

// Numbers from the kernel's capability.h; part of its interface.
const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
const FOWNER: u32 = 3;
const FSETID: u32 = 4;
const KILL: u32 = 5;
const SETGID: u32 = 6;
const SETUID: u32 = 7;
const NET_BIND_SERVICE: u32 = 10;
const SYS_CHROOT: u32 = 18;
pub(super) const SYS_ADMIN: u32 = 21;

/// What a command of root keeps: Docker's default without MKNOD, NET_RAW, SETFCAP, SETPCAP and AUDIT_WRITE. On the host's
/// file system and network, device nodes, raw sockets and file capabilities would reach beyond the container.
pub const KEPT: u64 = 1 << CHOWN
    | 1 << DAC_OVERRIDE
    | 1 << FOWNER
    | 1 << FSETID
    | 1 << KILL
    | 1 << SETGID
    | 1 << SETUID
    | 1 << NET_BIND_SERVICE
    | 1 << SYS_CHROOT;

/// What a command of root keeps besides, where the root file system is its own: then it is Docker's default, which images
/// are made for (package managers set file capabilities, `ping` opens raw sockets). Devices that it makes cannot be opened,
/// as every mount forbids it.
const KEPT_IN_IMAGE: &[&str] = &["SETPCAP", "NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP"];

/// What a command that is started by this spec keeps; None: whatever the agent itself has.
///
/// # Errors
/// A name is no capability's.
pub(super) fn kept(spec: &ShimSpec) -> Result<Option<u64>, LaunchError> {
    if spec.privileged || !spec.isolation.drop_capabilities {
        return Ok(None);
    }
    let mut kept = KEPT;
    if spec.root.is_some() {
        for name in KEPT_IN_IMAGE {
            kept |= bit(name)?;
        }
    }
    for name in &spec.cap_drop {
        kept &= if plain(name) == "ALL" { 0 } else { !bit(name)? };
    }
    for name in &spec.cap_add {
        kept |= bit(name)?;
    }
    Ok(Some(kept))
}

fn plain(name: &str) -> String {
    let upper = name.trim().to_ascii_uppercase();
    upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
}

/// A set of one, by its name.
fn bit(name: &str) -> Result<u64, LaunchError> {
    let number = hansa_model::docker_run::CAPABILITIES.iter().position(|known| *known == plain(name));
    number
        .map(|number| 1 << number)
        .ok_or_else(|| LaunchError::spec(format!("there is no capability {name:?}")))
}

/// The set of those with these names.
pub(super) fn set<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    names.filter_map(|name| bit(name).ok()).fold(0, |set, bit| set | bit)
}

/// Whether a set holds the capability of that name.
pub(super) fn holds(set: u64, name: &str) -> bool {
    bit(name).is_ok_and(|bit| set & bit != 0)
}

/// What a container's init keeps: the signals it passes on may be for another user's processes.
pub(super) const KEPT_BY_INIT: u64 = 1 << KILL;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// _LINUX_CAPABILITY_VERSION_3: two words a set.
const VERSION_3: u32 = 0x2008_0522;

fn get() -> io::Result<[Data; 2]> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: both pointers are to values of ours, of the shape that version 3 has.
    match unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) } {
        0 => Ok(data),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The calling process' effective set.
pub(super) fn effective() -> io::Result<u64> {
    let [low, high] = get()?;
    Ok(u64::from(low.effective) | u64::from(high.effective) << 32)
}

/// Takes everything but `keep` out of the bounding set, for good, and empties the ambient set. Needs SETPCAP; without it
/// the process holds nothing that a set could bound.
pub(super) fn bound(keep: u64) -> io::Result<()> {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        // SAFETY: no memory is passed.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            match io::Error::last_os_error() {
                // Past the last one that this kernel knows.
                error if error.raw_os_error() == Some(libc::EINVAL) => break,
                error if error.raw_os_error() == Some(libc::EPERM) && effective()? == 0 => return Ok(()),
                error => return Err(error),
            }
        }
    }
    // SAFETY: no memory is passed. Kernels before 4.3 have no ambient set to empty.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Ok(())
}

/// Reduces the permitted and effective sets to `keep` (as far as held) and empties the inheritable one.
pub(super) fn keep_only(keep: u64) -> io::Result<()> {
    let mut data = get()?;
    for (word, data) in data.iter_mut().enumerate() {
        let keep = (keep >> (32 * word)) as u32;
        data.permitted &= keep;
        data.effective = data.permitted;
        data.inheritable = 0;
    }
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: both pointers are to values of ours, of the shape that version 3 has.
    match unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
