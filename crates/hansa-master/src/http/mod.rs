//! The one HTTP port: which path means what.
//!
//! Handlers parse, make one call on [`Master`], convert. Every answer that is not a stream is bounded, every input has a
//! limit, and whatever goes wrong has a typed body.

mod agent_logs;
mod agents;
mod apart;
mod assets;
mod cors;
mod deployments;
mod docs;
pub mod error;
mod events;
mod exec;
mod extract;
mod fields;
mod files;
mod frameworks;
#[cfg(test)]
mod fuzz;
mod guard;
mod gzip;
mod history;
mod images;
pub(crate) mod limits;
mod link;
mod lists;
pub mod marathon;
mod measurements;
mod mesos;
mod methods;
mod nodes;
mod openapi;
mod past;
mod plans;
mod roles;
mod services;
mod tags;
mod tasks;
mod terminal;
mod typed;
mod views;

use crate::Master;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use error::ApiError;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Hansa's own API: what [`hansa_api::openapi`] describes, path for path.
fn own_routes() -> Vec<(&'static str, MethodRouter<Master>)> {
    vec![
        ("/hansa/v1/openapi.json", get(openapi::hansa)),
        ("/hansa/v1/openapi-marathon.json", get(openapi::marathon)),
        ("/hansa/v1/docs", get(docs::page)),
        ("/hansa/v1/cluster", get(views::cluster)),
        ("/hansa/v1/nodes", get(nodes::list)),
        ("/hansa/v1/nodes/{node}", get(nodes::show)),
        ("/hansa/v1/nodes/{node}/drain-preview", get(plans::drain)),
        ("/hansa/v1/nodes/{node}/{order}", post(nodes::order)),
        ("/hansa/v1/services", get(services::list)),
        ("/hansa/v1/services/{*path}", get(services::show)),
        ("/hansa/v1/explain/{*path}", get(plans::explain)),
        ("/hansa/v1/usage/{*path}", get(history::usage)),
        ("/hansa/v1/history", get(history::show)),
        ("/hansa/v1/tasks", get(tasks::list)),
        ("/hansa/v1/tasks/{task}", get(tasks::show)),
        ("/hansa/v1/tasks/{task}/logs/{stream}", get(agent_logs::show)),
        ("/hansa/v1/tasks/{task}/history", get(past::task)),
        ("/hansa/v1/tasks/{task}/files", get(files::list)),
        ("/hansa/v1/tasks/{task}/files/content", get(files::content)),
        ("/hansa/v1/tasks/{task}/terminal", get(terminal::open)),
        ("/hansa/v1/deployments", get(deployments::list)),
        ("/hansa/v1/deployments/{deployment}", get(deployments::show)),
        ("/hansa/v1/deployments/{deployment}/{order}", post(deployments::order)),
        ("/hansa/v1/images", get(images::list)),
        ("/hansa/v1/images/prune", post(images::prune)),
        ("/hansa/v1/frameworks", get(frameworks::list)),
        ("/hansa/v1/frameworks/{framework}", get(frameworks::show).delete(frameworks::remove)),
        ("/hansa/v1/frameworks/{framework}/explain", get(frameworks::explain)),
        ("/hansa/v1/roles", get(roles::list)),
        ("/hansa/v1/roles/{role}", put(roles::set).delete(roles::forget)),
        ("/hansa/v1/events", get(events::stream)),
        ("/hansa/v1/events/history", get(past::events)),
    ]
}

/// Everything that the master serves.
pub(crate) fn router(master: Master) -> Router {
    let own =
        own_routes().into_iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    let hansa = own
        // Not in the description: it is no request and answer.
        .route("/hansa/v1/tasks/{task}/exec", get(exec::run))
        .route("/ping", get(measurements::ping))
        .route("/metrics", get(measurements::show))
        .route(hansa_link::grpc::SESSION_PATH, post(link::session))
        .route("/", get(assets::index))
        .route("/ui", get(assets::index))
        .route("/ui/{*path}", get(assets::file))
        .layer(middleware::from_fn(fields::check))
        .layer(middleware::from_fn_with_state(master.clone(), tags::check))
        .with_state(master.clone());
    let mesos = mesos::Mesos::new(master.clone());
    let routes = hansa
        .merge(marathon::router(master.clone()))
        .fallback(move |request| elsewhere(mesos.clone(), request))
        .method_not_allowed_fallback(wrong_method);
    // Around all of it, not around each route: what the router itself answers and adds is seen too.
    Router::new()
        .fallback_service(routes)
        // From the inside out.
        .layer(middleware::from_fn(methods::options))
        .layer(middleware::from_fn(limits::check))
        .layer(middleware::from_fn_with_state(master.clone(), guard::check))
        .layer(middleware::from_fn(typed::check))
        .layer(middleware::from_fn_with_state(master.clone(), cors::check))
        .layer(middleware::from_fn(gzip::compress))
        .layer(middleware::from_fn(methods::head))
        .layer(middleware::from_fn_with_state(master, measured))
}

/// Counts the request, and answers for a handler that panics: the client gets a typed error, the process goes on.
async fn measured(
    State(master): State<Master>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    let begun = std::time::Instant::now();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answer.unwrap_or_else(|_| {
        ApiError::internal("the handler of this request has a bug; the master's log tells more")
            .into_response()
    });
    master.metrics().answered(response.status(), begun.elapsed());
    response
}

/// Whether clients of this path keep their connections and do not take it well when they are closed.
pub(crate) fn keeps_connections(path: &str) -> bool {
    mesos::is_api(path)
}

/// What no route has: Mesos' surface finds its own paths, as Mesos does.
async fn elsewhere(mesos: mesos::Mesos, request: axum::extract::Request) -> Response {
    let nothing = ApiError::not_found(format!("there is nothing at {}", request.uri().path()));
    mesos.serve(request).await.unwrap_or_else(|| nothing.into_response())
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, start_with_store};
    use hansa_store::memory::{MemoryDisk, MemoryStore};
    use tower::ServiceExt;

    /// A master in memory, and its routes.
    pub(super) struct Running {
        pub(super) router: Router,
        pub(super) running: crate::Running,
    }

    pub(super) async fn serving() -> Running {
        let store = MemoryStore::open(&MemoryDisk::new()).unwrap();
        let options = Options::new("127.0.0.1:0".parse().unwrap(), "unused");
        let running = start_with_store(options, Box::new(store)).await.unwrap();
        Running { router: router(running.master().clone()), running }
    }

    /// The answer to a request without a body.
    pub(super) async fn ask(
        router: &Router,
        method: &str,
        path: &str,
    ) -> (axum::http::response::Parts, String) {
        let request = axum::extract::Request::builder().method(method).uri(path);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (head, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for() {
        let Running { running, .. } = serving().await;
        async fn broken() -> &'static str {
            panic!("a planted bug")
        }
        let router = Router::new()
            .route("/broken", get(broken))
            .layer(middleware::from_fn_with_state(running.master().clone(), measured));
        let request = axum::extract::Request::get("/broken").body(axum::body::Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: hansa_api::hansa::ErrorBody = serde_json::from_slice(&body).unwrap();
        assert_eq!(body.error.code, "internal");
        assert!(!body.error.message.contains("planted"), "what is inside stays inside");
        running.stop().await.unwrap();
    }
}
