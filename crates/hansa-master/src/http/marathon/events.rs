//! `/v2/events`: Marathon's events as server-sent events.
//!
//! One task, started with the first subscriber, translates what the cluster publishes; each subscriber reads the same
//! frames from a ring. Who falls more than [`BUFFER`] commits behind is cut off, and connects again.

use super::Api;
use super::answer::{Answer, Client, Params, Refused};
use crate::Master;
use crate::clock;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;
use futures_util::stream;
use hansa_api::marathon::Problem;
use hansa_api::marathon::events::{Frame, Translator};
use hansa_model::event::Published;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

/// Commits that a subscriber may be behind.
const BUFFER: usize = 1_024;

/// A blank line keeps connections open through proxies, and finds out about those that are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What goes to the subscribers.
#[derive(Clone)]
enum Batch {
    Frames(Arc<[Frame]>),
    /// The stream ends: events were lost on the way and who reads on would not know, or leadership was given up.
    Broken,
}

/// Where subscribers meet.
pub(super) struct Hub {
    master: Master,
    sender: broadcast::Sender<Batch>,
    running: Mutex<bool>,
}

impl Hub {
    pub(super) fn new(master: Master) -> Self {
        Self { master, sender: broadcast::Sender::new(BUFFER), running: Mutex::new(false) }
    }

    /// Whether anybody listens.
    pub(super) fn has_subscribers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Sends a frame that does not come from the cluster.
    pub(super) fn post(&self, frame: Frame) {
        // Nobody listening is fine.
        let _ = self.sender.send(Batch::Frames([frame].into()));
    }

    /// Ends all streams; who wants to hear more connects again.
    pub(super) fn end_streams(&self) {
        let _ = self.sender.send(Batch::Broken);
    }

    fn subscribe(&self) -> broadcast::Receiver<Batch> {
        let receiver = self.sender.subscribe();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !*running {
            *running = true;
            let (translator, published) = self.master.subscribe_with(|model| {
                let mut translator = Translator::default();
                model.apps().for_each(|app| translator.know(&app.current));
                translator
            });
            let (master, sender) = (self.master.clone(), self.sender.clone());
            tokio::spawn(follow(master, translator, published, sender));
        }
        receiver
    }
}

/// Translates for as long as the master runs. Costs next to nothing while nobody listens.
async fn follow(
    master: Master,
    mut translator: Translator,
    mut published: broadcast::Receiver<Arc<Published>>,
    sender: broadcast::Sender<Batch>,
) {
    let mut stopping = master.stopping();
    loop {
        let received = tokio::select! {
            received = published.recv() => received,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match received {
            Ok(commit) if sender.receiver_count() == 0 => translator.follow(&commit),
            Ok(commit) => {
                let frames = translator.translate(&commit, &master);
                if !frames.is_empty() {
                    let _ = sender.send(Batch::Frames(frames.into()));
                }
            }
            Err(RecvError::Lagged(_)) => {
                let _ = sender.send(Batch::Broken);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What a subscriber wants to hear.
struct Wish {
    kinds: BTreeSet<String>,
    light: bool,
}

impl Wish {
    fn write(&self, frame: &Frame, out: &mut Vec<u8>) {
        if !self.kinds.is_empty() && !self.kinds.contains(frame.kind) {
            return;
        }
        let data = frame.light.as_ref().filter(|_| self.light).unwrap_or(&frame.data);
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(frame.kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        out.extend_from_slice(data.as_bytes());
        out.extend_from_slice(b"\n\n");
    }
}

/// One subscriber's connection; dropped with it, which the others are told.
struct Subscription {
    api: Api,
    client: String,
    wish: Wish,
    receiver: broadcast::Receiver<Batch>,
    stopping: watch::Receiver<bool>,
    ready: VecDeque<Bytes>,
}

impl Subscription {
    /// The next bytes; None ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            let received = tokio::select! {
                received = tokio::time::timeout(KEEP_ALIVE, self.receiver.recv()) => received,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match received {
                Err(_) => return Some(Bytes::from_static(b"\r\n")),
                Ok(Ok(Batch::Frames(frames))) => {
                    let mut out = Vec::new();
                    frames.iter().for_each(|frame| self.wish.write(frame, &mut out));
                    if !out.is_empty() {
                        self.ready.push_back(out.into());
                    }
                }
                Ok(Ok(Batch::Broken) | Err(RecvError::Lagged(_) | RecvError::Closed)) => return None,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.api.hub.post(Frame::detached(clock::now(), &self.client));
    }
}

/// GET `/v2/events`.
pub(super) async fn stream(
    State(api): State<Api>,
    method: Method,
    headers: HeaderMap,
    Client(client): Client,
    params: Params,
) -> Answer {
    let accepts =
        |value: &HeaderValue| value.to_str().is_ok_and(|accept| accept.contains("text/event-stream"));
    if method != Method::GET || !headers.get_all(header::ACCEPT).iter().any(accepts) {
        return Err(Refused(Problem::new(
            405,
            "events are given only to GET with Accept: text/event-stream",
        )));
    }
    let wish = Wish {
        kinds: params.all("event_type").map(str::to_owned).collect(),
        light: params.all("plan-format").any(|format| format == "light"),
    };
    let attached = Frame::attached(clock::now(), &client);
    let mut first = Vec::new();
    wish.write(&attached, &mut first);
    api.hub.post(attached);
    let mut ready = VecDeque::new();
    // Even if the filter wants nothing of it, something must go out so that the client sees the answer begin.
    ready.push_back(if first.is_empty() { Bytes::from_static(b"\r\n") } else { first.into() });
    let receiver = api.hub.subscribe();
    let stopping = api.master.stopping();
    let subscription = Subscription { api, client, wish, receiver, stopping, ready };
    let chunks = stream::unfold(subscription, |mut subscription| async move {
        let bytes = subscription.next().await?;
        Some((Ok::<_, Infallible>(bytes), subscription))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}
