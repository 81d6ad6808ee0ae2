//! What `/v2/events` carries: Marathon's events, derived from what the cluster publishes.
//!
//! One [`Translator`] follows the published events in order and turns each into no, one or several frames; the frames are
//! the same for all subscribers, so they are written once. Events that Marathon does not have are never sent here: its
//! clients fail on unknown types. What was only restored after a restart is not news and makes no frames.

use super::render::{app, deployment, task};
use hansa_model::app::{AppVersion, HealthCheck};
use hansa_model::event::{DeploymentChange, DeploymentView, Event, Published, TaskChange, TaskView};
use hansa_model::task::TaskState;
use hansa_model::{AppId, TaskId, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One event as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Marathon's name of it; the `event:` line.
    pub kind: &'static str,
    /// The `data:` line: JSON without line breaks.
    pub data: Arc<str>,
    /// The same for subscribers that asked for `plan-format=light`, if it differs.
    pub light: Option<Arc<str>>,
}

impl Frame {
    fn new(kind: &'static str, at: Timestamp, mut fields: Value) -> Self {
        fields["eventType"] = json!(kind);
        fields["timestamp"] = json!(at.to_rfc3339());
        Self { kind, data: fields.to_string().into(), light: None }
    }

    /// With a deployment's plan, in both forms.
    fn with_plan(kind: &'static str, at: Timestamp, view: &DeploymentView, mut fields: Value) -> Self {
        fields["plan"] = deployment::light_plan(view);
        let light = Self::new(kind, at, fields.clone());
        fields["plan"] = deployment::plan(view);
        Self { light: Some(light.data), ..Self::new(kind, at, fields) }
    }

    /// The first event of every stream.
    pub fn attached(at: Timestamp, remote_address: &str) -> Self {
        Self::new("event_stream_attached", at, json!({"remoteAddress": remote_address}))
    }

    /// A subscriber left.
    pub fn detached(at: Timestamp, remote_address: &str) -> Self {
        Self::new("event_stream_detached", at, json!({"remoteAddress": remote_address}))
    }

    /// A change of apps or groups was refused after it was understood; `group` is where.
    pub fn change_failed(at: Timestamp, group: &str, reason: &str) -> Self {
        let fields = json!({"groupId": group, "version": at.to_rfc3339(), "reason": reason});
        Self::new("group_change_failed", at, fields)
    }

    /// A client created or changed an app.
    pub fn api_post(at: Timestamp, client_ip: &str, uri: &str, definition: &AppVersion) -> Self {
        let fields = json!({"clientIp": client_ip, "uri": uri, "appDefinition": app::version(definition)});
        Self::new("api_post_event", at, fields)
    }
}

/// What the translator looks up; as of the published commit or later.
pub trait Lookup: task::World {
    /// A task.
    fn task(&self, id: &TaskId) -> Option<Arc<TaskView>>;
}

/// Follows the published events. Remembers the health checks of each app that has any, and nothing else.
#[derive(Debug, Default)]
pub struct Translator {
    checks: BTreeMap<AppId, (Timestamp, Vec<HealthCheck>)>,
}

impl Translator {
    /// Learns an app as it stands, so that only what changes from here on is news.
    pub fn know(&mut self, current: &AppVersion) {
        if !current.spec.health_checks.is_empty() {
            let known = (current.version, current.spec.health_checks.clone());
            self.checks.insert(current.spec.id.clone(), known);
        }
    }

    /// Takes a commit in without making frames of it: cheap, for while nobody listens.
    pub fn follow(&mut self, published: &Published) {
        for event in &published.events {
            match event {
                Event::App(view) => {
                    self.checks.remove(&view.current.spec.id);
                    self.know(&view.current);
                }
                Event::AppRemoved(id) => drop(self.checks.remove(id)),
                _ => {}
            }
        }
    }

    /// The frames of one commit, in order.
    pub fn translate(&mut self, published: &Published, lookup: &dyn Lookup) -> Vec<Frame> {
        let mut frames = Vec::new();
        for event in &published.events {
            self.event(event, published.at, lookup, &mut frames);
        }
        frames
    }

    fn event(&mut self, event: &Event, at: Timestamp, lookup: &dyn Lookup, frames: &mut Vec<Frame>) {
        match event {
            Event::Task { view, change } => task_changed(view, *change, at, lookup, frames),
            Event::UnhealthyKill { task, reason } => {
                frames.extend(lookup.task(task).and_then(|view| unhealthy_kill(&view, reason, at)));
            }
            Event::GivenUpEnded { instance, state } => {
                // The app may be gone, but its id stands in the instance's.
                let stem = instance.as_str().rsplit_once(".instance-").map_or("", |(stem, _)| stem);
                let app = format!("/{}", stem.replace('_', "/"));
                let fields =
                    json!({"instanceId": instance, "runSpecId": app, "condition": condition(*state)});
                frames.push(Frame::new("unknown_instance_terminated_event", at, fields));
            }
            Event::App(view) => self.app_changed(&view.current, at, frames),
            Event::AppRemoved(id) => {
                if self.checks.remove(id).is_some() {
                    frames.push(Frame::new("remove_health_check_event", at, json!({"appId": id})));
                }
                frames.push(Frame::new("app_terminated_event", at, json!({"appId": id})));
            }
            Event::Deployment { view, change } => deployment_changed(view, change, at, frames),
            Event::Agent(_)
            | Event::AgentRemoved(_)
            | Event::TaskRemoved(_)
            | Event::AppVersion(_)
            | Event::AppVersionDropped(..)
            | Event::AppRemoval(..)
            | Event::AppRemovalDropped(..)
            | Event::Group(_)
            | Event::GroupVersionDropped(..)
            | Event::Role(_)
            | Event::Maintenance(_)
            | Event::Framework(_)
            | Event::FrameworkRemoved(_)
            | Event::Executor(_)
            | Event::ExecutorRemoved(_)
            | Event::Offer(_)
            | Event::OfferEnded { .. }
            | Event::Alarm { .. } => {}
        }
    }

    /// Checks that are new, and checks that are gone.
    fn app_changed(&mut self, current: &AppVersion, at: Timestamp, frames: &mut Vec<Frame>) {
        let id = &current.spec.id;
        let checks = &current.spec.health_checks;
        let before = self.checks.get(id);
        if before.is_some_and(|(version, _)| *version == current.version)
            || (before.is_none() && checks.is_empty())
        {
            return;
        }
        let before = before.map(|(_, checks)| checks.as_slice()).unwrap_or_default();
        if before.iter().any(|check| !checks.contains(check)) {
            frames.push(Frame::new("remove_health_check_event", at, json!({"appId": id})));
        }
        for check in checks.iter().filter(|check| !before.contains(check)) {
            let fields = json!({
                "appId": id,
                "version": current.version.to_rfc3339(),
                "healthCheck": app::health_check(check),
            });
            frames.push(Frame::new("add_health_check_event", at, fields));
        }
        if checks.is_empty() {
            self.checks.remove(id);
        } else {
            self.checks.insert(id.clone(), (current.version, checks.clone()));
        }
    }
}

fn task_changed(
    view: &TaskView,
    change: TaskChange,
    at: Timestamp,
    lookup: &dyn Lookup,
    frames: &mut Vec<Frame>,
) {
    let Some((app, version)) = task::app_of(view) else { return };
    let version_text = version.to_rfc3339();
    let instance_changed = |condition: &str| {
        Frame::new(
            "instance_changed_event",
            at,
            json!({
                "instanceId": view.instance,
                "condition": condition,
                "runSpecId": app,
                "agentId": view.agent,
                "host": view.hostname,
                "runSpecVersion": version_text,
            }),
        )
    };
    match change {
        TaskChange::Restored => {}
        TaskChange::Placed => frames.push(instance_changed("Provisioned")),
        TaskChange::State => {
            let addresses = task::addresses(view, lookup.agent(&view.agent).as_deref());
            let mut fields = json!({
                "slaveId": view.agent,
                "taskId": view.status.task,
                "taskStatus": view.status.state.name(),
                "message": view.status.message,
                "appId": app,
                "host": view.hostname,
                "ipAddresses": addresses.unwrap_or_else(|| json!([])),
                "ports": view.allocation.ports,
                "version": version_text,
            });
            // More than Marathon says, and clients take it: which limit a task broke, for one.
            if let Some(reason) = view.status.reason {
                fields["reason"] = json!(reason.name());
            }
            frames.push(Frame::new("status_update_event", at, fields));
            frames.push(instance_changed(condition(view.status.state)));
            if view.status.state == TaskState::Killing && view.status.healthy.is_some() {
                // It leaves the healthy ones before it gets its SIGTERM.
                let fields = json!({"appId": app, "instanceId": view.instance, "version": version_text, "alive": false});
                frames.push(Frame::new("health_status_changed_event", at, fields));
                let fields = json!({
                    "instanceId": view.instance, "runSpecId": app, "runSpecVersion": version_text, "healthy": false
                });
                frames.push(Frame::new("instance_health_changed_event", at, fields));
            }
        }
        TaskChange::Health => health_changed(view, app, version, at, lookup, frames),
    }
}

fn health_changed(
    view: &TaskView,
    app: &AppId,
    version: Timestamp,
    at: Timestamp,
    lookup: &dyn Lookup,
    frames: &mut Vec<Frame>,
) {
    let version_text = version.to_rfc3339();
    let spec = lookup.version(app, version);
    let checks = spec.as_ref().map(|version| version.spec.health_checks.as_slice()).unwrap_or_default();
    for (check, result) in checks.iter().zip(&view.status.health) {
        if result.alive == Some(false) {
            let fields = json!({
                "appId": app,
                "taskId": view.status.task,
                "instanceId": view.instance,
                "healthCheck": app::health_check(check),
            });
            frames.push(Frame::new("failed_health_check_event", at, fields));
        }
    }
    if let Some(alive) = view.status.healthy {
        let fields =
            json!({"appId": app, "instanceId": view.instance, "version": version_text, "alive": alive});
        frames.push(Frame::new("health_status_changed_event", at, fields));
    }
    let mut fields = json!({"instanceId": view.instance, "runSpecId": app, "runSpecVersion": version_text});
    if let Some(healthy) = view.status.healthy {
        fields["healthy"] = json!(healthy);
    }
    frames.push(Frame::new("instance_health_changed_event", at, fields));
}

fn unhealthy_kill(view: &TaskView, reason: &str, at: Timestamp) -> Option<Frame> {
    let (app, version) = task::app_of(view)?;
    let fields = json!({
        "appId": app,
        "taskId": view.status.task,
        "instanceId": view.instance,
        "version": version.to_rfc3339(),
        "reason": reason,
        "host": view.hostname,
        "slaveId": view.agent,
    });
    Some(Frame::new("unhealthy_instance_kill_event", at, fields))
}

/// Marathon's name of an instance's condition.
fn condition(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "Staging",
        TaskState::Starting => "Starting",
        TaskState::Running => "Running",
        TaskState::Killing => "Killing",
        TaskState::Unreachable => "Unreachable",
        TaskState::Finished => "Finished",
        TaskState::Failed => "Failed",
        TaskState::Killed => "Killed",
        TaskState::Error => "Error",
        TaskState::Dropped => "Dropped",
        TaskState::Gone | TaskState::GoneByOperator => "Gone",
        TaskState::Unknown => "Unknown",
    }
}

fn deployment_changed(
    view: &DeploymentView,
    change: &DeploymentChange,
    at: Timestamp,
    frames: &mut Vec<Frame>,
) {
    let step = |index: usize| deployment::step(view.steps.get(index).map(Vec::as_slice).unwrap_or_default());
    let mut push = |kind, fields| frames.push(Frame::with_plan(kind, at, view, fields));
    match change {
        DeploymentChange::Started => {
            let fields = json!({"groupId": "/", "version": view.version.to_rfc3339()});
            frames.push(Frame::new("group_change_success", at, fields));
        }
        DeploymentChange::StepStarted => {
            push("deployment_info", json!({"currentStep": step(view.current_step)}))
        }
        DeploymentChange::StepSucceeded => {
            let done = view.current_step.saturating_sub(1);
            push("deployment_step_success", json!({"currentStep": step(done)}));
        }
        DeploymentChange::Succeeded => push("deployment_success", json!({"id": view.id})),
        DeploymentChange::Failed(reason) => {
            if view.current_step < view.steps.len() {
                push("deployment_step_failure", json!({"currentStep": step(view.current_step)}));
            }
            push("deployment_failed", json!({"id": view.id, "reason": reason}));
        }
        DeploymentChange::Progress
        | DeploymentChange::Paused
        | DeploymentChange::Resumed
        | DeploymentChange::Failing(_)
        | DeploymentChange::Restored => {}
    }
}
