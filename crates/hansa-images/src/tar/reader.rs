//! Entry after entry, each followed by its content.

use super::header::Header;
use super::pax::{self, Records};
use super::{BLOCK, MAX_EXTENSION, TarError};
use std::io::Read;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    HardLink,
    Symlink,
    Dir,
    Fifo,
    /// A character or block device.
    Device,
}

/// One entry, with what its extended headers say.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As written, whatever it holds.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// A link's target, as written.
    pub(crate) link: Vec<u8>,
    /// Permissions with setuid, setgid and sticky bits.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Bytes of content, which [`Reader::content`] gives.
    pub(crate) size: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads an archive.
pub(crate) struct Reader<R> {
    inner: R,
    /// Bytes of the current entry's content not read yet, and of the padding behind it.
    left: u64,
    padding: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// The next entry; None at the end of the archive, which may end without the usual blocks of zeros. What was not read
    /// of the last one's content is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut records = Records::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip()?;
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? || block.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            let header = Header::check(&block)?;
            let size = header.size()?;
            match header.kind() {
                b'x' => records = pax::parse(&self.extension(size)?)?,
                // Defaults for all that follows: image builders put nothing but comments there.
                b'g' => drop(self.extension(size)?),
                b'L' => long_name = Some(trimmed(self.extension(size)?)),
                b'K' => long_link = Some(trimmed(self.extension(size)?)),
                b'S' => return Err(TarError::Unsupported("a sparse file")),
                kind => return self.entry(kind, &header, records, long_name, long_link).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        kind: u8,
        header: &Header<'_>,
        records: Records,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, TarError> {
        let name = records.path.or(long_name).unwrap_or_else(|| header.name());
        let kind = match kind {
            0 | b'0' | b'7' if name.last() == Some(&b'/') => EntryKind::Dir,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' | b'4' => EntryKind::Device,
            b'5' => EntryKind::Dir,
            b'6' => EntryKind::Fifo,
            _ => return Err(TarError::Unsupported("an entry of unknown type")),
        };
        // Only files have content, whatever the field says.
        let size = match kind {
            EntryKind::File => records.size.map_or_else(|| header.size(), Ok)?,
            _ => 0,
        };
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        Ok(Entry {
            name,
            kind,
            link: records.link.or(long_link).unwrap_or_else(|| header.link()),
            mode: header.mode()?,
            uid: records.uid.map_or_else(|| header.uid(), Ok)?,
            gid: records.gid.map_or_else(|| header.gid(), Ok)?,
            size,
            mtime: match records.mtime {
                Some(time) => time,
                None => (header.mtime()?, 0),
            },
            xattrs: records.xattrs,
        })
    }

    /// Reads of the current entry's content; 0 at its end.
    pub(crate) fn content(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match read(&mut self.inner, &mut buffer[..wanted])? {
            0 => Err(TarError::Malformed("it ends within a file")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }

    /// Whatever comes behind the archive's end, so that a digest of the whole can be computed.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// Passes over what is left of the current entry.
    fn skip(&mut self) -> Result<(), TarError> {
        let mut buffer = [0; 8 * BLOCK];
        while self.left > 0 {
            self.content(&mut buffer)?;
        }
        let padding = std::mem::take(&mut self.padding) as usize;
        let mut at = 0;
        while at < padding {
            match read(&mut self.inner, &mut buffer[at..padding])? {
                // Some programs leave out the very last padding.
                0 => break,
                bytes => at += bytes,
            }
        }
        Ok(())
    }

    /// One block; false at the end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, TarError> {
        let mut at = 0;
        while at < BLOCK {
            match read(&mut self.inner, &mut block[at..])? {
                0 if at == 0 => return Ok(false),
                0 => return Err(TarError::Malformed("it ends within a header")),
                bytes => at += bytes,
            }
        }
        Ok(true)
    }

    /// The content of an extended header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::TooLarge("an extended header of more than 1 MiB"));
        }
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        let mut text = vec![0; size as usize];
        let mut at = 0;
        while at < text.len() {
            at += self.content(&mut text[at..])?;
        }
        Ok(text)
    }
}

fn trimmed(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

fn read(inner: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TarError> {
    loop {
        match inner.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.map_err(TarError::Io),
        }
    }
}
