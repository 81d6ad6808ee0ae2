//! The one HTTP port: which path means what.

pub mod marathon;
