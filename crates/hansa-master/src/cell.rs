//! What handlers say to the control plane's machine and hear from it; they need no other crate for it.

pub use hansa_cell::{AgentOrder, Answer, Failure, Outsider, Refusal, Request};
