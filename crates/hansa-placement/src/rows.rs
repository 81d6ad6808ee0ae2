//! For each kind of request, the states that can take it, best first. Kept up to date from the log of states when it is
//! next asked for; made anew when prices changed.

use crate::policy::{Policy, Ties};
use crate::prices::Prices;
use crate::rule::Rule;
use crate::states::{Classes, IDLE, States};
use hansa_model::resources::GpuDemand;
use hansa_model::{Demand, RoleName};
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Rows kept at most, and entries in all of them together; beyond either, the row unused for longest goes.
const MOST_ROWS: usize = 1024;
const MOST_ENTRIES: usize = 1_000_000;

/// A row made of fewer than all states has so many times the effort for one question.
const SAMPLE: usize = 32;
/// ... or so many times, when there are many rows.
const LEAST_SAMPLE: usize = 4;

/// One state that can take the request. Ordered: best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The loss in steps; less is better.
    loss: i64,
    tie: u32,
    /// Of the state's first machine when this was written.
    label: u64,
    pub(crate) state: u32,
    stamp: u64,
    /// Of the prices that made the loss.
    epoch: u32,
    /// Free thousandths of the device to take a GPU share from.
    pub(crate) device: u16,
}

/// Requests that see the same states in the same order.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    cpus: u64,
    mem: u64,
    disk: u64,
    gpus: GpuDemand,
    ports: usize,
    accepted_roles: Option<Vec<RoleName>>,
    /// Fixed rules that are about more than single machines.
    rules: Vec<Arc<Rule>>,
    /// What the fixed rules and the roles say of each class: not asked yet, yes or no.
    verdicts: Vec<Option<bool>>,
    entries: BTreeSet<Entry>,
    /// How many of the entries the total knows of.
    counted: usize,
    /// How far in the log of states.
    cursor: u64,
    /// Of the prices when the row was last made.
    epoch: u32,
    /// Whether states in which the request fits may be missing.
    partial: bool,
    /// How many evaluations making the row took, and how many were allowed for since.
    cost: usize,
    saved: usize,
    /// The engine's changes when the row was last asked. Asking again without a change gets the same answer.
    changes: u64,
    used: u64,
}

/// What an entry turned out to be.
pub(crate) enum Check {
    Good,
    /// It was put right or removed; look again.
    Changed,
}

impl Row {
    fn is_for(&self, demand: &Demand, roles: Option<&[RoleName]>, rules: &[Arc<Rule>]) -> bool {
        self.cpus == demand.cpus_milli
            && self.mem == demand.mem
            && self.disk == demand.disk
            && self.gpus == demand.gpus
            && self.ports == demand.ports.len()
            && self.accepted_roles.as_deref() == roles
            && self.rules.len() == rules.len()
            && self.rules.iter().zip(rules).all(|(own, rule)| own.constraint == rule.constraint)
    }

    /// Whether roles and fixed rules allow machines of this class.
    fn may_use(&mut self, class: u32, classes: &Classes) -> bool {
        let at = class as usize;
        if self.verdicts.len() <= at {
            self.verdicts.resize(at + 1, None);
        }
        *self.verdicts[at].get_or_insert_with(|| {
            role_allows(classes.reserved(class), self.accepted_roles.as_deref())
                && self.rules.iter().all(|rule| classes.allows(class, rule))
        })
    }

    /// The best entry.
    pub(crate) fn first(&self) -> Option<Entry> {
        self.entries.first().copied()
    }

    /// Whether states in which the request fits may be missing.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// All entries after `after`, best first.
    pub(crate) fn entries(&self, after: Option<Entry>) -> impl Iterator<Item = Entry> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.entries.range((from, Unbounded)).copied()
    }

    /// Whether the entry says how things are.
    pub(crate) fn is_good(entry: &Entry, states: &States) -> bool {
        let state = &states.slab[entry.state as usize];
        state.stamp == entry.stamp && state.first().is_some_and(|(label, _)| label == entry.label)
    }

    /// Puts an entry right, or removes it if its state is gone.
    pub(crate) fn check(&mut self, entry: Entry, states: &States) -> Check {
        if Self::is_good(&entry, states) {
            return Check::Good;
        }
        self.entries.remove(&entry);
        let state = &states.slab[entry.state as usize];
        if state.stamp == entry.stamp
            && let Some((label, _)) = state.first()
        {
            self.entries.insert(Entry { label, ..entry });
        }
        Check::Changed
    }
}

/// What evaluating a state needs to know.
pub(crate) struct Context<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) prices: &'a mut Prices,
    pub(crate) classes: &'a Classes,
    pub(crate) states: &'a mut States,
    /// All changes so far.
    pub(crate) changes: u64,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    by_key: FxHashMap<u64, Row>,
    clock: u64,
    entries: usize,
}

impl Rows {
    pub(crate) fn clear(&mut self) {
        self.by_key.clear();
        self.entries = 0;
    }

    /// The row of this request, up to date; with every state in which it fits if it must be `complete`.
    pub(crate) fn get(
        &mut self,
        demand: &Demand,
        roles: Option<&[RoleName]>,
        rules: &[Arc<Rule>],
        complete: bool,
        context: &mut Context<'_>,
    ) -> &mut Row {
        let mut hasher = FxHasher::default();
        (demand.cpus_milli, demand.mem, demand.disk, demand.gpus, demand.ports.len(), roles)
            .hash(&mut hasher);
        rules.iter().for_each(|rule| rule.constraint.hash(&mut hasher));
        let key = hasher.finish();
        self.clock += 1;
        let known = self.by_key.get(&key).is_some_and(|row| row.is_for(demand, roles, rules));
        if !known {
            self.forget(key);
            self.make_room();
            let row = Row {
                cpus: demand.cpus_milli,
                mem: demand.mem,
                disk: demand.disk,
                gpus: demand.gpus,
                ports: demand.ports.len(),
                accepted_roles: roles.map(<[RoleName]>::to_vec),
                rules: rules.to_vec(),
                verdicts: Vec::new(),
                entries: BTreeSet::new(),
                counted: 0,
                cursor: 0,
                epoch: u32::MAX,
                partial: true,
                cost: 0,
                saved: 1,
                changes: u64::MAX,
                used: 0,
            };
            self.by_key.insert(key, row);
        }
        let effort = context.policy.effort.max(1) as usize;
        let most = (effort * SAMPLE).min((MOST_ENTRIES / 2 / self.by_key.len()).max(effort * LEAST_SAMPLE));
        let row = self.by_key.get_mut(&key).expect("it was just put there");
        row.used = self.clock;
        row.refresh(demand, complete, most, context);
        self.entries = self.entries - row.counted + row.entries.len();
        row.counted = row.entries.len();
        row
    }

    fn make_room(&mut self) {
        while !self.by_key.is_empty() && (self.by_key.len() >= MOST_ROWS || self.entries > MOST_ENTRIES) {
            let oldest = self.by_key.iter().min_by_key(|(_, row)| row.used).map(|(&key, _)| key);
            oldest.into_iter().for_each(|key| self.forget(key));
        }
    }

    fn forget(&mut self, key: u64) {
        if let Some(row) = self.by_key.remove(&key) {
            self.entries -= row.counted;
        }
    }
}

impl Row {
    /// Follows what happened since the row was last asked, at a bounded cost.
    fn refresh(&mut self, demand: &Demand, complete: bool, most: usize, context: &mut Context<'_>) {
        let most = if complete { usize::MAX } else { most };
        if self.changes == context.changes && !(self.partial && complete) {
            return;
        }
        let effort = context.policy.effort.max(1) as usize;
        self.saved += effort;
        let outdated = self.epoch != context.prices.epoch || self.partial;
        let news = context.states.news(self.cursor).map(<[_]>::len);
        let anew = self.partial && complete || outdated && self.saved > self.cost;
        match news.filter(|_| !anew) {
            Some(news) => self.follow(news, demand, complete, context),
            None => self.build(demand, most, context),
        }
        self.shed(most, context.states);
        self.cursor = context.states.cursor();
        self.changes = context.changes;
        self.settle(demand, effort, context);
    }

    /// Evaluates the states of which there is news, the newest first; not all if there is too much news.
    fn follow(&mut self, news: usize, demand: &Demand, complete: bool, context: &mut Context<'_>) {
        let effort = if complete { usize::MAX } else { context.policy.effort.max(1) as usize };
        let mut evaluated = 0;
        for at in (0..news).rev() {
            let Some(&(id, stamp)) = context.states.news(self.cursor).and_then(|news| news.get(at)) else {
                break;
            };
            if context.states.slab[id as usize].stamp != stamp || !self.fits(id, context) {
                continue;
            }
            if evaluated == effort {
                self.partial = true;
                break;
            }
            evaluated += 1;
            self.entries.insert(evaluate(id, demand, context));
        }
    }

    /// Makes the row anew, from all states or, of many, from the fullest and some idle ones.
    fn build(&mut self, demand: &Demand, most: usize, context: &mut Context<'_>) {
        let mut fitting: Vec<(u32, u64, u32)> = Vec::new();
        for id in 0..u32::try_from(context.states.slab.len()).unwrap_or(u32::MAX) {
            if self.fits(id, context) {
                let state = &context.states.slab[id as usize];
                fitting.push((state.key.tie, state.first().map_or(0, |(label, _)| label), id));
            }
        }
        self.partial = fitting.len() > most;
        if self.partial {
            let idle = most / 8;
            fitting.sort_unstable();
            let first_idle = fitting.partition_point(|&(tie, ..)| tie < IDLE);
            fitting.drain((first_idle + idle).min(fitting.len())..);
            fitting.drain((most - idle).min(first_idle)..first_idle);
        }
        self.cost = fitting.len();
        self.saved = 0;
        self.epoch = context.prices.epoch;
        self.entries = fitting.into_iter().map(|(.., id)| evaluate(id, demand, context)).collect();
    }

    /// Keeps the row at a bounded size: without entries of states that are gone and, if need be, without the worst.
    fn shed(&mut self, most: usize, states: &States) {
        if self.entries.len() / 2 > most {
            self.entries.retain(|entry| states.slab[entry.state as usize].stamp == entry.stamp);
            while self.entries.len() > most {
                self.entries.pop_last();
                self.partial = true;
            }
        }
    }

    /// Puts the best entry right: of an existing state, with its first machine, at today's prices (as far as `effort`
    /// goes).
    fn settle(&mut self, demand: &Demand, mut effort: usize, context: &mut Context<'_>) {
        while let Some(entry) = self.first() {
            if let Check::Changed = self.check(entry, context.states) {
                continue;
            }
            if entry.epoch == context.prices.epoch || effort == 0 {
                break;
            }
            effort -= 1;
            self.entries.remove(&entry);
            self.entries.insert(evaluate(entry.state, demand, context));
        }
    }

    /// Whether the request fits into this state.
    fn fits(&mut self, id: u32, context: &Context<'_>) -> bool {
        let state = &context.states.slab[id as usize];
        let key = &state.key;
        let devices = || key.gpus.len() - key.gpus.partition_point(|&free| free < self.gpus.milli);
        state.stamp != 0
            && key.cpus >= self.cpus
            && key.mem >= self.mem
            && key.disk >= self.disk
            && key.ports as usize >= self.ports
            && devices() >= usize::from(self.gpus.count)
            && self.may_use(key.class, context.classes)
    }
}

/// The entry of a state in which the request fits.
fn evaluate(id: u32, demand: &Demand, context: &mut Context<'_>) -> Entry {
    let Context { policy, prices, classes, states, .. } = context;
    let state = &mut states.slab[id as usize];
    let (score, device) = prices.score(demand, state, classes);
    // Where GPUs are to be filled, machines are opened as the prices say; elsewhere as few as can be.
    let dearer = state.key.tie == IDLE && !prices.has_gpus;
    let factor = if dearer { 1.0 + f64::from(policy.idle_milli) / 1000.0 } else { 1.0 };
    Entry {
        loss: prices.steps(score * factor),
        tie: if policy.ties == Ties::Order { 0 } else { state.key.tie },
        label: state.first().map_or(0, |(label, _)| label),
        state: id,
        stamp: state.stamp,
        epoch: prices.epoch,
        device,
    }
}

/// Whether a machine reserved for this role may be used. Without a list, only unreserved machines may; a list without
/// `*` leaves them out.
pub(crate) fn role_allows(reserved: Option<&RoleName>, accepted: Option<&[RoleName]>) -> bool {
    let role = reserved.map_or("*", RoleName::as_str);
    match accepted {
        None | Some([]) => role == "*",
        Some(accepted) => accepted.iter().any(|accepted| accepted.as_str() == role),
    }
}
