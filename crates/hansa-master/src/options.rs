//! How a master is started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

pub use hansa_mesos::logging::Verbosity;
pub use hansa_model::framework::parts::Amount;

/// How a master is started. [`Options::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its one port is; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where it keeps what is durable; made if absent.
    pub data_dir: PathBuf,
    /// Allow an address other than loopback although there is no login yet.
    pub insecure: bool,
    /// Milliseconds between an agent's heartbeats.
    pub heartbeat_ms: u64,
    /// Milliseconds without contact after which an agent is durably out of reach.
    pub unreachable_after_ms: u64,
    /// Deployments at once; more are refused.
    pub max_running_deployments: usize,
    /// Milliseconds without progress after which a deployment is failing, unless its apps say otherwise; 0: never.
    pub progress_deadline_ms: u64,
    /// Milliseconds that a framework may hold an offer without a word; then it is taken back.
    pub offer_timeout_ms: u64,
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Origins of web pages that may use the API from a browser, besides its own.
    pub cors_origins: Vec<Origin>,
    /// What the cluster is called by its operators; a name for people only.
    pub cluster_name: Option<String>,
    /// Roles that frameworks may be in, besides everybody's; None: any.
    pub roles: Option<BTreeSet<String>>,
    /// Thousandths of roles' weights that hold from the start, for roles that have no other settings.
    pub weights: BTreeMap<String, u64>,
    /// An offer contains at least one of these, unless its framework says otherwise; None: the default.
    pub min_allocatable: Option<Vec<Amount>>,
    /// Whether machines with GPUs are offered only to frameworks that say that they know of GPUs.
    pub filter_gpus: bool,
    /// How much is logged can be asked for and changed over the API; None: it cannot.
    pub verbosity: Option<Verbosity>,
}

impl Options {
    /// The defaults.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            data_dir: data_dir.into(),
            insecure: false,
            heartbeat_ms: 1_000,
            unreachable_after_ms: 5_000,
            max_running_deployments: 10_000,
            progress_deadline_ms: 600_000,
            offer_timeout_ms: 60_000,
            max_connections: 60_000,
            cors_origins: Vec::new(),
            cluster_name: None,
            roles: None,
            weights: BTreeMap::new(),
            min_allocatable: None,
            filter_gpus: true,
            verbosity: None,
        }
    }
}

/// Where a web page comes from, as browsers write it: `https://board.example` or `http://10.0.0.1:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrigin {
    /// Everybody is nobody in particular.
    #[error("'*' would let every web page on the internet steer the cluster; name each origin")]
    Everybody,
    /// Not what browsers write.
    #[error("'{0}' is not an origin; write it as https://NAME or http://NAME:PORT, without a path")]
    Malformed(String),
}

impl Origin {
    /// As a browser writes it in `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    /// A slash at the end, capitals and the scheme's own port are taken away, as browsers do.
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "*" {
            return Err(NotAnOrigin::Everybody);
        }
        let malformed = || NotAnOrigin::Malformed(text.to_owned());
        let origin = text.trim_end_matches('/').to_ascii_lowercase();
        let (scheme, host) = origin.split_once("://").ok_or_else(malformed)?;
        let own_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(malformed()),
        };
        let uri: http::Uri = origin.parse().map_err(|_| malformed())?;
        let authority =
            uri.authority().filter(|authority| authority.as_str() == host).ok_or_else(malformed)?;
        let port = host.strip_prefix(authority.host()).ok_or_else(malformed)?;
        let is_port = port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        if authority.host().is_empty() || host.contains('*') || !(port.is_empty() || is_port) {
            return Err(malformed());
        }
        let host = host.strip_suffix(own_port).unwrap_or(host);
        Ok(Self(format!("{scheme}://{host}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (text, origin) in [
            ("https://board.example", "https://board.example"),
            ("HTTPS://Board.Example/", "https://board.example"),
            ("https://board.example:443", "https://board.example"),
            ("http://board.example:443", "http://board.example:443"),
            ("http://10.0.0.1:3000", "http://10.0.0.1:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), origin);
        }
        assert_eq!("*".parse::<Origin>(), Err(NotAnOrigin::Everybody));
        for text in [
            "",
            "null",
            "board.example",
            "https://",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://*.a",
            "https://a b",
            "https://a:",
            "https://a:x",
        ] {
            assert!(matches!(text.parse::<Origin>(), Err(NotAnOrigin::Malformed(_))), "{text}");
        }
    }
}
