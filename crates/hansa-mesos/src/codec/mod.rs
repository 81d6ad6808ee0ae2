//! Messages and their bytes, in the two forms that Mesos' clients speak: JSON and protobuf.
//!
//! JSON goes by way of protobuf's bytes, along tables made from the embedded descriptors: a message is written by
//! `prost`, and what it wrote is told as JSON; and the other way round. Both forms of input are checked for what is
//! required and missing.

mod from_json;
mod maps;
mod required;
mod schema;
mod to_json;
mod wire;

#[cfg(test)]
mod tests;

use prost::{Message, Name};
use schema::SCHEMA;
use serde_json::Value;

/// Longer messages are refused unread, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Codec {
    /// As HTTP's `Content-Type` has it. Never with parameters: clients compare it as a text.
    pub const fn media_type(self) -> &'static str {
        match self {
            Codec::Json => "application/json",
            Codec::Protobuf => "application/x-protobuf",
        }
    }

    /// Of a `Content-Type`, whose parameters (`; charset=utf-8`) mean nothing.
    pub fn of_media_type(text: &str) -> Option<Self> {
        let name = text.split(';').next().unwrap_or_default().trim();
        [Codec::Json, Codec::Protobuf].into_iter().find(|codec| name.eq_ignore_ascii_case(codec.media_type()))
    }
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not protobuf.
    #[error("{0}")]
    Malformed(String),
    /// JSON, but no object.
    #[error("expecting a JSON object")]
    NotAnObject,
    /// JSON, but no array.
    #[error("expecting a JSON array")]
    NotAnArray,
    /// A field has a value that it cannot have.
    #[error("field '{path}': {what}")]
    Field {
        /// The names that lead to it, joined by points.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Required fields are not there.
    #[error("missing required fields: {}", paths.join(", "))]
    Missing {
        /// Their paths; the first few if there are many.
        paths: Vec<String>,
    },
    /// Messages within messages within messages.
    #[error("the message is nested too deeply")]
    TooDeep,
    /// It is longer than [`MAX_MESSAGE_BYTES`].
    #[error("the message has more than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
}

/// Reads a message.
///
/// # Errors
/// The bytes are not of that form, a field has a value that it cannot have, or something required is missing.
pub fn decode<M: Message + Name + Default>(codec: Codec, bytes: &[u8]) -> Result<M, DecodeError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLong);
    }
    match codec {
        Codec::Protobuf => from_wire(bytes),
        Codec::Json => from_value(&json(bytes)?),
    }
}

/// Reads a JSON array of messages, as in the forms of the older endpoints (`resources=[…]`).
///
/// # Errors
/// As [`decode`].
pub fn decode_list<M: Message + Name + Default>(bytes: &[u8]) -> Result<Vec<M>, DecodeError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(DecodeError::TooLong);
    }
    let Value::Array(values) = json(bytes)? else { return Err(DecodeError::NotAnArray) };
    values.iter().map(from_value).collect()
}

/// Makes a message of a JSON value.
///
/// # Errors
/// As [`decode`].
pub fn from_value<M: Message + Name + Default>(value: &Value) -> Result<M, DecodeError> {
    let Value::Object(object) = value else { return Err(DecodeError::NotAnObject) };
    from_wire(&from_json::message(table::<M>(), object)?)
}

/// Writes a message.
pub fn encode<M: Message + Name>(codec: Codec, message: &M) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    match codec {
        Codec::Protobuf if table::<M>().has_maps => {
            maps::complete(table::<M>(), &bytes).expect("prost writes fields as they are declared")
        }
        Codec::Protobuf => bytes,
        Codec::Json => {
            to_json::message(table::<M>(), &bytes).expect("prost writes fields as they are declared")
        }
    }
}

/// A message as a JSON value, to become part of a larger one.
pub fn to_value<M: Message + Name>(message: &M) -> Value {
    serde_json::from_slice(&encode(Codec::Json, message)).expect("the codec writes JSON")
}

fn from_wire<M: Message + Name + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    required::check(table::<M>(), bytes)?;
    M::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

fn json(bytes: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(format!("not JSON: {error}")))
}

fn table<M: Name>() -> &'static schema::Message {
    let at = SCHEMA.find(&M::full_name()).expect("every message of ours is in the descriptors");
    SCHEMA.message(at)
}
