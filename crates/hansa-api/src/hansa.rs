//! Hansa's own API, `/hansa/v1`.
//!
//! | method and path | answer |
//! |---|---|
//! | GET `/hansa/v1/cluster` | [`Cluster`] |
//! | GET `/hansa/v1/nodes`, `/hansa/v1/nodes/{id or host name}` | [`Nodes`], [`crate::apart::NodeDetail`] |
//! | GET `/hansa/v1/nodes/{id}/drain-preview` | [`crate::plans::DrainPreview`] |
//! | POST `/hansa/v1/nodes/{id}/deactivate`, `/reactivate`, `/drain`, `/gone` | [`Done`] |
//! | GET `/hansa/v1/services`, `/hansa/v1/services/{path}` | [`Services`], [`Service`] |
//! | GET `/hansa/v1/tasks?app=&framework=&node=&state=&ended=` | [`Tasks`] |
//! | GET `/hansa/v1/tasks/{id}` | [`Task`], also one that has ended, while it is remembered |
//! | GET `/hansa/v1/tasks/{id}/history` | [`crate::past::TaskHistory`] |
//! | GET `/hansa/v1/tasks/{id}/files`, `/files/content` | [`crate::files`] |
//! | GET `/hansa/v1/tasks/{id}/terminal` | a WebSocket, see [`crate::terminal`] |
//! | GET `/hansa/v1/tasks/{id}/logs/{stdout or stderr}?offset=&limit=&follow=` | the bytes as `text/plain`; `offset` negative: from the end; `follow=true`: stays open |
//! | GET `/hansa/v1/explain/{app path}?instances=` | [`crate::plans::Explained`] |
//! | GET `/hansa/v1/usage/{app path}?span=` | [`crate::past::ServiceUsage`] |
//! | GET `/hansa/v1/history?of=&span=` | [`crate::past::History`] |
//! | GET `/hansa/v1/deployments`, `/hansa/v1/deployments/{id}` | [`Deployments`], [`Deployment`] |
//! | POST `/hansa/v1/deployments/{id}/pause`, `/resume`, `/cancel?force=` | [`Steered`] |
//! | GET `/hansa/v1/images?node=` | [`Images`] |
//! | POST `/hansa/v1/images/prune?node=` | [`Pruned`] |
//! | GET `/hansa/v1/roles`, PUT and DELETE `/hansa/v1/roles/{name}` | [`Roles`], [`Done`] |
//! | DELETE `/hansa/v1/frameworks/{id or name}` | [`Done`] |
//! | GET `/hansa/v1/events` | server-sent events, see [`StreamEvent`] |
//! | GET `/hansa/v1/events/history` | [`crate::past::PastEvents`] |
//!
//! Every list takes `limit` and `after`, and tells with `next` that there is more; those of nodes, services and tasks also
//! `q` (words to look for), `label` (a selector) and `sort`. Every answer takes `fields=a,b.c`: of the objects in a list,
//! or of the object, only these.
//!
//! Errors are `{"error": {"code", "message", "field"?, "remedy"?}}` ([`ErrorBody`]) with the fitting status.

use crate::framework::FrameworkSummary;
use hansa_model::event::{AgentState, Failing, Standstill};
use hansa_model::resources::Resources;
use hansa_model::role::{Role, Totals};
use hansa_model::task::{Exit, HealthResult, TaskState};
use hansa_model::{AgentId, AppId, DeploymentId, FrameworkId, RoleName, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The one error shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Error,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Stable, for programs: `not-found`, `invalid`, `conflict`, `unavailable`, `forbidden`, `internal`.
    pub code: String,
    /// For people.
    pub message: String,
    /// The field that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The cluster at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its id.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// The leadership's number.
    pub term: u64,
    /// The newest commit that this answer shows.
    pub index: u64,
    /// When this leadership began.
    pub started_at: Timestamp,
    /// Machines by state.
    pub nodes: BTreeMap<String, u32>,
    /// Tasks by state.
    pub tasks: BTreeMap<String, u32>,
    /// Services.
    pub services: u32,
    /// Deployments under way.
    pub deployments: u32,
    /// What all machines that are not out of reach have.
    pub total: Totals,
    /// What of it is given to tasks.
    pub allocated: Totals,
    /// What of it is really used, as far as known.
    pub used: Totals,
}

/// All machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nodes {
    /// By host name, unless sorted otherwise.
    pub nodes: Vec<Node>,
    /// Give this as `after` for the next page; None: this was the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its agent's id.
    pub id: AgentId,
    /// Its name.
    pub hostname: String,
    /// Its agent's HTTP port, `host:port`.
    pub address: String,
    /// Whether it takes work.
    pub state: AgentState,
    /// Since when.
    pub since: Timestamp,
    /// What it has.
    pub total: Resources,
    /// What of it is given to tasks.
    pub allocated: Totals,
    /// What of it is kept for roles, used or not; [`crate::apart::NodeDetail`] tells more.
    #[serde(default)]
    pub reserved: Totals,
    /// What its tasks really use; None: not heard yet.
    pub used: Option<Totals>,
    /// What the whole machine uses, Hansa or not.
    pub machine: Option<Totals>,
    /// Live tasks there.
    pub tasks: u32,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// The agent's version.
    pub version: String,
    /// When it was first admitted.
    pub registered_at: Timestamp,
    /// What isolation is missing there.
    pub missing_isolation: Vec<String>,
}

/// All services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// By id, unless sorted otherwise.
    pub services: Vec<Service>,
    /// Give this as `after` for the next page; None: this was the last.
    #[serde(default)]
    pub next: Option<AppId>,
}

/// How a service is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// All instances run, and are healthy if they have checks.
    Healthy,
    /// A deployment is under way.
    Deploying,
    /// Instances are missing and find no place or are delayed.
    Waiting,
    /// Instances run but are not healthy, or fail again and again.
    Unhealthy,
    /// It asks for no instances.
    Suspended,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its path.
    pub id: AppId,
    /// How it is.
    pub health: Health,
    /// How many instances it asks for.
    pub instances: u32,
    /// Instances that run.
    pub running: u32,
    /// Instances on their way.
    pub staged: u32,
    /// Instances whose checks succeed.
    pub healthy: u32,
    /// Instances whose checks fail.
    pub unhealthy: u32,
    /// Its current version.
    pub version: Timestamp,
    /// Thousandths of a CPU for each instance.
    pub cpus_milli: u64,
    /// Bytes of memory for each instance.
    pub mem: u64,
    /// The role that pays.
    #[serde(default = "RoleName::any")]
    pub role: RoleName,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What an instance runs: the image, if it is made of one, and the command line, shortened.
    pub command: String,
    /// Deployments that touch it.
    pub deployments: Vec<DeploymentId>,
    /// What its deployment waits for.
    pub waiting_for: Option<String>,
    /// Its last failure, in words.
    pub last_failure: Option<String>,
    /// When that was.
    pub last_failure_at: Option<Timestamp>,
    /// Its instances end again and again.
    #[serde(default)]
    pub failing: Option<Failing>,
}

/// All deployments under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployments {
    /// The oldest first.
    pub deployments: Vec<Deployment>,
    /// Give this as `after` for the next page; None: this was the last.
    #[serde(default)]
    pub next: Option<DeploymentId>,
}

/// A deployment under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// The version that it brings about.
    pub version: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// The services it touches.
    pub services: Vec<AppId>,
    /// What it does now, such as `RestartApplication /shop/web`.
    pub doing: Vec<String>,
    /// Index of the step under way.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// What it waits for.
    pub waiting_for: String,
    /// Since when: when it last came nearer to its goal.
    pub waiting_since: Timestamp,
    /// What would let it go on; empty if only time is needed.
    pub remedy: String,
    /// It holds until it is resumed or cancelled.
    pub paused: Option<Standstill>,
    /// It has not come nearer to its goal for longer than it may.
    pub failing: Option<Standstill>,
    /// It goes back on this deployment.
    pub rolls_back: Option<DeploymentId>,
}

/// A deployment was steered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steered {
    /// The commit that did it.
    pub index: u64,
    /// The deployment that goes back, if one was cancelled that way.
    pub deployment: Option<DeploymentId>,
}

/// Some tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tasks {
    /// By id, unless sorted otherwise; those that ended, the newest first.
    pub tasks: Vec<Task>,
    /// Give this as `after` for the next page; None: this was the last. A page may be short, and even empty, when few
    /// tasks are wanted.
    pub next: Option<TaskId>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its service, if it has one.
    pub app: Option<AppId>,
    /// The service's version.
    pub version: Option<Timestamp>,
    /// Its framework, if it has one.
    #[serde(default)]
    pub framework: Option<FrameworkId>,
    /// The id that its framework gave it, if it has one: unique among the framework's.
    #[serde(default)]
    pub framework_task: Option<String>,
    /// The role that pays.
    #[serde(default = "RoleName::any")]
    pub role: RoleName,
    /// Its state.
    pub state: TaskState,
    /// None: no checks, or undecided.
    pub healthy: Option<bool>,
    /// One for each health check.
    pub health: Vec<HealthResult>,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// The same in words.
    pub message: String,
    /// Its machine.
    pub node: AgentId,
    /// That machine's name.
    pub hostname: String,
    /// Its host ports.
    pub ports: Vec<u16>,
    /// Thousandths of a CPU.
    pub cpus_milli: u64,
    /// Bytes of memory.
    pub mem: u64,
    /// When it was assigned.
    pub staged_at: Timestamp,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// When its state was last reported.
    pub updated_at: Timestamp,
    /// When it ended, if it has.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// How its process ended: `{"code":1}` or `{"signal":9}`; None: it has not, or nobody knows.
    #[serde(default)]
    pub exit: Option<Exit>,
}

/// All roles that somebody is in, that have settings, or for which something is reserved; not those that only ever were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roles {
    /// By name.
    pub roles: Vec<RoleStatus>,
    /// Give this as `after` for the next page; None: this was the last.
    #[serde(default)]
    pub next: Option<RoleName>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// Its settings.
    #[serde(flatten)]
    pub role: Role,
    /// What its tasks and executors have. Offers that its frameworks hold are not in it, here and everywhere.
    pub allocated: Totals,
    /// What its frameworks hold offers of. Whose turn it is next is decided by the share of both together.
    #[serde(default)]
    pub offered: Totals,
    /// What machines keep for it and for nobody else, used or not; also machines that are out of reach.
    #[serde(default)]
    pub reserved: Totals,
}

/// Container images on machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// Machine by machine; on each the one used last first.
    pub images: Vec<ImageOnNode>,
    /// Machines that were asked and did not answer.
    #[serde(default)]
    pub silent: Vec<SilentNode>,
}

/// A container image on a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageOnNode {
    /// The machine's name.
    pub node: String,
    /// Its names in their whole form; none: they mean another image by now.
    pub references: Vec<String>,
    /// Of its manifest: `sha256:…`.
    pub digest: String,
    /// Bytes of its files. Layers that it shares with others count for each.
    pub bytes: u64,
    /// Bytes that came over the network.
    pub pulled_bytes: u64,
    /// How many layers it has.
    pub layers: usize,
    /// When it was pulled.
    pub pulled_at: Timestamp,
    /// When it was last taken or given back.
    pub used_at: Timestamp,
    /// The tasks that use it.
    pub used_by: Vec<TaskId>,
}

/// A machine that did not answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SilentNode {
    /// Its name.
    pub node: String,
    /// In words.
    pub why: String,
}

/// What became of unused images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pruned {
    /// Machines with their removed images.
    pub nodes: Vec<PrunedNode>,
    /// Machines that were asked and did not answer.
    #[serde(default)]
    pub silent: Vec<SilentNode>,
}

/// What was removed from a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrunedNode {
    /// Its name.
    pub node: String,
    /// The images' names, or digests of those without.
    pub images: Vec<String>,
    /// Bytes of files that are gone.
    pub bytes: u64,
}

/// It is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The commit that did it.
    pub index: u64,
}

/// What an SSE frame of `/hansa/v1/events` carries: `event:` is the tag, `data:` the JSON of the content, `id:` is
/// `<term>-<index>`. The stream begins with `resync` (the client reads the lists anew) unless `Last-Event-ID` is still
/// held. `usage` frames have no id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum StreamEvent {
    /// The client's picture is too old (or it had none): read the lists anew.
    Resync {
        /// The commit that a list read now will show at least.
        index: u64,
    },
    /// A machine changed.
    Node(Node),
    /// A machine is forgotten.
    NodeRemoved {
        /// Which.
        id: AgentId,
    },
    /// A machine's use changed; every second while somebody listens, or as often as `usage_every` says.
    Usage {
        /// Which machine.
        id: AgentId,
        /// What its tasks use.
        used: Totals,
        /// What the whole machine uses.
        machine: Totals,
    },
    /// A service changed.
    Service(Service),
    /// A service is gone.
    ServiceRemoved {
        /// Which.
        id: AppId,
    },
    /// A task changed.
    Task(Task),
    /// A task is forgotten.
    TaskRemoved {
        /// Which.
        id: TaskId,
        /// As it was last, with its final state and message; None: not remembered.
        #[serde(default)]
        last: Option<Box<Task>>,
    },
    /// A deployment moved; Marathon's shape of it is at `/v2/deployments`.
    Deployment {
        /// Which.
        id: DeploymentId,
        /// The services it touches.
        services: Vec<AppId>,
        /// Index of the step under way.
        step: usize,
        /// Steps in all.
        steps: usize,
        /// What it waits for.
        waiting_for: String,
        /// `running`, `paused`, `failing` (it has come no nearer to its goal for too long), `succeeded` or `failed`.
        state: String,
    },
    /// A role's settings or use changed.
    Role(RoleStatus),
    /// A role is listed no more: nobody is in it, it has no settings, and nothing is reserved for it.
    RoleRemoved {
        /// Its name.
        name: RoleName,
    },
    /// A framework came, went away or changed what it says of itself; or its tasks or the number of its offers changed,
    /// which is told once a second at most, without an id.
    Framework(FrameworkSummary),
    /// A framework is gone for ever.
    FrameworkRemoved {
        /// Which.
        id: FrameworkId,
    },
    /// Something an operator should look at.
    Alarm {
        /// Stable, for programs.
        code: String,
        /// For people.
        message: String,
    },
}
