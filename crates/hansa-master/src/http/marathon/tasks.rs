//! Tasks: listed by app, group or all together; killed one by one, by host, or from a list.

use super::Api;
use super::answer::{Answer, Params, Refused, json, list, read_json, started, written, wrong_method};
use super::change;
use crate::read_model::{ReadModel, app_of};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use hansa_api::marathon::render::task;
use hansa_api::marathon::{Problem, path};
use hansa_model::event::TaskView;
use hansa_model::service::{ServiceAnswer, ServiceCommand};
use hansa_model::task::TaskState;
use hansa_model::{AppId, Owner, TaskId};
use serde_json::{Value, json};
use std::sync::Arc;

/// How a kill is meant.
struct Manner {
    scale: bool,
    wipe: bool,
    force: bool,
}

impl Manner {
    fn parse(params: &Params) -> Result<Self, Refused> {
        let manner = Self {
            scale: params.flag("scale", false)?,
            wipe: params.flag("wipe", false)?,
            force: params.flag("force", false)?,
        };
        if manner.scale && manner.wipe {
            return Err(Refused(Problem::bad_request("You cannot use scale and wipe at the same time.")));
        }
        Ok(manner)
    }
}

/// A task that still counts: not ended, and an app's.
fn is_live(task: &TaskView) -> bool {
    task.owner == Owner::services() && !task.status.state.is_terminal()
}

fn live_of(model: &ReadModel, id: &AppId) -> Vec<Arc<TaskView>> {
    model.app_tasks(id).filter(|task| is_live(task)).cloned().collect()
}

fn shown(api: &Api, tasks: &[Arc<TaskView>]) -> Vec<Value> {
    tasks.iter().map(|view| task::task(view, &api.master)).collect()
}

/// GET `/v2/apps/{id}/tasks`.
pub(super) async fn of_app(api: Api, id: AppId) -> Answer {
    written(move || {
        let tasks = {
            let model = api.master.read();
            if model.app(&id).is_none() {
                return Err(Refused(Problem::unknown_app(&id, None)));
            }
            live_of(&model, &id)
        };
        Ok(list("tasks", tasks.iter().map(|view| task::task(view, &api.master))))
    })
    .await
}

/// GET `/v2/apps/{group}/*/tasks`.
pub(super) async fn of_group(api: Api, group: String) -> Answer {
    written(move || {
        let tasks: Vec<Arc<TaskView>> = {
            let model = api.master.read();
            let apps: Vec<AppId> = model.apps().map(|app| app.current.spec.id.clone()).collect();
            let inside = apps.iter().filter(|id| path::is_inside(id.as_str(), &group));
            inside.flat_map(|id| live_of(&model, id)).collect()
        };
        Ok(list("tasks", tasks.iter().map(|view| task::task(view, &api.master))))
    })
    .await
}

/// `/v2/tasks`.
pub(super) async fn all(State(api): State<Api>, method: Method, params: Params) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(wrong_method());
    }
    let wanted: Vec<String> =
        params.all("status").chain(params.all("status[]")).map(str::to_lowercase).collect();
    if let Some(wrong) = wanted.iter().find(|status| !matches!(status.as_str(), "running" | "staging")) {
        return Err(Refused(Problem::bad_request(format!(
            "status must be running or staging, not '{wrong}'"
        ))));
    }
    let fits = move |task: &TaskView| {
        let status = match task.status.state {
            TaskState::Running => "running",
            TaskState::Staging | TaskState::Starting => "staging",
            _ => "",
        };
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == status)
    };
    written(move || {
        let tasks: Vec<Arc<TaskView>> = {
            let model = api.master.read();
            model.tasks_where(None, None, None).filter(|task| is_live(task) && fits(task)).cloned().collect()
        };
        Ok(list("tasks", tasks.iter().map(|view| task::task(view, &api.master))))
    })
    .await
}

/// DELETE `/v2/apps/{id}/tasks`.
pub(super) async fn kill_some(api: &Api, id: &AppId, params: &Params) -> Answer {
    let manner = Manner::parse(params)?;
    let tasks = {
        let model = api.master.read();
        if model.app(id).is_none() {
            return Err(Refused(Problem::unknown_app(id, None)));
        }
        live_of(&model, id)
    };
    let host = params.get("host").filter(|host| *host != "*");
    let chosen: Vec<_> =
        tasks.into_iter().filter(|task| host.is_none_or(|host| &*task.hostname == host)).collect();
    match kill(api, &chosen, &manner).await? {
        Some(deployment) => Ok(deployment),
        None => Ok(json(StatusCode::OK, &json!({"tasks": shown(api, &chosen)}))),
    }
}

/// DELETE `/v2/apps/{id}/tasks/{task}`.
pub(super) async fn kill_one(api: &Api, id: &AppId, task: &TaskId, params: &Params) -> Answer {
    let manner = Manner::parse(params)?;
    let found = {
        let model = api.master.read();
        if model.app(id).is_none() {
            return Err(Refused(Problem::unknown_app(id, None)));
        }
        model.task(task).filter(|view| is_live(view) && app_of(view) == Some(id)).cloned()
    };
    let chosen = [found.ok_or_else(|| Problem::unknown_task(task.as_str()))?];
    match kill(api, &chosen, &manner).await? {
        Some(deployment) => Ok(deployment),
        None => Ok(json(StatusCode::OK, &json!({"task": task::task(&chosen[0], &api.master)}))),
    }
}

/// POST `/v2/tasks/delete`.
pub(super) async fn delete(State(api): State<Api>, method: Method, params: Params, body: Body) -> Answer {
    if method != Method::POST {
        return Err(wrong_method());
    }
    let manner = Manner::parse(&params)?;
    let ids = read_ids(&read_json(body).await?)?;
    let chosen: Vec<Arc<TaskView>> = {
        let model = api.master.read();
        ids.iter().filter_map(|id| model.task(id)).filter(|task| is_live(task)).cloned().collect()
    };
    match kill(&api, &chosen, &manner).await? {
        Some(deployment) => Ok(deployment),
        None => Ok(json(StatusCode::OK, &json!({"tasks": shown(&api, &chosen)}))),
    }
}

/// The ids in `{"ids": […]}`.
fn read_ids(body: &Value) -> Result<Vec<TaskId>, Refused> {
    let list =
        body["ids"].as_array().ok_or_else(|| Problem::not_json("an object with a list 'ids' is expected"))?;
    let id = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        // An id without its instance is none.
        if text.contains(".instance-") {
            Ok(TaskId::from(text))
        } else {
            let given = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Err(Refused(Problem::bad_request(format!("Invalid task id '{given}'"))))
        }
    };
    list.iter().map(id).collect()
}

/// Kills; the answer if a deployment came of it.
async fn kill(
    api: &Api,
    tasks: &[Arc<TaskView>],
    manner: &Manner,
) -> Result<Option<axum::response::Response>, Refused> {
    if tasks.is_empty() && !manner.scale {
        return Ok(None);
    }
    let command = ServiceCommand::Kill {
        tasks: tasks.iter().map(|task| task.status.task.clone()).collect(),
        scale: manner.scale,
        wipe: manner.wipe,
        force: manner.force,
    };
    let answer = api.submit(command).await?;
    Ok(match answer {
        ServiceAnswer::Deployment { .. } => {
            let begun = change::started(answer)?;
            Some(started(StatusCode::OK, &begun.deployment, begun.version))
        }
        ServiceAnswer::Killed(_) | ServiceAnswer::Plan(_) | ServiceAnswer::Done => None,
    })
}
