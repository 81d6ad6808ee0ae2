//! The loop: one thread owns the cell, takes what happened, applies it, passes on what comes out.

use crate::cell::Request;
use crate::master::Replied;
use hansa_model::Principal;
use tokio::sync::oneshot;

/// Everything that can happen to the loop.
pub(crate) enum Event {
    /// A client asks.
    Request { principal: Principal, request: Box<Request>, reply: oneshot::Sender<Replied> },
}
