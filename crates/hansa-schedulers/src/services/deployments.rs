//! Deployments: their steps, one after the other, and how they end.

use super::apps::Mode;
use super::instances::Class;
use super::{AppKey, DeploymentKey, Output, Record, Services, balance};
use hansa_model::app::AppVersion;
use hansa_model::event::{ActionKind, DeploymentAction, DeploymentChange, DeploymentView, Event, Standstill};
use hansa_model::group::GroupVersion;
use hansa_model::{AppId, DeploymentId, Timestamp};
use hansa_placement::Peers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Milliseconds between two looks at what a deployment waits for.
const PROGRESS_MS: u64 = 200;

/// A deployment under way. What is stored of it is everything but what follows from the apps.
#[derive(Debug)]
pub(super) struct Deployment {
    pub id: DeploymentId,
    pub stored: Stored,
    /// The apps as they were before; None: they did not exist.
    pub originals: BTreeMap<AppId, Option<Arc<AppVersion>>>,
    /// Actions of the step under way that are not done.
    pub open: u32,
    /// What it waits for, as last told.
    pub words: String,
    /// What would let it go on, as last told.
    pub remedy: String,
    /// When it last came nearer to its goal.
    pub progressed_at: Timestamp,
    /// When it is looked at whether it still does.
    pub watch_at: Option<Timestamp>,
    /// When what it waits for is looked at next.
    pub progress_at: Option<Timestamp>,
    /// When that was told last.
    pub told_at: Timestamp,
}

/// What is stored of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    /// Of this format; there is only 1 so far.
    pub format: u32,
    pub version: Timestamp,
    pub started_at: Timestamp,
    pub steps: Vec<Vec<DeploymentAction>>,
    pub current_step: usize,
    /// The apps as they were before.
    pub originals: BTreeMap<AppId, Original>,
    /// Apps of which instances launched as an earlier version than this are replaced, though their configuration is
    /// the same.
    #[serde(default)]
    pub restarts: BTreeMap<AppId, Timestamp>,
    /// The version that each app shall have; None: it shall be gone.
    #[serde(default)]
    pub targets: BTreeMap<AppId, Option<Timestamp>>,
    /// The groups that it changed, as they are with it,
    #[serde(default)]
    pub groups: Vec<Arc<GroupVersion>>,
    /// and as they were before.
    #[serde(default)]
    pub groups_before: Vec<GroupVersion>,
    /// Deployments that ended when it began.
    #[serde(default)]
    pub replaces: Vec<DeploymentId>,
    /// The one of those that it goes back on.
    #[serde(default)]
    pub rolls_back: Option<DeploymentId>,
    /// Apps of which only so many thousandths of the instances are replaced before it pauses.
    #[serde(default)]
    pub canary: BTreeMap<AppId, u16>,
    /// It holds.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// It has not come nearer to its goal for too long.
    #[serde(default)]
    pub failing: Option<Standstill>,
}

impl Stored {
    /// A deployment of nothing, yet.
    pub fn new(version: Timestamp, started_at: Timestamp) -> Self {
        Self {
            format: 1,
            version,
            started_at,
            steps: Vec::new(),
            current_step: 0,
            originals: BTreeMap::new(),
            restarts: BTreeMap::new(),
            targets: BTreeMap::new(),
            groups: Vec::new(),
            groups_before: Vec::new(),
            replaces: Vec::new(),
            rolls_back: None,
            canary: BTreeMap::new(),
            paused: None,
            failing: None,
        }
    }
}

/// A deployment holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pause {
    /// Since when, and why.
    pub at: Standstill,
    /// Its canary stands; going on means with the rest.
    #[serde(default)]
    pub canary: bool,
    /// How many instances each app that it is at work on has meanwhile.
    pub holds: BTreeMap<AppId, u32>,
    /// How many of these are not of the new version.
    #[serde(default)]
    pub older: BTreeMap<AppId, u32>,
}

/// An app as it was before a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Original {
    /// It did not exist.
    Absent,
    /// This version, which is stored with the app.
    Version(Timestamp),
    /// This definition, which is not stored any more.
    Gone(Arc<AppVersion>),
}

impl Deployment {
    pub fn new(
        id: DeploymentId,
        stored: Stored,
        originals: BTreeMap<AppId, Option<Arc<AppVersion>>>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            stored,
            originals,
            open: 0,
            words: String::new(),
            remedy: String::new(),
            progressed_at: now,
            watch_at: None,
            progress_at: None,
            told_at: Timestamp(0),
        }
    }

    pub fn view(&self) -> Arc<DeploymentView> {
        Arc::new(DeploymentView {
            id: self.id.clone(),
            version: self.stored.version,
            started_at: self.stored.started_at,
            affected: self.originals.keys().cloned().collect(),
            steps: self.stored.steps.clone(),
            current_step: self.stored.current_step,
            waiting_for: self.words.clone(),
            progressed_at: self.progressed_at,
            remedy: self.remedy.clone(),
            paused: self.stored.paused.as_ref().map(|pause| pause.at.clone()),
            failing: self.stored.failing.clone(),
            rolls_back: self.stored.rolls_back.clone(),
        })
    }

    pub fn event(&self, change: DeploymentChange) -> Event {
        Event::Deployment { view: self.view(), change }
    }

    pub fn record(&self) -> Record {
        let json = serde_json::to_string(&self.stored).expect("plain data with text keys becomes JSON");
        Record::PutDeployment(self.id.clone(), json)
    }

    /// The action that brings an app to its new version, and the step it is in.
    pub fn main_action(&self, app: &AppId) -> Option<(usize, ActionKind)> {
        self.stored.steps.iter().enumerate().rev().find_map(|(index, step)| {
            step.iter().find(|action| action.app == *app).map(|action| (index, action.kind))
        })
    }
}

impl Services {
    /// Starts the actions of the step under way; ends the deployment if there is none.
    pub(super) fn begin_step(&mut self, now: Timestamp, key: DeploymentKey, out: &mut Output) {
        loop {
            let deployment = &mut self.deployments[key];
            let Some(step) = deployment.stored.steps.get(deployment.stored.current_step) else {
                self.finish(now, key, DeploymentChange::Succeeded, out);
                return;
            };
            let step = step.clone();
            deployment.open = 0;
            out.events.push(deployment.event(DeploymentChange::StepStarted));
            for action in step {
                self.begin_action(now, key, &action);
            }
            if self.deployments[key].open > 0 {
                self.note_progress(now, key);
                self.advanced(now, key, out);
                return;
            }
            self.next_step(key, out);
        }
    }

    /// Starts one action.
    pub(super) fn begin_action(&mut self, now: Timestamp, key: DeploymentKey, action: &DeploymentAction) {
        let Some(&app_key) = self.by_id.get(&action.app) else { return };
        let restart = self.deployments[key].stored.restarts.get(&action.app).copied();
        let current = self.apps[app_key].current.clone();
        match (action.kind, current) {
            (ActionKind::StopApplication, None) => self.activate(now, app_key, None, Mode::Stop),
            (ActionKind::StartApplication, Some(current)) if current.spec.instances == 0 => {
                self.activate(now, app_key, Some(current), Mode::Steady);
                return;
            }
            (ActionKind::ScaleApplication, Some(current)) => {
                self.activate(now, app_key, Some(current), Mode::Scale);
            }
            (ActionKind::RestartApplication, Some(current)) => {
                self.activate(now, app_key, Some(current), Mode::Restart(restart));
            }
            // Starting with no instances is nothing to do; and whatever does not fit the app any more is done.
            _ => return,
        }
        let stored = &self.deployments[key].stored;
        let hold = stored.paused.as_ref().and_then(|pause| pause.holds.get(&action.app).copied());
        let canary = stored.canary.get(&action.app).copied();
        let app = &mut self.apps[app_key];
        app.in_step = true;
        app.best = i64::MIN;
        if action.kind == ActionKind::RestartApplication {
            app.limit = canary.map(|milli| balance::canary(app.wanted(), milli));
        }
        app.hold = hold;
        if hold.is_some() || app.limit.is_some() {
            self.resort(app_key, false);
            self.mark(app_key);
        }
        self.keep_older(key, app_key);
        self.deployments[key].open += 1;
    }

    /// An app's part of the step under way is done.
    pub(super) fn action_done(&mut self, now: Timestamp, app_key: AppKey, out: &mut Output) {
        let app = &mut self.apps[app_key];
        app.in_step = false;
        app.limit = None;
        app.hold = None;
        self.keep_none(app_key);
        let app = &mut self.apps[app_key];
        let Some((key, _)) = app.deployment.clone() else { return };
        if matches!(app.mode, Mode::Scale | Mode::Restart(_)) {
            app.mode = Mode::Steady;
            self.resort(app_key, false);
        }
        self.deployments[key].open -= 1;
        if self.deployments[key].open == 0 {
            self.next_step(key, out);
            if self.deployments[key].stored.current_step < self.deployments[key].stored.steps.len() {
                out.records.push(self.deployments[key].record());
            }
            self.begin_step(now, key, out);
        } else {
            self.note_progress(now, key);
            self.advanced(now, key, out);
        }
    }

    fn next_step(&mut self, key: DeploymentKey, out: &mut Output) {
        let deployment = &mut self.deployments[key];
        deployment.stored.current_step += 1;
        deployment.words.clear();
        deployment.remedy.clear();
        out.events.push(deployment.event(DeploymentChange::StepSucceeded));
    }

    /// Ends a deployment, done or not. What is half done stays and is steady from now on.
    pub(super) fn finish(
        &mut self,
        now: Timestamp,
        key: DeploymentKey,
        how: DeploymentChange,
        out: &mut Output,
    ) {
        let Some(mut deployment) = self.deployments.remove(key) else { return };
        if let Some(at) = deployment.progress_at.take() {
            self.progress.remove(&(at, key));
        }
        if let Some(at) = deployment.watch_at.take() {
            self.watches.remove(&(at, key));
        }
        deployment.words.clear();
        deployment.remedy.clear();
        self.by_deployment.remove(&deployment.id);
        out.records.push(Record::DeleteDeployment(deployment.id.clone()));
        out.events.push(deployment.event(how));
        for id in deployment.originals.keys() {
            let Some(&app_key) = self.by_id.get(id) else { continue };
            let app = &mut self.apps[app_key];
            if app.deployment.as_ref().is_none_or(|(other, _)| *other != key) {
                continue;
            }
            app.deployment = None;
            app.in_step = false;
            app.limit = None;
            let held = app.hold.take().is_some();
            self.keep_none(app_key);
            let app = &self.apps[app_key];
            match app.current.clone() {
                Some(current)
                    if held || app.mode != Mode::Steady || app.active.as_ref() != Some(&current) =>
                {
                    self.activate(now, app_key, Some(current), Mode::Steady);
                }
                Some(_) => {}
                None => self.activate(now, app_key, None, Mode::Held),
            }
            out.events.extend(self.apps[app_key].view().map(Event::App));
            self.forget_if_empty(app_key);
        }
    }

    /// From now on instances of the app are launched as this version, and treated so.
    pub(super) fn activate(
        &mut self,
        now: Timestamp,
        key: AppKey,
        version: Option<Arc<AppVersion>>,
        mode: Mode,
    ) {
        self.unqueue(key);
        let app = &mut self.apps[key];
        app.no_place = None;
        if !matches!(mode, Mode::Steady | Mode::Held) {
            app.delay.reset();
        }
        let constraints = |version: &Option<Arc<AppVersion>>| {
            version.as_ref().map(|version| version.spec.constraints.clone()).unwrap_or_default()
        };
        if constraints(&app.active) != constraints(&version) {
            app.peers = Peers::new(&constraints(&version));
            app.peers_stale = true;
        }
        if let Some(version) = &version {
            app.demand = version.spec.group(version.version).demand();
            if app.spec.is_some_and(|(of, _)| of != version.version) {
                self.drops.extend(app.spec.take().map(|(_, spec)| spec));
            }
        }
        app.active = version;
        app.mode = mode;
        self.resort(key, !matches!(mode, Mode::Steady | Mode::Held));
        self.rearm(now, key);
        self.mark(key);
    }

    /// Counts all instances of an app anew, after its mode changed. `decided`: a deployment has decided about them, so
    /// none is spare any more.
    pub(super) fn resort(&mut self, key: AppKey, decided: bool) {
        let app = &mut self.apps[key];
        let members = std::mem::take(&mut app.members);
        app.counts = [[0; Class::COUNT]; 2];
        app.spares = 0;
        app.unheard = 0;
        for (.., instance_key) in members {
            let instance = &mut self.instances[instance_key];
            instance.stale = app.is_stale(instance);
            instance.spare &= !decided;
            app.enter(instance_key, instance.placed_at, instance.counted());
        }
    }

    /// What a deployment waits for may have changed; it will be told, but not more often than makes sense.
    pub(super) fn note_progress(&mut self, now: Timestamp, key: DeploymentKey) {
        let deployment = &mut self.deployments[key];
        if deployment.progress_at.is_none() {
            let at = now.max(deployment.told_at + PROGRESS_MS);
            deployment.progress_at = Some(at);
            self.progress.insert((at, key));
        }
    }
}
