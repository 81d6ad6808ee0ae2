//! The HTTP surface, apart from its implementation: wire types of every API that Hansa speaks.
//!
//! - [`hansa`]: Hansa's own API under `/hansa/v1`, spoken by the console and the CLI; parts of it in [`apart`],
//!   [`files`], [`framework`], [`past`], [`plans`] and [`terminal`].
//! - [`marathon`]: Marathon's API under `/v2`.
//! - [`series`]: how values of the past are kept, on both sides of [`past`].
//! - [`openapi`]: both described for clients, generators and fuzzers.
//!
//! Wire types are a promise to clients; stored and kernel types are other promises. Here they are translated into each
//! other. Not here: handlers (`hansa-master`, `hansa-agent`).

pub mod apart;
pub mod exec;
pub mod files;
pub mod framework;
pub mod hansa;
pub mod marathon;
pub mod openapi;
pub mod past;
pub mod plans;
pub mod series;
pub mod terminal;
