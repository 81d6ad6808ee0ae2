//! The simulated master process: the real cell and the real store over a disk that fails.

use crate::disk::Disk;
use crate::frameworks::ended_with_framework;
use hansa_cell::ToStream;
use hansa_cell::{Cell, Input, Output, RequestId, SessionId, Settings};
use hansa_link::ToAgent;
use hansa_model::app::AppVersion;
use hansa_model::event::{AgentState, Event, ExecutorView, OfFramework, Published, TaskView};
use hansa_model::framework::{ExecutorKind, Offer, Part, StreamId};
use hansa_model::record::{Mutation, Table};
use hansa_model::role::Totals;
use hansa_model::task::TaskState;
use hansa_model::{
    AgentId, Allocation, AppId, ClusterId, DeploymentId, FrameworkId, InstanceId, OfferId, Resources, TaskId,
    Term, Timestamp,
};
use hansa_store::Store;
use hansa_store::redb_store::RedbStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A framework's task, as shown.
#[derive(Debug)]
pub struct FrameworkTask {
    /// Whose.
    pub framework: FrameworkId,
    /// The framework's id of it.
    pub task: String,
    /// Its group.
    pub instance: InstanceId,
    /// How it is.
    pub state: TaskState,
    /// The program that runs it, if one does, and that program's name of it.
    pub by: Option<(InstanceId, String)>,
}

/// A task that was shown as ended.
#[derive(Debug)]
pub struct Over {
    /// Its group.
    pub instance: InstanceId,
    /// Which.
    pub task: TaskId,
    /// The program that ran it, if one did, and that program's name of it.
    pub by: Option<(InstanceId, String)>,
    /// How it ended.
    pub state: TaskState,
    /// In words.
    pub why: String,
}

/// What a group of the services has on a machine, and its tasks that have not ended.
type Given = (Arc<Allocation>, BTreeSet<TaskId>);

/// What the published events add up to, as far as the checks need it.
#[derive(Debug, Default)]
pub struct Picture {
    /// Apps as they are.
    pub apps: BTreeMap<AppId, Arc<AppVersion>>,
    /// Deployments under way, and the apps they touch.
    pub deployments: BTreeMap<DeploymentId, Vec<AppId>>,
    /// Those of them that hold until somebody lets them go on.
    pub paused: BTreeSet<DeploymentId>,
    /// Groups that are stored, and what they depend on.
    pub groups: BTreeMap<AppId, Vec<AppId>>,
    /// Machines that were shown as out of reach since this was taken.
    pub unreached: BTreeSet<AgentId>,
    /// Agents by state.
    pub agents: BTreeMap<AgentId, AgentState>,
    /// Tasks that have not ended, of which instance, and how they are.
    pub tasks: BTreeMap<TaskId, (InstanceId, TaskState)>,
    /// Tasks of frameworks.
    pub framework_tasks: BTreeMap<TaskId, FrameworkTask>,
    /// Outstanding offers.
    pub offers: BTreeMap<OfferId, Arc<Offer>>,
    /// What machines have.
    pub totals: BTreeMap<AgentId, Resources>,
    /// What of machines is shown as in use.
    pub allocated: BTreeMap<AgentId, Totals>,
    /// What groups of the services have, by machine.
    given: BTreeMap<AgentId, BTreeMap<InstanceId, Given>>,
    /// Tasks of frameworks, ended ones too, by machine and group.
    given_to_tasks: BTreeMap<AgentId, BTreeMap<InstanceId, BTreeMap<TaskId, Arc<TaskView>>>>,
    /// Frameworks' executors.
    pub executors: BTreeMap<InstanceId, Arc<ExecutorView>>,
    /// What is reserved, by machine.
    pub reserved: BTreeMap<AgentId, Vec<Part>>,
    /// What was shown as ended since the last check, and how.
    pub ended: Vec<Over>,
    /// The newest commit.
    pub index: u64,
}

impl Picture {
    /// Folds a commit.
    pub fn fold(&mut self, published: &Published) {
        use hansa_model::event::DeploymentChange::{Failed, Succeeded};
        self.index = published.index;
        for event in &published.events {
            match event {
                Event::App(view) => {
                    drop(self.apps.insert(view.current.spec.id.clone(), view.current.clone()))
                }
                Event::AppRemoved(app) => drop(self.apps.remove(app)),
                Event::Deployment { view, change: Succeeded | Failed(_) } => {
                    self.deployments.remove(&view.id);
                    self.paused.remove(&view.id);
                }
                Event::Deployment { view, .. } => {
                    if view.paused.is_some() {
                        self.paused.insert(view.id.clone());
                    } else {
                        self.paused.remove(&view.id);
                    }
                    self.deployments.insert(view.id.clone(), view.affected.clone());
                }
                // Of each group the newest version comes last.
                Event::Group(group) if group.exists => {
                    self.groups.insert(group.id.clone(), group.dependencies.clone());
                }
                Event::Group(group) => drop(self.groups.remove(&group.id)),
                Event::Agent(view) => {
                    self.agents.insert(view.id.clone(), view.state);
                    if view.state == AgentState::Unreachable {
                        self.unreached.insert(view.id.clone());
                    }
                    self.reserved.insert(view.id.clone(), view.reserved.clone());
                    self.totals.insert(view.id.clone(), view.total.clone());
                    self.allocated.insert(view.id.clone(), view.allocated);
                }
                Event::Task { view, .. } => {
                    let (task, state) = (&view.status.task, view.status.state);
                    self.is_given(view);
                    let by = view.framework.as_ref().and_then(|own| {
                        let run = own.launch.executor.as_ref()?;
                        (run.kind == ExecutorKind::Custom)
                            .then(|| (run.container.clone(), own.task().id.clone()))
                    });
                    let over = || Over {
                        instance: view.instance.clone(),
                        task: task.clone(),
                        by: by.clone(),
                        state,
                        why: view.status.message.clone(),
                    };
                    if let Some(of_framework) = &view.framework {
                        let own = FrameworkTask {
                            framework: of_framework.launch.framework.id.clone(),
                            task: of_framework.task().id.clone(),
                            instance: view.instance.clone(),
                            state,
                            by: by.clone(),
                        };
                        self.framework_tasks.insert(task.clone(), own);
                        if state.is_terminal() && !ended_with_framework(view.status.reason) {
                            self.ended.push(over());
                        }
                        continue;
                    }
                    if state.is_terminal() {
                        self.tasks.remove(task);
                        self.ended.push(over());
                    } else {
                        self.tasks.insert(task.clone(), (view.instance.clone(), state));
                    }
                }
                Event::TaskRemoved(task) => {
                    self.is_given_back(task);
                    self.tasks.remove(task);
                    self.framework_tasks.remove(task);
                }
                Event::Offer(offer) => drop(self.offers.insert(offer.id.clone(), offer.clone())),
                Event::OfferEnded { id, .. } => drop(self.offers.remove(id)),
                Event::Executor(view) => {
                    self.executors.insert(view.run.container.clone(), view.clone());
                }
                Event::ExecutorRemoved(container) => drop(self.executors.remove(container)),
                Event::AgentRemoved(agent) => {
                    self.agents.remove(agent);
                    self.totals.remove(agent);
                    self.allocated.remove(agent);
                    self.reserved.remove(agent);
                    self.given.remove(agent);
                    self.given_to_tasks.remove(agent);
                }
                _ => {}
            }
        }
    }
}

impl Picture {
    /// What is in use on a machine, and by whom: groups of the services, tasks of frameworks, and executors besides these.
    pub fn in_use_on(&self, agent: &AgentId) -> Vec<(&str, Allocation)> {
        let mut all: Vec<(&str, Allocation)> = Vec::new();
        for (instance, (allocation, _)) in self.given.get(agent).into_iter().flatten() {
            all.push((instance.as_str(), Allocation::clone(allocation)));
        }
        for tasks in self.given_to_tasks.get(agent).into_iter().flat_map(BTreeMap::values) {
            if tasks.values().all(|view| view.status.state.is_terminal()) {
                continue;
            }
            for (task, view) in tasks {
                let ended = view.status.state.is_terminal();
                let share = view.framework.as_ref().map(|of| share(of, &view.allocation, ended));
                all.extend(share.map(|share| (task.as_str(), share)));
            }
        }
        for (container, view) in self.executors.iter().filter(|(_, view)| view.agent == *agent) {
            all.push((container.as_str(), view.run.allocation.clone()));
        }
        all
    }

    /// A group of the services has what it has until the last of its tasks has ended. Of a framework's group each task has
    /// its own until it has ended itself; but volumes are the group's.
    fn is_given(&mut self, view: &Arc<TaskView>) {
        let task = &view.status.task;
        if view.framework.is_some() {
            let groups = self.given_to_tasks.entry(view.agent.clone()).or_default();
            groups.entry(view.instance.clone()).or_default().insert(task.clone(), view.clone());
            return;
        }
        if view.status.state.is_terminal() {
            return self.is_given_back(task);
        }
        let groups = self.given.entry(view.agent.clone()).or_default();
        let (_, tasks) =
            groups.entry(view.instance.clone()).or_insert_with(|| (view.allocation.clone(), BTreeSet::new()));
        tasks.insert(task.clone());
    }

    fn is_given_back(&mut self, task: &TaskId) {
        for groups in self.given.values_mut() {
            groups.retain(|_, (_, tasks)| {
                tasks.remove(task);
                !tasks.is_empty()
            });
        }
        for groups in self.given_to_tasks.values_mut() {
            groups.retain(|_, tasks| {
                tasks.remove(task);
                !tasks.is_empty()
            });
        }
    }
}

/// A task's share of what its group was given: its parts, and of the devices those that the tasks before it leave to it. If
/// it has `ended`, its volumes.
fn share(of: &OfFramework, all: &Allocation, ended: bool) -> Allocation {
    let gpus = |parts: &[Part]| parts.iter().map(|part| usize::from(part.amount.gpus)).sum::<usize>();
    let earlier: usize = of.launch.tasks[..of.index].iter().map(|task| gpus(&task.parts)).sum();
    let mut own = Allocation::default();
    for part in of.task().parts.iter().filter(|part| !ended || part.volume.is_some()) {
        own.cpus_milli += part.amount.cpus_milli;
        own.mem += part.amount.mem;
        own.disk += part.amount.disk;
        own.ports.extend(part.amount.ports.iter());
    }
    if !ended {
        own.gpus = all.gpus.iter().skip(earlier).take(gpus(&of.task().parts)).copied().collect();
    }
    own
}

/// A master process.
#[derive(Debug)]
pub struct Master {
    /// The control plane.
    pub cell: Cell,
    store: RedbStore,
    /// What is to be written, in order, up to an index.
    queue: Vec<Mutation>,
    queued_index: u64,
    /// Whether a write is under way.
    pub writing: bool,
    /// What readers see.
    pub picture: Picture,
    /// Requests whose reply has not come.
    pub asked: BTreeSet<RequestId>,
    /// Commits that are not durable.
    uncommitted: BTreeSet<u64>,
    /// What left although something that it rests on is not durable.
    pub early: Option<String>,
    /// The tick that is scheduled.
    pub tick_at: Option<Timestamp>,
}

/// What a step of the master does to the rest of the world.
#[derive(Debug)]
pub enum Act {
    /// A message to an agent.
    Send(SessionId, Box<ToAgent>),
    /// A stream is ended.
    Close(SessionId),
    /// Something for a framework.
    ToFramework(StreamId, ToStream),
    /// A client's answer.
    Reply(RequestId, Result<hansa_cell::Answer, hansa_cell::Failure>),
    /// Something to be written: call [`Master::write`] after a while.
    StartWrite,
}

/// Why a master process could not start.
#[derive(Debug)]
pub enum StartError {
    /// The disk failed: try again.
    Disk,
    /// What is stored cannot be read.
    Unreadable(String),
}

impl From<hansa_store::Error> for StartError {
    fn from(error: hansa_store::Error) -> Self {
        match error {
            hansa_store::Error::Io(text) if text.contains("simulated disk") => StartError::Disk,
            other => StartError::Unreadable(other.to_string()),
        }
    }
}

impl Master {
    /// A process that starts on what the disk holds.
    pub fn start(disk: &Disk, now: Timestamp) -> Result<(Self, Vec<Act>), StartError> {
        let mut store = RedbStore::with_backend(disk.clone(), now.0)?;
        let mut tables = Vec::new();
        for table in Table::ALL {
            tables.push((table, store.load(table)?));
        }
        let settings = Settings { new_cluster_id: ClusterId::from("sim"), ..Settings::default() };
        let term = Term(store.term());
        let (cell, outputs) = Cell::open(now, settings, term, tables)
            .map_err(|error| StartError::Unreadable(error.to_string()))?;
        let mut master = Self {
            cell,
            store,
            queue: Vec::new(),
            queued_index: 0,
            writing: false,
            picture: Picture::default(),
            asked: BTreeSet::new(),
            uncommitted: BTreeSet::new(),
            early: None,
            tick_at: None,
        };
        let acts = master.perform(outputs);
        Ok((master, acts))
    }

    /// One input, and everything that follows from it.
    pub fn apply(&mut self, now: Timestamp, input: Input) -> Vec<Act> {
        if let Input::Request { id, .. } = &input {
            self.asked.insert(*id);
        }
        let outputs = self.cell.apply(now, input);
        self.perform(outputs)
    }

    /// Writes what is queued as one batch. None: the disk failed, and the process with it.
    pub fn write(&mut self, now: Timestamp) -> Option<Vec<Act>> {
        self.writing = false;
        let batch = std::mem::take(&mut self.queue);
        let index = self.queued_index;
        self.store.commit(&batch).ok()?;
        self.uncommitted.retain(|&commit| commit > index);
        let mut acts = self.apply(now, Input::Committed { index });
        if !self.queue.is_empty() && !self.writing {
            self.writing = true;
            acts.push(Act::StartWrite);
        }
        Some(acts)
    }

    /// What rests on a commit leaves the master.
    fn leaves(&mut self, what: &str, index: u64) {
        if let Some(commit) = self.uncommitted.first().filter(|&&commit| commit <= index) {
            self.early.get_or_insert(format!("{what} of {index} left before commit {commit} was durable"));
        }
    }

    fn perform(&mut self, outputs: Vec<Output>) -> Vec<Act> {
        let mut acts = Vec::new();
        for output in outputs {
            match output {
                Output::Commit { index, mutations } => {
                    self.uncommitted.insert(index);
                    self.queue.extend(mutations);
                    self.queued_index = index;
                    if !self.writing {
                        self.writing = true;
                        acts.push(Act::StartWrite);
                    }
                }
                Output::Publish(published) => {
                    self.leaves("events", published.index);
                    self.picture.fold(&published);
                }
                Output::ToFramework { stream, message } => acts.push(Act::ToFramework(stream, message)),
                Output::Reply { id, index, answer } => {
                    self.leaves("an answer", index);
                    self.asked.remove(&id);
                    acts.push(Act::Reply(id, answer));
                }
                Output::Send { session, message } => acts.push(Act::Send(session, message)),
                Output::CloseSession { session } => acts.push(Act::Close(session)),
                Output::Usage { .. } => {}
            }
        }
        acts
    }
}
