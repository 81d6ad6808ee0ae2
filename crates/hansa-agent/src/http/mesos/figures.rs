//! Containers and what they use: `/containers` and `/monitor/statistics`.

use super::places::Run;
use super::state::{container_id, face};
use crate::agent::Shell;
use hansa_mesos::codec::to_value;
use hansa_mesos::legacy;
use hansa_mesos::proto::v1;
use hansa_mesos::resources::from_milli;
use hansa_mesos::status::network_infos;
use hansa_model::InstanceId;
use hansa_node::saved::SavedGroup;
use serde_json::{Value, json};

/// A container that runs, or is about to.
pub(super) struct Figure {
    /// What runs in it.
    pub(super) run: Run,
    /// Its executor's name.
    pub(super) name: String,
    /// Where that comes from.
    pub(super) source: String,
    /// Which one.
    pub(super) id: v1::ContainerId,
    /// What it uses, once that is known.
    pub(super) statistics: Option<v1::ResourceStatistics>,
    /// How it is.
    pub(super) status: v1::ContainerStatus,
}

/// Every container; with those inside of others if `nested`.
pub(super) fn all(shell: &Shell, nested: bool) -> Vec<Figure> {
    let saved = shell.node.saved();
    let mut all = Vec::new();
    for held in saved.executors().values() {
        let run = Run::of_run(held.framework.id.as_str(), &held.run.id, &held.run.container);
        let inside: Vec<&SavedGroup> = saved
            .groups()
            .values()
            .filter(|group| group.executor().is_some_and(|own| own.container == held.run.container))
            .collect();
        let face = face(shell, &run, &inside);
        let live = inside.iter().filter(|group| !group.is_terminal());
        let mut containers = vec![held.run.container.clone()];
        let mut limits = (held.run.allocation.cpus_milli, held.run.allocation.mem);
        for group in live {
            limits.0 += group.launch.allocation.cpus_milli;
            limits.1 += group.launch.allocation.mem;
            for index in (0..group.launch.tasks.len()).filter(|_| group.is_pod()) {
                let container = group.container(index);
                let spec = &group.launch.group.tasks[index].demand;
                if nested && shell.containers.client(&container).is_some() {
                    let one = std::slice::from_ref(&container);
                    all.push(Figure {
                        run: run.clone(),
                        name: face.name.clone(),
                        source: face.source.clone(),
                        id: container_id(group, index),
                        statistics: statistics(shell, one, (spec.cpus_milli, spec.mem)),
                        status: status(shell, &container, container_id(group, index), &held.addresses),
                    });
                }
                containers.push(container);
            }
        }
        let id = v1::ContainerId { value: run.container.clone(), parent: None };
        all.push(Figure {
            statistics: statistics(shell, &containers, limits),
            status: status(shell, &held.run.container, id.clone(), &held.addresses),
            run,
            name: face.name,
            source: face.source,
            id,
        });
    }
    for group in saved.groups().values().filter(|group| !group.is_terminal() && group.executor().is_none()) {
        let Some(run) = Run::of_group(group) else { continue };
        let face = face(shell, &run, &[group]);
        let own = &group.launch.allocation;
        let addresses =
            group.statuses.first().and_then(Option::as_ref).map(|status| status.addresses.clone());
        let id = container_id(group, 0);
        let container = group.container(0);
        all.push(Figure {
            statistics: statistics(shell, std::slice::from_ref(&container), (own.cpus_milli, own.mem)),
            status: status(shell, &container, id.clone(), &addresses.unwrap_or_default()),
            run,
            name: face.name,
            source: face.source,
            id,
        });
    }
    all
}

/// What some containers use together; None: it is not known (yet). Limits in thousandths of a CPU and bytes.
fn statistics(
    shell: &Shell,
    containers: &[InstanceId],
    limits: (u64, u64),
) -> Option<v1::ResourceStatistics> {
    let samples: Vec<_> = containers.iter().filter_map(|one| shell.metering.newest(one)).collect();
    let at = samples.iter().map(|sample| sample.at).max()?;
    let cpu_ms: u64 = samples.iter().map(|sample| sample.cpu_ms).sum();
    let mem: u64 = samples.iter().map(|sample| sample.mem).sum();
    let pids: u32 = samples.iter().map(|sample| sample.pids).sum();
    Some(v1::ResourceStatistics {
        timestamp: at.0 as f64 / 1_000.0,
        processes: Some(pids),
        threads: Some(pids),
        // Not told apart; all of it counts as the program's own.
        cpus_user_time_secs: Some(from_milli(cpu_ms)),
        cpus_system_time_secs: Some(0.0),
        cpus_limit: Some(from_milli(limits.0)),
        cpus_nr_periods: Some(0),
        cpus_nr_throttled: Some(0),
        cpus_throttled_time_secs: Some(0.0),
        mem_total_bytes: Some(mem),
        mem_limit_bytes: Some(limits.1),
        mem_rss_bytes: Some(mem),
        mem_anon_bytes: Some(mem),
        mem_cache_bytes: Some(0),
        mem_file_bytes: Some(0),
        mem_mapped_file_bytes: Some(0),
        ..v1::ResourceStatistics::default()
    })
}

fn status(
    shell: &Shell,
    container: &InstanceId,
    id: v1::ContainerId,
    addresses: &[String],
) -> v1::ContainerStatus {
    let machine = [shell.node.config().ip.clone()];
    let pid = shell.containers.client(container).map(|client| client.started().init.pid);
    v1::ContainerStatus {
        container_id: Some(id),
        network_infos: network_infos(if addresses.is_empty() { &machine } else { addresses }),
        executor_pid: pid.and_then(|pid| u32::try_from(pid).ok()),
        ..v1::ContainerStatus::default()
    }
}

/// `/containers`.
pub(super) fn containers(shell: &Shell, nested: bool) -> Value {
    let shown = |figure: &Figure| {
        let mut status = legacy::container_status(&figure.status);
        if let Some(pid) = figure.status.executor_pid {
            status["executor_pid"] = json!(pid);
        }
        let mut shown = json!({
            "container_id": figure.id.value,
            "executor_id": figure.run.executor,
            "executor_name": figure.name,
            "framework_id": figure.run.framework,
            "source": figure.source,
            "status": status,
        });
        if let Some(statistics) = &figure.statistics {
            shown["statistics"] = to_value(statistics);
        }
        shown
    };
    all(shell, nested).iter().map(shown).collect()
}

/// `/monitor/statistics`: the newest figures of each container.
pub(super) fn monitor(shell: &Shell) -> Value {
    let shown = |figure: Figure| {
        Some(json!({
            "executor_id": figure.run.executor,
            "executor_name": figure.name,
            "framework_id": figure.run.framework,
            "source": figure.source,
            "statistics": to_value(&figure.statistics?),
        }))
    };
    all(shell, false).into_iter().filter_map(shown).collect()
}
