//! The few forms that schemas are put together from.

use super::reference;
use serde_json::{Map, Value, json};

/// Names and schemas, in order.
pub(super) type Fields = Vec<(String, Value)>;

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A whole number that is not negative.
pub(super) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(super) fn number() -> Value {
    json!({"type": "number", "minimum": 0})
}

pub(super) fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

pub(super) fn list_of(schema: &str) -> Value {
    list(reference(schema))
}

/// Any names, all values alike.
pub(super) fn map(of: Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}

pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// Also `null`.
pub(super) fn or_null(schema: Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some(kind) => {
            let mut schema = schema.clone();
            schema["type"] = json!([kind, "null"]);
            schema
        }
        None => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// An object. A name that ends with `?` may be absent.
pub(super) fn object<const N: usize>(words: &str, fields: [(&str, Value); N]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in fields {
        let plain = name.trim_end_matches('?');
        if plain == name {
            required.push(plain.to_owned());
        }
        properties.insert(plain.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "description": words, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object with these fields and more.
pub(super) fn with<const N: usize>(
    words: &str,
    fields: Vec<(&'static str, Value)>,
    more: [(&'static str, Value); N],
) -> Value {
    let mut schema = object(words, more);
    let mut required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in fields {
        schema["properties"][name] = field;
        required.push(name.into());
    }
    schema["required"] = required.into();
    schema
}
