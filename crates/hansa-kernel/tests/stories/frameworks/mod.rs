//! Frameworks: what they ask, and what they hear.

mod accepting;
mod configured;
mod executors;
mod offers;
mod reserving;
mod subscribing;
mod updates;

use crate::world::*;
use hansa_kernel::{Command, Record, Refusal};
use hansa_model::agent::GroupReport;
use hansa_model::framework::*;
use hansa_model::resources::MIB;
use hansa_model::spec::TaskSpec;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, FrameworkId, OfferId, Principal, RoleName, TaskId, Timestamp};
use std::collections::BTreeSet;

pub fn info(id: &str, role: &str) -> FrameworkInfo {
    FrameworkInfo {
        id: id.into(),
        name: "spark".into(),
        user: "nobody".into(),
        roles: BTreeSet::from([role.into()]),
        capabilities: BTreeSet::from([Capability::PartitionAware]),
        failover_timeout_ms: 60_000,
        checkpoint: true,
        hostname: String::new(),
        webui_url: None,
        principal: None,
        labels: Vec::new(),
        min_allocatable: Default::default(),
    }
}

/// So many thousandths of a CPU and MiB of memory.
pub fn amount(cpus_milli: u64, mem: u64) -> Amount {
    Amount { cpus_milli, mem: mem * MIB, ..Amount::default() }
}

pub fn open(cpus_milli: u64, mem: u64) -> Part {
    Part::unreserved(amount(cpus_milli, mem))
}

pub fn reserved(role: &str, amount: Amount) -> Part {
    let reservation = Reservation { role: role.into(), principal: None, labels: Vec::new(), fixed: false };
    Part { reservations: vec![reservation], amount, ..Part::default() }
}

/// A command task of one CPU and 128 MiB.
pub fn task(id: &str, agent: &str) -> TaskAsked {
    TaskAsked {
        id: id.into(),
        name: id.into(),
        agent: agent.into(),
        parts: vec![open(1000, 128)],
        executor: None,
        spec: Ok(Box::new(TaskSpec { name: id.into(), ..TaskSpec::default() })),
        info: Raw::default(),
    }
}

pub fn executor(id: &str, kind: ExecutorKind) -> ExecutorAsked {
    ExecutorAsked {
        id: id.into(),
        kind,
        parts: vec![open(100, 32)],
        spec: Ok(Box::default()),
        shutdown_grace_ms: None,
        info: Raw::new(id.as_bytes().to_vec()),
    }
}

pub fn launch(tasks: impl IntoIterator<Item = TaskAsked>) -> Operation {
    Operation::Launch { tasks: tasks.into_iter().collect() }
}

impl World {
    pub fn subscribe(&mut self, info: FrameworkInfo) -> String {
        self.last_stream += 1;
        let call = FrameworkCall::Subscribe {
            stream: self.last_stream,
            info: Box::new(info),
            suppressed: BTreeSet::new(),
            constraints: Box::default(),
        };
        self.apply(Command::Framework { framework: None, principal: Principal::loopback(), call })
    }

    /// A call of the framework with this id.
    pub fn ask(&mut self, framework: &str, call: FrameworkCall) -> String {
        let framework = Some(framework.into());
        self.apply(Command::Framework { framework, principal: Principal::loopback(), call })
    }

    /// Its stream breaks.
    pub fn hang_up(&mut self, framework: &str) -> String {
        let stream = self.streams.remove(framework).expect("it is connected");
        let call = FrameworkCall::Disconnected { stream };
        self.apply(Command::Framework { framework: None, principal: Principal::from("hansa"), call })
    }

    pub fn accept(&mut self, framework: &str, offer: &str, operations: Vec<Operation>) -> String {
        let offers = offer.split(' ').map(OfferId::from).collect();
        self.ask(framework, FrameworkCall::Accept { offers, operations, filter: OfferFilter::default() })
    }

    pub fn decline_offer(&mut self, framework: &str, offer: &str, refuse_ms: u64) -> String {
        let offers = vec![offer.into()];
        self.ask(framework, FrameworkCall::Decline { offers, filter: OfferFilter { refuse_ms } })
    }

    pub fn kill_task(&mut self, framework: &str, task: &str) -> String {
        self.ask(framework, FrameworkCall::Kill { task: task.into(), agent: None, grace_ms: None })
    }

    pub fn reconcile(&mut self, framework: &str, tasks: &[(&str, Option<&str>)]) -> String {
        let tasks = tasks.iter().map(|(task, agent)| (task.to_string(), agent.map(AgentId::from))).collect();
        self.ask(framework, FrameworkCall::Reconcile { tasks })
    }

    /// It acknowledges the last update that it heard of the task.
    pub fn ack(&mut self, framework: &str, task: &str) -> String {
        let update = self.updates[&(FrameworkId::from(framework), task.to_string())].clone();
        let agent = update.agent.clone().expect("an update that is to be acknowledged has an agent");
        let uuid = update.uuid.expect("it is to be acknowledged");
        self.ask(framework, FrameworkCall::Acknowledge { agent, task: task.into(), uuid })
    }

    /// The launch that has the framework's task.
    pub fn launched(&self, task: &str) -> &hansa_model::spec::Launch {
        let has = |launch: &&hansa_model::spec::Launch| {
            let of_framework = launch.framework.as_ref();
            of_framework.is_some_and(|own| own.tasks.iter().any(|own| own.id == task))
        };
        let found = self.launches.values().filter(has).max_by_key(|launch| launch.instance.clone());
        found.unwrap_or_else(|| panic!("{task} was launched"))
    }

    /// What the agent says of the framework's task.
    pub fn said(&self, task: &str, sequence: u64, state: TaskState) -> TaskStatus {
        let launch = self.launched(task);
        let tasks = &launch.framework.as_ref().expect("it is a framework's").tasks;
        let at = tasks.iter().position(|own| own.id == task).expect("it is there");
        let id: TaskId = launch.tasks[at].clone();
        TaskStatus::new(id, launch.instance.clone(), sequence, state, Timestamp(sequence))
    }

    /// What the agent reports of the group that has the framework's task: this, acknowledged.
    pub fn held(&self, task: &str, sequence: u64, state: TaskState) -> GroupReport {
        let statuses = vec![self.said(task, sequence, state)];
        GroupReport { launch: self.launched(task).clone(), statuses, unacknowledged: Vec::new() }
    }

    /// The agent says something of the framework's task.
    pub fn says(&mut self, agent: &str, task: &str, sequence: u64, state: TaskState) -> String {
        let status = self.said(task, sequence, state);
        self.apply(Command::Update { agent: agent.into(), status })
    }
}

/// A machine, and a framework `f` in role `r` on stream 1, with its first offer.
pub fn offered() -> World {
    let mut world = World::new();
    world.show = "s";
    world.hello(agent("a"));
    check(
        world.subscribe(info("f", "r")),
        "stream 1 subscribed f
         stream 1 offers L1-O1 on a for r: 4 4096",
    );
    world
}

/// The same, and a task `t` that runs there, its update acknowledged.
pub fn running() -> World {
    let mut world = offered();
    check(world.accept("f", "L1-O1", vec![launch([task("t", "a")])]), "");
    check(world.says("a", "t", 1, TaskState::Running), "stream 1 update t TASK_RUNNING !");
    world.ack("f", "t");
    world
}

pub fn refused(world: &mut World, framework: &str, principal: &str, call: FrameworkCall) -> Option<Refusal> {
    let command =
        Command::Framework { framework: Some(framework.into()), principal: Principal::from(principal), call };
    let outcome = world.kernel.apply(world.now, command);
    outcome.answer.and_then(Result::err)
}

pub fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| RoleName::from(*name)).collect()
}
