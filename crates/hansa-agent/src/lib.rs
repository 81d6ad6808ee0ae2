//! The agent's shell: sockets, files, clocks and processes around the pure core in `hansa-node`.
//!
//! One loop ([`agent`]) takes events, hands them to the core and performs what it says: the journal is written first, then
//! shims are started and stopped, probes run, messages sent. Everything that may wait runs in tasks of its own that report
//! back as events; HTTP handlers ask the loop and decide nothing.
//!
//! - [`shim`], [`launcher`], [`cgroup`]: containers, each in a small process that outlives the agent.
//! - [`network`]: containers with addresses of their own.
//! - [`agent`]: start, loop, stop. [`containers`]: the core's groups as shims.
//! - [`prepare`]: what must be there before a container can be made, images above all.
//! - [`data_dir`], [`journal`]: what is on disk. [`disks`]: other disks than that. [`machine`]: what the machine has and uses.
//! - [`furnish`]: what an app says of its container, as a shim is told it. [`giving`]: what it
//!   is given while it runs. [`secrets`], [`fetch`], [`volumes`]: what that
//!   takes.
//! - [`executors`], [`agent_info`]: what executors of frameworks are told, and by whom.
//! - [`link`]: the stream to the master. [`probe`]: health checks. [`metering`]: who uses what. [`sandbox`]: reading what
//!   tasks wrote, without following them out of their directory. [`http`]: the agent's own port.
//!
//! The whole agent runs on one thread and needs nothing but a current-thread runtime.

pub mod agent;
mod agent_info;
pub mod cgroup;
mod clock;
mod containers;
mod data_dir;
mod disks;
mod executors;
mod fetch;
mod furnish;
mod giving;
mod http;
mod journal;
pub mod launcher;
mod link;
mod machine;
mod metering;
mod mountinfo;
pub mod network;
mod options;
mod prepare;
mod probe;
pub mod sandbox;
mod secrets;
pub mod shim;
mod volumes;

pub use agent::{Agent, run};
pub use furnish::{OwnNetwork, furnish};
pub use machine::whole as whole_machine;
pub use options::Options;
pub use secrets::{SecretError, Secrets};
