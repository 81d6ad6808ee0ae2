//! A framework's stream on the wire: records, one chunk each, as soon as there is something to say; a heartbeat at once, and
//! then every 15 seconds.

use super::spoken::Spoken;
use super::steward::Steward;
use crate::http::error::ApiError;
use crate::master::Replied;
use crate::streams::{Directory, FrameworkStream, Next};
use axum::body::{Body, Bytes};
use futures_util::Stream;
use hansa_mesos::codec::{Codec, encode};
use hansa_mesos::event::{self, HEARTBEAT_SECS};
use hansa_mesos::proto::v1;
use hansa_mesos::recordio;
use hansa_model::framework::{FrameworkEvent, FrameworkInfo};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// Clients that read line by line understand an event only when the next one begins: after the last of several events a
/// heartbeat follows in this time...
const AFTERWARDS: Duration = Duration::from_millis(100);

/// ...but not more often than this.
const SELDOM: Duration = Duration::from_secs(1);

/// The stream breaks off: its reader was too slow.
#[derive(Debug, thiserror::Error)]
#[error("the client reads too slowly")]
pub(super) struct TooSlow;

/// See the module.
pub(super) struct Feed {
    stream: FrameworkStream,
    codec: Codec,
    /// What the framework said of itself, until the directory knows it.
    info: Arc<FrameworkInfo>,
    master: v1::MasterInfo,
    directory: Arc<Directory>,
    steward: Arc<Steward>,
    spoken: Arc<Spoken>,
    stopping: watch::Receiver<bool>,
    /// What the cell says to the subscription itself: a refusal is told like everything else.
    replied: Option<oneshot::Receiver<Replied>>,
    queue: VecDeque<Bytes>,
    /// When the next heartbeat is due; None: nobody is subscribed yet.
    heartbeat_at: Option<Instant>,
    last_heartbeat: Instant,
    ended: bool,
}

impl Feed {
    /// The body of the answer to a subscription.
    pub(super) fn new(
        stream: FrameworkStream,
        codec: Codec,
        info: Arc<FrameworkInfo>,
        master: v1::MasterInfo,
        (directory, steward, spoken, stopping): (
            Arc<Directory>,
            Arc<Steward>,
            Arc<Spoken>,
            watch::Receiver<bool>,
        ),
        replied: oneshot::Receiver<Replied>,
    ) -> Self {
        Self {
            stream,
            codec,
            info,
            master,
            directory,
            steward,
            spoken,
            stopping,
            replied: Some(replied),
            queue: VecDeque::new(),
            heartbeat_at: None,
            last_heartbeat: Instant::now(),
            ended: false,
        }
    }

    /// As a body. Dropping it tells the loop that the framework is gone.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(self.into_stream())
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, TooSlow>> + Send {
        futures_util::stream::unfold(self, |mut feed| async move {
            let next = feed.next().await?;
            Some((next, feed))
        })
    }

    /// The next record; None: the stream ends.
    async fn next(&mut self) -> Option<Result<Bytes, TooSlow>> {
        loop {
            if let Some(record) = self.queue.pop_front() {
                return Some(Ok(record));
            }
            if self.ended {
                return None;
            }
            let due = self.heartbeat_at;
            let heartbeat = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let reply = async {
                match &mut self.replied {
                    Some(replied) => replied.await,
                    None => std::future::pending().await,
                }
            };
            let mut stopping = self.stopping.clone();
            tokio::select! {
                biased;
                next = self.stream.next() => match next {
                    Next::Event(event) => self.say(&event),
                    Next::End => self.ended = true,
                    Next::Cut => {
                        self.ended = true;
                        return Some(Err(TooSlow));
                    }
                },
                reply = reply => {
                    self.replied = None;
                    if let Ok((_, Err(failure))) = reply {
                        let words = ApiError::from(failure).words();
                        self.push(&event::error(&words));
                        self.ended = true;
                    }
                }
                () = heartbeat => self.beat(),
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    fn say(&mut self, event: &FrameworkEvent) {
        if let FrameworkEvent::Subscribed { framework } = event {
            self.info = Arc::new(FrameworkInfo { id: framework.clone(), ..self.info.as_ref().clone() });
            self.spoken.subscribed(framework);
        }
        if let Some(known) = self.directory.of(&self.info.id) {
            self.info = known.info;
        }
        let mut written = event::write(event, &self.info, &self.master);
        for offer in written.offers.iter_mut().flat_map(|offers| &mut offers.offers) {
            let address = offer.url.as_ref().map(|url| url.address.ip().to_owned()).unwrap_or_default();
            offer.unavailability = self.steward.unavailability(&offer.hostname, &address);
        }
        self.push(&written);
        match event {
            FrameworkEvent::Subscribed { .. } => self.beat(),
            FrameworkEvent::Error(_) => {}
            _ if self.codec == Codec::Json => self.beat_soon(),
            _ => {}
        }
    }

    fn beat(&mut self) {
        self.push(&event::heartbeat());
        self.last_heartbeat = Instant::now();
        self.heartbeat_at = Some(self.last_heartbeat + Duration::from_secs(HEARTBEAT_SECS));
    }

    fn beat_soon(&mut self) {
        let soon = (Instant::now() + AFTERWARDS).max(self.last_heartbeat + SELDOM);
        self.heartbeat_at = self.heartbeat_at.map(|at| at.min(soon));
    }

    fn push(&mut self, event: &v1::scheduler::Event) {
        self.spoken.told(&self.info.id, event);
        self.queue.push_back(recordio::record(&encode(self.codec, event)).into());
    }
}
