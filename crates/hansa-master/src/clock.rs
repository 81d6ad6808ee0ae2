//! The clock: wall time at the first look, and from then on as much later as really passed.
//!
//! A wall clock that is set while the master runs would otherwise stop all deadlines for as long as it was set back, or
//! end them at once. What it was set to counts from the next start on; the cell never lets time go back then either.

use hansa_model::Timestamp;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now() -> Timestamp {
    static FIRST: OnceLock<(u64, Instant)> = OnceLock::new();
    let (wall_ms, at) = FIRST.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (millis(since), Instant::now())
    });
    Timestamp(wall_ms.saturating_add(millis(at.elapsed())))
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
