//! What a service is: the canonical definition, after every old spelling has been translated and every default filled.
//!
//! The JSON that Marathon's clients send and read is a different promise and lives in `hansa-api`; this form is stored.

use crate::container::{Artifact, ContainerSpec, NetworkSpec, PortMapping};
use crate::id::{AppId, RoleName};
use crate::label;
use crate::resources::{Demand, GpuDemand, MIB, PortDemand};
use crate::spec::{Command, ExecutorSpec, GroupSpec, Origin, TaskSpec};
use crate::task::CheckKind;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long load balancers get to hear that an instance will end, unless the app says otherwise.
const USUAL_DRAIN_MS: u64 = 1_000;

/// A placement constraint: `field` of the machines (`hostname`, `@region`, `@zone` or an attribute) compared with what
/// the app's other instances or the value say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Constraint {
    /// `hostname`, `@hostname`, `@region`, `@zone` or the name of an attribute.
    pub field: String,
    /// How to compare.
    pub operator: Operator,
    /// What with; not every operator takes one.
    #[serde(default)]
    pub value: Option<String>,
}

/// Marathon's constraint operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operator {
    /// All instances differ in the field.
    Unique,
    /// All instances have the same value: the given one or that of the first.
    Cluster,
    /// Instances are spread evenly over the values.
    GroupBy,
    /// The field matches the regular expression as a whole.
    Like,
    /// It does not, or the machine has no such field.
    Unlike,
    /// At most so many instances for each value.
    MaxPer,
    /// Equal as text, or as numbers with three decimals.
    Is,
}

/// One port of a service: on the host network a port definition, otherwise a port mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PortDefinition {
    /// The service port; 0 asks for a cluster-wide unique one, which the scheduler fills in before storing.
    pub port: u16,
    /// `tcp`, `udp` or `udp,tcp`.
    pub protocol: String,
    /// Its name, unique within the app.
    pub name: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How it leads into the container, where that has an address of its own; None: on the host network.
    pub mapping: Option<ServiceMapping>,
}

/// How a service's port leads into a container with an address of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceMapping {
    /// Where the container listens; 0: on the same number as the host port.
    pub container_port: u16,
    /// The machine's port; 0: any; None: not reached through the machine.
    pub host_port: Option<u16>,
    /// Which of the app's networks it is meant for; empty: all.
    pub networks: Vec<String>,
}

/// A network that an app's instances join. None at all: the machine's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppNetwork {
    /// Which kind.
    pub mode: NetworkMode,
    /// Its name, where the mode has names.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Marathon's network modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// The machine's own.
    Host,
    /// The machine's bridge.
    Bridge,
    /// A named network across machines.
    Container,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// GET `path`; 200 to 399 is healthy.
    Http {
        /// Path and query.
        path: String,
        /// Whether 100 to 199 neither counts as success nor failure.
        ignore_1xx: bool,
        /// Over TLS, without looking at the certificate.
        tls: bool,
    },
    /// A connection is accepted.
    Tcp,
    /// The command, run inside the task's container, ends with 0.
    Command {
        /// Given to `/bin/sh -c`.
        command: String,
    },
}

/// Which port a check talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckPort {
    /// The task's port with this index.
    Index(u16),
    /// This very port.
    Number(u16),
}

/// One health check; all of them run on the agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Marathon's spelling of the protocol, kept for showing it again: `HTTP`, `MESOS_TCP`, ….
    pub protocol: String,
    /// What it asks.
    pub probe: Probe,
    /// Where; None for commands.
    pub port: Option<CheckPort>,
    /// Failures are ignored while the task has never been healthy and is younger than this.
    pub grace_ms: u64,
    /// Time from one probe to the next.
    pub interval_ms: u64,
    /// A probe that takes longer has failed.
    pub timeout_ms: u64,
    /// Kill the task after so many failures in a row; 0: never.
    pub max_consecutive_failures: u32,
    /// Time before the first probe.
    pub delay_ms: u64,
    /// `IPv4` or `IPv6`.
    pub ip_protocol: String,
}

/// Asks a new instance whether it is ready to take over from an old one; only while a deployment goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadinessCheck {
    /// What its results are called.
    pub name: String,
    /// GET over TLS, without looking at the certificate.
    pub tls: bool,
    /// Path and query.
    pub path: String,
    /// Which of the app's ports, by name.
    pub port_name: String,
    /// Time from one request to the next.
    pub interval_ms: u64,
    /// A request that takes longer says "not ready".
    pub timeout_ms: u64,
    /// The HTTP status codes that say "ready".
    pub ready_codes: Vec<u16>,
    /// Show the last answer along with the result.
    pub preserve_last_response: bool,
}

/// Asks a running instance now and then and reports what it said; nothing follows from the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GeneralCheck {
    /// What it asks.
    pub question: Question,
    /// Where; None for commands.
    pub port: Option<CheckPort>,
    /// Time from one question to the next.
    pub interval_ms: u64,
    /// A question that takes longer has no answer.
    pub timeout_ms: u64,
    /// Time before the first question.
    pub delay_ms: u64,
}

/// What a general check asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// GET `path`: which status code comes?
    Http {
        /// Path and query.
        path: String,
        /// Over TLS, without looking at the certificate.
        tls: bool,
    },
    /// Is a connection accepted?
    Tcp,
    /// Which exit code has this command, run inside the task's container?
    Command(Command),
}

impl Question {
    /// What it asks for.
    pub fn kind(&self) -> CheckKind {
        match self {
            Question::Http { .. } => CheckKind::Http,
            Question::Tcp => CheckKind::Tcp,
            Question::Command(_) => CheckKind::Command,
        }
    }
}

/// Limits above what is asked for, as given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    /// Of CPU time, in thousandths of a CPU.
    pub cpus_milli: Option<ResourceLimit>,
    /// Of memory, in bytes.
    pub mem: Option<ResourceLimit>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceLimit {
    /// As much as the machine has.
    Unlimited,
    /// At most so much.
    Amount(u64),
}

/// How far an update may go below and above the number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpgradeStrategy {
    /// Thousandths of `instances` that stay healthy all the time.
    pub minimum_health_milli: u16,
    /// Thousandths of `instances` that may run in addition.
    pub maximum_over_milli: u16,
}

/// How failed launches are slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backoff {
    /// After the first failure.
    pub initial_ms: u64,
    /// Thousandths by which the delay grows with each failure.
    pub factor_milli: u64,
    /// Never longer.
    pub max_ms: u64,
}

/// Which instances go first when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KillSelection {
    /// The youngest.
    #[default]
    YoungestFirst,
    /// The oldest.
    OldestFirst,
}

/// What happens to instances on a machine that is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreachableStrategy {
    /// They are waited for, for ever.
    Disabled,
    /// They are replaced after a while, and given up for good after another; both count from "unreachable since".
    After {
        /// Milliseconds until a replacement starts.
        inactive_ms: u64,
        /// Milliseconds until the instance is given up (killed if it returns).
        expunge_ms: u64,
    },
}

/// A service's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Absolute path.
    pub id: AppId,
    /// What to execute.
    pub command: Command,
    /// The user to run as; the agent's own if absent.
    pub user: Option<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Thousandths of a CPU for each instance.
    pub cpus_milli: u64,
    /// Bytes of memory for each instance.
    pub mem: u64,
    /// Bytes of disk for each instance.
    pub disk: u64,
    /// Whole GPUs for each instance.
    pub gpus: u16,
    /// How many instances.
    pub instances: u32,
    /// Where they may run.
    pub constraints: Vec<Constraint>,
    /// Their ports: of the machine, or mapped ones if they have an address of their own.
    pub ports: Vec<PortDefinition>,
    /// Whether the host ports must be the service ports.
    pub require_ports: bool,
    /// Health checks.
    pub health_checks: Vec<HealthCheck>,
    /// How updates go.
    pub upgrade: UpgradeStrategy,
    /// How failures are slowed down.
    pub backoff: Backoff,
    /// Which go first.
    pub kill_selection: KillSelection,
    /// What machine loss means.
    pub unreachable: UnreachableStrategy,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub kill_grace_ms: u64,
    /// Whether `taskKillGracePeriodSeconds` was given (shown again only then).
    #[serde(default)]
    pub kill_grace_given: bool,
    /// The role that resources are counted under.
    pub role: RoleName,
    /// Roles whose reserved resources may be used; None: the default (`*`).
    pub accepted_roles: Option<Vec<RoleName>>,
    /// Apps (or groups) that must be up before this one.
    #[serde(default)]
    pub dependencies: Vec<AppId>,
    /// Limit CPU time to `cpus` even when the machine is idle (the label `HANSA_CPU_QUOTA=true`, or a limit of as much as is
    /// asked for).
    #[serde(default)]
    pub cpu_quota: bool,
    /// Its container, if it says anything about one.
    #[serde(default)]
    pub container: Option<ContainerSpec>,
    /// The networks that it joins; empty: the machine's own.
    #[serde(default)]
    pub networks: Vec<AppNetwork>,
    /// What is fetched into the sandbox of each instance.
    #[serde(default)]
    pub fetch: Vec<Artifact>,
    /// Its secrets: where each comes from, by the name that the app has for it.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Environment variables that hold secrets, and the secrets' names in `secrets`.
    #[serde(default)]
    pub secret_env: BTreeMap<String, String>,
    /// Readiness checks; Marathon takes at most one.
    #[serde(default)]
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Its general check.
    #[serde(default)]
    pub check: Option<GeneralCheck>,
    /// Limits above what is asked for, shown as they were given; `cpu_quota` follows from them.
    #[serde(default)]
    pub limits: ResourceLimits,
    /// Marathon's name of the executor, shown as it was given: empty or `//cmd`, which mean the same.
    #[serde(default)]
    pub executor: String,
}

/// One stored version of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppVersion {
    /// When it was accepted; also its name.
    pub version: Timestamp,
    /// When `instances` last changed.
    pub last_scaling_at: Timestamp,
    /// When anything else last changed; instances of the same `last_config_change_at` are interchangeable.
    pub last_config_change_at: Timestamp,
    /// The definition.
    pub spec: AppSpec,
}

impl AppSpec {
    /// One instance of a command with Marathon's defaults and no ports.
    pub fn new(id: AppId, command: Command) -> Self {
        Self {
            id,
            command,
            user: None,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            cpus_milli: 1_000,
            mem: 128 * MIB,
            disk: 0,
            gpus: 0,
            instances: 1,
            constraints: Vec::new(),
            ports: Vec::new(),
            require_ports: false,
            health_checks: Vec::new(),
            upgrade: UpgradeStrategy { minimum_health_milli: 1_000, maximum_over_milli: 1_000 },
            backoff: Backoff { initial_ms: 1_000, factor_milli: 1_150, max_ms: 300_000 },
            kill_selection: KillSelection::YoungestFirst,
            unreachable: UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
            kill_grace_ms: 3_000,
            kill_grace_given: false,
            role: RoleName::any(),
            accepted_roles: None,
            dependencies: Vec::new(),
            cpu_quota: false,
            container: None,
            networks: Vec::new(),
            fetch: Vec::new(),
            secrets: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            readiness_checks: Vec::new(),
            check: None,
            limits: ResourceLimits::default(),
            executor: String::new(),
        }
    }

    /// Whether going from `self` to `other` needs no new instances: they differ at most in their number.
    pub fn differs_only_in_instances(&self, other: &AppSpec) -> bool {
        let mut same = self.clone();
        same.instances = other.instances;
        same == *other
    }

    /// Milliseconds from the moment that an instance leaves the list of healthy ones to its SIGTERM: what its label says,
    /// or a second if others may talk to it (it has ports) and follow its health (it has checks).
    fn drain_ms(&self) -> u64 {
        let usual = if self.ports.is_empty() || self.health_checks.is_empty() { 0 } else { USUAL_DRAIN_MS };
        self.labels.get(label::DRAIN).and_then(|text| label::duration_ms(text)).unwrap_or(usual)
    }

    /// The group that one instance of this version launches.
    pub fn group(&self, version: Timestamp) -> GroupSpec {
        let (network, ports) = self.network();
        let on_host = self.ports.iter().filter(|port| port.is_on_host());
        let (port_names, declared_ports) = on_host.map(|port| (port.name.clone(), port.declared())).unzip();
        let source =
            |(variable, name): (&String, &String)| Some((variable.clone(), self.secrets.get(name)?.clone()));
        GroupSpec {
            origin: Origin::App { id: self.id.clone(), version },
            executor: ExecutorSpec::None,
            tasks: vec![TaskSpec {
                name: "_app".into(),
                command: self.command.clone(),
                env: self.env.clone(),
                user: self.user.clone(),
                demand: Demand {
                    cpus_milli: self.cpus_milli,
                    mem: self.mem,
                    disk: self.disk,
                    gpus: GpuDemand::whole(self.gpus),
                    ports,
                },
                port_names,
                declared_ports,
                cpu_quota: self.cpu_quota,
                health_checks: self.health_checks.clone(),
                readiness_checks: self.readiness_checks.clone(),
                check: self.check.clone(),
                kill_grace_ms: self.kill_grace_ms,
                drain_ms: self.drain_ms(),
                labels: self.labels.clone(),
                container: self.container.clone().unwrap_or_default(),
                network,
                artifacts: self.fetch.clone(),
                secret_env: self.secret_env.iter().filter_map(source).collect(),
                ..TaskSpec::default()
            }],
        }
    }

    /// The network that each instance lives in, and what it demands of the machine's ports.
    fn network(&self) -> (NetworkSpec, Vec<PortDemand>) {
        let mut demand = Vec::new();
        let mut mappings = Vec::new();
        for port in &self.ports {
            let wanted = match &port.mapping {
                None if self.require_ports && port.port != 0 => Some(PortDemand::Exact(port.port)),
                None | Some(ServiceMapping { host_port: Some(0), .. }) => Some(PortDemand::Any),
                Some(ServiceMapping { host_port, .. }) => host_port.map(PortDemand::Exact),
            };
            let index = u16::try_from(demand.len()).ok().filter(|_| wanted.is_some());
            demand.extend(wanted);
            if let Some(mapping) = &port.mapping {
                mappings.push(PortMapping {
                    container_port: mapping.container_port,
                    host_port: index,
                    protocol: port.protocol.clone(),
                    name: port.name.clone(),
                });
            }
        }
        match self.networks.iter().any(|network| network.mode != NetworkMode::Host) {
            true => (NetworkSpec::Bridge { mappings }, demand),
            false => (NetworkSpec::Host, demand),
        }
    }
}

impl PortDefinition {
    /// The number that its program knows it by: the container's port where there is a mapping.
    fn declared(&self) -> u16 {
        self.mapping.as_ref().map_or(self.port, |mapping| mapping.container_port)
    }

    /// Whether it takes a port of the machine.
    pub fn is_on_host(&self) -> bool {
        self.mapping.as_ref().is_none_or(|mapping| mapping.host_port.is_some())
    }
}
