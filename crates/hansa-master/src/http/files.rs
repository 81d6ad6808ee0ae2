//! `/hansa/v1/tasks/{id}/files`: what lies in a task's sandbox, passed on from its machine. Also of tasks that ended, while
//! the machine keeps their sandboxes.

use super::agents::Machine;
use super::error::ApiError;
use super::extract::Query;
use crate::Master;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use futures_util::StreamExt;
use hansa_api::files::Files;
use hansa_model::TaskId;
use serde::Deserialize;

/// Headers of the machine's answer that are passed on begin with this.
const OWN_HEADERS: &str = "x-hansa-";

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
    let read = tokio::time::timeout(super::agents::PATIENCE, answer.json::<Files>()).await;
    let files =
        read.map_err(|_| "it takes too long".to_owned()).and_then(|read| read.map_err(|e| e.to_string()));
    files.map(Json).map_err(|why| {
        ApiError::unavailable(format!("node {} gives no whole answer: {why}", machine.hostname))
            .remedy("ask again, or for fewer entries with limit=")
    })
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
    let passed: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| {
            name.as_str().starts_with(OWN_HEADERS) || *name == CONTENT_TYPE || *name == CONTENT_DISPOSITION
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut stopping = master.stopping();
    let stopped = async move {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let mut response = Response::new(Body::from_stream(answer.bytes_stream().take_until(Box::pin(stopped))));
    let headers = response.headers_mut();
    headers.extend(passed);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a task writes is not a page, whatever it looks like.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
