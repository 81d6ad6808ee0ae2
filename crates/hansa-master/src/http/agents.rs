//! Asking the machine of a task: which one it is, and what its answers mean. An agent that does not answer, or is older than
//! this master, is told of by name.

use super::error::ApiError;
use super::nodes;
use crate::Master;
use axum::http::StatusCode;
use hansa_api::hansa::ErrorBody;
use hansa_model::TaskId;
use std::time::Duration;

/// How long a machine may take to begin its answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

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
        let Self { address, hostname, .. } = self;
        let url = url(address, path, query).ok_or_else(|| {
            ApiError::unavailable(format!("node {hostname} has no usable address: '{address}'"))
        })?;
        let gone = |why: String| {
            ApiError::unavailable(format!("node {hostname} at {address} does not answer: {why}")).remedy(
                "its agent may be stopped, or the machine out of reach; what tasks wrote is kept there",
            )
        };
        let asking = tokio::time::timeout(PATIENCE, master.inner().http.get(url).send()).await;
        let answer = asking.map_err(|_| gone(format!("it takes longer than {} s", PATIENCE.as_secs())))?;
        let answer = answer.map_err(|error| gone(error.to_string()))?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => {
                let body = tokio::time::timeout(PATIENCE, answer.text()).await;
                let words: String = body.ok().and_then(Result::ok).unwrap_or_default();
                Err(self.refusal(status, &words))
            }
        }
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
        let path = ["hansa", "v1", "tasks", "../a b?c", "files"];
        let query = [("path", Some("a b&c=d".to_owned())), ("after", None)];
        let url = url("127.0.0.1:5051", &path, &query).unwrap();
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:5051/hansa/v1/tasks/..%2Fa%20b%3Fc/files?path=a+b%26c%3Dd"
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
