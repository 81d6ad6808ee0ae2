//! Keeps web pages of others from talking to an agent on loopback through their visitor's browser.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// Lets requests pass whose `Host` and `Origin`, if any, name this machine's loopback; others get 403.
pub(super) async fn own_pages_only(request: Request, next: Next) -> Response {
    let by_uri = request.uri().authority().map(|authority| authority.as_str().to_owned());
    match refusal(request.headers(), by_uri.as_deref()) {
        Some(message) => super::error(StatusCode::FORBIDDEN, "forbidden", &message),
        None => next.run(request).await,
    }
}

fn refusal(headers: &HeaderMap, by_uri: Option<&str>) -> Option<String> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    for host in [text(header::HOST), by_uri].into_iter().flatten() {
        if !is_loopback(host) {
            return Some(format!("host {host:?} is not this machine's loopback"));
        }
    }
    let origin = text(header::ORIGIN)?;
    let own =
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(is_loopback);
    (!own).then(|| format!("origin {origin:?} is not this machine's loopback"))
}

/// Whether `host` or `host:port` names loopback.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if port.is_empty() || port.starts_with(':') => host,
            _ => return false,
        },
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask() {
        let cases = [
            (Some("127.0.0.1:5051"), None, true),
            (Some("localhost"), None, true),
            (Some("LOCALHOST:1"), Some("http://localhost:8080"), true),
            (Some("[::1]:5051"), Some("https://127.0.0.1"), true),
            (None, None, true),
            (Some("evil.example"), None, false),
            (Some("localhost.evil.example"), None, false),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("[::1].evil.example"), None, false),
            (Some("10.0.0.1"), None, false),
            (Some(""), None, false),
            (Some("127.0.0.1"), Some("http://evil.example"), false),
            (Some("127.0.0.1"), Some("null"), false),
            (Some("127.0.0.1"), Some("file://"), false),
            (Some("127.0.0.1"), Some("http://localhost@evil.example"), false),
        ];
        for (host, origin, allowed) in cases {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(refusal(&headers, None).is_none(), allowed, "{host:?} {origin:?}");
        }
        assert!(refusal(&HeaderMap::new(), Some("evil.example:80")).is_some(), "absolute form");
    }
}
