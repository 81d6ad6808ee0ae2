//! Which machines a framework wants offers of.

use crate::Invalid;
use crate::proto::v1::scheduler::attribute_constraint::predicate::Predicate as WirePredicate;
use crate::proto::v1::scheduler::attribute_constraint::selector::{
    PseudoattributeType, Selector as WireSelector,
};
use crate::proto::v1::scheduler::attribute_constraint::{self as wire, predicate};
use crate::proto::v1::scheduler::offer_constraints::RoleConstraints;
use crate::proto::v1::scheduler::offer_constraints::role_constraints::Group;
use crate::proto::v1::scheduler::{self};
use hansa_model::RoleName;
use hansa_model::framework::{AttributeConstraint, FrameworkInfo, OfferConstraints, Predicate, Selector};
use regex::RegexBuilder;

/// Larger patterns are refused, in bytes of what they compile to.
const MOST_PATTERN_BYTES: usize = 256 * 1024;

/// Reads them; none: offers of all machines.
///
/// # Errors
/// A role is none of the framework's, a group is empty, a condition is not known, or a pattern is none.
pub fn read(
    info: &FrameworkInfo,
    constraints: Option<&scheduler::OfferConstraints>,
) -> Result<OfferConstraints, Invalid> {
    let mut read = OfferConstraints::default();
    for (role, constraints) in constraints.map(|all| &all.role_constraints).into_iter().flatten() {
        let name = RoleName::from(role.as_str());
        if !info.roles.contains(&name) {
            return Err(Invalid(format!(
                "Offer constraints specify `role_constraints` for a role '{role}' not contained in the set of roles"
            )));
        }
        if constraints.groups.is_empty() {
            return Err(Invalid(format!(
                "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role {role}"
            )));
        }
        let groups = constraints.groups.iter().map(|group| read_group(role, group));
        read.roles.insert(name, groups.collect::<Result<_, _>>()?);
    }
    Ok(read)
}

/// As Mesos tells of them; None if there are none.
pub fn write(constraints: &OfferConstraints) -> Option<scheduler::OfferConstraints> {
    let group = |group: &Vec<AttributeConstraint>| Group {
        attribute_constraints: group.iter().map(write_one).collect(),
    };
    let role = |(role, groups): (&RoleName, &Vec<Vec<AttributeConstraint>>)| {
        (role.to_string(), RoleConstraints { groups: groups.iter().map(group).collect() })
    };
    let all = &constraints.roles;
    (!all.is_empty())
        .then(|| scheduler::OfferConstraints { role_constraints: all.iter().map(role).collect() })
}

fn read_group(role: &str, group: &Group) -> Result<Vec<AttributeConstraint>, Invalid> {
    if group.attribute_constraints.is_empty() {
        return Err(Invalid(format!(
            "'OfferConstraints::RoleConstraints::groups' for role {role} contains an empty RoleConstraints::Group"
        )));
    }
    group.attribute_constraints.iter().map(read_one).collect()
}

fn read_one(constraint: &scheduler::AttributeConstraint) -> Result<AttributeConstraint, Invalid> {
    let selector = match &constraint.selector.selector {
        Some(WireSelector::AttributeName(name)) => Selector::Attribute(name.clone()),
        Some(WireSelector::PseudoattributeType(kind)) => match PseudoattributeType::try_from(*kind) {
            Ok(PseudoattributeType::Hostname) => Selector::Hostname,
            Ok(PseudoattributeType::Region) => Selector::Region,
            Ok(PseudoattributeType::Zone) => Selector::Zone,
            _ => return Err(Invalid::new("Unknown pseudoattribute type")),
        },
        None => {
            return Err(Invalid::new(
                "Exactly one of 'attribute_name' or 'pseudoattribute_type' of a selector must be set",
            ));
        }
    };
    let predicate = match &constraint.predicate.predicate {
        Some(WirePredicate::Exists(_)) => Predicate::Exists,
        Some(WirePredicate::NotExists(_)) => Predicate::NotExists,
        Some(WirePredicate::TextEquals(text)) => Predicate::TextEquals(text.value.clone()),
        Some(WirePredicate::TextNotEquals(text)) => Predicate::TextNotEquals(text.value.clone()),
        Some(WirePredicate::TextMatches(pattern)) => Predicate::TextMatches(checked(&pattern.regex)?),
        Some(WirePredicate::TextNotMatches(pattern)) => Predicate::TextNotMatches(checked(&pattern.regex)?),
        None => return Err(Invalid::new("Unknown predicate type")),
    };
    Ok(AttributeConstraint { selector, predicate })
}

fn checked(pattern: &str) -> Result<String, Invalid> {
    match RegexBuilder::new(pattern).size_limit(MOST_PATTERN_BYTES).build() {
        Ok(_) => Ok(pattern.to_owned()),
        Err(regex::Error::CompiledTooBig(_)) => Err(Invalid(format!("Regex '{pattern}' is too complex"))),
        Err(error) => {
            // The last line says what it is; those before it point into the pattern.
            let words = error.to_string();
            let why = words.lines().last().unwrap_or_default();
            Err(Invalid(format!("Failed to construct regex from pattern '{pattern}': {why}")))
        }
    }
}

fn write_one(constraint: &AttributeConstraint) -> scheduler::AttributeConstraint {
    let selector = match &constraint.selector {
        Selector::Attribute(name) => WireSelector::AttributeName(name.clone()),
        Selector::Hostname => WireSelector::PseudoattributeType(PseudoattributeType::Hostname as i32),
        Selector::Region => WireSelector::PseudoattributeType(PseudoattributeType::Region as i32),
        Selector::Zone => WireSelector::PseudoattributeType(PseudoattributeType::Zone as i32),
    };
    let predicate = match constraint.predicate.clone() {
        Predicate::Exists => WirePredicate::Exists(predicate::Exists {}),
        Predicate::NotExists => WirePredicate::NotExists(predicate::NotExists {}),
        Predicate::TextEquals(value) => WirePredicate::TextEquals(predicate::TextEquals { value }),
        Predicate::TextNotEquals(value) => WirePredicate::TextNotEquals(predicate::TextNotEquals { value }),
        Predicate::TextMatches(regex) => WirePredicate::TextMatches(predicate::TextMatches { regex }),
        Predicate::TextNotMatches(regex) => {
            WirePredicate::TextNotMatches(predicate::TextNotMatches { regex })
        }
    };
    scheduler::AttributeConstraint {
        selector: wire::Selector { selector: Some(selector) },
        predicate: wire::Predicate { predicate: Some(predicate) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};
    use crate::framework;

    fn constraints(role: &str, groups: &str) -> Result<OfferConstraints, String> {
        let info = decode(Codec::Json, br#"{"user":"u","name":"n","role":"web"}"#).unwrap();
        let json = format!(r#"{{"role_constraints":{{"{role}":{{"groups":{groups}}}}}}}"#);
        let wire = decode(Codec::Json, json.as_bytes()).unwrap();
        let read = read(&framework::read(&info).unwrap(), Some(&wire)).map_err(|error| error.to_string())?;
        let written = write(&read).unwrap();
        assert_eq!(String::from_utf8(encode(Codec::Json, &written)).unwrap(), json);
        Ok(read)
    }

    #[test]
    fn all_kinds_are_read_and_written() {
        let groups = concat!(
            r#"[{"attribute_constraints":[{"selector":{"pseudoattribute_type":"HOSTNAME"},"#,
            r#""predicate":{"text_equals":{"value":"h1"}}},"#,
            r#"{"selector":{"attribute_name":"rack"},"predicate":{"not_exists":{}}}]},"#,
            r#"{"attribute_constraints":[{"selector":{"pseudoattribute_type":"ZONE"},"#,
            r#""predicate":{"text_not_matches":{"regex":"a.*"}}}]}]"#
        );
        let read = constraints("web", groups).unwrap();
        assert_eq!(
            read.roles["web"][0],
            [
                AttributeConstraint {
                    selector: Selector::Hostname,
                    predicate: Predicate::TextEquals("h1".into())
                },
                AttributeConstraint {
                    selector: Selector::Attribute("rack".into()),
                    predicate: Predicate::NotExists
                },
            ]
        );
        assert_eq!(read.roles["web"][1][0].predicate, Predicate::TextNotMatches("a.*".into()));
    }

    #[test]
    fn nonsense_is_named() {
        let one = |constraint: &str| {
            constraints("web", &format!(r#"[{{"attribute_constraints":[{constraint}]}}]"#))
        };
        for (error, words) in [
            (constraints("db", "[]"), "Offer constraints specify `role_constraints` for a role 'db' not"),
            (constraints("web", "[]"), "'OfferConstraints::role_constraints' has an empty"),
            (
                constraints("web", "[{}]"),
                "'OfferConstraints::RoleConstraints::groups' for role web contains an empty",
            ),
            (one(r#"{"selector":{},"predicate":{"exists":{}}}"#), "Exactly one of"),
            (one(r#"{"selector":{"attribute_name":"a"},"predicate":{}}"#), "Unknown predicate type"),
            (
                one(r#"{"selector":{"attribute_name":"a"},"predicate":{"text_matches":{"regex":"("}}}"#),
                "Failed to construct regex from pattern '(': ",
            ),
            (
                one(
                    r#"{"selector":{"attribute_name":"a"},"predicate":{"text_matches":{"regex":"\\pL{5000}"}}}"#,
                ),
                "Regex '\\pL{5000}' is too complex",
            ),
        ] {
            let error = error.unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
