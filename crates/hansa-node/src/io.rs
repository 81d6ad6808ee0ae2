//! What goes into the core and what comes out. Closed: the shell's loop matches all of it.

use crate::saved::Record;
use hansa_link::{ToAgent, ToMaster};
use hansa_model::agent::Usage;
use hansa_model::container::{Artifact, ContainerSpec, NetworkSpec};
use hansa_model::framework::{DiskSource, Raw};
use hansa_model::resources::Allocation;
use hansa_model::spec::{Command, Limits};
use hansa_model::task::{CheckResponse, CheckResult, Exit, Limitation};
use hansa_model::{InstanceId, RoleName, TaskId, Timestamp};

use crate::furnishing::{Furnishings, Refusal, Thing};
use serde::{Deserialize, Serialize};

pub use crate::executor_io::{ExecutorEvent, ExecutorUpdate};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time has passed; [`crate::Node::next_deadline`] says when to send it. Any other input does as well.
    Tick,
    /// A stream to the master is open, as asked for by [`Output::Open`].
    Connected {
        /// Its number.
        stream: u64,
    },
    /// A stream broke, or could not be opened.
    Disconnected {
        /// Its number.
        stream: u64,
        /// In words.
        reason: String,
    },
    /// The master said something.
    Message {
        /// On which stream.
        stream: u64,
        /// What.
        message: ToAgent,
    },
    /// The group is still being prepared, and there is something to say about it (an image is half pulled).
    Preparing {
        /// Which group.
        instance: InstanceId,
        /// In words.
        message: String,
    },
    /// The group's process runs.
    Started {
        /// Which group.
        instance: InstanceId,
        /// Its own addresses, if it has any besides the machine's.
        addresses: Vec<String>,
    },
    /// The group could not be started, and nothing of it runs.
    LaunchFailed {
        /// Which group.
        instance: InstanceId,
        /// In words.
        message: String,
    },
    /// The group's process ended, and nothing of the group runs any more.
    Exited {
        /// Which group.
        instance: InstanceId,
        /// How.
        exit: Exit,
        /// The memory limit that it broke, if that ended it.
        limitation: Option<Limitation>,
        /// In words; may be empty.
        message: String,
    },
    /// The group's shim is gone without a word, and what was left of the group has been ended.
    ShimGone {
        /// Which group.
        instance: InstanceId,
        /// In words; may be empty.
        message: String,
    },
    /// A running container was changed, as far as it could be; answers [`Output::FurnishGroup`].
    Furnished {
        /// Which.
        instance: InstanceId,
        /// What it was to have and could not be given.
        refused: Vec<Refusal>,
        /// What it was to lose and could not be taken from it.
        kept: Vec<Thing>,
    },
    /// A probe's result.
    Probed {
        /// Which group.
        instance: InstanceId,
        /// Which of its task's probes: health checks first, then readiness checks, then the general check.
        check: usize,
        /// The number in the order.
        number: u64,
        /// What came out.
        outcome: ProbeOutcome,
    },
    /// A framework's executor has opened a stream; every event for it goes there from now on.
    ExecutorSubscribed {
        /// Its container.
        container: InstanceId,
        /// The stream, numbered by the shell; never used twice in a process.
        stream: u64,
        /// Tasks (the framework's ids) that it has and of which no update was acknowledged to it.
        tasks: Vec<String>,
        /// Updates that were not acknowledged to it.
        updates: Vec<ExecutorUpdate>,
    },
    /// A framework's executor says how a task stands.
    ExecutorUpdate {
        /// Its container.
        container: InstanceId,
        /// What.
        update: Box<ExecutorUpdate>,
    },
    /// A framework's executor says something to its framework.
    ExecutorMessage {
        /// Its container.
        container: InstanceId,
        /// What.
        data: Raw,
    },
    /// An executor's stream ended. Nothing happens if it is not the newest.
    ExecutorLeft {
        /// Its container.
        container: InstanceId,
        /// The stream.
        stream: u64,
    },
    /// What the machine uses, as asked for by [`Output::SampleUsage`].
    Sampled(Usage),
    /// The process ends on purpose; tasks run on.
    Leave {
        /// Milliseconds until it is expected back.
        returns_in_ms: u64,
    },
}

/// What one probe says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It succeeded.
    Healthy,
    /// It says nothing (an HTTP status of 100 to 199 that the check ignores).
    Ignored,
    /// It failed.
    Unhealthy {
        /// In words.
        cause: String,
    },
    /// A readiness check was answered.
    Answered {
        /// Whether the answer says "ready".
        ready: bool,
        /// What came back, if it is to be kept.
        response: Option<CheckResponse>,
    },
    /// A general check was answered.
    Said(CheckResult),
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Store this, before any later output is performed.
    Persist(Record),
    /// Start a group's shim. Answered by [`Input::Started`] or [`Input::LaunchFailed`], then by [`Input::Exited`] or
    /// [`Input::ShimGone`].
    StartGroup(Box<ShimPlan>),
    /// SIGTERM to the group, SIGKILL after the grace; shortens a grace already running. Also while it is being started.
    StopGroup {
        /// Which.
        instance: InstanceId,
        /// Milliseconds.
        grace_ms: u64,
    },
    /// SIGKILL everything in the group now, its shim too if it does not obey.
    KillGroup {
        /// Which.
        instance: InstanceId,
    },
    /// The group has ended and that is stored: remove what its shim left (cgroups, runtime files), not its sandbox.
    CleanUp {
        /// Which.
        instance: InstanceId,
    },
    /// From now on a running group may use this much; what cannot be changed stays as it is.
    ResizeGroup {
        /// Which.
        instance: InstanceId,
        /// How much.
        limits: Allocation,
    },
    /// From now on a running container is to see this, and not that. What is as it is to be stays untouched, so that this may
    /// be said again. Answered by [`Input::Furnished`], before it is said again. Whoever is given a volume or a GPU by a later
    /// output, or removes one, waits until it is taken away here.
    FurnishGroup {
        /// Which; a custom executor's.
        instance: InstanceId,
        /// All of the machine's things that it is to have.
        has: Furnishings,
        /// What it had, or may have, and is to lose.
        loses: Furnishings,
    },
    /// Tell an executor this, on the stream that it has opened last. If it is gone, it is dropped.
    ToExecutor {
        /// Its container.
        container: InstanceId,
        /// On which stream.
        stream: u64,
        /// What.
        event: ExecutorEvent,
    },
    /// Remove a persistent volume and what is in it.
    RemoveVolume {
        /// The role that it was kept for.
        role: RoleName,
        /// Its id.
        id: String,
        /// The disk that it is on; None: the agent's own.
        source: Option<DiskSource>,
    },
    /// Remove a task's sandbox.
    RemoveSandbox {
        /// Whose.
        task: TaskId,
    },
    /// Run a probe; answered by [`Input::Probed`] with the same number.
    RunProbe(Box<ProbeOrder>),
    /// Measure the machine; answered by [`Input::Sampled`].
    SampleUsage,
    /// All shims may let their groups run until then (on the clock that `now` is read from).
    ExtendDeadline {
        /// The time.
        until: Timestamp,
    },
    /// Connect to the master; answered by [`Input::Connected`] or [`Input::Disconnected`] with this number.
    Open {
        /// The stream's number.
        stream: u64,
    },
    /// Drop the stream or the attempt; needs no answer.
    Close {
        /// Which.
        stream: u64,
    },
    /// Say this to the master. If the stream is not open any more, it is dropped.
    Send {
        /// On which stream.
        stream: u64,
        /// What.
        message: ToMaster,
    },
    /// An operator should read this.
    Warn(String),
}

/// Everything a shim needs to run one container: a group of one task, an executor, or a task inside an executor's
/// surroundings.
#[derive(Clone, Debug, PartialEq)]
pub struct ShimPlan {
    /// The group; of an executor its run, of a task inside an executor's surroundings the task.
    pub instance: InstanceId,
    /// Its task; of an executor its run.
    pub task: TaskId,
    /// The executor's surroundings that it lives in; None: it has its own.
    pub inside: Option<Surroundings>,
    /// It only holds what others share; the command is not executed.
    pub placeholder: bool,
    /// What to execute; of an image, its entry point and command are put before and in place of arguments.
    pub command: Command,
    /// The whole environment, but for what an image adds and for secrets.
    pub env: Vec<(String, String)>,
    /// Environment variables whose values are secrets, and where each comes from.
    pub secret_env: Vec<(String, String)>,
    /// What it finds around it.
    pub container: ContainerSpec,
    /// What network it lives in.
    pub network: NetworkSpec,
    /// The machine's ports that are its own, as its network's mappings count them.
    pub ports: Vec<u16>,
    /// What is fetched into its sandbox before it starts.
    pub artifacts: Vec<Artifact>,
    /// The signal that asks it to end; None: the image's, else SIGTERM.
    pub stop_signal: Option<i32>,
    /// The user to run as; None: the image's, else the agent's own.
    pub user: Option<String>,
    /// The task's directory: working directory and place of `stdout` and `stderr`.
    pub sandbox: String,
    /// What it may use.
    pub limits: Allocation,
    /// Whether CPU time is limited even when the machine is idle.
    pub cpu_quota: bool,
    /// What it may use beyond its limits while it is idle.
    pub burst: Limits,
    /// Persistent volumes that it sees.
    pub volumes: Vec<KeptVolume>,
    /// When it ends everything unless told otherwise; None: never.
    pub deadline: Option<Timestamp>,
}

/// What an executor's tasks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The executor's run; its container has the network.
    pub executor: InstanceId,
    /// The executor's sandbox.
    pub sandbox: String,
    /// Persistent volumes that are seen in there.
    pub volumes: Vec<KeptVolume>,
}

/// A directory that outlives the tasks which see it; made when it is first used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Noted")]
pub struct KeptVolume {
    /// The role that it is kept for.
    pub role: RoleName,
    /// Its id; unique for the role.
    pub id: String,
    /// The disk that it is on; None: the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DiskSource>,
    /// Where it is seen; relative: below the sandbox.
    pub container_path: String,
}

/// A volume as it is stored, now and once: then by its name alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Noted {
    Whole {
        role: RoleName,
        id: String,
        #[serde(default)]
        source: Option<DiskSource>,
        container_path: String,
    },
    Name(RoleName, String),
}

impl From<Noted> for KeptVolume {
    fn from(noted: Noted) -> Self {
        match noted {
            Noted::Whole { role, id, source, container_path } => Self { role, id, source, container_path },
            Noted::Name(role, id) => Self { role, id, source: None, container_path: String::new() },
        }
    }
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeOrder {
    /// Of which group.
    pub instance: InstanceId,
    /// Its task.
    pub task: TaskId,
    /// Which of the task's probes: health checks first, then readiness checks, then the general check.
    pub check: usize,
    /// Distinguishes this probe from every other of the check.
    pub number: u64,
    /// What to do.
    pub target: ProbeTarget,
    /// The core counts a failure after so many milliseconds; the probe should not outlive them.
    pub timeout_ms: u64,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeTarget {
    /// GET without following redirects; 200 to 399 is healthy.
    Http {
        /// IP address.
        host: String,
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
        /// Whether 100 to 199 says nothing.
        ignore_1xx: bool,
        /// Over TLS, without looking at the certificate.
        tls: bool,
    },
    /// GET without following redirects; certain statuses say "ready".
    Ready {
        /// IP address.
        host: String,
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
        /// Over TLS, without looking at the certificate.
        tls: bool,
        /// The statuses that say "ready".
        codes: Vec<u16>,
        /// Give the answer along with the outcome.
        keep: bool,
    },
    /// A connection is accepted.
    Tcp {
        /// IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `/bin/sh -c` inside the task's container ends with 0.
    Command {
        /// What.
        command: String,
    },
    /// GET without following redirects; says the status.
    Status {
        /// IP address.
        host: String,
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
        /// Over TLS, without looking at the certificate.
        tls: bool,
    },
    /// Says whether a connection is accepted.
    Accepts {
        /// IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Run inside the task's container; says the exit code.
    ExitCode {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

/// What was found of a stored group when the agent process started.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Its shim is there and its process runs; news will come.
    Running {
        /// Its own addresses, if it has any besides the machine's.
        addresses: Vec<String>,
    },
    /// Its shim is there and still sets the group up; news will come.
    Starting,
    /// It ended while no agent looked.
    Exited {
        /// How.
        exit: Exit,
        /// The memory limit that it broke, if that ended it.
        limitation: Option<Limitation>,
        /// In words; may be empty.
        message: String,
    },
    /// Its shim could not set it up, while no agent looked.
    LaunchFailed {
        /// In words.
        message: String,
    },
}
