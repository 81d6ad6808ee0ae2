//! Random requests to every described path, and to paths beside them: whatever comes, nothing breaks, and every refusal
//! has the surface's own shape.

use crate::http::tests::{Running, serving};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use hansa_api::openapi;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

/// Requests in one run of the tests; `HANSA_FUZZ_CASES` asks for more.
const CASES: u32 = 1_500;

#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    target: String,
    accept: &'static str,
    body: Vec<u8>,
}

/// Texts that have broken programs before, and random ones.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "", "a", "/a", "a/b", "*", "..", ".", "x.instance-y", "TASK_RUNNING", "running", "true", "null", "0", "-1",
            "18446744073709551616", "1e309", "2015-09-30T09:09:17.614Z", "9999-99-99T99:99:99Z", "tasks", "versions",
            "restart", "stdout", "drain", "gone", "delay", "ä€😀", "\u{0}", "%", "&=?#",
        ]).prop_map(str::to_owned),
        1 => ".{0,12}",
        1 => "[a-z]{300}",
    ]
}

/// As it stands in a URL; some bytes are no text.
fn encoded(word: &str, broken: bool) -> String {
    let mut text: String = word
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' | b'/' => {
                (byte as char).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    if broken {
        text.push_str("%FF");
    }
    text
}

/// JSON of any shape, with names that the surface knows.
fn tree(names: Vec<String>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![json!(0), json!(1), json!(-1), json!(1e300), json!(u64::MAX), json!(0.1)]),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        let name = prop::sample::select(names.clone());
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn bodies(names: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => tree(names.clone()).prop_map(|tree| tree.to_string().into_bytes()),
        // An app, with anything in one of its fields.
        6 => (prop::sample::select(names.clone()), tree(names)).prop_map(|(name, value)| {
            let mut app = json!({"id": "/a/b", "cmd": "true", "cpus": 0.1, "mem": 16, "instances": 1});
            app[name] = value;
            app.to_string().into_bytes()
        }),
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..64),
        1 => Just("[".repeat(100_000).into_bytes()),
    ]
}

fn requests() -> impl Strategy<Value = Asked> {
    let documents = [openapi::hansa(), openapi::marathon()];
    let mut paths: Vec<String> =
        vec!["/v2".into(), "/v2/pods".into(), "/hansa/v1/{x}".into(), "/{x}".into(), "/v2/{x}".into()];
    let (mut names, mut queries) =
        (vec!["ids".to_owned(), "x".to_owned()], vec!["x".to_owned(), "status[]".to_owned()]);
    for document in &documents {
        for (path, item) in document["paths"].as_object().unwrap() {
            paths.push(path.clone());
            let parameters =
                item.as_object().unwrap().values().flat_map(|method| method["parameters"].as_array());
            queries.extend(
                parameters
                    .flatten()
                    .filter(|one| one["in"] == "query")
                    .map(|one| one["name"].as_str().unwrap().to_owned()),
            );
        }
        for schema in document["components"]["schemas"].as_object().unwrap().values() {
            names
                .extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    names.sort();
    names.dedup();
    let methods = vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"];
    let accepts = vec!["application/json", "*/*", "text/event-stream", "text/html", ""];
    (
        prop::sample::select(methods),
        prop::sample::select(paths),
        vec(word(), 3),
        prop::bool::weighted(0.05),
        vec((prop::sample::select(queries), word()), 0..3),
        prop::sample::select(accepts),
        bodies(names),
    )
        .prop_map(|(method, path, words, broken, query, accept, body)| {
            let mut words = words.into_iter();
            let segments: Vec<String> = path
                .split('/')
                .map(|segment| match segment.starts_with('{') {
                    true => encoded(&words.next().unwrap_or_default(), broken),
                    false => segment.to_owned(),
                })
                .collect();
            let query: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={}", encoded(value, broken))).collect();
            let target = match query.is_empty() {
                true => segments.join("/"),
                false => format!("{}?{}", segments.join("/"), query.join("&")),
            };
            Asked { method, target, accept, body }
        })
}

/// What is wrong with the answer.
async fn fault(router: Router, asked: &Asked) -> Option<String> {
    let request = Request::builder().method(asked.method).uri(&asked.target).header("host", "localhost");
    let request = request.header("accept", asked.accept).body(Body::from(asked.body.clone())).ok()?;
    let path = request.uri().path().to_owned();
    let (head, body) = router.oneshot(request).await.expect("a router does not fail").into_parts();
    let status = head.status.as_u16();
    if status < 400 {
        return None;
    }
    let of_marathon = path == "/v2" || path.starts_with("/v2/");
    // Marathon can do it, Hansa cannot yet.
    if status >= 500 && !(status == 501 && of_marathon) {
        return Some(format!("{status}"));
    }
    // A HEAD's answer has no body.
    if asked.method == "HEAD" {
        return None;
    }
    let bytes = to_bytes(body, 1 << 20).await.ok()?;
    let Ok(body) = serde_json::from_slice(&bytes) else {
        return Some(format!("{status}: not JSON: {}", String::from_utf8_lossy(&bytes)));
    };
    let (document, schema) =
        if of_marathon { (openapi::marathon(), "Problem") } else { (openapi::hansa(), "ErrorBody") };
    let faults = openapi::faults(&document, schema, &body);
    (!faults.is_empty()).then(|| format!("{status}: {faults:?}"))
}

#[test]
fn nothing_breaks_and_every_refusal_has_its_shape() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Running { router, running } = runtime.block_on(serving());
    let cases = std::env::var("HANSA_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&requests(), |asked| {
        let fault = runtime.block_on(fault(router.clone(), &asked));
        prop_assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        Ok(())
    });
    if let Err(found) = result {
        panic!("{found}");
    }
    runtime.block_on(running.stop()).unwrap();
}
