//! Registered specs: immutable, shared, counted.
//!
//! A spec stays while somebody holds it (registered and not dropped) or a live group refers to it. It becomes durable
//! with the first group that refers to it, and is deleted from the store when it goes.

use crate::Step;
use crate::record::Record;
use hansa_model::spec::GroupSpec;
use hansa_model::{Allocation, Demand, SpecId};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Numbers from here on are of groups that are never stored. (Small enough for every reader of JSON.)
const FIRST_PASSING: u64 = 1 << 52;

/// One spec.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The group.
    pub group: Arc<GroupSpec>,
    /// What it takes, summed up once.
    pub demand: Demand,
    /// What it was given last; most groups of a spec without ports or GPUs are given the same, and share it.
    last: Option<Arc<Allocation>>,
    /// Registrations not dropped yet.
    pub holders: u32,
    /// Live groups.
    pub groups: u32,
    /// Whether the store has it.
    pub stored: bool,
    /// Whether it is never stored, nor found by its content: a framework's.
    pub passing: bool,
}

/// All specs.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    by_id: BTreeMap<SpecId, Spec>,
    /// (hash of the content, id): the same content is registered once.
    by_content: BTreeSet<(u64, SpecId)>,
    next: u64,
    next_passing: u64,
}

impl Specs {
    /// One spec.
    pub fn get(&self, id: SpecId) -> Option<&Spec> {
        self.by_id.get(&id)
    }

    /// An allocation, shared with the last group of the spec if that was given the same.
    pub fn share(&mut self, id: SpecId, allocation: Allocation) -> Arc<Allocation> {
        match self.by_id.get_mut(&id) {
            Some(spec) => match &spec.last {
                Some(last) if **last == allocation => last.clone(),
                _ => spec.last.insert(Arc::new(allocation)).clone(),
            },
            None => Arc::new(allocation),
        }
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = (SpecId, &Spec)> {
        self.by_id.iter().map(|(&id, spec)| (id, spec))
    }

    /// A group of a framework: launched once and never stored. It goes with its last group.
    pub fn pass(&mut self, group: Arc<GroupSpec>) -> SpecId {
        let id = SpecId(FIRST_PASSING + self.next_passing);
        self.next_passing += 1;
        let demand = group.demand();
        let spec = Spec { group, demand, last: None, holders: 0, groups: 0, stored: false, passing: true };
        self.by_id.insert(id, spec);
        id
    }

    /// Registers a group; the same group again has the same number.
    pub fn register(&mut self, group: Arc<GroupSpec>) -> SpecId {
        let id = self.find_or_add(group, None);
        if let Some(spec) = self.by_id.get_mut(&id) {
            spec.holders = spec.holders.saturating_add(1);
        }
        id
    }

    /// The number of a group that an agent reports under the number `wanted`: that one, unless it means something else
    /// here (the store may be older than the agents).
    pub fn adopt(&mut self, group: Arc<GroupSpec>, wanted: SpecId) -> SpecId {
        self.find_or_add(group, Some(wanted))
    }

    /// Takes over a stored spec.
    pub fn restore(&mut self, id: SpecId, group: Arc<GroupSpec>) {
        self.add(id, group, true);
    }

    /// A live group more refers to it; stores it if it is not yet.
    pub fn refer(&mut self, id: SpecId, step: &mut Step) {
        if let Some(spec) = self.by_id.get_mut(&id) {
            spec.groups += 1;
            if !spec.stored && !spec.passing {
                spec.stored = true;
                step.record(Record::PutSpec(id, spec.group.clone()));
            }
        }
    }

    /// The same when taking over what is stored.
    pub fn refer_restored(&mut self, id: SpecId) {
        if let Some(spec) = self.by_id.get_mut(&id) {
            spec.groups += 1;
        }
    }

    /// A live group less refers to it.
    pub fn unrefer(&mut self, id: SpecId, step: &mut Step) {
        if let Some(spec) = self.by_id.get_mut(&id) {
            spec.groups -= 1;
        }
        self.collect(id, step);
    }

    /// Its owner will not use it again.
    pub fn release(&mut self, id: SpecId, step: &mut Step) {
        if let Some(spec) = self.by_id.get_mut(&id) {
            spec.holders = spec.holders.saturating_sub(1);
        }
        self.collect(id, step);
    }

    /// Removes it if nobody needs it.
    pub fn collect(&mut self, id: SpecId, step: &mut Step) {
        let Some(spec) = self.by_id.get(&id) else { return };
        if spec.holders > 0 || spec.groups > 0 {
            return;
        }
        if spec.stored {
            step.record(Record::DeleteSpec(id));
        }
        if !spec.passing {
            self.by_content.remove(&(content(&spec.group), id));
        }
        self.by_id.remove(&id);
    }

    fn find_or_add(&mut self, group: Arc<GroupSpec>, wanted: Option<SpecId>) -> SpecId {
        if let Some(id) = wanted
            && self.by_id.get(&id).is_some_and(|spec| spec.group == group)
        {
            return id;
        }
        let hash = content(&group);
        let same = self
            .by_content
            .range((hash, SpecId(0))..=(hash, SpecId(u64::MAX)))
            .map(|&(_, id)| id)
            .find(|id| self.by_id.get(id).is_some_and(|spec| spec.group == group));
        if let Some(id) = same {
            return id;
        }
        let id = match wanted {
            Some(id) if !self.by_id.contains_key(&id) && id.0 < FIRST_PASSING => id,
            _ => SpecId(self.next.max(1)),
        };
        self.add(id, group, false);
        id
    }

    fn add(&mut self, id: SpecId, group: Arc<GroupSpec>, stored: bool) {
        self.next = self.next.max(id.0.saturating_add(1));
        self.by_content.insert((content(&group), id));
        let demand = group.demand();
        let spec = Spec { group, demand, last: None, holders: 0, groups: 0, stored, passing: false };
        self.by_id.insert(id, spec);
    }
}

fn content(group: &GroupSpec) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    group.hash(&mut hasher);
    hasher.finish()
}
