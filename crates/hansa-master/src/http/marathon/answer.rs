//! Requests taken apart, answers put together.

use crate::SubmitError;
use crate::cell::Failure;
use crate::http::{extract, limits};
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hansa_api::marathon::{Problem, render};
use hansa_model::{DeploymentId, Timestamp};
use serde_json::Value;
use std::net::SocketAddr;

/// Bytes of a request's body.
const MAX_BODY: usize = 1024 * 1024;

/// A refusal as an answer.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json(status, &self.0.body)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<SubmitError> for Refused {
    fn from(error: SubmitError) -> Self {
        Self(match error {
            SubmitError::Refused(Failure::Service(refusal)) => Problem::from(&refusal),
            SubmitError::Refused(other) => Problem::new(422, format!("{other:?}")),
            SubmitError::TimedOut | SubmitError::Stopping => Problem::unavailable(error.to_string()),
        })
    }
}

/// What a handler comes to.
pub(super) type Answer = Result<Response, Refused>;

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    text(status, "application/json", body.to_string())
}

/// An answer with a body of any type.
pub(super) fn text(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// `{"name": […]}`, written item by item: a list of a hundred thousand tasks is never held as values.
pub(super) fn list(name: &str, items: impl IntoIterator<Item = Value>) -> Response {
    let mut body = format!("{{\"{name}\":[").into_bytes();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        // Writing a value into memory cannot fail.
        let _ = serde_json::to_writer(&mut body, &item);
    }
    body.extend_from_slice(b"]}");
    text(StatusCode::OK, "application/json", body)
}

/// Runs what may take long to write on a thread that may block.
pub(super) async fn written(write: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(write)
        .await
        .unwrap_or_else(|_| Err(Refused(Problem::new(500, "the answer could not be written"))))
}

/// The answer to a change that started a deployment.
pub(super) fn started(status: StatusCode, id: &DeploymentId, version: Timestamp) -> Response {
    with_deployment(json(status, &render::deployment::started(id, version)), id)
}

/// Names the deployment in the header that clients read.
pub(super) fn with_deployment(mut response: Response, id: &DeploymentId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("marathon-deployment-id", value);
    }
    response
}

/// 405.
pub(super) fn wrong_method() -> Refused {
    Refused(Problem::new(405, "HTTP 405 Method Not Allowed"))
}

/// The parameters behind the question mark.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        pairs
            .map(|Query(pairs)| Self(pairs))
            .map_err(|fault| Refused(Problem::bad_request(fault.body_text())))
    }
}

impl Params {
    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Hansa's own `canary`: the share of the instances that a change replaces before it pauses, in thousandths.
    pub(super) fn canary(&self) -> Result<Option<u16>, Refused> {
        let share = |text: &str| {
            hansa_model::label::share_milli(text).ok_or_else(|| {
                Problem::bad_request(format!("canary must be a share such as 10%, not '{text}'"))
            })
        };
        Ok(self.get("canary").map(share).transpose()?)
    }

    /// A yes or no, in any case of letters; the bare name means yes.
    pub(super) fn flag(&self, name: &str, otherwise: bool) -> Result<bool, Refused> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(value) if value.is_empty() || value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => {
                Err(Refused(Problem::bad_request(format!("{name} must be true or false, not '{value}'"))))
            }
        }
    }
}

/// Who asks, for events.
#[derive(Debug)]
pub(super) struct Client(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or_else(|| "127.0.0.1".to_owned(), |peer| peer.0.ip().to_string())))
    }
}

/// The body as JSON, whatever its content type says.
pub(super) async fn read_json(body: Body) -> Result<Value, Refused> {
    let bytes = extract::read(body, MAX_BODY)
        .await
        .map_err(|unread| Problem::new(unread.status().as_u16(), unread.to_string()))?;
    let body = serde_json::from_slice(&bytes).map_err(|fault| Problem::not_json(limits::words(&fault)))?;
    match limits::too_long(&body) {
        None => Ok(body),
        Some(place) => {
            let place = if place.is_empty() { "/" } else { &place };
            Err(Refused(Problem::rule(place, format!("must not have more than {} elements", limits::ITEMS))))
        }
    }
}
