//! What is launched: groups of tasks, immutable once registered.
//!
//! The launch unit is a **group**: an executor (none, built-in or custom) and its tasks. A plain service instance is a
//! group of one task without executor. Specs are stored and sent as JSON; every field has a default, so that older and
//! newer programs read each other's.

use crate::app::{GeneralCheck, HealthCheck, ReadinessCheck};
use crate::container::{Artifact, ContainerSpec, NetworkSpec};
use crate::framework::FrameworkLaunch;
use crate::id::{AppId, InstanceId, Owner, RoleName, SpecId, TaskId};
use crate::resources::{Allocation, Demand};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Given to `/bin/sh -c`.
    Shell(String),
    /// Executed as it stands; the first element is the program, found on the task's `PATH`.
    Argv(Vec<String>),
}

impl Command {
    /// Program and arguments. Empty: nothing but what an image says.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Command::Argv(argv) => argv.clone(),
        }
    }
}

impl Default for Command {
    fn default() -> Self {
        Command::Argv(Vec::new())
    }
}

/// Who runs a group's tasks on the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorSpec {
    /// The agent itself: one task, no process besides it.
    #[default]
    None,
    /// The built-in executor for groups of several tasks; `demand` is its own share.
    Builtin {
        /// What it takes besides its tasks.
        demand: Demand,
    },
}

/// Where a group comes from; what it belongs to in its owner's eyes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A version of a service.
    App {
        /// The service.
        id: AppId,
        /// Which version of its definition.
        version: Timestamp,
    },
    /// A framework's task, of which only the framework knows more.
    #[default]
    Framework,
}

/// One task of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskSpec {
    /// Its name within the group; `_app` for a service.
    pub name: String,
    /// What to execute.
    pub command: Command,
    /// The environment that the spec itself gives. What depends on machine and allocation (`HOST`, `PORT0`,
    /// `MESOS_SANDBOX`, …) is derived at launch; what stands here wins.
    pub env: BTreeMap<String, String>,
    /// The user to run as; the agent's own if absent.
    pub user: Option<String>,
    /// What it takes. Its ports are the first of the group's not yet given to an earlier task.
    pub demand: Demand,
    /// For each port of the demand, its name, if any; `PORT_<NAME>` is derived from it.
    pub port_names: Vec<Option<String>>,
    /// For each port of the demand, the number it was declared with; `PORT_<number>` is derived from it. 0: none.
    pub declared_ports: Vec<u16>,
    /// Limit CPU time to the demand even when the machine is idle.
    pub cpu_quota: bool,
    /// Checks that decide whether the task is healthy; run by the agent.
    pub health_checks: Vec<HealthCheck>,
    /// Checks that decide whether it may take over from an older one.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// A check whose answers are reported, and no more.
    pub check: Option<GeneralCheck>,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub kill_grace_ms: u64,
    /// Milliseconds from the moment that it is told to end, and the world sees it, to its SIGTERM: time for load balancers
    /// to send nobody there any more. Only for one that runs and is not unhealthy.
    #[serde(default)]
    pub drain_ms: u64,
    /// Labels, as the owner set them.
    pub labels: BTreeMap<String, String>,
    /// What it finds around it.
    pub container: ContainerSpec,
    /// What network it lives in.
    pub network: NetworkSpec,
    /// What is fetched into its sandbox before it starts.
    pub artifacts: Vec<Artifact>,
    /// Environment variables whose values are secrets, and where each secret comes from.
    pub secret_env: BTreeMap<String, String>,
    /// Milliseconds that it may run; then it is ended as if it had been asked to, and has failed.
    pub max_run_ms: Option<u64>,
    /// CPU and memory that it may use beyond its demand while they are idle.
    pub limits: Limits,
}

/// What a task may use besides what is kept for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Thousandths of a CPU; `u64::MAX`: no limit; None: as for tasks that say nothing.
    pub cpus_milli: Option<u64>,
    /// Bytes of memory; `u64::MAX`: no limit; None: its demand.
    pub mem: Option<u64>,
}

/// An immutable group: registered with the kernel as one [`SpecId`], launched many times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSpec {
    /// What it belongs to.
    pub origin: Origin,
    /// Who runs its tasks.
    pub executor: ExecutorSpec,
    /// Its tasks, at least one.
    pub tasks: Vec<TaskSpec>,
}

impl GroupSpec {
    /// What the whole group takes: executor and tasks.
    pub fn demand(&self) -> Demand {
        let executor = match &self.executor {
            ExecutorSpec::None => Demand::default(),
            ExecutorSpec::Builtin { demand } => demand.clone(),
        };
        self.tasks.iter().fold(executor, |sum, task| sum.plus(&task.demand))
    }
}

/// One placed group as an agent receives, keeps and reports it: everything needed to run it and, after a lost store, to
/// adopt it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// The group's identity at its owner.
    pub instance: InstanceId,
    /// Who claimed.
    pub owner: Owner,
    /// The role the resources are counted under.
    pub role: RoleName,
    /// Which registered spec.
    pub spec: SpecId,
    /// The spec itself.
    pub group: Arc<GroupSpec>,
    /// A task id for each task of the group, in order.
    pub tasks: Vec<TaskId>,
    /// What the group was given.
    pub allocation: Allocation,
    /// What it is to its framework, if a framework launched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<Arc<FrameworkLaunch>>,
}
