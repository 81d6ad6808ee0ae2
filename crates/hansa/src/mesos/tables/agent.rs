//! Flags that only the agent has and that do something, or could be expected to.

use crate::mesos::flags::{Flag, Kind};

const BOTH: &str = "MESOS and DOCKER containers are both run, by Hansa's own runtime";
const ALWAYS: &str = "tasks and executors always survive the agent's restart";
const CHANGES: &str = "an agent may come back with other resources and attributes";
const EXECUTORS: &str = "the default is used, and cannot be changed yet";

/// They.
pub const FLAGS: &[Flag] = &[
    Flag::taken(
        "domain",
        Kind::Json,
        "The fault domain: {\"fault_domain\":{\"region\":{\"name\":…},\"zone\":{\"name\":…}}}",
    ),
    Flag::taken("hostname", Kind::Text, "The agent's name in the cluster; without it the machine's"),
    Flag::taken("master", Kind::Text, "The master: host:port, or file:///path of a file with it"),
    Flag::taken("work_dir", Kind::Text, "Where the agent's id, sandboxes, images and volumes are"),
    Flag::taken(
        "resources",
        Kind::Text,
        "What is offered: 'cpus:4;mem:8192;ports:[31000-32000];cpus(role):2' (kept for a role), or JSON, which can also \
         name PATH and MOUNT disks",
    ),
    Flag::taken(
        "default_role",
        Kind::Text,
        "The role that everything is kept for that --resources names none for",
    ),
    Flag::taken("attributes", Kind::Text, "What constraints can ask for: 'rack:r1;ssd:yes'"),
    Flag::taken("gc_delay", Kind::Time, "How long sandboxes of ended tasks are kept at most"),
    Flag::taken(
        "docker_config",
        Kind::Json,
        "Logins for image registries, as Docker's configuration has them",
    ),
    Flag::moot("containerizers", Kind::Text, BOTH),
    Flag::moot("image_providers", Kind::Text, BOTH),
    Flag::moot("isolation", Kind::Text, "tasks always get all the isolation that the machine can give"),
    Flag::moot(
        "launcher",
        Kind::Text,
        "tasks are always started in namespaces and a cgroup, where the machine has them",
    ),
    Flag::moot("launcher_dir", Kind::Text, "there are no helper programs"),
    Flag::moot("runtime_dir", Kind::Text, "what lives as long as the machine is kept below --work_dir"),
    Flag::moot(
        "systemd_enable_support",
        Kind::Switch,
        "tasks are no children of the agent, with or without systemd",
    ),
    Flag::moot(
        "systemd_runtime_directory",
        Kind::Text,
        "tasks are no children of the agent, with or without systemd",
    ),
    Flag::moot(
        "switch_user",
        Kind::Switch,
        "tasks run as the user that they ask for, if the agent may do that",
    ),
    Flag::moot("recover", Kind::Text, ALWAYS),
    Flag::moot("strict", Kind::Switch, ALWAYS),
    Flag::taken("recovery_timeout", Kind::Time, "How long executors wait for an agent that is away"),
    Flag::moot("reconfiguration_policy", Kind::Text, CHANGES),
    Flag::taken("executor_registration_timeout", Kind::Time, "How long an executor may take to subscribe"),
    Flag::taken(
        "executor_reregistration_timeout",
        Kind::Time,
        "How long an executor may take to subscribe again after its agent restarted",
    ),
    Flag::moot("executor_reregistration_retry_interval", Kind::Time, EXECUTORS),
    Flag::taken(
        "executor_shutdown_grace_period",
        Kind::Time,
        "How long an executor may take to end before it is killed",
    ),
    Flag::moot("executor_environment_variables", Kind::Json, EXECUTORS),
    Flag::moot("http_command_executor", Kind::Switch, "command tasks have no executor of their own"),
    Flag::moot(
        "max_completed_executors_per_framework",
        Kind::Count,
        "how much of the past is kept cannot be set",
    ),
];
