//! Reading JSON by type, with the codes that Play's JSON library (which Marathon uses) reports faults by. All faults of a
//! body are gathered, not only the first.

use super::problem::Details;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// An object's fields. `null` is the same as absent everywhere.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

/// The path of element `at` of the list at `path`.
pub(super) fn item(path: &str, at: usize) -> String {
    format!("{path}({at})")
}

/// Number of thousandths in a JSON number, rounded; None if it is negative or beyond 10^15 thousandths.
fn thousandths(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (0.0..=1e12).contains(&number).then(|| (number * 1000.0).round() as u64)
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which stands at `path` (empty for the whole body).
    pub(super) fn of(value: &'a Value, path: &'a str, faults: &mut Details) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { map, path }),
            _ => {
                faults.add(path, "error.expected.jsobject");
                None
            }
        }
    }

    /// Where `name` stands.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Where the object itself stands.
    pub(super) fn path(&self) -> &'a str {
        self.path
    }

    /// The value of `name`, unless absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&self, name: &str, faults: &mut Details) -> Option<&'a str> {
        let value = self.get(name)?;
        if !value.is_string() {
            faults.add(self.at(name), "error.expected.jsstring");
        }
        value.as_str()
    }

    /// A truth.
    pub(super) fn flag(&self, name: &str, faults: &mut Details) -> Option<bool> {
        let value = self.get(name)?;
        if !value.is_boolean() {
            faults.add(self.at(name), "error.expected.jsboolean");
        }
        value.as_bool()
    }

    /// A whole number from `low` to `high`.
    pub(super) fn int(&self, name: &str, low: i64, high: i64, faults: &mut Details) -> Option<i64> {
        let value = self.get(name)?;
        match int(value, low, high) {
            Ok(number) => Some(number),
            Err(code) => {
                faults.add(self.at(name), code);
                None
            }
        }
    }

    /// The number of a port, or 0.
    pub(super) fn port(&self, name: &str, faults: &mut Details) -> Option<u16> {
        self.int(name, 0, 65_535, faults).and_then(|number| u16::try_from(number).ok())
    }

    /// A text that must be there and not empty.
    pub(super) fn needed_text(&self, name: &str, faults: &mut Details) -> Option<&'a str> {
        if self.get(name).is_none() {
            faults.add(self.at(name), "error.path.missing");
        }
        let text = self.text(name, faults)?;
        if text.is_empty() {
            faults.add(self.at(name), "error.minLength");
        }
        Some(text)
    }

    /// A whole number from 0 to `high`, as a duration in seconds and such.
    pub(super) fn count(&self, name: &str, high: u32, faults: &mut Details) -> Option<u32> {
        self.int(name, 0, i64::from(high), faults).and_then(|number| u32::try_from(number).ok())
    }

    /// A decimal number as thousandths, from `low` to `high` thousandths.
    pub(super) fn milli(&self, name: &str, low: u64, high: u64, faults: &mut Details) -> Option<u64> {
        let value = self.get(name)?;
        let Some(number) = value.as_f64() else {
            faults.add(self.at(name), "error.expected.jsnumber");
            return None;
        };
        if number * 1000.0 < low as f64 {
            faults.add(self.at(name), "error.min");
            return None;
        }
        match thousandths(value) {
            Some(milli) if milli <= high && number * 1000.0 <= high as f64 => Some(milli),
            _ => {
                faults.add(self.at(name), "error.max");
                None
            }
        }
    }

    /// A list.
    pub(super) fn list(&self, name: &str, faults: &mut Details) -> Option<&'a [Value]> {
        let value = self.get(name)?;
        if !value.is_array() {
            faults.add(self.at(name), "error.expected.jsarray");
        }
        value.as_array().map(Vec::as_slice)
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str, faults: &mut Details) -> Option<Vec<String>> {
        let list = self.list(name, faults)?;
        Some(texts(list, &self.at(name), faults))
    }

    /// A map from text to text.
    pub(super) fn text_map(&self, name: &str, faults: &mut Details) -> Option<BTreeMap<String, String>> {
        let path = self.at(name);
        let fields = Fields::of(self.get(name)?, &path, faults)?;
        let mut map = BTreeMap::new();
        for key in fields.map.keys() {
            match fields.get(key) {
                Some(Value::String(value)) => drop(map.insert(key.clone(), value.clone())),
                _ => faults.add(fields.at(key), "error.expected.jsstring"),
            }
        }
        Some(map)
    }

    /// One of some words, in any case of letters; the canonical spelling comes back.
    pub(super) fn word(
        &self,
        name: &str,
        words: &[&'static str],
        faults: &mut Details,
    ) -> Option<&'static str> {
        let text = self.text(name, faults)?;
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied();
        if found.is_none() {
            faults.add(self.at(name), "error.unknown.enum.literal");
        }
        found
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a String> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name)
    }
}

/// A whole number from `low` to `high`, or the code of what is wrong with it.
pub(super) fn int(value: &Value, low: i64, high: i64) -> Result<i64, &'static str> {
    let number = match value {
        Value::Number(number) => number,
        _ => return Err("error.expected.jsnumber"),
    };
    // 3.0 is a whole number too.
    let whole = number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
    });
    match whole {
        None => Err("error.expected.int"),
        Some(number) if number < low => Err("error.min"),
        Some(number) if number > high => Err("error.max"),
        Some(number) => Ok(number),
    }
}

/// All elements that are texts; the others are faults.
pub(super) fn texts(list: &[Value], path: &str, faults: &mut Details) -> Vec<String> {
    let mut texts = Vec::with_capacity(list.len());
    for (at, value) in list.iter().enumerate() {
        match value {
            Value::String(text) => texts.push(text.clone()),
            _ => faults.add(item(path, at), "error.expected.jsstring"),
        }
    }
    texts
}

/// Whether `name` is one for ports and networks: `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

/// Whether something comes more than once.
pub(super) fn has_twice<T: Ord>(values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.into_iter().any(|value| !seen.insert(value))
}
