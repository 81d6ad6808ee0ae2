//! `/state`: the agent and what it holds, in the shape of Mesos' older endpoints.

use super::about;
use super::places::Run;
use crate::agent::Shell;
use crate::agent_info::{self, CAPABILITIES};
use hansa_mesos::codec::{Codec, decode, to_value};
use hansa_mesos::legacy;
use hansa_mesos::proto::v1;
use hansa_mesos::resources::{from_milli, mib_of_bytes};
use hansa_mesos::status::{network_infos, seconds};
use hansa_model::framework::{Capability, ExecutorKind, FrameworkInfo, Part};
use hansa_model::resources::Allocation;
use hansa_model::task::TaskStatus;
use hansa_node::saved::SavedGroup;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that `/state` says.
pub(super) fn write(shell: &Shell) -> Value {
    let config = shell.node.config();
    let (frameworks, completed) = frameworks(shell);
    let own = agent_info::parts(config);
    let unreserved: Vec<Part> = own.iter().filter(|part| part.role().is_none()).cloned().collect();
    let mut state = json!({
        "version": agent_info::VERSION,
        "start_time": shell.started_at.0 as f64 / 1_000.0,
        "id": config.agent,
        "pid": format!("slave(1)@{}", config.address),
        "hostname": config.hostname,
        "capabilities": CAPABILITIES,
        "resources": legacy::resources_of(&own),
        "reserved_resources": legacy::reserved(&own),
        "unreserved_resources": legacy::unreserved(&own),
        "reserved_resources_full": legacy::reserved_full(&own),
        "unreserved_resources_full": legacy::full(&unreserved),
        "attributes": legacy::attributes(&config.attributes),
        "master_hostname": about::master_host(shell),
        "flags": about::flags(shell),
        "frameworks": frameworks,
        "completed_frameworks": completed,
        // What Mesos' agents do not say.
        "cluster": shell.node.saved().cluster(),
        "connected": shell.node.is_connected(),
        "region": config.region,
        "zone": config.zone,
        "missing_isolation": config.missing_isolation,
    });
    if let (Some(object), Value::Object(build)) = (state.as_object_mut(), about::version()) {
        object.extend(build);
    }
    state
}

/// One framework's executors.
#[derive(Default)]
struct Scene {
    info: Option<Arc<FrameworkInfo>>,
    executors: Vec<Value>,
    completed: Vec<Value>,
}

/// Groups that are held, and those that were.
pub(super) fn all_groups(shell: &Shell) -> impl Iterator<Item = &SavedGroup> {
    shell.node.past().iter().chain(shell.node.saved().groups().values())
}

/// Those that something runs of, and those that nothing runs of any more.
fn frameworks(shell: &Shell) -> (Vec<Value>, Vec<Value>) {
    let saved = shell.node.saved();
    let mut scenes: BTreeMap<String, Scene> = BTreeMap::new();
    for held in saved.executors().values() {
        let scene = scenes.entry(held.framework.id.to_string()).or_default();
        scene.info = Some(held.framework.clone());
        let run = Run::of_run(held.framework.id.as_str(), &held.run.id, &held.run.container);
        let of =
            |group: &&SavedGroup| group.executor().is_some_and(|own| own.container == held.run.container);
        let groups: Vec<&SavedGroup> = all_groups(shell).filter(of).collect();
        scene.executors.push(executor(shell, &run, &groups));
    }
    // An executor that has ended is told of as long as any of its tasks is remembered.
    let mut ended: BTreeMap<String, (Run, Vec<&SavedGroup>)> = BTreeMap::new();
    for group in all_groups(shell) {
        let Some(run) = Run::of_group(group) else { continue };
        let scene = scenes.entry(run.framework.clone()).or_default();
        scene.info = scene.info.take().or_else(|| Some(group.launch.framework.as_ref()?.framework.clone()));
        match group.executor() {
            Some(own) if saved.executors().contains_key(&own.container) => {}
            Some(_) => ended.entry(run.container.clone()).or_insert((run, Vec::new())).1.push(group),
            None if group.is_terminal() => scene.completed.push(executor(shell, &run, &[group])),
            None => scene.executors.push(executor(shell, &run, &[group])),
        }
    }
    for (run, groups) in ended.into_values() {
        if let Some(scene) = scenes.get_mut(&run.framework) {
            scene.completed.push(executor(shell, &run, &groups));
        }
    }
    let (present, past): (Vec<_>, Vec<_>) =
        scenes.into_iter().partition(|(_, scene)| !scene.executors.is_empty());
    let shown =
        |scenes: Vec<(String, Scene)>| scenes.into_iter().map(|(id, scene)| framework(&id, scene)).collect();
    (shown(present), shown(past))
}

fn framework(id: &str, scene: Scene) -> Value {
    let mut shown = json!({"id": id, "executors": scene.executors, "completed_executors": scene.completed});
    let more = match &scene.info {
        None => {
            json!({"name": id, "user": "", "failover_timeout": 0.0, "checkpoint": true, "role": "*", "hostname": ""})
        }
        Some(info) => {
            let names: Vec<Value> = info.capabilities.iter().map(|capability| json!(capability)).collect();
            let mut more = json!({
                "name": info.name,
                "user": info.user,
                "failover_timeout": from_milli(info.failover_timeout_ms),
                "checkpoint": info.checkpoint,
                "hostname": info.hostname,
                "capabilities": names,
            });
            let roles: Vec<&str> = info.roles.iter().map(|role| role.as_str()).collect();
            match info.can(Capability::MultiRole) {
                true => more["roles"] = json!(roles),
                false => more["role"] = json!(roles.first().copied().unwrap_or("*")),
            }
            if let Some(principal) = &info.principal {
                more["principal"] = json!(principal);
            }
            more
        }
    };
    if let (Some(object), Value::Object(more)) = (shown.as_object_mut(), more) {
        object.extend(more);
    }
    shown
}

/// What an executor is called and takes.
pub(super) struct Face {
    /// Its name.
    pub(super) name: String,
    /// Where it comes from.
    pub(super) source: String,
    /// What kind, if it has one.
    pub(super) kind: Option<&'static str>,
}

/// How an executor presents itself.
pub(super) fn face(shell: &Shell, run: &Run, groups: &[&SavedGroup]) -> Face {
    let executors = shell.node.saved().executors();
    let held = executors.get(run.container.as_str()).map(|held| held.run.clone());
    let own = held.or_else(|| groups.first()?.launch.framework.as_ref()?.executor.clone());
    if let Some(own) = own {
        let info = decode::<v1::ExecutorInfo>(Codec::Protobuf, own.info.bytes()).unwrap_or_default();
        let kind = match own.kind {
            ExecutorKind::Custom => "CUSTOM",
            ExecutorKind::Default => "DEFAULT",
        };
        return Face { name: info.name().to_owned(), source: info.source().to_owned(), kind: Some(kind) };
    }
    let group = groups.first();
    let framework = group.is_some_and(|group| group.launch.framework.is_some());
    let named = group.and_then(|group| group.launch.group.tasks.first()).map(|task| task.name.clone());
    let name = match framework {
        // As Mesos calls the executor that it makes for a command.
        true => format!("Command Executor (Task: {}) (Command: sh -c '...')", run.executor),
        false => named.unwrap_or_default(),
    };
    Face { name, source: run.executor.clone(), kind: None }
}

fn executor(shell: &Shell, run: &Run, groups: &[&SavedGroup]) -> Value {
    let face = face(shell, run, groups);
    let (mut live, mut queued, mut done) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        for index in 0..group.launch.tasks.len() {
            let status = group.statuses.get(index).and_then(Option::as_ref);
            let shown = task(shell, group, index);
            match status {
                Some(status) if status.state.is_terminal() => done.push(shown),
                None if group.executor().is_some() && !group.delivered => queued.push(shown),
                _ => live.push(shown),
            }
        }
    }
    let ours = groups.iter().all(|group| group.launch.framework.is_none());
    let directory = match ours {
        // Where the files really are: of a service everybody may know.
        true => shell.node.config().sandbox(&run.sandbox.as_str().into()),
        false => run.directory(shell),
    };
    let mut shown = json!({
        "id": run.executor,
        "name": face.name,
        "source": face.source,
        "container": run.container,
        "directory": directory,
        "resources": executor_resources(shell, run, groups),
        "tasks": live,
        "queued_tasks": queued,
        "completed_tasks": done,
    });
    if let Some(kind) = face.kind {
        shown["type"] = json!(kind);
    }
    if let Some(group) = groups.first() {
        shown["role"] = json!(group.launch.role);
    }
    shown
}

fn executor_resources(shell: &Shell, run: &Run, groups: &[&SavedGroup]) -> Value {
    let own = shell.node.saved().executors().get(run.container.as_str());
    let own = own.map(|held| held.run.clone());
    let own = own.or_else(|| groups.first()?.launch.framework.as_ref()?.executor.clone());
    let mut parts: Vec<Part> = own.map(|own| own.parts.clone()).unwrap_or_default();
    let mut others: Vec<&Allocation> = Vec::new();
    for group in groups.iter().filter(|group| !group.is_terminal()) {
        match &group.launch.framework {
            Some(of) => parts.extend(of.tasks.iter().flat_map(|task| task.parts.clone())),
            None => others.push(&group.launch.allocation),
        }
    }
    match others.first() {
        Some(own) => allocation(own),
        None => legacy::resources_of(&parts),
    }
}

fn allocation(own: &Allocation) -> Value {
    let ports: hansa_model::resources::PortSet =
        hansa_model::resources::PortSet::from_ranges(own.ports.iter().map(|port| (*port, *port)));
    let mut shown = json!({
        "cpus": from_milli(own.cpus_milli),
        "mem": mib_of_bytes(own.mem),
        "disk": mib_of_bytes(own.disk),
        "gpus": own.gpus.len() as f64,
    });
    if !ports.is_empty() {
        shown["ports"] = json!(legacy::ranges(&ports));
    }
    shown
}

/// One task.
fn task(shell: &Shell, group: &SavedGroup, index: usize) -> Value {
    let launch = &group.launch;
    let config = shell.node.config();
    let status = group.statuses.get(index).and_then(Option::as_ref);
    let state = status.map_or("TASK_STAGING", |status| status.state.name());
    let statuses: Vec<Value> =
        status.iter().map(|status| told(config.ip.as_str(), group, index, status)).collect();
    let mut shown = json!({
        "slave_id": config.agent,
        "state": state,
        "role": launch.role,
        "statuses": statuses,
    });
    let more = match launch.framework.as_ref().and_then(|of| Some((of, of.tasks.get(index)?))) {
        Some((of, task)) => {
            let mut more = json!({
                "id": task.id,
                "name": task.name,
                "framework_id": of.framework.id,
                "executor_id": of.executor.as_ref().map(|run| run.id.as_str()).unwrap_or_default(),
                "resources": legacy::resources_of(&task.parts),
            });
            // Checked when it came; what cannot be read is not shown.
            if let Ok(info) = decode::<v1::TaskInfo>(Codec::Protobuf, task.info.bytes()) {
                said(&mut more, &info, &of.framework);
            }
            more
        }
        None => json!({
            "id": launch.tasks[index],
            "name": launch.group.tasks[index].name,
            "framework_id": launch.owner,
            "executor_id": "",
            "resources": allocation(&launch.allocation),
        }),
    };
    if let (Some(object), Value::Object(more)) = (shown.as_object_mut(), more) {
        object.extend(more);
    }
    shown
}

/// What a framework said of a task.
fn said(shown: &mut Value, info: &v1::TaskInfo, framework: &FrameworkInfo) {
    if let Some(labels) = &info.labels {
        shown["labels"] = legacy::labels(labels);
    }
    if let Some(discovery) = &info.discovery {
        shown["discovery"] = to_value(discovery);
    }
    if let Some(container) = &info.container {
        shown["container"] = to_value(container);
    }
    if let Some(check) = &info.health_check {
        shown["health_check"] = to_value(check);
    }
    if !info.limits.is_empty() {
        shown["limits"] = legacy::limits(&info.limits);
    }
    let of_executor = info.executor.as_ref().and_then(|executor| executor.command.as_ref());
    let user = info.command.as_ref().or(of_executor).and_then(|command| command.user.clone());
    shown["user"] = json!(user.unwrap_or_else(|| framework.user.clone()));
}

fn told(machine: &str, group: &SavedGroup, index: usize, status: &TaskStatus) -> Value {
    let mut shown = Map::new();
    shown.insert("state".into(), json!(status.state.name()));
    shown.insert("timestamp".into(), json!(seconds(status.at)));
    if let Some(healthy) = status.healthy {
        shown.insert("healthy".into(), json!(healthy));
    }
    let machine = [machine.to_owned()];
    let addresses = if status.addresses.is_empty() { &machine[..] } else { &status.addresses[..] };
    let container = v1::ContainerStatus {
        container_id: Some(container_id(group, index)),
        network_infos: network_infos(addresses),
        ..v1::ContainerStatus::default()
    };
    shown.insert("container_status".into(), legacy::container_status(&container));
    Value::Object(shown)
}

/// A task's container, below its executor's if it has one.
pub(super) fn container_id(group: &SavedGroup, index: usize) -> v1::ContainerId {
    let value = group.container(index).to_string();
    let parent = group
        .executor()
        .filter(|_| group.is_pod())
        .map(|run| Box::new(v1::ContainerId { value: run.container.to_string(), parent: None }));
    v1::ContainerId { value, parent }
}
