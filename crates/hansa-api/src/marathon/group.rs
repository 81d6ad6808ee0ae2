//! A group's JSON, read into what it asks for; and what that changes of what is there.
//!
//! `apps` and `groups`, each when given, name the whole of that level: what is not named is removed. What is absent stays.

use super::app::{Defaults, Faults, read_app};
use super::path;
use super::problem::Problem;
use super::read::{Fields, item};
use hansa_model::app::{AppSpec, AppVersion};
use hansa_model::group::{GroupChange, GroupTarget, GroupVersion};
use hansa_model::service::{AppChange, Deploy, Expected, Target};
use hansa_model::{AppId, RoleName, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a PUT or POST asks of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupUpdate {
    /// Back to how it was at that version.
    Version(Timestamp),
    /// So many thousandths of every app's instances.
    ScaleBy(u64),
    /// This, for what it names.
    Tree(GroupTree),
}

/// A group as a client wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTree {
    /// Absolute path.
    pub id: AppId,
    /// All of its own apps; None: as they are.
    pub apps: Option<Vec<Arc<AppSpec>>>,
    /// All of its own groups; None: as they are.
    pub groups: Option<Vec<GroupTree>>,
    /// What it depends on; None: as it is.
    pub dependencies: Option<Vec<AppId>>,
    /// Whether its apps must have its name as their role; None: as it is.
    pub enforce_role: Option<bool>,
}

/// What is there now, at and below a group.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// Apps.
    pub apps: BTreeMap<AppId, Arc<AppVersion>>,
    /// Stored groups that exist.
    pub groups: BTreeMap<AppId, Arc<GroupVersion>>,
}

/// What is filled into apps where their definition says nothing, by what is known of their top-level group.
struct Reader<'a> {
    defaults: &'a Defaults,
    /// Whether a top-level group enforces its name as role, as far as is stored.
    enforces: &'a dyn Fn(&str) -> bool,
    /// The same as the body says.
    said: BTreeMap<String, bool>,
}

/// Reads the body of a PUT or POST at the group `base`: the group that it is about, and what it asks.
///
/// # Errors
/// What is wrong with it, in Marathon's words.
pub fn read(
    json: &Value,
    base: &str,
    defaults: &Defaults,
    enforces: &dyn Fn(&str) -> bool,
) -> Result<(AppId, GroupUpdate), Problem> {
    let mut faults = Faults::default();
    let update = read_update(json, base, defaults, enforces, &mut faults);
    faults.result(update)
}

fn read_update(
    json: &Value,
    base: &str,
    defaults: &Defaults,
    enforces: &dyn Fn(&str) -> bool,
    faults: &mut Faults,
) -> Option<(AppId, GroupUpdate)> {
    let fields = Fields::of(json, "", &mut faults.types)?;
    let id = match fields.text("id", &mut faults.types) {
        Some(text) => path::absolute(text, base),
        None => base.to_owned(),
    };
    if id != "/" {
        path::check(&id, "/id", &mut faults.rules);
    }
    let id = AppId::from(id);
    for (name, only) in [("version", "id"), ("scaleBy", "id")] {
        let others =
            fields.names().any(|other| other != name && other != only && fields.get(other).is_some());
        if fields.get(name).is_none() {
            continue;
        }
        // A whole group may carry the version that it was read with.
        if others && name == "version" {
            continue;
        }
        if others {
            faults.rules.add("", format!("The '{name}' field may only be combined with the 'id' field."));
        }
        return match name {
            "version" => match fields.text(name, &mut faults.types)?.parse() {
                Ok(version) => Some((id, GroupUpdate::Version(version))),
                Err(_) => {
                    faults.types.add(fields.at(name), "error.expected.date.isoformat");
                    None
                }
            },
            _ => Some((id, GroupUpdate::ScaleBy(fields.milli(name, 0, 1_000_000_000, &mut faults.types)?))),
        };
    }
    let mut reader = Reader { defaults, enforces, said: BTreeMap::new() };
    reader.listen(json, &id);
    let tree = reader.tree(&fields, id.clone(), faults);
    Some((id, GroupUpdate::Tree(tree)))
}

impl Reader<'_> {
    /// What the body says about roles, before its apps are read.
    fn listen(&mut self, json: &Value, id: &AppId) {
        let mut say = |id: &str, json: &Value| {
            if let (Some(enforces), "/") = (json["enforceRole"].as_bool(), path::parent(id)) {
                self.said.insert(id.to_owned(), enforces);
            }
        };
        say(id.as_str(), json);
        if id.as_str() == "/" {
            for group in json["groups"].as_array().into_iter().flatten() {
                if let Some(name) = group["id"].as_str() {
                    say(&path::absolute(name, "/"), group);
                }
            }
        }
    }

    fn tree(&self, fields: &Fields<'_>, id: AppId, faults: &mut Faults) -> GroupTree {
        let texts = fields.texts("dependencies", &mut faults.types);
        let dependencies = texts.map(|texts| {
            texts.iter().map(|text| AppId::from(path::absolute(text, path::parent(id.as_str())))).collect()
        });
        let enforce_role = fields.flag("enforceRole", &mut faults.types);
        if enforce_role.is_some() && (id.as_str() == "/" || path::parent(id.as_str()) != "/") {
            faults.rules.add(
                fields.at("enforceRole"),
                "enforceRole can only be set on top-level groups, directly below the root",
            );
        }
        if fields.list("pods", &mut faults.types).is_some_and(|pods| !pods.is_empty()) {
            faults.rules.add(fields.at("pods"), "pods are not supported by this version of Hansa");
        }
        let apps = fields.list("apps", &mut faults.types).map(|list| self.apps(fields, list, &id, faults));
        let groups =
            fields.list("groups", &mut faults.types).map(|list| self.groups(fields, list, &id, faults));
        GroupTree { id, apps, groups, dependencies, enforce_role }
    }

    fn apps(
        &self,
        fields: &Fields<'_>,
        list: &[Value],
        group: &AppId,
        faults: &mut Faults,
    ) -> Vec<Arc<AppSpec>> {
        let mut apps: Vec<Arc<AppSpec>> = Vec::with_capacity(list.len());
        for (index, json) in list.iter().enumerate() {
            let at = item(&fields.at("apps"), index);
            let parent = "App has to be child of group with parent id";
            let Some(id) = child(json, &at, group, parent, faults) else { continue };
            let defaults = self.defaults_of(&id);
            let Some(spec) = read_app(json, &at, Some(&id), &defaults, faults) else { continue };
            if apps.iter().any(|other| other.id == id) {
                faults.rules.add(format!("{at}/id"), format!("'{id}' is given more than once"));
            }
            apps.push(Arc::new(spec));
        }
        apps
    }

    fn groups(
        &self,
        fields: &Fields<'_>,
        list: &[Value],
        group: &AppId,
        faults: &mut Faults,
    ) -> Vec<GroupTree> {
        let mut groups: Vec<GroupTree> = Vec::with_capacity(list.len());
        for (index, json) in list.iter().enumerate() {
            let at = item(&fields.at("groups"), index);
            let parent = "Group has to be child of groups with parent id";
            let Some(id) = child(json, &at, group, parent, faults) else { continue };
            let Some(fields) = Fields::of(json, &at, &mut faults.types) else { continue };
            if groups.iter().any(|other| other.id == id) {
                faults.rules.add(format!("{at}/id"), format!("'{id}' is given more than once"));
            }
            groups.push(self.tree(&fields, id, faults));
        }
        groups
    }

    fn defaults_of(&self, app: &AppId) -> Defaults {
        let top = app.as_str().split('/').nth(1).unwrap_or_default();
        let path = format!("/{top}");
        let enforces = self.said.get(&path).copied().unwrap_or_else(|| (self.enforces)(&path));
        enforced(self.defaults, app, enforces)
    }
}

/// What is filled into an app's definition if its top-level group enforces its name as the role.
pub fn enforced(defaults: &Defaults, app: &AppId, enforces: bool) -> Defaults {
    let mut segments = app.as_str().split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some(top), Some(_)) if enforces => {
            Defaults { role: RoleName::from(top), enforce_group_role: true, ..defaults.clone() }
        }
        _ => defaults.clone(),
    }
}

/// The id of an app or group that stands in a group's list; relative ones are relative to the group.
fn child(json: &Value, at: &str, group: &AppId, words: &str, faults: &mut Faults) -> Option<AppId> {
    let fields = Fields::of(json, at, &mut faults.types)?;
    if fields.get("id").is_none() {
        faults.types.add(fields.at("id"), "error.path.missing");
    }
    let id = path::absolute(fields.text("id", &mut faults.types)?, group.as_str());
    path::check(&id, &fields.at("id"), &mut faults.rules);
    if path::parent(&id) != group.as_str() {
        faults.rules.add(fields.at("id"), format!("{words} {group}"));
    }
    Some(AppId::from(id))
}

/// What an update changes of what is there.
pub fn changes(present: &Present, tree: &GroupTree) -> Deploy {
    let mut deploy = Deploy::default();
    add(present, tree, &mut deploy);
    deploy
}

fn add(present: &Present, tree: &GroupTree, deploy: &mut Deploy) {
    let before = present.groups.get(&tree.id);
    // The root is there anyway; it is stored only for what is said about it.
    if tree.id.as_str() != "/" || tree.dependencies.is_some() {
        let dependencies = tree.dependencies.clone();
        let to = GroupTarget::Put {
            dependencies: dependencies
                .unwrap_or_else(|| before.map_or(Vec::new(), |before| before.dependencies.clone())),
            enforce_role: tree.enforce_role.or_else(|| before?.enforce_role),
        };
        deploy.groups.push(GroupChange { id: tree.id.clone(), must_be_new: false, to });
    }
    if let Some(apps) = &tree.apps {
        for spec in apps {
            let expected = match present.apps.get(&spec.id) {
                Some(current) => Expected::Version(current.version),
                None => Expected::Absent,
            };
            deploy.changes.push(AppChange { id: spec.id.clone(), expected, to: Target::Spec(spec.clone()) });
        }
        let is_own = |id: &&AppId| path::parent(id.as_str()) == tree.id.as_str();
        for id in present.apps.keys().filter(is_own) {
            if !apps.iter().any(|spec| spec.id == *id) {
                deploy.changes.push(removal(id));
            }
        }
    }
    if let Some(groups) = &tree.groups {
        for group in groups {
            add(present, group, deploy);
        }
        for id in present.children(&tree.id) {
            if !groups.iter().any(|group| group.id == id) {
                remove(present, &id, deploy);
            }
        }
    }
}

/// Removes a group with everything in it.
pub fn remove(present: &Present, id: &AppId, deploy: &mut Deploy) {
    let inside = |other: &&AppId| path::is_inside(other.as_str(), id.as_str());
    deploy.changes.extend(present.apps.keys().filter(inside).map(removal));
    let groups = present.groups.keys().filter(|other| *other == id || inside(other));
    deploy.groups.extend(groups.map(|id| GroupChange {
        id: id.clone(),
        must_be_new: false,
        to: GroupTarget::Removed,
    }));
}

fn removal(id: &AppId) -> AppChange {
    AppChange { id: id.clone(), expected: Expected::Anything, to: Target::Removed }
}

/// Every app scaled by so many thousandths, rounded up.
pub fn scale(present: &Present, milli: u64) -> Deploy {
    let scaled = |(id, current): (&AppId, &Arc<AppVersion>)| {
        let instances = (u64::from(current.spec.instances) * milli).div_ceil(1_000);
        AppChange {
            id: id.clone(),
            expected: Expected::Version(current.version),
            to: Target::Scale(u32::try_from(instances).unwrap_or(u32::MAX)),
        }
    };
    Deploy { changes: present.apps.iter().map(scaled).collect(), ..Deploy::default() }
}

impl Present {
    /// The groups directly below one, stored or made by what is in them.
    fn children(&self, group: &AppId) -> Vec<AppId> {
        let prefix = if group.as_str() == "/" { "/".to_owned() } else { format!("{group}/") };
        let mut children: Vec<AppId> = Vec::new();
        let name = |rest: &str| AppId::from(format!("{prefix}{rest}"));
        for id in self.apps.keys().filter_map(|id| id.as_str().strip_prefix(&prefix)) {
            // The last segment is the app's own.
            children.extend(id.split_once('/').map(|(child, _)| name(child)));
        }
        for id in self.groups.keys().filter_map(|id| id.as_str().strip_prefix(&prefix)) {
            children.extend(id.split('/').next().filter(|child| !child.is_empty()).map(name));
        }
        children.sort();
        children.dedup();
        children
    }
}
