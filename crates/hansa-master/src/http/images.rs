//! `/hansa/v1/images`: container images on all machines. The machines know; they are asked side by side.

use super::error::ApiError;
use super::extract::Query;
use super::nodes;
use crate::Master;
use axum::Json;
use axum::extract::State;
use futures_util::StreamExt;
use hansa_api::hansa::{Images, Pruned, PrunedNode, SilentNode};
use hansa_model::event::AgentState;
use hansa_model::words::innermost;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a machine may take to list its images.
const LIST: Duration = Duration::from_secs(10);
/// And to remove some.
const PRUNE: Duration = Duration::from_secs(120);
/// Machines asked at the same time.
const AT_ONCE: usize = 32;
/// Bytes of one machine's answer: some ten thousand images.
const MOST: usize = 16 << 20;

/// Which machine; none: all.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    node: Option<String>,
}

/// `GET /hansa/v1/images`
pub(super) async fn list(
    State(master): State<Master>,
    Query(which): Query<Which>,
) -> Result<Json<Images>, ApiError> {
    let mut all = Images::default();
    for (node, answer) in ask::<Images>(&master, &which, Method::GET, "images", LIST).await? {
        match answer {
            Ok(images) => all.images.extend(images.images),
            Err(why) => all.silent.push(SilentNode { node, why }),
        }
    }
    Ok(Json(all))
}

/// `POST /hansa/v1/images/prune`
pub(super) async fn prune(
    State(master): State<Master>,
    Query(which): Query<Which>,
) -> Result<Json<Pruned>, ApiError> {
    let mut all = Pruned::default();
    for (node, answer) in ask::<PrunedNode>(&master, &which, Method::POST, "images/prune", PRUNE).await? {
        match answer {
            Ok(pruned) => all.nodes.push(pruned),
            Err(why) => all.silent.push(SilentNode { node, why }),
        }
    }
    Ok(Json(all))
}

/// What machines answer, in the order of their names.
async fn ask<T: DeserializeOwned>(
    master: &Master,
    which: &Which,
    method: Method,
    path: &str,
    patience: Duration,
) -> Result<Vec<(String, Result<T, String>)>, ApiError> {
    let wanted: Vec<(String, String, AgentState)> = {
        let model = master.read();
        let seen = |agent: &crate::read_model::Agent| {
            (agent.view.hostname.to_string(), agent.view.address.clone(), agent.view.state)
        };
        match &which.node {
            Some(name) => vec![seen(nodes::find(&model, name)?)],
            None => model.agents().map(seen).collect(),
        }
    };
    let asking = wanted.into_iter().map(|(node, address, state)| {
        let method = method.clone();
        async move {
            let answer = match state {
                AgentState::Disconnected | AgentState::Unreachable => {
                    Err("its agent has no contact with the master".to_owned())
                }
                _ => one(master, method, &address, path, patience).await,
            };
            (node, answer)
        }
    });
    let mut answers: Vec<_> = futures_util::stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(answers)
}

async fn one<T: DeserializeOwned>(
    master: &Master,
    method: Method,
    address: &str,
    path: &str,
    patience: Duration,
) -> Result<T, String> {
    let url = format!("http://{address}/hansa/v1/{path}");
    let asked = async {
        let answer = master.inner().http.request(method, url).send().await.map_err(|e| innermost(&e))?;
        let status = answer.status();
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|error| innermost(&error))?);
            if body.len() > MOST {
                return Err("its answer is too long".to_owned());
            }
        }
        match status {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|error| error.to_string()),
            status => Err(format!("it answers {status}")),
        }
    };
    let answer = tokio::time::timeout(patience, asked).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
}
