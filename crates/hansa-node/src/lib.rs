//! An agent's core as one pure machine: groups, tasks, health checks, acknowledgements, recovery.
//!
//! [`Node::apply`] takes one [`Input`] (a message from the master, news of a shim, a probe's result, time) and gives
//! [`Output`]s: what to store, start, stop, send. No clock, no files, no sockets; the shell in `hansa-agent` has those,
//! the simulator plays them.
//!
//! # The contract with whoever performs the outputs
//! - In order; but all [`Output::Persist`] of a batch may be done before the batch's other outputs. Every other output comes
//!   after the records before it are stored. What "stored" means: it survives the death of the agent process. Records of
//!   groups need not survive a crash of the machine, because the boot id changes with it and every launch is bound to one
//!   boot; a [`Record::Identity`] and a [`Record::Released`] should be on disk.
//! - Any prefix of the outputs may be lost to a crash. [`Node::restore`] then starts from the stored records and from what
//!   was found running; nothing is started a second time.
//!
//! # Invariants
//! - A group is started at most once: accepted (and stored) first, never started again by repeats, restarts or after its
//!   release.
//! - A terminal update is stored before it is sent and kept until acknowledged.
//! - A task's updates have rising sequence numbers, also across restarts, and their states only move forward.
//!
//! Start reading at [`node`].

pub mod config;
pub mod env;
mod executor_io;
mod executor_tasks;
mod executors;
mod furnishing;
mod general;
mod groups;
mod health;
pub mod io;
pub mod node;
mod probing;
mod reach;
mod readiness;
mod restore;
pub mod saved;
mod saved_executor;
mod timers;
mod volumes;

pub use config::Config;
pub use furnishing::{Furnishings, Refusal, Thing};
pub use io::{
    ExecutorEvent, ExecutorUpdate, Found, Input, KeptVolume, Output, ProbeOrder, ProbeOutcome, ProbeTarget,
    ShimPlan, Surroundings,
};
pub use node::Node;
pub use saved::{Record, Saved, SavedExecutor};
