//! What clients ask: changes become deployments, tasks are killed, deployments cancelled.

use super::apps::Mode;
use super::deployments::Stored;
use super::instances::{Order, instance_of};
use super::plan::{self, Step, Target as PlanTarget};
use super::{AppKey, DeploymentKey, InstanceKey, Output, Services};
use hansa_model::app::{AppSpec, AppVersion};
use hansa_model::event::{ActionKind, DeploymentChange};
use hansa_model::group::{GroupChange, GroupTarget, GroupVersion};
use hansa_model::label;
use hansa_model::service::{AppChange, Deploy, Expected, ServiceAnswer, ServiceRefusal, Target};
use hansa_model::{AppId, DeploymentId, TaskId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

type Answered = Result<ServiceAnswer, ServiceRefusal>;

/// What an app shall be, after the client's words have been understood.
struct Wish {
    id: AppId,
    /// None: gone.
    spec: Option<Arc<AppSpec>>,
    /// The configuration that the definition was known as before: instances of it that still run need not be replaced.
    config: Option<Timestamp>,
    restart: bool,
}

/// A wish that changes something.
pub(super) struct Change {
    pub before: Option<Arc<AppVersion>>,
    pub after: Option<Arc<AppVersion>>,
    step: Step,
    /// Instances launched as an earlier version are replaced.
    restart_since: Option<Timestamp>,
}

/// How wishes come true.
#[derive(Default)]
struct Manner {
    groups: Vec<GroupChange>,
    force: bool,
    dry_run: bool,
    canary_milli: Option<u16>,
    /// A deployment that ends with this one, and is gone back on if this says so.
    instead_of: Option<DeploymentKey>,
}

impl Services {
    pub(super) fn change(&mut self, now: Timestamp, deploy: Deploy, out: &mut Output) -> Answered {
        let Deploy { changes, groups, force, dry_run, canary_milli } = deploy;
        let mut seen = BTreeSet::new();
        let mut wishes = Vec::new();
        for change in changes {
            if !seen.insert(change.id.clone()) {
                return Err(ServiceRefusal::Invalid(format!("App '{}' is named twice.", change.id)));
            }
            wishes.push(self.understand(change)?);
        }
        self.deploy(now, wishes, Manner { groups, force, dry_run, canary_milli, instead_of: None }, out)
    }

    /// What a client means, against what is there.
    fn understand(&self, change: AppChange) -> Result<Wish, ServiceRefusal> {
        let AppChange { id, expected, to } = change;
        let app = self.by_id.get(&id).map(|&key| &self.apps[key]);
        let current = app.and_then(|app| app.current.as_ref());
        match (expected, current) {
            (Expected::Absent, Some(_)) => return Err(ServiceRefusal::Exists(id)),
            (Expected::Version(seen), Some(current)) if current.version != seen => {
                return Err(ServiceRefusal::Changed(id));
            }
            (Expected::Version(_), None) if matches!(to, Target::Spec(_)) => {
                return Err(ServiceRefusal::Changed(id));
            }
            _ => {}
        }
        let unknown = || ServiceRefusal::UnknownApp(id.clone());
        let mut wish = Wish { id: id.clone(), spec: None, config: None, restart: false };
        match to {
            Target::Spec(spec) => {
                if spec.id != id {
                    return Err(ServiceRefusal::Invalid(format!(
                        "The definition of App '{id}' has the id '{}'.",
                        spec.id
                    )));
                }
                wish.spec = Some(spec);
            }
            Target::Version(version) => {
                let app = app.ok_or_else(unknown)?;
                if current.is_none() && expected != Expected::Absent {
                    return Err(unknown());
                }
                let earlier = app
                    .versions
                    .get(&version)
                    .ok_or_else(|| ServiceRefusal::UnknownVersion(id.clone(), version))?;
                wish.spec = Some(Arc::new(earlier.spec.clone()));
                wish.config = Some(earlier.last_config_change_at);
            }
            Target::Restart => {
                wish.spec = Some(Arc::new(current.ok_or_else(unknown)?.spec.clone()));
                wish.restart = true;
            }
            Target::Scale(instances) => {
                let mut spec = current.ok_or_else(unknown)?.spec.clone();
                spec.instances = instances;
                wish.spec = Some(Arc::new(spec));
            }
            Target::Removed => drop(current.ok_or_else(unknown)?),
        }
        Ok(wish)
    }

    /// Makes wishes come true, in one deployment.
    fn deploy(&mut self, now: Timestamp, wishes: Vec<Wish>, manner: Manner, out: &mut Output) -> Answered {
        let Manner { groups, force, dry_run, canary_milli, instead_of } = manner;
        let groups = self.group_changes(groups)?;
        let specs = self.fill_ports(&wishes)?;
        let mut version = now;
        for id in groups.keys() {
            version = version.max(Timestamp(self.groups.newest(id).0 + 1));
        }
        for (wish, spec) in wishes.iter().zip(&specs) {
            if let Some(&key) = self.by_id.get(&wish.id)
                && (wish.restart || self.differs(key, spec.as_deref()))
            {
                version = version.max(Timestamp(self.apps[key].newest.0 + 1));
            }
        }
        let mut changes: BTreeMap<AppId, Change> = BTreeMap::new();
        for (wish, spec) in wishes.iter().zip(specs) {
            if let Some(change) = self.change_of(wish, spec, version) {
                changes.insert(wish.id.clone(), change);
            }
        }
        let levels = self.judge_company(&changes, &groups)?;
        let parts = changes.iter().map(|(id, change)| (id.clone(), change.step)).collect();
        let steps = plan::steps(&parts, &levels);
        if dry_run {
            return Ok(ServiceAnswer::Plan(steps));
        }
        let mut in_the_way: BTreeMap<DeploymentId, DeploymentKey> = changes
            .keys()
            .filter_map(|id| self.apps[*self.by_id.get(id)?].deployment.clone())
            .map(|(key, id)| (id, key))
            .collect();
        if !in_the_way.is_empty() && !force {
            return Err(ServiceRefusal::Locked(in_the_way.into_keys().collect()));
        }
        in_the_way.extend(instead_of.map(|key| (self.deployments[key].id.clone(), key)));
        let most = self.settings.max_running_deployments;
        if self.by_deployment.len() - in_the_way.len() >= most && !changes.is_empty() {
            return Err(ServiceRefusal::TooManyDeployments(most));
        }

        // Nothing is refused from here on.
        let id = DeploymentId::from(self.next_uuid(now, 1));
        let rolls_back = instead_of.map(|key| self.deployments[key].id.clone());
        let goes_back = rolls_back.is_some();
        // The new one is written before the end of those that it replaces: whatever happens, one of them holds.
        let mut ended = Output::default();
        let replaces = in_the_way.keys().cloned().collect();
        for key in in_the_way.into_values() {
            self.finish(
                now,
                key,
                DeploymentChange::Failed(format!("replaced by deployment {id}")),
                &mut ended,
            );
        }
        out.events.append(&mut ended.events);
        let stored = Stored {
            steps,
            originals: changes
                .iter()
                .map(|(id, change)| {
                    (id.clone(), self.original(id, change.before.as_ref(), change.after.is_some()))
                })
                .collect(),
            restarts: changes
                .iter()
                .filter_map(|(id, change)| Some((id.clone(), change.restart_since?)))
                .collect(),
            targets: changes
                .iter()
                .map(|(id, change)| (id.clone(), change.after.as_ref().map(|after| after.version)))
                .collect(),
            groups_before: groups.keys().map(|id| self.group_before(id)).collect(),
            groups: groups.into_values().map(|group| Arc::new(GroupVersion { version, ..group })).collect(),
            replaces,
            rolls_back,
            canary: changes
                .iter()
                .filter_map(|(id, change)| Some((id.clone(), canary_of(change, canary_milli)?)))
                .filter(|_| !goes_back)
                .collect(),
            ..Stored::new(version, now)
        };
        self.start(now, id.clone(), stored, changes, out);
        out.records.append(&mut ended.records);
        let apps = wishes
            .iter()
            .map(|wish| self.by_id.get(&wish.id).and_then(|&key| self.apps[key].current.clone()))
            .collect();
        Ok(ServiceAnswer::Deployment { id, version, apps })
    }

    /// The wished definitions with service ports.
    fn fill_ports(&mut self, wishes: &[Wish]) -> Result<Vec<Option<Arc<AppSpec>>>, ServiceRefusal> {
        let range = (self.settings.local_port_min, self.settings.local_port_max);
        let mut taken: Vec<u16> = wishes
            .iter()
            .filter_map(|wish| wish.spec.as_ref())
            .flat_map(|spec| spec.ports.iter().map(|port| port.port))
            .filter(|port| *port != 0)
            .collect();
        let mut filled = Vec::new();
        for wish in wishes {
            filled.push(match &wish.spec {
                Some(spec) if spec.ports.iter().any(|port| port.port == 0) => {
                    let before = self
                        .by_id
                        .get(&wish.id)
                        .and_then(|&key| self.apps[key].current.as_ref())
                        .map(|current| &current.spec);
                    let mut spec = AppSpec::clone(spec);
                    self.ports.fill(&mut spec, before, range, &mut taken).map_err(ServiceRefusal::Invalid)?;
                    Some(Arc::new(spec))
                }
                other => other.clone(),
            });
        }
        Ok(filled)
    }

    fn differs(&self, key: AppKey, spec: Option<&AppSpec>) -> bool {
        self.apps[key].current.as_ref().map(|current| &current.spec) != spec
    }

    /// What a wish changes; None: nothing.
    fn change_of(&self, wish: &Wish, spec: Option<Arc<AppSpec>>, version: Timestamp) -> Option<Change> {
        let app = self.by_id.get(&wish.id).map(|&key| &self.apps[key]);
        let before = app.and_then(|app| app.current.clone());
        let Some(spec) = spec else {
            before.as_ref()?;
            return Some(Change { before, after: None, step: Step::Stop, restart_since: None });
        };
        let known_config = wish.config.filter(|config| self.runs_config(app, *config)).unwrap_or(version);
        let Some(old) = before.clone() else {
            let after = Arc::new(AppVersion {
                version,
                last_scaling_at: version,
                last_config_change_at: known_config,
                spec: AppSpec::clone(&spec),
            });
            let step = Step::Start(spec.instances);
            return Some(Change { before, after: Some(after), step, restart_since: None });
        };
        let same = old.spec == *spec;
        if same && !wish.restart {
            return None;
        }
        let only_instances = old.spec.differs_only_in_instances(&spec);
        let after = AppVersion {
            version,
            last_scaling_at: if same { old.last_scaling_at } else { version },
            last_config_change_at: if only_instances { old.last_config_change_at } else { known_config },
            spec: AppSpec::clone(&spec),
        };
        let (unfinished, inherited) = self.unfinished_restart(app, &after);
        let replaces = !only_instances || wish.restart || unfinished;
        let step = if replaces && spec.instances > 0 { Step::Restart } else { Step::Scale };
        let restart_since = if wish.restart { Some(version) } else { inherited };
        Some(Change { before, after: Some(Arc::new(after)), step, restart_since })
    }

    /// Whether instances of an earlier configuration still run.
    fn runs_config(&self, app: Option<&super::apps::App>, config: Timestamp) -> bool {
        app.is_some_and(|app| {
            app.members.iter().any(|&(.., member)| {
                let instance = &self.instances[member];
                instance.config == Some(config) && !instance.killing
            })
        })
    }

    /// Whether a deployment is in the middle of replacing the app's instances, so that a later one has to go on with
    /// it, and from which version on they may stay.
    fn unfinished_restart(
        &self,
        app: Option<&super::apps::App>,
        after: &AppVersion,
    ) -> (bool, Option<Timestamp>) {
        let Some(app) = app else { return (false, None) };
        let under_way = app.deployment.as_ref().map(|(key, _)| &self.deployments[*key]);
        // Where none is wanted all are to go, which no deployment calls replacing; but some may still be there.
        let none = app.current.as_ref().is_some_and(|current| current.spec.instances == 0);
        let unfinished =
            under_way.and_then(|deployment| Some((deployment, deployment.main_action(&app.id)?)));
        let unfinished = unfinished.filter(|(deployment, (step, kind))| {
            (*kind == ActionKind::RestartApplication || none)
                && (*step > deployment.stored.current_step || app.in_step)
        });
        let since = unfinished.and_then(|(deployment, _)| deployment.stored.restarts.get(&app.id).copied());
        if none {
            let left = app.members.iter().any(|&(.., member)| {
                let instance = &self.instances[member];
                let older = instance.config != Some(after.last_config_change_at)
                    || since.is_some_and(|since| instance.version < since);
                older && !instance.killing
            });
            return (left, since);
        }
        let other = app
            .active
            .as_ref()
            .is_some_and(|active| active.last_config_change_at != after.last_config_change_at);
        (unfinished.is_some() || under_way.is_some() && app.active.is_some() && other, since)
    }

    /// The rules that only show in company; how deep in the graph of dependencies each app is.
    fn judge_company(
        &self,
        changes: &BTreeMap<AppId, Change>,
        groups: &BTreeMap<AppId, GroupVersion>,
    ) -> Result<BTreeMap<AppId, u32>, ServiceRefusal> {
        let changed = changes.iter().map(|(id, change)| (id.clone(), change.after.clone())).collect();
        let target = PlanTarget {
            changed: &changed,
            exists: &|id| self.apps[*self.by_id.get(id)?].current.clone(),
            below: &|prefix| {
                self.by_id
                    .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
                    .take_while(|(id, _)| id.as_str().starts_with(prefix))
                    .map(|(id, _)| id.clone())
                    .collect()
            },
            groups,
            group: &|id| self.groups.current(id).cloned(),
        };
        target.check_nesting().map_err(ServiceRefusal::Invalid)?;
        target.levels().map_err(ServiceRefusal::Invalid)
    }

    pub(super) fn kill_tasks(
        &mut self,
        now: Timestamp,
        tasks: &[TaskId],
        scale: bool,
        wipe: bool,
        force: bool,
        out: &mut Output,
    ) -> Answered {
        let mut victims: Vec<InstanceKey> = Vec::new();
        let mut seen = BTreeSet::new();
        for task in tasks {
            let found = instance_of(task).and_then(|id| self.by_instance.get(&id).copied());
            victims.extend(found.filter(|&key| seen.insert(key)));
        }
        let mut answer =
            ServiceAnswer::Killed(victims.iter().map(|&key| self.instances[key].id.clone()).collect());
        if scale {
            let mut fewer: BTreeMap<AppId, u32> = BTreeMap::new();
            for instance in victims.iter().map(|&key| &self.instances[key]) {
                let app = &self.apps[instance.app];
                if app.current.is_some() && !instance.killing {
                    *fewer.entry(app.id.clone()).or_default() += 1;
                }
            }
            let mut wishes = Vec::new();
            for (id, count) in fewer {
                let Some(current) = &self.apps[self.by_id[&id]].current else { continue };
                let mut spec = current.spec.clone();
                spec.instances = spec.instances.saturating_sub(count);
                wishes.push(Wish { id, spec: Some(Arc::new(spec)), config: None, restart: false });
            }
            if !wishes.is_empty() {
                answer = self.deploy(now, wishes, Manner { force, ..Manner::default() }, out)?;
            }
        }
        for key in victims {
            let lost = self.instances[key].unreachable_since.is_some();
            let order = if lost && (wipe || scale) { Order::GiveUp } else { Order::Kill };
            self.kill(key, order, wipe || scale, "it was asked for".into());
        }
        Ok(answer)
    }

    pub(super) fn cancel(
        &mut self,
        now: Timestamp,
        id: &DeploymentId,
        force: bool,
        out: &mut Output,
    ) -> Answered {
        let key = *self.by_deployment.get(id).ok_or_else(|| ServiceRefusal::UnknownDeployment(id.clone()))?;
        if force {
            self.finish(now, key, DeploymentChange::Failed("cancelled".into()), out);
            return Ok(ServiceAnswer::Done);
        }
        let wishes = self.deployments[key]
            .originals
            .iter()
            .map(|(id, original)| Wish {
                id: id.clone(),
                spec: original.as_ref().map(|original| Arc::new(original.spec.clone())),
                config: original.as_ref().map(|original| original.last_config_change_at),
                restart: false,
            })
            .collect();
        let groups = self.deployments[key]
            .stored
            .groups_before
            .iter()
            .map(|before| GroupChange {
                id: before.id.clone(),
                must_be_new: false,
                to: match before.exists {
                    true => GroupTarget::Put {
                        dependencies: before.dependencies.clone(),
                        enforce_role: before.enforce_role,
                    },
                    false => GroupTarget::Removed,
                },
            })
            .collect();
        let manner = Manner { groups, force: true, instead_of: Some(key), ..Manner::default() };
        self.deploy(now, wishes, manner, out)
    }

    /// A group as it was before a change.
    fn group_before(&self, id: &AppId) -> GroupVersion {
        match self.groups.current(id.as_str()) {
            Some(group) => GroupVersion::clone(group),
            None => GroupVersion {
                id: id.clone(),
                version: Timestamp(0),
                exists: false,
                dependencies: Vec::new(),
                enforce_role: None,
            },
        }
    }

    pub(super) fn reset_delay(&mut self, id: AppId, out: &mut Output) -> Answered {
        let waits = self.by_id.get(&id).copied().filter(|&key| self.apps[key].launch > 0);
        let Some(key) = waits else { return Err(ServiceRefusal::NotQueued(id)) };
        self.apps[key].delay.reset();
        if self.apps[key].streak_stored.is_some() {
            self.store_streak(key, out);
        }
        self.mark(key);
        debug_assert_ne!(self.apps[key].mode, Mode::Held, "what is held launches nothing");
        Ok(ServiceAnswer::Done)
    }
}

/// The share of an app's instances that a change replaces before it pauses: as it was asked for, or as its label says.
fn canary_of(change: &Change, asked: Option<u16>) -> Option<u16> {
    let after = change.after.as_ref().filter(|_| change.step == Step::Restart)?;
    let label = || label::share_milli(after.spec.labels.get(label::CANARY)?);
    asked.or_else(label).filter(|milli| *milli < 1_000)
}
