//! `/hansa/v1/tasks/{id}/exec`: a command in a task's container. The connection is passed through to the task's machine,
//! both ways and byte for byte.

use super::agents::Machine;
use super::error::ApiError;
use crate::Master;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hansa_api::exec::PROTOCOL;
use hansa_model::TaskId;
use hyper_util::rt::TokioIo;

/// `GET /hansa/v1/tasks/{id}/exec` with `Upgrade: hansa-exec-1`.
pub(super) async fn run(
    State(master): State<Master>,
    Path(task): Path<TaskId>,
    request: Request,
) -> Result<Response, ApiError> {
    if request.headers().get(UPGRADE).and_then(|value| value.to_str().ok()) != Some(PROTOCOL) {
        return Err(ApiError::new(
            StatusCode::UPGRADE_REQUIRED,
            "invalid",
            format!("this path speaks {PROTOCOL}: say `Upgrade: {PROTOCOL}`"),
        ));
    }
    let machine = Machine::of(&master, &task, None)?;
    let mut theirs = open(&master, &task, &machine).await?;
    let ours = hyper::upgrade::on(request);
    let mut stopping = master.stopping();
    tokio::spawn(async move {
        let Ok(ours) = ours.await else { return };
        let mut ours = TokioIo::new(ours);
        tokio::select! {
            // Whoever hangs up ends both.
            _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

/// A connection to a task's machine that speaks [`PROTOCOL`] from here on.
pub(super) async fn open(
    master: &Master,
    task: &TaskId,
    machine: &Machine,
) -> Result<reqwest::Upgraded, ApiError> {
    let request = machine.request(master, &["hansa", "v1", "tasks", task.as_str(), "exec"], &[])?;
    let answer = machine.send(request.header(CONNECTION, "upgrade").header(UPGRADE, PROTOCOL)).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status();
        let words: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
        let told = serde_json::from_str::<hansa_api::hansa::ErrorBody>(&words).map(|body| body.error.message);
        let status = if status == StatusCode::NOT_FOUND { status } else { StatusCode::BAD_GATEWAY };
        let message = format!("node {} says: {}", machine.hostname, told.unwrap_or(words));
        return Err(ApiError::new(
            status,
            if status == StatusCode::NOT_FOUND { "not-found" } else { "unavailable" },
            message,
        ));
    }
    answer.upgrade().await.map_err(|error| machine.silent(&error.to_string()))
}
