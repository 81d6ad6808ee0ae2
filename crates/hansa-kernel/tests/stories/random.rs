//! Random lives.
//!
//! `nothing_breaks`: any commands at all, sensible or not, in any order, twice, with new leaders in between. After each,
//! `World` checks all invariants, that the store has exactly what the kernel says it must, and that the events fold to the
//! live tasks. A new leader must find the same state, and the same commands must lead to the same outcomes.

use crate::world::*;
use hansa_kernel::{AgentOrder, Command, Record};
use hansa_model::agent::{GroupReport, Hello};
use hansa_model::resources::{GpuDemand, PortDemand};
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
    Hello { agent: u8, boot: u8, name: u8, size: u8, reports: Vec<Report> },
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

fn op() -> impl Strategy<Value = Op> {
    let orders = vec![AgentOrder::Deactivate, AgentOrder::Reactivate, AgentOrder::Drain, AgentOrder::Gone];
    prop_oneof![
        8 => (0..5u8, 0..2u8, 0..20u8, 0..6u8, prop::collection::vec(report(), 0..4)).prop_map(
            |(agent, boot, name, size, reports)| Op::Hello { agent, boot, name, size, reports }
        ),
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
        Op::Hello { agent, boot, name, size, reports } => Command::AgentConnected {
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
                stop_deadline_ms: (size == 2).then_some(7000),
                groups: reports.iter().map(group).collect(),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(ops in prop::collection::vec(op(), 1..120)) {
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
