//! What was used and given when, for charts: of the cluster, of each machine and of each role, for a day.
//!
//! Looked at every five seconds, in the picture that everybody reads. The memory is fixed: 35 KB for the cluster, 6 KB for a
//! role (1,000 of them at most), and less than 2 KB for a machine, whatever happens: 40 MB for 20,000 machines. Of
//! machines only CPU and memory are kept, as shares of what the machine has. Tasks are the machines' business.

use crate::Master;
use crate::read_model::ReadModel;
use hansa_api::series::{Series, Span};
use hansa_model::event::AgentState;
use hansa_model::role::Totals;
use hansa_model::{AgentId, RoleName, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Points of each span: of the cluster and roles, and of machines.
const FINE: usize = 180;
const COARSE: usize = 60;

/// Roles whose past is kept.
const ROLES: usize = 1_000;

/// The whole of what a machine has, as shares are kept.
const WHOLE: u64 = 65_534;

/// A step: when it began, what was used (None: not metered) and what was given.
pub(crate) type Step = (Timestamp, Option<Totals>, Totals);

/// The past of all that is looked at.
#[derive(Debug)]
pub(crate) struct History {
    cluster: Series<u64, 8>,
    nodes: FxHashMap<AgentId, Series<u16, 4>>,
    roles: BTreeMap<RoleName, Series<u64, 4>>,
}

impl Default for History {
    fn default() -> Self {
        Self { cluster: Series::new(FINE), nodes: FxHashMap::default(), roles: BTreeMap::new() }
    }
}

impl History {
    /// Looks at the picture.
    pub(crate) fn look(&mut self, now: Timestamp, model: &ReadModel) {
        let (mut used, mut given, mut reached) = (Totals::default(), Totals::default(), 0);
        for agent in model.agents().filter(|agent| agent.view.state != AgentState::Unreachable) {
            reached += 1;
            let view = &agent.view;
            given = given.plus(view.allocated);
            let Some(usage) = &agent.usage else { continue };
            used = used.plus(usage.used);
            let (cpus, mem) = (view.total.cpus_milli, view.total.mem);
            let shares = [
                share(usage.used.cpus_milli, cpus),
                share(usage.used.mem, mem),
                share(view.allocated.cpus_milli, cpus),
                share(view.allocated.mem, mem),
            ];
            match self.nodes.get_mut(&view.id) {
                Some(series) => series.record(now, shares),
                None => self
                    .nodes
                    .entry(view.id.clone())
                    .or_insert_with(|| Series::new(COARSE))
                    .record(now, shares),
            }
        }
        if reached > 0 {
            let [a, b, c, d] = four(&used);
            let [e, f, g, h] = four(&given);
            self.cluster.record(now, [a, b, c, d, e, f, g, h]);
        }
        if self.nodes.len() > model.agents().len() {
            self.nodes.retain(|id, _| model.agent(id.as_str()).is_some());
        }
        for view in model.roles() {
            if let Some(series) = self.roles.get_mut(&view.role.name) {
                series.record(now, four(&view.allocated));
            } else if self.roles.len() < ROLES {
                let series = self.roles.entry(view.role.name.clone()).or_insert_with(|| Series::new(FINE));
                series.record(now, four(&view.allocated));
            }
        }
        if self.roles.len() > model.roles().len() {
            self.roles.retain(|name, _| model.role(name).is_some());
        }
    }

    /// Of the cluster: milliseconds of a step, and the steps.
    pub(crate) fn of_cluster(&self, span: Span, now: Timestamp) -> (u64, Vec<Step>) {
        let points = self.cluster.points(span, now);
        let steps = points
            .map(|(at, [a, b, c, d, e, f, g, h])| (at, Some(totals([a, b, c, d])), totals([e, f, g, h])));
        (self.cluster.step_ms(span), steps.collect())
    }

    /// Of a machine that has `total` now.
    pub(crate) fn of_node(
        &self,
        id: &AgentId,
        total: &Totals,
        span: Span,
        now: Timestamp,
    ) -> (u64, Vec<Step>) {
        let Some(series) = self.nodes.get(id) else { return (span.ms() / COARSE as u64, Vec::new()) };
        let part = |share: u64, of: u64| {
            u64::try_from(u128::from(share) * u128::from(of) / u128::from(WHOLE)).unwrap_or(u64::MAX)
        };
        let both = |cpus, mem| Totals {
            cpus_milli: part(cpus, total.cpus_milli),
            mem: part(mem, total.mem),
            ..Totals::default()
        };
        let points = series.points(span, now);
        let steps = points.map(|(at, [cpus, mem, given_cpus, given_mem])| {
            (at, Some(both(cpus, mem)), both(given_cpus, given_mem))
        });
        (series.step_ms(span), steps.collect())
    }

    /// Of a role.
    pub(crate) fn of_role(&self, name: &RoleName, span: Span, now: Timestamp) -> (u64, Vec<Step>) {
        let Some(series) = self.roles.get(name) else { return (span.ms() / FINE as u64, Vec::new()) };
        let steps = series.points(span, now).map(|(at, given)| (at, None, totals(given)));
        (series.step_ms(span), steps.collect())
    }
}

/// Looks every five seconds until the master stops.
pub(crate) async fn keep(master: Master) {
    let mut stopping = master.stopping();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                master.history().look(crate::clock::now(), &master.read());
                master.inner().looked.send_modify(|looked| *looked += 1);
            }
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

fn share(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        0
    } else {
        u64::try_from(u128::from(part) * u128::from(WHOLE) / u128::from(whole)).unwrap_or(WHOLE)
    }
}

fn four(totals: &Totals) -> [u64; 4] {
    [totals.cpus_milli, totals.mem, totals.disk, totals.gpus_milli]
}

fn totals([cpus_milli, mem, disk, gpus_milli]: [u64; 4]) -> Totals {
    Totals { cpus_milli, mem, disk, gpus_milli }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_takes_less_than_two_kilobytes() {
        let values = 3 * COARSE * 4 * size_of::<u16>();
        assert!(values + size_of::<Series<u16, 4>>() + size_of::<AgentId>() + 32 <= 2_048, "{values}");
    }

    #[test]
    fn shares_come_back_as_amounts() {
        let total = Totals { cpus_milli: 64_000, mem: 256 << 30, ..Totals::default() };
        let mut history = History::default();
        let id = AgentId::from("a");
        let series = history.nodes.entry(id.clone()).or_insert_with(|| Series::new(COARSE));
        let shares = [share(1_500, total.cpus_milli), share(3 << 30, total.mem), WHOLE, share(9, 0)];
        series.record(Timestamp(1_000_000), shares);
        let (step_ms, steps) = history.of_node(&id, &total, Span::Minutes15, Timestamp(1_000_000));
        assert_eq!((step_ms, steps.len()), (15_000, 1));
        let (_, used, given) = steps[0];
        let used = used.unwrap();
        assert!(used.cpus_milli.abs_diff(1_500) <= 1, "{used:?}");
        assert!(used.mem.abs_diff(3 << 30) <= 4 << 20, "{used:?}");
        assert_eq!((given.cpus_milli, given.mem), (64_000, 0));
        assert_eq!(history.of_node(&AgentId::from("b"), &total, Span::Day, Timestamp(1)).1, []);
    }
}
