//! What clients asked for and were promised: the truth that the cell's state is held against.

use hansa_model::app::AppSpec;
use hansa_model::{AppId, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an app is meant to be; None: gone.
pub type Intent = Option<Arc<AppSpec>>;

/// What a group is meant to be besides its apps: what it depends on; None: gone.
pub type GroupIntent = Option<Vec<AppId>>;

/// What is known about one app or group.
#[derive(Clone, Debug, Default)]
struct Known<T> {
    /// What the last answered command made of it.
    promised: T,
    /// What commands would have made of it whose answers never came, since then.
    unsure: Vec<T>,
}

/// All promises.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    apps: BTreeMap<AppId, Known<Intent>>,
    groups: BTreeMap<AppId, Known<GroupIntent>>,
    /// Tasks that were promised to end.
    killed: BTreeSet<TaskId>,
}

impl Oracle {
    /// A command's answer came: this is what the app is now.
    pub fn promised(&mut self, app: &AppId, intent: Intent) {
        self.apps.insert(app.clone(), Known { promised: intent, unsure: Vec::new() });
    }

    /// A command's answer never came: the app may or may not be this.
    pub fn unsure(&mut self, app: &AppId, intent: Intent) {
        self.apps.entry(app.clone()).or_default().unsure.push(intent);
    }

    /// A command's answer came: this is what the group is now.
    pub fn promised_group(&mut self, group: &AppId, intent: GroupIntent) {
        self.groups.insert(group.clone(), Known { promised: intent, unsure: Vec::new() });
    }

    /// A command's answer never came: the group may or may not be this.
    pub fn unsure_group(&mut self, group: &AppId, intent: GroupIntent) {
        self.groups.entry(group.clone()).or_default().unsure.push(intent);
    }

    /// A kill's answer came: these tasks end.
    pub fn killed(&mut self, tasks: Vec<TaskId>) {
        self.killed.extend(tasks);
    }

    /// Whether the task was promised to end.
    pub fn is_killed(&self, task: &TaskId) -> bool {
        self.killed.contains(task)
    }

    /// What the app is meant to be, if nothing is unsure about it.
    pub fn sure(&self, app: &AppId) -> Option<&Intent> {
        self.apps.get(app).filter(|known| known.unsure.is_empty()).map(|known| &known.promised)
    }

    /// Compares with what the cell says the app is.
    pub fn check(&self, app: &AppId, actual: Option<&AppSpec>) -> Result<(), String> {
        let Some(known) = self.apps.get(app) else {
            return Ok(());
        };
        let matches = |intent: &Intent| match (intent, actual) {
            (None, None) => true,
            (Some(intent), Some(actual)) => same(intent, actual),
            _ => false,
        };
        if matches(&known.promised) || known.unsure.iter().any(matches) {
            return Ok(());
        }
        Err(format!(
            "accepted intent lost: {app} was promised as {} (or, unsure, one of {}), and is {}",
            words(&known.promised),
            known.unsure.iter().map(words).collect::<Vec<_>>().join(" | "),
            actual.map_or("gone".into(), describe),
        ))
    }

    /// Compares groups with what the cell says they are: what those that exist depend on.
    pub fn check_groups(&self, actual: &BTreeMap<AppId, Vec<AppId>>) -> Result<(), String> {
        for (group, known) in &self.groups {
            let actual = actual.get(group).cloned();
            if known.promised != actual && !known.unsure.contains(&actual) {
                let Known { promised, unsure } = known;
                return Err(format!(
                    "accepted intent lost: group {group} was promised as {promised:?} (or, unsure, one of {unsure:?}), and is \
                     {actual:?}"
                ));
            }
        }
        Ok(())
    }

    /// Every app that was ever spoken of.
    pub fn apps(&self) -> impl Iterator<Item = &AppId> {
        self.apps.keys()
    }
}

/// Service ports are filled in by the scheduler, so they are not compared.
fn same(intent: &AppSpec, actual: &AppSpec) -> bool {
    let mut intent = intent.clone();
    intent.ports.clone_from(&actual.ports);
    intent == *actual
}

fn words(intent: &Intent) -> String {
    intent.as_ref().map_or("gone".into(), |spec| describe(spec))
}

fn describe(spec: &AppSpec) -> String {
    format!("{} × {:?}", spec.instances, spec.env)
}
