//! Container images on one machine: pulled from registries, verified, unpacked once, shared, collected.
//!
//! [`Images`] is what the agent sees of it; its fetcher shares [`web`].

mod digest;
mod failure;
mod images;
mod limits;
mod lower;
mod manifest;
mod pull;
mod reference;
mod registry;
mod run;
mod store;
mod tar;
mod unpack;
pub mod web;

pub use digest::{Digest, NotADigest};
pub use failure::{Failure, Kind};
pub use images::{Image, Images, Request, Settings};
pub use limits::Limits;
pub use manifest::ImageConfig;
pub use reference::{NotAReference, Reference, Version};
pub use registry::{Logins, LoginsError};
pub use run::{Rules, RunError, Said, signal};
pub use store::{Lease, Listed, Removed};

/// Shared with the tests that pull from a registry.
#[cfg(test)]
#[path = "../tests/support/archive.rs"]
mod archive;
