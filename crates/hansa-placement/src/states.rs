//! Machines that are alike. Nothing about a machine enters its score but its class (what constraints can see of it, the
//! role it is reserved for) and what is free on it, so scores belong to **states**, of which a large cluster has few.
//!
//! Only active machines stand in a state. A state lives as long as a machine is in it; its number is then used again,
//! with another stamp. Whoever keeps lists of states follows the log of those that were made or got a new first machine.

use crate::cluster::Node;
use crate::rule::{Rule, is_host};
use hansa_model::RoleName;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tie number of machines on which nothing is in use.
pub(crate) const IDLE: u32 = u32::MAX;

/// The version of rooms that were never computed.
const NEVER: u64 = u64::MAX;

/// What all machines of one class have in common: the role they are reserved for and, field by field, the values that
/// constraints have asked for so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    reserved: Option<RoleName>,
    values: Vec<Option<Arc<str>>>,
}

/// All classes, and the fields that constraints have asked for, host names excepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    fields: Vec<String>,
    list: Vec<Class>,
    index: FxHashMap<Class, u32>,
}

impl Classes {
    /// From now on machines are told apart by these fields, too. True if any of them is new: then all classes have to be
    /// made anew.
    pub(crate) fn learn<'a>(&mut self, fields: impl Iterator<Item = &'a str>) -> bool {
        let known = self.fields.len();
        for field in fields.filter(|field| !is_host(field)) {
            if self.position(field).is_none() {
                self.fields.push(field.to_owned());
            }
        }
        self.fields.len() > known
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The class of a machine.
    pub(crate) fn of(&mut self, node: &Node) -> u32 {
        let values = self.fields.iter().map(|field| node.field(field)).collect();
        let class = Class { reserved: node.reserved.clone(), values };
        if let Some(&id) = self.index.get(&class) {
            return id;
        }
        let id = u32::try_from(self.list.len()).expect("fewer than 2^32 classes");
        self.list.push(class.clone());
        self.index.insert(class, id);
        id
    }

    /// The role that machines of the class are reserved for.
    pub(crate) fn reserved(&self, class: u32) -> Option<&RoleName> {
        self.list[class as usize].reserved.as_ref()
    }

    /// The value of a known field.
    pub(crate) fn value(&self, class: u32, field: &str) -> Option<&str> {
        self.list[class as usize].values.get(self.position(field)?)?.as_deref()
    }

    /// How many different values a known field has.
    pub(crate) fn distinct(&self, field: &str) -> usize {
        let at = self.position(field);
        let values = self.list.iter().filter_map(|class| class.values.get(at?)?.as_deref());
        values.collect::<BTreeSet<_>>().len()
    }

    /// Whether a fixed rule about a known field allows the class.
    pub(crate) fn allows(&self, class: u32, rule: &Rule) -> bool {
        rule.allows(self.value(class, &rule.constraint.field), None)
    }

    #[cfg(test)]
    pub(crate) fn text(&self, class: u32) -> String {
        format!("{:?} {:?}", self.fields, self.list[class as usize])
    }

    fn position(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|known| known == field)
    }
}

/// What the machines of one state have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateKey {
    pub(crate) class: u32,
    /// Breaks ties between equal scores; less is better.
    pub(crate) tie: u32,
    pub(crate) cpus: u64,
    pub(crate) mem: u64,
    pub(crate) disk: u64,
    pub(crate) ports: u32,
    /// Free thousandths of each device, ascending.
    pub(crate) gpus: Box<[u16]>,
}

/// A state and the machines in it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) key: StateKey,
    /// Tells this state from others that had its number. 0: nobody lives here.
    pub(crate) stamp: u64,
    /// (label, slot) of its machines.
    pub(crate) nodes: BTreeSet<(u64, u32)>,
    /// Room for each kind on one such machine, as of `fills_version` of the prices.
    pub(crate) fills: Vec<f64>,
    /// What its GPUs are worth for each GPU demand of the mix, as of the same version.
    pub(crate) worths: Vec<u32>,
    pub(crate) fills_version: u64,
}

impl State {
    /// The label of the first machine.
    pub(crate) fn first(&self) -> Option<(u64, u32)> {
        self.nodes.first().copied()
    }
}

/// All states.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    pub(crate) slab: Vec<State>,
    vacant: Vec<u32>,
    index: FxHashMap<StateKey, u32>,
    log: Vec<(u32, u64)>,
    forgotten: u64,
    next_stamp: u64,
}

impl States {
    /// Puts a machine into the state with this key.
    pub(crate) fn enter(&mut self, key: StateKey, node: (u64, u32)) -> u32 {
        if let Some(&id) = self.index.get(&key) {
            let state = &mut self.slab[id as usize];
            let new_first = state.first().is_none_or(|first| node < first);
            state.nodes.insert(node);
            if new_first {
                let stamp = state.stamp;
                self.record(id, stamp);
            }
            return id;
        }
        self.next_stamp += 1;
        let id = match self.vacant.pop() {
            Some(id) => {
                let state = &mut self.slab[id as usize];
                state.key = key.clone();
                state.stamp = self.next_stamp;
                state.nodes.insert(node);
                state.fills_version = NEVER;
                id
            }
            None => {
                self.slab.push(State {
                    key: key.clone(),
                    stamp: self.next_stamp,
                    nodes: BTreeSet::from([node]),
                    fills: Vec::new(),
                    worths: Vec::new(),
                    fills_version: NEVER,
                });
                u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 states")
            }
        };
        self.index.insert(key, id);
        self.record(id, self.next_stamp);
        id
    }

    /// Takes a machine out of its state.
    pub(crate) fn leave(&mut self, id: u32, node: (u64, u32)) {
        let state = &mut self.slab[id as usize];
        let was_there = state.nodes.remove(&node);
        debug_assert!(was_there, "a machine is in the state that it says");
        if state.nodes.is_empty() {
            state.stamp = 0;
            self.index.remove(&state.key);
            self.vacant.push(id);
        }
    }

    /// The states that were made or got a new first machine since `cursor`; None if that is too long ago to know.
    pub(crate) fn news(&self, cursor: u64) -> Option<&[(u32, u64)]> {
        let from = cursor.checked_sub(self.forgotten)?;
        self.log.get(usize::try_from(from).ok()?..)
    }

    /// Where the log ends.
    pub(crate) fn cursor(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    fn record(&mut self, id: u32, stamp: u64) {
        if self.log.len() > 4096 + 4 * self.slab.len() {
            let half = self.log.len() / 2;
            self.log.drain(..half);
            self.forgotten += half as u64;
        }
        self.log.push((id, stamp));
    }
}
