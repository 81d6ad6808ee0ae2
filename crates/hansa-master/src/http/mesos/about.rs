//! This master as Mesos' clients see one: its ids and addresses, its version, its flags.

use super::answers::{self, Refused};
use crate::Master;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use hansa_mesos::event;
use hansa_mesos::logging::Toggle;
use hansa_mesos::proto::v1;
use hansa_model::Timestamp;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// What clients take this for: dotted integers only, since they are compared as such.
pub(super) const VERSION: &str = "1.11.0";

/// What clients may rely on.
pub(super) const CAPABILITIES: [&str; 3] = ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"];

/// What clients may rely on of every agent.
pub(super) const AGENT_CAPABILITIES: [&str; 5] =
    ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING", "TASK_RESOURCE_LIMITS"];

/// Who this master is.
#[derive(Clone, Debug)]
pub(super) struct Me {
    /// The cluster's id, which ids of frameworks and offers begin with.
    pub(super) id: String,
    /// Where it is reached.
    pub(super) ip: IpAddr,
    /// At which port.
    pub(super) port: u16,
    /// By which name.
    pub(super) hostname: String,
    /// Since when it leads.
    pub(super) started_at: Timestamp,
    /// What the cluster is called.
    pub(super) cluster: String,
    /// How it was started, as Mesos would name it.
    pub(super) flags: Vec<(&'static str, String)>,
}

impl Me {
    /// As the client of this request reaches it: by the address that is listened on or, where that is any, by the one that
    /// the client used.
    pub(super) fn of(master: &Master, headers: &HeaderMap) -> Self {
        let listens_on = master.address();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (host, None),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let ip = match (listens_on.ip(), name.parse::<IpAddr>()) {
            (ip, _) if !ip.is_unspecified() => ip,
            (_, Ok(ip)) => ip,
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let hostname = if name.is_empty() { ip.to_string() } else { name.to_owned() };
        let port = port.filter(|_| listens_on.ip().is_unspecified()).unwrap_or(listens_on.port());
        let options = master.options();
        Self {
            id: master.identity().cluster.to_string(),
            ip,
            port,
            hostname,
            started_at: master.identity().started_at,
            cluster: options.cluster_name.clone().unwrap_or_else(|| "hansa".into()),
            flags: vec![
                ("work_dir", options.data_dir.display().to_string()),
                ("ip", listens_on.ip().to_string()),
                ("port", listens_on.port().to_string()),
                ("registry", "replicated_log".into()),
                ("quorum", "1".into()),
                ("allocator", "hierarchical".into()),
                ("authenticate_frameworks", "false".into()),
                ("authenticate_agents", "false".into()),
                ("authenticate_http_frameworks", "false".into()),
                ("authenticate_http_readonly", "false".into()),
                ("authenticate_http_readwrite", "false".into()),
                ("max_completed_frameworks", crate::read_model::COMPLETED_FRAMEWORKS.to_string()),
                ("max_completed_tasks_per_framework", crate::read_model::COMPLETED_TASKS.to_string()),
                ("cluster", options.cluster_name.clone().unwrap_or_else(|| "hansa".into())),
                ("filter_gpu_resources", options.filter_gpus.to_string()),
                ("root_submissions", "true".into()),
                ("version", "false".into()),
            ],
        }
    }

    /// `master@ip:port`.
    pub(super) fn pid(&self) -> String {
        match self.ip {
            IpAddr::V4(ip) => format!("master@{ip}:{}", self.port),
            IpAddr::V6(ip) => format!("master@[{ip}]:{}", self.port),
        }
    }

    /// As protobuf.
    pub(super) fn info(&self) -> v1::MasterInfo {
        event::master_info(&self.id, &self.hostname, self.ip, self.port, VERSION)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1000.0
}

/// What `/version` says; there is nothing to say of how this program was built.
pub(super) fn version() -> Value {
    json!({
        "build_date": "1970-01-01 00:00:00",
        "build_time": 0.0,
        "build_user": "hansa",
        "git_branch": "refs/heads/main",
        "git_sha": "0000000000000000000000000000000000000000",
        "git_tag": VERSION,
        "version": VERSION,
    })
}

/// What `/flags` says.
pub(super) fn flags(me: &Me) -> Value {
    let flags: Map<String, Value> =
        me.flags.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
    json!({ "flags": flags })
}

/// `/redirect`: where the leader is. A path behind it means nothing.
pub(super) fn redirect(me: &Me, rest: &str) -> Result<Response, Refused> {
    if !rest.is_empty() {
        return Err(Refused::new(StatusCode::NOT_FOUND, ""));
    }
    let host = if me.hostname.contains(':') { format!("[{}]", me.hostname) } else { me.hostname.clone() };
    let mut answer = answers::empty(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(place) = format!("//{host}:{}", me.port).parse() {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

/// Why the logging level cannot be had.
pub(super) const NO_LEVELS: &str =
    "the logging level: this master was not started by a program that can change it";

/// `/logging/toggle`.
pub(super) fn logging(master: &Master, query: &answers::Query) -> Result<Response, Refused> {
    let toggle = Toggle::read(query.get("level"), query.get("duration"));
    let toggle = toggle.map_err(|wrong| Refused::bad(wrong.to_string()))?;
    let verbosity = master.options().verbosity.ok_or_else(|| Refused::unsupported(NO_LEVELS))?;
    match toggle {
        Toggle::Tell => Ok(answers::text(StatusCode::OK, format!("{}\n", (verbosity.get)()))),
        Toggle::Set(level, time) => {
            (verbosity.set)(level, time);
            Ok(answers::empty(StatusCode::OK))
        }
    }
}
