//! The book of machines: what changes it, what a waiting request needs to know, and spreading.

use hansa_model::app::{Constraint, Operator};
use hansa_model::event::AgentState;
use hansa_model::resources::{GpuDemand, PortDemand};
use hansa_model::{AgentId, Allocation, Demand, Resources, RoleName};
use hansa_placement::{Choice, Cluster, Node, Peers, Request};
use std::collections::BTreeMap;

fn node(at: usize, resources: &str) -> Node {
    let total: Resources = resources.parse().expect("resources");
    Node {
        id: AgentId::from(format!("agent-{at:04}")),
        hostname: format!("host{at}").into(),
        region: None,
        zone: Some(format!("z{}", at % 3).into()),
        attributes: [("rack".to_owned(), format!("r{}", at % 5).into())].into(),
        state: AgentState::Active,
        reserved: None,
        free: total.clone(),
        total,
    }
}

fn cluster(count: usize) -> Cluster {
    let mut cluster = Cluster::new();
    (0..count)
        .for_each(|at| cluster.upsert(node(at, "cpus:8;mem:8192;disk:1000;gpus:2;ports:[31000-31009]")));
    cluster
}

fn place(cluster: &Cluster, demand: &Demand, constraints: &[Constraint], peers: &Peers) -> Option<Choice> {
    let role = RoleName::any();
    cluster.place(&Request { demand, constraints, peers, role: &role, accepted_roles: None })
}

fn constraint(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
    Constraint { field: field.into(), operator, value: value.map(str::to_owned) }
}

/// Launches up to `count` instances; how many stand on each value of the field.
fn spread(
    cluster: &mut Cluster,
    count: usize,
    constraints: &[Constraint],
    field: &str,
) -> BTreeMap<String, usize> {
    let demand = Demand { cpus_milli: 100, ..Demand::default() };
    let mut peers = Peers::new(constraints);
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let Some(choice) = place(cluster, &demand, constraints, &peers) else { break };
        cluster.take(&choice.agent, &choice.allocation).expect("it fits");
        let node = cluster.node(&choice.agent).expect("it is there");
        peers.add(node);
        *counts.entry(node.field(field).expect("a value").to_string()).or_insert(0) += 1;
    }
    counts
}

fn of(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|&(value, count)| (value.to_owned(), count)).collect()
}

#[test]
fn constraints_spread_and_gather() {
    let unique = [constraint("hostname", Operator::Unique, None)];
    let counts = spread(&mut cluster(7), 10, &unique, "hostname");
    assert_eq!((counts.len(), counts.values().max()), (7, Some(&1)));

    let by_zone = [constraint("@zone", Operator::GroupBy, None)];
    assert_eq!(spread(&mut cluster(7), 10, &by_zone, "@zone"), of(&[("z0", 4), ("z1", 3), ("z2", 3)]));

    let by_host = [constraint("@hostname", Operator::GroupBy, None)];
    let counts = spread(&mut cluster(4), 10, &by_host, "hostname");
    assert_eq!((counts.values().min(), counts.values().max()), (Some(&2), Some(&3)));

    let both =
        [constraint("rack", Operator::GroupBy, Some("5")), constraint("@zone", Operator::MaxPer, Some("2"))];
    assert_eq!(spread(&mut cluster(30), 10, &both, "@zone"), of(&[("z0", 2), ("z1", 2), ("z2", 2)]));

    let together = [constraint("rack", Operator::Cluster, None)];
    assert_eq!(spread(&mut cluster(10), 10, &together, "rack"), of(&[("r0", 10)]));
    let there = [constraint("hostname", Operator::Cluster, Some("host3"))];
    assert_eq!(spread(&mut cluster(10), 10, &there, "hostname"), of(&[("host3", 10)]));
    let even = [constraint("hostname", Operator::Like, Some("host[02468]"))];
    assert_eq!(spread(&mut cluster(10), 100, &even, "hostname"), of(&[("host0", 80), ("host2", 20)]));
}

#[test]
fn a_host_name_constraint_follows_a_machine_that_changes_its_name() {
    let mut cluster = cluster(2);
    let there = [constraint("hostname", Operator::Like, Some("host1"))];
    let demand = Demand::default();
    let machine =
        |cluster: &Cluster| place(cluster, &demand, &there, &Peers::default()).map(|choice| choice.agent);
    assert_eq!(machine(&cluster), Some("agent-0001".into()));
    cluster.upsert(Node { hostname: "other".into(), ..node(1, "cpus:8") });
    assert_eq!(machine(&cluster), None);
    cluster.upsert(Node { hostname: "host1".into(), ..node(0, "cpus:8") });
    assert_eq!(machine(&cluster), Some("agent-0000".into()));
    // A slot that another machine had before.
    cluster.remove(&"agent-0000".into());
    cluster.upsert(node(5, "cpus:8"));
    assert_eq!(machine(&cluster), None);
}

#[test]
fn the_generation_rises_only_for_what_can_help() {
    let mut cluster = cluster(2);
    let id = AgentId::from("agent-0000");
    let some = Allocation { cpus_milli: 1000, ..Allocation::default() };
    let mut last = cluster.generation();
    let mut rises = |cluster: &mut Cluster, change: &dyn Fn(&mut Cluster)| {
        change(cluster);
        let rose = cluster.generation() > last;
        last = cluster.generation();
        rose
    };
    assert!(!rises(&mut cluster, &|cluster| cluster.take(&id, &some).expect("it fits")));
    assert!(rises(&mut cluster, &|cluster| cluster.give_back(&id, &some)));
    assert!(!rises(&mut cluster, &|cluster| cluster.set_state(&id, AgentState::Active)));
    assert!(!rises(&mut cluster, &|cluster| cluster.set_state(&id, AgentState::Draining)));
    assert!(!rises(&mut cluster, &|cluster| cluster.give_back(&id, &some)));
    assert!(!rises(&mut cluster, &|cluster| cluster.set_state(&id, AgentState::Disconnected)));
    assert!(rises(&mut cluster, &|cluster| cluster.set_state(&id, AgentState::Active)));
    assert!(
        !rises(&mut cluster, &|cluster| cluster.upsert(cluster.node(&"agent-0001".into()).unwrap().clone()))
    );
    assert!(rises(&mut cluster, &|cluster| cluster.upsert(node(1, "cpus:9"))));
    assert!(rises(&mut cluster, &|cluster| cluster.upsert(node(2, "cpus:9"))));
    assert!(!rises(&mut cluster, &|cluster| cluster.observe(&Demand::default(), &[])));
    assert!(!rises(&mut cluster, &|cluster| drop(cluster.remove(&id))));
    assert!(!rises(&mut cluster, &|cluster| drop(cluster.remove(&id))));
    assert!(!rises(&mut cluster, &|cluster| cluster.give_back(&id, &some)));
}

#[test]
fn unknown_machines_and_lost_devices_do_no_harm() {
    let mut cluster = cluster(1);
    let id = AgentId::from("agent-0000");
    let allocation =
        Allocation { gpus: vec![(0, 500), (1, 1000)], ports: vec![31000], ..Allocation::default() };
    cluster.take(&id, &allocation).expect("it fits");
    assert!(cluster.take(&id, &allocation).is_err());
    assert!(cluster.take(&"nobody".into(), &allocation).is_ok());
    cluster.give_back(&"nobody".into(), &allocation);
    // The machine comes back with one device less, of which half is in use.
    let mut smaller = node(0, "cpus:8;gpus:1;ports:[31000-31009]");
    smaller.free.gpus[0] = 500;
    cluster.upsert(smaller);
    cluster.give_back(&id, &allocation);
    assert_eq!(cluster.node(&id).map(|node| node.free.gpus.clone()), Some(vec![1000]));
    cluster.set_state(&"nobody".into(), AgentState::Active);
    assert!(cluster.remove(&"nobody".into()).is_none());
    assert_eq!(cluster.nodes().count(), 1);
}

#[test]
fn gpu_shares_go_to_devices_that_are_shared_already() {
    let mut cluster = cluster(1);
    let share = |milli| Demand { gpus: GpuDemand { count: 1, milli }, ..Demand::default() };
    for _ in 0..9 {
        cluster.observe(&share(500), &[]);
        cluster.observe(&share(1000), &[]);
    }
    let mut devices = Vec::new();
    for milli in [500, 500, 300, 1000, 700] {
        let choice = place(&cluster, &share(milli), &[], &Peers::default());
        devices.push(choice.map(|choice| {
            cluster.take(&choice.agent, &choice.allocation).expect("it fits");
            choice.allocation.gpus
        }));
    }
    let expected =
        [Some(vec![(0, 500)]), Some(vec![(0, 500)]), Some(vec![(1, 300)]), None, Some(vec![(1, 700)])];
    assert_eq!(devices, expected);
}

#[test]
fn ports_come_by_number_or_lowest_first_and_in_the_order_asked_for() {
    let mut cluster = cluster(2);
    let demand = Demand {
        ports: vec![PortDemand::Any, PortDemand::Exact(31000), PortDemand::Any],
        ..Demand::default()
    };
    let mut placed = Vec::new();
    while let Some(choice) = place(&cluster, &demand, &[], &Peers::default()) {
        cluster.take(&choice.agent, &choice.allocation).expect("it fits");
        placed.push((choice.agent.to_string(), choice.allocation.ports));
    }
    let expected = |at: usize| (format!("agent-000{at}"), vec![31001, 31000, 31002]);
    assert_eq!(placed, [expected(0), expected(1)]);
    let any = Demand { ports: vec![PortDemand::Any; 8], ..Demand::default() };
    assert_eq!(place(&cluster, &any, &[], &Peers::default()), None, "seven are left");
}

#[test]
fn machines_added_between_others_keep_their_place_in_the_order() {
    // Always between the same two, so that labels run out many times.
    let mut cluster = Cluster::new();
    let mut names: Vec<String> = vec!["a".into(), "b".into()];
    (0..100).for_each(|length| names.push(format!("a{}b", "a".repeat(length))));
    for name in &names {
        cluster.upsert(Node { id: name.as_str().into(), ..node(0, "cpus:1") });
    }
    names.sort();
    assert!(cluster.nodes().map(|node| node.id.as_str()).eq(names.iter().map(String::as_str)));
    let demand = Demand { cpus_milli: 1000, ..Demand::default() };
    for name in &names {
        let choice = place(&cluster, &demand, &[], &Peers::default()).expect("there is room");
        assert_eq!(choice.agent.as_str(), name, "equals in the order of their ids");
        cluster.take(&choice.agent, &choice.allocation).expect("it fits");
    }
}

#[test]
fn an_empty_cluster_and_a_demand_for_nothing() {
    let mut empty = Cluster::new();
    assert_eq!(place(&empty, &Demand::default(), &[], &Peers::default()), None);
    empty.observe(&Demand::default(), &[]);
    empty.upsert(node(0, ""));
    assert_eq!(empty.nodes().next().map(|node| node.total.clone()), Some(Resources::default()));
    let choice = place(&empty, &Demand::default(), &[], &Peers::default()).expect("nothing fits everywhere");
    assert_eq!(choice.allocation, Allocation::default());
    let huge = Demand { cpus_milli: u64::MAX, mem: u64::MAX, disk: u64::MAX, ..Demand::default() };
    (0..20).for_each(|_| empty.observe(&huge, &[]));
    assert_eq!(place(&empty, &huge, &[], &Peers::default()), None);
}

#[test]
fn a_cluster_can_be_sent_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Cluster>();
}

#[test]
fn a_machine_that_frees_up_is_first_again_among_its_equals() {
    let mut cluster = Cluster::new();
    (0..4).for_each(|at| cluster.upsert(node(at, "cpus:8")));
    let demand = Demand { cpus_milli: 1000, ..Demand::default() };
    // From here on racks tell machines apart, so that equals stand in different states.
    let somewhere = [constraint("rack", Operator::Unlike, Some("r9"))];
    assert!(place(&cluster, &demand, &somewhere, &Peers::default()).is_some());
    let first = |cluster: &Cluster| {
        place(cluster, &Demand { cpus_milli: 8000, ..Demand::default() }, &[], &Peers::default())
            .map(|choice| choice.agent.to_string())
    };
    cluster.upsert(Node { attributes: [("rack".to_owned(), "r0".into())].into(), ..node(3, "cpus:8") });
    assert_eq!(first(&cluster).as_deref(), Some("agent-0000"));
    let some = Allocation { cpus_milli: 1000, ..Allocation::default() };
    cluster.take(&"agent-0000".into(), &some).expect("it fits");
    assert_eq!(first(&cluster).as_deref(), Some("agent-0001"));
    cluster.give_back(&"agent-0000".into(), &some);
    assert_eq!(first(&cluster).as_deref(), Some("agent-0000"));
}
