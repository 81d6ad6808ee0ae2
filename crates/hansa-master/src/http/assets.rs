//! The console's files.

use super::error::ApiError;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// The page that loads everything else.
const INDEX: &str = "index.html";

/// What the console may load and who may frame it: nothing from elsewhere, nobody.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /`
pub(super) async fn index() -> Response {
    asset(INDEX)
        .unwrap_or_else(|| ApiError::not_found("this program was built without its console").into_response())
}

/// `GET /ui/{path}`: a file, or the page whose script knows what the path means.
pub(super) async fn file(Path(path): Path<String>) -> Response {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match asset(&path) {
        Some(response) => response,
        None if is_file => ApiError::not_found(format!("the console has no file '{path}'")).into_response(),
        None => index().await,
    }
}

fn asset(path: &str) -> Option<Response> {
    let (content_type, bytes) = hansa_console::asset(path)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Names of built files change with their contents.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    Some(response)
}
