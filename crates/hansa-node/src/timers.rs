//! What is due when. Entries are never looked up: one that has lost its meaning is ignored when it fires.

use hansa_model::{InstanceId, Timestamp};
use std::collections::BTreeSet;

/// Something that becomes due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A container's probe with this index is due, or the time-out of the one under way.
    Check(InstanceId, usize),
    /// The world has heard that a group is to end; now it is told itself.
    Drain(InstanceId),
    /// A container that was told to stop should be dead by now.
    Grace(InstanceId),
    /// The task of a container has run for as long as it may.
    TooLong(InstanceId),
    /// Something is due of an executor.
    Executor(InstanceId),
    /// Sample the machine's usage.
    Usage,
    /// Forget released ids, remove old sandboxes.
    Collect,
}

/// Ordered by time, then by kind.
#[derive(Clone, Debug, Default)]
pub struct Timers(BTreeSet<(Timestamp, Timer)>);

impl Timers {
    /// Makes `timer` due at `at`.
    pub fn set(&mut self, at: Timestamp, timer: Timer) {
        self.0.insert((at, timer));
    }

    /// The earliest.
    pub fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the earliest that is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
