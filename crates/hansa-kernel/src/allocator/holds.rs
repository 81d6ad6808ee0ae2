//! What is left to schedulers that claim.
//!
//! They say what they could not place as shapes, without where it may go. When it is their turn, room for these is left
//! to them for a moment: they hear at once that something became free. What they do not take in that time (a constraint
//! may forbid it) is offered to others, and for a while not left to them again.

use crate::roles::{RoleAt, Roles};
use hansa_model::framework::Amount;
use hansa_model::resources::{MIB, PortDemand, PortSet};
use hansa_model::{AgentId, Demand, Owner, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long something is left to them, in milliseconds.
const HELD_MS: u64 = 1_000;

/// How long it is then not left to them again, in milliseconds, unless there is more.
const NOT_AGAIN_MS: u64 = 30_000;

/// A demand: whose, and of which shape.
pub(super) type Wish = (RoleAt, Owner, Demand);

#[derive(Clone, Debug)]
struct Hold {
    count: u32,
    until: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: BTreeMap<AgentId, BTreeMap<Wish, Hold>>,
    /// How many of a wish are held for in all.
    counts: BTreeMap<Wish, u32>,
    /// What was idle when it was not taken, and until when it is not left to them again.
    tried: BTreeMap<AgentId, BTreeMap<Wish, (Amount, Timestamp)>>,
    ends: BTreeSet<(Timestamp, AgentId)>,
}

impl Holds {
    /// For how many of a wish room should be left in this amount, if `wanted` wait.
    pub fn worth(
        &self,
        now: Timestamp,
        agent: &AgentId,
        wish: &Wish,
        wanted: u32,
        room: &Amount,
    ) -> Option<(u32, Amount)> {
        if self.held.get(agent).is_some_and(|held| held.contains_key(wish)) {
            return None;
        }
        let tried = self.tried.get(agent).and_then(|tried| tried.get(wish));
        if tried.is_some_and(|(then, until)| *until > now && then.contains(room).is_ok()) {
            return None;
        }
        let one = amount(&wish.2);
        let left = wanted.saturating_sub(self.counts.get(wish).copied().unwrap_or(0));
        let count = left.min(fit(room, &one));
        (count > 0).then(|| (count, times(&one, count)))
    }

    /// Leaves room for so many of a wish on a machine.
    pub fn hold(&mut self, now: Timestamp, agent: &AgentId, wish: Wish, count: u32) {
        let until = now + HELD_MS;
        *self.counts.entry(wish.clone()).or_default() += count;
        self.held.entry(agent.clone()).or_default().insert(wish, Hold { count, until });
        self.ends.insert((until, agent.clone()));
    }

    /// What is left to claims on a machine, as far as they still want it; `wanted` says how many of a wish wait.
    pub fn on(&self, agent: &AgentId, wanted: impl Fn(&Wish) -> u32) -> Amount {
        let mut sum = Amount::default();
        for (wish, hold) in self.held.get(agent).into_iter().flatten() {
            sum.add(&times(&amount(&wish.2), hold.count.min(wanted(wish))));
        }
        sum
    }

    /// The machines on which more is left to claims in a role than they still want.
    pub fn in_excess(&self, role_at: RoleAt, wanted: impl Fn(&Wish) -> u32) -> Vec<AgentId> {
        if !self.counts.keys().any(|wish| wish.0 == role_at) {
            return Vec::new();
        }
        let is_more = |(wish, hold): (&Wish, &Hold)| wish.0 == role_at && hold.count > wanted(wish);
        let held = self.held.iter().filter(|(_, held)| held.iter().any(is_more));
        held.map(|(agent, _)| agent.clone()).collect()
    }

    /// A machine on which claims had their time; [`Holds::end`] follows.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<AgentId> {
        let (until, agent) = self.ends.first().filter(|(until, _)| *until <= now)?.clone();
        self.ends.remove(&(until, agent.clone()));
        Some(agent)
    }

    /// Claims had their time on a machine, with this much idle.
    pub fn end(&mut self, now: Timestamp, agent: &AgentId, idle: &Amount) {
        let Some(held) = self.held.get_mut(agent) else { return };
        let ended: Vec<Wish> =
            held.iter().filter(|(_, hold)| hold.until <= now).map(|(wish, _)| wish.clone()).collect();
        let tried = self.tried.entry(agent.clone()).or_default();
        tried.retain(|_, (_, until)| *until > now);
        for wish in ended {
            let Some(hold) = held.remove(&wish) else { continue };
            if let Some(count) = self.counts.get_mut(&wish) {
                *count = count.saturating_sub(hold.count);
                if *count == 0 {
                    self.counts.remove(&wish);
                }
            }
            tried.insert(wish, (idle.clone(), now + NOT_AGAIN_MS));
        }
        if held.is_empty() {
            self.held.remove(agent);
        }
        if self.tried.get(agent).is_some_and(BTreeMap::is_empty) {
            self.tried.remove(agent);
        }
    }

    /// A machine is gone.
    pub fn remove(&mut self, agent: &AgentId) {
        for (wish, hold) in self.held.remove(agent).unwrap_or_default() {
            if let Some(count) = self.counts.get_mut(&wish) {
                *count = count.saturating_sub(hold.count);
            }
        }
        self.counts.retain(|_, count| *count > 0);
        self.tried.remove(agent);
    }

    /// When the next has had its time.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|&(until, _)| until)
    }
}

/// How many of a wish wait now.
pub(super) fn wanted(roles: &Roles, (role_at, owner, shape): &Wish) -> u32 {
    let demand = &roles.tree().node(*role_at).state.demand;
    demand.get(&(owner.clone(), shape.clone())).copied().unwrap_or(0)
}

/// A shape in what offers are made of: whole MiB and whole GPUs.
fn amount(shape: &Demand) -> Amount {
    let exact = shape.ports.iter().filter_map(|port| match port {
        PortDemand::Exact(port) => Some((*port, *port)),
        PortDemand::Any => None,
    });
    Amount {
        cpus_milli: shape.cpus_milli,
        mem: shape.mem.checked_next_multiple_of(MIB).unwrap_or(u64::MAX),
        disk: shape.disk.checked_next_multiple_of(MIB).unwrap_or(u64::MAX),
        gpus: shape.gpus.count,
        ports: PortSet::from_ranges(exact),
    }
}

/// How often the amount is in the room. Fixed ports are there once.
fn fit(room: &Amount, one: &Amount) -> u32 {
    if one.is_empty() || room.contains(one).is_err() {
        return 0;
    }
    let ratio = |room: u64, one: u64| room.checked_div(one).unwrap_or(u64::MAX);
    let fit = ratio(room.cpus_milli, one.cpus_milli)
        .min(ratio(room.mem, one.mem))
        .min(ratio(room.disk, one.disk))
        .min(ratio(u64::from(room.gpus), u64::from(one.gpus)))
        .min(if one.ports.is_empty() { u64::MAX } else { 1 });
    u32::try_from(fit).unwrap_or(u32::MAX)
}

fn times(one: &Amount, count: u32) -> Amount {
    let by = u64::from(count);
    Amount {
        cpus_milli: one.cpus_milli.saturating_mul(by),
        mem: one.mem.saturating_mul(by),
        disk: one.disk.saturating_mul(by),
        gpus: u16::try_from(u64::from(one.gpus).saturating_mul(by)).unwrap_or(u16::MAX),
        ports: one.ports.clone(),
    }
}
