//! JSON text to protobuf's bytes, as leniently as Mesos reads it.
//!
//! Fields that are not known are ignored, `null` is "not set", numbers and truth values may be texts, one value may stand
//! where several are expected, and names may be in camel case. What is left out although it is required is found
//! afterwards, on the bytes.

use super::DecodeError;
use super::schema::{Field, Kind, Label, Message, SCHEMA};
use super::wire::{put_bytes, put_double, put_number};
use crate::duration;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

/// Padding may be missing, and people forget to clear the last bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of a message that stands as an object in JSON.
pub(super) fn message(message: &Message, object: &Map<String, Value>) -> Result<Vec<u8>, DecodeError> {
    let mut path = Vec::new();
    Reader { path: &mut path }.message(message, object)
}

struct Reader<'p, 'a> {
    /// Where in the text this is, for errors.
    path: &'p mut Vec<&'a str>,
}

impl<'a> Reader<'_, 'a> {
    fn message(&mut self, message: &Message, object: &'a Map<String, Value>) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        for (name, value) in object {
            let Some(field) = message.named(name) else { continue };
            self.path.push(name);
            self.field(&mut out, field, value)?;
            self.path.pop();
        }
        Ok(out)
    }

    /// All that a field has.
    fn field(&mut self, out: &mut Vec<u8>, field: &Field, value: &'a Value) -> Result<(), DecodeError> {
        match (field.label, value) {
            (_, Value::Null) => Ok(()),
            (Label::Map, Value::Object(entries)) => self.map(out, field, entries),
            (Label::Map, _) => Err(self.unexpected(value, "an object")),
            (Label::Repeated, Value::Array(values)) => {
                values.iter().try_for_each(|value| self.value(out, field, value))
            }
            (Label::Optional | Label::Required, Value::Array(_)) => {
                Err(self.unexpected(value, "a single value"))
            }
            _ => self.value(out, field, value),
        }
    }

    fn map(
        &mut self,
        out: &mut Vec<u8>,
        field: &Field,
        entries: &'a Map<String, Value>,
    ) -> Result<(), DecodeError> {
        let Kind::Message(entry) = field.kind else { return Ok(()) };
        let Some((_, inner)) = SCHEMA.message(entry).field(2) else { return Ok(()) };
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            self.path.push(key);
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, key.as_bytes());
            self.value(&mut bytes, inner, value)?;
            put_bytes(out, field.number, &bytes);
            self.path.pop();
        }
        Ok(())
    }

    /// One value.
    fn value(&mut self, out: &mut Vec<u8>, field: &Field, value: &'a Value) -> Result<(), DecodeError> {
        let number = field.number;
        match (field.kind, value) {
            (_, Value::Null) => {}
            (Kind::Message(inner), Value::Object(object)) => {
                let bytes = self.message(SCHEMA.message(inner), object)?;
                put_bytes(out, number, &bytes);
            }
            (Kind::Message(inner), Value::String(text)) if SCHEMA.message(inner).is_duration => {
                put_bytes(out, number, &self.duration(text)?);
            }
            (Kind::Message(_), _) => return Err(self.unexpected(value, "an object")),
            (Kind::Text, Value::String(text)) => put_bytes(out, number, text.as_bytes()),
            (Kind::Text, _) => return Err(self.unexpected(value, "a text")),
            (Kind::Bytes, Value::String(text)) => put_bytes(out, number, &self.base64(text)?),
            (Kind::Bytes, _) => return Err(self.unexpected(value, "bytes as base64")),
            (Kind::Enum(at), Value::String(name)) => match SCHEMA.enumeration(at).number(name) {
                // Negative numbers do not occur; protobuf would write them as 64 bits.
                Some(found) => put_number(out, number, found as i64 as u64),
                None if field.label == Label::Required => {
                    return Err(self.wrong(format!("'{name}' is none of the names it can have")));
                }
                // Of a newer version, perhaps: as if it were not there.
                None => {}
            },
            (Kind::Enum(_), _) => return Err(self.unexpected(value, "a name")),
            (Kind::Bool, Value::Bool(truth)) => put_number(out, number, u64::from(*truth)),
            (Kind::Bool, Value::String(text)) => match text.trim() {
                "true" => put_number(out, number, 1),
                "false" => put_number(out, number, 0),
                _ => return Err(self.wrong(format!("'{text}' is neither true nor false"))),
            },
            (Kind::Bool, _) => return Err(self.unexpected(value, "true or false")),
            (Kind::Double, Value::Number(_) | Value::String(_)) => {
                put_double(out, number, self.double(value)?)
            }
            (
                Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64,
                Value::Number(_) | Value::String(_),
            ) => {
                put_number(out, number, self.integer(field.kind, value)?);
            }
            (Kind::Double | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64, _) => {
                return Err(self.unexpected(value, "a number"));
            }
        }
        Ok(())
    }

    fn double(&self, value: &Value) -> Result<f64, DecodeError> {
        match value {
            Value::String(text) if text == "Infinity" => Ok(f64::INFINITY),
            Value::String(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
            Value::String(text) if text == "NaN" => Ok(f64::NAN),
            _ => self.number(value)?.as_f64().ok_or_else(|| self.wrong("the number is out of range".into())),
        }
    }

    /// An integer as it stands on the wire. A fraction is cut off, as Mesos does.
    fn integer(&self, kind: Kind, value: &Value) -> Result<u64, DecodeError> {
        let number = self.number(value)?;
        let whole = match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(signed), ..) => i128::from(signed),
            (_, Some(unsigned), _) => i128::from(unsigned),
            // Larger than any integer that we have becomes the largest, and is refused below.
            (.., Some(float)) => float as i128,
            _ => return Err(self.wrong("the number is out of range".into())),
        };
        let (least, most) = match kind {
            Kind::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Kind::Int64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
            Kind::Uint32 => (0, i128::from(u32::MAX)),
            _ => (0, i128::from(u64::MAX)),
        };
        if !(least..=most).contains(&whole) {
            return Err(self.wrong(format!("{whole} is not between {least} and {most}")));
        }
        // Negative ones stand as 64 bits of two's complement.
        Ok(whole as u64)
    }

    fn number(&self, value: &Value) -> Result<Number, DecodeError> {
        match value {
            Value::Number(number) => Ok(number.clone()),
            Value::String(text) => {
                serde_json::from_str(text.trim()).map_err(|_| self.wrong(format!("'{text}' is no number")))
            }
            _ => Err(self.unexpected(value, "a number")),
        }
    }

    fn base64(&self, text: &str) -> Result<Vec<u8>, DecodeError> {
        let packed: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        BASE64.decode(packed).map_err(|error| self.wrong(format!("not base64: {error}")))
    }

    /// `google.protobuf.Duration` as people write it: `600s` or `10mins`.
    fn duration(&self, text: &str) -> Result<Vec<u8>, DecodeError> {
        let nanos = match text.strip_suffix('s').and_then(|seconds| seconds.trim().parse::<u32>().ok()) {
            Some(seconds) => i64::from(seconds) * 1_000_000_000,
            None => duration::parse(text).map_err(|error| self.wrong(error.to_string()))?,
        };
        let mut out = Vec::new();
        put_number(&mut out, 1, (nanos / 1_000_000_000) as u64);
        put_number(&mut out, 2, (nanos % 1_000_000_000) as u64);
        Ok(out)
    }

    fn wrong(&self, what: String) -> DecodeError {
        DecodeError::Field { path: self.path.join("."), what }
    }

    fn unexpected(&self, value: &Value, expected: &str) -> DecodeError {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        self.wrong(format!("expected {expected}, found {found}"))
    }
}
