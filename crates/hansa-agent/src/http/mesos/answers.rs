//! Answers of Mesos' surface: plain words where something is refused, exactly one media type elsewhere; queries as it
//! reads them.

use axum::body::{Body, Bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hansa_mesos::codec::{Codec, encode};
use prost::{Message, Name};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest body that is read, in bytes.
const MOST_BYTES: usize = hansa_mesos::codec::MAX_MESSAGE_BYTES;

/// A refusal: a status and words.
pub(in crate::http) fn refused(status: StatusCode, words: impl Into<String>) -> Response {
    let mut response = Response::new(Body::from(words.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// 400.
pub(in crate::http) fn bad(words: impl Into<String>) -> Response {
    refused(StatusCode::BAD_REQUEST, words)
}

/// 501, naming what is not there.
pub(in crate::http) fn unsupported(what: impl std::fmt::Display) -> Response {
    refused(StatusCode::NOT_IMPLEMENTED, format!("not supported: {what}"))
}

/// 405 unless it is POST.
#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
pub(in crate::http) fn must_post(method: &Method) -> Result<(), Response> {
    if method == Method::POST {
        return Ok(());
    }
    let words = format!("Expecting one of {{ 'POST' }}, but received '{method}'");
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, words);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    Err(response)
}

/// 202 without a body.
pub(in crate::http) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// 200 without a body.
pub(in crate::http) fn empty() -> Response {
    StatusCode::OK.into_response()
}

/// JSON.
pub(in crate::http) fn json(value: &Value) -> Response {
    typed(Codec::Json.media_type(), value.to_string())
}

/// A message.
pub(in crate::http) fn message<M: Message + Name>(codec: Codec, message: &M) -> Response {
    typed(codec.media_type(), encode(codec, message))
}

/// A body of this type. Never with parameters: clients compare it as a text.
pub(in crate::http) fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The whole body of a request.
pub(in crate::http) async fn body(body: Body) -> Result<Bytes, Response> {
    axum::body::to_bytes(body, MOST_BYTES)
        .await
        .map_err(|error| refused(StatusCode::PAYLOAD_TOO_LARGE, format!("cannot read the body: {error}")))
}

/// The last value of a header.
pub(in crate::http) fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()
}

/// The form of the body.
#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
pub(in crate::http) fn form_of_body(headers: &HeaderMap) -> Result<Codec, Response> {
    let kind = last(headers, "content-type").ok_or_else(|| bad("Expecting 'Content-Type' to be present"))?;
    Codec::of_media_type(kind).ok_or_else(|| {
        let words = "Expecting 'Content-Type' of application/json or application/x-protobuf";
        refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
    })
}

/// The form that the client takes; JSON if it takes both.
#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
pub(in crate::http) fn form_of_answer(headers: &HeaderMap) -> Result<Codec, Response> {
    let accept = last(headers, "accept");
    let taken = [Codec::Json, Codec::Protobuf].into_iter().find(|codec| takes(accept, codec.media_type()));
    taken.ok_or_else(|| {
        let words = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
        refused(StatusCode::NOT_ACCEPTABLE, words)
    })
}

/// Whether a value of `Accept` allows a media type. How much it is liked does not matter, unless that is not at all.
pub(in crate::http) fn takes(accept: Option<&str>, kind: &str) -> bool {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return true };
    let family = kind.split_once('/').map_or(kind, |(family, _)| family);
    accept.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let quality = pieces.find_map(|piece| piece.strip_prefix("q="));
        let unwanted = quality.is_some_and(|quality| quality.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
        let whole_family = name
            .split_once('/')
            .is_some_and(|(left, right)| left.eq_ignore_ascii_case(family) && right == "*");
        (name == "*/*" || name.eq_ignore_ascii_case(kind) || whole_family) && !unwanted
    })
}

/// Names and values of a query; of several of one name the last.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Query(BTreeMap<String, String>);

impl Query {
    /// Of a request's target.
    pub(in crate::http) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name, true), unescaped(value, true))
        };
        Self(pairs.map(pair).collect())
    }

    /// The value of that name.
    pub(in crate::http) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// `%41` is `A`, and in queries `+` is a space; what is no escape stays as it is.
pub(in crate::http) fn unescaped(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let escaped = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(match escaped {
            Some(byte) => byte,
            None if plus && bytes[at] == b'+' => b' ',
            None => bytes[at],
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_unescaped() {
        let query = Query::of(&"/x?path=%2Fa+b%2&offset=1&offset=2&flag".parse().unwrap());
        assert_eq!(
            (query.get("path"), query.get("offset"), query.get("flag")),
            (Some("/a b%2"), Some("2"), Some(""))
        );
        assert_eq!(unescaped("/slave%281%29/a+b", false), "/slave(1)/a+b");
    }

    #[test]
    fn answers_have_the_form_that_is_taken() {
        let form = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("accept", HeaderValue::from_static(value));
            }
            form_of_answer(&headers).map_err(|refused| refused.status().as_u16())
        };
        assert_eq!(form(&[]).unwrap(), Codec::Json);
        assert_eq!(form(&["*/*"]).unwrap(), Codec::Json);
        assert_eq!(form(&["application/json", "application/x-protobuf"]).unwrap(), Codec::Protobuf);
        assert_eq!(form(&["application/json;q=0, application/x-protobuf"]).unwrap(), Codec::Protobuf);
        assert_eq!(form(&["text/html"]).unwrap_err(), 406);
    }
}
