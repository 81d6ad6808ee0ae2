//! A scheduler as the wire sees it: requests written by hand, chunks read one by one.

use crate::support::{Answer, Cluster, LONG};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const SCHEDULER: &str = "/api/v1/scheduler";

/// Any request with exactly these headers (and those that a body needs).
pub async fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&bytes(method, path, headers, body)).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("an answer comes");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&answer[..end]).trim_end().to_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer[end..].to_vec();
    Answer { status, head, body: String::from_utf8_lossy(&body).into_owned(), bytes: body }
}

fn bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// POSTs JSON to the operator API, or to a path of it.
pub async fn operator(cluster: &Cluster, call: Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let answer = request(cluster.address(), "POST", "/api/v1", &headers, call.to_string().as_bytes()).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body)))
}

/// A stream of records.
pub struct Records {
    lines: BufReader<TcpStream>,
    pub head: String,
}

impl Records {
    /// Asks for one, and reads the head of the answer.
    pub async fn open(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &Value) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&bytes("POST", path, headers, body.to_string().as_bytes())).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = timeout(LONG, lines.read_line(&mut head)).await.expect("a head comes").unwrap();
            assert!(read > 0, "{head}");
        }
        Self { lines, head }
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The next record, which is one chunk; None: the stream ended, properly or not.
    pub async fn next(&mut self) -> Option<Value> {
        let mut size = String::new();
        let read = timeout(LONG, self.lines.read_line(&mut size)).await.expect("something comes").ok()?;
        let size = usize::from_str_radix(size.trim_end(), 16).ok().filter(|size| read > 0 && *size > 0)?;
        let mut chunk = vec![0; size + 2];
        self.lines.read_exact(&mut chunk).await.ok()?;
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(size);
        let text = String::from_utf8(chunk).unwrap();
        let (length, record) = text.split_once('\n').expect("a length, then the record");
        assert_eq!(length.parse::<usize>().unwrap(), record.len(), "one record in a chunk: {text}");
        assert!(!record.contains('\n'), "{record}");
        Some(serde_json::from_str(record).unwrap())
    }

    /// The next one of a type.
    pub async fn find(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ends before {kind}"));
            if event["type"] == kind {
                return event;
            }
        }
    }
}

/// A framework that is subscribed.
pub struct Scheduler {
    pub events: Records,
    pub id: String,
    pub stream: String,
    address: SocketAddr,
}

impl Scheduler {
    /// Subscribes; `info` is what it says of itself besides user and name.
    pub async fn subscribe(cluster: &Cluster, info: Value) -> Self {
        let mut events = subscribe(cluster, &info).await;
        let first = events.next().await.expect("a first event");
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        assert_eq!(events.next().await.unwrap(), json!({"type": "HEARTBEAT"}), "at once");
        let id = first["subscribed"]["framework_id"]["value"].as_str().unwrap().to_owned();
        let stream = events.header("mesos-stream-id").unwrap().to_owned();
        Self { events, id, stream, address: cluster.address() }
    }

    /// Calls; gives the status and the words.
    pub async fn call(&self, mut call: Value) -> (u16, String) {
        call["framework_id"] = json!({"value": self.id});
        let headers = [("content-type", "application/json"), ("mesos-stream-id", self.stream.as_str())];
        let body = call.to_string();
        let answer = request(self.address, "POST", SCHEDULER, &headers, body.as_bytes()).await;
        if answer.status == 202 {
            assert_eq!((answer.header("content-type"), answer.body.as_str()), (None, ""));
        }
        (answer.status, answer.body)
    }

    /// Calls, and is understood.
    pub async fn tell(&self, call: Value) {
        let (status, words) = self.call(call).await;
        assert_eq!(status, 202, "{words}");
    }

    /// The next offer.
    pub async fn offer(&mut self) -> Value {
        self.events.find("OFFERS").await["offers"]["offers"][0].clone()
    }

    /// The next update of a task.
    pub async fn update(&mut self, task: &str) -> Value {
        loop {
            let event = self.events.find("UPDATE").await;
            if event["update"]["status"]["task_id"]["value"] == task {
                return event["update"]["status"].clone();
            }
        }
    }

    /// Says that an update is dealt with.
    pub async fn acknowledge(&self, status: &Value) {
        let acknowledge = json!({
            "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
        });
        self.tell(json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge})).await;
    }

    /// Accepts an offer and launches a command on it.
    pub async fn launch(&self, offer: &Value, task: &str) {
        let info = json!({
            "name": format!("{task}'s name"),
            "task_id": {"value": task},
            "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.5), scalar("mem", 64.0)],
            "command": {"value": "sleep 1000"},
            "labels": {"labels": [{"key": "k", "value": "v"}]},
        });
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [info]}});
        self.tell(json!({
            "type": "ACCEPT",
            "accept": {"offer_ids": [offer["id"]], "operations": [launch], "filters": {"refuse_seconds": 0}},
        }))
        .await;
    }
}

/// A scalar resource.
pub fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// Asks for a subscription, and reads the head of the answer.
pub async fn subscribe(cluster: &Cluster, info: &Value) -> Records {
    let mut framework = json!({"user": "root", "name": "test"});
    for (name, value) in info.as_object().unwrap() {
        framework[name] = value.clone();
    }
    let mut call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": framework}});
    if let Some(id) = info.get("id") {
        call["framework_id"] = id.clone();
    }
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("authorization", "Basic bm9ib2R5OmFza2Vk"),
    ];
    Records::open(cluster.address(), SCHEDULER, &headers, &call).await
}
