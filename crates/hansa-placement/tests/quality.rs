//! How well the policy packs: the published GPU traces, where they are at hand, and small clusters without GPUs.

mod openb;

use hansa_model::event::AgentState;
use hansa_model::resources::PortDemand;
use hansa_model::{AgentId, Demand, Resources, RoleName};
use hansa_placement::{Choice, Cluster, Node, Peers, Policy, Request};

#[test]
fn openb_is_packed_better_than_by_first_fit_in_any_order_of_machines() {
    let Some(data) = openb::Data::read() else { return };
    let policy = (Policy::default(), true);
    for (trace, at_100, at_130) in [("default", 95.2, 95.3), ("gpuspec33", 94.8, 95.0)] {
        let outcome = data.run(trace, openb::Order::File, 42, Some(&policy));
        eprintln!("{trace}: {outcome:?}");
        assert!(outcome.at_100 >= at_100 && outcome.at_130 >= at_130, "{trace}: {outcome:?}");
        let first_fit = data.run(trace, openb::Order::File, 42, None);
        assert!(outcome.at_130 > first_fit.at_130 + 0.8, "{trace}: first fit does {first_fit:?}");
    }
    let [file, reversed, shuffled] = [openb::Order::File, openb::Order::Reversed, openb::Order::Shuffled(3)]
        .map(|order| data.run("default", order, 42, Some(&policy)));
    for other in [reversed, shuffled] {
        assert!((file.at_130 - other.at_130).abs() < 0.15, "{file:?} {other:?}");
    }
    let known = [file.first_refusal, shuffled.first_refusal];
    assert!(known.iter().all(|first| *first >= 94.0) && file.tasks > 10_000, "{file:?} {shuffled:?}");
}

fn cluster(count: usize, resources: &str) -> Cluster {
    let mut cluster = Cluster::new();
    for at in 0..count {
        let total: Resources = resources.parse().expect("resources");
        cluster.upsert(Node {
            id: AgentId::from(format!("agent-{at:04}")),
            hostname: format!("host{at}").into(),
            region: None,
            zone: None,
            attributes: Default::default(),
            state: AgentState::Active,
            reserved: None,
            free: total.clone(),
            total,
        });
    }
    cluster
}

fn launch(cluster: &mut Cluster, demand: &Demand) -> Option<Choice> {
    cluster.observe(demand, &[]);
    let choice = cluster.place(&Request {
        demand,
        constraints: &[],
        peers: &Peers::default(),
        role: &RoleName::any(),
        accepted_roles: None,
    })?;
    cluster.take(&choice.agent, &choice.allocation).expect("it fits");
    Some(choice)
}

fn busy(cluster: &Cluster) -> usize {
    cluster.nodes().filter(|node| node.free != node.total).count()
}

fn of(cpus_milli: u64, mem_mib: u64) -> Demand {
    Demand { cpus_milli, mem: mem_mib << 20, ..Demand::default() }
}

#[test]
fn small_tasks_fill_one_of_three_equal_machines_before_the_next() {
    let mut cluster = cluster(3, "cpus:4;mem:4096;disk:1000;ports:[31000-31999]");
    let demand = Demand { ports: vec![PortDemand::Any], ..of(300, 100) };
    let mut machines = Vec::new();
    while let Some(choice) = launch(&mut cluster, &demand) {
        machines.push(choice.agent);
    }
    let expected: Vec<_> = (0..39).map(|at| AgentId::from(format!("agent-{:04}", at / 13))).collect();
    assert_eq!(machines, expected, "13 of 0.3 cpus on each, one machine after the other");
}

#[test]
fn after_tasks_ended_the_fullest_machine_is_filled_first() {
    let mut cluster = cluster(4, "cpus:10;mem:10240;disk:1000");
    let placed: Vec<_> = (0..40).map(|_| launch(&mut cluster, &of(1000, 512)).expect("room")).collect();
    for (machine, ended) in [(0, 8), (1, 3), (2, 9), (3, 5)] {
        let id = AgentId::from(format!("agent-{machine:04}"));
        for choice in placed.iter().filter(|choice| choice.agent == id).take(ended) {
            cluster.give_back(&id, &choice.allocation);
        }
    }
    let next: Vec<_> = (0..8).map(|_| launch(&mut cluster, &of(1000, 512)).expect("room").agent).collect();
    let expected = [1, 1, 1, 3, 3, 3, 3, 3].map(|at| AgentId::from(format!("agent-{at:04}")));
    assert_eq!(next, expected);
}

#[test]
fn different_tasks_fill_few_machines_and_leave_nothing_stranded() {
    // Half of the tasks want memory, half CPU; together they fill machines exactly, 4 + 4 on each.
    let mut cluster = cluster(40, "cpus:16;mem:16384;disk:1000");
    for at in 0..160 {
        let demand = if at % 2 == 0 { of(3000, 1024) } else { of(1000, 3072) };
        launch(&mut cluster, &demand).expect("room");
    }
    let busy = busy(&cluster);
    assert!(busy <= 22, "20 machines could hold it all, {busy} are busy");
}

#[test]
fn room_for_large_tasks_is_kept_while_small_ones_fit_elsewhere() {
    let mut cluster = cluster(2, "cpus:8;mem:8192;disk:1000");
    for _ in 0..20 {
        cluster.observe(&of(8000, 1000), &[]);
    }
    for _ in 0..8 {
        launch(&mut cluster, &of(900, 500)).expect("room");
    }
    assert_eq!(busy(&cluster), 1);
    assert!(launch(&mut cluster, &of(8000, 1000)).is_some(), "the other machine is still whole");
}

#[test]
fn tasks_without_gpus_stay_away_from_gpus_while_there_is_room() {
    let mut cluster = cluster(2, "cpus:16;mem:65536;disk:1000;gpus:4");
    let plain = cluster.node(&AgentId::from("agent-0001")).expect("it is there").clone();
    let total: Resources = "cpus:16;mem:65536;disk:1000".parse().expect("resources");
    cluster.upsert(Node { free: total.clone(), total, ..plain });
    let gpu = Demand { gpus: hansa_model::resources::GpuDemand::whole(1), ..of(4000, 8192) };
    for _ in 0..10 {
        cluster.observe(&gpu, &[]);
        cluster.observe(&of(4000, 8192), &[]);
    }
    for _ in 0..4 {
        assert_eq!(launch(&mut cluster, &of(4000, 8192)).expect("room").agent.as_str(), "agent-0001");
    }
    for _ in 0..4 {
        assert_eq!(launch(&mut cluster, &gpu).expect("room").agent.as_str(), "agent-0000");
    }
}
