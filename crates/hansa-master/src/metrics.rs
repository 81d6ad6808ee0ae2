//! Every metric of the master: name, unit, help.

/// The master's measurements.
#[derive(Debug, Default)]
pub struct Metrics {}
