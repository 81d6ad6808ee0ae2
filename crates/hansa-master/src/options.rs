//! How a master is started.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
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
            max_connections: 60_000,
        }
    }
}
