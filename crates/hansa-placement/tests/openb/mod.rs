//! The openb experiment: tasks of a production GPU cluster arrive in random order until they ask for 130 % of its GPUs;
//! nothing ends, and what does not fit is turned away. Data: `traces/openb` below `$HANSA_DATA`.

use hansa_model::app::{Constraint, Operator};
use hansa_model::event::AgentState;
use hansa_model::resources::{GpuDemand, MIB};
use hansa_model::{AgentId, Demand, Resources, RoleName};
use hansa_placement::{Choice, Cluster, Node, Peers, Policy, Request};
use std::io::Write;
use std::path::PathBuf;

/// A small generator of random numbers, the same everywhere (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

/// In which order machines are numbered.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    File,
    Reversed,
    Shuffled(u64),
}

#[derive(Clone, Debug)]
struct Task {
    demand: Demand,
    constraints: Vec<Constraint>,
}

/// What a run came to, in per cent of all GPUs; arrivals until the first refusal of a task that an empty machine could
/// have taken.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub at_100: f64,
    pub at_130: f64,
    pub first_refusal: f64,
    pub tasks: usize,
}

pub struct Data {
    nodes: Vec<Node>,
    default: Vec<Task>,
    gpuspec33: Vec<Task>,
}

impl Data {
    /// None, after saying so loudly, if the data is not there.
    pub fn read() -> Option<Self> {
        let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let data = std::env::var_os("HANSA_DATA").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
        let folder = workspace.join(data).join("traces/openb");
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path)
                .inspect_err(|error| {
                    // Not by a macro: the harness would keep it to itself.
                    let path = path.display();
                    let words = format!("\n*** SKIPPED, no data: {path}: {error}; set HANSA_DATA ***\n\n");
                    let _ = std::io::stderr().write_all(words.as_bytes());
                })
                .ok()
        };
        Some(Self {
            nodes: rows(&read("openb_node_list_gpu_node.csv")?).map(|row| node(&row)).collect(),
            default: rows(&read("openb_pod_list_default.csv")?).map(|row| task(&row)).collect(),
            gpuspec33: rows(&read("openb_pod_list_gpuspec33.csv")?).map(|row| task(&row)).collect(),
        })
    }

    /// One run. Without a policy: first fit.
    pub fn run(&self, trace: &str, order: Order, seed: u64, policy: Option<&(Policy, bool)>) -> Outcome {
        let trace = if trace == "gpuspec33" { &self.gpuspec33 } else { &self.default };
        let mut nodes = self.nodes.clone();
        match order {
            Order::File => {}
            Order::Reversed => nodes.reverse(),
            Order::Shuffled(seed) => Random::new(seed).shuffle(&mut nodes),
        }
        for (at, node) in nodes.iter_mut().enumerate() {
            node.id = AgentId::from(format!("agent-{at:04}"));
        }
        let mut cluster =
            policy.map_or_else(Cluster::new, |(policy, _)| Cluster::with_policy(policy.clone()));
        nodes.iter().for_each(|node| cluster.upsert(node.clone()));
        let cold = policy.is_some_and(|(_, known)| !known);
        if policy.is_some_and(|(_, known)| *known) {
            trace.iter().for_each(|task| cluster.observe(&task.demand, &task.constraints));
        }
        let all: u64 = nodes.iter().map(|node| node.total.gpus.len() as u64 * 1000).sum();
        let mut random = Random::new(seed);
        let mut first: Vec<usize> = (0..trace.len()).collect();
        random.shuffle(&mut first);
        let mut first = first.into_iter();
        let (mut arrived, mut placed) = (0, 0);
        let per_cent = |milli: u64| milli as f64 * 100.0 / all as f64;
        let mut outcome = Outcome { at_100: 0.0, at_130: 0.0, first_refusal: 130.0, tasks: 0 };
        while arrived * 10 < all * 13 {
            let task = &trace[first.next().unwrap_or_else(|| random.below(trace.len()))];
            let asked = u64::from(task.demand.gpus.count) * u64::from(task.demand.gpus.milli);
            arrived += asked;
            outcome.tasks += 1;
            if cold {
                cluster.observe(&task.demand, &task.constraints);
            }
            let choice = if policy.is_some() { place(&cluster, task) } else { first_fit(&cluster, task) };
            match choice {
                Some(choice) => {
                    cluster.take(&choice.agent, &choice.allocation).expect("it fits");
                    placed += asked;
                }
                None if outcome.first_refusal == 130.0 && self.nodes.iter().any(|node| fits(node, task)) => {
                    outcome.first_refusal = per_cent(arrived);
                }
                None => {}
            }
            if arrived <= all {
                outcome.at_100 = per_cent(placed);
            }
        }
        outcome.at_130 = per_cent(placed);
        outcome
    }
}

fn place(cluster: &Cluster, task: &Task) -> Option<Choice> {
    cluster.place(&Request {
        demand: &task.demand,
        constraints: &task.constraints,
        peers: &Peers::default(),
        role: &RoleName::any(),
        accepted_roles: None,
    })
}

fn first_fit(cluster: &Cluster, task: &Task) -> Option<Choice> {
    let node = cluster.nodes().find(|node| fits(node, task))?;
    Some(Choice { agent: node.id.clone(), allocation: node.free.pick(&task.demand).ok()? })
}

fn fits(node: &Node, task: &Task) -> bool {
    let right_type = |constraint: &Constraint| {
        let types = constraint.value.as_deref().unwrap_or_default();
        let own = node.field("gpu_model");
        own.is_some_and(|own| types.split('|').any(|one| *one == *own))
    };
    let (free, demand) = (&node.free, &task.demand);
    let devices = free.gpus.iter().filter(|&&free| free >= demand.gpus.milli).count();
    free.cpus_milli >= demand.cpus_milli
        && free.mem >= demand.mem
        && devices >= usize::from(demand.gpus.count)
        && task.constraints.iter().all(right_type)
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| line.split(',').collect())
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().unwrap_or_else(|| panic!("'{text}' is a number"))
}

fn node(row: &[&str]) -> Node {
    let total = Resources {
        cpus_milli: number(row[1]),
        mem: number::<u64>(row[2]) * MIB,
        gpus: vec![1000; number(row[3])],
        ..Resources::default()
    };
    Node {
        id: AgentId::from(row[0]),
        hostname: row[0].into(),
        region: None,
        zone: None,
        attributes: [("gpu_model".to_owned(), row[4].into())].into(),
        state: AgentState::Active,
        reserved: None,
        free: total.clone(),
        total,
    }
}

fn task(row: &[&str]) -> Task {
    let like = |types: &str| Constraint {
        field: "gpu_model".into(),
        operator: Operator::Like,
        value: Some(types.into()),
    };
    let count = number(row[3]);
    Task {
        demand: Demand {
            cpus_milli: number(row[1]),
            mem: number::<u64>(row[2]) * MIB,
            gpus: GpuDemand { count, milli: if count == 0 { 0 } else { number(row[4]) } },
            ..Demand::default()
        },
        constraints: if row[5].is_empty() { vec![] } else { vec![like(row[5])] },
    }
}
