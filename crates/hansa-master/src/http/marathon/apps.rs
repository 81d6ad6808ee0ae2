//! `/v2/apps`: listings, single apps, versions, restarts.
//!
//! Ids contain slashes, so everything below `/v2/apps/` is one route, taken apart by what it ends with.

use super::Api;
use super::answer::{
    Answer, Client, Params, Refused, json, list, read_json, started, with_deployment, written, wrong_method,
};
use super::change::Started;
use super::tasks;
use crate::clock;
use crate::read_model::ReadModel;
use axum::body::Body;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use hansa_api::marathon::events::Frame;
use hansa_api::marathon::render::app::{self, Counts, Running};
use hansa_api::marathon::select::{Embed, Filter};
use hansa_api::marathon::update::{Update, read_many};
use hansa_api::marathon::{Problem, parse_app, path};
use hansa_model::event::{AppView, TaskView};
use hansa_model::service::{AppChange, Expected, Target};
use hansa_model::{AppId, TaskId, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a path below `/v2/apps/` names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    All,
    Group(String),
    GroupTasks(String),
    App(AppId),
    Restart(AppId),
    Tasks(AppId),
    Task(AppId, TaskId),
    Versions(AppId),
    Version(AppId, String),
}

impl Named {
    fn parse(text: &str) -> Self {
        let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty()).collect();
        let id = |segments: &[&str]| AppId::from(path::absolute(&segments.join("/"), "/"));
        let group = |segments: &[&str]| path::absolute(&segments.join("/"), "/");
        match segments.as_slice() {
            [] => Named::All,
            [group_path @ .., "*"] => Named::Group(group(group_path)),
            [group_path @ .., "*", "tasks"] => Named::GroupTasks(group(group_path)),
            [app @ .., "restart"] if !app.is_empty() => Named::Restart(id(app)),
            [app @ .., "tasks"] if !app.is_empty() => Named::Tasks(id(app)),
            [app @ .., "tasks", task] if !app.is_empty() => Named::Task(id(app), TaskId::from(*task)),
            [app @ .., "versions"] if !app.is_empty() => Named::Versions(id(app)),
            [app @ .., "versions", version] if !app.is_empty() => {
                Named::Version(id(app), (*version).to_owned())
            }
            app => Named::App(id(app)),
        }
    }
}

/// The methods that a path below `/v2/apps` takes.
pub(super) fn allowed(path: &str) -> &'static str {
    match Named::parse(path) {
        Named::All => "GET,HEAD,POST,PUT,PATCH",
        Named::App(_) => "GET,HEAD,PUT,PATCH,DELETE",
        Named::Restart(_) => "POST",
        Named::Tasks(_) => "GET,HEAD,DELETE",
        Named::Task(..) => "DELETE",
        Named::Group(_) | Named::GroupTasks(_) | Named::Versions(_) | Named::Version(..) => "GET,HEAD",
    }
}

/// `/v2/apps`.
pub(super) async fn all(
    State(api): State<Api>,
    method: Method,
    params: Params,
    client: Client,
    OriginalUri(uri): OriginalUri,
    body: Body,
) -> Answer {
    let post = Post { client, uri: uri.path().to_owned() };
    match method {
        Method::GET | Method::HEAD => show_all(api, &params).await,
        Method::POST => create(&api, &params, &post, read_json(body).await?).await,
        Method::PUT => {
            let partial = params.flag("partialUpdate", true)?;
            change_many(&api, &params, &post, read_json(body).await?, partial, true).await
        }
        Method::PATCH => change_many(&api, &params, &post, read_json(body).await?, true, false).await,
        _ => Err(wrong_method()),
    }
}

/// `/v2/apps/…`.
pub(super) async fn below(
    State(api): State<Api>,
    method: Method,
    Path(path): Path<String>,
    params: Params,
    client: Client,
    OriginalUri(uri): OriginalUri,
    body: Body,
) -> Answer {
    let post = Post { client, uri: uri.path().to_owned() };
    let method = if method == Method::HEAD { Method::GET } else { method };
    match (method, Named::parse(&path)) {
        (Method::GET, Named::All) => show_all(api, &params).await,
        (Method::POST, Named::All) => create(&api, &params, &post, read_json(body).await?).await,
        (Method::GET, Named::Group(group)) => show_group(api, group, &params).await,
        (Method::GET, Named::GroupTasks(group)) => tasks::of_group(api, group).await,
        (Method::GET, Named::App(id)) => show(&api, &id, &params),
        (Method::PUT, Named::App(id)) => {
            let partial = params.flag("partialUpdate", true)?;
            change_one(&api, id, &params, &post, read_json(body).await?, partial, true).await
        }
        (Method::PATCH, Named::App(id)) => {
            change_one(&api, id, &params, &post, read_json(body).await?, true, false).await
        }
        (Method::DELETE, Named::App(id)) => remove(&api, id, &params).await,
        (Method::POST, Named::Restart(id)) => restart(&api, id, &params).await,
        (Method::GET, Named::Tasks(id)) => tasks::of_app(api, id).await,
        (Method::DELETE, Named::Tasks(id)) => tasks::kill_some(&api, &id, &params).await,
        (Method::DELETE, Named::Task(id, task)) => tasks::kill_one(&api, &id, &task, &params).await,
        (Method::GET, Named::Versions(id)) => versions(&api, &id),
        (Method::GET, Named::Version(id, version)) => show_version(&api, &id, &version),
        _ => Err(wrong_method()),
    }
}

/// How a change came in, for its event.
struct Post {
    client: Client,
    uri: String,
}

/// An app with what its picture needs, taken out of the read model.
pub(super) struct Taken {
    pub(super) app: Arc<AppView>,
    counts: Counts,
    tasks: Vec<Arc<TaskView>>,
}

impl Taken {
    pub(super) fn of(model: &ReadModel, app: &Arc<AppView>, embed: Embed) -> Self {
        let id = &app.current.spec.id;
        let counts = model.app_counts(id);
        let live = |task: &&Arc<TaskView>| !task.status.state.is_terminal();
        let tasks = if embed.tasks || embed.task_stats || embed.readiness {
            model.app_tasks(id).filter(live).cloned().collect()
        } else {
            Vec::new()
        };
        let counts = Counts {
            staged: counts.staged(),
            running: counts.running(),
            healthy: counts.healthy(),
            unhealthy: counts.unhealthy(),
        };
        Self { app: app.clone(), counts, tasks }
    }

    pub(super) fn show(&self, api: &Api, now: Timestamp, embed: Embed) -> Value {
        let running = Running {
            app: &self.app,
            counts: self.counts,
            tasks: self.tasks.iter().map(Arc::as_ref).collect(),
            world: &api.master,
            now,
        };
        Value::Object(app::info(&running, embed))
    }
}

/// The apps that `choose` wants, and the time.
fn take(api: &Api, embed: Embed, choose: impl Fn(&AppView) -> bool) -> (Vec<Taken>, Timestamp) {
    let model = api.master.read();
    let taken = model.apps().filter(|app| choose(app)).map(|app| Taken::of(&model, app, embed)).collect();
    (taken, clock::now())
}

async fn show_all(api: Api, params: &Params) -> Answer {
    let filter = Filter::parse(params.get("cmd"), params.get("id"), params.get("label"))?;
    let embed = Embed::LISTING.with(params.all("embed"));
    written(move || {
        let (apps, now) = take(&api, embed, |app| filter.matches(&app.current.spec));
        Ok(list("apps", apps.iter().map(|app| app.show(&api, now, embed))))
    })
    .await
}

async fn show_group(api: Api, group: String, params: &Params) -> Answer {
    let embed = Embed::LISTING.with(params.all("embed"));
    written(move || {
        let (apps, now) = take(&api, embed, |app| path::is_inside(app.current.spec.id.as_str(), &group));
        if apps.is_empty() && group != "/" {
            return Err(Refused(Problem::unknown_group(&group)));
        }
        Ok(list("*", apps.iter().map(|app| app.show(&api, now, embed))))
    })
    .await
}

fn show(api: &Api, id: &AppId, params: &Params) -> Answer {
    let embed = Embed::SINGLE.with(params.all("embed"));
    let (taken, now) = {
        let model = api.master.read();
        let app = model.app(id).ok_or_else(|| Problem::unknown_app(id, None))?;
        (Taken::of(&model, app, embed), clock::now())
    };
    Ok(json(StatusCode::OK, &json!({"app": taken.show(api, now, embed)})))
}

fn versions(api: &Api, id: &AppId) -> Answer {
    let model = api.master.read();
    if model.app(id).is_none() {
        return Err(Refused(Problem::unknown_app(id, None)));
    }
    Ok(json(StatusCode::OK, &app::versions(model.versions(id).map(|version| version.version))))
}

fn show_version(api: &Api, id: &AppId, text: &str) -> Answer {
    let version: Timestamp = text
        .parse()
        .map_err(|_| Problem::new(404, format!("App '{id}' does not exist in version '{text}'")))?;
    let model = api.master.read();
    if model.app(id).is_none() {
        return Err(Refused(Problem::unknown_app(id, None)));
    }
    let found = model.version(id, version).ok_or_else(|| Problem::unknown_app(id, Some(version)))?;
    Ok(json(StatusCode::OK, &Value::Object(app::version(found))))
}

async fn create(api: &Api, params: &Params, post: &Post, body: Value) -> Answer {
    let force = params.flag("force", false)?;
    let defaults = body["id"].as_str().map(|id| api.defaults_of(&AppId::from(path::absolute(id, "/"))));
    let spec = Arc::new(parse_app(&body, defaults.as_ref().unwrap_or(&api.defaults))?);
    let id = spec.id.clone();
    let change = AppChange { id: id.clone(), expected: Expected::Absent, to: Target::Spec(spec) };
    let exists = || Problem::new(409, format!("An app with id [{id}] already exists."));
    let started = api
        .change(force, |model| match model.app(&id) {
            Some(_) => Err(exists()),
            None => Ok(vec![change.clone()]),
        })
        .await?;
    announce(api, post, &started);
    let created =
        started.apps.first().and_then(Option::as_ref).ok_or_else(|| Problem::unknown_app(&id, None))?;
    let shown = Value::Object(app::created(created, &started.deployment));
    let mut response = with_deployment(json(StatusCode::CREATED, &shown), &started.deployment);
    locate(&mut response, &id);
    Ok(response)
}

async fn change_one(
    api: &Api,
    id: AppId,
    params: &Params,
    post: &Post,
    body: Value,
    partial: bool,
    may_create: bool,
) -> Answer {
    let force = params.flag("force", false)?;
    let canary = params.canary()?;
    let update = Update::read(body, partial)?;
    // As the last look saw it, which is the one that counted.
    let existed = AtomicBool::new(false);
    let started_by = api
        .change_by(force, canary, |model| {
            existed.store(model.app(&id).is_some(), Ordering::Relaxed);
            Ok(vec![one(api, model, &id, &update, may_create)?])
        })
        .await?;
    let existed = existed.into_inner();
    announce(api, post, &started_by);
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = started(status, &started_by.deployment, started_by.version);
    if !existed {
        locate(&mut response, &id);
    }
    Ok(response)
}

async fn change_many(
    api: &Api,
    params: &Params,
    post: &Post,
    body: Value,
    partial: bool,
    may_create: bool,
) -> Answer {
    let force = params.flag("force", false)?;
    let canary = params.canary()?;
    let updates = read_many(body, partial)?;
    let started_by = api
        .change_by(force, canary, |model| {
            let change = |update: &hansa_api::marathon::update::UpdateOf| -> Result<AppChange, Problem> {
                let current = model.app(&update.id);
                let to = match &update.update {
                    Update::Version(version) => Target::Version(*version),
                    _ if current.is_none() && !may_create => {
                        return Err(Problem::unknown_app(&update.id, None));
                    }
                    _ => {
                        let spec = update.apply(
                            current.map(|app| &app.current.spec),
                            &api.defaults_in(model, &update.id),
                        )?;
                        Target::Spec(Arc::new(spec))
                    }
                };
                expecting(current, &update.id, to, may_create)
            };
            updates.iter().map(change).collect()
        })
        .await?;
    announce(api, post, &started_by);
    Ok(started(StatusCode::OK, &started_by.deployment, started_by.version))
}

/// What one update asks of the app as the picture shows it.
fn one(
    api: &Api,
    model: &ReadModel,
    id: &AppId,
    update: &Update,
    may_create: bool,
) -> Result<AppChange, Problem> {
    let current = model.app(id);
    let to = match update {
        Update::Version(version) => Target::Version(*version),
        _ if current.is_none() && !may_create => return Err(Problem::unknown_app(id, None)),
        _ => Target::Spec(Arc::new(update.apply(
            id,
            current.map(|app| &app.current.spec),
            &api.defaults_in(model, id),
        )?)),
    };
    expecting(current, id, to, may_create)
}

/// The change, if nobody else changes the app before.
fn expecting(
    current: Option<&Arc<AppView>>,
    id: &AppId,
    to: Target,
    may_create: bool,
) -> Result<AppChange, Problem> {
    let expected = match current {
        Some(app) => Expected::Version(app.current.version),
        None if may_create && !matches!(to, Target::Version(_)) => Expected::Absent,
        None => return Err(Problem::unknown_app(id, None)),
    };
    Ok(AppChange { id: id.clone(), expected, to })
}

async fn remove(api: &Api, id: AppId, params: &Params) -> Answer {
    // Deleting is the one change that goes over running deployments unless told not to.
    let force = params.flag("force", true)?;
    simple(api, id, force, Target::Removed).await
}

async fn restart(api: &Api, id: AppId, params: &Params) -> Answer {
    let force = params.flag("force", false)?;
    simple(api, id, force, Target::Restart).await
}

/// A change that does not depend on what the app is.
async fn simple(api: &Api, id: AppId, force: bool, to: Target) -> Answer {
    let change = AppChange { id: id.clone(), expected: Expected::Anything, to };
    let begun = api
        .change(force, |model| match model.app(&id) {
            Some(_) => Ok(vec![change.clone()]),
            None => Err(Problem::unknown_app(&id, None)),
        })
        .await?;
    Ok(started(StatusCode::OK, &begun.deployment, begun.version))
}

/// Tells the event streams who changed what.
fn announce(api: &Api, post: &Post, started: &Started) {
    if !api.hub.has_subscribers() {
        return;
    }
    let at = clock::now();
    for app in started.apps.iter().flatten() {
        api.hub.post(Frame::api_post(at, &post.client.0, &post.uri, app));
    }
}

/// Says where the new app is.
fn locate(response: &mut axum::response::Response, id: &AppId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_by_their_end() {
        let id = |text: &str| AppId::from(text);
        for (text, expected) in [
            ("", Named::All),
            ("/", Named::All),
            ("web", Named::App(id("/web"))),
            ("/shop/web/", Named::App(id("/shop/web"))),
            ("*", Named::Group("/".into())),
            ("shop/*", Named::Group("/shop".into())),
            ("shop/*/tasks", Named::GroupTasks("/shop".into())),
            ("shop/web/restart", Named::Restart(id("/shop/web"))),
            ("web/tasks", Named::Tasks(id("/web"))),
            ("web/tasks/web.1", Named::Task(id("/web"), TaskId::from("web.1"))),
            ("web/versions", Named::Versions(id("/web"))),
            ("web/versions/x", Named::Version(id("/web"), "x".into())),
            ("tasks", Named::App(id("/tasks"))),
        ] {
            assert_eq!(Named::parse(text), expected, "{text}");
        }
    }
}
