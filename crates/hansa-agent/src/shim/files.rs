//! The files of a runtime directory, and who may touch them when.
//!
//! `shim.lock` is held (flock) by the shim as long as it lives, so its being locked is the one test of life: no pid can
//! be mistaken, no zombie counts. Whoever holds it owns the directory. [`super::cleanup`] takes it too, and removes
//! `shim.json` under it: a shim that comes late finds nothing to run and ends.

use super::record::ProcessId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The spec, written by the agent.
pub(crate) const SPEC: &str = "shim.json";
/// Locked while the shim lives; holds its [`ProcessId`].
pub(crate) const LOCK: &str = "shim.lock";
/// Which cgroups the container has: a [`Named`]; absent if none.
pub(crate) const CGROUP: &str = "cgroup.json";
/// Where the shim listens.
pub(crate) const SOCKET: &str = "shim.sock";
/// See [`super::Started`].
pub(crate) const STARTED: &str = "started.json";
/// See [`super::ExitRecord`].
pub(crate) const EXIT: &str = "exit.json";
/// What the shim itself has to say; absent if nothing.
pub(crate) const LOG: &str = "shim.log";

/// The cgroups `hansa/<agent>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub agent: String,
    pub name: String,
}

impl Named {
    pub(crate) fn new(agent: &str, name: &str) -> Self {
        Self { agent: agent.to_owned(), name: name.to_owned() }
    }
}

/// Reads a JSON file; None if it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a JSON file in one step; `durable` also waits until it is on the disk.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durable: bool) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::from)?;
    write_atomic(path, &bytes, durable)
}

/// Replaces a file in one step.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    std::fs::rename(&temporary, path)
}

/// Takes the directory's lock; None if somebody holds it. It is let go when the file is dropped.
pub(crate) fn try_lock(runtime_dir: &Path) -> io::Result<Option<File>> {
    let path = runtime_dir.join(LOCK);
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // SAFETY: flock takes a descriptor that we own and touches no memory.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(Some(file));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        error => Err(error),
    }
}

/// Whether a shim (or a clean-up) holds the directory.
pub(crate) fn is_locked(runtime_dir: &Path) -> io::Result<bool> {
    if !runtime_dir.join(LOCK).exists() {
        return Ok(false);
    }
    Ok(try_lock(runtime_dir)?.is_none())
}

/// Writes down who holds the lock.
pub(crate) fn sign_lock(lock: &mut File, holder: ProcessId) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("{} {}", holder.pid, holder.start_ticks).as_bytes())
}

/// Who signed the lock; None if nobody has.
pub(crate) fn lock_holder(runtime_dir: &Path) -> io::Result<Option<ProcessId>> {
    let mut text = String::new();
    File::open(runtime_dir.join(LOCK))?.read_to_string(&mut text)?;
    let mut words = text.split_ascii_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    let start_ticks = words.next().and_then(|word| word.parse().ok());
    Ok(pid.zip(start_ticks).map(|(pid, start_ticks)| ProcessId { pid, start_ticks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_and_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_locked(dir.path()).unwrap());
        let mut lock = try_lock(dir.path()).unwrap().unwrap();
        let holder = ProcessId { pid: 7, start_ticks: 99 };
        sign_lock(&mut lock, holder).unwrap();
        assert!(try_lock(dir.path()).unwrap().is_none());
        assert!(is_locked(dir.path()).unwrap());
        assert_eq!(lock_holder(dir.path()).unwrap(), Some(holder));
        drop(lock);
        assert!(!is_locked(dir.path()).unwrap());
    }

    #[test]
    fn json_is_replaced_whole_and_absence_is_not_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &7u32, true).unwrap();
        write_json(&path, &8u32, false).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(8));
        std::fs::write(&path, b"{").unwrap();
        assert!(read_json::<u32>(&path).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
