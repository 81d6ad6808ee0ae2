//! The control plane's shell: sockets, files and clocks around the cell.
//!
//! - [`Master`] is the handle: submit a request, read the picture, follow the events.
//! - [`read_model`] is the picture that GETs and streams see.
//! - [`http`] is the one port.
//!
//! Not here: decisions (`hansa-cell` and below), wire types (`hansa-api`).

pub mod cell;
pub mod clock;
mod descriptors;
mod engine;
mod history;
pub mod http;
mod master;
pub mod metrics;
pub mod options;
pub mod read_model;
mod read_thread;
mod running;
mod server;
pub mod session;
mod store_thread;
mod streams;

pub use engine::EngineError;
pub use master::{Identity, Master, SubmitError, UsageWatch};
pub use options::Options;
pub use running::{Running, StartError, run, run_in_memory, start, start_with_store};
