//! HTTP/1.1 by hand: what is sent is what is written here, and what comes back is kept byte by byte, chunks included.
//!
//! Records of a stream are read here, too. Nothing of the product's own encoding is used, so that the two cannot be wrong
//! together.

use crate::PATIENCE;
use serde_json::Value;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request; what is not set is not sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    measured: bool,
}

impl Request {
    /// A request without headers of its own and without a body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            measured: true,
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST of JSON that takes JSON.
    pub fn json(target: &str, body: &Value) -> Self {
        Self::new("POST", target)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(body.to_string())
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, with its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The body, without a length: a header says how long it is, or it goes on later.
    pub fn unmeasured(self, body: impl Into<Vec<u8>>) -> Self {
        Self { measured: false, ..self.body(body) }
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.measured && (!self.body.is_empty() || self.method != "GET") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.into_bytes(), self.body.clone()].concat()
    }

    /// Sends it to `host:port` and reads the head of the answer.
    pub async fn open(&self, address: &str) -> Stream {
        let opened = timeout(PATIENCE, async {
            let mut socket = TcpStream::connect(address).await.expect("the server listens");
            socket.set_nodelay(true).expect("a socket");
            socket.write_all(&self.bytes(address)).await.expect("the request is taken");
            Stream::new(socket).await
        });
        opened.await.unwrap_or_else(|_| panic!("no answer to {self:?}"))
    }

    /// Sends it and reads the whole answer.
    pub async fn send(&self, address: &str) -> Answer {
        let mut stream = self.open(address).await;
        let body = match timeout(PATIENCE, stream.rest(self.method == "HEAD")).await {
            Ok(body) => body,
            Err(_) => panic!("the answer to {self:?} does not end"),
        };
        Answer { head: stream.head, body }
    }
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The first line.
    pub line: String,
    /// The status.
    pub status: u16,
    /// The headers in their order, names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.status(), 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

/// An answer whose body is read piece by piece. Waiting for a piece may be given up at any time; nothing gets lost.
pub struct Stream {
    /// Its head.
    pub head: Head,
    socket: TcpStream,
    /// Bytes that have come and were not taken for anything yet.
    raw: Vec<u8>,
    /// Bytes of chunks that no record was made of yet.
    rest: Vec<u8>,
    /// The lengths of chunks that have come, in order.
    pub chunks: VecDeque<usize>,
    ended: bool,
}

impl Stream {
    async fn new(mut socket: TcpStream) -> Self {
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = find(&raw, b"\r\n\r\n") {
                break end;
            }
            let read = socket.read_buf(&mut raw).await.expect("a head");
            assert!(read > 0, "the head breaks off: {:?}", String::from_utf8_lossy(&raw));
        };
        let text = String::from_utf8(raw[..end].to_vec()).expect("a head is text");
        raw.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let line = lines.next().expect("a first line").to_owned();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let head = Head {
            status: status.unwrap_or_else(|| panic!("no status in {line}")),
            headers: lines.map(header).collect(),
            line,
        };
        Self { head, socket, raw, rest: Vec::new(), chunks: VecDeque::new(), ended: false }
    }

    fn is_chunked(&self) -> bool {
        self.head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// Reads more; a connection that is cut has ended.
    async fn more(&mut self) {
        self.ended = self.socket.read_buf(&mut self.raw).await.unwrap_or(0) == 0;
    }

    /// The next chunk, if all of it has come.
    fn whole_chunk(&mut self) -> Option<Vec<u8>> {
        let line = find(&self.raw, b"\r\n")?;
        let digits = std::str::from_utf8(&self.raw[..line]).expect("a length");
        let length = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{digits:?} is no length"));
        let begin = line + 2;
        if self.raw.len() < begin + length + 2 {
            return None;
        }
        let chunk = self.raw[begin..begin + length].to_vec();
        assert_eq!(&self.raw[begin + length..begin + length + 2], b"\r\n", "a chunk ends with its line");
        self.raw.drain(..begin + length + 2);
        Some(chunk)
    }

    /// The next chunk; None: the body has ended.
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        assert!(self.is_chunked(), "a stream is chunked: {:?}", self.head);
        loop {
            match self.whole_chunk() {
                Some(chunk) if chunk.is_empty() => self.ended = true,
                Some(chunk) => return Some(chunk),
                None if self.ended => return None,
                None => self.more().await,
            }
            if self.ended && self.raw.is_empty() {
                return None;
            }
        }
    }

    /// All the rest of a body.
    async fn rest(&mut self, is_head: bool) -> Vec<u8> {
        let mut body = Vec::new();
        if is_head || matches!(self.head.status, 204 | 304) {
        } else if self.is_chunked() {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        } else {
            let length = self.head.header("content-length").map(|length| length.parse().expect("a length"));
            while !self.ended && length.is_none_or(|length: usize| self.raw.len() < length) {
                self.more().await;
            }
            body.append(&mut self.raw);
            assert!(length.is_none_or(|length| body.len() == length), "as long as it says");
        }
        body
    }

    /// The next record, or None if the stream has ended; panics if neither comes.
    pub async fn record(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.record_in_time()).await.expect("the stream says something, or ends")
    }

    async fn record_in_time(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let digits = std::str::from_utf8(&self.rest[..end]).expect("a length in digits");
                assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits:?}");
                let length: usize = digits.parse().expect("a length");
                assert!(length > 0, "no record is empty");
                if self.rest.len() > end + length {
                    let record = self.rest[end + 1..=end + length].to_vec();
                    self.rest.drain(..=end + length);
                    return Some(record);
                }
            }
            match self.chunk().await {
                Some(chunk) => {
                    self.chunks.push_back(chunk.len());
                    self.rest.extend(chunk);
                }
                None => {
                    assert!(self.rest.is_empty(), "the stream ends within a record");
                    return None;
                }
            }
        }
    }

    /// The next record as text.
    pub async fn text(&mut self) -> Option<String> {
        self.record().await.map(|record| String::from_utf8(record).expect("JSON is text"))
    }

    /// The next record as JSON.
    pub async fn json(&mut self) -> Option<Value> {
        let text = self.text().await?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}")))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
