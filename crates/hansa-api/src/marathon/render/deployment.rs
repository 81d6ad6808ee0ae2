//! Deployments, as `/v2/deployments` lists them and as events carry their plans.

use hansa_model::event::{ActionKind, DeploymentAction, DeploymentView};
use hansa_model::{AppId, DeploymentId, Timestamp};
use serde_json::{Value, json};

/// Marathon's name of an action.
pub fn action_name(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::StartApplication => "StartApplication",
        ActionKind::StopApplication => "StopApplication",
        ActionKind::ScaleApplication => "ScaleApplication",
        ActionKind::RestartApplication => "RestartApplication",
    }
}

fn action(action: &DeploymentAction) -> Value {
    json!({"action": action_name(action.kind), "app": action.app})
}

/// A step: `{"actions": […]}`.
pub fn step(actions: &[DeploymentAction]) -> Value {
    json!({"actions": actions.iter().map(action).collect::<Vec<_>>()})
}

/// A running deployment; `readiness` says what the readiness checks of an app's instances said.
pub fn deployment(view: &DeploymentView, readiness: &dyn Fn(&AppId) -> Value) -> Value {
    let current = view.steps.get(view.current_step).map(Vec::as_slice).unwrap_or_default();
    let current: Vec<Value> = current
        .iter()
        .map(|one| {
            let mut shown = action(one);
            shown["readinessCheckResults"] = readiness(&one.app);
            shown
        })
        .collect();
    json!({
        "id": view.id,
        "version": view.version.to_rfc3339(),
        "affectedApps": view.affected,
        "affectedPods": [],
        "steps": view.steps.iter().map(|actions| step(actions)).collect::<Vec<_>>(),
        "currentActions": current,
        "currentStep": (view.current_step + 1).min(view.steps.len()),
        "totalSteps": view.steps.len(),
    })
}

/// A plan in an event, in the light form of Marathon's newest line.
pub fn light_plan(view: &DeploymentView) -> Value {
    json!({
        "id": view.id,
        "version": view.version.to_rfc3339(),
        "steps": view.steps.iter().map(|actions| step(actions)).collect::<Vec<_>>(),
    })
}

/// A plan in an event, with what older clients cannot do without: the PyPI client fails on a plan that has no `original`
/// and `target`. Neither carries apps.
pub fn plan(view: &DeploymentView) -> Value {
    let group = |version: Timestamp| {
        json!({
            "id": "/",
            "version": version.to_rfc3339(),
            "apps": [],
            "groups": [],
            "pods": [],
            "dependencies": [],
        })
    };
    let mut plan = light_plan(view);
    plan["original"] = group(view.started_at);
    plan["target"] = group(view.version);
    plan
}

/// The answer to a change that started a deployment.
pub fn started(id: &DeploymentId, version: Timestamp) -> Value {
    json!({"deploymentId": id, "version": version.to_rfc3339()})
}
