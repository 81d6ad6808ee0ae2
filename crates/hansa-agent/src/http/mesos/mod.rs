//! What Mesos' agents answer: its executor and operator APIs, the older endpoints, sandboxes by their virtual paths.
//!
//! Which path means what stands in [`paths`]; the method is not looked at but where Mesos does. Reads ask the loop and
//! convert.

mod about;
pub(super) mod answers;
mod attach;
pub(super) mod disk;
mod executor;
mod figures;
pub(super) mod nested;
mod operator;
mod paths;
pub(super) mod places;
mod state;

use super::{Context, error, files};
use crate::agent::Shell;
use answers::Query;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use paths::Endpoint;
use serde_json::{Value, json};

/// Every request that none of our own routes takes.
pub(super) async fn serve(State(context): State<Context>, request: Request) -> Response {
    let path = answers::unescaped(request.uri().path(), false);
    let Some(endpoint) = paths::find(&path) else {
        return error(StatusCode::NOT_FOUND, "not-found", "there is no such path here");
    };
    let uri = request.uri().clone();
    match endpoint {
        Endpoint::Executor => executor::serve(context, request).await,
        Endpoint::Operator => operator::serve(context, request).await,
        Endpoint::State => ask(&context, state::write).await,
        Endpoint::Containers => {
            let nested = Query::of(&uri).get("show_nested") == Some("true");
            let used = disk_used(&context).await;
            ask(&context, move |shell| figures::containers(shell, nested, &used)).await
        }
        Endpoint::Statistics => {
            let used = disk_used(&context).await;
            ask(&context, move |shell| figures::monitor(shell, &used)).await
        }
        Endpoint::Metrics => ask(&context, |shell| Value::Object(about::metrics(shell))).await,
        Endpoint::Flags => ask(&context, |shell| json!({"flags": about::flags(shell)})).await,
        Endpoint::Health => answers::empty(),
        Endpoint::Version => answers::json(&about::version()),
        Endpoint::FilesBrowse => files::browse(context, uri).await,
        Endpoint::FilesRead => files::read(context, uri).await,
        Endpoint::FilesDownload => files::download(context, uri).await,
        Endpoint::FilesDebug => files::debug(context).await,
        Endpoint::Logging => about::logging(context.verbosity, &Query::of(&uri)),
        Endpoint::Unsupported(what) => answers::unsupported(what),
    }
}

async fn ask(context: &Context, question: impl FnOnce(&Shell) -> Value + Send + 'static) -> Response {
    match context.ask(question).await {
        Ok(value) => answers::json(&value),
        Err(response) => response,
    }
}

/// What the sandboxes of the containers take on disk. Nothing, if the loop is about to end.
async fn disk_used(context: &Context) -> disk::Used {
    match context.ask(figures::sandboxes).await {
        Ok(wanted) => context.disk.of(&context.sandboxes, wanted).await,
        Err(_) => disk::Used::new(),
    }
}
