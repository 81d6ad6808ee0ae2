//! An app's JSON, read into its canonical definition.
//!
//! In Marathon's order: types and limits of single fields first (422 `Invalid JSON`), then rules about old spellings, then
//! the rules of the canonical form (422 `Object is not valid`). Faults of one stage are reported all together. Fields that
//! nobody knows are ignored; fields that Marathon knows and Hansa cannot honour are refused by name ([`unsupported`]).
//!
//! One module for each part of a definition; [`parts`] are the objects that several of them look into. Old spellings
//! (`ports`, `uris`, `ipAddress`, `container.docker.network`, `container.docker.portMappings`) are translated by the module
//! whose part they have become.

mod checks;
mod constraints;
mod container;
mod env;
mod fetch;
mod names;
mod networks;
mod parts;
mod policy;
mod ports;
mod readiness;
mod resources;
mod unsupported;

use super::problem::{Details, Problem};
use super::read::Fields;
use hansa_model::app::{AppSpec, ResourceLimit, UpgradeStrategy};
use hansa_model::{AppId, RoleName};
use parts::{Parts, Paths};
use serde_json::Value;

pub use checks::PROTOCOLS;
pub(super) use constraints::text as constraint_text;
pub(super) use networks::MODES;

/// The label that limits CPU time to `cpus` even when the machine is idle.
pub const CPU_QUOTA_LABEL: &str = "HANSA_CPU_QUOTA";

/// The largest 32-bit integer, Marathon's limit for whole numbers.
const INT: u32 = i32::MAX as u32;

/// What is filled in where a definition says nothing.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The role.
    pub role: RoleName,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub kill_grace_ms: u64,
    /// Marathon's rule: an app's role is the default one or the name of its top-level group. Off, any role will do.
    pub enforce_group_role: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { role: RoleName::any(), kill_grace_ms: 3_000, enforce_group_role: false }
    }
}

/// Reads a whole definition; its id, if relative, is relative to the root.
pub fn parse_app(json: &Value, defaults: &Defaults) -> Result<AppSpec, Problem> {
    let mut faults = Faults::default();
    let spec = read_app(json, "", None, defaults, &mut faults);
    faults.result(spec)
}

/// Reads a whole definition of the app that the request's URL names; an `id` in the body does not matter.
pub fn parse_app_as(id: &AppId, json: &Value, defaults: &Defaults) -> Result<AppSpec, Problem> {
    let mut faults = Faults::default();
    let spec = read_app(json, "", Some(id), defaults, &mut faults);
    faults.result(spec)
}

/// What is wrong, by stage.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Types and limits.
    pub(super) types: Details,
    /// Rules about old spellings; reported only when the types are right.
    pub(super) old: Details,
    /// Rules of the canonical form; reported only when it could be made.
    pub(super) rules: Details,
}

impl Faults {
    /// The value, or the first stage's faults.
    pub(super) fn result<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            _ if !self.types.is_empty() => Err(Problem::wrong_types(&self.types)),
            _ if !self.old.is_empty() => Err(Problem::not_valid(&self.old)),
            _ if !self.rules.is_empty() => Err(Problem::not_valid(&self.rules)),
            Some(value) => Ok(value),
            None => Err(Problem::rule("/", "is not a definition")),
        }
    }
}

/// Reads the definition at `at`. What it returns counts only if no fault was found.
pub(super) fn read_app(
    json: &Value,
    at: &str,
    id: Option<&AppId>,
    defaults: &Defaults,
    faults: &mut Faults,
) -> Option<AppSpec> {
    let fields = Fields::of(json, at, &mut faults.types)?;
    let paths = Paths::of(&fields);
    let parts = Parts::of(fields, &paths, faults);
    let id = names::read_id(&fields, id, faults);
    // A version is no part of a definition; but it must look like one.
    fields.text("version", &mut faults.types);

    let networks = networks::read(&parts, faults);
    let ports = ports::read(&parts, &networks, faults);
    let secrets = env::read_secrets(&fields, faults);
    let (env, secret_env) = env::read(&fields, &secrets, faults);
    let container = container::read(&parts, &secrets, !networks.is_empty(), faults);
    let needs = resources::read(&parts, faults);
    let labels = fields.text_map("labels", &mut faults.types).unwrap_or_default();
    let instances = fields.count("instances", INT, &mut faults.types).unwrap_or(1);
    let upgrade = policy::read_upgrade(&fields, faults)
        .unwrap_or(UpgradeStrategy { minimum_health_milli: 1_000, maximum_over_milli: 1_000 });
    if labels.get("MARATHON_SINGLE_INSTANCE_APP").is_some_and(|value| value == "true") {
        policy::check_single_instance(&fields, instances, upgrade, faults);
    }
    policy::check_migration(&fields, &labels, faults);
    for (label, fault) in hansa_model::label::faults(&labels) {
        faults.rules.add(format!("{}/{label}", fields.at("labels")), fault);
    }
    let role = names::read_role(&fields, &id, defaults, faults);
    let grace = fields.count("taskKillGracePeriodSeconds", INT, &mut faults.types);
    let require_ports = fields.flag("requirePorts", &mut faults.types).unwrap_or(false);
    let spec = AppSpec {
        command: container::read_command(&fields, container.as_ref(), faults),
        user: fields.text("user", &mut faults.types).filter(|user| !user.is_empty()).map(str::to_owned),
        env,
        cpu_quota: labels.get(CPU_QUOTA_LABEL).is_some_and(|value| value == "true")
            || matches!(needs.limits.cpus_milli, Some(ResourceLimit::Amount(_))),
        labels,
        cpus_milli: needs.cpus_milli,
        mem: needs.mem,
        disk: needs.disk,
        gpus: needs.gpus,
        instances,
        constraints: constraints::read(&fields, faults),
        // Only a port of the machine itself can be the service port.
        require_ports: require_ports && networks.is_empty(),
        health_checks: checks::read(&parts, &ports, faults),
        upgrade,
        backoff: policy::read_backoff(&fields, faults),
        kill_selection: policy::read_kill_selection(&fields, faults),
        unreachable: policy::read_unreachable(&fields, faults),
        kill_grace_ms: grace.map_or(defaults.kill_grace_ms, |seconds| u64::from(seconds) * 1_000),
        kill_grace_given: grace.is_some(),
        accepted_roles: names::read_accepted_roles(&fields, &role, faults),
        role,
        dependencies: names::read_dependencies(&fields, &id, faults),
        id: AppId::from(id),
        container,
        networks,
        fetch: fetch::read(&fields, faults),
        secrets,
        secret_env,
        readiness_checks: readiness::read_all(&fields, &ports, faults),
        check: readiness::read_general(&parts, &ports, faults),
        limits: needs.limits,
        executor: unsupported::read_executor(&fields, faults),
        ports,
    };
    unsupported::check(&parts, faults);
    Some(spec)
}
