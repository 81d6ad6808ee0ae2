//! Unpacks a layer into a directory as overlayfs wants it: whiteouts as 0:0 devices, opaque directories by attribute.
//!
//! Layers are hostile until the opposite is proven, which it never is. So: nothing is written but relative to descriptors
//! of directories in the layer, one component at a time, without following links ([`tree`]); names that lead upwards end
//! the whole layer ([`path`]); no devices are made; of extended attributes only capabilities and the user's own are taken;
//! bytes, entries, depth, expansion and what is left of the disk are watched all the time. Whoever calls removes the
//! directory after an error.

pub(crate) mod at;
mod decompress;
pub(crate) mod path;
mod tree;
mod write;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod ordinary;

pub(crate) use tree::OPAQUE;

use crate::digest::{Digest, Hashed};
use crate::failure::{Failure, Kind};
use crate::limits::Limits;
use crate::tar::{Reader, TarError};
use path::{LayerPath, PathError};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// What unpacking needs to know.
pub(crate) struct Orders<'a> {
    pub(crate) limits: &'a Limits,
    /// Bytes of the compressed layer.
    pub(crate) compressed: u64,
    /// Whether owners, attributes and whiteouts can be set. Without, everything belongs to whoever unpacks.
    pub(crate) privileged: bool,
    /// Set: stop.
    pub(crate) cancelled: &'a AtomicBool,
}

/// What a layer turned out to be.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Of the archive, uncompressed.
    pub(crate) diff_id: Digest,
    /// Of all files together.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// Directories that exist only because something is in them.
    pub(crate) implied: Vec<LayerPath>,
    /// Whether it hides everything of the layers below.
    pub(crate) opaque_root: bool,
    /// Device nodes that were left out.
    pub(crate) devices: u64,
}

/// A layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error(transparent)]
    Tar(TarError),
    #[error("name {0:?}: {1}")]
    Path(String, PathError),
    #[error("{0:?} is no directory, but has something in it")]
    ParentIsNone(String),
    #[error("{0:?} is a hard link to {1:?}, which the layer does not have as a file")]
    HardLink(String, String),
    #[error("{0:?} has an owner that no system knows")]
    Owner(String),
    #[error("{0:?} is the name of a whiteout, of nothing")]
    Whiteout(String),
    #[error("it unpacks to more than {0}")]
    TooLarge(String),
    #[error("the disk would have less than {0} MiB or {1} inodes left")]
    DiskFull(u64, u64),
    #[error("cannot write {0:?}: {1}")]
    Write(String, io::Error),
    #[error("not wanted any more")]
    Cancelled,
    /// Given its name by whoever sees it.
    #[error("no directory")]
    NotADirectory,
    /// Likewise.
    #[error("not there")]
    Missing,
    /// Likewise.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<TarError> for UnpackError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) => {
                UnpackError::Cancelled
            }
            other => UnpackError::Tar(other),
        }
    }
}

impl UnpackError {
    /// In the words of whoever pulls.
    pub(crate) fn failure(self, layer: &Digest) -> Failure {
        let hint = "rebuild the image with a common tool; this layer may be an attack";
        let cause = format!("layer {layer}: {self}");
        match self {
            UnpackError::Cancelled => Failure::cancelled(),
            UnpackError::DiskFull(..) => Failure::disk_full(cause),
            UnpackError::Write(what, error) => {
                Failure::io(format!("layer {layer}: cannot write {what:?}"), &error)
            }
            UnpackError::Io(error) => Failure::io(format!("layer {layer}"), &error),
            UnpackError::TooLarge(_) => Failure::refused(cause).remedy("make the image smaller"),
            _ => Failure::new(Kind::Refused, cause).remedy(hint),
        }
    }
}

/// The reader's way to say that nobody wants it any more.
#[derive(Debug, thiserror::Error)]
#[error("not wanted any more")]
struct Cancelled;

/// Ends early when cancelled.
struct Cancellable<'a, R>(R, &'a AtomicBool);

impl<R: Read> Read for Cancellable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.load(Ordering::Relaxed) {
            return Err(io::Error::other(Cancelled));
        }
        self.0.read(buffer)
    }
}

/// Counts what comes out of the decompressor, so that padding, headers and file content all count.
struct Bounded<R> {
    inner: R,
    left: u64,
}

/// The reader's way to say that there is too much.
#[derive(Debug, thiserror::Error)]
#[error("it expands too much")]
struct Expands;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Expands))?;
        Ok(read)
    }
}

/// Unpacks a layer (plain, gzip or zstd, found out by looking) into an empty directory.
pub(crate) fn unpack(source: impl Read, root: OwnedFd, orders: &Orders<'_>) -> Result<Unpacked, UnpackError> {
    let limits = orders.limits;
    // Headers and padding of tiny files may be much more than their content.
    let overhead = limits.entries.saturating_mul(2048).min(limits.layer_bytes / 4);
    let most = limits.layer_bytes.saturating_add(overhead);
    let by_ratio = orders.compressed.saturating_mul(limits.ratio).max(limits.ratio_from);
    let most = most.min(by_ratio);
    let plain = decompress::decompressed(Cancellable(source, orders.cancelled)).map_err(|e| tell(e, most))?;
    let reader = Reader::new(Hashed::new(Bounded { inner: plain, left: most }));
    let mut writer = write::Writer::new(root, orders, reader);
    let unpacked = writer.run().and_then(|()| writer.finish());
    unpacked.map_err(|error| match error {
        UnpackError::Tar(TarError::Io(error)) => tell(error, most),
        other => other,
    })
}

/// What an error of the reader means.
fn tell(error: io::Error, most: u64) -> UnpackError {
    match error.get_ref() {
        Some(inner) if inner.is::<Cancelled>() => UnpackError::Cancelled,
        Some(inner) if inner.is::<Expands>() => {
            UnpackError::TooLarge(format!("{most} bytes, too much for what it is compressed"))
        }
        _ => UnpackError::Tar(TarError::Io(error)),
    }
}
