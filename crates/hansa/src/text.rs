//! Quantities and times as people read them.

use hansa_model::Timestamp;
use hansa_model::resources::milli_text;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes with a binary unit and at most one decimal: `512M`, `1.5G`.
pub fn bytes(amount: u64) -> String {
    const UNITS: [&str; 6] = ["", "K", "M", "G", "T", "P"];
    let mut unit = 0;
    let mut tenths = u128::from(amount) * 10;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    if tenths.is_multiple_of(10) || tenths >= 1000 {
        format!("{}{}", (tenths + 5) / 10, UNITS[unit])
    } else {
        format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// Thousandths of a CPU as CPUs.
pub fn cpus(milli: u64) -> String {
    milli_text(milli)
}

/// `used` of `total` in percent, or `-` of nothing.
pub fn percent(used: u64, total: u64) -> String {
    if total == 0 {
        "-".into()
    } else {
        format!("{}%", (u128::from(used) * 100 + u128::from(total) / 2) / u128::from(total))
    }
}

/// A span of milliseconds in its one or two largest units: `45s`, `3m 5s`, `2d 4h`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (value, unit, rest, rest_unit) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3600 => (seconds / 60, "m", seconds % 60, "s"),
        3600..86400 => (seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => (seconds / 86400, "d", seconds % 86400 / 3600, "h"),
    };
    if rest == 0 { format!("{value}{unit}") } else { format!("{value}{unit} {rest}{rest_unit}") }
}

/// How long ago `then` was.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    span(now.since(then))
}

/// Words of the master with its times to come as spans: `until 2026-11-22T18:23:53.870Z` is `for 4s`.
pub fn from_now(words: &str, now: Timestamp) -> String {
    let mut parts = words.split("until ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_at(part.find([' ', ',', ';', ')']).unwrap_or(part.len()));
        match time.parse::<Timestamp>() {
            Ok(then) => out.push_str(&format!("for {}{rest}", span(then.since(now)))),
            Err(_) => out.push_str(&format!("until {part}")),
        }
    }
    out
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Reads `500ms`, `10s`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("'{text}' is not a time span like 500ms, 10s, 2m or 1h");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// The text without line breaks and control characters, at most `width` characters long.
pub fn one_line(text: &str, width: usize) -> String {
    let flat: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    shorten(flat.trim(), width)
}

/// At most `width` characters of the text, with `…` where something is missing.
pub fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The same, but what is missing is its beginning.
pub fn shorten_front(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width.max(1))).collect()
}

/// The height of the terminal that stdout is; a usual one if it is none.
pub fn terminal_height() -> usize {
    // SAFETY: `winsize` is plain data that the call fills in; nothing else is touched.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        match libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) == 0 && size.ws_row > 0 {
            true => usize::from(size.ws_row),
            false => 24,
        }
    }
}

pub use hansa_model::words::counted as count;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_few_digits() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 64 << 20, 23 << 30, (1 << 30) - 1, u64::MAX]
            .map(bytes)
            .into_iter()
            .collect();
        assert_eq!(shown, ["0", "1023", "1K", "1.5K", "64M", "23G", "1G", "16384P"]);
    }

    #[test]
    fn spans_have_two_units() {
        let shown: Vec<_> =
            [0, 59_999, 60_000, 185_000, 7_260_000, 187_200_000].map(span).into_iter().collect();
        assert_eq!(shown, ["0s", "59s", "1m", "3m 5s", "2h 1m", "2d 4h"]);
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        for wrong in ["", "s", "-1s", "1.5s", "1d", "99999999999999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_to_come_are_spans() {
        let words = "1 instance waits until 1970-01-01T00:01:05.000Z because of failures, until all is well";
        let told = "1 instance waits for 1m because of failures, until all is well";
        assert_eq!(from_now(words, Timestamp(5_000)), told);
        assert_eq!(from_now("until 1970-01-01T00:00:01.000Z", Timestamp(5_000)), "for 0s", "it is over");
    }

    #[test]
    fn percent_of_nothing_is_a_dash() {
        assert_eq!((percent(1, 3).as_str(), percent(5, 0).as_str()), ("33%", "-"));
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(one_line("a\nb\tc\n", 80), "a b c");
        assert_eq!((shorten("abcdef", 4).as_str(), shorten_front("abcdef", 4).as_str()), ("abc…", "…def"));
    }
}
