//! `/hansa/v1/tasks`: tasks in pages, those that are and those that were.
//!
//! By id, a page costs what it shows: at most 50,000 tasks are looked at for it, and what is looked at is copied out (a
//! pointer each) before words are compared. Sorted otherwise, all tasks that are wanted are compared: of 100,000 some tens of
//! milliseconds, of which the picture is held for a few.

use super::error::ApiError;
use super::extract::Query;
use super::lists::{Key, Order, Selector, SortBy, Words, page};
use super::{nodes, views};
use crate::Master;
use crate::read_model::{ReadModel, STATES, app_of, framework_of};
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Task, Tasks};
use hansa_model::event::TaskView;
use hansa_model::task::TaskState;
use hansa_model::{AgentId, AppId, FrameworkId, TaskId};
use rustc_hash::FxHashSet;
use serde::Deserialize;
use std::cmp::Reverse;
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
    framework: Option<FrameworkId>,
    node: Option<String>,
    state: Option<String>,
    q: Option<String>,
    label: Option<String>,
    sort: Option<String>,
    #[serde(default)]
    ended: bool,
    limit: Option<usize>,
    after: Option<TaskId>,
}

type TaskRef = Arc<TaskView>;

const SORTS: [SortBy<TaskRef>; 9] = [
    ("id", |task| Key::Text(task.status.task.to_string())),
    ("state", |task| Key::Number(task.status.state as u64)),
    ("app", |task| app_of(task).map_or(Key::Nothing, |app| Key::Text(app.to_string()))),
    ("hostname", |task| Key::Text(task.hostname.to_string())),
    ("staged_at", |task| Key::Number(task.staged_at.0)),
    ("started_at", |task| task.started_at.map_or(Key::Nothing, |at| Key::Number(at.0))),
    ("updated_at", |task| Key::Number(task.status.at.0)),
    ("cpus", |task| Key::Number(task.allocation.cpus_milli)),
    ("mem", |task| Key::Number(task.allocation.mem)),
];

/// What is wanted, understood.
struct Filter {
    framework: Option<FrameworkId>,
    state: Option<TaskState>,
    words: Words,
    /// The services whose labels are selected.
    services: Option<FxHashSet<AppId>>,
}

impl Filter {
    /// What decides by itself whether a task is wanted, cheap enough to be asked while the picture is held.
    fn takes(&self, task: &TaskView) -> bool {
        self.state.is_none_or(|state| task.status.state == state)
            && self.framework.as_ref().is_none_or(|framework| framework_of(task) == Some(framework))
            && self
                .services
                .as_ref()
                .is_none_or(|services| app_of(task).is_some_and(|app| services.contains(app)))
    }

    /// Whether the words are there. Not asked while the picture is held.
    fn says(&self, task: &TaskView) -> bool {
        self.words.is_empty()
            || self.words.are_in(&[
                task.status.task.as_str(),
                app_of(task).map_or("", |app| app.as_str()),
                &task.hostname,
                task.status.state.name(),
                &task.status.message,
            ])
    }
}

/// `GET /hansa/v1/tasks`
pub(super) async fn list(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Tasks>, ApiError> {
    let labels = Selector::parse(wanted.label.as_deref())?;
    let order = Order::parse(wanted.sort.as_deref(), &SORTS)?;
    let filter = Filter {
        framework: wanted.framework.clone(),
        state: wanted.state.as_deref().map(state).transpose()?,
        words: Words::parse(wanted.q.as_deref()),
        services: (!labels.is_empty()).then(|| selected(&master.read(), &labels)),
    };
    let limit = wanted.limit.unwrap_or(USUAL).clamp(1, MOST);
    let (tasks, next) = match (wanted.ended, order) {
        (false, None) => by_id(&master, &wanted, &filter, limit)?,
        (ended, order) => {
            let mut found = match ended {
                true => ended_tasks(&master, &wanted, &filter)?,
                false => all(&master, &wanted, &filter)?,
            };
            if let Some(order) = order {
                found = order.sort(found, |task| task.status.task.clone());
            }
            page(found, |task| task.status.task.clone(), wanted.after.as_ref().map(TaskId::as_str), limit)?
        }
    };
    Ok(Json(Tasks { tasks: tasks.iter().map(|task| views::task(task)).collect(), next }))
}

type Page = (Vec<TaskRef>, Option<TaskId>);

fn by_id(master: &Master, wanted: &Wanted, filter: &Filter, limit: usize) -> Result<Page, ApiError> {
    let mut after = wanted.after.clone();
    let (mut found, mut looked_at): (Vec<TaskRef>, usize) = (Vec::new(), 0);
    loop {
        // Without words what is looked at is what is found.
        let (part, last, more) = {
            let model = master.read();
            let node = node_of(&model, wanted)?;
            let (mut part, mut last, mut more) = (Vec::new(), None, false);
            for task in model.tasks_where(wanted.app.as_ref(), node.as_ref(), after.as_ref()) {
                if found.len() + part.len() == limit || looked_at == LOOKED_AT {
                    more = true;
                    break;
                }
                looked_at += 1;
                last = Some(task.status.task.clone());
                if filter.takes(task) {
                    part.push(task.clone());
                }
            }
            (part, last, more)
        };
        found.extend(part.into_iter().filter(|task| filter.says(task)));
        match (more, last) {
            // The page is not full because of the words: there may be more of them.
            (true, Some(last)) if found.len() < limit && looked_at < LOOKED_AT => after = Some(last),
            (true, last) => return Ok((found, last.or(after))),
            (false, _) => return Ok((found, None)),
        }
    }
}

fn node_of(model: &ReadModel, wanted: &Wanted) -> Result<Option<AgentId>, ApiError> {
    let node = wanted.node.as_deref().map(|name| nodes::find(model, name)).transpose()?;
    Ok(node.map(|agent| agent.view.id.clone()))
}

fn all(master: &Master, wanted: &Wanted, filter: &Filter) -> Result<Vec<TaskRef>, ApiError> {
    let mut found: Vec<TaskRef> = {
        let model = master.read();
        let node = node_of(&model, wanted)?;
        let tasks = model.tasks_where(wanted.app.as_ref(), node.as_ref(), None);
        tasks.filter(|task| filter.takes(task)).cloned().collect()
    };
    found.retain(|task| filter.says(task));
    Ok(found)
}

/// Those that ended and are remembered, the newest first.
fn ended_tasks(master: &Master, wanted: &Wanted, filter: &Filter) -> Result<Vec<TaskRef>, ApiError> {
    let mut found: Vec<TaskRef> = {
        let model = master.read();
        // A machine that is forgotten still has a name.
        let node = wanted.node.as_deref();
        let id = node.and_then(|name| nodes::find(&model, name).ok()).map(|agent| agent.view.id.clone());
        let there = |task: &TaskRef| {
            node.is_none_or(|name| {
                id.as_ref() == Some(&task.agent) || &*task.hostname == name || task.agent.as_str() == name
            })
        };
        let of_frameworks = model.frameworks().chain(model.completed_frameworks());
        let of_frameworks = of_frameworks.flat_map(|framework| &framework.ended);
        // Those that the kernel still knows have ended as well.
        let known = model.told().filter(|told| told.view.status.state.is_terminal());
        let all = model.ended_of_services().chain(of_frameworks).chain(known).map(|told| &told.view);
        let of_app = |task: &&TaskRef| wanted.app.as_ref().is_none_or(|app| app_of(task) == Some(app));
        all.filter(of_app).filter(|task| there(task) && filter.takes(task)).cloned().collect()
    };
    found.retain(|task| filter.says(task));
    found.sort_by(|a, b| (Reverse(a.status.at), &a.status.task).cmp(&(Reverse(b.status.at), &b.status.task)));
    Ok(found)
}

fn selected(model: &ReadModel, labels: &Selector) -> FxHashSet<AppId> {
    let specs = model.apps().map(|app| &app.current.spec);
    specs.filter(|spec| labels.selects(&spec.labels)).map(|spec| spec.id.clone()).collect()
}

/// `GET /hansa/v1/tasks/{id}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(id): Path<TaskId>,
) -> Result<Json<Task>, ApiError> {
    let found = master.read().told_or_ended(&id).map(|told| told.view.clone());
    let task = found.ok_or_else(|| unknown(&id))?;
    Ok(Json(views::task(&task)))
}

/// Nobody knows a task.
pub(super) fn unknown(id: &TaskId) -> ApiError {
    ApiError::not_found(format!("there is no task '{id}'"))
        .remedy("tasks are forgotten some time after they end; /hansa/v1/tasks?ended=true lists those that are remembered")
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
