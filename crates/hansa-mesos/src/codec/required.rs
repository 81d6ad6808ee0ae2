//! What is required and not there. Rust's types cannot tell (an absent text is an empty one), so it is looked for in the
//! bytes, before they are read.

use super::DecodeError;
use super::schema::{Kind, Label, Message, SCHEMA};
use super::wire::{Raw, Reader};

/// Messages within messages, at most. Deeper ones are no honest requests.
const DEEPEST: usize = 64;

/// More paths than this say no more.
const MOST_PATHS: usize = 20;

/// Refuses bytes in which something required is missing, and names it all.
pub(super) fn check(message: &Message, bytes: &[u8]) -> Result<(), DecodeError> {
    let mut missing = Vec::new();
    look(message, bytes, "", 0, &mut missing)?;
    if missing.is_empty() { Ok(()) } else { Err(DecodeError::Missing { paths: missing }) }
}

fn look(
    message: &Message,
    bytes: &[u8],
    path: &str,
    depth: usize,
    missing: &mut Vec<String>,
) -> Result<(), DecodeError> {
    if depth > DEEPEST {
        return Err(DecodeError::TooDeep);
    }
    let mut seen = vec![0usize; message.fields.len()];
    let mut reader = Reader::new(bytes);
    while let Some((number, raw)) = reader.next()? {
        let Some((place, field)) = message.field(number) else { continue };
        if let (Kind::Enum(at), Raw::Varint(value)) = (field.kind, raw)
            && SCHEMA.enumeration(at).name(value as i32).is_none()
        {
            continue;
        }
        seen[place] += 1;
        if let (Kind::Message(inner), Raw::Bytes(bytes)) = (field.kind, raw) {
            let inner = SCHEMA.message(inner);
            // Also where nothing can be missing: depth is limited everywhere.
            let index = matches!(field.label, Label::Repeated | Label::Map).then(|| seen[place] - 1);
            let within = match index {
                _ if !inner.may_lack => String::new(),
                Some(index) => format!("{path}{}[{index}].", field.name),
                None => format!("{path}{}.", field.name),
            };
            look(inner, bytes, &within, depth + 1, missing)?;
        }
    }
    let absent = message.fields.iter().zip(&seen);
    for (field, _) in absent.filter(|(field, seen)| field.label == Label::Required && **seen == 0) {
        if missing.len() < MOST_PATHS {
            missing.push(format!("{path}{}", field.name));
        }
    }
    Ok(())
}
