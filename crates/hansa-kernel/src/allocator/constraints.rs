//! Which machines a framework wants offers of, ready to be asked.

use super::Idle;
use hansa_model::framework::{AttributeConstraint, Predicate, Selector};
use regex::Regex;

/// One condition on a machine, its pattern compiled.
#[derive(Debug)]
pub(super) struct Rule {
    selector: Selector,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Exists,
    NotExists,
    Equals(String),
    NotEquals(String),
    Matches(Regex),
    NotMatches(Regex),
    /// A pattern that cannot be read: nothing matches it. (Where calls are read, it is refused.)
    Broken {
        negated: bool,
    },
}

impl Rule {
    fn new(constraint: &AttributeConstraint) -> Self {
        let pattern = |pattern: &str, negated: bool| match Regex::new(&format!(r"\A(?:{pattern})\z")) {
            // Alone, too: `a)|(b` is only a pattern with the brackets around it.
            Ok(regex) if Regex::new(pattern).is_ok() => {
                if negated {
                    Test::NotMatches(regex)
                } else {
                    Test::Matches(regex)
                }
            }
            _ => Test::Broken { negated },
        };
        let test = match &constraint.predicate {
            Predicate::Exists => Test::Exists,
            Predicate::NotExists => Test::NotExists,
            Predicate::TextEquals(text) => Test::Equals(text.clone()),
            Predicate::TextNotEquals(text) => Test::NotEquals(text.clone()),
            Predicate::TextMatches(text) => pattern(text, false),
            Predicate::TextNotMatches(text) => pattern(text, true),
        };
        Self { selector: constraint.selector.clone(), test }
    }

    /// Whether the machine satisfies it.
    fn holds(&self, machine: &Idle<'_>) -> bool {
        let value = match &self.selector {
            Selector::Attribute(name) => machine.attributes.get(name).map(String::as_str),
            Selector::Hostname => Some(machine.hostname),
            Selector::Region => machine.region,
            Selector::Zone => machine.zone,
        };
        match &self.test {
            Test::Exists => value.is_some(),
            Test::NotExists => value.is_none(),
            Test::Equals(text) => value == Some(text),
            Test::NotEquals(text) => value != Some(text),
            Test::Matches(regex) => value.is_some_and(|value| regex.is_match(value)),
            Test::NotMatches(regex) => value.is_none_or(|value| !regex.is_match(value)),
            Test::Broken { negated } => *negated,
        }
    }
}

/// The groups of conditions of one role: of at least one, all must hold. No groups: any machine will do.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Vec<Rule>>);

impl Rules {
    pub(super) fn new(groups: &[Vec<AttributeConstraint>]) -> Self {
        Self(groups.iter().map(|group| group.iter().map(Rule::new).collect()).collect())
    }

    /// Whether the machine will do.
    pub(super) fn hold(&self, machine: &Idle<'_>) -> bool {
        self.0.is_empty() || self.0.iter().any(|group| group.iter().all(|rule| rule.holds(machine)))
    }
}
