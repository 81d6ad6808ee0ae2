//! How a deployment begins: what of it is written, in which order, so that all of it holds or nothing.
//!
//! Versions come first: until something points to them they mean nothing. Then the deployment, which says where every
//! pointer shall point; from then on it holds, and whatever comes later is made good from it after a restart. Last come
//! the pointers, and what is not needed any more.

use super::commands::Change;
use super::deployments::{Deployment, Original, Stored};
use super::{Output, Record, Services};
use hansa_model::app::AppVersion;
use hansa_model::event::{DeploymentChange, Event};
use hansa_model::planted::{Bug, planted};
use hansa_model::{AppId, DeploymentId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Up to so many records are written at once, and need no deployment to make them good.
const AT_ONCE: usize = 60;

impl Services {
    /// Begins a deployment.
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        id: DeploymentId,
        stored: Stored,
        changes: BTreeMap<AppId, Change>,
        out: &mut Output,
    ) {
        let originals = changes.iter().map(|(id, change)| (id.clone(), change.before.clone())).collect();
        let version = stored.version;
        let groups = stored.groups.clone();
        let deployment = Deployment::new(id.clone(), stored, originals, now);
        let trivial = deployment.stored.steps.is_empty();
        let key = self.deployments.insert(deployment);
        self.by_deployment.insert(id.clone(), key);
        let mut pointers = Output::default();
        for (app_id, change) in changes {
            self.point(key, &id, &app_id, change, version, out, &mut pointers);
        }
        self.put_groups(&groups, &mut pointers);
        self.trim_history(&mut pointers);
        out.events.extend(pointers.events);
        if !trivial || pointers.records.len() > AT_ONCE {
            out.records.push(self.deployments[key].record());
        }
        out.records.extend(pointers.records);
        out.events.push(self.deployments[key].event(DeploymentChange::Started));
        self.begin_step(now, key, out);
    }

    /// Has an app be what a deployment says. What may be written before the deployment goes to `versions`.
    #[expect(clippy::too_many_arguments, reason = "one step of `start`, which has all of this")]
    fn point(
        &mut self,
        key: super::DeploymentKey,
        id: &DeploymentId,
        app_id: &AppId,
        change: Change,
        version: Timestamp,
        versions: &mut Output,
        pointers: &mut Output,
    ) {
        let app_key = self.app_key(app_id);
        let app = &mut self.apps[app_key];
        app.deployment = Some((key, id.clone()));
        if let Some(before) = &change.before {
            self.ports.remove(&before.spec);
        }
        app.current = change.after.clone();
        let Some(after) = change.after else {
            app.last_failure = None;
            pointers.records.push(Record::DeleteApp(app_id.clone()));
            pointers.events.push(Event::AppRemoved(app_id.clone()));
            self.end_streak(app_key, pointers);
            self.remember_removal(app_key, version, pointers);
            return;
        };
        self.ports.add(&after.spec);
        app.newest = after.version;
        app.versions.insert(after.version, after.clone());
        if !planted(Bug::VersionNotStored) {
            versions.records.push(Record::PutVersion(after.clone()));
        }
        versions.events.push(Event::AppVersion(after.clone()));
        pointers.records.push(Record::PutApp(app_id.clone(), after.version));
        self.unremember(app_key);
        self.trim_versions(app_key, pointers);
        pointers.events.extend(self.apps[app_key].view().map(Event::App));
    }

    /// How an app as it was before is stored with its deployment: by reference, unless the version is about to go.
    pub(super) fn original(&self, id: &AppId, before: Option<&Arc<AppVersion>>, adds: bool) -> Original {
        let Some(before) = before else { return Original::Absent };
        let stays = self.by_id.get(id).is_some_and(|&key| {
            let newer = self.apps[key].versions.range(before.version..).count();
            self.apps[key].versions.contains_key(&before.version)
                && newer + usize::from(adds) <= self.settings.max_versions.max(1)
        });
        if stays { Original::Version(before.version) } else { Original::Gone(before.clone()) }
    }
}
