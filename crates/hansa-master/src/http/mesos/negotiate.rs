//! Which form a body has and which form its answer gets. Headers that come twice count by their last value.

use super::answers::{Refused, last};
use axum::http::{HeaderMap, StatusCode};
use hansa_mesos::codec::Codec;

/// The form of the body.
pub(super) fn of_body(headers: &HeaderMap) -> Result<Codec, Refused> {
    let Some(kind) = last(headers, "content-type") else {
        return Err(Refused::bad("Expecting 'Content-Type' to be present"));
    };
    Codec::of_media_type(kind).ok_or_else(|| {
        let words = "Expecting 'Content-Type' of application/json or application/x-protobuf";
        Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
    })
}

/// The form that the client takes; JSON if it takes both.
pub(super) fn of_answer(headers: &HeaderMap) -> Result<Codec, Refused> {
    let accept = last(headers, "accept");
    let taken = [Codec::Json, Codec::Protobuf].into_iter().find(|codec| takes(accept, codec.media_type()));
    taken.ok_or_else(|| {
        let words = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
        Refused::new(StatusCode::NOT_ACCEPTABLE, words)
    })
}

/// Whether a value of `Accept` allows a media type. How much it is liked does not matter, unless that is not at all.
fn takes(accept: Option<&str>, kind: &str) -> bool {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return true };
    let family = kind.split_once('/').map_or(kind, |(family, _)| family);
    accept.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let quality = pieces.find_map(|piece| piece.strip_prefix("q="));
        let is_refused = quality.is_some_and(|quality| quality.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
        let fits = name == "*/*"
            || name.eq_ignore_ascii_case(kind)
            || name
                .split_once('/')
                .is_some_and(|(left, right)| left.eq_ignore_ascii_case(family) && right == "*");
        fits && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn answer(values: &[&'static str]) -> Result<Codec, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("accept", HeaderValue::from_static(value));
        }
        of_answer(&headers).map_err(|refused| refused.status.as_u16())
    }

    #[test]
    fn answers_have_the_form_that_is_taken() {
        for (accept, codec) in [
            (vec![], Ok(Codec::Json)),
            (vec!["*/*"], Ok(Codec::Json)),
            (vec!["application/*"], Ok(Codec::Json)),
            (vec!["application/json"], Ok(Codec::Json)),
            (vec!["application/x-protobuf"], Ok(Codec::Protobuf)),
            (vec!["application/x-protobuf, application/json"], Ok(Codec::Json)),
            (vec!["application/json;q=0, application/x-protobuf;q=0.1"], Ok(Codec::Protobuf)),
            (vec!["application/json", "application/x-protobuf"], Ok(Codec::Protobuf)),
            (vec!["application/x-protobuf", "application/json"], Ok(Codec::Json)),
            (vec!["text/html"], Err(406)),
            (vec!["*/*;q=0"], Err(406)),
        ] {
            assert_eq!(answer(&accept), codec, "{accept:?}");
        }
    }

    #[test]
    fn bodies_say_what_they_are() {
        let form = |kind: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers
                .extend(kind.map(|kind| (axum::http::header::CONTENT_TYPE, HeaderValue::from_static(kind))));
            of_body(&headers).map_err(|refused| refused.status.as_u16())
        };
        assert_eq!(form(None), Err(400));
        assert_eq!(form(Some("application/json")), Ok(Codec::Json));
        assert_eq!(form(Some("application/json; charset=utf-8")), Ok(Codec::Json));
        assert_eq!(form(Some("application/x-protobuf")), Ok(Codec::Protobuf));
        assert_eq!(form(Some("text/plain")), Err(415));
        assert_eq!(form(Some("")), Err(415));
    }
}
