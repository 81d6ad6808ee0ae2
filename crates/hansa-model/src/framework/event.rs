//! What frameworks are told.

use super::parts::Part;
use super::raw::Raw;
use crate::id::{AgentId, FrameworkId, InstanceId, OfferId, RoleName};
use crate::task::{Reason, TaskState, TaskStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One event on a framework's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameworkEvent {
    /// Always the first.
    Subscribed {
        /// Who it is.
        framework: FrameworkId,
    },
    /// Offers, each of one machine and role.
    Offers(Vec<Arc<Offer>>),
    /// An offer does not hold any more.
    Rescind(OfferId),
    /// How a task stands.
    Update(Box<FrameworkUpdate>),
    /// An executor ended, or (without one) an agent is lost.
    Failure {
        /// Where.
        agent: AgentId,
        /// The framework's id of it, and its raw wait status.
        executor: Option<(String, i32)>,
    },
    /// An executor says something.
    Message {
        /// Where.
        agent: AgentId,
        /// The framework's id of it.
        executor: String,
        /// What.
        data: Raw,
    },
    /// The last one: why the stream ends.
    Error(String),
}

/// A lease of idle resources of one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its id; never used twice.
    pub id: OfferId,
    /// Who holds it.
    pub framework: FrameworkId,
    /// The role that would pay.
    pub role: RoleName,
    /// Where.
    pub agent: AgentId,
    /// That agent's name.
    pub hostname: Arc<str>,
    /// That agent's HTTP port, `host:port`.
    pub address: String,
    /// What.
    pub parts: Vec<Part>,
    /// The machine's attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The machine's region.
    pub region: Option<String>,
    /// The machine's zone.
    pub zone: Option<String>,
    /// The framework's executors there, by its ids.
    pub executors: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Who made an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// The master.
    SourceMaster,
    /// The agent.
    SourceAgent,
    /// The executor (also the agent in the place of one).
    SourceExecutor,
}

impl Source {
    /// Who said it: whoever runs a command task is its executor, except where only the agent can know.
    pub fn of(status: &TaskStatus) -> Self {
        use Reason::*;
        match status.reason {
            _ if status.sequence == 0 => Source::SourceMaster,
            _ if status.executor.is_some() => Source::SourceExecutor,
            Some(
                ReasonContainerLaunchFailed
                | ReasonContainerLimitationMemory
                | ReasonContainerLimitationDisk
                | ReasonContainerPreempted
                | ReasonAgentRestarted
                | ReasonExecutorTerminated
                | ReasonExecutorRegistrationTimeout
                | ReasonExecutorReregistrationTimeout
                | ReasonExecutorUnregistered
                | ReasonTaskUnknown
                | ReasonTaskInvalid
                | ReasonTaskKilledDuringLaunch
                | ReasonResourcesUnknown,
            ) => Source::SourceAgent,
            _ => Source::SourceExecutor,
        }
    }
}

/// How a task stands, for its framework.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameworkUpdate {
    /// The framework's id of it.
    pub task: String,
    /// Where it is, if that is known.
    pub agent: Option<AgentId>,
    /// That agent's HTTP port, `host:port`; its host is the task's address unless the status says another.
    pub address: String,
    /// Its executor, by the framework's id of it; of a command task the task's id.
    pub executor: Option<String>,
    /// Its container: the group of a command task, the executor's run of others.
    pub container: Option<InstanceId>,
    /// Who made it.
    pub source: Source,
    /// The last thing said of it. The state is the real one: whoever does not know it must be told another (`TASK_LOST`).
    pub status: TaskStatus,
    /// Since when its agent is out of reach, if that is the news.
    pub unreachable_since: Option<Timestamp>,
    /// To be acknowledged with; None: not to be acknowledged.
    pub uuid: Option<u128>,
}

impl FrameworkUpdate {
    /// The real state.
    pub fn state(&self) -> TaskState {
        self.status.state
    }
}

/// What an executor of a framework's own said of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkStatus {
    /// Its uuid, which the framework acknowledges.
    pub uuid: u128,
    /// As it came: mesos.v1.TaskStatus.
    pub raw: Raw,
}
