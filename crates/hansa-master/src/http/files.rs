//! `/hansa/v1/tasks/{id}/files`: what lies in a task's sandbox, passed on from its machine. Also of tasks that ended, while
//! the machine keeps their sandboxes.

use super::agents::{self, Machine};
use super::error::ApiError;
use super::extract::Query;
use crate::Master;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use hansa_api::files::Files;
use hansa_model::TaskId;
use serde::Deserialize;

/// Which part of which directory.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    path: Option<String>,
    after: Option<String>,
    limit: Option<u64>,
    /// The machine, for a task that the master has forgotten.
    node: Option<String>,
}

/// Which part of which file.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    path: Option<String>,
    offset: Option<i64>,
    limit: Option<u64>,
    download: Option<bool>,
    /// The machine, for a task that the master has forgotten.
    node: Option<String>,
}

/// `GET /hansa/v1/tasks/{id}/files`
pub(super) async fn list(
    State(master): State<Master>,
    Path(task): Path<TaskId>,
    Query(page): Query<Page>,
) -> Result<Json<Files>, ApiError> {
    let machine = Machine::of(&master, &task, page.node.as_deref())?;
    let path = ["hansa", "v1", "tasks", task.as_str(), "files"];
    let query =
        [("path", page.path), ("after", page.after), ("limit", page.limit.map(|limit| limit.to_string()))];
    let answer = machine.get(&master, &path, &query).await?;
    let files = machine.whole(answer).await;
    files.map(Json).map_err(|refusal| refusal.remedy("ask again, or for fewer entries with limit="))
}

/// `GET /hansa/v1/tasks/{id}/files/content`
pub(super) async fn content(
    State(master): State<Master>,
    Path(task): Path<TaskId>,
    Query(part): Query<Part>,
) -> Result<Response, ApiError> {
    let machine = Machine::of(&master, &task, part.node.as_deref())?;
    let path = ["hansa", "v1", "tasks", task.as_str(), "files", "content"];
    let query = [
        ("path", part.path),
        ("offset", part.offset.map(|offset| offset.to_string())),
        ("limit", part.limit.map(|limit| limit.to_string())),
        ("download", part.download.map(|download| download.to_string())),
    ];
    let answer = machine.get(&master, &path, &query).await?;
    Ok(agents::pass_on(&master, answer, &[CONTENT_TYPE, CONTENT_DISPOSITION]))
}
