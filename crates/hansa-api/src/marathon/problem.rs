//! Refusals as Marathon words them: a status and a JSON body with `message`, and `details` by path.

use hansa_model::service::ServiceRefusal;
use hansa_model::{AppId, DeploymentId, Timestamp};
use serde_json::{Value, json};

/// A request is refused: the status and the body of the answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status}: {body}")]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The body, always an object with `message`.
    pub body: Value,
}

/// Faults by path, in the order they were found; those of one path stand together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Vec<(String, Vec<String>)>);

impl Details {
    /// Notes a fault. The empty path is the whole object and shown as `/`.
    pub fn add(&mut self, path: impl Into<String>, error: impl Into<String>) {
        let (path, error) = (path.into(), error.into());
        let path = if path.is_empty() { "/".to_owned() } else { path };
        match self.0.iter_mut().find(|(known, _)| *known == path) {
            Some((_, errors)) if errors.contains(&error) => {}
            Some((_, errors)) => errors.push(error),
            None => self.0.push((path, vec![error])),
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As Marathon lists them.
    fn json(&self) -> Value {
        self.0.iter().map(|(path, errors)| json!({"path": path, "errors": errors})).collect()
    }
}

impl Problem {
    /// Only a message.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, body: json!({"message": message.into()}) }
    }

    /// 400: the body is not JSON; `details` is the parser's word.
    pub fn not_json(details: impl Into<String>) -> Self {
        Self { status: 400, body: json!({"message": "Invalid JSON", "details": details.into()}) }
    }

    /// 422: JSON of the wrong types or beyond a field's limits.
    pub fn wrong_types(details: &Details) -> Self {
        Self { status: 422, body: json!({"message": "Invalid JSON", "details": details.json()}) }
    }

    /// 422: a rule is violated.
    pub fn not_valid(details: &Details) -> Self {
        Self { status: 422, body: json!({"message": "Object is not valid", "details": details.json()}) }
    }

    /// 422 for one rule at one path.
    pub fn rule(path: &str, error: impl Into<String>) -> Self {
        let mut details = Details::default();
        details.add(path, error);
        Self::not_valid(&details)
    }

    /// 400: parameters that do not go together, or make no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 404 for an app, or one version of it.
    pub fn unknown_app(id: &AppId, version: Option<Timestamp>) -> Self {
        match version {
            None => Self::new(404, format!("App '{id}' does not exist")),
            Some(version) => Self::new(404, format!("App '{id}' does not exist in version {version}")),
        }
    }

    /// 404 for a group.
    pub fn unknown_group(id: &str) -> Self {
        Self::new(404, format!("Group '{id}' does not exist"))
    }

    /// 404 for a task.
    pub fn unknown_task(id: &str) -> Self {
        Self::new(404, format!("Task '{id}' does not exist"))
    }

    /// 404 for a deployment.
    pub fn unknown_deployment(id: &str) -> Self {
        Self::new(404, format!("DeploymentPlan {id} does not exist"))
    }

    /// 409: running deployments touch the same apps.
    pub fn locked(deployments: &[DeploymentId]) -> Self {
        let ids: Vec<Value> = deployments.iter().map(|id| json!({"id": id})).collect();
        Self {
            status: 409,
            body: json!({
                "message": "App is locked by one or more deployments. Override with the option '?force=true'. \
                            View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
                "deployments": ids,
            }),
        }
    }

    /// 503: nobody leads, or the leader did not answer in time.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, message)
    }

    /// 501: Marathon can do it and Hansa cannot yet.
    pub fn not_yet(feature: &str) -> Self {
        Self::new(501, format!("{feature} is not supported by this version of Hansa"))
    }

    /// The `message` of the body.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl From<&ServiceRefusal> for Problem {
    /// The services scheduler's refusals, with Marathon's status codes.
    fn from(refusal: &ServiceRefusal) -> Self {
        match refusal {
            ServiceRefusal::UnknownApp(id) => Problem::unknown_app(id, None),
            ServiceRefusal::UnknownVersion(id, version) => Problem::unknown_app(id, Some(*version)),
            ServiceRefusal::UnknownDeployment(id) => Problem::unknown_deployment(id.as_str()),
            ServiceRefusal::Exists(_) | ServiceRefusal::Changed(_) => Problem::new(409, refusal.to_string()),
            ServiceRefusal::Locked(deployments) => Problem::locked(deployments),
            ServiceRefusal::TooManyDeployments(_) => Problem::new(403, refusal.to_string()),
            ServiceRefusal::Invalid(words) => Problem::rule("/", words.clone()),
            ServiceRefusal::NotQueued(_) => Problem::new(404, refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_one_path_stand_together() {
        let mut details = Details::default();
        details.add("", "a");
        details.add("/id", "b");
        details.add("/", "c");
        details.add("/", "c");
        assert_eq!(
            Problem::not_valid(&details).body.to_string(),
            r#"{"details":[{"errors":["a","c"],"path":"/"},{"errors":["b"],"path":"/id"}],"message":"Object is not valid"}"#
        );
    }

    #[test]
    fn a_lock_names_the_deployments() {
        let problem = Problem::from(&ServiceRefusal::Locked(vec!["d1".into()]));
        assert_eq!(problem.status, 409);
        assert_eq!(problem.body["deployments"], json!([{"id": "d1"}]));
        assert!(problem.message().contains("?force=true"), "{problem}");
    }
}
