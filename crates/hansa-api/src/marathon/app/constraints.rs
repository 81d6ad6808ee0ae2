//! Placement constraints: lists of two or three texts, `["hostname", "UNIQUE"]`.

use super::Faults;
use crate::marathon::read::{Fields, item, texts};
use hansa_model::app::{Constraint, Operator};
use serde_json::{Value, json};

/// Reads `constraints`; the same one twice counts once.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Vec<Constraint> {
    let at = fields.at("constraints");
    let mut constraints: Vec<Constraint> = Vec::new();
    for (index, value) in fields.list("constraints", &mut faults.types).unwrap_or_default().iter().enumerate()
    {
        let here = item(&at, index);
        let Value::Array(parts) = value else {
            faults.types.add(here, "error.expected.jsarray");
            continue;
        };
        let parts = texts(parts, &here, &mut faults.types);
        match constraint(&parts) {
            Ok(constraint) if constraints.contains(&constraint) => {}
            Ok(constraint) => constraints.push(constraint),
            Err(words) => faults.rules.add(here, words),
        }
    }
    constraints
}

/// The constraint that `parts` spell, or what is wrong with them.
fn constraint(parts: &[String]) -> Result<Constraint, &'static str> {
    let (field, operator, value) = match parts {
        [field, operator] => (field, operator, None),
        [field, operator, value] => (field, operator, Some(value.as_str())),
        _ => return Err("Each constraint must have either 2 or 3 fields"),
    };
    if field.is_empty() {
        return Err("illegal constraint specification");
    }
    let operator = operator_of(operator).ok_or(
        "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
    )?;
    let is_count = |text: &str| text.parse::<u32>().is_ok_and(|count| i32::try_from(count).is_ok());
    match operator {
        Operator::Unique if value.is_some() => return Err("UNIQUE does not accept a value"),
        Operator::GroupBy if !value.is_none_or(is_count) => {
            return Err("GROUP BY must define an integer value or else no value at all");
        }
        Operator::MaxPer if !value.is_some_and(is_count) => return Err("MAX_PER requires an integer value"),
        Operator::Like | Operator::Unlike => match value {
            None | Some("") => return Err("LIKE and UNLIKE require a non-empty, regular expression value"),
            // The whole field must match, which is how the pattern is used; it must compile that way too.
            Some(pattern) if regex::Regex::new(&format!("^(?:{pattern})$")).is_err() => {
                return Err("is not a valid regular expression");
            }
            Some(_) => {}
        },
        Operator::Is if !value.unwrap_or_default().chars().all(is_literal) => {
            return Err("IS only supports Mesos text and float values (see \
                        http://mesos.apache.org/documentation/latest/attributes-resources/)");
        }
        _ => {}
    }
    // An empty value names no group to be on; older clients send it for "none".
    let value = value.filter(|value| operator != Operator::Cluster || !value.is_empty());
    Ok(Constraint { field: field.clone(), operator, value: value.map(str::to_owned) })
}

fn operator_of(text: &str) -> Option<Operator> {
    [
        Operator::Unique,
        Operator::Cluster,
        Operator::GroupBy,
        Operator::Like,
        Operator::Unlike,
        Operator::MaxPer,
        Operator::Is,
    ]
    .into_iter()
    .find(|operator| name(*operator).eq_ignore_ascii_case(text))
}

/// A constraint as Marathon writes it.
pub(in crate::marathon) fn text(constraint: &Constraint) -> Value {
    let mut parts = vec![constraint.field.as_str(), name(constraint.operator)];
    parts.extend(constraint.value.as_deref());
    json!(parts)
}

/// Marathon's spelling.
fn name(operator: Operator) -> &'static str {
    match operator {
        Operator::Unique => "UNIQUE",
        Operator::Cluster => "CLUSTER",
        Operator::GroupBy => "GROUP_BY",
        Operator::Like => "LIKE",
        Operator::Unlike => "UNLIKE",
        Operator::MaxPer => "MAX_PER",
        Operator::Is => "IS",
    }
}

fn is_literal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-')
}
