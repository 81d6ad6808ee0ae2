//! Groups, read-only: the tree that the paths of apps make.

use crate::marathon::path;
use hansa_model::Timestamp;
use serde_json::{Map, Value, json};

/// The group `id` with all apps below it, nested. `apps` are (absolute id, what to show), in any order.
pub fn group(id: &str, version: Timestamp, apps: Vec<(String, Value)>) -> Value {
    let mut root = Group::default();
    for (app, shown) in apps {
        if !path::is_inside(&app, id) {
            continue;
        }
        let mut at = &mut root;
        let inside = path::parent(&app).strip_prefix(if id == "/" { "" } else { id }).unwrap_or_default();
        for segment in inside.split('/').filter(|segment| !segment.is_empty()) {
            at = at.groups.entry(segment.to_owned()).or_default();
        }
        at.apps.push((app, shown));
    }
    root.json(id, version)
}

#[derive(Default)]
struct Group {
    apps: Vec<(String, Value)>,
    groups: std::collections::BTreeMap<String, Group>,
}

impl Group {
    fn json(mut self, id: &str, version: Timestamp) -> Value {
        self.apps.sort_by(|(a, _), (b, _)| a.cmp(b));
        let inner = self.groups.into_iter().map(|(name, group)| {
            let id = if id == "/" { format!("/{name}") } else { format!("{id}/{name}") };
            group.json(&id, version)
        });
        let mut shown = Map::new();
        shown.insert("id".into(), json!(id));
        shown.insert("version".into(), json!(version.to_rfc3339()));
        shown.insert("groups".into(), inner.collect());
        shown.insert("apps".into(), self.apps.into_iter().map(|(_, app)| app).collect());
        shown.insert("pods".into(), json!([]));
        shown.insert("dependencies".into(), json!([]));
        Value::Object(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_make_a_tree() {
        let apps =
            |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), json!({"id": id}))).collect::<Vec<_>>();
        let root = group("/", Timestamp(0), apps(&["/shop/web", "/a", "/shop/db/main", "/shopping"]));
        assert_eq!(root["apps"], json!([{"id": "/a"}, {"id": "/shopping"}]));
        assert_eq!(root["groups"][0]["id"], "/shop");
        assert_eq!(root["groups"][0]["apps"], json!([{"id": "/shop/web"}]));
        assert_eq!(root["groups"][0]["groups"][0]["id"], "/shop/db");
        let shop = group("/shop", Timestamp(0), apps(&["/shop/web", "/shopping"]));
        assert_eq!((&shop["apps"], &shop["groups"]), (&json!([{"id": "/shop/web"}]), &json!([])));
    }
}
