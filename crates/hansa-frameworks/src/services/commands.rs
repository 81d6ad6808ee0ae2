//! What clients ask: changes become deployments, tasks are killed, deployments cancelled.

use super::apps::Mode;
use super::deployments::{Deployment, Original, Stored};
use super::instances::{Order, instance_of};
use super::plan::{self, Step, Target as PlanTarget};
use super::{AppKey, DeploymentKey, InstanceKey, Output, Record, Services};
use hansa_model::app::{AppSpec, AppVersion};
use hansa_model::event::{ActionKind, DeploymentChange, Event};
use hansa_model::service::{AppChange, Expected, ServiceAnswer, ServiceRefusal, Target};
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
struct Change {
    before: Option<Arc<AppVersion>>,
    after: Option<Arc<AppVersion>>,
    step: Step,
    /// Instances launched as an earlier version are replaced.
    restart_since: Option<Timestamp>,
}

impl Services {
    pub(super) fn change(
        &mut self,
        now: Timestamp,
        changes: Vec<AppChange>,
        force: bool,
        out: &mut Output,
    ) -> Answered {
        let mut seen = BTreeSet::new();
        let mut wishes = Vec::new();
        for change in changes {
            if !seen.insert(change.id.clone()) {
                return Err(ServiceRefusal::Invalid(format!("App '{}' is named twice.", change.id)));
            }
            wishes.push(self.understand(change)?);
        }
        self.deploy(now, wishes, force, None, out)
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
                let (app, _) = app.zip(current).ok_or_else(unknown)?;
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

    /// Makes wishes come true, in one deployment. `instead_of`: a deployment that ends with it.
    fn deploy(
        &mut self,
        now: Timestamp,
        wishes: Vec<Wish>,
        force: bool,
        instead_of: Option<DeploymentKey>,
        out: &mut Output,
    ) -> Answered {
        let specs = self.fill_ports(&wishes)?;
        let mut version = now;
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
        let levels = self.judge_company(&changes)?;
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
        for key in in_the_way.into_values() {
            self.finish(now, key, DeploymentChange::Failed(format!("replaced by deployment {id}")), out);
        }
        let parts = changes.iter().map(|(id, change)| (id.clone(), change.step)).collect();
        let stored = Stored {
            format: 1,
            version,
            started_at: now,
            steps: plan::steps(&parts, &levels),
            current_step: 0,
            originals: changes.iter().map(|(id, change)| (id.clone(), self.original(id, change))).collect(),
            restarts: changes
                .iter()
                .filter_map(|(id, change)| Some((id.clone(), change.restart_since?)))
                .collect(),
        };
        self.start(now, id.clone(), stored, changes, out);
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
        let Some((app, (key, _))) = app.and_then(|app| Some((app, app.deployment.as_ref()?))) else {
            return (false, None);
        };
        let stored = &self.deployments[*key].stored;
        let unfinished = self.deployments[*key].main_action(&app.id).is_some_and(|(step, kind)| {
            kind == ActionKind::RestartApplication && (step > stored.current_step || app.in_step)
        });
        let other = app
            .active
            .as_ref()
            .is_some_and(|active| active.last_config_change_at != after.last_config_change_at);
        let since = stored.restarts.get(&app.id).copied().filter(|_| unfinished);
        (unfinished || (app.active.is_some() && other), since)
    }

    /// The rules that only show in company; how deep in the graph of dependencies each app is.
    fn judge_company(
        &self,
        changes: &BTreeMap<AppId, Change>,
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
        };
        target.check_nesting().map_err(ServiceRefusal::Invalid)?;
        target.levels().map_err(ServiceRefusal::Invalid)
    }

    /// Begins a deployment: versions first, then itself, then the pointers to the versions.
    fn start(
        &mut self,
        now: Timestamp,
        id: DeploymentId,
        stored: Stored,
        changes: BTreeMap<AppId, Change>,
        out: &mut Output,
    ) {
        let originals = changes.iter().map(|(id, change)| (id.clone(), change.before.clone())).collect();
        let deployment = Deployment::new(id.clone(), stored, originals);
        let trivial = deployment.stored.steps.is_empty();
        let mut pointers = Vec::new();
        let mut events = Vec::new();
        let key = self.deployments.insert(deployment);
        self.by_deployment.insert(id.clone(), key);
        for (app_id, change) in changes {
            let app_key = self.app_key(&app_id);
            let app = &mut self.apps[app_key];
            app.deployment = Some((key, id.clone()));
            if let Some(before) = &change.before {
                self.ports.remove(&before.spec);
            }
            app.current = change.after.clone();
            match change.after {
                Some(after) => {
                    self.ports.add(&after.spec);
                    app.newest = after.version;
                    app.versions.insert(after.version, after.clone());
                    out.records.push(Record::PutVersion(after.clone()));
                    out.events.push(Event::AppVersion(after.clone()));
                    pointers.push(Record::PutApp(app_id.clone(), after.version));
                    while app.versions.len() > self.settings.max_versions.max(1) {
                        let Some((old, _)) = app.versions.pop_first() else { break };
                        pointers.push(Record::DeleteVersion(app_id.clone(), old));
                        events.push(Event::AppVersionDropped(app_id.clone(), old));
                    }
                    events.extend(app.view().map(Event::App));
                }
                None => {
                    pointers.push(Record::DeleteApp(app_id.clone()));
                    let versions = std::mem::take(&mut app.versions).into_keys();
                    pointers.extend(versions.map(|version| Record::DeleteVersion(app_id.clone(), version)));
                    app.last_failure = None;
                    events.push(Event::AppRemoved(app_id.clone()));
                }
            }
        }
        out.events.extend(events);
        if !trivial {
            out.records.push(self.deployments[key].record());
        }
        out.records.extend(pointers);
        out.events.push(self.deployments[key].event(DeploymentChange::Started));
        self.begin_step(now, key, out);
    }

    /// How an app as it was before is stored with its deployment: by reference, unless the version is about to go.
    fn original(&self, id: &AppId, change: &Change) -> Original {
        let Some(before) = &change.before else { return Original::Absent };
        let stays = change.after.is_some()
            && self.by_id.get(id).is_some_and(|&key| {
                let after = self.apps[key].versions.range(before.version..).count();
                self.apps[key].versions.contains_key(&before.version)
                    && after < self.settings.max_versions.max(1)
            });
        if stays { Original::Version(before.version) } else { Original::Gone(before.clone()) }
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
                answer = self.deploy(now, wishes, force, None, out)?;
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
        self.deploy(now, wishes, true, Some(key), out)
    }

    pub(super) fn reset_delay(&mut self, id: AppId) -> Answered {
        let waits = self.by_id.get(&id).copied().filter(|&key| self.apps[key].launch > 0);
        let Some(key) = waits else { return Err(ServiceRefusal::NotQueued(id)) };
        self.apps[key].delay.reset();
        self.mark(key);
        debug_assert_ne!(self.apps[key].mode, Mode::Held, "what is held launches nothing");
        Ok(ServiceAnswer::Done)
    }
}
