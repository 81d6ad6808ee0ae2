//! A whole control plane as one pure machine: kernel, built-in schedulers, agent sessions and the commit pipeline.
//!
//! [`Cell::apply`] takes one input and hands back everything that follows from it. No clock, no I/O, no threads: the
//! shell (`hansa-master`) owns sockets, files and clocks, and the simulator runs the same code in virtual time.
//!
//! Invariants:
//! - Whatever leaves the cell (events, messages to agents, answers to clients) leaves after everything that it rests on
//!   is durable; see [`pipeline`].
//! - The built-in schedulers reach the kernel only through [`hansa_model::scheduler::Call`].
//!
//! Not here: decisions (`hansa-kernel`, `hansa-schedulers`), writing (`hansa-store`), HTTP.

mod cell;
pub mod codec;
pub mod outsider;
mod pipeline;
mod sessions;
mod trial;

pub use cell::{Answer, Cell, Failure, Input, OpenError, Output, Request, RequestId, SessionId, Settings};
pub use hansa_kernel::{AgentOrder, Refusal, ToStream};
pub use outsider::Outsider;
