//! What a task used lately, in Hansa's own shape.

use super::{Context, error};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansa_model::TaskId;
use serde_json::json;

/// `/hansa/v1/tasks/{id}/usage`.
pub(super) async fn usage(State(context): State<Context>, Path(task): Path<String>) -> Response {
    let id = TaskId::from(task);
    let asked = id.clone();
    let answer = context.ask(move |shell| {
        shell.node.group_of(&asked).map(|group| {
            let index = group.launch.tasks.iter().position(|task| *task == asked).unwrap_or(0);
            let own = &group.launch.allocation;
            json!({
                "task": asked,
                "limits": {"cpus_milli": own.cpus_milli, "mem": own.mem},
                "samples": shell.metering.history(&group.container(index)),
            })
        })
    });
    match answer.await {
        Ok(Some(value)) => Json(value).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, "not-found", &format!("task {id} is not on this agent")),
        Err(response) => response,
    }
}
