//! What makes the surface pleasant for many and safe from some: compression, tags, HEAD and OPTIONS, other origins, limits.

use crate::support::{Answer, Cluster, LONG, ask};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn get(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(cluster.address(), "GET", path, headers, "").await
}

fn unpacked(answer: &Answer) -> String {
    let mut text = String::new();
    GzDecoder::new(answer.bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn answers_are_compressed_for_who_asks() {
    let cluster = Cluster::start().await;
    for path in ["/hansa/v1/openapi.json", "/hansa/v1/openapi-marathon.json"] {
        let plain = get(&cluster, path, &[]).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        assert_eq!(plain.header("vary"), Some("accept-encoding"), "caches must know: {path}");
        let packed = get(&cluster, path, &[("accept-encoding", "br, gzip;q=0.8")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("content-length"), Some(packed.bytes.len().to_string().as_str()));
        assert!(packed.bytes.len() < plain.bytes.len(), "{path}");
        assert_eq!(unpacked(&packed), plain.body, "{path}");
        assert_eq!(packed.header("etag"), plain.header("etag"), "the same answer, packed or not");
        let refused = get(&cluster, path, &[("accept-encoding", "gzip;q=0, *")]).await;
        assert_eq!(refused.header("content-encoding"), None, "{path}");
        let head = ask(cluster.address(), "HEAD", path, &[("accept-encoding", "gzip")], "").await;
        assert_eq!(head.header("content-length"), packed.header("content-length"));
        assert!(head.bytes.is_empty());
    }
    let small = get(&cluster, "/ping", &[("accept-encoding", "gzip")]).await;
    assert_eq!((small.header("content-encoding"), small.body.as_str()), (None, "pong"));
    // A large list is packed by another thread; the Marathon surface likewise.
    let (_, empty) = cluster.send("PUT", "/v2/groups", group(400)).await;
    assert!(empty["deploymentId"].is_string(), "{empty}");
    let plain = get(&cluster, "/marathon/v2/apps", &[]).await;
    let packed = get(&cluster, "/marathon/v2/apps", &[("accept-encoding", "gzip")]).await;
    assert!(plain.bytes.len() > 128 * 1024 && packed.bytes.len() < plain.bytes.len() / 5);
    assert_eq!(unpacked(&packed), plain.body);
    cluster.stop().await;
}

/// That many services that run nothing.
fn group(apps: usize) -> Value {
    let app = |number| json!({"id": format!("app{number}"), "cmd": "true", "instances": 0});
    json!({"id": "/many", "apps": (0..apps).map(app).collect::<Vec<_>>()})
}

#[tokio::test]
async fn streams_are_never_compressed() {
    let cluster = Cluster::start().await;
    for (path, first) in
        [("/hansa/v1/events", "event: resync"), ("/v2/events", "event: event_stream_attached")]
    {
        let mut stream = TcpStream::connect(cluster.address()).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\naccept-encoding: gzip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = String::new();
        while !heard.contains(first) {
            let mut bytes = [0; 4096];
            let read = timeout(LONG, stream.read(&mut bytes)).await.unwrap().unwrap();
            assert!(read > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(!heard.contains("content-encoding") && !heard.contains("etag"), "{heard}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn who_has_the_answer_already_is_told_so() {
    let cluster = Cluster::start().await;
    cluster.send("POST", "/v2/apps", json!({"id": "/a", "cmd": "true", "instances": 0})).await;
    let paths = [
        "/hansa/v1/services",
        "/hansa/v1/services/a",
        "/hansa/v1/tasks",
        "/hansa/v1/tasks?limit=1",
        "/hansa/v1/nodes",
        "/hansa/v1/deployments",
        "/hansa/v1/roles",
        "/hansa/v1/openapi.json",
        "/v2/apps",
        "/v2/apps?embed=apps.taskStats",
        "/v2/apps/a",
        "/v2/apps/a/versions",
        "/v2/tasks",
        "/v2/groups",
        "/v2/deployments",
        "/v2/info",
        "/marathon/v2/apps",
        "/service/marathon/v2/apps",
        "/",
    ];
    let mut tags = Vec::new();
    for path in paths {
        let first = get(&cluster, path, &[]).await;
        let tag = first.header("etag").unwrap_or_else(|| panic!("{path}: {}", first.head)).to_owned();
        for held in [tag.clone(), tag.replace("W/", ""), format!("\"x\", {tag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let again = ask(cluster.address(), method, path, &[("if-none-match", &held)], "").await;
                assert_eq!((again.status, again.bytes.len()), (304, 0), "{path}: {held}: {}", again.head);
                assert_eq!(again.header("etag"), Some(tag.as_str()), "{path}");
                assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
                assert_eq!(again.header("content-type"), None, "{path}");
            }
        }
        let other = get(&cluster, path, &[("if-none-match", "W/\"0\"")]).await;
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
        tags.push(tag);
    }
    // A change shows in every list that it is in.
    let (status, _) =
        cluster.send("POST", "/v2/apps", json!({"id": "/b", "cmd": "true", "instances": 0})).await;
    assert_eq!(status, 201);
    for (path, tag) in paths.iter().zip(&tags) {
        let again = get(&cluster, path, &[("if-none-match", tag)]).await;
        let has_changed = ["services", "apps", "groups"].iter().any(|list| path.ends_with(list));
        if has_changed || path.contains("embed") {
            assert_eq!(again.status, 200, "{path}");
            assert!(again.body.contains("/b"), "{path}: {}", again.body);
            assert_ne!(again.header("etag"), Some(tag.as_str()), "{path}");
        }
    }
    // One path's tag says nothing about another; refusals and what changes with every look have none.
    let of_services = get(&cluster, "/hansa/v1/services", &[]).await.header("etag").unwrap().to_owned();
    for path in ["/hansa/v1/tasks", "/hansa/v1/services?limit=1", "/hansa/v1/services/none"] {
        assert_ne!(get(&cluster, path, &[("if-none-match", &of_services)]).await.status, 304, "{path}");
    }
    for path in ["/v2/apps/none", "/hansa/v1/services/none", "/metrics"] {
        assert_eq!(get(&cluster, path, &[("if-none-match", "*")]).await.header("etag"), None, "{path}");
    }
    // Another leadership counts its commits anew.
    let cluster = cluster.restart().await;
    let answer = get(&cluster, "/hansa/v1/services", &[("if-none-match", &of_services)]).await;
    assert_eq!(answer.status, 200);
    cluster.stop().await;
}

#[tokio::test]
async fn other_origins_are_let_in_only_by_name() {
    let cluster = Cluster::start_with(|options| {
        options.cors_origins = vec!["https://board.example".parse().unwrap()];
    })
    .await;
    let question = [
        ("origin", "https://board.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type"),
    ];
    for path in ["/v2/apps/a", "/hansa/v1/roles/a"] {
        let answer = ask(cluster.address(), "OPTIONS", path, &question, "").await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://board.example"));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("access-control-allow-private-network"), None);
    }
    let private = [&question[..], &[("access-control-request-private-network", "true")]].concat();
    let answer = ask(cluster.address(), "OPTIONS", "/v2/apps", &private, "").await;
    assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
    for path in ["/hansa/v1/services", "/v2/apps", "/v2/apps/none"] {
        let answer = get(&cluster, path, &[("origin", "https://board.example")]).await;
        assert_ne!(answer.status, 403, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://board.example"), "{path}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("marathon-deployment-id"));
        assert!(answer.head.lines().any(|line| line == "vary: origin"), "{}", answer.head);
    }
    // Somebody else's page, and one that says that it is two.
    for origins in
        [&["https://evil.example"][..], &["null"], &["https://board.example", "https://evil.example"]]
    {
        let mut headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
        let answer = get(&cluster, "/hansa/v1/services", &headers).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{origins:?}");
        headers.push(("access-control-request-method", "PUT"));
        let answer = ask(cluster.address(), "OPTIONS", "/v2/apps/a", &headers, "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{origins:?}");
    }
    // A named page behind a name that somebody pointed at this machine stays out.
    let rebound = [("host", "board.example"), ("origin", "https://board.example")];
    assert_eq!(get(&cluster, "/hansa/v1/services", &rebound).await.status, 403);
    cluster.stop().await;
    let cluster = Cluster::start().await;
    let answer = ask(cluster.address(), "OPTIONS", "/v2/apps", &question, "").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, None),
        "nobody is let in by default"
    );
    let own = get(&cluster, "/v2/apps", &[("origin", "http://localhost:3000")]).await;
    assert_eq!((own.status, own.header("access-control-allow-origin")), (200, None));
    cluster.stop().await;
}

#[tokio::test]
async fn requests_have_limits_that_are_told() {
    let cluster = Cluster::start().await;
    let long = "x".repeat(17 * 1024);
    let large = "x".repeat(49 * 1024);
    for (prefix, pointer) in [("/hansa/v1/services", "/error/message"), ("/v2/apps", "/message")] {
        let target = get(&cluster, &format!("{prefix}?id={long}"), &[]).await;
        let headers = get(&cluster, prefix, &[("x-large", &large)]).await;
        let beyond = get(&cluster, prefix, &[("x-large", &large.repeat(4))]).await;
        let many: Vec<(String, &str)> = (0..120).map(|number| (format!("x-{number}"), "x")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let many = get(&cluster, prefix, &many).await;
        for (answer, status) in [(target, 414), (headers, 431), (beyond, 431), (many, 431)] {
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(body.pointer(pointer).unwrap().as_str().unwrap().contains("must not"), "{body}");
        }
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let labels: serde_json::Map<String, Value> = (0..10_001).map(|at| (at.to_string(), json!("x"))).collect();
    for (method, path, body, status, words) in [
        ("PUT", "/v2/apps", deep.clone(), 400, "deeper than 127"),
        ("PUT", "/hansa/v1/roles/a", format!("{{\"limit\":{deep}}}"), 400, ""),
        (
            "POST",
            "/v2/apps",
            json!({"id": "a", "cmd": "x", "labels": labels}).to_string(),
            422,
            "10000 elements",
        ),
        ("POST", "/v2/tasks/delete", json!({"ids": vec!["x"; 10_001]}).to_string(), 422, "\"path\":\"/ids\""),
        ("PUT", "/v2/apps", json!(vec![json!({}); 10_001]).to_string(), 422, "10000 elements"),
        ("POST", "/v2/apps", "x".repeat(2 << 20), 413, "must not be larger"),
    ] {
        let answer = ask(cluster.address(), method, path, &[], &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(answer.body.contains(words), "{method} {path}: {}", answer.body);
        assert!(serde_json::from_str::<Value>(&answer.body).is_ok(), "{}", answer.body);
    }
    cluster.stop().await;
}

/// Many requests on one connection, the next before the last is answered, one of them no request at all.
#[tokio::test]
async fn one_connection_takes_many_requests() {
    let cluster = Cluster::start().await;
    let mut stream = TcpStream::connect(cluster.address()).await.unwrap();
    let mut said = String::new();
    for path in ["/ping", "/v2/apps", "/v2/none", "/hansa/v1/services"] {
        said += &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
    said += "this is no request\r\n\r\n";
    stream.write_all(said.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("it is closed").unwrap();
    let answers = String::from_utf8(bytes).unwrap();
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "404", "200", "400"], "{answers}");
    cluster.stop().await;
}
