//! The one error shape of Hansa's own API.

use crate::SubmitError;
use crate::cell::{self, Failure};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hansa_api::hansa::{Error, ErrorBody};
use hansa_model::service::ServiceRefusal;

/// A status and what its body says.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    body: Error,
}

impl ApiError {
    /// Any status; `code` is one of those that [`Error`] lists.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: Error { code: code.into(), message: message.into(), field: None, remedy: None } }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// 400 for a field or parameter.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message).about(field)
    }

    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// What stands in its body.
    pub(super) fn body(self) -> Error {
        self.body
    }

    /// What it says.
    pub(super) fn words(self) -> String {
        self.body.message
    }

    /// The same, naming the field or parameter that caused it.
    pub fn about(mut self, field: &str) -> Self {
        self.body.field = Some(field.into());
        self
    }

    /// The same, saying what to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.body.remedy = Some(remedy.into());
        self
    }
}

/// Goes with the answer of an [`ApiError`], so that another surface can say the same in its own shape.
#[derive(Clone, Debug)]
pub(super) struct Refusal(pub(super) Error);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let refusal = Refusal(self.body.clone());
        let mut response = (self.status, Json(ErrorBody { error: self.body })).into_response();
        response.extensions_mut().insert(refusal);
        response
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(failure) => failure.into(),
            SubmitError::TimedOut | SubmitError::Stopping => Self::unavailable(error.to_string()),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Service(refusal) => refusal.into(),
            Failure::Kernel(cell::Refusal::UnknownAgent(agent)) => {
                Self::not_found(format!("there is no node {agent}"))
            }
            Failure::Kernel(cell::Refusal::HostnameTaken(name)) => {
                Self::new(StatusCode::CONFLICT, "conflict", format!("the host name {name} is taken"))
            }
            Failure::Kernel(cell::Refusal::UnknownFramework) => {
                Self::not_found("there is no such framework, or it has never subscribed")
            }
            Failure::Kernel(cell::Refusal::WrongPrincipal) => {
                let words = "the framework subscribed under another principal";
                Self::new(StatusCode::BAD_REQUEST, "invalid", words)
            }
            Failure::Kernel(cell::Refusal::NotFree(words)) => {
                Self::new(StatusCode::CONFLICT, "conflict", words)
            }
            Failure::Kernel(cell::Refusal::Invalid(words)) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", words)
            }
        }
    }
}

impl From<ServiceRefusal> for ApiError {
    fn from(refusal: ServiceRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            ServiceRefusal::UnknownApp(_)
            | ServiceRefusal::UnknownVersion(..)
            | ServiceRefusal::UnknownDeployment(_)
            | ServiceRefusal::NotQueued(_) => Self::not_found(message),
            ServiceRefusal::Exists(_) | ServiceRefusal::Changed(_) | ServiceRefusal::Locked(_) => {
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            ServiceRefusal::TooManyDeployments(_) => Self::unavailable(message),
            ServiceRefusal::Invalid(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message),
        }
    }
}
