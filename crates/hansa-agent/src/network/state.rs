//! What is on disk of networks: a container's in its runtime directory, the bridge's in the data directory.
//!
//! A container's file is written before anything of its network is made and removed after all of it is gone, so the file
//! alone is enough to clean up, whoever died when.

use super::subnet::Subnet;
use crate::shim::files;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

/// The file in a container's runtime directory.
const CONTAINER: &str = "network.json";
/// The file in the agent's data directory.
const BRIDGE: &str = "bridge.json";
/// The version of both.
const VERSION: u32 = 1;

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// One port of the machine that leads into a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mapping {
    /// Of which protocol.
    pub protocol: Protocol,
    /// The machine's port.
    pub host_port: u16,
    /// Where the container listens.
    pub container_port: u16,
}

/// What a container has of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    version: u32,
    /// The machine's end of its pair of links.
    pub link: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its mappings.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
}

impl Lease {
    /// A new one.
    pub fn new(link: String, address: Ipv4Addr, mappings: Vec<Mapping>) -> Self {
        Self { version: VERSION, link, address, mappings }
    }

    /// That of a runtime directory; None: it has none.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        files::read_json(&dir.join(CONTAINER))
    }

    /// Writes it, making the directory if need be.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        files::write_json(&dir.join(CONTAINER), self, false)
    }

    /// Removes it; nothing that it stands for may be left.
    pub fn remove(dir: &Path) -> io::Result<()> {
        match std::fs::remove_file(dir.join(CONTAINER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The bridge's file.
#[derive(Debug, Serialize, Deserialize)]
struct Bridge {
    version: u32,
    subnet: String,
}

/// The subnet that this agent had last, if it had one and the file can be read.
pub(super) fn read_subnet(data_dir: &Path) -> Option<Subnet> {
    let bridge: Option<Bridge> = files::read_json(&data_dir.join(BRIDGE)).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read which subnet this agent had; it takes another");
        None
    });
    bridge?.subnet.parse().ok()
}

/// Keeps the subnet for the agent's next life.
pub(super) fn write_subnet(data_dir: &Path, subnet: Subnet) -> io::Result<()> {
    let bridge = Bridge { version: VERSION, subnet: subnet.to_string() };
    files::write_json(&data_dir.join(BRIDGE), &bridge, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("c1");
        assert_eq!(Lease::read(&dir).unwrap(), None);
        let mapping = Mapping { protocol: Protocol::Udp, host_port: 31_000, container_port: 53 };
        let lease = Lease::new("h0".into(), Ipv4Addr::new(172, 20, 4, 2), vec![mapping]);
        lease.write(&dir).unwrap();
        assert_eq!(Lease::read(&dir).unwrap(), Some(lease));
        for _ in 0..2 {
            Lease::remove(&dir).unwrap();
        }
        assert_eq!(Lease::read(&dir).unwrap(), None);
        assert_eq!(read_subnet(temp.path()), None);
        write_subnet(temp.path(), "10.0.4.0/22".parse().unwrap()).unwrap();
        assert_eq!(read_subnet(temp.path()).unwrap().to_string(), "10.0.4.0/22");
        std::fs::write(temp.path().join(BRIDGE), "{").unwrap();
        assert_eq!(read_subnet(temp.path()), None);
    }

    #[test]
    fn the_first_release_s_files_stay_readable() {
        let text = r#"{"version":1,"link":"h1","address":"10.0.0.2","mappings":[{"protocol":"tcp","host_port":1,"container_port":2}]}"#;
        let lease: Lease = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&lease).unwrap(), text);
    }
}
