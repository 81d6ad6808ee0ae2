//! What may be an id or a role, and labels.

use crate::Invalid;
use crate::proto::v1;

/// The longest id, in bytes: ids become names of directories.
const LONGEST_ID: usize = 255;

/// Whether a framework's, task's, executor's or volume's id can be one.
///
/// # Errors
/// It cannot be the name of a directory.
pub fn check_id(id: &str) -> Result<(), Invalid> {
    let wrong = |why: &str| Err(Invalid::new(why));
    if id.is_empty() {
        return wrong("ID must not be empty");
    }
    if id.len() > LONGEST_ID {
        return Err(Invalid(format!("ID must not be greater than {LONGEST_ID} characters")));
    }
    if id == "." || id == ".." {
        return Err(Invalid(format!("'{id}' is disallowed")));
    }
    if id.bytes().any(|byte| byte.is_ascii_control() || byte == b'/' || byte == b'\\') {
        return Err(Invalid(format!("'{id}' contains invalid characters")));
    }
    Ok(())
}

/// Whether a role's name can be one: `*`, or components joined by slashes.
///
/// # Errors
/// It cannot; says which rule it breaks.
pub fn check_role(role: &str) -> Result<(), Invalid> {
    if role == "*" {
        return Ok(());
    }
    let wrong = |why: String| Err(Invalid(why));
    if role.is_empty() {
        return wrong("Role names cannot be the empty string".into());
    }
    if role.starts_with('/') {
        return wrong(format!("Role '{role}' cannot start with a slash"));
    }
    if role.ends_with('/') {
        return wrong(format!("Role '{role}' cannot end with a slash"));
    }
    for component in role.split('/') {
        match component {
            "" => return wrong(format!("Role '{role}' cannot contain two adjacent slashes")),
            "." | ".." | "*" => {
                return wrong(format!("Role '{role}' cannot include '{component}' as a component"));
            }
            _ if component.starts_with('-') => {
                return wrong(format!(
                    "Role component '{component}' is invalid because it starts with a dash"
                ));
            }
            _ if component.bytes().any(|byte| matches!(byte, 0x09..=0x0d | b' ' | 0x7f)) => {
                return wrong(format!(
                    "Role component '{component}' is invalid because it contains backspace or whitespace"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether `role` is below `above` in the tree of roles.
pub fn is_below(role: &str, above: &str) -> bool {
    role.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// Labels as we keep them.
pub fn labels_in(labels: Option<&v1::Labels>) -> Vec<(String, Option<String>)> {
    let all = labels.map(|labels| labels.labels.as_slice()).unwrap_or_default();
    all.iter().map(|label| (label.key.clone(), label.value.clone())).collect()
}

/// Labels as Mesos sends them; None if there are none.
pub fn labels_out(labels: &[(String, Option<String>)]) -> Option<v1::Labels> {
    let one = |(key, value): &(String, Option<String>)| v1::Label { key: key.clone(), value: value.clone() };
    (!labels.is_empty()).then(|| v1::Labels { labels: labels.iter().map(one).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "task.1", "...", "ä b", &"x".repeat(255)] {
            assert_eq!(check_id(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", "\u{7f}", &"x".repeat(256)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn roles() {
        for good in ["*", "a", "a/b/c", "a-b", "ä", "a.b"] {
            assert_eq!(check_role(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/..", "a/*", "-a", "a/-b", "a b", "a\tb", "a\u{7f}"] {
            assert!(check_role(bad).is_err(), "{bad}");
        }
        assert!(is_below("a/b", "a") && is_below("a/b/c", "a/b"));
        assert!(!is_below("a", "a") && !is_below("ab", "a") && !is_below("a", "a/b"));
    }
}
