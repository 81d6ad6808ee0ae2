//! A layer's bytes from the registry to whoever unpacks them, through a bounded queue; begun again where it broke off.

use super::{ATTEMPTS, Again, Progress};
use crate::digest::{Digest, Hasher};
use crate::failure::{Failure, Kind, Result};
use crate::manifest::Descriptor;
use crate::registry::{Answer, Repository, SILENCE, broken, corrupt};
use bytes::{Buf, Bytes};
use http::StatusCode;
use http::header::CONTENT_RANGE;
use http_body_util::BodyExt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Pieces on the way. Each is at most as large as the connection's buffer, 512 KiB.
const QUEUE: usize = 8;

/// Where the download puts the bytes.
pub(super) struct Feed {
    sender: mpsc::Sender<Bytes>,
    complete: Arc<AtomicBool>,
}

/// Where the unpacker gets them.
pub(super) struct Source {
    receiver: mpsc::Receiver<Bytes>,
    complete: Arc<AtomicBool>,
    cancelled: Arc<AtomicBool>,
}

/// A queue between the two.
pub(super) fn pipe(cancelled: Arc<AtomicBool>) -> (Feed, Source) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let complete = Arc::new(AtomicBool::new(false));
    (Feed { sender, complete: complete.clone() }, Source { receiver, complete, cancelled })
}

impl Source {
    /// A reader, and what checks afterwards that everything that it gave, and all that is left, has the right digest.
    pub(super) fn split(self) -> (SourceReader, Check) {
        let inner =
            Arc::new(Mutex::new(Inner { source: self, current: Bytes::new(), hasher: Hasher::new() }));
        (SourceReader(inner.clone()), Check(inner))
    }
}

struct Inner {
    source: Source,
    current: Bytes,
    hasher: Hasher,
}

/// Blocks until there is something to read.
pub(super) struct SourceReader(Arc<Mutex<Inner>>);

pub(super) struct Check(Arc<Mutex<Inner>>);

impl Inner {
    /// Whether there is more.
    fn fill(&mut self) -> io::Result<bool> {
        while self.current.is_empty() {
            if self.source.cancelled.load(Ordering::Relaxed) {
                return Err(io::Error::other("not wanted any more"));
            }
            match self.source.receiver.blocking_recv() {
                Some(bytes) => {
                    self.hasher.update(&bytes);
                    self.current = bytes;
                }
                None if self.source.complete.load(Ordering::Acquire) => return Ok(false),
                None => return Err(io::Error::other("the download broke off")),
            }
        }
        Ok(true)
    }
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !inner.fill()? {
            return Ok(0);
        }
        let length = buffer.len().min(inner.current.len());
        inner.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Check {
    /// Reads what is left, and compares.
    pub(super) fn digest(self, wanted: &Digest) -> Result<()> {
        let mut inner = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while inner.fill().map_err(|error| Failure::new(Kind::Unreachable, error.to_string()))? {
            inner.current.clear();
        }
        let found = std::mem::replace(&mut inner.hasher, Hasher::new()).finish();
        if found == *wanted { Ok(()) } else { Err(corrupt("a layer", wanted, &found)) }
    }
}

/// Feeds a layer. Ends early, and well, if the unpacker has ended: it knows why.
pub(super) async fn download(
    repository: &Repository,
    layer: &Descriptor,
    feed: &Feed,
    again: &Again,
    progress: &Progress,
) -> Result<()> {
    let mut fed = 0;
    let mut attempt = 1;
    loop {
        let before = fed;
        match once(repository, layer, feed, &mut fed, progress).await {
            Err(failure) if failure.transient => {
                // A connection that brought something on was a good one.
                attempt = if fed > before { 1 } else { attempt + 1 };
                if attempt > ATTEMPTS {
                    return Err(failure);
                }
                tracing::debug!(layer = %layer.digest, fed, cause = %failure, "a download goes on after a pause");
                again.wait(attempt).await;
            }
            other => return other,
        }
    }
}

async fn once(
    repository: &Repository,
    layer: &Descriptor,
    feed: &Feed,
    fed: &mut u64,
    progress: &Progress,
) -> Result<()> {
    let answer = repository.blob(&layer.digest, *fed).await?;
    let mut skip = match answer.status() {
        StatusCode::PARTIAL_CONTENT if begins_at(&answer, *fed) => 0,
        // It knows no ranges: what was fed comes once more.
        StatusCode::OK => *fed,
        status => {
            return Err(Failure::new(Kind::Registry, format!("the registry answers {status} to a range")));
        }
    };
    let mut body = answer.into_body();
    loop {
        let frame = match tokio::time::timeout(SILENCE, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(broken(&error.to_string())),
            Err(_) => return Err(Failure::new(Kind::Timeout, "the registry sends nothing more").transient()),
        };
        let Ok(mut bytes) = frame.into_data() else { continue };
        let skipped = bytes.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
        bytes.advance(skipped);
        skip -= skipped as u64;
        if bytes.is_empty() {
            continue;
        }
        let length = bytes.len() as u64;
        if *fed + length > layer.size {
            return Err(Failure::new(
                Kind::Corrupt,
                format!("layer {} is longer than its manifest says", layer.digest),
            ));
        }
        if feed.sender.send(bytes).await.is_err() {
            return Ok(());
        }
        *fed += length;
        progress.add(length);
    }
    if *fed < layer.size {
        return Err(broken("it ended early"));
    }
    feed.complete.store(true, Ordering::Release);
    Ok(())
}

/// Whether a partial answer is the part asked for.
fn begins_at(answer: &Answer, offset: u64) -> bool {
    let header =
        answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let start = header.strip_prefix("bytes ").and_then(|rest| rest.split('-').next());
    start.and_then(|start| start.parse().ok()) == Some(offset)
}
