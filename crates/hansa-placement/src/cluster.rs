//! The book of machines, and the question "where does this go?".

use crate::engine::{Engine, Seat, exact_ports};
use crate::explain::explain;
use crate::peers::Peers;
use crate::policy::Policy;
use crate::prices::tie;
use hansa_model::app::Constraint;
use hansa_model::event::AgentState;
use hansa_model::explain::Explanation;
use hansa_model::resources::{NotEnough, PortDemand};
use hansa_model::{AgentId, Allocation, Demand, Resources, RoleName};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
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
    /// Roles whose machines may be used, `*` for unreserved ones; None: only unreserved ones.
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

/// All machines. Ordered by agent id wherever it is iterated. A clone chooses as the original does, and is of its own:
/// things can be tried out on it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Machines by slot; a slot is used again when its machine was removed.
    seats: Vec<Option<Seat>>,
    vacant: Vec<u32>,
    slots: FxHashMap<AgentId, u32>,
    order: BTreeMap<AgentId, u32>,
    generation: u64,
    engine: RefCell<Engine>,
}

impl Cluster {
    /// No machines.
    pub fn new() -> Self {
        Self::default()
    }

    /// No machines, and another policy than the default.
    pub fn with_policy(policy: Policy) -> Self {
        Self { engine: RefCell::new(Engine::new(policy)), ..Self::default() }
    }

    /// Adds a machine, or replaces what is known of it (`free` included).
    pub fn upsert(&mut self, node: Node) {
        let old = self.slots.get(&node.id).copied();
        let same = old.is_some_and(|slot| self.seat(slot).is_some_and(|seat| seat.node == node));
        if same {
            return;
        }
        if node.state == AgentState::Active {
            self.generation += 1;
        }
        let ports = port_count(&node.free);
        let slot = match old {
            Some(slot) => {
                if let Some(seat) = self.seats[slot as usize].as_mut() {
                    self.engine.get_mut().leave(slot, &seat.node);
                    seat.node = node;
                    seat.ports = ports;
                }
                slot
            }
            None => self.insert(node, ports),
        };
        if let Some(seat) = &self.seats[slot as usize] {
            self.engine.get_mut().arrive(slot, seat);
        }
        if self.engine.get_mut().is_cluttered() {
            self.engine.get_mut().rebuild(&self.seats);
        }
    }

    /// Forgets a machine.
    pub fn remove(&mut self, id: &AgentId) -> Option<Node> {
        let slot = self.slots.remove(id)?;
        self.order.remove(id);
        let seat = self.seats[slot as usize].take()?;
        self.vacant.push(slot);
        self.engine.get_mut().leave(slot, &seat.node);
        Some(seat.node)
    }

    /// Whether it takes work.
    pub fn set_state(&mut self, id: &AgentId, state: AgentState) {
        let Some(&slot) = self.slots.get(id) else { return };
        let Some(seat) = self.seats[slot as usize].as_mut() else { return };
        if seat.node.state == state {
            return;
        }
        if state == AgentState::Active {
            self.generation += 1;
        }
        let engine = self.engine.get_mut();
        engine.leave(slot, &seat.node);
        seat.node.state = state;
        engine.arrive(slot, seat);
    }

    /// One machine.
    pub fn node(&self, id: &AgentId) -> Option<&Node> {
        self.slots.get(id).and_then(|&slot| self.seat(slot)).map(|seat| &seat.node)
    }

    /// All machines, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.values().filter_map(|&slot| self.seat(slot)).map(|seat| &seat.node)
    }

    /// How many machines there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no machine.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes from what is free there, all or nothing. A machine that is not known has nothing to take from: nothing
    /// happens.
    pub fn take(&mut self, id: &AgentId, allocation: &Allocation) -> Result<(), NotEnough> {
        let Some(&slot) = self.slots.get(id) else { return Ok(()) };
        let Some(seat) = self.seats[slot as usize].as_mut() else { return Ok(()) };
        seat.node.free.take(allocation)?;
        if !allocation.ports.is_empty() {
            seat.ports = port_count(&seat.node.free);
        }
        self.engine.get_mut().moved(slot, seat);
        Ok(())
    }

    /// Gives back what was taken. Devices that the machine no longer has are passed over.
    pub fn give_back(&mut self, id: &AgentId, allocation: &Allocation) {
        let Some(&slot) = self.slots.get(id) else { return };
        let Some(seat) = self.seats[slot as usize].as_mut() else { return };
        let devices = seat.node.free.gpus.len();
        if allocation.gpus.iter().all(|&(device, _)| usize::from(device) < devices) {
            seat.node.free.give_back(allocation);
        } else {
            let mut rest = allocation.clone();
            rest.gpus.retain(|&(device, _)| usize::from(device) < devices);
            seat.node.free.give_back(&rest);
        }
        if !allocation.ports.is_empty() {
            seat.ports = port_count(&seat.node.free);
        }
        if seat.node.state == AgentState::Active {
            self.generation += 1;
        }
        self.engine.get_mut().moved(slot, seat);
    }

    /// Rises whenever something happened that may let a waiting task fit: an active machine came or changed, one became
    /// active, or something was given back on one. A request that found no place need not be tried again at the same
    /// generation, unless its own peers went away.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts the arrival of one task of this shape, for the mix that the packing policy expects.
    pub fn observe(&mut self, demand: &Demand, constraints: &[Constraint]) {
        self.engine.get_mut().observe(&self.seats, demand, constraints);
    }

    /// In which order idle machines are offered to others, so that they pack well: the fullest first (to 1/64), those on
    /// which nothing is in use last.
    pub fn rank(&self, id: &AgentId) -> u32 {
        let seat = self.slots.get(id).and_then(|&slot| self.seat(slot));
        seat.map_or(u32::MAX, |seat| tie(&Policy::default(), &seat.node.total, &seat.node.free, seat.ports))
    }

    /// The best place, if there is any. Asking again gets the same answer until machines or the mix change. Where there
    /// are very many kinds and states, prices of all places are not looked at anew for every question (see
    /// [`Policy::effort`]); "no place" is always the answer of all machines.
    pub fn place(&self, request: &Request<'_>) -> Option<Choice> {
        let (slot, device) = self.engine.borrow_mut().find(&self.seats, request)?;
        let node = &self.seat(slot)?.node;
        let allocation = allocate(&node.free, request.demand, device);
        Some(Choice { agent: node.id.clone(), allocation })
    }

    /// A whole pass over all machines, with every obstacle in numbers.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let choice = self.place(request).map(|choice| choice.agent);
        let rules: Vec<_> = {
            let mut engine = self.engine.borrow_mut();
            request.constraints.iter().map(|constraint| engine.rules.get(constraint)).collect()
        };
        explain(self.nodes(), request, &rules, choice)
    }

    fn seat(&self, slot: u32) -> Option<&Seat> {
        self.seats.get(slot as usize).and_then(Option::as_ref)
    }

    /// Gives a new machine its slot and its place in the order.
    fn insert(&mut self, node: Node, ports: u32) -> u32 {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(None);
            u32::try_from(self.seats.len() - 1).expect("fewer than 2^32 machines")
        });
        let id = node.id.clone();
        self.order.insert(id.clone(), slot);
        self.slots.insert(id.clone(), slot);
        let label = self.label(&id);
        self.seats[slot as usize] = Some(Seat { node, ports, label: label.unwrap_or(0) });
        if label.is_none() {
            self.label_anew();
        }
        slot
    }

    /// A label between those of the neighbours; None if there is no number left between them.
    fn label(&self, id: &AgentId) -> Option<u64> {
        use std::ops::Bound::{Excluded, Unbounded};
        let label = |(_, &slot): (&AgentId, &u32)| self.seat(slot).map(|seat| seat.label);
        let before = self.order.range::<AgentId, _>((Unbounded, Excluded(id))).next_back().and_then(label);
        let after = self.order.range::<AgentId, _>((Excluded(id), Unbounded)).next().and_then(label);
        match (before, after) {
            (before, None) => before.unwrap_or(0).checked_add(LABEL_GAP),
            (before, Some(after)) => {
                let before = before.unwrap_or(0);
                let middle = before + (after - before) / 2;
                (middle > before).then_some(middle)
            }
        }
    }

    fn label_anew(&mut self) {
        let mut label = 0;
        for &slot in self.order.values() {
            label += LABEL_GAP;
            if let Some(seat) = self.seats[slot as usize].as_mut() {
                seat.label = label;
            }
        }
        self.engine.get_mut().rebuild(&self.seats);
    }
}

/// Room for labels between two machines: 32 insertions between them at worst, and four milliard machines.
const LABEL_GAP: u64 = 1 << 32;

fn port_count(resources: &Resources) -> u32 {
    resources.ports.ranges().iter().map(|&(low, high)| u32::from(high - low) + 1).sum()
}

/// What answers `demand` on a machine where it fits: a GPU share from the first device with `device` thousandths free,
/// several devices from the fullest that have room, the lowest ports.
fn allocate(free: &Resources, demand: &Demand, device: u16) -> Allocation {
    let mut gpus: Vec<(u16, u16)> = Vec::new();
    if demand.gpus.count > 0 {
        let devices = (0_u16..).zip(&free.gpus);
        let mut fitting: Vec<(u16, u16)> = match demand.gpus.count {
            1 => devices.filter(|&(_, &free)| free == device).map(|(at, &free)| (free, at)).take(1).collect(),
            _ => devices
                .filter(|&(_, &free)| free >= demand.gpus.milli)
                .map(|(at, &free)| (free, at))
                .collect(),
        };
        fitting.sort_unstable();
        fitting.truncate(usize::from(demand.gpus.count));
        gpus = fitting.into_iter().map(|(_, at)| (at, demand.gpus.milli)).collect();
        gpus.sort_unstable();
    }
    let mut ports = Vec::new();
    if !demand.ports.is_empty() {
        let exact = exact_ports(demand);
        let mut any = free.ports.iter().filter(|port| !exact.contains(port));
        ports = demand
            .ports
            .iter()
            .filter_map(|asked| match asked {
                PortDemand::Exact(port) => Some(*port),
                PortDemand::Any => any.next(),
            })
            .collect();
    }
    Allocation { cpus_milli: demand.cpus_milli, mem: demand.mem, disk: demand.disk, gpus, ports }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::app::Operator;
    use hansa_model::resources::GpuDemand;

    fn node(at: u64) -> Node {
        let total: Resources = format!("cpus:{};mem:{};gpus:{}", 4 + at % 3 * 4, 8192 << (at % 2), at % 4)
            .parse()
            .expect("resources");
        Node {
            id: AgentId::from(format!("agent-{at}")),
            hostname: format!("host{at}").into(),
            region: None,
            zone: None,
            attributes: [("rack".to_owned(), format!("r{}", at % 4).into())].into(),
            state: if at.is_multiple_of(7) { AgentState::Draining } else { AgentState::Active },
            reserved: at.is_multiple_of(5).then(|| RoleName::from("public")),
            free: total.clone(),
            total,
        }
    }

    fn demands() -> Vec<Demand> {
        let of = |cpus_milli, gpu| Demand {
            cpus_milli,
            mem: cpus_milli << 20,
            gpus: GpuDemand { count: u16::from(gpu > 0), milli: gpu },
            ..Demand::default()
        };
        vec![of(300, 0), of(700, 0), of(1100, 500), of(1500, 1000), of(2300, 0), of(400, 300)]
    }

    /// A life of a cluster; some of the fields that constraints ask for become known only in its course.
    fn live() -> Cluster {
        let mut cluster =
            Cluster::with_policy(Policy { renewal_at_least: 7, effort: 4, ..Policy::default() });
        (0..40).for_each(|at| cluster.upsert(node(at)));
        let rack =
            [Constraint { field: "rack".into(), operator: Operator::Unlike, value: Some("r1".into()) }];
        let mut placed = Vec::new();
        for step in 0..400_u64 {
            let demand = &demands()[(step * step % 6) as usize];
            let constraints: &[Constraint] = if step > 100 && step.is_multiple_of(3) { &rack } else { &[] };
            cluster.observe(demand, constraints);
            if let Some(choice) = ask(&cluster, demand, constraints) {
                cluster.take(&choice.agent, &choice.allocation).expect("it fits");
                placed.push(choice);
            }
            if step.is_multiple_of(2) && step > 50 && !placed.is_empty() {
                let gone = placed.swap_remove((step * 31) as usize % placed.len());
                cluster.give_back(&gone.agent, &gone.allocation);
            }
            if step.is_multiple_of(50) {
                let id = AgentId::from(format!("agent-{}", step / 10));
                placed.retain(|choice| choice.agent != id);
                cluster.remove(&id);
                cluster.upsert(node(step + 100));
            }
        }
        cluster
    }

    fn ask(cluster: &Cluster, demand: &Demand, constraints: &[Constraint]) -> Option<Choice> {
        let (peers, role) = (Peers::default(), RoleName::any());
        cluster.place(&Request { demand, constraints, peers: &peers, role: &role, accepted_roles: None })
    }

    #[test]
    fn what_is_kept_up_to_date_equals_what_is_made_anew() {
        let mut cluster = live();
        let before = cluster.engine.borrow().snapshot();
        assert!(before.len() > 20, "a life that leaves some states behind");
        cluster.engine.get_mut().rebuild(&cluster.seats);
        assert_eq!(cluster.engine.borrow().snapshot(), before);

        // The same choices as a cluster that was never asked anything, at the same prices.
        let mut kept = live();
        kept.engine.get_mut().renew();
        cluster.engine.get_mut().renew();
        for demand in demands() {
            let choice = ask(&kept, &demand, &[]);
            assert_eq!(choice, ask(&cluster, &demand, &[]), "{demand:?}");
            assert_eq!(choice, ask(&kept, &demand, &[]), "asked twice");
        }
    }

    #[test]
    fn totals_follow_the_active_machines() {
        let cluster = live();
        let mut expected = hansa_model::role::Totals::default();
        for node in cluster.nodes().filter(|node| node.state == AgentState::Active) {
            expected = expected.plus(hansa_model::role::Totals::of(&node.total));
        }
        assert_eq!(cluster.engine.borrow().total, expected);
    }
}
