//! Constraints made ready to be asked: regular expressions compiled, numbers read, broken ones known as such.
//!
//! A rule is **fixed** when its answer for a machine never changes while the machine's fields do not (LIKE, UNLIKE, IS,
//! CLUSTER with a value), and **moving** when it depends on where the app's other instances are.

use crate::peers::FieldCounts;
use hansa_model::app::{Constraint, Operator};
use hansa_model::words::counted;
use regex::Regex;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// Compiled constraints kept at most; beyond it all are forgotten and made again when asked for.
const CACHED_RULES: usize = 10_000;

/// One constraint, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) constraint: Constraint,
    test: Test,
}

#[derive(Clone, Debug)]
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
            Test::AtMost(most) => format!("{field} already has {}", counted((*most).into(), "instance")),
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
#[derive(Clone, Debug, Default)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Node;
    use crate::peers::Peers;
    use hansa_model::event::AgentState;
    use hansa_model::{AgentId, Resources};
    use std::collections::BTreeMap;

    fn node(attribute: Option<&str>) -> Node {
        Node {
            id: AgentId::from("a"),
            hostname: "h1".into(),
            region: None,
            zone: None,
            attributes: attribute.map(|value| ("x".to_owned(), value.into())).into_iter().collect(),
            state: AgentState::Active,
            reserved: None,
            total: Resources::default(),
            free: Resources::default(),
        }
    }

    fn constraint(operator: Operator, value: Option<&str>) -> Constraint {
        Constraint { field: "x".into(), operator, value: value.map(str::to_owned) }
    }

    /// Which of the machines' values the constraint allows when instances stand on these values; `-` is a machine
    /// without the attribute.
    fn check(operator: Operator, value: Option<&str>, instances: &str, machines: &str, allowed: &str) {
        let constraint = constraint(operator, value);
        let rule = Rule::new(&constraint);
        let of = |text: &str| node((text != "-").then_some(text));
        let mut peers = Peers::new(std::slice::from_ref(&constraint));
        instances.split_whitespace().for_each(|value| peers.add(&of(value)));
        let allows = |text: &&str| rule.allows(of(text).field("x").as_deref(), peers.field("x"));
        let own: Vec<_> = machines.split_whitespace().filter(allows).collect();
        assert_eq!(own.join(" "), allowed, "{} with instances on '{instances}'", rule.notation());
    }

    #[test]
    fn every_operator_does_what_marathon_does() {
        use Operator::*;
        check(Unique, None, "", "a b -", "a b");
        check(Unique, None, "a c", "a b -", "b");
        check(Cluster, None, "", "a b -", "a b");
        check(Cluster, None, "b", "a b -", "b");
        check(Cluster, None, "a b b", "a b c", "b");
        check(Cluster, Some("a"), "b b", "a b -", "a");
        check(Cluster, Some(""), "b", "a b", "b");
        check(GroupBy, None, "", "a b -", "a b");
        check(GroupBy, None, "a", "a b -", "a b");
        check(GroupBy, None, "a a b", "a b c", "b c");
        check(GroupBy, Some(""), "a a b", "a b c", "b c");
        check(GroupBy, Some("3"), "a b", "a b c", "c");
        check(GroupBy, Some("3"), "a b c", "a b c d -", "a b c d");
        check(GroupBy, Some("2"), "a a b", "a b c", "b c");
        check(GroupBy, Some("-1"), "a", "a b", "a b");
        check(GroupBy, Some("many"), "", "a b -", "");
        check(Like, Some("r[12]"), "", "r1 r2 r3 xr1 r12 -", "r1 r2");
        check(Like, Some("a|ab"), "", "a ab abc xa", "a ab");
        check(Like, Some("a)|(b"), "", "a b", "");
        check(Like, Some("("), "", "a ( -", "");
        check(Like, Some(""), "", "a -", "");
        check(Like, None, "", "a -", "");
        check(Unlike, Some("r[12]"), "", "r1 r3 r12 -", "r3 r12 -");
        check(Unlike, Some("("), "", "a -", "");
        check(MaxPer, Some("2"), "a a b", "a b c -", "b c");
        check(MaxPer, Some("0"), "", "a", "");
        check(MaxPer, Some("-3"), "", "a", "");
        check(MaxPer, Some("x"), "", "a", "");
        check(MaxPer, None, "", "a", "");
        check(Is, Some("a"), "b", "a b A ab -", "a");
        check(Is, Some("1.5"), "", "1.5 1.500 1.5004 1.501 1.51 a -", "1.5 1.500 1.5004");
        check(Is, Some("nan"), "", "nan NaN inf", "nan");
        check(Is, None, "", "a", "");
    }

    #[test]
    fn words_say_what_is_wrong() {
        use Operator::*;
        let words = |operator, value, instances: &[&str], own: Option<&str>| {
            let constraint = constraint(operator, value);
            let mut peers = Peers::new(std::slice::from_ref(&constraint));
            instances.iter().for_each(|value| peers.add(&node(Some(value))));
            Rule::new(&constraint).words(own, peers.field("x"))
        };
        let cases = [
            (words(Like, Some("r1"), &[], Some("r2")), "attribute x is not r1"),
            (words(Like, Some("r[12]"), &[], Some("r3")), "attribute x does not match r[12]"),
            (words(Like, Some("r1"), &[], None), "attribute x is absent"),
            (words(Unlike, Some("r1"), &[], Some("r1")), "attribute x is r1"),
            (words(Unlike, Some("r."), &[], Some("r1")), "attribute x matches r."),
            (words(Cluster, Some("r1"), &[], None), "attribute x is absent, not r1"),
            (words(Cluster, None, &["b"], Some("a")), "attribute x is not b, where the other instances are"),
            (words(Unique, None, &["a"], Some("a")), "attribute x already has an instance"),
            (words(MaxPer, Some("2"), &["a", "a"], Some("a")), "attribute x already has 2 instances"),
            (words(GroupBy, None, &["a", "a", "b"], Some("a")), "attribute x has more instances than others"),
            (
                words(GroupBy, Some("2"), &["a"], Some("a")),
                "attribute x already has an instance while fewer than 2 values do",
            ),
            (
                words(Like, Some("("), &[], Some("a")),
                r#"the constraint ["x","LIKE","("] '(' is not a valid regular expression"#,
            ),
        ];
        for (words, expected) in cases {
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn notation_is_json_whatever_is_in_it() {
        let odd =
            Constraint { field: "a\"b\\".into(), operator: Operator::Like, value: Some("\\d\n".into()) };
        assert_eq!(Rule::new(&odd).notation(), r#"["a\"b\\","LIKE","\\d\u000a"]"#);
    }

    #[test]
    fn counts_follow_instances_that_come_and_go() {
        let by_x = constraint(Operator::GroupBy, None);
        let mut peers = Peers::new(std::slice::from_ref(&by_x));
        for value in ["a", "b", "a", "c", "b", "a"] {
            peers.add(&node(Some(value)));
        }
        peers.add(&node(None));
        let counts = |peers: &Peers| {
            let counts = peers.field("x").expect("the field is counted");
            (counts.smallest(), counts.distinct(), counts.most_common().map(|value| value.to_string()))
        };
        assert_eq!(counts(&peers), (1, 3, Some("a".into())));
        peers.remove(&node(Some("c")));
        peers.remove(&node(Some("c")));
        assert_eq!(counts(&peers), (2, 2, Some("a".into())));
        for _ in 0..3 {
            peers.remove(&node(Some("a")));
        }
        assert_eq!(counts(&peers), (2, 1, Some("b".into())));
        let expected: BTreeMap<Arc<str>, u32> = [("b".into(), 2)].into();
        assert_eq!(peers.counts("x"), Some(&expected));
        assert_eq!(peers.counts("y"), None);
    }
}
