//! What must hold for any cluster and any requests.

use hansa_model::app::{Constraint, Operator};
use hansa_model::event::AgentState;
use hansa_model::resources::{GpuDemand, PortDemand, PortSet};
use hansa_model::{AgentId, Allocation, Demand, Resources, RoleName};
use hansa_placement::{Cluster, Node, Peers, Policy, Request};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn node(at: usize, seed: u32) -> Node {
    let pick = |shift: u32, of: u32| (seed >> shift) % of;
    let total = Resources {
        cpus_milli: u64::from(pick(0, 4)) * 1500 + 500,
        mem: (u64::from(pick(2, 4)) + 1) << 30,
        disk: u64::from(pick(4, 3)) << 30,
        gpus: vec![1000; pick(6, 3) as usize],
        ports: PortSet::from_ranges([(31000, 31000 + pick(8, 6) as u16)]),
    };
    let attributes = match pick(12, 3) {
        0 => BTreeMap::new(),
        rack => BTreeMap::from([("rack".to_owned(), format!("r{rack}").into())]),
    };
    let states = [AgentState::Active, AgentState::Active, AgentState::Active, AgentState::Draining];
    Node {
        id: AgentId::from(format!("agent-{at:03}")),
        hostname: format!("host{at}").into(),
        region: None,
        zone: Some(format!("z{}", pick(16, 2)).into()),
        attributes,
        state: states[pick(18, 4) as usize],
        reserved: (pick(20, 5) == 0).then(|| RoleName::from("public")),
        free: total.clone(),
        total,
    }
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let field = prop_oneof![Just("hostname"), Just("@zone"), Just("rack")];
    let rest = prop_oneof![
        Just((Operator::Unique, None)),
        Just((Operator::Cluster, None)),
        Just((Operator::Cluster, Some("r1"))),
        Just((Operator::GroupBy, None)),
        Just((Operator::GroupBy, Some("2"))),
        Just((Operator::MaxPer, Some("2"))),
        Just((Operator::Like, Some("r.|z0|host[0-5]"))),
        Just((Operator::Unlike, Some("r1|z1|host1"))),
        Just((Operator::Is, Some("r2"))),
        Just((Operator::Like, Some("("))),
    ];
    (field, rest).prop_map(|(field, (operator, value))| Constraint {
        field: field.into(),
        operator,
        value: value.map(str::to_owned),
    })
}

#[derive(Clone, Debug)]
struct Ask {
    demand: Demand,
    constraints: Vec<Constraint>,
    accepted: Option<Vec<RoleName>>,
    observed: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    let demand = (0..6_u64, 0..4_u64, 0..8_u64, 0..5_u16, prop::collection::vec(0..7_u16, 0..3)).prop_map(
        |(cpus, mem, disk, gpus, ports)| Demand {
            cpus_milli: cpus * 300,
            mem: mem << 28,
            disk: if disk == 7 { 1 << 29 } else { 0 },
            gpus: match gpus {
                0..=2 => GpuDemand::default(),
                3 => GpuDemand { count: 1, milli: 400 },
                _ => GpuDemand::whole(1),
            },
            ports: ports
                .into_iter()
                .map(|port| if port < 3 { PortDemand::Exact(31000 + port) } else { PortDemand::Any })
                .collect(),
        },
    );
    let accepted = prop_oneof![
        3 => Just(None),
        1 => Just(Some(vec![RoleName::from("public")])),
        1 => Just(Some(vec![RoleName::any(), RoleName::from("public")])),
    ];
    (demand, prop::collection::vec(constraint(), 0..3), accepted, any::<bool>())
        .prop_map(|(demand, constraints, accepted, observed)| Ask { demand, constraints, accepted, observed })
}

#[derive(Clone, Debug)]
enum Step {
    Place(usize),
    End(usize),
    State(usize, bool),
    Replace(usize, u32),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4_usize).prop_map(Step::Place),
        4 => (0..1000_usize).prop_map(Step::End),
        1 => (0..12_usize, any::<bool>()).prop_map(|(at, active)| Step::State(at, active)),
        1 => (0..12_usize, any::<u32>()).prop_map(|(at, seed)| Step::Replace(at, seed)),
        1 => (0..12_usize).prop_map(Step::Remove),
    ]
}

fn of(at: usize) -> AgentId {
    AgentId::from(format!("agent-{at:03}"))
}

/// Whether the machine satisfies one constraint, told anew and as plainly as can be.
fn satisfies(node: &Node, constraint: &Constraint, peers: &[Node]) -> bool {
    let value = node.field(&constraint.field);
    let wanted = constraint.value.as_deref().unwrap_or("");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in peers.iter().filter_map(|peer| peer.field(&constraint.field)) {
        *counts.entry(value.to_string()).or_default() += 1;
    }
    let Some(value) = value else { return constraint.operator == Operator::Unlike && wanted != "(" };
    let here = counts.get(&*value).copied().unwrap_or(0);
    let least = counts.values().min().copied().unwrap_or(0);
    match (constraint.operator, wanted) {
        (_, "(") => false,
        (Operator::Like, _) => {
            value.len() == 2 && value.starts_with('r')
                || &*value == "z0"
                || (value.len() == 5 && value.starts_with("host") && ("0"..="5").contains(&&value[4..]))
        }
        (Operator::Unlike, _) => !["r1", "z1", "host1"].contains(&&*value),
        (Operator::Is, _) => &*value == wanted,
        (Operator::Unique, _) => here == 0,
        (Operator::MaxPer, _) => here < 2,
        (Operator::Cluster, "") => counts.is_empty() || here == *counts.values().max().unwrap(),
        (Operator::Cluster, _) => &*value == wanted,
        (Operator::GroupBy, "") => here == 0 || here == least,
        (Operator::GroupBy, _) => here == 0 || (here == least && counts.len() >= 2),
    }
}

fn role_ok(node: &Node, accepted: Option<&[RoleName]>) -> bool {
    let role = node.reserved.clone().unwrap_or_else(RoleName::any);
    accepted.map_or(role == RoleName::any(), |accepted| accepted.contains(&role))
}

/// Lives through the steps. After each question, what the cluster says is compared with the plainest way to find out.
fn live(
    seeds: &[u32],
    asks: &[Ask],
    steps: &[Step],
    effort: u32,
    backwards: bool,
) -> Vec<Option<(AgentId, Allocation)>> {
    let mut cluster = Cluster::with_policy(Policy { renewal_at_least: 5, effort, ..Policy::default() });
    let mut nodes: Vec<_> = seeds.iter().enumerate().map(|(at, &seed)| node(at, seed)).collect();
    if backwards {
        nodes.reverse();
    }
    nodes.into_iter().for_each(|node| cluster.upsert(node));
    let mut placed: Vec<(usize, AgentId, Allocation)> = Vec::new();
    let mut answers = Vec::new();
    for step in steps {
        match step {
            Step::Place(which) => {
                let Some(ask) = asks.get(*which) else { continue };
                let own = placed.iter().filter(|(app, ..)| app == which);
                let machines: Vec<Node> = own.filter_map(|(_, id, _)| cluster.node(id)).cloned().collect();
                let mut peers = Peers::new(&ask.constraints);
                machines.iter().for_each(|machine| peers.add(machine));
                if ask.observed {
                    cluster.observe(&ask.demand, &ask.constraints);
                }
                let request = Request {
                    demand: &ask.demand,
                    constraints: &ask.constraints,
                    peers: &peers,
                    role: &RoleName::any(),
                    accepted_roles: ask.accepted.as_deref(),
                };
                let fits = |node: &&Node| {
                    node.state == AgentState::Active
                        && role_ok(node, request.accepted_roles)
                        && ask.constraints.iter().all(|constraint| satisfies(node, constraint, &machines))
                        && node.free.pick(&ask.demand).is_ok()
                };
                let fitting: Vec<AgentId> =
                    cluster.nodes().filter(fits).map(|node| node.id.clone()).collect();
                let explanation = cluster.explain(&request);
                let choice = cluster.place(&request);
                assert_eq!(explanation.choice, choice.as_ref().map(|choice| choice.agent.clone()));
                assert_eq!(explanation.fitting as usize, fitting.len(), "{explanation:?}");
                let kept_out: u32 = explanation.groups.iter().map(|group| group.machines).sum();
                assert_eq!(explanation.fitting + kept_out, explanation.machines);
                let funnel = explanation.funnel();
                assert_eq!(funnel[9].processed - funnel[9].declined, explanation.fitting);
                assert_eq!(explanation.nearest.is_some(), fitting.is_empty() && !cluster.is_empty());
                match choice {
                    None => assert_eq!(fitting, [], "{ask:?}"),
                    Some(choice) => {
                        // CLUSTER without a value goes to one of the values with most instances.
                        assert!(
                            fitting.contains(&choice.agent),
                            "{} is not in {fitting:?}: {ask:?}",
                            choice.agent
                        );
                        assert!(choice.allocation.satisfies(&ask.demand));
                        cluster.take(&choice.agent, &choice.allocation).expect("it fits");
                        answers.push(Some((choice.agent.clone(), choice.allocation.clone())));
                        placed.push((*which, choice.agent, choice.allocation));
                        continue;
                    }
                }
                answers.push(None);
            }
            Step::End(which) if !placed.is_empty() => {
                let (_, id, allocation) = placed.remove(which % placed.len());
                cluster.give_back(&id, &allocation);
            }
            Step::End(_) => {}
            Step::State(at, active) => {
                let state = if *active { AgentState::Active } else { AgentState::Disconnected };
                cluster.set_state(&of(*at), state);
            }
            Step::Replace(at, seed) => {
                placed.retain(|(_, id, _)| *id != of(*at));
                cluster.upsert(node(*at, *seed));
            }
            Step::Remove(at) => {
                placed.retain(|(_, id, _)| *id != of(*at));
                cluster.remove(&of(*at));
            }
        }
        for node in cluster.nodes() {
            let mut left = node.total.clone();
            for (_, _, allocation) in placed.iter().filter(|(_, id, _)| *id == node.id) {
                left.take(allocation).expect("nothing is ever over-committed");
            }
            assert_eq!(left, node.free);
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn choices_fit_and_agree_with_explanations_in_any_order_of_machines(
        seeds in prop_oneof![
            4 => prop::collection::vec(any::<u32>(), 1..12),
            1 => prop::collection::vec(any::<u32>(), 40..80),
        ],
        asks in prop::collection::vec(ask(), 1..4),
        steps in prop::collection::vec(step(), 1..60),
        effort in prop_oneof![Just(1_u32), Just(32)],
    ) {
        let forwards = live(&seeds, &asks, &steps, effort, false);
        let backwards = live(&seeds, &asks, &steps, effort, true);
        prop_assert_eq!(forwards, backwards);
    }
}
