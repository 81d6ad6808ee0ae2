//! What a run did: faults by kind, and how far it came.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of fault that runs inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A message was held up for a second or more.
    Delay,
    /// A message arrived twice.
    Duplicate,
    /// A stream broke, and what was on its way is lost.
    StreamBroken,
    /// A stream went silent without either end being told.
    StreamSilent,
    /// A machine could not be reached for a while.
    Partition,
    /// An agent process died; its tasks ran on.
    AgentCrash,
    /// An agent process died between two steps that belong together.
    AgentTornStep,
    /// A whole machine died with everything on it.
    MachineCrash,
    /// The master process died.
    MasterCrash,
    /// A write of the store failed, and the master with it.
    FailedWrite,
    /// A crash lost a write of the store's file that was not synced.
    LostWrite,
    /// A crash tore a write of the store's file.
    TornWrite,
    /// A message of a stream that had broken arrived all the same, later than those of the next stream may have.
    LateMessage,
    /// The master lost its store and started from an older copy.
    OlderStore,
    /// The master's clock was elsewhere after a restart.
    ClockStep,
    /// A task's process ended by itself.
    TaskExit,
    /// A task could not be started.
    LaunchFailure,
    /// A task's health checks failed for a while.
    Unhealthy,
    /// A client gave up before its answer came.
    ClientTimeout,
}

/// A run's summary.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Faults injected, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Events of the simulation.
    pub events: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Processes started.
    pub started: u64,
    /// Client commands answered.
    pub answered: u64,
    /// Fingerprint of everything that happened, in order.
    pub fingerprint: u64,
}

impl Report {
    /// Counts a fault.
    pub fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Adds another run's numbers; the fingerprints are mixed in order.
    pub fn add(&mut self, other: &Report) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.events += other.events;
        self.virtual_ms += other.virtual_ms;
        self.started += other.started;
        self.answered += other.answered;
        self.fingerprint = self.fingerprint.rotate_left(7) ^ other.fingerprint;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} events, {} virtual minutes, {} processes started, {} commands answered, fingerprint {:016x}",
            self.events,
            self.virtual_ms / 60_000,
            self.started,
            self.answered,
            self.fingerprint
        )?;
        write!(f, "faults:")?;
        for (fault, count) in &self.faults {
            write!(f, " {fault:?} {count}")?;
        }
        Ok(())
    }
}
