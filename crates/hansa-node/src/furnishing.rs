//! What of the machine the container of a custom executor sees: persistent volumes and GPUs, its own and those of its
//! tasks. They come with a task that runs there and go when the last one that has them has ended.
//!
//! A container that runs is changed by the shell, one change at a time, and a task is given to its executor only when all
//! that it has is there. What a container may have is stored before it is given and after it was taken away: an agent
//! that comes back knows at least what is there, and says once more what has to be. Groups of the default executor have
//! nothing of this, as each of their tasks has a container that is made with it.

use crate::groups::End;
use crate::io::{KeptVolume, Output};
use crate::node::Node;
use crate::saved::{Record, SavedExecutor, SavedGroup};
use hansa_model::framework::Part;
use hansa_model::framework::launch::ExecutorRun;
use hansa_model::task::{Reason, TaskState};
use hansa_model::{InstanceId, RoleName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A thing of the machine that a running container can be given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A persistent volume: the role that it is kept for, and its id.
    Volume(RoleName, String),
    /// A GPU, by its number.
    Gpu(u16),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(role, id) => write!(f, "the volume {id} of {role}"),
            Self::Gpu(device) => write!(f, "the GPU {device}"),
        }
    }
}

/// Things of the machine; nothing twice, and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Furnishings {
    /// Persistent volumes, by role and id.
    pub volumes: Vec<KeptVolume>,
    /// GPUs.
    pub gpus: Vec<u16>,
}

impl Furnishings {
    /// The same in order.
    fn new(mut volumes: Vec<KeptVolume>, gpus: impl Iterator<Item = u16>) -> Self {
        volumes.sort_by(|one, other| (&one.role, &one.id).cmp(&(&other.role, &other.id)));
        volumes.dedup_by(|one, other| one.thing() == other.thing());
        let gpus: BTreeSet<u16> = gpus.collect();
        Self { volumes, gpus: gpus.into_iter().collect() }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.gpus.is_empty()
    }

    /// Each by its name.
    pub fn things(&self) -> impl Iterator<Item = Thing> + '_ {
        let gpus = self.gpus.iter().copied().map(Thing::Gpu);
        self.volumes.iter().map(KeptVolume::thing).chain(gpus)
    }

    fn only(&self, keep: impl Fn(&Thing) -> bool) -> Self {
        let volumes = self.volumes.iter().filter(|volume| keep(&volume.thing())).cloned();
        let gpus = self.gpus.iter().copied().filter(|device| keep(&Thing::Gpu(*device)));
        Self { volumes: volumes.collect(), gpus: gpus.collect() }
    }

    fn without(&self, other: &Self) -> Self {
        let others: BTreeSet<Thing> = other.things().collect();
        self.only(|thing| !others.contains(thing))
    }

    fn and(&self, other: &Self) -> Self {
        let volumes = self.volumes.iter().chain(&other.volumes).cloned().collect();
        Self::new(volumes, self.gpus.iter().chain(&other.gpus).copied())
    }

    fn has_all(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }
}

impl KeptVolume {
    /// Its name.
    pub fn thing(&self) -> Thing {
        Thing::Volume(self.role.clone(), self.id.clone())
    }
}

/// How far the container of an executor is furnished. Not stored: a new process finds out by asking for it again.
#[derive(Debug, Default)]
pub(crate) struct Furnished {
    /// What is surely there; None: nobody knows yet.
    has: Option<Furnishings>,
    /// What was asked for last.
    asked: Option<Furnishings>,
    /// Whether the answer is still to come.
    under_way: bool,
}

impl Furnished {
    /// Of a container that was just made with this.
    pub(crate) fn made_with(furnishings: Furnishings) -> Self {
        Self { has: Some(furnishings.clone()), asked: Some(furnishings), under_way: false }
    }
}

/// A thing that a container could not be given, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What.
    pub thing: Thing,
    /// In words.
    pub why: String,
}

impl SavedGroup {
    /// What its tasks that have not ended take, its executor's own not included.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        let tasks = self.launch.framework.iter().flat_map(|of| &of.tasks).zip(&self.statuses);
        let live = tasks.filter(|(_, status)| !status.as_ref().is_some_and(|one| one.state.is_terminal()));
        live.flat_map(|(task, _)| &task.parts)
    }

    /// The GPUs of its tasks that have not ended.
    fn gpus(&self) -> impl Iterator<Item = u16> {
        let mut gone = Vec::new();
        let mut at = 0;
        for (spec, status) in self.launch.group.tasks.iter().zip(&self.statuses) {
            let next = at + usize::from(spec.demand.gpus.count);
            if status.as_ref().is_some_and(|status| status.state.is_terminal()) {
                gone.extend(at..next);
            }
            at = next;
        }
        let all = self.launch.allocation.gpus.iter().enumerate();
        all.filter(move |(at, _)| !gone.contains(at)).map(|(_, (device, _))| *device)
    }

    fn furnishings(&self) -> Furnishings {
        Furnishings::new(crate::volumes::seen(self.parts(), &self.launch.role), self.gpus())
    }
}

/// What an executor takes for itself.
fn own(run: &ExecutorRun, role: &RoleName) -> Furnishings {
    let gpus = run.allocation.gpus.iter().map(|(device, _)| *device);
    Furnishings::new(crate::volumes::seen(run.parts.iter(), role), gpus)
}

impl Node {
    /// What the container of an executor is to have now: what is its own, and of a custom one what its tasks have.
    pub(crate) fn furnishings(&self, container: &InstanceId) -> Furnishings {
        let Some(held) = self.saved.executors().get(container) else { return Furnishings::default() };
        let groups = self.groups_of(container).filter(|_| held.is_custom());
        groups.fold(own(&held.run, &held.role), |all, (_, group)| all.and(&group.furnishings()))
    }

    /// What the container of a custom executor is made with for the first group.
    pub(crate) fn to_begin_with(&self, run: &ExecutorRun, first: &InstanceId) -> Furnishings {
        let group = &self.saved.groups()[first];
        own(run, &group.launch.role).and(&group.furnishings())
    }

    /// Whether the container of a custom executor has all that a group takes.
    pub(crate) fn is_furnished(&self, container: &InstanceId, group: &SavedGroup) -> bool {
        let needs = group.furnishings();
        let has = self.executors.get(container).and_then(|live| live.furnished.has.as_ref());
        needs.is_empty() || has.is_some_and(|has| has.has_all(&needs))
    }

    /// Has the container of a custom executor that runs changed if it is to have something else than it has.
    pub(crate) fn furnish(&mut self, container: &InstanceId) {
        let runs = |held: &&SavedExecutor| held.is_custom() && held.running_since.is_some();
        let Some(held) = self.saved.executors().get(container).filter(runs) else { return };
        let held = held.clone();
        let wants = self.furnishings(container);
        let waits = self.groups_of(container).any(|(_, group)| {
            !group.delivered && !group.is_terminal() && !self.is_furnished(container, group)
        });
        let Some(live) = self.executors.get_mut(container) else { return };
        let made = held.made_with.clone().unwrap_or_default();
        if live.furnished.under_way || live.furnished.asked.as_ref() == Some(&wants) && !waits {
            return;
        }
        if wants.is_empty() && made.is_empty() {
            live.furnished = Furnished::made_with(wants);
            return;
        }
        live.furnished.under_way = true;
        live.furnished.asked = Some(wants.clone());
        let loses = made.without(&wants);
        self.note_furnishings(&held, wants.and(&made));
        self.out.push(Output::FurnishGroup { instance: container.clone(), has: wants, loses });
    }

    /// A container was changed as far as it could be.
    pub(crate) fn furnished(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        refused: &[Refusal],
        kept: &[Thing],
    ) {
        let Some(held) = self.saved.executors().get(container).cloned() else { return };
        let Some(live) = self.executors.get_mut(container).filter(|live| live.furnished.under_way) else {
            return;
        };
        live.furnished.under_way = false;
        let asked = live.furnished.asked.clone().unwrap_or_default();
        let has = asked.only(|thing| refused.iter().all(|refusal| refusal.thing != *thing));
        live.furnished.has = Some(has.clone());
        let made = held.made_with.clone().unwrap_or_default();
        self.note_furnishings(&held, has.and(&made.only(|thing| kept.contains(thing))));
        for thing in kept {
            self.warn(format!("executor {} could not be parted from {thing}", held.run.id));
        }
        self.refuse_unfurnished(now, container, &held.run.id, refused);
        self.furnish(container);
        self.deliver(now, container);
    }

    /// Fails the groups that wait for what their executor cannot be given.
    fn refuse_unfurnished(
        &mut self,
        now: Timestamp,
        container: &InstanceId,
        executor: &str,
        refused: &[Refusal],
    ) {
        let lacking = |(instance, group): (&InstanceId, &SavedGroup)| {
            let needs = (!group.delivered && !group.is_terminal()).then(|| group.furnishings())?;
            let lacks = refused.iter().find(|refusal| needs.things().any(|thing| thing == refusal.thing))?;
            Some((instance.clone(), lacks.clone()))
        };
        let lacking: Vec<_> = self.groups_of(container).filter_map(lacking).collect();
        for (instance, Refusal { thing, why }) in lacking {
            let words = format!("executor {executor} runs already and cannot be given {thing}: {why}");
            let end = End::new(TaskState::Failed, Some(Reason::ReasonContainerLaunchFailed), words);
            self.end_all(now, &instance, &end);
        }
    }

    /// Stores what a container may have from now on.
    fn note_furnishings(&mut self, held: &SavedExecutor, furnishings: Furnishings) {
        if held.made_with.as_ref() != Some(&furnishings) {
            let held = SavedExecutor { made_with: Some(furnishings), ..held.clone() };
            self.save(Record::Executor(Box::new(held)));
        }
    }
}
