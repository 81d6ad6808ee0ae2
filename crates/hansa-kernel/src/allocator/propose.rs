//! One cycle: what has a cause is looked at, machine by machine, and idle resources go to whoever comes first.

use super::filters::is_worth;
use super::order::{Path, path};
use super::quota::{Room, Stop};
use super::{Allocator, Idle, Member, Seat, SeatAt};
use crate::book::plus;
use crate::roles::{RoleAt, Roles};
use hansa_model::framework::{LastOffer, Part, parts};
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

/// Why a seat is not offered what is left on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The machine has GPUs, and the framework does not know of them.
    Gpus,
    /// The machine is of another region, and the framework does not know of them.
    Region,
    /// The framework's own constraints.
    Constraint,
    /// What is left is kept for other roles.
    Reserved,
    /// Quota.
    Stopped(Stop),
    /// It would be less than is worth an offer.
    TooLittle,
    /// The framework refused as much, until then.
    Refused(Timestamp),
}

/// What stays the same in a cycle, and what it changes.
pub(super) struct Cycle<'a> {
    pub now: Timestamp,
    pub roles: &'a mut Roles,
    pub capacity: Totals,
    pub free: Totals,
    pub proposals: Vec<Proposal>,
}

/// Who may want a machine.
#[derive(Clone, Copy)]
enum Who<'a> {
    Everybody,
    These(&'a BTreeSet<SeatAt>),
}

impl Allocator {
    /// What should be offered now. `capacity` is all that machines have which are not out of reach, reserved or not;
    /// `free` all that is free on machines that take work, not reserved, offered or not; `machine` says what is idle
    /// there (None: it takes no work). What is returned is booked already, here and with the roles.
    pub fn propose<'m>(
        &mut self,
        now: Timestamp,
        roles: &mut Roles,
        capacity: Totals,
        free: Totals,
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
    ) -> Vec<Proposal> {
        self.place_seats(roles);
        self.refusals_end(now);
        let eased = self.stopped.take_eased(roles, free, |at| self.seats[at as usize].as_ref()?.role_at);
        self.causes.seats.extend(eased);
        if !self.seats.iter().flatten().any(|seat| seat.wants) {
            return Vec::new();
        }
        let causes = std::mem::take(&mut self.causes);
        if causes.is_empty() {
            return Vec::new();
        }
        self.look_for_hoards(now);
        let mut looks: Vec<(u32, AgentId, Idle<'m>)> = Vec::new();
        let mut agents: BTreeSet<&AgentId> = causes.machines.iter().chain(causes.pairs.keys()).collect();
        let resting = std::mem::take(&mut self.resting);
        if !causes.seats.is_empty() {
            agents.extend(&resting);
        }
        for agent in agents {
            if let Some(idle) = machine(agent).filter(|idle| !idle.parts.is_empty()) {
                looks.push((idle.rank, agent.clone(), idle));
            }
        }
        let looked_at = |agent: &AgentId| {
            !causes.seats.is_empty() || causes.machines.contains(agent) || causes.pairs.contains_key(agent)
        };
        self.resting = resting.iter().filter(|agent| !looked_at(agent)).cloned().collect();
        looks.sort_by(|(one, first, _), (other, second, _)| (one, first).cmp(&(other, second)));
        let mut cycle = Cycle { now, roles, capacity, free, proposals: Vec::new() };
        for (_, agent, idle) in looks {
            let mut these = causes.seats.clone();
            these.extend(causes.pairs.get(&agent).into_iter().flatten());
            let who = match causes.machines.contains(&agent) {
                true => Who::Everybody,
                false => Who::These(&these),
            };
            let left = self.look(&mut cycle, &agent, &idle, who);
            if !left.is_empty() {
                self.resting.insert(agent);
            }
        }
        cycle.proposals
    }

    /// Refusals that have ended are causes to look.
    fn refusals_end(&mut self, now: Timestamp) {
        while let Some((agent, at, epoch)) = self.filters.pop_ended(now) {
            let seat = self.seats.get(at as usize).and_then(Option::as_ref);
            if seat.is_some_and(|seat| seat.wants && seat.epoch == epoch) {
                self.causes.pairs.entry(agent).or_default().insert(at);
            }
        }
    }

    /// Gives away what is idle on a machine; what nobody wants is left.
    fn look(&mut self, cycle: &mut Cycle<'_>, agent: &AgentId, idle: &Idle<'_>, who: Who<'_>) -> Vec<Part> {
        let mut left = idle.parts.clone();
        let mut served = BTreeSet::new();
        for again in [false, true] {
            while let Some((at, parts)) = self.next(cycle, agent, idle, &left, who, &served, again) {
                served.insert(at);
                parts::take(&mut left, &parts).expect("what is offered is idle");
                if again {
                    self.filters.new_round(cycle.now, agent);
                }
                self.give(cycle, agent, at, parts);
                if left.is_empty() {
                    return left;
                }
            }
        }
        left
    }

    fn give(&mut self, cycle: &mut Cycle<'_>, agent: &AgentId, at: SeatAt, parts: Vec<Part>) {
        let Some(seat) = self.seats[at as usize].as_mut() else { return };
        let totals = parts.iter().map(|part| part.amount.totals()).fold(Totals::default(), plus);
        seat.booked = plus(seat.booked, totals);
        seat.last_offer = Some(LastOffer { agent: agent.clone(), at: cycle.now });
        cycle.roles.offer(&seat.role, &parts);
        cycle.proposals.push(Proposal {
            framework: seat.framework.clone(),
            role: seat.role.clone(),
            agent: agent.clone(),
            parts,
        });
    }

    /// Who comes first of those that want something of what is left, and what.
    #[expect(clippy::too_many_arguments, reason = "it is one question")]
    fn next(
        &mut self,
        cycle: &Cycle<'_>,
        agent: &AgentId,
        idle: &Idle<'_>,
        left: &[Part],
        who: Who<'_>,
        served: &BTreeSet<SeatAt>,
        again: bool,
    ) -> Option<(SeatAt, Vec<Part>)> {
        let all: Vec<SeatAt> = match who {
            Who::Everybody => (0..self.seats.len() as SeatAt).collect(),
            Who::These(these) => these.iter().copied().collect(),
        };
        let mut order = Vec::new();
        for at in all {
            let Some(seat) = self.seats[at as usize].as_ref() else { continue };
            let Some(role_at) = seat.role_at else { continue };
            if seat.wants && !served.contains(&at) && self.filters.had_turn((at, seat.epoch), agent) == again
            {
                order.push((self.key(cycle, role_at, at, seat), at, role_at));
            }
        }
        order.sort();
        for (_, at, role_at) in order {
            let Some(seat) = self.seats[at as usize].as_ref() else { continue };
            let Some(member) = self.members.get(&seat.framework) else { continue };
            let room = Room::of(cycle.roles, role_at, cycle.free);
            match self.evaluate(cycle.now, agent, idle, left, at, seat, member, &room) {
                Ok(parts) => return Some((at, parts)),
                Err(Obstacle::Stopped(_)) => self.stopped.insert(at, &room),
                Err(_) => {}
            }
        }
        None
    }

    /// Where a seat stands in the order: by whether its role misses something to its guarantee, then by shares.
    fn key(&self, cycle: &Cycle<'_>, role_at: RoleAt, at: SeatAt, seat: &Seat) -> (bool, Path) {
        let tree = cycle.roles.tree();
        let misses = tree.below_guarantee().any(|(below, _)| tree.chain(role_at).any(|at| at == below));
        (!misses, path(cycle.roles, cycle.capacity, role_at, at, seat))
    }

    /// What a seat would be offered of what is left on a machine, or why nothing.
    #[expect(clippy::too_many_arguments, reason = "it is one question")]
    pub(super) fn evaluate(
        &self,
        now: Timestamp,
        agent: &AgentId,
        idle: &Idle<'_>,
        left: &[Part],
        at: SeatAt,
        seat: &Seat,
        member: &Member,
        room: &Room,
    ) -> Result<Vec<Part>, Obstacle> {
        let taker = &member.taker;
        if idle.has_gpus && !taker.gpus {
            return Err(Obstacle::Gpus);
        }
        let home = self.settings.region.as_deref();
        if !taker.region_aware && home.is_some() && idle.region.is_some() && idle.region != home {
            return Err(Obstacle::Region);
        }
        if member.rules.get(&seat.role).is_some_and(|rules| !rules.hold(idle)) {
            return Err(Obstacle::Constraint);
        }
        let mut parts = Vec::new();
        let mut stop = None;
        for part in left {
            if part.role().is_some() {
                if may_have(part, &seat.role, taker.refined) {
                    parts.push(part.clone());
                }
                continue;
            }
            match room.shrink(&part.amount) {
                Ok(amount) if !amount.is_empty() => parts.push(Part { amount, ..part.clone() }),
                Ok(_) => {}
                Err(why) => stop = Some(why),
            }
        }
        let least = taker.min_allocatable.get(&seat.role).unwrap_or(&self.settings.min_allocatable);
        if !is_worth(&parts, least) {
            return Err(match stop {
                Some(why) => Obstacle::Stopped(why),
                None if parts.is_empty() => Obstacle::Reserved,
                None => Obstacle::TooLittle,
            });
        }
        match self.filters.refused(now, (at, seat.epoch), agent, &parts) {
            Some(until) => Err(Obstacle::Refused(until)),
            None => Ok(parts),
        }
    }
}

/// Whether a reserved part may be offered in a role: in the one that it is kept for and, to who reads stacks, in those
/// below it. Who does not can read a single reservation only.
fn may_have(part: &Part, role: &RoleName, refined: bool) -> bool {
    let Some(kept_for) = part.role() else { return true };
    match refined {
        false => part.reservations.len() == 1 && kept_for == role,
        true => {
            let below = role.as_str().strip_prefix(kept_for.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}
