//! Wall-clock time as the kernel counts it. Nothing here reads a clock; time comes in as an argument.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Add;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds, as in `2015-09-30T09:09:17.614Z`.
    pub fn to_rfc3339(self) -> String {
        let instant = jiff::Timestamp::from_millisecond(i64::try_from(self.0).unwrap_or(i64::MAX))
            .unwrap_or(jiff::Timestamp::MAX);
        format!("{instant:.3}")
    }
}

impl Add<u64> for Timestamp {
    type Output = Timestamp;

    /// Adds milliseconds.
    fn add(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// The text is not an RFC 3339 time after 1970.
#[derive(Debug, thiserror::Error)]
#[error("not a time like 2015-09-30T09:09:17.614Z: {0:?}")]
pub struct ParseTimestampError(String);

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError(text.into()))?;
        u64::try_from(instant.as_millisecond()).map(Timestamp).map_err(|_| ParseTimestampError(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_milliseconds_and_reads_back() {
        let text = "2015-09-30T09:09:17.614Z";
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
