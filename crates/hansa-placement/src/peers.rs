//! Where an app's other instances are, counted by the fields that its constraints name.

use crate::cluster::Node;
use hansa_model::app::Constraint;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For each constraint's field, how many instances stand on machines with each value. Kept by the scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    counts: BTreeMap<String, BTreeMap<Arc<str>, u32>>,
}

impl Peers {
    /// No instances yet; counts the fields that these constraints name.
    pub fn new(constraints: &[Constraint]) -> Self {
        Self {
            counts: constraints
                .iter()
                .map(|constraint| (constraint.field.clone(), BTreeMap::new()))
                .collect(),
        }
    }

    /// An instance stands on this machine.
    pub fn add(&mut self, node: &Node) {
        for (field, counts) in &mut self.counts {
            if let Some(value) = node.field(field) {
                *counts.entry(value).or_default() += 1;
            }
        }
    }

    /// An instance that was added is gone from this machine.
    pub fn remove(&mut self, node: &Node) {
        for (field, counts) in &mut self.counts {
            if let Some(value) = node.field(field)
                && let Some(count) = counts.get_mut(&value)
            {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&value);
                }
            }
        }
    }

    /// How many instances stand on machines with each value of the field.
    pub fn counts(&self, field: &str) -> Option<&BTreeMap<Arc<str>, u32>> {
        self.counts.get(field)
    }
}
