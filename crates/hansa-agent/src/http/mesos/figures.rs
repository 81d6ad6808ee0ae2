//! Containers and what they use: `/containers` and `/monitor/statistics`.

use super::disk::Used;
use super::places::Run;
use super::state::{container_id, face};
use crate::agent::Shell;
use crate::cgroup::Detail;
use crate::network::counters::Counters;
use crate::shim::Client;
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
    /// Its sandbox, below the directory of all.
    pub(super) sandbox: String,
    /// Which one.
    pub(super) id: v1::ContainerId,
    /// What it uses.
    pub(super) statistics: v1::ResourceStatistics,
    /// How it is.
    pub(super) status: v1::ContainerStatus,
}

/// The sandboxes of all containers, below the directory of all sandboxes.
pub(super) fn sandboxes(shell: &Shell) -> Vec<String> {
    let all = all(shell, true, &Used::new());
    all.iter().map(|figure| figure.sandbox.clone()).collect()
}

/// Every container; with those inside of others if `nested`. `used`: what sandboxes take on disk, as far as it is known.
pub(super) fn all(shell: &Shell, nested: bool, used: &Used) -> Vec<Figure> {
    let mut all = without_disk(shell, nested);
    for figure in &mut all {
        figure.statistics.disk_used_bytes = used.get(&figure.sandbox).copied();
    }
    all
}

fn without_disk(shell: &Shell, nested: bool) -> Vec<Figure> {
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
        let own = &held.run.allocation;
        let mut limits = (own.cpus_milli, own.mem, own.disk);
        for group in live {
            limits.0 += group.launch.allocation.cpus_milli;
            limits.1 += group.launch.allocation.mem;
            limits.2 += group.launch.allocation.disk;
            for index in (0..group.launch.tasks.len()).filter(|_| group.is_pod()) {
                let container = group.container(index);
                let spec = &group.launch.group.tasks[index].demand;
                if nested && shell.containers.client(&container).is_some() {
                    let one = std::slice::from_ref(&container);
                    let of = group.launch.framework.as_ref().and_then(|of| of.tasks.get(index));
                    let task = of.map(|task| task.id.as_str()).unwrap_or_default();
                    all.push(Figure {
                        sandbox: format!("{}/tasks/{task}", run.sandbox),
                        run: run.clone(),
                        name: face.name.clone(),
                        source: face.source.clone(),
                        id: container_id(group, index),
                        statistics: statistics(shell, one, (spec.cpus_milli, spec.mem, spec.disk)),
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
            sandbox: run.sandbox.clone(),
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
            statistics: statistics(
                shell,
                std::slice::from_ref(&container),
                (own.cpus_milli, own.mem, own.disk),
            ),
            status: status(shell, &container, id.clone(), &addresses.unwrap_or_default()),
            sandbox: run.sandbox.clone(),
            run,
            name: face.name,
            source: face.source,
            id,
        });
    }
    all
}

/// What some containers use together, as it is now. Limits in thousandths of a CPU, bytes of memory, and bytes of disk.
fn statistics(shell: &Shell, containers: &[InstanceId], limits: (u64, u64, u64)) -> v1::ResourceStatistics {
    let clients: Vec<_> = containers.iter().filter_map(|one| shell.containers.client(one)).collect();
    let detail = |client: &&Client| {
        let started = client.started();
        shell.driver.as_ref().map(|driver| driver.container(&started.agent, started.cgroup()).detail())
    };
    let used = clients.iter().filter_map(detail).fold(Detail::default(), Detail::and);
    let samples = containers.iter().filter_map(|one| shell.metering.newest(one));
    let pids: u32 = samples.map(|sample| sample.pids).sum();
    // They share one network, if they have one of their own.
    let network = clients.iter().find_map(|client| Counters::of(client.started().init.pid));
    let received = |at: usize| network.map(|counted| counted.received[at]);
    let sent = |at: usize| network.map(|counted| counted.sent[at]);
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    v1::ResourceStatistics {
        timestamp: shell.clock.now().0 as f64 / 1_000.0,
        processes: Some(pids),
        threads: Some(pids),
        cpus_user_time_secs: Some(from_milli(used.user_ms)),
        cpus_system_time_secs: Some(from_milli(used.system_ms)),
        cpus_limit: Some(from_milli(limits.0)),
        cpus_nr_periods: Some(count(used.periods)),
        cpus_nr_throttled: Some(count(used.throttled)),
        cpus_throttled_time_secs: Some(from_milli(used.throttled_ms)),
        mem_total_bytes: Some(used.total_bytes),
        mem_limit_bytes: Some(limits.1),
        mem_rss_bytes: Some(used.anon_bytes),
        mem_anon_bytes: Some(used.anon_bytes),
        mem_cache_bytes: Some(used.file_bytes),
        mem_file_bytes: Some(used.file_bytes),
        mem_mapped_file_bytes: Some(used.mapped_bytes),
        mem_unevictable_bytes: Some(used.unevictable_bytes),
        disk_limit_bytes: Some(limits.2),
        net_rx_bytes: received(0),
        net_rx_packets: received(1),
        net_rx_errors: received(2),
        net_rx_dropped: received(3),
        net_tx_bytes: sent(0),
        net_tx_packets: sent(1),
        net_tx_errors: sent(2),
        net_tx_dropped: sent(3),
        ..v1::ResourceStatistics::default()
    }
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
pub(super) fn containers(shell: &Shell, nested: bool, used: &Used) -> Value {
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
        shown["statistics"] = to_value(&figure.statistics);
        shown
    };
    all(shell, nested, used).iter().map(shown).collect()
}

/// `/monitor/statistics`: the newest figures of each container.
pub(super) fn monitor(shell: &Shell, used: &Used) -> Value {
    let shown = |figure: Figure| {
        json!({
            "executor_id": figure.run.executor,
            "executor_name": figure.name,
            "framework_id": figure.run.framework,
            "source": figure.source,
            "statistics": to_value(&figure.statistics),
        })
    };
    all(shell, false, used).into_iter().map(shown).collect()
}
