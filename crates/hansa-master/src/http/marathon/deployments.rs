//! `/v2/deployments` and `/v2/queue`: what is under way, and what waits.

use super::Api;
use super::answer::{Answer, Params, Refused, json, started, text, wrong_method};
use crate::cell::{Answer as CellAnswer, Request};
use crate::clock;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use hansa_api::marathon::render::{deployment, queue, task};
use hansa_api::marathon::{Problem, path};
use hansa_model::app::AppVersion;
use hansa_model::event::{DeploymentView, TaskView};
use hansa_model::service::{ServiceAnswer, ServiceCommand};
use hansa_model::{AppId, DeploymentId, Principal};
use serde_json::{Value, json};
use std::sync::Arc;

/// `/v2/deployments`, oldest first.
pub(super) async fn all(State(api): State<Api>, method: Method) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(wrong_method());
    }
    let mut running: Vec<Arc<DeploymentView>> = api.master.read().deployments().cloned().collect();
    running.sort_by_key(|view| view.started_at);
    let model = api.master.read();
    let readiness = |app: &AppId| {
        let live = |task: &&Arc<TaskView>| !task.status.state.is_terminal();
        task::readiness(model.app_tasks(app).filter(live).map(Arc::as_ref))
    };
    let shown: Value = running.iter().map(|view| deployment::deployment(view, &readiness)).collect();
    Ok(json(StatusCode::OK, &shown))
}

/// DELETE `/v2/deployments/{id}`: goes back, or with `force` stops where it is.
pub(super) async fn one(
    State(api): State<Api>,
    method: Method,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    if method != Method::DELETE {
        return Err(wrong_method());
    }
    let force = params.flag("force", false)?;
    let id = DeploymentId::from(id);
    match api.submit(ServiceCommand::CancelDeployment { id, force }).await? {
        ServiceAnswer::Deployment { id, version, .. } => Ok(started(StatusCode::OK, &id, version)),
        ServiceAnswer::Killed(_) | ServiceAnswer::Plan(_) | ServiceAnswer::Done => {
            Ok(text(StatusCode::ACCEPTED, "application/json", ""))
        }
    }
}

/// `/v2/queue`.
pub(super) async fn queue(State(api): State<Api>, method: Method, params: Params) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(wrong_method());
    }
    let with_unused = params.all("embed").any(|embed| embed == "lastUnusedOffers");
    let waiting = match api.master.submit(Principal::loopback(), Request::Queue).await? {
        (_, CellAnswer::Queue(waiting)) => waiting,
        (_, other) => return Err(Refused(Problem::new(500, format!("a queue was expected, not {other:?}")))),
    };
    let current: Vec<Option<Arc<AppVersion>>> = {
        let model = api.master.read();
        waiting.iter().map(|item| model.app(&item.app).map(|app| app.current.clone())).collect()
    };
    let now = clock::now();
    let agent =
        |hostname: &str| api.master.read().agent_by_hostname(hostname).map(|agent| agent.view.clone());
    let unused: Option<queue::FindAgent<'_>> = if with_unused { Some(&agent) } else { None };
    let items: Vec<Value> = waiting
        .iter()
        .zip(&current)
        .filter_map(|(item, current)| Some(queue::item(item, current.as_ref()?, now, unused)))
        .collect();
    Ok(json(StatusCode::OK, &json!({"queue": items})))
}

/// DELETE `/v2/queue/{id}/delay`.
pub(super) async fn delay(State(api): State<Api>, method: Method, Path(path): Path<String>) -> Answer {
    let Some(id) = path.strip_suffix("/delay") else {
        return Err(Refused(Problem::new(404, "URI not found")));
    };
    if method != Method::DELETE {
        return Err(wrong_method());
    }
    let app = AppId::from(path::absolute(id, "/"));
    api.submit(ServiceCommand::ResetDelay { app }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
