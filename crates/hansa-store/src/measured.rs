//! A file whose syncs are counted and timed: what "durable" costs on this disk, apart from what is written.

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often a store's file was synced, and how long that took. Shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Syncs {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Syncs {
    /// How often since the store was opened.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// All of them together.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }
}

/// A file, and what its syncs cost.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) file: FileBackend,
    pub(crate) syncs: Arc<Syncs>,
}

type Range = Bound<u64>;

impl StorageBackend for Measured {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = Instant::now();
        let result = self.file.sync_data();
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.syncs.nanos.fetch_add(nanos, Relaxed);
        self.syncs.count.fetch_add(1, Relaxed);
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // Locks keep a second process out of the file; the file's own do.

    fn try_lock_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
