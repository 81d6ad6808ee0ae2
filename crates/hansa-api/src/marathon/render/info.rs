//! What the server says about itself: `/v2/info`, `/v2/leader`, `/ping`, `/v2/plugins`.

use serde_json::{Value, json};

/// The Marathon version that clients which choose their behaviour by it should see.
pub const COMPATIBLE_VERSION: &str = "1.11.24";

/// What there is to say.
#[derive(Clone, Debug)]
pub struct Info {
    /// The cluster's id, in place of the framework's.
    pub cluster: String,
    /// The leader's `host:port`; None while nobody leads.
    pub leader: Option<String>,
    /// Whether this process leads.
    pub elected: bool,
    /// The program's own version.
    pub build: String,
    /// The machine's name.
    pub hostname: String,
    /// The port that serves this.
    pub http_port: u16,
    /// The default role.
    pub role: String,
    /// Service ports are given out from here,
    pub local_port_min: u16,
    /// to here.
    pub local_port_max: u16,
    /// Versions kept of each app.
    pub max_versions: usize,
}

/// `/v2/info`. Only fields that the PyPI client knows, with the values that mean something here.
pub fn info(info: &Info) -> Value {
    let here = format!("http://{}", info.leader.as_deref().unwrap_or(&info.hostname));
    let mut shown = json!({
        "name": "marathon",
        "version": COMPATIBLE_VERSION,
        "buildref": format!("hansa-{}", info.build),
        "elected": info.elected,
        "frameworkId": info.cluster,
        "marathon_config": {
            "checkpoint": true,
            "executor": "//cmd",
            "failover_timeout": 604_800,
            "features": ["vips", "task_killing", "gpu_resources", "secrets"],
            "framework_name": "marathon",
            "ha": true,
            "hostname": info.hostname,
            "local_port_min": info.local_port_min,
            "local_port_max": info.local_port_max,
            "master": here,
            "mesos_leader_ui_url": here,
            "mesos_role": info.role,
            "webui_url": here,
        },
        "zookeeper_config": {"zk_max_versions": info.max_versions.to_string()},
        "http_config": {"http_port": info.http_port, "https_port": 0},
    });
    if let Some(leader) = &info.leader {
        shown["leader"] = json!(leader);
    }
    shown
}
