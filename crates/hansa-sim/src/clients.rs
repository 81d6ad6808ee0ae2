//! Clients that create, change and remove apps, and kill tasks, without ever resting.

use crate::frameworks::is_of_framework;
use crate::machine::Machine;
use crate::report::Fault;
use crate::world::{Asked, Event, World};
use hansa_cell::{Input, Request};
use hansa_model::app::{
    AppSpec, Backoff, CheckPort, Constraint, GeneralCheck, HealthCheck, Operator, PortDefinition, Probe,
    Question, ReadinessCheck, UnreachableStrategy, UpgradeStrategy,
};
use hansa_model::event::AgentState;
use hansa_model::resources::MIB;
use hansa_model::service::{AppChange, Expected, ServiceCommand, Target};
use hansa_model::spec::Command;
use hansa_model::{AppId, Principal, TaskId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many apps the clients play with.
pub const APPS: u32 = 6;

/// From this one on they are in the group.
pub const GROUPED: u32 = 4;

/// The group that they are in.
pub const GROUP: &str = "/shop";

impl World {
    /// One client does one thing.
    pub fn client(&mut self) {
        if self.random.u8(0..6) == 0 {
            return self.client_of_groups();
        }
        let app = name(self.random.u32(0..APPS));
        if self.asked.values().any(|asked| asked.intents.iter().any(|(other, _)| *other == app)) {
            return;
        }
        // What is relative to the app as it is needs to be sure how it is.
        let known = self.master.as_ref().and_then(|master| master.picture.apps.get(&app).cloned());
        let known = known.filter(|_| self.oracle.sure(&app).is_some());
        let force = self.random.u8(0..3) > 0;
        let (intents, command) = match (known, self.random.u8(0..10)) {
            (Some(_), 0) => (vec![(app.clone(), None)], change(app, Target::Removed, force)),
            (Some(version), 1) => {
                let same = Some(Arc::new(version.spec.clone()));
                (vec![(app.clone(), same)], change(app, Target::Restart, force))
            }
            (Some(version), 2 | 3) => {
                let instances = self.random.u32(0..6);
                let spec = AppSpec { instances, ..version.spec.clone() };
                (vec![(app.clone(), Some(Arc::new(spec)))], change(app, Target::Scale(instances), force))
            }
            (Some(_), 4) => (Vec::new(), self.kill_some()),
            _ => {
                let spec = Arc::new(self.some_spec(&app));
                (vec![(app.clone(), Some(spec.clone()))], change(app, Target::Spec(spec), force))
            }
        };
        self.ask(Asked { intents, ..Asked::default() }, command);
    }

    /// Makes sure of every app that something is unsure about, once the faults have stopped.
    pub fn settle(&mut self) {
        self.resume_all();
        let all_there = self.all_there();
        let unsure: Vec<AppId> = (0..APPS)
            .map(name)
            .filter(|app| match self.oracle.sure(app) {
                // After an older store everything is told anew, so that it is known what becomes of strays.
                Some(_) => all_there && (self.restored.untold.contains(app) || self.left.contains(app)),
                None => {
                    let unsure = self.oracle.apps().any(|known| known == app);
                    unsure || all_there && self.restored.untold.contains(app)
                }
            })
            .collect();
        for app in unsure {
            let under_way =
                self.asked.values().any(|asked| asked.intents.iter().any(|(other, _)| *other == app));
            if !under_way {
                self.left.remove(&app);
                let spec = Arc::new(self.some_spec(&app));
                let intents = vec![(app.clone(), Some(spec.clone()))];
                self.ask(Asked { intents, ..Asked::default() }, change(app, Target::Spec(spec), true));
            }
        }
    }

    /// Whether the master shows every machine at work.
    fn all_there(&self) -> bool {
        let Some(master) = &self.master else { return false };
        let state = |machine: &Machine| master.picture.agents.get(&machine.id).copied();
        self.machines.iter().all(|machine| state(machine) == Some(AgentState::Active))
    }

    /// A client sends a command that says this of apps and groups; what it kills is added here.
    pub fn ask(&mut self, mut asked: Asked, command: ServiceCommand) {
        let id = self.next_request;
        self.next_request += 1;
        self.note(format_args!("ask {id}: {command:?}"));
        if self.master.is_none() {
            return;
        }
        if let ServiceCommand::Kill { tasks, .. } = &command {
            asked.kills.clone_from(tasks);
        }
        self.leave_others(&asked.intents, &command);
        self.forget_spared_of(&asked.intents, &asked.kills);
        let all_there = !self.faults && self.all_there();
        if let ServiceCommand::Change { changes, .. } = &command {
            // Another number alone leaves strays of another version as they are; so does an app that is made anew, which
            // takes them for its own; and of strays on machines that are away nobody can say anything. Only who replaces an
            // app's instances when all machines are there says of all of them what they are to be.
            let picture = self.master.as_ref().map(|master| &master.picture).filter(|_| all_there);
            let replaces = |change: &&AppChange| {
                !matches!(change.to, Target::Scale(_))
                    && picture.is_some_and(|picture| picture.apps.contains_key(&change.id))
            };
            for change in changes.iter().filter(replaces) {
                self.restored.untold.remove(&change.id);
            }
        }
        self.asked.insert(id, asked);
        let patience = if self.unlucky(30) {
            self.report.count(Fault::ClientTimeout);
            1
        } else {
            30_000
        };
        self.after(patience, Event::ClientTimeout { id });
        let principal = Principal::loopback();
        self.master_input(Input::Request { id, principal, request: Request::Service(command) });
    }

    /// Kills one of the services' tasks: as often as not on a machine that does not hear it now, because that is where a kill
    /// can be lost.
    fn kill_some(&mut self) -> ServiceCommand {
        let deaf = |machine: &&Machine| machine.node.is_none() || machine.cut_until > self.now;
        let of = |machines: Vec<&Machine>| -> Vec<TaskId> {
            let processes = machines.into_iter().flat_map(|machine| &machine.processes);
            processes
                .filter(|(instance, process)| process.is_alive() && !is_of_framework(instance))
                .map(|(_, process)| process.task.clone())
                .collect()
        };
        let all = of(self.machines.iter().collect());
        let unheard = of(self.machines.iter().filter(deaf).collect());
        let some = if self.random.bool() && !unheard.is_empty() { unheard } else { all };
        let tasks = some.get(self.random.usize(0..some.len().max(1))).cloned().into_iter().collect();
        ServiceCommand::Kill { tasks, scale: false, wipe: false, force: false }
    }

    /// Some definition of an app.
    pub fn some_spec(&mut self, app: &AppId) -> AppSpec {
        let version = self.random.u32(..).to_string();
        let health_checks = if self.random.bool() {
            vec![HealthCheck {
                protocol: "TCP".into(),
                probe: Probe::Tcp,
                port: Some(CheckPort::Index(0)),
                grace_ms: 2_000,
                interval_ms: 500,
                timeout_ms: 200,
                max_consecutive_failures: 3,
                delay_ms: 100,
                ip_protocol: "IPv4".into(),
            }]
        } else {
            Vec::new()
        };
        let readiness_checks = if self.random.u8(0..4) == 0 {
            vec![ReadinessCheck {
                name: "ready".into(),
                tls: false,
                path: "/".into(),
                port_name: "main".into(),
                interval_ms: 400,
                timeout_ms: 200,
                ready_codes: vec![200],
                preserve_last_response: false,
            }]
        } else {
            Vec::new()
        };
        let check = (self.random.u8(0..4) == 0).then_some(GeneralCheck {
            question: Question::Tcp,
            port: Some(CheckPort::Index(0)),
            interval_ms: 5_000,
            timeout_ms: 200,
            delay_ms: 100,
        });
        let constraints = match self.random.u8(0..4) {
            0 => vec![constraint("hostname", Operator::MaxPer, Some("2"))],
            1 => vec![constraint("rack", Operator::Unlike, Some("r2"))],
            _ => Vec::new(),
        };
        let unreachable = match self.random.u8(0..3) {
            0 => UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
            1 => UnreachableStrategy::After { inactive_ms: 3_000, expunge_ms: 10_000 },
            _ => UnreachableStrategy::Disabled,
        };
        AppSpec {
            env: BTreeMap::from([("VERSION".to_string(), version)]),
            cpus_milli: self.random.u64(1..5) * 100,
            mem: self.random.u64(1..9) * 32 * MIB,
            instances: self.random.u32(0..6),
            constraints,
            ports: vec![PortDefinition {
                protocol: "tcp".into(),
                name: Some("main".into()),
                ..PortDefinition::default()
            }],
            health_checks,
            readiness_checks,
            check,
            upgrade: UpgradeStrategy {
                minimum_health_milli: [0, 500, 1000][self.random.usize(0..3)],
                maximum_over_milli: [200, 1000][self.random.usize(0..2)],
            },
            backoff: Backoff { initial_ms: 500, factor_milli: 1_150, max_ms: 5_000 },
            unreachable,
            kill_grace_ms: 1_000,
            ..AppSpec::new(app.clone(), Command::Shell("serve".into()))
        }
    }
}

/// The apps' names; the last ones are in a group.
pub fn name(app: u32) -> AppId {
    AppId::from(if app < GROUPED { format!("/app{app}") } else { format!("{GROUP}/app{app}") })
}

fn change(id: AppId, to: Target, force: bool) -> ServiceCommand {
    ServiceCommand::Change { changes: vec![AppChange { id, expected: Expected::Anything, to }], force }
}

fn constraint(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
    Constraint { field: field.into(), operator, value: value.map(Into::into) }
}
