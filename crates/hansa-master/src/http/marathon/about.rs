//! The server about itself: info, leader, plugins.

use super::Api;
use super::answer::{Answer, Params, Refused, json, wrong_method};
use crate::Master;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use hansa_api::marathon::Problem;
use hansa_api::marathon::render::info::{Info, info as render};
use serde_json::json;
use tracing::info;

/// How the client reaches this master: by the name it used, or by the address that is listened on.
pub(super) fn address(master: &Master, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| !host.is_empty());
    host.map_or_else(|| master.options().listen.to_string(), str::to_owned)
}

/// `/v2/info`.
pub(super) async fn info(State(api): State<Api>, headers: HeaderMap) -> Response {
    let identity = api.master.identity();
    let leader = address(&api.master, &headers);
    let port = leader.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let hostname = match leader.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name.to_owned(),
        _ => leader.clone(),
    };
    let body = render(&Info {
        cluster: identity.cluster.as_str().to_owned(),
        leader: Some(leader),
        elected: true,
        build: identity.version.to_owned(),
        hostname,
        http_port: port.unwrap_or(api.master.options().listen.port()),
        role: api.defaults.role.as_str().to_owned(),
        // As the services scheduler is set up; see `hansa_schedulers::services::Settings`.
        local_port_min: 10_000,
        local_port_max: 20_000,
        max_versions: 50,
    });
    json(StatusCode::OK, &body)
}

/// `/v2/leader`. A single master that abdicates is elected again at once; what clients notice of it is that their event
/// streams end, and they come back.
pub(super) async fn leader(
    State(api): State<Api>,
    method: Method,
    headers: HeaderMap,
    params: Params,
) -> Answer {
    match method {
        Method::GET | Method::HEAD => {
            Ok(json(StatusCode::OK, &json!({"leader": address(&api.master, &headers)})))
        }
        Method::DELETE => {
            if params.get("backup").or(params.get("restore")).is_some_and(|uri| !uri.is_empty()) {
                return Err(Refused(Problem::not_yet("a backup along with a change of leaders")));
            }
            info!("asked to abdicate; event streams end, and this master goes on leading");
            api.hub.end_streams();
            Ok(json(StatusCode::OK, &json!({"message": "Leadership abdicated"})))
        }
        _ => Err(wrong_method()),
    }
}

/// `/v2/plugins`: there are none.
pub(super) async fn plugins() -> Response {
    json(StatusCode::OK, &json!({"plugins": []}))
}
