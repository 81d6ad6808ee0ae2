//! A terminal over a WebSocket: a client written by hand, a master, and a machine that speaks what agents speak.

use crate::agents::{Agent, hello};
use crate::support::{Cluster, LONG, ask};
use hansa_api::exec::{End, Frame, PROTOCOL, Size};
use hansa_model::agent::Hello;
use hansa_model::task::Exit;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A machine's port: takes one session of a command and hands it to the test.
async fn machine() -> (String, tokio::sync::oneshot::Receiver<BufReader<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (to_test, session) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream).await;
        assert!(head.to_lowercase().contains(&format!("upgrade: {PROTOCOL}")), "{head}");
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {PROTOCOL}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = to_test.send(stream);
    });
    (address, session)
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LONG, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn hear(session: &mut BufReader<TcpStream>) -> Option<Frame> {
    timeout(LONG, Frame::read(session)).await.unwrap().ok()?
}

async fn say(session: &mut BufReader<TcpStream>, frame: Frame) {
    frame.write(session).await.unwrap();
}

/// A browser's side.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Shakes hands; gives the head of the answer, too.
    async fn open(cluster: &Cluster, path: &str, headers: &str) -> (Self, String) {
        let mut stream = BufReader::new(TcpStream::connect(cluster.address()).await.unwrap());
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            cluster.address()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_head(&mut stream).await;
        (Self(stream), answer)
    }

    async fn send(&mut self, kind: u8, content: &[u8]) {
        let mut frame = vec![0x80 | kind, 0x80 | u8::try_from(content.len()).unwrap(), 9, 8, 7, 6];
        frame.extend(content.iter().zip([9, 8, 7, 6].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next message: its kind and what it holds; None: the connection is over.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = timeout(LONG, self.0.read_u8()).await.unwrap().ok()? & 0x0f;
        let length = match self.0.read_u8().await.unwrap() {
            126 => self.0.read_u16().await.unwrap().into(),
            length => usize::from(length),
        };
        let mut content = vec![0; length];
        self.0.read_exact(&mut content).await.unwrap();
        Some((kind, content))
    }

    /// The last word, and that the connection is closed as it should be.
    async fn last_word(&mut self) -> Value {
        let (kind, text) = self.next().await.unwrap();
        assert_eq!(kind, 1, "{text:?}");
        assert_eq!(self.next().await, Some((8, vec![0x03, 0xe8])), "closed with 1000");
        assert_eq!(self.next().await, None);
        serde_json::from_slice(&text).unwrap()
    }
}

async fn task_on(cluster: &Cluster, address: String) -> String {
    Agent::join(cluster, Hello { address, ..hello("a") }).await.work();
    cluster.deploy("/web", 1).await;
    cluster.json("/hansa/v1/tasks").await["tasks"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_told() {
    let cluster = Cluster::start().await;
    let (address, session) = machine().await;
    let task = task_on(&cluster, address).await;
    let path = format!("/hansa/v1/tasks/{task}/terminal?command=top%20-b&columns=100&rows=30");
    let origin = format!("origin: http://{}\r\n", cluster.address());
    let (mut client, answer) = Client::open(&cluster, &path, &origin).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    let mut session = timeout(LONG, session).await.unwrap().unwrap();
    let Some(Frame::Start(start)) = hear(&mut session).await else { panic!("no start") };
    assert_eq!(start.argv, ["/bin/sh", "-c", "top -b"]);
    assert_eq!(start.terminal, Some(Size { rows: 30, columns: 100 }));
    client.send(2, b"ls\r").await;
    assert_eq!(hear(&mut session).await, Some(Frame::Stdin(b"ls\r".to_vec())));
    client.send(1, br#"{"resize":{"columns":80,"rows":24}}"#).await;
    assert_eq!(hear(&mut session).await, Some(Frame::Resize(Size { rows: 24, columns: 80 })));
    client.send(9, b"there?").await;
    assert_eq!(client.next().await, Some((10, b"there?".to_vec())));
    say(&mut session, Frame::Stdout(vec![0, 255, b'x'])).await;
    assert_eq!(client.next().await, Some((2, vec![0, 255, b'x'])));
    // What is typed and read by nobody must not lose the last word.
    client.send(2, b"more").await;
    say(&mut session, Frame::End(End { exit: Some(Exit::Code(3)), error: None })).await;
    assert_eq!(client.last_word().await, json!({"exit": {"code": 3}}));
    cluster.stop().await;
}

#[tokio::test]
async fn the_command_ends_with_the_socket() {
    let cluster = Cluster::start().await;
    let (address, session) = machine().await;
    let task = task_on(&cluster, address).await;
    let (mut client, _) = Client::open(&cluster, &format!("/hansa/v1/tasks/{task}/terminal"), "").await;
    let mut session = timeout(LONG, session).await.unwrap().unwrap();
    let Some(Frame::Start(start)) = hear(&mut session).await else { panic!("no start") };
    assert!(start.argv[2].contains("exec bash"), "a shell, if nothing else is wanted: {start:?}");
    client.send(8, &1000_u16.to_be_bytes()).await;
    assert_eq!(hear(&mut session).await, None, "the machine sees the end");
    assert_eq!(client.next().await, Some((8, vec![0x03, 0xe8])));
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_socket() {
    let cluster = Cluster::start().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let task = task_on(&cluster, free.to_string()).await;
    let (mut client, _) = Client::open(&cluster, "/hansa/v1/tasks/nobody/terminal", "").await;
    assert_eq!(client.last_word().await["error"]["code"], "not-found");
    let path = format!("/hansa/v1/tasks/{task}/terminal");
    let (mut client, _) = Client::open(&cluster, &path, "").await;
    let word = client.last_word().await;
    assert_eq!(word["error"]["code"], "unavailable");
    assert!(word["error"]["message"].as_str().unwrap().contains("a.test"), "{word}");
    assert!(word["error"]["remedy"].is_string(), "{word}");
    cluster.stop().await;
}

#[tokio::test]
async fn nonsense_in_the_socket_ends_it_with_words() {
    let cluster = Cluster::start().await;
    let (address, session) = machine().await;
    let task = task_on(&cluster, address).await;
    let (mut client, _) = Client::open(&cluster, &format!("/hansa/v1/tasks/{task}/terminal"), "").await;
    let _session = timeout(LONG, session).await.unwrap().unwrap();
    client.send(1, br#"{"dance":1}"#).await;
    let word = client.last_word().await;
    assert_eq!(word["error"]["field"], "message", "{word}");
    cluster.stop().await;
}

#[tokio::test]
async fn foreign_pages_and_plain_requests_get_no_terminal() {
    let cluster = Cluster::start().await;
    let path = "/hansa/v1/tasks/t/terminal";
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let (_, answer) = Client::open(&cluster, path, &format!("origin: {origin}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{origin}: {answer}");
    }
    assert_eq!(ask(cluster.address(), "GET", path, &[], "").await.status, 426);
    cluster.stop().await;
}
