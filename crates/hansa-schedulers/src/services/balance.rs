//! How many instances to start and to kill: pure arithmetic over counts, the same for steady operation, scaling,
//! rolling replacement and draining.
//!
//! An app's instances fall into two sides: **fresh** ones that shall stay, and **stale** ones that shall be replaced
//! (of an old configuration while a deployment replaces them, or on a machine that is being emptied). What is wanted
//! is always the same: `wanted` fresh instances that are ready, and no stale one.

use hansa_model::app::UpgradeStrategy;

/// One side's instances. Those that are out of reach for so long that they do not count any more are `lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    /// Running and healthy.
    pub ready: u32,
    /// Alive, but not ready (yet, or any more), or out of reach for a short time.
    pub unready: u32,
    /// Told to end, not gone yet.
    pub killing: u32,
    /// Out of reach for long, whether told to end or not.
    pub lost: u32,
}

impl Side {
    /// Those that are to stay as far as they themselves know.
    pub fn present(&self) -> u32 {
        self.ready + self.unready
    }

    /// Those that take room.
    pub fn total(&self) -> u32 {
        self.present() + self.killing
    }
}

/// What an app shall come to, and how carefully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// Fresh instances wanted.
    pub wanted: u32,
    /// More than wanted that are nevertheless not killed.
    pub tolerated: u32,
    /// The strategy while instances are replaced by a deployment; None otherwise: first start, then kill.
    pub rolling: Option<UpgradeStrategy>,
    /// Only so many fresh ones for now; the stale ones that are then left stay.
    pub limit: Option<u32>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Fresh instances to kill, because there are too many.
    pub surplus: u32,
    /// Stale instances to kill that are not ready (`u32::MAX`: all, the lost ones too).
    pub stale_unready: u32,
    /// Stale instances to kill that are ready.
    pub stale_ready: u32,
    /// Instances to start as soon as there is a place.
    pub launch: u32,
}

/// `count` times `milli` thousandths, rounded up.
fn share_up(count: u32, milli: u64) -> u32 {
    u32::try_from((u64::from(count) * milli).div_ceil(1000)).unwrap_or(u32::MAX)
}

/// `count` times `milli` thousandths, rounded down.
fn share_down(count: u32, milli: u64) -> u32 {
    u32::try_from(u64::from(count) * milli / 1000).unwrap_or(u32::MAX)
}

/// How many of `wanted` instances a canary of this share is: at least one, and not all unless there is only one.
pub(super) fn canary(wanted: u32, milli: u16) -> u32 {
    share_up(wanted, u64::from(milli)).clamp(wanted.min(1), wanted.saturating_sub(1).max(wanted.min(1)))
}

/// The stale instances that stay beside a canary of `limit`: of the ready and of the unready ones.
fn kept(stale: Side, wanted: u32, limit: u32) -> (u32, u32) {
    let most = wanted.saturating_sub(limit);
    let ready = most.min(stale.ready);
    (ready, (most - ready).min(stale.unready))
}

/// Whether the canary stands: as many fresh ones as it shall have are ready, and nothing more is to end or to start.
pub(super) fn canary_stands(fresh: Side, stale: Side, goal: Goal) -> bool {
    let Some(limit) = goal.limit else { return false };
    let (ready, unready) = kept(stale, goal.wanted, limit);
    let wanted = goal.wanted - ready - unready;
    let quiet = fresh.killing + stale.killing == 0 && stale.present() == ready + unready;
    quiet && fresh.ready >= wanted && fresh.present() <= wanted.saturating_add(goal.tolerated)
}

/// What to do for this app now. Asked again after every change, it ends where it shall: with `wanted` fresh instances.
pub(super) fn moves(fresh: Side, stale: Side, goal: Goal) -> Moves {
    let Some(limit) = goal.limit else { return moves_beside(fresh, stale, goal, (0, 0)) };
    let kept = kept(stale, goal.wanted, limit);
    let rest = Side { ready: stale.ready - kept.0, unready: stale.unready - kept.1, ..stale };
    let mut moves = moves_beside(fresh, rest, goal, kept);
    // Not those that stay.
    moves.stale_unready = moves.stale_unready.min(rest.unready);
    moves
}

/// The same, where so many more (ready and unready) stay beside those of `stale`.
fn moves_beside(fresh: Side, stale: Side, goal: Goal, (kept_ready, kept_unready): (u32, u32)) -> Moves {
    let kept = kept_ready + kept_unready;
    let wanted = goal.wanted - kept;
    let ready = fresh.ready + stale.ready;
    let (min_ready, capacity) = match goal.rolling {
        None => (wanted, wanted.saturating_add(stale.total())),
        Some(strategy) => {
            let min_ready = share_up(goal.wanted, u64::from(strategy.minimum_health_milli))
                .min(goal.wanted)
                .saturating_sub(kept_ready);
            let capacity =
                share_down(goal.wanted, 1000 + u64::from(strategy.maximum_over_milli)).saturating_sub(kept);
            // Neither below nor above: one more for the time being, or nothing could ever move.
            let stuck = min_ready == capacity && capacity <= ready;
            (min_ready, if stuck { capacity + 1 } else { capacity })
        }
    };
    let missing = wanted.saturating_sub(fresh.present());
    let room = capacity.saturating_sub(fresh.total() + stale.total());
    let mut moves = Moves {
        surplus: fresh.present().saturating_sub(wanted.saturating_add(goal.tolerated)),
        launch: missing.min(room),
        ..Moves::default()
    };
    if fresh.ready >= wanted {
        moves.stale_unready = u32::MAX;
        moves.stale_ready = stale.ready;
        return moves;
    }
    let slack = ready.saturating_sub(min_ready);
    moves.stale_ready = slack.min(stale.ready);
    if slack > 0 {
        // Unhealthy ones go first, and are no loss.
        moves.stale_unready = stale.unready;
    } else {
        // No healthy instance can be spared, but one that is not ready may be all that is in the way of a new one.
        let freeing = stale.killing + fresh.killing;
        moves.stale_unready = missing.saturating_sub(room + freeing).min(stale.unready);
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolling(wanted: u32, min: u16, over: u16) -> Goal {
        let strategy = UpgradeStrategy { minimum_health_milli: min, maximum_over_milli: over };
        Goal { wanted, tolerated: 0, rolling: Some(strategy), limit: None }
    }

    fn ready(ready: u32) -> Side {
        Side { ready, ..Side::default() }
    }

    #[test]
    fn steady_operation_fills_up_and_cuts_down() {
        let goal = Goal { wanted: 3, tolerated: 0, rolling: None, limit: None };
        assert_eq!(moves(ready(1), Side::default(), goal).launch, 2);
        assert_eq!(moves(ready(5), Side::default(), goal).surplus, 2);
        let ending = Side { ready: 2, killing: 1, ..Side::default() };
        assert_eq!(moves(ending, Side::default(), goal).launch, 0, "its room is not free before it is gone");
        let adopted = Goal { tolerated: 1, ..goal };
        assert_eq!(moves(ready(5), Side::default(), adopted).surplus, 1);
    }

    #[test]
    fn a_drained_instance_is_replaced_before_it_goes() {
        let goal = Goal { wanted: 2, tolerated: 0, rolling: None, limit: None };
        let first = moves(ready(1), ready(1), goal);
        assert_eq!((first.launch, first.stale_ready), (1, 0));
        let starting = Side { ready: 1, unready: 1, ..Side::default() };
        assert_eq!(moves(starting, ready(1), goal), Moves::default());
        let last = moves(ready(2), ready(1), goal);
        assert_eq!((last.launch, last.stale_ready), (0, 1));
    }

    #[test]
    fn the_default_strategy_starts_all_and_then_kills_one_by_one() {
        let first = moves(Side::default(), ready(4), rolling(4, 1000, 1000));
        assert_eq!((first.launch, first.stale_ready, first.stale_unready), (4, 0, 0));
        let one = Side { ready: 1, unready: 3, ..Side::default() };
        assert_eq!(moves(one, ready(4), rolling(4, 1000, 1000)).stale_ready, 1);
    }

    #[test]
    fn half_may_go_at_once_without_over_capacity() {
        let first = moves(Side::default(), ready(4), rolling(4, 500, 0));
        assert_eq!((first.launch, first.stale_ready), (0, 2));
        let second = moves(Side::default(), ready(2), rolling(4, 500, 0));
        assert_eq!((second.launch, second.stale_ready), (2, 0));
    }

    #[test]
    fn neither_below_nor_above_takes_one_more() {
        let first = moves(Side::default(), ready(3), rolling(3, 1000, 0));
        assert_eq!((first.launch, first.stale_ready), (1, 0));
        let rounded = moves(Side::default(), ready(1), rolling(1, 500, 500));
        assert_eq!(rounded.launch, 1, "ceil(0.5) healthy, floor(1.5) at most: both 1");
    }

    #[test]
    fn unhealthy_old_ones_make_room_when_nothing_else_can() {
        let old = Side { unready: 3, ..Side::default() };
        assert_eq!(moves(Side::default(), old, rolling(3, 1000, 0)).stale_unready, 3);
        let old = Side { ready: 2, unready: 1, ..Side::default() };
        let first = moves(Side::default(), old, rolling(3, 1000, 0));
        assert_eq!((first.stale_unready, first.stale_ready, first.launch), (1, 0, 0));
    }

    #[test]
    fn fewer_instances_than_before_go_at_once() {
        assert_eq!(moves(Side::default(), ready(10), rolling(3, 1000, 1000)).stale_ready, 7);
    }

    #[test]
    fn canaries_are_at_least_one_and_not_all() {
        let of = |wanted, milli| canary(wanted, milli);
        assert_eq!(
            (of(10, 100), of(10, 101), of(3, 10), of(2, 900), of(1, 100), of(0, 100)),
            (1, 2, 1, 1, 1, 0)
        );
    }

    /// With every strategy a canary comes to stand, within the bounds, and what is to stay stays.
    #[test]
    fn every_canary_stands() {
        for wanted in 2..=6u32 {
            for limit in 1..wanted {
                for (min, over) in [(0, 0), (500, 0), (1000, 0), (1000, 1000), (300, 200)] {
                    let goal = Goal { limit: Some(limit), ..rolling(wanted, min, over) };
                    let min_ready = share_up(wanted, u64::from(min));
                    let (mut fresh, mut stale) = (Side::default(), ready(wanted));
                    for step in 0.. {
                        assert!(step < 100, "stuck: {goal:?} {fresh:?} {stale:?}");
                        if canary_stands(fresh, stale, goal) {
                            break;
                        }
                        let next = moves(fresh, stale, goal);
                        stale.ready -= next.stale_ready;
                        stale.killing += next.stale_ready;
                        fresh.unready += next.launch;
                        assert!(fresh.ready + stale.ready >= min_ready, "{goal:?} {fresh:?} {stale:?}");
                        if fresh.unready > 0 {
                            fresh.unready -= 1;
                            fresh.ready += 1;
                        } else if stale.killing > 0 {
                            stale.killing -= 1;
                        }
                    }
                    assert_eq!((fresh.ready, stale.ready), (limit, wanted - limit), "{goal:?}");
                    assert_eq!(moves(fresh, stale, goal), Moves::default(), "and stays so");
                    // One of the old ones dies: there are as many as wanted again.
                    stale.ready -= 1;
                    assert_eq!(moves(fresh, stale, goal).launch, 1, "{goal:?}");
                }
            }
        }
    }

    /// Every strategy and start comes to its end, never has fewer healthy than it may, never more than it may.
    #[test]
    fn every_strategy_comes_to_an_end_within_its_bounds() {
        for wanted in 1..=6u32 {
            for old in 0..=8u32 {
                for (min, over) in [(0, 0), (500, 0), (1000, 0), (1000, 1000), (500, 500), (300, 200), (1, 1)]
                {
                    let goal = rolling(wanted, min, over);
                    let min_ready = share_up(wanted, u64::from(min));
                    let most = old.max(share_down(wanted, 1000 + u64::from(over)).max(min_ready + 1));
                    let (mut fresh, mut stale) = (Side::default(), ready(old));
                    let mut steps = 0;
                    while !(fresh == ready(wanted) && stale == Side::default()) {
                        let next = moves(fresh, stale, goal);
                        let before = fresh.ready + stale.ready;
                        stale.ready -= next.stale_ready;
                        stale.killing += next.stale_ready;
                        assert!(
                            fresh.ready + stale.ready >= min_ready.min(before),
                            "{goal:?} {fresh:?} {stale:?}"
                        );
                        fresh.unready += next.launch;
                        assert!(fresh.total() + stale.total() <= most, "{goal:?} {fresh:?} {stale:?}");
                        // The slowest world: one thing happens at a time.
                        if fresh.unready > 0 {
                            fresh.unready -= 1;
                            fresh.ready += 1;
                        } else if stale.killing > 0 {
                            stale.killing -= 1;
                        }
                        steps += 1;
                        assert!(steps < 100, "stuck: {goal:?} {fresh:?} {stale:?}");
                    }
                }
            }
        }
    }
}
