//! Many runs, one after another on every core.

use crate::report::Report;
use crate::run::{Ended, Options, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What many runs add up to.
#[derive(Debug, Default)]
pub struct Summary {
    /// All runs together.
    pub report: Report,
    /// Seeds in which an invariant broke, ascending.
    pub failed: Vec<u64>,
}

/// Runs `count` seeds from `first` on. `done` hears of each as it ends, in no particular order.
pub fn run_many(first: u64, count: u64, done: impl Fn(&Ended) + Sync) -> Summary {
    let next = AtomicU64::new(first);
    let ended = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        return;
                    }
                    let run = run(&Options::new(seed));
                    done(&run);
                    let mut ended = ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    ended.push((seed, run.report, run.broken.is_some()));
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    ended.sort_by_key(|(seed, ..)| *seed);
    let mut summary = Summary::default();
    for (seed, report, broken) in ended {
        summary.report.add(&report);
        summary.failed.extend(broken.then_some(seed));
    }
    summary
}
