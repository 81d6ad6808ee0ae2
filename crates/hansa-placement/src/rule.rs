//! Constraints made ready to be asked: regular expressions compiled, numbers read, broken ones known as such.
//!
//! A rule is **fixed** when its answer for a machine never changes while the machine's fields do not (LIKE, UNLIKE, IS,
//! CLUSTER with a value), and **moving** when it depends on where the app's other instances are.

use crate::peers::FieldCounts;
use hansa_model::app::{Constraint, Operator};
use regex::Regex;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// Compiled constraints kept at most; beyond it all are forgotten and made again when asked for.
const CACHED_RULES: usize = 10_000;

/// One constraint, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) constraint: Constraint,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Like(Regex),
    Unlike(Regex),
    Equal(String),
    Is(String),
    Unique,
    Together,
    /// At least so many distinct values are expected.
    Spread(usize),
    AtMost(u32),
    /// Never satisfied, and why.
    Broken(String),
}

/// Which field a rule looks at: one of the two spellings of the host name, or what machines share.
pub(crate) fn is_host(field: &str) -> bool {
    matches!(field, "hostname" | "@hostname")
}

impl Rule {
    pub(crate) fn new(constraint: &Constraint) -> Self {
        let value = constraint.value.as_deref().filter(|value| !value.is_empty());
        let regex = || match value {
            None => Err("has no regular expression".to_owned()),
            // Alone first: `a)|(b` is only an expression with the brackets of the second.
            Some(text) => Regex::new(text)
                .and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")))
                .map_err(|_| format!("'{text}' is not a valid regular expression")),
        };
        let test = match constraint.operator {
            Operator::Like => regex().map_or_else(Test::Broken, Test::Like),
            Operator::Unlike => regex().map_or_else(Test::Broken, Test::Unlike),
            Operator::Is => match &constraint.value {
                Some(value) => Test::Is(value.clone()),
                None => Test::Broken("has no value".into()),
            },
            Operator::Cluster => value.map_or(Test::Together, |value| Test::Equal(value.into())),
            Operator::Unique => Test::Unique,
            Operator::GroupBy => match value.map(str::parse::<i32>) {
                None => Test::Spread(0),
                Some(Ok(groups)) => Test::Spread(usize::try_from(groups).unwrap_or(0)),
                Some(Err(_)) => Test::Broken("needs a whole number or no value".into()),
            },
            Operator::MaxPer => match value.map(str::parse::<i32>) {
                Some(Ok(most)) => Test::AtMost(u32::try_from(most).unwrap_or(0)),
                _ => Test::Broken("needs a whole number".into()),
            },
        };
        Self { constraint: constraint.clone(), test }
    }

    /// Whether the answer depends on nothing but the machine.
    pub(crate) fn is_fixed(&self) -> bool {
        !matches!(self.test, Test::Unique | Test::Together | Test::Spread(_) | Test::AtMost(_))
    }

    /// Whether the rule prefers values with fewer instances to those with more.
    pub(crate) fn spreads(&self) -> bool {
        matches!(self.test, Test::Spread(_))
    }

    /// Whether a machine with this value of the field may take one more instance.
    pub(crate) fn allows(&self, value: Option<&str>, peers: Option<&FieldCounts>) -> bool {
        if let Test::Broken(_) = self.test {
            return false;
        }
        let Some(value) = value else { return matches!(self.test, Test::Unlike(_)) };
        let count = peers.map_or(0, |peers| peers.count(value));
        match &self.test {
            Test::Like(regex) => regex.is_match(value),
            Test::Unlike(regex) => !regex.is_match(value),
            Test::Equal(wanted) => wanted == value,
            Test::Is(wanted) => is(wanted, value),
            Test::Unique => count == 0,
            Test::Together => peers.and_then(FieldCounts::most_common).is_none_or(|first| **first == *value),
            Test::Spread(groups) => {
                count == 0
                    || peers.is_some_and(|peers| peers.distinct() >= *groups && count == peers.smallest())
            }
            Test::AtMost(most) => count < *most,
            Test::Broken(_) => false,
        }
    }

    /// The constraint in Marathon's notation, `["rack","LIKE","r1"]`.
    pub(crate) fn notation(&self) -> String {
        let operator = match self.constraint.operator {
            Operator::Unique => "UNIQUE",
            Operator::Cluster => "CLUSTER",
            Operator::GroupBy => "GROUP_BY",
            Operator::Like => "LIKE",
            Operator::Unlike => "UNLIKE",
            Operator::MaxPer => "MAX_PER",
            Operator::Is => "IS",
        };
        let field = quoted(&self.constraint.field);
        match &self.constraint.value {
            Some(value) => format!("[{field},\"{operator}\",{}]", quoted(value)),
            None => format!("[{field},\"{operator}\"]"),
        }
    }

    /// Why a machine with this value is refused, in words that are the same for all machines refused alike.
    pub(crate) fn words(&self, value: Option<&str>, peers: Option<&FieldCounts>) -> String {
        let field: Cow<'_, str> = match self.constraint.field.as_str() {
            "hostname" | "@hostname" => "hostname".into(),
            "@region" => "region".into(),
            "@zone" => "zone".into(),
            attribute => format!("attribute {attribute}").into(),
        };
        if let Test::Broken(why) = &self.test {
            return format!("the constraint {} {why}", self.notation());
        }
        if value.is_none() {
            return match &self.test {
                Test::Equal(wanted) | Test::Is(wanted) => format!("{field} is absent, not {wanted}"),
                _ => format!("{field} is absent"),
            };
        }
        let text = self.constraint.value.as_deref().unwrap_or_default();
        let plain = !text.contains(|c| r"\.+*?()|[]{}^$".contains(c));
        match &self.test {
            Test::Like(_) if plain => format!("{field} is not {text}"),
            Test::Like(_) => format!("{field} does not match {text}"),
            Test::Unlike(_) if plain => format!("{field} is {text}"),
            Test::Unlike(_) => format!("{field} matches {text}"),
            Test::Equal(wanted) | Test::Is(wanted) => format!("{field} is not {wanted}"),
            Test::Unique => format!("{field} already has an instance"),
            Test::Together => {
                let first = peers.and_then(FieldCounts::most_common).map_or("", |first| &**first);
                format!("{field} is not {first}, where the other instances are")
            }
            Test::Spread(groups) if peers.is_some_and(|peers| peers.distinct() < *groups) => {
                format!("{field} already has an instance while fewer than {groups} values do")
            }
            Test::Spread(_) => format!("{field} has more instances than others"),
            Test::AtMost(most) => format!("{field} already has {most} instances"),
            Test::Broken(why) => why.clone(),
        }
    }
}

/// The text as a JSON string.
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// Equal as text, or as numbers with three decimals.
fn is(wanted: &str, value: &str) -> bool {
    let thousandths = |text: &str| {
        let number: f64 = text.trim().parse().ok()?;
        number.is_finite().then(|| (number * 1000.0).round())
    };
    wanted == value || thousandths(wanted).is_some_and(|wanted| thousandths(value) == Some(wanted))
}

/// Rules by constraint, so that nothing is compiled twice.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    compiled: FxHashMap<Constraint, Arc<Rule>>,
}

impl Rules {
    pub(crate) fn get(&mut self, constraint: &Constraint) -> Arc<Rule> {
        if let Some(rule) = self.compiled.get(constraint) {
            return rule.clone();
        }
        if self.compiled.len() >= CACHED_RULES {
            self.compiled.clear();
        }
        let rule = Arc::new(Rule::new(constraint));
        self.compiled.insert(constraint.clone(), rule.clone());
        rule
    }
}
