//! What an agent is told about itself before it starts.

use hansa_link::session::Timing;
use hansa_model::framework::Part;
use hansa_model::resources::Resources;
use hansa_model::{AgentId, BootId};
use std::collections::BTreeMap;

/// Who the agent is, what it offers, and how long it keeps things.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id.
    pub agent: AgentId,
    /// This boot of the machine.
    pub boot: BootId,
    /// Its name in the cluster; tasks see it as `HOST`.
    pub hostname: String,
    /// Its HTTP port as `host:port`.
    pub address: String,
    /// The machine's address for others; tasks see it as `LIBPROCESS_IP`, and Marathon's checks go there.
    pub ip: String,
    /// What it offers.
    pub resources: Resources,
    /// What of that is kept for roles from the beginning, or is on disks of their own.
    pub parts: Vec<Part>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// The program's version.
    pub version: String,
    /// What isolation it cannot give, in words.
    pub missing_isolation: Vec<String>,
    /// The directory under which each task gets a sandbox named after its id; absolute.
    pub sandboxes: String,
    /// The session's timing, stop deadline included.
    pub timing: Timing,
    /// Milliseconds for which released ids are remembered and their sandboxes kept.
    pub keep_released_ms: u64,
    /// Never more released ids than this.
    pub keep_released: usize,
    /// Never more sandboxes of released tasks than this.
    pub keep_sandboxes: usize,
    /// Milliseconds between usage reports while nobody watches; a second while somebody does.
    pub usage_ms: u64,
    /// Milliseconds from the start of a framework's executor to its first word; then it is ended.
    pub executor_registration_ms: u64,
    /// Milliseconds that executors have to come back after the agent was away.
    pub executor_reregistration_ms: u64,
    /// Milliseconds from being asked to end to SIGKILL, for executors that say nothing else.
    pub executor_shutdown_grace_ms: u64,
    /// Milliseconds that executors wait for an agent that is away, as they are told.
    pub recovery_timeout_ms: u64,
}

impl Config {
    /// A configuration with everything optional at its default.
    pub fn new(agent: AgentId, boot: BootId, hostname: impl Into<String>) -> Self {
        Self {
            agent,
            boot,
            hostname: hostname.into(),
            address: String::new(),
            ip: "127.0.0.1".into(),
            resources: Resources::default(),
            parts: Vec::new(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            version: env!("CARGO_PKG_VERSION").into(),
            missing_isolation: Vec::new(),
            sandboxes: "/var/lib/hansa/agent/sandboxes".into(),
            timing: Timing::default(),
            keep_released_ms: 24 * 3_600_000,
            keep_released: 10_000,
            keep_sandboxes: 1_000,
            usage_ms: 15_000,
            executor_registration_ms: 60_000,
            executor_reregistration_ms: 15_000,
            executor_shutdown_grace_ms: 5_000,
            recovery_timeout_ms: 15 * 60_000,
        }
    }

    /// A task's sandbox.
    pub fn sandbox(&self, task: &hansa_model::TaskId) -> String {
        format!("{}/{task}", self.sandboxes)
    }

    /// The sandbox of a task (the framework's id) in an executor's surroundings, whose sandbox it lies in.
    pub fn sandbox_within(&self, container: &hansa_model::InstanceId, task: &str) -> String {
        format!("{}/{container}/tasks/{task}", self.sandboxes)
    }
}
