//! A node on a stage: inputs with short names, outputs as short lines.
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own part")]

use hansa_link::{ToAgent, ToAgentBody, ToMasterBody};
use hansa_model::app::{CheckPort, HealthCheck, Probe};
use hansa_model::framework::Raw;
use hansa_model::resources::{Allocation, Demand, MIB, PortDemand};
use hansa_model::spec::{Command, GroupSpec, Launch, TaskSpec};
use hansa_model::task::{Exit, TaskStatus};
use hansa_model::{AgentId, BootId, ClusterId, InstanceId, Owner, RoleName, SpecId, TaskId, Term, Timestamp};
use hansa_node::{
    Config, ExecutorEvent, Found, Furnishings, Input, Node, Output, ProbeOutcome, ProbeTarget, Record, Saved,
};
use std::collections::BTreeMap;

/// A group of one task `<name>` with grace 3 s, one port and the given checks.
pub fn launch(name: &str, checks: Vec<HealthCheck>) -> Launch {
    let task = TaskSpec {
        name: "_app".into(),
        command: Command::Shell("sleep 100".into()),
        demand: Demand { cpus_milli: 100, mem: 32 * MIB, ports: vec![PortDemand::Any], ..Demand::default() },
        kill_grace_ms: 3_000,
        health_checks: checks,
        ..TaskSpec::default()
    };
    Launch {
        instance: InstanceId::from(name),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        group: GroupSpec { tasks: vec![task], ..GroupSpec::default() }.into(),
        tasks: vec![task_of(name)],
        allocation: Allocation {
            cpus_milli: 100,
            mem: 32 * MIB,
            ports: vec![31_000],
            ..Allocation::default()
        },
        framework: None,
    }
}

/// The id of a group's task.
pub fn task_of(name: &str) -> TaskId {
    TaskId::from(format!("{name}.1"))
}

/// A TCP check every second without grace that kills after 2 failures.
pub fn tcp_check() -> HealthCheck {
    HealthCheck {
        protocol: "TCP".into(),
        probe: Probe::Tcp,
        port: Some(CheckPort::Index(0)),
        grace_ms: 0,
        interval_ms: 1_000,
        timeout_ms: 400,
        max_consecutive_failures: 2,
        delay_ms: 500,
        ip_protocol: "IPv4".into(),
    }
}

/// A configuration in boot `boot`, with a stop deadline of 10 s.
pub fn config(boot: &str) -> Config {
    let mut config = Config::new(AgentId::from("a1"), BootId::from(boot), "node-1");
    config.sandboxes = "/s".into();
    config.timing.stop_deadline_ms = Some(10_000);
    config.usage_ms = 1_000_000_000;
    config
}

/// Short names for what a master says.
pub fn launch_message(launch: Launch) -> ToAgentBody {
    ToAgentBody::Launch { agent: AgentId::from("a1"), boot: BootId::from("b1"), launch: Box::new(launch) }
}

pub fn kill(name: &str, grace_ms: Option<u64>) -> ToAgentBody {
    ToAgentBody::Kill {
        instance: InstanceId::from(name),
        tasks: vec![task_of(name)],
        grace_ms,
        message: "scaled down".into(),
    }
}

pub fn acknowledge(name: &str, sequence: u64) -> ToAgentBody {
    ToAgentBody::Acknowledge { task: task_of(name), sequence }
}

pub fn release(name: &str) -> ToAgentBody {
    ToAgentBody::Release { instance: InstanceId::from(name) }
}

pub fn started(name: &str) -> Input {
    Input::Started { instance: InstanceId::from(name), addresses: Vec::new() }
}

pub fn exited(name: &str, exit: Exit) -> Input {
    Input::Exited { instance: InstanceId::from(name), exit, limitation: None, message: String::new() }
}

pub fn probed(name: &str, number: u64, up: bool) -> Input {
    let outcome =
        if up { ProbeOutcome::Healthy } else { ProbeOutcome::Unhealthy { cause: "refused".into() } };
    Input::Probed { instance: InstanceId::from(name), check: 0, number, outcome }
}

/// A node, its clock, and the records it has asked to store.
pub struct Stage {
    pub node: Node,
    pub now: Timestamp,
    pub stored: Vec<Record>,
    pub stream: u64,
}

impl Stage {
    /// A node that never ran.
    pub fn new() -> Self {
        Self::resume("b1", Vec::new(), BTreeMap::new(), Timestamp(0)).0
    }

    /// A node that continues; with what it does first.
    pub fn resume(
        boot: &str,
        stored: Vec<Record>,
        found: BTreeMap<InstanceId, Found>,
        now: Timestamp,
    ) -> (Self, String) {
        let mut saved = Saved::default();
        // Through text, as from a disk.
        for record in &stored {
            let line = serde_json::to_string(record).unwrap();
            saved.apply(&serde_json::from_str(&line).unwrap());
        }
        let (node, first) = Node::restore(config(boot), saved, found, now);
        let mut stage = Self { node, now, stored, stream: 0 };
        let shown = stage.show(first);
        (stage, shown)
    }

    /// The agent process dies and comes back.
    pub fn restart(self, boot: &str, found: &[(&str, Found)]) -> (Self, String) {
        let found = found.iter().map(|(name, found)| (InstanceId::from(*name), found.clone())).collect();
        Self::resume(boot, self.stored, found, self.now)
    }

    /// One input now; outputs as lines.
    pub fn input(&mut self, input: Input) -> String {
        let outputs = self.node.apply(self.now, input);
        self.show(outputs)
    }

    /// The master says something on the present stream.
    pub fn hear(&mut self, body: ToAgentBody) -> String {
        let message = ToAgent { cluster: ClusterId::from("c"), term: Term(1), body };
        self.input(Input::Message { stream: self.stream, message })
    }

    /// Connects and is welcomed; gives the hello's groups.
    pub fn connect(&mut self) -> String {
        let mut shown = self.input(Input::Tick);
        while !shown.contains("open") {
            self.now = self.node.next_deadline().unwrap();
            shown = self.input(Input::Tick);
        }
        let hello = self.input(Input::Connected { stream: self.stream });
        // A day between heartbeats keeps them out of the stories.
        self.hear(ToAgentBody::Welcome { heartbeat_ms: 60_000 });
        hello
    }

    /// The stream breaks.
    pub fn disconnect(&mut self) {
        self.input(Input::Disconnected { stream: self.stream, reason: "reset".into() });
    }

    /// Lets time pass, waking the node when it wants; outputs as lines with their times.
    pub fn wait(&mut self, ms: u64) -> String {
        let end = self.now + ms;
        let mut shown = String::new();
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let lines = self.input(Input::Tick);
            for line in lines.lines() {
                shown += &format!("{} {line}\n", self.now.0);
            }
        }
        self.now = end;
        shown
    }

    fn show(&mut self, outputs: Vec<Output>) -> String {
        let mut shown = String::new();
        for output in outputs {
            let line = match output {
                // Each process begins so; no story is about it.
                Output::Persist(record @ Record::Began { .. }) => {
                    self.stored.push(record);
                    continue;
                }
                Output::Persist(record) => {
                    let line = show_record(&record);
                    self.stored.push(record);
                    line
                }
                Output::StartGroup(plan) => {
                    format!("start {} {:?}", plan.instance, plan.deadline.map(|at| at.0))
                }
                Output::StopGroup { instance, grace_ms } => format!("stop {instance} in {grace_ms}"),
                Output::KillGroup { instance } => format!("kill {instance}"),
                Output::CleanUp { instance } => format!("clean up {instance}"),
                Output::ResizeGroup { instance, limits } => {
                    format!("resize {instance} to {} cpus, {} MiB", limits.cpus_milli, limits.mem / MIB)
                }
                Output::FurnishGroup { instance, has, loses } => {
                    let words = |things: &Furnishings| {
                        let words: Vec<_> = things.things().map(|thing| thing.to_string()).collect();
                        if words.is_empty() { "nothing".into() } else { words.join(", ") }
                    };
                    let line = format!("furnish {instance} with {}", words(&has));
                    if loses.is_empty() { line } else { format!("{line}, without {}", words(&loses)) }
                }
                Output::ToExecutor { container, stream, event } => {
                    format!("tell {container}@{stream} {}", show_event(&event))
                }
                Output::RemoveVolume { role, id, source } => match source {
                    Some(source) => format!("remove volume {role}/{id} on the {source}"),
                    None => format!("remove volume {role}/{id}"),
                },
                Output::RemoveSandbox { task } => format!("remove sandbox {task}"),
                Output::RunProbe(order) => match &order.target {
                    ProbeTarget::Tcp { host, port } => {
                        format!("probe {} #{} tcp {host}:{port}", order.instance, order.number)
                    }
                    other => format!("probe {} #{} {other:?}", order.instance, order.number),
                },
                Output::SampleUsage => "sample usage".into(),
                Output::ExtendDeadline { until } => format!("extend to {}", until.0),
                Output::Open { stream } => {
                    self.stream = stream;
                    format!("open {stream}")
                }
                Output::Close { stream } => format!("close {stream}"),
                Output::Warn(text) => format!("warn: {text}"),
                Output::Send { message, .. } => match message.body {
                    ToMasterBody::Update(status) => format!("send {}", show_status(&status)),
                    ToMasterBody::Hello(hello) => {
                        let mut line = "send hello".to_owned();
                        for group in hello.groups {
                            line += &format!(" [{}:", group.launch.instance);
                            for status in group.statuses {
                                line += &format!(" is {}", status.state);
                            }
                            for status in group.unacknowledged {
                                line += &format!(", #{} {}", status.sequence, status.state);
                            }
                            line += "]";
                        }
                        for executor in hello.executors {
                            line += &format!(" executor {}", executor.run.container);
                        }
                        for (role, id) in hello.volumes {
                            line += &format!(" volume {role}/{id}");
                        }
                        line
                    }
                    ToMasterBody::ExecutorEnded { executor, container, wait_status, .. } => {
                        format!("send ended {executor} {container} {wait_status}")
                    }
                    ToMasterBody::FromExecutor { executor, data, .. } => {
                        format!("send from {executor} {data:?}")
                    }
                    ToMasterBody::Released { instance } => format!("send released {instance}"),
                    other => format!("send {other:?}"),
                },
            };
            shown += &line;
            shown.push('\n');
        }
        shown
    }
}

fn show_record(record: &Record) -> String {
    match record {
        Record::Identity { cluster, term } => format!("store identity {cluster} {term}"),
        Record::Began { process } => format!("store process {process}"),
        Record::Group(group) => format!("store group {}", group.launch.instance),
        Record::Status(status) => format!("store #{} {}", status.sequence, status.state),
        Record::Acknowledged { instance, sequence, .. } => {
            format!("store acknowledged {instance} #{sequence}")
        }
        Record::Killing { instance, kill } => format!("store killing {instance} by {}", kill.until.0),
        Record::Delivered { instance } => format!("store delivered {instance}"),
        Record::Executor(held) => {
            let mut line = format!("store executor {}", held.run.container);
            for (is, word) in [
                (held.running_since.is_some(), " running"),
                (held.registered, " registered"),
                (held.ending.is_some(), " ending"),
            ] {
                line += if is { word } else { "" };
            }
            line
        }
        Record::ExecutorEnded { container, .. } => format!("store ended {container}"),
        Record::Volume { role, id, .. } => format!("store volume {role}/{id}"),
        Record::VolumeRemoved { role, id } => format!("store volume removed {role}/{id}"),
        Record::Released(released) => format!("store released {}", released.instance),
        Record::SandboxRemoved { instance } => format!("store sandbox removed {instance}"),
        Record::Forgotten { instance } => format!("store forgotten {instance}"),
    }
}

fn show_event(event: &ExecutorEvent) -> String {
    let text = |raw: &Raw| String::from_utf8_lossy(raw.bytes()).into_owned();
    match event {
        ExecutorEvent::Subscribed => "subscribed".into(),
        ExecutorEvent::Launch { task } => format!("launch {}", text(task)),
        ExecutorEvent::LaunchGroup { tasks } => {
            format!("launch group {}", tasks.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        ExecutorEvent::Kill { task, grace_ms } => format!("kill {task} {grace_ms:?}"),
        ExecutorEvent::Acknowledged { task, uuid } => format!("acknowledged {task} {uuid}"),
        ExecutorEvent::Message(data) => format!("message {}", text(data)),
        ExecutorEvent::Shutdown => "shutdown".into(),
    }
}

fn show_status(status: &TaskStatus) -> String {
    let mut line = format!("#{} {}", status.sequence, status.state);
    if let Some(reason) = status.reason {
        line += &format!(" {}", reason.name());
    }
    if let Some(healthy) = status.healthy {
        line += if healthy { " healthy" } else { " unhealthy" };
        if let Some(first) = status.health.first() {
            line += &format!("({})", first.consecutive_failures);
        }
    }
    if !status.message.is_empty() {
        line += &format!(" '{}'", status.message);
    }
    line
}

/// Lines, compared without their indentation.
#[track_caller]
pub fn check(actual: &str, expected: &str) {
    let lines: Vec<_> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(actual.trim(), lines.join("\n"), "\n--- got ---\n{actual}");
}
