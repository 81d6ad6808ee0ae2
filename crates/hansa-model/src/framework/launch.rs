//! What agents must know of a framework's tasks besides how to run them. Sent with launches, kept by agents, and told by
//! them to a master that knows nothing of the tasks any more.

use super::FrameworkInfo;
use super::call::ExecutorKind;
use super::parts::{self, Part};
use super::raw::Raw;
use crate::id::InstanceId;
use crate::resources::Allocation;
use crate::spec::TaskSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a launched group is to its framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkLaunch {
    /// Whose it is.
    pub framework: Arc<FrameworkInfo>,
    /// Its tasks, in the group's order.
    pub tasks: Vec<FrameworkTask>,
    /// Who runs them; None: the agent itself.
    pub executor: Option<Arc<ExecutorRun>>,
}

impl FrameworkLaunch {
    /// What of the group's allocation is the task's at this place: its parts, with devices by name. The group's devices are
    /// its tasks' in their order, wherever a group of several is launched, run and counted.
    pub fn own(&self, allocation: &Allocation, index: usize) -> Allocation {
        let Some(task) = self.tasks.get(index) else { return Allocation::default() };
        let sum = parts::sum(&task.parts);
        let earlier = self.tasks[..index].iter().flat_map(|task| &task.parts);
        let earlier: usize = earlier.map(|part| usize::from(part.amount.gpus)).sum();
        Allocation {
            cpus_milli: sum.cpus_milli,
            mem: sum.mem,
            disk: sum.disk,
            gpus: allocation.gpus.iter().skip(earlier).take(usize::from(sum.gpus)).copied().collect(),
            ports: task.parts.iter().flat_map(|part| part.amount.ports.iter()).collect(),
        }
    }
}

/// A task as its framework knows it. (Our own id of it is unique in the cluster; this one is only so in its framework.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkTask {
    /// The framework's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it takes.
    pub parts: Vec<Part>,
    /// As it came: mesos.v1.TaskInfo.
    pub info: Raw,
}

/// One run of an executor: it begins with the first task for it and ends with its process, or when it is told to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorRun {
    /// The framework's id of it.
    pub id: String,
    /// This run of it, and its container; unique in the cluster.
    pub container: InstanceId,
    /// What kind.
    pub kind: ExecutorKind,
    /// What it takes besides its tasks.
    pub parts: Vec<Part>,
    /// The same with devices by name. Ports are in the order of the parts' sets.
    pub allocation: Allocation,
    /// The program of a custom one, the surroundings of a default one.
    pub spec: TaskSpec,
    /// Milliseconds between being asked to end and SIGKILL; None: the agent's.
    pub shutdown_grace_ms: Option<u64>,
    /// As it came: mesos.v1.ExecutorInfo.
    pub info: Raw,
}

/// An executor that an agent holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorReport {
    /// Whose it is.
    pub framework: Arc<FrameworkInfo>,
    /// The role that pays for it.
    pub role: crate::id::RoleName,
    /// Which run of it.
    pub run: Arc<ExecutorRun>,
}
