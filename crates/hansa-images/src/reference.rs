//! Names of images as people write them: `nginx`, `team/app:1.2`, `registry:5000/a/b@sha256:…`.

use crate::digest::Digest;
use std::fmt;

/// Where names without a registry come from.
const HUB: &str = "docker.io";

/// Longest text that is looked at.
const MAX_LENGTH: usize = 500;

/// Which image: registry, repository, and tag or digest. `Display` gives the whole form, `docker.io/library/nginx:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// `host` or `host:port`; `docker.io` for Docker Hub.
    pub registry: String,
    /// `library/nginx`.
    pub repository: String,
    /// Which of the repository's images.
    pub version: Version,
}

/// Which of a repository's images.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Whatever bears this tag.
    Tag(String),
    /// Exactly this manifest, whatever tag stands beside it.
    Digest(Digest),
}

/// A text does not name an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not name an image: {why}")]
pub struct NotAReference {
    text: String,
    why: &'static str,
}

impl std::str::FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        parse(text).map_err(|why| NotAReference { text: text.chars().take(200).collect(), why })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return Err("it is empty or too long");
    }
    if text.contains("://") {
        return Err("it begins with a scheme; write only registry, name and tag");
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (
            named,
            Some(
                digest
                    .parse::<Digest>()
                    .map_err(|_| "behind @ stands no sha256: with 64 hexadecimal digits")?,
            ),
        ),
        None => (text, None),
    };
    let (registry, rest) = match named.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (HUB, named),
    };
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    check_registry(registry)?;
    check_repository(repository)?;
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(
            "a tag has at most 128 letters, digits, '_', '.' and '-', and begins with none of the latter two",
        );
    }
    let registry = match registry {
        "index.docker.io" | "registry-1.docker.io" => HUB,
        other => other,
    };
    let repository = match registry == HUB && !repository.contains('/') {
        true => format!("library/{repository}"),
        false => repository.to_owned(),
    };
    let version = match digest {
        Some(digest) => Version::Digest(digest),
        None => Version::Tag(tag.unwrap_or("latest").to_owned()),
    };
    Ok(Reference { registry: registry.to_owned(), repository, version })
}

/// The part before the first slash is a registry only if it looks like a host.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    let (host, port) = split_port(registry);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("the registry's port is not a number up to 65535");
    }
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let well = match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(plain) && !host.starts_with(['.', '-']),
    };
    if well { Ok(()) } else { Err("the registry is not a host name or an address") }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
pub(crate) fn split_port(registry: &str) -> (&str, Option<&str>) {
    let from = registry.rfind(']').unwrap_or(0);
    match registry[from..].find(':') {
        Some(at) => (&registry[..from + at], Some(&registry[from + at + 1..])),
        None => (registry, None),
    }
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part_well = |part: &str| {
        part.starts_with(plain)
            && part.ends_with(plain)
            && part.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'))
            && !part.contains("..")
    };
    if repository.split('/').all(part_well) {
        Ok(())
    } else {
        Err(
            "a repository's name has parts of lower-case letters and digits with '.', '_' or '-' between them",
        )
    }
}

fn is_tag(tag: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(plain) && tag.chars().all(|c| plain(c) || matches!(c, '.' | '-'))
}

impl Reference {
    /// The host (and port) that serves this registry's API.
    pub(crate) fn server(&self) -> &str {
        if self.registry == HUB { "registry-1.docker.io" } else { &self.registry }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.version)
    }
}

/// With the sign that it is joined by: `:latest`, `@sha256:…`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_docker_reads_them() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let with_digest = format!("nginx:1@{digest}");
        let whole_digest = format!("docker.io/library/nginx@{digest}");
        for (text, whole) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("registry:5000/a/b:tag", "registry:5000/a/b:tag"),
            ("quay.io/a/b/c:V1.2-rc_3", "quay.io/a/b/c:V1.2-rc_3"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("127.0.0.1:5000/a_b/c-d", "127.0.0.1:5000/a_b/c-d:latest"),
            (&with_digest, &whole_digest),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), whole);
            assert_eq!(whole.parse::<Reference>().unwrap(), reference, "the whole form reads as itself");
        }
        assert_eq!("nginx".parse::<Reference>().unwrap().server(), "registry-1.docker.io");
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let long = "a".repeat(600);
        for text in [
            "",
            &long,
            "Nginx",
            "a//b",
            "/a",
            "a/",
            "a:b:c",
            "a b",
            "a/../b",
            "a/..",
            "x.y/../../z",
            "https://a/b",
            "a@sha256:12",
            "a@md5:00",
            "host:99999/a",
            "[::zz]/a",
            "-h.x/a",
            "a:-t",
            "a:\n",
            "ä",
            "a\0",
        ] {
            let refused = text.parse::<Reference>().expect_err(text);
            assert!(refused.to_string().contains("does not name an image: "), "{refused}");
        }
    }
}
