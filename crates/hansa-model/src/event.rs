//! What the world is told, once it is durable: the difference that a batch made, as the read model folds it.
//!
//! Every state that a GET can show is the fold of these events from the start; after a restart the cell publishes its
//! restored state as events first. Marathon's and others' event formats are derived from them at the edge.

use crate::app::AppVersion;
use crate::framework::{
    ExecutorRun, FrameworkInfo, FrameworkLaunch, FrameworkTask, Offer, OfferConstraints, Part,
};
use crate::group::GroupVersion;
use crate::id::{
    AgentId, AppId, DeploymentId, FrameworkId, InstanceId, OfferId, Owner, RoleName, SpecId, TaskId,
};
use crate::maintenance::Maintenance;
use crate::resources::{Allocation, Resources};
use crate::role::{Role, Totals};
use crate::spec::Origin;
use crate::task::TaskStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The events of one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The commit's number; rises by one within a term.
    pub index: u64,
    /// When, by the kernel's clock.
    pub at: Timestamp,
    /// In order.
    pub events: Vec<Event>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An agent appeared or changed.
    Agent(Arc<AgentView>),
    /// An agent is forgotten.
    AgentRemoved(AgentId),
    /// A task appeared or changed.
    Task {
        /// As it is now.
        view: Arc<TaskView>,
        /// What about it changed.
        change: TaskChange,
    },
    /// A task is forgotten: it is terminal and acknowledged, or given up. Its last `Task` event said what became of it.
    TaskRemoved(TaskId),
    /// A version of an app is stored. The newest is not necessarily current (see `App`).
    AppVersion(Arc<AppVersion>),
    /// An old version of an app is dropped.
    AppVersionDropped(AppId, Timestamp),
    /// An app appeared or changed.
    App(Arc<AppView>),
    /// An app is gone. Its versions stay until they are dropped one by one.
    AppRemoved(AppId),
    /// At that time an app was removed; known for as long as its group can go back behind it.
    AppRemoval(AppId, Timestamp),
    /// That is not known any more.
    AppRemovalDropped(AppId, Timestamp),
    /// A version of a group is stored; the newest is what holds.
    Group(Arc<GroupVersion>),
    /// An old version of a group is dropped.
    GroupVersionDropped(AppId, Timestamp),
    /// A deployment moved.
    Deployment {
        /// As it is now.
        view: Arc<DeploymentView>,
        /// What happened to it.
        change: DeploymentChange,
    },
    /// A role was configured, or its use changed.
    Role(Arc<RoleView>),
    /// Operators said something of machines in general.
    Maintenance(Arc<Maintenance>),
    /// A framework subscribed, or something about it changed.
    Framework(Arc<FrameworkView>),
    /// A framework is gone for ever; what it was last is said by the `Framework` event before.
    FrameworkRemoved(FrameworkId),
    /// An executor of a framework runs, or something about it changed.
    Executor(Arc<ExecutorView>),
    /// It does not any more.
    ExecutorRemoved(InstanceId),
    /// An offer was made.
    Offer(Arc<Offer>),
    /// An offer holds no longer.
    OfferEnded {
        /// Which.
        id: OfferId,
        /// Why.
        why: OfferEnd,
    },
    /// An unhealthy task is about to be killed for it.
    UnhealthyKill {
        /// Which task.
        task: TaskId,
        /// What its check said.
        reason: String,
    },
    /// A group that had been given up has ended after all, on a machine that came back.
    GivenUpEnded {
        /// Which group.
        instance: InstanceId,
        /// How.
        state: crate::task::TaskState,
    },
    /// Something an operator should look at; the code is stable.
    Alarm {
        /// Such as `agents-lost-together`.
        code: &'static str,
        /// In words.
        message: String,
    },
}

/// Whether an agent takes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Connected and taking work.
    Active,
    /// Connected, but an operator wants nothing new there.
    Deactivated,
    /// Being emptied.
    Draining,
    /// The stream is broken, or a clean stop announced a return; nothing new, nothing lost yet.
    Disconnected,
    /// Durably out of reach.
    Unreachable,
}

/// An agent, as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// Its name in the cluster.
    pub hostname: Arc<str>,
    /// Where its HTTP port is, `host:port`.
    pub address: String,
    /// Whether it takes work.
    pub state: AgentState,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What it has.
    pub total: Resources,
    /// What of it is given to tasks.
    pub allocated: Totals,
    /// What of it is set apart, whether used or not: what is reserved, and what is on disks of their own, reserved or not.
    #[serde(default)]
    pub reserved: Vec<Part>,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Region, if any.
    pub region: Option<String>,
    /// Zone, if any.
    pub zone: Option<String>,
    /// The agent program's version.
    pub version: String,
    /// When it was first admitted.
    pub registered_at: Timestamp,
    /// What isolation is missing there, in words; empty if none.
    pub missing_isolation: Vec<String>,
}

/// A framework, as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameworkView {
    /// What it says of itself.
    pub info: Arc<FrameworkInfo>,
    /// Whether its stream stands.
    pub connected: bool,
    /// Since when it does not.
    pub disconnected_at: Option<Timestamp>,
    /// When it subscribed first.
    pub registered_at: Timestamp,
    /// When it subscribed last, if that was not the first time.
    pub reregistered_at: Option<Timestamp>,
    /// Whether it is known from the store or from agents only, and has not subscribed since.
    pub recovered: bool,
    /// Roles that it wants no offers in for now.
    pub suppressed: BTreeSet<RoleName>,
    /// Which machines it wants offers of.
    pub constraints: OfferConstraints,
}

/// An executor of a framework, as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorView {
    /// Whose.
    pub framework: FrameworkId,
    /// Where.
    pub agent: AgentId,
    /// Who pays.
    pub role: RoleName,
    /// What it is; its container is its identity.
    pub run: Arc<ExecutorRun>,
}

/// Why an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferEnd {
    /// Something was launched, reserved or made with it.
    Accepted,
    /// Its framework gave it back.
    Declined,
    /// It was taken back.
    Rescinded,
    /// Its framework let it run out.
    Expired,
    /// Its framework is not connected any more.
    Discarded,
}

/// What a task is to its framework.
#[derive(Clone, Debug, PartialEq)]
pub struct OfFramework {
    /// The group that it was launched in.
    pub launch: Arc<FrameworkLaunch>,
    /// Its place in that group.
    pub index: usize,
}

impl OfFramework {
    /// The task as its framework knows it.
    pub fn task(&self) -> &FrameworkTask {
        &self.launch.tasks[self.index]
    }
}

/// What about a task changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskChange {
    /// It was assigned.
    Placed,
    /// Its state changed.
    State,
    /// A health check changed its mind.
    Health,
    /// It is shown as it was before the restart.
    Restored,
}

/// A task, as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its group.
    pub instance: InstanceId,
    /// Who claimed it.
    pub owner: Owner,
    /// The role that pays.
    pub role: RoleName,
    /// The spec's number.
    pub spec: SpecId,
    /// What it belongs to.
    pub origin: Origin,
    /// Where it is.
    pub agent: AgentId,
    /// That agent's name.
    pub hostname: Arc<str>,
    /// What it has there (the whole group's).
    pub allocation: Arc<Allocation>,
    /// When it was assigned.
    pub staged_at: Timestamp,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// The last thing its agent said.
    pub status: TaskStatus,
    /// What it is to its framework, if a framework launched it.
    #[serde(skip)]
    pub framework: Option<OfFramework>,
}

/// An app, as shown besides its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct AppView {
    /// Its current version.
    pub current: Arc<AppVersion>,
    /// Deployments that touch it.
    pub deployments: Vec<DeploymentId>,
    /// Its last failure, if any.
    pub last_failure: Option<Arc<TaskFailure>>,
    /// Its instances end again and again.
    pub failing: Option<Arc<Failing>>,
}

/// An app whose instances end again and again: a restart loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// When the first of the failures in a row happened.
    pub since: Timestamp,
    /// How many there were.
    pub count: u32,
    /// How the last one ended, in words.
    pub last: String,
    /// Milliseconds that each next attempt waits; they grow.
    pub delay_ms: u64,
}

/// How a task of an app last failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The app.
    pub app: AppId,
    /// The task.
    pub task: TaskId,
    /// The app version it was of.
    pub version: Timestamp,
    /// Its last state.
    pub state: crate::task::TaskState,
    /// In words.
    pub message: String,
    /// The machine's name.
    pub hostname: Arc<str>,
    /// The machine.
    pub agent: AgentId,
    /// When.
    pub at: Timestamp,
}

/// What a deployment does to one app in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentAction {
    /// What.
    pub kind: ActionKind,
    /// To which app.
    pub app: AppId,
}

/// Marathon's actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ActionKind {
    /// A new app, with no instances yet.
    StartApplication,
    /// A removed app's instances end.
    StopApplication,
    /// The number of instances changes.
    ScaleApplication,
    /// Instances are replaced by those of the new version.
    RestartApplication,
}

/// A deployment, as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentView {
    /// Its id.
    pub id: DeploymentId,
    /// The version that it brings about.
    pub version: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// The apps it touches.
    pub affected: Vec<AppId>,
    /// Its steps; the actions of one go on together.
    pub steps: Vec<Vec<DeploymentAction>>,
    /// Index of the step under way; the number of steps when done.
    pub current_step: usize,
    /// What it waits for, in words.
    pub waiting_for: String,
    /// Since when: when it last came nearer to its goal.
    pub progressed_at: Timestamp,
    /// What would let it go on, in words; empty if only time is needed.
    pub remedy: String,
    /// It holds until it is resumed or cancelled.
    pub paused: Option<Standstill>,
    /// It has not come nearer to its goal for longer than it may.
    pub failing: Option<Standstill>,
    /// It goes back on this deployment.
    pub rolls_back: Option<DeploymentId>,
}

/// Since when something does not move, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub words: String,
}

/// What happened to a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentChange {
    /// It began.
    Started,
    /// A step began.
    StepStarted,
    /// The step before the current one is done.
    StepSucceeded,
    /// It is done; the last that is heard of it.
    Succeeded,
    /// It was cancelled or replaced, for this reason; the last that is heard of it.
    Failed(String),
    /// What it waits for changed.
    Progress,
    /// It holds from now on.
    Paused,
    /// It goes on.
    Resumed,
    /// It has not come nearer to its goal for too long, for this reason. It goes on trying.
    Failing(String),
    /// It is shown as it was before the restart.
    Restored,
}

/// A role, as shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleView {
    /// Its settings.
    pub role: Role,
    /// What its tasks have.
    pub allocated: Totals,
}
