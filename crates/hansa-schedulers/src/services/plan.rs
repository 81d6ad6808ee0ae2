//! What a change means as a deployment: rules that only show in company, and the order of steps. Pure.

use hansa_model::AppId;
use hansa_model::app::AppVersion;
use hansa_model::event::{ActionKind, DeploymentAction};
use hansa_model::group::GroupVersion;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The apps as they shall be, seen through a change: what it says of an app, else what is there.
pub(super) struct Target<'a> {
    /// Changed apps; None: removed.
    pub changed: &'a BTreeMap<AppId, Option<Arc<AppVersion>>>,
    /// Every app that exists now.
    pub exists: &'a dyn Fn(&str) -> Option<Arc<AppVersion>>,
    /// Every app that exists now and whose id begins so, in order.
    pub below: &'a dyn Fn(&str) -> Vec<AppId>,
    /// Changed groups.
    pub groups: &'a BTreeMap<AppId, GroupVersion>,
    /// What is stored now of a group that exists.
    pub group: &'a dyn Fn(&str) -> Option<Arc<GroupVersion>>,
}

impl Target<'_> {
    fn get(&self, id: &str) -> Option<Arc<AppVersion>> {
        match self.changed.get(id) {
            Some(change) => change.clone(),
            None => (self.exists)(id),
        }
    }

    /// Whether a group is stored, after the change.
    fn has_group(&self, id: &str) -> bool {
        match self.groups.get(id) {
            Some(change) => change.exists,
            None => (self.group)(id).is_some(),
        }
    }

    /// What all apps of a group wait for, after the change.
    fn group_dependencies(&self, id: &str) -> Vec<AppId> {
        match self.groups.get(id) {
            Some(change) => change.dependencies.clone(),
            None => (self.group)(id).map_or(Vec::new(), |group| group.dependencies.clone()),
        }
    }

    /// The apps below a group, those of the change included.
    fn members(&self, group: &str) -> Vec<AppId> {
        let prefix = if group.ends_with('/') { group.to_string() } else { format!("{group}/") };
        let mut members = (self.below)(&prefix);
        members.extend(
            self.changed
                .range::<str, _>((std::ops::Bound::Included(prefix.as_str()), std::ops::Bound::Unbounded))
                .take_while(|(id, _)| id.as_str().starts_with(&prefix))
                .map(|(id, _)| id.clone()),
        );
        members.retain(|id| self.get(id.as_str()).is_some());
        members.sort();
        members.dedup();
        members
    }

    /// An app and a group cannot share an id.
    pub fn check_nesting(&self) -> Result<(), String> {
        const WORDS: &str = "Groups and Applications may not have the same identifier.";
        for (id, _) in self.changed.iter().filter(|(_, change)| change.is_some()) {
            if self.has_group(id.as_str()) || !self.members(id.as_str()).is_empty() {
                return Err(WORDS.into());
            }
            if ancestors(id).any(|up| self.get(up).is_some()) {
                return Err(WORDS.into());
            }
        }
        for (id, _) in self.groups.iter().filter(|(_, group)| group.exists) {
            if self.get(id.as_str()).is_some() || ancestors(id).any(|up| self.get(up).is_some()) {
                return Err(WORDS.into());
            }
        }
        Ok(())
    }

    /// How many apps have to be up before each changed one: the longest chain of dependencies. Dependencies on what
    /// does not exist are ignored, as Marathon does.
    pub fn levels(&self) -> Result<BTreeMap<AppId, u32>, String> {
        let mut levels = BTreeMap::new();
        for (id, _) in self.changed.iter().filter(|(_, change)| change.is_some()) {
            self.level(id, &mut levels)?;
        }
        for (id, _) in self.groups.iter().filter(|(_, group)| !group.dependencies.is_empty()) {
            for app in self.members(id.as_str()) {
                self.level(&app, &mut levels)?;
            }
        }
        Ok(levels.into_iter().filter_map(|(id, level)| Some((id, level?))).collect())
    }

    fn dependencies(&self, id: &AppId) -> Vec<AppId> {
        let Some(version) = self.get(id.as_str()) else { return Vec::new() };
        let mut named = version.spec.dependencies.clone();
        for group in ancestors(id).chain(["/"]) {
            named.extend(self.group_dependencies(group));
        }
        let mut all = Vec::new();
        for dependency in named {
            if self.get(dependency.as_str()).is_some() {
                all.push(dependency);
            } else {
                all.extend(self.members(dependency.as_str()));
            }
        }
        all.sort();
        all.dedup();
        all
    }

    /// Depth first with a stack of its own, so that a long chain is no deep recursion. A level of None: under way.
    fn level(&self, start: &AppId, levels: &mut BTreeMap<AppId, Option<u32>>) -> Result<u32, String> {
        if let Some(Some(level)) = levels.get(start) {
            return Ok(*level);
        }
        let mut stack = vec![(start.clone(), self.dependencies(start), 0usize, 0u32)];
        levels.insert(start.clone(), None);
        loop {
            let (id, dependencies, next, height) = stack.last_mut().expect("returns when it is empty");
            if let Some(dependency) = dependencies.get(*next).cloned() {
                match levels.get(&dependency) {
                    Some(Some(level)) => {
                        *height = (*height).max(level + 1);
                        *next += 1;
                    }
                    Some(None) => return Err("Dependency graph has cyclic dependencies.".into()),
                    None => {
                        levels.insert(dependency.clone(), None);
                        let below = self.dependencies(&dependency);
                        stack.push((dependency, below, 0, 0));
                    }
                }
            } else {
                let height = *height;
                levels.insert(id.clone(), Some(height));
                stack.pop();
                if stack.is_empty() {
                    return Ok(height);
                }
            }
        }
    }
}

/// The groups that a path is in, the nearest first, without the root.
fn ancestors(id: &AppId) -> impl Iterator<Item = &str> {
    fn up(path: &str) -> Option<&str> {
        path.rsplit_once('/').map(|(up, _)| up).filter(|up| !up.is_empty())
    }
    std::iter::successors(up(id.as_str()), |path| up(path))
}

/// What happens to one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes.
    Stop,
    /// It comes, with this many instances.
    Start(u32),
    /// Its number changes.
    Scale,
    /// Its instances are replaced.
    Restart,
}

/// The steps of a deployment: what goes, what comes, then the rest by levels.
pub(super) fn steps(
    parts: &BTreeMap<AppId, Step>,
    levels: &BTreeMap<AppId, u32>,
) -> Vec<Vec<DeploymentAction>> {
    let action = |kind, app: &AppId| DeploymentAction { kind, app: app.clone() };
    let mut stops = Vec::new();
    let mut starts = Vec::new();
    let mut rest: BTreeMap<u32, Vec<DeploymentAction>> = BTreeMap::new();
    for (id, part) in parts {
        let mut level = |kind| {
            rest.entry(levels.get(id).copied().unwrap_or(0)).or_default().push(action(kind, id));
        };
        match part {
            Step::Stop => stops.push(action(ActionKind::StopApplication, id)),
            Step::Start(instances) => {
                starts.push(action(ActionKind::StartApplication, id));
                if *instances > 0 {
                    level(ActionKind::ScaleApplication);
                }
            }
            Step::Scale => level(ActionKind::ScaleApplication),
            Step::Restart => level(ActionKind::RestartApplication),
        }
    }
    [stops, starts].into_iter().chain(rest.into_values()).filter(|step| !step.is_empty()).collect()
}
