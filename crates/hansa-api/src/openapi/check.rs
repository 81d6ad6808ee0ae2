//! Whether a value is what a schema says, as far as our documents use schemas. A field that the schema does not name is
//! a fault too: that is how documents that have fallen behind are found.

use serde_json::Value;

/// What in `value` is not as the document's schema of that name says; each with its place.
pub fn faults(document: &Value, schema: &str, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    look(document, &super::reference(schema), value, schema, &mut faults);
    faults
}

fn look(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        match document.pointer(reference.trim_start_matches('#')) {
            Some(schema) => look(document, schema, value, at, faults),
            None => faults.push(format!("{at}: there is no schema {reference}")),
        }
        return;
    }
    if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        let fits = |choice: &Value| {
            let mut own = Vec::new();
            look(document, choice, value, at, &mut own);
            own.is_empty()
        };
        if !choices.iter().any(fits) {
            faults.push(format!("{at}: {value} is none of what it may be"));
        }
        return;
    }
    let named = |kind: &str| match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(|own| own == kind),
        one => one == kind,
    };
    let fits = match value {
        Value::Null => named("null"),
        Value::Bool(_) => named("boolean"),
        Value::Number(number) => named("number") || named("integer") && !number.is_f64(),
        Value::String(_) => named("string"),
        Value::Array(_) => named("array"),
        Value::Object(_) => named("object"),
    };
    if !fits {
        faults.push(format!("{at}: {value} is not of type {}", schema["type"]));
        return;
    }
    if let (Some(words), Value::String(_)) = (schema["enum"].as_array(), value)
        && !words.contains(value)
    {
        faults.push(format!("{at}: {value} is not one of the words"));
    }
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                look(document, &schema["items"], item, &format!("{at}[{number}]"), faults);
            }
        }
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    faults.push(format!("{at}: {name} is missing"));
                }
            }
            for (name, value) in fields {
                let at = format!("{at}.{name}");
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) => look(document, schema, value, &at, faults),
                    (None, Some(schema)) => look(document, schema, value, &at, faults),
                    // A schema without fields is for whatever it may be.
                    (None, None) if schema.get("properties").is_none() => {}
                    (None, None) => faults.push(format!("{at}: the document does not know it")),
                }
            }
        }
        _ => {}
    }
}

/// A value of ours is as the document of Hansa's own API says.
#[cfg(test)]
#[track_caller]
pub(super) fn check(schema: &str, value: impl serde::Serialize) {
    let value = serde_json::to_value(value).unwrap();
    assert_eq!(faults(&super::hansa(), schema, &value), Vec::<String>::new(), "{schema}: {value:#}");
}
