//! Bugs that can be planted, to prove that the simulator finds bugs of their kind.
//!
//! They are one feature, `planted-bugs`, which no shipped program has, and a switch that says which of them is planted, so
//! that one build serves all. Without the feature [`planted`] is a constant `false` and nothing is left of it. This is the
//! one place where pure code asks about something that is not an argument.
//!
//! A bug belongs here if it is of a kind that the simulator promises to find. It stands where such a mistake would be made.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// What leaves the cell does not wait until it is durable.
    NothingWaits,
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
    /// A machine is given more than it has.
    OverCommitted,
    /// Events are published before what they tell is durable.
    PublishedEarly,
    /// An agent does not remember what was released.
    ReleasedForgotten,
    /// A hello that was held up counts although the agent has a newer stream.
    OldHelloTaken,
    /// Running tasks that the store does not know are surplus.
    AdoptedEnded,
    /// What waits for a place is told no reason.
    NoReasonGiven,
    /// What is offered is offered again.
    OfferedTwice,
    /// A framework does not hear that an offer has ended.
    OfferEndNotTold,
    /// What is kept for a role is offered to others.
    KeptForAll,
    /// REVIVE is forgotten until something else happens.
    ReviveForgotten,
    /// Reservations and volumes are not stored.
    PartsNotStored,
    /// An update of a framework's task is told once.
    UpdateToldOnce,
    /// An update of a framework's task is acknowledged before its framework has done so.
    AcknowledgedUnheard,
    /// An executor is given what it was given before.
    GivenAgain,
    /// A part of a disk that cannot be divided is offered.
    WholeDivided,
    /// An agent is not told that a volume is removed.
    RemovalNotSent,
    /// What a framework's task has is free as soon as its agent says something of it.
    TaskFreedEarly,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 30] = [
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
        Bug::OverCommitted,
        Bug::PublishedEarly,
        Bug::ReleasedForgotten,
        Bug::OldHelloTaken,
        Bug::AdoptedEnded,
        Bug::NoReasonGiven,
        Bug::OfferedTwice,
        Bug::OfferEndNotTold,
        Bug::KeptForAll,
        Bug::ReviveForgotten,
        Bug::PartsNotStored,
        Bug::UpdateToldOnce,
        Bug::AcknowledgedUnheard,
        Bug::GivenAgain,
        Bug::WholeDivided,
        Bug::RemovalNotSent,
        Bug::TaskFreedEarly,
    ];
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in everything that this thread does from now on, or none.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether the bug is planted.
#[cfg(feature = "planted-bugs")]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether the bug is planted: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}
