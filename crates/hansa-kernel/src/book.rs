//! The book of what is free, and of the pool as a whole.
//!
//! A [`Cluster`] whose changes all pass through here, so that the totals that shares, limits and headroom are counted
//! from are always those of its machines. A machine may hold more than it has (an adopted group, a machine that came
//! back smaller): then what is free is clamped at zero, kind by kind, and is counted afresh whenever something ends.

use hansa_model::app::Constraint;
use hansa_model::event::AgentState;
use hansa_model::resources::NotEnough;
use hansa_model::role::Totals;
use hansa_model::{AgentId, Allocation, Demand, Resources};
use hansa_placement::{Cluster, Node};
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    cluster: Cluster,
    capacity: Totals,
    free: Totals,
    /// Machines on which something changed, if anybody watches.
    touched: BTreeSet<AgentId>,
    watched: bool,
}

impl Book {
    /// The machines.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// From now on it is known which machines change; all of them have.
    pub fn watch(&mut self) {
        if !std::mem::replace(&mut self.watched, true) {
            self.touched = self.cluster.nodes().map(|node| node.id.clone()).collect();
        }
    }

    /// Something about a machine changed that is not in this book.
    pub fn touch(&mut self, id: &AgentId) {
        if self.watched && !self.touched.contains(id) {
            self.touched.insert(id.clone());
        }
    }

    /// The machines that changed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<AgentId> {
        std::mem::take(&mut self.touched)
    }

    /// For the packing policy, which counts what arrives.
    pub fn observe(&mut self, demand: &Demand, constraints: &[Constraint]) {
        self.cluster.observe(demand, constraints);
    }

    /// What all machines have that are not durably out of reach.
    pub fn capacity(&self) -> Totals {
        self.capacity
    }

    /// What is free on all machines that take work.
    pub fn free(&self) -> Totals {
        self.free
    }

    /// Adds or replaces a machine.
    pub fn upsert(&mut self, node: Node) {
        let id = node.id.clone();
        self.changed(&id, |cluster| cluster.upsert(node));
    }

    /// Forgets a machine.
    pub fn remove(&mut self, id: &AgentId) {
        self.changed(id, |cluster| cluster.remove(id));
    }

    /// Whether it takes work.
    pub fn set_state(&mut self, id: &AgentId, state: AgentState) {
        if self.cluster.node(id).is_some_and(|node| node.state != state) {
            self.changed(id, |cluster| cluster.set_state(id, state));
        }
    }

    /// Takes from what is free there, all or nothing.
    pub fn take(&mut self, id: &AgentId, allocation: &Allocation) -> Result<(), NotEnough> {
        self.changed(id, |cluster| cluster.take(id, allocation))
    }

    /// Gives back what was taken, on a machine that does not hold more than it has.
    pub fn give_back(&mut self, id: &AgentId, allocation: &Allocation) {
        self.changed(id, |cluster| cluster.give_back(id, allocation));
    }

    /// Corrects what is free on a machine.
    pub fn set_free(&mut self, id: &AgentId, free: Resources) {
        if let Some(node) = self.cluster.node(id)
            && node.free != free
        {
            let node = Node { free, ..node.clone() };
            self.upsert(node);
        }
    }

    fn changed<T>(&mut self, id: &AgentId, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let before = counted(&self.cluster, id);
        let result = change(&mut self.cluster);
        let after = counted(&self.cluster, id);
        self.capacity = self.capacity.plus(after.0).minus(before.0);
        self.free = self.free.plus(after.1).minus(before.1);
        self.touch(id);
        result
    }
}

/// What one machine adds to capacity and to what is free.
pub(crate) fn counted(cluster: &Cluster, id: &AgentId) -> (Totals, Totals) {
    let Some(node) = cluster.node(id) else { return (Totals::default(), Totals::default()) };
    let capacity =
        if node.state == AgentState::Unreachable { Totals::default() } else { Totals::of(&node.total) };
    let free = if node.state == AgentState::Active { Totals::of(&node.free) } else { Totals::default() };
    (capacity, free)
}

/// What remains of `total` once all of `held` is taken, no kind below zero; and whether all of it was there.
pub(crate) fn what_remains<'a>(
    total: &Resources,
    held: impl Iterator<Item = &'a Allocation>,
) -> (Resources, bool) {
    let mut free = total.clone();
    let mut fits = true;
    for allocation in held {
        if free.take(allocation).is_ok() {
            continue;
        }
        fits = false;
        free.cpus_milli = free.cpus_milli.saturating_sub(allocation.cpus_milli);
        free.mem = free.mem.saturating_sub(allocation.mem);
        free.disk = free.disk.saturating_sub(allocation.disk);
        for &(device, milli) in &allocation.gpus {
            if let Some(left) = free.gpus.get_mut(usize::from(device)) {
                *left = left.saturating_sub(milli);
            }
        }
        for &port in &allocation.ports {
            free.ports.remove(port);
        }
    }
    (free, fits)
}

/// The scalar totals of an allocation.
pub(crate) fn totals(allocation: &Allocation) -> Totals {
    Totals {
        cpus_milli: allocation.cpus_milli,
        mem: allocation.mem,
        disk: allocation.disk,
        gpus_milli: allocation.gpus.iter().map(|&(_, milli)| u64::from(milli)).sum(),
    }
}
