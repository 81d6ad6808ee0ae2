//! Answers compressed for clients that ask for it. Only what is in memory as a whole, is text, and is worth it: never a
//! stream, whose frames must go out as they come.

use super::tags::vary;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// Bytes below which an answer is sent as it is: it fits one packet anyway.
const WORTH_IT: u64 = 1_024;

/// Bytes from which on compressing is given to a thread that may block.
const LONG: usize = 128 * 1024;

/// Most of what compression gains, at a fifth of what the highest level costs: lists of tasks are very much alike.
const LEVEL: Compression = Compression::new(2);

/// Compresses the answer if the client takes it.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let wanted = wants_gzip(request.headers());
    let mut answer = next.run(request).await;
    if !is_worth_it(&answer) {
        return answer;
    }
    // Also where it is not compressed: a cache must not give this answer to somebody else.
    vary(answer.headers_mut(), "accept-encoding");
    if !wanted {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    // It is in memory already, so reading it cannot fail.
    let plain = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let packed = if plain.len() < LONG {
        packed(&plain)
    } else {
        let plain = plain.clone();
        tokio::task::spawn_blocking(move || packed(&plain)).await.ok().flatten()
    };
    let Some(packed) = packed.filter(|packed| packed.len() < plain.len()) else {
        return Response::from_parts(head, Body::from(plain));
    };
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, Body::from(packed))
}

fn packed(plain: &Bytes) -> Option<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::with_capacity(plain.len() / 4), LEVEL);
    out.write_all(plain).ok()?;
    out.finish().ok()
}

fn is_worth_it(answer: &Response) -> bool {
    let headers = answer.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_text = kind == "application/json"
        || kind == "text/javascript"
        || kind == "application/javascript"
        || kind == "image/svg+xml"
        || (kind.starts_with("text/") && kind != "text/event-stream");
    is_text
        && answer.status() != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && answer.body().size_hint().exact().is_some_and(|bytes| bytes >= WORTH_IT)
}

/// Whether the client takes gzip, and does not like the plain form better. Quality values are in thousandths; a coding that
/// is not named has that of `*`, and without that the plain form is acceptable and gzip is not.
fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut plain, mut any) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
            let quality = quality(parameters);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = gzip.max(Some(quality)),
                "identity" => plain = Some(quality),
                "*" => any = Some(quality),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    // Not named, the plain form is what is left when nothing else fits.
    gzip > 0 && plain.is_none_or(|plain| gzip >= plain)
}

/// `q=0.5` in thousandths; what cannot be read counts as refused.
fn quality(parameters: &str) -> u16 {
    let named = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(text) = named else { return 1_000 };
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => (share * 1_000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_values_are_honoured() {
        for (accepted, wanted) in [
            ("", false),
            ("gzip", true),
            ("GZip", true),
            ("x-gzip", true),
            ("deflate, br", false),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("*", true),
            ("*;q=0", false),
            ("identity", false),
            ("identity, gzip", true),
            ("gzip;q=0.4, identity;q=0.5", false),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("gzip; Q = 0.8", true),
            ("gzip;q=x", false),
            ("gzip;q=2", false),
            ("br;q=1.0, gzip;q=0.001", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(wants_gzip(&headers), wanted, "{accepted}");
        }
        assert!(!wants_gzip(&HeaderMap::new()));
        let mut two = HeaderMap::new();
        two.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        two.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(wants_gzip(&two), "a second header counts too");
    }
}
