//! Tasks and executors: from what a framework asks for to what agents run.
//!
//! [`read`] and [`read_executor`] judge everything that can be judged without knowing the cluster. They never fail: what
//! is wrong stands in the result's `spec`, in words, and its framework is told by a `TASK_ERROR`. Where Mesos has words for
//! a mistake, they are Mesos'.

mod checks;
mod command;
mod container;

#[cfg(test)]
mod tests;

pub use container::image_of;

use crate::Invalid;
use crate::codec::{Codec, encode};
use crate::names::check_id;
use crate::proto::v1;
use crate::proto::v1::executor_info::Type as ExecutorType;
use crate::resources::{bytes_of_mib, milli, read as read_resources};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hansa_model::AgentId;
use hansa_model::framework::{ExecutorAsked, ExecutorKind, FrameworkInfo, Part, Raw, TaskAsked, parts};
use hansa_model::resources::{Demand, GpuDemand, MIB, PortDemand};
use hansa_model::spec::{Limits, TaskSpec};
use std::collections::BTreeMap;

/// Between SIGTERM and SIGKILL, unless a task says otherwise.
const KILL_GRACE_MS: u64 = 3_000;

/// Between being asked to shut down and SIGKILL, unless an executor says otherwise.
const SHUTDOWN_GRACE_MS: u64 = 5_000;

/// The least that an executor of task groups takes.
const LEAST_EXECUTOR_CPUS_MILLI: u64 = 10;
const LEAST_EXECUTOR_MEM: u64 = 32 * MIB;

/// What the sources of secrets begin with that stand in the task itself.
const INLINE_SECRET: &str = "data:;base64,";

/// Where a task stands among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Alone,
    /// In a group, run by the default executor.
    InGroup,
}

/// A task that a framework wants started.
pub fn read(info: &v1::TaskInfo, framework: &FrameworkInfo, place: Place) -> TaskAsked {
    let mut info = info.clone();
    if let (Place::Alone, Some(executor)) = (place, &mut info.executor) {
        // Only of groups it has to be said.
        executor.framework_id.get_or_insert_with(|| v1::FrameworkId { value: framework.id.to_string() });
    }
    let executor = match (place, &info.executor) {
        (Place::Alone, Some(executor)) => Some(read_executor(executor, framework, ExecutorKind::Custom)),
        _ => None,
    };
    let parts = read_resources(&info.resources);
    let spec = spec(&info, framework, place, executor.as_ref(), parts.as_deref());
    TaskAsked {
        id: info.task_id.value.clone(),
        name: info.name.clone(),
        agent: AgentId::from(info.agent_id.value.as_str()),
        parts: parts.unwrap_or_default(),
        executor: executor.map(Box::new),
        spec: spec.map(Box::new).map_err(|error| error.0),
        info: Raw::new(encode(Codec::Protobuf, &info)),
    }
}

/// An executor that tasks are to be run by: of a task that is by itself it has to be [`ExecutorKind::Custom`], of a group
/// [`ExecutorKind::Default`].
pub fn read_executor(
    info: &v1::ExecutorInfo,
    framework: &FrameworkInfo,
    kind: ExecutorKind,
) -> ExecutorAsked {
    let parts = read_resources(&info.resources);
    let spec = executor_spec(info, framework, kind, parts.as_deref());
    ExecutorAsked {
        id: info.executor_id.value.clone(),
        kind,
        parts: parts.unwrap_or_default(),
        spec: spec.map(Box::new).map_err(|error| error.0),
        shutdown_grace_ms: info.shutdown_grace_period.as_ref().map(span_ms),
        info: Raw::new(encode(Codec::Protobuf, info)),
    }
}

/// The secret that a source holds, if it holds one itself; others name a file of the agent's.
pub fn inline_secret(source: &str) -> Option<Vec<u8>> {
    STANDARD.decode(source.strip_prefix(INLINE_SECRET)?).ok()
}

/// The source of a secret that stands in the task itself.
///
/// # Errors
/// It does not: it is a reference, which nobody here resolves.
fn secret_source(secret: &v1::Secret) -> Result<String, Invalid> {
    Ok(format!("{INLINE_SECRET}{}", STANDARD.encode(secret_value(secret)?)))
}

fn secret_value(secret: &v1::Secret) -> Result<&[u8], Invalid> {
    use v1::secret::Type;
    match (secret.r#type(), &secret.value, &secret.reference) {
        (Type::Value, Some(value), None) => Ok(&value.data),
        (Type::Value, None, _) => Err(Invalid::new("Secret of type VALUE must have the 'value' field set")),
        (Type::Value, Some(_), Some(_)) => {
            Err(Invalid::new("Secret of type VALUE must not have the 'reference' field set"))
        }
        (Type::Reference, ..) => Err(Invalid::new(
            "secrets by reference are not supported: send the secret's value, with the type VALUE",
        )),
        (Type::Unknown, ..) => Err(Invalid::new("the type of a secret is neither VALUE nor REFERENCE")),
    }
}

fn spec(
    info: &v1::TaskInfo,
    framework: &FrameworkInfo,
    place: Place,
    executor: Option<&ExecutorAsked>,
    parts: Result<&[Part], &Invalid>,
) -> Result<TaskSpec, Invalid> {
    check_id(&info.task_id.value)?;
    let grace = info.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref());
    for (span, what) in [
        (grace, "Task's 'kill_policy.grace_period' must be non-negative"),
        (info.max_completion_time.as_ref(), "Task's `max_completion_time` must be non-negative"),
    ] {
        if span.is_some_and(|span| span.nanoseconds < 0) {
            return Err(Invalid::new(what));
        }
    }
    let check = info.check.as_ref().map(checks::check).transpose();
    let check = check.map_err(|why| Invalid(format!("Task uses invalid check: {why}")))?;
    let health = info.health_check.as_ref().map(checks::health).transpose();
    let health = health.map_err(|why| Invalid(format!("Task uses invalid health check: {why}")))?;
    if info.resources.is_empty() {
        return Err(Invalid::new("Task uses no resources"));
    }
    let parts = parts.map_err(|why| Invalid(format!("Task uses invalid resources: {why}")))?;
    let limits = limits(info, parts)?;
    check_place(info, place)?;
    let mut spec = TaskSpec {
        name: info.task_id.value.clone(),
        demand: demand(parts),
        labels: labels(info.labels.as_ref()),
        health_checks: health.into_iter().collect(),
        check,
        kill_grace_ms: grace.map_or(KILL_GRACE_MS, span_ms),
        max_run_ms: info.max_completion_time.as_ref().map(span_ms),
        limits,
        ..TaskSpec::default()
    };
    match (executor, &info.command) {
        (Some(executor), None) => {
            // Its executor finds the rest in what came.
            executor.spec.as_ref().map_err(|why| Invalid(why.clone()))?;
        }
        (None, Some(command)) => {
            run(&mut spec, Some(command), info.container.as_ref(), framework)?;
        }
        (None, None) if place == Place::InGroup => {
            run(&mut spec, None, info.container.as_ref(), framework)?;
            if spec.container.image.is_none() {
                return Err(Invalid::new(
                    "'TaskInfo.command' must be set, as there is no image that says what to run",
                ));
            }
        }
        _ => {
            return Err(Invalid::new(
                "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
            ));
        }
    }
    Ok(spec)
}

/// What is allowed only in groups, or only outside.
fn check_place(info: &v1::TaskInfo, place: Place) -> Result<(), Invalid> {
    let linux = info.container.as_ref().and_then(|container| container.linux_info.as_ref());
    let own_cgroups = linux.is_some_and(|linux| !linux.share_cgroups());
    match place {
        Place::Alone if own_cgroups => {
            Err(Invalid::new("Only tasks in a task group may have 'share_cgroups' set to 'false'"))
        }
        Place::Alone => Ok(()),
        Place::InGroup => {
            let container = info.container.as_ref();
            if container.is_some_and(|container| container.r#type == v1::container_info::Type::Docker as i32)
            {
                return Err(Invalid::new("Docker ContainerInfo is not supported on the task"));
            }
            if container.is_some_and(|container| !container.network_infos.is_empty()) {
                return Err(Invalid::new(
                    "networks of single tasks of a group are not supported: set 'network_infos' on the executor",
                ));
            }
            if !info.limits.is_empty() && !own_cgroups {
                return Err(Invalid::new(
                    "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set \
                     to 'false'.",
                ));
            }
            Ok(())
        }
    }
}

fn executor_spec(
    info: &v1::ExecutorInfo,
    framework: &FrameworkInfo,
    kind: ExecutorKind,
    parts: Result<&[Part], &Invalid>,
) -> Result<TaskSpec, Invalid> {
    check_kind(info, kind)?;
    check_id(&info.executor_id.value)?;
    if info.shutdown_grace_period.as_ref().is_some_and(|span| span.nanoseconds < 0) {
        return Err(Invalid::new("ExecutorInfo's 'shutdown_grace_period' must be non-negative"));
    }
    let id =
        info.framework_id.as_ref().ok_or_else(|| Invalid::new("'ExecutorInfo.framework_id' must be set"))?;
    if id.value != framework.id.as_str() {
        return Err(Invalid(format!(
            "ExecutorInfo has an invalid FrameworkID (Actual: {} vs Expected: {})",
            id.value, framework.id
        )));
    }
    let parts = parts.map_err(|why| Invalid(format!("Executor uses invalid resources: {why}")))?;
    if kind == ExecutorKind::Default {
        check_least(info, parts)?;
    }
    let linux = info.container.as_ref().and_then(|container| container.linux_info.as_ref());
    if linux.and_then(|linux| linux.share_cgroups) == Some(true) {
        return Err(Invalid::new("The 'share_cgroups' field cannot be set to 'true' on executor containers"));
    }
    let mut spec = TaskSpec {
        name: info.executor_id.value.clone(),
        demand: demand(parts),
        labels: labels(info.labels.as_ref()),
        kill_grace_ms: info.shutdown_grace_period.as_ref().map_or(SHUTDOWN_GRACE_MS, span_ms),
        ..TaskSpec::default()
    };
    run(&mut spec, info.command.as_ref(), info.container.as_ref(), framework)
        .map_err(|why| Invalid(format!("Executor '{}': {why}", info.executor_id.value)))?;
    Ok(spec)
}

fn check_kind(info: &v1::ExecutorInfo, kind: ExecutorKind) -> Result<(), Invalid> {
    match (kind, info.r#type()) {
        (ExecutorKind::Custom, ExecutorType::Default) => {
            Err(Invalid::new("'ExecutorInfo.type' must be 'CUSTOM'"))
        }
        (ExecutorKind::Custom, ExecutorType::Custom | ExecutorType::Unknown) => match &info.command {
            Some(_) => Ok(()),
            None => Err(Invalid::new("'ExecutorInfo.command' must be set")),
        },
        (ExecutorKind::Default, ExecutorType::Unknown) if info.r#type.is_none() => {
            Err(Invalid::new("'ExecutorInfo.type' must be set"))
        }
        (ExecutorKind::Default, ExecutorType::Unknown) => Err(Invalid::new("Unknown executor type")),
        (ExecutorKind::Default, ExecutorType::Custom) => Err(Invalid::new(
            "task groups of custom executors are not supported: use an executor of type DEFAULT",
        )),
        (ExecutorKind::Default, ExecutorType::Default) => {
            if info.command.is_some() {
                return Err(Invalid::new("'ExecutorInfo.command' must not be set for 'DEFAULT' executor"));
            }
            let Some(container) = &info.container else { return Ok(()) };
            if container.r#type != v1::container_info::Type::Mesos as i32 {
                return Err(Invalid::new(
                    "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor",
                ));
            }
            if container.mesos.as_ref().is_some_and(|mesos| mesos.image.is_some()) {
                return Err(Invalid::new(
                    "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor",
                ));
            }
            Ok(())
        }
    }
}

fn check_least(info: &v1::ExecutorInfo, parts: &[Part]) -> Result<(), Invalid> {
    let amount = parts::sum(parts);
    let (id, what) = (&info.executor_id.value, "than the minimum required");
    if amount.cpus_milli < LEAST_EXECUTOR_CPUS_MILLI {
        return Err(Invalid(format!("Executor '{id}' uses less CPUs {what} (0.01)")));
    }
    if amount.mem < LEAST_EXECUTOR_MEM {
        return Err(Invalid(format!("Executor '{id}' uses less memory {what} (32MB)")));
    }
    if amount.disk == 0 {
        return Err(Invalid(format!("Executor '{id}' uses no disk")));
    }
    Ok(())
}

/// Command, surroundings and network of a process; without a command it is what an image says, or nothing.
fn run(
    spec: &mut TaskSpec,
    command: Option<&v1::CommandInfo>,
    container: Option<&v1::ContainerInfo>,
    framework: &FrameworkInfo,
) -> Result<(), Invalid> {
    let container_of = |why: Invalid| Invalid(format!("`ContainerInfo` is invalid: {why}"));
    container::read(spec, container).map_err(container_of)?;
    let command_of = |why: Invalid| Invalid(format!("`CommandInfo` is invalid: {why}"));
    command::read(spec, command, container, framework).map_err(command_of)
}

/// What it takes: devices are found out when it is launched. Disk is that of its sandbox, not that of its volumes.
fn demand(parts: &[Part]) -> Demand {
    let amount = parts::sum(parts);
    let sandbox = parts.iter().filter(|part| part.volume.is_none());
    Demand {
        cpus_milli: amount.cpus_milli,
        mem: amount.mem,
        disk: sandbox.map(|part| part.amount.disk).sum(),
        gpus: GpuDemand::whole(amount.gpus),
        ports: parts.iter().flat_map(|part| part.amount.ports.iter()).map(PortDemand::Exact).collect(),
    }
}

fn limits(info: &v1::TaskInfo, parts: &[Part]) -> Result<Limits, Invalid> {
    let amount = parts::sum(parts);
    if info.limits.keys().any(|name| name != "cpus" && name != "mem") {
        return Err(Invalid::new("Only cpus and mem may be included in a task's resource limits"));
    }
    let limit = |name: &str, read: fn(f64) -> Result<u64, Invalid>| {
        let value = info.limits.get(name).map(|scalar| scalar.value);
        let read = |value: f64| if value == f64::INFINITY { Ok(u64::MAX) } else { read(value) };
        value.map(read).transpose().map_err(|why| Invalid(format!("limit of {name}: {why}")))
    };
    let limits = Limits { cpus_milli: limit("cpus", milli)?, mem: limit("mem", bytes_of_mib)? };
    for (limit, request, resource, name) in
        [(limits.cpus_milli, amount.cpus_milli, "CPU", "cpu"), (limits.mem, amount.mem, "memory", "memory")]
    {
        if limit.is_some() && request == 0 {
            return Err(Invalid(format!(
                "When a {resource} limit is specified, a {resource} request must also be specified"
            )));
        }
        if limit.is_some_and(|limit| limit < request) {
            return Err(Invalid(format!(
                "The {name} limit must be greater than or equal to the {name} request"
            )));
        }
    }
    Ok(limits)
}

fn labels(labels: Option<&v1::Labels>) -> BTreeMap<String, String> {
    let all = labels.map(|labels| labels.labels.as_slice()).unwrap_or_default();
    all.iter().map(|label| (label.key.clone(), label.value.clone().unwrap_or_default())).collect()
}

/// Milliseconds of a span; of a negative one none.
pub(crate) fn span_ms(span: &v1::DurationInfo) -> u64 {
    u64::try_from(span.nanoseconds / 1_000_000).unwrap_or(0)
}
