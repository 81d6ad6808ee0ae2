//! How much a daemon logs, as Mesos counts it: 0 is what it was started with, more is more, and more ends after a while.
//!
//! Only the words are here. Whoever starts a master or an agent gives it a [`Verbosity`], which does it.

use crate::{Invalid, duration};
use std::time::Duration;

/// Tells and changes how much the program logs.
#[derive(Clone, Copy, Debug)]
pub struct Verbosity {
    /// The level at this moment.
    pub get: fn() -> u32,
    /// Sets the level; after that time it is 0 again, unless it was set anew meanwhile.
    pub set: fn(u32, Duration),
}

/// What `/logging/toggle` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toggle {
    /// The level as it is.
    Tell,
    /// Another one for some time.
    Set(u32, Duration),
}

impl Toggle {
    /// Reads the values of a query.
    ///
    /// # Errors
    /// One is missing or cannot be read.
    pub fn read(level: Option<&str>, time: Option<&str>) -> Result<Self, Invalid> {
        let (level, time) = match (level, time) {
            (None, None) => return Ok(Self::Tell),
            (None, Some(_)) => return Err(Invalid::new("Expecting 'level=value' in query.\n")),
            (Some(_), None) => return Err(Invalid::new("Expecting 'duration=value' in query.\n")),
            (Some(level), Some(time)) => (level, time),
        };
        let level = level
            .parse()
            .map_err(|_| Invalid(format!("Invalid level '{level}': it must be a whole number from 0.\n")))?;
        let nanos = duration::parse(time).map_err(|error| Invalid(format!("{error}.\n")))?;
        Ok(Self::Set(level, self::time(nanos)?))
    }
}

/// A time that a level is set for.
///
/// # Errors
/// It is negative.
pub fn time(nanoseconds: i64) -> Result<Duration, Invalid> {
    let nanos = u64::try_from(nanoseconds);
    nanos.map(Duration::from_nanos).map_err(|_| Invalid::new("the duration must not be negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_mesos_reads_them() {
        assert_eq!(Toggle::read(None, None), Ok(Toggle::Tell));
        assert_eq!(Toggle::read(Some("3"), Some("15mins")), Ok(Toggle::Set(3, Duration::from_secs(900))));
        for (level, time, words) in [
            (Some("1"), None, "Expecting 'duration=value'"),
            (None, Some("1secs"), "Expecting 'level=value'"),
            (Some("-1"), Some("1secs"), "Invalid level '-1'"),
            (Some("1"), Some("a while"), "'a while'"),
            (Some("1"), Some("-1secs"), "negative"),
        ] {
            assert!(Toggle::read(level, time).unwrap_err().0.contains(words), "{words}");
        }
    }
}
