//! A development cluster's data directory: temporary or kept, and used by one supervisor at a time.

use crate::dev::sweep::sweep;
use crate::failure::{Exit, Failure};
use crate::output::note;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Temporary ones are called this and a process id.
const PREFIX: &str = "hansa-dev-";

/// The file that a running supervisor holds locked.
const LOCK: &str = "dev.lock";

/// A locked data directory.
pub struct Directory {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// Whether it goes away with the cluster.
    pub temporary: bool,
    _lock: File,
}

impl Directory {
    /// The one that was asked for, made if absent, or a new temporary one.
    pub fn open(asked: Option<&Path>) -> Result<Self, Failure> {
        match asked {
            Some(path) => Self::named(path),
            None => Self::temporary(),
        }
    }

    fn named(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot use the data directory {}: {error}", path.display()))
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        // The janitor of a cluster that was just killed may still be at work.
        let patience = Instant::now() + Duration::from_secs(3);
        loop {
            if let Some(lock) = try_lock(&path).map_err(failed)? {
                let left = sweep(&path, Duration::from_secs(5));
                if let Some(first) = left.first() {
                    return Err(Failure::new(
                        Exit::Conflict,
                        format!("an earlier cluster in {} cannot be ended: {first}", path.display()),
                    ));
                }
                return Ok(Self { path, temporary: false, _lock: lock });
            }
            if Instant::now() >= patience {
                return Err(Failure::new(
                    Exit::Conflict,
                    format!("the data directory {} is in use by another `hansa dev`", path.display()),
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn temporary() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        sweep_abandoned(&parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        let failed = |error: std::io::Error| {
            Failure::new(
                Exit::Failed,
                format!("cannot make a temporary directory in {}: {error}", parent.display()),
            )
        };
        std::fs::create_dir_all(&path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        match try_lock(&path).map_err(failed)? {
            Some(lock) => Ok(Self { path, temporary: true, _lock: lock }),
            None => Err(Failure::new(Exit::Conflict, format!("{} is in use", path.display()))),
        }
    }
}

/// Locks a directory as a supervisor (or a janitor) does; None if another has it.
pub fn try_lock(directory: &Path) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK))?;
    // SAFETY: the descriptor is open; nothing else is touched.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(Some(file));
    }
    match std::io::Error::last_os_error() {
        error if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        error => Err(error),
    }
}

/// Removes a directory. The last process on its way out may still write to it.
pub fn remove_all(path: &Path) {
    let until = Instant::now() + Duration::from_secs(2);
    while std::fs::remove_dir_all(path).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
        && Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Removes temporary clusters whose supervisor and janitor were both killed.
fn sweep_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let abandoned = name.to_string_lossy().starts_with(PREFIX) && is_mine(&entry.path());
        if !abandoned {
            continue;
        }
        let Ok(Some(lock)) = try_lock(&entry.path()) else { continue };
        note(&format!("cleaning up {}, which a killed cluster left", entry.path().display()));
        sweep(&entry.path(), Duration::from_secs(5));
        remove_all(&entry.path());
        drop(lock);
    }
}

/// Whether it is a real directory of this user: in a shared temporary directory anybody can put a name.
fn is_mine(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: the call has no preconditions.
    let me = unsafe { libc::geteuid() };
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == me)
        && path.join(LOCK).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_supervisor_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = try_lock(dir.path()).unwrap();
        assert!(first.is_some() && try_lock(dir.path()).unwrap().is_none());
        drop(first);
        assert!(try_lock(dir.path()).unwrap().is_some());
    }

    #[test]
    fn what_killed_clusters_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["hansa-dev-1", "hansa-dev-2", "hansa-dev-3", "other"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        drop(try_lock(&parent.path().join("hansa-dev-1")).unwrap());
        let running = try_lock(&parent.path().join("hansa-dev-2")).unwrap();
        sweep_abandoned(parent.path());
        let mut left: Vec<_> =
            std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["hansa-dev-2", "hansa-dev-3", "other"], "one runs, one was never a cluster's");
        drop(running);
    }
}
