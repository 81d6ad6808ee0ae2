//! The numbers of the placement policy. What they mean and where they come from: `docs/decisions/0003-placement-policy.md`.

/// How places are chosen. Exponents come in halves, so that they need only multiplication and square roots, which give
/// the same bits on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Twice α: how much dearer a kind gets as its room runs out. 2 (α = 1) is proportional fairness; 3 refuses later.
    pub alpha_halves: u32,
    /// Twice b: how much more large kinds count than small ones. 0: all alike.
    pub size_halves: u32,
    /// In a cluster with GPUs, how much a kind without GPUs counts, in thousandths, for a size of one GPU's part of the
    /// cluster.
    pub gpuless_weight_milli: u32,
    /// Scores are rounded to steps of so many thousandths of what an average task costs in an empty cluster. 0: only as
    /// far as arithmetic asks for.
    pub step_milli: u32,
    /// Prices are renewed after as many changes as there are machines divided by this.
    pub renewal_divisor: u32,
    /// ... but never more often than after so many changes (once the mix is known).
    pub renewal_at_least: u32,
    /// Whether requests that differ by less than about 10 % in CPU, memory and disk count as one kind.
    pub binned: bool,
    /// Kinds kept at most; a new one then takes the place of the rarest.
    pub max_kinds: usize,
    /// After about so many arrivals, old ones count for a third.
    pub memory_arrivals: u32,
    /// Evaluations that one question may cost, on average and in each of its steps. Where states are many more than that,
    /// prices of good places are checked first, and those of bad ones in time.
    pub effort: u32,
    /// In a cluster without GPUs, how much more it costs to use an idle machine, in thousandths of the task's own cost.
    pub idle_milli: u32,
    /// Which of several machines of equal score.
    pub ties: Ties,
}

/// What decides between machines of equal score, before the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// The fullest (to 1/64), idle ones last.
    Fullest,
    /// Busy ones before idle ones.
    Busy,
    /// Nothing.
    Order,
}

impl Default for Policy {
    /// For running clusters, where tasks come and go.
    fn default() -> Self {
        Self {
            alpha_halves: 3,
            size_halves: 1,
            gpuless_weight_milli: 144,
            step_milli: 0,
            renewal_divisor: 6,
            renewal_at_least: 16,
            binned: true,
            max_kinds: 256,
            memory_arrivals: 50_000,
            effort: 32,
            idle_milli: 1000,
            ties: Ties::Fullest,
        }
    }
}

impl Policy {
    /// For filling an empty cluster without departures, as experiments on published traces do.
    pub fn replay() -> Self {
        Self { size_halves: 0, step_milli: 200, ties: Ties::Order, ..Self::default() }
    }
}
