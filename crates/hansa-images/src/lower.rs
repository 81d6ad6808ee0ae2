//! Directories of an image's layers as a container would see them, without mounting anything and without following links.

use crate::unpack::{OPAQUE, at};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Layers above each other.
pub(crate) struct Lower {
    /// The uppermost first.
    roots: Vec<OwnedFd>,
}

/// A directory: the same path in one or more layers, the uppermost first.
type Merged = Vec<OwnedFd>;

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
                Some(next) => merged = next,
                None => return Ok(None),
            }
        }
        merged.first().map(|fd| at::fstat(fd.as_fd())).transpose()
    }

    fn top(&self) -> io::Result<Merged> {
        self.roots.iter().map(|root| root.try_clone()).collect()
    }
}

/// What a merged directory has of that name, by overlayfs' rules; None: no directory.
fn find(merged: &Merged, name: &OsStr) -> io::Result<Option<Merged>> {
    let mut dirs = Vec::new();
    for layer in merged {
        let Some(stat) = at::stat(layer.as_fd(), name)? else { continue };
        if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
            // Hides what is below.
            break;
        }
        let dir = at::open_dir(layer.as_fd(), name)?;
        let opaque = is_opaque(dir.as_fd());
        dirs.push(dir);
        if opaque {
            break;
        }
    }
    Ok(if dirs.is_empty() { None } else { Some(dirs) })
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let Ok(name) = CString::new(OPAQUE) else { return false };
    let mut value = [0u8; 2];
    // SAFETY: name and buffer are ours, and the length is the buffer's.
    let length =
        unsafe { libc::fgetxattr(dir.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    length == 1 && value[0] == b'y'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn directories_are_those_that_a_container_would_see() {
        let temp = tempfile::tempdir().unwrap();
        let [up, low] = ["up", "low"].map(|name| temp.path().join(name));
        for dir in ["up/etc", "up/x", "low/etc/deep", "low/hidden", "low/linked"] {
            fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        fs::write(low.join("x"), "a file under a directory").unwrap();
        fs::write(up.join("hidden"), "a file over a directory").unwrap();
        symlink("etc", up.join("linked")).unwrap();
        let lower = Lower::open(&[up.clone(), low.clone()]).unwrap();
        let dir = |path: &str| {
            let parts: Vec<OsString> =
                path.split('/').filter(|part| !part.is_empty()).map(Into::into).collect();
            lower.dir(&parts).unwrap().map(|stat| stat.st_ino)
        };
        let inode = |path: std::path::PathBuf| Some(fs::metadata(path).unwrap().ino());
        assert_eq!(dir(""), inode(up.clone()));
        assert_eq!(dir("etc"), inode(up.join("etc")));
        assert_eq!(dir("etc/deep"), inode(low.join("etc/deep")));
        assert_eq!(dir("x"), inode(up.join("x")));
        for none in ["hidden", "linked", "linked/deep", "nothing", "x/y"] {
            assert_eq!(dir(none), None, "{none}");
        }
    }
}
