//! A container's output in files of bounded size: `stdout`, and older parts as `stdout.1` (the newest of them) and up.
//!
//! The files lie in a directory that belongs to the container's user, and the shim is root: nothing here follows a link
//! or opens what it has not made. Parts end at the end of a line where there is one.

use super::spec;
use crate::launcher::set_nonblocking;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// The directory that holds the output.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    fd: Arc<OwnedFd>,
    /// Who gets the files, if not the shim's own user.
    owner: Option<(u32, u32)>,
}

impl Directory {
    pub(super) fn open(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        Ok(Self { fd: Arc::new(File::open(path)?.into()), owner })
    }

    /// Opens a file for appending, made if need be; anything but an ordinary file is moved out of the way.
    fn append(&self, name: &CStr) -> io::Result<(File, u64)> {
        for _ in 0..10 {
            let flags = libc::O_WRONLY
                | libc::O_APPEND
                | libc::O_CREAT
                | libc::O_NOFOLLOW
                | libc::O_NONBLOCK
                | libc::O_CLOEXEC;
            // SAFETY: the name is a C string; the descriptor is new and nobody else's.
            let file = unsafe {
                match libc::openat(self.fd.as_raw_fd(), name.as_ptr(), flags, 0o644) {
                    fd if fd >= 0 => Some(File::from_raw_fd(fd)),
                    _ => None,
                }
            };
            let Some(file) = file else {
                let error = io::Error::last_os_error();
                if !matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO | libc::EISDIR)) {
                    return Err(error);
                }
                self.put_aside(name)?;
                continue;
            };
            let data = file.metadata()?;
            // A second name for it could be one for a file of somebody else's.
            if !data.is_file() || std::os::unix::fs::MetadataExt::nlink(&data) != 1 {
                self.put_aside(name)?;
                continue;
            }
            if let Some((uid, gid)) = self.owner {
                std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
            return Ok((file, data.len()));
        }
        Err(io::Error::other("somebody keeps replacing it"))
    }

    fn put_aside(&self, name: &CStr) -> io::Result<()> {
        let aside = CString::new([name.to_bytes(), b".aside"].concat()).map_err(io::Error::from)?;
        self.rename(name, &aside)
    }

    fn rename(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        let dir = self.fd.as_raw_fd();
        // SAFETY: both names are C strings.
        match unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn remove(&self, name: &CStr) {
        // SAFETY: the name is a C string.
        unsafe { libc::unlinkat(self.fd.as_raw_fd(), name.as_ptr(), 0) };
    }
}

/// One stream's files.
#[derive(Debug)]
pub(super) struct Rotated {
    directory: Directory,
    name: &'static str,
    limits: spec::Output,
    file: Option<File>,
    size: u64,
    /// The last of what was written, whether it reached a file or not.
    tail: Vec<u8>,
    /// Bytes that could not be written.
    pub lost: u64,
}

/// As much is remembered of a stream's end.
const TAIL_BYTES: usize = 1024;

/// As much of a line is quoted.
const QUOTED_CHARS: usize = 200;

impl Rotated {
    /// Opens the current file, after what is already in it.
    pub(super) fn open(directory: &Directory, name: &'static str, limits: &spec::Output) -> io::Result<Self> {
        let limits = spec::Output { max_bytes: limits.max_bytes.max(1), files: limits.files.max(1) };
        let directory = directory.clone();
        let mut rotated = Self { directory, name, limits, file: None, size: 0, tail: Vec::new(), lost: 0 };
        rotated.reopen()?;
        Ok(rotated)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let (file, size) = self.directory.append(&self.part(0))?;
        self.file = Some(file);
        self.size = size;
        Ok(())
    }

    /// Writes everything, over as many files as it takes. What cannot be written is counted and dropped: a full disk must
    /// not stop the container.
    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        self.remember(bytes);
        while !bytes.is_empty() {
            let room = usize::try_from(self.limits.max_bytes.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let now = match bytes.len() <= room {
                true => bytes.len(),
                // To the last end of a line that still fits; a line too long for that is cut, in an empty file.
                false => match bytes[..room].iter().rposition(|byte| *byte == b'\n') {
                    Some(end) => end + 1,
                    None if self.size == 0 => room,
                    None => 0,
                },
            };
            let (part, rest) = bytes.split_at(now);
            self.append(part);
            bytes = rest;
            if !bytes.is_empty() {
                self.rotate();
            }
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let kept = self.tail.len().min(TAIL_BYTES.saturating_sub(bytes.len()));
        self.tail.drain(..self.tail.len() - kept);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
    }

    /// The last line that says something, for people: without what steers terminals, and not too long.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.tail);
        let mut lines = text.lines().map(plain);
        let line = lines.rfind(|line| !line.is_empty())?;
        Some(match line.char_indices().nth(QUOTED_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        })
    }

    fn append(&mut self, bytes: &[u8]) {
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        if written.is_err() {
            self.lost += bytes.len() as u64;
        }
        self.size += bytes.len() as u64;
    }

    fn rotate(&mut self) {
        self.file = None;
        let last = self.limits.files - 1;
        self.directory.remove(&self.part(last));
        for number in (0..last).rev() {
            let _ = self.directory.rename(&self.part(number), &self.part(number + 1));
        }
        // Counted on even if it fails, so that the next try comes after as many bytes again.
        self.size = 0;
        let _ = self.reopen();
    }

    fn part(&self, number: u32) -> CString {
        let name = match number {
            0 => self.name.to_owned(),
            number => format!("{}.{number}", self.name),
        };
        CString::new(name).unwrap_or_default()
    }
}

/// A line without control characters and the sequences that set colours.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' && characters.next_if_eq(&'[').is_some() {
            // Parameters, then one letter that ends it.
            while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {}
        } else if character == '\t' {
            plain.push(' ');
        } else if !character.is_control() {
            plain.push(character);
        }
    }
    plain.trim().to_owned()
}

/// One stream of a container: a pipe, and the files that what comes out of it goes to.
#[derive(Debug)]
pub(super) struct Stream {
    /// None once it has ended.
    pub pipe: Option<File>,
    /// Where it goes.
    pub files: Rotated,
}

impl Stream {
    /// Makes the pipe not block, and large.
    pub(super) fn new(pipe: &OwnedFd, files: Rotated) -> io::Result<Self> {
        set_nonblocking(pipe.as_raw_fd())?;
        // Fewer turns for much output. Only a wish: ordinary users have a limit.
        // SAFETY: no memory is passed.
        unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 256 << 10) };
        Ok(Self { pipe: Some(pipe.try_clone()?.into()), files })
    }

    /// Moves what is there to the files, in at most so many reads.
    pub(super) fn copy(&mut self, reads: usize) {
        let mut buffer = [0u8; 64 << 10];
        for _ in 0..reads {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.files.write(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn open(dir: &Path, max_bytes: u64, files: u32) -> Rotated {
        let directory = Directory::open(dir, None).unwrap();
        Rotated::open(&directory, "stdout", &spec::Output { max_bytes, files }).unwrap()
    }

    #[test]
    fn the_last_line_that_says_something_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = open(dir.path(), 64, 1);
        assert_eq!(output.last_line(), None);
        output.write(b"first\n\x1b[1;31mfatal:\x1b[0m no\tport\r\n \n\n");
        assert_eq!(output.last_line().as_deref(), Some("fatal: no port"));
        output.write(b"without an end");
        assert_eq!(output.last_line().as_deref(), Some("without an end"));
        output.write(" \u{00e4}".repeat(700).as_bytes());
        let last = output.last_line().unwrap();
        assert_eq!((last.chars().count(), last.ends_with('…')), (QUOTED_CHARS + 1, true), "{last}");
        assert_eq!(output.tail.len(), TAIL_BYTES);
        // Nothing but control characters says nothing.
        output.write(&[7; 2 * TAIL_BYTES]);
        assert_eq!((output.last_line(), output.tail.len()), (None, TAIL_BYTES));
    }

    fn contents(dir: &Path) -> BTreeMap<String, String> {
        let read = |entry: std::fs::DirEntry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        };
        std::fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    fn check(max_bytes: u64, files: u32, writes: &[&str], expected: &[(&str, &str)]) {
        let dir = tempfile::tempdir().unwrap();
        let mut output = open(dir.path(), max_bytes, files);
        for text in writes {
            output.write(text.as_bytes());
        }
        let expected = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        assert_eq!(contents(dir.path()), expected);
        assert_eq!(output.lost, 0);
    }

    #[test]
    fn parts_end_at_lines_and_the_oldest_go() {
        check(10, 3, &["one\n", "two\n"], &[("stdout", "one\ntwo\n")]);
        check(10, 3, &["one\ntwo\nthree\n"], &[("stdout", "three\n"), ("stdout.1", "one\ntwo\n")]);
        check(4, 2, &["a1\n", "b2\n", "c3\n", "d4\n"], &[("stdout", "d4\n"), ("stdout.1", "c3\n")]);
        check(4, 1, &["a1\n", "b2\n"], &[("stdout", "b2\n")]);
    }

    #[test]
    fn a_line_longer_than_a_file_is_cut() {
        check(4, 3, &["abcdefghij\n"], &[("stdout", "ij\n"), ("stdout.1", "efgh"), ("stdout.2", "abcd")]);
        check(4, 3, &["", "abcd"], &[("stdout", "abcd")]);
    }

    #[test]
    fn what_was_there_is_kept_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), 8, 2).write(b"one\n");
        let mut again = open(dir.path(), 8, 2);
        again.write(b"two\nthree\n");
        let expected = [("stdout", "three\n"), ("stdout.1", "one\ntwo\n")];
        assert_eq!(contents(dir.path()), expected.map(|(n, t)| (n.to_owned(), t.to_owned())).into());
    }

    #[test]
    fn links_planted_by_the_container_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("stdout")).unwrap();
        let mut output = open(dir.path(), 4, 2);
        output.write(b"abc\n");
        // A hard link is put in the current file's place between two parts.
        std::fs::remove_file(dir.path().join("stdout")).unwrap();
        std::fs::hard_link(&victim, dir.path().join("stdout.1")).unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("stdout")).unwrap();
        output.write(b"def\nghi\njkl\n");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(dir.path().join("stdout")).unwrap(), "jkl\n");
    }
}
