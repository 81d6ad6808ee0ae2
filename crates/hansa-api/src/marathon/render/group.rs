//! Groups: the tree that the paths of apps and of stored groups make.

use crate::marathon::path;
use hansa_model::Timestamp;
use hansa_model::group::GroupVersion;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a tree is made of; what does not lie at or below its group is passed over.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Apps: absolute id, version, what to show.
    pub apps: Vec<(String, Timestamp, Value)>,
    /// Stored groups.
    pub groups: Vec<Arc<GroupVersion>>,
    /// What is not there any more, by path, and since when.
    pub gone: Vec<(String, Timestamp)>,
}

/// The group `id` with all groups and apps below it, nested.
pub fn group(id: &str, content: Content) -> Value {
    let mut root = Group::default();
    for (app, version, shown) in content.apps {
        if let Some(at) = root.descend(id, path::parent(&app), Some(version)).filter(|_| app != id) {
            at.apps.push((app, shown));
        }
    }
    for group in content.groups {
        if let Some(at) = root.descend(id, group.id.as_str(), Some(group.version)) {
            at.stored = Some(group);
        }
    }
    for (gone, at) in content.gone {
        root.touch(id, path::parent(&gone), at);
    }
    root.json(id)
}

#[derive(Default)]
struct Group {
    apps: Vec<(String, Value)>,
    groups: BTreeMap<String, Group>,
    version: Timestamp,
    stored: Option<Arc<GroupVersion>>,
}

/// The segments that lead from a group to one at or below it.
fn way<'a>(from: &str, to: &'a str) -> Option<impl Iterator<Item = &'a str>> {
    let rest = match from {
        "/" => to,
        _ if to == from => "",
        _ => to.strip_prefix(from).filter(|rest| rest.starts_with('/'))?,
    };
    Some(rest.split('/').filter(|segment| !segment.is_empty()))
}

impl Group {
    /// The group at `path`, made if need be; everything on the way has at least this version.
    fn descend(&mut self, from: &str, path: &str, version: Option<Timestamp>) -> Option<&mut Group> {
        let mut at = self;
        at.version = at.version.max(version.unwrap_or_default());
        for segment in way(from, path)? {
            at = at.groups.entry(segment.to_owned()).or_default();
            at.version = at.version.max(version.unwrap_or_default());
        }
        Some(at)
    }

    /// Something was removed from the group at `path`: whatever of the way to it is there has this version.
    fn touch(&mut self, from: &str, path: &str, version: Timestamp) {
        let Some(way) = way(from, path) else { return };
        let mut at = self;
        at.version = at.version.max(version);
        for segment in way {
            let Some(next) = at.groups.get_mut(segment) else { return };
            at = next;
            at.version = at.version.max(version);
        }
    }

    fn json(mut self, id: &str) -> Value {
        self.apps.sort_by(|(a, _), (b, _)| a.cmp(b));
        let inner = self.groups.into_iter().map(|(name, group)| {
            let id = if id == "/" { format!("/{name}") } else { format!("{id}/{name}") };
            group.json(&id)
        });
        let stored = self.stored.as_deref();
        let mut shown = Map::new();
        shown.insert("id".into(), json!(id));
        shown.insert("version".into(), json!(self.version.to_rfc3339()));
        shown.insert("groups".into(), inner.collect());
        shown.insert("apps".into(), self.apps.into_iter().map(|(_, app)| app).collect());
        shown.insert("pods".into(), json!([]));
        shown.insert(
            "dependencies".into(),
            json!(stored.map(|stored| stored.dependencies.as_slice()).unwrap_or_default()),
        );
        // Only where somebody said so: older clients do not know the field, and some break on what they do not know.
        let enforces = stored.and_then(|stored| stored.enforce_role);
        if let Some(enforces) = enforces.filter(|_| id != "/" && path::parent(id) == "/") {
            shown.insert("enforceRole".into(), json!(enforces));
        }
        Value::Object(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(ids: &[&str]) -> Content {
        let apps = ids.iter().map(|id| ((*id).to_owned(), Timestamp(0), json!({"id": id}))).collect();
        Content { apps, ..Content::default() }
    }

    #[test]
    fn paths_make_a_tree() {
        let all = ["/shop/web", "/a", "/shop/db/main", "/shopping"];
        let root = group("/", apps(&all));
        assert_eq!(root["apps"], json!([{"id": "/a"}, {"id": "/shopping"}]));
        assert_eq!(root["groups"][0]["id"], "/shop");
        assert_eq!(root["groups"][0]["apps"], json!([{"id": "/shop/web"}]));
        assert_eq!(root["groups"][0]["groups"][0]["id"], "/shop/db");
        let shop = group("/shop", apps(&["/shop/web", "/shopping", "/shop"]));
        assert_eq!((&shop["apps"], &shop["groups"]), (&json!([{"id": "/shop/web"}]), &json!([])));
    }

    #[test]
    fn stored_groups_are_there_without_apps() {
        let stored = |id: &str, version| {
            Arc::new(GroupVersion {
                id: id.into(),
                version: Timestamp(version),
                exists: true,
                dependencies: vec!["/db".into()],
                enforce_role: Some(true),
            })
        };
        let content = Content {
            groups: vec![stored("/a/b", 5_000), stored("/a", 2_000)],
            gone: vec![("/a/b/web".into(), Timestamp(9_000)), ("/a/c/web".into(), Timestamp(8_000))],
            ..Content::default()
        };
        let root = group("/", content.clone());
        let (a, b) = (&root["groups"][0], &root["groups"][0]["groups"][0]);
        assert_eq!((&a["enforceRole"], b.get("enforceRole")), (&json!(true), None));
        assert_eq!(b["dependencies"], json!(["/db"]));
        assert_eq!((&root["version"], &b["version"]), (&a["version"], &json!("1970-01-01T00:00:09.000Z")));
        assert_eq!(a["groups"].as_array().map(Vec::len), Some(1), "what is gone makes no group");
        assert_eq!(group("/a/b", content)["version"], "1970-01-01T00:00:09.000Z");
    }
}
