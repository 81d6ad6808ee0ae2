//! What is mounted into a container besides its root: directories and files of the machine, memory, secrets.
//!
//! Sources are taken (held as mounts that are nowhere yet) while the machine's root is still there; targets are looked up
//! inside the container's root once it is the process' own. So no link, whoever made it, leads a source out of where it
//! belongs or a target out of the container.

use super::inside::{Inside, Make};
use super::plan::Plan;
use super::tree::{self, Tree};
use super::user::Identity;
use crate::shim::{LaunchError, MountKind, MountSpec};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A source that waits for its place.
#[derive(Debug)]
pub(super) struct Volume {
    target: PathBuf,
    tree: Tree,
    is_directory: bool,
    /// The agent's directories below the source, which the container must see empty.
    hidden: Vec<PathBuf>,
}

impl Volume {
    /// Its root directory or file.
    pub(super) fn place(&self) -> &OwnedFd {
        self.tree.place()
    }

    /// Puts it over what a descriptor stands for, as it is.
    pub(super) fn attach(self, over: &OwnedFd) -> io::Result<()> {
        self.tree.attach(over)
    }

    /// Where it goes.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The same, seen from a directory on the way.
    pub(super) fn below(mut self, dir: &Path) -> Self {
        if let Ok(rest) = self.target.strip_prefix(dir) {
            self.target = rest.to_owned();
        }
        self
    }
}

/// Takes the sources of all mounts but those of secrets. Those that the container's own root can do by itself (an image's
/// volumes where the root can be written) are left out.
pub(super) fn take(plan: &Plan, identity: &Identity) -> Result<Vec<Volume>, LaunchError> {
    plan.mounts.iter().filter_map(|mount| take_one(plan, identity, mount).transpose()).collect()
}

/// Takes the source of one; None: that is done elsewhere.
pub(super) fn take_one(
    plan: &Plan,
    owner: &Identity,
    mount: &MountSpec,
) -> Result<Option<Volume>, LaunchError> {
    let failed = |error: io::Error| {
        let name = mount.source.display();
        let why = format!("cannot mount {name} at {}: {error}", mount.target.display());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
                LaunchError::spec(why)
            }
            _ => LaunchError::machine(why),
        }
    };
    let mut attributes = if plan.privileged { 0 } else { tree::NO_DEVICES };
    if mount.read_only {
        attributes |= tree::READ_ONLY;
    }
    let ready = |tree: Tree, is_directory, hidden| {
        tree.set(attributes, true).map_err(failed)?;
        Ok(Some(Volume { target: mount.target.clone(), tree, is_directory, hidden }))
    };
    match &mount.kind {
        MountKind::Bind | MountKind::BindMade => {
            let make = mount.kind == MountKind::BindMade;
            let source = open(&mount.source, make.then_some(owner)).map_err(failed)?;
            let hidden = hidden_below(plan, &source, mount)?;
            let is_directory = is_directory(&source).map_err(failed)?;
            ready(Tree::copy(&source, true).map_err(failed)?, is_directory, hidden)
        }
        MountKind::Sandbox | MountKind::Within { .. } => {
            let root = match &mount.kind {
                MountKind::Within { root } => root,
                _ => &plan.sandbox,
            };
            let sandbox = Inside::open(root).map_err(failed)?;
            let owner = Some((owner.uid, owner.gid));
            let source = sandbox.make(&mount.source, Make::Directory, owner).map_err(failed)?;
            let is_directory = is_directory(&source).map_err(failed)?;
            if let (Some((uid, gid)), true) = (owner, mount.source.as_os_str().is_empty()) {
                std::os::unix::fs::chown(root, Some(uid), Some(gid)).map_err(failed)?;
            }
            let tree = Tree::copy(&source, false).map_err(failed)?;
            tree.set(tree::NO_SETUID, false).map_err(failed)?;
            ready(tree, is_directory, Vec::new())
        }
        MountKind::Tmpfs { bytes, mode } => {
            let size = bytes.map(|bytes| bytes.to_string());
            let mode = format!("{:o}", mode.unwrap_or(0o1777));
            let mut options = vec![("mode", mode.as_str())];
            options.extend(size.as_deref().map(|size| ("size", size)));
            ready(Tree::in_memory(&options).map_err(failed)?, true, Vec::new())
        }
        // Done elsewhere.
        MountKind::Anonymous | MountKind::Secret => Ok(None),
    }
}

/// The agent's directories that lie below a source, seen from it.
fn hidden_below(plan: &Plan, source: &OwnedFd, mount: &MountSpec) -> Result<Vec<PathBuf>, LaunchError> {
    // Where it really is, whatever links led there.
    let real = std::fs::read_link(format!("/proc/self/fd/{}", source.as_raw_fd()))
        .map_err(|error| LaunchError::machine(format!("cannot read /proc: {error}")))?;
    if plan.hidden.iter().any(|hidden| real.starts_with(hidden)) {
        return Err(LaunchError::spec(format!(
            "cannot mount {}: it belongs to the agent; name another directory",
            mount.source.display()
        )));
    }
    let below = |hidden: &PathBuf| hidden.strip_prefix(&real).ok().map(Path::to_owned);
    Ok(plan.hidden.iter().filter_map(below).collect())
}

/// Opens what is there, or makes a directory and gives it to `owner`.
fn open(path: &Path, owner: Option<&Identity>) -> io::Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its source is not an absolute path"));
    }
    if let Some(owner) = owner
        && std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        std::fs::create_dir_all(path)?;
        std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))?;
    }
    let path = super::inside::c_string(path.as_os_str())?;
    // SAFETY: the path is a C string; the descriptor is new and nobody else's.
    unsafe {
        match libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn is_directory(fd: &OwnedFd) -> io::Result<bool> {
    // SAFETY: an all-zero stat is a valid value, and it is ours.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        match libc::fstat(fd.as_raw_fd(), &mut stat) {
            0 => Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Puts volumes into their places. `inside` is the root of the targets; where `make` says no, what is missing is not made.
pub(super) fn place(
    inside: &Inside,
    make: impl Fn(&Path) -> bool,
    volumes: Vec<Volume>,
) -> Result<(), LaunchError> {
    for Volume { target, tree, is_directory, hidden } in volumes {
        let failed = |error: io::Error| {
            LaunchError::spec(format!("cannot mount at {} in the container: {error}", target.display()))
        };
        let what = if is_directory { Make::Directory } else { Make::File };
        let over = match make(&target) {
            true => inside.make(&target, what, None),
            false => inside.find(&target),
        };
        let top = tree.place().try_clone().map_err(failed)?;
        tree.attach(&over.map_err(failed)?).map_err(failed)?;
        for path in hidden {
            let cover = Tree::in_memory(&[("size", "4k"), ("mode", "755")]).map_err(failed)?;
            cover.set(tree::READ_ONLY | tree::NO_DEVICES, false).map_err(failed)?;
            let covered = Inside::of(top.try_clone().map_err(failed)?).find(&path);
            match covered {
                Ok(over) => cover.attach(&over).map_err(failed)?,
                // Not there: nothing to hide.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(())
}

/// A target that nothing may be mounted on: what the container is fenced in with.
pub(super) fn check_target(mount: &MountSpec) -> Result<(), LaunchError> {
    let target = &mount.target;
    let climbs = target.components().any(|part| part == std::path::Component::ParentDir);
    let why = match () {
        () if !target.is_absolute() => "it is not absolute",
        () if climbs => "it holds `..`",
        () if target == Path::new("/") => "that is the root itself",
        () if target.starts_with("/proc") || target.starts_with("/sys") => "that is the kernel's",
        () if target == Path::new("/dev") || target == Path::new("/dev/pts") => "that is the container's own",
        () => return Ok(()),
    };
    Err(LaunchError::spec(format!("cannot mount at {} in the container: {why}", target.display())))
}

/// One mount of a file in memory, not yet anywhere.
pub(super) fn secret(target: &Path, tree: Tree) -> Volume {
    Volume { target: target.to_owned(), tree, is_directory: false, hidden: Vec::new() }
}
