//! Bodies of requests that were answered without being read: a refusal often knows enough from the head. hyper closes such a
//! connection as soon as it has answered, without a word, and a client that uses it again at that moment sees its next
//! request fail. So a small rest is read and forgotten before the answer goes out, and where that is not done the answer
//! says that the connection ends.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
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
    (request.map(|body| Body::new(Lent { body, slot })), rest)
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

/// A body that goes back to its slot unless it is read to its end.
struct Lent {
    body: Body,
    slot: Slot,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
