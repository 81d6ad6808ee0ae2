//! Who may ask at all. On loopback everything is open for development, so a web page of somebody else must not be able to
//! reach it through the browser: neither by a name that it points at this machine (Host), nor across origins (Origin), unless
//! the operator has named its origin.

use super::cors;
use super::error::ApiError;
use crate::Master;
use crate::options::Origin;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Lets a request through, or answers 403.
pub(super) async fn check(State(master): State<Master>, request: Request, next: Next) -> Response {
    let listens_on = master.options().listen.ip();
    if listens_on.is_loopback()
        && let Err(refusal) = allow(
            request.uri().authority().map(|host| host.as_str()),
            request.headers(),
            listens_on,
            &master.options().cors_origins,
        )
    {
        return refusal.into_response();
    }
    next.run(request).await
}

/// `authority` is that of the request's own target (HTTP/2, or a request to a proxy).
fn allow(
    authority: Option<&str>,
    headers: &HeaderMap,
    listens_on: IpAddr,
    origins: &[Origin],
) -> Result<(), ApiError> {
    let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    for host in hosts.chain(authority) {
        if !is_ours(host, listens_on) {
            return Err(refused("Host", host));
        }
    }
    if cors::named(headers, origins).is_some() {
        return Ok(());
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !host.is_some_and(|host| is_ours(host, listens_on)) {
            return Err(refused("Origin", origin));
        }
    }
    Ok(())
}

fn refused(header: &str, value: &str) -> ApiError {
    ApiError::forbidden(format!(
        "{header} '{value}' is foreign: this master listens on loopback and answers only to localhost, 127.0.0.1 and [::1]"
    ))
    .remedy("use http://localhost or http://127.0.0.1 with the master's port; --cors-origin lets pages of another origin in")
}

/// Whether `host`, with or without a port, is a name of this machine's loopback.
fn is_ours(host: &str, listens_on: IpAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, "0"),
    };
    if port.is_empty() || port.parse::<u16>().is_err() {
        return false;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == listens_on,
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn check(host: Option<&str>, origin: Option<&str>, authority: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.extend(host.map(|host| (HOST, HeaderValue::from_str(host).unwrap())));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_str(origin).unwrap())));
        allow(authority, &headers, IpAddr::from([127, 0, 0, 1]), &[]).is_ok()
    }

    #[test]
    fn a_named_origin_passes_and_a_foreign_host_does_not() {
        let origins = ["https://board.example".parse().unwrap()];
        let check = |headers: &[(HeaderName, &'static str)]| {
            let headers =
                headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            allow(None, &headers, IpAddr::from([127, 0, 0, 1]), &origins).is_ok()
        };
        assert!(check(&[(HOST, "localhost"), (ORIGIN, "https://board.example")]));
        for origin in
            ["http://board.example", "https://board.example:1", "https://board.example.evil", "null"]
        {
            assert!(!check(&[(HOST, "localhost"), (ORIGIN, origin)]), "{origin}");
        }
        assert!(
            !check(&[(HOST, "board.example"), (ORIGIN, "https://board.example")]),
            "a name that was pointed here"
        );
    }

    #[test]
    fn own_names_pass() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "127.0.0.1",
            "[::1]:8080",
            "[::1]",
            "127.0.0.5:1",
        ] {
            assert!(check(Some(host), None, None), "{host}");
            assert!(check(Some(host), Some(&format!("http://{host}")), None), "{host}");
            assert!(check(None, None, Some(host)), "{host}");
        }
        assert!(check(None, None, None), "HTTP/1.0 without Host: no browser");
    }

    #[test]
    fn foreign_names_do_not() {
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:8080",
            "localhost:evil",
            "evil@localhost.example",
            "",
            ":8080",
            "[::2]:8080",
            "localhost:",
        ] {
            assert!(!check(Some(host), None, None), "{host}");
            assert!(!check(None, None, Some(host)), "{host}");
            assert!(!check(Some("localhost"), Some(&format!("http://{host}")), None), "{host}");
        }
        for origin in [
            "null",
            "file://",
            "localhost:8080",
            "chrome-extension://localhost",
            "http://user@localhost.evil",
        ] {
            assert!(!check(Some("localhost"), Some(origin), None), "{origin}");
        }
    }
}
