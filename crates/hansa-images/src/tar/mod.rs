//! Reads tar archives of any dialect that image builders write: old, ustar, GNU and pax.
//!
//! A reader of our own, since what it reads may be hostile: no header makes it allocate more than [`MAX_EXTENSION`], and
//! what it does not understand it refuses. It knows nothing of files; see [`crate::unpack`].

mod header;
mod pax;
mod reader;

pub(crate) use reader::{Entry, EntryKind, Reader};

/// The unit of an archive.
pub(crate) const BLOCK: usize = 512;

/// Longest extended header (long name, pax records) that is read.
pub(crate) const MAX_EXTENSION: u64 = 1 << 20;

/// An archive is not one, or of a sort that is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// What it came from cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is malformed.
    #[error("the archive is malformed: {0}")]
    Malformed(&'static str),
    /// It is larger than allowed in some way.
    #[error("the archive has {0}")]
    TooLarge(&'static str),
    /// Nobody writes this into images.
    #[error("the archive has {0}, which is not supported")]
    Unsupported(&'static str),
}
