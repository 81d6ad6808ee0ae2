//! Two definitions compared, field by field.

use crate::paint::Paint;
use crate::table::terminal_width;
use serde::Serialize;
use serde_json::{Map, Value};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where, such as `/container/docker/image`.
    pub field: String,
    /// What it is; None: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it would be; None: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Every field that differs. Maps are gone into, and lists of maps item by item; lists of anything else are one value.
pub fn compare(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    descend("", from, to, &mut changes);
    changes
}

fn descend(at: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                descend(&format!("{at}/{name}"), &of(old), &of(new), changes);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_object) => {
            for index in 0..old.len().max(new.len()) {
                let of = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
                descend(&format!("{at}/{index}"), &of(old), &of(new), changes);
            }
        }
        (from, to) => {
            let some = |value: &Value| (!value.is_null()).then(|| value.clone());
            changes.push(Change { field: at.to_owned(), from: some(from), to: some(to) });
        }
    }
}

impl Change {
    /// The field as people write it: `healthChecks[0].path`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for part in self.field.split('/').skip(1) {
            if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
                name.push_str(&format!("[{part}]"));
            } else {
                let dot = if name.is_empty() { "" } else { "." };
                name.push_str(&format!("{dot}{part}"));
            }
        }
        name
    }

    /// It in a line, or in three if one would be too long for the terminal.
    fn lines(&self, width: usize) -> String {
        let name = self.name();
        let gap = " ".repeat(width.saturating_sub(name.chars().count()));
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => {
                let (from, to) = (from.to_string(), to.to_string());
                let length = 4 + width.max(name.len()) + 5 + from.chars().count() + to.chars().count();
                let (old, new) = (Paint::Bad.out(&from), Paint::Good.out(&to));
                let mark = Paint::Notice.out("~");
                if length <= terminal_width().unwrap_or(100) {
                    format!("  {mark} {name}{gap}  {old} → {new}\n")
                } else {
                    format!("  {mark} {name}\n      - {old}\n      + {new}\n")
                }
            }
            (Some(from), None) => {
                let text = Paint::Bad.out(&format!("- {name}{gap}  {from}"));
                format!("  {text}\n")
            }
            (None, Some(to)) => {
                let text = Paint::Good.out(&format!("+ {name}{gap}  {to}"));
                format!("  {text}\n")
            }
            (None, None) => String::new(),
        }
    }
}

/// Changes as lines, their values below each other.
pub fn lines(changes: &[Change]) -> String {
    let width = changes.iter().map(|change| change.name().chars().count()).max().unwrap_or(0).min(32);
    changes.iter().map(|change| change.lines(width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_told_with_its_place() {
        let old = json!({"cpus": 1, "env": {"X": "1", "Y": "2"}, "args": ["a"],
            "healthChecks": [{"path": "/"}, {"path": "/two"}]});
        let new = json!({"cpus": 0.5, "env": {"X": "1", "Z": "3"}, "args": ["a", "b"],
            "healthChecks": [{"path": "/live"}]});
        assert_eq!(
            lines(&compare(&old, &new)),
            "  ~ args                  [\"a\"] → [\"a\",\"b\"]\n\
             \x20 ~ cpus                  1 → 0.5\n\
             \x20 - env.Y                 \"2\"\n\
             \x20 + env.Z                 \"3\"\n\
             \x20 ~ healthChecks[0].path  \"/\" → \"/live\"\n\
             \x20 - healthChecks[1]       {\"path\":\"/two\"}\n"
        );
        assert_eq!(compare(&old, &old), []);
    }

    #[test]
    fn long_values_stand_below_each_other() {
        let text = lines(&compare(&json!({"cmd": "a".repeat(60)}), &json!({"cmd": "b".repeat(60)})));
        assert_eq!(
            text,
            format!("  ~ cmd\n      - \"{}\"\n      + \"{}\"\n", "a".repeat(60), "b".repeat(60))
        );
    }
}
