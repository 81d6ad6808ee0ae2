//! Taking over what was stored, at the beginning of a leadership.
//!
//! Deployments go on in the step they were in. Instances are not stored here; the kernel tells of them afterwards.

use super::apps::Mode;
use super::deployments::{Deployment, Original, Stored};
use super::{Output, Record, Services};
use hansa_model::app::AppVersion;
use hansa_model::event::{ActionKind, DeploymentChange, Event};
use hansa_model::{AppId, DeploymentId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// For so long after a restart nothing is ended before all of its app's instances were heard of (or are out of reach).
const HEARING_MS: u64 = 10_000;

impl Services {
    pub(super) fn take_over(&mut self, now: Timestamp, records: Vec<Record>, out: &mut Output) {
        self.hearing_until = Some(now + HEARING_MS);
        let mut current: BTreeMap<AppId, Timestamp> = BTreeMap::new();
        let mut versions: BTreeMap<AppId, BTreeMap<Timestamp, Arc<AppVersion>>> = BTreeMap::new();
        let mut deployments: BTreeMap<DeploymentId, String> = BTreeMap::new();
        let mut removals: BTreeMap<AppId, BTreeSet<Timestamp>> = BTreeMap::new();
        let mut failing = BTreeMap::new();
        for record in records {
            match record {
                Record::PutApp(id, version) => drop(current.insert(id, version)),
                Record::PutVersion(version) => {
                    let of = versions.entry(version.spec.id.clone()).or_default();
                    of.insert(version.version, version);
                }
                Record::PutDeployment(id, json) => drop(deployments.insert(id, json)),
                // Only what is there is restored.
                Record::DeleteApp(_)
                | Record::DeleteVersion(..)
                | Record::DeleteDeployment(_)
                | Record::DeleteGroup(..)
                | Record::DeleteRemoval(..)
                | Record::DeleteFailing(_) => {}
                Record::PutFailing(id, record) => drop(failing.insert(id, *record)),
                Record::PutGroup(group) => self.groups.put(group),
                Record::PutRemoval(id, at) => drop(removals.entry(id).or_default().insert(at)),
            }
        }
        let deployments = read_deployments(deployments, out);
        for (_, stored) in &deployments {
            self.make_good(stored, &mut current, &mut removals, &versions, out);
        }
        for (id, version) in current {
            let mut stored = versions.remove(&id).unwrap_or_default();
            let Some(version) = stored.get(&version).cloned().or_else(|| {
                out.events.push(damaged(format!("App '{id}': version {version} is not stored")));
                stored.last_key_value().map(|(_, newest)| newest.clone())
            }) else {
                out.events.push(damaged(format!("App '{id}' has no stored version; it is left out")));
                continue;
            };
            let key = self.app_key(&id);
            let app = &mut self.apps[key];
            app.newest = stored.last_key_value().map_or(version.version, |(newest, _)| *newest);
            app.versions.append(&mut stored);
            app.current = Some(version.clone());
            self.ports.add(&version.spec);
        }
        for (id, versions) in versions {
            if let Some(removed) = removals.get(&id) {
                let key = self.app_key(&id);
                let app = &mut self.apps[key];
                let newest = versions.keys().next_back().max(removed.last());
                app.newest = newest.copied().unwrap_or(Timestamp(0));
                app.versions = versions;
                self.history.extend(removed.last().map(|&at| (at, id.clone())));
                continue;
            }
            // Written before the pointer that never came, or left when it went.
            out.records
                .extend(versions.into_keys().map(|version| Record::DeleteVersion(id.clone(), version)));
        }
        for (id, removed) in removals {
            match self.by_id.get(&id) {
                Some(&key) => self.apps[key].removals = removed,
                None => {
                    out.records.extend(removed.into_iter().map(|at| Record::DeleteRemoval(id.clone(), at)))
                }
            }
        }
        let mut keys = Vec::new();
        for (id, stored) in deployments {
            let mut originals = BTreeMap::new();
            for (app_id, original) in &stored.originals {
                let app_key = self.app_key(app_id);
                let version = match original {
                    Original::Absent => None,
                    Original::Version(version) => self.apps[app_key].versions.get(version).cloned(),
                    Original::Gone(version) => Some(version.clone()),
                };
                originals.insert(app_id.clone(), version);
            }
            let key = self.deployments.insert(Deployment::new(id.clone(), stored, originals, now));
            self.by_deployment.insert(id, key);
            keys.push(key);
        }
        for &key in &keys {
            let deployment = &self.deployments[key];
            let id = deployment.id.clone();
            for app_id in deployment.originals.keys() {
                self.apps[self.by_id[app_id]].deployment = Some((key, id.clone()));
            }
        }
        self.resume_apps(now);
        self.restore_streaks(now, failing, out);
        self.tell_all(out);
        for key in keys {
            out.events.push(self.deployments[key].event(DeploymentChange::Restored));
            if self.deployments[key].open == 0 {
                self.begin_step(now, key, out);
            } else {
                self.note_progress(now, key);
                self.watch(key);
            }
        }
    }

    /// What a deployment had written last may be missing: it says itself where the pointers shall point.
    fn make_good(
        &mut self,
        stored: &Stored,
        current: &mut BTreeMap<AppId, Timestamp>,
        removals: &mut BTreeMap<AppId, BTreeSet<Timestamp>>,
        versions: &BTreeMap<AppId, BTreeMap<Timestamp, Arc<AppVersion>>>,
        out: &mut Output,
    ) {
        for (id, target) in &stored.targets {
            match target {
                Some(version) => {
                    let is_stored = versions.get(id).is_some_and(|stored| stored.contains_key(version));
                    if is_stored && current.insert(id.clone(), *version) != Some(*version) {
                        out.records.push(Record::PutApp(id.clone(), *version));
                    }
                }
                None => {
                    if current.remove(id).is_some() {
                        out.records.push(Record::DeleteApp(id.clone()));
                    }
                    if removals.entry(id.clone()).or_default().insert(stored.version) {
                        out.records.push(Record::PutRemoval(id.clone(), stored.version));
                    }
                }
            }
        }
        for group in &stored.groups {
            if self.groups.newest(&group.id) < group.version {
                self.groups.put(group.clone());
                out.records.push(Record::PutGroup(group.clone()));
            }
        }
    }

    /// Puts every app where it was: steady, in a step, or waiting for its step.
    fn resume_apps(&mut self, now: Timestamp) {
        let apps: Vec<_> = self.by_id.values().copied().collect();
        for key in apps {
            let app = &self.apps[key];
            let current = app.current.clone();
            let Some((deployment_key, _)) = app.deployment.clone() else {
                let mode = if current.is_some() { Mode::Steady } else { Mode::Held };
                self.activate(now, key, current, mode);
                continue;
            };
            let deployment = &self.deployments[deployment_key];
            let step = deployment.stored.current_step;
            let original = deployment.originals.get(&app.id).cloned().flatten();
            match deployment.main_action(&app.id) {
                Some((at, kind)) if at == step && kind != ActionKind::StartApplication => {
                    let action = hansa_model::event::DeploymentAction { kind, app: app.id.clone() };
                    self.begin_action(now, deployment_key, &action);
                }
                Some((at, kind)) if at > step && kind != ActionKind::StopApplication => {
                    let mode = if original.is_some() { Mode::Steady } else { Mode::Held };
                    self.activate(now, key, original, mode);
                }
                _ if current.is_some() => self.activate(now, key, current, Mode::Steady),
                _ => {}
            }
        }
    }

    fn tell_all(&self, out: &mut Output) {
        out.events.extend(self.groups.versions().cloned().map(Event::Group));
        for &key in self.by_id.values() {
            let app = &self.apps[key];
            out.events.extend(app.versions.values().cloned().map(Event::AppVersion));
            out.events.extend(app.removals.iter().map(|&at| Event::AppRemoval(app.id.clone(), at)));
            out.events.extend(app.view().map(Event::App));
        }
    }
}

/// The deployments that hold, in the order in which they began. One that another replaced may still be stored.
fn read_deployments(texts: BTreeMap<DeploymentId, String>, out: &mut Output) -> Vec<(DeploymentId, Stored)> {
    let mut all: Vec<(DeploymentId, Stored)> = Vec::new();
    for (id, json) in texts {
        match serde_json::from_str::<Stored>(&json) {
            Ok(stored) if stored.format == 1 => all.push((id, stored)),
            other => {
                let why = other.map_or_else(|error| error.to_string(), |s| format!("format {}", s.format));
                out.events.push(damaged(format!("deployment {id} cannot be read: {why}")));
            }
        }
    }
    let replaced: BTreeSet<DeploymentId> =
        all.iter().flat_map(|(_, stored)| stored.replaces.iter().cloned()).collect();
    all.retain(|(id, _)| {
        let holds = !replaced.contains(id);
        if !holds {
            out.records.push(Record::DeleteDeployment(id.clone()));
        }
        holds
    });
    all.sort_by_key(|(_, stored)| stored.version);
    all
}

fn damaged(message: String) -> Event {
    Event::Alarm { code: "services-store", message }
}
