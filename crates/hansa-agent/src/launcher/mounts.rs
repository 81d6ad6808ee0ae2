//! What a container sees of the file system, arranged in its own mount namespace.
//!
//! Without a root of its own (that is [`super::root`]) the host's stays. Made anew are /proc (own pid namespace; risky parts masked or read-only), /sys (read-only, with
//! nothing of cgroups but the container's own, read-only) and /dev (the harmless devices only); the agent's own files are
//! hidden. Everywhere else device nodes cannot be opened, whoever made them.

use super::inside::Inside;
use super::own_root;
use super::plan::{Fence, Plan, c_path};
use super::shelf;
use super::tree;
use super::user::{self, Identity};
use super::volumes;
use crate::cgroup::{Place, Version};
use crate::shim::LaunchError;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Seen empty.
pub(super) const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Seen, but not changed.
pub(super) const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The devices of a container: name, major, minor.
pub(super) const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

pub(super) const CLEAN: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// Arranges everything and enters the working directory. Returns what could not be had.
pub(super) fn arrange(plan: &mut Plan, places: &[Place]) -> Result<Vec<String>, LaunchError> {
    let mut missing = Vec::new();
    // SAFETY: no memory is passed; the shim's is stricter.
    unsafe { libc::umask(0o022) };
    match (plan.fence, plan.root.clone()) {
        (Fence::Full, Some(root)) => {
            own_root::detach()?;
            super::root::arrange(plan, &root, places)?;
        }
        (_, Some(_)) => {
            return Err(LaunchError::machine(
                "a container with an image needs a root file system of its own: run the agent as root",
            ));
        }
        (Fence::Full, None) => full(plan, places, &mut missing)?,
        (Fence::User, None) => inside_user_namespace(plan, &mut missing)?,
        (Fence::None, None) if plan.mounts.is_empty() && plan.secret_files.is_empty() => {}
        (Fence::None, None) => {
            return Err(LaunchError::machine(
                "volumes need mount namespaces, which this agent has not: run it as root",
            ));
        }
    }
    super::root::enter(&plan.inside_dir)?;
    Ok(missing)
}

fn full(plan: &Plan, places: &[Place], missing: &mut Vec<String>) -> Result<(), LaunchError> {
    own_root::detach()?;
    // What will lie under new mounts is held open now.
    let sandbox = hold(&plan.sandbox)?;
    let places: Vec<(&Place, OwnedFd)> =
        places.iter().map(|place| Ok((place, hold(&place.dir)?))).collect::<Result<_, LaunchError>>()?;
    let devices = if plan.privileged { Vec::new() } else { wanted_devices(plan)? };
    let taken = take(plan)?;
    if plan.privileged {
        // Everything stays as the machine has it, but for its own processes.
        mount("proc", "/proc", "proc", CLEAN, "")?;
        hide(plan, &sandbox)?;
        return place(plan, taken);
    }
    if tree::set(&hold(Path::new("/"))?, tree::NO_DEVICES, true).is_err() {
        missing.push("device nodes outside /dev can be opened: mount_setattr needs Linux 5.12".into());
    }
    mount("proc", "/proc", "proc", CLEAN, "")?;
    match plan.network {
        // Bound over itself, without what is mounted below it. The file system stays writable; this mount of it does not.
        None => bind("/sys", "/sys")?,
        // Anew, as the host's shows the host's links.
        Some(_) => mount("sysfs", "/sys", "sysfs", CLEAN, "")?,
    }
    remount_read_only("/sys", CLEAN)?;
    mask_and_protect()?;
    show_own_cgroups(&places)?;
    make_dev(plan, &devices)?;
    hide(plan, &sandbox)?;
    place(plan, taken)
}

/// What an ordinary user can have: own /proc and /dev/shm, the agent's files hidden. The rest is protected by being
/// root's.
fn inside_user_namespace(plan: &Plan, missing: &mut Vec<String>) -> Result<(), LaunchError> {
    own_root::detach()?;
    let sandbox = hold(&plan.sandbox)?;
    let taken = take(plan)?;
    for (source, target, kind) in [("proc", "/proc", "proc"), ("shm", "/dev/shm", "tmpfs")] {
        if let Err(error) = mount(source, target, kind, CLEAN, "") {
            missing.push(format!("a private {target}: {}", error.message));
        }
    }
    hide(plan, &sandbox)?;
    place(plan, taken)
}

/// Volumes and secrets of a container on the machine's root, before and after everything else is in its place.
fn take(plan: &Plan) -> Result<Vec<volumes::Volume>, LaunchError> {
    if plan.mounts.is_empty() {
        return Ok(Vec::new());
    }
    let (uid, gid) = user::own();
    let owner = plan.identity.clone().unwrap_or(Identity { uid, gid, groups: vec![gid] });
    let mut taken = volumes::take(plan, &owner)?;
    if !plan.secret_files.is_empty() {
        taken.extend(shelf::stage(plan, &owner, &[])?.secrets);
    }
    Ok(taken)
}

fn place(plan: &Plan, taken: Vec<volumes::Volume>) -> Result<(), LaunchError> {
    if taken.is_empty() {
        return Ok(());
    }
    let open =
        |path: &Path| Inside::open(path).map_err(|error| failed("open", &path.to_string_lossy(), &error));
    // In the sandbox missing directories are made, and no link leads out of it; elsewhere nothing of the machine changes.
    let (within, elsewhere): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|volume| volume.target().starts_with(&plan.sandbox));
    volumes::place(&open(Path::new("/"))?, |_| false, elsewhere)?;
    let within = within.into_iter().map(|volume| volume.below(&plan.sandbox)).collect();
    volumes::place(&open(&plan.sandbox)?, |_| true, within)
}

/// What of /proc and /sys is seen empty, and what not changed.
pub(super) fn mask_and_protect() -> Result<(), LaunchError> {
    for path in MASKED {
        mask(Path::new(path))?;
    }
    for path in READ_ONLY {
        if Path::new(path).exists() {
            bind(path, path)?;
            remount_read_only(path, CLEAN)?;
        }
    }
    Ok(())
}

/// Only the container's own directory of each hierarchy, where programs look for their limits.
fn show_own_cgroups(places: &[(&Place, OwnedFd)]) -> Result<(), LaunchError> {
    const ROOT: &str = "/sys/fs/cgroup";
    if places.is_empty() {
        return Ok(());
    }
    if let [(Place { version: Version::V2, .. }, fd)] = places {
        return bind_read_only(fd, ROOT);
    }
    mount("tmpfs", ROOT, "tmpfs", CLEAN, "mode=755,size=64k")?;
    for (place, fd) in places {
        // Where it is mounted on the host, if that is the usual place.
        let Ok(name) = place.mount.strip_prefix(ROOT) else { continue };
        let target = Path::new(ROOT).join(name);
        make_dir(&target)?;
        bind_read_only(fd, &target.to_string_lossy())?;
    }
    remount_read_only(ROOT, CLEAN)
}

fn bind_read_only(fd: &OwnedFd, target: &str) -> Result<(), LaunchError> {
    bind(&format!("/proc/self/fd/{}", fd.as_raw_fd()), target)?;
    remount_read_only(target, CLEAN)
}

/// A device node as it is on the machine.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub path: PathBuf,
    mode: libc::mode_t,
    number: libc::dev_t,
    owner: (u32, u32),
}

impl Device {
    /// What is there; None if that is no device.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        let kind = data.mode() & libc::S_IFMT;
        let device = matches!(kind, libc::S_IFCHR | libc::S_IFBLK);
        let owner = (data.uid(), data.gid());
        device.then(|| Self { path: path.to_owned(), mode: data.mode(), number: data.rdev(), owner })
    }

    /// Whether that is a node of the same device.
    pub(super) fn is(&self, data: &std::fs::Metadata) -> bool {
        data.mode() & libc::S_IFMT == self.mode & libc::S_IFMT && data.rdev() == self.number
    }

    /// One of the harmless ones.
    pub(super) fn usual((name, major, minor): &(&str, u32, u32)) -> Self {
        let (mode, number) = (libc::S_IFCHR | 0o666, libc::makedev(*major, *minor));
        Self { path: Path::new("/dev").join(name), mode, number, owner: (0, 0) }
    }

    /// Makes it at this path.
    pub(super) fn make(&self, path: &Path) -> Result<(), LaunchError> {
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        make_node(path, self.mode, self.number)?;
        let (uid, gid) = self.owner;
        if (uid, gid) == (0, 0) {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .map_err(|error| failed("give away", &path.to_string_lossy(), &error))
    }
}

/// The devices asked for, as they are on the host.
pub(super) fn wanted_devices(plan: &Plan) -> Result<Vec<Device>, LaunchError> {
    let look = |path: &PathBuf| {
        let found = Device::of(path).filter(|_| path.starts_with("/dev"));
        found.ok_or_else(|| LaunchError::spec(format!("{} is not a device below /dev", path.display())))
    };
    plan.devices.iter().map(look).collect()
}

fn make_dev(plan: &Plan, extra: &[Device]) -> Result<(), LaunchError> {
    mount("tmpfs", "/dev", "tmpfs", libc::MS_NOSUID | libc::MS_NOEXEC, "mode=755,size=64m")?;
    for device in DEVICES.iter().map(Device::usual).chain(extra.iter().cloned()) {
        device.make(&device.path)?;
    }
    link_dev()?;
    mount_pts()?;
    let size = plan.shm_bytes.map_or(String::new(), |bytes| format!(",size={bytes}"));
    mount("shm", "/dev/shm", "tmpfs", CLEAN, &format!("mode=1777{size}"))?;
    // Not every kernel has message queues.
    let _ = mount("mqueue", "/dev/mqueue", "mqueue", CLEAN, "");
    Ok(())
}

/// The links and directories that programs look for.
pub(super) fn link_dev() -> Result<(), LaunchError> {
    for (target, link) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
        ("pts/ptmx", "/dev/ptmx"),
    ] {
        symlink(target, link).map_err(|error| failed("link", link, &error))?;
    }
    for dir in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        make_dir(Path::new(dir))?;
    }
    Ok(())
}

/// Terminals of its own.
pub(super) fn mount_pts() -> Result<(), LaunchError> {
    let quiet = libc::MS_NOSUID | libc::MS_NOEXEC;
    mount("devpts", "/dev/pts", "devpts", quiet, "newinstance,ptmxmode=0666,mode=0620,gid=5")
        .or_else(|_| mount("devpts", "/dev/pts", "devpts", quiet, "newinstance,ptmxmode=0666,mode=0620"))
}

fn make_node(path: &Path, mode: libc::mode_t, number: libc::dev_t) -> Result<(), LaunchError> {
    let c = c_path(path)?;
    // SAFETY: the path is a C string.
    let made = unsafe {
        // The mode is meant as it stands.
        let umask = libc::umask(0);
        let made = libc::mknod(c.as_ptr(), mode, number);
        libc::umask(umask);
        made
    };
    match made {
        0 => Ok(()),
        _ => Err(failed("make device", &path.to_string_lossy(), &io::Error::last_os_error())),
    }
}

/// Covers the agent's directories and puts the container's own sandbox back into its place.
fn hide(plan: &Plan, sandbox: &OwnedFd) -> Result<(), LaunchError> {
    for path in &plan.hidden {
        if !path.is_dir() {
            continue;
        }
        let name = path.to_string_lossy();
        mount("tmpfs", &name, "tmpfs", CLEAN, "mode=755,size=64k")?;
        if plan.sandbox.starts_with(path) {
            make_dir(&plan.sandbox)?;
            bind(&format!("/proc/self/fd/{}", sandbox.as_raw_fd()), &plan.sandbox.to_string_lossy())?;
        }
        remount_read_only(&name, CLEAN)?;
    }
    Ok(())
}

/// An empty, unreadable thing over a file, an empty directory over a directory; nothing where there is nothing.
fn mask(path: &Path) -> Result<(), LaunchError> {
    let name = path.to_string_lossy();
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(data) if data.is_dir() => mount("tmpfs", &name, "tmpfs", CLEAN | libc::MS_RDONLY, "size=0k"),
        Ok(_) => bind("/dev/null", &name),
    }
}

pub(super) fn make_dir(path: &Path) -> Result<(), LaunchError> {
    std::fs::create_dir_all(path).map_err(|error| failed("make directory", &path.to_string_lossy(), &error))
}

/// Keeps hold of a directory, whatever is mounted over it.
pub(super) fn hold(path: &Path) -> Result<OwnedFd, LaunchError> {
    let c = c_path(path)?;
    // SAFETY: the path is a C string; the descriptor is new and nobody else's.
    unsafe {
        match libc::open(c.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(failed("open", &path.to_string_lossy(), &io::Error::last_os_error())),
        }
    }
}

pub(super) fn bind(source: &str, target: &str) -> Result<(), LaunchError> {
    mount(source, target, "", libc::MS_BIND, "")
}

pub(super) fn remount_read_only(target: &str, flags: libc::c_ulong) -> Result<(), LaunchError> {
    mount("none", target, "", libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | flags, "")
}

pub(super) fn mount(
    source: &str,
    target: &str,
    kind: &str,
    flags: libc::c_ulong,
    data: &str,
) -> Result<(), LaunchError> {
    let c =
        |text: &str| CString::new(text).map_err(|_| LaunchError::spec(format!("{text:?} holds a zero byte")));
    let (from, to, of, with) = (c(source)?, c(target)?, c(kind)?, c(data)?);
    // SAFETY: all four are C strings that outlive the call.
    let done = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), of.as_ptr(), flags, with.as_ptr().cast()) };
    match done {
        0 => Ok(()),
        _ => Err(failed("mount", target, &io::Error::last_os_error())),
    }
}

pub(super) fn failed(what: &str, on: &str, error: &io::Error) -> LaunchError {
    LaunchError::machine(format!("cannot {what} {on} for the container: {error}"))
}
