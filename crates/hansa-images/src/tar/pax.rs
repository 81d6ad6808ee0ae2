//! Pax records: what the fixed fields cannot say.

use super::TarError;

/// What an extended header says of the entry behind it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    /// Seconds and nanoseconds.
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads `LENGTH KEY=VALUE\n`, again and again. Keys that are not known say nothing that matters here.
pub(super) fn parse(mut text: &[u8]) -> Result<Records, TarError> {
    const WRONG: TarError = TarError::Malformed("a pax record is not one");
    let mut records = Records::default();
    while !text.is_empty() {
        let blank = text.iter().position(|&byte| byte == b' ').ok_or(WRONG)?;
        let length = usize::try_from(number(&text[..blank]).ok_or(WRONG)?).map_err(|_| WRONG)?;
        if length <= blank + 1 || length > text.len() || text[length - 1] != b'\n' {
            return Err(WRONG);
        }
        let record = &text[blank + 1..length - 1];
        let equals = record.iter().position(|&byte| byte == b'=').ok_or(WRONG)?;
        records.take(&record[..equals], &record[equals + 1..])?;
        text = &text[length..];
    }
    Ok(records)
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        const WRONG: TarError = TarError::Malformed("a pax record has a number that is none");
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value).ok_or(WRONG)?),
            b"uid" => self.uid = Some(number(value).ok_or(WRONG)?),
            b"gid" => self.gid = Some(number(value).ok_or(WRONG)?),
            b"mtime" => self.mtime = Some(time(value).ok_or(WRONG)?),
            _ if key.starts_with(b"GNU.sparse.") => return Err(TarError::Unsupported("a sparse file")),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `SECONDS.FRACTION`, perhaps negative; rounded down to nanoseconds.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i64::try_from(number(whole.as_bytes())?).ok()? * sign;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match (sign, nanos) {
        (-1, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_to_the_end() {
        let text = b"12 path=a/b\n11 uid=700\n20 mtime=-1.25\n";
        assert!(parse(text).is_err(), "the last length is wrong");
        let text =
            b"12 path=a/b\n11 uid=700\n15 mtime=-1.25\n30 SCHILY.xattr.user.x=\x01=\n\x00yz\n13 comment=x\n";
        let records = parse(text).unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!((records.uid, records.mtime), (Some(700), Some((-2, 750_000_000))));
        assert_eq!(records.xattrs, [(b"user.x".to_vec(), b"\x01=\n\x00yz".to_vec())]);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in
            ["x", "5 a=b", "0 a=b\n", "99 a=b\n", "5 ab\n\n", "6 a=b\n7", "11 size=-1\n", "10 uid=1x\n"]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(matches!(parse(b"22 GNU.sparse.major=1\n"), Err(TarError::Unsupported(_))));
    }
}
