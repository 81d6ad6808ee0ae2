//! What a framework says of itself.

use crate::Invalid;
use crate::names::{check_id, check_role, labels_in, labels_out};
use crate::proto::v1;
use crate::proto::v1::framework_info::capability::Type;
use crate::proto::v1::offer_filters::{MinAllocatableResources, ResourceQuantities};
use crate::proto::v1::value::Scalar;
use crate::resources::{from_milli, mib_of_bytes, read_quantities};
use hansa_model::framework::{Amount, Capability, FrameworkInfo};
use hansa_model::{FrameworkId, RoleName};
use std::collections::{BTreeMap, BTreeSet};

/// The longest failover timeout, in seconds: its nanoseconds have to fit into 64 bits.
const LONGEST_FAILOVER_SECS: f64 = 9_223_372_036.0;

const CAPABILITIES: [(Type, Capability); 8] = [
    (Type::RevocableResources, Capability::RevocableResources),
    (Type::TaskKillingState, Capability::TaskKillingState),
    (Type::GpuResources, Capability::GpuResources),
    (Type::SharedResources, Capability::SharedResources),
    (Type::PartitionAware, Capability::PartitionAware),
    (Type::MultiRole, Capability::MultiRole),
    (Type::ReservationRefinement, Capability::ReservationRefinement),
    (Type::RegionAware, Capability::RegionAware),
];

/// Reads it.
///
/// # Errors
/// In Mesos' words, for the ERROR event that ends such a subscription.
pub fn read(info: &v1::FrameworkInfo) -> Result<FrameworkInfo, Invalid> {
    let capabilities: BTreeSet<Capability> = info
        .capabilities
        .iter()
        .filter_map(|one| CAPABILITIES.iter().find(|(kind, _)| *kind == one.r#type()))
        .map(|(_, capability)| *capability)
        .collect();
    let roles = read_roles(info, capabilities.contains(&Capability::MultiRole))?;
    let id = info.id.as_ref().map(|id| id.value.as_str()).unwrap_or_default();
    if !id.is_empty() {
        check_id(id)?;
    }
    let mut min_allocatable = BTreeMap::new();
    for (role, filters) in &info.offer_filters {
        if let Some(least) = &filters.min_allocatable_resources {
            min_allocatable.insert(RoleName::from(role.as_str()), read_min_allocatable(least)?);
        }
    }
    let timeout = info.failover_timeout();
    if !(timeout.is_finite() && timeout.abs() <= LONGEST_FAILOVER_SECS) {
        return Err(Invalid(format!("The framework failover_timeout ({timeout}) is invalid")));
    }
    Ok(FrameworkInfo {
        id: FrameworkId::from(id),
        name: info.name.clone(),
        user: info.user.clone(),
        roles,
        capabilities,
        failover_timeout_ms: (timeout.max(0.0) * 1_000.0).round() as u64,
        checkpoint: info.checkpoint(),
        hostname: info.hostname.clone().unwrap_or_default(),
        webui_url: info.webui_url.clone(),
        // Some clients send an empty one and mean none.
        principal: info.principal.clone().filter(|principal| !principal.is_empty()),
        labels: labels_in(info.labels.as_ref()),
        min_allocatable,
    })
}

/// As Mesos tells of it: to executors and operators.
pub fn write(info: &FrameworkInfo) -> v1::FrameworkInfo {
    let multi_role = info.can(Capability::MultiRole);
    let type_of = |capability: &Capability| {
        CAPABILITIES.iter().find(|(_, other)| other == capability).map(|(kind, _)| *kind as i32)
    };
    let filters = |least: &Vec<Amount>| v1::OfferFilters {
        min_allocatable_resources: Some(MinAllocatableResources {
            quantities: least.iter().map(write_quantities).collect(),
        }),
    };
    v1::FrameworkInfo {
        user: info.user.clone(),
        name: info.name.clone(),
        id: Some(v1::FrameworkId { value: info.id.to_string() }),
        failover_timeout: Some(from_milli(info.failover_timeout_ms)),
        checkpoint: Some(info.checkpoint),
        role: info.roles.first().filter(|_| !multi_role).map(RoleName::to_string),
        roles: info.roles.iter().filter(|_| multi_role).map(RoleName::to_string).collect(),
        hostname: Some(info.hostname.clone()).filter(|hostname| !hostname.is_empty()),
        principal: info.principal.clone(),
        webui_url: info.webui_url.clone(),
        capabilities: info
            .capabilities
            .iter()
            .map(|capability| v1::framework_info::Capability { r#type: type_of(capability) })
            .collect(),
        labels: labels_out(&info.labels),
        offer_filters: info
            .min_allocatable
            .iter()
            .map(|(role, least)| (role.to_string(), filters(least)))
            .collect(),
    }
}

/// A set of some of a framework's roles, as it names them.
///
/// # Errors
/// It is not in one of them; `what` names the set.
pub fn read_subset(
    info: &FrameworkInfo,
    roles: &[String],
    what: &str,
) -> Result<BTreeSet<RoleName>, Invalid> {
    let roles: BTreeSet<RoleName> = roles.iter().map(|role| RoleName::from(role.as_str())).collect();
    let others: Vec<&str> = roles.difference(&info.roles).map(RoleName::as_str).collect();
    if others.is_empty() {
        Ok(roles)
    } else {
        Err(Invalid(format!("{what} {{ {} }} are not contained in the set of roles", others.join(", "))))
    }
}

fn read_roles(info: &v1::FrameworkInfo, multi_role: bool) -> Result<BTreeSet<RoleName>, Invalid> {
    if !multi_role {
        if !info.roles.is_empty() {
            return Err(Invalid::new(
                "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
            ));
        }
        check_role(info.role())
            .map_err(|why| Invalid(format!("'FrameworkInfo.role' is not a valid role: {why}")))?;
        return Ok(BTreeSet::from([RoleName::from(info.role())]));
    }
    if info.role.is_some() {
        return Err(Invalid::new(
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ));
    }
    let mut roles = BTreeSet::new();
    for role in &info.roles {
        check_role(role)
            .map_err(|why| Invalid(format!("'FrameworkInfo.roles' contains invalid role: {why}")))?;
        if !roles.insert(RoleName::from(role.as_str())) {
            return Err(Invalid(format!("'FrameworkInfo.roles' contains duplicate items: {{ {role} }}")));
        }
    }
    Ok(roles)
}

fn read_min_allocatable(least: &MinAllocatableResources) -> Result<Vec<Amount>, Invalid> {
    let one = |quantities: &ResourceQuantities| {
        if quantities.quantities.is_empty() {
            return Err(Invalid::new("Resource quantities must contain at least one quantity"));
        }
        read_quantities(&quantities.quantities)
            .map_err(|why| Invalid(format!("Invalid resource quantity: {why}")))
    };
    least.quantities.iter().map(one).collect()
}

fn write_quantities(amount: &Amount) -> ResourceQuantities {
    let all = [
        ("cpus", from_milli(amount.cpus_milli)),
        ("mem", mib_of_bytes(amount.mem)),
        ("disk", mib_of_bytes(amount.disk)),
        ("gpus", f64::from(amount.gpus)),
    ];
    let some = all.into_iter().filter(|(_, value)| *value > 0.0);
    ResourceQuantities { quantities: some.map(|(name, value)| (name.to_owned(), Scalar { value })).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};

    fn info(json: &str) -> Result<FrameworkInfo, String> {
        read(&decode(Codec::Json, json.as_bytes()).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_framework_of_many_roles_and_back() {
        let json = concat!(
            r#"{"user":"u","name":"n","id":{"value":"F"},"failover_timeout":100.5,"checkpoint":true,"#,
            r#""roles":["a","b/c"],"hostname":"h","principal":"p","webui_url":"http://x","#,
            r#""capabilities":[{"type":"PARTITION_AWARE"},{"type":"MULTI_ROLE"}],"#,
            r#""labels":{"labels":[{"key":"k"}]},"#,
            r#""offer_filters":{"a":{"min_allocatable_resources":{"quantities":["#,
            r#"{"quantities":{"cpus":{"value":1.0},"mem":{"value":32.0}}}]}}}}"#
        );
        let read = info(json).unwrap();
        assert_eq!(read.failover_timeout_ms, 100_500);
        assert_eq!(read.roles.iter().map(RoleName::as_str).collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(read.min_allocatable["a"][0].cpus_milli, 1_000);
        assert_eq!(String::from_utf8(encode(Codec::Json, &write(&read))).unwrap(), json);
    }

    #[test]
    fn a_framework_of_one_role() {
        let read = info(r#"{"user":"","name":"n","hostname":"","principal":"","id":{"value":""}}"#).unwrap();
        assert_eq!((read.id.as_str(), read.principal.as_deref(), read.failover_timeout_ms), ("", None, 0));
        assert_eq!(read.roles, BTreeSet::from([RoleName::any()]));
        let written = write(&read);
        assert_eq!((written.role.as_deref(), written.roles.len(), written.hostname), (Some("*"), 0, None));
        // A capability of a later version is none of ours.
        let read = info(r#"{"user":"","name":"","role":"a","capabilities":[{"type":"FLYING"},{}]}"#).unwrap();
        assert!(read.capabilities.is_empty());
    }

    #[test]
    fn refusals_are_in_mesos_words() {
        for (json, words) in [
            (
                r#""roles":["a"]"#,
                "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
            ),
            (
                r#""role":"a","capabilities":[{"type":"MULTI_ROLE"}]"#,
                "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
            ),
            (
                r#""roles":["a","a"],"capabilities":[{"type":"MULTI_ROLE"}]"#,
                "'FrameworkInfo.roles' contains duplicate items: { a }",
            ),
            (
                r#""role":"/a""#,
                "'FrameworkInfo.role' is not a valid role: Role '/a' cannot start with a slash",
            ),
            (r#""id":{"value":"a/b"}"#, "'a/b' contains invalid characters"),
            (
                r#""failover_timeout":1e20"#,
                "The framework failover_timeout (100000000000000000000) is invalid",
            ),
            (
                r#""offer_filters":{"*":{"min_allocatable_resources":{"quantities":[{}]}}}"#,
                "Resource quantities must contain at least one quantity",
            ),
        ] {
            assert_eq!(info(&format!(r#"{{"user":"u","name":"n",{json}}}"#)).unwrap_err(), words);
        }
        let read = info(r#"{"user":"u","name":"n","role":"a"}"#).unwrap();
        let error = read_subset(&read, &["a".into(), "b".into()], "Suppressed roles").unwrap_err();
        assert_eq!(error.to_string(), "Suppressed roles { b } are not contained in the set of roles");
    }
}
