//! Where an app's other instances are, counted by the fields that its constraints name.

use crate::cluster::Node;
use hansa_model::app::Constraint;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For each constraint's field, how many instances stand on machines with each value. Kept by the scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    fields: BTreeMap<String, FieldCounts>,
}

/// The counts of one field, readable in the three ways that constraints ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldCounts {
    /// In order, for readers outside.
    by_value: BTreeMap<Arc<str>, u32>,
    /// The same for the many lookups of a placement.
    lookup: FxHashMap<Arc<str>, u32>,
    /// How many values have each count.
    by_count: BTreeMap<u32, u32>,
}

impl FieldCounts {
    /// Instances on machines with this value.
    pub(crate) fn count(&self, value: &str) -> u32 {
        self.lookup.get(value).copied().unwrap_or(0)
    }

    /// The smallest count among values that have any instance; 0 if none has.
    pub(crate) fn smallest(&self) -> u32 {
        self.by_count.first_key_value().map_or(0, |(&count, _)| count)
    }

    /// How many values have instances.
    pub(crate) fn distinct(&self) -> usize {
        self.by_value.len()
    }

    /// The value with most instances, the first in order between equals.
    pub(crate) fn most_common(&self) -> Option<&Arc<str>> {
        let mut best: Option<(&Arc<str>, u32)> = None;
        for (value, &count) in &self.by_value {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((value, count));
            }
        }
        best.map(|(value, _)| value)
    }

    fn set(&mut self, value: Arc<str>, from: u32, to: u32) {
        if from > 0
            && let Some(values) = self.by_count.get_mut(&from)
        {
            *values -= 1;
            if *values == 0 {
                self.by_count.remove(&from);
            }
        }
        if to > 0 {
            *self.by_count.entry(to).or_default() += 1;
            self.lookup.insert(value.clone(), to);
            self.by_value.insert(value, to);
        } else {
            self.lookup.remove(&value);
            self.by_value.remove(&value);
        }
    }
}

impl Peers {
    /// No instances yet; counts the fields that these constraints name.
    pub fn new(constraints: &[Constraint]) -> Self {
        Self {
            fields: constraints
                .iter()
                .map(|constraint| (constraint.field.clone(), FieldCounts::default()))
                .collect(),
        }
    }

    /// An instance stands on this machine.
    pub fn add(&mut self, node: &Node) {
        for (field, counts) in &mut self.fields {
            if let Some(value) = node.field(field) {
                let count = counts.count(&value);
                counts.set(value, count, count + 1);
            }
        }
    }

    /// An instance that was added is gone from this machine.
    pub fn remove(&mut self, node: &Node) {
        for (field, counts) in &mut self.fields {
            if let Some(value) = node.field(field) {
                let count = counts.count(&value);
                if count > 0 {
                    counts.set(value, count, count - 1);
                }
            }
        }
    }

    /// How many instances stand on machines with each value of the field.
    pub fn counts(&self, field: &str) -> Option<&BTreeMap<Arc<str>, u32>> {
        self.fields.get(field).map(|counts| &counts.by_value)
    }

    pub(crate) fn field(&self, field: &str) -> Option<&FieldCounts> {
        self.fields.get(field)
    }
}
