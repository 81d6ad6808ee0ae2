//! A body that tells when whoever it was handed to lets go of it, and gives back what is left of it then.

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body, and what is to be done with its rest; that may be nothing but its end.
struct Handed<F: FnOnce(Body) + Unpin> {
    body: Body,
    then: Option<F>,
}

/// Hands a body on. `then` gets what is left of it once it is dropped.
pub(super) fn hand(body: Body, then: impl FnOnce(Body) + Unpin + Send + 'static) -> Body {
    Body::new(Handed { body, then: Some(then) })
}

impl<F: FnOnce(Body) + Unpin> HttpBody for Handed<F> {
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

impl<F: FnOnce(Body) + Unpin> Drop for Handed<F> {
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            then(std::mem::take(&mut self.body));
        }
    }
}
