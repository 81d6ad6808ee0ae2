//! One connection's bytes, on their way between the socket and hyper. Two things are done here that hyper leaves to others:
//!
//! - A client that takes nothing of what waits for it is cut off, instead of holding an answer in memory for ever.
//! - hyper refuses what it cannot read as a request with a bare status. Here the refusal gets a body in the shape of the
//!   surface that was asked, as every other refusal has.
//!
//! hyper's refusals are told from answers by when they come: no request is in hand, and everything that belongs to the last
//! answer has been flushed. Only then are outgoing bytes looked at, and only a whole refusal, byte for byte as hyper
//! writes it, is replaced. So no body of an answer, whatever stands in it, is ever taken for one.

use super::Limits;
use super::handed::hand;
use crate::http::limits;
use axum::extract::Request;
use axum::http::{StatusCode, Version};
use axum::response::Response;
use hansa_api::hansa::{Error, ErrorBody};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Bytes of a request that are looked at to know which surface is asked.
const HEARD: usize = 128;

/// Where a connection is in its talk of requests and answers.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// A request is in hand, or its answer has not been flushed.
    open: AtomicBool,
    /// The answer's last byte has been given to hyper.
    given: AtomicBool,
    /// What goes out are no messages of HTTP/1.
    framed: AtomicBool,
    /// The connection belongs to somebody else now.
    handed_on: AtomicBool,
    /// The last request was one of a client that keeps its connection for later.
    patient: AtomicBool,
    /// How the next request begins.
    heard: Mutex<Vec<u8>>,
}

impl Talk {
    /// A request has come.
    pub(super) fn asked<B>(&self, request: &Request<B>) {
        self.given.store(false, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
        self.patient.store(crate::http::keeps_connections(request.uri().path()), Ordering::Relaxed);
        if request.version() == Version::HTTP_2 {
            self.framed.store(true, Ordering::Relaxed);
        }
        self.heard().clear();
    }

    /// Its answer is ready.
    pub(super) fn answered(self: &Arc<Self>, answer: Response) -> Response {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.framed.store(true, Ordering::Relaxed);
            self.handed_on.store(true, Ordering::Relaxed);
        }
        // When hyper lets go of the body, everything in it has been taken.
        let talk = self.clone();
        answer.map(|body| hand(body, move |_| talk.given.store(true, Ordering::Relaxed)))
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_between_requests(&self) -> bool {
        !self.open.load(Ordering::Relaxed) && !self.framed.load(Ordering::Relaxed)
    }

    /// Whether an answer is done with that.
    fn flushed(&self) -> bool {
        self.given.load(Ordering::Relaxed) && self.open.swap(false, Ordering::Relaxed)
    }
}

/// A connection's bytes.
pub(super) struct Line<S> {
    stream: S,
    talk: Arc<Talk>,
    /// How long nothing may be taken, and the clock that runs while something waits to be.
    unread: Duration,
    waits: Option<Pin<Box<Sleep>>>,
    /// What is still to be sent in place of hyper's refusal.
    refusal: Vec<u8>,
    /// How long a request's head may take, and the silence before it.
    head: Duration,
    /// How long that silence may be where a client keeps its connection for later.
    idle: Duration,
    /// The clock that runs between requests.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl<S> Line<S> {
    /// A client that takes nothing for too long, or says nothing for too long, is cut off.
    pub(super) fn new(stream: S, talk: Arc<Talk>, limits: Limits) -> Self {
        let Limits { head, idle, unread, .. } = limits;
        Self { stream, talk, unread, waits: None, refusal: Vec::new(), head, idle, quiet: None }
    }

    /// Nothing comes: that is an error when it has been so for too long between two requests, or in the middle of a head.
    fn silent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.talk.is_between_requests() {
            self.quiet = None;
            return Poll::Pending;
        }
        let is_patient = self.talk.patient.load(Ordering::Relaxed) && self.talk.heard().is_empty();
        let limit = if is_patient { self.idle } else { self.head };
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(quiet.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client says nothing")))
    }

    /// Passes on what came of a write; when too long nothing did, that is an error.
    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() || self.talk.handed_on.load(Ordering::Relaxed) {
            self.waits = None;
            return written;
        }
        let unread = self.unread;
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(unread)));
        ready!(waits.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
    }

    /// If `bytes` are hyper's refusal, keeps ours to be sent instead.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if !self.talk.is_between_requests() {
            return false;
        }
        let Some((status, date)) = bare_refusal(bytes) else { return false };
        self.refusal = in_words(status, date, asks_marathon(&self.talk.heard()));
        true
    }
}

impl<S: AsyncWrite + Unpin> Line<S> {
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.refusal);
            let written = ready!(self.timed(context, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => return self.silent(context),
            Poll::Ready(read) => read?,
        }
        if self.talk.is_between_requests() {
            let talk = self.talk.clone();
            let mut heard = talk.heard();
            if heard.is_empty() && talk.patient.load(Ordering::Relaxed) {
                // A head begins after a long silence: from now on it has its own time.
                self.quiet = None;
            }
            let room = HEARD.saturating_sub(heard.len());
            heard.extend(buffer.filled()[before..].iter().take(room));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(context))?;
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(context))?;
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next())
            && self.replaces(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.timed(context, flushed))?;
        if self.talk.flushed() {
            self.quiet = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The status and the date of a refusal as hyper writes it by itself: 4xx, no body, nothing but its own headers.
fn bare_refusal(bytes: &[u8]) -> Option<(StatusCode, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_prefix("HTTP/1.1 ")?.strip_suffix("\r\n\r\n")?.split("\r\n");
    let status: StatusCode = lines.next()?.get(..3)?.parse().ok()?;
    let (mut closes, mut is_empty, mut date) = (false, false, "");
    for line in lines {
        match line.split_once(": ")? {
            ("connection", "close") => closes = true,
            ("content-length", "0") => is_empty = true,
            ("date", value) => date = value,
            _ => return None,
        }
    }
    (status.is_client_error() && closes && is_empty).then_some((status, date))
}

/// Whether a request that cannot be read as one begins like one to Marathon's API.
fn asks_marathon(heard: &[u8]) -> bool {
    let target = heard.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    crate::http::marathon::is_below(&String::from_utf8_lossy(path))
}

/// A refusal with a body.
fn in_words(status: StatusCode, date: &str, of_marathon: bool) -> Vec<u8> {
    let (code, message) = match status {
        StatusCode::URI_TOO_LONG => {
            ("too-large", format!("the request's target must not be longer than {} bytes", limits::TARGET))
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ("too-large", limits::headers_words()),
        _ => (
            "invalid",
            "this is no request of HTTP/1.1: its first line or one of its headers cannot be read".to_owned(),
        ),
    };
    let body = if of_marathon {
        serde_json::json!({ "message": message }).to_string()
    } else {
        let error = Error { code: code.into(), message, field: None, remedy: None };
        serde_json::to_string(&ErrorBody { error }).unwrap_or_default()
    };
    let date = if date.is_empty() { String::new() } else { format!("date: {date}\r\n") };
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{date}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn limits() -> Limits {
        let long = Duration::from_secs(60);
        Limits { connections: 1, head: long, idle: 10 * long, unread: long, grace: long }
    }

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970\r\n\r\n";

    #[test]
    fn only_hypers_own_refusals_are_known() {
        assert_eq!(bare_refusal(BARE.as_bytes()), Some((StatusCode::BAD_REQUEST, "Thu, 01 Jan 1970")));
        for other in [
            "",
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            &BARE.replace("400", "200"),
            &BARE.replace("400", "500"),
            &BARE.replace("length: 0", "length: 1"),
            &BARE.replace("close", "keep-alive"),
            &BARE.replace("date", "etag"),
            &format!("{BARE}x"),
            &format!("x{BARE}"),
        ] {
            assert_eq!(bare_refusal(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_surface_is_known_by_the_first_bytes() {
        for (heard, of_marathon) in [
            ("GET /v2/apps HTTP/1.1", true),
            ("GET  /v2/apps", false),
            ("BREW /marathon/v2/x?y", true),
            ("GET /v2?x", true),
            ("GET /hansa/v1/tasks", false),
            ("\u{1}", false),
        ] {
            assert_eq!(asks_marathon(heard.as_bytes()), of_marathon, "{heard}");
        }
    }

    /// What looks like a refusal and stands in an answer goes out as it is.
    #[tokio::test]
    async fn answers_are_never_changed() {
        let talk = Arc::new(Talk::default());
        let (near, mut far) = duplex(4096);
        let mut line = Line::new(near, talk.clone(), limits());
        let mut heard = vec![0; BARE.len()];

        talk.asked(&Request::new(()));
        let answer = talk.answered(Response::new(Body::from("x")));
        line.write_all(BARE.as_bytes()).await.unwrap();
        line.flush().await.unwrap();
        drop(answer);
        // Given to hyper, and not flushed yet: the rest of a body may come like this.
        line.write_all(BARE.as_bytes()).await.unwrap();
        for _ in 0..2 {
            far.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, BARE.as_bytes());
        }
        line.flush().await.unwrap();
        line.write_all(BARE.as_bytes()).await.unwrap();
        line.shutdown().await.unwrap();
        let mut refusal = String::new();
        far.read_to_string(&mut refusal).await.unwrap();
        assert!(
            refusal.starts_with("HTTP/1.1 400 Bad Request\r\n")
                && refusal.contains(r#"{"error":{"code":"invalid""#)
        );
    }

    #[tokio::test]
    async fn what_was_handed_on_is_not_looked_at() {
        let talk = Arc::new(Talk::default());
        let (near, mut far) = duplex(4096);
        let mut line = Line::new(near, talk.clone(), limits());
        talk.asked(&Request::new(()));
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        drop(talk.answered(answer));
        line.flush().await.unwrap();
        line.write_all(BARE.as_bytes()).await.unwrap();
        line.shutdown().await.unwrap();
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, BARE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_and_who_takes_a_little_is_not() {
        let talk = Arc::new(Talk::default());
        let (near, mut far) = duplex(16);
        let mut line = Line::new(near, talk.clone(), Limits { unread: Duration::from_secs(30), ..limits() });
        let writer = tokio::spawn(async move { line.write_all(&[0; 160]).await });
        let mut some = [0; 16];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            far.read_exact(&mut some).await.unwrap();
        }
        let fault = writer.await.unwrap().unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);

        // A terminal that is held does not lose its command.
        let (near, _far) = duplex(16);
        let mut line = Line::new(near, talk.clone(), Limits { unread: Duration::from_secs(30), ..limits() });
        talk.handed_on.store(true, Ordering::Relaxed);
        let write = tokio::time::timeout(Duration::from_secs(3_000), line.write_all(&[0; 160]));
        assert!(write.await.is_err(), "it still waits");
    }
}
