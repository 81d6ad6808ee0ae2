//! What the kernel tells: instances that appear, change, get out of reach, come back, end.

use super::apps::Mode;
use super::instances::{Instance, Order};
use super::{AppKey, InstanceKey, Output, Services, health};
use hansa_model::app::UnreachableStrategy;
use hansa_model::event::{Event, TaskFailure};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::{Notice, Placed};
use hansa_model::spec::Origin;
use hansa_model::task::{Exit, Reason, TaskState, TaskStatus};
use hansa_model::{InstanceId, Timestamp};
use hansa_placement::Cluster;
use std::sync::Arc;

impl Services {
    pub(super) fn hear(&mut self, now: Timestamp, notice: Notice, cluster: &Cluster, out: &mut Output) {
        match notice {
            Notice::Placed(placed) => self.placed(now, *placed, cluster, out),
            Notice::Status(status) => self.status(now, &status, cluster, out),
            Notice::Unreachable { instance, since } => {
                if let Some(key) = self.instance_key(&instance) {
                    self.touch(key, |instance| instance.unreachable_since = Some(since));
                    self.lose(now, key);
                }
            }
            Notice::Reachable { instance } => {
                if let Some(key) = self.instance_key(&instance) {
                    self.back(key);
                }
            }
            Notice::Drain { instance } => {
                if let Some(key) = self.instance_key(&instance) {
                    self.touch(key, |instance| instance.draining = true);
                }
            }
        }
    }

    fn instance_key(&self, id: &InstanceId) -> Option<InstanceKey> {
        self.by_instance.get(id).copied()
    }

    /// A group that was not just claimed: after a restart, or from a returning agent. It is taken as it is; nothing
    /// ends just because it is not known.
    fn placed(&mut self, now: Timestamp, placed: Placed, cluster: &Cluster, out: &mut Output) {
        let Origin::App { id, version } = &placed.origin else { return };
        let Some(status) = placed.tasks.first().cloned() else { return };
        if let Some(key) = self.instance_key(&placed.instance) {
            self.status(now, &status, cluster, out);
            if self.instances.get(key).is_some() {
                self.reach(now, key, placed.unreachable_since);
            }
            return;
        }
        if status.state.is_terminal() || planted(Bug::PlacedForgotten) {
            return;
        }
        let app_key = self.app_key(id);
        let known = self.apps[app_key].version(*version).cloned();
        // Adopted, and no deployment has decided about it since: it stays, however many there are, whoever leads.
        let current = self.apps[app_key].current.as_ref().map(|current| current.version);
        let undecided = placed.adopted && current.is_none_or(|version| version < placed.placed_at);
        let spare = (self.settled || known.is_none() || undecided) && !planted(Bug::AdoptedEnded);
        let instance = Instance {
            id: placed.instance,
            app: app_key,
            version: *version,
            config: known.as_ref().map(|known| known.last_config_change_at),
            agent: placed.agent,
            placed_at: placed.placed_at,
            heard_at: now,
            unreachable_since: placed.unreachable_since,
            timer: None,
            state: status.state,
            healthy: status.healthy,
            checks: known
                .as_ref()
                .map_or(status.healthy.is_some(), |known| !known.spec.health_checks.is_empty()),
            awaited: known.as_ref().is_some_and(|known| {
                let checks = known.spec.readiness_checks.len();
                checks > 0 && !status.is_ready(checks)
            }),
            killing: placed.killing,
            order: None,
            unwanted: false,
            sick: false,
            unheard: !self.settled && matches!(status.state, TaskState::Staging | TaskState::Unreachable),
            lost: false,
            draining: false,
            spare,
            stale: false,
        };
        let key = self.add_instance(instance, cluster);
        let stopping = self.apps[app_key].mode == Mode::Stop;
        let instance = &mut self.instances[key];
        instance.unwanted = instance.killing && (stopping || instance.stale);
        if instance.unreachable_since.is_some() {
            self.lose(now, key);
        }
        self.expect_start(now, app_key);
        self.judge(key, &status, out);
    }

    /// Brings what is known about an instance's reach up to date.
    fn reach(&mut self, now: Timestamp, key: InstanceKey, since: Option<Timestamp>) {
        match since {
            Some(_) => {
                self.touch(key, |instance| instance.unreachable_since = since);
                self.lose(now, key);
            }
            None if self.instances[key].unreachable_since.is_some() => self.back(key),
            None => {}
        }
    }

    fn status(&mut self, now: Timestamp, status: &TaskStatus, cluster: &Cluster, out: &mut Output) {
        let Some(key) = self.instance_key(&status.instance) else { return };
        if status.state.is_terminal() {
            self.ended(now, key, status, cluster, out);
            return;
        }
        if status.state == TaskState::Unreachable {
            // The notice about it follows; the state before is kept for its return.
            return;
        }
        // Words while it is being prepared (an image is half pulled) are progress, too.
        let prepares = status.state == TaskState::Starting && !status.message.is_empty();
        let instance = &self.instances[key];
        let awaited = instance.awaited && {
            let version = self.apps[instance.app].version(instance.version);
            version.is_some_and(|version| !status.is_ready(version.spec.readiness_checks.len()))
        };
        self.touch(key, |instance| {
            instance.state = status.state;
            instance.awaited = awaited;
            instance.healthy = status.healthy;
            instance.unheard = false;
            instance.heard_at = now;
        });
        let instance = &self.instances[key];
        let (app_key, config) = (instance.app, instance.config);
        if prepares
            && self.apps[app_key].in_step
            && let Some((deployment, _)) = self.apps[app_key].deployment
        {
            self.advanced(now, deployment, out);
        }
        if status.healthy == Some(false) {
            let cause = status.health.iter().rev().find_map(|result| result.last_failure_cause.clone());
            self.apps[app_key].last_cause = cause;
        }
        if matches!(status.state, TaskState::Staging | TaskState::Starting | TaskState::Running) {
            let app = &mut self.apps[app_key];
            if let (0, Some(config)) = (app.launch, config)
                && let Some((delay, version)) = app.slowed(config)
            {
                // Once all are placed, the delay counts from now, so that it is remembered while they run. Before
                // that it would hold up those whose time has come.
                delay.advance(now, config, &version.spec.backoff);
            }
        }
        self.judge(key, status, out);
    }

    /// Ends an instance whose checks have failed too often. One that is out of reach is left alone.
    fn judge(&mut self, key: InstanceKey, status: &TaskStatus, out: &mut Output) {
        let instance = &self.instances[key];
        if instance.killing || instance.unreachable_since.is_some() || status.state != TaskState::Running {
            return;
        }
        let Some(version) = self.apps[instance.app].version(instance.version) else { return };
        let held = self.apps[instance.app].mode == Mode::Held;
        if let Some(reason) = health::verdict(&version.spec.health_checks, status).filter(|_| !held) {
            let words = format!("unhealthy: {reason}");
            out.events.push(Event::UnhealthyKill { task: status.task.clone(), reason });
            self.instances[key].sick = true;
            self.kill(key, Order::Kill, false, words.into());
        }
    }

    /// An instance is gone, for whatever reason. Whether it is replaced follows from the counts.
    fn ended(
        &mut self,
        now: Timestamp,
        key: InstanceKey,
        status: &TaskStatus,
        cluster: &Cluster,
        out: &mut Output,
    ) {
        let app_key = self.instances[key].app;
        self.remember_failure(now, key, app_key, status, cluster, out);
        self.remove_instance(key, cluster);
    }

    fn remember_failure(
        &mut self,
        now: Timestamp,
        key: InstanceKey,
        app_key: AppKey,
        status: &TaskStatus,
        cluster: &Cluster,
        out: &mut Output,
    ) {
        let instance = &self.instances[key];
        let app = &mut self.apps[app_key];
        let unhealthy = instance.sick || status.reason == Some(Reason::ReasonTaskUnhealthy);
        let by_itself = matches!(
            status.state,
            TaskState::Error | TaskState::Failed | TaskState::Gone | TaskState::Finished | TaskState::Dropped
        );
        if instance.killing && !unhealthy {
            return;
        }
        let of_now = app.active.as_ref().map(|active| active.last_config_change_at);
        let counts = unhealthy || (by_itself && !instance.killing);
        let config = instance.config.filter(|config| counts && Some(*config) == of_now);
        if by_itself
            && !instance.killing
            && let Some(config) = instance.config
            && let Some((delay, version)) = self.apps[app_key].slowed(config)
        {
            delay.failed(now, config, &version.spec.backoff);
        }
        let instance = &self.instances[key];
        let app = &mut self.apps[app_key];
        if by_itself || unhealthy || status.state == TaskState::GoneByOperator {
            let hostname = match cluster.node(&instance.agent) {
                Some(node) => node.hostname.clone(),
                None => Arc::from(instance.agent.as_str()),
            };
            app.last_failure = Some(Arc::new(TaskFailure {
                app: app.id.clone(),
                task: status.task.clone(),
                version: instance.version,
                state: status.state,
                message: failure_words(status),
                hostname,
                agent: instance.agent.clone(),
                at: status.at,
            }));
            if let Some(config) = config {
                self.count_failure(now, app_key, config, failure_words(status), out);
            }
            out.events.extend(self.apps[app_key].view().map(Event::App));
        }
    }

    /// Some time after a restart, whoever has not been heard of is taken for what it seems to be.
    pub(super) fn stop_listening(&mut self, now: Timestamp) {
        if self.hearing_until.is_none_or(|until| now < until) {
            return;
        }
        self.hearing_until = None;
        let unheard: Vec<InstanceKey> =
            self.instances.iter().filter(|(_, instance)| instance.unheard).map(|(key, _)| key).collect();
        for key in unheard {
            self.touch(key, |instance| instance.unheard = false);
        }
    }

    /// How an app treats instances out of reach; None: it does not exist, they are held.
    fn strategy(&self, key: AppKey) -> Option<UnreachableStrategy> {
        let app = &self.apps[key];
        match app.mode {
            Mode::Held => None,
            Mode::Stop => Some(UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 }),
            Mode::Steady | Mode::Scale | Mode::Restart(_) => {
                app.active.as_ref().map(|active| active.spec.unreachable)
            }
        }
    }

    /// Does what is due for an instance out of reach, and sets the alarm for what comes next.
    pub(super) fn lose(&mut self, now: Timestamp, key: InstanceKey) {
        let instance = &mut self.instances[key];
        if let Some(at) = instance.timer.take() {
            self.timers.remove(&(at, key));
        }
        let (Some(since), app_key, unwanted) = (instance.unreachable_since, instance.app, instance.unwanted)
        else {
            return;
        };
        let (inactive_ms, expunge_ms) = match self.strategy(app_key) {
            Some(_) if unwanted => (0, 0),
            Some(UnreachableStrategy::After { inactive_ms, expunge_ms }) => (inactive_ms, expunge_ms),
            Some(UnreachableStrategy::Disabled) | None => return,
        };
        let (inactive_at, expunge_at) = (since + inactive_ms, since + expunge_ms);
        let lost = inactive_at <= now || expunge_at <= now;
        self.touch(key, |instance| instance.lost = lost);
        if expunge_at <= now {
            self.kill(key, Order::GiveUp, unwanted, "its machine has been out of reach for too long".into());
            return;
        }
        let at = if lost { expunge_at } else { inactive_at };
        self.instances[key].timer = Some(at);
        self.timers.insert((at, key));
    }

    /// An instance's machine is back. If it has been replaced, there are too many now, and the counts say so.
    fn back(&mut self, key: InstanceKey) {
        if let Some(at) = self.instances[key].timer.take() {
            self.timers.remove(&(at, key));
        }
        self.touch(key, |instance| {
            instance.unreachable_since = None;
            instance.lost = false;
            if instance.order == Some(Order::GiveUp) {
                // The kernel has not been told; so nothing has been given up.
                instance.order = instance.unwanted.then_some(Order::Kill);
                instance.killing = instance.unwanted;
            }
        });
    }

    /// The app's strategy may have changed: sets the alarms anew.
    pub(super) fn rearm(&mut self, now: Timestamp, key: AppKey) {
        let lost: Vec<InstanceKey> = self.apps[key]
            .members
            .iter()
            .map(|&(.., member)| member)
            .filter(|&member| self.instances[member].unreachable_since.is_some())
            .collect();
        let stop = self.apps[key].mode == Mode::Stop;
        if stop {
            let killing: Vec<InstanceKey> =
                self.apps[key].members.iter().map(|&(.., member)| member).collect();
            for member in killing {
                let instance = &mut self.instances[member];
                instance.unwanted |= instance.killing;
            }
        }
        for member in lost {
            self.lose(now, member);
        }
    }
}

/// How a task failed, in words that stand alone.
fn failure_words(status: &TaskStatus) -> String {
    let mut words = if status.message.is_empty() {
        match status.exit {
            Some(Exit::Code(code)) => format!("ended with exit code {code}"),
            Some(Exit::Signal(signal)) => format!("ended by signal {signal}"),
            None => status.state.name().to_string(),
        }
    } else {
        status.message.clone()
    };
    if let Some(limit) = &status.limitation {
        words.push_str(&format!(" (used {} of {} bytes)", limit.used, limit.limit));
    }
    words
}
