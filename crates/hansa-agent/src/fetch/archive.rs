//! Archives into a directory, bounded and without leaving it.

use super::xz::XzReader;
use super::zip;
use crate::launcher::inside::Inside;
use flate2::read::MultiGzDecoder;
use hansa_model::words::innermost;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an archive may unpack to, in bytes.
pub(super) const MOST_UNPACKED: u64 = 16 << 30;
/// How many entries it may have.
pub(super) const MOST_ENTRIES: usize = 1_000_000;

/// How an archive is written, by its name as Mesos has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    TarGzip,
    TarBzip2,
    TarXz,
    Zip,
    /// One file.
    Gzip,
}

impl Format {
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let endings: &[(&[&str], Self)] = &[
            (&[".tar"], Self::Tar),
            (&[".tar.gz", ".tgz"], Self::TarGzip),
            (&[".tar.bz2", ".tbz2", ".tbz"], Self::TarBzip2),
            (&[".tar.xz", ".txz"], Self::TarXz),
            (&[".zip"], Self::Zip),
            (&[".gz"], Self::Gzip),
        ];
        let found = endings.iter().find(|(ends, _)| ends.iter().any(|end| name.ends_with(end)));
        found.map(|(_, format)| *format)
    }
}

/// Reads until somebody says stop, and not more than allowed.
struct Bounded<'a, R> {
    inner: R,
    left: u64,
    cancelled: &'a AtomicBool,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("not wanted any more"));
        }
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("it unpacks to more than {} GiB", MOST_UNPACKED >> 30))
        })?;
        Ok(read)
    }
}

/// Copies a file's bytes.
pub(super) fn copy(from: impl Read, mut to: impl Write, most: u64, cancelled: &AtomicBool) -> io::Result<()> {
    io::copy(&mut Bounded { inner: from, left: most, cancelled }, &mut to).map(drop)
}

/// Unpacks into a directory. `name` is the archive's, from which that of a single compressed file is made.
pub(super) fn unpack(
    format: Format,
    archive: &Path,
    dir: OwnedFd,
    name: &str,
    cancelled: &AtomicBool,
) -> io::Result<()> {
    let file = BufReader::with_capacity(256 << 10, File::open(archive)?);
    match format {
        Format::Tar => untar(file, &dir, cancelled),
        Format::TarGzip => untar(MultiGzDecoder::new(file), &dir, cancelled),
        Format::TarBzip2 => untar(bzip2_rs::DecoderReader::new(file), &dir, cancelled),
        Format::TarXz => untar(XzReader::new(file), &dir, cancelled),
        Format::Zip => zip::unpack(file.into_inner(), &Inside::of(dir), cancelled),
        Format::Gzip => {
            let name = name.get(..name.len().saturating_sub(3)).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| io::Error::other("it has no name but its ending"))?;
            let to = Inside::of(dir).create(Path::new(name), 0o644)?;
            copy(MultiGzDecoder::new(file), to, MOST_UNPACKED, cancelled)
        }
    }
}

fn untar(source: impl Read, dir: &OwnedFd, cancelled: &AtomicBool) -> io::Result<()> {
    // Its real place: entries are held against it.
    let dir = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
    let mut archive = tar::Archive::new(Bounded { inner: source, left: MOST_UNPACKED, cancelled });
    archive.set_preserve_permissions(false);
    archive.set_preserve_mtime(true);
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let refused = |why: &str| io::Error::other(format!("{}: {why}", path.display()));
        if number == MOST_ENTRIES {
            return Err(refused("the archive has too many entries"));
        }
        let kind = entry.header().entry_type();
        if !(kind.is_file()
            || kind.is_dir()
            || kind.is_symlink()
            || kind.is_hard_link()
            || kind.is_gnu_sparse()
            || kind.is_contiguous())
        {
            // Global headers say something about entries and are none.
            match kind.is_pax_global_extensions() {
                true => continue,
                false => return Err(refused("devices and pipes are not unpacked")),
            }
        }
        if !entry.unpack_in(&dir).map_err(|error| refused(&innermost(&error)))? {
            return Err(refused("it leads out of the directory"));
        }
    }
    Ok(())
}
