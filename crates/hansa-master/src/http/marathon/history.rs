//! How a group was: every change of an app or group is a version of each group that it lies in.
//!
//! Nothing is stored for it but what apps and groups keep anyway: their versions, and when they were removed. A group can
//! go back as far as the versions of all of its apps reach.

use crate::read_model::ReadModel;
use hansa_api::marathon::group::Present;
use hansa_api::marathon::path;
use hansa_model::app::AppVersion;
use hansa_model::group::{GroupChange, GroupTarget};
use hansa_model::service::{AppChange, Deploy, Expected, Target};
use hansa_model::{AppId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Versions kept of each app; of one with as many, earlier ones may have been dropped.
const KEPT: usize = 50;

/// Versions of a group that are listed.
const LISTED: usize = 50;

/// What was removed at or below a group, and when.
pub(super) fn gone(model: &ReadModel, id: &str) -> Vec<(String, Timestamp)> {
    let apps = inside(model, id).filter(|(app, _)| model.app(app).is_none());
    let apps = apps.filter_map(|(app, _)| Some((app.to_string(), *model.removals(app)?.last()?)));
    let groups = model.groups().filter(|(group, _)| path::is_inside(group.as_str(), id));
    let groups = groups.filter_map(|(group, versions)| {
        let (_, newest) = versions.last_key_value()?;
        (!newest.exists).then(|| (group.to_string(), newest.version))
    });
    apps.chain(groups).collect()
}

/// The versions of a group that it can go back to, newest first.
pub(super) fn versions(model: &ReadModel, id: &str) -> Vec<Timestamp> {
    let mut all: BTreeSet<Timestamp> = BTreeSet::new();
    let mut reach = Timestamp(0);
    for (app, versions) in inside(model, id) {
        all.extend(versions.keys());
        all.extend(model.removals(app).into_iter().flatten());
        if versions.len() >= KEPT {
            reach = reach.max(versions.keys().next().copied().unwrap_or_default());
        }
    }
    for (group, versions) in model.groups() {
        if group.as_str() == id || path::is_inside(group.as_str(), id) {
            all.extend(versions.keys());
            if versions.len() >= KEPT {
                reach = reach.max(versions.keys().next().copied().unwrap_or_default());
            }
        }
    }
    all.into_iter().rev().take_while(|version| *version >= reach).take(LISTED).collect()
}

/// A group as it was at one of its versions.
pub(super) fn at(model: &ReadModel, id: &str, version: Timestamp) -> Option<Present> {
    if !versions(model, id).contains(&version) {
        return None;
    }
    let apps = inside(model, id).filter_map(|(app, versions)| {
        let (_, was) = versions.range(..=version).next_back()?;
        let removed = model.removals(app).and_then(|removals| removals.range(..=version).next_back());
        removed.is_none_or(|removed| *removed < was.version).then(|| (app.clone(), was.clone()))
    });
    let groups =
        model.groups().filter(|(group, _)| group.as_str() == id || path::is_inside(group.as_str(), id));
    let groups = groups.filter_map(|(group, versions)| {
        let (_, was) = versions.range(..=version).next_back()?;
        was.exists.then(|| (group.clone(), was.clone()))
    });
    Some(Present { apps: apps.collect(), groups: groups.collect() })
}

/// What brings a group back to how it was.
pub(super) fn back(model: &ReadModel, now: &Present, id: &str, version: Timestamp) -> Option<Deploy> {
    let was = at(model, id, version)?;
    let mut deploy = Deploy::default();
    for (app, before) in &was.apps {
        let expected = now.apps.get(app).map_or(Expected::Absent, |now| Expected::Version(now.version));
        if expected != Expected::Version(before.version) {
            let to = Target::Version(before.version);
            deploy.changes.push(AppChange { id: app.clone(), expected, to });
        }
    }
    for app in now.apps.keys().filter(|app| !was.apps.contains_key(*app)) {
        let (id, expected) = (app.clone(), Expected::Anything);
        deploy.changes.push(AppChange { id, expected, to: Target::Removed });
    }
    for (group, before) in &was.groups {
        let to =
            GroupTarget::Put { dependencies: before.dependencies.clone(), enforce_role: before.enforce_role };
        deploy.groups.push(GroupChange { id: group.clone(), must_be_new: false, to });
    }
    for group in now.groups.keys().filter(|group| !was.groups.contains_key(*group)) {
        let to = GroupTarget::Removed;
        deploy.groups.push(GroupChange { id: group.clone(), must_be_new: false, to });
    }
    Some(deploy)
}

/// The apps in a group, those that are not there any more too, with their versions.
fn inside<'a>(
    model: &'a ReadModel,
    id: &str,
) -> impl Iterator<Item = (&'a AppId, &'a BTreeMap<Timestamp, Arc<AppVersion>>)> {
    let prefix = if id == "/" { "/".to_owned() } else { format!("{id}/") };
    model.history(&prefix)
}
