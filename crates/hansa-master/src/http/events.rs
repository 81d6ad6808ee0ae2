//! `/hansa/v1/events`: what changes, as server-sent events.
//!
//! Frames say how things are, not what was done to them; what changed several times since the last frame is sent once.
//! The id stands on the last frame of a batch: whoever reads half a batch and comes back gets it whole.

mod frames;
mod standing;

use super::error::ApiError;
use super::extract::Query;
use crate::metrics::EventStream;
use crate::{Master, UsageWatch};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use frames::{Kinds, frames, wire};
use futures_util::Stream;
use hansa_api::hansa::StreamEvent;
use hansa_model::AgentId;
use hansa_model::agent::Usage;
use hansa_model::event::Published;
use serde::Deserialize;
use standing::Standing;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;

/// Frames that may wait for one client; while it does not read, commits gather in its subscription, and when that is
/// full it is told to read the lists anew.
const BUFFER: usize = 256;

/// Commits taken at once, and the pause after them in which more gather.
const AT_ONCE: usize = 1_024;
const PAUSE: Duration = Duration::from_millis(30);

/// A comment is sent at least this often, so that both ends notice a broken connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Machines report this often unasked: who wants to hear no oftener makes them no work.
const UNASKED: Duration = Duration::from_secs(15);

/// What the client wants.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// The same as the header `Last-Event-ID`, for clients that cannot set it.
    last_event_id: Option<String>,
    /// Kinds of frames by name, separated by commas; all if absent. `resync` is always sent.
    only: Option<String>,
    /// Seconds between `usage` frames.
    usage_every: Option<u64>,
}

/// `GET /hansa/v1/events`
pub(super) async fn stream(
    State(master): State<Master>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let kinds = Kinds::parse(wanted.only.as_deref())?;
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last = header.or(wanted.last_event_id.as_deref());
    let resume = last.and_then(|id| index_of(id, master.identity().term.0));
    let every = wanted.usage_every.map(seconds).transpose()?;
    let (out, frames) = mpsc::channel(BUFFER);
    tokio::spawn(Feed::new(master, kinds, every, out).run(resume));
    Ok(Sse::new(ReceiverStream::new(frames)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The time between `usage` frames.
fn seconds(seconds: u64) -> Result<Duration, ApiError> {
    match seconds {
        1..=3_600 => Ok(Duration::from_secs(seconds)),
        _ => Err(ApiError::invalid("usage_every", format!("{seconds} seconds are not from 1 to 3,600"))),
    }
}

/// The index in an id of this term.
fn index_of(id: &str, term: u64) -> Option<u64> {
    let (of_term, index) = id.trim().split_once('-')?;
    (of_term.parse::<u64>().ok()? == term).then(|| index.parse().ok())?
}

/// The client has gone.
struct Gone;

/// One client's stream.
struct Feed {
    master: Master,
    kinds: Kinds,
    out: mpsc::Sender<Result<Event, Infallible>>,
    published: Receiver<Arc<Published>>,
    usage: Option<Reports>,
    /// What was heard since the last `usage` frames, where they are not sent at once.
    newest: BTreeMap<AgentId, Usage>,
    ticks: Option<Interval>,
    /// Frameworks whose offers or tasks changed, if frames of frameworks are wanted.
    standing: Standing,
    _counted: EventStream,
}

impl Feed {
    fn new(
        master: Master,
        kinds: Kinds,
        every: Option<Duration>,
        out: mpsc::Sender<Result<Event, Infallible>>,
    ) -> Self {
        let usage = kinds.usage.then(|| match every {
            Some(every) if every >= UNASKED => Reports::AsTheyCome(master.inner().shared.usage.subscribe()),
            _ => Reports::Watched(master.watch_usage()),
        });
        let ticks = every.filter(|_| kinds.usage).map(|every| {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let counted = master.metrics().event_stream();
        let newest = BTreeMap::new();
        let (published, standing) = (master.subscribe(), Standing::default());
        Self { published, master, kinds, out, usage, newest, ticks, standing, _counted: counted }
    }

    async fn run(mut self, resume: Option<u64>) {
        let mut stopping = self.master.stopping();
        let out = self.out.clone();
        tokio::select! {
            _ = self.feed(resume) => {}
            () = out.closed() => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    async fn feed(&mut self, resume: Option<u64>) -> Result<(), Gone> {
        self.begin(resume).await?;
        loop {
            tokio::select! {
                published = self.published.recv() => match published {
                    Ok(first) => {
                        let (batch, complete) = self.gather(first);
                        self.send_batch(&batch).await?;
                        if !complete {
                            self.begin(None).await?;
                        }
                    }
                    Err(RecvError::Lagged(_)) => self.begin(None).await?,
                    Err(RecvError::Closed) => return Err(Gone),
                },
                usage = next_usage(&mut self.usage) => {
                    self.gather_usage(usage);
                    if self.ticks.is_none() {
                        self.send_usage().await?;
                    }
                }
                () = tick(&mut self.ticks) => self.send_usage().await?,
                () = self.standing.tick() => self.send_standing().await?,
            }
            // What happens meanwhile goes together.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Begins, or begins anew, after `resume` if everything since is still held.
    async fn begin(&mut self, resume: Option<u64>) -> Result<(), Gone> {
        let look = |model: &crate::read_model::ReadModel| {
            let missed = resume.and_then(|index| model.since(index));
            let standing = match self.kinds.frameworks {
                true => Standing::begin(model, missed.is_some()),
                false => Standing::default(),
            };
            (model.index(), missed, standing)
        };
        let ((index, missed, standing), published) = self.master.subscribe_with(look);
        self.published = published;
        self.standing = standing;
        match missed {
            Some(missed) => self.send_batch(&missed).await,
            None => self.send(&StreamEvent::Resync { index }, Some(index)).await,
        }
    }

    /// What else is there already; false if some of it was lost.
    fn gather(&mut self, first: Arc<Published>) -> (Vec<Arc<Published>>, bool) {
        let mut batch = vec![first];
        while batch.len() < AT_ONCE {
            match self.published.try_recv() {
                Ok(next) => batch.push(next),
                Err(TryRecvError::Lagged(_)) => return (batch, false),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        (batch, true)
    }

    async fn send_batch(&mut self, batch: &[Arc<Published>]) -> Result<(), Gone> {
        let Some(index) = batch.last().map(|published| published.index) else { return Ok(()) };
        let frames = {
            let model = self.master.read();
            frames(&model, batch, &self.kinds)
        };
        if self.kinds.frameworks {
            self.standing.notice(batch);
        }
        let last = frames.len();
        for (at, frame) in frames.iter().enumerate() {
            self.send(frame, (at + 1 == last).then_some(index)).await?;
        }
        Ok(())
    }

    async fn send_standing(&mut self) -> Result<(), Gone> {
        let frames = self.standing.frames(&self.master.read());
        for frame in frames {
            self.send(&frame, None).await?;
        }
        Ok(())
    }

    fn gather_usage(&mut self, first: Result<UsageOf, RecvError>) {
        self.newest.extend(first.ok());
        if let Some(reports) = &mut self.usage {
            loop {
                match reports.receiver().try_recv() {
                    Ok((id, usage)) => drop(self.newest.insert(id, usage)),
                    // The next report of every machine comes within a second.
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
        }
    }

    async fn send_usage(&mut self) -> Result<(), Gone> {
        for (id, usage) in std::mem::take(&mut self.newest) {
            self.send(&StreamEvent::Usage { id, used: usage.used, machine: usage.machine }, None).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: &StreamEvent, index: Option<u64>) -> Result<(), Gone> {
        let (name, data) = wire(frame);
        let mut event = Event::default().event(name).data(data);
        if let Some(index) = index {
            event = event.id(format!("{}-{index}", self.master.identity().term));
        }
        self.out.send(Ok(event)).await.map_err(|_| Gone)
    }
}

/// A machine and what it uses.
type UsageOf = (AgentId, Usage);

/// How machines' reports are heard.
enum Reports {
    /// They are asked for one every second.
    Watched(UsageWatch),
    /// As often as they report anyway.
    AsTheyCome(Receiver<UsageOf>),
}

impl Reports {
    fn receiver(&mut self) -> &mut Receiver<UsageOf> {
        match self {
            Self::Watched(watch) => &mut watch.receiver,
            Self::AsTheyCome(receiver) => receiver,
        }
    }
}

/// The next time for `usage` frames; never, if they are sent at once.
async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// The next report; never, if none are wanted.
async fn next_usage(reports: &mut Option<Reports>) -> Result<UsageOf, RecvError> {
    match reports {
        Some(reports) => reports.receiver().recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, start_with_store};
    use hansa_model::Timestamp;
    use hansa_store::memory::{MemoryDisk, MemoryStore};

    /// More happens than is kept for a client that does not read: it is told so, once, and then hears what follows.
    #[tokio::test]
    async fn who_reads_too_slowly_begins_anew() {
        let store = MemoryStore::open(&MemoryDisk::new()).unwrap();
        let options = Options::new("127.0.0.1:0".parse().unwrap(), "unused");
        let running = start_with_store(options, Box::new(store)).await.unwrap();
        let master = running.master().clone();
        let (out, mut frames) = mpsc::channel(2);
        let feed = tokio::spawn(Feed::new(master.clone(), Kinds::parse(None).unwrap(), None, out).run(None));
        let text = |event: Option<Result<Event, Infallible>>| format!("{:?}", event.unwrap().unwrap());
        assert!(text(frames.recv().await).contains("resync"));
        let publish = |index| {
            let events = vec![hansa_model::event::Event::TaskRemoved(format!("task{index}").into())];
            let _ =
                master.inner().shared.published.send(Arc::new(Published { index, at: Timestamp(0), events }));
        };
        (1_000..31_000).for_each(publish);
        let (mut heard, mut resyncs) = (0, 0);
        while resyncs == 0 {
            let frame = text(frames.recv().await);
            resyncs += usize::from(frame.contains("resync"));
            heard += 1;
        }
        assert!(heard < 15_000, "{heard} frames before the client was told");
        publish(40_000);
        assert!(text(frames.recv().await).contains("task40000"));
        running.stop().await.unwrap();
        feed.await.unwrap();
    }

    #[test]
    fn ids_of_another_term_do_not_resume() {
        assert_eq!(index_of("3-17", 3), Some(17));
        for id in ["2-17", "3", "", "-", "3-", "3-x", "x-17", "3-17-1"] {
            assert_eq!(index_of(id, 3), None, "{id}");
        }
    }
}
