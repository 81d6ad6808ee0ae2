//! The definition of an app as Marathon writes it; what is written here reads as the same definition again.

use super::{mib, milli, seconds};
use crate::marathon::app::{MODES, constraint_text};
use hansa_model::app::{
    AppNetwork, AppSpec, CheckPort, GeneralCheck, HealthCheck, KillSelection, PortDefinition, Probe,
    Question, ReadinessCheck, ResourceLimit, ServiceMapping, UnreachableStrategy,
};
use hansa_model::container::{Artifact, ContainerSpec, Engine, ImageSpec, Volume};
use hansa_model::spec::Command;
use serde_json::{Map, Value, json};

/// A definition without a version; reading it gives the same definition again.
pub fn definition(spec: &AppSpec) -> Map<String, Value> {
    let mut app = Map::new();
    let mut put = |name: &str, value: Value| drop(app.insert(name.to_owned(), value));
    put("id", json!(spec.id));
    match &spec.command {
        Command::Shell(cmd) => put("cmd", json!(cmd)),
        Command::Argv(args) if args.is_empty() => {}
        Command::Argv(args) => put("args", json!(args)),
    }
    if let Some(user) = &spec.user {
        put("user", json!(user));
    }
    if !spec.env.is_empty() || !spec.secret_env.is_empty() {
        put("env", env(spec));
    }
    put("labels", json!(spec.labels));
    put("cpus", milli(spec.cpus_milli));
    put("mem", mib(spec.mem));
    put("disk", mib(spec.disk));
    put("gpus", json!(spec.gpus));
    if spec.limits.cpus_milli.is_some() || spec.limits.mem.is_some() {
        put("resourceLimits", limits(spec));
    }
    put("instances", json!(spec.instances));
    put("executor", json!(spec.executor));
    put("networks", networks(&spec.networks));
    if let Some(container) = container(spec) {
        put("container", container);
    }
    if spec.container.as_ref().is_some_and(|container| container.tty) {
        put("tty", json!(true));
    }
    if !spec.fetch.is_empty() {
        put("fetch", spec.fetch.iter().map(artifact).collect());
    }
    if !spec.secrets.is_empty() {
        let secrets = spec.secrets.iter().map(|(name, source)| (name.clone(), json!({"source": source})));
        put("secrets", Value::Object(secrets.collect()));
    }
    if !spec.constraints.is_empty() {
        put("constraints", spec.constraints.iter().map(constraint_text).collect());
    }
    if spec.networks.is_empty() {
        put("portDefinitions", spec.ports.iter().map(definition_of_port).collect());
    }
    put("requirePorts", json!(spec.require_ports));
    checks(spec, &mut put);
    policy(spec, &mut put);
    put("role", json!(spec.role));
    if let Some(roles) = &spec.accepted_roles {
        put("acceptedResourceRoles", json!(roles));
    }
    if !spec.dependencies.is_empty() {
        put("dependencies", json!(spec.dependencies));
    }
    app
}

fn checks(spec: &AppSpec, put: &mut impl FnMut(&str, Value)) {
    if !spec.health_checks.is_empty() {
        put("healthChecks", spec.health_checks.iter().map(health_check).collect());
    }
    if !spec.readiness_checks.is_empty() {
        put("readinessChecks", spec.readiness_checks.iter().map(readiness_check).collect());
    }
    if let Some(check) = &spec.check {
        put("check", general_check(check));
    }
}

fn policy(spec: &AppSpec, put: &mut impl FnMut(&str, Value)) {
    put(
        "upgradeStrategy",
        json!({
            "minimumHealthCapacity": milli(spec.upgrade.minimum_health_milli.into()),
            "maximumOverCapacity": milli(spec.upgrade.maximum_over_milli.into()),
        }),
    );
    put("backoffSeconds", seconds(spec.backoff.initial_ms));
    put("backoffFactor", milli(spec.backoff.factor_milli));
    put("maxLaunchDelaySeconds", seconds(spec.backoff.max_ms));
    put(
        "killSelection",
        json!(match spec.kill_selection {
            KillSelection::YoungestFirst => "YOUNGEST_FIRST",
            KillSelection::OldestFirst => "OLDEST_FIRST",
        }),
    );
    put(
        "unreachableStrategy",
        match spec.unreachable {
            UnreachableStrategy::Disabled => json!("disabled"),
            UnreachableStrategy::After { inactive_ms, expunge_ms } => json!({
                "inactiveAfterSeconds": inactive_ms / 1_000,
                "expungeAfterSeconds": expunge_ms / 1_000,
            }),
        },
    );
    if spec.kill_grace_given {
        put("taskKillGracePeriodSeconds", seconds(spec.kill_grace_ms));
    }
}

/// Plain variables, and those that hold secrets as references.
fn env(spec: &AppSpec) -> Value {
    let plain = spec.env.iter().map(|(name, value)| (name.clone(), json!(value)));
    let secret = spec.secret_env.iter().map(|(name, secret)| (name.clone(), json!({"secret": secret})));
    Value::Object(plain.chain(secret).collect())
}

fn limits(spec: &AppSpec) -> Value {
    let amount = |limit: ResourceLimit, show: fn(u64) -> Value| match limit {
        ResourceLimit::Unlimited => json!("unlimited"),
        ResourceLimit::Amount(amount) => show(amount),
    };
    let mut limits = json!({});
    if let Some(cpus) = spec.limits.cpus_milli {
        limits["cpus"] = amount(cpus, milli);
    }
    if let Some(mem) = spec.limits.mem {
        limits["mem"] = amount(mem, mib);
    }
    limits
}

fn networks(networks: &[AppNetwork]) -> Value {
    if networks.is_empty() {
        return json!([{"mode": "host"}]);
    }
    let network = |network: &AppNetwork| {
        let mode =
            MODES.iter().find(|(_, mode)| *mode == network.mode).map_or("container", |(word, _)| *word);
        let mut shown = json!({"mode": mode});
        if let Some(name) = &network.name {
            shown["name"] = json!(name);
        }
        if !network.labels.is_empty() {
            shown["labels"] = json!(network.labels);
        }
        shown
    };
    networks.iter().map(network).collect()
}

/// What the app says about its container; with an address of its own there always is one, for its ports.
fn container(spec: &AppSpec) -> Option<Value> {
    let on_host = spec.networks.is_empty();
    let plain = ContainerSpec { tty: true, ..ContainerSpec::default() };
    // On the host network a terminal alone makes no container.
    let container = spec.container.as_ref().filter(|container| !on_host || **container != plain)?;
    let mut shown = json!({
        "type": match container.engine {
            Engine::Mesos => "MESOS",
            Engine::Docker => "DOCKER",
        },
        "volumes": container.volumes.iter().map(|it| volume(it, spec)).collect::<Vec<_>>(),
    });
    if let Some(image) = &container.image {
        shown["docker"] = docker(container, image, spec);
    }
    if !on_host {
        shown["portMappings"] = spec.ports.iter().map(mapping).collect();
    }
    Some(shown)
}

fn docker(container: &ContainerSpec, image: &ImageSpec, spec: &AppSpec) -> Value {
    let mut shown = json!({"image": image.reference, "forcePullImage": image.force_pull});
    if container.engine == Engine::Docker {
        let parameters = container.parameters.iter();
        shown["privileged"] = json!(container.privileged);
        shown["parameters"] = parameters.map(|one| json!({"key": one.key, "value": one.value})).collect();
    }
    if let Some(source) = &image.pull_secret {
        shown["pullConfig"] = json!({"secret": secret_name(spec, source)});
    }
    shown
}

fn volume(volume: &Volume, spec: &AppSpec) -> Value {
    match volume {
        // No app has one of a sandbox around it.
        Volume::Host { container_path, host_path: path, read_only }
        | Volume::Parent { container_path, path, read_only } => json!({
            "containerPath": container_path,
            "hostPath": path,
            "mode": if *read_only { "RO" } else { "RW" },
        }),
        Volume::Secret { container_path, source } => {
            json!({"containerPath": container_path, "secret": secret_name(spec, source)})
        }
    }
}

/// The app's own name for the secret from `source`.
fn secret_name<'a>(spec: &'a AppSpec, source: &'a str) -> &'a str {
    let named = spec.secrets.iter().find(|(_, from)| *from == source);
    named.map_or(source, |(name, _)| name.as_str())
}

fn artifact(artifact: &Artifact) -> Value {
    let mut shown = json!({
        "uri": artifact.uri,
        "extract": artifact.extract,
        "executable": artifact.executable,
        "cache": artifact.cache,
    });
    if let Some(path) = &artifact.dest_path {
        shown["destPath"] = json!(path);
    }
    if let Some(digest) = &artifact.sha256 {
        shown["sha256"] = json!(digest);
    }
    shown
}

fn definition_of_port(port: &PortDefinition) -> Value {
    let mut definition = json!({"port": port.port, "protocol": port.protocol});
    if let Some(name) = &port.name {
        definition["name"] = json!(name);
    }
    if !port.labels.is_empty() {
        definition["labels"] = json!(port.labels);
    }
    definition
}

fn mapping(port: &PortDefinition) -> Value {
    let none = ServiceMapping::default();
    let mapping = port.mapping.as_ref().unwrap_or(&none);
    let mut shown = json!({
        "containerPort": mapping.container_port,
        "servicePort": port.port,
        "protocol": port.protocol,
        "labels": port.labels,
    });
    if let Some(host_port) = mapping.host_port {
        shown["hostPort"] = json!(host_port);
    }
    if let Some(name) = &port.name {
        shown["name"] = json!(name);
    }
    if !mapping.networks.is_empty() {
        shown["networkNames"] = json!(mapping.networks);
    }
    shown
}

/// A health check, as apps and events show it.
pub fn health_check(check: &HealthCheck) -> Value {
    let mut shown = json!({
        "protocol": check.protocol,
        "ipProtocol": check.ip_protocol,
        "gracePeriodSeconds": check.grace_ms / 1_000,
        "intervalSeconds": check.interval_ms / 1_000,
        "timeoutSeconds": check.timeout_ms / 1_000,
        "delaySeconds": check.delay_ms / 1_000,
        "maxConsecutiveFailures": check.max_consecutive_failures,
    });
    match &check.probe {
        Probe::Http { path, ignore_1xx, .. } => {
            shown["path"] = json!(path);
            if !check.protocol.starts_with("MESOS_") || *ignore_1xx {
                shown["ignoreHttp1xx"] = json!(ignore_1xx);
            }
        }
        Probe::Tcp => {}
        Probe::Command { command } => shown["command"] = json!({"value": command}),
    }
    put_port(&mut shown, check.port);
    shown
}

fn readiness_check(check: &ReadinessCheck) -> Value {
    json!({
        "name": check.name,
        "protocol": scheme(check.tls),
        "path": check.path,
        "portName": check.port_name,
        "intervalSeconds": check.interval_ms / 1_000,
        "timeoutSeconds": check.timeout_ms / 1_000,
        "httpStatusCodesForReady": check.ready_codes,
        "preserveLastResponse": check.preserve_last_response,
    })
}

fn general_check(check: &GeneralCheck) -> Value {
    let mut inner = match &check.question {
        Question::Http { path, tls } => json!({"path": path, "scheme": scheme(*tls)}),
        Question::Tcp => json!({}),
        Question::Command(Command::Shell(shell)) => json!({"command": {"shell": shell}}),
        Question::Command(Command::Argv(argv)) => json!({"command": {"argv": argv}}),
    };
    put_port(&mut inner, check.port);
    let kind = match check.question {
        Question::Http { .. } => "http",
        Question::Tcp => "tcp",
        Question::Command(_) => "exec",
    };
    json!({
        kind: inner,
        "intervalSeconds": check.interval_ms / 1_000,
        "timeoutSeconds": check.timeout_ms / 1_000,
        "delaySeconds": check.delay_ms / 1_000,
    })
}

fn put_port(shown: &mut Value, port: Option<CheckPort>) {
    match port {
        Some(CheckPort::Index(index)) => shown["portIndex"] = json!(index),
        Some(CheckPort::Number(number)) => shown["port"] = json!(number),
        None => {}
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "HTTPS" } else { "HTTP" }
}
