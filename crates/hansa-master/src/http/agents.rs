//! Asking the machine of a task: which one it is, what its answers mean, and how they are passed on. An agent that does not
//! answer, or is older than this master, is told of by name.

use super::error::ApiError;
use super::nodes;
use crate::Master;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use hansa_api::hansa::ErrorBody;
use hansa_model::TaskId;
use hansa_model::words::innermost;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a machine may take to begin its answer, and, where that is read whole, to end it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine as it is asked.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Its agent's HTTP port, `host:port`.
    pub(super) address: String,
    /// Its name.
    pub(super) hostname: String,
    /// Its agent's version.
    pub(super) version: String,
}

impl Machine {
    /// The machine of a task, also of one that ended and is remembered; or the one that is named.
    pub(super) fn of(master: &Master, task: &TaskId, named: Option<&str>) -> Result<Self, ApiError> {
        let model = master.read();
        let agent = match (model.told_or_ended(task), named) {
            (_, Some(name)) => nodes::find(&model, name)?,
            (Some(told), None) => model.agent(told.view.agent.as_str()).ok_or_else(|| {
                let words =
                    format!("task '{task}' was on {}, which is not known any more", told.view.hostname);
                ApiError::not_found(words).remedy("what it left is on that machine, if that still exists")
            })?,
            (None, None) => {
                return Err(ApiError::not_found(format!("there is no task '{task}'"))
                    .remedy("tasks are forgotten some time after they end; their output may still be on the machine: add ?node="));
            }
        };
        Ok(Self {
            address: agent.view.address.clone(),
            hostname: agent.view.hostname.to_string(),
            version: agent.view.version.clone(),
        })
    }

    /// GETs what is at the path, with a query of what is given.
    ///
    /// # Errors
    /// It does not answer in time, or refuses.
    pub(super) async fn get(
        &self,
        master: &Master,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<reqwest::Response, ApiError> {
        let answer = self.send(self.request(master, path, query)?).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => {
                let body = tokio::time::timeout(PATIENCE, answer.text()).await;
                let words: String = body.ok().and_then(Result::ok).unwrap_or_default();
                Err(self.refusal(status, &words))
            }
        }
    }

    /// A GET of what is at the path, with a query of what is given; not sent yet.
    ///
    /// # Errors
    /// The machine's address is none.
    pub(super) fn request(
        &self,
        master: &Master,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<reqwest::RequestBuilder, ApiError> {
        let Self { address, hostname, .. } = self;
        let url = url(address, path, query).ok_or_else(|| {
            ApiError::unavailable(format!("node {hostname} has no usable address: '{address}'"))
        })?;
        Ok(master.inner().http.get(url))
    }

    /// Sends a [request](Self::request); gives the answer, whatever it is.
    ///
    /// # Errors
    /// There is none in time.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ApiError> {
        let asking = tokio::time::timeout(PATIENCE, request.send()).await;
        let too_long = || self.silent(&format!("it takes longer than {} s", PATIENCE.as_secs()));
        asking.map_err(|_| too_long())?.map_err(|error| self.silent(&innermost(&error)))
    }

    /// That the machine says nothing.
    pub(super) fn silent(&self, why: &str) -> ApiError {
        let Self { address, hostname, .. } = self;
        ApiError::unavailable(format!("node {hostname} at {address} does not answer: {why}")).remedy(
            "its agent may be stopped, or the machine out of reach; its tasks run on, and what they wrote is kept there",
        )
    }

    /// The whole of an answer, from JSON.
    ///
    /// # Errors
    /// It does not end in time, or is something else.
    pub(super) async fn whole<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T, ApiError> {
        let read = tokio::time::timeout(PATIENCE, answer.json()).await;
        let whole =
            read.map_err(|_| "it takes too long".to_owned()).and_then(|read| read.map_err(|e| innermost(&e)));
        whole.map_err(|why| {
            ApiError::unavailable(format!("node {} gives no whole answer: {why}", self.hostname))
        })
    }

    /// What an agent's refusal means. Where it has no words of Hansa's it does not know the path.
    fn refusal(&self, status: StatusCode, words: &str) -> ApiError {
        let Self { hostname, version, .. } = self;
        match (status, serde_json::from_str::<ErrorBody>(words)) {
            (StatusCode::NOT_FOUND, Ok(told)) => {
                ApiError::not_found(format!("node {hostname} says: {}", told.error.message))
            }
            (StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN, Ok(told)) => ApiError::new(
                status,
                &told.error.code,
                format!("node {hostname} says: {}", told.error.message),
            ),
            (StatusCode::NOT_FOUND, Err(_)) => {
                let words = format!(
                    "the agent on node {hostname} is of version {version} and does not know this question"
                );
                ApiError::new(StatusCode::BAD_GATEWAY, "unavailable", words)
                    .remedy("update Hansa on that machine to the master's version and restart its agent; its tasks run on")
            }
            (status, told) => {
                let words =
                    told.map(|told| told.error.message).unwrap_or_else(|_| words.chars().take(500).collect());
                let message = format!("node {hostname} says {status}: {words}");
                ApiError::new(StatusCode::BAD_GATEWAY, "unavailable", message)
            }
        }
    }
}

/// Passes an answer on as it comes, until this master stops, with its headers of Hansa's own and those named.
pub(super) fn pass_on(master: &Master, answer: reqwest::Response, named: &[HeaderName]) -> Response {
    let passed: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-hansa-") || named.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut stopping = master.stopping();
    let stopped = async move {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let mut response = Response::new(Body::from_stream(answer.bytes_stream().take_until(Box::pin(stopped))));
    let headers = response.headers_mut();
    headers.extend(passed);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a task writes is not a page, whatever it looks like.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn url(address: &str, path: &[&str], query: &[(&str, Option<String>)]) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(&format!("http://{address}/")).ok()?;
    url.path_segments_mut().ok()?.clear().extend(path);
    for (name, value) in query {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_within_its_segment() {
        let path = ["hansa", "v1", "tasks", "../a b?c#d%/e", "files"];
        let query = [("path", Some("a b&c=d".to_owned())), ("after", None)];
        let url = url("127.0.0.1:5051", &path, &query).unwrap();
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:5051/hansa/v1/tasks/..%2Fa%20b%3Fc%23d%25%2Fe/files?path=a+b%26c%3Dd"
        );
        assert_eq!(super::url("not an address", &path, &query), None);
    }

    #[test]
    fn an_older_agent_is_told_of_by_name_and_version() {
        let machine = Machine { address: "a:1".into(), hostname: "node7".into(), version: "0.0.1".into() };
        let words = |status, body: &str| {
            let refusal = machine.refusal(status, body).body();
            (refusal.code, refusal.message)
        };
        let (code, message) = words(StatusCode::NOT_FOUND, "");
        assert_eq!(code, "unavailable");
        assert!(message.contains("node7") && message.contains("0.0.1"), "{message}");
        let (code, message) =
            words(StatusCode::NOT_FOUND, r#"{"error":{"code":"not-found","message":"no such file"}}"#);
        assert_eq!((code.as_str(), message.as_str()), ("not-found", "node node7 says: no such file"));
        assert_eq!(
            words(StatusCode::FORBIDDEN, r#"{"error":{"code":"forbidden","message":"m"}}"#).0,
            "forbidden"
        );
        assert_eq!(words(StatusCode::INTERNAL_SERVER_ERROR, "x").0, "unavailable");
    }
}
