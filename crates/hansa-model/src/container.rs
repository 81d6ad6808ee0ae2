//! What a task finds around it: its root file system, its network, its volumes, and what is fetched into its sandbox.
//!
//! Said by apps (`crate::app`), carried by launched specs (`crate::spec`), made true by agents. Everything here is what
//! was asked for; what an image or a machine adds (entry point, addresses) is found out at launch.

use serde::{Deserialize, Serialize};

/// How a task's container is made. The default is a plain process on the machine's own root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Whose rules the definition follows.
    pub engine: Engine,
    /// Where its root file system comes from; None: the machine's own.
    pub image: Option<ImageSpec>,
    /// Directories and files of elsewhere that it sees.
    pub volumes: Vec<Volume>,
    /// All capabilities, all devices, no filter on system calls.
    pub privileged: bool,
    /// Options of `docker run`, without their dashes; those without a meaning here never get this far.
    pub parameters: Vec<Parameter>,
    /// Whether its standard streams are a terminal.
    pub tty: bool,
}

/// Whose rules a container definition follows. One launcher runs both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Engine {
    /// Mesos' own containerizer: a command runs as the image's user would, beside its sandbox.
    #[default]
    Mesos,
    /// As `docker run` would do it.
    Docker,
}

/// Where a root file system comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageSpec {
    /// As people write it: `nginx`, `registry:5000/team/app:1.2`, `name@sha256:…`.
    pub reference: String,
    /// Ask the registry even if the machine has an image of that name.
    pub force_pull: bool,
    /// Where the secret (a Docker config file) to log in with comes from, already looked up in the app's `secrets`.
    pub pull_secret: Option<String>,
}

/// One option of `docker run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, such as `shm-size`.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Something of elsewhere that a container sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// A file or directory of the machine (a relative path: of the sandbox); a missing directory is made.
    Host {
        /// Where the container sees it; relative: below its sandbox.
        container_path: String,
        /// Where it is.
        host_path: String,
        /// Seen, but not changed.
        read_only: bool,
    },
    /// A directory of the sandbox around it: of the executor that runs its group. A missing one is made.
    Parent {
        /// Where the container sees it; relative: below its sandbox.
        container_path: String,
        /// Where it is, below that sandbox.
        path: String,
        /// Seen, but not changed.
        read_only: bool,
    },
    /// A secret as a file, in memory only.
    Secret {
        /// Where the container sees it.
        container_path: String,
        /// Where the secret comes from, already looked up in the app's `secrets`. (Of frameworks' tasks it may be the
        /// secret itself; see `hansa-mesos`.)
        source: String,
    },
}

/// What network a task lives in. The default is the machine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkSpec {
    /// The machine's own.
    #[default]
    Host,
    /// An address of its own on the machine's bridge; what it listens on is reached through mapped ports.
    Bridge {
        /// Its ports.
        mappings: Vec<PortMapping>,
    },
    /// A loopback of its own and nothing else: it reaches nobody, and nobody reaches it.
    None,
}

/// One port of a container with an address of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PortMapping {
    /// Where the container listens; 0: on the same number as the host port.
    pub container_port: u16,
    /// Which of the task's allocated ports (an index) leads to it; None: reached by the container's address only.
    pub host_port: Option<u16>,
    /// `tcp`, `udp` or `udp,tcp`.
    pub protocol: String,
    /// Its name, if any.
    pub name: Option<String>,
}

impl PortMapping {
    /// Where the container listens, given the task's allocated ports. None: nowhere (neither port is known).
    pub fn container_port(&self, allocated: &[u16]) -> Option<u16> {
        match self.container_port {
            0 => self.allocated(allocated),
            port => Some(port),
        }
    }

    /// The machine's port that leads to it.
    pub fn allocated(&self, allocated: &[u16]) -> Option<u16> {
        allocated.get(usize::from(self.host_port?)).copied()
    }

    /// The protocols, in lower case, one by one.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocol.split(',').map(str::trim).filter(|name| !name.is_empty())
    }
}

/// Something fetched into a task's sandbox before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifact {
    /// `http://`, `https://`, `file://` or an absolute path on the machine.
    pub uri: String,
    /// Unpack it, if its name says that it is an archive.
    pub extract: bool,
    /// Make it executable (and do not unpack it).
    pub executable: bool,
    /// Keep it on the machine for the next task.
    pub cache: bool,
    /// Its path below the sandbox; None: the last part of the URI.
    pub dest_path: Option<String>,
    /// What its SHA-256 must be, in hex; None: not checked.
    pub sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_knows_both_its_ends() {
        let allocated = [31000, 31001];
        let fixed = PortMapping { container_port: 80, host_port: Some(1), ..PortMapping::default() };
        assert_eq!((fixed.container_port(&allocated), fixed.allocated(&allocated)), (Some(80), Some(31001)));
        let same = PortMapping { container_port: 0, ..fixed.clone() };
        assert_eq!(same.container_port(&allocated), Some(31001));
        let inside = PortMapping { host_port: None, ..fixed };
        assert_eq!((inside.container_port(&allocated), inside.allocated(&allocated)), (Some(80), None));
        assert_eq!(PortMapping::default().container_port(&allocated), None);
        let both = PortMapping { protocol: "udp,tcp".into(), ..PortMapping::default() };
        assert_eq!(both.protocols().collect::<Vec<_>>(), ["udp", "tcp"]);
    }
}
