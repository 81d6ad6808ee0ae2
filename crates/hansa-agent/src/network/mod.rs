//! Networks of containers with addresses of their own: a bridge for each agent, mapped ports, and nothing left behind.
//!
//! Each container of the network `container/bridge` gets a network namespace, a pair of links between it and the agent's
//! bridge, an address of the agent's subnet, and its ports mapped from the machine's. All of it is made by talking to the
//! kernel (netlink), without another program; `docs/decisions/0008-networks.md` says why it is so and what was turned
//! down. Nothing here knows about tasks, health checks or environments. A container of the network NONE gets a namespace with a
//! loopback ([`Solitude`]), which needs none of it.
//!
//! One thread ([`worker`]) does everything, one thing after the other, as the kernel has one lock for all of it anyway;
//! [`Network`] asks it. [`sweep()`] is for what an agent left that never comes back. [`links`] and [`nft`] are the kernel's languages on top of [`netlink`]; [`names`], [`namespace`],
//! [`subnet`], [`state`], [`reserve`] and [`conntrack`] are what their names say; [`probe`] finds out whether all that works here.
//!
//! Invariants: everything of an agent bears its id (the table `hansa-<id>`; links begin with a hash of it), and an agent
//! touches nothing else; what a container has stands in its runtime directory before it is made; a mapping is there
//! before its container runs and until it has ended.

mod conntrack;
pub(crate) mod counters;
mod links;
mod names;
mod namespace;
mod netlink;
mod nft;
mod probe;
mod reserve;
mod state;
mod subnet;
mod sweep;
mod worker;

pub use state::{Mapping, Protocol};
pub use subnet::{NotASubnet, Subnet};
pub use sweep::{remains, sweep};

use crate::furnish::OwnNetwork;
use hansa_model::container::PortMapping;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Whose network it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent's id.
    pub agent: String,
    /// Where the agent remembers its subnet.
    pub data_dir: PathBuf,
    /// The subnet to use; None: one that nothing on the machine uses.
    pub subnet: Option<Subnet>,
}

/// A container was not given a network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The machine or the agent's rights do not allow it.
    #[error("cannot give the container an address of its own: {0}")]
    Missing(Arc<str>),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Spec(String),
    /// Somebody else has one of the ports.
    #[error("port {port}/{protocol} of the machine is already in use: choose another hostPort, or 0 for any")]
    PortInUse {
        /// The machine's port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
    },
    /// The subnet is used up.
    #[error("all addresses of {0} are in use: give the agent a larger --bridge-subnet")]
    Full(Subnet),
    /// There is no subnet to be had.
    #[error("{0}")]
    NoSubnet(String),
    /// The kernel did not do it.
    #[error("cannot {what}: {why}")]
    Kernel {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

/// A container's network, ready to be joined. Dropped when the container runs: its processes then hold it.
#[derive(Debug)]
pub struct Attachment {
    namespace: OwnedFd,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl Attachment {
    /// Leads to the namespace as long as this lives.
    pub fn path(&self) -> PathBuf {
        path_of(&self.namespace)
    }

    /// The container's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The machine's, seen from the container.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }
}

/// A network with a loopback and nothing else. It is held as an [`Attachment`] is, and nothing of it stands anywhere: it is
/// gone with its last process.
#[derive(Debug)]
pub struct Solitude {
    namespace: OwnedFd,
}

impl Solitude {
    /// Makes one, in a thread that is gone afterwards. Blocks for a millisecond.
    ///
    /// # Errors
    /// The machine or the agent's rights do not allow it, in words.
    pub fn make() -> Result<Self, String> {
        let words = |why: &dyn std::fmt::Display| {
            format!("cannot give the container a network of its own (NONE): {why}; run the agent as root")
        };
        let made = std::thread::Builder::new().name("network-alone".into()).spawn(|| {
            let mut made = namespace::make_here()?;
            links::raise_loopback(&mut made.socket).map_err(io::Error::other)?;
            Ok::<_, io::Error>(made.fd)
        });
        match made.map(std::thread::JoinHandle::join) {
            Ok(Ok(Ok(namespace))) => Ok(Self { namespace }),
            Ok(Ok(Err(error))) | Err(error) => Err(words(&error)),
            Ok(Err(_)) => Err(words(&"it could not be tried")),
        }
    }

    /// Leads to the namespace as long as this lives.
    pub fn path(&self) -> PathBuf {
        path_of(&self.namespace)
    }
}

/// Where others find what this process holds open.
fn path_of(namespace: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()))
}

enum Request {
    Attach(PathBuf, Vec<Mapping>, oneshot::Sender<Result<Attachment, NetworkError>>),
    Release(PathBuf, oneshot::Sender<()>),
    Recover(Vec<PathBuf>, oneshot::Sender<BTreeMap<PathBuf, Ipv4Addr>>),
    Close(oneshot::Sender<()>),
}

/// The agent's network; clones share it.
#[derive(Clone, Debug)]
pub struct Network {
    data_dir: PathBuf,
    requests: Result<std::sync::mpsc::Sender<Request>, Arc<str>>,
}

impl Network {
    /// Finds out whether this machine can do it and, if so, starts the thread. Changes nothing on the machine yet. Blocks
    /// for some milliseconds.
    pub fn start(settings: Settings) -> Self {
        let data_dir = settings.data_dir.clone();
        let requests = probe::missing().map_or(Ok(()), Err).and_then(|()| {
            worker::start(settings).map_err(|error| format!("cannot start a thread: {error}").into())
        });
        Self { data_dir, requests }
    }

    /// How a container with this runtime directory is reached, if it has a network of its own.
    pub fn of(&self, dir: &Path) -> Option<OwnNetwork> {
        let lease = state::Lease::read(dir).ok()??;
        let gateway = state::read_subnet(&self.data_dir)?.gateway();
        Some(OwnNetwork { address: lease.address.into(), gateway: gateway.into() })
    }

    /// What is missing for containers to have addresses of their own, with a remedy; None: nothing.
    pub fn missing(&self) -> Option<&str> {
        self.requests.as_ref().err().map(|missing| &**missing)
    }

    /// Makes a container's network. `dir` is its runtime directory; made if need be.
    ///
    /// # Errors
    /// It cannot be had; nothing of it is left.
    pub async fn attach(&self, dir: &Path, mappings: Vec<Mapping>) -> Result<Attachment, NetworkError> {
        let requests = self.requests.as_ref().map_err(|missing| NetworkError::Missing(missing.clone()))?;
        let (reply, answer) = oneshot::channel();
        let _ = requests.send(Request::Attach(dir.to_owned(), mappings, reply));
        answer.await.unwrap_or_else(|_| Err(NetworkError::Missing("the thread for it has ended".into())))
    }

    /// Gives back what a container has; no harm if it has nothing. Its connections may end in peace: its links go with
    /// its namespace.
    pub async fn release(&self, dir: &Path) {
        let Ok(requests) = &self.requests else { return };
        if let Ok(None) = state::Lease::read(dir) {
            return;
        }
        let (reply, answer) = oneshot::channel();
        let _ = requests.send(Request::Release(dir.to_owned(), reply));
        let _ = answer.await;
    }

    /// At the agent's start: takes over the networks of containers that still run and removes everything else of this
    /// agent. Gives the addresses of those that have one.
    pub async fn recover(&self, running: Vec<PathBuf>) -> BTreeMap<PathBuf, Ipv4Addr> {
        let Ok(requests) = &self.requests else { return BTreeMap::new() };
        let (reply, answer) = oneshot::channel();
        let _ = requests.send(Request::Recover(running, reply));
        answer.await.unwrap_or_default()
    }

    /// At the agent's end: removes the bridge if no container uses it.
    pub async fn close(&self) {
        let Ok(requests) = &self.requests else { return };
        let (reply, answer) = oneshot::channel();
        let _ = requests.send(Request::Close(reply));
        let _ = answer.await;
    }
}

/// The mappings that a container needs on the machine, given the machine's ports that are its own.
///
/// # Errors
/// In words: a mapping leads nowhere, or has a protocol that does not exist.
pub fn mappings(wanted: &[PortMapping], ports: &[u16]) -> Result<Vec<Mapping>, NetworkError> {
    let mut found = Vec::new();
    for (at, mapping) in wanted.iter().enumerate() {
        let refuse = |why: &str| NetworkError::Spec(format!("portMappings({at}): {why}"));
        let Some(index) = mapping.host_port else { continue };
        let host_port = mapping.allocated(ports).ok_or_else(|| {
            refuse(&format!("the task was given no port of the machine with index {index}"))
        })?;
        let container_port = mapping.container_port(ports).unwrap_or(host_port);
        for protocol in mapping.protocols() {
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                other => {
                    return Err(refuse(&format!("there is no protocol {other:?}: use tcp, udp or udp,tcp")));
                }
            };
            found.push(Mapping { protocol, host_port, container_port });
        }
    }
    if found.len() > MOST_MAPPINGS {
        return Err(NetworkError::Spec(format!(
            "portMappings: more than {MOST_MAPPINGS} ports of the machine"
        )));
    }
    Ok(found)
}

/// As many as fit into one message to the kernel.
const MOST_MAPPINGS: usize = 500;

impl From<io::Error> for NetworkError {
    fn from(error: io::Error) -> Self {
        NetworkError::Kernel { what: "give the container a network", why: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_follow_the_allocation() {
        let mapping = |container_port, host_port, protocol: &str| PortMapping {
            container_port,
            host_port,
            protocol: protocol.into(),
            name: None,
        };
        let wanted =
            [mapping(80, Some(1), "tcp"), mapping(9000, None, "tcp"), mapping(0, Some(0), "udp,tcp")];
        let of = |protocol, host_port, container_port| Mapping { protocol, host_port, container_port };
        assert_eq!(
            mappings(&wanted, &[31_005, 31_001]).unwrap(),
            [
                of(Protocol::Tcp, 31_001, 80),
                of(Protocol::Udp, 31_005, 31_005),
                of(Protocol::Tcp, 31_005, 31_005)
            ]
        );
        let refused = mappings(&wanted, &[]).unwrap_err().to_string();
        assert_eq!(refused, "portMappings(0): the task was given no port of the machine with index 1");
        let refused = mappings(&[mapping(80, Some(0), "sctp")], &[1]).unwrap_err().to_string();
        assert!(refused.contains("portMappings(0)") && refused.contains("udp,tcp"), "{refused}");
        assert!(mappings(&vec![mapping(1, Some(0), "tcp"); 501], &[1]).is_err());
    }
}
