//! The hunt for planted bugs: proof that the simulator finds bugs of their kinds.
//!
//! Not here: the bugs; they stand where such mistakes would be made, and are listed in [`hansa_model::planted`].

use crate::run::{Ended, Options, run};
use hansa_model::planted::{Bug, plant};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How one planted bug fared.
#[derive(Debug)]
pub struct Hunt {
    /// The bug.
    pub bug: Bug,
    /// The first seed that showed it, and what it showed; None: it was not found.
    pub found: Option<(u64, String)>,
}

/// One run with a bug planted.
pub fn run_with(bug: Bug, options: &Options) -> Ended {
    plant(Some(bug));
    let ended = run(options);
    plant(None);
    ended
}

/// Looks for each of the bugs in at most `most` seeds, several bugs at a time. `done` hears of each as its hunt ends, in
/// no particular order; the answer is in the order of `bugs`.
pub fn hunt(bugs: &[Bug], most: u64, done: impl Fn(&Hunt) + Sync) -> Vec<Hunt> {
    let next = AtomicUsize::new(0);
    let hunts = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&bug) = bugs.get(at) else { return };
                    let shows = |seed| run_with(bug, &Options::new(seed)).broken.map(|what| (seed, what));
                    let hunt = Hunt { bug, found: (1..=most).find_map(shows) };
                    done(&hunt);
                    hunts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, hunt));
                }
            });
        }
    });
    let mut hunts = hunts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    hunts.sort_by_key(|(at, _)| *at);
    hunts.into_iter().map(|(_, hunt)| hunt).collect()
}
