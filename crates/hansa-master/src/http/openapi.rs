//! The documents that describe the HTTP surface.

use axum::Json;
use serde_json::Value;

/// `GET /hansa/v1/openapi.json`
pub(super) async fn hansa() -> Json<Value> {
    Json(hansa_api::openapi::hansa())
}

/// `GET /hansa/v1/openapi-marathon.json`
pub(super) async fn marathon() -> Json<Value> {
    Json(hansa_api::openapi::marathon())
}

#[cfg(test)]
mod tests {
    use crate::http::own_routes;
    use crate::http::tests::{Running, serving};
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use hansa_api::openapi;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use tower::ServiceExt;

    fn paths(document: &Value) -> BTreeSet<String> {
        document["paths"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_path_is_described_and_nothing_else() {
        let routed: BTreeSet<String> = own_routes().iter().map(|(path, _)| path.replace("{*", "{")).collect();
        assert_eq!(routed, paths(&openapi::hansa()));
    }

    /// A path with something in place of its parameters.
    fn filled(path: &str) -> String {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    #[tokio::test]
    async fn every_method_is_taken_that_is_described_and_no_other() {
        let Running { router, running } = serving().await;
        for document in [openapi::hansa(), openapi::marathon()] {
            for path in paths(&document) {
                for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                    let described = document["paths"][&path].get(method.to_lowercase()).is_some();
                    let request = Request::builder().method(method).uri(filled(&path));
                    // Marathon's events want to be asked for by their type.
                    let request = request.header("accept", "text/event-stream").body(Body::empty());
                    let status = router.clone().oneshot(request.unwrap()).await.unwrap().status();
                    // 501: Marathon can and Hansa cannot yet, which is not described.
                    let untaken = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
                    let taken = !untaken.contains(&status);
                    assert_eq!(taken, described, "{method} {path}: {status}");
                    assert!(!status.is_server_error() || !taken, "{method} {path}: {status}");
                }
            }
        }
        running.stop().await.unwrap();
    }
}
