//! The xz format, in bounded memory: streams one after another, with or without zeros between them, as `xz` and `pixz`
//! write them. Checks are verified, SHA-256 ones excepted, which hardly anybody writes and which are refused.

use std::io::{self, BufRead, Read};
use xz4rust::{XzDecoder, XzError, XzNextBlockResult};

/// Most memory that an archive may make us use, in bytes; `xz -9` needs half of it.
const MOST_MEMORY: usize = 128 << 20;
/// What is taken at first.
const FIRST_MEMORY: usize = 1 << 20;

/// Reads what is packed in `source`.
pub(super) struct XzReader<R> {
    source: R,
    decoder: Box<XzDecoder<'static>>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first stream, which must be there.
    Begin,
    /// In a stream.
    Inside,
    /// After one, and so many zeros.
    Behind(u64),
}

impl<R: BufRead> XzReader<R> {
    pub(super) fn new(source: R) -> Self {
        let decoder = XzDecoder::in_heap_with_alloc_dict_size(FIRST_MEMORY, MOST_MEMORY);
        Self { source, decoder, place: Place::Begin }
    }
}

impl<R: BufRead> Read for XzReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.source.fill_buf()?;
            if let Place::Behind(zeros) = self.place {
                let more = input.iter().take_while(|byte| **byte == 0).count();
                let (zeros, at_end) = (zeros + more as u64, input.is_empty());
                let goes_on = more < input.len();
                self.source.consume(more);
                self.place = if goes_on { Place::Inside } else { Place::Behind(zeros) };
                match (at_end || goes_on) && !zeros.is_multiple_of(4) {
                    true => return Err(damaged("there is something behind its end")),
                    false if at_end => return Ok(0),
                    false => continue,
                }
            }
            if input.is_empty() {
                return Err(damaged("it ends too early"));
            }
            self.place = Place::Inside;
            let (used, written, ends) = match self.decoder.decode(input, buffer).map_err(refused)? {
                XzNextBlockResult::NeedMoreData(used, written) => (used, written, false),
                XzNextBlockResult::EndOfStream(used, written) => (used, written, true),
            };
            self.source.consume(used);
            if ends {
                self.decoder.reset();
                self.place = Place::Behind(0);
            } else if (used, written) == (0, 0) {
                return Err(damaged("it leads nowhere"));
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is no xz file, or a damaged one: {why}"))
}

fn refused(error: XzError) -> io::Error {
    match error {
        XzError::DictionaryTooLarge(bytes) => io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "unpacking it takes {} MiB of memory, and {} are allowed: compress it with `xz -9` at most",
                bytes >> 20,
                MOST_MEMORY >> 20
            ),
        ),
        other => damaged(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four MiB of zeros.
    const ZEROS: &[u8] = include_bytes!("../../tests/data/zeros.xz");
    /// "little", with a dictionary of half a GiB.
    const GREEDY: &[u8] = include_bytes!("../../tests/data/greedy.xz");
    /// "little", as `xz` writes it.
    const LITTLE: &[u8] = include_bytes!("../../tests/data/little.xz");

    /// However the bytes arrive.
    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let read = |capacity| {
            let mut out = Vec::new();
            XzReader::new(io::BufReader::with_capacity(capacity, bytes)).read_to_end(&mut out).map(|_| out)
        };
        let (at_once, one_by_one) = (read(1 << 20), read(1));
        let told = |result: &io::Result<Vec<u8>>| result.as_ref().map_err(ToString::to_string).cloned();
        assert_eq!(told(&at_once), told(&one_by_one));
        at_once
    }

    #[test]
    fn streams_one_after_another() {
        assert_eq!(unpack(LITTLE).unwrap(), b"little");
        assert_eq!(unpack(ZEROS).unwrap(), vec![0; 4 << 20]);
        assert_eq!(unpack(&[LITTLE, LITTLE].concat()).unwrap(), b"littlelittle");
        assert_eq!(unpack(&[LITTLE, &[0; 4], LITTLE, &[0; 8]].concat()).unwrap(), b"littlelittle");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for length in 0..LITTLE.len() {
            let error = unpack(&LITTLE[..length]).unwrap_err().to_string();
            assert!(error.ends_with("it ends too early"), "{length}: {error}");
        }
        for at in 0..LITTLE.len() {
            let mut bytes = LITTLE.to_vec();
            bytes[at] ^= 0x10;
            assert!(unpack(&bytes).is_err(), "byte {at} is of no importance");
        }
        for behind in [&b"x"[..], &[0; 3], &[0, 0, 0, b'x'], &LITTLE[..9]] {
            assert!(unpack(&[LITTLE, behind].concat()).is_err(), "{behind:?}");
        }
        assert!(unpack(b"not xz at all").is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let error = unpack(GREEDY).unwrap_err().to_string();
        assert!(error.contains("takes 512 MiB of memory, and 128 are allowed"), "{error}");
    }

    #[test]
    fn what_grows_too_much_is_stopped() {
        let unwanted = std::sync::atomic::AtomicBool::new(false);
        let copied = |most| super::super::archive::copy(XzReader::new(ZEROS), io::sink(), most, &unwanted);
        assert!(ZEROS.len() < 1000);
        copied(4 << 20).unwrap();
        assert!(copied((4 << 20) - 1).is_err());
    }
}
