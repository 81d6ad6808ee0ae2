//! `/hansa/v1/tasks`: tasks in pages.

use super::error::ApiError;
use super::extract::Query;
use super::{nodes, views};
use crate::Master;
use crate::read_model::STATES;
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Task, Tasks};
use hansa_model::event::TaskView;
use hansa_model::task::TaskState;
use hansa_model::{AppId, TaskId};
use serde::Deserialize;
use std::sync::Arc;

/// Tasks in a page unless the client says otherwise, and at most.
const USUAL: usize = 1_000;
const MOST: usize = 10_000;

/// Tasks looked at for one page: a rare state makes short pages, not a long wait for everybody else.
const LOOKED_AT: usize = 50_000;

/// Which tasks.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    app: Option<AppId>,
    node: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
    after: Option<TaskId>,
}

/// `GET /hansa/v1/tasks`
pub(super) async fn list(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Tasks>, ApiError> {
    let state = wanted.state.as_deref().map(state).transpose()?;
    let limit = wanted.limit.unwrap_or(USUAL).clamp(1, MOST);
    let (page, next) = {
        let model = master.read();
        let node = wanted.node.as_deref().map(|name| nodes::find(&model, name)).transpose()?;
        let node = node.map(|agent| &agent.view.id);
        let mut page: Vec<Arc<TaskView>> = Vec::new();
        let (mut last, mut looked_at, mut more) = (None, 0, false);
        for task in model.tasks_where(wanted.app.as_ref(), node, wanted.after.as_ref()) {
            if page.len() == limit || looked_at == LOOKED_AT {
                more = true;
                break;
            }
            looked_at += 1;
            last = Some(&task.status.task);
            if state.is_none_or(|state| task.status.state == state) {
                page.push(task.clone());
            }
        }
        (page, last.filter(|_| more).cloned())
    };
    Ok(Json(Tasks { tasks: page.iter().map(|task| views::task(task)).collect(), next }))
}

/// `GET /hansa/v1/tasks/{id}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(id): Path<TaskId>,
) -> Result<Json<Task>, ApiError> {
    let found = master.read().task(&id).cloned();
    let task = found.ok_or_else(|| ApiError::not_found(format!("there is no task '{id}'")))?;
    Ok(Json(views::task(&task)))
}

/// `TASK_RUNNING` or `running`.
fn state(text: &str) -> Result<TaskState, ApiError> {
    let is = |state: &TaskState| {
        let name = state.name();
        name.eq_ignore_ascii_case(text) || name["TASK_".len()..].eq_ignore_ascii_case(text)
    };
    STATES.into_iter().find(is).ok_or_else(|| {
        let names: Vec<_> = STATES.iter().map(|state| state.name()).collect();
        ApiError::invalid("state", format!("there is no task state '{text}'")).remedy(names.join(", "))
    })
}
