//! Query, path and JSON body as typed values; what is wrong with them is said in Hansa's error shape.

use super::error::ApiError;
use super::limits;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::StreamExt;
use hansa_model::AppId;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of a request's body; agents' streams have limits of their own.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// How long a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

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

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read(request.into_body(), MAX_BODY).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::invalid("body", limits::words(&error)))
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("the body must not be larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TooSlow,
    #[error("the body broke off")]
    Broken,
}

impl Unread {
    /// The status that says so.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        let code = match unread {
            Unread::TooLarge(_) => "too-large",
            Unread::TooSlow | Unread::Broken => "invalid",
        };
        ApiError::new(unread.status(), code, unread.to_string())
    }
}

/// The whole body, if it is not too large and does not come too slowly: a client that sends a byte now and then holds its
/// connection no longer than this.
pub(super) async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Unread> {
    let whole = async {
        let mut parts = body.into_data_stream();
        let mut whole = Vec::new();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Unread::Broken)?;
            if whole.len() + part.len() > limit {
                return Err(Unread::TooLarge(limit));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.into())
    };
    tokio::time::timeout(BODY_TIMEOUT, whole).await.unwrap_or(Err(Unread::TooSlow))
}

/// The app that a wildcard path names: `shop/web` is `/shop/web`.
pub(super) fn app_id(path: &str) -> AppId {
    AppId::from(format!("/{}", path.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    type Part = Result<&'static str, std::io::Error>;

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_too_large_too_slow_or_broken_are_not_waited_for() {
        let body = |parts: Vec<Part>| axum::body::Body::from_stream(stream::iter(parts));
        assert_eq!(read(body(vec![Ok("ab"), Ok("c")]), 3).await.unwrap(), "abc");
        assert_eq!(read(body(vec![Ok("ab"), Ok("cd")]), 3).await, Err(Unread::TooLarge(3)));
        assert_eq!(read(body(vec![Err(std::io::Error::other("x"))]), 3).await, Err(Unread::Broken));
        let never = stream::iter([Part::Ok("a")]).chain(stream::pending());
        assert_eq!(read(axum::body::Body::from_stream(never), 3).await, Err(Unread::TooSlow));
        let slowly = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Some((Part::Ok("a"), ()))
        });
        assert_eq!(read(axum::body::Body::from_stream(slowly), 100).await, Err(Unread::TooSlow));
    }
}
