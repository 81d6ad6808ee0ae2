//! What an instance finds around it, and what it executes: `container`, `tty`, `cmd`, `args`.

use super::Faults;
use super::parts::Parts;
use super::unsupported::{is_empty, refuse};
use crate::marathon::read::{Fields, item};
use hansa_model::container::{ContainerSpec, Engine, ImageSpec, Parameter, Volume};
use hansa_model::docker_run;
use hansa_model::spec::Command;
use serde_json::Value;
use std::collections::BTreeMap;

/// Secrets by name, with their sources.
type Secrets = BTreeMap<String, String>;

/// Reads `container` (apart from its ports) and `tty`. None: a plain process on the machine's own file system and network
/// (with an address of its own there always is a container).
pub(super) fn read(
    parts: &Parts<'_>,
    secrets: &Secrets,
    own_address: bool,
    faults: &mut Faults,
) -> Option<ContainerSpec> {
    let tty = parts.app.flag("tty", &mut faults.types).unwrap_or(false);
    let spec = parts.container.map(|container| {
        let engine = parts.engine.unwrap_or_default();
        if engine == Engine::Docker && parts.docker.is_none() && container.get("docker").is_none() {
            faults.rules.add(container.at("docker"), "not defined");
        }
        let docker = parts.docker;
        ContainerSpec {
            engine,
            image: docker.map(|docker| read_image(&docker, engine, secrets, faults)),
            volumes: read_volumes(&container, secrets, faults),
            privileged: docker.is_some_and(|docker| {
                // Mesos' own containerizer has no such thing and Marathon forgets it there.
                let given = docker.flag("privileged", &mut faults.types).unwrap_or(false);
                given && engine == Engine::Docker
            }),
            parameters: docker.map(|docker| read_parameters(&docker, engine, faults)).unwrap_or_default(),
            tty,
        }
    });
    match spec {
        None if tty || own_address => Some(ContainerSpec { tty, ..ContainerSpec::default() }),
        spec => spec,
    }
}

/// What is executed. With an image `args` are what its entry point gets, and without both its own command runs.
pub(super) fn read_command(
    fields: &Fields<'_>,
    container: Option<&ContainerSpec>,
    faults: &mut Faults,
) -> Command {
    let cmd = fields.text("cmd", &mut faults.types);
    let args = fields.texts("args", &mut faults.types).filter(|args| !args.is_empty());
    let has_image = container.is_some_and(|container| container.image.is_some());
    if cmd.is_some_and(str::is_empty) {
        faults.types.add(fields.at("cmd"), "error.minLength");
    } else if cmd.is_some_and(|cmd| cmd.chars().count() < 2) {
        faults.rules.add(fields.path(), "must not be an empty string");
    }
    for (name, holds_nul) in [
        ("cmd", cmd.is_some_and(|cmd| cmd.contains('\0'))),
        ("args", args.iter().flatten().any(|argument| argument.contains('\0'))),
    ] {
        if holds_nul {
            faults.rules.add(fields.at(name), "must not contain a NUL character");
        }
    }
    match (cmd, args) {
        (Some(cmd), None) => Command::Shell(cmd.to_owned()),
        (None, Some(args)) => {
            if args[0].is_empty() && !has_image {
                faults.rules.add(item(&fields.at("args"), 0), "must not be empty");
            }
            Command::Argv(args)
        }
        (None, None) if has_image => Command::default(),
        _ => {
            faults.rules.add(
                fields.path(),
                "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
            );
            Command::default()
        }
    }
}

fn read_image(docker: &Fields<'_>, engine: Engine, secrets: &Secrets, faults: &mut Faults) -> ImageSpec {
    let reference = docker.needed_text("image", &mut faults.types).unwrap_or_default();
    if reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
        faults.rules.add(docker.at("image"), "must not contain blanks or control characters");
    }
    if !docker.get("credential").is_none_or(is_empty) {
        faults.old.add(docker.at("credential"), "must be empty");
    }
    if engine == Engine::Mesos && docker.get("network").is_some() {
        faults.old.add(docker.at("network"), "must be empty");
    }
    if engine == Engine::Mesos && !docker.get("portMappings").is_none_or(is_empty) {
        faults.old.add(docker.at("portMappings"), "must be empty");
    }
    ImageSpec {
        reference: reference.to_owned(),
        force_pull: docker.flag("forcePullImage", &mut faults.types).unwrap_or(false),
        pull_secret: read_pull_secret(docker, engine, secrets, faults),
    }
}

fn read_pull_secret(
    docker: &Fields<'_>,
    engine: Engine,
    secrets: &Secrets,
    faults: &mut Faults,
) -> Option<String> {
    let at = docker.at("pullConfig");
    let config = Fields::of(docker.get("pullConfig")?, &at, &mut faults.types)?;
    let name = config.needed_text("secret", &mut faults.types)?;
    if engine == Engine::Docker {
        faults.rules.add(at.as_str(), "pullConfig is not supported with Docker containerizer");
    }
    let source = secrets.get(name);
    if source.is_none() {
        faults.rules.add(at, "pullConfig.secret must refer to an existing secret");
    }
    source.cloned()
}

fn read_parameters(docker: &Fields<'_>, engine: Engine, faults: &mut Faults) -> Vec<Parameter> {
    let at = docker.at("parameters");
    let list = docker.list("parameters", &mut faults.types).unwrap_or_default();
    if engine == Engine::Mesos && !list.is_empty() {
        faults.old.add(at.as_str(), "must be empty");
    }
    let mut parameters = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let here = item(&at, index);
        let Some(fields) = Fields::of(value, &here, &mut faults.types) else { continue };
        let key = fields.needed_text("key", &mut faults.types);
        if fields.get("value").is_none() {
            faults.types.add(fields.at("value"), "error.path.missing");
        }
        let value = fields.text("value", &mut faults.types);
        if let (Some(key), Some(value)) = (key, value) {
            let parameter = Parameter { key: key.to_owned(), value: value.to_owned() };
            if let (Engine::Docker, false, Err(words)) =
                (engine, key.is_empty(), docker_run::check(&parameter))
            {
                faults.rules.add(here, words);
            }
            parameters.push(parameter);
        }
    }
    parameters
}

fn read_volumes(container: &Fields<'_>, secrets: &Secrets, faults: &mut Faults) -> Vec<Volume> {
    let at = container.at("volumes");
    let list = container.list("volumes", &mut faults.types).unwrap_or_default();
    list.iter()
        .enumerate()
        .filter_map(|(index, value)| read_volume(value, &item(&at, index), secrets, faults))
        .collect()
}

fn read_volume(value: &Value, at: &str, secrets: &Secrets, faults: &mut Faults) -> Option<Volume> {
    let fields = Fields::of(value, at, &mut faults.types)?;
    for (name, feature) in [("persistent", "persistent volumes"), ("external", "external volumes")] {
        if fields.get(name).is_some() {
            refuse(fields.at(name), feature, faults);
            return None;
        }
    }
    let container_path = read_path(&fields, "containerPath", faults);
    if container_path.as_deref().is_some_and(|path| path.split('/').any(|part| part == "..")) {
        faults.rules.add(fields.at("containerPath"), "must not contain '..'");
    }
    if fields.get("secret").is_some() {
        let name = fields.needed_text("secret", &mut faults.types)?;
        let source = secrets.get(name);
        if source.is_none() {
            faults.rules.add(at, "volume.secret must refer to an existing secret");
        }
        return Some(Volume::Secret { container_path: container_path?, source: source?.clone() });
    }
    let host_path = read_path(&fields, "hostPath", faults);
    if fields.get("mode").is_none() {
        faults.types.add(fields.at("mode"), "error.path.missing");
    }
    let mode = fields.word("mode", &["RO", "RW"], &mut faults.types);
    Some(Volume::Host {
        container_path: container_path?,
        host_path: host_path?,
        read_only: mode == Some("RO"),
    })
}

fn read_path(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Option<String> {
    let path = fields.needed_text(name, &mut faults.types)?;
    if path.contains('\0') {
        faults.rules.add(fields.at(name), "must not contain a NUL character");
    }
    Some(path.to_owned())
}
