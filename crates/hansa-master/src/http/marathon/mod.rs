//! Marathon's API under `/v2`, also at `/marathon/v2` and `/service/marathon/v2`.
//!
//! Handlers parse, make one call on [`Master`], convert; the JSON itself is made and read in `hansa_api::marathon`. A
//! change reads the app as it stands, merges, and submits what it saw along; if somebody was faster, it looks again.

mod about;
mod answer;
mod apps;
mod change;
mod deployments;
mod events;
mod groups;
mod history;
mod tasks;
mod world;

use super::{measurements, tags};
use crate::Master;
use answer::Refused;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use events::Hub;
use hansa_api::marathon::{Defaults, Problem};
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    master: Master,
    hub: Arc<Hub>,
    defaults: Arc<Defaults>,
}

/// All paths of Marathon's API.
pub fn router(master: Master) -> Router {
    let api = Api { hub: Arc::new(Hub::new(master.clone())), master, defaults: Arc::default() };
    Router::new()
        .merge(routes())
        .nest("/marathon", with_ping())
        .nest("/service/marathon", with_ping())
        .layer(middleware::from_fn_with_state(api.master.clone(), tags::check))
        .layer(middleware::from_fn_with_state(api.clone(), headers))
        .with_state(api)
}

/// Whether a path belongs to Marathon's API.
pub(crate) fn is_below(path: &str) -> bool {
    below(path).is_some()
}

/// What of a path stands behind `/v2`, if it belongs to Marathon's API.
fn below(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/service").unwrap_or(path);
    let path = path.strip_prefix("/marathon").unwrap_or(path);
    path.strip_prefix("/v2").filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The methods that a path of Marathon's API takes, without OPTIONS; empty if there is no such path. None: not Marathon's.
pub(super) fn allowed(path: &str) -> Option<&'static str> {
    let below = below(path)?.trim_matches('/');
    let (list, rest) = below.split_once('/').unwrap_or((below, ""));
    Some(match (list, rest) {
        ("apps", rest) => apps::allowed(rest),
        ("groups", rest) => groups::allowed(rest),
        ("pods", _) | ("tasks" | "deployments" | "queue" | "events" | "info" | "plugins", "") => "GET,HEAD",
        ("tasks", "delete") => "POST",
        ("deployments", id) if !id.contains('/') => "DELETE",
        ("queue", path) if path.ends_with("/delay") => "DELETE",
        ("leader", "") => "GET,HEAD,DELETE",
        _ => "",
    })
}

fn routes() -> Router<Api> {
    let lists: [(&str, MethodRouter<Api>); 6] = [
        ("/v2/apps", any(apps::all)),
        ("/v2/groups", any(groups::root)),
        ("/v2/pods", any(groups::pods)),
        ("/v2/tasks", any(tasks::all)),
        ("/v2/deployments", any(deployments::all)),
        ("/v2/queue", any(deployments::queue)),
    ];
    // With and without a slash at the end.
    let routes = lists.into_iter().fold(Router::new(), |routes, (path, handler)| {
        routes.route(&format!("{path}/"), handler.clone()).route(path, handler)
    });
    routes
        .route("/v2/apps/{*path}", any(apps::below))
        .route("/v2/groups/{*path}", any(groups::below))
        .route("/v2/pods/{*path}", any(groups::pods))
        .route("/v2/tasks/delete", any(tasks::delete))
        .route("/v2/deployments/{id}", any(deployments::one))
        .route("/v2/queue/{*path}", any(deployments::delay))
        .route("/v2/events", any(events::stream))
        .route("/v2/info", get(about::info))
        .route("/v2/leader", any(about::leader))
        .route("/v2/plugins", get(about::plugins))
        .route("/v2", any(unknown))
        .route("/v2/{*path}", any(unknown))
}

/// At the port's root `/ping` and `/metrics` are everybody's.
fn with_ping() -> Router<Api> {
    let metrics = |State(api): State<Api>, headers: HeaderMap| measurements::show(State(api.master), headers);
    routes()
        .route("/ping", get(measurements::ping))
        .route("/metrics", get(metrics))
        .route("/metrics/prometheus", get(prometheus))
}

/// Prometheus' text, whatever the client says that it accepts.
async fn prometheus(State(api): State<Api>) -> Response {
    measurements::show(State(api.master), HeaderMap::new()).await
}

/// Marathon itself answers 500 here; its clients expect 404.
async fn unknown() -> Refused {
    Refused(Problem::new(404, "URI not found"))
}

/// What Marathon sends with every answer.
async fn headers(State(api): State<Api>, request: Request, next: Next) -> Response {
    let leader = format!("http://{}", about::address(&api.master, request.headers()));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if let Ok(leader) = HeaderValue::from_str(&leader) {
        headers.insert("x-marathon-leader", leader);
    }
    response
}
