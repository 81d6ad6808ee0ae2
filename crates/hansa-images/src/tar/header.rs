//! One header block: fixed fields of text and numbers.

use super::{BLOCK, TarError};

/// A header block whose checksum is right.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    pub(super) fn check(block: &'a [u8; BLOCK]) -> Result<Self, TarError> {
        let stated =
            octal(&block[148..156]).ok_or(TarError::Malformed("a header's checksum is no number"))?;
        let counted = |byte: fn(u8) -> i64| {
            block
                .iter()
                .enumerate()
                .map(|(at, &b)| if (148..156).contains(&at) { 32 } else { byte(b) })
                .sum::<i64>()
        };
        // Some old programs added signed bytes.
        let right = [counted(i64::from), counted(|b| i64::from(b.cast_signed()))];
        match i64::try_from(stated).is_ok_and(|stated| right.contains(&stated)) {
            true => Ok(Self(block)),
            false => Err(TarError::Malformed("a header's checksum is wrong")),
        }
    }

    /// The name, joined of its two parts if it has them.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let is_posix = &self.0[257..263] == b"ustar\0";
        let prefix = if is_posix { text(&self.0[345..500]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn mode(&self) -> Result<u32, TarError> {
        Ok((self.number(100..108, "a mode")? & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u64, TarError> {
        self.number(108..116, "a user id")
    }

    pub(super) fn gid(&self) -> Result<u64, TarError> {
        self.number(116..124, "a group id")
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        self.number(124..136, "a size")
    }

    /// Seconds since 1970; negative before.
    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        signed(&self.0[136..148]).ok_or(TarError::Malformed("a time is no number"))
    }

    /// Whether it is a character device with the numbers that overlayfs' whiteouts have is of no interest: devices are
    /// never made, whatever their numbers.
    fn number(&self, at: std::ops::Range<usize>, what: &'static str) -> Result<u64, TarError> {
        let value = signed(&self.0[at]).and_then(|value| u64::try_from(value).ok());
        value.ok_or(match what {
            "a size" => TarError::Malformed("a size is no number"),
            "a mode" => TarError::Malformed("a mode is no number"),
            _ => TarError::Malformed("an owner is no number"),
        })
    }
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits between blanks and zero bytes; nothing is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let from = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let digits = &field[from..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    if !digits[end..].iter().all(blank) {
        return None;
    }
    digits[..end].iter().try_fold(0u64, |sum, &byte| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Octal, or GNU's binary form: the first bit set, then two's complement.
fn signed(field: &[u8]) -> Option<i64> {
    match field.first()? {
        first if first & 0x80 == 0 => i64::try_from(octal(field)?).ok(),
        first => {
            // Its next bit is the sign.
            let start =
                if first & 0x40 == 0 { i128::from(first & 0x3f) } else { i128::from(first & 0x3f) - 64 };
            let value = field[1..].iter().fold(start, |sum, &byte| (sum << 8) | i128::from(byte));
            i64::try_from(value).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_forms() {
        assert_eq!(octal(b"0000644\0"), Some(0o644));
        assert_eq!(octal(b"   644 \0"), Some(0o644));
        assert_eq!(octal(b"\0\0\0\0"), Some(0));
        assert_eq!(octal(b"64 4"), None);
        assert_eq!(octal(b"8"), None);
        assert_eq!(octal(b"7777777777777777777777777"), None);
        assert_eq!(signed(b"\x80\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(signed(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        assert_eq!(signed(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
