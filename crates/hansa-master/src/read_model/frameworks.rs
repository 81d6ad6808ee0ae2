//! Frameworks in the picture: those that are there and those that are gone, what they were offered, what became of their
//! tasks. How much of the past is remembered is bounded.

use super::app_of;
use super::counts::STATES;
use super::ended::EndedOfServices;
use super::offers::Offers;
use hansa_model::event::{ExecutorView, FrameworkView, OfferEnd, TaskView};
use hansa_model::framework::{Offer, Source};
use hansa_model::task::{Exit, Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, FrameworkId, InstanceId, OfferId, TaskId, Timestamp};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Frameworks that are gone and remembered.
pub const COMPLETED_FRAMEWORKS: usize = 50;

/// Tasks that are gone and remembered, of each framework.
pub const COMPLETED_TASKS: usize = 1_000;

/// Statuses of one task that are remembered.
const MARKS: usize = 16;

/// One state that a task was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The state.
    pub state: TaskState,
    /// What its checks said last in that state.
    pub healthy: Option<bool>,
    /// When it was first told to be in it.
    pub since: Timestamp,
    /// When it was last told to be in it.
    pub at: Timestamp,
    /// Why, in words; None: nothing was said.
    pub message: Option<Arc<str>>,
    /// Why, as Mesos names it.
    pub reason: Option<Reason>,
    /// How its process ended, if that is what ended it.
    pub exit: Option<Exit>,
}

/// The states that a task was in, one after the other; what was told of one state in a row counts once, and staging,
/// which nobody tells, not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Option<Arc<Vec<Mark>>>);

impl Marks {
    /// In order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.0.iter().flat_map(|marks| marks.iter())
    }

    /// When the first was told.
    pub fn first_at(&self) -> Option<Timestamp> {
        self.iter().next().map(|mark| mark.at)
    }

    /// Copies what was there only while somebody reads it.
    fn add(&mut self, status: &TaskStatus) {
        if status.state == TaskState::Staging {
            return;
        }
        let marks = Arc::make_mut(self.0.get_or_insert_default());
        let same = marks.pop_if(|last| last.state == status.state);
        marks.push(Mark {
            state: status.state,
            healthy: status.healthy,
            since: same.map_or(status.at, |same| same.since),
            at: status.at,
            message: (!status.message.is_empty()).then(|| status.message.as_str().into()),
            reason: status.reason,
            exit: status.exit,
        });
        if marks.len() > MARKS {
            marks.remove(0);
        }
    }
}

/// A task and its past.
#[derive(Clone, Debug)]
pub struct Told {
    /// As it is now, or was last.
    pub view: Arc<TaskView>,
    /// The states it was in, the present one last.
    pub marks: Marks,
}

impl Told {
    /// What is first known.
    pub(super) fn new(view: &Arc<TaskView>) -> Self {
        let mut marks = Marks::default();
        marks.add(&view.status);
        Self { view: view.clone(), marks }
    }

    /// Takes in what is known now; gives what was before.
    pub(super) fn update(&mut self, view: &Arc<TaskView>) -> Arc<TaskView> {
        self.marks.add(&view.status);
        std::mem::replace(&mut self.view, view.clone())
    }
}

/// What became of a framework's offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfferTally {
    /// How many it was made.
    pub sent: u64,
    /// How many it took.
    pub accepted: u64,
    /// How many it gave back.
    pub declined: u64,
    /// How many were taken back, or ran out.
    pub rescinded: u64,
}

/// A framework, and what is remembered of it.
#[derive(Clone, Debug)]
pub struct Framework {
    /// As published.
    pub view: Arc<FrameworkView>,
    /// Its tasks that are gone, the oldest first.
    pub ended: VecDeque<Told>,
    /// When it was removed, if it was.
    pub removed_at: Option<Timestamp>,
    /// What became of its offers.
    pub offers: OfferTally,
    /// Its tasks by the terminal state that they ended in, in the order of [`STATES`].
    ended_in: [u64; STATES.len()],
}

impl Framework {
    /// How many of its tasks ended in this state since this master began to lead.
    pub fn ended_in(&self, state: TaskState) -> u64 {
        self.ended_in.get(state as usize).copied().unwrap_or_default()
    }
}

/// Whether a task has just ended that stood so before.
fn ends(before: Option<TaskState>, now: TaskState) -> bool {
    now.is_terminal() && before.is_none_or(|before| !before.is_terminal())
}

/// What was counted since this master began to lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Tasks by the terminal state that they ended in, in the order of [`STATES`].
    ended: [u64; STATES.len()],
    /// The same with who said so and why, where there is a reason.
    reasons: BTreeMap<(TaskState, Source, Reason), u64>,
    /// Agents that were seen for the first time.
    pub agents_registered: u64,
    /// Agents that came back.
    pub agents_reregistered: u64,
    /// Agents that were forgotten.
    pub agents_removed: u64,
    /// Agents that became unreachable.
    pub agents_unreachable: u64,
    /// Updates of tasks that were taken.
    pub updates: u64,
}

impl Tallies {
    /// Tasks that ended in this state.
    pub fn ended_in(&self, state: TaskState) -> u64 {
        self.ended.get(state as usize).copied().unwrap_or_default()
    }

    /// Tasks that ended with a reason: in which state, by whose word, why; and how many.
    pub fn reasons(&self) -> impl Iterator<Item = ((TaskState, Source, Reason), u64)> {
        self.reasons.iter().map(|(what, count)| (*what, *count))
    }

    /// A task was told to stand so.
    pub(super) fn told(&mut self, before: Option<TaskState>, status: &TaskStatus) {
        let now = status.state;
        self.updates += u64::from(now != TaskState::Staging);
        if ends(before, now)
            && let Some(count) = self.ended.get_mut(now as usize)
        {
            *count += 1;
            if let Some(reason) = status.reason {
                *self.reasons.entry((now, Source::of(status), reason)).or_default() += 1;
            }
        }
    }
}

/// Everything that the picture keeps of frameworks besides their tasks.
#[derive(Debug, Default)]
pub(super) struct Frameworks {
    pub(super) known: BTreeMap<FrameworkId, Framework>,
    /// The oldest first.
    pub(super) completed: VecDeque<Framework>,
    pub(super) tasks: BTreeMap<FrameworkId, BTreeSet<TaskId>>,
    pub(super) executors: BTreeMap<InstanceId, Arc<ExecutorView>>,
    pub(super) offers: Offers,
    /// Ended tasks of the services.
    pub(super) ended: EndedOfServices,
    /// All ended tasks that are remembered, also of frameworks.
    pub(super) ended_by_id: FxHashMap<TaskId, Told>,
}

impl Frameworks {
    pub(super) fn put(&mut self, view: &Arc<FrameworkView>) {
        match self.known.get_mut(&view.info.id) {
            Some(framework) => framework.view = view.clone(),
            None => {
                let framework = Framework {
                    view: view.clone(),
                    ended: VecDeque::new(),
                    removed_at: None,
                    offers: OfferTally::default(),
                    ended_in: Default::default(),
                };
                self.known.insert(view.info.id.clone(), framework);
            }
        }
    }

    pub(super) fn remove(&mut self, id: &FrameworkId, at: Timestamp) {
        let Some(mut framework) = self.known.remove(id) else { return };
        framework.removed_at = Some(at);
        self.completed.push_back(framework);
        while self.completed.len() > COMPLETED_FRAMEWORKS {
            let Some(forgotten) = self.completed.pop_front() else { break };
            for told in &forgotten.ended {
                self.ended_by_id.remove(&told.view.status.task);
            }
        }
    }

    pub(super) fn offered(&mut self, offer: &Arc<Offer>) {
        if let Some(framework) = self.known.get_mut(&offer.framework) {
            framework.offers.sent += 1;
        }
        self.offers.put(offer);
    }

    pub(super) fn offer_ended(&mut self, id: &OfferId, why: OfferEnd) {
        let Some(offer) = self.offers.remove(id) else { return };
        let Some(framework) = self.known.get_mut(&offer.framework) else { return };
        match why {
            OfferEnd::Accepted => framework.offers.accepted += 1,
            OfferEnd::Declined => framework.offers.declined += 1,
            OfferEnd::Rescinded | OfferEnd::Expired => framework.offers.rescinded += 1,
            OfferEnd::Discarded => {}
        }
    }

    /// A task stands so now. `before`: it stood so before.
    pub(super) fn put_task(&mut self, before: Option<TaskState>, view: &TaskView) {
        if let Some(id) = framework_of(view) {
            let (task, now) = (&view.status.task, view.status.state);
            if let Some(framework) = self.known.get_mut(id).filter(|_| ends(before, now))
                && let Some(count) = framework.ended_in.get_mut(now as usize)
            {
                *count += 1;
            }
            match self.tasks.get_mut(id) {
                Some(tasks) if tasks.contains(task) => {}
                Some(tasks) => drop(tasks.insert(task.clone())),
                None => drop(self.tasks.insert(id.clone(), BTreeSet::from([task.clone()]))),
            }
        }
    }

    /// A task is forgotten by the kernel; for a while it is remembered here.
    pub(super) fn task_gone(&mut self, told: Told) {
        let ended = match framework_of(&told.view) {
            Some(id) => {
                if let Some(tasks) = self.tasks.get_mut(id) {
                    tasks.remove(&told.view.status.task);
                    if tasks.is_empty() {
                        self.tasks.remove(id);
                    }
                }
                let completed = self.completed.iter_mut().rev();
                let framework = match self.known.get_mut(id) {
                    Some(framework) => Some(framework),
                    None => completed.into_iter().find(|framework| framework.view.info.id == *id),
                };
                match framework {
                    Some(framework) => &mut framework.ended,
                    None => return,
                }
            }
            None => {
                let Some(app) = app_of(&told.view) else { return };
                for gone in self.ended.push(app, told.clone()) {
                    self.ended_by_id.remove(&gone);
                }
                self.ended_by_id.insert(told.view.status.task.clone(), told);
                return;
            }
        };
        self.ended_by_id.insert(told.view.status.task.clone(), told.clone());
        ended.push_back(told);
        if ended.len() > COMPLETED_TASKS
            && let Some(gone) = ended.pop_front()
        {
            self.ended_by_id.remove(&gone.view.status.task);
        }
    }

    /// Nothing stays offered, and nothing runs, on an agent that is forgotten.
    pub(super) fn agent_gone(&mut self, agent: &AgentId) {
        self.offers.agent_gone(agent);
        self.executors.retain(|_, executor| executor.agent != *agent);
    }
}

/// The framework that a task belongs to; None: a service's.
pub fn framework_of(view: &TaskView) -> Option<&FrameworkId> {
    view.framework.as_ref().map(|of| &of.launch.framework.id)
}
