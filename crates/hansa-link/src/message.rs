//! What goes over the stream. Every struct ignores fields it does not know and defaults those it misses.

pub use hansa_model::agent::{GroupReport, Hello, Usage};
use hansa_model::framework::Raw;
use hansa_model::spec::Launch;
use hansa_model::task::TaskStatus;
use hansa_model::{AgentId, BootId, ClusterId, FrameworkId, InstanceId, RoleName, TaskId, Term};
use serde::{Deserialize, Serialize};

/// From an agent to the master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToMaster {
    /// The cluster the agent belongs to; None before it has joined one.
    pub cluster: Option<ClusterId>,
    /// The highest term that the agent has seen.
    pub term: Term,
    /// What it says.
    pub body: ToMasterBody,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToMasterBody {
    /// Always first, once per stream.
    Hello(Box<Hello>),
    /// News about one task; repeated on every new stream (in the hello) until acknowledged.
    Update(TaskStatus),
    /// The agent has removed everything of a group after its release.
    Released {
        /// Which.
        instance: InstanceId,
    },
    /// A framework's executor has ended, and nothing of it runs any more (its tasks' ends were said before). Said once on
    /// a stream; afterwards no hello names it any more.
    ExecutorEnded {
        /// Whose.
        framework: FrameworkId,
        /// The framework's id of it.
        executor: String,
        /// Which run.
        container: InstanceId,
        /// How it ended, as `wait` tells it.
        wait_status: i32,
    },
    /// A framework's executor says something to its framework; at best.
    FromExecutor {
        /// Whose.
        framework: FrameworkId,
        /// The framework's id of it.
        executor: String,
        /// What.
        data: Raw,
    },
    /// Alive. Sent every heartbeat interval.
    Heartbeat {
        /// Numbered from 1 on each stream; the master answers with the number.
        number: u64,
    },
    /// What the machine uses now; every second while watched, else every 15 s.
    Usage(Usage),
    /// The agent process stops on purpose, its tasks run on, and it returns within this time.
    Leaving {
        /// Milliseconds; at most 60,000.
        returns_in_ms: u64,
    },
}

/// From the master to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToAgent {
    /// The cluster.
    pub cluster: ClusterId,
    /// The leader's term; lower ones than already seen are refused.
    pub term: Term,
    /// What it says.
    pub body: ToAgentBody,
}

/// What the master says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgentBody {
    /// The answer to a hello. Groups of the hello that are named nowhere here stay as they are.
    Welcome {
        /// Milliseconds between heartbeats.
        heartbeat_ms: u64,
    },
    /// The hello is refused; the agent waits, says why and tries again.
    Refused {
        /// In words.
        reason: String,
    },
    /// Run a group. Repeats of one that the agent holds (or has released) start nothing.
    Launch {
        /// The agent it is meant for.
        agent: AgentId,
        /// The boot it is meant for: a launch is only re-sent under the same one.
        boot: BootId,
        /// What.
        launch: Box<Launch>,
    },
    /// End a group. Unknown ones are answered with a `TASK_GONE` update for each named task.
    Kill {
        /// Which.
        instance: InstanceId,
        /// Its tasks.
        tasks: Vec<TaskId>,
        /// Milliseconds between SIGTERM and SIGKILL; None: the spec's.
        grace_ms: Option<u64>,
        /// In words, for the update's message.
        message: String,
    },
    /// The update is dealt with; the agent forgets it.
    Acknowledge {
        /// Whose.
        task: TaskId,
        /// Which.
        sequence: u64,
    },
    /// The group is terminal and fully acknowledged; the agent may forget its ids and collect its sandbox in time.
    Release {
        /// Which.
        instance: InstanceId,
    },
    /// Ask an executor to end, and end it and its tasks after its grace. Unknown ones are nothing new.
    ShutdownExecutor {
        /// Which run.
        container: InstanceId,
    },
    /// A framework says something to its executor; at best.
    ToExecutor {
        /// Which run.
        container: InstanceId,
        /// What.
        data: Raw,
    },
    /// Remove a persistent volume and what is in it. Unknown ones are nothing new; the hello says what is left.
    RemoveVolume {
        /// The role that it was kept for.
        role: RoleName,
        /// Its id.
        id: String,
    },
    /// The answer to a heartbeat.
    HeartbeatSeen {
        /// Which.
        number: u64,
    },
    /// Whether somebody watches the machine's usage.
    Watch {
        /// True: report every second.
        on: bool,
    },
}
