//! Stories about services, told to the scheduler, a real [`Cluster`] and a small world of machines that does as it is
//! told.

mod company;
mod deploying;
mod groups;
mod healing;
mod older;
mod properties;
mod speed;
mod steering;
mod trial;
mod waiting;
mod world;

use hansa_model::app::{
    AppSpec, CheckPort, HealthCheck, KillSelection, Probe, UnreachableStrategy, UpgradeStrategy,
};
use hansa_model::resources::MIB;
use hansa_model::service::{AppChange, Expected, ServiceCommand, Target};
use hansa_model::spec::Command;
use hansa_model::{AppId, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// A plain app of so many instances.
fn app(id: &str, instances: u32) -> AppSpec {
    AppSpec {
        cpus_milli: 100,
        mem: 16 * MIB,
        instances,
        ..AppSpec::new(AppId::from(id), Command::Shell("sleep 1000".into()))
    }
}

/// The same with a health check.
fn checked(mut spec: AppSpec) -> AppSpec {
    spec.health_checks = vec![HealthCheck {
        protocol: "HTTP".into(),
        probe: Probe::Http { path: "/".into(), ignore_1xx: false, tls: false },
        port: Some(CheckPort::Index(0)),
        grace_ms: 300_000,
        interval_ms: 1000,
        timeout_ms: 500,
        max_consecutive_failures: 3,
        delay_ms: 0,
        ip_protocol: "IPv4".into(),
    }];
    spec
}

/// The same behaving in a certain way: `sick`, `hang` (never starts), `crash`, `finish`.
fn behaving(mut spec: AppSpec, how: &str) -> AppSpec {
    spec.labels.insert("behave".into(), how.into());
    spec
}

fn with_upgrade(mut spec: AppSpec, min: u16, over: u16) -> AppSpec {
    spec.upgrade = UpgradeStrategy { minimum_health_milli: min, maximum_over_milli: over };
    spec
}

fn put(spec: AppSpec) -> AppChange {
    AppChange { id: spec.id.clone(), expected: Expected::Anything, to: Target::Spec(Arc::new(spec)) }
}

fn to(id: &str, to: Target) -> AppChange {
    AppChange { id: AppId::from(id), expected: Expected::Anything, to }
}

fn change(changes: Vec<AppChange>) -> ServiceCommand {
    ServiceCommand::Change { changes, force: false }
}

fn forced(changes: Vec<AppChange>) -> ServiceCommand {
    ServiceCommand::Change { changes, force: true }
}

/// Tells a story several times: in one go, and with the master restarting after every step, every second step, ….
fn told_with_restarts(story: impl Fn(&mut World)) {
    for restart_every in [0, 1, 2, 3, 7] {
        let mut world = World::with_nodes(4);
        world.restart_every = restart_every;
        story(&mut world);
        world.check();
    }
}
