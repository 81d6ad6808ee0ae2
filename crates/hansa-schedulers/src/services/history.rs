//! What is remembered of apps that were removed: their versions and when they went, so that a group can go back to how
//! it was before. The oldest are forgotten when there are too many.

use super::{AppKey, Output, Record, Services};
use hansa_model::event::Event;
use hansa_model::{AppId, Timestamp};

impl Services {
    /// An app was removed at that time.
    pub(super) fn remember_removal(&mut self, key: AppKey, at: Timestamp, out: &mut Output) {
        let app = &mut self.apps[key];
        app.newest = app.newest.max(at);
        if app.removals.insert(at) {
            self.history.insert((at, app.id.clone()));
            out.records.push(Record::PutRemoval(app.id.clone(), at));
            out.events.push(Event::AppRemoval(app.id.clone(), at));
        }
    }

    /// An app exists (again): it is not one of the removed ones.
    pub(super) fn unremember(&mut self, key: AppKey) {
        let app = &self.apps[key];
        if let Some(&at) = app.removals.last() {
            self.history.remove(&(at, app.id.clone()));
        }
    }

    /// Drops old versions of an app, and the removals before them.
    pub(super) fn trim_versions(&mut self, key: AppKey, out: &mut Output) {
        let app = &mut self.apps[key];
        while app.versions.len() > self.settings.max_versions.max(1) {
            let Some((old, _)) = app.versions.pop_first() else { break };
            out.records.push(Record::DeleteVersion(app.id.clone(), old));
            out.events.push(Event::AppVersionDropped(app.id.clone(), old));
        }
        let oldest = app.versions.keys().next().copied().unwrap_or(Timestamp(u64::MAX));
        while let Some(&at) = app.removals.first().filter(|at| **at < oldest) {
            app.removals.remove(&at);
            self.history.remove(&(at, app.id.clone()));
            out.records.push(Record::DeleteRemoval(app.id.clone(), at));
            out.events.push(Event::AppRemovalDropped(app.id.clone(), at));
        }
    }

    /// Forgets the apps that were removed first, while there are too many; none that a deployment may bring back.
    pub(super) fn trim_history(&mut self, out: &mut Output) {
        let many = self.history.len().saturating_sub(self.settings.max_removed);
        let going: Vec<(Timestamp, AppId)> = self
            .history
            .iter()
            .filter(|(_, id)| self.by_id.get(id).is_none_or(|&key| self.apps[key].deployment.is_none()))
            .take(many)
            .cloned()
            .collect();
        for entry in going {
            self.history.remove(&entry);
            let id = entry.1;
            let Some(&key) = self.by_id.get(&id) else { continue };
            let app = &mut self.apps[key];
            for version in std::mem::take(&mut app.versions).into_keys() {
                out.records.push(Record::DeleteVersion(id.clone(), version));
                out.events.push(Event::AppVersionDropped(id.clone(), version));
            }
            for at in std::mem::take(&mut app.removals) {
                out.records.push(Record::DeleteRemoval(id.clone(), at));
                out.events.push(Event::AppRemovalDropped(id.clone(), at));
            }
            self.forget_if_empty(key);
        }
    }
}
