//! Taking over what was stored, at the beginning of a leadership.
//!
//! Deployments go on in the step they were in. Instances are not stored here; the kernel tells of them afterwards.

use super::apps::Mode;
use super::deployments::{Deployment, Original, Stored};
use super::{Output, Record, Services};
use hansa_model::app::AppVersion;
use hansa_model::event::{ActionKind, DeploymentChange, Event};
use hansa_model::{AppId, DeploymentId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// For so long after a restart nothing is ended before all of its app's instances were heard of (or are out of reach).
const HEARING_MS: u64 = 10_000;

impl Services {
    pub(super) fn take_over(&mut self, now: Timestamp, records: Vec<Record>, out: &mut Output) {
        self.hearing_until = Some(now + HEARING_MS);
        let mut current: BTreeMap<AppId, Timestamp> = BTreeMap::new();
        let mut versions: BTreeMap<AppId, BTreeMap<Timestamp, Arc<AppVersion>>> = BTreeMap::new();
        let mut deployments: BTreeMap<DeploymentId, String> = BTreeMap::new();
        for record in records {
            match record {
                Record::PutApp(id, version) => drop(current.insert(id, version)),
                Record::PutVersion(version) => {
                    let of = versions.entry(version.spec.id.clone()).or_default();
                    of.insert(version.version, version);
                }
                Record::PutDeployment(id, json) => drop(deployments.insert(id, json)),
                // Only what is there is restored.
                Record::DeleteApp(_) | Record::DeleteVersion(..) | Record::DeleteDeployment(_) => {}
            }
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
            // Written before the pointer that never came, or left when it went.
            out.records
                .extend(versions.into_keys().map(|version| Record::DeleteVersion(id.clone(), version)));
        }
        let mut keys = Vec::new();
        for (id, json) in deployments {
            match serde_json::from_str::<Stored>(&json) {
                Ok(stored) if stored.format == 1 => {
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
                    let key = self.deployments.insert(Deployment::new(id.clone(), stored, originals));
                    self.by_deployment.insert(id, key);
                    keys.push(key);
                }
                other => {
                    let why =
                        other.map_or_else(|error| error.to_string(), |s| format!("format {}", s.format));
                    out.events.push(damaged(format!("deployment {id} cannot be read: {why}")));
                }
            }
        }
        for &key in &keys {
            let deployment = &self.deployments[key];
            let id = deployment.id.clone();
            for app_id in deployment.originals.keys() {
                self.apps[self.by_id[app_id]].deployment = Some((key, id.clone()));
            }
        }
        self.resume_apps(now);
        self.tell_all(out);
        for key in keys {
            out.events.push(self.deployments[key].event(DeploymentChange::Restored));
            if self.deployments[key].open == 0 {
                self.begin_step(now, key, out);
            } else {
                self.note_progress(now, key);
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
                self.activate(now, key, current, Mode::Steady);
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
        for &key in self.by_id.values() {
            let app = &self.apps[key];
            out.events.extend(app.versions.values().cloned().map(Event::AppVersion));
            out.events.extend(app.view().map(Event::App));
        }
    }
}

fn damaged(message: String) -> Event {
    Event::Alarm { code: "services-store", message }
}
