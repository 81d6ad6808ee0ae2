//! A layer's directory while it is filled: every step down is one component, and no link is ever followed.
//!
//! Directories on the way to the last entry stay open, as an archive's entries come directory by directory.

use super::UnpackError;
use super::at;
use super::path::LayerPath;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The extended attribute by which overlayfs knows that a directory hides those below it.
pub(crate) const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// What a name in the tree stands for.
pub(super) enum Found {
    Nothing,
    Dir,
    /// A character device: the only ones here are whiteouts that were made here.
    Whiteout,
    Other,
}

pub(super) struct Tree {
    root: OwnedFd,
    /// Names and descriptors from the root to the directory used last.
    open: Vec<(OsString, OwnedFd)>,
    /// Directories that no entry has described (yet).
    implied: BTreeSet<LayerPath>,
    /// Whether whiteouts can be made as overlayfs wants them.
    privileged: bool,
}

impl Tree {
    pub(super) fn new(root: OwnedFd, privileged: bool) -> Self {
        Self { root, open: Vec::new(), implied: BTreeSet::from([LayerPath::default()]), privileged }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Directories that no entry has described.
    pub(super) fn into_implied(self) -> BTreeSet<LayerPath> {
        self.implied
    }

    /// An entry describes this directory.
    pub(super) fn described(&mut self, path: &LayerPath) {
        self.implied.remove(path);
    }

    /// The directory of that path; missing ones are made if asked for.
    pub(super) fn dir(&mut self, parts: &[OsString], make: bool) -> Result<BorrowedFd<'_>, UnpackError> {
        let same = self.open.iter().zip(parts).take_while(|((name, _), part)| name == *part).count();
        self.open.truncate(same);
        for at in same..parts.len() {
            let next = self.step(&parts[..at], &parts[at], make)?;
            self.open.push((parts[at].clone(), next));
        }
        Ok(self.current())
    }

    fn current(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd())
    }

    /// One step down from the current directory.
    fn step(&mut self, parents: &[OsString], name: &OsStr, make: bool) -> Result<OwnedFd, UnpackError> {
        match at::open_dir(self.current(), name) {
            Ok(fd) => return Ok(fd),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) if make => at::make_dir(self.current(), name)?,
                Some(libc::ENOENT) => return Err(UnpackError::Missing),
                Some(libc::ENOTDIR | libc::ELOOP) => match self.find(name)? {
                    Found::Whiteout if make => self.replace_whiteout(name)?,
                    _ => return Err(UnpackError::NotADirectory),
                },
                _ => return Err(error.into()),
            },
        }
        let mut path: Vec<u8> = parents.join(OsStr::new("/")).into_encoded_bytes();
        path.push(b'/');
        path.extend_from_slice(name.as_encoded_bytes());
        self.implied.extend(LayerPath::parse(&path));
        Ok(at::open_dir(self.current(), name)?)
    }

    /// What the current directory has of that name.
    pub(super) fn find(&self, name: &OsStr) -> io::Result<Found> {
        Ok(match at::stat(self.current(), name)?.map(|stat| stat.st_mode & libc::S_IFMT) {
            None => Found::Nothing,
            Some(libc::S_IFDIR) => Found::Dir,
            Some(libc::S_IFCHR) => Found::Whiteout,
            Some(_) => Found::Other,
        })
    }

    /// In the current directory: a directory that replaces what lower layers have of its name.
    pub(super) fn replace_whiteout(&self, name: &OsStr) -> io::Result<()> {
        at::unlink(self.current(), name)?;
        at::make_dir(self.current(), name)?;
        self.make_opaque(at::open_dir(self.current(), name)?.as_fd())
    }

    pub(super) fn make_opaque(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        if self.privileged { at::fset_xattr(dir, OPAQUE, b"y") } else { Ok(()) }
    }

    /// In the current directory: hides what lower layers have of that name.
    pub(super) fn make_whiteout(&self, name: &OsStr) -> io::Result<()> {
        match at::make_node(self.current(), name, libc::S_IFCHR) {
            // Old kernels leave this to root. Without root nothing can be run from here anyway.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && !self.privileged => Ok(()),
            other => other,
        }
    }

    /// In the current directory, whose path is given: removes a whole directory.
    pub(super) fn remove_dir(&mut self, parents: &[OsString], name: &OsStr) -> io::Result<()> {
        // Through the descriptor; the standard library's removal follows no links.
        use std::os::fd::AsRawFd;
        let place = format!("/proc/self/fd/{}", self.current().as_raw_fd());
        std::fs::remove_dir_all(std::path::Path::new(&place).join(name))?;
        let gone = [parents, &[name.to_owned()]].concat();
        self.implied.retain(|path| !path.parts().starts_with(&gone));
        Ok(())
    }
}
