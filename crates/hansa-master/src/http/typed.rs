//! Every refusal in the shape of the surface that was asked: Marathon's below `/v2`, Hansa's elsewhere. Handlers say it
//! right themselves; here is caught what routers, extractors and the guard say for them.

use super::error::{ApiError, Refusal};
use super::marathon;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Goes with an answer whose surface has words of its own: it is left as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsItIs;

/// Bytes of a refusal's words.
const MAX_WORDS: usize = 4_096;

/// Looks at every answer.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let of_marathon = marathon::is_below(request.uri().path());
    let answer = next.run(request).await;
    if !answer.status().is_client_error() && !answer.status().is_server_error() {
        return answer;
    }
    if answer.extensions().get::<AsItIs>().is_some() {
        return answer;
    }
    if answer.extensions().get::<Refusal>().is_some() {
        return if of_marathon { translated(answer) } else { answer };
    }
    let kind = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let from_grpc = kind.starts_with(b"application/grpc");
    if kind.starts_with(b"application/json") || from_grpc {
        return answer;
    }
    // Words of the libraries below us.
    let status = answer.status();
    let (mut head, body) = answer.into_parts();
    let words = to_bytes(body, MAX_WORDS).await.unwrap_or_default();
    let words = match String::from_utf8_lossy(&words).trim() {
        "" => status.canonical_reason().unwrap_or("refused").to_owned(),
        words => words.to_owned(),
    };
    let shaped = ApiError::new(status, code(status), words).into_response();
    let shaped = if of_marathon { translated(shaped) } else { shaped };
    let (own, body) = shaped.into_parts();
    head.headers.remove(axum::http::header::CONTENT_LENGTH);
    head.headers.extend(own.headers);
    Response::from_parts(head, body)
}

/// The stable word for a status that no handler chose.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "too-large",
        StatusCode::FORBIDDEN => "forbidden",
        status if status.is_server_error() => "internal",
        _ => "invalid",
    }
}

/// Hansa's refusal in Marathon's shape.
fn translated(answer: Response) -> Response {
    let Some(Refusal(refusal)) = answer.extensions().get::<Refusal>().cloned() else { return answer };
    let mut words = refusal.message;
    if let Some(remedy) = refusal.remedy {
        words = format!("{words}: {remedy}");
    }
    let (mut head, _) = answer.into_parts();
    head.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(serde_json::json!({ "message": words }).to_string()))
}

#[cfg(test)]
mod tests {
    use crate::http::tests::{Running, ask, serving};

    #[tokio::test]
    async fn every_surface_refuses_in_its_own_shape() {
        let Running { router, running } = serving().await;
        for (method, path, status, body) in [
            ("POST", "/v2/info", 405, r#"{"message":"/v2/info does not take POST"}"#),
            ("GET", "/marathon/v2/groups/%FF", 400, r#"{"message":"Invalid URL: Invalid UTF-8 in `path`"}"#),
            (
                "GET",
                "/hansa/v1/nowhere",
                404,
                r#"{"error":{"code":"not-found","message":"there is nothing at /hansa/v1/nowhere"}}"#,
            ),
            (
                "GET",
                "/hansa/v1/tasks/%FF",
                400,
                r#"{"error":{"code":"invalid","message":"Invalid URL: Invalid UTF-8 in `task`"}}"#,
            ),
        ] {
            let (head, text) = ask(&router, method, path).await;
            assert_eq!((head.status.as_u16(), text.as_str()), (status, body), "{method} {path}");
            assert_eq!(head.headers["content-type"], "application/json");
        }
        running.stop().await.unwrap();
    }
}
