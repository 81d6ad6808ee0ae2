//! The agent's small durable state: a list of [`Record`]s, and [`Saved`], what they add up to.
//!
//! The core keeps a [`Saved`] and changes it only through records, each of which also goes out to be stored: what the
//! core knows and what is on disk cannot drift apart. Applying a record twice in a row changes nothing more.

use hansa_model::framework::DiskSource;
use hansa_model::spec::Launch;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{BootId, ClusterId, InstanceId, RoleName, TaskId, Term, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use crate::saved_executor::{Ending, SavedExecutor};

/// One change of the durable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The cluster and the highest term seen.
    Identity {
        /// The cluster.
        cluster: ClusterId,
        /// The term.
        term: Term,
    },
    /// An agent process begins. Later ones have greater numbers, so that the master can tell their streams apart.
    Began {
        /// The number of the process.
        process: u64,
    },
    /// A group as it stands. Written when it is accepted, before it is started, and again when the store is rewritten.
    Group(Box<SavedGroup>),
    /// News about a task, not yet acknowledged.
    Status(Box<TaskStatus>),
    /// Updates up to this one are dealt with.
    Acknowledged {
        /// Which group.
        instance: InstanceId,
        /// Whose.
        task: TaskId,
        /// Which.
        sequence: u64,
    },
    /// Somebody wants the group to end.
    Killing {
        /// Which group.
        instance: InstanceId,
        /// How and since when.
        kill: Kill,
    },
    /// A group was given to its executor: it is never given to it again.
    Delivered {
        /// Which group.
        instance: InstanceId,
    },
    /// An executor as it stands. Written when it is about to be started, and whenever it changes.
    Executor(Box<SavedExecutor>),
    /// An executor has ended: only its id is remembered, and its sandbox kept for a while.
    ExecutorEnded {
        /// Which run.
        container: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// A persistent volume is used for the first time.
    Volume {
        /// The role that it is kept for.
        role: RoleName,
        /// Its id.
        id: String,
        /// The disk that it is on; None: the agent's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<DiskSource>,
    },
    /// A persistent volume is removed.
    VolumeRemoved {
        /// The role that it was kept for.
        role: RoleName,
        /// Its id.
        id: String,
    },
    /// The group is released: only its ids are remembered, and its sandboxes kept for a while.
    Released(Released),
    /// The oldest released group that still has sandboxes loses them.
    SandboxRemoved {
        /// Whose.
        instance: InstanceId,
    },
    /// The ids of the oldest released group are forgotten.
    Forgotten {
        /// Which.
        instance: InstanceId,
    },
}

/// How a group is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// When its end was asked for.
    pub at: Timestamp,
    /// When it must be dead.
    pub until: Timestamp,
    /// Why, in words.
    pub message: String,
    /// Whether its process ran by then.
    pub ran: bool,
    /// It gets no SIGTERM before this, so that the world can hear of its end first.
    #[serde(default)]
    pub drain_until: Option<Timestamp>,
    /// What for.
    #[serde(default)]
    pub cause: KillCause,
}

/// What a group is ended for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillCause {
    /// The master said so.
    #[default]
    Asked,
    /// Its health check failed too often (only of frameworks' tasks; a service's scheduler decides that itself).
    Unhealthy,
    /// It ran for as long as it may.
    TooLong,
    /// Another task of its group failed.
    Sibling,
    /// The surroundings that it ran in are gone.
    Surroundings,
}

/// A group that the agent holds: accepted and not released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedGroup {
    /// When it was accepted.
    pub at: Timestamp,
    /// In which boot.
    pub boot: BootId,
    /// As it was launched.
    pub launch: Launch,
    /// The newest status of each task, by the task's place in the launch.
    pub statuses: Vec<Option<TaskStatus>>,
    /// When its process was first reported running.
    pub running_since: Option<Timestamp>,
    /// Not yet acknowledged, in the order they were made.
    pub unacknowledged: Vec<TaskStatus>,
    /// How it is to end, if somebody wants that.
    pub kill: Option<Kill>,
    /// Whether it was given to its executor.
    #[serde(default)]
    pub delivered: bool,
}

impl SavedGroup {
    /// A group just accepted.
    pub fn new(at: Timestamp, boot: BootId, launch: Launch) -> Self {
        Self {
            at,
            boot,
            statuses: vec![None; launch.tasks.len()],
            launch,
            running_since: None,
            unacknowledged: Vec::new(),
            kill: None,
            delivered: false,
        }
    }

    /// Whether every task is in a terminal state.
    pub fn is_terminal(&self) -> bool {
        self.statuses.iter().all(|status| status.as_ref().is_some_and(|status| status.state.is_terminal()))
    }
}

/// What is remembered of a released group (or of an executor that has ended, as a group of one task).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The group.
    pub instance: InstanceId,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// When it was released.
    pub at: Timestamp,
}

/// Unacknowledged updates of one task that are kept at most; older ones that are not terminal make room, since each
/// update says the whole state. Reached only by checks that change their mind while no master is there.
const MAX_UNACKNOWLEDGED: usize = 16;

/// The same for what frameworks' executors say, which only its framework may ignore.
const MAX_UNACKNOWLEDGED_OF_EXECUTORS: usize = 1_000;

/// What the records add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    cluster: Option<ClusterId>,
    term: Term,
    process: u64,
    groups: BTreeMap<InstanceId, SavedGroup>,
    executors: BTreeMap<InstanceId, SavedExecutor>,
    volumes: BTreeMap<(RoleName, String), Option<DiskSource>>,
    /// Oldest first.
    released: VecDeque<Released>,
    released_ids: BTreeSet<InstanceId>,
    /// How many of the released, from the newest back, still have sandboxes.
    sandboxes: usize,
}

impl Saved {
    /// The cluster the agent belongs to.
    pub fn cluster(&self) -> Option<&ClusterId> {
        self.cluster.as_ref()
    }

    /// The highest term seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The number of the newest agent process; 0 before the first.
    pub fn process(&self) -> u64 {
        self.process
    }

    /// Every group held.
    pub fn groups(&self) -> &BTreeMap<InstanceId, SavedGroup> {
        &self.groups
    }

    /// Every executor that has not ended, by its run.
    pub fn executors(&self) -> &BTreeMap<InstanceId, SavedExecutor> {
        &self.executors
    }

    /// Every persistent volume that was used: the role it is kept for, and its id; and on which disk it is.
    pub fn volumes(&self) -> &BTreeMap<(RoleName, String), Option<DiskSource>> {
        &self.volumes
    }

    /// Released groups that are remembered, oldest first.
    pub fn released(&self) -> &VecDeque<Released> {
        &self.released
    }

    /// Whether the group was released and is remembered.
    pub fn is_released(&self, instance: &InstanceId) -> bool {
        self.released_ids.contains(instance)
    }

    /// Applies one record. Records of groups that are not held change nothing.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Identity { cluster, term } => {
                self.cluster = Some(cluster.clone());
                self.term = *term;
            }
            Record::Began { process } => self.process = *process,
            Record::Group(group) => {
                self.groups.insert(group.launch.instance.clone(), (**group).clone());
            }
            Record::Status(status) => {
                if let Some(group) = self.groups.get_mut(&status.instance) {
                    group.push(status);
                }
            }
            Record::Acknowledged { instance, task, sequence } => {
                if let Some(group) = self.groups.get_mut(instance) {
                    group.unacknowledged.retain(|update| update.task != *task || update.sequence > *sequence);
                }
            }
            Record::Killing { instance, kill } => {
                if let Some(group) = self.groups.get_mut(instance) {
                    group.kill = Some(kill.clone());
                }
            }
            Record::Delivered { instance } => {
                if let Some(group) = self.groups.get_mut(instance) {
                    group.delivered = true;
                }
            }
            Record::Executor(executor) => {
                self.executors.insert(executor.run.container.clone(), (**executor).clone());
            }
            Record::ExecutorEnded { container, at } => {
                if self.executors.remove(container).is_some() {
                    let tasks = vec![TaskId::from(container.as_str())];
                    self.release(&Released { instance: container.clone(), tasks, at: *at });
                }
            }
            Record::Volume { role, id, source } => {
                self.volumes.insert((role.clone(), id.clone()), source.clone());
            }
            Record::VolumeRemoved { role, id } => {
                self.volumes.remove(&(role.clone(), id.clone()));
            }
            Record::Released(released) => {
                self.groups.remove(&released.instance);
                self.release(released);
            }
            Record::SandboxRemoved { instance } => {
                if self.oldest_sandbox().is_some_and(|oldest| oldest.instance == *instance) {
                    self.sandboxes -= 1;
                }
            }
            Record::Forgotten { instance } => {
                if self.released.front().is_some_and(|oldest| oldest.instance == *instance) {
                    self.released.pop_front();
                    self.released_ids.remove(instance);
                    self.sandboxes = self.sandboxes.min(self.released.len());
                }
            }
        }
    }

    fn release(&mut self, released: &Released) {
        if self.released_ids.insert(released.instance.clone()) {
            self.released.push_back(released.clone());
            self.sandboxes += 1;
        }
    }

    /// The containers that may run of what is held: each with the bytes of memory that it may use.
    pub fn containers(&self) -> BTreeMap<InstanceId, u64> {
        let mut containers = BTreeMap::new();
        for executor in self.executors.values() {
            containers.insert(executor.run.container.clone(), executor.run.allocation.mem);
        }
        for group in self.groups.values().filter(|group| !group.is_terminal()) {
            for (index, task) in group.launch.group.tasks.iter().enumerate().take(group.launch.tasks.len()) {
                let mem = if group.is_pod() { task.demand.mem } else { group.launch.allocation.mem };
                containers.entry(group.container(index)).or_insert(mem);
            }
        }
        containers
    }

    /// How many released groups still have sandboxes; always the newest ones.
    pub fn kept_sandboxes(&self) -> usize {
        self.sandboxes
    }

    /// The oldest released group that still has sandboxes.
    pub fn oldest_sandbox(&self) -> Option<&Released> {
        self.released.get(self.released.len() - self.sandboxes)
    }

    /// The names of the sandboxes that are kept: of tasks and executors that are held, and of those that ended not long
    /// ago.
    pub fn sandboxes(&self) -> impl Iterator<Item = &str> {
        let held = self.groups.values().flat_map(|group| &group.launch.tasks);
        let kept = self.released.iter().skip(self.released.len() - self.sandboxes);
        let executors = self.executors.keys().map(InstanceId::as_str);
        held.chain(kept.flat_map(|kept| &kept.tasks)).map(TaskId::as_str).chain(executors)
    }

    /// A short list of records that adds up to the same: what a store is rewritten with.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(cluster) = &self.cluster {
            records.push(Record::Identity { cluster: cluster.clone(), term: self.term });
        }
        if self.process > 0 {
            records.push(Record::Began { process: self.process });
        }
        records.extend(self.released.iter().cloned().map(Record::Released));
        let without = self.released.iter().take(self.released.len() - self.sandboxes);
        records.extend(without.map(|kept| Record::SandboxRemoved { instance: kept.instance.clone() }));
        records.extend(self.volumes.iter().map(|((role, id), source)| {
            let (role, id, source) = (role.clone(), id.clone(), source.clone());
            Record::Volume { role, id, source }
        }));
        records.extend(self.executors.values().cloned().map(Box::new).map(Record::Executor));
        records.extend(self.groups.values().cloned().map(Box::new).map(Record::Group));
        records
    }
}

impl SavedGroup {
    fn push(&mut self, status: &TaskStatus) {
        let Some(at) = self.launch.tasks.iter().position(|task| *task == status.task) else { return };
        let newest = self.statuses[at].as_ref().map_or(0, |newest| newest.sequence);
        if status.sequence <= newest {
            return;
        }
        if status.state == TaskState::Running && self.running_since.is_none() {
            self.running_since = Some(status.at);
        }
        self.statuses[at] = Some(status.clone());
        self.unacknowledged.push(status.clone());
        let mine = |update: &&TaskStatus| update.task == status.task;
        let most = match status.executor {
            Some(_) => MAX_UNACKNOWLEDGED_OF_EXECUTORS,
            None => MAX_UNACKNOWLEDGED,
        };
        if self.unacknowledged.iter().filter(mine).count() > most
            && let Some(oldest) = self.unacknowledged.iter().position(|update| update.task == status.task)
        {
            self.unacknowledged.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::resources::Allocation;
    use hansa_model::{Owner, RoleName, SpecId};

    fn launch(instance: &str) -> Launch {
        Launch {
            instance: InstanceId::from(instance),
            owner: Owner::services(),
            role: RoleName::any(),
            spec: SpecId(1),
            group: Default::default(),
            tasks: vec![TaskId::from(format!("{instance}._app.1"))],
            allocation: Allocation::default(),
            framework: None,
        }
    }

    fn status(instance: &str, sequence: u64, state: TaskState) -> Record {
        let launch = launch(instance);
        let (task, instance) = (launch.tasks[0].clone(), launch.instance);
        Record::Status(Box::new(TaskStatus::new(task, instance, sequence, state, Timestamp(sequence))))
    }

    fn fold(records: &[Record]) -> Saved {
        let mut saved = Saved::default();
        records.iter().for_each(|record| saved.apply(record));
        saved
    }

    #[test]
    fn rewriting_loses_nothing_and_survives_json() {
        let group =
            |name| Record::Group(Box::new(SavedGroup::new(Timestamp(0), BootId::from("b"), launch(name))));
        let kill = Kill {
            at: Timestamp(3),
            until: Timestamp(9),
            message: "scaled".into(),
            ran: true,
            drain_until: None,
            cause: KillCause::Asked,
        };
        let released = |name: &str, at| Released {
            instance: InstanceId::from(name),
            tasks: launch(name).tasks,
            at: Timestamp(at),
        };
        let saved = fold(&[
            Record::Identity { cluster: ClusterId::from("c"), term: Term(3) },
            Record::Began { process: 7 },
            group("x"),
            status("x", 1, TaskState::Starting),
            status("x", 2, TaskState::Running),
            Record::Acknowledged {
                instance: InstanceId::from("x"),
                task: launch("x").tasks[0].clone(),
                sequence: 2,
            },
            group("y"),
            Record::Killing { instance: InstanceId::from("y"), kill },
            status("y", 1, TaskState::Killed),
            group("z"),
            Record::Released(released("u", 4)),
            Record::Released(released("v", 5)),
            Record::Released(released("z", 6)),
            Record::Forgotten { instance: InstanceId::from("u") },
            Record::SandboxRemoved { instance: InstanceId::from("v") },
        ]);
        assert_eq!(saved.groups().len(), 2);
        assert_eq!((saved.released().len(), saved.kept_sandboxes()), (2, 1));
        assert_eq!(saved.sandboxes().count(), 3, "two held, one released");
        let text: Vec<String> = saved.records().iter().map(|r| serde_json::to_string(r).unwrap()).collect();
        let read: Vec<Record> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(fold(&read), saved);
    }

    #[test]
    fn updates_that_nobody_takes_do_not_pile_up() {
        let mut records =
            vec![Record::Group(Box::new(SavedGroup::new(Timestamp(0), BootId::from("b"), launch("x"))))];
        records.extend((1..1_000).map(|sequence| status("x", sequence, TaskState::Running)));
        records.push(status("x", 1_000, TaskState::Failed));
        let saved = fold(&records);
        let group = &saved.groups()[&InstanceId::from("x")];
        assert_eq!(group.unacknowledged.len(), MAX_UNACKNOWLEDGED);
        assert_eq!(group.unacknowledged.last().unwrap().state, TaskState::Failed);
        assert_eq!(group.running_since, Some(Timestamp(1)));
    }

    #[test]
    fn older_statuses_and_strangers_change_nothing() {
        let group = Record::Group(Box::new(SavedGroup::new(Timestamp(0), BootId::from("b"), launch("x"))));
        let saved = fold(&[group, status("x", 2, TaskState::Running)]);
        let mut same = saved.clone();
        for record in [
            status("x", 1, TaskState::Starting),
            status("x", 2, TaskState::Failed),
            status("q", 5, TaskState::Failed),
        ] {
            same.apply(&record);
        }
        assert_eq!(same, saved);
    }
}
