//! What frameworks refused, machine by machine.
//!
//! A refusal holds for a while, for one framework in one role on one machine, and only against offers that have nothing
//! beyond what was refused: once there is more, the offer goes out again. Whoever wanted nothing at all of it has also had
//! its **turn**: before it is offered as much there again, everybody else who wants it is.

use super::SeatAt;
use hansa_model::framework::{Part, parts};
use hansa_model::{AgentId, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Offers that were refused for no time are still not repeated for so long, in milliseconds: whoever wants nothing of a
/// machine would otherwise be asked again and again.
pub(crate) const LEAST_REFUSAL_MS: u64 = 1_000;

/// The longest that something can be refused, in milliseconds: 365 days.
pub(crate) const LONGEST_REFUSAL_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

/// How many refusals of one seat on one machine are kept in mind.
const MOST_KEPT: usize = 8;

/// What was refused, and until when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub parts: Vec<Part>,
    pub until: Timestamp,
    /// Whether nothing of it was wanted.
    pub whole: bool,
    /// Whether it was not found to have ended.
    pub open: bool,
}

/// All that a seat refused on one machine.
#[derive(Debug)]
pub(super) struct Refusals {
    /// The seat's, when it refused; refusals of an earlier one are forgotten.
    epoch: u64,
    list: Vec<Refusal>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Filters {
    machines: FxHashMap<AgentId, FxHashMap<SeatAt, Refusals>>,
    /// How many refusals each seat has, in its epoch, that were not found to have ended.
    counts: FxHashMap<(SeatAt, u64), u64>,
    ends: BTreeSet<(Timestamp, AgentId, SeatAt)>,
}

impl Filters {
    /// A seat gave parts of a machine back.
    pub fn refuse(
        &mut self,
        now: Timestamp,
        (seat, epoch): (SeatAt, u64),
        agent: &AgentId,
        parts: Vec<Part>,
        whole: bool,
        refuse_ms: u64,
    ) {
        let until = now + refuse_ms.clamp(LEAST_REFUSAL_MS, LONGEST_REFUSAL_MS);
        if !self.machines.contains_key(agent) {
            self.machines.insert(agent.clone(), FxHashMap::default());
        }
        let Some(machine) = self.machines.get_mut(agent) else { return };
        let refusals = machine.entry(seat).or_insert_with(|| Refusals { epoch, list: Vec::new() });
        uncount(&mut self.counts, seat, refusals);
        if refusals.epoch != epoch {
            *refusals = Refusals { epoch, list: Vec::new() };
        }
        // What it refused before, and is no more and no longer than this, adds nothing.
        let adds = |old: &Refusal| {
            (old.until > now || old.whole)
                && !(old.until <= until && old.whole <= whole && within(&old.parts, &parts))
        };
        refusals.list.retain(adds);
        if refusals.list.len() >= MOST_KEPT {
            refusals.list.remove(0);
        }
        refusals.list.push(Refusal { parts, until, whole, open: true });
        count(&mut self.counts, seat, refusals);
        self.ends.insert((until, agent.clone(), seat));
    }

    /// What was refused on a machine.
    pub fn on(&self, agent: &AgentId) -> OnMachine<'_> {
        OnMachine(self.machines.get(agent))
    }

    /// A new round begins on the machine: of those that had their turn only those count that still refuse something.
    pub fn new_round(&mut self, now: Timestamp, agent: &AgentId) {
        if let Some(machine) = self.machines.get_mut(agent) {
            let counts = &mut self.counts;
            machine.retain(|&seat, refusals| {
                uncount(counts, seat, refusals);
                refusals.list.retain(|refusal| refusal.until > now);
                count(counts, seat, refusals);
                !refusals.list.is_empty()
            });
        }
    }

    /// The next refusal that ended, of whom and where, with the epoch that it was made in.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<(AgentId, SeatAt, u64)> {
        while self.ends.first().is_some_and(|(until, ..)| *until <= now) {
            let (_, agent, seat) = self.ends.pop_first()?;
            let refusals = self.machines.get_mut(&agent).and_then(|machine| machine.get_mut(&seat));
            if let Some(refusals) = refusals {
                uncount(&mut self.counts, seat, refusals);
                refusals.list.retain(|refusal| refusal.until > now || refusal.whole);
                refusals.list.iter_mut().for_each(|refusal| refusal.open = refusal.until > now);
                count(&mut self.counts, seat, refusals);
                let epoch = refusals.epoch;
                return Some((agent, seat, epoch));
            }
        }
        None
    }

    /// What a seat refused on a machine counts no longer.
    pub fn forget(&mut self, agent: &AgentId, seat: SeatAt) {
        if let Some(refusals) = self.machines.get_mut(agent).and_then(|machine| machine.remove(&seat)) {
            uncount(&mut self.counts, seat, &refusals);
        }
    }

    /// When the next refusal ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|&(until, ..)| until)
    }

    /// A machine is gone, and whatever was refused there.
    pub fn remove(&mut self, agent: &AgentId) {
        for (seat, refusals) in self.machines.remove(agent).into_iter().flatten() {
            uncount(&mut self.counts, seat, &refusals);
        }
    }

    /// How many refusals of a seat hold, as of when it was last asked which have ended.
    pub fn held_by(&self, at: SeatAt, epoch: u64) -> u64 {
        self.counts.get(&(at, epoch)).copied().unwrap_or_default()
    }

    /// The same for all of them.
    #[cfg(test)]
    pub fn held(&self) -> &FxHashMap<(SeatAt, u64), u64> {
        &self.counts
    }

    /// And counted anew: to compare with.
    #[cfg(test)]
    pub fn counts(&self, now: Timestamp) -> FxHashMap<(SeatAt, u64), u64> {
        let mut counts = FxHashMap::default();
        for (seat, refusals) in self.machines.values().flatten() {
            let holds = refusals.list.iter().filter(|refusal| refusal.until > now).count() as u64;
            *counts.entry((*seat, refusals.epoch)).or_default() += holds;
        }
        counts
    }

    /// All that a seat refuses now, by machine. Looks at every machine.
    pub fn of(&self, now: Timestamp, (seat, epoch): (SeatAt, u64)) -> Vec<(AgentId, Refusal)> {
        let mut all: Vec<(AgentId, Refusal)> = Vec::new();
        for (agent, machine) in &self.machines {
            let Some(refusals) = machine.get(&seat).filter(|refusals| refusals.epoch == epoch) else {
                continue;
            };
            let list = refusals.list.iter().filter(|refusal| refusal.until > now);
            all.extend(list.map(|refusal| (agent.clone(), refusal.clone())));
        }
        all.sort_by(|(one, first), (other, second)| (one, first.until).cmp(&(other, second.until)));
        all
    }
}

/// What was refused on one machine.
#[derive(Clone, Copy)]
pub(super) struct OnMachine<'a>(Option<&'a FxHashMap<SeatAt, Refusals>>);

impl<'a> OnMachine<'a> {
    /// What a seat refused there, also if that has ended.
    pub fn by(self, at: SeatAt, epoch: u64) -> Option<&'a Refusals> {
        self.0?.get(&at).filter(|refusals| refusals.epoch == epoch)
    }
}

/// A seat has these on a machine.
fn count(counts: &mut FxHashMap<(SeatAt, u64), u64>, seat: SeatAt, refusals: &Refusals) {
    let open = refusals.open();
    if open > 0 {
        *counts.entry((seat, refusals.epoch)).or_default() += open;
    }
}

/// And no longer.
fn uncount(counts: &mut FxHashMap<(SeatAt, u64), u64>, seat: SeatAt, refusals: &Refusals) {
    let key = (seat, refusals.epoch);
    if let Some(count) = counts.get_mut(&key) {
        *count -= refusals.open();
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Refusals {
    fn open(&self) -> u64 {
        self.list.iter().filter(|refusal| refusal.open).count() as u64
    }

    /// Until when these parts are not wanted, if all of them were refused.
    pub fn refused(&self, now: Timestamp, parts: &[Part]) -> Option<Timestamp> {
        let holds = |refusal: &&Refusal| refusal.until > now && within(parts, &refusal.parts);
        self.list.iter().filter(holds).map(|refusal| refusal.until).max()
    }

    /// Whether the seat had its turn with these parts.
    pub fn had_turn(&self, parts: &[Part]) -> bool {
        self.list.iter().any(|refusal| refusal.whole && within(parts, &refusal.parts))
    }
}

/// Whether all of `some` is in `all`, like in like.
pub(super) fn within(some: &[Part], all: &[Part]) -> bool {
    match (some, all) {
        ([], _) => true,
        ([one], [other]) if one.volume.is_none() && one.is_like(other) => {
            other.amount.contains(&one.amount).is_ok()
        }
        _ => parts::contain(all, some).is_ok(),
    }
}
