//! A master in this process, spoken to through real sockets, and agents that say what a test tells them.

use hansa_master::{Master, Options, Running, start};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(20);

/// A master with a data directory of its own.
pub struct Cluster {
    running: Running,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// On a free port, with an empty store.
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// The same, with options of its own.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new("127.0.0.1:0".parse().unwrap(), folder.path());
        change(&mut options);
        Self { running: start(options).await.unwrap(), folder }
    }

    async fn start_in(folder: tempfile::TempDir) -> Self {
        let options = Options::new("127.0.0.1:0".parse().unwrap(), folder.path());
        Self { running: start(options).await.unwrap(), folder }
    }

    /// Stops, and starts again with the same store.
    pub async fn restart(self) -> Self {
        self.running.stop().await.unwrap();
        Self::start_in(self.folder).await
    }

    pub async fn stop(self) {
        self.running.stop().await.unwrap();
    }

    pub fn master(&self) -> &Master {
        self.running.master()
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = ask(self.address(), "GET", path, &[], "").await;
        (answer.status, answer.body)
    }

    /// GETs JSON that must be there.
    pub async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// POSTs (or what else `method` says) JSON; gives the status and what came back.
    pub async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = ask(self.address(), method, path, &[], &body.to_string()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body)))
    }

    /// Deploys a service and waits until all its instances run.
    pub async fn deploy(&self, id: &str, instances: u64) {
        let mut events = self.events(None).await;
        events.find(|frame| frame.name == "resync").await;
        let app = json!({ "id": id, "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": instances });
        let (status, body) = self.send("POST", "/v2/apps", app).await;
        assert_eq!(status, 201, "{body}");
        events.find(|frame| frame.is_service(id, "running", instances)).await;
    }

    /// The event stream, after an id if given.
    pub async fn events(&self, after: Option<&str>) -> Events {
        let after = after.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        self.open_events("", &after).await
    }

    /// The event stream with a query.
    pub async fn events_of(&self, query: &str) -> Events {
        self.open_events(&format!("?{query}"), "").await
    }

    async fn open_events(&self, query: &str, headers: &str) -> Events {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let head = format!("GET /hansa/v1/events{query} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).await.unwrap();
            assert!(!line.is_empty(), "the stream begins");
            if line == "\r\n" {
                return Events { lines };
            }
        }
    }
}

/// One frame of an event stream.
#[derive(Debug)]
pub struct Frame {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

impl Frame {
    /// Whether it says of the service that the field has the value.
    pub fn is_service(&self, id: &str, field: &str, value: impl Into<Value>) -> bool {
        self.name == "service" && self.data["id"] == id && self.data[field] == value.into()
    }
}

/// An open event stream. The chunked encoding's sizes stand on lines of their own, which no field looks like.
pub struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    /// The next frame; None when the stream ends.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut frame = Frame { name: String::new(), id: None, data: Value::Null };
        loop {
            let mut line = String::new();
            if timeout(LONG, self.lines.read_line(&mut line)).await.expect("a frame comes").ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("event", name)) => frame.name = name.into(),
                Some(("id", id)) => frame.id = Some(id.into()),
                Some(("data", data)) => frame.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !frame.name.is_empty() => return Some(frame),
                _ => {}
            }
        }
    }

    /// The next frame that `wanted` accepts.
    pub async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The headers, a line each, names in small letters as hyper writes them.
    pub head: String,
    pub body: String,
    /// What follows the head, byte for byte.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One request on a connection of its own, written by hand: nothing between the test and the wire.
pub async fn ask(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let own_host = headers.iter().any(|(name, _)| *name == "host");
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !own_host {
        head += "host: localhost\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // A refusal may come before all of a large body is taken.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("an answer comes");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { dechunk(body) } else { body.into() };
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    Answer { status, head: head.to_owned(), body, bytes: bytes[end..].to_vec() }
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &rest[..size];
        body = rest.get(size + 2..).unwrap_or("");
    }
    whole
}
