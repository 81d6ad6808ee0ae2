//! Query, path and JSON body as typed values; what is wrong with them is said in Hansa's error shape.

use super::error::ApiError;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hansa_model::AppId;
use serde::de::DeserializeOwned;

/// The query string.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| ApiError::invalid("query", rejection.body_text()))
    }
}

/// The body, read as JSON whatever its content type says.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let status = rejection.status();
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "too-large" } else { "invalid" };
            ApiError::new(status, code, rejection.body_text())
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| ApiError::invalid("body", error.to_string()))
    }
}

/// The app that a wildcard path names: `shop/web` is `/shop/web`.
pub(super) fn app_id(path: &str) -> AppId {
    AppId::from(format!("/{}", path.trim_matches('/')))
}
