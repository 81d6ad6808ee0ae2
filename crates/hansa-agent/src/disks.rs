//! Disks besides the agent's own, as `--resources` names them: whether they are there.

use anyhow::{Context, Result, bail};
use hansa_model::framework::{DiskSource, Part};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

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
                let mounts =
                    std::fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
                if !mount_points(&mounts).any(|point| point == real) {
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

/// Where something is mounted: the fifth word of each line, in which blanks are written as numbers.
fn mount_points(mounts: &[u8]) -> impl Iterator<Item = PathBuf> + '_ {
    let lines = mounts.split(|&byte| byte == b'\n');
    lines.filter_map(|line| line.split(|&byte| byte == b' ').nth(4)).map(|word| unescaped(word).into())
}

fn unescaped(word: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(word.len());
    let mut at = 0;
    while let Some(&byte) = word.get(at) {
        let digits = word.get(at + 1..at + 4).filter(|_| byte == b'\\');
        let number = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(number.unwrap_or(byte));
        at += if number.is_some() { 4 } else { 1 };
    }
    OsString::from_vec(plain)
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

    #[test]
    fn blanks_in_mount_points() {
        let lines =
            b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 / /mnt/two\\040words\\134x rw - tmpfs t rw\n";
        let points: Vec<_> = mount_points(lines).collect();
        assert_eq!(points, [Path::new("/"), Path::new("/mnt/two words\\x")]);
    }
}
