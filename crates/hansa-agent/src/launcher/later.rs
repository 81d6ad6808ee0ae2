//! Changes what a container that runs sees of its machine: volumes and devices that come and go with its tasks.
//!
//! A helper process takes the source in a copy of the machine's mount namespace, as the container's first process does at
//! its start, then joins the container's own and puts it into its place there. By now the container's processes may have
//! exchanged whatever they can write to: so no link on the way to a target is followed, and a mount goes to (or from) what
//! a descriptor stands for, not a path. What is changed already stays as it is, so that a change may be repeated.
//!
//! What a process holds open is not taken from it: it may use that until it closes it or ends.

use super::enter::{Execution, in_helper, namespaces};
use super::inside::{Inside, Make, c_string};
use super::mounts::Device;
use super::own_root;
use super::plan::{Fence, Plan};
use super::shelf;
use super::user::{self, Identity};
use super::volumes;
use crate::mountinfo;
use crate::shim::{Change, LaunchError, MountKind, MountSpec, SANDBOX_IN_IMAGE};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Mounts of one volume, one over the other, that are taken away at once.
const MOST_LAYERS: usize = 16;

/// Directories below `/dev` that are looked into.
const MOST_DIRS: usize = 1024;

/// Starts to change the container whose first process is `init`. Call it only from a process with one thread, whose child
/// `init` is.
///
/// # Errors
/// No process can be started.
pub(crate) fn change(plan: &Plan, init: i32, change: &Change) -> Result<Execution, LaunchError> {
    in_helper(|output| {
        drop(output);
        // SAFETY: no memory is passed; the shim's is stricter.
        unsafe { libc::umask(0o022) };
        let done = match change {
            Change::Mount(mount) => put(plan, init, mount),
            Change::Unmount(mount) => take_away(plan, init, mount),
            Change::AddDevice(path) => add_device(plan, init, path),
            Change::RemoveDevice(path) => remove_device(plan, init, path),
        };
        done.map(|()| (0, false))
    })
}

fn broken(what: &str, error: &io::Error) -> LaunchError {
    LaunchError::machine(format!("cannot {what}: {error}"))
}

/// Which file it is, whatever leads to it.
type Number = (u64, u64);

fn number(fd: &OwnedFd) -> io::Result<Number> {
    let data = File::from(fd.try_clone()?).metadata()?;
    Ok((data.dev(), data.ino()))
}

/// The container's namespaces, held from outside.
struct Doors {
    user: Option<File>,
    mounts: File,
}

impl Doors {
    fn of(plan: &Plan, init: i32) -> Result<Self, LaunchError> {
        let open = || {
            let mut opened = namespaces(plan, init, &["mnt", "user"])?.into_iter();
            let (mounts, user) = (opened.next().transpose()?, opened.next().transpose()?);
            let mounts = mounts.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Ok(Self { user: user.filter(|_| plan.fence == Fence::User), mounts })
        };
        open().map_err(|error: io::Error| broken("find the container's namespaces", &error))
    }

    /// To where sources are seen as at the container's start, in a copy of its own.
    fn step_aside(&mut self, plan: &Plan) -> Result<(), LaunchError> {
        let copy = || {
            // SAFETY: no memory is passed.
            match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
                0 => Ok(()),
                _ => Err(broken("copy a mount namespace", &io::Error::last_os_error())),
            }
        };
        if self.user.is_none() {
            copy()?;
            return own_root::detach();
        }
        // Whoever is not root may only mount what is in the container's own namespace: there, under what hides it.
        self.enter()?;
        copy()?;
        for hidden in &plan.hidden {
            let path = c_string(hidden.as_os_str()).map_err(|error| broken("find a directory", &error))?;
            // SAFETY: the path is a C string. What was not there at the start is not hidden.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        Ok(())
    }

    /// Into the container; the working directory is its root.
    fn enter(&mut self) -> Result<(), LaunchError> {
        let join = |namespace: &File| {
            // SAFETY: no memory is passed.
            match unsafe { libc::setns(namespace.as_raw_fd(), 0) } {
                0 => Ok(()),
                _ => Err(broken("enter the container", &io::Error::last_os_error())),
            }
        };
        // Once: joining it again would be refused.
        if let Some(user) = self.user.take() {
            join(&user)?;
        }
        join(&self.mounts)
    }
}

/// Where the container sees its sandbox.
fn sandbox_of(plan: &Plan) -> &Path {
    if plan.root.is_some() { Path::new(SANDBOX_IN_IMAGE) } else { &plan.sandbox }
}

/// The container's sandbox, from inside; nothing else in its place.
fn open_sandbox(plan: &Plan, expected: Number) -> io::Result<Inside> {
    let sandbox = match plan.root {
        // The way there is the container's to change.
        Some(_) => Inside::open(Path::new("/"))?.find_plain(Path::new(SANDBOX_IN_IMAGE))?,
        None => Inside::open(Path::new("/"))?.find(&plan.sandbox)?,
    };
    match number(&sandbox)? == expected {
        true => Ok(Inside::of(sandbox)),
        false => Err(io::Error::other("something else is where its sandbox was")),
    }
}

fn at_target(mount: &MountSpec, error: &io::Error) -> LaunchError {
    let target = mount.target.display();
    let why = match error.raw_os_error() {
        Some(libc::ELOOP) => {
            "there is a link on the way, which is not followed in a container that runs".into()
        }
        _ => error.to_string(),
    };
    LaunchError::spec(format!("cannot mount at {target} in the container: {why}"))
}

fn put(plan: &Plan, init: i32, mount: &MountSpec) -> Result<(), LaunchError> {
    volumes::check_target(mount)?;
    if plan.fence == Fence::None {
        return Err(LaunchError::machine(
            "volumes need mount namespaces, which this agent has not: run it as root",
        ));
    }
    let sandbox = Inside::open(&plan.sandbox).and_then(|inside| inside.number());
    let sandbox = sandbox.map_err(|error| broken("open the sandbox", &error))?;
    let mut doors = Doors::of(plan, init)?;
    doors.step_aside(plan)?;
    let (uid, gid) = user::own();
    let owner = plan.identity.clone().unwrap_or(Identity { uid, gid, groups: vec![gid] });
    let Some(volume) = volumes::take_one(plan, &owner, mount)? else {
        return Err(LaunchError::spec("a container that runs is given nothing but directories"));
    };
    let source = number(volume.place()).map_err(|error| broken("look at a volume", &error))?;
    doors.enter()?;
    let over = find_target(plan, sandbox, mount).map_err(|error| at_target(mount, &error))?;
    if number(&over).map_err(|error| at_target(mount, &error))? == source {
        return Ok(());
    }
    if is_mount_root(&over) == Some(true) {
        return Err(at_target(mount, &io::Error::other("something else is mounted there")));
    }
    volume.attach(&over).map_err(|error| at_target(mount, &error))
}

/// The directory that a mount goes over, made if it may be.
fn find_target(plan: &Plan, sandbox: Number, mount: &MountSpec) -> io::Result<OwnedFd> {
    if let Ok(below) = mount.target.strip_prefix(sandbox_of(plan)) {
        return open_sandbox(plan, sandbox)?.make_plain(below, Make::Directory);
    }
    let root = Inside::open(Path::new("/"))?;
    match plan.root {
        Some(_) => root.make_plain(&mount.target, Make::Directory),
        // Nothing of the machine changes.
        None => root.find_plain(&mount.target),
    }
}

/// Whether this is where a mount begins; None: kernels before 5.8 do not tell.
fn is_mount_root(fd: &OwnedFd) -> Option<bool> {
    const MOUNT_ROOT: u64 = libc::STATX_ATTR_MOUNT_ROOT as u64;
    // SAFETY: an all-zero statx is a valid value, and it is ours; the path is a C string.
    unsafe {
        let mut data: libc::statx = std::mem::zeroed();
        let done = libc::statx(fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, 0, &mut data);
        let told = done == 0 && data.stx_attributes_mask & MOUNT_ROOT != 0;
        told.then_some(data.stx_attributes & MOUNT_ROOT != 0)
    }
}

fn take_away(plan: &Plan, init: i32, mount: &MountSpec) -> Result<(), LaunchError> {
    let MountKind::Within { root } = &mount.kind else {
        return Err(LaunchError::spec("only volumes are taken from a container that runs"));
    };
    if plan.fence == Fence::None {
        return Ok(());
    }
    let source = match Inside::open(root).and_then(|inside| inside.find(&mount.source)) {
        Ok(source) => source,
        // It is not there any more: nobody can write to it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(broken("open a volume", &error)),
    };
    let wanted = number(&source).map_err(|error| broken("look at a volume", &error))?;
    let points = points_on(plan, init, &source).map_err(|error| broken("read what is mounted", &error))?;
    drop(source);
    let in_sandbox = mount.target.starts_with(sandbox_of(plan));
    Doors::of(plan, init)?.enter()?;
    let inside = Inside::open(Path::new("/")).map_err(|error| broken("open the container's root", &error))?;
    for point in points {
        let taken = unmount(&inside, &point, wanted)
            .map_err(|error| broken(&format!("unmount {} in the container", point.display()), &error))?;
        if taken && in_sandbox {
            // As in Mesos. What is not empty was not made for this.
            remove_empty(&inside, &point);
        }
    }
    Ok(())
}

/// Where the container has mounts of the file system that this lies on, the innermost first. On the machine's own root, what
/// is mounted there for everybody is no affair of the container's.
fn points_on(plan: &Plan, init: i32, source: &OwnedFd) -> io::Result<Vec<PathBuf>> {
    let ours = mountinfo::own()?;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", source.as_raw_fd()))?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok());
    let found = ours.iter().find(|mount| Some(mount.id) == id);
    let device = &found.ok_or_else(|| io::Error::other("a volume is on no mount"))?.device;
    let everybodys: BTreeSet<&PathBuf> =
        ours.iter().filter(|_| plan.root.is_none()).map(|mount| &mount.point).collect();
    let theirs = mountinfo::parse(&fs::read(format!("/proc/{init}/mountinfo"))?);
    let own =
        theirs.into_iter().filter(|mount| mount.device == *device && !everybodys.contains(&mount.point));
    Ok(own.map(|mount| mount.point).rev().collect())
}

/// Detaches what is mounted there as long as it is the wanted directory; whether it ever was.
fn unmount(inside: &Inside, point: &Path, wanted: Number) -> io::Result<bool> {
    for layer in 0..MOST_LAYERS {
        let found = match inside.find_plain(point) {
            Ok(found) => found,
            // Moved or gone meanwhile.
            Err(_) => return Ok(layer > 0),
        };
        if number(&found)? != wanted || is_mount_root(&found) == Some(false) {
            return Ok(layer > 0);
        }
        // SAFETY: the descriptor is open, the path a C string. Standing there, the mount is what is found, not a name.
        let done = unsafe {
            libc::fchdir(found.as_raw_fd()) == 0 && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
        };
        let error = io::Error::last_os_error();
        drop(found);
        std::env::set_current_dir("/")?;
        if !done {
            return Err(error);
        }
    }
    Ok(true)
}

fn remove_empty(inside: &Inside, point: &Path) {
    let (Some(above), Some(name)) = (point.parent(), point.file_name()) else { return };
    if let (Ok(above), Ok(name)) = (inside.find_plain(above), c_string(name)) {
        // SAFETY: the name is a C string.
        unsafe { libc::unlinkat(above.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) };
    }
}

/// Whether the container has a `/dev` of its own, out of which devices can be kept.
fn has_own_dev(plan: &Plan) -> bool {
    plan.fence == Fence::Full && !plan.privileged
}

fn device_at(path: &Path) -> Option<Device> {
    Device::of(path).filter(|_| path.starts_with("/dev"))
}

fn add_device(plan: &Plan, init: i32, path: &Path) -> Result<(), LaunchError> {
    if !has_own_dev(plan) {
        return Ok(());
    }
    let device = device_at(path)
        .ok_or_else(|| LaunchError::spec(format!("{} is not a device below /dev", path.display())))?;
    let mut doors = Doors::of(plan, init)?;
    doors.step_aside(plan)?;
    let tree = shelf::device(&device)?;
    doors.enter()?;
    let put = || {
        let over = Inside::open(Path::new("/"))?.make_plain(path, Make::File)?;
        let data = File::from(over.try_clone()?).metadata()?;
        match data.file_type() {
            kind if kind.is_char_device() || kind.is_block_device() => match device.is(&data) {
                true => Ok(()),
                false => Err(io::Error::other("another device is there")),
            },
            kind if kind.is_file() => tree.attach(&over),
            _ => Err(io::Error::other("something else is there")),
        }
    };
    put().map_err(|error| broken(&format!("show {} to the container", path.display()), &error))
}

/// Wherever it is below the container's `/dev` by now.
fn remove_device(plan: &Plan, init: i32, path: &Path) -> Result<(), LaunchError> {
    let Some(device) = device_at(path).filter(|_| has_own_dev(plan)) else { return Ok(()) };
    Doors::of(plan, init)?.enter()?;
    let remove = || {
        let root = Inside::open(Path::new("/"))?;
        let dev = number(&root.find_plain(Path::new("/dev"))?)?.0;
        let mut dirs = vec![PathBuf::from("/dev")];
        let mut looked = 0;
        while let Some(dir) = dirs.pop() {
            looked += 1;
            if looked > MOST_DIRS {
                return Err(io::Error::other("there are too many directories in its /dev"));
            }
            let Ok(opened) = root.find_plain(&dir) else { continue };
            // SAFETY: the descriptor is open. From here on names are those in this very directory.
            if unsafe { libc::fchdir(opened.as_raw_fd()) } != 0 {
                return Err(io::Error::last_os_error());
            }
            for entry in fs::read_dir(".")? {
                let name = PathBuf::from(entry?.file_name());
                let Ok(data) = fs::symlink_metadata(&name) else { continue };
                if data.is_dir() && data.dev() == dev {
                    dirs.push(dir.join(&name));
                } else if device.is(&data) {
                    forget(&name)?;
                }
            }
        }
        Ok(())
    };
    remove().map_err(|error| broken(&format!("take {} from the container", path.display()), &error))
}

/// Removes a node of the working directory, be it made there or mounted.
fn forget(name: &Path) -> io::Result<()> {
    let path = c_string(name.as_os_str())?;
    for _ in 0..MOST_LAYERS {
        // SAFETY: the path is a C string.
        if unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) } != 0 {
            break;
        }
    }
    fs::remove_file(name)
}
