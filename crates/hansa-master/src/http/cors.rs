//! Pages of other origins that the operator has named may ask: the headers by which a browser lets them, and the answer to
//! the browser's question before a change. Whoever is not named gets none of these headers.
//!
//! There is no login yet, so no credentials are allowed for.

use super::tags::vary;
use crate::Master;
use crate::options::Origin;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderName,
    HeaderValue, ORIGIN,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS");
const HEADERS: HeaderValue =
    HeaderValue::from_static("accept,content-type,if-none-match,last-event-id,x-requested-with");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("etag,location,marathon-deployment-id,x-marathon-leader,x-hansa-offset");

/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Browsers ask this before they let a page from the internet reach a machine's own or private address.
const REQUEST_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Whether the operator has named the origin of a request; one that says two is nobody's.
pub(super) fn named<'a>(headers: &'a HeaderMap, origins: &[Origin]) -> Option<&'a HeaderValue> {
    let mut said = headers.get_all(ORIGIN).iter();
    let origin = said.next().filter(|_| said.next().is_none())?;
    origins.iter().any(|named| named.as_str().as_bytes() == origin.as_bytes()).then_some(origin)
}

/// Answers the browser's questions, and adds to other answers what it looks for.
pub(super) async fn check(State(master): State<Master>, request: Request, next: Next) -> Response {
    let origins = &master.options().cors_origins;
    if origins.is_empty() {
        return next.run(request).await;
    }
    let origin = named(request.headers(), origins).cloned();
    let is_question =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let asks_for_private = request.headers().contains_key(REQUEST_PRIVATE);
    let mut answer = match &origin {
        Some(_) if is_question => {
            let mut answer = StatusCode::NO_CONTENT.into_response();
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if asks_for_private {
                headers.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
            }
            answer
        }
        _ => next.run(request).await,
    };
    let headers = answer.headers_mut();
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    vary(headers, "origin");
    answer
}
