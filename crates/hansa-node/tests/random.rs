//! Random lives: a master that repeats itself, a network that loses, doubles and cuts, a machine with shims that start, fail
//! and end, and an agent process that dies between any two of its outputs.
//!
//! What must hold whatever happens: a group is started at most once in a boot; never after its release; never two launches'
//! worth of processes; and once the faults stop, every group ends as the master wants and the master learns how.

use hansa_link::{ToAgent, ToAgentBody, ToMasterBody};
use hansa_model::agent::Hello;
use hansa_model::app::{CheckPort, HealthCheck, Probe};
use hansa_model::resources::Allocation;
use hansa_model::spec::{Command, GroupSpec, Launch, TaskSpec};
use hansa_model::task::{Exit, TaskState, TaskStatus};
use hansa_model::{AgentId, BootId, ClusterId, InstanceId, Owner, RoleName, SpecId, TaskId, Term, Timestamp};
use hansa_node::{Config, Found, Input, Node, Output, ProbeOutcome, Record, Saved};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const GROUPS: usize = 4;

/// What happens next; the numbers choose among what is possible.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Wait(u16),
    /// The master wants a group to run: says so (again).
    Launch(u8),
    /// The master wants a group to end.
    Kill(u8),
    /// A message on its way arrives, is lost, or arrives and stays to arrive again.
    ToAgent(Fate),
    ToMaster(Fate),
    /// A shim does what it may: says that it runs, fails, ends.
    Shim(u8, u8),
    /// A shim dies without a word.
    ShimDies(u8),
    /// A probe is answered.
    Probe(bool),
    /// The stream is cut.
    Cut,
    /// The agent process dies after so many more outputs, and comes back.
    Die(u8),
    /// The machine loses its power.
    Reboot,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 1 => Just(Fate::Twice)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u16..3_000).prop_map(Step::Wait),
        4 => any::<u8>().prop_map(Step::Launch),
        2 => any::<u8>().prop_map(Step::Kill),
        8 => fate().prop_map(Step::ToAgent),
        8 => fate().prop_map(Step::ToMaster),
        5 => (any::<u8>(), any::<u8>()).prop_map(|(which, what)| Step::Shim(which, what)),
        1 => any::<u8>().prop_map(Step::ShimDies),
        2 => any::<bool>().prop_map(Step::Probe),
        1 => Just(Step::Cut),
        2 => (0u8..8).prop_map(Step::Die),
        1 => Just(Step::Reboot),
    ]
}

fn name(at: usize) -> InstanceId {
    InstanceId::from(format!("g{at}"))
}

fn launch(at: usize) -> Launch {
    let check = HealthCheck {
        protocol: "TCP".into(),
        probe: Probe::Tcp,
        port: Some(CheckPort::Number(80)),
        grace_ms: 0,
        interval_ms: 500,
        timeout_ms: 200,
        max_consecutive_failures: 3,
        delay_ms: 0,
        ip_protocol: "IPv4".into(),
    };
    let checks = if at == 0 { vec![check] } else { Vec::new() };
    let command = Command::Shell("x".into());
    let task = TaskSpec { command, kill_grace_ms: 1_000, health_checks: checks, ..TaskSpec::default() };
    Launch {
        instance: name(at),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        group: GroupSpec { tasks: vec![task], ..GroupSpec::default() }.into(),
        tasks: vec![TaskId::from(format!("g{at}.1"))],
        allocation: Allocation::default(),
        framework: None,
    }
}

/// A shim, as the machine has it.
#[derive(Clone, Debug, PartialEq)]
enum Shim {
    Starting {
        stop: bool,
    },
    Running,
    /// Ended; its record is there until cleaned up.
    Ended(Exit),
    Failed,
}

/// What the master believes of a group.
#[derive(Clone, Debug, Default)]
struct Belief {
    wanted: bool,
    to_be_killed: bool,
    /// The boot that its launches are bound to.
    boot: Option<BootId>,
    newest: Option<(u64, TaskState)>,
    ended: Option<TaskState>,
    released: bool,
}

struct World {
    now: Timestamp,
    boots: u32,
    /// None: the process is dead (only within a step).
    node: Option<Node>,
    /// Outputs until the process dies.
    dies_after: Option<u8>,
    journal: Vec<Record>,
    shims: BTreeMap<InstanceId, Shim>,
    /// Starts of each group in the present boot, and ever.
    starts: BTreeMap<InstanceId, (u32, u32)>,
    probes: VecDeque<(InstanceId, usize, u64)>,
    /// The stream that stands, the one being opened.
    stream: Option<u64>,
    opening: Option<u64>,
    to_agent: VecDeque<ToAgentBody>,
    to_master: VecDeque<ToMasterBody>,
    beliefs: Vec<Belief>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Timestamp(0),
            boots: 1,
            node: None,
            dies_after: None,
            journal: Vec::new(),
            shims: BTreeMap::new(),
            starts: BTreeMap::new(),
            probes: VecDeque::new(),
            stream: None,
            opening: None,
            to_agent: VecDeque::new(),
            to_master: VecDeque::new(),
            beliefs: vec![Belief::default(); GROUPS],
        };
        world.restart();
        world
    }

    fn boot(&self) -> BootId {
        BootId::from(format!("b{}", self.boots))
    }

    /// A new agent process; dies again as often as it is told to.
    fn restart(&mut self) {
        while self.node.is_none() {
            self.stream = None;
            self.opening = None;
            self.to_agent.clear();
            self.to_master.clear();
            self.probes.clear();
            let mut saved = Saved::default();
            self.journal.iter().for_each(|record| saved.apply(record));
            let found = self
                .shims
                .iter()
                .map(|(instance, shim)| {
                    let found = match shim {
                        Shim::Starting { .. } => Found::Starting,
                        Shim::Running => Found::Running { addresses: Vec::new() },
                        Shim::Ended(exit) => {
                            Found::Exited { exit: *exit, limitation: None, message: String::new() }
                        }
                        Shim::Failed => Found::LaunchFailed { message: "no".into() },
                    };
                    (instance.clone(), found)
                })
                .collect();
            let mut config = Config::new(AgentId::from("a1"), self.boot(), "n");
            config.timing.stop_deadline_ms = Some(5_000);
            config.keep_released = GROUPS;
            let (node, first) = Node::restore(config, saved, found, self.now);
            self.node = Some(node);
            self.perform(first);
        }
    }

    fn input(&mut self, input: Input) {
        if let Some(node) = &mut self.node {
            let outputs = node.apply(self.now, input);
            self.perform(outputs);
        }
        self.restart();
    }

    /// Performs outputs as a shell does: those of a batch that are to be stored first. Dies where it is told to.
    fn perform(&mut self, outputs: Vec<Output>) {
        let (records, others): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| matches!(output, Output::Persist(_)));
        for output in records.into_iter().chain(others) {
            if self.dies_after == Some(0) {
                self.dies_after = None;
                self.node = None;
                return;
            }
            self.dies_after = self.dies_after.map(|left| left - 1);
            self.perform_one(output);
        }
    }

    fn perform_one(&mut self, output: Output) {
        match output {
            Output::Persist(record) => self.journal.push(record),
            Output::StartGroup(plan) => {
                assert!(self.journal.iter().any(
                    |record| matches!(record, Record::Group(group) if group.launch.instance == plan.instance)
                ));
                let starts = self.starts.entry(plan.instance.clone()).or_default();
                starts.0 += 1;
                starts.1 += 1;
                assert!(starts.0 == 1, "{} started twice in a boot", plan.instance);
                assert!(starts.1 == 1, "{} started in two boots", plan.instance);
                let before = self.shims.insert(plan.instance.clone(), Shim::Starting { stop: false });
                assert_eq!(before, None, "{}", plan.instance);
            }
            Output::StopGroup { instance, .. } | Output::KillGroup { instance } => {
                match self.shims.get_mut(&instance) {
                    Some(Shim::Starting { stop }) => *stop = true,
                    Some(Shim::Running) => self.ends(&instance, Exit::Signal(15)),
                    _ => {}
                }
            }
            Output::CleanUp { instance } => {
                let shim = self.shims.remove(&instance);
                let reported = self.node.as_ref().is_some_and(|node| {
                    node.saved().groups().get(&instance).is_none_or(|group| group.is_terminal())
                });
                assert!(reported, "{instance} cleaned up before its end is stored ({shim:?})");
            }
            Output::RunProbe(order) => {
                self.probes.push_back((order.instance.clone(), order.check, order.number));
            }
            Output::Open { stream } => self.opening = Some(stream),
            Output::Close { stream } => {
                if self.stream == Some(stream) {
                    self.stream = None;
                    self.to_agent.clear();
                }
                self.opening = self.opening.filter(|opening| *opening != stream);
            }
            Output::Send { stream, message } => {
                if self.stream == Some(stream) {
                    if let ToMasterBody::Update(status) = &message.body
                        && status.reason != Some(hansa_model::task::Reason::ReasonTaskUnknown)
                    {
                        let stored =
                            |record: &Record| matches!(record, Record::Status(kept) if **kept == *status);
                        assert!(self.journal.iter().any(stored), "sent before it is stored: {status:?}");
                    }
                    self.to_master.push_back(message.body);
                }
            }
            Output::RemoveSandbox { .. }
            | Output::RemoveVolume { .. }
            | Output::ResizeGroup { .. }
            | Output::FurnishGroup { .. }
            | Output::ToExecutor { .. }
            | Output::SampleUsage
            | Output::ExtendDeadline { .. }
            | Output::Warn(_) => {}
        }
    }

    /// A running shim's container ends; the agent hears of it later (or finds the record).
    fn ends(&mut self, instance: &InstanceId, exit: Exit) {
        self.shims.insert(instance.clone(), Shim::Ended(exit));
    }

    fn say(&mut self, body: ToAgentBody) {
        if self.stream.is_some() {
            self.to_agent.push_back(body);
        }
    }

    fn say_launch(&mut self, at: usize) {
        let belief = &mut self.beliefs[at];
        if belief.ended.is_none() {
            belief.wanted = true;
            let boot = belief.boot.get_or_insert_with(|| BootId::from(format!("b{}", self.boots))).clone();
            self.say(ToAgentBody::Launch { agent: AgentId::from("a1"), boot, launch: Box::new(launch(at)) });
        }
    }

    fn say_kill(&mut self, at: usize) {
        if self.beliefs[at].wanted && self.beliefs[at].ended.is_none() {
            self.beliefs[at].to_be_killed = true;
            self.say(ToAgentBody::Kill {
                instance: name(at),
                tasks: launch(at).tasks,
                grace_ms: None,
                message: "unwanted".into(),
            });
        }
    }

    /// The master takes a message.
    fn master_hears(&mut self, body: ToMasterBody) {
        match body {
            ToMasterBody::Hello(hello) => {
                self.say(ToAgentBody::Welcome { heartbeat_ms: 1_000 });
                self.reconcile(&hello);
            }
            ToMasterBody::Update(status) => {
                self.take(&status);
                self.say(ToAgentBody::Acknowledge { task: status.task.clone(), sequence: status.sequence });
                self.release_if_ended(&status.instance);
            }
            ToMasterBody::Released { instance } => {
                if let Some(at) = (0..GROUPS).find(|at| name(*at) == instance) {
                    self.beliefs[at].released = true;
                }
            }
            ToMasterBody::Heartbeat { number } => self.say(ToAgentBody::HeartbeatSeen { number }),
            ToMasterBody::Usage(_)
            | ToMasterBody::Leaving { .. }
            | ToMasterBody::ExecutorEnded { .. }
            | ToMasterBody::FromExecutor { .. } => {}
        }
    }

    fn release_if_ended(&mut self, instance: &InstanceId) {
        let at = (0..GROUPS).find(|at| name(*at) == *instance);
        if at.is_some_and(|at| self.beliefs[at].ended.is_some()) {
            self.say(ToAgentBody::Release { instance: instance.clone() });
        }
    }

    fn take(&mut self, status: &TaskStatus) {
        let Some(at) = (0..GROUPS).find(|at| name(*at) == status.instance) else { return };
        let belief = &mut self.beliefs[at];
        if belief.newest.is_some_and(|(sequence, _)| sequence >= status.sequence) {
            return;
        }
        if let Some((_, before)) = belief.newest {
            assert!(
                before == status.state || before.may_become(status.state) || before.is_terminal(),
                "{} from {before} to {}",
                status.task,
                status.state
            );
        }
        belief.newest = Some((status.sequence, status.state));
        if status.state.is_terminal() && belief.ended.is_none() {
            belief.ended = Some(status.state);
        }
    }

    /// The full state, as the agent says it; converges whatever was lost.
    fn reconcile(&mut self, hello: &Hello) {
        for report in &hello.groups {
            for status in report.unacknowledged.iter().chain(&report.statuses) {
                self.take(status);
            }
            for status in &report.unacknowledged {
                self.say(ToAgentBody::Acknowledge { task: status.task.clone(), sequence: status.sequence });
            }
            self.release_if_ended(&report.launch.instance);
        }
        for at in 0..GROUPS {
            let held = hello.groups.iter().any(|report| report.launch.instance == name(at));
            let belief = &mut self.beliefs[at];
            let Some(bound_to) = belief.boot.clone() else { continue };
            if held || belief.ended.is_some() {
                continue;
            }
            if Some(&bound_to) == hello.boot.as_ref() {
                // Never arrived, as far as known: again, under the same boot.
                self.say_launch(at);
            } else {
                belief.ended = Some(TaskState::Gone);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => self.wait(u64::from(ms)),
            Step::Launch(which) => self.say_launch(usize::from(which) % GROUPS),
            Step::Kill(which) => self.say_kill(usize::from(which) % GROUPS),
            Step::ToAgent(fate) => {
                if let Some(body) = self.to_agent.pop_front() {
                    if matches!(fate, Fate::Twice) {
                        self.to_agent.push_back(body.clone());
                    }
                    if let (Some(stream), false) = (self.stream, matches!(fate, Fate::Lost)) {
                        let message = ToAgent { cluster: ClusterId::from("c"), term: Term(1), body };
                        self.input(Input::Message { stream, message });
                    }
                }
            }
            Step::ToMaster(fate) => {
                if let Some(body) = self.to_master.pop_front() {
                    if matches!(fate, Fate::Twice) && !matches!(body, ToMasterBody::Hello(_)) {
                        self.to_master.push_back(body.clone());
                    }
                    if !matches!(fate, Fate::Lost) {
                        self.master_hears(body);
                    }
                }
            }
            Step::Shim(which, what) => self.shim(usize::from(which), what),
            Step::ShimDies(which) => {
                let instance = name(usize::from(which) % GROUPS);
                if matches!(self.shims.get(&instance), Some(Shim::Starting { .. } | Shim::Running)) {
                    self.shims.remove(&instance);
                    self.input(Input::ShimGone { instance, message: String::new() });
                }
            }
            Step::Probe(up) => {
                if let Some((instance, check, number)) = self.probes.pop_front() {
                    let outcome = if up {
                        ProbeOutcome::Healthy
                    } else {
                        ProbeOutcome::Unhealthy { cause: "x".into() }
                    };
                    self.input(Input::Probed { instance, check, number, outcome });
                }
            }
            Step::Cut => {
                if let Some(stream) = self.stream.take() {
                    self.to_agent.clear();
                    self.to_master.clear();
                    self.input(Input::Disconnected { stream, reason: "cut".into() });
                }
            }
            Step::Die(after) => self.dies_after = Some(after),
            Step::Reboot => {
                self.boots += 1;
                self.shims.clear();
                for starts in self.starts.values_mut() {
                    starts.0 = 0;
                }
                self.node = None;
                self.restart();
            }
        }
    }

    /// A shim makes its next move, and its agent hears of it.
    fn shim(&mut self, which: usize, what: u8) {
        let Some((instance, shim)) = self
            .shims
            .iter()
            .nth(which % self.shims.len().max(1))
            .map(|(id, shim)| (id.clone(), shim.clone()))
        else {
            return;
        };
        let input = match shim {
            Shim::Starting { stop: true } => {
                self.ends(&instance, Exit::Signal(9));
                Input::Exited { instance, exit: Exit::Signal(9), limitation: None, message: String::new() }
            }
            Shim::Starting { stop: false } if what.is_multiple_of(5) => {
                self.shims.insert(instance.clone(), Shim::Failed);
                Input::LaunchFailed { instance, message: "no".into() }
            }
            Shim::Starting { stop: false } => {
                self.shims.insert(instance.clone(), Shim::Running);
                Input::Started { instance, addresses: Vec::new() }
            }
            Shim::Running if what.is_multiple_of(2) => {
                let exit = Exit::Code(i32::from(what % 3));
                self.ends(&instance, exit);
                Input::Exited { instance, exit, limitation: None, message: String::new() }
            }
            Shim::Running => return,
            // Said again, as a new agent that attaches hears it.
            Shim::Ended(exit) => Input::Exited { instance, exit, limitation: None, message: String::new() },
            Shim::Failed => Input::LaunchFailed { instance, message: "no".into() },
        };
        self.input(input);
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..1_000 {
            self.connect();
            let due = self.node.as_ref().and_then(Node::next_deadline).filter(|at| *at <= end);
            let Some(at) = due else { break };
            self.now = self.now.max(at);
            self.input(Input::Tick);
        }
        self.now = end;
    }

    fn connect(&mut self) {
        if let Some(stream) = self.opening.take() {
            self.stream = Some(stream);
            self.to_agent.clear();
            self.to_master.clear();
            self.input(Input::Connected { stream });
        }
    }

    /// No more faults: everything wanted is said again until it is so.
    fn settle(&mut self) {
        self.dies_after = None;
        for _ in 0..200 {
            for at in 0..GROUPS {
                if self.beliefs[at].wanted {
                    self.say_launch(at);
                    self.say_kill(at);
                }
            }
            self.wait(1_500);
            while !self.to_master.is_empty() || !self.to_agent.is_empty() {
                self.step(Step::ToMaster(Fate::Arrives));
                self.step(Step::ToAgent(Fate::Arrives));
            }
            for which in 0..self.shims.len() {
                self.shim(which, 1);
            }
            for at in 0..GROUPS {
                if self.beliefs[at].ended.is_some() && !self.beliefs[at].released {
                    self.say(ToAgentBody::Release { instance: name(at) });
                }
            }
            if self.beliefs.iter().all(|belief| !belief.wanted || (belief.ended.is_some() && belief.released))
            {
                break;
            }
        }
        for (at, belief) in self.beliefs.iter().enumerate().filter(|(_, belief)| belief.wanted) {
            assert!(belief.ended.is_some(), "nobody learns how group {at} ended: {belief:?}");
            assert!(belief.released, "group {at} is never released: {belief:?}");
            assert!(!self.shims.contains_key(&name(at)), "group {at} still has a shim: {:?}", self.shims);
        }
        let node = self.node.as_ref().expect("a process");
        assert!(node.saved().groups().is_empty(), "{:?}", node.saved().groups().keys());
        let mut saved = Saved::default();
        self.journal.iter().for_each(|record| saved.apply(record));
        assert_eq!(&saved, node.saved(), "what is stored is what is known");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn at_most_one_start_and_every_end_is_learned(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        world.wait(100);
        for step in steps {
            world.step(step);
        }
        world.settle();
    }
}
