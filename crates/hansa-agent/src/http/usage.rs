//! What a task used lately, and in the past, in Hansa's own shape.

use super::{Context, error};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansa_api::past::TaskUse;
use hansa_api::series::Span;
use hansa_model::TaskId;
use hansa_model::role::Totals;
use serde::Deserialize;
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

/// How far back.
#[derive(Debug, Deserialize)]
pub(super) struct Reach {
    span: Option<String>,
}

/// `/hansa/v1/tasks/{id}/history?span=`: of a task that runs; what is known of it ends with its container.
pub(super) async fn history(
    State(context): State<Context>,
    Path(task): Path<String>,
    Query(reach): Query<Reach>,
) -> Response {
    let Some(span) = Span::parse(reach.span.as_deref().unwrap_or("15m")) else {
        return error(StatusCode::BAD_REQUEST, "invalid", "span is one of 15m, 3h and 1d");
    };
    let id = TaskId::from(task);
    let asked = id.clone();
    let answer = context.ask(move |shell| {
        let group = shell.node.group_of(&asked)?;
        let index = group.launch.tasks.iter().position(|task| *task == asked).unwrap_or(0);
        let own = &group.launch.allocation;
        let now = shell.clock.now();
        let (step_ms, points) = shell.metering.past(&group.container(index), span, now);
        let gpus_milli = own.gpus.iter().map(|(_, milli)| u64::from(*milli)).sum();
        let limits = Totals { cpus_milli: own.cpus_milli, mem: own.mem, disk: own.disk, gpus_milli };
        Some(TaskUse { task: asked, limits, step_ms, until: now, points })
    });
    match answer.await {
        Ok(Some(told)) => Json(told).into_response(),
        Ok(None) => {
            let words =
                format!("task {id} is not on this agent any more: what it used is known while it runs");
            error(StatusCode::NOT_FOUND, "not-found", &words)
        }
        Err(response) => response,
    }
}
