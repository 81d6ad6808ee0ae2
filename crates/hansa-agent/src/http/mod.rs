//! The agent's own port: health, state, files, figures, images, and the executors of frameworks. Nothing is changed but
//! what executors say of their tasks, that unused images are removed, and that commands run in containers, where those are
//! allowed; handlers ask the loop and convert.
//!
//! What Mesos' agents answer stands in [`mesos`]. Everything also under `/slave(1)`, where Mesos' clients look. On loopback everybody on the machine may ask, but a
//! request with a foreign `Host` or `Origin` is refused: it comes from a web page that somebody was lured to.

mod content;
mod exec;
mod files;
mod guard;
mod images;
mod mesos;
mod usage;

use crate::agent::{Event, Shell};
use crate::prepare::HeldImages;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hansa_mesos::logging::Verbosity;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections served at the same time; more wait.
const MAX_CONNECTIONS: usize = 256;

/// What handlers have.
#[derive(Clone)]
struct Context {
    events: mpsc::Sender<Event>,
    sandboxes: Arc<PathBuf>,
    images: Arc<HeldImages>,
    allow_exec: bool,
    verbosity: Option<Verbosity>,
    sessions: Arc<mesos::nested::Sessions>,
    disk: Arc<mesos::disk::DiskUse>,
}

impl Context {
    /// Asks the loop; an error answer if it is about to end.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shell) -> T + Send + 'static,
    ) -> Result<T, Response> {
        let (sender, receiver) = oneshot::channel();
        let question = move |shell: &Shell| drop(sender.send(question(shell)));
        let ending = || error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the agent ends");
        self.events.send(Event::Ask(Box::new(question))).await.map_err(|_| ending())?;
        receiver.await.map_err(|_| ending())
    }
}

/// The one error shape of Hansa's API.
fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = hansa_api::hansa::ErrorBody {
        error: hansa_api::hansa::Error {
            code: code.into(),
            message: message.into(),
            field: None,
            remedy: None,
        },
    };
    (status, axum::Json(body)).into_response()
}

/// All routes.
pub(crate) fn router(
    events: mpsc::Sender<Event>,
    sandboxes: PathBuf,
    images: Arc<HeldImages>,
    loopback_only: bool,
    allow_exec: bool,
    verbosity: Option<Verbosity>,
) -> Router {
    let (sessions, disk) = (Arc::default(), Arc::default());
    let sandboxes = Arc::new(sandboxes);
    let context = Context { events, sandboxes, images, allow_exec, verbosity, sessions, disk };
    let routes = Router::new()
        .route("/hansa/v1/tasks/{task}/usage", get(usage::usage))
        .route("/hansa/v1/tasks/{task}/history", get(usage::history))
        .route("/hansa/v1/tasks/{task}/files", get(content::list))
        .route("/hansa/v1/tasks/{task}/files/content", get(content::show))
        .route("/hansa/v1/images", get(images::list))
        .route("/hansa/v1/images/prune", post(images::prune))
        .route("/hansa/v1/tasks/{task}/exec", get(exec::exec))
        .route("/files/{task}/{stream}", get(files::stream));
    let all = Router::new()
        .merge(routes.clone())
        .nest("/slave(1)", routes)
        .fallback(mesos::serve)
        .with_state(context);
    if loopback_only { all.layer(middleware::from_fn(guard::own_pages_only)) } else { all }
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(turn) = connections.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: accepting at once again would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // Small buffers: an agent is to cost its machine little.
            server.http1().timer(hyper_util::rt::TokioTimer::new()).max_buf_size(32 * 1024);
            // Errors are the client's: it went away or spoke something else.
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            drop(turn);
        });
    }
}
