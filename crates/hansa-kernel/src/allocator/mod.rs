//! The allocator: who is offered what. It only proposes; the kernel makes offers of it.
//!
//! **Order.** Idle resources go to whoever is furthest below its fair share: of the top roles the one with the lowest
//! weighted dominant share, of those below it again, down to a role; of the frameworks in it the one that has least.
//! Shares count what is used and what is offered. Roles that miss something to their guarantee come before everybody
//! else. Schedulers that claim stand in the same order with the demand that they could not place: while it is their turn,
//! what would serve them is left to them for a moment.
//!
//! **Amounts.** A machine's idle resources go out in one offer, less what limits, and what others are guaranteed, forbid;
//! reserved ones only to the role that they are kept for (and to those below it that read stacks of reservations).
//!
//! **Turns.** Who gave a machine's resources back is offered the machine again when the refusal has ended *and* everybody
//! else who wants it had it, so nobody can be starved by others that look at offers and decline.
//!
//! **Cost.** Nothing is looked at without cause: a machine because something became idle there; a framework because it
//! came, was revived or changed; a pair of both because a refusal ended; quota, when some of it became free (then only
//! where quota was what stood in the way, see `stopped`).
//! [`Allocator::propose`] goes through what has a cause, and only that.
//!
//! Whoever uses it: tell it of frameworks ([`Allocator::put`], [`Allocator::remove`], ...), of what each has
//! ([`Allocator::book`]; the role's side of that is [`Roles::offer`](crate::roles::Roles::offer) and its kin), of machines
//! ([`Allocator::machine_changed`]) and of refusals, also when an offer ran out of time; then ask it what to take back
//! ([`Allocator::to_rescind`]) and to propose. [`Allocator::propose`] has **booked** what it returns, on both sides: unbook
//! it when the offer ends.
//!
//! Not here: offers themselves, their leases, and what is accepted (`frameworks`); places for claims (`claims`).

mod constraints;
mod evaluate;
mod explain;
mod filters;
mod holds;
mod order;
mod propose;
mod quota;
mod rescind;
mod stopped;

pub(crate) use propose::Proposal;
pub(crate) use rescind::Outstanding;

use crate::roles::{RoleAt, Roles};
use constraints::Rules;
use filters::Filters;
use hansa_model::framework::{Amount, Capability, FrameworkInfo, LastOffer, OfferConstraints, Part};
use hansa_model::planted::{Bug, planted};
use hansa_model::resources::MIB;
use hansa_model::role::Totals;
use hansa_model::{AgentId, FrameworkId, RoleName, Timestamp};
use holds::Holds;
use order::Order;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// Where a seat is: one framework in one role.
type SeatAt = u32;

/// A subscribed framework, as far as offers to it depend on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taker {
    /// The roles that it takes offers in.
    pub roles: BTreeSet<RoleName>,
    /// Of those, the ones that it wants none in for now.
    pub suppressed: BTreeSet<RoleName>,
    /// By role: an offer must contain at least one of these; absent: the cluster's minimum.
    pub min_allocatable: BTreeMap<RoleName, Vec<Amount>>,
    /// Which machines it wants offers of.
    pub constraints: OfferConstraints,
    /// Whether it is offered machines with GPUs.
    pub gpus: bool,
    /// Whether it is offered machines of other regions.
    pub region_aware: bool,
    /// Whether it reads reservations as stacks.
    pub refined: bool,
}

impl Taker {
    /// What a framework's own words make of it.
    pub fn of(info: &FrameworkInfo, suppressed: BTreeSet<RoleName>, constraints: OfferConstraints) -> Self {
        Self {
            roles: info.roles.clone(),
            suppressed,
            min_allocatable: info.min_allocatable.clone(),
            constraints,
            gpus: info.can(Capability::GpuResources),
            region_aware: info.can(Capability::RegionAware),
            refined: info.can(Capability::ReservationRefinement),
        }
    }
}

/// What is idle on a machine that takes work.
#[derive(Clone, Debug)]
pub(crate) struct Idle<'a> {
    /// What is free and not offered: of the unreserved one part at most, and what is free of each reservation.
    pub parts: Vec<Part>,
    /// The machine's attributes.
    pub attributes: &'a BTreeMap<String, String>,
    /// Its name.
    pub hostname: &'a str,
    /// Its region.
    pub region: Option<&'a str>,
    /// Its zone.
    pub zone: Option<&'a str>,
    /// Whether it has GPUs at all, idle or not.
    pub has_gpus: bool,
    /// Machines with a lower rank are offered first: `Cluster::rank`.
    pub rank: u32,
}

/// What holds for the whole cluster.
#[derive(Clone, Debug)]
pub struct AllocatorSettings {
    /// An offer contains at least one of these, unless its framework says otherwise. None: any is sent.
    pub min_allocatable: Vec<Amount>,
    /// Whether machines with GPUs are only for frameworks that know of GPUs.
    pub filter_gpus: bool,
    /// The region that is everybody's; machines of others are for those that know of regions. None: all are.
    pub region: Option<String>,
}

impl Default for AllocatorSettings {
    /// A hundredth of a CPU or 32 MiB of memory; GPUs for those that know of them; all regions.
    fn default() -> Self {
        let cpus = Amount { cpus_milli: 10, ..Amount::default() };
        let mem = Amount { mem: 32 * MIB, ..Amount::default() };
        Self { min_allocatable: vec![cpus, mem], filter_gpus: true, region: None }
    }
}

/// A framework.
#[derive(Debug)]
struct Member {
    taker: Taker,
    active: bool,
    seats: BTreeMap<RoleName, SeatAt>,
}

/// A framework in a role. It stays while the framework does, also without the role: tasks may be left in it.
#[derive(Debug)]
struct Seat {
    framework: FrameworkId,
    role: RoleName,
    /// The role's place, once that is known.
    role_at: Option<RoleAt>,
    /// What it has: offered, and in tasks and executors.
    booked: Totals,
    /// Whether it takes offers now.
    wants: bool,
    /// Rises when its refusals are forgotten; never used twice.
    epoch: u64,
    last_offer: Option<LastOffer>,
    /// What its framework says of itself, see [`Taker`]; `least` is the smallest offer, if it is not the cluster's.
    rules: Rules,
    least: Option<Vec<Amount>>,
    gpus: bool,
    region_aware: bool,
    refined: bool,
    /// Whether the order has yet to hear of a change.
    dirty: bool,
}

/// What has a cause to be looked at.
#[derive(Debug, Default)]
struct Causes {
    /// Machines on which something became idle: everybody may want them.
    machines: BTreeSet<AgentId>,
    /// Seats that may want any machine.
    seats: BTreeSet<SeatAt>,
    /// Seats that may want just this machine.
    pairs: BTreeMap<AgentId, BTreeSet<SeatAt>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    settings: AllocatorSettings,
    members: BTreeMap<FrameworkId, Member>,
    seats: Vec<Option<Seat>>,
    vacant: Vec<SeatAt>,
    epochs: u64,
    /// How many seats take offers.
    wanting: usize,
    order: Order,
    /// Seats that the order has yet to hear of.
    dirty: Vec<SeatAt>,
    filters: Filters,
    holds: Holds,
    /// Roles in which somebody who claims has unmet demand.
    claiming: BTreeSet<RoleAt>,
    causes: Causes,
    /// Machines that had something idle when they were looked at last, which nobody wanted.
    resting: BTreeMap<AgentId, Rested>,
    stopped: stopped::Stopped,
    look_for_hoards_at: Option<Timestamp>,
}

/// A machine as it was when nobody wanted what was left there.
#[derive(Debug)]
struct Rested {
    /// What was left. Of less, nobody wants anything either.
    left: Vec<Part>,
    /// Whatever else about the machine matters.
    facts: u64,
}

impl Idle<'_> {
    /// Its facts as a number; other facts are another number, for all that is likely.
    fn facts(&self) -> u64 {
        let mut hasher = rustc_hash::FxHasher::default();
        (self.attributes, self.hostname, self.region, self.zone, self.has_gpus).hash(&mut hasher);
        hasher.finish()
    }
}

impl Causes {
    fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.seats.is_empty() && self.pairs.is_empty()
    }
}

impl Allocator {
    /// Nobody is there yet.
    pub fn new(settings: AllocatorSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// A framework subscribed, or changed what it said of itself: it takes offers from now on. What it refused still
    /// counts.
    pub fn put(&mut self, id: &FrameworkId, taker: Taker) {
        let roles: Vec<RoleName> = taker.roles.iter().cloned().collect();
        let seats = self.members.remove(id).map(|member| member.seats).unwrap_or_default();
        self.members.insert(id.clone(), Member { taker, active: true, seats });
        for role in &roles {
            let at = self.seat(id, role);
            let Some(seat) = at.and_then(|at| self.seats[at as usize].as_mut()) else { continue };
            let Some(Member { taker, .. }) = self.members.get(id) else { continue };
            seat.rules = Rules::new(taker.constraints.roles.get(role).map_or(&[], Vec::as_slice));
            seat.least = taker.min_allocatable.get(role).cloned();
            (seat.gpus, seat.region_aware, seat.refined) = (taker.gpus, taker.region_aware, taker.refined);
        }
        self.settle(id);
        self.wake(id, |_| true);
    }

    /// A framework is not there to take offers; what it refused is forgotten. It may come back.
    pub fn deactivate(&mut self, id: &FrameworkId) {
        if let Some(member) = self.members.get_mut(id) {
            member.active = false;
            self.forget_refusals(id, |_| true);
            self.settle(id);
        }
    }

    /// A framework is gone for good, and what was booked for it.
    pub fn remove(&mut self, id: &FrameworkId) {
        self.deactivate(id);
        let Some(member) = self.members.remove(id) else { return };
        for at in member.seats.into_values() {
            self.seats[at as usize] = None;
            self.vacant.push(at);
            self.dirty.push(at);
        }
    }

    /// A framework has this much more in a role: offered, or in tasks and executors.
    pub fn book(&mut self, id: &FrameworkId, role: &RoleName, totals: Totals) {
        if let Some(seat) = self.seat(id, role).and_then(|at| self.seats[at as usize].as_mut()) {
            seat.booked = seat.booked.plus(totals);
        }
        self.is_new(id, role);
    }

    /// And no longer.
    pub fn unbook(&mut self, id: &FrameworkId, role: &RoleName, totals: Totals) {
        if let Some(seat) = self.seat(id, role).and_then(|at| self.seats[at as usize].as_mut()) {
            seat.booked = seat.booked.minus(totals);
        }
        self.is_new(id, role);
    }

    /// A framework wants nothing of what it was offered of a machine in this role (or let its time run out), and not to
    /// see the same, or less, for so many milliseconds: at least a second, 365 days at most. Whoever else wants it comes
    /// before it is asked again. The caller says that the machine changed.
    pub fn refuse(
        &mut self,
        now: Timestamp,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        refused: Vec<Part>,
        refuse_ms: u64,
    ) {
        self.filter(now, (id, role, agent), refused, true, refuse_ms);
    }

    /// The same for what is left of an offer that the framework took something of. It has not had its turn: how much it
    /// has decides when it comes.
    pub fn refuse_rest(
        &mut self,
        now: Timestamp,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        refused: Vec<Part>,
        refuse_ms: u64,
    ) {
        self.filter(now, (id, role, agent), refused, false, refuse_ms);
    }

    fn filter(
        &mut self,
        now: Timestamp,
        (id, role, agent): (&FrameworkId, &RoleName, &AgentId),
        refused: Vec<Part>,
        whole: bool,
        refuse_ms: u64,
    ) {
        let Some(&at) = self.members.get(id).and_then(|member| member.seats.get(role)) else { return };
        if let Some(seat) = self.seats[at as usize].as_ref().filter(|_| !refused.is_empty()) {
            self.filters.refuse(now, (at, seat.epoch), agent, refused, whole, refuse_ms);
        }
    }

    /// A framework wants offers again, in these roles (none named: in all of its own): what it refused is forgotten.
    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let named = |role: &RoleName| roles.is_empty() || roles.contains(role);
        member.taker.suppressed.retain(|role| !named(role));
        self.forget_refusals(id, named);
        self.settle(id);
        if planted(Bug::ReviveForgotten) {
            return;
        }
        self.wake(id, named);
    }

    /// A framework wants no more offers, in these roles (none named: in all of its own).
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let named = |role: &&RoleName| roles.is_empty() || roles.contains(*role);
        let suppressed: Vec<RoleName> = member.taker.roles.iter().filter(named).cloned().collect();
        member.taker.suppressed.extend(suppressed);
        self.settle(id);
    }

    /// Something became idle on a machine, or something else about it is new: it is looked at again. Cheap.
    pub fn machine_changed(&mut self, agent: &AgentId) {
        if !self.causes.machines.contains(agent) {
            self.causes.machines.insert(agent.clone());
        }
    }

    /// A machine is gone for good.
    pub fn machine_removed(&mut self, agent: &AgentId) {
        self.filters.remove(agent);
        self.holds.remove(agent);
        self.causes.machines.remove(agent);
        self.causes.pairs.remove(agent);
        self.rests_no_more(agent);
    }

    /// Weights, guarantees or limits are new: everything is looked at again.
    pub fn roles_changed(&mut self) {
        let resting = std::mem::take(&mut self.resting);
        self.stopped.forget_all();
        self.causes.machines.extend(resting.into_keys());
    }

    fn rests_no_more(&mut self, agent: &AgentId) {
        self.resting.remove(agent);
        self.stopped.forget(agent);
    }

    /// When to propose next even if nothing happens.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let ends = [self.filters.next_end(), self.holds.next_end(), self.look_for_hoards_at];
        ends.into_iter().flatten().min()
    }

    /// The seats that take offers now.
    fn wanting(&self) -> impl Iterator<Item = (SeatAt, &Seat)> {
        let seats = (0..).zip(&self.seats);
        seats.filter_map(|(at, seat)| Some((at, seat.as_ref()?))).filter(|(_, seat)| seat.wants)
    }

    /// The framework's seat in a role, which is made if need be.
    fn seat(&mut self, id: &FrameworkId, role: &RoleName) -> Option<SeatAt> {
        let member = self.members.get_mut(id)?;
        if let Some(&at) = member.seats.get(role) {
            return Some(at);
        }
        self.epochs += 1;
        let seat = Seat {
            framework: id.clone(),
            role: role.clone(),
            role_at: None,
            booked: Totals::default(),
            wants: false,
            epoch: self.epochs,
            last_offer: None,
            rules: Rules::default(),
            least: None,
            gpus: false,
            region_aware: false,
            refined: false,
            dirty: true,
        };
        let at = self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(None);
            SeatAt::try_from(self.seats.len() - 1).expect("fewer than 2^32 seats")
        });
        self.seats[at as usize] = Some(seat);
        self.dirty.push(at);
        member.seats.insert(role.clone(), at);
        Some(at)
    }

    /// A seat's numbers are new; the order hears of it before it is asked.
    fn is_new(&mut self, id: &FrameworkId, role: &RoleName) {
        let Some(&at) = self.members.get(id).and_then(|member| member.seats.get(role)) else { return };
        if let Some(seat) = self.seats[at as usize].as_mut().filter(|seat| !seat.dirty) {
            seat.dirty = true;
            self.dirty.push(at);
        }
    }

    /// Whether each of the framework's seats takes offers, from what the framework said last.
    fn settle(&mut self, id: &FrameworkId) {
        let Some(member) = self.members.get(id) else { return };
        let taker = &member.taker;
        for (role, &at) in &member.seats {
            let Some(seat) = self.seats[at as usize].as_mut() else { continue };
            let wants = member.active && taker.roles.contains(role) && !taker.suppressed.contains(role);
            if seat.wants == wants {
                continue;
            }
            seat.wants = wants;
            if wants {
                self.wanting += 1;
            } else {
                self.wanting -= 1;
                self.causes.seats.remove(&at);
            }
            if !seat.dirty {
                seat.dirty = true;
                self.dirty.push(at);
            }
        }
    }

    /// The framework's seats in these roles may want any machine.
    fn wake(&mut self, id: &FrameworkId, named: impl Fn(&RoleName) -> bool) {
        let Some(member) = self.members.get(id) else { return };
        for (_, &at) in member.seats.iter().filter(|(role, _)| named(role)) {
            if self.seats[at as usize].as_ref().is_some_and(|seat| seat.wants) {
                self.causes.seats.insert(at);
            }
        }
    }

    /// Whatever the framework refused in these roles is forgotten.
    fn forget_refusals(&mut self, id: &FrameworkId, named: impl Fn(&RoleName) -> bool) {
        let Some(member) = self.members.get(id) else { return };
        for (_, &at) in member.seats.iter().filter(|(role, _)| named(role)) {
            if let Some(seat) = self.seats[at as usize].as_mut() {
                self.epochs += 1;
                seat.epoch = self.epochs;
            }
        }
    }

    /// Brings the order up to date.
    fn count(&mut self, roles: &mut Roles, capacity: Totals) {
        let mut touched = roles.take_touched();
        if self.order.begin(capacity) {
            self.dirty = (0..).zip(&self.seats).map(|(at, _)| at).collect();
            touched = (1..roles.tree().len()).map(|at| at as RoleAt).collect();
        }
        for at in std::mem::take(&mut self.dirty) {
            let seat = self.seats[at as usize].as_mut().map(|seat| {
                seat.dirty = false;
                let role_at = *seat.role_at.get_or_insert_with(|| roles.enter(&seat.role));
                (role_at, &*seat)
            });
            self.order.set(roles, at, seat);
        }
        for role_at in touched {
            self.order.refresh(roles, role_at);
            if roles.tree().node(role_at).state.demand.is_empty() {
                self.claiming.remove(&role_at);
            } else {
                self.claiming.insert(role_at);
            }
            for agent in self.holds.in_excess(role_at, |wish| holds::wanted(roles, wish)) {
                self.machine_changed(&agent);
            }
        }
    }
}

#[cfg(test)]
mod tests;
