//! The data directory: one agent at a time in it, its id, and the places of everything else.

use anyhow::{Context, Result, bail};
use hansa_model::{AgentId, BootId};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A data directory that nobody else uses while this lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Takes the directory, making it if need be.
    ///
    /// # Errors
    /// It cannot be made or written, or another agent uses it.
    pub fn open(root: &Path) -> Result<Self> {
        let what = || format!("data directory {}", root.display());
        fs::create_dir_all(root).with_context(what)?;
        let root = root.canonicalize().with_context(what)?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write to {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another agent uses the data directory {}: give this one its own", root.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let dir = Self { root, _lock: lock };
        for (path, mode) in [(dir.sandboxes(), 0o711), (dir.runtime(), 0o700), (dir.spares(), 0o700)] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(&path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(dir)
    }

    /// The agent's id, made at its first start.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub fn agent_id(&self) -> Result<AgentId> {
        let path = self.root.join("agent-id");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let id = text.trim();
                if id.is_empty()
                    || id.len() > 64
                    || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                {
                    bail!("{} does not hold an agent's id; remove it to become a new agent", path.display());
                }
                Ok(AgentId::from(id))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let id = AgentId::from(random_uuid().context("cannot read /dev/urandom")?);
                write_durably(&path, format!("{id}\n").as_bytes())
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(id)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The directory itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// One directory for each task, named after its id.
    pub fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    /// One directory for each container's shim.
    pub fn runtime(&self) -> PathBuf {
        self.root.join("runtime")
    }

    /// One directory for each shim that has nothing to do yet.
    pub fn spares(&self) -> PathBuf {
        self.root.join("spares")
    }

    /// Container images, unpacked.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// What is being fetched for tasks, and what is kept of it.
    pub fn fetched(&self) -> PathBuf {
        self.root.join("fetched")
    }

    /// The core's records.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The stop deadline that all shims read.
    pub fn deadline(&self) -> PathBuf {
        self.root.join("deadline")
    }
}

/// Writes a whole file so that it is there as a whole or not at all, also after a crash of the machine.
pub fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn random_uuid() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let (high, low) = bytes.split_at(8);
    let number = |half: &[u8]| half.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    Ok(hansa_model::id::uuid_text(number(high), number(low)))
}

/// Which boot of the machine this is.
///
/// # Errors
/// The kernel does not say.
pub fn boot_id() -> Result<BootId> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(BootId::from(text.trim()))
}

/// A file that all agents of the machine have in common, to lock it; None: there is no place for one.
pub(crate) fn shared_file(name: &str) -> Option<File> {
    [PathBuf::from("/run"), std::env::temp_dir()].iter().find_map(|dir| open_for_all(&dir.join(name)))
}

fn open_for_all(path: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o666).open(path).ok()?;
    // For agents of other users, whatever the umask says; only the owner may.
    let _ = file.set_permissions(fs::Permissions::from_mode(0o666));
    Some(file)
}

/// The machine's agents know of each other by a lock: whoever takes the whole machine takes it alone, those that were told
/// their share take it together.
///
/// # Errors
/// The machine is already shared in a way that does not go with `whole`.
pub fn claim_machine(path: Option<&Path>, whole: bool) -> Result<Option<File>> {
    let opened = match path {
        Some(path) => open_for_all(path),
        None => shared_file("hansa-agents.lock"),
    };
    let Some(file) = opened else {
        tracing::warn!("no place for a lock: other agents on this machine will not be noticed");
        return Ok(None);
    };
    match if whole { file.try_lock() } else { file.try_lock_shared() } {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) if whole => bail!(
            "another agent runs on this machine, and this one would offer the whole machine: give each its share, for example --resources 'cpus:2;mem:2048;disk:10000;ports:[31000-31499]'"
        ),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent on this machine offers the whole machine: restart it with its share in --resources first"
        ),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_a_directory() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/b");
        let first = DataDir::open(&root).unwrap();
        let refused = DataDir::open(&root).unwrap_err().to_string();
        assert!(refused.contains("another agent uses"), "{refused}");
        let id = first.agent_id().unwrap();
        drop(first);
        let again = DataDir::open(&root).unwrap();
        assert_eq!(again.agent_id().unwrap(), id);
        fs::write(again.root().join("agent-id"), "../x").unwrap();
        assert!(again.agent_id().is_err());
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(DataDir::open(&temp.path().join("file")).is_err());
    }

    #[test]
    fn shares_go_together_and_the_whole_goes_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("machine");
        let whole = claim_machine(Some(&path), true).unwrap();
        assert!(claim_machine(Some(&path), true).unwrap_err().to_string().contains("--resources"));
        assert!(claim_machine(Some(&path), false).unwrap_err().to_string().contains("whole machine"));
        drop(whole);
        let _one = claim_machine(Some(&path), false).unwrap();
        let _two = claim_machine(Some(&path), false).unwrap();
        assert!(claim_machine(Some(&path), true).is_err());
    }
}
