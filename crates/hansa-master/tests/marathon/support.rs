//! A master in this process; its Marathon routes, called without sockets.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use hansa_master::{Master, Options, Running, start};
use http_body_util::BodyExt;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt;

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(20);

pub struct Marathon {
    running: Running,
    router: Router,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

impl Marathon {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = start(Options::new("127.0.0.1:0".parse().unwrap(), folder.path())).await.unwrap();
        let router = hansa_master::http::marathon::router(running.master().clone());
        Self { running, router, _folder: folder }
    }

    pub fn master(&self) -> &Master {
        self.running.master()
    }

    pub async fn stop(self) {
        drop(self.router);
        self.running.stop().await.unwrap();
    }

    pub async fn ask(&self, method: &str, path: &str, body: impl ToString) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = timeout(LONG, body.collect()).await.expect("the body ends").unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    /// GETs JSON that must be there.
    pub async fn show(&self, path: &str) -> Value {
        self.get(path).await.expect(200)
    }

    pub async fn events(&self, query: &str) -> Events {
        let request =
            Request::builder().uri(format!("/v2/events{query}")).header("accept", "text/event-stream");
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), text: String::new() }
    }
}

/// An open event stream.
pub struct Events {
    body: Body,
    text: String,
}

impl Events {
    /// The next event's name and data; None when the stream ends.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let frame: String = self.text.drain(..end + 2).collect();
                let mut lines = frame.trim().lines();
                let name = lines.next().unwrap().strip_prefix("event: ").unwrap().to_owned();
                let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
                return Some((name, serde_json::from_str(data).unwrap()));
            }
            let frame = timeout(LONG, self.body.frame()).await.expect("an event comes")?;
            let bytes: Bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap().trim_start_matches("\r\n"));
        }
    }

    /// The next event of this name.
    pub async fn find(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == wanted {
                return data;
            }
        }
    }
}
