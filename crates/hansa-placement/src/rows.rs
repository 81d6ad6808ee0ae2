//! For each kind of request, the states that can take it, best first. Kept up to date from the log of states when it is
//! next asked for; made anew when prices changed.

use crate::policy::Policy;
use crate::prices::Prices;
use crate::rule::Rule;
use crate::states::{Classes, States};
use hansa_model::resources::GpuDemand;
use hansa_model::{Demand, RoleName};
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Rows kept at most, and entries in all of them together; beyond either, the row unused for longest goes.
const MOST_ROWS: usize = 1024;
const MOST_ENTRIES: usize = 1_000_000;

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
    /// Free thousandths of the device to take a GPU share from.
    pub(crate) device: u16,
}

/// Requests that see the same states in the same order.
#[derive(Debug)]
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
    cursor: u64,
    epoch: u64,
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
}

/// All rows.
#[derive(Debug, Default)]
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

    /// The row of this request, up to date.
    pub(crate) fn get(
        &mut self,
        demand: &Demand,
        roles: Option<&[RoleName]>,
        rules: &[Arc<Rule>],
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
                epoch: u64::MAX,
                used: 0,
            };
            self.by_key.insert(key, row);
        }
        let row = self.by_key.get_mut(&key).expect("it was just put there");
        row.used = self.clock;
        refresh(row, demand, context);
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

fn refresh(row: &mut Row, demand: &Demand, context: &mut Context<'_>) {
    let cursor = context.states.cursor();
    let news = if row.epoch == context.prices.epoch {
        context.states.news(row.cursor).map(<[_]>::len)
    } else {
        None
    };
    match news {
        Some(news) => {
            for at in 0..news {
                let Some(&(id, stamp)) = context.states.news(row.cursor).and_then(|news| news.get(at)) else {
                    break;
                };
                if context.states.slab[id as usize].stamp == stamp
                    && let Some(entry) = evaluate(id, row, demand, context)
                {
                    row.entries.insert(entry);
                }
            }
        }
        None => {
            let all = 0..u32::try_from(context.states.slab.len()).unwrap_or(u32::MAX);
            row.entries = all.filter_map(|id| evaluate(id, row, demand, context)).collect();
        }
    }
    row.cursor = cursor;
    row.epoch = context.prices.epoch;
}

/// The state's entry in the row, if the request fits there.
fn evaluate(id: u32, row: &mut Row, demand: &Demand, context: &mut Context<'_>) -> Option<Entry> {
    let Context { policy, prices, classes, states } = context;
    let state = &mut states.slab[id as usize];
    let (label, _) = state.first()?;
    let key = &state.key;
    let devices = key.gpus.len() - key.gpus.partition_point(|&free| free < row.gpus.milli);
    let fits = state.stamp != 0
        && key.cpus >= row.cpus
        && key.mem >= row.mem
        && key.disk >= row.disk
        && key.ports as usize >= row.ports
        && devices >= usize::from(row.gpus.count);
    if !fits || !row.may_use(key.class, classes) {
        return None;
    }
    let (score, device) = prices.score(demand, state, classes);
    let step = f64::from(policy.step_billionths.max(1)) / 1e9;
    let loss = (-score / step).round() as i64;
    Some(Entry { loss, tie: state.key.tie, label, state: id, stamp: state.stamp, device })
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
