//! This agent as Mesos' clients see one.

use hansa_mesos::offer;
use hansa_mesos::proto::v1;
use hansa_mesos::resources::{self, Form};
use hansa_model::framework::{Amount, Part, parts};
use hansa_node::Config;

/// What clients take this for: dotted integers only, since they are compared as such.
pub(crate) const VERSION: &str = "1.11.0";

/// What clients may rely on.
pub(crate) const CAPABILITIES: [&str; 5] =
    ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING", "TASK_RESOURCE_LIMITS"];

/// The whole of what a machine offers, as parts.
pub(crate) fn parts(config: &Config) -> Vec<Part> {
    let open = Amount::offerable(&config.resources).without(&parts::sum(&config.parts));
    let mut all = vec![Part::unreserved(open)];
    parts::give(&mut all, &config.parts);
    all
}

/// As protobuf.
pub(crate) fn write(config: &Config) -> v1::AgentInfo {
    let port = config.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    v1::AgentInfo {
        hostname: config.hostname.clone(),
        port,
        resources: resources::write(&parts(config), Form::default()),
        attributes: offer::attributes(&config.attributes),
        id: Some(v1::AgentId { value: config.agent.to_string() }),
        domain: offer::domain(config.region.as_deref(), config.zone.as_deref()),
    }
}
