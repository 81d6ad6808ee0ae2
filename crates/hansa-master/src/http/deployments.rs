//! `/hansa/v1/deployments`: what is under way, what it waits for and what would help; pausing, resuming, cancelling.

use super::error::ApiError;
use super::extract::Query;
use crate::Master;
use crate::cell::{Answer, Request};
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Deployment, Deployments, Steered};
use hansa_api::marathon::render::deployment::action_name;
use hansa_model::event::DeploymentView;
use hansa_model::service::{ServiceAnswer, ServiceCommand};
use hansa_model::{DeploymentId, Principal};
use serde::Deserialize;

/// Deployments in a page at most.
const MOST: usize = 10_000;

/// Which part of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// How many at most.
    limit: Option<usize>,
    /// Only those after this one.
    after: Option<DeploymentId>,
}

/// `GET /hansa/v1/deployments`
pub(super) async fn list(
    State(master): State<Master>,
    Query(page): Query<Page>,
) -> Result<Json<Deployments>, ApiError> {
    let mut deployments: Vec<Deployment> = {
        let model = master.read();
        model.deployments().map(|view| shown(view)).collect()
    };
    deployments.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
    let limit = page.limit.unwrap_or(MOST).clamp(1, MOST);
    let after = page.after.as_ref().map(DeploymentId::as_str);
    let (deployments, next) =
        super::lists::page(deployments, |deployment| deployment.id.clone(), after, limit)?;
    Ok(Json(Deployments { deployments, next }))
}

/// `GET /hansa/v1/deployments/{id}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(id): Path<DeploymentId>,
) -> Result<Json<Deployment>, ApiError> {
    let model = master.read();
    let view = model.deployment(&id).ok_or_else(|| missing(&id))?;
    Ok(Json(shown(view)))
}

/// How an order is meant.
#[derive(Debug, Deserialize)]
pub(super) struct Manner {
    #[serde(default)]
    force: bool,
}

/// `POST /hansa/v1/deployments/{id}/{order}`
pub(super) async fn order(
    State(master): State<Master>,
    Path((id, order)): Path<(DeploymentId, String)>,
    Query(manner): Query<Manner>,
) -> Result<Json<Steered>, ApiError> {
    let command = match order.as_str() {
        "pause" => ServiceCommand::PauseDeployment { id },
        "resume" => ServiceCommand::ResumeDeployment { id },
        "cancel" => ServiceCommand::CancelDeployment { id, force: manner.force },
        other => {
            return Err(ApiError::not_found(format!("there is no order '{other}' for a deployment"))
                .remedy("the orders are pause, resume and cancel"));
        }
    };
    let (index, answer) = master.submit(Principal::loopback(), Request::Service(command)).await?;
    let deployment = match answer {
        Answer::Service(ServiceAnswer::Deployment { id, .. }) => Some(id),
        _ => None,
    };
    Ok(Json(Steered { index, deployment }))
}

fn missing(id: &DeploymentId) -> ApiError {
    ApiError::not_found(format!("there is no deployment '{id}' under way"))
}

fn shown(view: &DeploymentView) -> Deployment {
    let step = view.steps.get(view.current_step).map(Vec::as_slice).unwrap_or_default();
    Deployment {
        id: view.id.clone(),
        version: view.version,
        started_at: view.started_at,
        services: view.affected.clone(),
        doing: step.iter().map(|action| format!("{} {}", action_name(action.kind), action.app)).collect(),
        step: view.current_step,
        steps: view.steps.len(),
        waiting_for: view.waiting_for.clone(),
        waiting_since: view.progressed_at,
        remedy: view.remedy.clone(),
        paused: view.paused.clone(),
        failing: view.failing.clone(),
        rolls_back: view.rolls_back.clone(),
    }
}
