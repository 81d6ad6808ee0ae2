//! `/v2/groups`: the tree of groups, changes of whole parts of it as one deployment, and its versions. Pods come later.

use super::Api;
use super::answer::{
    Answer, Params, Refused, json, read_json, started, with_deployment, written, wrong_method,
};
use super::apps::Taken;
use super::change;
use super::history;
use crate::clock;
use crate::read_model::ReadModel;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::IntoResponse;
use hansa_api::marathon::group::{self as update, GroupUpdate, Present};
use hansa_api::marathon::render::group::{self, Content};
use hansa_api::marathon::render::{app, deployment};
use hansa_api::marathon::select::Embed;
use hansa_api::marathon::{Defaults, Problem, path};
use hansa_model::group::{GroupChange, GroupTarget};
use hansa_model::service::{Deploy, ServiceAnswer};
use hansa_model::{AppId, Timestamp};
use serde_json::{Value, json};

/// What a path below `/v2/groups` names.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Group(String),
    Apps(String),
    Versions(String),
    Version(String, String),
}

impl Named {
    fn parse(text: &str) -> Self {
        let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty()).collect();
        let id = |segments: &[&str]| path::absolute(&segments.join("/"), "/");
        match segments.as_slice() {
            [group @ .., "apps"] => Named::Apps(id(group)),
            [group @ .., "versions"] => Named::Versions(id(group)),
            [group @ .., "versions", version] => Named::Version(id(group), (*version).to_owned()),
            group => Named::Group(id(group)),
        }
    }
}

/// The methods that a path below `/v2/groups` takes.
pub(super) fn allowed(path: &str) -> &'static str {
    match Named::parse(path) {
        Named::Group(id) if id == "/" => "GET,HEAD,POST,PUT,DELETE",
        Named::Group(_) => "GET,HEAD,POST,PUT,PATCH,DELETE",
        Named::Apps(_) | Named::Versions(_) | Named::Version(..) => "GET,HEAD",
    }
}

/// `/v2/groups`.
pub(super) async fn root(State(api): State<Api>, method: Method, params: Params, body: Body) -> Answer {
    answer(api, method, "", params, body).await
}

/// `/v2/groups/{path}`.
pub(super) async fn below(
    State(api): State<Api>,
    method: Method,
    Path(path): Path<String>,
    params: Params,
    body: Body,
) -> Answer {
    answer(api, method, &path, params, body).await
}

async fn answer(api: Api, method: Method, path: &str, params: Params, body: Body) -> Answer {
    let method = if method == Method::HEAD { Method::GET } else { method };
    match (method, Named::parse(path)) {
        (Method::GET, Named::Group(id)) => show(api, id, &params).await,
        (Method::GET, Named::Apps(id)) => apps(api, id, &params).await,
        (Method::GET, Named::Versions(id)) => versions(&api, &id),
        (Method::GET, Named::Version(id, version)) => show_version(api, id, &version).await,
        (Method::POST, Named::Group(id)) => create(&api, &id, &params, read_json(body).await?).await,
        (Method::PUT, Named::Group(id)) => put(&api, &id, &params, read_json(body).await?).await,
        (Method::PATCH, Named::Group(id)) if id != "/" => patch(&api, id, read_json(body).await?).await,
        (Method::DELETE, Named::Group(id)) => remove(&api, id, &params).await,
        _ => Err(wrong_method()),
    }
}

/// Whether there is such a group.
fn exists(model: &ReadModel, id: &str) -> bool {
    let inside = |other: &str| path::is_inside(other, id);
    id == "/"
        || model.group(id).is_some()
        || model.apps_after(Some(&AppId::from(id))).map(|app| app.current.spec.id.as_str()).any(inside)
        || model.groups().any(|(other, _)| inside(other.as_str()) && model.group(other.as_str()).is_some())
}

/// What is there at and below a group.
fn present(model: &ReadModel, id: &str) -> Present {
    let at_or_below = |other: &str| other == id || path::is_inside(other, id);
    let groups = model.groups().filter_map(|(other, _)| model.group(other.as_str()));
    Present {
        apps: model
            .apps()
            .filter(|app| path::is_inside(app.current.spec.id.as_str(), id))
            .map(|app| (app.current.spec.id.clone(), app.current.clone()))
            .collect(),
        groups: groups
            .filter(|group| at_or_below(group.id.as_str()))
            .map(|group| (group.id.clone(), group.clone()))
            .collect(),
    }
}

async fn show(api: Api, id: String, params: &Params) -> Answer {
    let embeds: Vec<&str> = params.all("embed").collect();
    let shows = |what: &str| {
        !embeds.iter().any(|embed| embed.starts_with("group."))
            || embeds.iter().any(|embed| {
                embed.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
    };
    let (with_apps, with_groups) = (shows("group.apps"), shows("group.groups"));
    let embed = Embed::default().with(embeds.iter().copied());
    written(move || {
        let (mut content, taken, now) = {
            let model = api.master.read();
            if !exists(&model, &id) {
                return Err(Refused(Problem::unknown_group(&id)));
            }
            let taken: Vec<Taken> = model
                .apps()
                .filter(|app| path::is_inside(app.current.spec.id.as_str(), &id))
                .map(|app| Taken::of(&model, app, embed))
                .collect();
            let groups = present(&model, &id).groups.into_values().collect();
            let gone = history::gone(&model, &id);
            (Content { apps: Vec::new(), groups, gone }, taken, clock::now())
        };
        content.apps = taken
            .iter()
            .map(|taken| {
                let current = &taken.app.current;
                (current.spec.id.to_string(), current.version, taken.show(&api, now, embed))
            })
            .collect();
        let mut tree = group::group(&id, content);
        prune(&mut tree, with_apps, with_groups);
        Ok(json(StatusCode::OK, &tree))
    })
    .await
}

async fn apps(api: Api, id: String, params: &Params) -> Answer {
    let embed = Embed::LISTING.with(params.all("embed"));
    written(move || {
        let (taken, now) = {
            let model = api.master.read();
            if !exists(&model, &id) {
                return Err(Refused(Problem::unknown_group(&id)));
            }
            let inside = model.apps().filter(|app| path::is_inside(app.current.spec.id.as_str(), &id));
            let taken: Vec<Taken> = inside.map(|app| Taken::of(&model, app, embed)).collect();
            (taken, clock::now())
        };
        let shown: Value = taken.iter().map(|taken| taken.show(&api, now, embed)).collect();
        Ok(json(StatusCode::OK, &shown))
    })
    .await
}

fn versions(api: &Api, id: &str) -> Answer {
    let model = api.master.read();
    if !exists(&model, id) {
        return Err(Refused(Problem::unknown_group(id)));
    }
    let versions: Value = history::versions(&model, id).into_iter().map(Timestamp::to_rfc3339).collect();
    Ok(json(StatusCode::OK, &versions))
}

async fn show_version(api: Api, id: String, text: &str) -> Answer {
    let unknown = Problem::new(404, format!("Group '{id}' does not exist in version {text}"));
    let version: Timestamp = text.parse().map_err(|_| unknown.clone())?;
    written(move || {
        let was = history::at(&api.master.read(), &id, version).ok_or(unknown)?;
        let apps = was
            .apps
            .into_values()
            .map(|app| (app.spec.id.to_string(), app.version, Value::Object(app::version(&app))))
            .collect();
        let groups = was.groups.into_values().collect();
        let mut tree = group::group(&id, Content { apps, groups, gone: Vec::new() });
        tree["version"] = json!(version.to_rfc3339());
        Ok(json(StatusCode::OK, &tree))
    })
    .await
}

impl Api {
    /// What a body asks, with roles as their groups want them.
    fn read_group(&self, base: &str, body: &Value) -> Result<(AppId, GroupUpdate), Problem> {
        let enforces = |group: &str| self.enforces(group);
        update::read(body, base, &self.defaults, &enforces)
    }

    /// Whether a top-level group has its name be the role of its apps.
    fn enforces(&self, group: &str) -> bool {
        enforces(&self.master.read(), group)
    }

    /// What is filled into an app where its definition says nothing.
    pub(super) fn defaults_of(&self, app: &AppId) -> Defaults {
        self.defaults_in(&self.master.read(), app)
    }

    /// The same, for whoever reads the picture already.
    pub(super) fn defaults_in(&self, model: &ReadModel, app: &AppId) -> Defaults {
        let top = app.as_str().split('/').nth(1).unwrap_or_default();
        update::enforced(&self.defaults, app, enforces(model, &format!("/{top}")))
    }
}

fn enforces(model: &ReadModel, group: &str) -> bool {
    model.group(group).is_some_and(|group| group.enforce_role == Some(true))
}

async fn create(api: &Api, base: &str, params: &Params, body: Value) -> Answer {
    let force = params.flag("force", false)?;
    let (id, update) = api.read_group(base, &body)?;
    let GroupUpdate::Tree(tree) = update else {
        return Err(Refused(Problem::rule("/", "a new group has neither 'version' nor 'scaleBy'")));
    };
    let answer = api
        .deploy(|model| {
            if model.app(&id).is_some() {
                return Err(Problem::new(409, format!("An app with the path {id} already exists.")));
            }
            if exists(model, id.as_str()) {
                let words = format!("Group {id} is already created. Use PUT to change this group.");
                return Err(Problem::new(409, words));
            }
            let mut deploy = update::changes(&present(model, id.as_str()), &tree);
            for group in deploy.groups.iter_mut().filter(|group| group.id == id) {
                group.must_be_new = true;
            }
            Ok(Deploy { force, ..deploy })
        })
        .await?;
    let begun = change::started(answer)?;
    let mut response = started(StatusCode::CREATED, &begun.deployment, begun.version);
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

async fn put(api: &Api, base: &str, params: &Params, body: Value) -> Answer {
    let force = params.flag("force", false)?;
    let dry_run = params.flag("dryRun", false)?;
    let (id, update) = api.read_group(base, &body)?;
    let answer = api
        .deploy(|model| {
            let present = present(model, id.as_str());
            let deploy = match &update {
                GroupUpdate::Tree(tree) => update::changes(&present, tree),
                _ if !exists(model, id.as_str()) => return Err(Problem::unknown_group(id.as_str())),
                GroupUpdate::ScaleBy(milli) => update::scale(&present, *milli),
                GroupUpdate::Version(version) => history::back(model, &present, id.as_str(), *version)
                    .ok_or_else(|| {
                        Problem::new(404, format!("Group '{id}' does not exist in version {version}"))
                    })?,
            };
            Ok(Deploy { force, dry_run, ..deploy })
        })
        .await?;
    match answer {
        ServiceAnswer::Plan(steps) => {
            let steps: Value = steps.iter().map(|step| deployment::step(step)).collect();
            Ok(json(StatusCode::OK, &json!({"steps": steps})))
        }
        answer => {
            let begun = change::started(answer)?;
            Ok(started(StatusCode::OK, &begun.deployment, begun.version))
        }
    }
}

/// PATCH: whether the apps of a top-level group must have its name as their role.
async fn patch(api: &Api, id: String, body: Value) -> Answer {
    if id == "/" || path::parent(&id) != "/" {
        return Err(Refused(Problem::rule("/id", "only top-level groups can be changed by PATCH")));
    }
    let fields = body.as_object().map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>());
    let enforce_role = body["enforceRole"].as_bool();
    if enforce_role.is_none() || fields.is_some_and(|fields| fields != ["enforceRole"]) {
        return Err(Refused(Problem::rule(
            "/enforceRole",
            "must be given, as true or false, and nothing else",
        )));
    }
    api.deploy(|model| {
        if !exists(model, &id) {
            return Err(Problem::unknown_group(&id));
        }
        let dependencies = model.group(&id).map(|group| group.dependencies.clone()).unwrap_or_default();
        let to = GroupTarget::Put { dependencies, enforce_role };
        let group = GroupChange { id: AppId::from(id.as_str()), must_be_new: false, to };
        Ok(Deploy { groups: vec![group], ..Deploy::default() })
    })
    .await?;
    Ok(StatusCode::OK.into_response())
}

async fn remove(api: &Api, id: String, params: &Params) -> Answer {
    let force = params.flag("force", false)?;
    let group = AppId::from(id.as_str());
    let answer = api
        .deploy(|model| {
            if !exists(model, &id) {
                return Err(Problem::unknown_group(&id));
            }
            let mut deploy = Deploy { force, ..Deploy::default() };
            update::remove(&present(model, &id), &group, &mut deploy);
            Ok(deploy)
        })
        .await?;
    let begun = change::started(answer)?;
    let body = json(StatusCode::OK, &deployment::started(&begun.deployment, begun.version));
    Ok(with_deployment(body, &begun.deployment))
}

/// Takes out what was not asked for.
fn prune(group: &mut Value, with_apps: bool, with_groups: bool) {
    if !with_apps {
        group["apps"] = json!([]);
    }
    if !with_groups {
        group["groups"] = json!([]);
    }
    for inner in group["groups"].as_array_mut().into_iter().flatten() {
        prune(inner, with_apps, with_groups);
    }
}

/// `/v2/pods…`: there are none.
pub(super) async fn pods(method: Method, path: Option<Path<String>>) -> Answer {
    match (method, path) {
        (Method::GET | Method::HEAD, None) => Ok(json(StatusCode::OK, &json!([]))),
        (Method::GET | Method::HEAD, Some(Path(path))) if path.trim_matches('/') == "::status" => {
            Ok(json(StatusCode::OK, &json!([])))
        }
        (Method::GET | Method::HEAD, Some(Path(path))) => {
            let id = path::absolute(path.split("::").next().unwrap_or_default(), "/");
            Err(Refused(Problem::new(404, format!("Pod '{id}' does not exist"))))
        }
        _ => Err(Refused(Problem::not_yet("pods"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_by_their_end() {
        for (text, expected) in [
            ("", Named::Group("/".into())),
            ("shop/", Named::Group("/shop".into())),
            ("shop/front", Named::Group("/shop/front".into())),
            ("apps", Named::Apps("/".into())),
            ("shop/apps", Named::Apps("/shop".into())),
            ("versions", Named::Versions("/".into())),
            ("shop/versions/", Named::Versions("/shop".into())),
            ("versions/x", Named::Version("/".into(), "x".into())),
            ("shop/front/versions/x", Named::Version("/shop/front".into(), "x".into())),
        ] {
            assert_eq!(Named::parse(text), expected, "{text}");
        }
    }
}
