//! Spans of time as Mesos' flags and environment variables write them: `5secs`, `1mins`, `2.5hrs`.

use std::fmt;

/// Units and their nanoseconds, ascending.
const UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", 1_000_000_000),
    ("mins", 60_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("days", 86_400_000_000_000),
    ("weeks", 604_800_000_000_000),
];

/// The text is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no duration; write a number and one of ns, us, ms, secs, mins, hrs, days, weeks, as in 5secs"
)]
pub struct ParseError(String);

/// Nanoseconds of a span such as `1.5mins`.
///
/// # Errors
/// There is no unit, no number, or it does not fit.
pub fn parse(text: &str) -> Result<i64, ParseError> {
    let wrong = || ParseError(text.to_owned());
    let text = text.trim();
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = (text[..split].trim(), &text[split..]);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(*nanos).ok_or_else(wrong);
    }
    let value: f64 = number.parse().map_err(|_| wrong())?;
    let total = value * *nanos as f64;
    if total.is_finite() && total.abs() < i64::MAX as f64 { Ok(total.round() as i64) } else { Err(wrong()) }
}

/// Nanoseconds, written with the largest unit of which they are at least one: `90secs` is `1.5mins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nanos(pub i64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.0.unsigned_abs();
        let unit = UNITS.iter().rev().find(|(_, nanos)| amount >= nanos.unsigned_abs());
        let (name, nanos) = unit.copied().unwrap_or(("ns", 1));
        if self.0 % nanos == 0 {
            write!(f, "{}{name}", self.0 / nanos)
        } else {
            write!(f, "{}{name}", self.0 as f64 / nanos as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_spans() {
        for (text, nanos) in [
            ("5secs", 5_000_000_000),
            ("1mins", 60_000_000_000),
            ("0ns", 0),
            ("1.5mins", 90_000_000_000),
            ("1weeks", 604_800_000_000_000),
            ("250ms", 250_000_000),
            ("-3secs", -3_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
            assert_eq!(Nanos(nanos).to_string(), text);
        }
        assert_eq!(Nanos(60_000_000_000 * 60 * 24).to_string(), "1days");
        assert_eq!(parse("1 secs"), Ok(1_000_000_000));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "5", "secs", "5 s", "5sec", "x5secs", "1e400secs", "9999999999weeks", "5secs5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
