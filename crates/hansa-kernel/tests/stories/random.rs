//! Random lives.
//!
//! `nothing_breaks`: any commands at all, sensible or not, in any order, twice, with new leaders in between. After each,
//! `World` checks all invariants, that the store has exactly what the kernel says it must, and that the events fold to the
//! live tasks. A new leader must find the same state, and the same commands must lead to the same outcomes.

use crate::frameworks::{amount, executor, info, launch, open, reserved, task};
use crate::world::*;
use hansa_kernel::{AgentOrder, Command, Record};
use hansa_model::agent::{GroupReport, Hello};
use hansa_model::framework::*;
use hansa_model::resources::{GpuDemand, MIB, PortDemand};
use hansa_model::role::Bound;
use hansa_model::scheduler::{Call, Placement};
use hansa_model::spec::{GroupSpec, Launch, TaskSpec};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{Allocation, Demand, Owner, Principal, SpecId, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Op {
    Hello { agent: u8, boot: u8, name: u8, size: u8, reports: Vec<Report>, launched: Vec<Launched> },
    Framework(u8, Asked),
    Says(Launched),
    ExecutorEnded(u8, u8),
    Operator(u8, u8),
    Disconnect(u8),
    Leaving(u8, u64),
    Contact(u8),
    Update { agent: u8, instance: u8, task: u8, sequence: u64, state: TaskState },
    Released(u8, u8),
    Order(u8, AgentOrder),
    Register(u8),
    Drop(u64),
    Claim { gang: bool, role: u8, placements: Vec<(u8, u8, u64)> },
    Kill(u8, Option<u64>),
    GiveUp(u8),
    Demand(u8, u32),
    Role { name: u8, weight: u64, guarantee: Option<u64>, limit: Option<u64> },
    Pass(u64),
    Jump(u64),
    Restart,
}

/// What an agent says of something that a framework launched.
#[derive(Clone, Debug)]
struct Launched {
    which: u8,
    sequence: u64,
    state: TaskState,
    waiting: bool,
    executor: bool,
}

/// What a framework asks.
#[derive(Clone, Debug)]
enum Asked {
    Subscribe { role: u8, timeout_ms: u64 },
    HangUp,
    Accept { offer: u8, what: u8 },
    Decline { offer: u8, refuse_ms: u64 },
    Acknowledge(u8),
    Kill(u8),
    Reconcile,
    Revive,
    Suppress,
    Shutdown,
    Teardown,
}

#[derive(Clone, Debug)]
struct Report {
    instance: u8,
    spec: u8,
    number: u64,
    states: Vec<(u64, TaskState)>,
    waiting: bool,
}

fn state() -> impl Strategy<Value = TaskState> {
    use TaskState::*;
    select(vec![Starting, Running, Running, Running, Killing, Unreachable, Finished, Failed, Killed, Gone])
}

fn report() -> impl Strategy<Value = Report> {
    (0..8u8, 0..4u8, 1..4u64, prop::collection::vec((0..6u64, state()), 0..3), any::<bool>()).prop_map(
        |(instance, spec, number, states, waiting)| Report { instance, spec, number, states, waiting },
    )
}

fn launched() -> impl Strategy<Value = Launched> {
    (any::<u8>(), 1..7u64, state(), any::<bool>(), any::<bool>()).prop_map(
        |(which, sequence, state, waiting, executor)| Launched { which, sequence, state, waiting, executor },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        6 => (0..3u8, select(vec![0, 5_000, 200_000])).prop_map(|(role, timeout_ms)| Asked::Subscribe { role, timeout_ms }),
        2 => Just(Asked::HangUp),
        12 => (any::<u8>(), 0..12u8).prop_map(|(offer, what)| Asked::Accept { offer, what }),
        2 => (any::<u8>(), 0..9_000u64).prop_map(|(offer, refuse_ms)| Asked::Decline { offer, refuse_ms }),
        6 => any::<u8>().prop_map(Asked::Acknowledge),
        2 => any::<u8>().prop_map(Asked::Kill),
        1 => Just(Asked::Reconcile),
        1 => Just(Asked::Revive),
        1 => Just(Asked::Suppress),
        1 => Just(Asked::Shutdown),
        1 => Just(Asked::Teardown),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let orders = vec![AgentOrder::Deactivate, AgentOrder::Reactivate, AgentOrder::Drain, AgentOrder::Gone];
    prop_oneof![
        8 => (0..5u8, 0..2u8, 0..20u8, 0..6u8, prop::collection::vec(report(), 0..4),
                prop::collection::vec(launched(), 0..3)).prop_map(
            |(agent, boot, name, size, reports, launched)| Op::Hello { agent, boot, name, size, reports, launched }
        ),
        20 => (0..3u8, asked()).prop_map(|(framework, asked)| Op::Framework(framework, asked)),
        8 => launched().prop_map(Op::Says),
        1 => (0..5u8, any::<u8>()).prop_map(|(agent, which)| Op::ExecutorEnded(agent, which)),
        1 => (0..5u8, 0..6u8).prop_map(|(agent, what)| Op::Operator(agent, what)),
        3 => (0..5u8).prop_map(Op::Disconnect),
        1 => (0..5u8, 0..90_000u64).prop_map(|(agent, ms)| Op::Leaving(agent, ms)),
        4 => (0..5u8).prop_map(Op::Contact),
        12 => (0..5u8, 0..8u8, 0..2u8, 0..6u64, state()).prop_map(
            |(agent, instance, task, sequence, state)| Op::Update { agent, instance, task, sequence, state }
        ),
        2 => (0..5u8, 0..8u8).prop_map(|(agent, instance)| Op::Released(agent, instance)),
        2 => (0..5u8, select(orders)).prop_map(|(agent, order)| Op::Order(agent, order)),
        3 => (0..4u8).prop_map(Op::Register),
        1 => (0..5u64).prop_map(Op::Drop),
        12 => (any::<bool>(), 0..3u8, prop::collection::vec((0..8u8, 0..5u8, 1..5u64), 1..4)).prop_map(
            |(gang, role, placements)| Op::Claim { gang, role, placements }
        ),
        3 => (0..8u8, prop::option::of(0..5000u64)).prop_map(|(instance, grace)| Op::Kill(instance, grace)),
        3 => (0..8u8).prop_map(Op::GiveUp),
        1 => (0..3u8, 0..2u32).prop_map(|(role, count)| Op::Demand(role, count)),
        2 => (0..3u8, 0..3000u64, prop::option::of(0..6000u64), prop::option::of(0..9000u64)).prop_map(
            |(name, weight, guarantee, limit)| Op::Role { name, weight, guarantee, limit }
        ),
        6 => (0..7000u64).prop_map(Op::Pass),
        1 => (0..100_000u64).prop_map(Op::Jump),
        2 => Just(Op::Restart),
    ]
}

fn a(agent: u8) -> String {
    format!("a{agent}")
}

fn i(instance: u8) -> String {
    format!("i{instance}")
}

fn role(role: u8) -> &'static str {
    ["*", "dev", "prod"][usize::from(role)]
}

/// Four kinds of groups: plain, with ports, with a share of a GPU, of two tasks.
fn spec(kind: u8) -> GroupSpec {
    let mut spec = cpus(700 + u64::from(kind));
    let demand = &mut spec.tasks[0].demand;
    match kind {
        1 => demand.ports = vec![PortDemand::Any, PortDemand::Exact(31003)],
        2 => demand.gpus = GpuDemand { count: 1, milli: 400 },
        3 => {
            let second = TaskSpec { name: "second".into(), ..spec.tasks[0].clone() };
            spec.tasks.push(second);
        }
        _ => {}
    }
    spec
}

fn allocation(kind: u8) -> Allocation {
    let demand = spec(kind).demand();
    Allocation {
        cpus_milli: demand.cpus_milli,
        mem: demand.mem,
        disk: demand.disk,
        gpus: vec![(u16::from(kind), 400); usize::from(demand.gpus.count)],
        ports: vec![31003; demand.ports.len()],
    }
}

fn tasks(instance: u8, kind: u8) -> Vec<hansa_model::TaskId> {
    (0..spec(kind).tasks.len()).map(|task| format!("i{instance}.{task}").into()).collect()
}

fn group(report: &Report) -> GroupReport {
    let launch = Launch {
        instance: i(report.instance).into(),
        owner: Owner::services(),
        role: role(report.spec % 3).into(),
        spec: SpecId(report.number),
        group: Arc::new(spec(report.spec)),
        tasks: tasks(report.instance, report.spec),
        allocation: allocation(report.spec),
        framework: None,
    };
    let said = |task: &hansa_model::TaskId| {
        let task = task.clone();
        report.states.iter().map(move |&(sequence, state)| {
            TaskStatus::new(task.clone(), i(report.instance).into(), sequence, state, Timestamp(sequence))
        })
    };
    let all: Vec<_> = launch.tasks.iter().flat_map(said).collect();
    let newest = launch.tasks.iter().filter_map(|task| said(task).last()).collect();
    GroupReport { statuses: newest, unacknowledged: if report.waiting { all } else { Vec::new() }, launch }
}

fn placement(world: &World, instance: u8, agent: u8, number: u64) -> Placement {
    let id = SpecId(number);
    let demand = world.specs.get(&id).map(|spec| spec.demand()).unwrap_or_default();
    let kind = u8::try_from(demand.cpus_milli % 10).unwrap_or(0).min(3);
    let free =
        world.kernel.cluster().node(&a(agent).as_str().into()).and_then(|node| node.free.pick(&demand).ok());
    Placement {
        instance: i(instance).into(),
        tasks: tasks(instance, if demand.cpus_milli > 1000 { 3 } else { kind }),
        spec: id,
        agent: a(agent).into(),
        allocation: free.unwrap_or_else(|| allocation(kind)),
    }
}

fn run(world: &mut World, op: Op) -> String {
    let services = |call| Command::Call { owner: Owner::services(), principal: Principal::loopback(), call };
    let command = match op {
        Op::Framework(framework, asked) => return framework_op(world, framework, asked),
        Op::Says(said) => match nth(world.launches.values(), said.which) {
            Some(launch) if launch.framework.is_some() => {
                let agent = world.launched_on[launch.instance.as_str()].clone();
                let status = statuses(launch, &said).swap_remove(0);
                Command::Update { agent, status }
            }
            _ => return String::new(),
        },
        Op::ExecutorEnded(agent, which) => match nth(runs(world).iter(), which) {
            Some(run) => {
                let container = run.run.container.clone();
                Command::ExecutorEnded { agent: a(agent).into(), container, wait_status: 9 }
            }
            None => return String::new(),
        },
        Op::Operator(agent, what) => Command::AgentParts {
            principal: Principal::loopback(),
            agent: a(agent).into(),
            operation: operation(what, &[]),
        },
        Op::Hello { agent, boot, name, size, reports, launched } => Command::AgentConnected {
            hello: Box::new(Hello {
                agent: Some(a(agent).into()),
                boot: Some(format!("b{boot}").into()),
                // Now and then somebody else's.
                hostname: if name < 5 { format!("host{name}") } else { format!("host{agent}") },
                resources: match size {
                    0 => "cpus:1;mem:300;gpus:1;ports:[31000-31001]".parse().unwrap(),
                    1 => Default::default(),
                    _ => "cpus:5;mem:4096;disk:10;gpus:3;ports:[31000-31009]".parse().unwrap(),
                },
                parts: parts_set_apart(size),
                stop_deadline_ms: (size == 2).then_some(7000),
                groups: reports.iter().map(group).chain(launched_groups(world, &launched)).collect(),
                executors: launched_executors(world, &launched),
                volumes: vec![("dev".into(), "v1".into()), ("dev".into(), "unknown".into())],
                ..Hello::default()
            }),
        },
        Op::Disconnect(agent) => Command::AgentDisconnected { agent: a(agent).into() },
        Op::Leaving(agent, returns_in_ms) => Command::AgentLeaving { agent: a(agent).into(), returns_in_ms },
        Op::Contact(agent) => Command::AgentContact { agent: a(agent).into() },
        Op::Update { agent, instance, task, sequence, state } => Command::Update {
            agent: a(agent).into(),
            status: TaskStatus::new(
                format!("i{instance}.{task}").into(),
                i(instance).into(),
                sequence,
                state,
                Timestamp(sequence),
            ),
        },
        Op::Released(agent, instance) => {
            Command::AgentReleased { agent: a(agent).into(), instance: i(instance).into() }
        }
        Op::Order(agent, order) => {
            Command::AdminAgent { principal: Principal::loopback(), agent: a(agent).into(), order }
        }
        Op::Register(kind) => {
            world.spec(spec(kind));
            return String::new();
        }
        Op::Drop(number) => services(Call::DropSpec { spec: SpecId(number) }),
        Op::Claim { gang, role: payer, placements } => {
            let all =
                placements.iter().map(|&(instance, agent, number)| placement(world, instance, agent, number));
            let all = all.collect();
            return world.claim(role(payer), gang, all);
        }
        Op::Kill(instance, grace_ms) => {
            services(Call::Kill { instance: i(instance).into(), grace_ms, message: "enough".into() })
        }
        Op::GiveUp(instance) => services(Call::GiveUp { instance: i(instance).into() }),
        Op::Demand(name, count) => {
            services(Call::SetDemand { role: role(name).into(), shape: Demand::default(), count })
        }
        Op::Role { name, weight, guarantee, limit } => {
            let bound = |cpus_milli| Bound { cpus_milli, ..Bound::default() };
            return world.role(role(name), weight, bound(guarantee), bound(limit));
        }
        Op::Pass(ms) => return world.pass(ms),
        Op::Jump(ms) => {
            world.now = world.now + ms;
            Command::Tick
        }
        Op::Restart => return world.restart(),
    };
    world.apply(command)
}

/// The framework's id.
fn f(framework: u8) -> String {
    format!("f{framework}")
}

fn nth<T>(mut all: impl ExactSizeIterator<Item = T>, which: u8) -> Option<T> {
    let count = all.len();
    if count == 0 { None } else { all.nth(usize::from(which) % count) }
}

/// The runs of all executors that were ever launched.
fn runs(world: &World) -> Vec<ExecutorReport> {
    let of = |launch: &Launch| {
        let of_framework = launch.framework.as_ref()?;
        let (framework, role) = (of_framework.framework.clone(), launch.role.clone());
        Some(ExecutorReport { framework, role, run: of_framework.executor.clone()? })
    };
    world.launches.values().filter_map(of).collect()
}

fn statuses(launch: &Launch, said: &Launched) -> Vec<TaskStatus> {
    let status = |task: &hansa_model::TaskId| {
        let instance = launch.instance.clone();
        TaskStatus::new(task.clone(), instance, said.sequence, said.state, Timestamp(said.sequence))
    };
    launch.tasks.iter().map(status).collect()
}

fn launched_groups(world: &World, said: &[Launched]) -> Vec<GroupReport> {
    let report = |said: &Launched| {
        let launch = nth(world.launches.values(), said.which)?;
        let statuses = statuses(launch, said);
        let unacknowledged = if said.waiting { statuses.clone() } else { Vec::new() };
        let report = GroupReport { launch: launch.clone(), statuses, unacknowledged };
        Some(report).filter(|report| report.launch.framework.is_some())
    };
    said.iter().filter_map(report).collect()
}

fn launched_executors(world: &World, said: &[Launched]) -> Vec<ExecutorReport> {
    let runs = runs(world);
    said.iter()
        .filter(|said| said.executor)
        .filter_map(|said| nth(runs.iter(), said.which).cloned())
        .collect()
}

/// What an agent's configuration sets apart, of what it has.
fn parts_set_apart(size: u8) -> Vec<Part> {
    let fixed = |amount: Amount| {
        let mut part = reserved("dev", amount);
        part.reservations[0].fixed = true;
        part
    };
    let on = |source: DiskSource, mib: u64| Part {
        source: Some(source),
        amount: Amount { disk: mib * MIB, ..Amount::default() },
        ..Part::default()
    };
    let ports = hansa_model::resources::PortSet::from_ranges([(31_008, 31_009)]);
    let mount = |mib| on(DiskSource::Mount("/m".into()), mib);
    match size {
        2 => vec![fixed(Amount { gpus: 1, ports, ..amount(1500, 500) }), mount(3)],
        3 => vec![fixed(amount(1000, 500)), mount(3), on(DiskSource::Path("/p".into()), 4)],
        4 => vec![
            mount(5),
            Part { reservations: fixed(amount(0, 0)).reservations, ..on(DiskSource::Path("/p".into()), 4) },
        ],
        _ => Vec::new(),
    }
}

/// Some operation on reservations; `offered` is what there is.
fn operation(what: u8, offered: &[Part]) -> Operation {
    let disk = Amount { disk: 2 * hansa_model::resources::MIB, ..Amount::default() };
    let kept = Part { amount: disk, ..reserved("dev", Amount::default()) };
    let volume = PersistentVolume { id: "v1".into(), principal: None, container_path: "data".into() };
    let is_volume = |part: &&Part| part.volume.is_some();
    match what {
        0 => Operation::Reserve { parts: vec![reserved("dev", amount(500, 64)), kept] },
        1 => Operation::Create { parts: vec![Part { volume: Some(volume), ..kept }] },
        2 if offered.is_empty() => Operation::Unreserve { parts: vec![reserved("dev", amount(500, 64))] },
        2 => Operation::Unreserve {
            parts: offered.iter().filter(|part| part.role().is_some() && !is_volume(part)).cloned().collect(),
        },
        4 => {
            let disk = offered.iter().find(|part| part.source.is_some() && !is_volume(part));
            let disk = disk.cloned().unwrap_or_else(|| parts_set_apart(2).remove(1));
            let reservations =
                [disk.reservations.clone(), reserved("dev/x", amount(0, 0)).reservations].concat();
            Operation::Reserve { parts: vec![Part { reservations, ..disk }] }
        }
        5 => {
            let disk = |part: &&Part| part.source.is_some() && part.role().is_some() && !is_volume(part);
            let volumes = offered.iter().filter(disk).take(1).cloned();
            Operation::Create {
                parts: volumes.map(|part| Part { volume: Some(volume.clone()), ..part }).collect(),
            }
        }
        _ if offered.is_empty() => Operation::Destroy { parts: vec![Part { volume: Some(volume), ..kept }] },
        _ => Operation::Destroy { parts: offered.iter().filter(is_volume).cloned().collect() },
    }
}

fn framework_op(world: &mut World, number: u8, asked: Asked) -> String {
    let id = f(number);
    let own = |world: &World| -> Vec<std::sync::Arc<Offer>> {
        world.offers.values().filter(|offer| offer.framework.as_str() == id).cloned().collect()
    };
    if !world.streams.contains_key(id.as_str()) && !matches!(asked, Asked::Subscribe { .. } | Asked::Teardown)
    {
        return String::new();
    }
    let call = match asked {
        Asked::Subscribe { role: name, timeout_ms } => {
            let capabilities = BTreeSet::from([Capability::GpuResources, Capability::PartitionAware]);
            let info =
                FrameworkInfo { failover_timeout_ms: timeout_ms, capabilities, ..info(&id, role(name)) };
            return world.subscribe(info);
        }
        Asked::HangUp => return world.hang_up(&id),
        Asked::Accept { offer, what } => {
            let Some(offer) = nth(own(world).into_iter(), offer) else { return String::new() };
            world.named += 1;
            let (agent, name) = (offer.agent.to_string(), format!("t{}", world.named % 12));
            let reserved: Vec<Part> =
                offer.parts.iter().filter(|part| part.role().is_some()).cloned().collect();
            let with = |parts: Vec<Part>| TaskAsked { parts, ..task(&name, &agent) };
            let run = |kind| Box::new(executor(&format!("e{}", world.named % 3), kind));
            let operations = match what {
                0 | 1 => vec![launch([task(&name, &agent)])],
                2 => vec![launch([with(vec![open(300, 10)]), with(vec![open(300, 10)]), task("t1", &agent)])],
                3 => {
                    let executor = Some(run(ExecutorKind::Custom));
                    vec![launch([TaskAsked { executor, ..task(&name, &agent) }])]
                }
                4 => {
                    let tasks = vec![
                        task(&name, &agent),
                        TaskAsked { id: format!("{name}b"), ..with(vec![open(200, 10)]) },
                    ];
                    vec![Operation::LaunchGroup { executor: run(ExecutorKind::Default), tasks }]
                }
                5 => vec![launch([with(reserved)])],
                what => {
                    let mut all = vec![operation(what - 6, &offer.parts)];
                    if what == 6 {
                        all.push(operation(1, &offer.parts));
                    }
                    all
                }
            };
            let filter = OfferFilter { refuse_ms: 1_000 };
            FrameworkCall::Accept { offers: vec![offer.id.clone()], operations, filter }
        }
        Asked::Decline { offer, refuse_ms } => match nth(own(world).iter(), offer) {
            Some(offer) => {
                let filter = OfferFilter { refuse_ms };
                FrameworkCall::Decline { offers: vec![offer.id.clone()], filter }
            }
            None => return String::new(),
        },
        Asked::Acknowledge(which) => {
            let own: Vec<_> = world.updates.iter().filter(|((of, _), _)| of.as_str() == id).collect();
            match nth(own.into_iter(), which) {
                Some(((_, task), _)) => {
                    let task = task.clone();
                    return world.ack(&id, &task);
                }
                None => return String::new(),
            }
        }
        Asked::Kill(which) => {
            FrameworkCall::Kill { task: format!("t{}", which % 12), agent: None, grace_ms: None }
        }
        Asked::Reconcile => FrameworkCall::Reconcile { tasks: Vec::new() },
        Asked::Revive => FrameworkCall::Revive { roles: BTreeSet::new() },
        Asked::Suppress => FrameworkCall::Suppress { roles: BTreeSet::new() },
        Asked::Shutdown => FrameworkCall::Shutdown { executor: "e0".into(), agent: "a0".into() },
        Asked::Teardown => FrameworkCall::Teardown,
    };
    world.ask(&id, call)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(ops in prop::collection::vec(op(), 1..160)) {
        let mut world = World::new();
        let first: Vec<String> = ops.iter().map(|op| run(&mut world, op.clone())).collect();
        let mut again = World::new();
        let second: Vec<String> = ops.into_iter().map(|op| run(&mut again, op)).collect();
        prop_assert_eq!(first, second, "the same commands lead to the same outcomes");
        let mut stored = world.store.clone();
        // Who holds a spec is not stored: one that no group refers to goes, and is registered again when it is needed.
        let used: BTreeSet<SpecId> = stored.values().filter_map(|record| match record {
            Record::PutAssignment(_, assignment) => Some(assignment.spec),
            _ => None,
        }).collect();
        stored.retain(|_, record| !matches!(record, Record::PutSpec(id, _) if !used.contains(id)));
        world.restart();
        prop_assert_eq!(world.store, stored, "a new leader changes nothing of what is stored");
    }
}
