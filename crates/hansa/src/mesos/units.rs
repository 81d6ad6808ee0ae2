//! Amounts of time and memory as Mesos' flags write them: `5secs`, `1.5mins`, `512MB`.

/// Units of time with their nanoseconds.
const TIMES: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 60e9),
    ("hrs", 3_600e9),
    ("days", 86_400e9),
    ("weeks", 604_800e9),
];

/// Units of memory with their bytes; binary, whatever the names say.
const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];

/// Reads a span of time; milliseconds, less than one of them counts as one. The number may have a fraction, the unit must
/// be there and be written as Mesos writes it.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .ok_or_else(|| format!("Invalid duration '{text}': it has no unit, as in 5secs or 10mins"))?;
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| format!("Invalid duration '{text}'"))?;
    // Mesos writes `1secs` and `1mins`; people write `1sec`, and older ones do not accept it. Neither does this.
    let (_, nanoseconds) = TIMES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("Unknown duration unit '{unit}'; there are {}", names(&TIMES)))?;
    let nanoseconds = number * nanoseconds;
    if nanoseconds > i64::MAX as f64 {
        return Err(format!("Argument out of the range that a Duration can represent: '{text}'"));
    }
    Ok((nanoseconds / 1e6).ceil() as u64)
}

/// Reads an amount of memory; bytes. The number is whole, the unit may be written in small letters.
pub fn bytes(text: &str) -> Result<u64, String> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or_else(|| format!("Invalid bytes '{text}': it has no unit, as in 512MB"))?;
    let (number, unit) = text.split_at(end);
    if unit.starts_with('.') {
        return Err(format!("Fractional bytes '{text}'"));
    }
    let number: u64 = number.parse().map_err(|_| format!("Invalid bytes '{text}'"))?;
    let (_, size) = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or_else(|| format!("Unknown bytes unit '{unit}'; there are {}", names(&SIZES)))?;
    number.checked_mul(*size).ok_or_else(|| format!("'{text}' is more than can be counted"))
}

fn names<T>(units: &[(&str, T)]) -> String {
    units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, ms) in [
            ("0ns", 0),
            ("1us", 1),
            ("250ms", 250),
            ("5secs", 5_000),
            ("1.5mins", 90_000),
            ("2hrs", 7_200_000),
            ("1days", 86_400_000),
            ("1weeks", 604_800_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for wrong in ["", "5", "secs", "5s", "5 secs", "-5secs", "1.2.3secs", "99999999weeks"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes_of_it) in [("0B", 0), ("4096KB", 4 << 20), ("2gb", 2 << 30), ("1TB", 1 << 40)] {
            assert_eq!(bytes(text), Ok(bytes_of_it), "{text}");
        }
        for wrong in ["", "5", "MB", "1.5GB", "-1MB", "1PB", "99999999999TB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
