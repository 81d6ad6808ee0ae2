//! Path ids: `/shop/web`. Relative ones (`web`, `../db`) are resolved against a base and always shown absolute.

use super::problem::Details;

/// What each segment of an id must look like, in Marathon's words.
const SEGMENT: &str =
    r"^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$";

/// Names that mean something else in `/v2/apps/{id}/…` and so cannot end an id.
const RESERVED: [&str; 5] = ["restart", "tasks", "versions", ".", ".."];

/// The longest id. A task's id, its app's with `.instance-<uuid>._app.<n>` behind it, names a directory, and those end at
/// 255 bytes.
pub const MAX_LENGTH: usize = 190;

/// `text` as an absolute path: relative to `base` unless it begins with a slash; `.`, `..` and empty segments are taken
/// out. `/` is the root.
pub fn absolute(text: &str, base: &str) -> String {
    let whole = if text.starts_with('/') { text.to_owned() } else { format!("{base}/{text}") };
    let mut segments: Vec<&str> = Vec::new();
    for segment in whole.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

/// The path of the group that `id` is in: `/shop` for `/shop/web`, `/` for `/web`.
pub fn parent(id: &str) -> &str {
    match id.rfind('/') {
        None | Some(0) => "/",
        Some(slash) => &id[..slash],
    }
}

/// Whether `id` lies in `group` or deeper.
pub fn is_inside(id: &str, group: &str) -> bool {
    group == "/" || id.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))
}

/// Checks an absolute id of an app; faults go under `path`.
pub fn check(id: &str, path: &str, details: &mut Details) {
    let segments: Vec<&str> = id.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() {
        details.add(path, "Path must contain at least one path element");
        return;
    }
    if !segments.iter().all(|segment| is_segment(segment)) {
        details.add(path, format!("must fully match regular expression '{SEGMENT}'"));
    }
    if segments.last().is_some_and(|last| RESERVED.contains(last)) {
        details.add(
            path,
            format!("must not end with any of the following reserved keywords: {}", RESERVED.join(", ")),
        );
    }
    if id.len() > MAX_LENGTH {
        details.add(path, format!("must not be longer than {MAX_LENGTH} characters"));
    }
}

/// Whether `text` is a segment: dot-separated parts of `a-z`, `0-9` and inner dashes.
fn is_segment(text: &str) -> bool {
    text.split('.').all(|part| {
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_ids_become_absolute() {
        for (text, base, expected) in [
            ("web", "/", "/web"),
            ("/web/", "/shop", "/web"),
            ("web", "/shop", "/shop/web"),
            ("../db", "/shop", "/db"),
            ("../../../db", "/shop", "/db"),
            ("./a//b", "/", "/a/b"),
            ("", "/", "/"),
        ] {
            assert_eq!(absolute(text, base), expected, "{text} in {base}");
        }
    }

    #[test]
    fn ids_are_checked() {
        let faults = |id: &str| {
            let mut details = Details::default();
            check(id, "/id", &mut details);
            super::super::Problem::not_valid(&details).body["details"].to_string()
        };
        for good in ["/a", "/a-b.c/d1", "/1"] {
            assert_eq!(faults(good), "[]", "{good}");
        }
        for bad in ["/A", "/a_b", "/-a", "/a-", "/a..b", "/ä", "/a b", "/a."] {
            assert!(faults(bad).contains("must fully match regular expression"), "{bad}: {}", faults(bad));
        }
        assert!(faults("/x/restart").contains("reserved keywords: restart, tasks, versions, ., .."));
        assert!(faults("/").contains("at least one path element"));
        assert!(faults(&format!("/{}", "a".repeat(190))).contains("longer than 190"));
    }

    #[test]
    fn parents_and_insides() {
        assert_eq!((parent("/a/b"), parent("/a"), parent("/")), ("/a", "/", "/"));
        assert!(
            is_inside("/a/b", "/a")
                && is_inside("/a", "/")
                && !is_inside("/ab", "/a")
                && !is_inside("/a", "/a")
        );
    }
}
