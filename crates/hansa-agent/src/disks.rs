//! Disks besides the agent's own, as `--resources` names them: whether they are there.

use crate::mountinfo;
use anyhow::{Context, Result, bail};
use hansa_model::framework::{DiskSource, Part};
use std::path::Path;

/// Makes the directories of those that volumes share, and looks whether something is mounted where it has to be.
///
/// # Errors
/// One is not there, or not a directory.
pub(crate) fn prepare(parts: &[Part], data_dir: &Path) -> Result<()> {
    for source in parts.iter().filter_map(|part| part.source.as_ref()) {
        let root = data_dir.join(source.root());
        match source {
            DiskSource::Path(_) => {
                std::fs::create_dir_all(&root)
                    .with_context(|| format!("--resources: {source}: cannot make its directory"))?;
            }
            DiskSource::Mount(_) => {
                let real = std::fs::canonicalize(&root)
                    .with_context(|| format!("--resources: {source}: its directory is not there"))?;
                if !mountinfo::is_mount(&real).context("cannot read /proc/self/mountinfo")? {
                    bail!(
                        "--resources: {source}: nothing is mounted there; mount its file system first, or offer the \
                         directory as PATH"
                    );
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(source: DiskSource) -> Vec<Part> {
        vec![Part { source: Some(source), ..Part::default() }]
    }

    #[test]
    fn directories_are_made_and_mounts_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        prepare(&on(DiskSource::Path("a/b".into())), dir.path()).unwrap();
        assert!(dir.path().join("a/b").is_dir());
        prepare(&on(DiskSource::Mount("/proc".into())), dir.path()).unwrap();
        let error =
            |root: &str| prepare(&on(DiskSource::Mount(root.into())), dir.path()).unwrap_err().to_string();
        assert!(error("a/b").contains("MOUNT disk a/b: nothing is mounted there"), "{}", error("a/b"));
        assert!(error("none").contains("MOUNT disk none: its directory is not there"));
    }
}
