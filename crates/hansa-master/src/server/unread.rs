//! Bodies of requests that were answered without being read: a refusal often knows enough from the head. hyper closes such a
//! connection as soon as it has answered, without a word, and a client that uses it again at that moment sees its next
//! request fail. So a small rest is read and forgotten before the answer goes out, and where that is not done the answer
//! says that the connection ends.

use super::handed::hand;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::response::Response;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes that are read to keep a connection.
const SMALL: u64 = 256 * 1024;

/// How long they may take to come; they are on their way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a body comes back to that nobody wanted.
type Slot = Arc<Mutex<Option<Body>>>;

/// What is left of a request's body.
pub(super) struct Rest {
    slot: Slot,
    /// Nothing is to be done: HTTP/2 ends streams one by one.
    is_framed: bool,
    /// The client sends its body only when it is told to.
    waits: bool,
}

/// Lends the body of a request to its handler.
pub(super) fn lend(request: Request) -> (Request, Rest) {
    let slot = Slot::default();
    let rest = Rest {
        slot: slot.clone(),
        is_framed: request.version() == Version::HTTP_2,
        waits: request.headers().contains_key(EXPECT),
    };
    let keep_rest = move |body: Body| {
        if !body.is_end_stream() {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    };
    (request.map(|body| hand(body, keep_rest)), rest)
}

impl Rest {
    /// Reads what was not read, or says that the connection ends.
    pub(super) async fn settle(self, mut answer: Response) -> Response {
        let left = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(left) =
            left.filter(|_| !self.is_framed && answer.status() != StatusCode::SWITCHING_PROTOCOLS)
        else {
            return answer;
        };
        let is_small = left.size_hint().upper().is_some_and(|bytes| bytes <= SMALL);
        let is_read = is_small && !self.waits && {
            let reading = axum::body::to_bytes(left, SMALL as usize);
            tokio::time::timeout(PATIENCE, reading).await.is_ok_and(|read| read.is_ok())
        };
        if !is_read {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
