//! Layers are compressed with gzip or zstd, or not at all; their first bytes say which.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: u32 = 0xfd2f_b528;
/// Frames with these numbers hold no data; sixteen of them.
const SKIPPABLE: u32 = 0x184d_2a50;

const BUFFER: usize = 128 << 10;

/// The archive itself.
pub(super) fn decompressed<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let start = source.fill_buf()?;
    let magic = start.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    Ok(if start.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(source))
    } else if magic.is_some_and(|magic| magic == ZSTD || is_skippable(magic)) {
        Box::new(Zstd(State::Between(source)))
    } else {
        Box::new(source)
    })
}

fn is_skippable(magic: u32) -> bool {
    magic & !15 == SKIPPABLE
}

/// Frame after frame, as one stream. The decoder's window is at most 100 MiB, whatever a frame asks for.
struct Zstd<R: Read>(State<R>);

type Frame<R> = StreamingDecoder<Chain<Cursor<[u8; 4]>, R>, FrameDecoder>;

enum State<R: Read> {
    Between(R),
    Within(Box<Frame<R>>),
    Ended,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            self.0 = match std::mem::replace(&mut self.0, State::Ended) {
                State::Between(source) => next_frame(source)?,
                State::Within(mut frame) => match frame.read(buffer)? {
                    0 => State::Between(frame.into_inner().into_inner().1),
                    read => {
                        self.0 = State::Within(frame);
                        return Ok(read);
                    }
                },
                State::Ended => return Ok(0),
            };
        }
    }
}

fn next_frame<R: Read>(mut source: R) -> io::Result<State<R>> {
    let mut magic = [0; 4];
    let mut at = 0;
    while at < 4 {
        match source.read(&mut magic[at..])? {
            0 if at == 0 => return Ok(State::Ended),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read,
        }
    }
    if is_skippable(u32::from_le_bytes(magic)) {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        if io::copy(&mut source.by_ref().take(length), &mut io::sink())? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        return Ok(State::Between(source));
    }
    let frame = StreamingDecoder::new(Cursor::new(magic).chain(source));
    frame
        .map(|frame| State::Within(Box::new(frame)))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompressed(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_first_bytes_say_how() {
        let text = b"some text, some text".repeat(100);
        assert_eq!(plain(&text).unwrap(), text);
        assert_eq!(plain(b"").unwrap(), b"");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(plain(&gzip).unwrap(), text);
        assert_eq!(plain(&gzip.repeat(2)).unwrap(), text.repeat(2), "members are joined");
        assert!(plain(&gzip[..gzip.len() - 9]).is_err());
        let zstd = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        let skipped = [&[0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..]].concat();
        let whole = [&zstd[..], &skipped, &zstd].concat();
        assert_eq!(plain(&whole).unwrap(), text.repeat(2));
        assert_eq!(plain(&[&skipped[..], &zstd].concat()).unwrap(), text);
        assert!(plain(&whole[..whole.len() - 3]).is_err());
        assert!(plain(&[&zstd[..], b"junk"].concat()).is_err());
    }
}
