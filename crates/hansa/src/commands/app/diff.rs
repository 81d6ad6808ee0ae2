//! `hansa app diff`: what `hansa app run` of a file would change.

use crate::client::marathon_refusal;
use crate::commands::app::run::{parse, read};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use clap::Args;
use hansa_api::marathon::{Defaults, parse_app_as, render};
use hansa_model::AppId;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Shows what running a file would change, without changing anything
///
/// Compares what runs with what the file says, defaults filled in on both sides. Exit code 0 also when they differ.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// The file; `-` reads stdin
    pub file: String,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where, such as `/container/docker/image`.
    pub field: String,
    /// What it is; None: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it would be; None: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Does it.
pub async fn run(args: &DiffArgs, context: &Context) -> Result<(), Failure> {
    let definitions = parse(&read(&args.file)?)?;
    let bodies = match definitions.body {
        Value::Array(apps) => apps,
        one => vec![one],
    };
    let mut all: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for (id, body) in definitions.ids.into_iter().zip(bodies) {
        let wanted = canonical(&id, &body)?;
        let current = match context.client.get::<Value>(&format!("/v2/apps{id}"), &[]).await {
            Ok(mut answer) => canonical(&id, &answer["app"].take())?,
            Err(failure) if failure.exit == Exit::NotFound => Value::Null,
            Err(failure) => return Err(failure),
        };
        let mut changes = Vec::new();
        compare("", &current, &wanted, &mut changes);
        all.insert(id, changes);
    }
    context.format.print(&all, text)
}

/// The definition with every default filled in and every old spelling translated.
fn canonical(id: &str, app: &Value) -> Result<Value, Failure> {
    let spec = parse_app_as(&AppId::from(id), app, &Defaults::default())
        .map_err(|problem| marathon_refusal(Exit::Usage, &problem.body).at(id.to_owned()))?;
    Ok(Value::Object(render::app::definition(&spec)))
}

/// Notes every field that differs; maps are gone into, lists compared as a whole.
fn compare(at: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                compare(&format!("{at}/{name}"), &of(old), &of(new), changes);
            }
        }
        (from, to) => {
            let some = |value: &Value| (!value.is_null()).then(|| value.clone());
            let field = if at.is_empty() { "/".to_owned() } else { at.to_owned() };
            changes.push(Change { field, from: some(from), to: some(to) });
        }
    }
}

fn text(all: &BTreeMap<String, Vec<Change>>) -> String {
    let mut out = String::new();
    for (id, changes) in all {
        match changes.as_slice() {
            [] => out.push_str(&format!("{id}: no change\n")),
            [Change { from: None, field, .. }] if field == "/" => out.push_str(&format!("{id}: new\n")),
            changes => {
                out.push_str(&format!("{id}:\n"));
                for change in changes {
                    if let Some(from) = &change.from {
                        out.push_str(&format!("  - {} {from}\n", change.field));
                    }
                    if let Some(to) = &change.to {
                        out.push_str(&format!("  + {} {to}\n", change.field));
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_told() {
        let old =
            canonical("/a", &json!({"id": "/a", "cmd": "sleep 1", "env": {"X": "1", "Y": "2"}})).unwrap();
        let new =
            canonical("/a", &json!({"id": "a", "cmd": "sleep 1", "cpus": 0.5, "env": {"X": "2"}})).unwrap();
        let mut changes = Vec::new();
        compare("", &old, &new, &mut changes);
        let shown = text(&BTreeMap::from([("/a".to_owned(), changes)]));
        assert_eq!(
            shown,
            "/a:\n  - /cpus 1\n  + /cpus 0.5\n  - /env/X \"1\"\n  + /env/X \"2\"\n  - /env/Y \"2\"\n"
        );
        let mut none = Vec::new();
        compare("", &old, &old, &mut none);
        assert_eq!(none, []);
    }

    #[test]
    fn a_new_service_is_called_new() {
        let mut changes = Vec::new();
        compare("", &Value::Null, &json!({"id": "/a"}), &mut changes);
        assert_eq!(text(&BTreeMap::from([("/a".to_owned(), changes)])), "/a: new\n");
    }
}
