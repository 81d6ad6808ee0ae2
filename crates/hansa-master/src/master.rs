//! The handle that everything outside the loop holds: submit a request, read the picture, follow the events.
//!
//! Handlers parse, call it once, convert; they never decide.

use crate::cell::{Answer, Failure, Request};
use crate::engine::Event;
use crate::history::History;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::read_model::ReadModel;
use crate::streams::Directory;
use hansa_model::agent::Usage;
use hansa_model::event::Published;
use hansa_model::{AgentId, ClusterId, Principal, Term, Timestamp};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How long a request may wait for its durable answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What does not change while this master leads.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// This leadership.
    pub term: Term,
    /// When it began.
    pub started_at: Timestamp,
    /// The program's version.
    pub version: &'static str,
}

/// Why there is no answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It was understood and refused; nothing has changed.
    #[error("refused: {0:?}")]
    Refused(Failure),
    /// Nothing came back in time. It may still happen.
    #[error("no answer within {} seconds; the request may still take effect", PATIENCE.as_secs())]
    TimedOut,
    /// The master is about to end.
    #[error("the master is stopping")]
    Stopping,
}

/// What came of a request: the commit that the read model now holds at least, and the answer.
pub(crate) type Replied = (u64, Result<Answer, Failure>);

/// A share in a running master. Cheap to clone.
#[derive(Clone)]
pub struct Master {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) identity: Identity,
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watchers: Arc<AtomicUsize>,
    pub(crate) http: reqwest::Client,
    pub(crate) next_session: AtomicU64,
    pub(crate) directory: Arc<Directory>,
    pub(crate) history: Mutex<History>,
    /// How often the past was looked at.
    pub(crate) looked: watch::Sender<u64>,
}

/// What the read-model thread writes and handlers read.
pub(crate) struct Shared {
    pub(crate) model: RwLock<ReadModel>,
    pub(crate) published: broadcast::Sender<Arc<Published>>,
    pub(crate) usage: broadcast::Sender<(AgentId, Usage)>,
    /// How many pieces of news the loop has handed out, and how many of them the picture shows.
    pub(crate) handed_out: AtomicU64,
    pub(crate) folded: watch::Sender<u64>,
}

impl Shared {
    /// With room for `buffer` commits in front of each subscriber.
    pub(crate) fn new(buffer: usize) -> Self {
        Self {
            model: RwLock::default(),
            published: broadcast::Sender::new(buffer),
            usage: broadcast::Sender::new(buffer),
            handed_out: AtomicU64::new(0),
            folded: watch::Sender::new(0),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ReadModel> {
        // A fold that panics ends the process (see the read-model thread); until then the last picture is as good as any.
        self.model.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Master {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Who this master is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// How it was started.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Where its port is.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Its measurements.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Asks the loop, and waits until the answer is durable and [`read`](Self::read) shows what it did.
    pub async fn submit(&self, principal: Principal, request: Request) -> Result<(u64, Answer), SubmitError> {
        let (reply, answer) = oneshot::channel();
        let ask = async {
            let event = Event::Request { principal, request: Box::new(request), reply };
            self.inner.events.send(event).await.map_err(|_| SubmitError::Stopping)?;
            answer.await.map_err(|_| SubmitError::Stopping)
        };
        let (index, answer): Replied =
            tokio::time::timeout(PATIENCE, ask).await.map_err(|_| SubmitError::TimedOut)??;
        answer.map(|answer| (index, answer)).map_err(SubmitError::Refused)
    }

    /// The picture. Take the `Arc`s you need and let go before formatting or awaiting anything: while it is held, the
    /// picture stands still for everybody.
    pub fn read(&self) -> RwLockReadGuard<'_, ReadModel> {
        self.inner.shared.read()
    }

    /// What was used and given when.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.inner.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was looked what is used and given; changes whenever the past has become longer.
    pub fn looked(&self) -> watch::Receiver<u64> {
        self.inner.looked.subscribe()
    }

    /// Everything published from now on, in order. A receiver that falls behind loses events and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Published>> {
        self.inner.shared.published.subscribe()
    }

    /// [`read`](Self::read) and [`subscribe`](Self::subscribe) at one moment: the receiver begins just after the
    /// picture that `look` sees.
    pub fn subscribe_with<T>(
        &self,
        look: impl FnOnce(&ReadModel) -> T,
    ) -> (T, broadcast::Receiver<Arc<Published>>) {
        let model = self.read();
        let seen = look(&model);
        // The writer holds the lock while it folds and sends.
        (seen, self.subscribe())
    }

    /// Waits until everything that happened before is durable and [`read`](Self::read) shows it.
    pub async fn catch_up(&self) -> Result<(), SubmitError> {
        let (to, caught) = oneshot::channel();
        self.inner.events.send(Event::CatchUp(to)).await.map_err(|_| SubmitError::Stopping)?;
        caught.await.map_err(|_| SubmitError::Stopping)
    }

    /// Waits until [`read`](Self::read) shows everything that any framework has been told by now: streams do not wait for
    /// the picture, but who has heard something and then asks must find it there.
    pub(crate) async fn read_what_was_told(&self) {
        let shared = &self.inner.shared;
        let told = shared.handed_out.load(Ordering::Acquire);
        // The read model's thread ends only with the process.
        let _ = shared.folded.subscribe().wait_for(|folded| *folded >= told).await;
    }

    /// What the machines use, as they report it, for as long as the result is held; while anybody holds one, they
    /// report every second.
    pub fn watch_usage(&self) -> UsageWatch {
        self.inner.watchers.fetch_add(1, Ordering::Relaxed);
        let watch = UsageWatch { receiver: self.inner.shared.usage.subscribe(), master: self.clone() };
        watch.nudge();
        watch
    }

    /// True from the moment the master begins to stop; streams end then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.clone()
    }

    pub(crate) fn new_session_id(&self) -> u64 {
        self.inner.next_session.fetch_add(1, Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Master").field("identity", &self.inner.identity).finish_non_exhaustive()
    }
}

/// See [`Master::watch_usage`].
#[derive(Debug)]
pub struct UsageWatch {
    /// Each report, in order; a receiver that falls behind loses some and is told so.
    pub receiver: broadcast::Receiver<(AgentId, Usage)>,
    master: Master,
}

impl UsageWatch {
    /// The loop looks at the number of watchers when it turns; when it is too busy to be told, it turns anyway.
    fn nudge(&self) {
        let _ = self.master.inner.events.try_send(Event::Watchers);
    }
}

impl Drop for UsageWatch {
    fn drop(&mut self) {
        self.master.inner.watchers.fetch_sub(1, Ordering::Relaxed);
        self.nudge();
    }
}
