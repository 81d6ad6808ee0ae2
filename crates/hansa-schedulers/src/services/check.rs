//! The scheduler's invariants, recounted from scratch. For tests and the simulator.

use super::apps::{App, Mode, Queued};
use super::instances::Class;
use super::{AppKey, InstanceKey, Services};
use std::collections::{BTreeMap, BTreeSet};

impl Services {
    /// The first thing that is not as it must be.
    pub(super) fn find_fault(&self) -> Option<String> {
        let mut members = 0;
        let ordered: BTreeSet<InstanceKey> = self.orders.iter().map(|(key, _)| *key).collect();
        for (key, app) in self.apps.iter() {
            members += app.members.len();
            if self.by_id.get(&app.id) != Some(&key) {
                return Some(format!("{} is not found by its id", app.id));
            }
            let fault = self.fault_of_counts(app, &ordered).or_else(|| self.fault_of_lines(key, app));
            if let Some(fault) = fault.or_else(|| self.fault_of_deployment(app)) {
                return Some(format!("{}: {fault}", app.id));
            }
        }
        let all = self.instances.iter().count();
        if members != all || all != self.by_instance.len() {
            return Some(format!("{all} instances, {members} of apps, {} by id", self.by_instance.len()));
        }
        self.fault_of_indexes()
    }

    fn fault_of_counts(&self, app: &App, ordered: &BTreeSet<InstanceKey>) -> Option<String> {
        let mut counts = [[0u32; Class::COUNT]; 2];
        let (mut spares, mut unheard) = (0, 0);
        for &(stale, class, placed_at, key) in &app.members {
            let Some(instance) = self.instances.get(key) else {
                return Some(format!("member {key} does not exist"));
            };
            if (stale, class, placed_at) != (instance.stale, instance.class(), instance.placed_at) {
                return Some(format!("{} stands in the wrong place", instance.id));
            }
            if instance.stale != app.is_stale(instance) {
                return Some(format!("{} is on the wrong side", instance.id));
            }
            if self.by_instance.get(&instance.id) != Some(&key) {
                return Some(format!("{} is not found by its id", instance.id));
            }
            if instance.timer.is_some_and(|at| !self.timers.contains(&(at, key))) {
                return Some(format!("the alarm of {} is not set", instance.id));
            }
            if instance.order.is_some() && !ordered.contains(&key) {
                return Some(format!("the order to end {} is lost", instance.id));
            }
            counts[usize::from(stale)][class as usize] += 1;
            spares += u32::from(instance.counted().spare);
            unheard += u32::from(instance.counted().unheard);
        }
        if counts != app.counts || spares != app.spares || unheard != app.unheard {
            return Some(format!("counts {:?} instead of {counts:?}", app.counts));
        }
        None
    }

    /// Whoever misses instances stands in a line, with a reason.
    fn fault_of_lines(&self, key: AppKey, app: &App) -> Option<String> {
        let standing = match &app.queued {
            Queued::Out => true,
            Queued::Ready => app.in_ready || app.dirty || self.pending_for(key),
            Queued::Delayed(at) => self.delayed.contains(&(*at, key)),
            Queued::NoPlace(generation) => self.waiting.contains(&(*generation, key)),
            Queued::Refused(generation, at, why) => {
                self.waiting.contains(&(*generation, key))
                    && self.refused.contains(&(*at, key))
                    && !why.is_empty()
            }
        };
        if !standing {
            return Some(format!("it is not in the line {:?}", app.queued));
        }
        if app.dirty {
            return None;
        }
        if app.launch > 0 && app.queued == Queued::Out {
            return Some(format!("{} instances to launch, but it stands in no line", app.launch));
        }
        if app.launch > 0 && app.waiting_since.is_none() {
            return Some("nobody knows since when it waits".into());
        }
        let (fresh, stale) = (app.side(false), app.side(true));
        if app.mode == Mode::Held {
            return None;
        }
        let missing = app.wanted().saturating_sub(fresh.present());
        let excused = app.launch + fresh.killing + stale.total();
        if missing > excused {
            return Some(format!(
                "{missing} instances are missing, but only {} are to be launched",
                app.launch
            ));
        }
        None
    }

    fn pending_for(&self, key: AppKey) -> bool {
        match self.pending {
            Some(super::Pending::Spec(app, _)) => app == key,
            Some(super::Pending::Claim(instance)) => {
                self.instances.get(instance).is_some_and(|instance| instance.app == key)
            }
            None => false,
        }
    }

    fn fault_of_deployment(&self, app: &App) -> Option<String> {
        match &app.deployment {
            Some((key, id)) => {
                let Some(deployment) = self.deployments.get(*key).filter(|found| found.id == *id) else {
                    return Some(format!("its deployment {id} does not exist"));
                };
                if !deployment.originals.contains_key(&app.id) {
                    return Some(format!("deployment {id} does not know of it"));
                }
            }
            None if app.in_step => return Some("it is in a step of no deployment".into()),
            None => {
                let active = app.active.as_ref().map(|active| active.version);
                let current = app.current.as_ref().map(|current| current.version);
                if active != current {
                    return Some(format!("{active:?} is in force, {current:?} is shown"));
                }
            }
        }
        None
    }

    fn fault_of_indexes(&self) -> Option<String> {
        for (id, key) in &self.by_deployment {
            let Some(deployment) = self.deployments.get(*key) else {
                return Some(format!("deployment {id} does not exist"));
            };
            let open = deployment
                .originals
                .keys()
                .filter_map(|app| self.by_id.get(app))
                .filter(|app| {
                    let app = &self.apps[**app];
                    app.in_step && app.deployment.as_ref().is_some_and(|(of, _)| of == key)
                })
                .count();
            if open != deployment.open as usize || open == 0 {
                return Some(format!("deployment {id} has {} open actions, counted {open}", deployment.open));
            }
        }
        let mut unmet: BTreeMap<_, u32> = BTreeMap::new();
        for (_, app) in self.apps.iter() {
            if let Some((role, shape, count)) = &app.told {
                *unmet.entry((role.clone(), shape.clone())).or_default() += count;
            }
        }
        for (shape, count) in &self.demand {
            if unmet.remove(shape).unwrap_or(0) != count.wanted {
                return Some(format!("the demand for {shape:?} is not {}", count.wanted));
            }
        }
        if let Some(forgotten) = unmet.into_keys().next() {
            return Some(format!("the demand for {forgotten:?} is forgotten"));
        }
        let specs = self.apps.iter().filter_map(|(_, app)| Some(&app.current.as_ref()?.spec));
        if !self.ports.are_those_of(specs) {
            return Some("the service ports in use are not those of the apps".into());
        }
        None
    }
}
