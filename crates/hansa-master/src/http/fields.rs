//! `?fields=a,b.c`: of an answer only what a client wants to see. Of the objects in a list, or of the object that an answer
//! is; whatever stands beside a list (`next`) stays.
//!
//! Names are checked against the description of the answer, so that a name that was mistyped is not taken for a field that is
//! empty.

use super::error::ApiError;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::OnceLock;

#[derive(Debug, Deserialize)]
struct Wanted {
    fields: Option<String>,
}

/// Looks at every answer of Hansa's own API that fields were named for.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let own = request.method() == Method::GET && request.uri().path().starts_with("/hansa/v1/");
    let query = axum::extract::Query::<Wanted>::try_from_uri(request.uri()).ok().filter(|_| own);
    // Where nothing is named, nothing is left out.
    let names = |text: &String| text.split(',').any(|field| !field.trim().is_empty());
    let Some(text) = query.and_then(|query| query.0.fields).filter(names) else {
        return next.run(request).await;
    };
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().replace("{*", "{"));
    let Some(shape) = path.as_deref().and_then(Shape::of) else { return next.run(request).await };
    let wanted = match shape.wanted(&text) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = next.run(request).await;
    let is_json =
        answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    if answer.status() != StatusCode::OK || !is_json {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let Ok(whole) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(shape.cut(whole, &wanted).to_string()))
}

/// How an answer looks, from its description.
struct Shape {
    /// The name of its list, if it is one.
    list: Option<&'static str>,
    /// The schema of an object in the list, or of the object.
    of: &'static str,
}

/// Wanted names, each with those wanted of what it holds; none: all of it.
#[derive(Debug, Default, PartialEq)]
struct Names(Vec<(String, Names)>);

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(hansa_api::openapi::hansa)
}

fn schema(name: &str) -> &'static Value {
    &document()["components"]["schemas"][name]
}

/// The schema that a field's value has, looked for behind lists and "or null".
fn named(field: &'static Value) -> Option<&'static str> {
    if let Some(name) = field["$ref"].as_str() {
        return name.rsplit('/').next();
    }
    let choices = field["anyOf"].as_array().into_iter().flatten();
    choices.chain(field.get("items")).find_map(named)
}

impl Shape {
    fn of(path: &str) -> Option<Self> {
        let answer =
            &document()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let name = named(answer)?;
        let properties = schema(name)["properties"].as_object()?;
        // A list has itself and at most what is said of it; an object that has lists has an id, or more.
        let lists: Vec<(&'static String, &'static str)> = properties
            .iter()
            .filter(|(_, field)| field["type"] == "array")
            .filter_map(|(list, field)| Some((list, named(&field["items"])?)))
            .collect();
        match (lists.as_slice(), properties.contains_key("next") || path.ends_with("history")) {
            ([(list, of)], true) => Some(Self { list: Some(list.as_str()), of }),
            _ => Some(Self { list: None, of: name }),
        }
    }

    fn wanted(&self, text: &str) -> Result<Names, ApiError> {
        let mut wanted = Names::default();
        for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            wanted.add(field, field, Some(self.of))?;
        }
        Ok(wanted)
    }

    fn cut(&self, mut whole: Value, wanted: &Names) -> Value {
        match self.list {
            Some(list) => {
                if let Some(items) = whole.get_mut(list).and_then(Value::as_array_mut) {
                    items.iter_mut().for_each(|item| wanted.cut(item));
                }
            }
            None => wanted.cut(&mut whole),
        }
        whole
    }
}

impl Names {
    fn add(&mut self, rest: &str, whole: &str, of: Option<&'static str>) -> Result<(), ApiError> {
        let (name, below) = rest.split_once('.').map_or((rest, None), |(name, below)| (name, Some(below)));
        let properties = of.map(|of| &schema(of)["properties"]).and_then(Value::as_object);
        let field = properties.and_then(|properties| properties.get(name));
        if let (Some(properties), None) = (properties, field) {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            return Err(ApiError::invalid("fields", format!("there is no field '{whole}'")).remedy(format!(
                "{} has {}",
                of.unwrap_or_default(),
                known.join(", ")
            )));
        }
        let known = self.0.iter().position(|(own, _)| own == name);
        let (index, is_new) = match known {
            Some(index) => (index, false),
            None => {
                self.0.push((name.to_owned(), Self::default()));
                (self.0.len() - 1, true)
            }
        };
        let inner = &mut self.0[index].1;
        match below {
            // Of what is wanted as a whole, nothing is cut off by what else is named.
            Some(below) if is_new || !inner.0.is_empty() => inner.add(below, whole, field.and_then(named)),
            Some(_) => Ok(()),
            None => {
                inner.0.clear();
                Ok(())
            }
        }
    }

    fn cut(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.cut(item)),
            Value::Object(fields) => {
                let mut kept = Map::new();
                for (name, below) in &self.0 {
                    if let Some(mut value) = fields.remove(name) {
                        if !below.0.is_empty() {
                            below.cut(&mut value);
                        }
                        kept.insert(name.clone(), value);
                    }
                }
                *fields = kept;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cut(path: &str, fields: &str, whole: Value) -> Result<Value, String> {
        let shape = Shape::of(path).unwrap();
        let wanted = shape.wanted(fields).map_err(|refusal| refusal.words())?;
        Ok(shape.cut(whole, &wanted))
    }

    #[test]
    fn of_lists_and_objects_only_what_is_wanted_stays() {
        let nodes = json!({"nodes": [{"id": "a", "tasks": 1, "used": {"mem": 1, "disk": 2}}], "next": "a"});
        let wanted = json!({"nodes": [{"id": "a", "used": {"mem": 1}}], "next": "a"});
        assert_eq!(cut("/hansa/v1/nodes", "id,used.mem", nodes.clone()), Ok(wanted));
        let whole = json!({"nodes": [{"used": {"mem": 1, "disk": 2}}], "next": "a"});
        assert_eq!(cut("/hansa/v1/nodes", "used.mem,used", nodes.clone()), Ok(whole.clone()));
        assert_eq!(cut("/hansa/v1/nodes", "used,used.mem", nodes.clone()), Ok(whole));
        let task = json!({"id": "t", "health": [{"alive": true, "first_success": 1}], "mem": 1});
        let wanted = json!({"id": "t", "health": [{"alive": true}]});
        assert_eq!(cut("/hansa/v1/tasks/{task}", "id,health.alive", task), Ok(wanted));
        assert!(cut("/hansa/v1/nodes", "id,colour", nodes.clone()).unwrap_err().contains("colour"));
        assert!(cut("/hansa/v1/nodes", "used.colour", nodes).unwrap_err().contains("used.colour"));
    }

    #[test]
    fn lists_are_known_by_their_description() {
        for (path, list, of) in [
            ("/hansa/v1/tasks", Some("tasks"), "Task"),
            ("/hansa/v1/services", Some("services"), "Service"),
            ("/hansa/v1/frameworks", Some("frameworks"), "FrameworkSummary"),
            ("/hansa/v1/roles", Some("roles"), "RoleStatus"),
            ("/hansa/v1/deployments", Some("deployments"), "Deployment"),
            ("/hansa/v1/events/history", Some("events"), "PastEvent"),
            ("/hansa/v1/history", Some("points"), "Point"),
            ("/hansa/v1/tasks/{task}", None, "Task"),
            ("/hansa/v1/usage/{path}", None, "ServiceUsage"),
            ("/hansa/v1/cluster", None, "Cluster"),
        ] {
            let shape = Shape::of(path).unwrap();
            assert_eq!((shape.list, shape.of), (list, of), "{path}");
        }
        assert!(Shape::of("/hansa/v1/events").is_none(), "no JSON");
    }
}
