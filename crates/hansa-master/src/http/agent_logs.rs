//! `/hansa/v1/tasks/{id}/logs/{stream}`: a task's output, passed through from its machine as it comes.

use super::agents::Machine;
use super::error::ApiError;
use super::extract::Query;
use crate::Master;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use hansa_model::TaskId;
use serde::Deserialize;
use std::time::Duration;

/// How long a machine may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Headers of the machine's answer that are passed on begin with this.
const OWN_HEADERS: &str = "x-hansa-";

/// Which part of the output.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    offset: Option<i64>,
    limit: Option<u64>,
    follow: Option<bool>,
    /// The machine, for a task that the master has forgotten.
    node: Option<String>,
}

/// `GET /hansa/v1/tasks/{id}/logs/{stdout or stderr}`
pub(super) async fn show(
    State(master): State<Master>,
    Path((task, stream)): Path<(TaskId, String)>,
    Query(part): Query<Part>,
) -> Result<Response, ApiError> {
    if !matches!(stream.as_str(), "stdout" | "stderr") {
        return Err(
            ApiError::not_found(format!("a task has no stream '{stream}'")).remedy("stdout or stderr")
        );
    }
    let (address, hostname) = machine(&master, &task, part.node.as_deref())?;
    let url = url(&address, &task, &stream, &part).ok_or_else(|| {
        ApiError::unavailable(format!("node {hostname} has no usable address: '{address}'"))
    })?;
    let asking = tokio::time::timeout(PATIENCE, master.inner().http.get(url).send()).await;
    let gone = |why: String| {
        ApiError::unavailable(format!("node {hostname} at {address} does not answer: {why}"))
            .remedy("its agent may be stopped; the output is kept on the machine")
    };
    let answer =
        asking.map_err(|_| gone("it takes too long".into()))?.map_err(|error| gone(error.to_string()))?;
    match answer.status() {
        StatusCode::OK => Ok(passed_on(&master, answer)),
        StatusCode::NOT_FOUND => {
            Err(ApiError::not_found(format!("node {hostname} has no {stream} of task '{task}'")))
        }
        status => {
            let words: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
            Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "unavailable",
                format!("node {hostname} says {status}: {words}"),
            ))
        }
    }
}

/// Address and name of the machine that has the output.
fn machine(master: &Master, task: &TaskId, node: Option<&str>) -> Result<(String, String), ApiError> {
    Machine::of(master, task, node).map(|machine| (machine.address, machine.hostname))
}

fn url(address: &str, task: &TaskId, stream: &str, part: &Part) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(&format!("http://{address}/")).ok()?;
    url.path_segments_mut().ok()?.clear().extend(["files", task.as_str(), stream]);
    let numbers =
        [("offset", part.offset.map(|n| n.to_string())), ("limit", part.limit.map(|n| n.to_string()))];
    let follow = ("follow", part.follow.map(|follow| follow.to_string()));
    for (name, value) in numbers.into_iter().chain([follow]) {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    Some(url)
}

fn passed_on(master: &Master, answer: reqwest::Response) -> Response {
    let own: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(OWN_HEADERS))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut stopping = master.stopping();
    let stopped = async move {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let mut response = Response::new(Body::from_stream(answer.bytes_stream().take_until(Box::pin(stopped))));
    let headers = response.headers_mut();
    headers.extend(own);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_stays_within_its_segment() {
        let part = Part { offset: Some(-5), limit: None, follow: Some(true), node: None };
        let url = url("127.0.0.1:5051", &TaskId::from("../a b?c#d%/e"), "stdout", &part).unwrap();
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:5051/files/..%2Fa%20b%3Fc%23d%25%2Fe/stdout?offset=-5&follow=true"
        );
        let part = Part { offset: None, limit: None, follow: None, node: None };
        assert_eq!(super::url("not an address", &TaskId::from("a"), "stdout", &part), None);
    }
}
