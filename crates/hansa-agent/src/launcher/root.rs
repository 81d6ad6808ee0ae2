//! A container with a root file system of its own: an image's layers, a place to write, and what the kernel and the agent
//! put into it. All of it lives in the container's own mount namespace: it goes with the last process, and nothing has to
//! be unmounted.

use super::image_user;
use super::inside::{Inside, Make};
use super::mounts::{self, CLEAN, Device, failed, hold, make_dir, mount};
use super::plan::Plan;
use super::shelf::{self, Shelf};
use super::tree::{self, Tree};
use super::user::{Identity, UserError};
use super::volumes;
use crate::cgroup::{Place, Version};
use crate::shim::{LaunchError, MountKind, RootSpec, SANDBOX_IN_IMAGE};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The most of a user file that is read, in bytes.
const USER_FILE_BYTES: u64 = 4 << 20;

/// What `/dev/shm` holds unless told, in bytes; as Docker has it.
const SHM_BYTES: u64 = 64 << 20;

/// Arranges everything and makes it the root. Finds out who the command runs as.
pub(super) fn arrange(plan: &mut Plan, root: &RootSpec, places: &[Place]) -> Result<(), LaunchError> {
    let merged = mount_layers(root, plan.privileged)?;
    let (identity, home) = find_user(plan, &merged)?;
    plan.give_sandbox(&identity)?;
    // Everything of the machine's is taken before its root goes away.
    let sandbox = take_sandbox(plan)?;
    let etc = etc_files(plan, root)?;
    let cgroups = take_cgroups(plan, places)?;
    let volumes = volumes::take(plan, &identity)?;
    let devices = if plan.privileged { all_devices() } else { mounts::wanted_devices(plan)? };
    let Shelf { devices: shelved, secrets } = shelf::stage(plan, &identity, &devices)?;
    if root.read_only {
        writable_volumes(plan, root, &merged)?;
    }
    become_root(&merged)?;

    let inside = Inside::open(Path::new("/")).map_err(|error| failed("open", "/", &error))?;
    for name in [c"dev", c"sys", c"proc"] {
        inside.plain_directory(name).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENOTDIR) => LaunchError::spec(format!(
                "the image has something else than a directory at /{}",
                name.to_string_lossy()
            )),
            _ => failed("make", &format!("/{}", name.to_string_lossy()), &error),
        })?;
    }
    make_dev(plan, &devices, shelved)?;
    let read_only = if plan.privileged { 0 } else { libc::MS_RDONLY };
    mount("sysfs", "/sys", "sysfs", CLEAN | read_only, "")?;
    show_cgroups(cgroups)?;
    let at = |target: &str, error: io::Error| failed("mount at", target, &error);
    let over = inside.make(Path::new(SANDBOX_IN_IMAGE), Make::Directory, None);
    over.and_then(|over| sandbox.attach(&over)).map_err(|error| at(SANDBOX_IN_IMAGE, error))?;
    for (target, tree) in etc {
        let over = inside.make(Path::new(target), Make::File, None);
        over.and_then(|over| tree.attach(&over)).map_err(|error| at(target, error))?;
    }
    for mount in plan.mounts.iter().filter(|mount| mount.kind == MountKind::Anonymous) {
        let made = inside.make(&mount.target, Make::Directory, Some((identity.uid, identity.gid)));
        made.map_err(|error| at(&mount.target.to_string_lossy(), error))?;
    }
    volumes::place(&inside, |_| true, volumes)?;
    volumes::place(&inside, |_| true, secrets)?;
    make_proc(plan)?;
    if root.read_only {
        let root = hold(Path::new("/"))?;
        tree::set(&root, tree::READ_ONLY, false).map_err(|error| failed("protect", "/", &error))?;
    }
    plan.settle(identity, home.unwrap_or_else(|| "/".into()));
    Ok(())
}

/// The layers, one over the other, and over them what the container writes.
fn mount_layers(root: &RootSpec, devices: bool) -> Result<PathBuf, LaunchError> {
    let merged = root.scratch.join("root");
    let (upper, work) = (root.scratch.join("upper"), root.scratch.join("work"));
    for dir in [&merged, &upper, &work] {
        make_dir(dir)?;
    }
    if root.layers.is_empty() {
        return Err(LaunchError::spec("the image has no layers: there is nothing to run"));
    }
    // By descriptors: paths may be long or hold colons, and all the options have to fit on a page.
    let hold_layer = |layer: &PathBuf| {
        hold(layer)
            .map_err(|error| LaunchError::machine(format!("a layer of the image is gone: {}", error.message)))
    };
    let layers: Vec<OwnedFd> = root.layers.iter().map(hold_layer).collect::<Result<_, _>>()?;
    let (upper, work) = (hold(&upper)?, hold(&work)?);
    let path = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower = layers.iter().map(path).collect::<Vec<_>>().join(":");
    let options = format!("lowerdir={lower},upperdir={},workdir={}", path(&upper), path(&work));
    if options.len() > 4000 {
        return Err(LaunchError::spec(format!("the image has {} layers: too many", layers.len())));
    }
    let target = merged.to_string_lossy();
    let flags = if devices { 0 } else { libc::MS_NODEV };
    let mount = |options: &str| mount("overlay", &target, "overlay", flags, options);
    // Nothing in there outlives the container, so nothing has to reach the disk. Kernels before 5.10 do not know how.
    mount(&format!("{options},volatile")).or_else(|_| mount(&options)).map_err(|error| {
        LaunchError::machine(format!(
            "{}; the directory {} must be on a disk's own file system (ext4, xfs), not on an overlay",
            error.message,
            root.scratch.display()
        ))
    })?;
    Ok(merged)
}

/// Who the command runs as, by the image's files as far as they are there.
fn find_user(plan: &Plan, merged: &Path) -> Result<(Identity, Option<String>), LaunchError> {
    let inside = Inside::open(merged).map_err(|error| failed("open", &merged.to_string_lossy(), &error))?;
    let read = |path: &str| {
        let mut text = Vec::new();
        let file = inside.read(Path::new(path)).ok();
        let read = file.map(|file| file.take(USER_FILE_BYTES).read_to_end(&mut text));
        match read {
            Some(Err(error)) => Err(failed("read", path, &error)),
            _ => Ok(String::from_utf8_lossy(&text).into_owned()),
        }
    };
    let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
    let text = plan.user.as_deref().filter(|user| !user.is_empty()).unwrap_or("0");
    let found = image_user::resolve(text, &plan.groups, &passwd, &group)
        .map_err(|error: UserError| LaunchError::spec(error.to_string()))?;
    Ok((found.identity, found.home))
}

fn take_sandbox(plan: &Plan) -> Result<Tree, LaunchError> {
    let failed = |error: io::Error| failed("take", &plan.sandbox.to_string_lossy(), &error);
    let tree = Tree::copy(&hold(&plan.sandbox)?, false).map_err(failed)?;
    tree.set(tree::NO_SETUID | tree::NO_DEVICES, false).map_err(failed)?;
    Ok(tree)
}

/// The files that name the container and others, as far as no volume takes their places.
fn etc_files(plan: &Plan, root: &RootSpec) -> Result<Vec<(&'static str, Tree)>, LaunchError> {
    let dir = root.scratch.join("etc");
    make_dir(&dir)?;
    let machine = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hostname =
        || plan.hostname.clone().unwrap_or_else(|| machine("/proc/sys/kernel/hostname").trim().to_owned());
    let files = [
        ("/etc/resolv.conf", &plan.etc.resolv_conf),
        ("/etc/hosts", &plan.etc.hosts),
        ("/etc/hostname", &plan.etc.hostname),
    ];
    let mut found = Vec::new();
    for (target, text) in files {
        if plan.mounts.iter().any(|mount| mount.target == Path::new(target)) {
            continue;
        }
        let text = match text {
            Some(text) => text.clone(),
            None if target == "/etc/hostname" => format!("{}\n", hostname()),
            None => machine(target),
        };
        let name = target.rsplit('/').next().unwrap_or_default();
        let write = || {
            std::fs::write(dir.join(name), text)?;
            let tree = Tree::copy(&Inside::open(&dir)?.find(Path::new(name))?, false)?;
            tree.set(tree::NO_SETUID | tree::NO_DEVICES | tree::NO_PROGRAMS, false)?;
            Ok(tree)
        };
        found.push((target, write().map_err(|error: io::Error| failed("write", target, &error))?));
    }
    Ok(found)
}

/// Its cgroups, by where they go below `/sys/fs/cgroup`.
fn take_cgroups(plan: &Plan, places: &[Place]) -> Result<Vec<(PathBuf, Tree)>, LaunchError> {
    const ROOT: &str = "/sys/fs/cgroup";
    let mut found = Vec::new();
    let single = matches!(places, [Place { version: Version::V2, .. }]);
    for place in places {
        // Where it is mounted on the machine, if that is the usual place.
        let name = match place.mount.strip_prefix(ROOT) {
            _ if single => Path::new(""),
            Ok(name) => name,
            Err(_) => continue,
        };
        let tree = Tree::copy(&hold(&place.dir)?, false).and_then(|tree| {
            let read_only = if plan.privileged { 0 } else { tree::READ_ONLY };
            tree.set(read_only | tree::NO_SETUID | tree::NO_DEVICES | tree::NO_PROGRAMS, false)?;
            Ok(tree)
        });
        found.push((Path::new(ROOT).join(name), tree.map_err(|error| failed("take", ROOT, &error))?));
    }
    Ok(found)
}

fn show_cgroups(cgroups: Vec<(PathBuf, Tree)>) -> Result<(), LaunchError> {
    const ROOT: &str = "/sys/fs/cgroup";
    if cgroups.is_empty() {
        return Ok(());
    }
    let several = cgroups.iter().any(|(target, _)| target != Path::new(ROOT));
    if several {
        mount("tmpfs", ROOT, "tmpfs", CLEAN, "mode=755,size=64k")?;
    }
    for (target, tree) in cgroups {
        if several {
            make_dir(&target)?;
        }
        tree.attach(&hold(&target)?).map_err(|error| failed("mount", &target.to_string_lossy(), &error))?;
    }
    if several {
        mounts::remount_read_only(ROOT, CLEAN)?;
    }
    Ok(())
}

/// An image's volumes stay writable although its root is not: each is a second overlay over what the image has there.
fn writable_volumes(plan: &Plan, root: &RootSpec, merged: &Path) -> Result<(), LaunchError> {
    let inside = Inside::open(merged).map_err(|error| failed("open", &merged.to_string_lossy(), &error))?;
    let wanted = plan.mounts.iter().filter(|mount| mount.kind == MountKind::Anonymous);
    for (number, volume) in wanted.enumerate() {
        let target = volume.target.to_string_lossy();
        let found = inside.make(&volume.target, Make::Directory, None);
        let found = found.map_err(|error| failed("make", &target, &error))?;
        let place = |name: &str| root.scratch.join("volumes").join(number.to_string()).join(name);
        let (upper, work) = (place("upper"), place("work"));
        make_dir(&upper)?;
        make_dir(&work)?;
        let (upper, work) = (hold(&upper)?, hold(&work)?);
        let path = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let options = format!("lowerdir={},upperdir={},workdir={}", path(&found), path(&upper), path(&work));
        mount("overlay", &path(&found), "overlay", libc::MS_NODEV, &options)?;
    }
    Ok(())
}

/// The machine's root goes away; this takes its place.
fn become_root(merged: &Path) -> Result<(), LaunchError> {
    let entered = |what: &str| failed(what, &merged.to_string_lossy(), &io::Error::last_os_error());
    std::env::set_current_dir(merged).map_err(|error| failed("enter", &merged.to_string_lossy(), &error))?;
    // SAFETY: all paths are C strings.
    unsafe {
        // The old root comes to lie over the new one, from where it is taken away.
        if libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) != 0 {
            return Err(entered("take as the root"));
        }
        if libc::umount2(c".".as_ptr(), libc::MNT_DETACH) != 0 {
            return Err(entered("leave the machine's root for"));
        }
    }
    std::env::set_current_dir("/").map_err(|error| failed("enter", "/", &error))
}

fn make_dev(plan: &Plan, devices: &[Device], shelved: Vec<(PathBuf, Tree)>) -> Result<(), LaunchError> {
    let quiet = libc::MS_NOSUID | libc::MS_NOEXEC;
    // Devices are bound one by one, so that those which the container makes itself cannot be opened even here.
    let no_devices = if plan.privileged { 0 } else { libc::MS_NODEV };
    mount("tmpfs", "/dev", "tmpfs", quiet | no_devices, "mode=755,size=64m")?;
    if plan.privileged {
        for device in devices {
            device.make(&device.path)?;
        }
    }
    let dev = Inside::open(Path::new("/")).map_err(|error| failed("open", "/", &error))?;
    for (path, tree) in shelved {
        let over = dev.make(&path, Make::File, None);
        over.and_then(|over| tree.attach(&over))
            .map_err(|error| failed("mount", &path.to_string_lossy(), &error))?;
    }
    mounts::link_dev()?;
    mounts::mount_pts()?;
    let shm = format!("mode=1777,size={}", plan.shm_bytes.unwrap_or(SHM_BYTES));
    mount("shm", "/dev/shm", "tmpfs", CLEAN, &shm)?;
    // Not every kernel has message queues.
    let _ = mount("mqueue", "/dev/mqueue", "mqueue", CLEAN, "");
    Ok(())
}

fn make_proc(plan: &Plan) -> Result<(), LaunchError> {
    mount("proc", "/proc", "proc", CLEAN, "")?;
    if plan.privileged {
        return Ok(());
    }
    mounts::mask_and_protect()
}

/// Every device node that the machine shows below `/dev`.
fn all_devices() -> Vec<Device> {
    const MOST: usize = 4096;
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from("/dev")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let own =
                ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/ptmx"].iter().any(|own| path == Path::new(own));
            match entry.file_type() {
                _ if own => {}
                Ok(kind) if kind.is_dir() => dirs.push(path),
                Ok(kind) if !kind.is_symlink() && !kind.is_file() && found.len() < MOST => {
                    found.extend(Device::of(&path));
                }
                _ => {}
            }
        }
    }
    found
}

/// Enters a directory of the container, made if it is not there, without following a link out of it.
pub(super) fn enter(dir: &Path) -> Result<(), LaunchError> {
    let enter = || {
        let dir = Inside::open(Path::new("/"))?.make(dir, Make::Directory, None)?;
        // SAFETY: the descriptor is open.
        if unsafe { libc::fchdir(dir.as_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    enter().map_err(|error: io::Error| {
        LaunchError::spec(format!("cannot enter the working directory {}: {error}", dir.display()))
    })
}
