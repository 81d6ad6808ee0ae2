//! What executors of frameworks say, and what they are told.

use hansa_model::framework::Raw;
use hansa_model::task::TaskState;

/// News about a task, as an executor tells them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorUpdate {
    /// The framework's id of the task.
    pub task: String,
    /// Unlike that of every other update; the framework acknowledges it.
    pub uuid: u128,
    /// The task's state. (`TASK_LOST` is [`TaskState::Dropped`] here.)
    pub state: TaskState,
    /// In words; may be empty.
    pub message: String,
    /// Whether the task is healthy, if the executor knows.
    pub healthy: Option<bool>,
    /// As it came: mesos.v1.TaskStatus.
    pub raw: Raw,
}

/// One event on an executor's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorEvent {
    /// Always the first.
    Subscribed,
    /// Run a task.
    Launch {
        /// mesos.v1.TaskInfo.
        task: Raw,
    },
    /// Run tasks that belong together.
    LaunchGroup {
        /// mesos.v1.TaskInfo, each.
        tasks: Vec<Raw>,
    },
    /// End a task.
    Kill {
        /// The framework's id of it.
        task: String,
        /// Milliseconds that it may take, if whoever kills says so.
        grace_ms: Option<u64>,
    },
    /// An update is safe and need not be said again.
    Acknowledged {
        /// The framework's id of its task.
        task: String,
        /// Which.
        uuid: u128,
    },
    /// The framework says something.
    Message(Raw),
    /// End every task, and end.
    Shutdown,
}
