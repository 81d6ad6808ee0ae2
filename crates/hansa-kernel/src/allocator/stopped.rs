//! Roles that quota keeps from something, and the machines where it does.
//!
//! Once a role has more room than when it was stopped, it has a cause to be looked at, on every machine at rest. A role at
//! its limit has that with each offer that it declines, so the machines are not gone through each time: from the first
//! time on, the role has a **list** of those where quota is what stands in its way, each with how far that was looked at:
//! with no more room than that, nobody in the role wants anything there. What somebody refused, or does not want for
//! another reason, whatever the room, is on no list.
//!
//! A list goes wrong if whoever may want something of a machine at rest is not looked at there. All causes of that lead to
//! a look: something became idle, a refusal ended, a seat was woken (all machines). What a look finds is noted, see
//! [`Stopped::note`].

use super::quota::{Reach, Room};
use crate::roles::{Four, RoleAt, Roles, numbers};
use hansa_model::AgentId;
use hansa_model::role::Totals;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

/// So many roles have lists at most; of more, those that were not eased for longest are gone through again.
const MOST_LISTS: usize = 64;

/// A machine's place among those at rest: its rank, and its name.
pub(super) type Place = (u32, AgentId);

/// What a look found of a role: how far that was looked at; None: quota does not stand in its way.
pub(super) type Seen = (RoleAt, Option<Reach>);

/// Where quota stands in a role's way.
#[derive(Debug, Default)]
struct List {
    by_reach: BTreeMap<Reach, BTreeSet<Place>>,
    machines: FxHashMap<AgentId, (u32, Reach)>,
    /// When it was used last, in passes.
    used: u64,
}

impl List {
    fn remove(&mut self, agent: &AgentId) {
        let Some((rank, reach)) = self.machines.remove(agent) else { return };
        if let Some(places) = self.by_reach.get_mut(&reach) {
            places.remove(&(rank, agent.clone()));
            if places.is_empty() {
                self.by_reach.remove(&reach);
            }
        }
    }

    fn insert(&mut self, agent: &AgentId, rank: u32, reach: Reach) {
        if self.machines.get(agent) == Some(&(rank, reach)) {
            return;
        }
        self.remove(agent);
        self.by_reach.entry(reach).or_default().insert((rank, agent.clone()));
        self.machines.insert(agent.clone(), (rank, reach));
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    roles: BTreeMap<RoleAt, Four>,
    lists: BTreeMap<RoleAt, List>,
    passes: u64,
    /// As of which number of easings, and with how much free, they are known to be stopped.
    eased: u64,
    free: Totals,
    /// There are no lists, to compare with.
    #[cfg(test)]
    pub without_lists: bool,
}

impl Stopped {
    /// A role is stopped.
    pub fn insert(&mut self, role_at: RoleAt, room: &Room) {
        self.roles.insert(role_at, room.most());
    }

    /// Takes out the roles that have more room than when they were stopped.
    pub fn take_eased(&mut self, roles: &Roles, free: Totals) -> Vec<RoleAt> {
        let eased = roles.tree().eased();
        let more_free = numbers(free).into_iter().zip(numbers(self.free)).any(|(free, before)| free > before);
        let same = self.eased == eased && !more_free;
        (self.eased, self.free) = (eased, free);
        if same || self.roles.is_empty() {
            return Vec::new();
        }
        let has_room = |(&at, then): (&RoleAt, &Four)| {
            let now = Room::of(roles, at, free).most();
            now.iter().zip(then).any(|(now, then)| now > then).then_some(at)
        };
        let eased: Vec<RoleAt> = self.roles.iter().filter_map(has_room).collect();
        for at in &eased {
            self.roles.remove(at);
        }
        eased
    }

    /// Whether a role has a list.
    pub fn is_listed(&self, role_at: RoleAt) -> bool {
        self.lists.contains_key(&role_at)
    }

    /// A role has a list from now on. All machines at rest are about to be looked at for it.
    pub fn list(&mut self, role_at: RoleAt) {
        #[cfg(test)]
        if self.without_lists {
            return;
        }
        if self.lists.len() >= MOST_LISTS
            && let Some(oldest) = self.lists.iter().min_by_key(|(_, list)| list.used).map(|(&at, _)| at)
        {
            self.lists.remove(&oldest);
        }
        self.lists.insert(role_at, List::default());
    }

    /// The next machine after a place where a role, with this much room, may want something.
    pub fn next(&self, role_at: RoleAt, room: &Room, after: Option<&Place>) -> Option<&Place> {
        let room = room.reach(false);
        let open = self.lists.get(&role_at)?.by_reach.iter().filter(|(reach, _)| !reach.covers(&room));
        let from = after.map_or(Unbounded, Excluded);
        open.filter_map(|(_, places)| places.range((from, Unbounded)).next()).min()
    }

    /// A look at a machine at rest has found that nobody whom it was about wants anything more there. `all`: it was about
    /// all seats of these roles; else what is known of the others stays so.
    pub fn note(&mut self, agent: &AgentId, rank: u32, seen: &[Seen], all: impl Fn(RoleAt) -> bool) {
        for &(role_at, reach) in seen {
            let Some(list) = self.lists.get_mut(&role_at) else { continue };
            let before = list.machines.get(agent).map(|&(_, reach)| reach);
            let now = match (before, reach) {
                (Some(before), None) if !all(role_at) => Some(before),
                (Some(before), Some(reach)) if !all(role_at) => Some(before.and(&reach)),
                (_, reach) => reach,
            };
            match now {
                Some(reach) => list.insert(agent, rank, reach),
                None => list.remove(agent),
            }
        }
    }

    /// A machine has another rank now.
    pub fn rerank(&mut self, agent: &AgentId, rank: u32) {
        for list in self.lists.values_mut() {
            if let Some(&(_, reach)) = list.machines.get(agent) {
                list.insert(agent, rank, reach);
            }
        }
    }

    /// A machine is not at rest any more.
    pub fn forget(&mut self, agent: &AgentId) {
        self.lists.values_mut().for_each(|list| list.remove(agent));
    }

    /// No machine is.
    pub fn forget_all(&mut self) {
        self.lists.clear();
    }

    /// A pass in which a role's list was gone through is over: if there is anything on it, the role is stopped.
    pub fn end(&mut self, role_at: RoleAt, room: &Room) {
        self.passes += 1;
        let Some(list) = self.lists.get_mut(&role_at) else { return };
        list.used = self.passes;
        if list.machines.is_empty() {
            self.lists.remove(&role_at);
        } else {
            self.insert(role_at, room);
        }
    }
}
