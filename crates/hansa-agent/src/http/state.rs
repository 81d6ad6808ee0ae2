//! What the agent is and holds, in Mesos' shapes, and the tasks' figures.

use super::{Context, error};
use crate::agent::Shell;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansa_model::TaskId;
use hansa_model::resources::{MIB, Resources};
use hansa_node::saved::SavedGroup;
use serde_json::{Value, json};

/// `/state`: the agent and the groups it holds, ended ones apart.
pub(super) async fn state(State(context): State<Context>) -> Response {
    match context.ask(describe).await {
        Ok(value) => Json(value).into_response(),
        Err(response) => response,
    }
}

fn describe(shell: &Shell) -> Value {
    let config = shell.node.config();
    let groups = || shell.node.saved().groups().values();
    let mut owners: Vec<&str> = groups().map(|group| group.launch.owner.as_str()).collect();
    owners.sort_unstable();
    owners.dedup();
    let frameworks: Vec<Value> = owners
        .iter()
        .map(|owner| {
            let own = |ended: bool| -> Vec<Value> {
                groups()
                    .filter(|group| group.launch.owner.as_str() == *owner && group.is_terminal() == ended)
                    .map(|group| executor(shell, group))
                    .collect()
            };
            json!({"id": owner, "name": owner, "executors": own(false), "completed_executors": own(true)})
        })
        .collect();
    json!({
        "id": config.agent,
        "pid": format!("slave(1)@{}", config.address),
        "hostname": config.hostname,
        "version": config.version,
        "cluster": shell.node.saved().cluster(),
        "connected": shell.node.is_connected(),
        "resources": resources(&config.resources),
        "attributes": config.attributes,
        "region": config.region,
        "zone": config.zone,
        "missing_isolation": config.missing_isolation,
        "frameworks": frameworks,
        "completed_frameworks": [],
    })
}

fn executor(shell: &Shell, group: &SavedGroup) -> Value {
    let config = shell.node.config();
    let tasks: Vec<Value> = group
        .launch
        .tasks
        .iter()
        .zip(&group.launch.group.tasks)
        .zip(&group.statuses)
        .map(|((id, spec), status)| {
            json!({
                "id": id,
                "name": spec.name,
                "framework_id": group.launch.owner,
                "slave_id": config.agent,
                "state": status.as_ref().map_or("TASK_STAGING", |status| status.state.name()),
                "statuses": status.iter().map(|status| json!({
                    "state": status.state, "timestamp": status.at.0 as f64 / 1000.0, "healthy": status.healthy,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let id = group.launch.tasks.first().map(TaskId::as_str).unwrap_or_default();
    let own = &group.launch.allocation;
    json!({
        "id": id,
        "name": group.launch.group.tasks.first().map(|task| task.name.as_str()).unwrap_or_default(),
        "source": id,
        "container": group.launch.instance,
        "directory": config.sandbox(&TaskId::from(id)),
        "resources": {
            "cpus": own.cpus_milli as f64 / 1000.0,
            "mem": own.mem / MIB,
            "disk": own.disk / MIB,
            "gpus": own.gpus.len(),
            "ports": own.ports,
        },
        "tasks": tasks,
    })
}

fn resources(resources: &Resources) -> Value {
    let ports: Vec<String> =
        resources.ports.ranges().iter().map(|(low, high)| format!("{low}-{high}")).collect();
    json!({
        "cpus": resources.cpus_milli as f64 / 1000.0,
        "mem": resources.mem / MIB,
        "disk": resources.disk / MIB,
        "gpus": resources.gpus.len(),
        "ports": format!("[{}]", ports.join(", ")),
    })
}

/// `/monitor/statistics`: the newest figures of each running task.
pub(super) async fn statistics(State(context): State<Context>) -> Response {
    let all = context.ask(|shell| {
        let groups = shell.node.saved().groups().values().filter(|group| !group.is_terminal());
        groups.filter_map(|group| figures(shell, group)).collect::<Vec<Value>>()
    });
    match all.await {
        Ok(all) => Json(all).into_response(),
        Err(response) => response,
    }
}

fn figures(shell: &Shell, group: &SavedGroup) -> Option<Value> {
    let id = group.launch.tasks.first()?;
    let sample = shell.metering.newest(&group.container(0))?;
    let own = &group.launch.allocation;
    Some(json!({
        "executor_id": id,
        "executor_name": group.launch.group.tasks.first().map(|task| task.name.as_str()).unwrap_or_default(),
        "framework_id": group.launch.owner,
        "source": id,
        "statistics": {
            "timestamp": sample.at.0 as f64 / 1000.0,
            "cpus_limit": own.cpus_milli as f64 / 1000.0,
            // Not told apart; all of it counts as the program's own.
            "cpus_user_time_secs": sample.cpu_ms as f64 / 1000.0,
            "cpus_system_time_secs": 0.0,
            "mem_limit_bytes": own.mem,
            "mem_rss_bytes": sample.mem,
            "mem_total_bytes": sample.mem,
            "disk_limit_bytes": own.disk,
            "processes": sample.pids,
            "threads": sample.pids,
        },
    }))
}

/// `/hansa/v1/tasks/{id}/usage`: what a task used lately.
pub(super) async fn usage(State(context): State<Context>, Path(task): Path<String>) -> Response {
    let id = TaskId::from(task);
    let asked = id.clone();
    let answer = context.ask(move |shell| {
        shell.node.group_of(&asked).map(|group| {
            let index = group.launch.tasks.iter().position(|task| *task == asked).unwrap_or(0);
            let own = &group.launch.allocation;
            json!({
                "task": asked,
                "limits": {"cpus_milli": own.cpus_milli, "mem": own.mem},
                "samples": shell.metering.history(&group.container(index)),
            })
        })
    });
    match answer.await {
        Ok(Some(value)) => Json(value).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, "not-found", &format!("task {id} is not on this agent")),
        Err(response) => response,
    }
}
