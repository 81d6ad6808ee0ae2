//! The vocabulary of Hansa: ids, quantities, specs, states, claims, events.
//!
//! Plain data and pure functions, shared by every other crate. What stands here is what several crates must agree on;
//! a type that only one crate needs lives in that crate. Nothing here reads a clock, a file or a socket.
//!
//! Where to start: [`resources`] (what machines have and tasks take), [`spec`] (what is launched), [`app`] (what a
//! service is), [`container`] (what a task finds around it), [`scheduler`] (how schedulers claim machines), [`framework`]
//! (those that are offered them), [`event`] (what the world is told).

pub mod agent;
pub mod app;
pub mod container;
pub mod docker_run;
pub mod event;
pub mod explain;
pub mod framework;
pub mod group;
pub mod id;
pub mod label;
pub mod maintenance;
pub mod planted;
pub mod record;
pub mod resources;
pub mod role;
pub mod scheduler;
pub mod service;
pub mod spec;
pub mod task;
pub mod time;
pub mod trial;
pub mod words;

pub use id::{
    AgentId, AppId, BootId, ClusterId, DeploymentId, FrameworkId, InstanceId, OfferId, Owner, Principal,
    RoleName, SpecId, TaskId, Term,
};
pub use resources::{Allocation, Demand, Resources};
pub use time::Timestamp;
