//! A.1: one port, prefixes, media types, and what every tool asks first.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, info, subscribe_call};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    version: "/version has a version of numbers and dots, at least 1.0.0",
    health: "/health is 200 without a body",
    prefixes: "a master's endpoints are found with and without /master, with a slash at the end, by any method",
    unknown: "an unknown path is 404",
    redirect: "/redirect is 307 to the leader, as a URL without scheme",
    json_unless_said: "the operator API speaks JSON if nothing else is asked for",
    protobuf: "the operator API speaks protobuf if asked",
    no_gzip_on_streams: "a stream is never compressed",
}

async fn version(world: &World) {
    let answer = Request::get("/version").send(&world.master).await;
    let body = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let version = body["version"].as_str().expect("a version");
    let numbers: Vec<u32> =
        version.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{version}"))).collect();
    assert!(numbers.len() == 3 && numbers[0] >= 1, "{version}");
    for key in ["build_date", "build_user"] {
        assert!(body[key].is_string(), "{key} in {body}");
    }
    assert!(body["build_time"].is_number(), "{body}");
}

async fn health(world: &World) {
    for path in ["/health", "/master/health"] {
        let answer = Request::get(path).send(&world.master).await;
        assert_eq!((answer.status(), answer.text()), (200, String::new()), "{path}");
    }
}

async fn prefixes(world: &World) {
    let id = |answer: Value| answer["id"].as_str().expect("an id").to_owned();
    let state = id(Request::get("/state").send(&world.master).await.json());
    assert_eq!(id(Request::get("/master/state").send(&world.master).await.json()), state);
    assert_eq!(id(Request::new("POST", "/master/state").send(&world.master).await.json()), state);
    for (method, path, key) in [
        ("GET", "/frameworks/", "frameworks"),
        ("GET", "/master/slaves", "slaves"),
        ("POST", "/tasks/?task_id=none", "tasks"),
        ("GET", "/master/tasks?limit=1", "tasks"),
    ] {
        let answer = Request::new(method, path).send(&world.master).await.json();
        assert!(answer[key].is_array(), "{method} {path}: {answer}");
    }
    let slaves = Request::get("/slaves").send(&world.master).await.json();
    let agent = slaves["slaves"][0]["id"].as_str().expect("an agent");
    // More of the path than the endpoint has is passed over.
    let answer = Request::new("POST", &format!("/slaves/{agent}")).send(&world.master).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

async fn unknown(world: &World) {
    for path in ["/no-such-endpoint", "/master/no-such-endpoint", "/redirect/further"] {
        assert_eq!(Request::get(path).send(&world.master).await.status(), 404, "{path}");
    }
}

async fn redirect(world: &World) {
    for (method, path) in [("GET", "/redirect"), ("GET", "/master/redirect"), ("HEAD", "/master/redirect")] {
        let answer = Request::new(method, path).send(&world.master).await;
        assert_eq!(answer.status(), 307, "{method} {path}");
        let location = answer.header("location").expect("a location");
        let (host, port) =
            location.strip_prefix("//").and_then(|rest| rest.rsplit_once(':')).expect(location);
        assert!(!host.is_empty() && world.master.ends_with(&format!(":{port}")), "{location}");
    }
}

async fn json_unless_said(world: &World) {
    let expected = json!({"type": "GET_HEALTH", "get_health": {"healthy": true}});
    for accept in [None, Some("*/*"), Some("application/*"), Some("application/json")] {
        for path in ["/api/v1", "/master/api/v1"] {
            let mut request = Request::new("POST", path)
                .header("Content-Type", "application/json")
                .body("{\"type\":\"GET_HEALTH\"}");
            if let Some(accept) = accept {
                request = request.header("Accept", accept);
            }
            let answer = request.send(&world.master).await;
            assert_eq!(answer.header("content-type"), Some("application/json"), "{accept:?}");
            assert_eq!(answer.json(), expected, "{accept:?}");
        }
    }
}

/// GET_HEALTH is 1 in calls and in answers; an answer's `get_health` is field 2, its `healthy` field 1.
async fn protobuf(world: &World) {
    let answer = Request::new("POST", "/api/v1")
        .header("Content-Type", "application/x-protobuf")
        .header("Accept", "application/x-protobuf")
        .body([0x08, 0x01])
        .send(&world.master)
        .await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(answer.body, [0x08, 0x01, 0x12, 0x02, 0x08, 0x01]);
    // Either may be mixed with the other.
    let answer = Request::new("POST", "/api/v1")
        .header("Content-Type", "application/x-protobuf")
        .header("Accept", "application/json")
        .body([0x08, 0x01])
        .send(&world.master)
        .await;
    assert_eq!(answer.json()["get_health"]["healthy"], true);
}

async fn no_gzip_on_streams(world: &World) {
    let call = subscribe_call(&info("gzip"));
    let mut stream = Request::json(PATH, &call).header("Accept-Encoding", "gzip").open(&world.master).await;
    assert_eq!((stream.head.status, stream.head.header("content-encoding")), (200, None));
    assert_eq!(stream.json().await.expect("an event")["type"], "SUBSCRIBED");
}
