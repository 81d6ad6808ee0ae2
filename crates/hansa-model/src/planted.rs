//! Bugs that can be planted, to prove that the simulator finds bugs of their kind.
//!
//! Only with the feature `planted-bugs`, which no shipped program has; without it [`planted`] is a constant `false` and
//! nothing is left of it. This is the one place where pure code asks about something that is not an argument.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// What leaves the cell does not wait until it is durable.
    NothingWaits = 1,
    /// The store calls a commit durable before it is on the disk.
    WritesNotSynced,
    /// A new version of an app is not stored.
    VersionNotStored,
    /// A kill is not stored.
    KillNotStored,
    /// A kill that did not arrive is not sent again.
    KillNotRepeated,
    /// A launch that did not arrive is not sent again.
    LaunchNotRepeated,
    /// A machine is called unreachable before its shims have ended its tasks.
    DeadlineIgnored,
    /// A group's resources are free as soon as it is told to end.
    FreedAtKill,
    /// The services scheduler does not hear what was placed before it started.
    PlacedForgotten,
    /// A delay after failures never ends.
    BackoffForever,
    /// An agent starts a launch that is repeated.
    LaunchedTwice,
    /// An agent that restarts does not see what ended meanwhile.
    ExitMissed,
    /// All updates of a task bear the same number.
    UpdatesNotNumbered,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 13] = [
        Bug::NothingWaits,
        Bug::WritesNotSynced,
        Bug::VersionNotStored,
        Bug::KillNotStored,
        Bug::KillNotRepeated,
        Bug::LaunchNotRepeated,
        Bug::DeadlineIgnored,
        Bug::FreedAtKill,
        Bug::PlacedForgotten,
        Bug::BackoffForever,
        Bug::LaunchedTwice,
        Bug::ExitMissed,
        Bug::UpdatesNotNumbered,
    ];
}

#[cfg(feature = "planted-bugs")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants a bug in the whole process, or none.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::Relaxed);
}

/// Whether the bug is planted.
#[cfg(feature = "planted-bugs")]
pub fn planted(bug: Bug) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether the bug is planted: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}
