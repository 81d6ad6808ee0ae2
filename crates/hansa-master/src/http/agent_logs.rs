//! `/hansa/v1/tasks/{id}/logs/{stream}`: a task's output, passed through from its machine as it comes.

use super::agents::{self, Machine};
use super::error::ApiError;
use super::extract::Query;
use crate::Master;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hansa_model::TaskId;
use serde::Deserialize;

/// Which part of the output.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    offset: Option<i64>,
    limit: Option<u64>,
    follow: Option<bool>,
    /// The machine, for a task that the master has forgotten.
    node: Option<String>,
}

/// `GET /hansa/v1/tasks/{id}/logs/{stdout or stderr}`
pub(super) async fn show(
    State(master): State<Master>,
    Path((task, stream)): Path<(TaskId, String)>,
    Query(part): Query<Part>,
) -> Result<Response, ApiError> {
    if !matches!(stream.as_str(), "stdout" | "stderr") {
        return Err(
            ApiError::not_found(format!("a task has no stream '{stream}'")).remedy("stdout or stderr")
        );
    }
    let machine = Machine::of(&master, &task, part.node.as_deref())?;
    let query = [
        ("offset", part.offset.map(|offset| offset.to_string())),
        ("limit", part.limit.map(|limit| limit.to_string())),
        ("follow", part.follow.map(|follow| follow.to_string())),
    ];
    let request = machine.request(&master, &["files", task.as_str(), &stream], &query)?;
    let answer = machine.send(request).await?;
    let hostname = &machine.hostname;
    match answer.status() {
        StatusCode::OK => {
            let mut response = agents::pass_on(&master, answer, &[]);
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            Ok(response)
        }
        StatusCode::NOT_FOUND => {
            Err(ApiError::not_found(format!("node {hostname} has no {stream} of task '{task}'")))
        }
        status => {
            let words: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
            Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "unavailable",
                format!("node {hostname} says {status}: {words}"),
            ))
        }
    }
}
