//! The structures that make a choice cheap, kept beside the book of machines: classes, states, the mix, prices, rows.
//!
//! Everything here but the mix can be made anew from the machines. Asking for a place changes only what is remembered of
//! scores, never machines, mix or prices.

use crate::cluster::{Node, Request};
use crate::mix::Mix;
use crate::policy::Policy;
use crate::prices::{Prices, state_key};
use crate::rows::{Check, Context, Entry, Row, Rows};
use crate::rule::{Rule, Rules, is_host};
use crate::states::{Classes, States};
use hansa_model::Demand;
use hansa_model::app::Constraint;
use hansa_model::event::AgentState;
use hansa_model::resources::PortDemand;
use hansa_model::role::Totals;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Answers of host name constraints kept for so many constraints.
const MOST_HOST_ANSWERS: usize = 256;

/// A machine in the book, with what the engine remembers of it.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) node: Node,
    /// How many ports are free.
    pub(crate) ports: u32,
    /// Rises with the machine's id.
    pub(crate) label: u64,
}

/// Where a seat stands in the engine.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    class: u32,
    state: Option<u32>,
    label: u64,
}

/// The structures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    pub(crate) policy: Policy,
    pub(crate) rules: Rules,
    mix: Mix,
    prices: Prices,
    classes: Classes,
    states: States,
    rows: Rows,
    standing: Vec<Standing>,
    /// What all active machines have.
    pub(crate) total: Totals,
    active: usize,
    /// What fixed host name constraints say of each slot: 0 not asked yet, 1 no, 2 yes.
    host_answers: FxHashMap<Constraint, Vec<u8>>,
    /// Changes since prices were renewed.
    changes: u64,
    all_changes: u64,
}

/// The seats by slot.
pub(crate) type Seats = [Option<Seat>];

/// What a request asks of single machines and of where its peers are.
#[derive(Default)]
struct Conditions {
    /// Fixed, about fields that classes know.
    fixed: Vec<Arc<Rule>>,
    /// Fixed, about host names.
    hosts: Vec<Arc<Rule>>,
    /// Moving, about fields that classes know.
    moving: Vec<Arc<Rule>>,
    /// Moving, about host names.
    moving_hosts: Vec<Arc<Rule>>,
    exact_ports: Vec<u16>,
}

impl Engine {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// A machine came, or anything but its free amounts changed.
    pub(crate) fn arrive(&mut self, slot: u32, seat: &Seat) {
        self.depart(slot);
        let at = slot as usize;
        if self.standing.len() <= at {
            self.standing.resize(at + 1, Standing::default());
        }
        for answers in self.host_answers.values_mut() {
            if let Some(answer) = answers.get_mut(at) {
                *answer = 0;
            }
        }
        self.standing[at] = Standing { class: self.classes.of(&seat.node), state: None, label: seat.label };
        self.settle(slot, seat);
        if seat.node.state == AgentState::Active {
            self.count(&seat.node, true);
        }
        self.changed();
    }

    /// A machine goes, as it stands in the engine; nothing if it was not active. `node` is as it was.
    pub(crate) fn leave(&mut self, slot: u32, node: &Node) {
        if node.state == AgentState::Active {
            self.count(node, false);
        }
        self.depart(slot);
        self.changed();
    }

    /// Something was taken from or given back to a machine.
    pub(crate) fn moved(&mut self, slot: u32, seat: &Seat) {
        self.depart(slot);
        self.settle(slot, seat);
        self.changed();
    }

    /// Counts one arrival.
    pub(crate) fn observe(&mut self, seats: &Seats, demand: &Demand, constraints: &[Constraint]) {
        let mut fixed = Vec::new();
        for constraint in constraints.iter().filter(|constraint| !is_host(&constraint.field)) {
            if self.rules.get(constraint).is_fixed() {
                fixed.push(constraint.clone());
            }
        }
        fixed.sort();
        fixed.dedup();
        self.know_fields(fixed.iter().map(|constraint| constraint.field.as_str()), seats);
        self.mix.observe(&self.policy, demand, fixed);
        self.all_changes += 1;
        // An arrival changes the mix, not the room that is left: it matters while the mix is young.
        if self.until_renewal() < self.usual_renewal() {
            self.changes += 1;
            self.renew_in_time();
        }
    }

    /// Makes everything anew from the seats.
    pub(crate) fn rebuild(&mut self, seats: &Seats) {
        self.classes.clear();
        self.states = States::default();
        self.rows.clear();
        self.prices.forget_classes();
        self.standing.clear();
        self.standing.resize(seats.len(), Standing::default());
        for (at, seat) in seats.iter().enumerate() {
            if let Some(seat) = seat {
                self.standing[at] =
                    Standing { class: self.classes.of(&seat.node), state: None, label: seat.label };
                self.settle(at as u32, seat);
            }
        }
    }

    /// Prices as they would be if they were renewed now.
    pub(crate) fn renew(&mut self) {
        self.changes = 0;
        self.prices.renew(
            &self.policy,
            &self.mix,
            &self.total,
            &mut self.rules,
            &self.classes,
            &mut self.states,
        );
    }

    /// The states with their machines, without the numbers that depend on history.
    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> Vec<String> {
        let alive = self.states.slab.iter().filter(|state| state.stamp != 0);
        let text = |state: &crate::states::State| {
            let key = &state.key;
            let amounts = (key.tie, key.cpus, key.mem, key.disk, key.ports, &key.gpus);
            format!("{} {amounts:?} {:?}", self.classes.text(key.class), state.nodes)
        };
        let mut all: Vec<String> = alive.map(text).collect();
        all.sort();
        all
    }

    /// Whether so many classes are of machines gone by that they should be made anew.
    pub(crate) fn is_cluttered(&self) -> bool {
        self.classes.len() > 2 * self.standing.len() + 1000
    }

    fn changed(&mut self) {
        self.changes += 1;
        self.all_changes += 1;
        self.renew_in_time();
    }

    fn renew_in_time(&mut self) {
        if self.changes >= self.until_renewal() {
            self.renew();
        }
    }

    /// After how many changes prices are renewed: while the mix is young after 10, 13, 16, … arrivals.
    fn until_renewal(&self) -> u64 {
        match self.mix.arrivals() {
            0 => u64::MAX,
            1 => 1,
            arrivals => (arrivals * 3 / 10).max(3).min(self.usual_renewal()),
        }
    }

    fn usual_renewal(&self) -> u64 {
        let part = self.active as u64 / u64::from(self.policy.renewal_divisor.max(1));
        part.max(u64::from(self.policy.renewal_at_least))
    }

    fn count(&mut self, node: &Node, comes: bool) {
        let own = Totals::of(&node.total);
        let sum = |all: &mut u64, own: u64| *all = if comes { *all + own } else { all.saturating_sub(own) };
        sum(&mut self.total.cpus_milli, own.cpus_milli);
        sum(&mut self.total.mem, own.mem);
        sum(&mut self.total.disk, own.disk);
        sum(&mut self.total.gpus_milli, own.gpus_milli);
        self.active = if comes { self.active + 1 } else { self.active.saturating_sub(1) };
    }

    fn depart(&mut self, slot: u32) {
        if let Some(standing) = self.standing.get_mut(slot as usize)
            && let Some(state) = standing.state.take()
        {
            self.states.leave(state, (standing.label, slot));
        }
    }

    fn settle(&mut self, slot: u32, seat: &Seat) {
        if seat.node.state == AgentState::Active {
            let standing = &mut self.standing[slot as usize];
            let key = state_key(&self.policy, standing.class, &seat.node.total, &seat.node.free, seat.ports);
            standing.state = Some(self.states.enter(key, (standing.label, slot)));
        }
    }

    /// From now on classes tell machines apart by these fields, too.
    fn know_fields<'a>(&mut self, fields: impl Iterator<Item = &'a str>, seats: &Seats) {
        if self.classes.learn(fields) {
            self.rebuild(seats);
        }
    }

    fn conditions(&mut self, request: &Request<'_>) -> Conditions {
        let mut conditions = Conditions::default();
        for constraint in request.constraints {
            let rule = self.rules.get(constraint);
            let list = match (rule.is_fixed(), is_host(&constraint.field)) {
                (true, false) => &mut conditions.fixed,
                (true, true) => &mut conditions.hosts,
                (false, false) => &mut conditions.moving,
                (false, true) => &mut conditions.moving_hosts,
            };
            list.push(rule);
        }
        conditions.exact_ports = exact_ports(request.demand);
        conditions
    }

    /// The best place: the slot, and of which free thousandths the GPU share is best taken.
    pub(crate) fn find(&mut self, seats: &Seats, request: &Request<'_>) -> Option<(u32, u16)> {
        let conditions = self.conditions(request);
        let twice = |at: usize| conditions.exact_ports[..at].contains(&conditions.exact_ports[at]);
        if (1..conditions.exact_ports.len()).any(twice) {
            return None;
        }
        self.know_fields(request.constraints.iter().map(|constraint| constraint.field.as_str()), seats);
        // Spreading needs to see every place, not only the cheapest.
        let spreads = conditions.moving.iter().chain(&conditions.moving_hosts).any(|rule| rule.spreads());
        match self.find_in_row(seats, request, &conditions, spreads) {
            (None, true) if !spreads => self.find_in_row(seats, request, &conditions, true).0,
            (found, _) => found,
        }
    }

    /// The best place in the request's row, and whether the row may lack some.
    fn find_in_row(
        &mut self,
        seats: &Seats,
        request: &Request<'_>,
        conditions: &Conditions,
        complete: bool,
    ) -> (Option<(u32, u16)>, bool) {
        let mut context = Context {
            policy: &self.policy,
            prices: &mut self.prices,
            classes: &self.classes,
            states: &mut self.states,
            changes: self.all_changes,
        };
        let row =
            self.rows.get(request.demand, request.accepted_roles, &conditions.fixed, complete, &mut context);
        let (states, partial) = (&self.states, row.is_partial());
        if conditions.are_simple() {
            while let Some(entry) = row.first() {
                if let Check::Good = row.check(entry, states) {
                    let first = states.slab[entry.state as usize].first();
                    return (first.map(|(_, slot)| (slot, entry.device)), partial);
                }
            }
            return (None, partial);
        }
        let mut search = Search {
            seats,
            request,
            conditions,
            classes: &self.classes,
            by_class: FxHashMap::default(),
            hosts: HostAnswers { answers: &mut self.host_answers },
            least_possible: 0,
            best: None,
        };
        search.least_possible = search.least_possible(seats.len());
        (search.run(row, states), partial)
    }
}

impl Conditions {
    /// Whether any machine of a state in the row will do.
    fn are_simple(&self) -> bool {
        self.hosts.is_empty()
            && self.moving.is_empty()
            && self.moving_hosts.is_empty()
            && self.exact_ports.is_empty()
    }
}

/// The ports that a demand names.
pub(crate) fn exact_ports(demand: &Demand) -> Vec<u16> {
    let exact = |asked: &PortDemand| if let PortDemand::Exact(port) = asked { Some(*port) } else { None };
    demand.ports.iter().filter_map(exact).collect()
}

/// What fixed host name rules said before.
struct HostAnswers<'a> {
    answers: &'a mut FxHashMap<Constraint, Vec<u8>>,
}

impl HostAnswers<'_> {
    fn allows(&mut self, rule: &Rule, slot: u32, node: &Node, slots: usize) -> bool {
        if !self.answers.contains_key(&rule.constraint) {
            if self.answers.len() >= MOST_HOST_ANSWERS {
                self.answers.clear();
            }
            self.answers.insert(rule.constraint.clone(), Vec::new());
        }
        let answers = self.answers.entry(rule.constraint.clone()).or_default();
        if answers.len() < slots {
            answers.resize(slots, 0);
        }
        let answer = &mut answers[slot as usize];
        if *answer == 0 {
            *answer = 1 + u8::from(rule.allows(Some(&node.hostname), None));
        }
        *answer == 2
    }
}

/// A walk over a row, best state first, for a request that not every machine of a state can take.
struct Search<'a> {
    seats: &'a Seats,
    request: &'a Request<'a>,
    conditions: &'a Conditions,
    classes: &'a Classes,
    /// What the moving rules say of a class: no, or how many instances the spreading ones count there.
    by_class: FxHashMap<u32, Option<u64>>,
    hosts: HostAnswers<'a>,
    /// No machine can have fewer instances in the spreading rules' eyes than this.
    least_possible: u64,
    best: Option<(u64, u32, u16)>,
}

impl Search<'_> {
    fn run(mut self, row: &mut Row, states: &States) -> Option<(u32, u16)> {
        let mut after: Option<Entry> = None;
        'again: loop {
            let mut wrong = None;
            for entry in row.entries(after) {
                if !Row::is_good(&entry, states) {
                    wrong = Some(entry);
                    break;
                }
                if self.visit(entry, states) {
                    break 'again;
                }
                after = Some(entry);
            }
            match wrong {
                Some(entry) => {
                    row.check(entry, states);
                }
                None => break,
            }
        }
        self.best.map(|(_, slot, device)| (slot, device))
    }

    /// Looks at a state's machines. True: nothing better can follow.
    fn visit(&mut self, entry: Entry, states: &States) -> bool {
        let state = &states.slab[entry.state as usize];
        let Some(crowd) = self.class(state.key.class) else { return false };
        for &(_, slot) in &state.nodes {
            if self.best.is_some_and(|(least, ..)| least <= crowd) {
                return false;
            }
            if let Some(own) = self.machine(slot) {
                let crowd = crowd + own;
                if self.best.is_none_or(|(least, ..)| crowd < least) {
                    self.best = Some((crowd, slot, entry.device));
                }
                if crowd <= self.least_possible {
                    return true;
                }
            }
        }
        false
    }

    fn class(&mut self, class: u32) -> Option<u64> {
        if let Some(&known) = self.by_class.get(&class) {
            return known;
        }
        let crowd = self.conditions.moving.iter().try_fold(0, |sum, rule| {
            self.crowd(rule, self.classes.value(class, &rule.constraint.field)).map(|own| sum + own)
        });
        self.by_class.insert(class, crowd);
        crowd
    }

    fn machine(&mut self, slot: u32) -> Option<u64> {
        let node = &self.seats[slot as usize].as_ref()?.node;
        for rule in &self.conditions.hosts {
            if !self.hosts.allows(rule, slot, node, self.seats.len()) {
                return None;
            }
        }
        if !self.conditions.exact_ports.iter().all(|&port| node.free.ports.contains(port)) {
            return None;
        }
        let hosts = self.conditions.moving_hosts.iter();
        hosts.clone().try_fold(0, |sum, rule| self.crowd(rule, Some(&node.hostname)).map(|own| sum + own))
    }

    /// None if the rule says no; otherwise the instances there, if the rule spreads.
    fn crowd(&self, rule: &Rule, value: Option<&str>) -> Option<u64> {
        let peers = self.request.peers.field(&rule.constraint.field);
        if !rule.allows(value, peers) {
            return None;
        }
        let here = || peers.zip(value).map_or(0, |(peers, value)| u64::from(peers.count(value)));
        Some(if rule.spreads() { here() } else { 0 })
    }

    /// A lower bound of what [`Search::crowd`] can sum up to: where every value has instances, the smallest count.
    fn least_possible(&self, machines: usize) -> u64 {
        let values = |rule: &Rule| {
            let field = &rule.constraint.field;
            if is_host(field) { machines } else { self.classes.distinct(field) }
        };
        let rules = self.conditions.moving.iter().chain(&self.conditions.moving_hosts);
        let least = |rule: &Arc<Rule>| {
            let peers = self.request.peers.field(&rule.constraint.field)?;
            (peers.distinct() >= values(rule)).then(|| u64::from(peers.smallest()))
        };
        rules.filter(|rule| rule.spreads()).filter_map(least).sum()
    }
}
