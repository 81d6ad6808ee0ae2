//! What Marathon's API shows. Optional fields are left out when empty; old spellings are never written.
//!
//! The PyPI client builds its objects from exactly the fields it knows and fails on any other, so nothing is added to
//! Marathon's objects here, however useful.

pub mod app;
mod definition;
pub mod deployment;
pub mod group;
pub mod info;
pub mod queue;
pub mod task;

use serde_json::{Number, Value};

/// Thousandths as a JSON number: 1500 is `1.5`, 2000 is `2`.
pub(super) fn milli(thousandths: u64) -> Value {
    if thousandths.is_multiple_of(1_000) {
        return Value::from(thousandths / 1_000);
    }
    Number::from_f64(thousandths as f64 / 1_000.0).map_or(Value::Null, Value::Number)
}

/// Bytes as MiB with three decimals.
pub(super) fn mib(bytes: u64) -> Value {
    let per_mib = u128::from(hansa_model::resources::MIB);
    let thousandths = (u128::from(bytes) * 1_000 + per_mib / 2) / per_mib;
    milli(u64::try_from(thousandths).unwrap_or(u64::MAX))
}

/// Milliseconds as whole seconds.
pub(super) fn seconds(ms: u64) -> Value {
    Value::from(ms / 1_000)
}
