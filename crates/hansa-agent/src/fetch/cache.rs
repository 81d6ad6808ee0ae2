//! What was fetched and may be used again, by URI. The server is asked each time whether it is still what it has.

use serde::{Deserialize, Serialize};
use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// Files below one directory; the least recently used go first.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    most: u64,
    /// One is put after the other: two with the same URI would write to the same file.
    putting: Mutex<()>,
}

/// The ending of a file that is being written.
const UNFINISHED: &str = "new";

/// What is known of a kept file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub uri: String,
    /// The server's name for these bytes; without one nothing is kept.
    pub tag: Option<String>,
    pub bytes: u64,
}

impl Cache {
    pub(super) fn open(dir: &Path, most: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        // What an earlier life was putting when it was killed counts nowhere, and would stay for ever.
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self { dir: dir.to_owned(), most, putting: Mutex::default() })
    }

    fn path(&self, uri: &str) -> PathBuf {
        self.dir.join(super::hex(ring::digest::digest(&ring::digest::SHA256, uri.as_bytes()).as_ref()))
    }

    /// What is kept of a URI, if that is whole.
    pub(super) fn look(&self, uri: &str) -> Option<Kept> {
        let path = self.path(uri);
        let text = std::fs::read(path.with_extension("json")).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        let whole = std::fs::metadata(&path).is_ok_and(|data| data.len() == kept.bytes);
        (whole && kept.uri == uri && kept.tag.is_some()).then_some(kept)
    }

    /// Copies what is kept to `to`, and remembers that it was used.
    pub(super) fn take(&self, uri: &str, to: &Path) -> io::Result<()> {
        let path = self.path(uri);
        std::fs::copy(&path, to)?;
        File::options().append(true).open(&path)?.set_times(FileTimes::new().set_modified(SystemTime::now()))
    }

    /// Keeps a copy, if the server has a tag for it, and makes room for it.
    pub(super) fn put(&self, uri: &str, tag: Option<String>, from: &Path) -> io::Result<()> {
        let _putting = self.putting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let path = self.path(uri);
        let note = path.with_extension("json");
        let _ = std::fs::remove_file(&note);
        let bytes = std::fs::metadata(from)?.len();
        if tag.is_none() || bytes > self.most {
            let _ = std::fs::remove_file(&path);
            return Ok(());
        }
        let new = path.with_extension(UNFINISHED);
        if let Err(error) = std::fs::copy(from, &new) {
            // A full disk, say: all the more is nothing left on it.
            let _ = std::fs::remove_file(&new);
            return Err(error);
        }
        std::fs::rename(&new, &path)?;
        // Last: without it the file counts as not there.
        std::fs::write(&note, serde_json::to_vec(&Kept { uri: uri.to_owned(), tag, bytes })?)?;
        self.shrink(&path)
    }

    fn shrink(&self, spare: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let (path, data) = (
                entry.as_ref().map(std::fs::DirEntry::path),
                entry.as_ref().map(std::fs::DirEntry::metadata),
            );
            if let (Ok(path), Ok(Ok(data))) = (path, data)
                && path.extension().is_none()
            {
                files.push((data.modified().unwrap_or(SystemTime::UNIX_EPOCH), path, data.len()));
            }
        }
        files.sort();
        let mut sum: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, bytes) in files {
            if sum <= self.most {
                break;
            }
            if path != spare {
                let _ = std::fs::remove_file(path.with_extension("json"));
                std::fs::remove_file(&path)?;
                sum -= bytes;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::open(&temp.path().join("kept"), 10).unwrap();
        let file = temp.path().join("file");
        let put = |uri: &str, text: &str, age: u64| {
            std::fs::write(&file, text).unwrap();
            cache.put(uri, Some("\"1\"".into()), &file).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            let kept = File::options().append(true).open(cache.path(uri));
            kept.map(|kept| kept.set_times(FileTimes::new().set_modified(time)).unwrap()).unwrap();
        };
        put("a", "aaaa", 300);
        put("b", "bbbb", 200);
        cache.take("a", &file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "aaaa");
        put("c", "cccc", 100);
        let there = |uri: &str| cache.look(uri).is_some();
        assert_eq!((there("a"), there("b"), there("c")), (true, false, true));
        // Nothing that the server cannot name, and nothing that is larger than everything.
        cache.put("a", None, &file).unwrap();
        std::fs::write(&file, "0123456789ab").unwrap();
        cache.put("d", Some("\"1\"".into()), &file).unwrap();
        assert_eq!((there("a"), there("c"), there("d")), (false, true, false));
        // What could not be copied leaves nothing, nor does what an earlier life had begun.
        assert!(cache.put("e", Some("\"1\"".into()), &temp.path().join("nowhere")).is_err());
        std::fs::write(cache.path("f").with_extension(UNFINISHED), "begun").unwrap();
        let cache = Cache::open(&temp.path().join("kept"), 10).unwrap();
        let there = |uri: &str| cache.look(uri).is_some();
        assert_eq!((there("c"), there("e")), (true, false));
        assert_eq!(
            std::fs::read_dir(temp.path().join("kept")).unwrap().count(),
            2,
            "c and what is known of it"
        );
        // One that was cut short does not count.
        std::fs::write(cache.path("c"), "cc").unwrap();
        assert!(!there("c"));
    }
}
