//! Looks into an image's layers as a container would see them, without mounting anything.
//!
//! What images say is hostile: links are followed inside the image only, a bounded number of times, and nothing but
//! regular files is read.

use crate::unpack::{OPAQUE, at};
use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Links followed before it is called a loop.
const MAX_LINKS: u32 = 40;

/// Layers above each other.
pub(crate) struct Lower {
    /// The uppermost first.
    roots: Vec<OwnedFd>,
}

/// A directory: the same path in one or more layers, the uppermost first.
type Merged = Vec<OwnedFd>;

enum Found {
    Nothing,
    Dir(Merged),
    /// In the directory with this descriptor.
    Link(OsString),
    File(OwnedFd),
}

impl Lower {
    /// `layers`: their directories, the uppermost first.
    pub(crate) fn open(layers: &[PathBuf]) -> io::Result<Self> {
        let roots = layers.iter().map(|layer| Ok(std::fs::File::open(layer)?.into()));
        Ok(Self { roots: roots.collect::<io::Result<_>>()? })
    }

    /// Mode, owner and modification time of a directory; None: there is none. Links are not followed.
    pub(crate) fn dir(&self, parts: &[OsString]) -> io::Result<Option<libc::stat>> {
        let mut merged = self.top()?;
        for part in parts {
            match find(&merged, part)? {
                Found::Dir(next) => merged = next,
                _ => return Ok(None),
            }
        }
        merged.first().map(|fd| at::fstat(fd.as_fd())).transpose()
    }

    /// A regular file's content, up to so many bytes; None: there is none.
    pub(crate) fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let mut way = vec![self.top()?];
        let mut rest: VecDeque<OsString> = VecDeque::new();
        push(&mut rest, path);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(current) = way.last() else { return Ok(None) };
            match find(current, &part)? {
                Found::Nothing => return Ok(None),
                Found::Dir(next) => way.push(next),
                Found::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    if Path::new(&target).is_absolute() {
                        way.truncate(1);
                    }
                    push(&mut rest, Path::new(&target));
                }
                Found::File(_) if !rest.is_empty() => return Ok(None),
                Found::File(file) => {
                    let mut bytes = Vec::new();
                    std::fs::File::from(file).take(most).read_to_end(&mut bytes)?;
                    return Ok(Some(bytes));
                }
            }
        }
        Ok(None)
    }

    fn top(&self) -> io::Result<Merged> {
        self.roots.iter().map(|root| root.try_clone()).collect()
    }
}

/// Puts a path's components before the others.
fn push(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(part) => rest.push_front(part.to_owned()),
            Component::ParentDir => rest.push_front("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

/// What a merged directory has of that name, by overlayfs' rules.
fn find(merged: &Merged, name: &OsStr) -> io::Result<Found> {
    let mut dirs = Vec::new();
    for layer in merged {
        let Some(stat) = at::stat(layer.as_fd(), name)? else { continue };
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => {
                let dir = at::open_dir(layer.as_fd(), name)?;
                let opaque = is_opaque(dir.as_fd());
                dirs.push(dir);
                if opaque {
                    break;
                }
            }
            // Hides what is below, and adds nothing to a directory above.
            _ if !dirs.is_empty() => break,
            libc::S_IFLNK => return Ok(Found::Link(read_link(layer.as_fd(), name)?)),
            libc::S_IFREG => return Ok(Found::File(at::open_file(layer.as_fd(), name)?)),
            _ => return Ok(Found::Nothing),
        }
    }
    Ok(if dirs.is_empty() { Found::Nothing } else { Found::Dir(dirs) })
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let Ok(name) = CString::new(OPAQUE) else { return false };
    let mut value = [0u8; 2];
    // SAFETY: name and buffer are ours, and the length is the buffer's.
    let length =
        unsafe { libc::fgetxattr(dir.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    length == 1 && value[0] == b'y'
}

fn read_link(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<OsString> {
    let name = CString::new(name.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut buffer = vec![0u8; 4096];
    // SAFETY: name and buffer are ours, and the length is the buffer's.
    let length =
        unsafe { libc::readlinkat(dir.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    buffer.truncate(length);
    Ok(OsString::from_vec(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_those_that_a_container_would_see() {
        let temp = tempfile::tempdir().unwrap();
        let [up, low] = ["up", "low"].map(|name| temp.path().join(name));
        for dir in ["up/etc", "up/x", "low/etc/alternatives", "low/usr/lib"] {
            fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        fs::write(temp.path().join("secret"), "outside").unwrap();
        fs::write(low.join("etc/passwd"), "low").unwrap();
        fs::write(low.join("etc/group"), "low").unwrap();
        fs::write(up.join("etc/group"), "up").unwrap();
        fs::write(low.join("x"), "file").unwrap();
        symlink("/usr/lib/os", up.join("etc/os")).unwrap();
        fs::write(low.join("usr/lib/os"), "os").unwrap();
        symlink("../../../../../../../secret", up.join("out")).unwrap();
        symlink(temp.path().join("secret"), up.join("out2")).unwrap();
        symlink("loop", up.join("loop")).unwrap();
        let lower = Lower::open(&[up.clone(), low]).unwrap();
        let read = |path: &str| lower.read(Path::new(path), 100).unwrap();
        assert_eq!(read("/etc/passwd").as_deref(), Some(&b"low"[..]));
        assert_eq!(read("etc/group").as_deref(), Some(&b"up"[..]));
        assert_eq!(read("/etc/../etc/os").as_deref(), Some(&b"os"[..]));
        for none in ["/out", "/out2", "/loop", "/x", "/etc", "/etc/passwd/y", "/nothing", "/", ".."] {
            assert_eq!(read(none), None, "{none}");
        }
        fs::write(up.join("secret"), "inside").unwrap();
        assert_eq!(read("/out").as_deref(), Some(&b"inside"[..]), "the root's parent is the root");
        assert!(lower.dir(&["etc".into(), "alternatives".into()]).unwrap().is_some());
        assert!(lower.dir(&["etc".into(), "passwd".into()]).unwrap().is_none());
    }
}
