//! Frameworks' streams as the loop knows them: what waits for each, how much that may be, and which one is a framework's.
//!
//! A framework that does not read is never waited for: what waits for it is weighed, and above a bound its stream is cut.
//! It comes back with a new one, and asks how its tasks stand. How the events look on the wire is the business of
//! [`crate::http`].

use crate::Master;
use crate::engine::Event;
use hansa_model::FrameworkId;
use hansa_model::framework::{FrameworkEvent, FrameworkInfo, StreamId};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Bytes, by estimate, that may wait for one framework: the answers to a question about 100,000 tasks.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// What an event takes besides what is counted one by one.
const EVENT: usize = 512;

/// What of an event is counted one by one: the pieces of machines in offers, mostly.
const PIECE: usize = 256;

/// The master is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the master is stopping")]
pub(crate) struct Stopping;

/// What both ends of a stream share.
#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    cut: AtomicBool,
}

/// The loop's end of a stream. Dropping it ends the stream after what was sent.
#[derive(Debug)]
pub(crate) struct StreamOutbox {
    events: mpsc::UnboundedSender<FrameworkEvent>,
    shared: Arc<Shared>,
    key: Arc<str>,
    /// What it said of itself; its id only once `framework` is known.
    info: Arc<FrameworkInfo>,
    /// Whose it is, once it is told.
    framework: Option<FrameworkId>,
}

/// The framework's end of a stream. Dropping it tells the loop.
#[derive(Debug)]
pub(crate) struct FrameworkStream {
    /// Its number.
    pub(crate) id: StreamId,
    received: mpsc::UnboundedReceiver<FrameworkEvent>,
    shared: Arc<Shared>,
    to_loop: mpsc::Sender<Event>,
}

/// What comes next on a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// An event.
    Event(Box<FrameworkEvent>),
    /// The master has nothing more to say here.
    End,
    /// Too much waited; it breaks off here.
    Cut,
}

impl StreamOutbox {
    /// Puts an event behind the others. False: too much waits, and the stream is cut.
    pub(crate) fn send(&mut self, event: FrameworkEvent) -> bool {
        let weight = weight(&event);
        if self.shared.waiting.fetch_add(weight, Relaxed) + weight > MAX_WAITING {
            self.shared.cut.store(true, Relaxed);
            return false;
        }
        // Nobody reads any more: the loop will be told.
        let _ = self.events.send(event);
        true
    }
}

impl FrameworkStream {
    /// What comes next; waits for it.
    pub(crate) async fn next(&mut self) -> Next {
        let event = self.received.recv().await;
        self.taken(event)
    }

    fn taken(&self, event: Option<FrameworkEvent>) -> Next {
        if self.shared.cut.load(Relaxed) {
            return Next::Cut;
        }
        match event {
            Some(event) => {
                self.shared.waiting.fetch_sub(weight(&event), Relaxed);
                Next::Event(Box::new(event))
            }
            None => Next::End,
        }
    }
}

impl Drop for FrameworkStream {
    fn drop(&mut self) {
        let closed = Event::StreamClosed { stream: self.id };
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.to_loop.try_send(closed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let to_loop = self.to_loop.clone();
            runtime.spawn(async move { to_loop.send(closed).await });
        }
    }
}

impl Master {
    /// Opens a stream; to subscribe with it, as `info`, is the next thing to do. `key` is what other calls must name.
    pub(crate) async fn open_stream(
        &self,
        key: Arc<str>,
        info: Arc<FrameworkInfo>,
    ) -> Result<FrameworkStream, Stopping> {
        let id = self.new_session_id();
        let (events, received) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        let to_loop = self.inner().events.clone();
        let outbox = StreamOutbox { events, shared: shared.clone(), key, info, framework: None };
        to_loop.send(Event::StreamOpened { stream: id, outbox }).await.map_err(|_| Stopping)?;
        Ok(FrameworkStream { id, received, shared, to_loop })
    }
}

/// What an event takes in memory while it waits, roughly.
fn weight(event: &FrameworkEvent) -> usize {
    EVENT
        + match event {
            FrameworkEvent::Offers(offers) => {
                offers.iter().map(|offer| EVENT + PIECE * offer.parts.len()).sum()
            }
            FrameworkEvent::Update(update) => {
                let raw = update.status.executor.as_ref().map_or(0, |executor| executor.raw.bytes().len());
                update.status.message.len() + raw
            }
            FrameworkEvent::Message { data, .. } => data.bytes().len(),
            _ => 0,
        }
}

/// Which stream is a framework's newest, and what its calls must name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    /// The stream.
    pub(crate) stream: StreamId,
    /// The `Mesos-Stream-Id`.
    pub(crate) key: Arc<str>,
    /// What the framework says of itself.
    pub(crate) info: Arc<FrameworkInfo>,
}

/// The subscriptions of all frameworks: the loop writes, who reads calls looks up.
#[derive(Debug, Default)]
pub(crate) struct Directory(Mutex<FxHashMap<FrameworkId, Subscription>>);

impl Directory {
    /// The newest stream of a framework that is subscribed.
    pub(crate) fn of(&self, framework: &FrameworkId) -> Option<Subscription> {
        self.lock().get(framework).cloned()
    }

    /// It says something else of itself from now on.
    pub(crate) fn update(&self, info: Arc<FrameworkInfo>) {
        if let Some(subscription) = self.lock().get_mut(&info.id) {
            subscription.info = info;
        }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<FrameworkId, Subscription>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All streams that stand.
#[derive(Debug)]
pub(crate) struct Streams {
    outboxes: FxHashMap<StreamId, StreamOutbox>,
    directory: Arc<Directory>,
}

impl Streams {
    /// None yet; who is subscribed is written down in `directory`.
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self { outboxes: FxHashMap::default(), directory }
    }

    /// A stream begins.
    pub(crate) fn opened(&mut self, stream: StreamId, outbox: StreamOutbox) {
        self.outboxes.insert(stream, outbox);
    }

    /// Sends an event. False: its reader was too slow, and the stream is gone.
    pub(crate) fn send(&mut self, stream: StreamId, event: FrameworkEvent) -> bool {
        let Some(outbox) = self.outboxes.get_mut(&stream) else { return true };
        if let FrameworkEvent::Subscribed { framework } = &event {
            outbox.framework = Some(framework.clone());
            let info = Arc::new(FrameworkInfo { id: framework.clone(), ..outbox.info.as_ref().clone() });
            let subscription = Subscription { stream, key: outbox.key.clone(), info };
            self.directory.lock().insert(framework.clone(), subscription);
        }
        let sent = outbox.send(event);
        if !sent {
            self.ended(stream);
        }
        sent
    }

    /// A stream is over. False if it was already.
    pub(crate) fn ended(&mut self, stream: StreamId) -> bool {
        let Some(outbox) = self.outboxes.remove(&stream) else { return false };
        if let Some(framework) = outbox.framework {
            let mut directory = self.directory.lock();
            if directory.get(&framework).is_some_and(|subscription| subscription.stream == stream) {
                directory.remove(&framework);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::framework::Raw;

    fn stream(streams: &mut Streams, id: StreamId) -> (FrameworkStream, mpsc::Receiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        let shared = Arc::<Shared>::default();
        let (to_loop, loop_end) = mpsc::channel(1);
        let key = Arc::from(format!("key-{id}"));
        let info = Arc::new(info());
        streams.opened(id, StreamOutbox { events, shared: shared.clone(), key, info, framework: None });
        (FrameworkStream { id, received, shared, to_loop }, loop_end)
    }

    fn info() -> FrameworkInfo {
        FrameworkInfo {
            id: "".into(),
            name: String::new(),
            user: String::new(),
            roles: [hansa_model::RoleName::any()].into(),
            capabilities: Default::default(),
            failover_timeout_ms: 0,
            checkpoint: false,
            hostname: String::new(),
            webui_url: None,
            principal: None,
            labels: Vec::new(),
            min_allocatable: Default::default(),
        }
    }

    fn subscribed() -> FrameworkEvent {
        FrameworkEvent::Subscribed { framework: "f".into() }
    }

    #[test]
    fn the_newest_stream_is_the_frameworks() {
        let mut streams = Streams::new(Arc::default());
        let directory = streams.directory.clone();
        let (_first, _) = stream(&mut streams, 1);
        let (_second, _) = stream(&mut streams, 2);
        let newest = || directory.of(&"f".into()).map(|subscription| subscription.key.to_string());
        assert_eq!(newest(), None);
        assert!(streams.send(1, subscribed()));
        assert_eq!(newest().as_deref(), Some("key-1"));
        assert_eq!(directory.of(&"f".into()).unwrap().info.id, "f".into(), "it is told its id");
        assert!(streams.send(2, subscribed()));
        assert!(streams.ended(1));
        assert_eq!(newest().as_deref(), Some("key-2"), "the end of the old one does not matter");
        assert!(streams.ended(2) && !streams.ended(2));
        assert_eq!(newest(), None);
        assert!(streams.send(2, subscribed()), "to nobody");
    }

    #[tokio::test]
    async fn what_waits_is_weighed_and_a_slow_reader_is_cut() {
        let mut streams = Streams::new(Arc::default());
        let (mut reader, mut loop_end) = stream(&mut streams, 7);
        let big = || FrameworkEvent::Message {
            agent: "a".into(),
            executor: "e".into(),
            data: Raw::new(vec![0; MAX_WAITING / 4]),
        };
        for _ in 0..10 {
            assert!(streams.send(7, big()), "who reads is not cut");
            assert!(matches!(reader.next().await, Next::Event(_)));
        }
        assert!((0..3).all(|_| streams.send(7, big())));
        assert!(!streams.send(7, big()));
        assert_eq!(reader.next().await, Next::Cut);
        drop(reader);
        assert!(matches!(loop_end.recv().await, Some(Event::StreamClosed { stream: 7 })));
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_heard() {
        let mut streams = Streams::new(Arc::default());
        let (mut reader, _loop_end) = stream(&mut streams, 1);
        streams.send(1, FrameworkEvent::Error("enough".into()));
        streams.ended(1);
        assert_eq!(reader.next().await, Next::Event(Box::new(FrameworkEvent::Error("enough".into()))));
        assert_eq!(reader.next().await, Next::End);
    }
}
