//! Groups as the scheduler keeps them: their stored versions, and what a change makes of them.
//!
//! A group needs no record to exist, an app in it is enough; a record is what keeps an empty one, its dependencies and
//! its rules. Removal is a version too, so that a group can go back behind it.

use super::{Output, Record, Services};
use hansa_model::event::Event;
use hansa_model::group::{GroupChange, GroupTarget, GroupVersion};
use hansa_model::service::ServiceRefusal;
use hansa_model::{AppId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All stored groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: BTreeMap<AppId, BTreeMap<Timestamp, Arc<GroupVersion>>>,
}

impl Groups {
    /// What holds of a group; None if nothing is stored or it was removed.
    pub fn current(&self, id: &str) -> Option<&Arc<GroupVersion>> {
        let (_, newest) = self.all.get(id)?.last_key_value()?;
        newest.exists.then_some(newest)
    }

    /// The newest version that was ever given out for a group.
    pub fn newest(&self, id: &AppId) -> Timestamp {
        self.all.get(id).and_then(|versions| versions.keys().next_back().copied()).unwrap_or(Timestamp(0))
    }

    /// Takes a version in.
    pub fn put(&mut self, group: Arc<GroupVersion>) {
        self.all.entry(group.id.clone()).or_default().insert(group.version, group);
    }

    /// Every stored version.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<GroupVersion>> {
        self.all.values().flat_map(BTreeMap::values)
    }

    /// Takes out what is more than may be kept: of each group all but the newest versions, and of removed groups all but
    /// those removed last.
    fn trim(
        &mut self,
        touched: &[AppId],
        max_versions: usize,
        max_removed: usize,
    ) -> Vec<(AppId, Timestamp)> {
        let mut dropped = Vec::new();
        for id in touched {
            let Some(versions) = self.all.get_mut(id) else { continue };
            while versions.len() > max_versions.max(1) {
                let Some((version, _)) = versions.pop_first() else { break };
                dropped.push((id.clone(), version));
            }
        }
        let gone = |(id, versions): (&AppId, &BTreeMap<Timestamp, Arc<GroupVersion>>)| {
            let (version, newest) = versions.last_key_value()?;
            (!newest.exists).then(|| (*version, id.clone()))
        };
        let gone: BTreeSet<(Timestamp, AppId)> = self.all.iter().filter_map(gone).collect();
        let many = gone.len().saturating_sub(max_removed);
        for (_, id) in gone.into_iter().take(many) {
            let versions = self.all.remove(&id).unwrap_or_default();
            dropped.extend(versions.into_keys().map(|version| (id.clone(), version)));
        }
        dropped
    }
}

impl Services {
    /// What a change means for the groups that it names: a new version of each that becomes another, without its time.
    pub(super) fn group_changes(
        &self,
        changes: Vec<GroupChange>,
    ) -> Result<BTreeMap<AppId, GroupVersion>, ServiceRefusal> {
        let mut after = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for GroupChange { id, must_be_new, to } in changes {
            if !seen.insert(id.clone()) {
                return Err(ServiceRefusal::Invalid(format!("Group '{id}' is named twice.")));
            }
            let before = self.groups.current(id.as_str());
            if must_be_new && before.is_some() {
                return Err(ServiceRefusal::Changed(id));
            }
            let group = match to {
                GroupTarget::Put { mut dependencies, enforce_role } => {
                    dependencies.sort();
                    dependencies.dedup();
                    GroupVersion {
                        id: id.clone(),
                        version: Timestamp(0),
                        exists: true,
                        dependencies,
                        enforce_role,
                    }
                }
                GroupTarget::Removed => GroupVersion {
                    id: id.clone(),
                    version: Timestamp(0),
                    exists: false,
                    dependencies: Vec::new(),
                    enforce_role: None,
                },
            };
            let same = match before {
                None => !group.exists,
                Some(before) => GroupVersion { version: before.version, ..group.clone() } == **before,
            };
            if !same {
                after.insert(id, group);
            }
        }
        Ok(after)
    }

    /// Puts new versions of groups in force.
    pub(super) fn put_groups(&mut self, groups: &[Arc<GroupVersion>], out: &mut Output) {
        if groups.is_empty() {
            return;
        }
        for group in groups {
            self.groups.put(group.clone());
            out.records.push(Record::PutGroup(group.clone()));
            out.events.push(Event::Group(group.clone()));
        }
        let touched: Vec<AppId> = groups.iter().map(|group| group.id.clone()).collect();
        let settings = &self.settings;
        for (id, version) in self.groups.trim(&touched, settings.max_versions, settings.max_removed) {
            out.records.push(Record::DeleteGroup(id.clone(), version));
            out.events.push(Event::GroupVersionDropped(id, version));
        }
    }
}
