//! Roles: settings, use, quota, headroom, unmet demand and shares.
//!
//! A role's share is the largest of its shares of CPU, memory, disk and GPUs (dominant-resource fairness), divided by its
//! weight. Ports have no share.

use crate::book::{minus, plus, totals};
use crate::command::Refusal;
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::event::{Event, RoleView};
use hansa_model::resources::Kind;
use hansa_model::role::{Bound, Role, Totals};
use hansa_model::scheduler::{Answer, Rejection};
use hansa_model::{Allocation, Demand, Owner, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The weight of a role that was never configured, in thousandths.
const DEFAULT_WEIGHT: u64 = 1000;

/// A role as it stands.
#[derive(Debug)]
pub(crate) struct RoleState {
    /// Its settings.
    pub role: Role,
    /// What its live groups have.
    pub used: Totals,
    /// What its schedulers would place if they could: by owner and shape.
    pub demand: BTreeMap<(Owner, Demand), u32>,
}

impl RoleState {
    fn new(name: RoleName) -> Self {
        Self { role: default_role(name), used: Totals::default(), demand: BTreeMap::new() }
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
    kinds(used)
        .iter()
        .zip(kinds(capacity))
        .map(|(&(_, used), (_, capacity))| u128::from(used) * 1_000_000_000_000 / u128::from(capacity.max(1)))
        .max()
        .unwrap_or(0)
        / u128::from(weight_milli.max(1))
}

fn kinds(totals: Totals) -> [(Kind, u64); 4] {
    [
        (Kind::Cpus, totals.cpus_milli),
        (Kind::Mem, totals.mem),
        (Kind::Disk, totals.disk),
        (Kind::Gpus, totals.gpus_milli),
    ]
}

fn bounds(bound: &Bound) -> [Option<u64>; 4] {
    [bound.cpus_milli, bound.mem, bound.disk, bound.gpus_milli]
}

/// All roles that were ever named.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    by_name: BTreeMap<RoleName, RoleState>,
    /// How many have a guarantee; without any, headroom costs nothing.
    guaranteed: usize,
}

impl Roles {
    /// One role, if it was ever named.
    pub fn get(&self, name: &RoleName) -> Option<&RoleState> {
        self.by_name.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &RoleState> {
        self.by_name.values()
    }

    /// Changes a role's settings.
    pub fn set(&mut self, role: Role) {
        let state = self.state(&role.name);
        state.role = role;
        self.guaranteed =
            self.by_name.values().filter(|state| state.role.guarantee != Bound::default()).count();
    }

    /// A group of the role has this. Returns the role's name as it is shared by all who bear it.
    pub fn add(&mut self, name: &RoleName, allocation: &Allocation) -> RoleName {
        let state = self.state(name);
        state.used = plus(state.used, totals(allocation));
        state.role.name.clone()
    }

    /// And no longer.
    pub fn subtract(&mut self, name: &RoleName, allocation: &Allocation) {
        let state = self.state(name);
        state.used = minus(state.used, totals(allocation));
    }

    /// Whether the role may have this too, of what is free in the pool.
    pub fn allows(&self, name: &RoleName, more: &Allocation, free: Totals) -> Result<(), Rejection> {
        let more = totals(more);
        if let Some(state) = self.by_name.get(name) {
            let used = kinds(plus(state.used, more));
            for (((kind, then), (_, more)), limit) in
                used.into_iter().zip(kinds(more)).zip(bounds(&state.role.limit))
            {
                if more > 0 && limit.is_some_and(|limit| then > limit) {
                    return Err(Rejection::OverLimit { role: name.clone(), kind });
                }
            }
        }
        if self.guaranteed > 0 { self.leaves_headroom(name, more, free) } else { Ok(()) }
    }

    /// What others are guaranteed and do not use yet has to remain free, except for what is guaranteed to the role itself.
    fn leaves_headroom(&self, name: &RoleName, more: Totals, free: Totals) -> Result<(), Rejection> {
        let own = self.by_name.get(name).map(|state| (bounds(&state.role.guarantee), kinds(state.used)));
        for (at, ((kind, more), (_, free))) in kinds(more).into_iter().zip(kinds(free)).enumerate() {
            let within_own = own.is_some_and(|(guarantee, used)| {
                guarantee[at].is_some_and(|guarantee| used[at].1.saturating_add(more) <= guarantee)
            });
            if more == 0 || within_own {
                continue;
            }
            let kept: u64 = self
                .by_name
                .values()
                .filter(|state| state.role.name != *name)
                .map(|state| {
                    bounds(&state.role.guarantee)[at].unwrap_or(0).saturating_sub(kinds(state.used)[at].1)
                })
                .fold(0, u64::saturating_add);
            if free.saturating_sub(more) < kept {
                return Err(Rejection::Headroom { kind });
            }
        }
        Ok(())
    }

    /// Whether all that the role would have with this is guaranteed to it.
    pub fn is_guaranteed(&self, name: &RoleName, more: &Allocation) -> bool {
        let Some(state) = self.by_name.get(name) else { return false };
        let then = kinds(plus(state.used, totals(more)));
        then.into_iter().zip(kinds(totals(more))).zip(bounds(&state.role.guarantee)).all(
            |(((_, then), (_, more)), guarantee)| {
                more == 0 || guarantee.is_some_and(|guarantee| then <= guarantee)
            },
        )
    }

    /// The role's weighted share if it had `more` besides what its groups have.
    pub fn share_with(&self, name: &RoleName, more: Totals, capacity: Totals) -> Share {
        let (used, weight) = self
            .by_name
            .get(name)
            .map_or((Totals::default(), DEFAULT_WEIGHT), |state| (state.used, state.role.weight_milli));
        share(plus(used, more), capacity, weight)
    }

    /// What a scheduler would place if it could.
    pub fn set_demand(&mut self, owner: &Owner, name: &RoleName, shape: Demand, count: u32) {
        let state = self.state(name);
        let key = (owner.clone(), shape);
        if count == 0 {
            state.demand.remove(&key);
        } else {
            state.demand.insert(key, count);
        }
    }

    fn state(&mut self, name: &RoleName) -> &mut RoleState {
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.clone(), RoleState::new(name.clone()));
        }
        self.by_name.get_mut(name).expect("it was just put there")
    }
}

impl Kernel {
    /// An operator's settings for a role.
    pub(crate) fn set_role(&mut self, step: &mut Step, role: Role) -> Result<Answer, Refusal> {
        if role.name.as_str().is_empty() {
            return Err(Refusal::Invalid("a role needs a name".into()));
        }
        if role.weight_milli == 0 {
            return Err(Refusal::Invalid("a role's weight must be more than 0".into()));
        }
        let reversed =
            bounds(&role.guarantee).into_iter().zip(bounds(&role.limit)).any(|(guarantee, limit)| {
                guarantee.zip(limit).is_some_and(|(guarantee, limit)| guarantee > limit)
            });
        if reversed {
            return Err(Refusal::Invalid("a role's guarantee must not exceed its limit".into()));
        }
        let before = self.roles.get(&role.name).is_some_and(RoleState::is_configured);
        let name = role.name.clone();
        self.roles.set(role.clone());
        let configured = self.roles.get(&name).is_some_and(RoleState::is_configured);
        if configured {
            step.record(Record::PutRole(role));
        } else if before {
            step.record(Record::DeleteRole(name.clone()));
        }
        self.show_role(step, &name);
        Ok(Answer::Done)
    }

    /// Tells the world how a role stands.
    pub(crate) fn show_role(&mut self, step: &mut Step, name: &RoleName) {
        self.dirty.roles.remove(name);
        if let Some(state) = self.roles.get(name) {
            step.event(Event::Role(Arc::new(RoleView { role: state.role.clone(), allocated: state.used })));
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
