//! A place in memory where device nodes and secrets are made, out of which each is mounted by itself. Nothing else is ever
//! in it, and once they are taken it is nowhere.

use super::inside::{Inside, c_string};
use super::mounts::{DEVICES, Device, failed, hold};
use super::plan::Plan;
use super::tree::{self, Tree};
use super::user::Identity;
use super::volumes::{self, Volume};
use crate::shim::LaunchError;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What was taken out of it.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Devices, by where the container sees them.
    pub devices: Vec<(PathBuf, Tree)>,
    /// Secrets.
    pub secrets: Vec<Volume>,
}

/// Where it is mounted for the moment: every machine has this directory, and the container gets its own.
const PLACE: &str = "/dev";

/// Makes the usual devices and those of `further` (unless everything is allowed anyway), and the plan's secrets.
pub(super) fn stage(plan: &Plan, identity: &Identity, further: &[Device]) -> Result<Shelf, LaunchError> {
    with_memory(|inside| fill(inside, plan, identity, further))
}

/// One device, ready to be shown.
pub(super) fn device(device: &Device) -> Result<Tree, LaunchError> {
    with_memory(|inside| make_device(inside, device, "device"))
}

/// Does something while there is memory at [`PLACE`].
fn with_memory<T>(act: impl FnOnce(&Inside) -> Result<T, LaunchError>) -> Result<T, LaunchError> {
    let on = |what: &'static str| move |error: io::Error| failed(what, PLACE, &error);
    let memory = Tree::in_memory(&[("mode", "700"), ("size", "16m"), ("noswap", "")])
        .map_err(on("make memory for"))?;
    memory.attach(&hold(Path::new(PLACE))?).map_err(on("mount"))?;
    let inside = Inside::open(Path::new(PLACE)).map_err(|error| failed("open", PLACE, &error));
    let done = inside.and_then(|inside| act(&inside));
    let place = c_string(PLACE.as_ref()).map_err(on("unmount"))?;
    // SAFETY: the path is a C string.
    if unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) } != 0 {
        return Err(on("unmount")(io::Error::last_os_error()));
    }
    done
}

fn take(inside: &Inside, name: &str, attributes: u64) -> io::Result<Tree> {
    let tree = Tree::copy(&inside.find(Path::new(name))?, false)?;
    tree.set(attributes, false)?;
    Ok(tree)
}

fn make_device(inside: &Inside, device: &Device, name: &str) -> Result<Tree, LaunchError> {
    device.make(&Path::new(PLACE).join(name))?;
    take(inside, name, 0).map_err(|error| failed("take", &device.path.to_string_lossy(), &error))
}

fn fill(inside: &Inside, plan: &Plan, identity: &Identity, further: &[Device]) -> Result<Shelf, LaunchError> {
    let mut shelf = Shelf::default();
    if plan.own_devices() {
        let usual = DEVICES.iter().map(Device::usual);
        for (number, device) in usual.chain(further.iter().cloned()).enumerate() {
            let tree = make_device(inside, &device, &format!("device-{number}"))?;
            shelf.devices.push((device.path.clone(), tree));
        }
    }
    for (number, secret) in plan.secret_files.iter().enumerate() {
        let name = format!("secret-{number}");
        let path = Path::new(PLACE).join(&name);
        let write = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o400)
                .open(&path)?
                .write_all(&secret.value)?;
            std::os::unix::fs::chown(&path, Some(identity.uid), Some(identity.gid))?;
            take(inside, &name, tree::READ_ONLY | tree::NO_DEVICES | tree::NO_SETUID | tree::NO_PROGRAMS)
        };
        let tree = write()
            .map_err(|error| failed("make the secret at", &secret.target.to_string_lossy(), &error))?;
        shelf.secrets.push(volumes::secret(&secret.target, tree));
    }
    Ok(shelf)
}
