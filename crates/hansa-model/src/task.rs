//! The life of a task: states that only move forward, and the updates that report them.

use crate::framework::FrameworkStatus;
use crate::id::{InstanceId, TaskId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A task's state, as Mesos names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Assigned to a machine; the agent has not said anything about it yet.
    #[serde(rename = "TASK_STAGING")]
    Staging,
    /// The agent is setting it up.
    #[serde(rename = "TASK_STARTING")]
    Starting,
    /// Its process runs.
    #[serde(rename = "TASK_RUNNING")]
    Running,
    /// It was told to end and has not yet.
    #[serde(rename = "TASK_KILLING")]
    Killing,
    /// Its agent is out of reach; it may still run.
    #[serde(rename = "TASK_UNREACHABLE")]
    Unreachable,
    /// Ended by itself with exit code 0.
    #[serde(rename = "TASK_FINISHED")]
    Finished,
    /// Ended by itself in another way, or broke a limit.
    #[serde(rename = "TASK_FAILED")]
    Failed,
    /// Ended because it was told to.
    #[serde(rename = "TASK_KILLED")]
    Killed,
    /// It cannot be run as described.
    #[serde(rename = "TASK_ERROR")]
    Error,
    /// It never started, and nothing of it is on the agent.
    #[serde(rename = "TASK_DROPPED")]
    Dropped,
    /// Its agent says that it is not there.
    #[serde(rename = "TASK_GONE")]
    Gone,
    /// An operator declared its agent gone for ever.
    #[serde(rename = "TASK_GONE_BY_OPERATOR")]
    GoneByOperator,
    /// Nobody knows it: only ever an answer to a framework's question, never the state of a task that is kept.
    #[serde(rename = "TASK_UNKNOWN")]
    Unknown,
}

impl TaskState {
    /// Whether nothing can follow: the task does not run and never will.
    pub fn is_terminal(self) -> bool {
        use TaskState::*;
        match self {
            Staging | Starting | Running | Killing | Unreachable | Unknown => false,
            Finished | Failed | Killed | Error | Dropped | Gone | GoneByOperator => true,
        }
    }

    /// Whether a task in this state may turn into `next`. Terminal states are final; an unreachable task may come back
    /// in any state that its agent reports; otherwise only forward.
    pub fn may_become(self, next: TaskState) -> bool {
        use TaskState::*;
        if self.is_terminal() {
            return false;
        }
        match (self, next) {
            (_, Unknown) | (Unknown, _) => false,
            (Unreachable, _) | (_, Unreachable) => true,
            (_, terminal) if terminal.is_terminal() => true,
            (from, to) => from <= to,
        }
    }

    /// Mesos' name, such as `TASK_RUNNING`.
    pub fn name(self) -> &'static str {
        use TaskState::*;
        match self {
            Staging => "TASK_STAGING",
            Starting => "TASK_STARTING",
            Running => "TASK_RUNNING",
            Killing => "TASK_KILLING",
            Unreachable => "TASK_UNREACHABLE",
            Finished => "TASK_FINISHED",
            Failed => "TASK_FAILED",
            Killed => "TASK_KILLED",
            Error => "TASK_ERROR",
            Dropped => "TASK_DROPPED",
            Gone => "TASK_GONE",
            GoneByOperator => "TASK_GONE_BY_OPERATOR",
            Unknown => "TASK_UNKNOWN",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a task is in its state; Mesos' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Its command ended with an error.
    ReasonCommandExecutorFailed,
    /// It could not be set up (user unknown, sandbox or limits not to be had, …).
    ReasonContainerLaunchFailed,
    /// It used more memory than its limit.
    ReasonContainerLimitationMemory,
    /// It used more disk than its limit.
    ReasonContainerLimitationDisk,
    /// Its container ended in another way than by its command.
    ReasonContainerPreempted,
    /// A health check changed its mind about it.
    ReasonTaskHealthCheckStatusUpdated,
    /// A general check has news.
    ReasonTaskCheckStatusUpdated,
    /// It was killed while it was being set up.
    ReasonTaskKilledDuringLaunch,
    /// The agent restarted (or the machine booted) and it is not there any more.
    ReasonAgentRestarted,
    /// The agent has been out of reach for too long.
    ReasonAgentRemoved,
    /// The agent is disconnected.
    ReasonAgentDisconnected,
    /// The shim that owned the container died; the container was ended.
    ReasonExecutorTerminated,
    /// The answer to a reconciliation.
    ReasonReconciliation,
    /// It asks for something that its machine or this version does not have.
    ReasonTaskInvalid,
    /// Nobody knows it.
    ReasonTaskUnknown,
    /// It has become unhealthy and was killed for it.
    ReasonTaskUnhealthy,
    /// It was launched with offers that do not hold (any more).
    ReasonInvalidOffers,
    /// Another task of its group cannot be run.
    ReasonTaskGroupInvalid,
    /// Its framework is not there any more.
    ReasonFrameworkRemoved,
    /// Its agent is not known.
    ReasonAgentUnknown,
    /// Its agent is back, and it with it.
    ReasonAgentReregistered,
    /// Its agent's machine was emptied.
    ReasonAgentDraining,
    /// Its executor did not register in time.
    ReasonExecutorRegistrationTimeout,
    /// Its executor did not come back in time after its agent restarted.
    ReasonExecutorReregistrationTimeout,
    /// Its executor was unregistered.
    ReasonExecutorUnregistered,
    /// It ran for as long as it may.
    ReasonMaxCompletionTimeReached,
    /// It did not fit with what its agent has.
    ReasonResourcesUnknown,
    /// It uses what it is not allowed to.
    ReasonTaskUnauthorized,
}

impl Reason {
    /// Mesos' name, such as `REASON_CONTAINER_LIMITATION_MEMORY`.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            other => unreachable!("a reason is written as text, not {other:?}"),
        }
    }
}

/// How one health check of a task stands; times in the agent's wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthResult {
    /// Whether the last decision was "healthy"; None before the first.
    pub alive: Option<bool>,
    /// Failures in a row that counted.
    pub consecutive_failures: u32,
    /// First success ever.
    pub first_success: Option<Timestamp>,
    /// Last success.
    pub last_success: Option<Timestamp>,
    /// Last failure.
    pub last_failure: Option<Timestamp>,
    /// What the last failure said.
    pub last_failure_cause: Option<String>,
}

/// What a readiness check last said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadinessResult {
    /// The check's name.
    pub name: String,
    /// Whether it said that the task is ready. Once it has, it is not asked again.
    pub ready: bool,
    /// What came back, if the check keeps it.
    pub last_response: Option<CheckResponse>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckResponse {
    /// Its status.
    pub status: u16,
    /// Its type; empty if it named none.
    pub content_type: String,
    /// Its body as text, shortened.
    pub body: String,
}

/// What a general check asks: known before it has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// For an HTTP status.
    Http,
    /// For a connection.
    Tcp,
    /// For an exit code.
    Command,
}

/// What a general check last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// It was asked, and no answer came (in time).
    Silent,
    /// This HTTP status.
    HttpStatus(u16),
    /// Whether a connection was accepted.
    Connected(bool),
    /// This exit code.
    ExitCode(i32),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A limit that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limitation {
    /// Bytes in use when it broke.
    pub used: u64,
    /// The limit in bytes.
    pub limit: u64,
}

/// News about one task, made by its agent (or by the master about a machine it cannot reach). Delivered in order for
/// each task, repeated until acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Its group.
    pub instance: InstanceId,
    /// Distinguishes this update from every other of the task: rises by one with each. 0: made by the master.
    pub sequence: u64,
    /// The state now.
    pub state: TaskState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// In words, for people; empty if there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it happened, by the agent's wall clock.
    pub at: Timestamp,
    /// All health checks together: None while undecided or without checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// One result for each health check of the spec, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthResult>,
    /// One result for each readiness check of the spec that has been asked, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readiness: Vec<ReadinessResult>,
    /// What the general check of the spec said last; None: not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckResult>,
    /// What its general check asks, if its agent asks one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_kind: Option<CheckKind>,
    /// How its process ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The limit that it broke, if that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limitation: Option<Limitation>,
    /// Its own addresses, if it has any besides the machine's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// As a framework's own executor said it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<Box<FrameworkStatus>>,
}

impl TaskStatus {
    /// A bare status; the caller adds what more there is to say.
    pub fn new(task: TaskId, instance: InstanceId, sequence: u64, state: TaskState, at: Timestamp) -> Self {
        Self {
            task,
            instance,
            sequence,
            state,
            reason: None,
            message: String::new(),
            at,
            healthy: None,
            health: Vec::new(),
            readiness: Vec::new(),
            check: None,
            check_kind: None,
            exit: None,
            limitation: None,
            addresses: Vec::new(),
            executor: None,
        }
    }

    /// What the update is acknowledged with by frameworks: its executor's word, else made from what makes it unlike every
    /// other update.
    pub fn uuid(&self) -> u128 {
        match &self.executor {
            Some(executor) => executor.uuid,
            None => {
                let texts = [self.instance.as_str(), "/", self.task.as_str()];
                let bytes = texts.iter().flat_map(|text| text.bytes()).chain(self.sequence.to_be_bytes());
                // FNV-1a; version 8 ("custom") and its variant, as a UUID has them.
                let hash = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
                    (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
                });
                hash & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62
            }
        }
    }

    /// Whether so many readiness checks have all said that it is ready.
    pub fn is_ready(&self, checks: usize) -> bool {
        self.readiness.len() >= checks && self.readiness.iter().all(|result| result.ready)
    }

    /// The same with a reason and words.
    pub fn because(mut self, reason: Reason, message: impl Into<String>) -> Self {
        self.reason = Some(reason);
        self.message = message.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_only_move_forward() {
        use TaskState::*;
        assert!(Staging.may_become(Running) && Running.may_become(Killing) && Killing.may_become(Finished));
        assert!(!Running.may_become(Starting) && !Killing.may_become(Running));
        assert!(Running.may_become(Unreachable) && Unreachable.may_become(Running));
        for last in [Finished, Failed, Killed, Error, Dropped, Gone, GoneByOperator] {
            assert!(!last.may_become(Running) && !last.may_become(Unreachable) && !last.may_become(last));
        }
    }

    #[test]
    fn names_are_mesos_names() {
        assert_eq!(Reason::ReasonContainerLimitationMemory.name(), "REASON_CONTAINER_LIMITATION_MEMORY");
        assert_eq!(serde_json::to_string(&TaskState::Running).unwrap(), "\"TASK_RUNNING\"");
    }
}
