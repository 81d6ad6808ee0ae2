//! The registry's API, as far as pulling needs it: manifests, blobs, and logging in on the way.

mod auth;
mod http;

pub use auth::{Logins, LoginsError};
pub(crate) use http::{Answer, Http, SILENCE, broken};

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::limits::Limits;
use crate::manifest::ACCEPTED;
use crate::reference::{Reference, Version};
use ::http::StatusCode;
use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE, WWW_AUTHENTICATE};
use auth::{Challenge, Login};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::{Arc, Mutex};

/// Most bytes of an error or of a token's answer that are read.
const SHORT: u64 = 256 << 10;

/// One repository of one registry, and what we are there.
pub(crate) struct Repository {
    http: Arc<Http>,
    reference: Reference,
    base: String,
    login: Option<Login>,
    /// The header that was accepted last.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Repository {
    pub(crate) fn new(http: Arc<Http>, reference: &Reference, logins: &Logins) -> Self {
        let server = reference.server();
        Self {
            base: format!("{}://{server}/v2/{}", http.scheme(server), reference.repository),
            login: logins.for_registry(&reference.registry).cloned(),
            http,
            reference: reference.clone(),
            authorization: Mutex::new(None),
        }
    }

    /// A manifest's bytes and their digest, checked against the one asked for.
    pub(crate) async fn manifest(&self, version: &Version, limits: &Limits) -> Result<(Bytes, Digest)> {
        let name = match version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        };
        let url = format!("{}/manifests/{name}", self.base);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let answer = self.get(&url, headers).await?;
        let bytes = http::whole(answer, limits.manifest_bytes).await?;
        let found = Digest::of(&bytes);
        if let Version::Digest(wanted) = version
            && *wanted != found
        {
            return Err(corrupt("its manifest", wanted, &found));
        }
        Ok((bytes, found))
    }

    /// A short blob, checked.
    pub(crate) async fn small_blob(&self, digest: &Digest, most: u64) -> Result<Bytes> {
        let answer = self.blob(digest, 0).await?;
        let bytes = http::whole(answer, most).await?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(corrupt("its configuration", digest, &found)) }
    }

    /// A blob from an offset on, unchecked: 206 if the registry begins there, 200 if it begins at the start.
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        if offset > 0
            && let Ok(value) = HeaderValue::try_from(format!("bytes={offset}-"))
        {
            headers.insert(RANGE, value);
        }
        self.get(&format!("{}/blobs/{digest}", self.base), headers).await
    }

    async fn get(&self, url: &str, headers: HeaderMap) -> Result<Answer> {
        let mut asked = None;
        loop {
            let mut all = headers.clone();
            if let Some(value) = self.authorization() {
                all.insert(AUTHORIZATION, value);
            }
            let answer = self.http.send(url, all, None).await?;
            match answer.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(answer),
                // Once more, with what it asks for; a token may also just have run out.
                StatusCode::UNAUTHORIZED if asked.is_none() => {
                    let challenges = answer.headers().get_all(WWW_AUTHENTICATE);
                    let challenge =
                        challenges.iter().filter_map(|value| auth::challenge(value.to_str().ok()?)).next();
                    let Some(challenge) = challenge else { return Err(self.refusal(answer).await) };
                    let value = self.authorize(&challenge).await?;
                    asked = Some(challenge);
                    *self.authorization.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(value);
                }
                _ => return Err(self.refusal(answer).await),
            }
        }
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The header that a challenge asks for.
    async fn authorize(&self, challenge: &Challenge) -> Result<HeaderValue> {
        let text = match (challenge, &self.login) {
            (_, Some(Login::Token(token))) => format!("Bearer {token}"),
            (Challenge::Basic, Some(Login::Password { user, password })) => auth::basic(user, password),
            (Challenge::Basic, _) => return Err(self.unauthorized("it wants a user and a password")),
            (Challenge::Bearer { realm, service, scope }, _) => {
                let default = format!("repository:{}:pull", self.reference.repository);
                let scope = scope.as_deref().unwrap_or(&default);
                format!("Bearer {}", self.token(realm, service.as_deref(), scope).await?)
            }
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| self.unauthorized("the login holds characters that no header may"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String> {
        let mut query = vec![("scope", scope)];
        query.extend(service.map(|service| ("service", service)));
        let mut headers = HeaderMap::new();
        let answer = match &self.login {
            Some(Login::Identity(token)) => {
                query.extend([
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token),
                    ("client_id", "hansa"),
                ]);
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, kind);
                self.http.send(realm, headers, Some(encoded(&query))).await?
            }
            login => {
                if let Some(Login::Password { user, password }) = login
                    && let Ok(mut value) = HeaderValue::try_from(auth::basic(user, password))
                {
                    value.set_sensitive(true);
                    headers.insert(AUTHORIZATION, value);
                }
                let joint = if realm.contains('?') { '&' } else { '?' };
                self.http.send(&format!("{realm}{joint}{}", encoded(&query)), headers, None).await?
            }
        };
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        match answer.status() {
            StatusCode::OK => {
                let bytes = http::whole(answer, SHORT).await?;
                let found: Option<Token> = serde_json::from_slice(&bytes).ok();
                found
                    .and_then(|found| found.token.or(found.access_token))
                    .ok_or_else(|| Failure::new(Kind::Registry, format!("{realm} gives no token")))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                Err(self.unauthorized("the login is refused"))
            }
            status => {
                let failure = Failure::new(Kind::Registry, format!("{realm} gives no token but {status}"));
                Err(if http::is_transient(status) { failure.transient() } else { failure })
            }
        }
    }

    fn unauthorized(&self, why: &str) -> Failure {
        let registry = &self.reference.registry;
        let remedy = match &self.login {
            None => format!(
                "give a login for {registry}: the agent's --docker-config, or the app's pullConfig or .docker/config.json"
            ),
            Some(_) => {
                format!("check the login for {registry}, and that it may read {}", self.reference.repository)
            }
        };
        Failure::new(Kind::Unauthorized, format!("{registry} refuses: {why}")).remedy(remedy)
    }

    /// What an answer other than success means.
    async fn refusal(&self, answer: Answer) -> Failure {
        let status = answer.status();
        let words = http::whole(answer, SHORT).await.map(|bytes| words(&bytes)).unwrap_or_default();
        let said =
            if words.is_empty() { status.to_string() } else { format!("{words} ({})", status.as_u16()) };
        match status {
            StatusCode::NOT_FOUND => {
                Failure::new(Kind::NotFound, format!("the registry has no such image: {said}"))
                    .remedy("check the name and the tag")
            }
            // Docker Hub says this of repositories that do not exist.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.unauthorized(&said),
            StatusCode::TOO_MANY_REQUESTS => {
                Failure::new(Kind::Registry, format!("the registry allows no more pulls now: {said}"))
                    .remedy("log in, or wait")
                    .transient()
            }
            _ => {
                let failure = Failure::new(Kind::Registry, format!("the registry answers {said}"));
                if http::is_transient(status) { failure.transient() } else { failure }
            }
        }
    }
}

/// Content is not what its name says.
pub(crate) fn corrupt(what: &str, wanted: &Digest, found: &Digest) -> Failure {
    Failure::new(Kind::Corrupt, format!("{what} should be {wanted}, but is {found}"))
        .remedy("the registry or something on the way damages it; push the image again")
}

/// The messages of a registry's errors.
fn words(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        message: String,
        #[serde(default)]
        code: String,
    }
    let Ok(found) = serde_json::from_slice::<Errors>(bytes) else { return String::new() };
    let said = found.errors.into_iter().map(|e| if e.message.is_empty() { e.code } else { e.message });
    said.collect::<Vec<_>>().join(", ").chars().filter(|c| !c.is_control()).take(300).collect()
}

/// As forms and queries write it.
fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte))
                }
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_and_errors_read() {
        assert_eq!(
            encoded(&[("scope", "repository:a/b:pull"), ("x", "ä&")]),
            "scope=repository%3Aa%2Fb%3Apull&x=%C3%A4%26"
        );
        assert_eq!(words(br#"{"errors":[{"code":"A","message":"not\nthere"},{"code":"B"}]}"#), "notthere, B");
        assert_eq!(words(b"<html>"), "");
    }
}
