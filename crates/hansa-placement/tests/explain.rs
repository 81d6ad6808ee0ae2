//! What is said about things that are not placed.

use hansa_model::app::{Constraint, Operator};
use hansa_model::event::AgentState;
use hansa_model::explain::{Explanation, Obstacle};
use hansa_model::resources::{GpuDemand, MIB, PortDemand};
use hansa_model::{AgentId, Demand, Resources, RoleName};
use hansa_placement::{Cluster, Node, Peers, Request};

/// `rack` is empty for a machine without one.
fn node(at: usize, free: &str, rack: &str) -> Node {
    let total: Resources =
        "cpus:64;mem:65536;disk:100000;gpus:4;ports:[31000-31009]".parse().expect("resources");
    Node {
        id: AgentId::from(format!("agent-{at}")),
        hostname: format!("node{at}").into(),
        region: None,
        zone: None,
        attributes: if rack.is_empty() {
            Default::default()
        } else {
            [("rack".to_owned(), rack.into())].into()
        },
        state: AgentState::Active,
        reserved: None,
        free: free.parse().expect("resources"),
        total,
    }
}

fn cluster(nodes: Vec<Node>) -> Cluster {
    let mut cluster = Cluster::new();
    nodes.into_iter().for_each(|node| cluster.upsert(node));
    cluster
}

fn explain(cluster: &Cluster, demand: &Demand, constraints: &[Constraint]) -> Explanation {
    cluster.explain(&Request {
        demand,
        constraints,
        peers: &Peers::new(constraints),
        role: &RoleName::any(),
        accepted_roles: None,
    })
}

fn like(field: &str, value: &str) -> Constraint {
    Constraint { field: field.into(), operator: Operator::Like, value: Some(value.into()) }
}

#[test]
fn the_summary_counts_machines_by_what_is_in_the_way() {
    let nodes = (1..=5).map(|at| node(at, "cpus:1;mem:1000", if at <= 3 { "r1" } else { "r2" })).collect();
    let demand = Demand { cpus_milli: 2500, ..Demand::default() };
    let explanation = explain(&cluster(nodes), &demand, &[like("rack", "r1")]);
    assert_eq!(
        explanation.summary,
        "3 machines: 1.5 cpus short; 2: attribute rack is not r1, 1.5 cpus short"
    );
    assert_eq!(explanation.nearest.as_deref(), Some("node1 lacks 1.5 cpus"));
    assert_eq!((explanation.machines, explanation.fitting, explanation.choice), (5, 0, None));
    let constraint = Obstacle::Constraint {
        constraint: r#"["rack","LIKE","r1"]"#.into(),
        words: "attribute rack is not r1".into(),
    };
    assert_eq!(explanation.groups[0].obstacles, [Obstacle::Cpus { short: 1500 }]);
    assert_eq!(explanation.groups[1].obstacles, [constraint, Obstacle::Cpus { short: 1500 }]);
    assert_eq!(explanation.groups[1].examples, ["node4", "node5"]);
}

#[test]
fn every_kind_of_obstacle_is_told_with_its_exact_shortfall() {
    let mut machine = node(1, "cpus:0.25;mem:100;disk:10;gpus:1;ports:[31000-31001]", "");
    machine.state = AgentState::Draining;
    machine.reserved = Some("public".into());
    let demand = Demand {
        cpus_milli: 1000,
        mem: 300 * MIB,
        disk: 10 * MIB + 1,
        gpus: GpuDemand::whole(3),
        ports: vec![PortDemand::Exact(80), PortDemand::Exact(31000), PortDemand::Any, PortDemand::Any],
    };
    let explanation = explain(&cluster(vec![machine]), &demand, &[like("rack", "r.")]);
    assert_eq!(
        explanation.groups[0].obstacles,
        [
            Obstacle::Role { reserved: "public".into() },
            Obstacle::Constraint {
                constraint: r#"["rack","LIKE","r."]"#.into(),
                words: "attribute rack is absent".into()
            },
            Obstacle::NotActive { state: "draining".into() },
            Obstacle::Cpus { short: 750 },
            Obstacle::Mem { short: 200 * MIB },
            Obstacle::Disk { short: 1 },
            Obstacle::Gpus { short: 2 },
            Obstacle::Ports { short: 1, taken: vec![80] },
        ]
    );
    assert_eq!(
        explanation.summary,
        "1 machine: reserved for role public, attribute rack is absent, draining, 0.75 cpus short, \
         200 MiB of memory short, 0.001 MiB of disk short, 2 gpus short, 1 ports short, port 80 is not free"
    );
    assert!(
        explanation.nearest.expect("there is a machine").starts_with("node1: reserved for role public, ")
    );
    let declined: Vec<_> = explanation.groups[0].obstacles.iter().map(Obstacle::reason).collect();
    assert_eq!(declined[2], "AgentMaintenance");
}

#[test]
fn shortfalls_that_differ_only_in_number_are_one_group_with_its_range() {
    let nodes = (1..=4).map(|at| node(at, &format!("cpus:{};mem:1000", at as f64 / 2.0), "")).collect();
    let demand = Demand { cpus_milli: 4000, ..Demand::default() };
    let explanation = explain(&cluster(nodes), &demand, &[]);
    assert_eq!(explanation.summary, "4 machines: 2 to 3.5 cpus short");
    assert_eq!(explanation.groups[0].obstacles, [Obstacle::Cpus { short: 2000 }]);
    assert_eq!(explanation.nearest.as_deref(), Some("node4 lacks 2 cpus"));
    // Nearly the same is not the same.
    let nodes = vec![node(1, "cpus:0.6;mem:1000", ""), node(2, "cpus:1;mem:1000", "")];
    let demand = Demand { cpus_milli: 4_000_000, ..Demand::default() };
    let explanation = explain(&cluster(nodes), &demand, &[]);
    assert_eq!(explanation.nearest.as_deref(), Some("node2 lacks 3999 cpus"));
}

#[test]
fn what_fits_is_said_first_and_no_machines_are_said_too() {
    let demand = Demand { cpus_milli: 2000, ..Demand::default() };
    let nodes = vec![node(1, "cpus:4", ""), node(2, "cpus:1", ""), node(3, "cpus:2", "")];
    let some = explain(&cluster(nodes), &demand, &[]);
    assert_eq!(some.summary, "fits on 2 of 3 machines; 1: 1 cpus short");
    assert!(some.choice.is_some() && some.nearest.is_none());
    let none = explain(&Cluster::new(), &demand, &[]);
    assert_eq!((none.summary.as_str(), none.machines), ("there are no machines", 0));
    assert_eq!(none.funnel()[9].processed, 0);
}

#[test]
fn a_port_asked_for_twice_can_never_be_had() {
    let demand = Demand { ports: vec![PortDemand::Exact(31000); 2], ..Demand::default() };
    let explanation = explain(&cluster(vec![node(1, "cpus:1;ports:[31000-31009]", "")]), &demand, &[]);
    assert_eq!(explanation.choice, None);
    assert_eq!(explanation.groups[0].obstacles, [Obstacle::Ports { short: 0, taken: vec![31000] }]);
}

#[test]
fn a_list_of_accepted_roles_without_the_star_leaves_out_unreserved_machines() {
    let mut public = node(1, "cpus:1", "");
    public.reserved = Some("public".into());
    let cluster = cluster(vec![public, node(2, "cpus:1", "")]);
    let demand = Demand { cpus_milli: 500, ..Demand::default() };
    let machines = |accepted: Option<&[&str]>| {
        let accepted: Option<Vec<RoleName>> =
            accepted.map(|roles| roles.iter().copied().map(RoleName::from).collect());
        let request = Request {
            demand: &demand,
            constraints: &[],
            peers: &Peers::default(),
            role: &RoleName::any(),
            accepted_roles: accepted.as_deref(),
        };
        (cluster.explain(&request).fitting, cluster.place(&request).map(|choice| choice.agent.to_string()))
    };
    assert_eq!(machines(None), (1, Some("agent-2".into())));
    assert_eq!(machines(Some(&["*"])), (1, Some("agent-2".into())));
    assert_eq!(machines(Some(&["public"])), (1, Some("agent-1".into())));
    assert_eq!(machines(Some(&["*", "public"])).0, 2);
    assert_eq!(machines(Some(&["other"])), (0, None));
}

#[test]
fn a_pass_counts_every_one_of_five_thousand_machines() {
    let nodes =
        (0..5000).map(|at| node(at, &format!("cpus:{}", at % 7), if at % 3 == 0 { "" } else { "r1" }));
    let cluster = cluster(nodes.collect());
    let constraints = [like("rack", "r[2-9]"), like("hostname", "node[0-9]*[02468]")];
    let demand = Demand { cpus_milli: 8000, ..Demand::default() };
    let explanation = explain(&cluster, &demand, &constraints);
    assert_eq!(explanation.groups.iter().map(|group| group.machines).sum::<u32>(), 5000);
}
