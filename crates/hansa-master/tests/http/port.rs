//! The port, through real sockets: who is let in, what the plain paths say, how a master starts and stops.

use crate::support::{Cluster, LONG, ask};
use hansa_master::{Options, StartError, start};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

#[tokio::test]
async fn plain_paths_answer() {
    let cluster = Cluster::start().await;
    let (status, body) = cluster.get("/ping").await;
    assert_eq!((status, body.as_str()), (200, "pong"));
    let page = cluster.get("/").await;
    assert!(page.0 == 200 && page.1.contains("Hansa"));
    assert_eq!(
        cluster.get("/ui/services/shop").await.1,
        page.1,
        "the page's script knows what its paths mean"
    );
    assert_eq!(cluster.get("/ui/absent.js").await.0, 404);
    let (_, metrics) = cluster.get("/metrics").await;
    assert!(
        metrics.contains("\nhansa_services 0\n")
            && metrics.contains("# TYPE hansa_store_write_seconds histogram")
    );
    let json = ask(cluster.address(), "GET", "/metrics", &[("accept", "application/json")], "").await;
    let json: Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(json["gauges"]["marathon.apps.active.gauge"]["value"], 0.0);
    let head = ask(cluster.address(), "HEAD", "/", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    cluster.stop().await;
}

#[tokio::test]
async fn errors_have_one_shape() {
    let cluster = Cluster::start().await;
    for (method, path, body, status, code) in [
        ("GET", "/nothing/here", "", 404, "not-found"),
        ("DELETE", "/hansa/v1/cluster", "", 405, "invalid"),
        ("GET", "/hansa/v1/nodes/none", "", 404, "not-found"),
        ("POST", "/hansa/v1/nodes/none/drain", "", 404, "not-found"),
        ("POST", "/hansa/v1/nodes/none/explode", "", 404, "not-found"),
        ("GET", "/hansa/v1/services/none", "", 404, "not-found"),
        ("GET", "/hansa/v1/tasks/none", "", 404, "not-found"),
        ("GET", "/hansa/v1/tasks/none/logs/stdout", "", 404, "not-found"),
        ("GET", "/hansa/v1/tasks/none/logs/stdlog", "", 404, "not-found"),
        ("GET", "/hansa/v1/tasks?state=TASK_SLEEPING", "", 400, "invalid"),
        ("GET", "/hansa/v1/tasks?limit=many", "", 400, "invalid"),
        ("GET", "/hansa/v1/events?only=weather", "", 400, "invalid"),
        ("PUT", "/hansa/v1/roles/a%20b", "{}", 400, "invalid"),
        ("PUT", "/hansa/v1/roles/a", "{", 400, "invalid"),
    ] {
        let answer = ask(cluster.address(), method, path, &[], body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let body: Value =
            serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{path}: {}", answer.body));
        assert_eq!(body["error"]["code"], code, "{method} {path}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
    }
    let large = "x".repeat(17 * 1024 * 1024);
    assert_eq!(ask(cluster.address(), "PUT", "/hansa/v1/roles/a", &[], &large).await.status, 413);
    cluster.stop().await;
}

#[tokio::test]
async fn foreign_pages_are_kept_out() {
    let cluster = Cluster::start().await;
    for (header, value, status) in [
        ("host", "evil.example", 403),
        ("host", "localhost:1", 200),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost:5173", 200),
    ] {
        for path in ["/hansa/v1/cluster", "/"] {
            let answer = ask(cluster.address(), "GET", path, &[(header, value)], "").await;
            assert_eq!(answer.status, status, "{header}: {value}");
            assert!(status == 200 || answer.body.contains("is foreign"), "{}", answer.body);
        }
    }
    let answer =
        ask(cluster.address(), "GET", "/hansa/v1/cluster", &[("host", "localhost"), ("host", "evil")], "")
            .await;
    assert_ne!(answer.status, 200, "a second Host does not get through");
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_in_use_is_said_in_one_line() {
    let cluster = Cluster::start().await;
    let other = tempfile::tempdir().unwrap();
    let error = start(Options::new(cluster.address(), other.path())).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse(address) if address == cluster.address()), "{error}");
    let error = start(Options::new("127.0.0.1:0".parse().unwrap(), cluster.data_dir())).await.unwrap_err();
    assert!(matches!(error, StartError::DataDirInUse(_)), "{error}");
    assert!(!error.to_string().contains('\n'));
    let error = start(Options::new("0.0.0.0:0".parse().unwrap(), other.path())).await.unwrap_err();
    assert!(
        matches!(error, StartError::NotLoopback(_)) && error.to_string().contains("--insecure"),
        "{error}"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_the_cluster_and_raises_the_term() {
    let cluster = Cluster::start().await;
    let (id, term) = (cluster.master().identity().cluster.clone(), cluster.master().identity().term);
    let cluster = cluster.restart().await;
    assert_eq!(cluster.master().identity().cluster, id);
    assert!(cluster.master().identity().term > term);
    cluster.stop().await;
}

#[tokio::test]
async fn stopping_ends_streams_at_once() {
    let cluster = Cluster::start().await;
    let mut events = cluster.events(None).await;
    assert_eq!(events.next().await.unwrap().name, "resync");
    let begun = std::time::Instant::now();
    cluster.stop().await;
    while events.next().await.is_some() {}
    assert!(begun.elapsed().as_secs() < 4, "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn events_name_who_asks() {
    let cluster = Cluster::start().await;
    // All of 127.0.0.0/8 is this machine.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(cluster.address()).await.unwrap();
    let host = cluster.address();
    let request = format!("GET /v2/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    while !heard.contains("\"remoteAddress\":\"127.0.0.2\"") {
        let mut bytes = [0; 4096];
        let read = timeout(LONG, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(read > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    drop(stream);
    cluster.stop().await;
}
