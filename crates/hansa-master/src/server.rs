//! Connections: HTTP/1 and HTTP/2 on one port, each bounded in time and number.

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
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
    /// How long open requests may take to end once the master stops.
    pub(crate) grace: Duration,
}

/// HTTP/2: how often a silent connection is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

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
                    connection(stream, router, stopping, limits.head).await;
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

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>, head: Duration) {
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let noticed = asked.clone();
    let peer = stream.peer_addr().ok();
    let service = router.map_request(move |request: Request<Incoming>| {
        noticed.store(true, Ordering::Relaxed);
        let mut request = request.map(axum::body::Body::new);
        // Marathon's events name who asked.
        if let Some(peer) = peer {
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        }
        request
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(256)
        .adaptive_window(false);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let silence = tokio::time::sleep(head);
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

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

    async fn serving(limits: Limits) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/never", get(async || std::future::pending::<String>().await));
        (address, stop, tokio::spawn(serve(listener, router, stopping, limits)))
    }

    fn limits() -> Limits {
        Limits { connections: 10, head: Duration::from_secs(60), grace: Duration::from_secs(60) }
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
}
