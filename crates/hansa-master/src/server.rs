//! Connections: HTTP/1 and HTTP/2 on one port, each bounded in time and number.

use crate::Master;
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

/// How long a client may take for the head of a request, and how long a connection may be open without any.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// HTTP/2: how often a silent connection is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// Serves until the master stops, then gives open requests `grace` to end.
pub(crate) async fn serve(listener: TcpListener, router: Router, master: Master, grace: Duration) {
    let slots = Arc::new(Semaphore::new(master.options().max_connections));
    let mut stopping = master.stopping();
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
                    connection(stream, router, stopping).await;
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
    let ended = tokio::time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        debug!(open = connections.len(), "connections cut at the end");
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let noticed = asked.clone();
    let service = router.map_request(move |request: Request<Incoming>| {
        noticed.store(true, Ordering::Relaxed);
        request.map(axum::body::Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(256)
        .adaptive_window(false);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let silence = tokio::time::sleep(HEAD_TIMEOUT);
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
