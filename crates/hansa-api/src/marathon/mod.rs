//! Marathon's API under `/v2`: its JSON in and out, apart from HTTP.
//!
//! Marathon's JSON is a promise to its clients; [`hansa_model::app::AppSpec`] is what is stored. Here the one is
//! translated into the other and back, without I/O:
//!
//! - [`problem`]: refusals in Marathon's shapes and status codes.
//! - [`path`]: ids, relative and absolute.
//! - [`app`]: an app's JSON read, checked and normalised; partial updates merged.
//! - [`render`]: apps, tasks, deployments, the queue, groups and the rest, as Marathon shows them.
//! - [`events`]: what `/v2/events` carries, derived from what the cluster publishes.
//! - [`select`]: label selectors, filters and embeds.
//!
//! Invariant: what GET shows for an app, sent back, reads as the same definition. Not here: handlers (`hansa-master`),
//! rules that need to see other apps (the services scheduler).

pub mod app;
pub mod events;
pub mod group;
pub mod path;
pub mod problem;
pub mod render;
pub mod select;
pub mod update;

mod read;

pub use app::{Defaults, parse_app, parse_app_as};
pub use problem::Problem;
