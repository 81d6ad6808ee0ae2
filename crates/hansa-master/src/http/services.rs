//! `/hansa/v1/services` and `/hansa/v1/explain`: services as they are, and why an instance is not placed.

use super::error::ApiError;
use super::extract::{Query, app_id};
use super::views;
use crate::Master;
use crate::cell::{Answer, Request};
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Service, Services};
use hansa_model::explain::Explanation;
use hansa_model::{AppId, Principal};
use serde::Deserialize;

/// The most services in one answer.
const MOST: usize = 50_000;

/// Which part of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// How many at most.
    limit: Option<usize>,
    /// Only those whose id comes after this one.
    after: Option<AppId>,
}

/// `GET /hansa/v1/services`
pub(super) async fn list(State(master): State<Master>, Query(page): Query<Page>) -> Json<Services> {
    let model = master.read();
    let services = model
        .apps_after(page.after.as_ref())
        .take(page.limit.unwrap_or(MOST).min(MOST))
        .map(|app| views::service(&model, app))
        .collect();
    Json(Services { services })
}

/// `GET /hansa/v1/services/{path}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(path): Path<String>,
) -> Result<Json<Service>, ApiError> {
    let model = master.read();
    let id = app_id(&path);
    let app = model.app(&id).ok_or_else(|| ApiError::not_found(format!("there is no service '{id}'")))?;
    Ok(Json(views::service(&model, app)))
}

/// `GET /hansa/v1/explain/{path}`: a placement pass for one more instance, made now.
pub(super) async fn explain(
    State(master): State<Master>,
    Path(path): Path<String>,
) -> Result<Json<Explanation>, ApiError> {
    match master.submit(Principal::loopback(), Request::Explain(app_id(&path))).await? {
        (_, Answer::Explanation(explanation)) => Ok(Json(*explanation)),
        (_, other) => {
            Err(ApiError::internal(format!("an explanation was asked for, and this came: {other:?}")))
        }
    }
}
