//! Container images on this machine: the list, and the removal of those that nothing uses.

use super::{Context, error};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansa_api::hansa::{ImageOnNode, Images, PrunedNode};
use hansa_images::Listed;
use hansa_model::{TaskId, Timestamp};

/// `GET /hansa/v1/images`
pub(super) async fn list(State(context): State<Context>) -> Response {
    let node = match hostname(&context).await {
        Ok(node) => node,
        Err(response) => return response,
    };
    let images = context.images.images().list().into_iter().map(|image| shown(&node, image)).collect();
    Json(Images { images, silent: Vec::new() }).into_response()
}

/// `POST /hansa/v1/images/prune`
pub(super) async fn prune(State(context): State<Context>) -> Response {
    let node = match hostname(&context).await {
        Ok(node) => node,
        Err(response) => return response,
    };
    let images = context.images.images().clone();
    match tokio::task::spawn_blocking(move || images.prune(&[])).await {
        Ok(removed) => {
            Json(PrunedNode { node, images: removed.images, bytes: removed.bytes }).into_response()
        }
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &why.to_string()),
    }
}

async fn hostname(context: &Context) -> Result<String, Response> {
    context.ask(|shell| shell.node.config().hostname.clone()).await
}

fn shown(node: &str, image: Listed) -> ImageOnNode {
    ImageOnNode {
        node: node.to_owned(),
        references: image.references,
        digest: image.digest.to_string(),
        bytes: image.bytes,
        pulled_bytes: image.pulled_bytes,
        layers: image.layers,
        pulled_at: Timestamp(image.pulled_at_ms),
        used_at: Timestamp(image.used_at_ms),
        used_by: image.used_by.into_iter().map(TaskId::from).collect(),
    }
}
