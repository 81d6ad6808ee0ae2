//! Two versions of an app side by side: while a canary comes up and while a deployment holds, an instance that ends is
//! replaced by one of the version that it had, so that the share of the new version stays as asked.

use super::apps::{App, Mode};
use super::backoff::Delay;
use super::instances::{Class, Instance};
use super::{AppKey, DeploymentKey, Services};
use hansa_model::app::AppVersion;
use hansa_model::{Demand, SpecId, Timestamp};
use std::sync::Arc;

/// The version before the one that a deployment brings about, of which some instances shall stay meanwhile.
#[derive(Debug)]
pub(super) struct Keep {
    /// The version.
    pub version: Arc<AppVersion>,
    /// So many instances that are not of the new version shall be there.
    pub count: u32,
    /// How many of those that are to be launched now are to be of this version.
    pub launch: u32,
    /// It was one of these for which a place was sought last.
    pub sought: bool,
    /// The spec that was registered for it.
    pub spec: Option<SpecId>,
    /// How failures slow it down.
    pub delay: Delay,
    /// What one instance takes.
    pub demand: Demand,
}

impl App {
    /// Whether an instance is of another version than the one that a deployment replaces all others by.
    pub(super) fn is_older(&self, instance: &Instance) -> bool {
        match (self.mode, &self.active) {
            (Mode::Restart(since), Some(active)) => {
                instance.config != Some(active.last_config_change_at)
                    || since.is_some_and(|since| instance.version < since)
            }
            _ => false,
        }
    }

    /// The version that the next instance is launched as; None: nothing may be launched yet.
    pub(super) fn to_launch(&self, now: Timestamp) -> Option<&Arc<AppVersion>> {
        let older = self.keep.as_ref().filter(|keep| keep.launch > 0);
        if let Some(keep) = older
            && keep.delay.until(now, keep.version.last_config_change_at).is_none()
        {
            return Some(&keep.version);
        }
        let active = self.active.as_ref()?;
        let some = self.launch > older.map_or(0, |keep| keep.launch);
        Some(active).filter(|active| some && self.delay.until(now, active.last_config_change_at).is_none())
    }

    /// The version that those which wait for a place are of.
    pub(super) fn waits_as(&self) -> Option<&Arc<AppVersion>> {
        let all = |keep: &Keep| keep.launch >= self.launch;
        let older = self.keep.as_ref().filter(|keep| keep.launch > 0 && (keep.sought || all(keep)));
        older.map(|keep| &keep.version).or(self.active.as_ref()).or(self.current.as_ref())
    }

    /// Until when nothing of the app may be launched.
    pub(super) fn delayed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let new = || self.delay.until(now, self.active.as_ref()?.last_config_change_at);
        match self.keep.as_ref().filter(|keep| keep.launch > 0) {
            None => new(),
            Some(keep) => {
                let older = keep.delay.until(now, keep.version.last_config_change_at)?;
                if self.launch > keep.launch { Some(older.min(new()?)) } else { Some(older) }
            }
        }
    }

    /// How failures slow this configuration down, and the version that says so.
    pub(super) fn slowed(&mut self, config: Timestamp) -> Option<(&mut Delay, &Arc<AppVersion>)> {
        let is = |version: &AppVersion| version.last_config_change_at == config;
        if self.active.as_deref().is_some_and(is) {
            return Some((&mut self.delay, self.active.as_ref()?));
        }
        let keep = self.keep.as_mut().filter(|keep| is(&keep.version))?;
        Some((&mut keep.delay, &keep.version))
    }
}

impl Services {
    /// The instances of an app that are not of the new version and are to stay as far as they themselves know; without
    /// those whose machines are being emptied if `settled`.
    pub(super) fn older_present(&self, key: AppKey, settled: bool) -> u32 {
        let app = &self.apps[key];
        let members =
            app.members.iter().filter(|(_, class, ..)| *class > Class::Lost && *class < Class::Killing);
        let older = members.filter(|(.., member)| {
            let instance = &self.instances[*member];
            app.is_older(instance) && !(settled && instance.draining)
        });
        u32::try_from(older.count()).unwrap_or(u32::MAX)
    }

    /// Says anew how many instances of the version before shall stay, after an app's canary or hold has changed.
    pub(super) fn keep_older(&mut self, key: DeploymentKey, app_key: AppKey) {
        let count = self.older_to_keep(key, app_key);
        let deployment = &self.deployments[key];
        let before = deployment.originals.get(&self.apps[app_key].id).cloned().flatten();
        let app = &mut self.apps[app_key];
        match before.filter(|_| count > 0) {
            Some(version) => match &mut app.keep {
                Some(keep) if keep.version.version == version.version => keep.count = count,
                _ => {
                    let demand = version.spec.group(version.version).demand();
                    let (spec, delay) = (None, Delay::default());
                    let keep = Keep { version, count, launch: 0, sought: false, spec, delay, demand };
                    self.drops.extend(app.keep.replace(keep).and_then(|keep| keep.spec));
                }
            },
            None => self.keep_none(app_key),
        }
    }

    fn older_to_keep(&self, key: DeploymentKey, app_key: AppKey) -> u32 {
        let (stored, app) = (&self.deployments[key].stored, &self.apps[app_key]);
        if !matches!(app.mode, Mode::Restart(_)) {
            return 0;
        }
        if app.hold.is_some() {
            let paused = stored.paused.as_ref();
            return paused.and_then(|pause| pause.older.get(&app.id)).copied().unwrap_or(0);
        }
        let before = self.deployments[key].originals.get(&app.id).and_then(Option::as_ref);
        match (app.limit, before) {
            (Some(limit), Some(before)) => app.wanted().saturating_sub(limit).min(before.spec.instances),
            _ => 0,
        }
    }

    /// From now on all of an app's instances are launched as the version in force.
    pub(super) fn keep_none(&mut self, app_key: AppKey) {
        if let Some(keep) = self.apps[app_key].keep.take() {
            self.drops.extend(keep.spec);
            // What found no place may have been of that version.
            self.unqueue(app_key);
            self.mark(app_key);
        }
    }

    /// Of so many instances to be launched, those of the version before come first. Whether they are others than before.
    pub(super) fn share_launches(&mut self, key: AppKey, launch: u32) -> bool {
        let app = &self.apps[key];
        let Some(count) = app.keep.as_ref().map(|keep| keep.count) else { return false };
        let missing = if launch == 0 { 0 } else { count.saturating_sub(self.older_present(key, true)) };
        let newer = app.launch;
        let Some(keep) = &mut self.apps[key].keep else { return false };
        let before = std::mem::replace(&mut keep.launch, missing.min(launch));
        before != keep.launch || newer - before.min(newer) != launch - keep.launch
    }
}
