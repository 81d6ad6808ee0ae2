//! What is fetched into the sandbox: `fetch`, and `uris`, which it has replaced.

use super::Faults;
use super::unsupported::refuse;
use crate::marathon::read::{Fields, item};
use hansa_model::container::Artifact;
use serde_json::Value;

/// Endings of files that `uris` unpacks.
const ARCHIVES: [&str; 9] =
    [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip"];

/// Reads whichever is given.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Vec<Artifact> {
    let old = read_old(fields, faults);
    let at = fields.at("fetch");
    let list = fields.list("fetch", &mut faults.types).unwrap_or_default();
    let new: Vec<Artifact> = list
        .iter()
        .enumerate()
        .filter_map(|(index, value)| read_one(value, &item(&at, index), faults))
        .collect();
    if !old.is_empty() && !list.is_empty() {
        faults.old.add(fields.at("uris"), "may not be set in conjunction with fetch");
    }
    if list.is_empty() { old } else { new }
}

fn read_old(fields: &Fields<'_>, faults: &mut Faults) -> Vec<Artifact> {
    let at = fields.at("uris");
    let uris = fields.texts("uris", &mut faults.types).unwrap_or_default();
    let mut artifacts = Vec::with_capacity(uris.len());
    for (index, uri) in uris.into_iter().enumerate() {
        let here = item(&at, index);
        check_length(&uri, &here, faults);
        if !is_uri(&uri) {
            faults.old.add(here, "URI has invalid syntax.");
        } else if !is_fetched(&uri) {
            refuse(here, &format!("fetching '{uri}' (http, https, file and absolute paths are)"), faults);
        }
        artifacts.push(Artifact { extract: is_archive(&uri), uri, ..Artifact::default() });
    }
    artifacts
}

fn read_one(value: &Value, at: &str, faults: &mut Faults) -> Option<Artifact> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    let here = fields.at("uri");
    if fields.get("uri").is_none() {
        faults.types.add(here.as_str(), "error.path.missing");
    }
    let uri = fields.text("uri", &mut faults.types).unwrap_or_default().to_owned();
    if fields.get("uri").is_some_and(Value::is_string) {
        check_length(&uri, &here, faults);
        if !is_uri(&uri) {
            faults.rules.add(here, "URI has invalid syntax.");
        } else if !is_fetched(&uri) {
            refuse(here, &format!("fetching '{uri}' (http, https, file and absolute paths are)"), faults);
        }
    }
    Some(Artifact {
        uri,
        extract: fields.flag("extract", &mut faults.types).unwrap_or(true),
        executable: fields.flag("executable", &mut faults.types).unwrap_or(false),
        cache: fields.flag("cache", &mut faults.types).unwrap_or(false),
        dest_path: read_destination(&fields, faults),
        sha256: read_digest(&fields, faults),
    })
}

fn check_length(uri: &str, at: &str, faults: &mut Faults) {
    if uri.is_empty() {
        faults.types.add(at, "error.minLength");
    } else if uri.chars().count() > 1_024 {
        faults.types.add(at, "error.maxLength");
    }
}

fn read_destination(fields: &Fields<'_>, faults: &mut Faults) -> Option<String> {
    let path = fields.text("destPath", &mut faults.types)?;
    let at = fields.at("destPath");
    check_length(path, &at, faults);
    if path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
        faults.rules.add(at, "must be a path below the sandbox");
    }
    Some(path.to_owned())
}

/// `sha256` is ours: what is fetched must be this, or the task does not start.
fn read_digest(fields: &Fields<'_>, faults: &mut Faults) -> Option<String> {
    let digest = fields.text("sha256", &mut faults.types)?;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        faults.rules.add(fields.at("sha256"), "must be 64 hexadecimal digits");
    }
    Some(digest.to_ascii_lowercase())
}

/// Whether agents know how to fetch it.
fn is_fetched(uri: &str) -> bool {
    let scheme = uri.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "file") => true,
        Some(_) => false,
        None => uri.starts_with('/'),
    }
}

/// Whether it reads as a URI by RFC 2396, with letters of all alphabets; so that no blank, quote or bracket gets through.
fn is_uri(uri: &str) -> bool {
    let scheme_ends = uri.find(':').filter(|colon| !uri[..*colon].contains(['/', '?', '#']));
    let scheme_is_well = scheme_ends.is_none_or(|colon| {
        let scheme = &uri[..colon];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && colon + 1 < uri.len()
    });
    let bytes = uri.as_bytes();
    let escapes_are_well = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let may_stand = |c: char| match c {
        '%' | '#' | '[' | ']' => true,
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "-_.!~*'();/?:@&=+$,".contains(c),
        c => !c.is_whitespace() && !c.is_control(),
    };
    scheme_is_well && escapes_are_well && uri.matches('#').count() <= 1 && uri.chars().all(may_stand)
}

/// Whether the path of the URI ends like an archive's.
fn is_archive(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    ARCHIVES.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_have_a_syntax() {
        for good in
            ["http://a/b.tgz?x=1#y", "/etc/x", "file:///a%20b", "hdfs://n:1/ä", "a.tgz", "http://[::1]/x"]
        {
            assert!(is_uri(good), "{good}");
        }
        for bad in ["http://a/b c", "http:", "%zz", "a\"b", "1http://x", "a{b}", "x#y#z", "a\\b"] {
            assert!(!is_uri(bad), "{bad}");
        }
    }

    #[test]
    fn endings_say_what_is_an_archive() {
        assert!(is_archive("http://a/b.tar.gz?token=1") && is_archive("/x.zip") && is_archive("x.gz"));
        assert!(!is_archive("http://a/b.jar") && !is_archive("http://a/b?c=.zip"));
    }
}
