//! What was: the states of a task, what happened, and what was used when.
//!
//! | path | answer |
//! |---|---|
//! | GET `/hansa/v1/tasks/{id}/history` | [`TaskHistory`] |
//! | GET `/hansa/v1/events/history?q=&only=&before=&limit=` | [`PastEvents`] |
//! | GET `/hansa/v1/history?of=&span=` | [`History`] |
//! | GET `/hansa/v1/usage/{service's path}?span=` | [`ServiceUsage`] |
//!
//! All of it is bounded and in memory: the master's since it began to lead, an agent's since it began.

use hansa_model::event::TaskView;
use hansa_model::role::Totals;
use hansa_model::task::{Exit, TaskState};
use hansa_model::{AgentId, AppId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hansa::SilentNode;

/// The states that a task was in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskHistory {
    /// Which task.
    pub task: TaskId,
    /// The oldest first; the newest 16 besides the first.
    pub states: Vec<PastState>,
}

/// A state that a task was in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastState {
    /// Which.
    pub state: TaskState,
    /// Since when.
    pub at: Timestamp,
    /// Why, in words; empty if there is nothing to say.
    pub message: String,
    /// Why, as Mesos names it.
    pub reason: Option<String>,
    /// What its checks said last in that state.
    pub healthy: Option<bool>,
    /// How its process ended, where that ended the task.
    pub exit: Option<Exit>,
}

impl PastState {
    /// The first: assigned to a machine.
    pub fn staged(view: &TaskView) -> Self {
        Self {
            state: TaskState::Staging,
            at: view.staged_at,
            message: String::new(),
            reason: None,
            healthy: None,
            exit: None,
        }
    }
}

/// What happened, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PastEvents {
    /// The newest first.
    pub events: Vec<PastEvent>,
    /// Give this as `before` for what was earlier; None: nothing earlier is remembered.
    pub next: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastEvent {
    /// `<term>-<number>`.
    pub id: String,
    /// When, by the master's clock.
    pub at: Timestamp,
    /// Of what kind: `node`, `service`, `task`, `deployment`, `role`, `framework` or `alarm`.
    pub name: String,
    /// The id of what it happened to.
    pub subject: String,
    /// What happened, for people.
    pub words: String,
    /// The service that it has to do with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<AppId>,
    /// The name of the machine that it has to do with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// What was used when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Of what: `cluster`, `node:ID`, `role:NAME`, `service:/path` or `task:ID`.
    pub of: String,
    /// Milliseconds from one point to the next.
    pub step_ms: u64,
    /// When the last point ends, at the latest.
    pub until: Timestamp,
    /// What there is of it now: the machines' sum, the machine's, what the tasks asked for; None: no bound (roles).
    pub total: Option<Totals>,
    /// The oldest first. Where nothing is known there is no point.
    pub points: Vec<Point>,
    /// What else there is to say, such as that not all instances were asked; empty if nothing.
    #[serde(default)]
    pub words: String,
}

/// The average over one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When the step began.
    pub at: Timestamp,
    /// What was really used. Machines meter CPU and memory only; None: not known (roles, and before machines report).
    pub used: Option<Totals>,
    /// What was given to tasks.
    pub allocated: Option<Totals>,
}

/// What a service asks for against what it uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceUsage {
    /// Which.
    pub service: AppId,
    /// The time looked at, in milliseconds.
    pub span_ms: u64,
    /// When it ends.
    pub until: Timestamp,
    /// Thousandths of a CPU that each instance asks for.
    pub cpus_milli: u64,
    /// Bytes of memory that each instance asks for.
    pub mem: u64,
    /// Over all instances that answered; None: nothing is known yet.
    pub used: Option<Usage>,
    /// Each instance that answered, by task.
    pub instances: Vec<InstanceUsage>,
    /// Instances that run.
    pub running: u32,
    /// Machines that were asked and did not answer.
    pub silent: Vec<SilentNode>,
    /// What would be enough; None: `words` say why there is none.
    pub suggestion: Option<Suggestion>,
    /// How it was found.
    pub words: String,
}

/// What was used, of both kinds that machines meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Thousandths of a CPU.
    pub cpus_milli: Spread,
    /// Bytes of memory, without file cache.
    pub mem: Spread,
}

/// How values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of them are at most this.
    pub p50: u64,
    /// 95 of 100 are at most this.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

/// What one instance used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceUsage {
    /// Which.
    pub task: TaskId,
    /// Its machine.
    pub node: AgentId,
    /// That machine's name.
    pub hostname: String,
    /// How many points there are of it.
    pub points: u32,
    /// What it used.
    #[serde(flatten)]
    pub used: Usage,
}

/// What would be enough for each instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// How it was computed, and what it would save.
    pub words: String,
}

/// What an agent answers about one of its tasks: `GET /hansa/v1/tasks/{id}/history?span=` on its own port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskUse {
    /// Which.
    pub task: TaskId,
    /// What it asked for.
    pub limits: Totals,
    /// Milliseconds from one point to the next.
    pub step_ms: u64,
    /// The agent's time.
    pub until: Timestamp,
    /// The oldest first.
    pub points: Vec<UsePoint>,
}

/// What a task used in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsePoint {
    /// When the step began.
    pub at: Timestamp,
    /// Thousandths of a CPU, on average.
    pub cpus_milli: u64,
    /// The most between two samples.
    pub cpus_milli_max: u64,
    /// Bytes of memory without file cache, on average.
    pub mem: u64,
    /// The most in a sample.
    pub mem_max: u64,
}
