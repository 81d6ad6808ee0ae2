//! Roles: settings, use, quota, headroom, unmet demand and shares.
//!
//! A role's share is the largest of its shares of CPU, memory, disk and GPUs (dominant-resource fairness), divided by its
//! weight. Ports have no share. Roles are a tree (`a/b` is below `a`): what a role has counts at all that it is below.
//!
//! Everything that counts passes through here, and whoever books it must take it off again in the same words:
//! - [`Roles::add`] and [`Roles::subtract`]: what groups and executors have, reserved or not;
//! - [`Roles::add_parts`] and [`Roles::subtract_parts`]: the same for those of frameworks, in parts;
//! - [`Roles::reserve`] and [`Roles::unreserve`]: what is kept for the role on machines, used or not;
//! - [`Roles::offer`] and [`Roles::unoffer`]: what is offered to frameworks in the role.

mod tree;

pub(crate) use tree::{Four, ROOT, RoleAt, Sums, View};

use crate::book::totals;
use crate::command::Refusal;
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::event::{Event, RoleView};
use hansa_model::framework::Part;
use hansa_model::resources::Kind;
use hansa_model::role::{Bound, Role, Totals};
use hansa_model::scheduler::{Answer, Rejection};
use hansa_model::{Allocation, Demand, Owner, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tree::Tree;

/// The weight of a role that was never configured, in thousandths.
pub(crate) const DEFAULT_WEIGHT: u64 = 1000;

/// A role as it stands, without those below it.
#[derive(Clone, Debug)]
pub(crate) struct RoleState {
    /// Its settings.
    pub role: Role,
    /// What it has itself.
    pub own: Sums,
    /// What its schedulers would place if they could: by owner and shape.
    pub demand: BTreeMap<(Owner, Demand), u32>,
}

impl RoleState {
    fn new(name: RoleName) -> Self {
        Self { role: default_role(name), own: Sums::default(), demand: BTreeMap::new() }
    }

    /// Whether somebody set it.
    pub fn is_configured(&self) -> bool {
        self.role != default_role(self.role.name.clone())
    }
}

fn default_role(name: RoleName) -> Role {
    Role { name, weight_milli: DEFAULT_WEIGHT, guarantee: Bound::default(), limit: Bound::default() }
}

/// A weighted dominant share: comparable, nothing else.
pub(crate) type Share = u128;

/// The weighted dominant share of somebody who has `used` of `capacity`.
pub(crate) fn share(used: Totals, capacity: Totals, weight_milli: u64) -> Share {
    numbers(used)
        .iter()
        .zip(numbers(capacity))
        .map(|(&used, capacity)| u128::from(used) * 1_000_000_000_000 / u128::from(capacity.max(1)))
        .max()
        .unwrap_or(0)
        / u128::from(weight_milli.max(1))
}

/// The kinds that have shares and quota, in the order of [`Four`].
pub(crate) const KINDS: [Kind; 4] = [Kind::Cpus, Kind::Mem, Kind::Disk, Kind::Gpus];

/// The same in numbers.
pub(crate) fn numbers(totals: Totals) -> Four {
    [totals.cpus_milli, totals.mem, totals.disk, totals.gpus_milli]
}

/// The same in numbers.
pub(crate) fn bounds(bound: &Bound) -> [Option<u64>; 4] {
    [bound.cpus_milli, bound.mem, bound.disk, bound.gpus_milli]
}

/// The totals of parts, and of those that are reserved.
fn parts_totals(parts: &[Part]) -> (Totals, Totals) {
    let mut sums = (Totals::default(), Totals::default());
    for part in parts {
        let totals = part.amount.totals();
        sums.0 = sums.0.plus(totals);
        if part.role().is_some() {
            sums.1 = sums.1.plus(totals);
        }
    }
    sums
}

/// What an offer of parts counts for.
fn offered(parts: &[Part]) -> Sums {
    let (offered, reserved) = parts_totals(parts);
    let open = parts.iter().filter(|part| part.is_open()).map(|part| part.amount.totals());
    Sums {
        offered,
        offered_plain: offered.minus(reserved),
        offered_open: open.fold(Totals::default(), Totals::plus),
        ..Sums::default()
    }
}

/// All roles that were ever named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    tree: Tree,
}

impl Roles {
    /// One role, if it was ever named.
    pub fn get(&self, name: &RoleName) -> Option<&RoleState> {
        self.tree.find(name.as_str()).map(|at| &self.tree.node(at).state)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &RoleState> {
        self.tree.iter().map(|(_, state)| state)
    }

    /// The tree that they are.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where a role is in the tree; it is made if it was never named.
    pub fn enter(&mut self, name: &RoleName) -> RoleAt {
        self.tree.enter(name)
    }

    /// See [`Tree::take_touched`].
    pub fn take_touched(&mut self) -> Vec<RoleAt> {
        self.tree.take_touched()
    }

    /// Changes a role's settings.
    pub fn set(&mut self, role: Role) {
        let at = self.tree.enter(&role.name);
        self.tree.set(at, role);
    }

    /// A group of the role has this. Returns the role's name as it is shared by all who bear it.
    pub fn add(&mut self, name: &RoleName, allocation: &Allocation) -> RoleName {
        let at = self.tree.enter(name);
        self.tree.change(at, false, &Sums { used: totals(allocation), ..Sums::default() });
        self.tree.node(at).state.role.name.clone()
    }

    /// And no longer.
    pub fn subtract(&mut self, name: &RoleName, allocation: &Allocation) {
        let at = self.tree.enter(name);
        self.tree.change(at, true, &Sums { used: totals(allocation), ..Sums::default() });
    }

    /// A task or executor of a framework in the role has this; nothing of it is counted by [`Roles::add`], too. Returns
    /// the role's name as it is shared by all who bear it.
    pub fn add_parts(&mut self, name: &RoleName, parts: &[Part]) -> RoleName {
        let (used, used_reserved) = parts_totals(parts);
        let at = self.tree.enter(name);
        self.tree.change(at, false, &Sums { used, used_reserved, ..Sums::default() });
        self.tree.node(at).state.role.name.clone()
    }

    /// And no longer.
    pub fn subtract_parts(&mut self, name: &RoleName, parts: &[Part]) {
        let (used, used_reserved) = parts_totals(parts);
        let at = self.tree.enter(name);
        self.tree.change(at, true, &Sums { used, used_reserved, ..Sums::default() });
    }

    /// So much is kept for the role on some machine, used or not. Of a stack of reservations, only the innermost counts.
    pub fn reserve(&mut self, name: &RoleName, reserved: Totals) {
        let at = self.tree.enter(name);
        self.tree.change(at, false, &Sums { reserved, ..Sums::default() });
    }

    /// And no longer.
    pub fn unreserve(&mut self, name: &RoleName, reserved: Totals) {
        let at = self.tree.enter(name);
        self.tree.change(at, true, &Sums { reserved, ..Sums::default() });
    }

    /// So much is offered to a framework in the role.
    pub fn offer(&mut self, name: &RoleName, parts: &[Part]) {
        let at = self.tree.enter(name);
        self.offer_at(at, parts);
    }

    /// The same, by the role's place.
    pub fn offer_at(&mut self, at: RoleAt, parts: &[Part]) {
        self.tree.change(at, false, &offered(parts));
    }

    /// And no longer.
    pub fn unoffer(&mut self, name: &RoleName, parts: &[Part]) {
        let at = self.tree.enter(name);
        self.tree.change(at, true, &offered(parts));
    }

    /// Whether the role may have this too by a claim, of what is free in the pool.
    pub fn allows(&self, name: &RoleName, more: &Allocation, free: Totals) -> Result<(), Rejection> {
        if self.tree.is_without_quota() {
            return Ok(());
        }
        let at = self.tree.nearest(name);
        let more = numbers(totals(more));
        for at in self.tree.chain(at) {
            let node = self.tree.node(at);
            let limits = bounds(&node.state.role.limit);
            let consumed = numbers(node.whole.consumed(View::Claims));
            for (which, kind) in KINDS.into_iter().enumerate() {
                let then = consumed[which].saturating_add(more[which]);
                if more[which] > 0 && limits[which].is_some_and(|limit| then > limit) {
                    return Err(Rejection::OverLimit { role: node.state.role.name.clone(), kind });
                }
            }
        }
        if !self.tree.has_guarantees() {
            return Ok(());
        }
        let most = self.headroom_allows(at, numbers(free), View::Claims);
        match (0..KINDS.len()).find(|&which| more[which] > most[which]) {
            Some(which) => Err(Rejection::Headroom { kind: KINDS[which] }),
            None => Ok(()),
        }
    }

    /// How much more the role may have, of what is free, so that what others are guaranteed and do not use yet remains
    /// free: what is free beyond that, and in any case what is guaranteed to the role itself.
    pub fn headroom_allows(&self, at: RoleAt, free: Four, view: View) -> Four {
        if !self.tree.has_guarantees() {
            return [u64::MAX; 4];
        }
        let (all, others) = (self.tree.kept(view), self.tree.kept_for_others(at, view));
        std::array::from_fn(|kind| {
            let own = all[kind].saturating_sub(others[kind]);
            own.max(free[kind].saturating_sub(others[kind]))
        })
    }

    /// How much more the role may be offered before a limit is reached, its own or of one that it is below; and whose.
    pub fn limits_allow(&self, at: RoleAt) -> [(u64, RoleAt); 4] {
        let mut most = [(u64::MAX, at); 4];
        if self.tree.is_without_quota() {
            return most;
        }
        for at in self.tree.chain(at) {
            let node = self.tree.node(at);
            if node.state.role.limit == Bound::default() {
                continue;
            }
            let consumed = numbers(node.whole.consumed(View::Offers));
            for (kind, limit) in bounds(&node.state.role.limit).into_iter().enumerate() {
                if let Some(limit) = limit {
                    most[kind] = most[kind].min((limit.saturating_sub(consumed[kind]), at));
                }
            }
        }
        most
    }

    /// Whether all that the role would have with this is guaranteed to it, or to one that it is below.
    pub fn is_guaranteed(&self, name: &RoleName, more: &Allocation) -> bool {
        let more = numbers(totals(more));
        let at = self.tree.nearest(name);
        (0..KINDS.len()).filter(|&kind| more[kind] > 0).all(|kind| {
            self.tree.chain(at).any(|at| {
                let node = self.tree.node(at);
                let then = numbers(node.whole.consumed(View::Claims))[kind].saturating_add(more[kind]);
                bounds(&node.state.role.guarantee)[kind].is_some_and(|guarantee| then <= guarantee)
            })
        })
    }

    /// The weighted share of a role, and of all below it, with what it is offered.
    pub fn share_at(&self, at: RoleAt, capacity: Totals) -> Share {
        let node = self.tree.node(at);
        share(node.whole.allocated(), capacity, node.state.role.weight_milli)
    }

    /// The shares that decide between two roles, with what they are offered: of these roles themselves or, of what they
    /// are below, of the first that they have not in common.
    pub fn compare(&self, one: &RoleName, other: &RoleName, capacity: Totals) -> std::cmp::Ordering {
        let path = |name| {
            let at = self.tree.nearest(name);
            let mut path: Vec<RoleAt> = self.tree.chain(at).collect();
            path.reverse();
            path
        };
        let (one, other) = (path(one), path(other));
        let common = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        // A role beside those below it counts with what it has itself.
        let share_of = |path: &[RoleAt]| match path.get(common) {
            Some(&at) => self.share_at(at, capacity),
            None => {
                let own = &self.tree.node(path[path.len() - 1]).state.own;
                share(own.allocated(), capacity, DEFAULT_WEIGHT)
            }
        };
        if one.len() == common && other.len() == common {
            return std::cmp::Ordering::Equal;
        }
        share_of(&one).cmp(&share_of(&other))
    }

    /// What a scheduler would place if it could.
    pub fn set_demand(&mut self, owner: &Owner, name: &RoleName, shape: Demand, count: u32) {
        let at = self.tree.enter(name);
        let state = self.tree.state_mut(at);
        let key = (owner.clone(), shape);
        if count == 0 {
            state.demand.remove(&key);
        } else {
            state.demand.insert(key, count);
        }
        self.tree.touch(at);
    }
}

impl Kernel {
    /// An operator's settings for a role.
    pub(crate) fn set_role(&mut self, step: &mut Step, role: Role) -> Result<Answer, Refusal> {
        if let Some(problem) = self.role_problem(&role) {
            return Err(Refusal::Invalid(problem.into()));
        }
        let before = self.roles.get(&role.name).is_some_and(RoleState::is_configured);
        let name = role.name.clone();
        self.roles.set(role.clone());
        self.allocator.roles_changed();
        let configured = self.roles.get(&name).is_some_and(RoleState::is_configured);
        if configured {
            step.record(Record::PutRole(role));
        } else if before {
            step.record(Record::DeleteRole(name.clone()));
        }
        self.show_role(step, &name);
        Ok(Answer::Done)
    }

    /// What is wrong with a role's settings in themselves.
    pub(crate) fn role_problem(&self, role: &Role) -> Option<&'static str> {
        if role.name.as_str().is_empty() {
            return Some("a role needs a name");
        }
        if role.weight_milli == 0 {
            return Some("a role's weight must be more than 0");
        }
        let reversed =
            bounds(&role.guarantee).into_iter().zip(bounds(&role.limit)).any(|(guarantee, limit)| {
                guarantee.zip(limit).is_some_and(|(guarantee, limit)| guarantee > limit)
            });
        reversed.then_some("a role's guarantee must not exceed its limit")
    }

    /// Tells the world how a role stands.
    pub(crate) fn show_role(&mut self, step: &mut Step, name: &RoleName) {
        self.dirty.roles.remove(name);
        if let Some(state) = self.roles.get(name) {
            step.event(Event::Role(Arc::new(RoleView {
                role: state.role.clone(),
                allocated: state.own.used,
            })));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_dominant_and_weighted() {
        let capacity = Totals { cpus_milli: 10_000, mem: 100, disk: 0, gpus_milli: 0 };
        let used = Totals { cpus_milli: 1_000, mem: 50, disk: 0, gpus_milli: 0 };
        assert_eq!(share(used, capacity, 1000), 500_000_000, "half of the memory");
        assert_eq!(share(used, capacity, 2000), 250_000_000);
        assert!(
            share(used, Totals::default(), 1000) > share(used, capacity, 1000),
            "an empty pool divides by one"
        );
    }
}
