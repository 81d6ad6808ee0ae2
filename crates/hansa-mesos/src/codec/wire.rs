//! Protobuf's bytes, one field at a time, without knowing what they mean.

use super::DecodeError;

/// One field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Raw<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// Doubles.
    Fixed64(u64),
    /// Floats.
    Fixed32(u32),
    /// Texts, bytes, messages, map entries, packed numbers.
    Bytes(&'a [u8]),
}

/// Reads the fields of one message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Of a message's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field: its number and value. None at the end.
    pub fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or_else(cut)?;
        let value = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| cut())?;
                Raw::Bytes(self.take(length)?)
            }
            5 => Raw::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups, which Mesos never had, and what is no wire type at all.
            _ => return Err(cut()),
        };
        Ok(Some((number, value)))
    }

    /// A bare number, as in packed fields.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(cut())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*taken)
    }
}

fn cut() -> DecodeError {
    DecodeError::Malformed("the bytes are not a protobuf message".into())
}

/// Appends a bare number.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field that is a number.
pub(super) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// Appends a field that is a double.
pub(super) fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field that is a text, bytes or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field as it was read.
pub(super) fn put_raw(out: &mut Vec<u8>, field: u32, value: Raw<'_>) {
    match value {
        Raw::Varint(value) => put_number(out, field, value),
        Raw::Fixed64(bits) => put_double(out, field, f64::from_bits(bits)),
        Raw::Fixed32(bits) => {
            put_varint(out, u64::from(field) << 3 | 5);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Raw::Bytes(bytes) => put_bytes(out, field, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_put() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1, u64::MAX);
        put_double(&mut bytes, 2, 0.1);
        put_bytes(&mut bytes, 536_870_911, b"x");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.next().unwrap(), Some((1, Raw::Varint(u64::MAX))));
        assert_eq!(reader.next().unwrap(), Some((2, Raw::Fixed64(0.1f64.to_bits()))));
        assert_eq!(reader.next().unwrap(), Some((536_870_911, Raw::Bytes(b"x"))));
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn what_is_cut_short_or_no_field_is_refused() {
        for bad in [&[0x0a, 5, 1][..], &[0x08], &[0x08, 0x80], &[0x09, 1], &[0x00, 1], &[0x0b], &[0xff; 11]] {
            assert!(Reader::new(bad).next().is_err(), "{bad:?}");
        }
    }
}
