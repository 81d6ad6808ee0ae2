//! How far a pull is, for those who wait for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by the pull, read by whoever waits.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// The manifest is there: so many bytes are to come.
    pub(crate) fn begin(&self, total: u64) {
        self.total.store(total.max(1), Ordering::Relaxed);
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes came by another way.
    pub(crate) fn skip(&self, bytes: u64) {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        self.add(bytes.min(total.saturating_sub(done)));
    }

    /// In words, of an image of that name.
    pub(crate) fn words(&self, name: &str) -> String {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        match total {
            0 => format!("pulling {name}"),
            _ if done >= total => format!("unpacking {name}"),
            _ => format!("pulling {name}: {} of {} MB", megabytes(done), megabytes(total).max(1)),
        }
    }
}

fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_people() {
        let progress = Progress::default();
        assert_eq!(progress.words("nginx:1"), "pulling nginx:1");
        progress.begin(50_300_000);
        progress.add(12_400_000);
        assert_eq!(progress.words("nginx:1"), "pulling nginx:1: 12 of 50 MB");
        progress.skip(u64::MAX);
        assert_eq!(progress.words("nginx:1"), "unpacking nginx:1");
    }
}
