//! Definitions of services and groups, from files and directories in JSON or YAML.
//!
//! A document is an app, a list of apps, or a group with `apps` and `groups` below it, all in Marathon's words. What comes
//! out is flat: every app and every group once, with an absolute path and where it stood. Whatever could be meant in two
//! ways is refused with its file and field: a path that two places define, a path that is a service in one place and a
//! group in another, an object that is half an app and half a group. Not here: what runs (`commands::apply`).

mod fields;
mod files;

pub use files::gather;

use crate::client::marathon_refusal;
use crate::failure::{Exit, Failure};
use hansa_api::marathon::{Defaults, group::enforced, parse_app_as, path, render};
use hansa_model::AppId;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Where something stood: `shop.yaml, apps[1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The file; `stdin` for `-`.
    pub file: String,
    /// The place in it, such as `apps[1]`; empty: the whole of it.
    pub at: String,
}

impl Origin {
    /// One place below this one.
    fn below(&self, part: &str) -> Self {
        let dot = if self.at.is_empty() || part.starts_with('[') { "" } else { "." };
        Self { file: self.file.clone(), at: format!("{}{dot}{part}", self.at) }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at.as_str() {
            "" => write!(f, "{}", self.file),
            at => write!(f, "{}, {at}", self.file),
        }
    }
}

/// A service as a file wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Absolute path.
    pub id: String,
    /// Its definition as it stood, with the absolute path as `id`.
    pub body: Value,
    /// Where it stood.
    pub origin: Origin,
}

/// What a file says of a group itself, besides what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Absolute path.
    pub id: String,
    /// What it depends on, as absolute paths; None: nothing is said.
    pub dependencies: Option<Vec<String>>,
    /// Whether its services must have its name as their role; None: nothing is said.
    pub enforce_role: Option<bool>,
    /// Where it stood.
    pub origin: Origin,
}

/// Everything that some files define.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// Services by path.
    pub apps: BTreeMap<String, App>,
    /// Groups by path.
    pub groups: BTreeMap<String, Group>,
    /// What was said and means nothing: likely typing errors.
    pub doubts: Vec<String>,
}

fn wrong(cause: impl Into<String>, origin: &Origin) -> Failure {
    Failure::new(Exit::Usage, cause).at(origin.to_string())
}

impl Definitions {
    /// Adds what a document defines.
    fn add_document(&mut self, document: Value, origin: &Origin) -> Result<(), Failure> {
        match document {
            Value::Array(list) => {
                if list.is_empty() {
                    return Err(wrong("there is no service in it", origin));
                }
                for (at, item) in list.into_iter().enumerate() {
                    self.add_document(item, &origin.below(&format!("[{at}]")))?;
                }
                Ok(())
            }
            Value::Object(map) if map.contains_key("services") && !map.contains_key("id") => {
                Err(wrong("this is a compose file, not a definition of services", origin)
                    .remedy("`hansa compose up --file FILE` runs it"))
            }
            Value::Object(map) if is_group(&map) => self.add_group(map, "/", origin),
            Value::Object(map) => self.add_app(map, "/", origin),
            _ => Err(wrong("a service or group is an object with an \"id\"", origin)),
        }
    }

    fn add_app(&mut self, mut map: Map<String, Value>, base: &str, origin: &Origin) -> Result<(), Failure> {
        let id = id_of(&map, base, origin)?.ok_or_else(|| {
            wrong("a service needs an \"id\"", &origin.below("id")).remedy("for example \"id\": \"/web\"")
        })?;
        if base != "/" && path::parent(&id) != base {
            return Err(wrong(
                format!("'{id}' stands in the group {base} but does not lie in it"),
                &origin.below("id"),
            )
            .remedy("write the id relative to the group, such as \"web\""));
        }
        for name in map.keys() {
            self.doubts.extend(fields::doubt(name).map(|doubt| format!("{}: {doubt}", origin.below(name))));
        }
        if let Some(other) = self.apps.get(&id) {
            return Err(wrong(format!("'{id}' is defined twice"), origin)
                .remedy(format!("leave one of them out; the other is in {}", other.origin)));
        }
        map.insert("id".into(), Value::from(id.clone()));
        self.apps.insert(id.clone(), App { id, body: Value::Object(map), origin: origin.clone() });
        Ok(())
    }

    fn add_group(&mut self, map: Map<String, Value>, base: &str, origin: &Origin) -> Result<(), Failure> {
        if let Some(name) = ["cmd", "args", "container", "instances", "cpus", "mem"]
            .into_iter()
            .find(|name| map.contains_key(*name))
        {
            return Err(wrong(
                format!("it has \"{name}\" as a service has, and \"apps\" or \"groups\" as a group has"),
                &origin.below(name),
            )
            .remedy("split it into a service and a group"));
        }
        let id = id_of(&map, base, origin)?.unwrap_or_else(|| "/".into());
        if base != "/" && path::parent(&id) != base {
            return Err(wrong(
                format!("'{id}' stands in the group {base} but does not lie in it"),
                &origin.below("id"),
            ));
        }
        for name in map.keys() {
            let known = ["id", "apps", "groups", "dependencies", "enforceRole", "version", "pods"];
            if !known.contains(&name.as_str()) {
                return Err(wrong("a group has no such field", &origin.below(name)));
            }
        }
        if map.get("pods").and_then(Value::as_array).is_some_and(|pods| !pods.is_empty()) {
            return Err(wrong("pods are not supported by this version", &origin.below("pods")));
        }
        for (name, group) in [("apps", false), ("groups", true)] {
            let list = match map.get(name) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(list)) => list,
                Some(_) => return Err(wrong("this must be a list", &origin.below(name))),
            };
            for (at, item) in list.iter().enumerate() {
                let origin = origin.below(&format!("{name}[{at}]"));
                match item {
                    Value::Object(map) if group => self.add_group(map.clone(), &id, &origin)?,
                    Value::Object(map) if !is_group(map) => self.add_app(map.clone(), &id, &origin)?,
                    Value::Object(_) => {
                        return Err(wrong("a group stands in a list of services", &origin)
                            .remedy("move it to \"groups\""));
                    }
                    _ => return Err(wrong("this must be an object with an \"id\"", &origin)),
                }
            }
        }
        self.keep_group(&map, id, origin)
    }

    /// Keeps what is said of a group itself. A group may stand in several files; one thing may be said of it only once.
    fn keep_group(&mut self, map: &Map<String, Value>, id: String, origin: &Origin) -> Result<(), Failure> {
        let dependencies = match map.get("dependencies") {
            None | Some(Value::Null) => None,
            Some(value) => Some(
                texts(value)
                    .ok_or_else(|| wrong("this must be a list of paths", &origin.below("dependencies")))?,
            ),
        };
        let dependencies = dependencies.map(|paths| {
            paths.iter().map(|text| path::absolute(text, path::parent(&id))).collect::<Vec<_>>()
        });
        let enforce_role = match map.get("enforceRole") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => return Err(wrong("this must be true or false", &origin.below("enforceRole"))),
        };
        let Some(before) = self.groups.get_mut(&id) else {
            self.groups.insert(id.clone(), Group { id, dependencies, enforce_role, origin: origin.clone() });
            return Ok(());
        };
        let both = [
            ("dependencies", before.dependencies.is_some() && dependencies.is_some()),
            ("enforceRole", before.enforce_role.is_some() && enforce_role.is_some()),
        ];
        if let Some((name, _)) = both.into_iter().find(|(_, both)| *both) {
            return Err(wrong(format!("the group '{id}' has its \"{name}\" twice"), &origin.below(name))
                .remedy(format!("leave one of them out; the other is in {}", before.origin)));
        }
        before.dependencies = before.dependencies.take().or(dependencies);
        before.enforce_role = before.enforce_role.or(enforce_role);
        Ok(())
    }

    /// Refuses paths that are a service and a group at once.
    fn check(&self) -> Result<(), Failure> {
        let mut groups: BTreeSet<&str> = self.groups.keys().map(String::as_str).collect();
        for id in self.apps.keys() {
            let mut at = path::parent(id);
            while at != "/" && groups.insert(at) {
                at = path::parent(at);
            }
        }
        match self.apps.values().find(|app| groups.contains(app.id.as_str())) {
            Some(app) => {
                let inside = self.apps.values().find(|other| path::is_inside(&other.id, &app.id));
                let inside = inside.map(|other| format!(" ({} is in it, see {})", other.id, other.origin));
                Err(wrong(
                    format!(
                        "'{}' is a service here and a group elsewhere{}",
                        app.id,
                        inside.unwrap_or_default()
                    ),
                    &app.origin.below("id"),
                )
                .remedy("give one of them another path"))
            }
            None => Ok(()),
        }
    }
}

impl App {
    /// The definition with every default filled in and every old spelling translated. `enforces` tells whether the
    /// top-level group that it lies in gives it its name as the role.
    ///
    /// # Errors
    /// What is wrong with it, with file and field.
    pub fn canonical(&self, enforces: bool) -> Result<Value, Failure> {
        canonical(&self.id, &self.body, enforces).map_err(|failure| failure.at(self.origin.to_string()))
    }
}

/// A definition with every default filled in and every old spelling translated.
///
/// # Errors
/// What is wrong with it.
pub fn canonical(id: &str, app: &Value, enforces: bool) -> Result<Value, Failure> {
    let id = AppId::from(id);
    let defaults = enforced(&Defaults::default(), &id, enforces);
    let spec =
        parse_app_as(&id, app, &defaults).map_err(|problem| marathon_refusal(Exit::Usage, &problem.body))?;
    Ok(Value::Object(render::app::definition(&spec)))
}

/// A group is what has apps or groups.
fn is_group(map: &Map<String, Value>) -> bool {
    ["apps", "groups", "enforceRole"].iter().any(|name| map.contains_key(*name))
}

/// The absolute path that an object's `id` means; None: it has none.
fn id_of(map: &Map<String, Value>, base: &str, origin: &Origin) -> Result<Option<String>, Failure> {
    match map.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id == "/" => Ok(Some("/".into())),
        Some(Value::String(id)) if !id.trim_matches('/').is_empty() => Ok(Some(path::absolute(id, base))),
        Some(_) => Err(wrong("an id is a path such as \"/web\"", &origin.below("id"))),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(documents: &[(&str, Value)]) -> Result<Definitions, Failure> {
        let mut all = Definitions::default();
        for (file, document) in documents {
            all.add_document(document.clone(), &Origin { file: (*file).into(), at: String::new() })?;
        }
        all.check()?;
        Ok(all)
    }

    #[test]
    fn services_and_groups_become_flat() {
        let all = of(&[
            ("a.json", json!({"id": "web", "cmd": "sleep 1"})),
            ("b.json", json!([{"id": "/x/one", "cmd": "a"}, {"id": "/x/two", "cmd": "b"}])),
            (
                "c.json",
                json!({"id": "/shop", "dependencies": ["/x"], "apps": [{"id": "db", "cmd": "c"}],
                    "groups": [{"id": "front", "apps": [{"id": "/shop/front/page", "cmd": "d"}]}]}),
            ),
        ])
        .unwrap();
        let ids: Vec<&str> = all.apps.keys().map(String::as_str).collect();
        assert_eq!(ids, ["/shop/db", "/shop/front/page", "/web", "/x/one", "/x/two"]);
        assert_eq!(all.apps["/shop/front/page"].origin.to_string(), "c.json, groups[0].apps[0]");
        assert_eq!(all.apps["/web"].body["id"], "/web");
        assert_eq!(all.groups["/shop"].dependencies.as_deref(), Some(["/x".to_owned()].as_slice()));
        assert_eq!(all.groups["/shop/front"].dependencies, None);
    }

    #[test]
    fn what_could_mean_two_things_is_refused_with_its_place() {
        let app = |id: &str| json!({"id": id, "cmd": "x"});
        for (documents, cause, place) in [
            (vec![("a", app("/w")), ("b", json!([app("w")]))], "'/w' is defined twice", "b, [0]"),
            (vec![("a", app("/w")), ("b", app("/w/x"))], "'/w' is a service here and a group", "a, id"),
            (vec![("a", json!({"cmd": "x"}))], "a service needs an \"id\"", "a, id"),
            (vec![("a", json!({"id": 3}))], "an id is a path", "a, id"),
            (vec![("a", json!({"id": "/g", "cmd": "x", "apps": []}))], "it has \"cmd\"", "a, cmd"),
            (vec![("a", json!({"id": "/g", "apps": [app("/h/x")]}))], "does not lie in it", "a, apps[0].id"),
            (vec![("a", json!({"id": "/g", "apps": {}}))], "must be a list", "a, apps"),
            (
                vec![("a", json!({"id": "/g", "apps": [{"id": "h", "apps": []}]}))],
                "a group stands",
                "a, apps[0]",
            ),
            (vec![("a", json!({"id": "/g", "apps": [], "label": 1}))], "no such field", "a, label"),
            (vec![("a", json!({"services": {}}))], "compose file", "a"),
            (vec![("a", json!([]))], "no service", "a"),
            (vec![("a", json!(3))], "an object", "a"),
        ] {
            let failure = of(&documents).unwrap_err();
            assert!(failure.cause.contains(cause), "{failure}");
            assert_eq!((failure.exit, failure.place.as_deref()), (Exit::Usage, Some(place)), "{failure}");
        }
    }

    #[test]
    fn a_group_may_stand_in_several_files_but_each_of_its_fields_only_once() {
        let part = |name: &str| json!({"id": "/g", "apps": [{"id": name, "cmd": "x"}]});
        assert_eq!(of(&[("a", part("x")), ("b", part("y"))]).unwrap().apps.len(), 2);
        let both = json!({"id": "/g", "groups": [], "dependencies": []});
        let failure = of(&[("a", both.clone()), ("b", both)]).unwrap_err();
        assert!(failure.cause.contains("\"dependencies\" twice"), "{failure}");
    }

    #[test]
    fn faults_in_a_definition_name_file_and_field() {
        let all = of(&[("a.json", json!({"id": "/w", "cmd": "x", "cpus": "many"}))]).unwrap();
        let failure = all.apps["/w"].canonical(false).unwrap_err();
        assert_eq!(failure.place.as_deref(), Some("a.json"));
        assert!(failure.cause.contains("/cpus"), "{failure}");
    }

    #[test]
    fn likely_typing_errors_are_told() {
        let all = of(&[("a.json", json!({"id": "/w", "cmd": "x", "instnaces": 3}))]).unwrap();
        assert_eq!(all.doubts, ["a.json, instnaces: a service has no such field; did you mean 'instances'?"]);
    }

    #[test]
    fn a_group_that_gives_its_name_as_role_is_heeded() {
        let app = json!({"id": "/dev/x", "cmd": "sleep 1"});
        assert_eq!(canonical("/dev/x", &app, true).unwrap()["role"], "dev");
        assert_ne!(canonical("/dev/x", &app, false).unwrap()["role"], "dev");
    }
}
