//! A whole small cluster under faults: honest agents that lose streams, boots and messages; a scheduler that wants each of
//! its slots to run once; a master that is replaced in the middle. Nothing ever runs twice, and once the faults stop,
//! everything converges.

use crate::world::*;
use hansa_kernel::{Command, Effect, Kernel, Outcome, Record, Settings};
use hansa_model::agent::{GroupReport, Hello};
use hansa_model::scheduler::{Answer, Call, Claim, Notice, Placement};
use hansa_model::spec::Launch;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, BootId, InstanceId, Owner, Principal, SpecId, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const AGENTS: usize = 4;
const SLOTS: usize = 6;

/// What an agent keeps on its disk about a group.
#[derive(Clone)]
struct Held {
    launch: Launch,
    boot: u32,
    sequence: u64,
    state: TaskState,
    waiting: VecDeque<TaskStatus>,
}

/// An agent: what it keeps, and its stream.
#[derive(Default)]
struct Agent {
    boot: u32,
    held: BTreeMap<InstanceId, Held>,
    released: BTreeSet<InstanceId>,
    /// The stream, in both directions; None: it is broken.
    stream: Option<(VecDeque<Command>, VecDeque<Effect>)>,
}

impl Agent {
    fn say(&mut self, instance: &InstanceId, state: TaskState) {
        let Some(held) = self.held.get_mut(instance) else { return };
        if !held.state.may_become(state) || held.state == state {
            return;
        }
        held.state = state;
        held.sequence += 1;
        let task = held.launch.tasks[0].clone();
        let status = TaskStatus::new(task, instance.clone(), held.sequence, state, Timestamp(held.sequence));
        held.waiting.push_back(status.clone());
        self.send(|agent| Command::Update { agent, status }, None);
    }

    fn send(&mut self, command: impl FnOnce(AgentId) -> Command, id: Option<AgentId>) {
        if let Some((up, _)) = &mut self.stream {
            up.push_back(command(id.unwrap_or_else(|| "".into())));
        }
    }
}

struct Fleet {
    kernel: Kernel,
    now: Timestamp,
    store: BTreeMap<String, Record>,
    agents: Vec<Agent>,
    spec: SpecId,
    /// For each slot, the instance that is meant to run; a lost one is replaced.
    slots: Vec<Option<InstanceId>>,
    names: u64,
    /// Instances that their scheduler gave up or saw ended.
    over: BTreeSet<InstanceId>,
    trace: Vec<String>,
}

fn id(at: usize) -> AgentId {
    format!("a{at}").into()
}

fn slot_of(instance: &InstanceId) -> usize {
    instance.as_str().split('-').next().and_then(|slot| slot.parse().ok()).unwrap_or(usize::MAX)
}

impl Fleet {
    fn new() -> Self {
        let mut fleet = Self {
            kernel: Kernel::new(Settings::default()),
            now: Timestamp(1_000_000),
            store: BTreeMap::new(),
            agents: (0..AGENTS).map(|_| Agent::default()).collect(),
            spec: SpecId(0),
            slots: vec![None; SLOTS],
            names: 0,
            over: BTreeSet::new(),
            trace: Vec::new(),
        };
        fleet.register();
        fleet
    }

    fn register(&mut self) {
        let call = Call::RegisterSpec { group: Arc::new(cpus(1500)) };
        if let Some(Ok(Answer::Spec(spec))) = self.call(call) {
            self.spec = spec;
        }
    }

    fn call(&mut self, call: Call) -> Option<Result<Answer, hansa_kernel::Refusal>> {
        let command = Command::Call { owner: Owner::services(), principal: Principal::loopback(), call };
        let outcome = self.kernel.apply(self.now, command);
        self.took(outcome)
    }

    fn took(&mut self, outcome: Outcome) -> Option<Result<Answer, hansa_kernel::Refusal>> {
        for record in outcome.records {
            match record {
                Record::DeleteAgent(_)
                | Record::DeleteSpec(_)
                | Record::DeleteAssignment(_)
                | Record::DeleteGivenUp(_)
                | Record::DeleteRole(_)
                | Record::DeleteFramework(_) => {
                    self.store.remove(&key(&record));
                }
                put => {
                    self.store.insert(key(&put), put);
                }
            }
        }
        for effect in outcome.effects {
            let to = match &effect {
                Effect::Launch { agent, .. }
                | Effect::Kill { agent, .. }
                | Effect::Acknowledge { agent, .. }
                | Effect::Release { agent, .. }
                | Effect::ShutdownExecutor { agent, .. }
                | Effect::ToExecutor { agent, .. }
                | Effect::RemoveVolume { agent, .. }
                | Effect::Refuse { agent, .. } => agent.clone(),
            };
            let at = (0..AGENTS).find(|&at| id(at) == to).expect("effects are for agents that exist");
            match (&effect, &mut self.agents[at].stream) {
                (Effect::Refuse { .. }, _) => self.break_stream(at),
                (_, Some((_, down))) => down.push_back(effect),
                (_, None) => {}
            }
        }
        self.kernel.check();
        for (_, notice) in outcome.notices {
            match notice {
                Notice::Unreachable { instance, .. } => {
                    let call = Call::GiveUp { instance: instance.clone() };
                    self.call(call);
                    self.ended(&instance);
                }
                Notice::Status(status) if status.state.is_terminal() => self.ended(&status.instance),
                Notice::Placed(placed) => {
                    let slot = slot_of(&placed.instance);
                    if self.slots[slot].as_ref() != Some(&placed.instance) {
                        self.call(Call::Kill {
                            instance: placed.instance.clone(),
                            grace_ms: None,
                            message: String::new(),
                        });
                    }
                }
                _ => {}
            }
        }
        outcome.answer
    }

    fn ended(&mut self, instance: &InstanceId) {
        self.over.insert(instance.clone());
        let slot = &mut self.slots[slot_of(instance)];
        if slot.as_ref() == Some(instance) {
            *slot = None;
        }
    }

    /// The scheduler claims places for slots that are empty.
    fn schedule(&mut self) {
        for slot in 0..SLOTS {
            if self.slots[slot].is_some() {
                continue;
            }
            let demand = cpus(1500).demand();
            let place = self.kernel.cluster().nodes().find_map(|node| {
                let active = node.state == hansa_model::event::AgentState::Active;
                Some((node.id.clone(), node.free.pick(&demand).ok().filter(|_| active)?))
            });
            let Some((agent, allocation)) = place else { return };
            self.names += 1;
            let instance = InstanceId::from(format!("{slot}-{}", self.names));
            let placement = Placement {
                instance: instance.clone(),
                tasks: vec![format!("{instance}.t").into()],
                spec: self.spec,
                agent,
                allocation,
            };
            let claim = Claim {
                owner: Owner::services(),
                role: "*".into(),
                principal: Principal::loopback(),
                gang: false,
                constraints: vec![],
                placements: vec![placement],
            };
            self.slots[slot] = Some(instance);
            let answer = self.call(Call::Claim(claim));
            assert_eq!(answer, Some(Ok(Answer::Claim(vec![Ok(())]))), "what is free can be claimed");
        }
    }

    fn break_stream(&mut self, at: usize) {
        self.agents[at].stream = None;
    }

    /// The stream of an agent breaks, and the master notices.
    fn disconnect(&mut self, at: usize) {
        if self.agents[at].stream.take().is_some() {
            self.apply(Command::AgentDisconnected { agent: id(at) });
        }
    }

    fn connect(&mut self, at: usize) {
        self.disconnect(at);
        let agent = &mut self.agents[at];
        agent.stream = Some(Default::default());
        let groups = agent
            .held
            .values()
            .map(|held| GroupReport {
                launch: held.launch.clone(),
                statuses: vec![TaskStatus::new(
                    held.launch.tasks[0].clone(),
                    held.launch.instance.clone(),
                    held.sequence,
                    held.state,
                    Timestamp(held.sequence),
                )],
                unacknowledged: held.waiting.iter().cloned().collect(),
            })
            .collect();
        let hello = Hello {
            agent: Some(id(at)),
            boot: Some(format!("b{}", agent.boot).into()),
            hostname: format!("host{at}"),
            resources: "cpus:4;mem:4096".parse().unwrap(),
            groups,
            ..Hello::default()
        };
        self.send_up(at, Command::AgentConnected { hello: Box::new(hello) });
    }

    fn send_up(&mut self, at: usize, command: Command) {
        if let Some((up, _)) = &mut self.agents[at].stream {
            up.push_back(command);
        }
    }

    /// The machine boots: every task on it ends.
    fn boot(&mut self, at: usize) {
        self.disconnect(at);
        self.agents[at].boot += 1;
        let lost: Vec<_> = self.agents[at].held.keys().cloned().collect();
        for instance in lost {
            self.agents[at].say(&instance, TaskState::Failed);
        }
    }

    fn apply(&mut self, command: Command) {
        let outcome = self.kernel.apply(self.now, command);
        self.took(outcome);
    }

    /// The master hears the next thing that an agent said.
    fn hear(&mut self, at: usize) -> bool {
        let Some(command) = self.agents[at].stream.as_mut().and_then(|(up, _)| up.pop_front()) else {
            return false;
        };
        let command = match command {
            Command::Update { status, .. } => Command::Update { agent: id(at), status },
            Command::AgentReleased { instance, .. } => Command::AgentReleased { agent: id(at), instance },
            other => other,
        };
        self.apply(command);
        true
    }

    /// An agent obeys the next order.
    fn obey(&mut self, at: usize) -> bool {
        let Some(effect) = self.agents[at].stream.as_mut().and_then(|(_, down)| down.pop_front()) else {
            return false;
        };
        let agent = &mut self.agents[at];
        match effect {
            Effect::Launch { agent: to, boot, launch } => {
                assert_eq!(to, id(at));
                let instance = launch.instance.clone();
                if boot != BootId::from(format!("b{}", agent.boot)) || agent.held.contains_key(&instance) {
                    return true;
                }
                if agent.released.contains(&instance) {
                    agent.send(|agent| Command::AgentReleased { agent, instance }, None);
                    return true;
                }
                let held = Held {
                    launch: *launch,
                    boot: agent.boot,
                    sequence: 0,
                    state: TaskState::Staging,
                    waiting: VecDeque::new(),
                };
                agent.held.insert(instance.clone(), held);
                agent.say(&instance, TaskState::Running);
                self.never_twice(&instance);
            }
            Effect::Kill { instance, tasks, .. } => {
                if agent.held.contains_key(&instance) {
                    agent.say(&instance, TaskState::Killed);
                } else {
                    let status =
                        TaskStatus::new(tasks[0].clone(), instance, 9_000_000, TaskState::Gone, Timestamp(0));
                    agent.send(|agent| Command::Update { agent, status }, None);
                }
            }
            Effect::Acknowledge { task, sequence, .. } => {
                for held in agent.held.values_mut().filter(|held| held.launch.tasks[0] == task) {
                    held.waiting.retain(|status| status.sequence > sequence);
                }
            }
            Effect::Release { instance, .. } => {
                if let Some(held) = agent.held.remove(&instance) {
                    assert!(held.state.is_terminal(), "{instance} was released while it ran");
                    agent.released.insert(instance.clone());
                    agent.send(|agent| Command::AgentReleased { agent, instance }, None);
                }
            }
            // No frameworks here.
            Effect::ShutdownExecutor { .. } | Effect::ToExecutor { .. } | Effect::RemoveVolume { .. } => {}
            Effect::Refuse { .. } => {}
        }
        true
    }

    /// Of a slot, two run at once only if the scheduler has given up the one, or saw it end.
    fn never_twice(&self, instance: &InstanceId) {
        let slot = slot_of(instance);
        let live: Vec<_> = self
            .agents
            .iter()
            .flat_map(|agent| agent.held.values().filter(|held| held.boot == agent.boot))
            .filter(|held| !held.state.is_terminal())
            .map(|held| held.launch.instance.clone())
            .filter(|live| slot_of(live) == slot && !self.over.contains(live))
            .collect();
        assert!(live.len() <= 1, "slot {slot} runs twice: {live:?}\n{}", self.trace.join("\n"));
    }

    fn new_leader(&mut self) {
        for at in 0..AGENTS {
            self.agents[at].stream = None;
        }
        self.kernel = Kernel::new(Settings::default());
        let records = self.store.values().cloned().collect();
        let outcome = self.kernel.restore(self.now, records);
        self.took(outcome);
        self.register();
    }

    fn tick_until(&mut self, until: Timestamp) {
        while let Some(at) = self.kernel.next_deadline().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.apply(Command::Tick);
        }
        self.now = until;
    }

    fn heartbeats(&mut self) {
        for at in 0..AGENTS {
            self.send_up(at, Command::AgentContact { agent: id(at) });
        }
    }

    /// No more faults: everybody connects, everything is delivered.
    fn settle(&mut self) {
        for _ in 0..60 {
            for at in 0..AGENTS {
                if self.agents[at].stream.is_none() {
                    self.connect(at);
                }
            }
            self.heartbeats();
            for _ in 0..200 {
                for at in 0..AGENTS {
                    while self.hear(at) {}
                    while self.obey(at) {}
                }
            }
            self.schedule();
            self.tick_until(self.now + 1000);
        }
    }
}

#[derive(Clone, Debug)]
enum Fault {
    Connect(usize),
    Disconnect(usize),
    Boot(usize),
    Hear(usize, usize),
    Obey(usize, usize),
    End(usize, usize),
    Kill(usize),
    Pass(u64),
    Schedule,
    Heartbeats,
    NewLeader,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => (0..AGENTS).prop_map(Fault::Connect),
        3 => (0..AGENTS).prop_map(Fault::Disconnect),
        1 => (0..AGENTS).prop_map(Fault::Boot),
        10 => (0..AGENTS, 1..6usize).prop_map(|(at, count)| Fault::Hear(at, count)),
        10 => (0..AGENTS, 1..6usize).prop_map(|(at, count)| Fault::Obey(at, count)),
        2 => (0..AGENTS, 0..4usize).prop_map(|(at, which)| Fault::End(at, which)),
        2 => (0..SLOTS).prop_map(Fault::Kill),
        4 => (0..4000u64).prop_map(Fault::Pass),
        5 => Just(Fault::Schedule),
        3 => Just(Fault::Heartbeats),
        1 => Just(Fault::NewLeader),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fleet_converges(faults in prop::collection::vec(fault(), 1..200)) {
        let mut fleet = Fleet::new();
        for fault in faults {
            fleet.trace.push(format!("{fault:?}"));
            match fault {
                Fault::Connect(at) => fleet.connect(at),
                Fault::Disconnect(at) => fleet.disconnect(at),
                Fault::Boot(at) => fleet.boot(at),
                Fault::Hear(at, count) => for _ in 0..count { fleet.hear(at); },
                Fault::Obey(at, count) => for _ in 0..count { fleet.obey(at); },
                Fault::End(at, which) => {
                    let instance = fleet.agents[at].held.keys().nth(which).cloned();
                    if let Some(instance) = instance {
                        fleet.agents[at].say(&instance, TaskState::Failed);
                    }
                }
                Fault::Kill(slot) => if let Some(instance) = fleet.slots[slot].clone() {
                    fleet.call(Call::Kill { instance, grace_ms: None, message: String::new() });
                },
                Fault::Pass(ms) => fleet.tick_until(fleet.now + ms),
                Fault::Schedule => fleet.schedule(),
                Fault::Heartbeats => fleet.heartbeats(),
                Fault::NewLeader => fleet.new_leader(),
            }
        }
        fleet.settle();
        let running: BTreeSet<InstanceId> = fleet
            .agents
            .iter()
            .flat_map(|agent| agent.held.values())
            .filter(|held| !held.state.is_terminal())
            .map(|held| held.launch.instance.clone())
            .collect();
        let wanted: BTreeSet<InstanceId> = fleet.slots.iter().flatten().cloned().collect();
        prop_assert_eq!(wanted.len(), SLOTS, "every slot runs");
        prop_assert_eq!(running, wanted, "and nothing else does");
        let ended = fleet.agents.iter().flat_map(|agent| agent.held.values()).filter(|held| held.state.is_terminal());
        prop_assert_eq!(ended.count(), 0, "what has ended is released");
        let leftovers = fleet.store.keys().filter(|key| key.starts_with("given up")).count();
        prop_assert_eq!(leftovers, 0, "what was given up is dealt with");
    }
}
