//! How large a request may be, part by part. What hyper refuses before there is a request is told in `crate::server`.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// Bytes of a request's target. Label selectors and lists of ids stand in there.
pub(crate) const TARGET: usize = 16 * 1024;

/// Bytes of a request's headers, names and values.
pub(crate) const HEADERS: usize = 48 * 1024;

/// Items of one list or object in a body.
pub(super) const ITEMS: usize = 10_000;

/// Lists and objects within each other in a body. `serde_json` stops there; it is told here so that it is known.
pub(super) const DEPTH: usize = 127;

/// Refuses what is too large to be looked at.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET {
        return too_long_target().into_response();
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > HEADERS {
        return too_large_headers().into_response();
    }
    next.run(request).await
}

fn too_long_target() -> ApiError {
    let message = format!("the request's target must not be longer than {TARGET} bytes");
    ApiError::new(StatusCode::URI_TOO_LONG, "too-large", message)
}

fn too_large_headers() -> ApiError {
    ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", headers_words())
}

/// Why there are too many headers. hyper stops at 100 of them.
pub(crate) fn headers_words() -> String {
    format!("a request's headers must not be larger than {HEADERS} bytes together, nor more than 100")
}

/// What is wrong with a body that is not JSON, or not the JSON that is read here.
pub(super) fn words(fault: &serde_json::Error) -> String {
    let words = fault.to_string();
    match words.contains("recursion limit") {
        true => format!("lists and objects must not be nested deeper than {DEPTH}"),
        false => words,
    }
}

/// The first list or object in a body that is too long, by its place: `/a/0/b`.
pub(super) fn too_long(body: &Value) -> Option<String> {
    let (length, children): (usize, Box<dyn Iterator<Item = (String, &Value)>>) = match body {
        Value::Array(items) => {
            (items.len(), Box::new(items.iter().enumerate().map(|(at, item)| (at.to_string(), item))))
        }
        Value::Object(fields) => {
            (fields.len(), Box::new(fields.iter().map(|(name, value)| (name.clone(), value))))
        }
        _ => return None,
    };
    if length > ITEMS {
        return Some(String::new());
    }
    let mut containers = children.filter(|(_, child)| child.is_array() || child.is_object());
    containers.find_map(|(name, child)| too_long(child).map(|below| format!("/{name}{below}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_that_is_too_long_is_named() {
        let list = |length: usize| vec![0; length];
        assert_eq!(too_long(&json!({"a": [{"b": list(ITEMS)}, {"c": {}}]})), None);
        assert_eq!(too_long(&json!({"a": [1, {"b": list(ITEMS + 1)}]})).as_deref(), Some("/a/1/b"));
        assert_eq!(too_long(&json!(list(ITEMS + 1))).as_deref(), Some(""));
        let fields: serde_json::Map<_, _> = (0..=ITEMS).map(|at| (at.to_string(), json!(0))).collect();
        assert_eq!(too_long(&json!({"env": fields})).as_deref(), Some("/env"));
    }

    #[test]
    fn the_depth_that_is_told_is_the_one_that_is_kept() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(serde_json::from_str::<Value>(&nested(DEPTH)).is_ok());
        let fault = serde_json::from_str::<Value>(&nested(DEPTH + 1)).unwrap_err();
        assert!(words(&fault).contains("deeper than 127"), "{fault}");
        let fault = serde_json::from_str::<Value>("[1").unwrap_err();
        assert!(words(&fault).contains("EOF"), "{fault}");
    }
}
