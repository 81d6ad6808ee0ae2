//! HEAD and OPTIONS, the same for every path.

use super::marathon;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_LENGTH, HeaderValue, UPGRADE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// HEAD is GET without what comes after the head: tags, lengths and encodings are those of the answer that GET gives.
pub(super) async fn head(mut request: Request, next: Next) -> Response {
    if request.method() != Method::HEAD {
        return next.run(request).await;
    }
    *request.method_mut() = Method::GET;
    // Nothing can follow a HEAD, so nothing is begun.
    request.headers_mut().remove(UPGRADE);
    let (mut head, body) = next.run(request).await.into_parts();
    if let (None, Some(length)) = (head.headers.get(CONTENT_LENGTH), body.size_hint().exact())
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // A stream that has begun ends here.
    drop(body);
    Response::from_parts(head, Body::empty())
}

/// Says what a path takes, where a handler or the router has refused OPTIONS, and in every other 405 too.
pub(super) async fn options(request: Request, next: Next) -> Response {
    let asks = request.method() == Method::OPTIONS;
    let path = request.uri().path().to_owned();
    let of_marathon = marathon::allowed(&path);
    let mut answer = match of_marathon {
        // Its handlers look at methods themselves.
        Some(methods) if asks && !methods.is_empty() => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => next.run(request).await,
    };
    if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
        return answer;
    }
    let allowed = match of_marathon {
        Some(methods) => Some(methods.to_owned()),
        // The router has said it.
        None => answer.headers().get(ALLOW).and_then(|methods| methods.to_str().ok()).map(str::to_owned),
    };
    if asks {
        answer = StatusCode::NO_CONTENT.into_response();
    }
    let allowed = allowed
        .filter(|methods| !methods.is_empty())
        .map_or("OPTIONS".to_owned(), |methods| format!("{methods},OPTIONS"));
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

#[cfg(test)]
mod tests {
    use crate::http::tests::{Running, ask, serving};
    use hansa_api::openapi;
    use std::collections::BTreeSet;

    /// OPTIONS says of every described path what is described, and the two that go without saying.
    #[tokio::test]
    async fn options_are_those_of_the_documents() {
        let Running { router, running } = serving().await;
        for document in [openapi::hansa(), openapi::marathon()] {
            for (path, item) in document["paths"].as_object().unwrap() {
                let target = path.replace(['{', '}'], "");
                let (head, text) = ask(&router, "OPTIONS", &target).await;
                assert_eq!((head.status.as_u16(), text.as_str()), (204, ""), "{path}");
                let allowed: BTreeSet<String> =
                    head.headers["allow"].to_str().unwrap().split(',').map(str::to_owned).collect();
                let mut described: BTreeSet<String> =
                    item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
                described.extend(described.contains("GET").then(|| "HEAD".to_owned()));
                described.insert("OPTIONS".into());
                assert_eq!(allowed, described, "{path}");
                let (refused, _) = ask(&router, "BREW", &target).await;
                let status = refused.status.as_u16();
                if status == 405 {
                    assert_eq!(refused.headers["allow"], head.headers["allow"], "{path}");
                } else {
                    assert_eq!((path.as_str(), status), ("/v2/events", 406));
                }
            }
        }
        for path in ["/ping", "/metrics", "/", "/ui/x", "/marathon/ping", "/v2/pods", "/v2/pods/a"] {
            let (head, _) = ask(&router, "OPTIONS", path).await;
            assert_eq!(
                (head.status.as_u16(), &head.headers["allow"]),
                (204, &"GET,HEAD,OPTIONS".parse().unwrap())
            );
        }
        assert_eq!(ask(&router, "OPTIONS", "/v2/nothing").await.0.status.as_u16(), 404);
        running.stop().await.unwrap();
    }

    #[tokio::test]
    async fn head_is_get_without_what_follows() {
        let Running { router, running } = serving().await;
        for path in [
            "/",
            "/ping",
            "/hansa/v1/tasks",
            "/hansa/v1/openapi.json",
            "/v2/apps",
            "/v2/nothing",
            "/v2/leader",
        ] {
            let (get, body) = ask(&router, "GET", path).await;
            let (head, nothing) = ask(&router, "HEAD", path).await;
            assert_eq!((head.status, nothing.as_str()), (get.status, ""), "{path}");
            assert_eq!(head.headers["content-length"], body.len().to_string().as_str(), "{path}");
            for name in ["etag", "content-type", "vary", "cache-control"] {
                assert_eq!(head.headers.get(name), get.headers.get(name), "{path}");
            }
        }
        // A stream is not kept open, and a path that takes no GET takes no HEAD.
        assert_eq!(ask(&router, "HEAD", "/hansa/v1/events").await.0.status.as_u16(), 200);
        assert_eq!(ask(&router, "HEAD", "/hansa/v1/images/prune").await.0.status.as_u16(), 405);
        running.stop().await.unwrap();
    }
}
