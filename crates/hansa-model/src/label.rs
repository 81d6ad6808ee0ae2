//! Labels of an app that mean something to Hansa. To everybody else they are labels like any other.

use std::collections::BTreeMap;

/// A deployment that makes no progress for this long is shown as failing: `300s`.
pub const PROGRESS_DEADLINE: &str = "HANSA_PROGRESS_DEADLINE";
/// `true`: a failing deployment of the app is rolled back without being asked.
pub const AUTO_ROLLBACK: &str = "HANSA_AUTO_ROLLBACK";
/// An update replaces this share of the instances, then pauses: `10%`.
pub const CANARY: &str = "HANSA_CANARY";
/// Time from the moment that an instance leaves the list of healthy ones to its SIGTERM: `2s`.
pub const DRAIN: &str = "HANSA_DRAIN";

/// Milliseconds of a time such as `300s`, `5m`, `1h`, `250ms`, or bare seconds. None: it is no time, or more than a year.
pub fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|ms| *ms <= 366 * 86_400_000)
}

/// Thousandths of a share such as `10%` or `0.5%`. None: it is none, or not between 0 and 100 %.
pub fn share_milli(text: &str) -> Option<u16> {
    let number = text.trim().strip_suffix('%')?.trim();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(tenth) || tenth.len() != 1 {
        return None;
    }
    let milli = whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)?;
    (milli <= 1_000).then_some(milli)
}

/// What is wrong with an app's labels of ours, by name; with what would be right.
pub fn faults(labels: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    for name in [PROGRESS_DEADLINE, DRAIN] {
        if let Some(text) = labels.get(name).filter(|text| duration_ms(text).is_none()) {
            faults.push((name, format!("'{text}' is no time; write it as 300s, 5m or 250ms")));
        }
    }
    if let Some(text) = labels.get(CANARY).filter(|text| share_milli(text).is_none()) {
        faults.push((CANARY, format!("'{text}' is no share; write it as 10%")));
    }
    if let Some(text) = labels.get(AUTO_ROLLBACK).filter(|text| !["true", "false"].contains(&text.as_str())) {
        faults.push((AUTO_ROLLBACK, format!("'{text}' is neither true nor false")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [
            ("300s", Some(300_000)),
            ("5", Some(5_000)),
            ("250ms", Some(250)),
            ("2 m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999", None),
            ("9999999h", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn shares() {
        for (text, milli) in [
            ("10%", Some(100)),
            ("0.5%", Some(5)),
            ("100%", Some(1_000)),
            ("101%", None),
            ("10", None),
            ("%", None),
            ("+1%", None),
            ("1.25%", None),
            ("9999999%", None),
        ] {
            assert_eq!(share_milli(text), milli, "{text}");
        }
    }

    #[test]
    fn faults_name_the_label_and_the_remedy() {
        let labels = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(faults(&labels(DRAIN, "2s")), []);
        assert_eq!(
            faults(&labels(CANARY, "ten")),
            [(CANARY, "'ten' is no share; write it as 10%".to_owned())]
        );
        assert_eq!(faults(&labels(AUTO_ROLLBACK, "yes")).len(), 1);
    }
}
