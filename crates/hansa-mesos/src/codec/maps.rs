//! Values of maps that are all zero. `prost` leaves them out, as later versions of protobuf allow; programs that speak
//! Mesos' own version then miss what is required in them, and refuse the whole message.

use super::DecodeError;
use super::schema::{Kind, Label, Message, SCHEMA};
use super::wire::{Raw, Reader, put_bytes, put_raw};

/// A message's bytes with those values.
pub(super) fn complete(message: &Message, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut reader = Reader::new(bytes);
    while let Some((number, raw)) = reader.next()? {
        let field = message.field(number).map(|(_, field)| field);
        match (field.map(|field| (field.label, field.kind)), raw) {
            (Some((Label::Map, Kind::Message(entry))), Raw::Bytes(inner)) => {
                put_bytes(&mut out, number, &complete_entry(entry, inner)?);
            }
            (Some((_, Kind::Message(at))), Raw::Bytes(inner)) if SCHEMA.message(at).has_maps => {
                put_bytes(&mut out, number, &complete(SCHEMA.message(at), inner)?);
            }
            _ => put_raw(&mut out, number, raw),
        }
    }
    Ok(out)
}

fn complete_entry(entry: usize, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut has_value = false;
    let mut reader = Reader::new(bytes);
    let value = SCHEMA.map_value(entry);
    while let Some((number, raw)) = reader.next()? {
        has_value |= number == 2;
        match (number, value, raw) {
            (2, Some(value), Raw::Bytes(inner)) if value.has_maps => {
                put_bytes(&mut out, number, &complete(value, inner)?);
            }
            _ => put_raw(&mut out, number, raw),
        }
    }
    if let Some(value) = value.filter(|_| !has_value) {
        put_bytes(&mut out, 2, &value.zero);
    }
    Ok(out)
}
