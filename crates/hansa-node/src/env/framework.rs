//! The environment of frameworks' tasks and executors: what Mesos promises, and nothing of Marathon's.

use super::{CONTAINER_IP, DEFAULT_PATH, gpus};
use crate::config::Config;
use crate::saved::SavedExecutor;
use hansa_model::container::{Engine, NetworkSpec};
use hansa_model::framework::FrameworkInfo;
use hansa_model::framework::launch::{ExecutorRun, FrameworkLaunch};
use hansa_model::resources::Allocation;
use hansa_model::spec::{Launch, TaskSpec};
use hansa_model::{InstanceId, RoleName};

/// What Mesos tells a task with this index of a framework's launch.
pub(super) fn of_task(
    config: &Config,
    launch: &Launch,
    of: &FrameworkLaunch,
    index: usize,
    set: &mut impl FnMut(&str, String),
) {
    let (Some(task), Some(spec), Some(own)) =
        (of.tasks.get(index), launch.group.tasks.get(index), launch.tasks.get(index))
    else {
        return;
    };
    let run = of.executor.as_deref();
    let (executor, sandbox, network) = match run {
        Some(run) => (&run.id, config.sandbox_within(&run.container, &task.id), &run.spec.network),
        // A command task is its own executor.
        None => (&task.id, config.sandbox(own), &spec.network),
    };
    set("PATH", DEFAULT_PATH.into());
    set("MESOS_TASK_ID", task.id.clone());
    common(config, &of.framework, executor, &sandbox, &launch.role, set);
    surroundings(config, network, set);
    container_name(spec, &launch.instance, set);
    gpus(&launch.allocation, set);
    if let Some(run) = run {
        set("MESOS_AGENT_ENDPOINT", config.address.clone());
        // Where tasks of one executor find what they share.
        set("MESOS_EXECUTOR_SANDBOX", config.sandbox(&run.container.as_str().into()));
    }
}

/// What Mesos tells an executor.
pub(super) fn of_executor(config: &Config, held: &SavedExecutor, set: &mut impl FnMut(&str, String)) {
    let run: &ExecutorRun = &held.run;
    let sandbox = config.sandbox(&run.container.as_str().into());
    set("PATH", DEFAULT_PATH.into());
    common(config, &held.framework, &run.id, &sandbox, &held.role, set);
    surroundings(config, &run.spec.network, set);
    container_name(&run.spec, &run.container, set);
    let gpu: &Allocation = &run.allocation;
    gpus(gpu, set);
    set("LIBPROCESS_PORT", "0".into());
    set("MESOS_SLAVE_PID", format!("slave(1)@{}", config.address));
    set("MESOS_AGENT_ENDPOINT", config.address.clone());
    set("MESOS_HTTP_COMMAND_EXECUTOR", "0".into());
    let grace_ms = run.shutdown_grace_ms.unwrap_or(config.executor_shutdown_grace_ms);
    set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration(grace_ms));
    // Ours survive their agent whether they asked for it or not; those who did not may count on nothing.
    let checkpoint = held.framework.checkpoint;
    set("MESOS_CHECKPOINT", if checkpoint { "1" } else { "0" }.into());
    if checkpoint {
        set("MESOS_RECOVERY_TIMEOUT", duration(config.recovery_timeout_ms));
        set("MESOS_SUBSCRIPTION_BACKOFF_MAX", duration(config.executor_reregistration_ms.min(2_000)));
    }
}

fn common(
    config: &Config,
    framework: &FrameworkInfo,
    executor: &str,
    sandbox: &str,
    role: &RoleName,
    set: &mut impl FnMut(&str, String),
) {
    set("MESOS_EXECUTOR_ID", executor.to_owned());
    set("MESOS_FRAMEWORK_ID", framework.id.to_string());
    set("MESOS_SLAVE_ID", config.agent.to_string());
    set("MESOS_SANDBOX", sandbox.to_owned());
    set("MESOS_DIRECTORY", sandbox.to_owned());
    set("MESOS_ALLOCATION_ROLE", role.to_string());
}

fn surroundings(config: &Config, network: &NetworkSpec, set: &mut impl FnMut(&str, String)) {
    match network {
        NetworkSpec::Host => {
            set("LIBPROCESS_IP", config.ip.clone());
            set(CONTAINER_IP, config.ip.clone());
        }
        // The machine's address cannot be bound to in there; its own is not known yet.
        NetworkSpec::Bridge { .. } => set("LIBPROCESS_IP", "0.0.0.0".into()),
        NetworkSpec::None => set("LIBPROCESS_IP", "127.0.0.1".into()),
    }
}

fn container_name(spec: &TaskSpec, container: &InstanceId, set: &mut impl FnMut(&str, String)) {
    if spec.container.engine == Engine::Docker {
        set("MESOS_CONTAINER_NAME", format!("mesos-{container}"));
    }
}

/// A duration as Mesos writes and reads them, such as `5secs`: a whole number of the largest unit that allows it.
pub fn duration(ms: u64) -> String {
    let units =
        [("weeks", 604_800_000), ("days", 86_400_000), ("hrs", 3_600_000), ("mins", 60_000), ("secs", 1_000)];
    let fits = |(_, size): &&(&str, u64)| ms >= *size && ms.is_multiple_of(*size);
    match units.iter().find(fits) {
        Some((unit, size)) => format!("{}{unit}", ms / size),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_mesos_writes_them() {
        let cases = [(5_000, "5secs"), (60_000, "1mins"), (900_000, "15mins"), (1_500, "1500ms"), (0, "0ms")];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
        assert_eq!((duration(7_200_000), duration(604_800_000)), ("2hrs".into(), "1weeks".into()));
    }
}
