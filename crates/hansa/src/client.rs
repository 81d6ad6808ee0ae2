//! The master over HTTP: requests, and answers turned into data or failures. It knows paths and errors, not commands.

use crate::failure::{Exit, Failure};
use hansa_api::hansa as api;
use hansa_model::words::innermost;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// A master's HTTP surface.
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// A client of the master at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Result<Self, Failure> {
        let wrong = |why: String| {
            Failure::new(Exit::Usage, format!("'{base}' is not a master's address: {why}"))
                .remedy("--master http://HOST:PORT, or HANSA_MASTER in the environment")
        };
        let text = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let url = Url::parse(&text).map_err(|error| wrong(error.to_string()))?;
        if url.scheme() != "http" {
            return Err(wrong(format!("{}:// is not supported yet", url.scheme())));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("hansa/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        Ok(Self { base: url, http })
    }

    /// The master's address without a final slash.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// GETs `path` and reads the answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// Sends `body` and reads the answer; an empty answer is read as null.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let response = self.request(method, path, query, body, Some(Duration::from_secs(30))).await?;
        let place = response.url().to_string();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let bytes = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::new(Exit::Failed, format!("the master's answer is not what was expected: {error}"))
                .at(place)
                .remedy("`hansa version` shows whether program and master are of the same version")
        })
    }

    /// GETs `path` as a stream of bytes that may never end.
    pub async fn stream(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Failure> {
        self.request(Method::GET, path, query, None, None).await
    }

    /// Opens a connection to a task's container, for a command in it.
    pub async fn exec(&self, task: &hansa_model::TaskId) -> Result<reqwest::Upgraded, Failure> {
        use hansa_api::exec::PROTOCOL;
        use reqwest::header::{CONNECTION, UPGRADE};
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["hansa", "v1", "tasks", task.as_str(), "exec"]);
        }
        let place = url.to_string();
        let request = self.http.get(url).header(CONNECTION, "upgrade").header(UPGRADE, PROTOCOL);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let text = response.text().await.unwrap_or_default();
            return Err(refusal(status, &text).at(&place));
        }
        response.upgrade().await.map_err(|error| self.unreachable(&error))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        timeout: Option<Duration>,
    ) -> Result<Response, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut place = response.url().clone();
        place.set_query(None);
        let text = response.text().await.unwrap_or_default();
        Err(refusal(status, &text).at(place.as_str()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() && !error.is_connect() {
            return Failure::new(Exit::Unavailable, "the master did not answer in time").at(self.address());
        }
        Failure::new(Exit::Unavailable, format!("cannot talk to the master: {}", innermost(error)))
            .at(self.address())
            .remedy("`hansa dev` starts a cluster here; --master URL or HANSA_MASTER names another one")
    }
}

/// What a refusing answer means, in either of the two shapes: Hansa's own or Marathon's.
fn refusal(status: StatusCode, text: &str) -> Failure {
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT => Exit::Conflict,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Exit::Unavailable
        }
        _ => Exit::Failed,
    };
    if let Ok(api::ErrorBody { error }) = serde_json::from_str(text) {
        let cause = match &error.field {
            Some(field) => format!("{field}: {}", error.message),
            None => error.message,
        };
        return Failure { exit, cause, place: None, remedy: error.remedy };
    }
    let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if body["message"].is_string() {
        return marathon_refusal(exit, &body);
    }
    let said = crate::text::one_line(text, 200);
    let reason = status.canonical_reason().unwrap_or("unknown status");
    Failure::new(exit, format!("the master answered {} {reason}: {said}", status.as_u16()))
}

/// A refusal in Marathon's shape.
pub fn marathon_refusal(exit: Exit, body: &Value) -> Failure {
    let message = body["message"].as_str().unwrap_or("refused");
    // What follows speaks of the API's options and paths, which are not what is typed here.
    let message = message.split(". Override with").next().unwrap_or(message);
    let mut failure = Failure::new(exit, format!("{}{}", lower_first(message), details(&body["details"])));
    if let Some(id) = body["deployments"][0]["id"].as_str() {
        // Commands take the beginning of an id.
        let id = id.get(..8).unwrap_or(id);
        failure = failure.remedy(format!(
            "`hansa deployment show {id}` says what it waits for; `hansa deployment cancel {id}` takes it back; with --force \
             this command replaces it"
        ));
    }
    failure
}

/// Marathon's list of what is wrong with which field, or its one text.
fn details(details: &Value) -> String {
    match details {
        Value::String(text) => format!(": {}", crate::text::one_line(text, 300)),
        Value::Array(list) => list
            .iter()
            .map(|entry| {
                let errors: Vec<&str> =
                    entry["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                format!("\n  {}: {}", entry["path"].as_str().unwrap_or("/"), errors.join("; "))
            })
            .collect(),
        _ => String::new(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), text.chars().nth(1)) {
        // Not `DeploymentPlan …` or `URI …`: only plain words.
        (Some(first), Some(second)) if second.is_lowercase() && !text.starts_with("DeploymentPlan") => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_error_shapes_are_understood() {
        let own = r#"{"error":{"code":"not-found","message":"no such node","remedy":"`hansa node list`"}}"#;
        let failure = refusal(StatusCode::NOT_FOUND, own);
        assert_eq!((failure.exit, failure.cause.as_str()), (Exit::NotFound, "no such node"));
        assert_eq!(failure.remedy.as_deref(), Some("`hansa node list`"));

        let marathon =
            r#"{"message":"Object is not valid","details":[{"path":"/id","errors":["error.path.missing"]}]}"#;
        let failure = refusal(StatusCode::UNPROCESSABLE_ENTITY, marathon);
        assert_eq!(
            (failure.exit, failure.cause.as_str()),
            (Exit::Usage, "object is not valid\n  /id: error.path.missing")
        );

        let locked = r#"{"message":"App is locked by one or more deployments. Override with the option '?force=true'.","deployments":[{"id":"d-1"}]}"#;
        let failure = refusal(StatusCode::CONFLICT, locked);
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(failure.cause, "app is locked by one or more deployments");
        assert!(failure.remedy.unwrap().contains("d-1"));

        let bare = refusal(StatusCode::INTERNAL_SERVER_ERROR, "<html>\noops");
        assert_eq!(bare.cause, "the master answered 500 Internal Server Error: <html> oops");
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(Client::new("http://127.0.0.1:8080/").unwrap().address(), "http://127.0.0.1:8080");
        assert_eq!(Client::new("127.0.0.1:8080").unwrap().address(), "http://127.0.0.1:8080");
        assert_eq!(Client::new("https://x").err().unwrap().exit, Exit::Usage);
        assert_eq!(Client::new("http://").err().unwrap().exit, Exit::Usage);
    }
}
