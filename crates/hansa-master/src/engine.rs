//! The loop: one thread owns the cell, takes what happened, applies it, passes on what comes out.
//!
//! Nothing here waits for a disk, a socket or a reader: commits go to the store's thread and come back as "written",
//! publications go to the read model's thread, messages go to bounded outboxes. When too much is on its way to the
//! disk, the loop takes nothing new from outside until some of it is written, and whoever sends waits.

use crate::cell::Request;
use crate::clock;
use crate::master::{Replied, Shared};
use crate::metrics::Metrics;
use crate::read_thread::News;
use crate::store_thread::{Commit, Written};
use crate::streams::{Directory, StreamOutbox, Streams};
use hansa_cell::{Cell, Input, Output, RequestId, SessionId, ToStream};
use hansa_link::{ToAgent, ToMaster};
use hansa_model::Principal;
use hansa_model::framework::StreamId;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

/// Events taken at once; between two takings the loop looks at the clock and at what was written.
const AT_ONCE: usize = 1_024;

/// Mutations on their way to the disk above which nothing new is taken from outside.
const MAX_UNWRITTEN: usize = 200_000;

/// The longest sleep: who watches is looked at that often even when nothing happens.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// The shortest sleep after a tick that led to nothing.
const IDLE_SLEEP: Duration = Duration::from_millis(2);

/// Everything that can happen to the loop from outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client asks.
    Request { principal: Principal, request: Box<Request>, reply: oneshot::Sender<Replied> },
    /// An agent's stream began.
    SessionOpened { session: SessionId, outbox: Outbox },
    /// It said something.
    FromAgent { session: SessionId, message: Box<ToMaster> },
    /// It ended.
    SessionClosed { session: SessionId },
    /// A framework's stream began.
    StreamOpened { stream: StreamId, outbox: StreamOutbox },
    /// It ended.
    StreamClosed { stream: StreamId },
    /// The number of watchers changed.
    Watchers,
    /// Answered when everything before it is durable and in the read model.
    CatchUp(oneshot::Sender<()>),
    /// End the loop, when everything handed out is written.
    Stop,
}

/// Where an agent's messages go.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) messages: mpsc::Sender<ToAgent>,
    /// Dropped with the outbox, which the agent's end notices.
    pub(crate) _alive: oneshot::Sender<()>,
}

/// Why the loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A write failed or was fenced; what is durable is known only after a new start.
    #[error("cannot write the store; ending, so that nothing is told that is not durable")]
    Store(#[source] hansa_store::Error),
    /// One of the threads ended.
    #[error("the {0} thread ended unexpectedly")]
    Thread(&'static str),
    /// A broken invariant.
    #[error("the control plane ended at a broken invariant: {0}")]
    Panic(String),
}

/// The loop's ends of all channels.
pub(crate) struct Ports {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) commits: std::sync::mpsc::Sender<Commit>,
    pub(crate) written: mpsc::UnboundedReceiver<Result<Written, hansa_store::Error>>,
    pub(crate) news: mpsc::Sender<News>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) watchers: Arc<AtomicUsize>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) directory: Arc<Directory>,
}

/// The loop's state.
pub(crate) struct Engine {
    cell: Cell,
    ports: Ports,
    sessions: FxHashMap<SessionId, Outbox>,
    streams: Streams,
    replies: FxHashMap<RequestId, oneshot::Sender<Replied>>,
    next_request: RequestId,
    /// The newest commit handed to the store's thread, the newest that is durable, and what is between.
    handed_out: u64,
    durable: u64,
    unwritten: usize,
    /// Each with the commit that must be durable first.
    catching_up: Vec<(u64, oneshot::Sender<()>)>,
    watching: bool,
    stopping: bool,
    /// The last turn found nothing to do although something was due.
    idle: bool,
}

impl Engine {
    /// A loop around a cell that was just opened, with what the opening led to.
    pub(crate) fn new(cell: Cell, ports: Ports) -> Self {
        Self {
            cell,
            streams: Streams::new(ports.directory.clone()),
            ports,
            sessions: FxHashMap::default(),
            replies: FxHashMap::default(),
            next_request: 1,
            handed_out: 0,
            durable: 0,
            unwritten: 0,
            catching_up: Vec::new(),
            watching: false,
            stopping: false,
            idle: false,
        }
    }

    /// Runs until it is told to stop or something fails; `opened` is what the cell's opening led to.
    pub(crate) fn run(mut self, opened: Vec<Output>) -> Result<(), EngineError> {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|_| EngineError::Thread("loop"))?;
        self.pass_on(opened)?;
        let (mut events, mut written) = (Vec::new(), Vec::new());
        while !(self.stopping && self.unwritten == 0) {
            waiting.block_on(self.wait(&mut events, &mut written))?;
            for report in written.drain(..) {
                self.written(report)?;
            }
            self.idle = false;
            if events.is_empty() {
                let outputs = self.cell.apply(clock::now(), Input::Tick);
                self.idle = outputs.is_empty();
                self.pass_on(outputs)?;
            }
            for event in events.drain(..) {
                self.take(event)?;
            }
            self.look_at_watchers()?;
            self.ports.metrics.loop_turned(self.sessions.len(), self.unwritten);
        }
        Ok(())
    }

    /// Takes what there is; sleeps if there is nothing and nothing is due.
    async fn wait(
        &mut self,
        events: &mut Vec<Event>,
        written: &mut Vec<Result<Written, hansa_store::Error>>,
    ) -> Result<(), EngineError> {
        let open = self.unwritten < MAX_UNWRITTEN && !self.stopping;
        while written.len() < AT_ONCE
            && let Ok(report) = self.ports.written.try_recv()
        {
            written.push(report);
        }
        while open
            && events.len() < AT_ONCE
            && let Ok(event) = self.ports.events.try_recv()
        {
            events.push(event);
        }
        let sleep = match self.cell.next_deadline() {
            Some(deadline) => Duration::from_millis(deadline.since(clock::now())).min(MAX_SLEEP),
            None => MAX_SLEEP,
        };
        // Something that is due and not done by a tick is not done faster by more of them.
        let sleep = if self.idle { sleep.max(IDLE_SLEEP) } else { sleep };
        if !events.is_empty() || !written.is_empty() || sleep.is_zero() {
            return Ok(());
        }
        tokio::select! {
            taken = self.ports.written.recv_many(written, AT_ONCE) => {
                if taken == 0 {
                    return Err(EngineError::Thread("store"));
                }
            }
            taken = self.ports.events.recv_many(events, AT_ONCE), if open => {
                // Nobody is left who could send anything.
                self.stopping |= taken == 0;
            }
            () = tokio::time::sleep(sleep) => {}
        }
        Ok(())
    }

    fn written(&mut self, report: Result<Written, hansa_store::Error>) -> Result<(), EngineError> {
        let Written { index, mutations } = report.map_err(EngineError::Store)?;
        self.durable = index;
        self.unwritten -= mutations;
        self.step(Input::Committed { index })?;
        let reached: Vec<_> = self.catching_up.extract_if(.., |(needs, _)| *needs <= index).collect();
        reached.into_iter().try_for_each(|(_, to)| self.tell(News::Caught(to)))
    }

    fn take(&mut self, event: Event) -> Result<(), EngineError> {
        match event {
            Event::Request { principal, request, reply } => {
                let id = self.next_request;
                self.next_request += 1;
                self.replies.insert(id, reply);
                self.step(Input::Request { id, principal, request: *request })
            }
            Event::SessionOpened { session, outbox } => {
                self.sessions.insert(session, outbox);
                self.step(Input::SessionOpened { session })
            }
            Event::FromAgent { session, message } => {
                self.step(Input::FromAgent { session, message: *message })
            }
            Event::SessionClosed { session } => {
                self.sessions.remove(&session);
                self.step(Input::SessionClosed { session })
            }
            Event::StreamOpened { stream, outbox } => {
                self.streams.opened(stream, outbox);
                Ok(())
            }
            Event::StreamClosed { stream } if self.streams.ended(stream) => {
                self.step(Input::FrameworkGone { stream })
            }
            // The kernel ended it, or it was too slow: known.
            Event::StreamClosed { .. } => Ok(()),
            Event::Watchers => Ok(()),
            Event::CatchUp(to) if self.durable >= self.handed_out => self.tell(News::Caught(to)),
            Event::CatchUp(to) => {
                self.catching_up.push((self.handed_out, to));
                Ok(())
            }
            Event::Stop => {
                self.stopping = true;
                Ok(())
            }
        }
    }

    fn look_at_watchers(&mut self) -> Result<(), EngineError> {
        let watching = self.ports.watchers.load(Ordering::Relaxed) > 0;
        if watching == self.watching {
            return Ok(());
        }
        self.watching = watching;
        self.step(Input::Watching(watching))
    }

    fn step(&mut self, input: Input) -> Result<(), EngineError> {
        let outputs = self.cell.apply(clock::now(), input);
        self.pass_on(outputs)
    }

    /// Passes on what came out of the cell, and what comes out because of that.
    fn pass_on(&mut self, outputs: Vec<Output>) -> Result<(), EngineError> {
        let (mut behind, mut cut) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::Commit { index, mutations } => {
                    self.handed_out = index;
                    self.unwritten += mutations.len();
                    let commit = Commit { index, mutations };
                    self.ports.commits.send(commit).map_err(|_| EngineError::Thread("store"))?;
                }
                Output::Publish(published) => self.tell(News::Published(published))?,
                Output::Reply { id, index, answer } => {
                    if let Some(to) = self.replies.remove(&id) {
                        self.tell(News::Reply { to, replied: Box::new((index, answer)) })?;
                    }
                }
                Output::Send { session, message } => self.send(session, *message, &mut behind),
                Output::CloseSession { session } => {
                    self.sessions.remove(&session);
                }
                Output::ToFramework { stream, message: ToStream::Event(event) } => {
                    if !self.streams.send(stream, *event) {
                        warn!(stream, "a framework reads too slowly; its stream is ended");
                        cut.push(stream);
                    }
                }
                Output::ToFramework { stream, message: ToStream::Close } => {
                    self.streams.ended(stream);
                }
                Output::Usage { agent, usage } => self.tell(News::Usage { agent, usage })?,
            }
        }
        behind.into_iter().try_for_each(|session| self.step(Input::SessionClosed { session }))?;
        cut.into_iter().try_for_each(|stream| self.step(Input::FrameworkGone { stream }))
    }

    /// Never waits: an agent that does not read loses its stream, and brings itself up to date with its next hello.
    fn send(&mut self, session: SessionId, message: ToAgent, behind: &mut Vec<SessionId>) {
        let Some(outbox) = self.sessions.get(&session) else { return };
        match outbox.messages.try_send(message) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => {
                debug!(session, "message to a stream that has ended")
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                warn!(session, "agent reads too slowly; its stream is ended");
                self.sessions.remove(&session);
                behind.push(session);
            }
        }
    }

    fn tell(&self, news: News) -> Result<(), EngineError> {
        self.ports.shared.handed_out.fetch_add(1, Ordering::Release);
        self.ports.news.blocking_send(news).map_err(|_| EngineError::Thread("read model"))
    }
}
