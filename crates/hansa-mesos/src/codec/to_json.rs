//! Protobuf's bytes to JSON text, as Mesos writes it: on one line, names as in the protos, what is set and what has a
//! default, in the order of declaration.

use super::DecodeError;
use super::schema::{Field, Kind, Label, Message, SCHEMA};
use super::wire::{Raw, Reader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// One message as JSON.
pub(super) fn message(message: &Message, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut writer = Writer { out: Vec::with_capacity(bytes.len() * 3), stack: Vec::new() };
    writer.message(message, bytes)?;
    Ok(writer.out)
}

/// A double as Mesos writes it: always with a fraction or an exponent. What JSON has no number for becomes a text, which
/// is read back as what it was.
pub(super) fn double(value: f64) -> String {
    if value.is_nan() {
        "\"NaN\"".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "\"Infinity\"".to_owned() } else { "\"-Infinity\"".to_owned() }
    } else {
        // serde_json writes `1.0` for 1, and never a number without fraction or exponent.
        serde_json::Value::from(value).to_string()
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    /// Of all messages that are being written: (place of the field, its value).
    stack: Vec<(usize, Raw<'a>)>,
}

impl<'a> Writer<'a> {
    fn message(&mut self, message: &Message, bytes: &'a [u8]) -> Result<(), DecodeError> {
        let base = self.stack.len();
        let mut reader = Reader::new(bytes);
        while let Some((number, raw)) = reader.next()? {
            if let Some((place, _)) = message.field(number) {
                self.stack.push((place, raw));
            }
        }
        // Ours come in the order of numbers, mostly the order of declaration too.
        if !self.stack[base..].is_sorted_by_key(|entry| entry.0) {
            self.stack[base..].sort_by_key(|entry| entry.0);
        }
        self.out.push(b'{');
        let mut first = true;
        let mut next = base;
        let end = self.stack.len();
        for (place, field) in message.fields.iter().enumerate() {
            let from = next;
            while next < end && self.stack[next].0 == place {
                next += 1;
            }
            if from == next && field.default.is_none() {
                continue;
            }
            let mark = self.out.len();
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&field.key);
            let written = match &field.default {
                Some(default) if from == next => {
                    self.out.extend_from_slice(default);
                    true
                }
                _ => self.field(field, from, next)?,
            };
            if !written {
                first = self.out[mark..].first() != Some(&b',');
                self.out.truncate(mark);
            }
        }
        self.out.push(b'}');
        self.stack.truncate(base);
        Ok(())
    }

    /// All of a field's values, `stack[from..to]`. False: none of them means anything (an enum's number without a name).
    fn field(&mut self, field: &Field, from: usize, to: usize) -> Result<bool, DecodeError> {
        match field.label {
            Label::Map => {
                self.out.push(b'{');
                for at in from..to {
                    if at > from {
                        self.out.push(b',');
                    }
                    self.entry(field, self.stack[at].1)?;
                }
                self.out.push(b'}');
                Ok(true)
            }
            Label::Repeated => {
                self.out.push(b'[');
                let start = self.out.len();
                for at in from..to {
                    let mark = self.out.len();
                    if mark > start {
                        self.out.push(b',');
                    }
                    if !self.value(field.kind, self.stack[at].1)? {
                        self.out.truncate(mark);
                    }
                }
                let any = self.out.len() > start;
                self.out.push(b']');
                Ok(any)
            }
            Label::Optional | Label::Required => match field.kind {
                // Parts of one message that stand apart are one message, says protobuf. Nobody writes that.
                Kind::Message(inner) if to - from > 1 => {
                    let mut joined = Vec::new();
                    for at in from..to {
                        if let Raw::Bytes(part) = self.stack[at].1 {
                            joined.extend_from_slice(part);
                        }
                    }
                    self.out.extend(message(SCHEMA.message(inner), &joined)?);
                    Ok(true)
                }
                kind => self.value(kind, self.stack[to - 1].1),
            },
        }
    }

    /// One entry of a map: its key and its value.
    fn entry(&mut self, field: &Field, raw: Raw<'a>) -> Result<(), DecodeError> {
        let (Kind::Message(entry), Raw::Bytes(bytes)) = (field.kind, raw) else { return Err(mismatch()) };
        let (mut key, mut value) = (&b""[..], None);
        let mut reader = Reader::new(bytes);
        while let Some(part) = reader.next()? {
            match part {
                (1, Raw::Bytes(text)) => key = text,
                (2, raw) => value = Some(raw),
                _ => {}
            }
        }
        self.text(key)?;
        self.out.push(b':');
        let (_, field) = SCHEMA.message(entry).field(2).ok_or_else(mismatch)?;
        let absent = match field.kind {
            Kind::Message(inner) => Raw::Bytes(&SCHEMA.message(inner).zero),
            Kind::Text | Kind::Bytes => Raw::Bytes(b""),
            Kind::Double => Raw::Fixed64(0),
            _ => Raw::Varint(0),
        };
        if !self.value(field.kind, value.unwrap_or(absent))? {
            self.out.extend_from_slice(b"null");
        }
        Ok(())
    }

    /// One value. False: nothing was written, since an enum has no such number.
    fn value(&mut self, kind: Kind, raw: Raw<'a>) -> Result<bool, DecodeError> {
        match (kind, raw) {
            (Kind::Message(inner), Raw::Bytes(bytes)) => self.message(SCHEMA.message(inner), bytes)?,
            (Kind::Text, Raw::Bytes(bytes)) => self.text(bytes)?,
            (Kind::Bytes, Raw::Bytes(bytes)) => {
                self.out.push(b'"');
                self.out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                self.out.push(b'"');
            }
            (Kind::Double, Raw::Fixed64(bits)) => {
                let number = f64::from_bits(bits);
                if number.is_finite() {
                    self.put(&number)?;
                } else {
                    self.out.extend_from_slice(double(number).as_bytes());
                }
            }
            (Kind::Bool, Raw::Varint(value)) => {
                self.out.extend_from_slice(if value == 0 { b"false" } else { b"true" });
            }
            (Kind::Enum(at), Raw::Varint(value)) => {
                let Some(name) = SCHEMA.enumeration(at).name(value as i32) else { return Ok(false) };
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'"');
            }
            (Kind::Int32, Raw::Varint(value)) => self.put(&(value as i32))?,
            (Kind::Int64, Raw::Varint(value)) => self.put(&(value as i64))?,
            (Kind::Uint32, Raw::Varint(value)) => self.put(&(value as u32))?,
            (Kind::Uint64, Raw::Varint(value)) => self.put(&value)?,
            _ => return Err(mismatch()),
        }
        Ok(true)
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.put(&*String::from_utf8_lossy(bytes))
    }

    fn put(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), DecodeError> {
        serde_json::to_writer(&mut self.out, value).map_err(|_| mismatch())
    }
}

fn mismatch() -> DecodeError {
    DecodeError::Malformed("a field's bytes are not of its type".into())
}
