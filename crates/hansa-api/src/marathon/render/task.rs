//! Tasks.

use hansa_model::app::AppVersion;
use hansa_model::event::{AgentView, TaskView};
use hansa_model::spec::Origin;
use hansa_model::task::{CheckResult, HealthResult};
use hansa_model::{AgentId, AppId, InstanceId, Timestamp};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What a task's picture takes from elsewhere.
pub trait World {
    /// A machine.
    fn agent(&self, id: &AgentId) -> Option<Arc<AgentView>>;
    /// A stored version of an app.
    fn version(&self, app: &AppId, version: Timestamp) -> Option<Arc<AppVersion>>;
}

/// The app that a task belongs to, and of which version it is; None for tasks of frameworks.
pub fn app_of(task: &TaskView) -> Option<(&AppId, Timestamp)> {
    match &task.origin {
        Origin::App { id, version } => Some((id, *version)),
        Origin::Framework => None,
    }
}

/// A task, as listings and apps show it.
pub fn task(view: &TaskView, world: &dyn World) -> Value {
    let mut task = Map::new();
    let mut put = |name: &str, value: Value| drop(task.insert(name.to_owned(), value));
    let agent = world.agent(&view.agent);
    put("id", json!(view.status.task));
    if let Some((app, version)) = app_of(view) {
        put("appId", json!(app));
        put("version", json!(version.to_rfc3339()));
        if let Some(version) = world.version(app, version) {
            let ports: Vec<u16> = version.spec.ports.iter().map(|port| port.port).collect();
            put("servicePorts", json!(ports));
        }
    }
    put("host", json!(view.hostname));
    put("slaveId", json!(view.agent));
    put("state", json!(view.status.state.name()));
    put("ports", json!(view.allocation.ports));
    put("stagedAt", json!(view.staged_at.to_rfc3339()));
    if let Some(started) = view.started_at {
        put("startedAt", json!(started.to_rfc3339()));
    }
    put("role", json!(view.role));
    if let Some(addresses) = addresses(view, agent.as_deref()) {
        put("ipAddresses", addresses);
    }
    if let Some(agent) = agent {
        if let Some(region) = &agent.region {
            put("region", json!(region));
        }
        if let Some(zone) = &agent.zone {
            put("zone", json!(zone));
        }
    }
    // Results appear with the first verdict.
    let results: Vec<Value> = view
        .status
        .health
        .iter()
        .filter(|result| result.alive.is_some() || result.last_failure.is_some())
        .map(|result| health_result(result, &view.instance))
        .collect();
    if !results.is_empty() {
        put("healthCheckResults", Value::Array(results));
    }
    if let Some(result) = view.status.check {
        put("checkResult", check_result(result));
    }
    Value::Object(task)
}

/// A task's own addresses, or its machine's where it shares the machine's network; None: the machine is not known.
pub fn addresses(view: &TaskView, agent: Option<&AgentView>) -> Option<Value> {
    let shown = |ip: IpAddr| json!({"ipAddress": ip.to_string(), "protocol": if ip.is_ipv4() { "IPv4" } else { "IPv6" }});
    if !view.status.addresses.is_empty() {
        return Some(view.status.addresses.iter().filter_map(|text| text.parse().ok()).map(shown).collect());
    }
    let address = &agent?.address;
    let ip = address.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| address.parse());
    Some(ip.into_iter().map(shown).collect())
}

fn health_result(result: &HealthResult, instance: &InstanceId) -> Value {
    let mut shown = json!({
        "alive": result.alive.unwrap_or(false),
        "consecutiveFailures": result.consecutive_failures,
        "instanceId": instance,
    });
    for (name, time) in [
        ("firstSuccess", result.first_success),
        ("lastSuccess", result.last_success),
        ("lastFailure", result.last_failure),
    ] {
        if let Some(time) = time {
            shown[name] = json!(time.to_rfc3339());
        }
    }
    if let Some(cause) = &result.last_failure_cause {
        shown["lastFailureCause"] = json!(cause);
    }
    shown
}

fn check_result(result: CheckResult) -> Value {
    match result {
        CheckResult::Silent => json!({}),
        CheckResult::HttpStatus(code) => json!({"http": {"statusCode": code}}),
        CheckResult::Connected(succeeded) => json!({"tcp": {"succeeded": succeeded}}),
        CheckResult::ExitCode(code) => json!({"command": {"exitCode": code}}),
    }
}

/// What the readiness checks of some tasks said last.
pub fn readiness<'a>(tasks: impl IntoIterator<Item = &'a TaskView>) -> Value {
    let of = |task: &'a TaskView| task.status.readiness.iter().map(move |result| (task, result));
    let shown = tasks.into_iter().flat_map(of).map(|(task, result)| {
        let mut shown = json!({"name": result.name, "taskId": task.status.task, "ready": result.ready});
        if let Some(response) = &result.last_response {
            shown["lastResponse"] = json!({
                "status": response.status, "contentType": response.content_type, "body": response.body
            });
        }
        shown
    });
    shown.collect()
}
