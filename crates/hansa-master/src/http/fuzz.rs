//! Random requests to every described path, and to paths beside them: whatever comes, nothing breaks, every answer is as
//! described, and every refusal has the surface's own shape. `cargo xtask fuzz` asks a running master the same.

#[path = "../../examples/fuzz/requests.rs"]
mod requests;

use crate::http::tests::{Running, serving};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use requests::Asked;
use tower::ServiceExt;

/// Requests in one run of the tests; `HANSA_FUZZ_CASES` asks for more.
const CASES: u32 = 1_500;

/// What is wrong with the answer.
async fn fault(router: Router, asked: &Asked) -> Option<String> {
    let request = Request::builder().method(asked.method).uri(&asked.target).header("host", "localhost");
    let request = request.header("accept", asked.accept).body(Body::from(asked.body.clone())).ok()?;
    let (head, body) = router.oneshot(request).await.expect("a router does not fail").into_parts();
    let kind = head.headers.get("content-type").and_then(|kind: &HeaderValue| kind.to_str().ok());
    // A stream has no end.
    if kind == Some("text/event-stream") {
        return None;
    }
    let bytes = to_bytes(body, 1 << 24).await.ok()?;
    requests::fault(asked, head.status.as_u16(), kind.unwrap_or_default(), &bytes)
}

#[test]
fn nothing_breaks_and_every_refusal_has_its_shape() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Running { router, running } = runtime.block_on(serving());
    let cases = std::env::var("HANSA_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&requests::requests(true), |asked| {
        let fault = runtime.block_on(fault(router.clone(), &asked));
        prop_assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        Ok(())
    });
    if let Err(found) = result {
        panic!("{found}");
    }
    runtime.block_on(running.stop()).unwrap();
}
