//! Secrets of this machine: files below one directory that only the agent's user may read.
//!
//! Apps name a secret by its path in there. Values are read when they are needed, kept nowhere and never told. Frameworks'
//! tasks may bring theirs along: those lie in the container's runtime directory as long as it is there.

use hansa_mesos::task::inline_secret;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The largest secret that is read into the agent, in bytes.
const MOST: u64 = 1 << 20;

/// Where secrets are found, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    dir: Option<PathBuf>,
    /// Where secrets that came with a task are put, so that its shim can read them.
    brought: Option<PathBuf>,
}

/// A secret cannot be had. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The agent has none.
    #[error("the secret {0:?} cannot be had: this agent has no secrets; start it with --secrets-dir DIR")]
    NoSecrets(String),
    /// Its source is no path below the directory.
    #[error("the secret {0:?} cannot be had: its source is not a relative path such as team/name")]
    BadSource(String),
    /// There is no such file.
    #[error("the secret {source_name:?} is not on this machine: put it into {}", path.display())]
    Missing {
        /// How the app calls it.
        source_name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the secret {source_name:?} cannot be read: {error}")]
    Unreadable {
        /// How the app calls it.
        source_name: String,
        /// Why.
        error: std::io::Error,
    },
}

impl Secrets {
    /// Takes the directory.
    ///
    /// # Errors
    /// It is not there, or others than its owner may look into it.
    pub fn open(dir: Option<&Path>) -> anyhow::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        let what = || format!("secrets directory {}", dir.display());
        let real = dir.canonicalize().map_err(|error| anyhow::anyhow!("{}: {error}", what()))?;
        let mode = std::fs::metadata(&real)?.mode();
        anyhow::ensure!(
            mode & 0o077 == 0,
            "{}: others may look into it (mode {:o}): chmod 700 it first",
            what(),
            mode & 0o7777
        );
        Ok(Self { dir: Some(real), brought: None })
    }

    /// The directory, which no container may see.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The same for one container, whose runtime directory nobody else may look into.
    pub fn for_container(&self, runtime_dir: &Path) -> Self {
        Self { brought: Some(runtime_dir.to_owned()), ..self.clone() }
    }

    /// The file that holds a secret. One that came with its task is put into a file.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn file(&self, source: &str) -> Result<PathBuf, SecretError> {
        if let Some(value) = inline_secret(source) {
            return self.bring(&value);
        }
        let dir = self.dir.as_ref().ok_or_else(|| SecretError::NoSecrets(source.to_owned()))?;
        let path = Path::new(source);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if source.is_empty() || source.contains('\0') || !plain {
            return Err(SecretError::BadSource(source.to_owned()));
        }
        let path = dir.join(path);
        match std::fs::metadata(&path) {
            Ok(data) if data.is_file() => Ok(path),
            _ => Err(SecretError::Missing { source_name: source.to_owned(), path }),
        }
    }

    fn bring(&self, value: &[u8]) -> Result<PathBuf, SecretError> {
        const NAME: &str = "the task's own secret";
        let digest = ring::digest::digest(&ring::digest::SHA256, value);
        let name: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let dir = self.brought.as_ref().ok_or_else(|| SecretError::NoSecrets(NAME.into()))?;
        let path = dir.join(format!("secret-{name}"));
        let write = || {
            std::fs::create_dir_all(dir)?;
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(value)
        };
        write().map_err(|error| SecretError::Unreadable { source_name: NAME.into(), error })?;
        Ok(path)
    }

    /// A secret's value, for the agent's own use (to log in to a registry).
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(&self, source: &str) -> Result<Vec<u8>, SecretError> {
        let unreadable = |error| SecretError::Unreadable { source_name: source.to_owned(), error };
        let path = self.file(source)?;
        if std::fs::metadata(&path).map_err(unreadable)?.len() > MOST {
            return Err(unreadable(std::io::Error::other("it is larger than 1 MiB")));
        }
        std::fs::read(&path).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_files_below_a_private_directory() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("secrets");
        fs::create_dir_all(dir.join("team")).unwrap();
        fs::write(dir.join("team/password"), "hush").unwrap();
        fs::write(temp.path().join("outside"), "hush").unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o750)).unwrap();
        assert!(Secrets::open(Some(&dir)).unwrap_err().to_string().contains("chmod 700"));
        fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        let secrets = Secrets::open(Some(&dir)).unwrap();
        assert_eq!(secrets.read("team/password").unwrap(), b"hush");
        for bad in ["../outside", "/etc/passwd", "", "team/../team/password", "a\0b"] {
            let error = secrets.file(bad).unwrap_err();
            assert!(matches!(error, SecretError::BadSource(_)), "{bad:?}: {error}");
        }
        for missing in ["team", "team/other"] {
            let error = secrets.file(missing).unwrap_err().to_string();
            assert!(error.contains("put it into") && error.contains(missing), "{error}");
        }
        let none = Secrets::open(None).unwrap().file("team/password").unwrap_err().to_string();
        assert!(none.contains("--secrets-dir"), "{none}");
        assert!(Secrets::open(Some(&temp.path().join("nowhere"))).is_err());
    }
}
