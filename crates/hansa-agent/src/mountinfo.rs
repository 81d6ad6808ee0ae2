//! What is mounted where, as the kernel lists it for a process.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Its number.
    pub id: u64,
    /// The file system: major and minor number, as the list has them.
    pub device: String,
    /// Where it is, seen from the process' root.
    pub point: PathBuf,
}

/// The mounts of a list's text.
pub(crate) fn parse(text: &[u8]) -> Vec<Mount> {
    let line = |line: &[u8]| {
        let mut words = line.split(|&byte| byte == b' ');
        let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
        let device = std::str::from_utf8(words.nth(1)?).ok()?.to_owned();
        Some(Mount { id, device, point: unescaped(words.nth(1)?).into() })
    };
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

/// What this process sees.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn own() -> io::Result<Vec<Mount>> {
    std::fs::read("/proc/self/mountinfo").map(|text| parse(&text))
}

/// Whether something is mounted right there; the path holds no links.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn is_mount(path: &Path) -> io::Result<bool> {
    Ok(own()?.iter().any(|mount| mount.point == path))
}

/// Blanks and the like are written as three octal digits.
pub(crate) fn unescaped(word: &[u8]) -> OsString {
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

    #[test]
    fn blanks_in_mount_points() {
        let lines =
            b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 / /mnt/two\\040words\\134x rw - tmpfs t rw\nodd\n";
        let mount = |id, device: &str, point: &str| Mount { id, device: device.into(), point: point.into() };
        assert_eq!(parse(lines), [mount(22, "8:1", "/"), mount(23, "0:5", "/mnt/two words\\x")]);
    }

    #[test]
    fn what_is_mounted_is_found() {
        assert!(is_mount(Path::new("/proc")).unwrap());
        assert!(!is_mount(Path::new("/proc/self")).unwrap());
    }
}
