//! Steering a deployment that is under way: pausing and resuming it, its canary, and noticing that it does not move.
//!
//! A paused deployment holds its apps at as many instances as they have: what ends is replaced, machines can be emptied,
//! but nothing is replaced by a new version, started or ended for the deployment's sake. Whatever is replaced gets the
//! version that it had (`keep`).

use super::apps::{App, Mode};
use super::deployments::Pause;
use super::{AppKey, DeploymentKey, Output, Services};
use hansa_model::event::{DeploymentChange, Event, Standstill};
use hansa_model::label;
use hansa_model::service::{ServiceAnswer, ServiceRefusal};
use hansa_model::words::counted;
use hansa_model::{DeploymentId, Timestamp};

impl Services {
    /// Holds a deployment where it is.
    pub(super) fn pause(
        &mut self,
        now: Timestamp,
        id: &DeploymentId,
        out: &mut Output,
    ) -> Result<ServiceAnswer, ServiceRefusal> {
        let key = self.deployment_key(id)?;
        if self.deployments[key].stored.paused.is_none() {
            self.hold(now, key, "it was paused".into(), false, out);
        }
        Ok(ServiceAnswer::Done)
    }

    /// Lets a deployment go on: a canary that stands is followed by the rest.
    pub(super) fn resume(
        &mut self,
        now: Timestamp,
        id: &DeploymentId,
        out: &mut Output,
    ) -> Result<ServiceAnswer, ServiceRefusal> {
        let key = self.deployment_key(id)?;
        let stored = &mut self.deployments[key].stored;
        let Some(pause) = stored.paused.take() else { return Ok(ServiceAnswer::Done) };
        if pause.canary {
            stored.canary.retain(|app, _| !pause.holds.contains_key(app));
        }
        for app_key in self.at_work(key) {
            let app = &mut self.apps[app_key];
            app.hold = None;
            if pause.canary {
                app.limit = None;
            }
            app.best = i64::MIN;
            self.keep_older(key, app_key);
            self.resort(app_key, false);
            self.mark(app_key);
        }
        let deployment = &mut self.deployments[key];
        deployment.stored.failing = None;
        deployment.progressed_at = now;
        out.records.push(deployment.record());
        out.events.push(deployment.event(DeploymentChange::Resumed));
        self.watch(key);
        self.note_progress(now, key);
        Ok(ServiceAnswer::Done)
    }

    fn deployment_key(&self, id: &DeploymentId) -> Result<DeploymentKey, ServiceRefusal> {
        self.by_deployment.get(id).copied().ok_or_else(|| ServiceRefusal::UnknownDeployment(id.clone()))
    }

    /// The apps that the step under way is at work on.
    pub(super) fn at_work(&self, key: DeploymentKey) -> Vec<AppKey> {
        let stored = &self.deployments[key].stored;
        let step = stored.steps.get(stored.current_step).map(Vec::as_slice).unwrap_or_default();
        let apps = step.iter().filter_map(|action| self.by_id.get(&action.app).copied());
        apps.filter(|&app| self.apps[app].in_step).collect()
    }

    fn hold(&mut self, now: Timestamp, key: DeploymentKey, words: String, canary: bool, out: &mut Output) {
        let at = Standstill { since: now, words };
        let mut pause = Pause { at, canary, holds: Default::default(), older: Default::default() };
        let at_work = self.at_work(key);
        for &app_key in &at_work {
            let older = self.older_present(app_key, false);
            let app = &mut self.apps[app_key];
            pause.older.insert(app.id.clone(), older);
            let present = app.side(false).present() + app.side(true).present();
            app.hold = Some(present);
            pause.holds.insert(app.id.clone(), present);
            self.resort(app_key, false);
            self.mark(app_key);
        }
        let deployment = &mut self.deployments[key];
        deployment.stored.paused = Some(pause);
        deployment.stored.failing = None;
        for app_key in at_work {
            self.keep_older(key, app_key);
        }
        let deployment = &mut self.deployments[key];
        out.records.push(deployment.record());
        out.events.push(deployment.event(DeploymentChange::Paused));
        self.note_progress(now, key);
    }

    /// An app's canary stands. Once all that the step is at work on stand, the deployment pauses.
    pub(super) fn canary_stands(&mut self, now: Timestamp, key: DeploymentKey, out: &mut Output) {
        let at_work = self.at_work(key);
        let stands = |app: &App| super::balance::canary_stands(app.side(false), app.side(true), app.goal());
        if self.deployments[key].stored.paused.is_some()
            || !at_work.iter().all(|&app| stands(&self.apps[app]))
        {
            self.note_progress(now, key);
            return;
        }
        let told: Vec<String> = at_work
            .iter()
            .map(|&app| {
                let app = &self.apps[app];
                let all = app.wanted();
                let (new, all) = (app.side(false).ready, counted(all.into(), "instance"));
                let are = if new == 1 { "is" } else { "are" };
                format!("{new} of {all} of {} {are} of the new version", app.id)
            })
            .collect();
        self.hold(now, key, format!("the canary stands: {}", told.join(", ")), true, out);
    }

    /// An app's part of the step has come to this; notes it if that is nearer to the goal than ever.
    pub(super) fn measure(&mut self, now: Timestamp, app_key: AppKey, out: &mut Output) {
        let app = &mut self.apps[app_key];
        let come_to = come_to(app);
        let before = app.best;
        app.best = before.max(come_to);
        if before != i64::MIN
            && come_to > before
            && let Some((key, _)) = app.deployment
        {
            self.advanced(now, key, out);
        }
    }

    /// A deployment has come nearer to its goal.
    pub(super) fn advanced(&mut self, now: Timestamp, key: DeploymentKey, out: &mut Output) {
        let deployment = &mut self.deployments[key];
        deployment.progressed_at = now;
        if deployment.stored.failing.take().is_some() {
            out.records.push(deployment.record());
            out.events.push(deployment.event(DeploymentChange::Progress));
        }
        self.watch(key);
    }

    /// Has it looked at in time whether a deployment still moves.
    pub(super) fn watch(&mut self, key: DeploymentKey) {
        let deployment = &self.deployments[key];
        if deployment.watch_at.is_some() || deployment.stored.paused.is_some() {
            return;
        }
        let limit = self.deadline_ms(key);
        if limit == 0 {
            return;
        }
        let at = self.deployments[key].progressed_at + limit;
        self.deployments[key].watch_at = Some(at);
        self.watches.insert((at, key));
    }

    /// How long a deployment may stand still: the shortest time that one of its apps asks for.
    fn deadline_ms(&self, key: DeploymentKey) -> u64 {
        let asked = self.at_work(key).into_iter().filter_map(|app| {
            let current = self.apps[app].current.as_ref()?;
            label::duration_ms(current.spec.labels.get(label::PROGRESS_DEADLINE)?)
        });
        asked.filter(|ms| *ms > 0).min().unwrap_or(self.settings.progress_deadline_ms)
    }

    /// Looks at one deployment whose time has come. False: there is none.
    pub(super) fn look_after_deployments(&mut self, now: Timestamp, out: &mut Output) -> bool {
        let Some(&(at, key)) = self.watches.first().filter(|(at, _)| *at <= now) else { return false };
        self.watches.remove(&(at, key));
        let limit = self.deadline_ms(key);
        let deployment = &mut self.deployments[key];
        deployment.watch_at = None;
        if deployment.stored.paused.is_some() || deployment.stored.failing.is_some() || limit == 0 {
            return true;
        }
        if deployment.progressed_at + limit > now {
            self.watch(key);
            return true;
        }
        self.fails(now, key, limit, out);
        true
    }

    /// A deployment has stood still for too long: it is shown as failing, and goes back if its apps say so.
    fn fails(&mut self, now: Timestamp, key: DeploymentKey, limit: u64, out: &mut Output) {
        let going_back = self.at_work(key).into_iter().any(|app| {
            let current = self.apps[app].current.as_ref();
            current.is_some_and(|c| c.spec.labels.get(label::AUTO_ROLLBACK).is_some_and(|v| v == "true"))
        });
        let deployment = &mut self.deployments[key];
        let mut words = format!("no progress for {} s", limit / 1000);
        if !deployment.words.is_empty() {
            words.push_str(": ");
            words.push_str(&deployment.words);
        }
        let since = deployment.progressed_at;
        deployment.stored.failing = Some(Standstill { since, words: words.clone() });
        let (id, rolls_back) = (deployment.id.clone(), deployment.stored.rolls_back.is_some());
        out.records.push(deployment.record());
        out.events.push(deployment.event(DeploymentChange::Failing(words.clone())));
        out.events
            .push(Event::Alarm { code: "deployment-failing", message: format!("deployment {id}: {words}") });
        if going_back && !rolls_back {
            // Going back is never refused for what clients could do about it; if it is, the deployment stays as it is.
            let _ = self.cancel(now, &id, false, out);
        }
    }
}

/// How near an app's part of a step is to its goal; more is nearer, 0 is done.
fn come_to(app: &App) -> i64 {
    let (fresh, stale) = (app.side(false), app.side(true));
    let wanted = app.wanted();
    let surplus = i64::from(fresh.present().saturating_sub(wanted));
    match app.mode {
        Mode::Stop => -i64::try_from(app.members.len()).unwrap_or(i64::MAX),
        Mode::Restart(_) => {
            let ready = i64::from(fresh.ready.min(wanted)) - i64::from(wanted);
            ready - surplus - i64::from(stale.total()) - i64::from(stale.lost)
        }
        Mode::Held | Mode::Steady | Mode::Scale => {
            let ready = i64::from((fresh.ready + stale.ready).min(wanted)) - i64::from(wanted);
            ready - surplus - i64::from(fresh.killing + stale.killing)
        }
    }
}
