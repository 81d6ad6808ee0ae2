//! This agent's version, flags and figures, by Mesos' names.

use super::answers::{Query, bad, empty, typed, unsupported};
use crate::agent::Shell;
use crate::agent_info::VERSION;
use axum::response::Response;
use hansa_mesos::logging::{Toggle, Verbosity};
use hansa_model::resources::MIB;
use hansa_model::task::TaskState;
use hansa_node::env::duration;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Why the logging level cannot be had.
pub(super) const NO_LEVELS: &str =
    "the logging level: this agent was not started by a program that can change it";

/// `/version`.
pub(super) fn version() -> Value {
    json!({
        "build_date": "1970-01-01 00:00:00",
        "build_time": 0.0,
        "build_user": "hansa",
        "git_branch": "",
        "git_sha": "",
        "git_tag": VERSION,
        "version": VERSION,
    })
}

/// How it was started, as Mesos would name it.
pub(super) fn flags(shell: &Shell) -> BTreeMap<&'static str, String> {
    let config = shell.node.config();
    let attributes: Vec<String> =
        config.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let (ip, port) = config.address.rsplit_once(':').unwrap_or((&config.ip, "5051"));
    BTreeMap::from([
        ("attributes", attributes.join(";")),
        ("authenticate_http_executors", "false".into()),
        ("authenticate_http_readonly", "false".into()),
        ("authenticate_http_readwrite", "false".into()),
        ("containerizers", "mesos,docker".into()),
        ("executor_registration_timeout", duration(config.executor_registration_ms)),
        ("executor_reregistration_timeout", duration(config.executor_reregistration_ms)),
        ("executor_shutdown_grace_period", duration(config.executor_shutdown_grace_ms)),
        ("gc_delay", duration(config.keep_released_ms)),
        ("hostname", config.hostname.clone()),
        ("image_providers", "docker".into()),
        ("ip", ip.to_owned()),
        ("isolation", "cgroups/cpu,cgroups/mem,cgroups/pids,filesystem/linux,docker/runtime".into()),
        ("launcher", "linux".into()),
        ("master", shell.master.clone()),
        ("port", port.to_owned()),
        ("recover", "reconnect".into()),
        ("recovery_timeout", duration(config.recovery_timeout_ms)),
        ("resources", config.resources.to_string()),
        ("work_dir", shell.data_dir.root().display().to_string()),
    ])
}

/// The master's host, as the agent was told it.
pub(super) fn master_host(shell: &Shell) -> String {
    let address = shell.master.split("://").last().unwrap_or_default();
    address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned()
}

/// `/logging/toggle`.
pub(super) fn logging(verbosity: Option<Verbosity>, query: &Query) -> Response {
    match (Toggle::read(query.get("level"), query.get("duration")), verbosity) {
        (Err(wrong), _) => bad(wrong.to_string()),
        (Ok(_), None) => unsupported(NO_LEVELS),
        (Ok(Toggle::Tell), Some(verbosity)) => typed("text/plain", format!("{}\n", (verbosity.get)())),
        (Ok(Toggle::Set(level, time)), Some(verbosity)) => {
            (verbosity.set)(level, time);
            empty()
        }
    }
}

/// Counts that exporters take for an error when they are missing, and that mean nothing here.
const ALWAYS_ZERO: &[&str] = &[
    "containerizer/fetcher/cache_size_total_bytes",
    "containerizer/fetcher/cache_size_used_bytes",
    "containerizer/fetcher/task_fetches/failed",
    "containerizer/fetcher/task_fetches/succeeded",
    "containerizer/mesos/container_destroy_errors",
    "containerizer/mesos/provisioner/bind/remove_rootfs_errors",
    "containerizer/mesos/provisioner/remove_container_errors",
    "gc/path_removals_failed",
    "gc/path_removals_pending",
    "gc/path_removals_succeeded",
    "slave/container_launch_errors",
    "slave/cpus_revocable_percent",
    "slave/cpus_revocable_total",
    "slave/cpus_revocable_used",
    "slave/disk_revocable_percent",
    "slave/disk_revocable_total",
    "slave/disk_revocable_used",
    "slave/executor_directory_max_allowed_age_secs",
    "slave/executors_preempted",
    "slave/executors_terminated",
    "slave/gpus_revocable_percent",
    "slave/gpus_revocable_total",
    "slave/gpus_revocable_used",
    "slave/invalid_framework_messages",
    "slave/invalid_status_updates",
    "slave/mem_revocable_percent",
    "slave/mem_revocable_total",
    "slave/mem_revocable_used",
    "slave/recovery_errors",
    "slave/recovery_time_secs",
    "slave/tasks_gone",
    "slave/tasks_lost",
    "slave/valid_framework_messages",
    "slave/valid_status_updates",
];

/// `/metrics/snapshot`: everything that exporters ask for.
pub(super) fn metrics(shell: &Shell) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        ALWAYS_ZERO.iter().map(|name| ((*name).to_owned(), json!(0.0))).collect();
    let mut set = |name: &str, value: f64| drop(all.insert(name.to_owned(), json!(value)));
    let config = shell.node.config();
    let saved = shell.node.saved();
    let now = shell.clock.now();
    set("slave/uptime_secs", now.since(shell.started_at) as f64 / 1_000.0);
    set("slave/registered", if shell.node.is_connected() { 1.0 } else { 0.0 });
    let live = || saved.groups().values().filter(|group| !group.is_terminal());
    let mut used = (0, 0, 0, 0);
    let groups = live().map(|group| &group.launch.allocation);
    for own in groups.chain(saved.executors().values().map(|held| &held.run.allocation)) {
        used = (used.0 + own.cpus_milli, used.1 + own.mem, used.2 + own.disk, used.3 + own.gpus.len());
    }
    let total = &config.resources;
    for (name, used, total) in [
        ("cpus", used.0 as f64 / 1_000.0, total.cpus_milli as f64 / 1_000.0),
        ("mem", (used.1 / MIB) as f64, (total.mem / MIB) as f64),
        ("disk", (used.2 / MIB) as f64, (total.disk / MIB) as f64),
        ("gpus", used.3 as f64, total.gpus.len() as f64),
    ] {
        set(&format!("slave/{name}_total"), total);
        set(&format!("slave/{name}_used"), used);
        set(&format!("slave/{name}_percent"), if total > 0.0 { used / total } else { 0.0 });
    }
    let counted = |state: TaskState| {
        let statuses = saved.groups().values().flat_map(|group| &group.statuses);
        let same = |status: &&Option<hansa_model::task::TaskStatus>| {
            status.as_ref().map_or(TaskState::Staging, |status| status.state) == state
        };
        statuses.filter(same).count() as f64
    };
    use TaskState::{Failed, Finished, Killed, Killing, Running, Staging, Starting};
    for (name, state) in [
        ("staging", Staging),
        ("starting", Starting),
        ("running", Running),
        ("killing", Killing),
        ("finished", Finished),
        ("failed", Failed),
        ("killed", Killed),
    ] {
        set(&format!("slave/tasks_{name}"), counted(state));
    }
    let executors = |is: fn(&hansa_node::saved::SavedExecutor) -> bool| {
        saved.executors().values().filter(|held| is(held)).count() as f64
    };
    let commands = live().filter(|group| group.executor().is_none()).count() as f64;
    set("slave/executors_registering", executors(|held| !held.registered && held.ending.is_none()));
    set("slave/executors_running", executors(|held| held.registered && held.ending.is_none()) + commands);
    set("slave/executors_terminating", executors(|held| held.ending.is_some()));
    let frameworks: std::collections::BTreeSet<&str> = live()
        .filter_map(|group| group.launch.framework.as_ref())
        .map(|of| of.framework.id.as_str())
        .chain(saved.executors().values().map(|held| held.framework.id.as_str()))
        .collect();
    set("slave/frameworks_active", frameworks.len() as f64);
    set("system/cpus_total", std::thread::available_parallelism().map_or(1, usize::from) as f64);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    for (name, text) in ["load_1min", "load_5min", "load_15min"].iter().zip(load.split_ascii_whitespace()) {
        set(&format!("system/{name}"), text.parse().unwrap_or(0.0));
    }
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    };
    set("system/mem_total_bytes", bytes("MemTotal:"));
    set("system/mem_free_bytes", bytes("MemFree:"));
    all
}
