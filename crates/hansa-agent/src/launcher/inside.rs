//! Paths inside a directory that somebody else filled: links are followed as if it were the root, and never out of it.
//!
//! The kernel does the walking (`openat2`), so that nothing can be exchanged between looking and opening. Links of `/proc`
//! that lead to open files (`/proc/self/fd/3`) are not followed at all: what they lead to can lie anywhere.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

const NO_MAGIC_LINKS: u64 = 0x02;
const NO_LINKS: u64 = 0x04;
const IN_ROOT: u64 = 0x10;

/// As many links as the kernel itself would follow.
const MOST_LINKS: u32 = 40;

/// What is made where there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Directory,
    File,
}

/// A directory that is the root of the paths given to it.
#[derive(Debug)]
pub(crate) struct Inside(OwnedFd);

impl Inside {
    pub(crate) fn of(root: OwnedFd) -> Self {
        Self(root)
    }

    /// The directory at this path of the process' own root.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        open_at(libc::AT_FDCWD, &c_string(path.as_os_str())?, libc::O_PATH | libc::O_DIRECTORY, 0).map(Self)
    }

    /// What is there, as a descriptor that stands for the place alone.
    pub(super) fn find(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_inside(path, libc::O_PATH, IN_ROOT | NO_MAGIC_LINKS)
    }

    /// What is there, reached by no link and itself none.
    pub(super) fn find_plain(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_inside(path, libc::O_PATH, IN_ROOT | NO_LINKS)
    }

    /// The same, or, after everything on the way to it, made now. A link on the way is an error, whoever puts it there
    /// meanwhile.
    pub(super) fn make_plain(&self, path: &Path, what: Make) -> io::Result<OwnedFd> {
        let mut at = self.find_plain(Path::new(""))?;
        let mut walked = PathBuf::new();
        let mut rest = path.components().filter(|part| !matches!(part, Component::RootDir)).peekable();
        while let Some(part) = rest.next() {
            walked.push(part);
            let mut found = self.find_plain(&walked);
            if found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                let what = if rest.peek().is_some() { Make::Directory } else { what };
                match make(at.as_raw_fd(), &c_string(part.as_os_str())?, what) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => found = self.find_plain(&walked),
                }
            }
            at = found?;
        }
        Ok(at)
    }

    /// Its device and its number there: no other directory has both.
    pub(super) fn number(&self) -> io::Result<(u64, u64)> {
        let data = std::fs::File::from(self.0.try_clone()?).metadata()?;
        Ok((data.dev(), data.ino()))
    }

    /// A directory that is no link and is reached by none; made if nothing is there.
    pub(super) fn plain_directory(&self, name: &CStr) -> io::Result<OwnedFd> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let found = open_at(self.0.as_raw_fd(), name, flags, IN_ROOT | NO_LINKS);
        if found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            make(self.0.as_raw_fd(), name, Make::Directory)?;
            return open_at(self.0.as_raw_fd(), name, flags, IN_ROOT | NO_LINKS);
        }
        found
    }

    /// An ordinary file for reading; never waits for anybody.
    pub(super) fn read(&self, path: &Path) -> io::Result<std::fs::File> {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = std::fs::File::from(self.open_inside(path, flags, IN_ROOT | NO_MAGIC_LINKS)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not an ordinary file")),
        }
    }

    /// A device, reached by no link.
    pub(super) fn open_device(&self, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
        self.open_inside(path, flags, IN_ROOT | NO_LINKS)
    }

    /// What is there, or, after everything on the way to it, made now; what is made belongs to `owner`.
    pub(crate) fn make(&self, path: &Path, what: Make, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match self.make_once(&path, what, owner)? {
                Made::Done(fd) => return Ok(fd),
                Made::Elsewhere(other) => path = other,
                Made::ByAnother => {}
            }
        }
        Err(io::Error::from_raw_os_error(libc::ELOOP))
    }

    /// A new ordinary file for writing, in place of whatever file or link is there; its directory is there.
    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<std::fs::File> {
        let name = path.file_name().ok_or_else(|| io::Error::other("no file is named"))?;
        let (dir, name) = (self.find(path.parent().unwrap_or(Path::new("")))?, c_string(name)?);
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_WRONLY | libc::O_CLOEXEC;
        // SAFETY: the name is a C string; the descriptor is new and nobody else's.
        let file = unsafe {
            libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), 0);
            match libc::openat(dir.as_raw_fd(), name.as_ptr(), flags, mode) {
                fd if fd >= 0 => std::fs::File::from(OwnedFd::from_raw_fd(fd)),
                _ => return Err(io::Error::last_os_error()),
            }
        };
        // Whatever the umask left of it.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        Ok(file)
    }

    fn make_once(&self, path: &Path, what: Make, owner: Option<(u32, u32)>) -> io::Result<Made> {
        let mut at = self.find(Path::new("/"))?;
        let mut walked = PathBuf::from("/");
        let mut rest = path.components().filter(|part| !matches!(part, Component::RootDir)).peekable();
        while let Some(part) = rest.next() {
            let parent = walked.clone();
            walked.push(part);
            match self.find(&walked) {
                Ok(found) => at = found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let name = c_string(part.as_os_str())?;
                    // Nothing there, or a link to nothing: then what it names is made.
                    match read_link(at.as_raw_fd(), &name) {
                        Ok(None) => {}
                        Ok(Some(link)) => {
                            return Ok(Made::Elsewhere(
                                rest.fold(parent.join(link), |path, part| path.join(part)),
                            ));
                        }
                        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                            return Ok(Made::ByAnother);
                        }
                        Err(error) => return Err(error),
                    }
                    let what = if rest.peek().is_some() { Make::Directory } else { what };
                    match make(at.as_raw_fd(), &name, what) {
                        Ok(()) => {}
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                            return Ok(Made::ByAnother);
                        }
                        Err(error) => return Err(error),
                    }
                    if let Some((uid, gid)) = owner {
                        give(at.as_raw_fd(), &name, uid, gid)?;
                    }
                    at = self.find(&walked)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Made::Done(at))
    }

    fn open_inside(&self, path: &Path, flags: libc::c_int, resolve: u64) -> io::Result<OwnedFd> {
        let text = if path.as_os_str().is_empty() { OsStr::new(".") } else { path.as_os_str() };
        open_at(self.0.as_raw_fd(), &c_string(text)?, flags, resolve)
    }
}

enum Made {
    Done(OwnedFd),
    /// The path leads over a link to nothing; this is where it leads.
    Elsewhere(PathBuf),
    /// Somebody made a part of it meanwhile, as tasks of a group do that start together: now it is found.
    ByAnother,
}

pub(super) fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::other("the path holds a zero byte"))
}

fn open_at(dir: RawFd, path: &CStr, flags: libc::c_int, resolve: u64) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let how = How { flags: u64::from((flags | libc::O_CLOEXEC).cast_unsigned()), mode: 0, resolve };
    loop {
        // SAFETY: path and struct are ours, and the size is the struct's; the descriptor is new and nobody else's.
        unsafe {
            let size = std::mem::size_of::<How>();
            match libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), &how, size) {
                fd if fd >= 0 => return Ok(OwnedFd::from_raw_fd(fd as RawFd)),
                // Something was renamed or mounted meanwhile: the kernel asks to try again.
                _ => match io::Error::last_os_error() {
                    error if error.raw_os_error() == Some(libc::EAGAIN) => {}
                    error => return Err(error),
                },
            }
        }
    }
}

fn make(dir: RawFd, name: &CStr, what: Make) -> io::Result<()> {
    // SAFETY: the name is a C string; the descriptor is new and closed here.
    unsafe {
        let done = match what {
            Make::Directory => libc::mkdirat(dir, name.as_ptr(), 0o755),
            Make::File => {
                let flags =
                    libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_WRONLY | libc::O_CLOEXEC;
                match libc::openat(dir, name.as_ptr(), flags, 0o644) {
                    fd if fd >= 0 => libc::close(fd),
                    error => error,
                }
            }
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn give(dir: RawFd, name: &CStr, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: the name is a C string.
    match unsafe { libc::fchownat(dir, name.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Where a link leads; None if there is nothing of that name, an invalid input if it is no link.
fn read_link(dir: RawFd, name: &CStr) -> io::Result<Option<PathBuf>> {
    let mut text = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: the name is a C string, the buffer as long as said.
    let length = unsafe { libc::readlinkat(dir, name.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    match usize::try_from(length) {
        Ok(length) => {
            text.truncate(length);
            Ok(Some(PathBuf::from(std::ffi::OsString::from_vec(text))))
        }
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::NotFound => Ok(None),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn canonical(fd: &OwnedFd) -> PathBuf {
        std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    }

    #[test]
    fn links_stay_inside() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("real")).unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();
        for (to, link) in [
            ("/etc", "absolute"),
            ("../../../../etc", "up"),
            ("/proc/self/cwd", "magic"),
            ("loop", "loop"),
            ("/run/made/file", "dangling"),
            ("real/../etc", "around"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        let inside = Inside::open(&root).unwrap();
        for path in ["absolute", "/absolute", "up", "/../../etc", "around", "real/../../../etc"] {
            assert_eq!(canonical(&inside.find(Path::new(path)).unwrap()), root.join("etc"), "{path}");
        }
        assert!(inside.find(Path::new("magic")).is_err() && inside.find(Path::new("loop")).is_err());
        assert!(inside.plain_directory(c"absolute").is_err());
        assert_eq!(canonical(&inside.plain_directory(c"new").unwrap()), root.join("new"));
        let made = |path: &str, what| inside.make(Path::new(path), what, None).map(|fd| canonical(&fd));
        assert_eq!(made("/absolute/a/b", Make::Directory).unwrap(), root.join("etc/a/b"));
        assert_eq!(made("up/c", Make::File).unwrap(), root.join("etc/c"));
        assert_eq!(made("dangling", Make::File).unwrap(), root.join("run/made/file"));
        assert_eq!(made("/../x/../y", Make::Directory).unwrap(), root.join("y"));
        assert!(made("loop/x", Make::Directory).is_err());
        assert!(made("etc/c/below-a-file", Make::Directory).is_err());
        let names: Vec<_> =
            std::fs::read_dir(temp.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["root"]);
    }

    #[test]
    fn where_links_are_not_followed_none_leads_anywhere() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/below")).unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("/nowhere", root.join("real/dangling")).unwrap();
        let inside = Inside::open(&root).unwrap();
        let made = |path: &str, what| inside.make_plain(Path::new(path), what).map(|fd| canonical(&fd));
        assert_eq!(made("real/below", Make::Directory).unwrap(), root.join("real/below"));
        assert_eq!(made("/real/new/er", Make::Directory).unwrap(), root.join("real/new/er"));
        assert_eq!(made("real/new/file", Make::File).unwrap(), root.join("real/new/file"));
        for path in ["link", "link/x", "real/dangling", "real/dangling/x"] {
            let error = made(path, Make::Directory).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{path}: {error}");
        }
        assert!(!Path::new("/nowhere").exists() && !root.join("real/x").exists());
    }

    #[test]
    fn several_make_the_same_at_once() {
        let temp = tempfile::tempdir().unwrap();
        let inside = Inside::open(temp.path()).unwrap();
        for round in 0..50 {
            let path = PathBuf::from(format!("{round}/shared/file"));
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        start.wait();
                        let made = inside.make(&path, Make::File, None).unwrap();
                        assert_eq!(canonical(&made), temp.path().canonicalize().unwrap().join(&path));
                    });
                }
            });
        }
    }

    #[test]
    fn only_ordinary_files_are_read() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "text").unwrap();
        let fifo = c_string(temp.path().join("fifo").as_os_str()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        let inside = Inside::open(temp.path()).unwrap();
        assert!(inside.read(Path::new("/file")).is_ok());
        assert!(inside.read(Path::new("/fifo")).is_err() && inside.read(Path::new("/")).is_err());
    }
}
