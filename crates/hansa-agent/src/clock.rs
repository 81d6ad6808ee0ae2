//! The core's time: wall clock at the agent's start, carried on by the boot-time clock. It never steps, whatever happens to
//! the wall clock, and it maps one to one onto the clock of the shims' stop deadlines.

use crate::shim::boottime_ms;
use hansa_model::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads the core's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_start_ms: u64,
    boot_at_start_ms: u64,
}

impl Clock {
    /// A clock set to the wall clock now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            wall_at_start_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            boot_at_start_ms: boottime_ms(),
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall_at_start_ms + boottime_ms().saturating_sub(self.boot_at_start_ms))
    }

    /// The same moment in milliseconds since boot.
    pub fn boottime_of(&self, at: Timestamp) -> u64 {
        (self.boot_at_start_ms + at.0).saturating_sub(self.wall_at_start_ms)
    }

    /// How long until `at`.
    pub fn until(&self, at: Timestamp) -> Duration {
        Duration::from_millis(at.since(self.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_map_both_ways() {
        let clock = Clock { wall_at_start_ms: 1_000_000, boot_at_start_ms: 5_000 };
        assert_eq!(clock.boottime_of(Timestamp(1_002_500)), 7_500);
        assert_eq!(clock.boottime_of(Timestamp(999_000)), 4_000);
        assert_eq!(clock.boottime_of(Timestamp(0)), 0, "before boot");
    }
}
