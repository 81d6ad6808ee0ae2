//! Looking at one app: what the arithmetic says is done, and a finished part of a deployment is noticed.
//!
//! Also here: how instances enter, change and leave, so that every counter stays right.

use super::apps::{App, Mode};
use super::instances::{Class, Instance, Order};
use super::{AppKey, InstanceKey, Output, Services, balance};
use hansa_model::app::Operator;
use hansa_model::{AppId, Timestamp};
use hansa_placement::Cluster;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Classes that count as present but not ready.
const UNREADY: &[Class] =
    &[Class::Unreachable, Class::Staging, Class::Starting, Class::Unhealthy, Class::Undecided];

impl Services {
    /// Does what is to be done for one app now; nothing if all is as it shall be.
    pub(super) fn reconcile(&mut self, now: Timestamp, key: AppKey, cluster: &Cluster, out: &mut Output) {
        let Some(app) = self.apps.get(key) else { return };
        match app.mode {
            Mode::Held => {
                self.want_launches(now, key, 0);
                return;
            }
            Mode::Stop if app.hold.is_some() => self.want_launches(now, key, 0),
            Mode::Stop => {
                for victim in app.first_to_go(false, &Class::ALIVE, u32::MAX) {
                    self.end(victim, "the service is removed".into());
                }
                for victim in self.apps[key].first_to_go(true, &Class::ALIVE, u32::MAX) {
                    self.end(victim, "the service is removed".into());
                }
                self.want_launches(now, key, 0);
            }
            Mode::Steady | Mode::Scale | Mode::Restart(_) => {
                let mut moves = balance::moves(app.side(false), app.side(true), app.goal());
                if app.unheard > 0 {
                    // After a restart: who is healthy is not known yet, so nobody can be spared yet.
                    moves = balance::Moves { launch: moves.launch, ..balance::Moves::default() };
                }
                if moves.surplus > 0 {
                    for victim in self.surplus(key, moves.surplus, cluster) {
                        self.end(victim, "there are more instances than wanted".into());
                    }
                }
                let app = &self.apps[key];
                let mut victims = match moves.stale_unready {
                    0 => Vec::new(),
                    u32::MAX => app.first_to_go(true, &Class::ALIVE[..6], u32::MAX),
                    some => app.first_to_go(true, UNREADY, some),
                };
                victims.extend(app.first_to_go(true, &[Class::Ready], moves.stale_ready));
                for victim in victims {
                    let words = if self.instances[victim].draining {
                        "its machine is being emptied"
                    } else {
                        "it is replaced by one of the new version"
                    };
                    self.end(victim, words.into());
                }
                self.want_launches(now, key, moves.launch);
            }
        }
        let app = &self.apps[key];
        if !app.in_step {
            return;
        }
        let Some((deployment, _)) = app.deployment else { return };
        if app.hold.is_some() {
            self.note_progress(now, deployment);
        } else if balance::canary_stands(app.side(false), app.side(true), app.goal()) {
            self.canary_stands(now, deployment, out);
        } else if is_done(app) {
            self.action_done(now, key, out);
        } else {
            self.note_progress(now, deployment);
            self.measure(now, key, out);
        }
    }

    /// The fresh instances that go when there are too many: the least useful class first, then so that what is spread by
    /// GROUP_BY stays even, then by age.
    fn surplus(&self, key: AppKey, count: u32, cluster: &Cluster) -> Vec<InstanceKey> {
        let app = &self.apps[key];
        let fields: Vec<&str> = app.active.as_ref().map_or(Vec::new(), |active| {
            let constraints = active.spec.constraints.iter();
            constraints
                .filter(|constraint| constraint.operator == Operator::GroupBy)
                .map(|constraint| constraint.field.as_str())
                .collect()
        });
        if fields.is_empty() {
            return app.first_to_go(false, &Class::ALIVE[1..], count);
        }
        // Each instance's values as numbers, and how many instances have each.
        let mut left = app.first_to_go(false, &Class::ALIVE[1..], u32::MAX);
        let mut numbers: BTreeMap<(usize, Option<Arc<str>>), usize> = BTreeMap::new();
        let mut standing: Vec<u32> = Vec::new();
        let mut values: Vec<(Class, Vec<usize>)> = Vec::with_capacity(left.len());
        for &member in &left {
            let instance = &self.instances[member];
            let node = cluster.node(&instance.agent);
            let of = fields.iter().enumerate().map(|(index, field)| {
                let next = numbers.len();
                let value = node.and_then(|node| node.field(field));
                *numbers.entry((index, value)).or_insert(next)
            });
            let of: Vec<usize> = of.collect();
            standing.resize(numbers.len(), 0);
            of.iter().for_each(|&value| standing[value] += 1);
            values.push((instance.class(), of));
        }
        let mut chosen = Vec::new();
        while chosen.len() < count as usize && !left.is_empty() {
            let class = values[0].0;
            // The first of those in the greatest crowd.
            let mut best = (0, 0);
            for (at, (_, of)) in values.iter().enumerate().take_while(|(_, (other, _))| *other == class) {
                let crowd: u32 = of.iter().map(|&value| standing[value]).sum();
                if crowd > best.1 {
                    best = (at, crowd);
                }
            }
            let (_, of) = values.remove(best.0);
            of.iter().for_each(|&value| standing[value] -= 1);
            chosen.push(left.remove(best.0));
        }
        chosen
    }

    /// The scheduler's own decision to end an instance for good.
    pub(super) fn end(&mut self, key: InstanceKey, words: Cow<'static, str>) {
        let order = if self.instances[key].unreachable_since.is_some() { Order::GiveUp } else { Order::Kill };
        self.kill(key, order, true, words);
    }

    /// Has the kernel told to end an instance.
    pub(super) fn kill(&mut self, key: InstanceKey, order: Order, unwanted: bool, words: Cow<'static, str>) {
        let told = self.instances[key].killing && self.instances[key].order.is_none();
        if told && order == Order::Kill {
            self.instances[key].unwanted |= unwanted;
            return;
        }
        if self.instances[key].order.is_none() {
            self.orders.push_back((key, words));
        }
        self.touch(key, |instance| {
            instance.killing = true;
            instance.unwanted |= unwanted;
            if instance.order != Some(Order::GiveUp) {
                instance.order = Some(order);
            }
        });
    }

    /// Changes an instance and keeps the counts right.
    pub(super) fn touch(&mut self, key: InstanceKey, change: impl FnOnce(&mut Instance)) {
        let instance = &mut self.instances[key];
        let app_key = instance.app;
        let app = &mut self.apps[app_key];
        let before = instance.counted();
        change(instance);
        instance.stale = app.is_stale(instance);
        let after = instance.counted();
        // The place in the order depends on nothing else, so most changes need no move.
        if before != after {
            app.leave(key, instance.placed_at, before);
            app.enter(key, instance.placed_at, after);
            self.mark(app_key);
        }
    }

    /// A new instance, counted in.
    pub(super) fn add_instance(&mut self, mut instance: Instance, cluster: &Cluster) -> InstanceKey {
        let app_key = instance.app;
        let app = &mut self.apps[app_key];
        instance.stale = app.is_stale(&instance);
        match cluster.node(&instance.agent) {
            Some(node) => app.peers.add(node),
            None => app.peers_stale = true,
        }
        let (id, placed_at, counted) = (instance.id.clone(), instance.placed_at, instance.counted());
        let key = self.instances.insert(instance);
        app.enter(key, placed_at, counted);
        self.by_instance.insert(id, key);
        self.mark(app_key);
        key
    }

    /// An instance is gone.
    pub(super) fn remove_instance(&mut self, key: InstanceKey, cluster: &Cluster) -> Option<Instance> {
        let app_key = self.instances.get(key)?.app;
        if let Some(at) = self.instances[key].timer.take() {
            self.timers.remove(&(at, key));
        }
        let app = &mut self.apps[app_key];
        let instance = self.instances.remove(key)?;
        app.leave(key, instance.placed_at, instance.counted());
        match cluster.node(&instance.agent) {
            Some(node) if !app.peers_stale => app.peers.remove(node),
            _ => app.peers_stale = true,
        }
        self.by_instance.remove(&instance.id);
        self.mark(app_key);
        self.forget_if_empty(app_key);
        Some(instance)
    }

    /// The number under which an app is kept, existing or not.
    pub(super) fn app_key(&mut self, id: &AppId) -> AppKey {
        match self.by_id.get(id) {
            Some(&key) => key,
            None => {
                let key = self.apps.insert(App::new(id.clone()));
                self.by_id.insert(id.clone(), key);
                key
            }
        }
    }

    /// Lets go of what an app that neither exists nor has instances needs no more; and of itself, unless its versions are
    /// remembered.
    pub(super) fn forget_if_empty(&mut self, key: AppKey) {
        let app = &self.apps[key];
        if app.current.is_some() || app.deployment.is_some() || !app.members.is_empty() {
            return;
        }
        self.unqueue(key);
        self.tell_demand(key, 0);
        self.drops.extend(self.apps[key].spec.take().map(|(_, spec)| spec));
        if self.apps[key].versions.is_empty()
            && let Some(app) = self.apps.remove(key)
        {
            self.by_id.remove(&app.id);
        }
    }

    /// Has an app looked at.
    pub(super) fn mark(&mut self, key: AppKey) {
        let app = &mut self.apps[key];
        if !app.dirty {
            app.dirty = true;
            self.dirty.push_back(key);
        }
    }
}

/// Whether an app's part of its deployment's step is done.
fn is_done(app: &App) -> bool {
    let (fresh, stale) = (app.side(false), app.side(true));
    let wanted = app.wanted();
    let settled = fresh.present() <= wanted.saturating_add(app.spares) && fresh.killing + stale.killing == 0;
    match app.mode {
        Mode::Stop => app.members.is_empty(),
        _ if app.limit.is_some() => false,
        Mode::Scale => settled && fresh.ready + stale.ready >= wanted,
        Mode::Restart(_) => settled && fresh.ready >= wanted && stale.total() + stale.lost == 0,
        Mode::Steady | Mode::Held => true,
    }
}
