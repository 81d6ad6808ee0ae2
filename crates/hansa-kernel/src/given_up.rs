//! Groups that were given up while their machine was out of reach, and are killed if it returns.
//!
//! Once the machine is back, what such a group still holds counts there until it has ended, so that nothing is put on
//! top of it.
//!
//! A machine may never return. What was given up there is forgotten after [`KEPT_MS`]: should the machine come back later
//! than that, with the group still running, the group is one that nobody knows, and lives on as such.

use crate::frameworks::Held;
use crate::record::GivenUpRecord;
use hansa_model::{AgentId, InstanceId, TaskId, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// So long it is remembered that a group was given up on a machine that is not there: two weeks.
pub(crate) const KEPT_MS: u64 = 14 * 86_400_000;

/// One such group.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// As it is stored.
    pub record: GivenUpRecord,
    /// Tasks that are not known to have ended.
    pub open: Vec<TaskId>,
    /// What it holds on its machine, once that has reported it.
    pub held: Option<Held>,
    /// When its kill is sent again.
    pub again_at: Option<Timestamp>,
    /// When it is forgotten, if its machine is not there then.
    pub forget_at: Timestamp,
}

impl GivenUp {
    /// Nothing is known yet of what it holds.
    pub fn new(record: GivenUpRecord) -> Self {
        let forget_at = record.at.unwrap_or_default() + KEPT_MS;
        Self { open: record.tasks.clone(), record, held: None, again_at: None, forget_at }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct GivenUps {
    by_number: BTreeMap<u64, GivenUp>,
    by_group: FxHashMap<(AgentId, InstanceId), u64>,
}

impl GivenUps {
    /// One.
    pub fn get(&self, number: u64) -> Option<&GivenUp> {
        self.by_number.get(&number)
    }

    /// One, to change.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut GivenUp> {
        self.by_number.get_mut(&number)
    }

    /// The number of a group on a machine.
    pub fn number_of(&self, agent: &AgentId, instance: &InstanceId) -> Option<u64> {
        self.by_group.get(&(agent.clone(), instance.clone())).copied()
    }

    /// Adds one, of a name that the machine has none of.
    pub fn insert(&mut self, number: u64, entry: GivenUp) {
        self.by_group.insert((entry.record.agent.clone(), entry.record.instance.clone()), number);
        self.by_number.insert(number, entry);
    }

    /// Removes one.
    pub fn remove(&mut self, number: u64) -> Option<GivenUp> {
        let entry = self.by_number.remove(&number)?;
        self.by_group.remove(&(entry.record.agent.clone(), entry.record.instance.clone()));
        Some(entry)
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &GivenUp)> {
        self.by_number.iter().map(|(&number, entry)| (number, entry))
    }

    /// Numbers of entries: by number, by group.
    pub fn sizes(&self) -> (usize, usize) {
        (self.by_number.len(), self.by_group.len())
    }
}
