//! Machines, roles, offers and time around an allocator, and the invariants of all of them together.

use crate::allocator::{Allocator, Idle, Outstanding, Proposal, Taker};
use crate::roles::{KINDS, ROOT, Roles, View, bounds, numbers};
use hansa_model::framework::{Amount, Part, Reservation, parts};
use hansa_model::resources::MIB;
use hansa_model::role::{Bound, Role, Totals};
use hansa_model::{AgentId, Allocation, Demand, FrameworkId, OfferId, Owner, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub total: Vec<Part>,
    /// Neither offered nor in use.
    pub idle: Vec<Part>,
    /// Taken by claims.
    pub claimed: Amount,
    pub attributes: BTreeMap<String, String>,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub has_gpus: bool,
    pub inactive: bool,
}

impl Machine {
    pub fn idle_now<'a>(&'a self, id: &'a AgentId) -> Idle<'a> {
        let mut parts = self.idle.clone();
        // As the kernel tells it.
        parts.sort_by_key(|part| !part.is_open());
        Idle {
            parts,
            attributes: &self.attributes,
            hostname: id.as_str(),
            region: self.region.as_deref(),
            zone: self.zone.as_deref(),
            has_gpus: self.has_gpus,
            rank: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub offer: Proposal,
    pub made_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub framework: FrameworkId,
    pub role: RoleName,
    pub agent: AgentId,
    pub parts: Vec<Part>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub now: Timestamp,
    pub allocator: Allocator,
    pub roles: Roles,
    pub machines: BTreeMap<AgentId, Machine>,
    pub offers: BTreeMap<OfferId, Held>,
    pub tasks: Vec<Task>,
    last: u64,
}

pub(super) fn amount(cpus_milli: u64, mem_mib: u64) -> Amount {
    Amount { cpus_milli, mem: mem_mib * MIB, ..Amount::default() }
}

pub(super) fn kept(role: &str, amount: Amount) -> Part {
    let reservation = Reservation { role: role.into(), principal: None, labels: vec![], fixed: false };
    Part { reservations: vec![reservation], amount, ..Part::default() }
}

pub(super) fn cpus(milli: u64) -> Bound {
    Bound { cpus_milli: Some(milli), ..Bound::default() }
}

impl World {
    pub fn new() -> Self {
        Self { now: Timestamp(1_000_000), ..Self::default() }
    }

    pub fn machine(&mut self, id: &str, total: Vec<Part>) -> &mut Machine {
        for part in &total {
            if let Some(role) = part.role() {
                self.roles.reserve(role, part.amount.totals());
            }
        }
        let id = AgentId::from(id);
        let machine = Machine { idle: total.clone(), total, ..Machine::default() };
        self.machines.insert(id.clone(), machine);
        self.allocator.machine_changed(&id);
        self.machines.get_mut(&id).expect("it was just put there")
    }

    /// Machines of 4 CPUs and 4 GiB.
    pub fn machines(&mut self, names: &str) {
        for name in names.split_whitespace() {
            self.machine(name, vec![Part::unreserved(amount(4000, 4096))]);
        }
    }

    pub fn taker(roles: &str) -> Taker {
        Taker { roles: roles.split_whitespace().map(RoleName::from).collect(), ..Taker::default() }
    }

    pub fn join(&mut self, id: &str, roles: &str) {
        self.allocator.put(&id.into(), Self::taker(roles));
    }

    pub fn role(&mut self, name: &str, weight_milli: u64, guarantee: Bound, limit: Bound) {
        self.roles.set(Role { name: name.into(), weight_milli, guarantee, limit });
        self.allocator.roles_changed();
    }

    pub fn capacity(&self) -> Totals {
        let parts = self.machines.values().flat_map(|machine| &machine.total);
        parts.map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus)
    }

    /// Free, unreserved, offered or not.
    pub fn free(&self) -> Totals {
        let active = self.machines.iter().filter(|(_, machine)| !machine.inactive);
        let mut free = Totals::default();
        for (id, machine) in active {
            let offered = self.offers.values().filter(|held| held.offer.agent == *id);
            let all = machine.idle.iter().chain(offered.flat_map(|held| &held.offer.parts));
            let plain = all.filter(|part| part.role().is_none());
            free = plain.map(|part| part.amount.totals()).fold(free, Totals::plus);
        }
        free
    }

    /// A cycle; what was proposed is offered. One line for each: framework, role, machine,
    /// thousandths of CPUs and MiB of each part.
    pub fn propose(&mut self) -> Vec<String> {
        let (now, capacity, free) = (self.now, self.capacity(), self.free());
        let before = self.short_of_headroom();
        let Self { allocator, roles, machines, .. } = self;
        let proposals = allocator.propose(now, roles, capacity, free, |id| idle_on(machines, id));
        let mut lines = Vec::new();
        for offer in proposals {
            lines.push(line(&offer));
            let machine = self.machines.get_mut(&offer.agent).expect("a machine that is known is offered");
            parts::take(&mut machine.idle, &offer.parts).expect("what is offered was idle");
            self.last += 1;
            let id = OfferId::from(format!("O{:05}", self.last));
            self.offers.insert(id, Held { offer, made_at: self.now });
        }
        self.check();
        for (before, after) in before.into_iter().zip(self.short_of_headroom()) {
            assert!(after <= before, "what is guaranteed to others was offered: {after}, before {before}");
        }
        lines
    }

    /// How much of each kind is guaranteed, not had yet, and not idle.
    fn short_of_headroom(&self) -> [u64; 4] {
        let tree = self.roles.tree();
        let kept = tree.kept(View::Offers);
        let idle = numbers(self.free().minus(tree.node(ROOT).whole.offered_plain));
        std::array::from_fn(|kind| kept[kind].saturating_sub(idle[kind]))
    }

    pub fn pass(&mut self, ms: u64) -> Vec<String> {
        self.now = self.now + ms;
        self.propose()
    }

    /// Takes back what has to be, and then proposes.
    pub fn rescind(&mut self) -> Vec<String> {
        let (now, capacity, free) = (self.now, self.capacity(), self.free());
        let Self { allocator, roles, machines, offers, .. } = self;
        let all = || {
            let all = offers.iter().map(|(id, held)| Outstanding {
                id,
                framework: &held.offer.framework,
                role: &held.offer.role,
                agent: &held.offer.agent,
                parts: &held.offer.parts,
                made_at: held.made_at,
            });
            all.collect()
        };
        let back = allocator.to_rescind(now, roles, capacity, free, all, |id| idle_on(machines, id));
        let mut lines = Vec::new();
        for id in back {
            let offer = self.end(&id);
            lines.push(format!("rescind {}", line(&offer)));
        }
        lines.extend(self.propose());
        lines
    }

    /// The offer ends; what it had is idle.
    pub fn end(&mut self, id: &OfferId) -> Proposal {
        let held = self.offers.remove(id).expect("the offer holds");
        let offer = held.offer;
        let totals = parts::sum(&offer.parts).totals();
        self.allocator.unbook(&offer.framework, &offer.role, totals);
        self.roles.unoffer(&offer.role, &offer.parts);
        let machine = self.machines.get_mut(&offer.agent).expect("known");
        parts::give(&mut machine.idle, &offer.parts);
        self.allocator.machine_changed(&offer.agent);
        offer
    }

    pub fn held_by(&self, framework: &str) -> Vec<OfferId> {
        let held = self.offers.iter().filter(|(_, held)| held.offer.framework.as_str() == framework);
        held.map(|(id, _)| id.clone()).collect()
    }

    /// Everything that the framework holds is given back.
    pub fn decline(&mut self, framework: &str, refuse_ms: u64) {
        for id in self.held_by(framework) {
            self.decline_one(&id, refuse_ms);
        }
    }

    pub fn decline_one(&mut self, id: &OfferId, refuse_ms: u64) {
        let offer = self.end(id);
        let now = self.now;
        self.allocator.refuse(now, &offer.framework, &offer.role, &offer.agent, offer.parts, refuse_ms);
    }

    /// Takes up to so much of the unreserved part of each offer that the framework holds; the rest is given back.
    pub fn accept(&mut self, framework: &str, most: &Amount, refuse_ms: u64) -> u64 {
        let mut taken = 0;
        for id in self.held_by(framework) {
            let offer = self.offers[&id].offer.clone();
            let Some(plain) = offer.parts.iter().find(|part| part.role().is_none()) else { continue };
            let amount = Amount {
                cpus_milli: plain.amount.cpus_milli.min(most.cpus_milli),
                mem: plain.amount.mem.min(most.mem),
                ..Amount::default()
            };
            let mut rest = self.end(&id).parts;
            let used = vec![Part::unreserved(amount.clone())];
            parts::take(&mut rest, &used).expect("it was offered");
            taken += amount.cpus_milli;
            self.run(&offer, used);
            let (now, agent) = (self.now, &offer.agent);
            self.allocator.refuse_rest(now, &offer.framework, &offer.role, agent, rest, refuse_ms);
        }
        taken
    }

    fn run(&mut self, offer: &Proposal, used: Vec<Part>) {
        let machine = self.machines.get_mut(&offer.agent).expect("known");
        parts::take(&mut machine.idle, &used).expect("idle");
        self.allocator.book(&offer.framework, &offer.role, parts::sum(&used).totals());
        self.roles.add_parts(&offer.role, &used);
        self.tasks.push(Task {
            framework: offer.framework.clone(),
            role: offer.role.clone(),
            agent: offer.agent.clone(),
            parts: used,
        });
    }

    pub fn finish(&mut self, at: usize) {
        let task = self.tasks.remove(at);
        self.allocator.unbook(&task.framework, &task.role, parts::sum(&task.parts).totals());
        self.roles.subtract_parts(&task.role, &task.parts);
        let machine = self.machines.get_mut(&task.agent).expect("known");
        parts::give(&mut machine.idle, &task.parts);
        self.allocator.machine_changed(&task.agent);
    }

    /// A claim takes this much of what is idle.
    pub fn claim(&mut self, role: &str, agent: &str, amount: Amount) {
        let machine = self.machines.get_mut(agent).expect("known");
        parts::take(&mut machine.idle, &[Part::unreserved(amount.clone())]).expect("idle");
        machine.claimed.add(&amount);
        self.roles.add(&role.into(), &allocation(&amount));
    }

    pub fn unclaim(&mut self, role: &str, agent: &str, amount: Amount) {
        let machine = self.machines.get_mut(agent).expect("known");
        parts::give(&mut machine.idle, &[Part::unreserved(amount.clone())]);
        machine.claimed.take(&amount).expect("claimed");
        self.roles.subtract(&role.into(), &allocation(&amount));
        self.allocator.machine_changed(&agent.into());
    }

    pub fn demand(&mut self, role: &str, amount: &Amount, count: u32) {
        let shape = Demand { cpus_milli: amount.cpus_milli, mem: amount.mem, ..Demand::default() };
        self.roles.set_demand(&Owner::services(), &role.into(), shape, count);
    }

    pub fn cpus_of(&self, framework: &str) -> u64 {
        let tasks = self.tasks.iter().filter(|task| task.framework.as_str() == framework);
        tasks.map(|task| parts::sum(&task.parts).cpus_milli).sum()
    }

    pub fn words(&self, framework: &str, role: &str) -> String {
        let (now, capacity, free) = (self.now, self.capacity(), self.free());
        let machine = |id: &AgentId| idle_on(&self.machines, id);
        let explanation =
            self.allocator.explain(&framework.into(), now, &self.roles, capacity, free, machine);
        let standing =
            explanation.expect("known").roles.into_iter().find(|standing| standing.role.as_str() == role);
        standing.expect("it is in the role").words
    }

    /// What must always hold.
    pub fn check(&self) {
        let tree = self.roles.tree();
        let over: BTreeSet<_> = tree.over_limit().collect();
        for (at, state) in tree.iter() {
            let consumed = numbers(tree.node(at).whole.consumed(View::Offers));
            for (kind, limit) in bounds(&state.role.limit).into_iter().enumerate() {
                let is_over = consumed[kind] > limit.unwrap_or(u64::MAX);
                assert!(!is_over || over.contains(&at), "{} is over its limit", state.role.name);
                // Reservations can be made beyond a limit; then nothing else is offered.
                let offered = numbers(tree.node(at).whole.offered_plain)[kind];
                if let Some(limit) = limit.filter(|_| offered > 0) {
                    let is = consumed[kind];
                    assert!(is <= limit, "{} has {is} of {limit} {}", state.role.name, KINDS[kind]);
                }
            }
        }
        let mut booked: BTreeMap<(&FrameworkId, &RoleName), Totals> = BTreeMap::new();
        let held = self.offers.values().map(|held| &held.offer);
        let held = held.map(|offer| (&offer.framework, &offer.role, &offer.parts));
        let run = self.tasks.iter().map(|task| (&task.framework, &task.role, &task.parts));
        for (framework, role, parts) in held.chain(run) {
            let sum = booked.entry((framework, role)).or_default();
            *sum = sum.plus(parts::sum(parts).totals());
        }
        for (framework, member) in &self.allocator.members {
            for (role, &at) in &member.seats {
                let is = self.allocator.seats[at as usize].as_ref().expect("a seat of a member").booked;
                let sum = booked.get(&(framework, role)).copied().unwrap_or_default();
                assert_eq!(is, sum, "booked for {framework} in {role}");
            }
        }
        let idle = self.machines.values().flat_map(|machine| &machine.idle);
        let plain = idle.filter(|part| part.role().is_none());
        let idle = plain.map(|part| part.amount.totals()).fold(Totals::default(), Totals::plus);
        let offered = tree.node(ROOT).whole.offered_plain;
        if self.machines.values().all(|machine| !machine.inactive) {
            assert_eq!(self.free().minus(offered), idle, "what is free is idle or offered");
        }
    }

    /// The frameworks that hold offers.
    pub fn holders(&self) -> BTreeSet<&str> {
        self.offers.values().map(|held| held.offer.framework.as_str()).collect()
    }
}

fn idle_on<'a>(machines: &'a BTreeMap<AgentId, Machine>, id: &AgentId) -> Option<Idle<'a>> {
    let (id, machine) = machines.get_key_value(id).filter(|(_, machine)| !machine.inactive)?;
    Some(machine.idle_now(id))
}

pub(super) fn allocation(amount: &Amount) -> Allocation {
    Allocation { cpus_milli: amount.cpus_milli, mem: amount.mem, disk: amount.disk, ..Allocation::default() }
}

fn line(offer: &Proposal) -> String {
    let part = |part: &Part| {
        let kept = part.role().map(|role| format!("({role})")).unwrap_or_default();
        let amount = &part.amount;
        let gpus = if amount.gpus > 0 { format!(" gpus {}", amount.gpus) } else { String::new() };
        format!(" {}/{}{gpus}{kept}", amount.cpus_milli, amount.mem / MIB)
    };
    let parts: String = offer.parts.iter().map(part).collect();
    format!("{} {} {}{parts}", offer.framework, offer.role, offer.agent)
}

pub(super) fn role(name: &str, limit: Bound) -> Role {
    Role { name: name.into(), weight_milli: 1000, guarantee: Bound::default(), limit }
}
