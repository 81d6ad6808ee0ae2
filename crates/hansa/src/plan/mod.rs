//! What would make the cluster as definitions say: compared, told, and (in [`carry_out`]) done.

pub mod carry_out;
mod compare;

use crate::context::Context;
use crate::definitions::{App, Definitions, Group, canonical};
use crate::failure::{Exit, Failure};
use crate::paint::Paint;
use crate::text;
use compare::{Change, compare, lines};
use hansa_api::hansa::Services;
use hansa_api::marathon::path;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is to be done with a service or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there and differs.
    Change,
    /// It is as it should be.
    Keep,
    /// It is there and should not be.
    Remove,
}

/// Service or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A service.
    Service,
    /// What is said of a group itself.
    Group,
}

/// What is to be done with one service or group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Its path.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What is to be done.
    pub action: Action,
    /// Where it is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defined_in: Option<String>,
    /// What differs, of one that changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What to send.
    #[serde(skip)]
    body: Value,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Groups, then services, by path; those to be removed last.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Compares definitions with what runs. Services in the groups `prune` that are not defined are to be removed.
    ///
    /// # Errors
    /// A definition is wrong, the master cannot be reached, or pruning would leave nothing of a group.
    pub async fn make(
        context: &Context,
        definitions: &Definitions,
        prune: &[String],
    ) -> Result<Plan, Failure> {
        let mut stored = Stored { context, groups: BTreeMap::new() };
        let mut steps = Vec::new();
        for group in definitions.groups.values() {
            steps.extend(group_step(group, definitions, stored.group(&group.id).await?));
        }
        for app in definitions.apps.values() {
            let enforces = stored.enforces(&app.id, definitions).await?;
            let mut wanted = app.canonical(enforces)?;
            let current = match context.client.get::<Value>(&format!("/v2/apps{}", app.id), &[]).await {
                Ok(mut answer) => Some(canonical(&app.id, &answer["app"].take(), enforces)?),
                Err(failure) if failure.exit == Exit::NotFound => None,
                Err(failure) => return Err(failure),
            };
            if let Some(current) = &current {
                keep_assigned(current, &mut wanted);
            }
            steps.push(app_step(app, wanted, current));
        }
        if !prune.is_empty() {
            let known: Services = context.client.get("/hansa/v1/services", &[]).await?;
            let known: Vec<String> = known.services.iter().map(|service| service.id.to_string()).collect();
            steps.extend(removals(&known, definitions, prune)?);
        }
        Ok(Plan { steps })
    }

    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Keep)
    }

    /// The steps that do this.
    fn with(&self, kind: Kind, actions: &[Action]) -> Vec<&Step> {
        self.steps.iter().filter(|step| step.kind == kind && actions.contains(&step.action)).collect()
    }

    /// It for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for step in self.steps.iter().filter(|step| step.action != Action::Keep) {
            let (mark, word, paint) = match step.action {
                Action::Create => ("+", "new", Paint::Good),
                Action::Change => ("~", "differs", Paint::Notice),
                _ => ("-", "not in the files", Paint::Bad),
            };
            let kind = if step.kind == Kind::Group { "group " } else { "" };
            let place = step.defined_in.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
            let id = Paint::Bold.out(&step.id);
            out.push_str(&format!(
                "{} {kind}{id} {}{}\n",
                paint.out(mark),
                paint.out(word),
                Paint::Dim.out(&place)
            ));
            match step.action {
                Action::Create if step.kind == Kind::Service => {
                    out.push_str(&format!("    {}\n", summary(&step.body)));
                }
                _ => out.push_str(&lines(&step.changes)),
            }
        }
        let same = self.with(Kind::Service, &[Action::Keep]).len() as u64;
        if self.is_done() {
            out.push_str(&format!(
                "no difference: {} as defined\n",
                match same {
                    1 => "1 service is".to_owned(),
                    _ => format!("{} are", text::count(same, "service")),
                }
            ));
        } else if same > 0 {
            out.push_str(&format!("  {} without a difference\n", text::count(same, "service")));
        }
        out
    }
}

/// A new service in a line.
fn summary(app: &Value) -> String {
    let what = app["container"]["docker"]["image"]
        .as_str()
        .or(app["cmd"].as_str())
        .map(|text| text::one_line(text, 48))
        .unwrap_or_else(|| {
            let words = app["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
            text::one_line(&words.collect::<Vec<_>>().join(" "), 48)
        });
    let instances = app["instances"].as_u64().unwrap_or(1);
    let each = if instances == 1 { "" } else { " each" };
    format!(
        "{what} · {}, {} cpus and {} MiB{each}",
        text::count(instances, "instance"),
        app["cpus"],
        app["mem"]
    )
}

/// Service ports that a definition leaves to the master stay as it has chosen them.
fn keep_assigned(current: &Value, wanted: &mut Value) {
    for (list, field) in [("/portDefinitions", "port"), ("/container/portMappings", "servicePort")] {
        let known = current.pointer(list).and_then(Value::as_array);
        let asked = wanted.pointer_mut(list).and_then(Value::as_array_mut);
        for (known, asked) in known.into_iter().flatten().zip(asked.into_iter().flatten()) {
            if asked[field].as_u64().unwrap_or(0) == 0 && known[field].is_u64() {
                asked[field] = known[field].clone();
            }
        }
    }
}

fn app_step(app: &App, wanted: Value, current: Option<Value>) -> Step {
    let changes = current.as_ref().map(|current| compare(current, &wanted)).unwrap_or_default();
    let action = match (&current, changes.is_empty()) {
        (None, _) => Action::Create,
        (Some(_), true) => Action::Keep,
        (Some(_), false) => Action::Change,
    };
    Step {
        id: app.id.clone(),
        kind: Kind::Service,
        action,
        defined_in: Some(app.origin.to_string()),
        changes,
        body: wanted,
    }
}

/// What is to be done about a group itself; None: it comes and goes with its services.
fn group_step(group: &Group, definitions: &Definitions, current: Option<Value>) -> Option<Step> {
    let mut body = Map::new();
    body.insert("id".into(), json!(group.id));
    let (mut from, mut to) = (Map::new(), Map::new());
    let now = current.clone().unwrap_or(Value::Null);
    if let Some(dependencies) = &group.dependencies {
        body.insert("dependencies".into(), json!(dependencies));
        from.insert("dependencies".into(), now.get("dependencies").cloned().unwrap_or(json!([])));
        to.insert("dependencies".into(), json!(dependencies));
    }
    if let Some(enforces) = group.enforce_role {
        body.insert("enforceRole".into(), json!(enforces));
        from.insert("enforceRole".into(), json!(now["enforceRole"].as_bool().unwrap_or(false)));
        to.insert("enforceRole".into(), json!(enforces));
    }
    let changes = compare(&Value::Object(from), &Value::Object(to));
    let by_itself = definitions.apps.keys().any(|app| path::is_inside(app, &group.id));
    let action = match (&current, changes.is_empty()) {
        (_, false) if current.is_some() => Action::Change,
        (None, false) => Action::Create,
        (None, true) if !by_itself && group.id != "/" => Action::Create,
        _ => return None,
    };
    let defined_in = Some(group.origin.to_string());
    Some(Step {
        id: group.id.clone(),
        kind: Kind::Group,
        action,
        defined_in,
        changes,
        body: Value::Object(body),
    })
}

/// Services in the groups that are not defined.
fn removals(known: &[String], definitions: &Definitions, prune: &[String]) -> Result<Vec<Step>, Failure> {
    let mut steps: BTreeMap<&String, Step> = BTreeMap::new();
    for group in prune {
        let inside = |id: &&String| path::is_inside(id, group);
        let there: Vec<&String> = known.iter().filter(inside).collect();
        if !there.is_empty() && !definitions.apps.keys().any(|id| inside(&id)) {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "the files define nothing in {group}: pruning would remove all of it ({})",
                    text::count(there.len() as u64, "service")
                ),
            )
            .remedy(format!("`hansa group remove {group}` if that is meant")));
        }
        for id in there.into_iter().filter(|id| !definitions.apps.contains_key(*id)) {
            steps.insert(
                id,
                Step {
                    id: id.clone(),
                    kind: Kind::Service,
                    action: Action::Remove,
                    defined_in: None,
                    changes: Vec::new(),
                    body: Value::Null,
                },
            );
        }
    }
    Ok(steps.into_values().collect())
}

/// Groups as the master has them, each asked for once.
struct Stored<'a> {
    context: &'a Context,
    groups: BTreeMap<String, Option<Value>>,
}

impl Stored<'_> {
    async fn group(&mut self, id: &str) -> Result<Option<Value>, Failure> {
        if !self.groups.contains_key(id) {
            let found = match self.context.client.get::<Value>(&format!("/v2/groups{id}"), &[]).await {
                Ok(group) => Some(group),
                Err(failure) if failure.exit == Exit::NotFound => None,
                Err(failure) => return Err(failure),
            };
            self.groups.insert(id.to_owned(), found);
        }
        Ok(self.groups.get(id).cloned().flatten())
    }

    /// Whether the top-level group of a service gives it its name as the role: as it is defined, else as it is.
    async fn enforces(&mut self, app: &str, definitions: &Definitions) -> Result<bool, Failure> {
        let mut segments = app.split('/').skip(1);
        let (Some(top), Some(_)) = (segments.next(), segments.next()) else { return Ok(false) };
        let top = format!("/{top}");
        if let Some(said) = definitions.groups.get(&top).and_then(|group| group.enforce_role) {
            return Ok(said);
        }
        let stored = self.group(&top).await?;
        Ok(stored.is_some_and(|group| group["enforceRole"] == true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Origin;

    fn app(id: &str, body: Value) -> App {
        App { id: id.into(), body, origin: Origin { file: "a.json".into(), at: String::new() } }
    }

    fn definitions(ids: &[&str]) -> Definitions {
        let apps = ids.iter().map(|id| ((*id).to_owned(), app(id, json!({"id": id, "cmd": "x"})))).collect();
        Definitions { apps, ..Definitions::default() }
    }

    #[test]
    fn a_plan_is_told_in_words() {
        let one = app("/a", json!({"id": "/a", "cmd": "sleep 1", "cpus": 0.5, "instances": 2}));
        let wanted = one.canonical(false).unwrap();
        let old = canonical("/a", &json!({"id": "/a", "cmd": "sleep 1", "cpus": 0.1, "instances": 2}), false)
            .unwrap();
        let steps = vec![
            app_step(&one, wanted.clone(), Some(old)),
            app_step(&one, wanted.clone(), None),
            app_step(&one, wanted.clone(), Some(wanted)),
        ];
        let plan = Plan { steps };
        assert_eq!(
            plan.text(),
            "~ /a differs (a.json)\n  ~ cpus  0.1 → 0.5\n\
             + /a new (a.json)\n    sleep 1 · 2 instances, 0.5 cpus and 128 MiB each\n\
             \x20 1 service without a difference\n"
        );
        let done = Plan { steps: plan.steps[2..].to_vec() };
        assert!(done.is_done());
        assert_eq!(done.text(), "no difference: 1 service is as defined\n");
    }

    #[test]
    fn ports_that_the_master_chose_are_no_difference() {
        let mut wanted = json!({"portDefinitions": [{"port": 0}, {"port": 80}],
            "container": {"portMappings": [{"containerPort": 1}]}});
        let current = json!({"portDefinitions": [{"port": 10_001}, {"port": 10_002}],
            "container": {"portMappings": [{"containerPort": 1, "servicePort": 10_003}]}});
        keep_assigned(&current, &mut wanted);
        assert_eq!(wanted["portDefinitions"], json!([{"port": 10_001}, {"port": 80}]));
        assert_eq!(wanted["container"], current["container"]);
    }

    #[test]
    fn pruning_removes_what_is_in_the_group_and_not_defined() {
        let known = ["/shop/web", "/shop/old", "/shopping", "/else"].map(str::to_owned);
        let steps = removals(&known, &definitions(&["/shop/web"]), &["/shop".into()]).unwrap();
        assert_eq!(steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(), ["/shop/old"]);
        let failure = removals(&known, &definitions(&["/else"]), &["/shop".into()]).unwrap_err();
        assert!(
            failure.cause.contains("define nothing in /shop") && failure.exit == Exit::Usage,
            "{failure}"
        );
    }

    #[test]
    fn a_group_is_touched_only_where_something_is_said_of_it() {
        let origin = Origin { file: "a".into(), at: String::new() };
        let group = |dependencies: Option<&[&str]>| Group {
            id: "/g".into(),
            dependencies: dependencies.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect()),
            enforce_role: None,
            origin: origin.clone(),
        };
        let with_app = definitions(&["/g/x"]);
        let there = || Some(json!({"id": "/g", "dependencies": ["/db"]}));
        let action = |group: &Group, definitions: &Definitions, current| {
            group_step(group, definitions, current).map(|step| step.action)
        };
        assert_eq!(action(&group(None), &with_app, None), None);
        assert_eq!(action(&group(None), &definitions(&[]), None), Some(Action::Create));
        assert_eq!(action(&group(Some(&["/db"])), &with_app, there()), None);
        assert_eq!(action(&group(Some(&[])), &with_app, there()), Some(Action::Change));
        assert_eq!(action(&group(Some(&["/db"])), &with_app, None), Some(Action::Create));
    }
}
