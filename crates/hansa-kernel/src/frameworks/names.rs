//! What roles may be called.

use hansa_model::RoleName;

/// What is wrong with a role's name, in words; None: nothing. Names are paths of parts between slashes; `*` is for
/// itself.
pub(crate) fn problem(role: &RoleName) -> Option<String> {
    let name = role.as_str();
    if name == "*" {
        return None;
    }
    if name.is_empty() {
        return Some("Role names cannot be the empty string".into());
    }
    if name.starts_with('/') {
        return Some(format!("Role '{name}' cannot start with a slash"));
    }
    if name.ends_with('/') {
        return Some(format!("Role '{name}' cannot end with a slash"));
    }
    if name.contains("//") {
        return Some(format!("Role '{name}' cannot contain two adjacent slashes"));
    }
    name.split('/').find_map(|part| match part {
        "." | ".." | "*" => Some(format!("Role '{name}' cannot include '{part}' as a component")),
        part if part.starts_with('-') => {
            Some(format!("Role component '{part}' is invalid because it starts with a dash"))
        }
        part if part.contains(['\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{7f}']) => {
            Some(format!("Role component '{part}' is invalid because it contains backspace or whitespace"))
        }
        _ => None,
    })
}

/// Whether the second is a role below the first.
pub(crate) fn is_below(role: &RoleName, other: &RoleName) -> bool {
    other.as_str().strip_prefix(role.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths() {
        for good in ["*", "a", "a/b/c", "a.b", "a-b", "ops/*x"] {
            assert_eq!(problem(&good.into()), None, "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "a/..", "a/*", "-a", "a/-b", "a b", "a\tb", "a\u{7f}"] {
            assert!(problem(&bad.into()).is_some(), "{bad}");
        }
        assert!(is_below(&"a".into(), &"a/b".into()) && !is_below(&"a".into(), &"ab".into()));
        assert!(!is_below(&"a".into(), &"a".into()));
    }
}
