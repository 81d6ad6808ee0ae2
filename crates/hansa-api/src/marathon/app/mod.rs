//! An app's JSON, read into its canonical definition.
//!
//! In Marathon's order: types and limits of single fields first (422 `Invalid JSON`), then rules about old spellings, then
//! the rules of the canonical form (422 `Object is not valid`). Faults of one stage are reported all together. Fields that
//! nobody knows are ignored; fields that Marathon knows and Hansa cannot honour are refused by name ([`unsupported`]).

mod checks;
mod constraints;
mod ports;
mod unsupported;

use super::path;
use super::problem::{Details, Problem};
use super::read::{Fields, item};
use hansa_model::app::{
    AppSpec, Backoff, KillSelection, PortDefinition, UnreachableStrategy, UpgradeStrategy,
};
use hansa_model::resources::MIB;
use hansa_model::spec::Command;
use hansa_model::{AppId, RoleName};
use serde_json::Value;
use std::collections::BTreeMap;

pub use checks::PROTOCOLS;
pub(super) use constraints::text as constraint_text;

/// The label that limits CPU time to `cpus` even when the machine is idle.
pub const CPU_QUOTA_LABEL: &str = "HANSA_CPU_QUOTA";

/// The most of a resource that a single instance can ask for, in thousandths (of a CPU, of a MiB): enough for every
/// machine, and far from overflowing.
const MOST: u64 = 1_000_000_000_000;

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
    /// Rules; reported only when the types are right.
    pub(super) rules: Details,
}

impl Faults {
    /// The value, or the first stage's faults.
    pub(super) fn result<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            _ if !self.types.is_empty() => Err(Problem::wrong_types(&self.types)),
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
    let id = read_id(&fields, id, faults);
    // A version is no part of a definition; but it must look like one.
    fields.text("version", &mut faults.types);

    let ports = ports::read(&fields, faults);
    check_port_count(&fields, &ports, faults);
    let labels = fields.text_map("labels", &mut faults.types).unwrap_or_default();
    let instances = fields.count("instances", INT, &mut faults.types).unwrap_or(1);
    let upgrade = read_upgrade(&fields, faults);
    if labels.get("MARATHON_SINGLE_INSTANCE_APP").is_some_and(|value| value == "true") {
        check_single_instance(&fields, instances, upgrade, faults);
    }
    check_migration(&fields, &labels, faults);
    for (label, fault) in hansa_model::label::faults(&labels) {
        faults.rules.add(format!("{}/{label}", fields.at("labels")), fault);
    }
    let role = read_role(&fields, &id, defaults, faults);
    let grace = fields.count("taskKillGracePeriodSeconds", INT, &mut faults.types);
    let health_checks = checks::read(&fields, &ports, faults);
    let spec = AppSpec {
        command: read_command(&fields, faults),
        user: fields.text("user", &mut faults.types).filter(|user| !user.is_empty()).map(str::to_owned),
        env: read_env(&fields, faults),
        cpu_quota: labels.get(CPU_QUOTA_LABEL).is_some_and(|value| value == "true"),
        labels,
        cpus_milli: fields.milli("cpus", 1, MOST, &mut faults.types).unwrap_or(1_000),
        mem: bytes(fields.milli("mem", 0, MOST, &mut faults.types).unwrap_or(128_000)),
        disk: bytes(fields.milli("disk", 0, MOST, &mut faults.types).unwrap_or(0)),
        gpus: fields
            .int("gpus", 0, i64::from(u16::MAX), &mut faults.types)
            .and_then(|gpus| u16::try_from(gpus).ok())
            .unwrap_or(0),
        instances,
        constraints: constraints::read(&fields, faults),
        ports,
        require_ports: fields.flag("requirePorts", &mut faults.types).unwrap_or(false),
        health_checks,
        upgrade: upgrade
            .unwrap_or(UpgradeStrategy { minimum_health_milli: 1_000, maximum_over_milli: 1_000 }),
        backoff: read_backoff(&fields, faults),
        kill_selection: match fields.word(
            "killSelection",
            &["YOUNGEST_FIRST", "OLDEST_FIRST"],
            &mut faults.types,
        ) {
            Some("OLDEST_FIRST") => KillSelection::OldestFirst,
            _ => KillSelection::YoungestFirst,
        },
        unreachable: read_unreachable(&fields, faults),
        kill_grace_ms: grace.map_or(defaults.kill_grace_ms, |seconds| u64::from(seconds) * 1_000),
        kill_grace_given: grace.is_some(),
        accepted_roles: read_accepted_roles(&fields, &role, faults),
        role,
        dependencies: read_dependencies(&fields, &id, faults),
        id: AppId::from(id),
        container: None,
        networks: Vec::new(),
        fetch: Vec::new(),
        secrets: BTreeMap::new(),
        secret_env: BTreeMap::new(),
    };
    unsupported::check(&fields, faults);
    Some(spec)
}

/// MiB in thousandths as bytes. Thousandths of a MiB are coarser than bytes, so that [`super::render`] gets them back.
pub(super) fn bytes(milli_mib: u64) -> u64 {
    u64::try_from((u128::from(milli_mib) * u128::from(MIB) + 500) / 1_000).unwrap_or(u64::MAX)
}

fn read_id(fields: &Fields<'_>, known: Option<&AppId>, faults: &mut Faults) -> String {
    let given = fields.text("id", &mut faults.types);
    let text = match (known, given) {
        (Some(known), _) => known.as_str(),
        (None, Some(given)) => given,
        (None, None) => {
            if fields.get("id").is_none() {
                faults.types.add(fields.at("id"), "error.path.missing");
            }
            return "/".to_owned();
        }
    };
    let id = path::absolute(text, "/");
    path::check(&id, &fields.at("id"), &mut faults.rules);
    id
}

fn read_command(fields: &Fields<'_>, faults: &mut Faults) -> Command {
    let cmd = fields.text("cmd", &mut faults.types);
    let args = fields.texts("args", &mut faults.types).filter(|args| !args.is_empty());
    if cmd.is_some_and(|cmd| cmd.chars().count() < 2) {
        faults.rules.add(fields.path(), "must not be an empty string");
    }
    let nul = cmd.is_some_and(|cmd| cmd.contains('\0'))
        || args.iter().flatten().any(|argument| argument.contains('\0'));
    if nul {
        faults
            .rules
            .add(fields.at(if cmd.is_some() { "cmd" } else { "args" }), "must not contain a NUL character");
    }
    match (cmd, args) {
        (Some(cmd), None) => Command::Shell(cmd.to_owned()),
        (None, Some(args)) => {
            if args[0].is_empty() {
                faults.rules.add(item(&fields.at("args"), 0), "must not be empty");
            }
            Command::Argv(args)
        }
        (cmd, args) => {
            // Without either the container's own command would run, and there are no images yet; then the fault is that
            // and not this one.
            if cmd.is_some() || args.is_some() || fields.get("container").is_none() {
                faults.rules.add(
                    fields.path(),
                    "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
                );
            } else if unsupported::is_plain_container(fields) {
                faults.rules.add(fields.path(), "a container without an image needs 'cmd' or 'args'");
            }
            Command::default()
        }
    }
}

fn read_env(fields: &Fields<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let at = fields.at("env");
    let mut env = BTreeMap::new();
    let Some(variables) = fields.get("env").and_then(|value| Fields::of(value, &at, &mut faults.types))
    else {
        return env;
    };
    for name in variables.names() {
        let here = variables.at(name);
        if name.is_empty() {
            faults.rules.add(at.as_str(), "must not be empty");
        } else if name.contains(['=', '\0']) {
            faults.rules.add(here.as_str(), "must not contain '=' or a NUL character");
        }
        match variables.get(name) {
            Some(Value::String(value)) if value.contains('\0') => {
                faults.rules.add(here, "must not contain a NUL character");
            }
            Some(Value::String(value)) => drop(env.insert(name.clone(), value.clone())),
            Some(Value::Object(_)) => faults.rules.add(
                here,
                "use of secret-references in the environment requires the secrets feature to be enabled",
            ),
            _ => faults.types.add(here, "error.expected.jsstring"),
        }
    }
    env
}

fn read_upgrade(fields: &Fields<'_>, faults: &mut Faults) -> Option<UpgradeStrategy> {
    let at = fields.at("upgradeStrategy");
    let strategy = Fields::of(fields.get("upgradeStrategy")?, &at, &mut faults.types)?;
    let mut share = |name: &str| {
        if strategy.get(name).is_none() {
            faults.types.add(strategy.at(name), "error.path.missing");
        }
        let number = strategy.get(name).and_then(Value::as_f64);
        match number {
            Some(number) if !(0.0..=1.0).contains(&number) => {
                faults
                    .rules
                    .add(strategy.at(name), format!("got {}, expected between 0.0 and 1.0", double(number)));
                0
            }
            _ => strategy
                .milli(name, 0, 1_000, &mut faults.types)
                .and_then(|m| u16::try_from(m).ok())
                .unwrap_or(0),
        }
    };
    Some(UpgradeStrategy {
        minimum_health_milli: share("minimumHealthCapacity"),
        maximum_over_milli: share("maximumOverCapacity"),
    })
}

/// A number as Scala prints a double: `1.0`, `1.2`.
fn double(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e7 { format!("{number:.1}") } else { number.to_string() }
}

fn check_single_instance(
    fields: &Fields<'_>,
    instances: u32,
    upgrade: Option<UpgradeStrategy>,
    faults: &mut Faults,
) {
    if instances > 1 {
        faults.rules.add(fields.path(), "Single instance app may only have one instance");
    }
    let Some(upgrade) = upgrade else { return };
    let at = fields.at("upgradeStrategy");
    for (name, milli) in [
        ("minimumHealthCapacity", upgrade.minimum_health_milli),
        ("maximumOverCapacity", upgrade.maximum_over_milli),
    ] {
        if milli != 0 {
            let got = double(f64::from(milli) / 1_000.0);
            faults.rules.add(format!("{at}/{name}"), format!("got {got}, expected 0.0"));
        }
    }
}

fn check_migration(fields: &Fields<'_>, labels: &BTreeMap<String, String>, faults: &mut Faults) {
    let label = |name: &str| labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let Some(version) = label("DCOS_MIGRATION_API_VERSION") else { return };
    let complete =
        label("DCOS_PACKAGE_FRAMEWORK_NAME").is_some() && label("DCOS_MIGRATION_API_PATH").is_some();
    if version != "v1" || !complete {
        faults.rules.add(
            fields.path(),
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using \
             DCOS_MIGRATION_API_VERSION",
        );
    }
}

fn read_backoff(fields: &Fields<'_>, faults: &mut Faults) -> Backoff {
    let seconds = |name: &str, otherwise: u32, faults: &mut Faults| {
        u64::from(fields.count(name, INT, &mut faults.types).unwrap_or(otherwise)) * 1_000
    };
    Backoff {
        initial_ms: seconds("backoffSeconds", 1, faults),
        factor_milli: fields.milli("backoffFactor", 1_000, 1_000_000_000, &mut faults.types).unwrap_or(1_150),
        max_ms: seconds("maxLaunchDelaySeconds", 300, faults),
    }
}

fn read_unreachable(fields: &Fields<'_>, faults: &mut Faults) -> UnreachableStrategy {
    let default = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    let at = fields.at("unreachableStrategy");
    let value = match fields.get("unreachableStrategy") {
        None => return default,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("disabled") => {
            return UnreachableStrategy::Disabled;
        }
        Some(Value::String(_)) => {
            faults.types.add(at, "error.unknown.enum.literal");
            return default;
        }
        Some(value) => value,
    };
    let Some(strategy) = Fields::of(value, &at, &mut faults.types) else { return default };
    let mut seconds =
        |name: &str| strategy.int(name, 0, 1_000_000_000_000, &mut faults.types).map_or(0, i64::unsigned_abs);
    let (inactive, expunge) = (seconds("inactiveAfterSeconds"), seconds("expungeAfterSeconds"));
    if inactive > expunge {
        faults.rules.add(
            format!("{at}/inactiveAfterSeconds"),
            format!("inactiveAfterSeconds ({inactive}) must be less or equal to expungeAfterSeconds, which is {expunge}"),
        );
    }
    UnreachableStrategy::After { inactive_ms: inactive * 1_000, expunge_ms: expunge * 1_000 }
}

fn read_role(fields: &Fields<'_>, id: &str, defaults: &Defaults, faults: &mut Faults) -> RoleName {
    let Some(role) = fields.text("role", &mut faults.types) else { return defaults.role.clone() };
    let at = fields.at("role");
    if role.is_empty() {
        faults.types.add(at, "error.minLength");
    } else if defaults.enforce_group_role {
        let group = path::parent(id).split('/').nth(1).filter(|group| !group.is_empty());
        let mut valid: Vec<&str> = std::iter::once(defaults.role.as_str()).chain(group).collect();
        valid.dedup();
        if !valid.contains(&role) {
            faults.rules.add(at, format!("got {role}, expected one of: [{}]", valid.join(", ")));
        }
    } else if !is_role(role) {
        faults.rules.add(at, format!("'{role}' is not a valid role name"));
    }
    RoleName::from(role)
}

/// Mesos' rule for role names.
fn is_role(name: &str) -> bool {
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.starts_with('-');
    name == "*"
        || (!name.split('/').any(|part| odd(part) || part == "*")
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\'))
}

fn read_accepted_roles(fields: &Fields<'_>, role: &RoleName, faults: &mut Faults) -> Option<Vec<RoleName>> {
    let mut roles = fields.texts("acceptedResourceRoles", &mut faults.types)?;
    let at = fields.at("acceptedResourceRoles");
    if roles.is_empty() {
        faults.rules.add(at.as_str(), "must not be empty");
    }
    if roles.iter().any(|accepted| accepted != "*" && accepted != role.as_str()) {
        faults.rules.add(at, format!("acceptedResourceRoles can only contain * and {role}"));
    }
    roles.sort();
    roles.dedup();
    Some(roles.into_iter().map(RoleName::from).collect())
}

fn read_dependencies(fields: &Fields<'_>, id: &str, faults: &mut Faults) -> Vec<AppId> {
    let given = fields.texts("dependencies", &mut faults.types).unwrap_or_default();
    let at = fields.at("dependencies");
    let mut ids: Vec<String> = Vec::with_capacity(given.len());
    for (index, text) in given.iter().enumerate() {
        let absolute = path::absolute(text, path::parent(id));
        path::check(&absolute, &item(&at, index), &mut faults.rules);
        if !ids.contains(&absolute) {
            ids.push(absolute);
        }
    }
    ids.sort();
    ids.into_iter().map(AppId::from).collect()
}

/// More ports than this for each instance are a mistake, and would make every placement slow.
const MOST_PORTS: usize = 1_024;

fn check_port_count(fields: &Fields<'_>, ports: &[PortDefinition], faults: &mut Faults) {
    if ports.len() > MOST_PORTS {
        faults
            .rules
            .add(fields.at("portDefinitions"), format!("got {}, expected {MOST_PORTS} or less", ports.len()));
    }
}

/// The port that an app has when it does not say: one, with any number.
pub(super) fn default_port() -> PortDefinition {
    PortDefinition {
        port: 0,
        protocol: "tcp".into(),
        name: Some("default".into()),
        ..PortDefinition::default()
    }
}
