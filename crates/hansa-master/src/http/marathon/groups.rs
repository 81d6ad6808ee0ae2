//! `/v2/groups`, for reading: the tree that the apps' paths make. Changing groups, and pods, come later and say so.

use super::Api;
use super::answer::{Answer, Params, Refused, json, written};
use super::apps::Taken;
use crate::clock;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use hansa_api::marathon::render::group;
use hansa_api::marathon::select::Embed;
use hansa_api::marathon::{Problem, path};
use hansa_model::Timestamp;
use serde_json::{Value, json};

/// `/v2/groups`.
pub(super) async fn root(State(api): State<Api>, method: Method, params: Params) -> Answer {
    group_at(api, &method, "/".to_owned(), &params).await
}

/// `/v2/groups/{path}`.
pub(super) async fn below(
    State(api): State<Api>,
    method: Method,
    Path(path): Path<String>,
    params: Params,
) -> Answer {
    if path.trim_matches('/').split('/').any(|segment| segment == "versions") {
        return Err(Refused(Problem::not_yet("versions of groups")));
    }
    group_at(api, &method, path::absolute(&path, "/"), &params).await
}

async fn group_at(api: Api, method: &Method, id: String, params: &Params) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(Refused(Problem::not_yet("changing groups")));
    }
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
        let (apps, now, version) = {
            let model = api.master.read();
            let apps: Vec<Taken> = model
                .apps()
                .filter(|app| path::is_inside(app.current.spec.id.as_str(), &id))
                .map(|app| Taken::of(&model, app, embed))
                .collect();
            let newest = apps.iter().map(|taken| taken.app.current.version).max().unwrap_or(Timestamp(0));
            (apps, clock::now(), newest)
        };
        if apps.is_empty() && id != "/" {
            return Err(Refused(Problem::unknown_group(&id)));
        }
        let shown = apps
            .iter()
            .map(|taken| (taken.app.current.spec.id.as_str().to_owned(), taken.show(&api, now, embed)))
            .collect();
        let mut tree = group::group(&id, version, shown);
        prune(&mut tree, with_apps, with_groups);
        Ok(json(StatusCode::OK, &tree))
    })
    .await
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
