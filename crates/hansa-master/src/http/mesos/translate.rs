//! Small pieces of our model in Mesos' words, where only the master tells of them.

use hansa_mesos::codec;
use hansa_mesos::proto::v1::scheduler;
use hansa_model::framework::{AttributeConstraint, Capability, OfferConstraints, Predicate, Selector};
use scheduler::attribute_constraint as constraint;
use scheduler::offer_constraints::{RoleConstraints, role_constraints::Group};
use serde_json::Value;

/// A capability's name.
pub(super) fn capability(capability: &Capability) -> String {
    match serde_json::to_value(capability) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// Constraints as JSON.
pub(super) fn constraints(constraints: &OfferConstraints) -> Value {
    codec::to_value(&constraints_message(constraints))
}

/// Constraints as protobuf.
pub(super) fn constraints_message(constraints: &OfferConstraints) -> scheduler::OfferConstraints {
    let group = |group: &Vec<AttributeConstraint>| Group {
        attribute_constraints: group.iter().map(attribute_constraint).collect(),
    };
    let roles = constraints.roles.iter().map(|(role, groups)| {
        (role.to_string(), RoleConstraints { groups: groups.iter().map(group).collect() })
    });
    scheduler::OfferConstraints { role_constraints: roles.collect() }
}

fn attribute_constraint(one: &AttributeConstraint) -> scheduler::AttributeConstraint {
    use constraint::predicate::{self, Predicate as Wire};
    use constraint::selector::{PseudoattributeType, Selector as By};
    let pseudo = |kind: PseudoattributeType| By::PseudoattributeType(kind as i32);
    let selector = match &one.selector {
        Selector::Attribute(name) => By::AttributeName(name.clone()),
        Selector::Hostname => pseudo(PseudoattributeType::Hostname),
        Selector::Region => pseudo(PseudoattributeType::Region),
        Selector::Zone => pseudo(PseudoattributeType::Zone),
    };
    let predicate = match &one.predicate {
        Predicate::Exists => Wire::Exists(predicate::Exists {}),
        Predicate::NotExists => Wire::NotExists(predicate::NotExists {}),
        Predicate::TextEquals(value) => Wire::TextEquals(predicate::TextEquals { value: value.clone() }),
        Predicate::TextNotEquals(value) => {
            Wire::TextNotEquals(predicate::TextNotEquals { value: value.clone() })
        }
        Predicate::TextMatches(regex) => Wire::TextMatches(predicate::TextMatches { regex: regex.clone() }),
        Predicate::TextNotMatches(regex) => {
            Wire::TextNotMatches(predicate::TextNotMatches { regex: regex.clone() })
        }
    };
    scheduler::AttributeConstraint {
        selector: constraint::Selector { selector: Some(selector) },
        predicate: constraint::Predicate { predicate: Some(predicate) },
    }
}
