//! The HTTP surface as OpenAPI documents, for clients, generators and fuzzers: [`hansa`] for `/hansa/v1`, [`marathon`] for
//! `/v2`.
//!
//! They are written by hand beside the wire types and held to them by tests: every path and method is asked of the real
//! router, and every kind of answer is compared with its schema by [`faults`], field by field. The committed copies
//! in `docs/` show a change of the surface in the diff; `HANSA_WRITE_OPENAPI=1 cargo test -p hansa-api openapi` writes them.

mod apart;
mod check;
mod frameworks;
mod hansa;
mod marathon;
mod page;
mod past;
mod plans;
mod schema;

pub use check::faults;
pub use page::page;

use schema::{Fields, one_of, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document of `/hansa/v1`.
pub fn hansa() -> Value {
    document(
        "Hansa",
        "Hansa's own API. Ids of services are paths: they begin with a slash and may contain more of them, also in a \
         URL. Times are milliseconds since 1970-01-01T00:00:00Z, amounts of memory and disk are bytes. Every answer that is \
         JSON takes `fields`: of an object, or of the objects in a list, only these fields are given.",
        [hansa::operations(), plans::operations(), frameworks::operations(), past::operations()]
            .into_iter()
            .flatten()
            .collect(),
        [hansa::schemas(), apart::schemas(), frameworks::schemas(), past::schemas(), plans::schemas()]
            .concat(),
        "ErrorBody",
    )
}

/// The document of Marathon's API, `/v2`; it is also served below `/marathon` and `/service/marathon`.
pub fn marathon() -> Value {
    document(
        "Marathon's API, as Hansa serves it",
        "Ids of apps are paths and may contain slashes, also in a URL. Fields that are not named here are ignored, except \
         those that Hansa does not have yet: they are refused by name.",
        marathon::operations(),
        marathon::schemas(),
        "Problem",
    )
}

/// One method of one path.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// What a part of the path may be, where it is not any text.
    segments: Vec<(&'static str, Value)>,
    body: Option<Value>,
    answer: (u16, &'static str, Value),
    /// Other statuses, each with whether the body is the same; else there is none.
    others: Vec<(u16, &'static str, bool)>,
}

fn operation(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    let answer = (200, "application/json", json!({}));
    Operation {
        method,
        path,
        summary,
        parameters: Vec::new(),
        segments: Vec::new(),
        body: None,
        answer,
        others: Vec::new(),
    }
}

fn get(path: &'static str, summary: &'static str) -> Operation {
    operation("get", path, summary)
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

impl Operation {
    /// A parameter behind the question mark.
    fn query(mut self, name: &str, schema: Value, words: &str) -> Self {
        self.parameters.push(json!({"name": name, "in": "query", "description": words, "schema": schema}));
        self
    }

    /// A part of the path is one of these words.
    fn segment(mut self, name: &'static str, words: &[&str]) -> Self {
        self.segments.push((name, one_of(words)));
        self
    }

    /// The request has a JSON body.
    fn body(mut self, schema: &str) -> Self {
        self.body = Some(reference(schema));
        self
    }

    /// Answers with this schema.
    fn gives(mut self, status: u16, schema: &str) -> Self {
        self.answer = (status, "application/json", reference(schema));
        self
    }

    /// Answers with text of this type.
    fn gives_text(mut self, media: &'static str) -> Self {
        self.answer = (200, media, text());
        self
    }

    /// Answers with a stream of server-sent events whose names and data are these.
    fn gives_events(mut self, schema: &str) -> Self {
        let mut stream = text();
        stream["contentMediaType"] = json!("text/event-stream");
        stream["contentSchema"] = reference(schema);
        self.answer = (200, "text/event-stream", stream);
        self
    }

    /// Whether `fields` cuts the answer: every JSON of Hansa's own API, but not the documents.
    fn takes_fields(&self) -> bool {
        let (_, media, schema) = &self.answer;
        let named = self.parameters.iter().any(|parameter| parameter["name"] == "fields");
        self.method == "get"
            && self.path.starts_with("/hansa/v1/")
            && *media == "application/json"
            && *schema != reference("Document")
            && !named
    }

    /// Answers without a body.
    fn gives_nothing(mut self, status: u16) -> Self {
        self.answer = (status, "", Value::Null);
        self
    }

    /// Also answers like this, with the same body.
    fn or(mut self, status: u16, words: &'static str) -> Self {
        self.others.push((status, words, true));
        self
    }

    /// Also answers like this, without a body.
    fn or_nothing(mut self, status: u16, words: &'static str) -> Self {
        self.others.push((status, words, false));
        self
    }

    fn show(mut self, error: &str) -> Value {
        if self.takes_fields() {
            let words = "Only these fields, separated by commas; `a.b` is a field within a field.";
            self = self.query("fields", text(), words);
        }
        let segments: BTreeMap<&str, Value> = self.segments.drain(..).collect();
        let mut parameters: Vec<Value> = self
            .path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let any = || json!({"type": "string", "minLength": 1});
                let schema = segments.get(name).cloned().unwrap_or_else(any);
                json!({"name": name, "in": "path", "required": true, "schema": schema})
            })
            .collect();
        parameters.extend(self.parameters);
        let (status, media, schema) = self.answer;
        let answer = |words: &str, has_body: bool| {
            if has_body && !schema.is_null() {
                json!({"description": words, "content": {media: {"schema": schema}}})
            } else {
                json!({"description": words})
            }
        };
        let mut responses = Map::new();
        responses.insert(status.to_string(), answer("Done.", true));
        for (status, words, has_body) in self.others {
            responses.insert(status.to_string(), answer(words, has_body));
        }
        let refusal = json!({
            "description": "Refused, and why.",
            "content": {"application/json": {"schema": reference(error)}},
        });
        responses.insert("default".into(), refusal);
        let mut shown = json!({"summary": self.summary, "responses": responses});
        if !parameters.is_empty() {
            shown["parameters"] = Value::Array(parameters);
        }
        if let Some(body) = self.body {
            shown["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": body}}});
        }
        shown
    }
}

fn document(
    title: &str,
    description: &str,
    operations: Vec<Operation>,
    schemas: Fields,
    error: &str,
) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let (path, method) = (operation.path, operation.method);
        paths.entry(path).or_insert_with(|| json!({}))[method] = operation.show(error);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.into_iter().collect::<Map<String, Value>>()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_committed_documents_are_those_of_the_code() {
        for (name, document) in [("openapi.json", hansa()), ("openapi-marathon.json", marathon())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
            if std::env::var_os("HANSA_WRITE_OPENAPI").is_some() {
                std::fs::write(&path, format!("{document:#}\n")).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
            assert!(
                committed == document,
                "docs/{name} is old: HANSA_WRITE_OPENAPI=1 cargo test -p hansa-api openapi writes it"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        for document in [hansa(), marathon()] {
            let text = document.to_string();
            let used: std::collections::BTreeSet<&str> = text
                .split("#/components/schemas/")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .collect();
            let known = document["components"]["schemas"].as_object().unwrap();
            for name in &used {
                assert!(known.contains_key(*name), "{name}");
            }
            for name in known.keys() {
                assert!(used.contains(name.as_str()), "nothing refers to {name}");
            }
        }
    }
}
