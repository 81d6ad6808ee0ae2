//! Logins for registries, as Docker's configuration file keeps them, and what a registry asks for.

use crate::reference::split_port;
use base64::Engine;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What to show a registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Login {
    Password {
        user: String,
        password: String,
    },
    /// Exchanged for an access token.
    Identity(String),
    /// Shown as it is.
    Token(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets do not go to logs.
        f.write_str("Login")
    }
}

/// Logins by registry: the `auths` of a Docker configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Logins(BTreeMap<String, Login>);

/// A Docker configuration file is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginsError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(String, String),
    /// It is not JSON of that form. (What it holds is secret, so the message does not quote it.)
    #[error("{0} is not a Docker configuration file: no JSON with \"auths\" at line {1}")]
    Malformed(String, usize),
    /// A login is not understood.
    #[error("{0}: the login for {1:?} has no usable \"auth\", \"username\" or token")]
    Unusable(String, String),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Logins {
    /// Reads a Docker configuration file, such as `~/.docker/config.json`.
    ///
    /// # Errors
    /// It cannot be read, or is not one.
    pub fn read(path: &Path) -> Result<Self, LoginsError> {
        let name = path.display().to_string();
        let text =
            std::fs::read(path).map_err(|error| LoginsError::Unreadable(name.clone(), error.to_string()))?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a Docker configuration file; `name` is for messages.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, LoginsError> {
        let file: File = serde_json::from_slice(text)
            .map_err(|error| LoginsError::Malformed(name.into(), error.line()))?;
        let mut logins = BTreeMap::new();
        for (registry, entry) in file.auths {
            match login(entry) {
                Some(Some(login)) => drop(logins.insert(host_of(&registry), login)),
                // Kept by a helper program, which is not asked.
                Some(None) => {}
                None => return Err(LoginsError::Unusable(name.into(), registry)),
            }
        }
        Ok(Self(logins))
    }

    /// These, and those of the other where these have none.
    #[must_use]
    pub fn or(mut self, other: &Logins) -> Self {
        for (registry, login) in &other.0 {
            self.0.entry(registry.clone()).or_insert_with(|| login.clone());
        }
        self
    }

    /// For the registry of that name (`host:port`, or `docker.io`).
    pub(crate) fn for_registry(&self, registry: &str) -> Option<&Login> {
        self.0.get(&host_of(registry))
    }
}

/// None: not understood; Some(None): empty.
fn login(entry: Entry) -> Option<Option<Login>> {
    if !entry.identitytoken.is_empty() {
        return Some(Some(Login::Identity(entry.identitytoken)));
    }
    if !entry.registrytoken.is_empty() {
        return Some(Some(Login::Token(entry.registrytoken)));
    }
    if !entry.username.is_empty() {
        return Some(Some(Login::Password { user: entry.username, password: entry.password }));
    }
    if entry.auth.is_empty() {
        return Some(None);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(entry.auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Some(Login::Password { user: user.into(), password: password.trim_end_matches('\0').into() }))
}

/// `https://index.docker.io/v1/` and its like, as the name that references use.
fn host_of(registry: &str) -> String {
    let rest = registry.strip_prefix("https://").or(registry.strip_prefix("http://")).unwrap_or(registry);
    let host = rest.split('/').next().unwrap_or(rest).to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".into(),
        _ => match split_port(&host) {
            (name, Some("443")) => name.to_owned(),
            _ => host,
        },
    }
}

/// `Basic` credentials for a header.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    /// A token that is to be had at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// Reads `WWW-Authenticate`.
pub(crate) fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = parameters(rest);
    Some(Challenge::Bearer {
        realm: parameters.remove("realm")?,
        service: parameters.remove("service"),
        scope: parameters.remove("scope"),
    })
}

/// `name="value",other=value`
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some((value, rest)) => (value, rest),
                None => break,
            },
            None => rest.split_once(',').map_or((rest, ""), |(value, rest)| (value.trim(), rest)),
        };
        found.insert(name.trim_matches([' ', ',', '\t']).to_ascii_lowercase(), value.to_owned());
        text = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Login {
        Login::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn logins_are_found_under_every_spelling() {
        let text = r#"{"credsStore": "x", "HttpHeaders": {}, "auths": {
            "https://index.docker.io/v1/": {"auth": "YWxpY2U6cy1lOmNyZXQ="},
            "https://Registry.example:443": {"username": "bob", "password": "p"},
            "127.0.0.1:5000": {"identitytoken": "i", "auth": "PHRva2VuPjo="},
            "quay.io": {"registrytoken": "r"},
            "empty.example": {}
        }}"#;
        let logins = Logins::parse("config.json", text.as_bytes()).unwrap();
        assert_eq!(logins.for_registry("docker.io"), Some(&password("alice", "s-e:cret")));
        assert_eq!(logins.for_registry("registry.example"), Some(&password("bob", "p")));
        assert_eq!(logins.for_registry("127.0.0.1:5000"), Some(&Login::Identity("i".into())));
        assert_eq!(logins.for_registry("quay.io"), Some(&Login::Token("r".into())));
        assert_eq!(logins.for_registry("empty.example"), None);
        assert!(!format!("{logins:?}").contains("s-e"));
        let own = Logins::parse("x", br#"{"auths": {"quay.io": {"username": "me"}}}"#).unwrap().or(&logins);
        assert_eq!(own.for_registry("quay.io"), Some(&password("me", "")));
        assert!(own.for_registry("docker.io").is_some());
    }

    #[test]
    fn other_files_are_refused_without_their_content() {
        for text in ["", "{\"auths\": {\"a\": {\"auth\": \"!secret!\"}}}", "{\"auths\":\n[\"secret\"]}"] {
            let refused = Logins::parse("f", text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains('f') && !refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn challenges_in_their_spellings() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        assert_eq!(
            challenge(r#"Bearer realm="https://a/t",service="a b, c",scope="repository:x:pull,push""#),
            Some(bearer("https://a/t", Some("a b, c"), Some("repository:x:pull,push")))
        );
        assert_eq!(
            challenge("bearer realm=https://a, service=s"),
            Some(bearer("https://a", Some("s"), None))
        );
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Basic));
        for none in ["", "Negotiate", "Bearer", "Bearer realm=\"x"] {
            assert_eq!(challenge(none), None, "{none}");
        }
    }
}
