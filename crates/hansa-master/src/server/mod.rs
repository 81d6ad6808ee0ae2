//! Connections: HTTP/1 and HTTP/2 on one port, each bounded in time and number.
//!
//! - More connections than allowed wait to be accepted.
//! - The head of a request, and a connection without any, have so much time ([`Limits::head`]; [`line`]). Schedulers keep
//!   a connection and use it when there is something to say: they have longer ([`Limits::idle`]).
//! - A client that does not take its answer is cut off ([`Limits::unread`]; [`line`]).
//! - A body that nobody reads does not end the connection without a word ([`unread`]).
//! - What hyper refuses before there is a request is said in our words ([`line`]).
//!
//! Bodies, targets and headers have their limits where requests are read, in `crate::http`.

mod handed;
mod line;
mod unread;

use crate::http::limits;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use line::{Line, Talk};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;
use tracing::{debug, warn};

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; more wait to be accepted.
    pub(crate) connections: usize,
    /// How long a client may take for the head of a request, and how long a connection may be open without any.
    pub(crate) head: Duration,
    /// How long a connection may be open without any request after one of a client that keeps its connection for later.
    pub(crate) idle: Duration,
    /// How long a client may take no byte of an answer that waits for it.
    pub(crate) unread: Duration,
    /// How long open requests may take to end once the master stops.
    pub(crate) grace: Duration,
}

/// HTTP/2: how often a silent connection is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a request's head. Above the limits of its parts in `crate::http::limits`, so that a head that is read and refused
/// is refused by name.
const MAX_HEAD: usize = 72 * 1024;
const _: () = assert!(MAX_HEAD > limits::TARGET + limits::HEADERS);

/// HTTP/2 counts 32 bytes more for each header.
const MAX_HEADER_LIST: u32 = 256 * 1024;

/// Serves until the master stops, then gives open requests some time to end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    limits: Limits,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    connection(stream, router, stopping, limits).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Mostly "too many open files": pausing lets some be closed.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let ended =
        tokio::time::timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        debug!(open = connections.len(), "connections cut at the end");
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>, limits: Limits) {
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let noticed = asked.clone();
    let peer = stream.peer_addr().ok();
    let talk = Arc::new(Talk::default());
    let of_line = talk.clone();
    let service = tower::service_fn(move |request: Request<Incoming>| {
        noticed.store(true, Ordering::Relaxed);
        talk.asked(&request);
        let mut request = request.map(axum::body::Body::new);
        // Marathon's events name who asked.
        if let Some(peer) = peer {
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        }
        let (router, talk) = (router.clone(), talk.clone());
        async move {
            let (request, rest) = unread::lend(request);
            let Ok(answer) = router.oneshot(request).await;
            Ok::<_, Infallible>(talk.answered(rest.settle(answer).await))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed where bytes come in; this is only the last resort.
    let longest = limits.idle.max(limits.head);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(longest).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_streams(256)
        .adaptive_window(false);
    let line = Line::new(stream, of_line, limits);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(line), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let silence = tokio::time::sleep(limits.head);
    tokio::pin!(silence);
    let mut waits_for_first = true;
    let mut serves = true;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(%error, "connection ended");
                }
                return;
            }
            // A client that connects and says nothing holds a slot no longer than this.
            () = silence.as_mut(), if waits_for_first => {
                waits_for_first = false;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            _ = stopping.wait_for(|stopping| *stopping), if serves => {
                serves = false;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// More than sockets hold.
    const LARGE: usize = 64 << 20;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

    async fn serving(limits: Limits) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/unread", axum::routing::post(async || "done"))
            .route("/api/v1/scheduler", axum::routing::post(async || "told"))
            .route("/large", get(async || "x".repeat(LARGE)))
            .route("/never", get(async || std::future::pending::<String>().await));
        (address, stop, tokio::spawn(serve(listener, router, stopping, limits)))
    }

    fn limits() -> Limits {
        Limits {
            connections: 10,
            head: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(60),
            grace: Duration::from_secs(60),
        }
    }

    /// Everything that the server says until it closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn silence_and_half_a_head_are_not_waited_for() {
        let (address, _stop, _) = serving(Limits { head: Duration::from_millis(50), ..limits() }).await;
        for said in ["", "P", "PRI * HTTP/2.0", "GET / HTTP/1.1\r\nhost: ", "GET / HTTP/1.1\r\nx: y\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let answer = rest(&mut stream).await;
            assert!(!answer.contains("here"), "{said:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn more_connections_than_allowed_wait() {
        let (address, _stop, _) = serving(Limits { connections: 1, ..limits() }).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(&REQUEST[..10]).await.unwrap();
        // In the kernel's queue, not accepted.
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let mut byte = [0];
        assert!(tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await.is_err());
        first.write_all(&REQUEST[10..]).await.unwrap();
        assert!(rest(&mut first).await.ends_with("here"));
        assert!(rest(&mut second).await.ends_with("here"));
    }

    #[tokio::test]
    async fn stopping_waits_for_open_requests_only_so_long() {
        let (address, stop, ended) = serving(Limits { grace: Duration::from_millis(50), ..limits() }).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut stuck = TcpStream::connect(address).await.unwrap();
        stuck.write_all(b"GET /never HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut asked = TcpStream::connect(address).await.unwrap();
        asked.write_all(REQUEST).await.unwrap();
        assert!(rest(&mut asked).await.ends_with("here"));
        stop.send(true).unwrap();
        ended.await.unwrap();
        assert_eq!(rest(&mut idle).await, "");
        assert_eq!(rest(&mut stuck).await, "");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    /// Each byte comes soon after the last one, and the whole takes too long.
    #[tokio::test]
    async fn a_head_that_dribbles_in_is_not_waited_for() {
        let (address, _stop, _) = serving(Limits { head: Duration::from_millis(100), ..limits() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let dribble = async {
            // An end in sight: without a limit this is a request.
            for byte in b"GET / HTTP/1.1\r\nhost: a-name-that-is-long-enough-for-the-limit\r\nconnection: close\r\n\r\n" {
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut answer = Vec::new();
        let (_, _) = tokio::join!(dribble, reading.read_to_end(&mut answer));
        assert_eq!(String::from_utf8_lossy(&answer), "");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_let_go() {
        let (address, stop, ended) = serving(Limits { unread: Duration::from_millis(100), ..limits() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        stop.send(true).unwrap();
        // The grace is a minute: the connection is given up, not cut at the end.
        ended.await.unwrap();
        let taken = rest(&mut stream).await.len();
        assert!(0 < taken && taken < LARGE, "{taken}");
        let (address, _stop, _) = serving(limits()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.len() > LARGE, "who reads gets it all");
    }

    #[tokio::test]
    async fn requests_in_a_row_are_answered_in_order_and_then_silence_ends_it() {
        let (address, _stop, _) = serving(Limits { head: Duration::from_millis(100), ..limits() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let one = "GET /PATH HTTP/1.1\r\nhost: h\r\n\r\n";
        let requests: String = ["/", "/none", "/"].map(|path| one.replace("/PATH", path)).concat();
        stream.write_all(requests.as_bytes()).await.unwrap();
        // Reads until the server closes: nothing comes after the third.
        let answers = rest(&mut stream).await;
        let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "404", "200"], "{answers}");
    }

    /// Schedulers say something now and then, on a connection that they keep.
    #[tokio::test]
    async fn who_keeps_a_connection_for_later_may_be_silent_for_longer() {
        let (head, idle) = (Duration::from_millis(50), Duration::from_millis(600));
        let (address, _stop, _) = serving(Limits { head, idle, ..limits() }).await;
        let one = b"POST /api/v1/scheduler HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            stream.write_all(one).await.unwrap();
            let mut answer = [0; 4096];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(answer[..read].ends_with(b"told"));
            let mut byte = [0];
            let silence = tokio::time::timeout(4 * head, stream.read(&mut byte)).await;
            assert!(silence.is_err(), "the server closes too early");
        }
        // A head that begins and does not end has no more time than others, and silence ends, too.
        stream.write_all(b"POST /api").await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(one).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("told"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_in_words() {
        let (address, _stop, _) = serving(limits()).await;
        let long = "x".repeat(400_000);
        let many: String = (0..200).map(|number| format!("h{number}: x\r\n")).collect();
        let target = format!("GET /v2/apps?{long} HTTP/1.1\r\n\r\n");
        for (said, status, words) in [
            ("\u{1}\u{2}\r\n\r\n", "400", r#"{"error":{"code":"invalid""#),
            ("GET / HTTP/9.9\r\n\r\n", "400", r#"{"error":{"code":"invalid""#),
            ("GET /v2/apps HTTP/1.1\r\nno header\r\n\r\n", "400", r#"{"message":"this is no request"#),
            (&format!("GET / HTTP/1.1\r\nh: {long}\r\n\r\n"), "431", r#"{"error":{"code":"too-large""#),
            (&format!("GET /v2/apps HTTP/1.1\r\n{many}\r\n"), "431", r#"{"message":"a request's headers"#),
            (&target, "4", r#"{"message":"a request's"#),
        ] {
            for before in ["", "GET / HTTP/1.1\r\nhost: h\r\n\r\n"] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                if !before.is_empty() {
                    stream.write_all(before.as_bytes()).await.unwrap();
                    let mut first = [0; 4096];
                    let read = stream.read(&mut first).await.unwrap();
                    assert!(first[..read].ends_with(b"here"));
                }
                let _ = stream.write_all(said.as_bytes()).await;
                let answer = rest(&mut stream).await;
                let start = &said[..said.len().min(40)];
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{start:?}: {answer}");
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert!(body.starts_with(words), "{start:?}: {answer}");
                assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
            }
        }
    }

    /// The handler answers at once; bodies come later, small ones for ever again on one connection.
    #[tokio::test]
    async fn a_body_that_nobody_reads_does_not_break_what_follows() {
        let (address, _stop, _) = serving(limits()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 4096];
        for _ in 0..50 {
            let head = "POST /unread HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(&[b'x'; 1000]).await.unwrap();
            let read = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..read]);
            assert!(answer.ends_with("done") && !answer.contains("close"), "{answer}");
        }
        // One that is large, and one that waits to be asked for, end it, and the answer says so.
        for more in ["content-length: 100000000", "content-length: 10\r\nexpect: 100-continue"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("POST /unread HTTP/1.1\r\nhost: h\r\n{more}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        }
    }
}
