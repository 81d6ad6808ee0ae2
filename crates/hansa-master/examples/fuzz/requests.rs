//! Random requests, and what their answers must be like: one place for the test in this crate (`src/http/fuzz.rs`) and for
//! the fuzzer that asks a running master (`examples/fuzz.rs`).

use hansa_api::openapi;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method, also some that nobody knows.
    pub method: &'static str,
    /// Path and query, encoded.
    pub target: String,
    /// The header `Accept`.
    pub accept: &'static str,
    /// The body, mostly JSON.
    pub body: Vec<u8>,
    /// The described path that was filled in, if what was filled in leaves no doubt about the meaning.
    pub described: Option<String>,
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

/// Requests to described paths, and to paths beside them: to Marathon's surface below all its prefixes, or without these and
/// to Hansa's own too.
pub fn requests(own_too: bool) -> impl Strategy<Value = Asked> {
    let mut documents = vec![openapi::marathon()];
    let mut paths: Vec<String> = vec!["/v2".into(), "/v2/pods".into(), "/v2/{x}".into()];
    if own_too {
        documents.push(openapi::hansa());
        paths.extend(["/hansa/v1/{x}".into(), "/{x}".into()]);
    }
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
    let prefixes = if own_too { vec![""] } else { vec!["", "", "/marathon", "/service/marathon"] };
    let accepts = vec!["application/json", "*/*", "text/event-stream", "text/html", ""];
    (
        prop::sample::select(methods),
        (prop::sample::select(prefixes), prop::sample::select(paths)),
        vec(word(), 3),
        prop::bool::weighted(0.05),
        vec((prop::sample::select(queries), word()), 0..3),
        prop::sample::select(accepts),
        bodies(names),
    )
        .prop_map(|(method, (prefix, path), words, broken, query, accept, body)| {
            let holes = path.matches('{').count();
            let is_clear = !broken && words.iter().take(holes).all(|word| is_plain(word));
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
                true => format!("{prefix}{}", segments.join("/")),
                false => format!("{prefix}{}?{}", segments.join("/"), query.join("&")),
            };
            Asked { method, target, accept, body, described: is_clear.then_some(path) }
        })
}

/// Whether a word in a path is a name and nothing else, so that the path means what the template says.
fn is_plain(word: &str) -> bool {
    let means_more = ["tasks", "versions", "restart", "delay", "delete", "apps"].contains(&word);
    !word.is_empty() && !means_more && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What is wrong with an answer. `body` is empty where none can be.
pub fn fault(asked: &Asked, status: u16, kind: &str, body: &[u8]) -> Option<String> {
    let path = asked.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/service").unwrap_or(path);
    let path = path.strip_prefix("/marathon").unwrap_or(path);
    let of_marathon = path == "/v2" || path.starts_with("/v2/");
    // Marathon can do it, Hansa cannot yet.
    if status >= 500 && !(status == 501 && of_marathon) {
        return Some(format!("{status}: {}", String::from_utf8_lossy(body)));
    }
    // A HEAD's answer has no body.
    if asked.method == "HEAD" {
        return (!body.is_empty()).then(|| format!("{status} with a body"));
    }
    let (document, error) =
        if of_marathon { (openapi::marathon(), "Problem") } else { (openapi::hansa(), "ErrorBody") };
    let schema = if status < 400 {
        let described = asked.described.as_ref()?;
        let answers = &document["paths"][described][asked.method.to_lowercase()]["responses"];
        if answers.is_null() || status == 304 {
            return None;
        }
        let Some(answer) = answers.get(status.to_string()) else {
            return Some(format!("{status} is not described"));
        };
        let schema = answer["content"]["application/json"]["schema"]["$ref"].as_str()?;
        schema.rsplit('/').next()?.to_owned()
    } else {
        error.to_owned()
    };
    let text = String::from_utf8_lossy(body);
    if kind != "application/json" {
        return Some(format!("{status} of type '{kind}': {text}"));
    }
    let Ok(value) = serde_json::from_slice(body) else {
        return Some(format!("{status}: not JSON: {text}"));
    };
    let faults = openapi::faults(&document, &schema, &value);
    (!faults.is_empty()).then(|| format!("{status}: {faults:?}"))
}
