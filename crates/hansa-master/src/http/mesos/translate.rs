//! Small pieces of our model in Mesos' words, where only the master tells of them.

use hansa_mesos::codec;
use hansa_mesos::constraints;
use hansa_model::framework::{Capability, OfferConstraints};
use serde_json::{Value, json};

/// A capability's name.
pub(super) fn capability(capability: &Capability) -> String {
    match serde_json::to_value(capability) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Constraints as JSON.
pub(super) fn constraints(constraints: &OfferConstraints) -> Value {
    constraints::write(constraints).as_ref().map_or_else(|| json!({}), codec::to_value)
}
