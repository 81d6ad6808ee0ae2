//! What GETs, the console and event streams see: the fold of everything the cell published.
//!
//! One thread writes it (`read_thread`); handlers read it under a lock that the control plane's loop never
//! takes, so no question about the state of 100,000 tasks delays a launch. Readers clone the `Arc`s they need and let
//! the lock go before they format anything.
//!
//! Not here: decisions of any kind, wire formats.

mod counts;
mod ended;
mod events;
mod frameworks;
mod listed;
mod offers;
#[cfg(test)]
mod tests;

pub use counts::{Counts, STATES};
pub use ended::{ENDED_OF_SERVICE, ENDED_OF_SERVICES};
pub use events::{Past, PastKind};
pub use frameworks::{
    COMPLETED_FRAMEWORKS, COMPLETED_TASKS, Framework, Mark, Marks, OfferTally, Tallies, Told, framework_of,
};

use events::PastEvents;
use frameworks::Frameworks;
use hansa_model::agent::Usage;
use hansa_model::app::AppVersion;
use hansa_model::event::{
    AgentState, AgentView, AppView, DeploymentChange, DeploymentView, Event, ExecutorView, Published,
    RoleView, TaskView,
};
use hansa_model::framework::Offer;
use hansa_model::group::GroupVersion;
use hansa_model::maintenance::Maintenance;
use hansa_model::role::Totals;
use hansa_model::spec::Origin;
use hansa_model::{AgentId, AppId, DeploymentId, FrameworkId, RoleName, TaskId, Timestamp};
use listed::Listed;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Events that are kept for streams that resume.
const RECENT_EVENTS: usize = 16_384;

/// An agent with what is known about it besides what it published.
#[derive(Clone, Debug)]
pub struct Agent {
    /// As published.
    pub view: Arc<AgentView>,
    /// What it really uses; None: not heard yet.
    pub usage: Option<Usage>,
}

/// The tasks of one app or agent.
#[derive(Clone, Debug, Default)]
struct TaskSet {
    ids: BTreeSet<TaskId>,
    counts: Counts,
}

/// The whole picture. See the module's documentation.
#[derive(Debug, Default)]
pub struct ReadModel {
    index: u64,
    at: Timestamp,
    agents: BTreeMap<AgentId, Agent>,
    hostnames: FxHashMap<Arc<str>, AgentId>,
    apps: BTreeMap<AppId, Arc<AppView>>,
    versions: BTreeMap<AppId, BTreeMap<Timestamp, Arc<AppVersion>>>,
    removals: BTreeMap<AppId, BTreeSet<Timestamp>>,
    groups: BTreeMap<AppId, BTreeMap<Timestamp, Arc<GroupVersion>>>,
    deployments: BTreeMap<DeploymentId, Arc<DeploymentView>>,
    roles: BTreeMap<RoleName, Arc<RoleView>>,
    listed: Listed,
    maintenance: Arc<Maintenance>,
    /// By hash for the many updates, and the ids in order for pages.
    tasks: FxHashMap<TaskId, Told>,
    task_order: BTreeSet<TaskId>,
    counts: Counts,
    by_app: BTreeMap<AppId, TaskSet>,
    by_agent: FxHashMap<AgentId, TaskSet>,
    frameworks: Frameworks,
    tallies: Tallies,
    recent: VecDeque<Arc<Published>>,
    recent_events: usize,
    past: PastEvents,
}

impl ReadModel {
    /// The newest commit that the picture shows.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The kernel's time of that commit.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// All agents, by id.
    pub fn agents(&self) -> impl ExactSizeIterator<Item = &Agent> {
        self.agents.values()
    }

    /// One agent.
    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// The agent of that name.
    pub fn agent_by_hostname(&self, hostname: &str) -> Option<&Agent> {
        self.agent(self.hostnames.get(hostname)?.as_str())
    }

    /// The name of an agent; of one that is not known its id.
    pub fn hostname(&self, agent: &AgentId) -> String {
        let known = self.agent(agent.as_str());
        known.map_or_else(|| agent.to_string(), |agent| agent.view.hostname.to_string())
    }

    /// All apps, by id.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = &Arc<AppView>> {
        self.apps.values()
    }

    /// All apps after `after` (from the first, if None), by id.
    pub fn apps_after(&self, after: Option<&AppId>) -> impl Iterator<Item = &Arc<AppView>> {
        self.apps.range::<AppId, _>(behind(after)).map(|(_, view)| view)
    }

    /// One app.
    pub fn app(&self, id: &AppId) -> Option<&Arc<AppView>> {
        self.apps.get(id)
    }

    /// The kept versions of an app, oldest first.
    pub fn versions(&self, app: &AppId) -> impl DoubleEndedIterator<Item = &Arc<AppVersion>> {
        self.versions.get(app).into_iter().flat_map(BTreeMap::values)
    }

    /// One version of an app.
    pub fn version(&self, app: &AppId, version: Timestamp) -> Option<&Arc<AppVersion>> {
        self.versions.get(app)?.get(&version)
    }

    /// The kept versions of all apps, removed ones too, whose ids begin with `prefix`.
    pub fn history(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = (&AppId, &BTreeMap<Timestamp, Arc<AppVersion>>)> + use<'_> {
        let prefix = prefix.to_owned();
        self.versions
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(move |(id, _)| id.as_str().starts_with(&prefix))
    }

    /// When an app was removed, as far as that is still known.
    pub fn removals(&self, app: &AppId) -> Option<&BTreeSet<Timestamp>> {
        self.removals.get(app)
    }

    /// All groups that are or were stored, each with its versions.
    pub fn groups(&self) -> impl Iterator<Item = (&AppId, &BTreeMap<Timestamp, Arc<GroupVersion>>)> {
        self.groups.iter()
    }

    /// What is stored of a group that exists.
    pub fn group(&self, id: &str) -> Option<&Arc<GroupVersion>> {
        let (_, newest) = self.groups.get(id)?.last_key_value()?;
        newest.exists.then_some(newest)
    }

    /// How many tasks of an app are in which state.
    pub fn app_counts(&self, app: &AppId) -> Counts {
        self.by_app.get(app).map(|set| set.counts).unwrap_or_default()
    }

    /// The tasks of an app, by id.
    pub fn app_tasks(&self, app: &AppId) -> impl Iterator<Item = &Arc<TaskView>> {
        self.of_set(self.by_app.get(app))
    }

    /// How many tasks on an agent are in which state.
    pub fn agent_counts(&self, agent: &AgentId) -> Counts {
        self.by_agent.get(agent).map(|set| set.counts).unwrap_or_default()
    }

    /// The tasks on an agent, by id.
    pub fn agent_tasks(&self, agent: &AgentId) -> impl Iterator<Item = &Arc<TaskView>> {
        self.of_set(self.by_agent.get(agent))
    }

    /// One task.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<TaskView>> {
        self.tasks.get(id).map(|told| &told.view)
    }

    /// All tasks with their pasts, by id.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.task_order.iter().filter_map(|id| self.tasks.get(id))
    }

    /// The tasks of a framework with their pasts, by id.
    pub fn told_of(&self, framework: &FrameworkId) -> impl Iterator<Item = &Told> {
        let ids = self.frameworks.tasks.get(framework).into_iter().flatten();
        ids.filter_map(|id| self.tasks.get(id))
    }

    /// Tasks of services that are gone, the oldest first, as many as are remembered.
    pub fn ended_of_services(&self) -> impl DoubleEndedIterator<Item = &Told> {
        self.frameworks.ended.iter()
    }

    /// A task that ended and is remembered.
    pub fn ended(&self, id: &TaskId) -> Option<&Told> {
        self.frameworks.ended_by_id.get(id)
    }

    /// A task with its past, whether it is there or has ended and is remembered.
    pub fn told_or_ended(&self, id: &TaskId) -> Option<&Told> {
        self.tasks.get(id).or_else(|| self.ended(id))
    }

    /// What happened, the newest first, as much as is remembered.
    pub fn past(&self) -> impl Iterator<Item = Past> {
        self.past.newest_first()
    }

    /// All frameworks that are not gone, by id.
    pub fn frameworks(&self) -> impl ExactSizeIterator<Item = &Framework> {
        self.frameworks.known.values()
    }

    /// One framework that is not gone.
    pub fn framework(&self, id: &str) -> Option<&Framework> {
        self.frameworks.known.get(id)
    }

    /// Frameworks that are gone, the oldest first, as many as are remembered.
    pub fn completed_frameworks(&self) -> impl DoubleEndedIterator<Item = &Framework> {
        self.frameworks.completed.iter()
    }

    /// All executors of frameworks, by container.
    pub fn executors(&self) -> impl ExactSizeIterator<Item = &Arc<ExecutorView>> {
        self.frameworks.executors.values()
    }

    /// All offers that stand, by id.
    pub fn offers(&self) -> impl ExactSizeIterator<Item = &Arc<Offer>> {
        self.frameworks.offers.iter()
    }

    /// The offers that a framework holds, by id.
    pub fn offers_of(&self, framework: &FrameworkId) -> impl Iterator<Item = &Arc<Offer>> {
        self.frameworks.offers.of(framework)
    }

    /// How many offers each framework holds that holds any. Kept count of: cheap.
    pub fn offers_held(&self) -> impl Iterator<Item = (&FrameworkId, usize)> {
        self.frameworks.offers.held()
    }

    /// What is offered for each role that something is offered for. Kept count of: cheap.
    pub fn offered_by_role(&self) -> impl Iterator<Item = (&RoleName, Totals)> {
        self.frameworks.offers.by_role()
    }

    /// What is offered in all. Kept count of: cheap.
    pub fn offered(&self) -> Totals {
        self.frameworks.offers.sum()
    }

    /// What was counted since this master began to lead.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The tasks of an app, on an agent, both or all, after `after` (from the first, if None), by id.
    pub fn tasks_where<'a>(
        &'a self,
        app: Option<&'a AppId>,
        agent: Option<&AgentId>,
        after: Option<&TaskId>,
    ) -> impl Iterator<Item = &'a Arc<TaskView>> {
        let (ids, filter) = match (agent, app) {
            (Some(agent), app) => (self.by_agent.get(agent).map(|set| &set.ids), app),
            (None, Some(app)) => (self.by_app.get(app).map(|set| &set.ids), None),
            (None, None) => (Some(&self.task_order), None),
        };
        ids.map(|ids| ids.range::<TaskId, _>(behind(after)))
            .into_iter()
            .flatten()
            .filter_map(|id| self.task(id))
            .filter(move |task| filter.is_none() || app_of(task) == filter)
    }

    /// How many tasks of the cluster are in which state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// All deployments under way, by id.
    pub fn deployments(&self) -> impl ExactSizeIterator<Item = &Arc<DeploymentView>> {
        self.deployments.values()
    }

    /// One deployment under way.
    pub fn deployment(&self, id: &DeploymentId) -> Option<&Arc<DeploymentView>> {
        self.deployments.get(id)
    }

    /// All roles, by name.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &Arc<RoleView>> {
        self.roles.values()
    }

    /// What operators said of machines in general.
    pub fn maintenance(&self) -> &Arc<Maintenance> {
        &self.maintenance
    }

    /// One role.
    pub fn role(&self, name: &RoleName) -> Option<&Arc<RoleView>> {
        self.roles.get(name)
    }

    /// The roles that somebody is in, that have settings, or for which something is reserved, by name. Of some the kernel
    /// has told nothing yet.
    pub fn listed_roles(&self) -> impl Iterator<Item = &RoleName> {
        self.listed.names()
    }

    /// Whether it is one of those.
    pub fn is_listed(&self, role: &RoleName) -> bool {
        self.listed.has(role)
    }

    /// What all machines keep for a role, used or not; those out of reach too. Kept count of: cheap.
    pub fn reserved(&self, role: &RoleName) -> Totals {
        self.listed.reserved(role)
    }

    /// Roles that came to be listed, went, or got more or less reserved in commit `index` or later; None: so long ago is
    /// not remembered.
    pub fn roles_moved_since(&self, index: u64) -> Option<impl Iterator<Item = &RoleName>> {
        self.listed.moved_since(index)
    }

    /// What was published after commit `index`, if all of it is still held.
    pub fn since(&self, index: u64) -> Option<Vec<Arc<Published>>> {
        let first = self.recent.front().map_or(self.index + 1, |published| published.index);
        if index > self.index || index + 1 < first || self.listed.moved_since(index + 1).is_none() {
            return None;
        }
        let from = self.recent.partition_point(|published| published.index <= index);
        Some(self.recent.range(from..).cloned().collect())
    }

    /// Takes in what one commit published.
    pub fn fold(&mut self, published: &Arc<Published>) {
        self.at = self.at.max(published.at);
        self.listed.begin(published.index);
        for event in &published.events {
            self.note(published.at, event);
            self.fold_event(event);
        }
        self.index = self.index.max(published.index);
        self.remember(published);
    }

    /// Notes that everything up to commit `index` has been folded, also what had nothing to publish.
    pub(crate) fn reached(&mut self, index: u64) {
        self.index = self.index.max(index);
    }

    /// Takes in what an agent uses. False if there is no such agent.
    pub fn fold_usage(&mut self, agent: &AgentId, usage: Usage) -> bool {
        let known = self.agents.get_mut(agent);
        known.map(|agent| agent.usage = Some(usage)).is_some()
    }

    fn remember(&mut self, published: &Arc<Published>) {
        self.recent_events += published.events.len();
        self.recent.push_back(published.clone());
        while self.recent_events > RECENT_EVENTS || self.recent.len() > RECENT_EVENTS {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_events -= oldest.events.len();
        }
    }

    fn fold_event(&mut self, event: &Event) {
        match event {
            Event::Agent(view) => self.put_agent(view),
            Event::AgentRemoved(id) => self.remove_agent(id),
            Event::Task { view, .. } => self.put_task(view),
            Event::TaskRemoved(id) => self.remove_task(id),
            Event::AppVersion(version) => {
                let versions = self.versions.entry(version.spec.id.clone()).or_default();
                versions.insert(version.version, version.clone());
            }
            Event::AppVersionDropped(app, version) => {
                if let Some(versions) = self.versions.get_mut(app) {
                    versions.remove(version);
                    if versions.is_empty() {
                        self.versions.remove(app);
                    }
                }
            }
            Event::App(view) => {
                let before = self.apps.insert(view.current.spec.id.clone(), view.clone());
                self.listed.replace(listed::of_app(before.as_deref()), listed::of_app(Some(view)));
            }
            Event::AppRemoved(app) => {
                let before = self.apps.remove(app);
                self.listed.replace(listed::of_app(before.as_deref()), BTreeSet::new());
            }
            Event::AppRemoval(app, at) => drop(self.removals.entry(app.clone()).or_default().insert(*at)),
            Event::AppRemovalDropped(app, at) => {
                if let Some(removals) = self.removals.get_mut(app) {
                    removals.remove(at);
                    if removals.is_empty() {
                        self.removals.remove(app);
                    }
                }
            }
            Event::Group(group) => {
                let versions = self.groups.entry(group.id.clone()).or_default();
                versions.insert(group.version, group.clone());
            }
            Event::GroupVersionDropped(id, version) => {
                if let Some(versions) = self.groups.get_mut(id) {
                    versions.remove(version);
                    if versions.is_empty() {
                        self.groups.remove(id);
                    }
                }
            }
            Event::Deployment { view, change } => match change {
                DeploymentChange::Succeeded | DeploymentChange::Failed(_) => {
                    self.deployments.remove(&view.id);
                }
                _ => {
                    self.deployments.insert(view.id.clone(), view.clone());
                }
            },
            Event::Role(view) => {
                let before = self.roles.insert(view.role.name.clone(), view.clone());
                self.listed.replace(listed::of_role(before.as_deref()), listed::of_role(Some(view)));
            }
            Event::Maintenance(said) => self.maintenance = said.clone(),
            Event::Framework(view) => {
                let before = self.framework(view.info.id.as_str()).map(|known| known.view.clone());
                let now = listed::of_framework(Some(view));
                self.listed.replace(listed::of_framework(before.as_deref()), now);
                self.frameworks.put(view);
            }
            Event::FrameworkRemoved(id) => {
                let before = self.framework(id.as_str()).map(|known| known.view.clone());
                self.listed.replace(listed::of_framework(before.as_deref()), BTreeSet::new());
                self.frameworks.remove(id, self.at);
            }
            Event::Executor(view) => {
                self.frameworks.executors.insert(view.run.container.clone(), view.clone());
            }
            Event::ExecutorRemoved(container) => drop(self.frameworks.executors.remove(container)),
            Event::Offer(offer) => self.frameworks.offered(offer),
            Event::OfferEnded { id, why } => self.frameworks.offer_ended(id, *why),
            Event::UnhealthyKill { .. } | Event::GivenUpEnded { .. } | Event::Alarm { .. } => {}
        }
    }

    fn put_agent(&mut self, view: &Arc<AgentView>) {
        let usage = match self.agents.get(&view.id) {
            Some(old) => {
                if old.view.hostname != view.hostname
                    && self.hostnames.get(&old.view.hostname) == Some(&view.id)
                {
                    self.hostnames.remove(&old.view.hostname);
                }
                let was_away = matches!(old.view.state, AgentState::Disconnected | AgentState::Unreachable);
                let is_away = matches!(view.state, AgentState::Disconnected | AgentState::Unreachable);
                self.tallies.agents_reregistered += u64::from(was_away && !is_away);
                let becomes_unreachable =
                    view.state == AgentState::Unreachable && old.view.state != AgentState::Unreachable;
                self.tallies.agents_unreachable += u64::from(becomes_unreachable);
                old.usage.clone()
            }
            None => {
                self.tallies.agents_registered += 1;
                None
            }
        };
        self.hostnames.insert(view.hostname.clone(), view.id.clone());
        let before = self.agents.insert(view.id.clone(), Agent { view: view.clone(), usage });
        let before = before.as_ref().map(|before| &*before.view);
        self.listed.replace_agent(before, Some(view));
    }

    fn remove_agent(&mut self, id: &AgentId) {
        let Some(old) = self.agents.remove(id) else { return };
        self.tallies.agents_removed += 1;
        self.listed.replace_agent(Some(&old.view), None);
        self.frameworks.agent_gone(id);
        // Another agent may have taken the name meanwhile.
        if self.hostnames.get(&old.view.hostname) == Some(id) {
            self.hostnames.remove(&old.view.hostname);
        }
    }

    fn put_task(&mut self, view: &Arc<TaskView>) {
        let id = &view.status.task;
        let old = match self.tasks.get_mut(id) {
            Some(told) => Some(told.update(view)),
            None => {
                self.tasks.insert(id.clone(), Told::new(view));
                None
            }
        };
        let before = old.as_ref().map(|old| old.status.state);
        self.tallies.told(before, &view.status);
        self.frameworks.put_task(before, view);
        match &old {
            Some(old) => self.counts.remove(old),
            None => drop(self.task_order.insert(id.clone())),
        }
        self.counts.add(view);
        let (old_app, app) = (old.as_deref().and_then(app_of), app_of(view));
        if let (Some(old), Some(old_app)) = (&old, old_app) {
            leave(&mut self.by_app, old_app, old, app == Some(old_app));
        }
        if let Some(app) = app {
            join(self.by_app.entry(app.clone()).or_default(), view, old_app == Some(app));
        }
        let stays = old.as_ref().is_some_and(|old| old.agent == view.agent);
        if let Some(old) = &old {
            self.leave_agent(old, stays);
        }
        match self.by_agent.get_mut(&view.agent) {
            Some(set) => join(set, view, stays),
            None => join(self.by_agent.entry(view.agent.clone()).or_default(), view, false),
        }
    }

    fn remove_task(&mut self, id: &TaskId) {
        let Some(told) = self.tasks.remove(id) else { return };
        let old = &told.view;
        self.task_order.remove(id);
        self.counts.remove(old);
        if let Some(app) = app_of(old) {
            leave(&mut self.by_app, app, old, false);
        }
        self.leave_agent(old, false);
        self.frameworks.task_gone(told);
    }

    fn leave_agent(&mut self, task: &TaskView, stays: bool) {
        let Some(set) = self.by_agent.get_mut(&task.agent) else { return };
        set.counts.remove(task);
        if !stays {
            set.ids.remove(&task.status.task);
            if set.ids.is_empty() {
                self.by_agent.remove(&task.agent);
            }
        }
    }

    fn of_set<'a>(&'a self, set: Option<&'a TaskSet>) -> impl Iterator<Item = &'a Arc<TaskView>> {
        set.into_iter().flat_map(|set| &set.ids).filter_map(|id| self.task(id))
    }
}

/// The app that a task belongs to.
pub fn app_of(task: &TaskView) -> Option<&AppId> {
    match &task.origin {
        Origin::App { id, .. } => Some(id),
        Origin::Framework => None,
    }
}

/// Everything after `after`, or everything.
fn behind<T>(after: Option<&T>) -> (Bound<&T>, Bound<&T>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// Takes the old form of a task out of its app's set; out of the ids too unless it `stays`.
fn leave(sets: &mut BTreeMap<AppId, TaskSet>, app: &AppId, task: &TaskView, stays: bool) {
    let Some(set) = sets.get_mut(app) else { return };
    set.counts.remove(task);
    if !stays {
        set.ids.remove(&task.status.task);
        if set.ids.is_empty() {
            sets.remove(app);
        }
    }
}

/// Puts the new form of a task into a set; `known`: its id is there already.
fn join(set: &mut TaskSet, task: &TaskView, known: bool) {
    set.counts.add(task);
    if !known {
        set.ids.insert(task.status.task.clone());
    }
}
