//! The line for places, and every call to the kernel.
//!
//! Calls are made one at a time, the urgent ones first: what shall end, then what shall start (apps take turns), then
//! what the kernel should know about unmet demand and unused specs. An app for which there was no place waits until the
//! cluster's generation changes; so nobody asks in vain, and nobody is forgotten.

use super::apps::{Mode, Queued};
use super::instances::{Instance, Order, mix, task_of};
use super::{AppKey, Output, Pending, Services, Unmet};
use hansa_model::app::Constraint;
use hansa_model::resources::Demand;
use hansa_model::scheduler::{Answer, Call, Claim, Placement, Rejection};
use hansa_model::spec::Origin;
use hansa_model::task::TaskState;
use hansa_model::{InstanceId, Owner, Principal, Timestamp};
use hansa_placement::{Cluster, Peers, Request};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// After a refusal the same is tried again this much later, even if the cluster stands still.
const REFUSED_MS: u64 = 1_000;
/// So many claims in a row may fail for a reason that the next one mends before that counts as a refusal.
const COLLISIONS: u32 = 64;
/// At most so many failed attempts for waiting apps
const RETRIES: u32 = 64;
/// in so many milliseconds.
const RETRIES_MS: u64 = 10;

impl Services {
    /// The next call, after everything that is due has been looked at.
    pub(super) fn decide(&mut self, now: Timestamp, cluster: &Cluster, out: &mut Output) -> Option<Call> {
        self.give_up_pending(now, cluster);
        self.settled = true;
        self.stop_listening(now);
        self.generation = cluster.generation();
        loop {
            if let Some(call) = self.next_order() {
                return Some(call);
            }
            if let Some(&(at, key)) = self.timers.first()
                && at <= now
            {
                self.timers.pop_first();
                self.instances[key].timer = None;
                self.lose(now, key);
                continue;
            }
            if self.look_after_deployments(now, out) || self.look_after_streaks(now, out) {
                continue;
            }
            if let Some(key) = self.dirty.pop_front() {
                if let Some(app) = self.apps.get_mut(key).filter(|app| app.dirty) {
                    app.dirty = false;
                    self.reconcile(now, key, cluster, out);
                }
                continue;
            }
            if let Some(&(at, key)) = self.delayed.first()
                && at <= now
            {
                self.line_up(key, Queued::Ready);
                continue;
            }
            if let Some(&(at, key)) = self.refused.first()
                && at <= now
            {
                self.line_up(key, Queued::Ready);
                continue;
            }
            if let Some(key) = self.ready.pop_front() {
                match self.try_launch(now, key, cluster) {
                    Some(call) => return Some(call),
                    None => continue,
                }
            }
            if let Some(&(generation, key)) = self.waiting.first()
                && generation < self.generation
                && self.may_retry(now)
            {
                self.line_up(key, Queued::Ready);
                continue;
            }
            if let Some(call) = self.next_demand() {
                return Some(call);
            }
            if let Some(spec) = self.drops.pop_front() {
                return Some(Call::DropSpec { spec });
            }
            break;
        }
        self.tell_progress(now, cluster, out);
        None
    }

    /// When [`decide`](Services::decide) has something to do although nothing happens.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let busy = !(self.orders.is_empty()
            && self.dirty.is_empty()
            && self.ready.is_empty()
            && self.demand_dirty.is_empty()
            && self.drops.is_empty())
            || self.pending.is_some();
        if busy {
            return Some(Timestamp(0));
        }
        let retry = self
            .waiting
            .first()
            .filter(|(generation, _)| *generation < self.generation)
            .map(|_| self.retries.0 + RETRIES_MS);
        [
            self.timers.first().map(|(at, _)| *at),
            self.delayed.first().map(|(at, _)| *at),
            self.refused.first().map(|(at, _)| *at),
            self.progress.first().map(|(at, _)| *at),
            self.watches.first().map(|(at, _)| *at),
            self.recoveries.first().map(|(at, _)| *at),
            self.overdue.first().map(|(at, _)| *at),
            self.hearing_until,
            retry,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn may_retry(&mut self, now: Timestamp) -> bool {
        if now >= self.retries.0 + RETRIES_MS {
            self.retries = (now, 0);
        }
        self.retries.1 < RETRIES
    }

    fn next_order(&mut self) -> Option<Call> {
        while let Some((key, words)) = self.orders.pop_front() {
            let Some(instance) = self.instances.get_mut(key) else { continue };
            let Some(order) = instance.order.take() else { continue };
            let instance_id = instance.id.clone();
            return Some(match order {
                Order::GiveUp if instance.unreachable_since.is_some() => {
                    Call::GiveUp { instance: instance_id }
                }
                Order::GiveUp | Order::Kill => {
                    Call::Kill { instance: instance_id, grace_ms: None, message: words.into_owned() }
                }
            });
        }
        None
    }

    fn next_demand(&mut self) -> Option<Call> {
        while let Some(shape) = self.demand_dirty.pop_first() {
            let Some(unmet) = self.demand.get_mut(&shape) else { continue };
            let count = unmet.wanted;
            let told = std::mem::replace(&mut unmet.told, count);
            if count == 0 {
                self.demand.remove(&shape);
            }
            if told != count {
                let (role, shape) = shape;
                return Some(Call::SetDemand { role, shape, count });
            }
        }
        None
    }

    /// So many instances are to be launched now.
    pub(super) fn want_launches(&mut self, now: Timestamp, key: AppKey, launch: u32) {
        let others = self.share_launches(key, launch);
        let app = &mut self.apps[key];
        app.launch = launch;
        if launch == 0 {
            app.waiting_since = None;
            app.no_place = None;
            self.unqueue(key);
            return;
        }
        app.waiting_since.get_or_insert(now);
        match app.queued {
            Queued::NoPlace(_) | Queued::Refused(..) if !others => self.tell_demand(key, launch),
            // For these there may be a place.
            Queued::NoPlace(_) | Queued::Refused(..) => self.line_up(key, Queued::Ready),
            Queued::Out | Queued::Ready | Queued::Delayed(_) => {
                let next = self.delay_of(now, key).map_or(Queued::Ready, Queued::Delayed);
                self.line_up(key, next);
            }
        }
    }

    /// Until when nothing of the app may be launched.
    pub(super) fn delay_of(&self, now: Timestamp, key: AppKey) -> Option<Timestamp> {
        self.apps[key].delayed_until(now)
    }

    /// The app needs no place now.
    pub(super) fn unqueue(&mut self, key: AppKey) {
        self.line_up(key, Queued::Out);
        self.tell_demand(key, 0);
    }

    /// Moves an app to another line.
    pub(super) fn line_up(&mut self, key: AppKey, next: Queued) {
        let app = &mut self.apps[key];
        if app.queued == next && (next != Queued::Ready || app.in_ready) {
            return;
        }
        match &app.queued {
            Queued::Out | Queued::Ready => {}
            Queued::Delayed(at) => drop(self.delayed.remove(&(*at, key))),
            Queued::NoPlace(generation) => drop(self.waiting.remove(&(*generation, key))),
            Queued::Refused(generation, at, _) => {
                self.waiting.remove(&(*generation, key));
                self.refused.remove(&(*at, key));
            }
        }
        match &next {
            Queued::Out => {}
            Queued::Ready => {
                if !app.in_ready {
                    app.in_ready = true;
                    self.ready.push_back(key);
                }
            }
            Queued::Delayed(at) => drop(self.delayed.insert((*at, key))),
            Queued::NoPlace(generation) => drop(self.waiting.insert((*generation, key))),
            Queued::Refused(generation, at, _) => {
                self.waiting.insert((*generation, key));
                self.refused.insert((*at, key));
            }
        }
        app.queued = next;
    }

    /// What the app contributes to the demand that the kernel is told.
    pub(super) fn tell_demand(&mut self, key: AppKey, count: u32) {
        let app = &mut self.apps[key];
        let now = match (&app.active, count) {
            (Some(active), 1..) => Some((active.spec.role.clone(), app.demand.clone(), count)),
            _ => None,
        };
        if app.told == now {
            return;
        }
        let before = std::mem::replace(&mut app.told, now.clone());
        if let Some((role, shape, count)) = before {
            self.change_demand(role, shape, |unmet| unmet.wanted -= count);
        }
        if let Some((role, shape, count)) = now {
            self.change_demand(role, shape, |unmet| unmet.wanted += count);
        }
    }

    fn change_demand(&mut self, role: hansa_model::RoleName, shape: Demand, change: impl FnOnce(&mut Unmet)) {
        change(self.demand.entry((role.clone(), shape.clone())).or_default());
        self.demand_dirty.insert((role, shape));
    }

    /// One instance for an app whose turn it is: the call that brings it nearer, or None if it has to wait.
    fn try_launch(&mut self, now: Timestamp, key: AppKey, cluster: &Cluster) -> Option<Call> {
        let app = self.apps.get_mut(key)?;
        if !std::mem::take(&mut app.in_ready) || app.queued != Queued::Ready {
            return None;
        }
        app.active.as_ref()?;
        if let Some(until) = self.delay_of(now, key) {
            self.line_up(key, Queued::Delayed(until));
            return None;
        }
        let app = &self.apps[key];
        let version = app.to_launch(now)?.clone();
        if let Some(keep) = &mut self.apps[key].keep {
            keep.sought = keep.version.version == version.version;
        }
        let app = &self.apps[key];
        let older = app.keep.as_ref().filter(|keep| keep.version.version == version.version);
        let registered = match older {
            Some(keep) => keep.spec,
            None => app.spec.filter(|(of, _)| *of == version.version).map(|(_, spec)| spec),
        };
        let Some(spec) = registered else {
            self.pending = Some(Pending::Spec(key, version.version));
            return Some(Call::RegisterSpec { group: Arc::new(version.spec.group(version.version)) });
        };
        self.count_peers(key, cluster);
        let app = &self.apps[key];
        let (constraints, role) = (&version.spec.constraints, &version.spec.role);
        let of_its_own = app.active.as_ref().is_none_or(|active| active.spec.constraints != *constraints);
        let counted = of_its_own.then(|| self.peers_under(key, constraints, cluster));
        let older = app.keep.as_ref().filter(|keep| keep.version.version == version.version);
        let demand = older.map_or(&app.demand, |keep| &keep.demand);
        let shape = constraints
            .is_empty()
            .then(|| (role.clone(), version.spec.accepted_roles.clone(), demand.clone()));
        if self.full.0 != cluster.generation() {
            self.full = (cluster.generation(), BTreeSet::new());
        }
        if shape.as_ref().is_some_and(|shape| self.full.1.contains(shape)) {
            // Another app of the same shape found no place, and nothing has come free since.
            self.line_up(key, Queued::NoPlace(cluster.generation()));
            self.tell_demand(key, self.apps[key].launch);
            return None;
        }
        let request = Request {
            demand,
            constraints,
            peers: counted.as_ref().unwrap_or(&app.peers),
            role,
            accepted_roles: version.spec.accepted_roles.as_deref(),
        };
        let Some(choice) = cluster.place(&request) else {
            self.retries.1 = self.retries.1.saturating_add(1);
            self.full.1.extend(shape);
            self.line_up(key, Queued::NoPlace(cluster.generation()));
            self.tell_demand(key, self.apps[key].launch);
            return None;
        };
        let instance = self.next_instance(now, key);
        let (owner, principal) =
            self.owner.get_or_insert_with(|| (Owner::services(), Principal::from("services"))).clone();
        let claim = Claim {
            owner,
            role: role.clone(),
            principal,
            gang: false,
            constraints: constraints.clone(),
            placements: vec![Placement {
                tasks: vec![task_of(&instance)],
                instance: instance.clone(),
                spec,
                agent: choice.agent.clone(),
                allocation: choice.allocation,
            }],
        };
        let added = self.add_instance(
            Instance {
                id: instance,
                app: key,
                version: version.version,
                config: Some(version.last_config_change_at),
                agent: choice.agent,
                placed_at: now,
                heard_at: now,
                unreachable_since: None,
                timer: None,
                state: TaskState::Staging,
                healthy: None,
                checks: !version.spec.health_checks.is_empty(),
                awaited: !version.spec.readiness_checks.is_empty(),
                killing: false,
                order: None,
                unwanted: false,
                sick: false,
                unheard: false,
                lost: false,
                draining: false,
                spare: false,
                stale: false,
            },
            cluster,
        );
        self.expect_start(now, key);
        self.pending = Some(Pending::Claim(added));
        Some(Call::Claim(claim))
    }

    fn next_instance(&mut self, now: Timestamp, key: AppKey) -> InstanceId {
        let version = self.apps[key].newest.0;
        loop {
            let uuid = self.next_uuid(now, mix(version));
            let id = InstanceId::from(format!("{}.instance-{uuid}", self.apps[key].stem));
            if !self.by_instance.contains_key(&id) {
                return id;
            }
        }
    }

    /// Counts where an app's instances are, if that is not known.
    fn count_peers(&mut self, key: AppKey, cluster: &Cluster) {
        if self.apps[key].peers_stale {
            let peers = self.peers_of(key, cluster);
            let app = &mut self.apps[key];
            app.peers = peers;
            app.peers_stale = false;
        }
    }

    /// Where an app's instances are, counted anew.
    pub(super) fn peers_of(&self, key: AppKey, cluster: &Cluster) -> Peers {
        let constraints = self.apps[key].active.as_ref().map_or(&[][..], |active| &active.spec.constraints);
        self.peers_under(key, constraints, cluster)
    }

    /// Where an app's instances are, as far as these constraints ask.
    pub(super) fn peers_under(&self, key: AppKey, constraints: &[Constraint], cluster: &Cluster) -> Peers {
        let app = &self.apps[key];
        let mut peers = Peers::new(constraints);
        if !constraints.is_empty() {
            for (.., member) in &app.members {
                if let Some(node) = cluster.node(&self.instances[*member].agent) {
                    peers.add(node);
                }
            }
        }
        peers
    }

    /// The kernel's answer.
    pub(super) fn take_answer(&mut self, now: Timestamp, call: Call, answer: Answer, cluster: &Cluster) {
        match (call, answer) {
            (Call::RegisterSpec { group }, Answer::Spec(spec)) => {
                self.pending = None;
                let Origin::App { id, version } = &group.origin else { return };
                match self.by_id.get(id).copied() {
                    Some(key) if self.apps[key].active.as_ref().is_some_and(|a| a.version == *version) => {
                        self.apps[key].spec = Some((*version, spec));
                        self.mark(key);
                    }
                    Some(key)
                        if self.apps[key].keep.as_ref().is_some_and(|k| k.version.version == *version) =>
                    {
                        self.apps[key].keep.as_mut().map(|keep| keep.spec.replace(spec));
                        self.mark(key);
                    }
                    _ => self.drops.push_back(spec),
                }
            }
            (Call::Claim(_), Answer::Claim(results)) => {
                let Some(Pending::Claim(key)) = self.pending.take() else { return };
                match results.into_iter().next() {
                    Some(Err(Rejection::TaskIdTaken(_) | Rejection::InstanceExists(_)))
                        if self.collisions < COLLISIONS =>
                    {
                        // The next id will be another one.
                        self.collisions += 1;
                        self.remove_instance(key, cluster);
                    }
                    Some(Err(Rejection::UnknownSpec)) if self.collisions < COLLISIONS => {
                        self.collisions += 1;
                        if let Some(instance) = self.remove_instance(key, cluster)
                            && let Some(app) = self.apps.get_mut(instance.app)
                        {
                            app.spec = None;
                            if let Some(keep) = &mut app.keep {
                                keep.spec = None;
                            }
                        }
                    }
                    Some(Err(rejection)) => self.claim_refused(now, key, rejection.to_string(), cluster),
                    Some(Ok(())) | None => self.collisions = 0,
                }
            }
            (Call::GiveUp { instance }, Answer::Done) => {
                // Should its machine have come back in the meantime, it is killed instead and says so itself.
                if let Some(&key) = self.by_instance.get(&instance)
                    && self.instances[key].unreachable_since.is_some()
                {
                    self.remove_instance(key, cluster);
                }
            }
            (Call::GiveUp { instance } | Call::Kill { instance, .. }, Answer::UnknownInstance) => {
                if let Some(&key) = self.by_instance.get(&instance) {
                    self.remove_instance(key, cluster);
                }
            }
            _ => {}
        }
    }

    /// A call that was never answered counts as refused.
    fn give_up_pending(&mut self, now: Timestamp, cluster: &Cluster) {
        match self.pending.take() {
            Some(Pending::Claim(key)) => {
                self.claim_refused(now, key, "the kernel did not answer the claim", cluster)
            }
            Some(Pending::Spec(key, _)) if self.apps.get(key).is_some_and(|app| app.launch > 0) => {
                self.refuse(now, key, "the kernel does not take its definition", cluster);
            }
            Some(Pending::Spec(..)) | None => {}
        }
    }

    fn claim_refused(
        &mut self,
        now: Timestamp,
        key: super::InstanceKey,
        why: impl Into<Cow<'static, str>>,
        cluster: &Cluster,
    ) {
        // It may have ended already, by a notice before the answer.
        let Some(instance) = self.remove_instance(key, cluster) else { return };
        if self.apps.get(instance.app).is_some_and(|app| !matches!(app.mode, Mode::Held | Mode::Stop)) {
            self.refuse(now, instance.app, why, cluster);
        }
    }

    /// The app waits for a while, for this reason.
    fn refuse(&mut self, now: Timestamp, key: AppKey, why: impl Into<Cow<'static, str>>, cluster: &Cluster) {
        let why: Cow<'static, str> = why.into();
        self.retries.1 = self.retries.1.saturating_add(1);
        self.apps[key].waiting_since.get_or_insert(now);
        self.line_up(key, Queued::Refused(cluster.generation(), now + REFUSED_MS, why.into_owned()));
        self.tell_demand(key, self.apps[key].launch.max(1));
        self.mark(key);
    }
}
