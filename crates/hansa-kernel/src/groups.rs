//! Live groups (assignments) and the ways to find them.
//!
//! A task is kept as the view that the world is shown: one allocation, shared with the read model. Tables that are only
//! looked up are hash maps; whatever is iterated is ordered.

use crate::frameworks::Launched;
use crate::record::AssignmentRecord;
use hansa_model::event::TaskView;
use hansa_model::scheduler::Placed;
use hansa_model::task::TaskState;
use hansa_model::{AgentId, Allocation, BootId, InstanceId, Owner, RoleName, SpecId, TaskId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many ended task ids are remembered, so that none is used again soon.
const REMEMBERED_IDS: usize = 16_384;

/// One task of a live group.
#[derive(Debug)]
pub(crate) struct Task {
    /// As it is shown.
    pub view: Arc<TaskView>,
    /// The highest sequence number that its agent sent.
    pub seen: u64,
}

/// A kill that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Killing {
    /// Instead of the spec's.
    pub grace_ms: Option<u64>,
    /// In words.
    pub message: String,
    /// When it is sent again.
    pub again_at: Timestamp,
}

/// One live group; at least one task.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its tasks, in the spec's order.
    pub tasks: Box<[Task]>,
    /// The boot of the machine that it was placed on.
    pub boot: BootId,
    /// The kill that was asked for.
    pub killing: Option<Box<Killing>>,
    /// Whether its agent has ever said that it holds it: then it must not be launched again.
    pub accepted: bool,
    /// Whether nobody knew of it when its agent first told of it.
    pub adopted: bool,
    /// What it is to the framework that launched it, if one did.
    pub framework: Option<Box<Launched>>,
}

impl Group {
    fn any(&self) -> &TaskView {
        &self.tasks[0].view
    }

    /// Its identity.
    pub fn instance(&self) -> &InstanceId {
        &self.any().instance
    }

    /// Whose.
    pub fn owner(&self) -> &Owner {
        &self.any().owner
    }

    /// Who pays.
    pub fn role(&self) -> &RoleName {
        &self.any().role
    }

    /// What.
    pub fn spec(&self) -> SpecId {
        self.any().spec
    }

    /// Where.
    pub fn agent(&self) -> &AgentId {
        &self.any().agent
    }

    /// What it holds of what is nobody's in particular on its machine. (Of a framework's group the allocation may be in
    /// reservations, too, and what was a task's is not held once that has ended.)
    pub fn held(&self) -> impl Iterator<Item = &Allocation> {
        let own = self.framework.is_none().then(|| &**self.allocation());
        let launched = self.framework.iter().flat_map(|launched| launched.held());
        own.into_iter().chain(launched.map(|held| &held.open))
    }

    /// What it has there.
    pub fn allocation(&self) -> &Arc<Allocation> {
        &self.any().allocation
    }

    /// Its task ids.
    pub fn task_ids(&self) -> impl ExactSizeIterator<Item = &TaskId> {
        self.tasks.iter().map(|task| &task.view.status.task)
    }

    /// Whether it consists of these tasks.
    pub fn has_tasks(&self, ids: &[TaskId]) -> bool {
        self.tasks.len() == ids.len() && self.task_ids().eq(ids)
    }

    /// The position of a task.
    pub fn position(&self, id: &TaskId) -> Option<usize> {
        self.task_ids().position(|task| task == id)
    }

    /// Whether nothing of it runs any more.
    pub fn is_over(&self) -> bool {
        self.tasks.iter().all(|task| task.view.status.state.is_terminal())
    }

    /// What the store has of it.
    pub fn record(&self) -> AssignmentRecord {
        let view = self.any();
        AssignmentRecord {
            instance: view.instance.clone(),
            owner: view.owner.clone(),
            role: view.role.clone(),
            spec: view.spec,
            tasks: self.task_ids().cloned().collect(),
            agent: view.agent.clone(),
            boot: self.boot.clone(),
            allocation: (*view.allocation).clone(),
            placed_at: view.staged_at,
            adopted: self.adopted,
            killing: self.killing.as_ref().map(|kill| (kill.grace_ms, kill.message.clone())),
        }
    }

    /// As its owner is told of it.
    pub fn placed(&self, unreachable_since: Option<Timestamp>) -> Placed {
        let view = self.any();
        Placed {
            instance: view.instance.clone(),
            tasks: self.tasks.iter().map(|task| task.view.status.clone()).collect(),
            spec: view.spec,
            origin: view.origin.clone(),
            agent: view.agent.clone(),
            allocation: (*view.allocation).clone(),
            placed_at: view.staged_at,
            adopted: self.adopted,
            unreachable_since,
            killing: self.killing.is_some(),
        }
    }

    /// Whether any of its tasks is shown as out of reach.
    pub fn is_unreachable(&self) -> bool {
        self.tasks.iter().any(|task| task.view.status.state == TaskState::Unreachable)
    }
}

/// All live groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_number: BTreeMap<u64, Group>,
    by_instance: FxHashMap<InstanceId, u64>,
    by_task: FxHashMap<TaskId, u64>,
    ended: FxHashSet<TaskId>,
    ended_in_order: VecDeque<TaskId>,
    owners: BTreeSet<Owner>,
}

impl Groups {
    /// One group.
    pub fn get(&self, number: u64) -> Option<&Group> {
        self.by_number.get(&number)
    }

    /// One group, to change its state (not its identity).
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Group> {
        self.by_number.get_mut(&number)
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Group)> {
        self.by_number.iter().map(|(&number, group)| (number, group))
    }

    /// The number of an instance's group.
    pub fn number_of(&self, instance: &InstanceId) -> Option<u64> {
        self.by_instance.get(instance).copied()
    }

    /// The number of the group that a task belongs to.
    pub fn number_of_task(&self, task: &TaskId) -> Option<u64> {
        self.by_task.get(task).copied()
    }

    /// Whether a task has this id or had it recently.
    pub fn is_taken(&self, task: &TaskId) -> bool {
        self.by_task.contains_key(task) || self.ended.contains(task)
    }

    /// Adds a group; instance and tasks are new.
    pub fn insert(&mut self, number: u64, group: Group) {
        self.by_instance.insert(group.instance().clone(), number);
        for task in group.task_ids() {
            self.by_task.insert(task.clone(), number);
        }
        self.by_number.insert(number, group);
    }

    /// Removes a group that never left the kernel: its ids are free again.
    pub fn undo(&mut self, number: u64) -> Option<Group> {
        let group = self.by_number.remove(&number)?;
        self.by_instance.remove(group.instance());
        for task in group.task_ids() {
            self.by_task.remove(task);
        }
        Some(group)
    }

    /// Removes a group and remembers its task ids for a while.
    pub fn remove(&mut self, number: u64) -> Option<Group> {
        let group = self.undo(number)?;
        for task in group.task_ids() {
            if self.ended.insert(task.clone()) {
                self.ended_in_order.push_back(task.clone());
            }
            if self.ended_in_order.len() > REMEMBERED_IDS
                && let Some(oldest) = self.ended_in_order.pop_front()
            {
                self.ended.remove(&oldest);
            }
        }
        Some(group)
    }

    /// An owner's name as it is shared by all its groups: what was read from outside has a copy for each.
    pub fn share_owner(&mut self, owner: Owner) -> Owner {
        if let Some(shared) = self.owners.get(&owner) {
            return shared.clone();
        }
        self.owners.insert(owner.clone());
        owner
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Numbers of entries in the tables by instance and by task.
    pub fn index_sizes(&self) -> (usize, usize) {
        (self.by_instance.len(), self.by_task.len())
    }
}
