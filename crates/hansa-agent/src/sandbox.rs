//! Reads what tasks wrote, without following them out of their directory.
//!
//! A sandbox belongs to its task, which may put anything there: links to the host's files, pipes that block their reader,
//! files that are exchanged while they are read. So paths are walked one component at a time, from a directory
//! descriptor to the next, links are never followed, and only regular files are read.

use std::collections::BinaryHeap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Whether a name can be one directory entry and nothing else.
pub fn is_entry_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// One task's directory.
#[derive(Clone, Debug)]
pub struct Sandbox {
    root: PathBuf,
}

/// One entry of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory.
    pub name: String,
    /// Mode, type bits included.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Hard links.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Entry {
    fn of(name: &str, meta: &std::fs::Metadata) -> Self {
        Self {
            name: name.to_owned(),
            mode: meta.mode(),
            size: meta.size(),
            modified: meta.mtime(),
            links: meta.nlink(),
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }
}

impl Sandbox {
    /// The sandbox of the task with this id below `sandboxes`; None if the id cannot be a directory's name.
    pub fn of(sandboxes: &Path, task: &str) -> Option<Self> {
        is_entry_name(task).then(|| Self { root: sandboxes.join(task) })
    }

    /// Opens a regular file.
    ///
    /// # Errors
    /// `NotFound` also for whatever leaves the sandbox or is no regular file: there is nothing to read.
    pub fn open(&self, path: &str) -> io::Result<File> {
        let (file, meta) = self.walk(path, libc::O_RDONLY)?;
        if meta.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Lists a directory, by name; links and special files are listed as what they are.
    ///
    /// # Errors
    /// There is no such directory in the sandbox.
    pub fn list(&self, path: &str) -> io::Result<Vec<Entry>> {
        let (dir, meta) = self.walk(path, libc::O_RDONLY)?;
        if !meta.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
            let entry = entry?;
            // Does not follow links.
            let Ok(meta) = entry.metadata() else { continue };
            entries.push(Entry::of(&entry.file_name().to_string_lossy(), &meta));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// A page of a directory, by name: at most `limit` entries after `after`, and whether there are more. Only what is given is
    /// looked at closely, and only that much is held: the directory may be as large as it likes.
    ///
    /// # Errors
    /// There is no such directory in the sandbox.
    pub fn page(&self, path: &str, after: Option<&str>, limit: usize) -> io::Result<(Vec<Entry>, bool)> {
        let (dir, meta) = self.walk(path, libc::O_RDONLY)?;
        if !meta.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // The first names, the last of them on top; one more than wanted tells that there are more.
        let mut names: BinaryHeap<OsString> = BinaryHeap::new();
        for entry in std::fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
            let name = entry?.file_name();
            if after.is_none_or(|after| name.as_bytes() > after.as_bytes()) {
                names.push(name);
                if names.len() > limit + 1 {
                    names.pop();
                }
            }
        }
        let mut names = names.into_sorted_vec();
        let more = names.len() > limit;
        names.truncate(limit);
        // What has gone meanwhile is left out.
        let looked = names.iter().filter_map(|name| Some((name, open_at(&dir, name, libc::O_PATH).ok()?)));
        let metas = looked.filter_map(|(name, entry)| Some((name, entry.metadata().ok()?)));
        Ok((metas.map(|(name, meta)| Entry::of(&name.to_string_lossy(), &meta)).collect(), more))
    }

    fn walk(&self, path: &str, flags: i32) -> io::Result<(File, std::fs::Metadata)> {
        // The agent made the sandbox's own directory, and its task cannot replace it.
        let mut at = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(&self.root)?;
        let mut components = Path::new(path).components().peekable();
        while let Some(component) = components.next() {
            match component {
                Component::Normal(name) => {
                    let flags =
                        if components.peek().is_some() { libc::O_PATH | libc::O_DIRECTORY } else { flags };
                    at = open_at(&at, name, flags)?;
                }
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        let meta = at.metadata()?;
        Ok((at, meta))
    }

    /// The parts of a rotated stream (`stdout`, `stdout.1`, …) that are there, oldest first.
    fn parts(&self, stream: &str) -> Vec<File> {
        let mut parts: Vec<File> =
            (1..=MAX_PARTS).map_while(|number| self.open(&format!("{stream}.{number}")).ok()).collect();
        parts.reverse();
        parts.extend(self.open(stream).ok());
        parts
    }
}

/// More parts than any rotation keeps.
const MAX_PARTS: u32 = 1_000;

fn open_at(dir: &File, name: &OsStr, flags: i32) -> io::Result<File> {
    let name = CString::new(name.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
    // Not following: links. Not blocking: pipes without a writer.
    let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the descriptor is open and the name ends with a zero.
    let fd = unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            // A link, or something that is no directory in the middle: nothing that could be read.
            Some(libc::ELOOP | libc::ENOTDIR | libc::ENXIO) => io::ErrorKind::NotFound.into(),
            _ => error,
        });
    }
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Reads a rotated stream from some place on, across rotations, as it grows.
///
/// Offsets count from the oldest byte kept. Whatever is rotated away while nobody reads is skipped.
#[derive(Debug)]
pub struct Tail {
    sandbox: Sandbox,
    stream: String,
    /// The part being read; None: nothing there yet.
    part: Option<File>,
}

impl Tail {
    /// Starts at `offset`; a negative one counts from the end.
    ///
    /// # Errors
    /// The stream is there but cannot be read.
    pub fn start(sandbox: Sandbox, stream: &str, offset: i64) -> io::Result<Self> {
        let parts = sandbox.parts(stream);
        let sizes = parts
            .iter()
            .map(|part| part.metadata().map(|meta| meta.len()))
            .collect::<io::Result<Vec<_>>>()?;
        let total: u64 = sizes.iter().sum();
        let mut left = match u64::try_from(offset) {
            Ok(offset) => offset,
            Err(_) => total.saturating_sub(offset.unsigned_abs()),
        };
        let mut part = None;
        let last = parts.len().saturating_sub(1);
        for (at, (mut file, size)) in parts.into_iter().zip(sizes).enumerate() {
            if left < size || at == last {
                // Past the end: what comes later begins at the end.
                file.seek(SeekFrom::Start(left.min(size)))?;
                part = Some(file);
                break;
            }
            left -= size;
        }
        Ok(Self { sandbox, stream: stream.to_owned(), part })
    }

    /// Reads up to `buffer`'s size; 0: nothing more now.
    ///
    /// # Errors
    /// Reading fails.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.part.is_none() {
                self.part = self.sandbox.parts(&self.stream).into_iter().next();
            }
            let Some(part) = &mut self.part else { return Ok(0) };
            let bytes = part.read(buffer)?;
            if bytes > 0 {
                return Ok(bytes);
            }
            match self.next_part()? {
                Some(next) => {
                    // It may have grown between the read and the look.
                    if let Some(part) = &mut self.part {
                        let bytes = part.read(buffer)?;
                        if bytes > 0 {
                            return Ok(bytes);
                        }
                    }
                    self.part = Some(next);
                }
                None => return Ok(0),
            }
        }
    }

    /// The part after the present one, if that has been put aside.
    fn next_part(&self) -> io::Result<Option<File>> {
        let Some(part) = &self.part else { return Ok(None) };
        let own = part.metadata()?;
        let same = |other: &File| {
            other.metadata().is_ok_and(|meta| meta.ino() == own.ino() && meta.dev() == own.dev())
        };
        // The newest is looked at first: nearly always it is still the one being read.
        match self.sandbox.open(&self.stream) {
            Ok(newest) if same(&newest) => return Ok(None),
            // Between two renames there is no newest for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let parts = self.sandbox.parts(&self.stream);
        let next = match parts.iter().position(same) {
            Some(at) => parts.into_iter().nth(at + 1),
            // Rotated away altogether: the oldest there is.
            None => parts.into_iter().next(),
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Fixture {
        _temp: tempfile::TempDir,
        sandbox: Sandbox,
        root: PathBuf,
    }

    fn fixture() -> Fixture {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("sandboxes/t1");
        fs::create_dir_all(&root).unwrap();
        fs::write(temp.path().join("secret"), "secret").unwrap();
        let sandbox = Sandbox::of(&temp.path().join("sandboxes"), "t1").unwrap();
        Fixture { _temp: temp, sandbox, root }
    }

    fn content(sandbox: &Sandbox, path: &str) -> io::Result<String> {
        let mut text = String::new();
        sandbox.open(path)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn nothing_leads_out() {
        let Fixture { _temp, sandbox, root } = fixture();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        symlink("../../secret", root.join("link")).unwrap();
        symlink("../../", root.join("up")).unwrap();
        symlink("/etc/passwd", root.join("stdout")).unwrap();
        symlink("b/file", root.join("a/inner")).unwrap();
        let pipe = CString::new(root.join("pipe").as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
        for good in ["a/b/file", "/a/b/file", "./a/./b/file", "a//b/file"] {
            assert_eq!(content(&sandbox, good).unwrap(), "inside", "{good}");
        }
        for bad in [
            "../../secret",
            "a/../../../secret",
            "..",
            "",
            "/",
            ".",
            "link",
            "up/secret",
            "stdout",
            "a/inner",
            "a/b/file/x",
            "pipe",
            "a",
            "nothing",
            "/etc/passwd",
            "a/b/file\0",
        ] {
            let refused = content(&sandbox, bad).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotFound, "{bad:?}: {refused}");
        }
        for name in ["", ".", "..", "a/b", "../t1", "a\0"] {
            assert!(Sandbox::of(Path::new("/s"), name).is_none(), "{name:?}");
        }
        symlink("/etc", root.with_file_name("t2")).unwrap();
        let linked = Sandbox::of(root.parent().unwrap(), "t2").unwrap();
        assert!(linked.open("passwd").is_err(), "the sandbox itself is no link");
    }

    #[test]
    fn listings_show_links_as_links() {
        let Fixture { _temp, sandbox, root } = fixture();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("f"), "12345").unwrap();
        symlink("/etc/passwd", root.join("l")).unwrap();
        let listed = sandbox.list("/").unwrap();
        let shown: Vec<_> =
            listed.iter().map(|entry| (entry.name.as_str(), entry.mode & libc::S_IFMT)).collect();
        assert_eq!(shown, [("d", libc::S_IFDIR), ("f", libc::S_IFREG), ("l", libc::S_IFLNK)]);
        assert_eq!(listed[1].size, 5);
        assert!(sandbox.list("d").unwrap().is_empty());
        for bad in ["f", "l", "..", "../t1", "x"] {
            assert!(sandbox.list(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn large_directories_come_in_pages() {
        let Fixture { _temp, sandbox, root } = fixture();
        let dir = root.join("many");
        fs::create_dir(&dir).unwrap();
        for number in 0..50 {
            fs::write(dir.join(format!("f{number:02}")), "x").unwrap();
        }
        symlink("/etc/passwd", dir.join("f00-link")).unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, more) = sandbox.page("many", after.as_deref(), 20).unwrap();
            assert_eq!(more, page.len() == 20 && seen.len() < 40);
            seen.extend(page.iter().map(|entry| entry.name.clone()));
            after = seen.last().cloned();
            if !more {
                break;
            }
        }
        assert_eq!(seen.len(), 51);
        assert!(seen.is_sorted());
        let (first, _) = sandbox.page("many", Some("f00"), 1).unwrap();
        assert_eq!(first[0].mode & libc::S_IFMT, libc::S_IFLNK, "a link is not followed");
        assert_eq!(sandbox.page("many", Some("z"), 20).unwrap(), (Vec::new(), false));
        for bad in ["..", "many/..", "many/f00", "many/f00-link", "nothing"] {
            assert!(sandbox.page(bad, None, 20).is_err(), "{bad}");
        }
    }

    fn drain(tail: &mut Tail) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 7];
        loop {
            match tail.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(all).unwrap(),
                bytes => all.extend_from_slice(&buffer[..bytes]),
            }
        }
    }

    /// As a shim does: the current file becomes `.1`, the others one more.
    fn rotate(root: &Path, keep: u32) {
        for number in (1..keep).rev() {
            let from = if number == 1 { "stdout".to_owned() } else { format!("stdout.{}", number - 1) };
            let _ = fs::rename(root.join(from), root.join(format!("stdout.{number}")));
        }
        fs::write(root.join("stdout"), "").unwrap();
    }

    fn append(root: &Path, text: &str) {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(root.join("stdout")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn offsets_run_over_all_parts() {
        let Fixture { _temp, sandbox, root } = fixture();
        for text in ["first ", "second ", "third"] {
            append(&root, text);
            if text != "third" {
                rotate(&root, 5);
            }
        }
        let from = |offset| drain(&mut Tail::start(sandbox.clone(), "stdout", offset).unwrap());
        assert_eq!(from(0), "first second third");
        assert_eq!(from(3), "st second third");
        assert_eq!(from(6), "second third");
        assert_eq!(from(-2), "rd");
        assert_eq!(from(-7), "d third");
        assert_eq!(from(-1_000), "first second third");
        assert_eq!(from(18), "");
        assert_eq!(from(1_000), "");
        assert_eq!(drain(&mut Tail::start(sandbox, "stderr", 0).unwrap()), "");
    }

    #[test]
    fn following_survives_rotations() {
        let Fixture { _temp, sandbox, root } = fixture();
        let mut tail = Tail::start(sandbox, "stdout", 0).unwrap();
        assert_eq!(drain(&mut tail), "");
        append(&root, "one ");
        assert_eq!(drain(&mut tail), "one ");
        append(&root, "two ");
        rotate(&root, 3);
        append(&root, "three ");
        rotate(&root, 3);
        append(&root, "four ");
        assert_eq!(drain(&mut tail), "two three four ");
        for text in ["five ", "six ", "seven ", "eight "] {
            append(&root, text);
            rotate(&root, 3);
        }
        append(&root, "nine");
        let rest = drain(&mut tail);
        assert!(rest.ends_with("seven eight nine"), "what is still kept: {rest}");
        assert_eq!(drain(&mut tail), "");
    }
}
