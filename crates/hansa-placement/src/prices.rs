//! What it costs the rest of the mix to use up room: for each kind its room on a machine, and its price.
//!
//! Room for a kind is the smallest of what CPU, memory, disk, ports (as ratios) and GPU devices (counted whole) leave,
//! 0 where not even one fits. Prices follow from the room left in the whole cluster; see
//! `docs/decisions/0003-placement-policy.md`. Sums over machines are taken in whole numbers, so that they do not depend
//! on the order of machines.

use crate::mix::{Kind, Mix};
use crate::policy::{Policy, Ties};
use crate::rule::{Rule, Rules};
use crate::states::{Classes, IDLE, State, StateKey, States};
use hansa_model::resources::{GpuDemand, WHOLE_GPU};
use hansa_model::role::Totals;
use hansa_model::{Demand, Resources};
use std::sync::Arc;

/// Room is counted up to here; a kind that asks for nothing always has so much.
const MOST: f64 = 1e6;
/// Room is summed up in these parts of a task, whole ones, so that sums are exact: up to a hundred thousand machines with
/// room for [`MOST`] tasks.
const PARTS: f64 = 65_536.0;
/// Added and taken away again, rounds an amount far below it to a whole number.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Stands for "asks for none of it": any amount, even none, is plenty.
const PLENTY: f64 = 1e18;
/// Added to amounts, so that none of it times [`PLENTY`] is plenty; far below what matters.
const SPECK: f64 = 1e-9;
/// Scores that differ by less differ by the noise of arithmetic.
const NOISE: f64 = 1e-9;
/// One whole task, allowing for the rounding of ratios.
const ONE: f64 = 1.0 - 1e-9;

/// The scalar amounts free on a machine.
#[derive(Clone, Copy)]
struct Amounts {
    cpus: f64,
    mem: f64,
    disk: f64,
    ports: f64,
}

impl Amounts {
    fn of(key: &StateKey, less: &Demand) -> Self {
        let amount = |free: u64, taken: u64| free.saturating_sub(taken) as f64 + SPECK;
        Self {
            cpus: amount(key.cpus, less.cpus_milli),
            mem: amount(key.mem, less.mem),
            disk: amount(key.disk, less.disk),
            ports: amount(u64::from(key.ports), less.ports.len() as u64),
        }
    }

    /// Room for a kind, from what one of it asks of each amount (as its inverse) and what GPUs allow.
    #[inline]
    fn room(self, (cpus, mem, disk, ports): (f64, f64, f64, f64), gpus: f64, mask: f64) -> f64 {
        // Not f64::min, whose care for what is not a number costs more than the rest.
        let less = |a: f64, b: f64| if a < b { a } else { b };
        let scalars =
            less(less(self.cpus * cpus, self.mem * mem), less(self.disk * disk, self.ports * ports));
        let room = less(scalars, gpus);
        if room < ONE { 0.0 } else { room * mask }
    }
}

/// Memory for the steps of one evaluation.
#[derive(Clone, Debug, Default)]
struct Scratch {
    /// For each GPU demand of the mix: tasks that fit as far as GPUs go.
    by_demand: Vec<f64>,
    /// The same for each kind, and the room.
    by_kind: Vec<f64>,
    rooms: Vec<f64>,
}

/// A GPU demand of the mix.
#[derive(Clone, Debug)]
struct Gpus {
    demand: GpuDemand,
    /// What a device with so many thousandths free is worth: tasks that share it, or one device of several.
    worth: Box<[u16]>,
}

impl Gpus {
    fn new(demand: GpuDemand) -> Self {
        let milli = demand.milli.max(1);
        let worth = (0..=WHOLE_GPU).map(|free| match demand.count {
            0 => 0,
            1 => free / milli,
            _ => u16::from(free >= milli),
        });
        Self { demand, worth: worth.collect() }
    }

    fn worth(&self, free: u16) -> u32 {
        u32::from(self.worth[usize::from(free.min(WHOLE_GPU))])
    }

    /// Tasks that fit as far as GPUs go.
    fn room(&self, worth: u32) -> f64 {
        match self.demand.count {
            0 => MOST,
            1 => f64::from(worth),
            count => f64::from(worth / u32::from(count)),
        }
    }
}

/// The kinds as columns, and their prices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    /// Rises when the kinds change: rooms computed under another version mean something else.
    version: u64,
    /// Rises when the prices change.
    pub(crate) epoch: u32,
    demands: Vec<Demand>,
    rules: Vec<Vec<Arc<Rule>>>,
    per_cpu: Vec<f64>,
    per_mem: Vec<f64>,
    per_disk: Vec<f64>,
    per_port: Vec<f64>,
    /// Index into `gpus`.
    gpu: Vec<usize>,
    gpus: Vec<Gpus>,
    price: Vec<f64>,
    /// Whether the cluster has GPUs.
    pub(crate) has_gpus: bool,
    /// Scores are rounded to steps of this.
    step: f64,
    /// Which kinds may use a class (1 or 0), by class; filled when first asked for.
    masks: Vec<Option<Box<[f64]>>>,
    scratch: Scratch,
}

impl Prices {
    /// Forgets what was known of classes: they were numbered anew.
    pub(crate) fn forget_classes(&mut self) {
        self.masks.clear();
        self.version += 1;
    }

    /// New prices from the mix and the room that is left.
    pub(crate) fn renew(
        &mut self,
        policy: &Policy,
        mix: &Mix,
        total: &Totals,
        rules: &mut Rules,
        classes: &Classes,
        states: &mut States,
    ) {
        // Around the corner after years, and then only some entries are taken for fresh.
        self.epoch = self.epoch.wrapping_add(1);
        self.follow(mix, rules, classes, states);
        let kinds = self.demands.len();
        let mut room = vec![0.0; kinds];
        for state in &mut states.slab {
            if state.stamp == 0 {
                continue;
            }
            self.fill(state, classes);
            let nodes = state.nodes.len() as f64;
            for (sum, fill) in room.iter_mut().zip(&state.fills) {
                *sum += nodes * ((fill * PARTS + ROUNDER) - ROUNDER);
            }
        }
        self.set_prices(policy, mix, total, &room);
    }

    fn set_prices(&mut self, policy: &Policy, mix: &Mix, total: &Totals, room: &[f64]) {
        let shares: Vec<f64> = self.demands.iter().map(|demand| share(demand, total)).collect();
        let counts: f64 = mix.kinds().iter().map(|kind| kind.count).sum();
        let average: f64 =
            mix.kinds().iter().zip(&shares).map(|(kind, share)| kind.count / counts * share).sum::<f64>();
        // Sizes count in GPUs where there are any, otherwise in average tasks.
        let has_gpus = total.gpus_milli > 0;
        self.has_gpus = has_gpus;
        let unit = if has_gpus { 1000.0 / total.gpus_milli as f64 } else { average };
        self.price.clear();
        // What an average task costs in an empty cluster.
        let mut empty = 0.0;
        for ((kind, share), room) in mix.kinds().iter().zip(&shares).zip(room) {
            let size = share / unit;
            let gpuless = has_gpus && kind.demand.gpus.count == 0;
            let weight = if gpuless { f64::from(policy.gpuless_weight_milli) / 1000.0 * size } else { 1.0 };
            empty += kind.count / counts * weight * power(size, policy.size_halves) * average;
            let left = (room / PARTS + 2.0) * share;
            let price = kind.count / counts * weight * share / power(left, policy.alpha_halves);
            self.price.push(price * power(size, policy.size_halves));
        }
        // In units of what an average task costs in places that all kinds can use, so that rounding means the same in an
        // empty cluster and in a full one. Kinds without any room cost nothing anywhere and would only blur the rest.
        let with_room = || self.price.iter().zip(&shares).zip(room).filter(|(_, room)| **room > 0.0);
        let cost: f64 = with_room().map(|((price, share), _)| price * average / share).sum();
        if cost > 0.0 {
            self.price.iter_mut().for_each(|price| *price /= cost);
            self.step = (f64::from(policy.step_milli) / 1000.0 * empty / cost).max(NOISE);
        }
    }

    /// Takes over the kinds of the mix. A few that changed are changed in all states; after many changes everything is
    /// made anew.
    fn follow(&mut self, mix: &Mix, rules: &mut Rules, classes: &Classes, states: &mut States) {
        let same = |at: usize, kind: &Kind| {
            let own = self.rules[at].iter().map(|rule| &rule.constraint);
            self.demands[at] == kind.demand && own.eq(&kind.constraints)
        };
        let kinds = mix.kinds();
        let known = self.demands.len();
        if kinds.len() == known {
            let changed: Vec<usize> = (0..known).filter(|&at| !same(at, &kinds[at])).collect();
            if changed.len() * 4 <= known {
                changed.iter().for_each(|&at| self.change(at, &kinds[at], rules, classes, states));
                return;
            }
        }
        self.version += 1;
        self.masks.clear();
        self.demands.clear();
        self.rules.clear();
        self.gpus.clear();
        for column in [&mut self.per_cpu, &mut self.per_mem, &mut self.per_disk, &mut self.per_port] {
            column.clear();
            column.resize(kinds.len(), 0.0);
        }
        self.gpu.clear();
        self.gpu.resize(kinds.len(), 0);
        for (at, kind) in kinds.iter().enumerate() {
            self.demands.push(Demand::default());
            self.rules.push(Vec::new());
            self.set(at, kind, rules);
        }
    }

    fn set(&mut self, at: usize, kind: &Kind, rules: &mut Rules) {
        let per = |amount: u64| if amount == 0 { PLENTY } else { 1.0 / amount as f64 };
        let demand = &kind.demand;
        self.per_cpu[at] = per(demand.cpus_milli);
        self.per_mem[at] = per(demand.mem);
        self.per_disk[at] = per(demand.disk);
        self.per_port[at] = per(demand.ports.len() as u64);
        let gpus = self.gpus.iter().position(|gpus| gpus.demand == demand.gpus);
        self.gpu[at] = gpus.unwrap_or(self.gpus.len());
        if gpus.is_none() {
            self.gpus.push(Gpus::new(demand.gpus));
        }
        self.demands[at].clone_from(demand);
        self.rules[at] = kind.constraints.iter().map(|constraint| rules.get(constraint)).collect();
    }

    fn change(&mut self, at: usize, kind: &Kind, rules: &mut Rules, classes: &Classes, states: &mut States) {
        self.set(at, kind, rules);
        for (class, mask) in (0..).zip(&mut self.masks) {
            if let Some(mask) = mask {
                mask[at] = may_use(&self.rules[at], class, classes);
            }
        }
        let gpus = &self.gpus[self.gpu[at]];
        for state in
            states.slab.iter_mut().filter(|state| state.stamp != 0 && state.fills_version == self.version)
        {
            let worth = state.key.gpus.iter().map(|&free| gpus.worth(free)).sum();
            let amounts = Amounts::of(&state.key, &Demand::default());
            let per = (self.per_cpu[at], self.per_mem[at], self.per_disk[at], self.per_port[at]);
            let mask = self.masks[state.key.class as usize].as_ref().map_or(0.0, |mask| mask[at]);
            state.fills[at] = amounts.room(per, gpus.room(worth), mask);
            state.worths.truncate(self.gpus.len());
            for gpus in &self.gpus[state.worths.len()..] {
                state.worths.push(state.key.gpus.iter().map(|&free| gpus.worth(free)).sum());
            }
        }
    }

    /// Brings the state's rooms up to date.
    pub(crate) fn fill(&mut self, state: &mut State, classes: &Classes) {
        if state.fills_version == self.version && state.fills.len() == self.demands.len() {
            return;
        }
        self.mask(state.key.class, classes);
        let worth = |gpus: &Gpus| state.key.gpus.iter().map(|&free| gpus.worth(free)).sum::<u32>();
        state.worths.clear();
        state.worths.extend(self.gpus.iter().map(worth));
        self.rooms(state, Amounts::of(&state.key, &Demand::default()), &[], 0);
        state.fills.clear();
        state.fills.extend_from_slice(&self.scratch.rooms);
        state.fills_version = self.version;
    }

    /// The room for each kind with these amounts and `milli` taken from devices with `chosen` free, to `scratch.rooms`.
    /// Plain loops over columns, for this is where placement spends its time.
    fn rooms(&mut self, state: &State, amounts: Amounts, chosen: &[u16], milli: u16) {
        let Scratch { by_demand, by_kind, rooms } = &mut self.scratch;
        let lost =
            |gpus: &Gpus| chosen.iter().map(|&free| gpus.worth(free) - gpus.worth(free - milli)).sum::<u32>();
        by_demand.clear();
        by_demand
            .extend(self.gpus.iter().zip(&state.worths).map(|(gpus, worth)| gpus.room(worth - lost(gpus))));
        by_kind.clear();
        by_kind.extend(self.gpu.iter().map(|&gpu| by_demand[gpu]));
        let mask = self.masks[state.key.class as usize].as_deref().unwrap_or_default();
        let per = self.per_cpu.iter().zip(&self.per_mem).zip(&self.per_disk).zip(&self.per_port);
        let kinds = per.zip(&*by_kind).zip(mask);
        rooms.clear();
        rooms.extend(kinds.map(|(((((cpu, mem), disk), port), gpus), mask)| {
            amounts.room((*cpu, *mem, *disk, *port), *gpus, *mask)
        }));
    }

    /// A score in steps, as a loss.
    pub(crate) fn steps(&self, score: f64) -> i64 {
        (-score / self.step.max(NOISE)).round() as i64
    }

    /// What the mix gains (loses, as a rule) if `demand` goes to a machine in this state, where it fits; and of which
    /// free thousandths the GPU share is best taken.
    pub(crate) fn score(&mut self, demand: &Demand, state: &mut State, classes: &Classes) -> (f64, u16) {
        self.fill(state, classes);
        let amounts = Amounts::of(&state.key, demand);
        let devices = &state.key.gpus;
        if demand.gpus.count == 0 {
            return (self.difference(state, amounts, &[], 0), 0);
        }
        let fitting = devices.partition_point(|&free| free < demand.gpus.milli);
        let taken = usize::from(demand.gpus.count);
        if taken > 1 {
            let chosen = &devices[fitting..fitting + taken];
            return (self.difference(state, amounts, chosen, demand.gpus.milli), chosen[0]);
        }
        let mut best: Option<(f64, u16)> = None;
        for (at, &free) in devices.iter().enumerate().skip(fitting) {
            if at > fitting && devices[at - 1] == free {
                continue;
            }
            let score = self.difference(state, amounts, &[free], demand.gpus.milli);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, free));
            }
        }
        best.unwrap_or((0.0, 0))
    }

    fn difference(&mut self, state: &State, amounts: Amounts, chosen: &[u16], milli: u16) -> f64 {
        self.rooms(state, amounts, chosen, milli);
        let rooms = self.scratch.rooms.chunks(4).zip(state.fills.chunks(4)).zip(self.price.chunks(4));
        let mut sums = [0.0; 4];
        for ((rooms, fills), prices) in rooms {
            let kinds = sums.iter_mut().zip(rooms).zip(fills).zip(prices);
            kinds.for_each(|(((sum, room), fill), price)| *sum += price * (room - fill));
        }
        sums.iter().sum()
    }

    fn mask(&mut self, class: u32, classes: &Classes) {
        let at = class as usize;
        if self.masks.len() <= at {
            self.masks.resize_with(at + 1, || None);
        }
        if self.masks[at].is_none() {
            self.masks[at] = Some(self.rules.iter().map(|rules| may_use(rules, class, classes)).collect());
        }
    }
}

/// 1 if a kind with these rules may use the class, otherwise 0. Who may use reserved machines is not known of the mix;
/// they are priced by nobody.
fn may_use(rules: &[Arc<Rule>], class: u32, classes: &Classes) -> f64 {
    let open = classes.reserved(class).is_none_or(|role| role.as_str() == "*");
    if open && rules.iter().all(|rule| classes.allows(class, rule)) { 1.0 } else { 0.0 }
}

/// The part of the cluster that one task takes: of the GPUs if it needs any, otherwise of what it needs most of.
fn share(demand: &Demand, total: &Totals) -> f64 {
    let part = |amount: u64, total: u64| if total == 0 { 0.0 } else { amount as f64 / total as f64 };
    let gpus = part(u64::from(demand.gpus.count) * u64::from(demand.gpus.milli), total.gpus_milli);
    let others = part(demand.cpus_milli, total.cpus_milli)
        .max(part(demand.mem, total.mem))
        .max(part(demand.disk, total.disk));
    (if gpus > 0.0 { gpus } else { others }).max(1e-9)
}

/// `base` to the power of `halves` / 2.
fn power(base: f64, halves: u32) -> f64 {
    let whole = (0..halves / 2).fold(1.0, |product, _| product * base);
    if halves % 2 == 1 { whole * base.sqrt() } else { whole }
}

/// What of a machine makes its state, besides its class.
pub(crate) fn state_key(
    policy: &Policy,
    class: u32,
    total: &Resources,
    free: &Resources,
    ports: u32,
) -> StateKey {
    let mut gpus: Box<[u16]> = free.gpus.as_slice().into();
    gpus.sort_unstable();
    StateKey {
        class,
        tie: tie(policy, total, free, ports),
        cpus: free.cpus_milli,
        mem: free.mem,
        disk: free.disk,
        ports,
        gpus,
    }
}

/// Idle machines last; among busy ones, the more of something is in use (to 1/64), the earlier.
pub(crate) fn tie(policy: &Policy, total: &Resources, free: &Resources, ports: u32) -> u32 {
    const PARTS: u64 = 64;
    let used = |total: u64, free: u64| {
        let used = total.saturating_sub(free);
        if used == 0 { 0 } else { 1 + used.saturating_mul(PARTS) / total }
    };
    let sum = |gpus: &[u16]| gpus.iter().map(|&milli| u64::from(milli)).sum();
    let most = used(total.cpus_milli, free.cpus_milli)
        .max(used(total.mem, free.mem))
        .max(used(total.disk, free.disk))
        .max(used(sum(&total.gpus), sum(&free.gpus)));
    let ports_in_use =
        total.ports.ranges().iter().map(|&(low, high)| u32::from(high - low) + 1).sum::<u32>() > ports;
    match (most, ports_in_use) {
        (0, false) => IDLE,
        (most, _) if policy.ties == Ties::Fullest => {
            u32::try_from(PARTS + 1 - most.min(PARTS + 1)).unwrap_or(0)
        }
        _ => 0,
    }
}
