//! What it costs the rest of the mix to use up room: for each kind its room on a machine, and its price.
//!
//! Room for a kind is the smallest of what CPU, memory, disk, ports (as ratios) and GPU devices (counted whole) leave,
//! 0 where not even one fits. Prices follow from the room left in the whole cluster; see
//! `docs/decisions/0003-placement-policy.md`. Sums over machines are taken in whole numbers, so that they do not depend
//! on the order of machines.

use crate::mix::Mix;
use crate::policy::Policy;
use crate::rule::{Rule, Rules};
use crate::states::{Classes, State, StateKey, States};
use hansa_model::resources::GpuDemand;
use hansa_model::role::Totals;
use hansa_model::{Demand, Resources};
use std::sync::Arc;

/// Room is counted up to here; a kind that asks for nothing always has so much.
const MOST: f64 = 1e6;
/// Room is summed up in these parts.
const PARTS: f64 = 1_048_576.0;
/// Stands for "asks for none of it": any amount, even none, is plenty.
const PLENTY: f64 = 1e18;
/// Added to amounts, so that none of it times [`PLENTY`] is plenty; far below what matters.
const SPECK: f64 = 1e-9;
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
}

/// Memory for the steps of one evaluation.
#[derive(Debug, Default)]
struct Scratch {
    /// For each GPU demand of the mix: devices' worth of room before and after.
    before: Vec<u64>,
    after: Vec<f64>,
}

/// The kinds as columns, and their prices.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    /// Rises when the kinds change: rooms computed under another version mean something else.
    version: u64,
    /// Rises when the prices change.
    pub(crate) epoch: u64,
    demands: Vec<Demand>,
    rules: Vec<Vec<Arc<Rule>>>,
    per_cpu: Vec<f64>,
    per_mem: Vec<f64>,
    per_disk: Vec<f64>,
    per_port: Vec<f64>,
    /// Index into `gpus`.
    gpu: Vec<usize>,
    gpus: Vec<GpuDemand>,
    price: Vec<f64>,
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
        self.epoch += 1;
        if !self.knows(mix) {
            self.load(mix, rules);
        }
        let kinds = self.demands.len();
        let mut room = vec![0_i64; kinds];
        for state in &mut states.slab {
            if state.stamp == 0 {
                continue;
            }
            self.fill(state, classes);
            let nodes = state.nodes.len() as i64;
            for (sum, fill) in room.iter_mut().zip(&state.fills) {
                *sum = sum.saturating_add(nodes.saturating_mul((fill * PARTS) as i64));
            }
        }
        self.set_prices(policy, mix, total, &room);
    }

    fn set_prices(&mut self, policy: &Policy, mix: &Mix, total: &Totals, room: &[i64]) {
        let shares: Vec<f64> = self.demands.iter().map(|demand| share(demand, total)).collect();
        let counts: f64 = mix.kinds().iter().map(|kind| kind.count).sum();
        let average: f64 =
            mix.kinds().iter().zip(&shares).map(|(kind, share)| kind.count / counts * share).sum::<f64>();
        // Sizes count in GPUs where there are any, otherwise in average tasks.
        let has_gpus = total.gpus_milli > 0;
        let unit = if has_gpus { 1000.0 / total.gpus_milli as f64 } else { average };
        self.price.clear();
        for ((kind, share), room) in mix.kinds().iter().zip(&shares).zip(room) {
            let size = share / unit;
            let gpuless = has_gpus && kind.demand.gpus.count == 0;
            let weight = if gpuless { f64::from(policy.gpuless_weight_milli) / 1000.0 * size } else { 1.0 };
            let left = (*room as f64 / PARTS + 2.0) * share;
            let price = kind.count / counts * weight * share / power(left, policy.alpha_halves);
            self.price.push(price * power(size, policy.size_halves));
        }
        // In units of what an average task costs in places that all kinds can use, so that rounding means the same in an
        // empty cluster and in a full one. Kinds without any room cost nothing anywhere and would only blur the rest.
        let with_room = || self.price.iter().zip(&shares).zip(room).filter(|(_, room)| **room > 0);
        let cost: f64 = with_room().map(|((price, share), _)| price * average / share).sum();
        if cost > 0.0 {
            self.price.iter_mut().for_each(|price| *price /= cost);
        }
    }

    fn knows(&self, mix: &Mix) -> bool {
        self.demands.len() == mix.kinds().len()
            && self.demands.iter().zip(&self.rules).zip(mix.kinds()).all(|((demand, rules), kind)| {
                *demand == kind.demand
                    && rules.len() == kind.constraints.len()
                    && rules
                        .iter()
                        .zip(&kind.constraints)
                        .all(|(rule, constraint)| rule.constraint == *constraint)
            })
    }

    fn load(&mut self, mix: &Mix, rules: &mut Rules) {
        self.version += 1;
        self.masks.clear();
        let per = |amount: u64| if amount == 0 { PLENTY } else { 1.0 / amount as f64 };
        let of =
            |amount: fn(&Demand) -> u64| mix.kinds().iter().map(|kind| per(amount(&kind.demand))).collect();
        self.demands = mix.kinds().iter().map(|kind| kind.demand.clone()).collect();
        self.rules = mix
            .kinds()
            .iter()
            .map(|kind| kind.constraints.iter().map(|constraint| rules.get(constraint)).collect())
            .collect();
        self.per_cpu = of(|demand| demand.cpus_milli);
        self.per_mem = of(|demand| demand.mem);
        self.per_disk = of(|demand| demand.disk);
        self.per_port = of(|demand| demand.ports.len() as u64);
        self.gpus.clear();
        self.gpu.clear();
        for demand in &self.demands {
            let at = self.gpus.iter().position(|gpus| *gpus == demand.gpus).unwrap_or(self.gpus.len());
            if at == self.gpus.len() {
                self.gpus.push(demand.gpus);
            }
            self.gpu.push(at);
        }
    }

    /// Brings the state's rooms up to date.
    pub(crate) fn fill(&mut self, state: &mut State, classes: &Classes) {
        if state.fills_version == self.version && state.fills.len() == self.demands.len() {
            return;
        }
        self.mask(state.key.class, classes);
        self.count_devices(&state.key.gpus);
        let Scratch { before, after } = &mut self.scratch;
        after.clear();
        after.extend(self.gpus.iter().zip(&*before).map(|(gpus, &devices)| gpu_room(*gpus, devices)));
        let mut fills = std::mem::take(&mut state.fills);
        fills.clear();
        let amounts = Amounts::of(&state.key, &Demand::default());
        let mask = self.masks.get(state.key.class as usize).and_then(Option::as_deref).unwrap_or_default();
        fills.extend((0..self.demands.len()).map(|kind| self.room(kind, amounts, mask)));
        state.fills = fills;
        state.fills_version = self.version;
    }

    /// Room for a kind, with the GPU rooms in `scratch.after`.
    #[inline]
    fn room(&self, kind: usize, amounts: Amounts, mask: &[f64]) -> f64 {
        let room = (amounts.cpus * self.per_cpu[kind])
            .min(amounts.mem * self.per_mem[kind])
            .min(amounts.disk * self.per_disk[kind])
            .min(amounts.ports * self.per_port[kind])
            .min(self.scratch.after[self.gpu[kind]])
            .min(MOST);
        if room < ONE { 0.0 } else { room * mask[kind] }
    }

    /// What the mix gains (loses, as a rule) if `demand` goes to a machine in this state, where it fits; and of which
    /// free thousandths the GPU share is best taken.
    pub(crate) fn score(&mut self, demand: &Demand, state: &mut State, classes: &Classes) -> (f64, u16) {
        self.fill(state, classes);
        let amounts = Amounts::of(&state.key, demand);
        let devices = &state.key.gpus;
        self.count_devices(devices);
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
        let Scratch { before, after } = &mut self.scratch;
        after.clear();
        for (gpus, &devices) in self.gpus.iter().zip(&*before) {
            let lost: u64 = chosen.iter().map(|&free| worth(*gpus, free) - worth(*gpus, free - milli)).sum();
            after.push(gpu_room(*gpus, devices - lost));
        }
        let mask = self.masks.get(state.key.class as usize).and_then(Option::as_deref).unwrap_or_default();
        let kinds = state.fills.iter().zip(&self.price).enumerate();
        kinds.map(|(kind, (fill, price))| price * (self.room(kind, amounts, mask) - fill)).sum()
    }

    fn count_devices(&mut self, devices: &[u16]) {
        let before = &mut self.scratch.before;
        before.clear();
        before
            .extend(self.gpus.iter().map(|gpus| devices.iter().map(|&free| worth(*gpus, free)).sum::<u64>()));
    }

    fn mask(&mut self, class: u32, classes: &Classes) {
        let at = class as usize;
        if self.masks.len() <= at {
            self.masks.resize_with(at + 1, || None);
        }
        if self.masks[at].is_none() {
            // Who may use reserved machines is not known of the mix; they are priced by nobody.
            let open = classes.reserved(class).is_none_or(|role| role.as_str() == "*");
            let may_use =
                |rules: &Vec<Arc<Rule>>| open && rules.iter().all(|rule| classes.allows(class, rule));
            self.masks[at] =
                Some(self.rules.iter().map(|rules| if may_use(rules) { 1.0 } else { 0.0 }).collect());
        }
    }
}

/// What one device with so much free is worth: tasks that share it, or one device of several.
fn worth(gpus: GpuDemand, free: u16) -> u64 {
    let milli = gpus.milli.max(1);
    match gpus.count {
        0 => 0,
        1 => u64::from(free / milli),
        _ => u64::from(free >= milli),
    }
}

/// Tasks that fit as far as GPUs go.
fn gpu_room(gpus: GpuDemand, devices: u64) -> f64 {
    match gpus.count {
        0 => MOST,
        count => (devices / u64::from(count)) as f64,
    }
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
fn tie(policy: &Policy, total: &Resources, free: &Resources, ports: u32) -> u32 {
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
        (0, false) => u32::MAX,
        (most, _) if policy.fullest_first => u32::try_from(PARTS + 1 - most.min(PARTS + 1)).unwrap_or(0),
        _ => 0,
    }
}
