//! One request and its answer, over TLS where that is not waived. Every wait has a limit.

use crate::failure::{Failure, Kind, Result};
use crate::reference::split_port;
use crate::web::{self, Client, Trouble, Trust};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::collections::BTreeSet;
use std::error::Error;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// How long an answer's head may take, and each further piece of it.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Http {
    plain: BTreeSet<String>,
    trust: Trust,
    /// Made when it is needed, as it reads all the machine's certificates.
    client: OnceLock<Client<Full<Bytes>>>,
}

/// An answer whose body has not been read.
pub(crate) type Answer = http::Response<Incoming>;

impl Http {
    /// Plain HTTP goes to loopback addresses and to these hosts (`host` or `host:port`), and nowhere else.
    pub(crate) fn new(plain: BTreeSet<String>, trust: Trust) -> Self {
        Self { plain, trust, client: OnceLock::new() }
    }

    /// `http` or `https`, for a server (`host` or `host:port`).
    pub(crate) fn scheme(&self, server: &str) -> &'static str {
        let (host, _) = split_port(server);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback || self.plain.contains(server) || self.plain.contains(host) { "http" } else { "https" }
    }

    /// GET, or POST with a form if there is one; follows redirects, without credentials to other servers.
    pub(crate) async fn send(&self, url: &str, headers: HeaderMap, form: Option<String>) -> Result<Answer> {
        let mut url: Uri =
            url.parse().map_err(|_| Failure::new(Kind::Registry, format!("{url:?} is not a URL")))?;
        let mut headers = headers;
        for _ in 0..=REDIRECTS {
            self.check_scheme(&url)?;
            let answer = self.once(&url, &headers, form.as_deref()).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) || form.is_some() {
                return Ok(answer);
            }
            let next = redirected(&url, &answer)?;
            if next.authority() != url.authority() {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(Failure::new(Kind::Registry, format!("{url} is redirected again and again")))
    }

    fn check_scheme(&self, url: &Uri) -> Result<()> {
        let server = url.authority().map_or("", |authority| authority.as_str());
        if server.is_empty() || server.contains('@') || !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(Failure::new(
                Kind::Registry,
                format!("the registry leads to {url}, which is no usable URL"),
            ));
        }
        if url.scheme_str() == Some("http") && self.scheme(server) != "http" {
            return Err(Failure::new(
                Kind::Tls,
                format!("the registry leads to {url}, which is not encrypted"),
            )
            .remedy(format!("start the agent with --insecure-registry {server} to allow it")));
        }
        Ok(())
    }

    async fn once(&self, url: &Uri, headers: &HeaderMap, form: Option<&str>) -> Result<Answer> {
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(url.clone());
        if let Some(all) = request.headers_mut() {
            all.extend(headers.clone());
            all.insert(http::header::USER_AGENT, http::HeaderValue::from_static("hansa"));
        }
        let body = Full::new(Bytes::from(form.unwrap_or_default().to_owned()));
        let request = request.body(body).map_err(|error| Failure::new(Kind::Registry, error.to_string()))?;
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let trust = self.trust.clone();
                let made = tokio::task::spawn_blocking(move || web::client(&trust)).await;
                let made = made.map_err(|error| error.to_string()).flatten();
                let made = made.map_err(|error| Failure::new(Kind::Machine, error))?;
                self.client.get_or_init(|| made)
            }
        };
        let server = url.authority().map_or("", |authority| authority.as_str());
        match tokio::time::timeout(SILENCE, client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unreachable(server, &error)),
            Err(_) => Err(Failure::new(Kind::Timeout, format!("{server} does not answer"))
                .remedy("check that the registry runs and that this machine reaches it")
                .transient()),
        }
    }
}

fn redirected(url: &Uri, answer: &Answer) -> Result<Uri> {
    web::redirected(url, answer.headers())
        .ok_or_else(|| Failure::new(Kind::Registry, format!("{url} is redirected to nowhere")))
}

/// What a failed request means.
fn unreachable(server: &str, error: &(dyn Error + 'static)) -> Failure {
    let insecure = |why: &str| Failure::new(Kind::Tls, format!("no secure connection to {server}: {why}"));
    match web::explain(error) {
        Trouble::Insecure { why, remedy } => insecure(&why).remedy(remedy),
        Trouble::NotTls => insecure("it seems to speak plain HTTP")
            .remedy(format!("start the agent with --insecure-registry {server} to allow it")),
        Trouble::Unreachable(why) => Failure::new(Kind::Unreachable, format!("cannot reach {server}: {why}"))
            .remedy("check the registry's name and that this machine reaches it")
            .transient(),
    }
}

/// Reads a short body whole.
pub(crate) async fn whole(answer: Answer, most: u64) -> Result<Bytes> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let body = tokio::time::timeout(SILENCE, Limited::new(answer.into_body(), most).collect()).await;
    match body {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Failure::refused(format!("the registry's answer is longer than {most} bytes")))
        }
        Ok(Err(error)) => Err(broken(&error.to_string())),
        Err(_) => Err(Failure::new(Kind::Timeout, "the registry's answer takes too long").transient()),
    }
}

/// An answer ends early.
pub(crate) fn broken(why: &str) -> Failure {
    Failure::new(Kind::Unreachable, format!("the connection to the registry broke: {why}")).transient()
}

/// Whether a request with this answer may succeed a moment later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_and_those_allowed() {
        let http = Http::new(["registry.local:5000", "old"].map(String::from).into(), Trust::default());
        for plain in [
            "127.0.0.1:5000",
            "127.1.2.3",
            "localhost",
            "localhost:80",
            "[::1]:5000",
            "registry.local:5000",
            "old",
            "old:81",
        ] {
            assert_eq!(http.scheme(plain), "http", "{plain}");
        }
        for secure in [
            "registry-1.docker.io",
            "registry.local",
            "127.0.0.1.example",
            "localhost.example",
            "128.0.0.1:5000",
        ] {
            assert_eq!(http.scheme(secure), "https", "{secure}");
        }
        let to = |url: &str| http.check_scheme(&url.parse().unwrap());
        assert!(to("https://x/y").is_ok() && to("http://127.0.0.1/y").is_ok());
        assert_eq!(to("http://example.com/y").unwrap_err().kind, Kind::Tls);
        assert!(to("ftp://x/").is_err() && to("/x").is_err() && to("https://u:p@x/").is_err());
    }
}
