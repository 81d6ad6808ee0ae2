//! One cycle: what has a cause is looked at, machine by machine, and idle resources go to whoever comes first.

use super::evaluate::{Portion, kept_for};
use super::filters::within;
use super::holds::{self, Wish};
use super::order::CLAIMS;
use super::quota::Room;
use super::stopped::{Place, Seen};
use super::{Allocator, Idle, Rested, SeatAt};
use crate::roles::{KINDS, RoleAt, Roles, numbers};
use hansa_model::framework::{Amount, LastOffer, Part, parts};
use hansa_model::role::Totals;
use hansa_model::{AgentId, FrameworkId, RoleName, Timestamp};
use std::collections::BTreeSet;

/// What to offer to whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    /// To whom.
    pub framework: FrameworkId,
    /// The role that would pay.
    pub role: RoleName,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub parts: Vec<Part>,
}

/// So many seats are put in order by themselves; of more, the order of all is walked.
const FEW: usize = 32;

/// What stays the same in a cycle, and what it changes.
struct Cycle<'a> {
    now: Timestamp,
    roles: &'a mut Roles,
    free: Totals,
    /// Roles whose lists are gone through, and all their seats.
    eased: BTreeSet<RoleAt>,
    proposals: Vec<Proposal>,
}

/// Who may want a machine.
#[derive(Clone, Copy)]
enum Who<'a> {
    Everybody,
    /// These, and those: seats that may want any machine, and such that may want this one.
    These(&'a BTreeSet<SeatAt>, &'a BTreeSet<SeatAt>),
}

impl Who<'_> {
    fn includes(self, at: SeatAt) -> bool {
        match self {
            Who::Everybody => true,
            Who::These(some, others) => some.contains(&at) || others.contains(&at),
        }
    }
}

/// One look at one machine, for one answer.
struct Look<'a> {
    now: Timestamp,
    roles: &'a Roles,
    free: Totals,
    agent: &'a AgentId,
    idle: &'a Idle<'a>,
    left: &'a [Part],
    who: Who<'a>,
    /// Those that were served here already.
    served: &'a BTreeSet<SeatAt>,
    /// Whether it is also the turn of those that had theirs.
    again: bool,
    /// Whether somebody was passed over who had its turn.
    passed_over: bool,
    /// Roles that quota keeps from something here.
    stopped: Vec<(RoleAt, Room)>,
    /// Roles with lists that were looked at.
    seen: Vec<Seen>,
}

/// What comes first.
enum First {
    /// Parts go to a seat.
    Seat(SeatAt, Vec<Part>),
    /// Room is left to claims.
    Hold(Wish, u32, Amount),
}

impl Allocator {
    /// What should be offered now. `capacity` is all that machines have which are not out of reach, reserved or not;
    /// `free` all that is free on machines that take work, not reserved, offered or not; `machine` says what is idle
    /// there (None: it takes no work; once it does, it has changed). What is returned is booked already, here and with
    /// the roles.
    pub fn propose<'m>(
        &mut self,
        now: Timestamp,
        roles: &mut Roles,
        capacity: Totals,
        free: Totals,
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
    ) -> Vec<Proposal> {
        self.refusals_end(now);
        self.holds_end(now, &machine);
        if self.wanting == 0 {
            return Vec::new();
        }
        self.count(roles, capacity);
        let eased = self.wake_eased(roles, free);
        if self.causes.is_empty() && eased.is_empty() {
            return Vec::new();
        }
        self.look_for_hoards(now);
        let mut causes = std::mem::take(&mut self.causes);
        let mut agents: BTreeSet<AgentId> = causes.pairs.keys().cloned().collect();
        agents.extend(causes.machines.iter().cloned());
        if !causes.seats.is_empty() {
            agents.extend(self.resting.keys().cloned());
        }
        for &role_at in &eased {
            causes.seats.extend(self.order.own(role_at).filter(|&at| at != CLAIMS));
        }
        let mut looks: Vec<(Place, Idle<'m>)> = Vec::with_capacity(agents.len());
        for agent in agents {
            match machine(&agent).filter(|idle| !idle.parts.is_empty()) {
                Some(idle) => looks.push(((idle.rank, agent), idle)),
                None => self.rests_no_more(&agent),
            }
        }
        looks.sort_by(|(one, _), (other, _)| one.cmp(other));
        for ((rank, agent), _) in &looks {
            self.stopped.rerank(agent, *rank);
        }
        let mut cycle = Cycle { now, roles, free, eased, proposals: Vec::new() };
        let nobody = BTreeSet::new();
        let mut looks = looks.into_iter().peekable();
        let mut last: Option<Place> = None;
        loop {
            let (place, idle) = match self.next_listed(&cycle, last.as_ref()) {
                Some(place) if looks.peek().is_none_or(|(next, _)| place < *next) => {
                    let Some(idle) = machine(&place.1).filter(|idle| !idle.parts.is_empty()) else {
                        self.rests_no_more(&place.1);
                        continue;
                    };
                    (place, idle)
                }
                _ => match looks.next() {
                    Some(look) => look,
                    None => break,
                },
            };
            last = Some(place.clone());
            let agent = place.1;
            let pairs = causes.pairs.get(&agent).unwrap_or(&nobody);
            let changed = causes.machines.contains(&agent) && !self.rests(&agent, &idle);
            let who = match changed {
                true => Who::Everybody,
                false if causes.seats.is_empty() && pairs.is_empty() => continue,
                false => Who::These(&causes.seats, pairs),
            };
            self.look(&mut cycle, agent, &idle, who);
        }
        for &role_at in &cycle.eased {
            self.stopped.end(role_at, &Room::of(cycle.roles, role_at, free));
        }
        cycle.proposals
    }

    /// Roles that have more room than when they were stopped. Those with lists, if these are all that has to be gone through;
    /// the seats of others may want any machine.
    fn wake_eased(&mut self, roles: &Roles, free: Totals) -> BTreeSet<RoleAt> {
        let mut eased = self.stopped.take_eased(roles, free);
        // Claims have no lists.
        let listed = |role_at: &RoleAt| self.claiming.is_empty() && self.stopped.is_listed(*role_at);
        if self.causes.seats.is_empty() && eased.iter().all(listed) {
            return eased.into_iter().collect();
        }
        for role_at in eased.drain(..) {
            self.causes.seats.extend(self.order.own(role_at).filter(|&at| at != CLAIMS));
            if !self.stopped.is_listed(role_at) {
                self.stopped.list(role_at);
            }
        }
        BTreeSet::new()
    }

    /// The next machine that is on the list of a role that was eased, and has something for it.
    fn next_listed(&self, cycle: &Cycle<'_>, after: Option<&Place>) -> Option<Place> {
        let next = cycle.eased.iter().filter_map(|&role_at| {
            let room = Room::of(cycle.roles, role_at, cycle.free);
            self.stopped.next(role_at, &room, after)
        });
        next.min().cloned()
    }

    /// Refusals that have ended are causes to look.
    fn refusals_end(&mut self, now: Timestamp) {
        while let Some((agent, at, epoch)) = self.filters.pop_ended(now) {
            let seat = self.seats.get(at as usize).and_then(Option::as_ref);
            match seat.filter(|seat| seat.epoch == epoch) {
                None => self.filters.forget(&agent, at),
                Some(seat) if seat.wants => {
                    self.causes.pairs.entry(agent).or_default().insert(at);
                }
                Some(_) => {}
            }
        }
    }

    /// What claims did not take in time is for everybody.
    fn holds_end<'m>(&mut self, now: Timestamp, machine: &impl Fn(&AgentId) -> Option<Idle<'m>>) {
        while let Some(agent) = self.holds.pop_ended(now) {
            let idle = machine(&agent).map(|idle| unreserved(&idle.parts)).unwrap_or_default();
            self.holds.end(now, &agent, &idle);
            self.machine_changed(&agent);
        }
    }

    /// Whether a machine is as it was when nobody wanted anything of it, or has less.
    fn rests(&self, agent: &AgentId, idle: &Idle<'_>) -> bool {
        let rested = self.resting.get(agent);
        rested.is_some_and(|rested| within(&idle.parts, &rested.left) && idle.facts() == rested.facts)
    }

    /// Gives away what is idle on a machine; with what nobody wants, it rests.
    fn look(&mut self, cycle: &mut Cycle<'_>, agent: AgentId, idle: &Idle<'_>, who: Who<'_>) {
        let mut left = idle.parts.clone();
        let held = self.held_on(cycle.roles, &agent);
        let mut is_held = !held.is_empty();
        lessen(&mut left, &held);
        let mut served = BTreeSet::new();
        let mut again = false;
        while !left.is_empty() {
            let (first, passed_over) = self.first(cycle, &agent, idle, &left, who, &served, again);
            match first {
                None if passed_over => again = true,
                None => break,
                Some(First::Seat(at, parts)) => {
                    parts::take(&mut left, &parts).expect("what is offered is idle");
                    served.insert(at);
                    if again {
                        self.filters.new_round(cycle.now, &agent);
                    }
                    self.give(cycle, &agent, at, parts);
                }
                Some(First::Hold(wish, count, amount)) => {
                    lessen(&mut left, &amount);
                    self.holds.hold(cycle.now, &agent, wish, count);
                    is_held = true;
                }
            }
        }
        if is_held || !left.is_empty() {
            self.resting.insert(agent, Rested { left, facts: idle.facts() });
        } else {
            self.rests_no_more(&agent);
        }
    }

    /// What is left to claims on a machine for now.
    pub(super) fn held_on(&self, roles: &Roles, agent: &AgentId) -> Amount {
        self.holds.on(agent, |wish| holds::wanted(roles, wish))
    }

    fn give(&mut self, cycle: &mut Cycle<'_>, agent: &AgentId, at: SeatAt, parts: Vec<Part>) {
        let Some(seat) = self.seats[at as usize].as_mut() else { return };
        let Some(role_at) = seat.role_at else { return };
        let totals = parts.iter().map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus);
        seat.booked = seat.booked.plus(totals);
        seat.last_offer = Some(LastOffer { agent: agent.clone(), at: cycle.now });
        cycle.roles.offer_at(role_at, &parts);
        let (framework, role) = (seat.framework.clone(), seat.role.clone());
        cycle.proposals.push(Proposal { framework, role, agent: agent.clone(), parts });
        let seat = self.seats[at as usize].as_ref().map(|seat| (role_at, seat));
        self.order.set(cycle.roles, at, seat);
    }

    /// Who comes first of those that want something of what is left, and what; and whether somebody was passed over who
    /// had its turn.
    #[expect(clippy::too_many_arguments, reason = "it is one question")]
    fn first(
        &mut self,
        cycle: &Cycle<'_>,
        agent: &AgentId,
        idle: &Idle<'_>,
        left: &[Part],
        who: Who<'_>,
        served: &BTreeSet<SeatAt>,
        again: bool,
    ) -> (Option<First>, bool) {
        let (now, roles, free) = (cycle.now, &*cycle.roles, cycle.free);
        let (passed_over, stopped, seen) = (false, Vec::new(), Vec::new());
        let mut look =
            Look { now, roles, free, agent, idle, left, who, served, again, passed_over, stopped, seen };
        let first = match who {
            Who::These(some, others) if some.len() + others.len() <= FEW => self.first_of_few(&mut look),
            _ => self.first_of_many(&mut look),
        };
        for (role_at, room) in &look.stopped {
            self.stopped.insert(*role_at, room);
        }
        if first.is_none() && !look.passed_over {
            let everybody = matches!(who, Who::Everybody);
            let all = |role_at: RoleAt| everybody || cycle.eased.contains(&role_at);
            self.stopped.note(agent, idle.rank, &look.seen, all);
        }
        (first, look.passed_over)
    }

    /// The same among all, or so many that going through all in order is quicker than putting them in order.
    fn first_of_many(&self, look: &mut Look<'_>) -> Option<First> {
        let find = |role: &RoleName| look.roles.tree().find(role.as_str());
        let plain = look.left.iter().any(|part| part.role().is_none());
        for role_at in self.entitled(look) {
            let found = self.order.walk(role_at, &mut |role_at| self.visit(look, role_at, None));
            if found.is_some() {
                return found;
            }
        }
        if plain {
            return self.order.walk(crate::roles::ROOT, &mut |role_at| self.visit(look, role_at, None));
        }
        let kept: BTreeSet<RoleAt> = kept_for(look.left, find).collect();
        kept.into_iter()
            .find_map(|role_at| self.order.walk(role_at, &mut |role_at| self.visit(look, role_at, None)))
    }

    /// The same among few.
    fn first_of_few(&self, look: &mut Look<'_>) -> Option<First> {
        let Who::These(some, others) = look.who else { return None };
        let tree = look.roles.tree();
        let entitled = self.entitled(look);
        let is_entitled = |role_at| tree.chain(role_at).any(|above| entitled.contains(&above));
        let seats = some.union(others).filter_map(|&at| {
            let role_at = self.seats.get(at as usize)?.as_ref()?.role_at?;
            Some((role_at, at))
        });
        let claims = self.claiming.iter().map(|&role_at| (role_at, CLAIMS));
        let mut order: Vec<_> = seats
            .chain(claims)
            .map(|(role_at, at)| {
                (!is_entitled(role_at), self.order.path(look.roles, role_at, at), role_at, at)
            })
            .collect();
        order.sort();
        order.into_iter().find_map(|(.., role_at, at)| self.visit(look, role_at, Some(at)))
    }

    /// The roles that miss something to their guarantees of which there is some here, in order.
    fn entitled(&self, look: &Look<'_>) -> Vec<RoleAt> {
        let tree = look.roles.tree();
        if !tree.has_guarantees() {
            return Vec::new();
        }
        let here = numbers(unreserved(look.left).totals());
        let somebody = |at: &RoleAt| !self.order.is_empty(*at);
        let misses = |at: &RoleAt| (0..KINDS.len()).any(|kind| here[kind] > 0 && tree.missing(*at)[kind] > 0);
        let mut roles: Vec<RoleAt> = tree.below_guarantee().filter(somebody).filter(misses).collect();
        roles.sort_by_cached_key(|&at| self.order.path(look.roles, at, CLAIMS));
        roles
    }

    /// Who comes first among a role's own, or whether this one of them wants something.
    fn visit(&self, look: &mut Look<'_>, role_at: RoleAt, only: Option<SeatAt>) -> Option<First> {
        let room = Room::of(look.roles, role_at, look.free);
        let state = &look.roles.tree().node(role_at).state;
        let portion = Portion::new(&state.role.name, &room, look.left);
        if self.stopped.is_listed(role_at) {
            let disks = look.left.iter().any(|part| part.role().is_none() && part.source.is_some());
            look.seen.push((role_at, portion.shrunk.then(|| room.reach(disks))));
        }
        if portion.shrunk {
            look.stopped.push((role_at, room));
        }
        if portion.is_empty() {
            return None;
        }
        let refusals = self.filters.on(look.agent);
        let mut wants = |at: SeatAt| {
            if at == CLAIMS {
                return self.claim_wants(look, role_at, &portion);
            }
            let seat = self.seats.get(at as usize)?.as_ref().filter(|seat| seat.wants)?;
            if !look.who.includes(at) || look.served.contains(&at) {
                return None;
            }
            // Many have refused just this: that is asked first.
            if let Some(refusals) = refusals.by(at, seat.epoch) {
                let parts = portion.parts(seat.refined);
                if refusals.refused(look.now, parts).is_some() {
                    return None;
                }
                if !look.again && refusals.had_turn(parts) {
                    look.passed_over = true;
                    return None;
                }
            }
            let parts = self.evaluate(look.now, look.idle, refusals, &portion, (at, seat)).ok()?;
            Some(First::Seat(at, parts.to_vec()))
        };
        match only {
            Some(at) => wants(at),
            None => self.order.own(role_at).find_map(wants),
        }
    }

    /// Whether room should be left to those that claim in a role.
    fn claim_wants(&self, look: &Look<'_>, role_at: RoleAt, portion: &Portion) -> Option<First> {
        if look.again {
            return None;
        }
        let room = unreserved(portion.parts(false));
        let demand = &look.roles.tree().node(role_at).state.demand;
        demand.iter().find_map(|((owner, shape), &wanted)| {
            let wish = (role_at, owner.clone(), shape.clone());
            let (count, amount) = self.holds.worth(look.now, look.agent, &wish, wanted, &room)?;
            Some(First::Hold(wish, count, amount))
        })
    }
}

/// What of the parts is neither reserved nor on a disk of its own.
pub(super) fn unreserved(parts: &[Part]) -> Amount {
    parts.iter().find(|part| part.is_open()).map(|part| part.amount.clone()).unwrap_or_default()
}

/// Takes an amount from that.
pub(super) fn lessen(parts: &mut Vec<Part>, by: &Amount) {
    if by.is_empty() {
        return;
    }
    for part in parts.iter_mut().filter(|part| part.is_open()) {
        part.amount = part.amount.without(by);
    }
    parts.retain(|part| !part.amount.is_empty());
}
