//! How much disk sandboxes take, found out by looking: only when somebody asks, never in the loop, and not again for a while.
//!
//! What is counted is what the file system has given (as `du` does): a file of several names once, nothing beyond links,
//! nothing of other file systems.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was found is good enough: Mesos' own interval.
const GOOD_FOR: Duration = Duration::from_secs(15);

/// Files and directories that are looked at in one sandbox; of one that has more nothing is said.
const MOST_FILES: usize = 200_000;

/// Bytes by the path of a sandbox below the directory of all.
pub(in crate::http) type Used = BTreeMap<String, u64>;

/// What was found last.
#[derive(Debug, Default)]
pub(in crate::http) struct DiskUse(tokio::sync::Mutex<Option<(Instant, Used)>>);

impl DiskUse {
    /// What these sandboxes take. Whoever asks meanwhile waits for the same look.
    pub(in crate::http) async fn of(&self, sandboxes: &Path, wanted: Vec<String>) -> Used {
        let mut last = self.0.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, used)| used);
        let missing = match fresh {
            Some(used) => wanted.into_iter().filter(|one| !used.contains_key(one)).collect(),
            None => wanted,
        };
        let at = last.as_ref().filter(|_| fresh.is_some()).map_or_else(Instant::now, |(at, _)| *at);
        let mut used = fresh.cloned().unwrap_or_default();
        if !missing.is_empty() {
            used.extend(look(sandboxes, missing).await);
        }
        *last = Some((at, used.clone()));
        used
    }
}

async fn look(sandboxes: &Path, wanted: Vec<String>) -> Used {
    let found = Arc::new(Mutex::new(Used::new()));
    let (sandboxes, all) = (sandboxes.to_owned(), found.clone());
    let look = move || {
        for one in wanted {
            if let Ok(Some(bytes)) = bytes_below(&sandboxes.join(&one)) {
                all.lock().unwrap_or_else(PoisonError::into_inner).insert(one, bytes);
            }
        }
    };
    // A panic in there loses no more than what it had not come to.
    let _ = tokio::task::spawn_blocking(look).await;
    found.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What a directory takes; None: it has too many files.
fn bytes_below(root: &Path) -> io::Result<Option<u64>> {
    let about = root.symlink_metadata()?;
    let device = about.dev();
    let mut bytes = about.blocks() * 512;
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut left = MOST_FILES;
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // What disappears while it is looked at takes nothing.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
            left = fewer;
            let Ok(about) = entry.metadata() else { continue };
            if about.dev() != device {
                continue;
            }
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.nlink() > 1 && !seen.insert(about.ino()) {
                continue;
            }
            bytes += about.blocks() * 512;
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_counted_once_and_links_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, kib: usize| {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![b'x'; kib << 10]).unwrap();
        };
        write("a/stdout", 64);
        write("a/below/file", 128);
        std::fs::hard_link(temp.path().join("a/stdout"), temp.path().join("a/again")).unwrap();
        write("elsewhere", 512);
        std::os::unix::fs::symlink(temp.path(), temp.path().join("a/link")).unwrap();
        let disk = DiskUse::default();
        let wanted = || vec!["a".to_owned(), "not-there".to_owned()];
        let used = disk.of(temp.path(), wanted()).await;
        assert_eq!(used.keys().collect::<Vec<_>>(), ["a"]);
        assert!((192 << 10..256 << 10).contains(&used["a"]), "{used:?}");
        // For a while that is good enough; what is new is looked at.
        write("a/more", 512);
        write("b/file", 4);
        assert_eq!(disk.of(temp.path(), wanted()).await["a"], used["a"]);
        assert!(disk.of(temp.path(), vec!["b".into()]).await["b"] >= 4 << 10);
    }
}
