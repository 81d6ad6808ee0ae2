//! A folder for everything temporary that a run of the tests makes. What tests leave behind goes with it, also what those left that
//! were killed: the next run removes the folders of runs that are no more.

use anyhow::{Context, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the folders' names begin; the process that made one follows.
const PREFIX: &str = "hansa-tests-";

/// The folder; goes with this value.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Makes one below the system's folder for temporary files, and removes those of runs that have ended.
    pub fn make() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> Result<Self> {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            // Another user's folder stays; so does one in which something is mounted, and it is tried again.
            if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        // Short, as paths of sockets must be; open to all, as some tests become somebody else.
        let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let made = Self(folder);
        std::fs::set_permissions(&made.0, std::fs::Permissions::from_mode(0o1777))?;
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_runs_left_is_removed() {
        let parent = Temporary::below(&std::env::temp_dir()).unwrap();
        let dead = parent.path().join(format!("{PREFIX}{}", u32::MAX));
        let alive = parent.path().join(format!("{PREFIX}1"));
        let others = parent.path().join("hansa-tests-of-mine");
        for folder in [&dead, &alive, &others] {
            std::fs::create_dir_all(folder.join("some/thing")).unwrap();
        }
        let run = Temporary::below(parent.path()).unwrap();
        assert!(!dead.exists() && alive.exists() && others.exists());
        std::fs::write(run.path().join("left"), "").unwrap();
        let path = run.path().to_owned();
        drop(run);
        assert!(!path.exists());
    }
}
