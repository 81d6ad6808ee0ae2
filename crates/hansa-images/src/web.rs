//! Connections to servers of the web, over TLS where asked for: to registries, and for the agent's fetcher to wherever
//! artifacts are. Here alone is decided whose certificates count and what a refused one means.
//!
//! Not here: what is asked, and which redirects are followed.

use http::{HeaderMap, Uri, header};
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, InvalidMessage, RootCertStore};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);
/// Most bytes of an answer's head, and of what is read at once.
const BUFFER: usize = 512 << 10;

/// Asks servers; clones share their connections.
pub type Client<B> = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, B>;

/// Which authorities' certificates are believed: those of the machine (of the files that `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// name, where they are set), and these own ones besides.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    own: Arc<[CertificateDer<'static>]>,
}

/// A file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot trust the certificates in {}: {why}", file.display())]
pub struct TrustError {
    file: PathBuf,
    why: String,
}

impl Trust {
    /// Trusts the certificates in these files, too: PEM, one or several in each.
    ///
    /// # Errors
    /// A file cannot be read, holds no certificate, or one that is broken.
    pub fn with_files(files: &[PathBuf]) -> Result<Self, TrustError> {
        let mut own = Vec::new();
        for file in files {
            own.extend(read(file).map_err(|why| TrustError { file: file.clone(), why })?);
        }
        Ok(Self { own: own.into() })
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        // The machine's may hold some that are of no use here; own ones have been looked at.
        let (machines, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let (own, _) = roots.add_parsable_certificates(self.own.iter().cloned());
        if machines + own == 0 {
            tracing::warn!(
                "this machine trusts no certificate authority: no https server will be believed; install the package ca-certificates, or start the agent with --ca-file FILE"
            );
        }
        roots
    }
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| format!("it is damaged: {error}"))?;
    if found.is_empty() {
        return Err("it holds none in PEM (-----BEGIN CERTIFICATE-----)".into());
    }
    for (at, certificate) in found.iter().enumerate() {
        let used = RootCertStore::empty().add(certificate.clone());
        used.map_err(|error| format!("number {} is of no use: {error}", at + 1))?;
    }
    Ok(found)
}

/// Makes a client. Reads all certificates of the machine, and so blocks for some milliseconds.
///
/// # Errors
/// In words: TLS cannot be had.
pub fn client<B>(trust: &Trust) -> Result<Client<B>, String>
where
    B: Body + Send,
    B::Data: Send,
{
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(trust.roots())
        .with_no_client_auth();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_max_buf_size(BUFFER)
        .build(connector))
}

/// Where an answer to a request for `url` leads; None: nowhere that makes sense. Another server is possible, and another
/// scheme: whether it is followed there is for the caller to say.
pub fn redirected(url: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    let next: Uri = text.parse().ok()?;
    if next.authority().is_some() && next.scheme().is_some() {
        return Some(next);
    }
    if !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    let mut parts = url.clone().into_parts();
    parts.path_and_query = next.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

/// Why a server could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no connection, or it broke.
    Unreachable(String),
    /// It speaks something else than TLS.
    NotTls,
    /// It speaks TLS, but it is not to be believed.
    Insecure {
        /// What is wrong.
        why: String,
        /// What helps.
        remedy: String,
    },
}

/// What a failed request means.
pub fn explain(error: &(dyn Error + 'static)) -> Trouble {
    let mut next = Some(error);
    let mut last = String::new();
    while let Some(cause) = next {
        // The source of an I/O error leaves out what it wraps.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = cause.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if let Some(tls) = tls {
            return explain_tls(tls);
        }
        last = cause.to_string();
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    Trouble::Unreachable(last)
}

fn explain_tls(error: &rustls::Error) -> Trouble {
    let (why, remedy) = match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => return Trouble::NotTls,
        rustls::Error::InvalidCertificate(certificate) => explain_certificate(certificate),
        other => (other.to_string(), "look at the server's TLS settings"),
    };
    Trouble::Insecure { why, remedy: remedy.into() }
}

fn explain_certificate(error: &CertificateError) -> (String, &'static str) {
    const RENEW: &str = "give the server a valid one, or set this machine's clock right";
    const ADD: &str = "start the agent with --ca-file FILE, a file with the authority's certificate, or add it to those that the machine trusts";
    match error {
        CertificateError::UnknownIssuer => {
            ("its certificate is of an authority that this machine does not trust".into(), ADD)
        }
        // As after an authority has been made anew.
        CertificateError::BadSignature => {
            let why = "its certificate is not of the authority that this machine trusts by that name";
            (why.into(), ADD)
        }
        CertificateError::Expired => ("its certificate has expired".into(), RENEW),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
            (format!("its certificate expired {days} days ago"), RENEW)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet".into(), RENEW)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
            (
                format!("its certificate is for {names}, and not for {}", expected.to_str()),
                "ask it by a name that the certificate has, or give it one with this name",
            )
        }
        other => (format!("its certificate is not accepted: {other}"), "give the server another one"),
    }
}

/// `DnsName("a.example")` and `IpAddress(127.0.0.1)` without what is around the name.
fn plain_name(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_certificates_are_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        let refused = |text: Option<&[u8]>| {
            let file = temp.path().join("ca.pem");
            let _ = text.map(|text| std::fs::write(&file, text).unwrap());
            Trust::with_files(&[file]).unwrap_err().to_string()
        };
        for (text, why) in [
            (None, "No such file"),
            (Some(b"not a certificate".as_slice()), "holds none in PEM"),
            (
                Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                "number 1 is of no use",
            ),
            (Some(b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n"), "damaged"),
            (Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n"), "damaged"),
        ] {
            let error = refused(text);
            assert!(error.contains("ca.pem: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn redirects_lead_somewhere_or_nowhere() {
        let to = |location: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
            redirected(&"https://a:1/b/c?d".parse().unwrap(), &headers).map(|url| url.to_string())
        };
        assert_eq!(to("/x?y").as_deref(), Some("https://a:1/x?y"));
        assert_eq!(to("http://b/x").as_deref(), Some("http://b/x"));
        assert_eq!(to("file:///etc/passwd"), None);
        for nowhere in ["", "x", "//b/x", "../x", "http://"] {
            assert_eq!(to(nowhere), None, "{nowhere}");
        }
        assert_eq!(redirected(&"http://a/".parse().unwrap(), &HeaderMap::new()), None);
    }

    #[test]
    fn names_are_shown_plainly() {
        assert_eq!(plain_name("DnsName(\"*.a.example\")"), "*.a.example");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(plain_name("b.example"), "b.example");
    }
}
