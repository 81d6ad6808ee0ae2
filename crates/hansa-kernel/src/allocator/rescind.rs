//! Which offers should be taken back: those that a limit does not allow any more, those of what is guaranteed to others,
//! and old ones of frameworks that have much while others that have little get nothing.

use super::order::{Path, deciding};
use super::quota::Room;
use super::{Allocator, Idle, SeatAt};
use crate::roles::{DEFAULT_WEIGHT, KINDS, ROOT, RoleAt, Roles, View, bounds, numbers, share};
use hansa_model::framework::Part;
use hansa_model::role::Totals;
use hansa_model::{AgentId, FrameworkId, OfferId, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds that an offer is left alone for fairness' sake: whoever wants it takes it sooner.
pub(crate) const HOARDED_AFTER_MS: u64 = 5_000;

/// How often it is looked for somebody who starves, in milliseconds, while there are offers.
const LOOK_EVERY_MS: u64 = 1_000;

/// An offer that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outstanding<'a> {
    /// Its id.
    pub id: &'a OfferId,
    /// Who holds it.
    pub framework: &'a FrameworkId,
    /// The role that would pay.
    pub role: &'a RoleName,
    /// Where.
    pub agent: &'a AgentId,
    /// What.
    pub parts: &'a [Part],
    /// Since when.
    pub made_at: Timestamp,
}

impl Outstanding<'_> {
    fn totals(&self) -> Totals {
        self.parts.iter().map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus)
    }

    /// What others would have of it if it were taken back, for which there is headroom.
    fn open(&self) -> Totals {
        let parts = self.parts.iter().filter(|part| part.is_open());
        parts.map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus)
    }

    fn unreserved(&self) -> Totals {
        let parts = self.parts.iter().filter(|part| part.role().is_none());
        parts.map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus)
    }
}

/// Offers by place in the list of all, that are to be taken back.
type Back = BTreeSet<usize>;

impl Allocator {
    /// Which offers should be taken back now. To be asked after whatever changed use, quota or machines, and with ticks;
    /// then the caller rescinds them, says which machines changed, and asks for proposals. `offers` is only called if it
    /// matters; `machine` and the totals are those of [`Allocator::propose`].
    #[expect(clippy::wrong_self_convention, reason = "nothing is converted: these are to be rescinded")]
    pub fn to_rescind<'o, 'm>(
        &mut self,
        now: Timestamp,
        roles: &mut Roles,
        capacity: Totals,
        free: Totals,
        offers: impl FnOnce() -> Vec<Outstanding<'o>>,
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
    ) -> Vec<OfferId> {
        let hoards = self.look_for_hoards_at.is_some_and(|at| at <= now);
        if !hoards && roles.tree().over_limit().next().is_none() && short_of_headroom(roles, free) == [0; 4] {
            return Vec::new();
        }
        self.count(roles, capacity);
        let offers = offers();
        let mut back = Back::new();
        keep_limits(roles, &offers, &mut back);
        keep_headroom(roles, capacity, free, &offers, &mut back);
        if hoards {
            let starving = self.end_hoards(now, roles, capacity, free, &offers, machine, &mut back);
            let again = starving && offers.len() > back.len();
            self.look_for_hoards_at = again.then_some(now + LOOK_EVERY_MS);
        }
        back.into_iter().map(|at| offers[at].id.clone()).collect()
    }

    /// Somebody may starve from now on.
    pub(super) fn look_for_hoards(&mut self, now: Timestamp) {
        self.look_for_hoards_at.get_or_insert(now + HOARDED_AFTER_MS);
    }

    /// Takes old offers from those that have more than twice as much as somebody who would take them and holds none, as
    /// long as that does not turn the tables. Whether anybody starves.
    #[expect(clippy::too_many_arguments, reason = "they are what every question to the allocator needs")]
    fn end_hoards<'m>(
        &self,
        now: Timestamp,
        roles: &Roles,
        capacity: Totals,
        free: Totals,
        offers: &[Outstanding<'_>],
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
        back: &mut Back,
    ) -> bool {
        let holders: BTreeSet<SeatAt> = offers.iter().filter_map(|offer| self.seat_of(offer)).collect();
        let mut starving: Vec<(Path, SeatAt)> = self
            .wanting()
            .filter(|(at, _)| !holders.contains(at))
            .filter_map(|(at, seat)| Some((self.order.path(roles, seat.role_at?, at), at)))
            .collect();
        if starving.is_empty() {
            return false;
        }
        starving.sort();
        let mut old: Vec<usize> = (0..offers.len())
            .filter(|&at| now.since(offers[at].made_at) >= HOARDED_AFTER_MS && !back.contains(&at))
            .collect();
        old.sort_by_key(|&at| offers[at].made_at);
        for (starved, at) in starving {
            if old.is_empty() {
                break;
            }
            let Some(seat) = self.seats[at as usize].as_ref() else { continue };
            let Some(role_at) = seat.role_at else { continue };
            let room = Room::of(roles, role_at, free);
            let found = old.iter().position(|&candidate| {
                let offer = &offers[candidate];
                let Some(holder) = self.path_of(roles, offer) else { return false };
                let Some((much, little)) = deciding(&holder, &starved) else { return false };
                let after = little.saturating_add(share(offer.totals(), capacity, DEFAULT_WEIGHT));
                if much <= little.saturating_mul(2) || after > much {
                    return false;
                }
                machine(offer.agent).is_some_and(|idle| {
                    let refusals = self.filters.on(offer.agent);
                    self.evaluate_alone(now, &idle, refusals, offer.parts, &room, (at, seat)).is_ok()
                })
            });
            if let Some(found) = found {
                back.insert(old.remove(found));
            }
        }
        true
    }

    fn seat_of(&self, offer: &Outstanding<'_>) -> Option<SeatAt> {
        self.members.get(offer.framework)?.seats.get(offer.role).copied()
    }

    fn path_of(&self, roles: &Roles, offer: &Outstanding<'_>) -> Option<Path> {
        let at = self.seat_of(offer)?;
        let seat = self.seats[at as usize].as_ref()?;
        Some(self.order.path(roles, seat.role_at?, at))
    }
}

/// How much of each kind is missing to what has to be kept idle for guarantees.
fn short_of_headroom(roles: &Roles, free: Totals) -> [u64; 4] {
    if !roles.tree().has_guarantees() {
        return [0; 4];
    }
    let kept = roles.tree().kept(View::Offers);
    let offered = numbers(roles.tree().node(ROOT).whole.offered_open);
    let free = numbers(free);
    std::array::from_fn(|kind| kept[kind].saturating_sub(free[kind].saturating_sub(offered[kind])))
}

/// Takes back the newest offers of roles that are beyond their limits.
fn keep_limits(roles: &Roles, offers: &[Outstanding<'_>], back: &mut Back) {
    let tree = roles.tree();
    for at in tree.over_limit() {
        let limits = bounds(&tree.node(at).state.role.limit);
        let consumed = numbers(tree.node(at).whole.consumed(View::Offers));
        for kind in 0..KINDS.len() {
            let Some(mut over) = limits[kind].map(|limit| consumed[kind].saturating_sub(limit)) else {
                continue;
            };
            let below: Vec<usize> = (0..offers.len())
                .filter(|&offer| over > 0 && is_below(roles, offers[offer].role, at))
                .collect();
            for &offer in below.iter().filter(|offer| back.contains(offer)) {
                over = over.saturating_sub(numbers(offers[offer].unreserved())[kind]);
            }
            let mut rest: Vec<usize> = below.into_iter().filter(|offer| !back.contains(offer)).collect();
            rest.sort_by_key(|&offer| offers[offer].made_at);
            while over > 0 {
                let Some(offer) = rest.pop() else { break };
                let gain = numbers(offers[offer].unreserved())[kind];
                if gain > 0 {
                    over = over.saturating_sub(gain);
                    back.insert(offer);
                }
            }
        }
    }
}

/// Takes back offers of roles that have more than they are guaranteed, of those with the largest shares first, until what
/// is guaranteed to others is idle.
fn keep_headroom(roles: &Roles, capacity: Totals, free: Totals, offers: &[Outstanding<'_>], back: &mut Back) {
    let mut short = short_of_headroom(roles, free);
    let mut given: BTreeMap<RoleAt, [u64; 4]> = BTreeMap::new();
    for &offer in back.iter() {
        gain(roles, &offers[offer], &mut given, &mut short);
    }
    if short == [0; 4] {
        return;
    }
    let mut order: Vec<usize> = (0..offers.len()).filter(|offer| !back.contains(offer)).collect();
    let top = |offer: &Outstanding<'_>| {
        let at = roles.tree().nearest(offer.role);
        let top = roles.tree().chain(at).filter(|&at| at != ROOT).last();
        top.map_or(0, |top| roles.share_at(top, capacity))
    };
    order.sort_by_cached_key(|&offer| (top(&offers[offer]), offers[offer].made_at));
    for offer in order.into_iter().rev() {
        if short == [0; 4] {
            break;
        }
        if gain(roles, &offers[offer], &mut given, &mut short) {
            back.insert(offer);
        }
    }
}

/// Counts what taking an offer back does against the shortage: only what its role has beyond its guarantee helps.
fn gain(
    roles: &Roles,
    offer: &Outstanding<'_>,
    given: &mut BTreeMap<RoleAt, [u64; 4]>,
    short: &mut [u64; 4],
) -> bool {
    let tree = roles.tree();
    let chain: Vec<RoleAt> = tree.chain(tree.nearest(offer.role)).collect();
    let mut gain = numbers(offer.open());
    for &at in &chain {
        let node = tree.node(at);
        let consumed = numbers(node.whole.consumed(View::Offers));
        let given = given.get(&at).copied().unwrap_or_default();
        for (kind, guarantee) in bounds(&node.state.role.guarantee).into_iter().enumerate() {
            if let Some(guarantee) = guarantee {
                let beyond = consumed[kind].saturating_sub(given[kind]).saturating_sub(guarantee);
                gain[kind] = gain[kind].min(beyond);
            }
        }
    }
    let helps = gain.iter().zip(*short).any(|(&gain, short)| gain > 0 && short > 0);
    if helps {
        let taken = numbers(offer.unreserved());
        for at in chain {
            let given = given.entry(at).or_default();
            for kind in 0..KINDS.len() {
                given[kind] = given[kind].saturating_add(taken[kind]);
            }
        }
        for kind in 0..KINDS.len() {
            short[kind] = short[kind].saturating_sub(gain[kind]);
        }
    }
    helps
}

/// Whether a role is this one or below it.
fn is_below(roles: &Roles, role: &RoleName, at: RoleAt) -> bool {
    let tree = roles.tree();
    tree.chain(tree.nearest(role)).any(|above| above == at)
}
