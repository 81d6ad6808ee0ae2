//! Streams of records: each is its length in bytes as a decimal number, a line feed, and its bytes.
//!
//! Mesos' event streams and its containers' input and output are framed like this. [`record`] writes one, [`Decoder`]
//! reads them from pieces that were cut anywhere.

/// Longer records are refused, in bytes, unless a reader says otherwise.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// One record with its frame, as one buffer: clients expect it to be written in one piece.
pub fn record(payload: &[u8]) -> Vec<u8> {
    let length = payload.len().to_string();
    let mut out = Vec::with_capacity(length.len() + 1 + payload.len());
    out.extend_from_slice(length.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload);
    out
}

/// Why a stream of records cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What stands where a length should.
    #[error("the length of a record is not a decimal number")]
    NoLength,
    /// A record that is longer than the reader takes.
    #[error("a record has more than {0} bytes")]
    TooLong(usize),
}

/// Puts records together from pieces of a stream. It holds at most one unfinished record; after an error it stays failed.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: Vec<u8>,
    /// How much of the buffer was given out already.
    start: usize,
    failed: Option<Error>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(MAX_RECORD_BYTES)
    }
}

impl Decoder {
    /// Takes records of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), start: 0, failed: None }
    }

    /// Takes the next piece of the stream. Then [`Self::next`] until it gives None.
    pub fn push(&mut self, piece: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole record; None: more of the stream is needed.
    ///
    /// # Errors
    /// The stream holds no records, or one that is too long; then again with every call.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end where this only waits for more")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.buffer = Vec::new();
            self.start = 0;
        })
    }

    /// Whether the stream may end here: no record is unfinished.
    pub fn is_between_records(&self) -> bool {
        self.start == self.buffer.len() && self.failed.is_none()
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let pending = &self.buffer[self.start..];
        // No length that we take has more digits than the limit.
        let digits = pending
            .iter()
            .take(self.limit.to_string().len() + 1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let length = std::str::from_utf8(&pending[..digits]).unwrap_or_default().parse::<usize>();
        match pending.get(digits) {
            _ if length.as_ref().is_ok_and(|length| *length > self.limit) => Err(Error::TooLong(self.limit)),
            None => Ok(None),
            Some(b'\n') => {
                let length = length.map_err(|_| Error::NoLength)?;
                let begin = self.start + digits + 1;
                let Some(payload) = self.buffer.get(begin..begin + length) else { return Ok(None) };
                let payload = payload.to_vec();
                self.start = begin + length;
                Ok(Some(payload))
            }
            Some(_) => Err(Error::NoLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(decoder: &mut Decoder) -> Result<Vec<Vec<u8>>, Error> {
        std::iter::from_fn(|| decoder.next().transpose()).collect()
    }

    #[test]
    fn a_record_is_its_length_in_bytes_and_itself() {
        assert_eq!(record("ü".as_bytes()), "2\nü".as_bytes());
        assert_eq!(record(&[b'x'; 10]), b"10\nxxxxxxxxxx");
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for bad in
            ["x", "-1\nx", "+1\nx", " 1\nx", "1 \nx", "\nx", "1\r\nx", "99999999999999999999\n", "0x1\nx"]
        {
            let mut decoder = Decoder::new(100);
            decoder.push(bad.as_bytes());
            assert!(decoder.next().is_err(), "{bad:?}");
            decoder.push(b"1\nx");
            assert!(decoder.next().is_err(), "{bad:?}: it stays failed");
            assert!(!decoder.is_between_records());
        }
    }

    #[test]
    fn the_limit_holds_before_the_record_is_there() {
        let mut decoder = Decoder::new(100);
        decoder.push(b"100\n");
        assert_eq!(decoder.next(), Ok(None));
        assert!(!decoder.is_between_records());
        decoder.push(&[0; 100]);
        assert_eq!(decoder.next().map(|record| record.map(|bytes| bytes.len())), Ok(Some(100)));
        decoder.push(b"101");
        assert_eq!(decoder.next(), Err(Error::TooLong(100)), "more digits would not make it less");
    }

    proptest! {
        #[test]
        fn cut_anywhere_they_come_back(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in proptest::collection::vec(1usize..20, 1..20),
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|payload| record(payload)).collect();
            let mut decoder = Decoder::new(40);
            let mut read = Vec::new();
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                decoder.push(piece);
                read.extend(all(&mut decoder).unwrap());
                rest = left;
            }
            prop_assert_eq!(read, records);
            prop_assert!(decoder.is_between_records());
        }

        #[test]
        fn arbitrary_streams_never_panic(pieces in proptest::collection::vec(
            prop_oneof![proptest::collection::vec(any::<u8>(), 0..20), "[0-9\n]{0,8}".prop_map(String::into_bytes)], 0..10))
        {
            let mut decoder = Decoder::new(1_000);
            for piece in pieces {
                decoder.push(&piece);
                let _ = all(&mut decoder);
            }
        }
    }
}
