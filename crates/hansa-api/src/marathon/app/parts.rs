//! A definition taken apart: the objects that several readers look into.

use super::Faults;
use crate::marathon::read::Fields;
use hansa_model::container::Engine;
use serde_json::Value;

/// Where the inner objects stand in the body, for messages.
pub(super) struct Paths {
    container: String,
    docker: String,
    ip_address: String,
}

impl Paths {
    pub(super) fn of(app: &Fields<'_>) -> Self {
        let container = app.at("container");
        Self { docker: format!("{container}/docker"), container, ip_address: app.at("ipAddress") }
    }
}

/// The objects of a definition.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// The whole.
    pub(super) app: Fields<'a>,
    /// `container`.
    pub(super) container: Option<Fields<'a>>,
    /// `container.docker`.
    pub(super) docker: Option<Fields<'a>>,
    /// `ipAddress`, which `networks` has replaced.
    pub(super) ip_address: Option<Fields<'a>>,
    /// `container.type`, if there is a container.
    pub(super) engine: Option<Engine>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(app: Fields<'a>, paths: &'a Paths, faults: &mut Faults) -> Self {
        let mut inner = |value: Option<&'a Value>, at: &'a str| Fields::of(value?, at, &mut faults.types);
        let container = inner(app.get("container"), &paths.container);
        let docker = inner(container.and_then(|container| container.get("docker")), &paths.docker);
        let ip_address = inner(app.get("ipAddress"), &paths.ip_address);
        let engine = container.map(|container| {
            match container.word("type", &["MESOS", "DOCKER"], &mut faults.types) {
                Some("MESOS") => Engine::Mesos,
                _ => Engine::Docker,
            }
        });
        Self { app, container, docker, ip_address, engine }
    }

    /// Whether the definition follows Docker's rules.
    pub(super) fn is_docker(&self) -> bool {
        self.engine == Some(Engine::Docker)
    }
}
