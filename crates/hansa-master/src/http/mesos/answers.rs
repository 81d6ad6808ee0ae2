//! Answers of Mesos' surface: plain words where something is refused, JSON of exactly one media type elsewhere; queries
//! and forms as it reads them.

use super::super::typed::AsItIs;
use axum::body::{Body, Bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;

/// Names and values of a query or a form; of several of one name the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Of a request's target.
    pub(super) fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default())
    }

    /// Of text as in a target or a form.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name), unescaped(value))
        };
        Self(pairs.map(pair).collect())
    }

    /// The value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// `%41+b` is `A b`; what is no escape stays as it is.
pub(super) fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let escaped = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A refusal: a status and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The status.
    pub(super) status: StatusCode,
    /// Why, for people.
    pub(super) words: String,
    allow: Option<&'static str>,
}

impl Refused {
    /// Any.
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), allow: None }
    }

    /// 400.
    pub(super) fn bad(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    /// 501, naming what is not there.
    pub(super) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("not supported: {what}"))
    }

    /// 405.
    pub(super) fn method(allowed: &'static str, method: &axum::http::Method) -> Self {
        let names: Vec<String> = allowed.split(',').map(|name| format!("'{name}'")).collect();
        let words = format!("Expecting one of {{ {} }}, but received '{method}'", names.join(", "));
        Self { status: StatusCode::METHOD_NOT_ALLOWED, words, allow: Some(allowed) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut answer = text(self.status, self.words);
        if let Some(allow) = self.allow {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        answer
    }
}

/// Plain words.
pub(super) fn text(status: StatusCode, words: impl Into<String>) -> Response {
    let words = words.into();
    if words.is_empty() {
        return empty(status);
    }
    whole(status, "text/plain; charset=utf-8", words.into_bytes())
}

/// Nothing, of no type.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer.extensions_mut().insert(AsItIs);
    answer
}

/// A body that is there as a whole.
pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut answer = Response::new(Body::from(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.extensions_mut().insert(AsItIs);
    answer
}

/// JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => whole(StatusCode::OK, "application/json", body),
        Err(error) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The last value of a header: that is the one that counts here.
pub(super) fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).iter().next_back().map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_browsers_write_them() {
        let query = Query::parse("a=1&b=%5b%22x%22%5D+y&&c&a=2&d=%zz%4&e=%c3%a4");
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.get("b"), Some("[\"x\"] y"));
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get("d"), Some("%zz%4"));
        assert_eq!(query.get("e"), Some("ä"));
        assert_eq!(query.get("f"), None);
    }
}
