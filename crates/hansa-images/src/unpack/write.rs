//! Entry by entry into the layer's directory.

use super::path::{LayerPath, PathError, Whiteout, whiteout};
use super::tree::{Found, Tree};
use super::{Orders, UnpackError, Unpacked, at};
use crate::digest::Hashed;
use crate::tar::{Entry, EntryKind, Reader};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering;

/// The disk is asked for its free space each time so much has been written.
const LOOK_BYTES: u64 = 16 << 20;
/// And each time so many entries have been made.
const LOOK_ENTRIES: u64 = 2048;

const CHUNK: usize = 128 << 10;

/// What is set on a directory at the end, when nothing is put into it any more.
struct DirData {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) struct Writer<'a, R> {
    tree: Tree,
    reader: Option<Reader<Hashed<R>>>,
    orders: &'a Orders<'a>,
    dirs: BTreeMap<LayerPath, DirData>,
    buffer: Vec<u8>,
    bytes: u64,
    entries: u64,
    devices: u64,
    opaque_root: bool,
    /// Bytes and entries when the disk was last asked.
    looked: Option<(u64, u64)>,
}

impl<'a, R: Read> Writer<'a, R> {
    pub(super) fn new(root: OwnedFd, orders: &'a Orders<'a>, reader: Reader<Hashed<R>>) -> Self {
        Self {
            tree: Tree::new(root, orders.privileged),
            reader: Some(reader),
            orders,
            dirs: BTreeMap::new(),
            buffer: vec![0; CHUNK],
            bytes: 0,
            entries: 0,
            devices: 0,
            opaque_root: false,
            looked: None,
        }
    }

    /// Everything in the archive.
    pub(super) fn run(&mut self) -> Result<(), UnpackError> {
        while let Some(entry) = match &mut self.reader {
            Some(reader) => reader.next()?,
            None => None,
        } {
            if self.orders.cancelled.load(Ordering::Relaxed) {
                return Err(UnpackError::Cancelled);
            }
            self.entries += 1;
            if self.entries > self.orders.limits.entries {
                return Err(UnpackError::TooLarge(format!("{} entries", self.orders.limits.entries)));
            }
            self.look_at_disk()?;
            self.entry(&entry).map_err(|error| named(error, &entry.name))?;
        }
        Ok(())
    }

    /// What is set last, and the digest of the whole.
    pub(super) fn finish(mut self) -> Result<Unpacked, UnpackError> {
        let dirs = std::mem::take(&mut self.dirs);
        // The deepest first, or the times of those above would change again.
        for (path, data) in dirs.iter().rev() {
            self.dress(path, data).map_err(|error| named(error, path.join().as_bytes()))?;
        }
        let mut rest = match self.reader.take() {
            Some(reader) => reader.into_inner(),
            None => return Err(UnpackError::Missing),
        };
        while rest.read(&mut self.buffer).map_err(|error| UnpackError::Tar(error.into()))? > 0 {}
        Ok(Unpacked {
            diff_id: rest.finish(),
            bytes: self.bytes,
            entries: self.entries,
            implied: self.tree.into_implied().into_iter().collect(),
            opaque_root: self.opaque_root,
            devices: self.devices,
        })
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let path = parse(&entry.name)?;
        let Some((parent, name)) = path.split() else {
            // The root. Anything but a directory there says nothing.
            if entry.kind == EntryKind::Dir {
                self.describe(path, entry)?;
            }
            return Ok(());
        };
        match whiteout(name) {
            Some(Whiteout::Meta) => return Ok(()),
            Some(Whiteout::Wrong) => return Err(UnpackError::Whiteout(shown(&entry.name))),
            Some(Whiteout::Opaque) => return self.opaque(parent),
            Some(Whiteout::Of(hidden)) => return self.hide(parent, &hidden),
            None => {}
        }
        match entry.kind {
            EntryKind::Dir => self.make_dir(parent, name)?,
            EntryKind::File => self.file(parent, name, entry)?,
            EntryKind::Symlink => self.symlink(parent, name, entry)?,
            EntryKind::HardLink => self.hard_link(parent, name, entry)?,
            EntryKind::Fifo => self.fifo(parent, name, entry)?,
            // A container's /dev is made when it starts.
            EntryKind::Device => self.devices += 1,
        }
        if entry.kind == EntryKind::Dir {
            self.describe(path, entry)?;
        }
        Ok(())
    }

    fn describe(&mut self, path: LayerPath, entry: &Entry) -> Result<(), UnpackError> {
        let data = DirData {
            mode: entry.mode,
            owner: owner(entry)?,
            mtime: entry.mtime,
            xattrs: entry.xattrs.iter().filter(|(name, _)| is_taken(name)).cloned().collect(),
        };
        self.tree.described(&path);
        self.dirs.insert(path, data);
        Ok(())
    }

    fn make_dir(&mut self, parent: &[OsString], name: &OsStr) -> Result<(), UnpackError> {
        self.tree.dir(parent, true)?;
        match self.tree.find(name)? {
            Found::Dir => Ok(()),
            Found::Whiteout => Ok(self.tree.replace_whiteout(name)?),
            found => {
                if matches!(found, Found::Other) {
                    at::unlink(self.tree.dir(parent, false)?, name)?;
                }
                Ok(at::make_dir(self.tree.dir(parent, false)?, name)?)
            }
        }
    }

    /// The parent, with nothing of that name in it any more.
    fn cleared(&mut self, parent: &[OsString], name: &OsStr) -> Result<BorrowedFd<'_>, UnpackError> {
        self.tree.dir(parent, true)?;
        match self.tree.find(name)? {
            Found::Nothing => {}
            Found::Dir => {
                self.tree.remove_dir(parent, name)?;
                let gone = [parent, &[name.to_owned()]].concat();
                self.dirs.retain(|path, _| !path.parts().starts_with(&gone));
            }
            Found::Whiteout | Found::Other => at::unlink(self.tree.dir(parent, false)?, name)?,
        }
        self.tree.dir(parent, false)
    }

    fn file(&mut self, parent: &[OsString], name: &OsStr, entry: &Entry) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > self.orders.limits.layer_bytes {
            return Err(UnpackError::TooLarge(format!("{} bytes", self.orders.limits.layer_bytes)));
        }
        let mut file = std::fs::File::from(at::create_file(self.cleared(parent, name)?, name)?);
        let mut unlooked = 0;
        loop {
            let Some(reader) = &mut self.reader else { return Err(UnpackError::Missing) };
            let read = reader.content(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&self.buffer[..read])?;
            unlooked += read as u64;
            if unlooked >= LOOK_BYTES {
                unlooked = 0;
                self.check_disk()?;
            }
        }
        self.dress_file(file.as_fd(), entry)
    }

    fn dress_file(&self, file: BorrowedFd<'_>, entry: &Entry) -> Result<(), UnpackError> {
        let (uid, gid) = owner(entry)?;
        if self.orders.privileged {
            at::fchown(file, uid, gid)?;
        }
        // A change of owner takes setuid and capabilities away, so they come after it.
        at::fchmod(file, self.mode(entry.mode))?;
        self.set_xattrs(file, entry.xattrs.iter().filter(|(name, _)| is_taken(name)))?;
        Ok(at::fset_mtime(file, entry.mtime)?)
    }

    /// Without their owners, programs that run with their owner's rights would run with ours.
    fn mode(&self, mode: u32) -> u32 {
        if self.orders.privileged { mode } else { mode & 0o1777 }
    }

    fn set_xattrs<'x>(
        &self,
        fd: BorrowedFd<'_>,
        xattrs: impl Iterator<Item = &'x (Vec<u8>, Vec<u8>)>,
    ) -> Result<(), UnpackError> {
        if !self.orders.privileged {
            return Ok(());
        }
        for (name, value) in xattrs {
            match at::fset_xattr(fd, name, value) {
                // Not every file system has them; the image runs without.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn symlink(&mut self, parent: &[OsString], name: &OsStr, entry: &Entry) -> Result<(), UnpackError> {
        // Where it leads is the container's affair: nothing here ever follows it.
        let (uid, gid) = owner(entry)?;
        let privileged = self.orders.privileged;
        let dir = self.cleared(parent, name)?;
        at::make_symlink(dir, name, OsStr::from_bytes(&entry.link))?;
        if privileged {
            at::chown(dir, name, uid, gid)?;
        }
        Ok(at::set_mtime(dir, name, entry.mtime)?)
    }

    fn hard_link(&mut self, parent: &[OsString], name: &OsStr, entry: &Entry) -> Result<(), UnpackError> {
        let target = parse(&entry.link)?;
        let missing = || UnpackError::HardLink(shown(&entry.name), shown(&entry.link));
        let (from_parent, from) = target.split().ok_or_else(missing)?;
        if (from_parent, from) == (parent, name) {
            return Err(missing());
        }
        let from_dir = match self.tree.dir(from_parent, false) {
            Ok(dir) => dir.try_clone_to_owned()?,
            Err(UnpackError::Missing | UnpackError::NotADirectory) => return Err(missing()),
            Err(error) => return Err(error),
        };
        // Not of directories, and not of whiteouts.
        if !matches!(self.tree.find(from)?, Found::Other) {
            return Err(missing());
        }
        let dir = self.cleared(parent, name)?;
        // Making room may have removed it.
        at::link(from_dir.as_fd(), from, dir, name).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => missing(),
            _ => error.into(),
        })
    }

    fn fifo(&mut self, parent: &[OsString], name: &OsStr, entry: &Entry) -> Result<(), UnpackError> {
        let (uid, gid) = owner(entry)?;
        let (privileged, mode) = (self.orders.privileged, self.mode(entry.mode));
        let dir = self.cleared(parent, name)?;
        at::make_node(dir, name, libc::S_IFIFO | 0o600)?;
        if privileged {
            at::chown(dir, name, uid, gid)?;
        }
        at::chmod(dir, name, mode)?;
        Ok(at::set_mtime(dir, name, entry.mtime)?)
    }

    /// Lower layers' content of this directory is gone.
    fn opaque(&mut self, dir: &[OsString]) -> Result<(), UnpackError> {
        self.opaque_root |= dir.is_empty();
        let fd = self.tree.dir(dir, true)?.try_clone_to_owned()?;
        Ok(self.tree.make_opaque(fd.as_fd())?)
    }

    /// Lower layers' entry is gone; an entry of this layer, before or after, takes its place.
    fn hide(&mut self, parent: &[OsString], hidden: &OsStr) -> Result<(), UnpackError> {
        self.tree.dir(parent, true)?;
        match self.tree.find(hidden)? {
            Found::Nothing => Ok(self.tree.make_whiteout(hidden)?),
            Found::Dir => {
                let dir = at::open_dir(self.tree.dir(parent, false)?, hidden)?;
                Ok(self.tree.make_opaque(dir.as_fd())?)
            }
            Found::Whiteout | Found::Other => Ok(()),
        }
    }

    fn dress(&mut self, path: &LayerPath, data: &DirData) -> Result<(), UnpackError> {
        let dir = self.tree.dir(path.parts(), false)?.try_clone_to_owned()?;
        if self.orders.privileged {
            at::fchown(dir.as_fd(), data.owner.0, data.owner.1)?;
        }
        // Somebody without rights must still be able to look into it and to remove it.
        let mode = if self.orders.privileged { data.mode } else { data.mode & 0o1777 | 0o700 };
        at::fchmod(dir.as_fd(), mode)?;
        self.set_xattrs(dir.as_fd(), data.xattrs.iter())?;
        Ok(at::fset_mtime(dir.as_fd(), data.mtime)?)
    }

    fn look_at_disk(&mut self) -> Result<(), UnpackError> {
        let due = self.looked.is_none_or(|(bytes, entries)| {
            self.bytes - bytes >= LOOK_BYTES || self.entries - entries >= LOOK_ENTRIES
        });
        if due {
            self.looked = Some((self.bytes, self.entries));
            self.check_disk()?;
        }
        Ok(())
    }

    fn check_disk(&self) -> Result<(), UnpackError> {
        let limits = self.orders.limits;
        let (bytes, inodes) = at::free(self.tree.root())?;
        if bytes < limits.reserve_bytes || inodes < limits.reserve_inodes {
            return Err(UnpackError::DiskFull(limits.reserve_bytes >> 20, limits.reserve_inodes));
        }
        Ok(())
    }
}

/// Attributes that mean something to programs. Not those of overlayfs, by which a layer could redirect lookups, nor those
/// of security modules, which speak of the machine that the image was built on.
fn is_taken(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
}

fn owner(entry: &Entry) -> Result<(u32, u32), UnpackError> {
    let known = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    known(entry.uid).zip(known(entry.gid)).ok_or_else(|| UnpackError::Owner(shown(&entry.name)))
}

fn parse(name: &[u8]) -> Result<LayerPath, UnpackError> {
    LayerPath::parse(name).map_err(|error: PathError| UnpackError::Path(shown(name), error))
}

/// A name for messages: printable, and not too long.
fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// Errors that do not say of what they speak, completed.
fn named(error: UnpackError, name: &[u8]) -> UnpackError {
    match error {
        UnpackError::NotADirectory | UnpackError::Missing => UnpackError::ParentIsNone(shown(name)),
        UnpackError::Io(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => {
            UnpackError::Path(shown(name), PathError::TooLong)
        }
        UnpackError::Io(error) => UnpackError::Write(shown(name), error),
        other => other,
    }
}
