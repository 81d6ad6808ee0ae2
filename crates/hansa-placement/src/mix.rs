//! The mix of tasks that the policy expects: which kinds arrive, and how often, with old arrivals fading.

use crate::policy::Policy;
use hansa_model::Demand;
use hansa_model::app::Constraint;
use hansa_model::resources::GpuDemand;
use rustc_hash::FxHashMap;

/// So many arrivals speak against what is kept before it gives way: each change has to be followed by all that is
/// computed from the mix.
const PATIENCE: u32 = 32;

/// One kind of task.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    key: Key,
    /// The demand that stands for all of the kind: the commonest of late.
    pub(crate) demand: Demand,
    /// The fixed constraints that are about more than single machines.
    pub(crate) constraints: Vec<Constraint>,
    /// Votes for `demand` against others of the kind.
    votes: u32,
    /// Arrivals, faded.
    pub(crate) count: f64,
}

/// What makes two tasks the same kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    cpus: u64,
    mem: u64,
    disk: u64,
    gpus: GpuDemand,
    ports: usize,
    constraints: Vec<Constraint>,
}

/// All kinds, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mix {
    kinds: Vec<Kind>,
    index: FxHashMap<Key, usize>,
    /// What the next arrival counts; grows, which is the same as the others fading.
    next: f64,
    arrivals: u64,
    /// Arrivals of kinds that are not kept.
    misses: u32,
}

impl Mix {
    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Counts one arrival.
    pub(crate) fn observe(&mut self, policy: &Policy, demand: &Demand, constraints: Vec<Constraint>) {
        if self.arrivals == 0 {
            self.next = 1.0;
        }
        self.arrivals += 1;
        self.next *= 1.0 + 1.0 / f64::from(policy.memory_arrivals.max(1));
        if self.next > 1e9 {
            for kind in &mut self.kinds {
                kind.count /= self.next;
            }
            self.next = 1.0;
        }
        let bin = |amount| if policy.binned { bin(amount) } else { amount };
        let key = Key {
            cpus: bin(demand.cpus_milli),
            mem: bin(demand.mem),
            disk: bin(demand.disk),
            gpus: demand.gpus,
            ports: demand.ports.len(),
            constraints,
        };
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None if self.kinds.len() >= policy.max_kinds.max(1) => {
                self.misses += 1;
                if !self.misses.is_multiple_of(PATIENCE) {
                    return;
                }
                self.insert(policy, key, demand)
            }
            None => self.insert(policy, key, demand),
        };
        let kind = &mut self.kinds[at];
        kind.count += self.next;
        if kind.demand == *demand {
            kind.votes = kind.votes.saturating_add(1);
        } else if kind.votes > 0 {
            kind.votes -= 1;
        } else {
            kind.demand.clone_from(demand);
            kind.votes = PATIENCE;
        }
    }

    fn insert(&mut self, policy: &Policy, key: Key, demand: &Demand) -> usize {
        let kind = Kind {
            key: key.clone(),
            demand: demand.clone(),
            constraints: key.constraints.clone(),
            votes: 0,
            count: 0.0,
        };
        let at = if self.kinds.len() < policy.max_kinds.max(1) {
            self.kinds.push(kind);
            self.kinds.len() - 1
        } else {
            let rarest = (0..self.kinds.len())
                .min_by(|&a, &b| self.kinds[a].count.total_cmp(&self.kinds[b].count))
                .unwrap_or(0);
            self.index.remove(&self.kinds[rarest].key);
            self.kinds[rarest] = kind;
            rarest
        };
        self.index.insert(key, at);
        at
    }
}

/// A number that is the same for amounts within 6 to 12 % of each other: the highest four bits, and how many follow.
fn bin(amount: u64) -> u64 {
    match amount.checked_ilog2() {
        Some(high) if high > 3 => (u64::from(high) << 3) | ((amount >> (high - 3)) & 7),
        _ => amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_about_a_tenth_wide_and_never_mix_far_amounts() {
        let mut low = 16;
        for amount in 16..100_000_u64 {
            if bin(amount) != bin(low) {
                low = amount;
            }
            assert!(amount * 8 < low * 9, "{low} and {amount} are one bin");
        }
        let small: Vec<_> = (0..200).map(bin).collect();
        assert!(small.windows(2).all(|pair| pair[0] <= pair[1]), "{small:?}");
    }

    #[test]
    fn a_full_mix_forgets_the_rarest_kind() {
        let policy = Policy { max_kinds: 2, ..Policy::default() };
        let mut mix = Mix::default();
        let of = |cpus_milli| Demand { cpus_milli, ..Demand::default() };
        for cpus in [1000, 1000, 2000].into_iter().chain([4000; PATIENCE as usize]) {
            mix.observe(&policy, &of(cpus), vec![]);
        }
        let cpus: Vec<_> = mix.kinds().iter().map(|kind| kind.demand.cpus_milli).collect();
        assert_eq!(cpus, [1000, 4000]);
    }

    #[test]
    fn a_kind_is_represented_by_its_commonest_demand_and_old_arrivals_fade() {
        let policy = Policy { memory_arrivals: 10, ..Policy::default() };
        let mut mix = Mix::default();
        let of = |cpus_milli| Demand { cpus_milli, ..Demand::default() };
        for cpus in [1030].into_iter().chain([1025; PATIENCE as usize + 2]) {
            mix.observe(&policy, &of(cpus), vec![]);
        }
        assert_eq!(mix.kinds().len(), 1);
        assert_eq!(mix.kinds()[0].demand.cpus_milli, 1025);
        for _ in 0..100 {
            mix.observe(&policy, &of(5000), vec![]);
        }
        assert!(mix.kinds()[1].count > 1000.0 * mix.kinds()[0].count);
    }
}
