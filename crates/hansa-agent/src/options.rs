//! What an agent is told by whoever starts it.

use crate::network::Subnet;
use hansa_mesos::logging::Verbosity;
use hansa_model::framework::Part;
use hansa_model::resources::Resources;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// An agent's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// The master's address, `http://host:port`.
    pub master: String,
    /// Where the agent keeps everything: its id, journal, sandboxes and its shims' files.
    pub data_dir: PathBuf,
    /// Its name in the cluster; None: the machine's host name.
    pub hostname: Option<String>,
    /// Where its own HTTP listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What it offers; None: the whole machine, which no other agent may then share.
    pub resources: Option<Resources>,
    /// What of that is kept for roles from the beginning, or is on disks of their own.
    pub parts: Vec<Part>,
    /// Attributes for constraints.
    pub attributes: BTreeMap<String, String>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Tasks end by themselves when the agent had no contact with the master for this long; None: they never do.
    pub stop_deadline: Option<Duration>,
    /// Listen on other addresses than loopback although there is no login yet.
    pub insecure: bool,
    /// The program that is started as `<program> shim <dir>`; None: the running one.
    pub shim_program: Option<PathBuf>,
    /// The file by which agents of one machine know of each other.
    pub machine_lock: Option<PathBuf>,
    /// The subnet of containers with addresses of their own; None: one that nothing on the machine uses.
    pub bridge_subnet: Option<Subnet>,
    /// A directory that only the agent's user may look into, with a file for each secret that tasks may ask for.
    pub secrets_dir: Option<PathBuf>,
    /// Whether whoever reaches the agent's port may run commands in containers.
    pub allow_exec: bool,
    /// How long a released task's sandbox is kept.
    pub keep_sandboxes: Duration,
    /// How long a framework's executor may take from its start to its first word.
    pub executor_registration_timeout: Duration,
    /// How long executors may take to come back after the agent was away.
    pub executor_reregistration_timeout: Duration,
    /// How long executors that say nothing else may take to end when asked to.
    pub executor_shutdown_grace: Duration,
    /// How long executors are told to wait for an agent that is away.
    pub recovery_timeout: Duration,
    /// A Docker configuration file with logins for registries.
    pub docker_config: Option<PathBuf>,
    /// Registries (`host` or `host:port`) that plain HTTP is spoken with, besides those on loopback addresses.
    pub insecure_registries: BTreeSet<String>,
    /// Files with certificates (PEM) of authorities that are believed besides the machine's, by registries and servers of
    /// artifacts.
    pub ca_files: Vec<PathBuf>,
    /// How long pulling an image may take.
    pub pull_timeout: Duration,
    /// Above this percentage of the disk in use, unused images are removed …
    pub images_high_percent: u64,
    /// … until it is not above this one.
    pub images_low_percent: u64,
    /// How much is logged can be asked for and changed over the API; None: it cannot.
    pub verbosity: Option<Verbosity>,
}

impl Options {
    /// Everything at its default.
    pub fn new(master: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            master: master.into(),
            data_dir: data_dir.into(),
            hostname: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5051)),
            resources: None,
            parts: Vec::new(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            stop_deadline: None,
            insecure: false,
            shim_program: None,
            machine_lock: None,
            bridge_subnet: None,
            secrets_dir: None,
            allow_exec: false,
            keep_sandboxes: Duration::from_secs(24 * 3600),
            executor_registration_timeout: Duration::from_secs(60),
            executor_reregistration_timeout: Duration::from_secs(15),
            executor_shutdown_grace: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(15 * 60),
            docker_config: None,
            insecure_registries: BTreeSet::new(),
            ca_files: Vec::new(),
            pull_timeout: Duration::from_secs(30 * 60),
            images_high_percent: 90,
            images_low_percent: 80,
            verbosity: None,
        }
    }
}
