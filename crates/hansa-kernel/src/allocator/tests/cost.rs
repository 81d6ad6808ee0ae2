//! What allocation costs: `cargo test --release -p hansa-kernel --lib allocation_cycles -- --ignored --nocapture`.

use super::world::*;
use crate::allocator::{Allocator, Idle, Proposal};
use crate::roles::Roles;
use hansa_model::framework::{Part, parts};
use hansa_model::resources::PortSet;
use hansa_model::role::{Bound, Role, Totals};
use hansa_model::{AgentId, FrameworkId, Timestamp};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

struct Cluster {
    allocator: Allocator,
    roles: Roles,
    idle: FxHashMap<AgentId, Vec<Part>>,
    attributes: BTreeMap<String, String>,
    capacity: Totals,
    now: Timestamp,
    /// How many machines were asked for.
    looked: Cell<usize>,
}

impl Cluster {
    fn new(agents: usize, frameworks: usize) -> Self {
        let mut amount = amount(64_000, 262_144);
        amount.ports = PortSet::from_ranges([(31_000, 32_000)]);
        let mut cluster = Self {
            allocator: Allocator::default(),
            roles: Roles::default(),
            idle: FxHashMap::default(),
            attributes: [("rack".to_owned(), "r1".to_owned())].into(),
            capacity: Totals::default(),
            now: Timestamp(1_000_000),
            looked: Cell::default(),
        };
        for at in 0..agents {
            let id = AgentId::from(format!("5ec2b1f0-52a5-4ed6-8c0e-{at:012}"));
            cluster.allocator.machine_changed(&id);
            cluster.capacity = cluster.capacity.plus(amount.totals());
            cluster.idle.insert(id, vec![Part::unreserved(amount.clone())]);
        }
        for at in 0..frameworks {
            // A tenth as many roles, a third of them below others.
            let role = match at % (frameworks / 10) {
                role if role % 3 == 0 && role > 0 => format!("role{}/below{role}", role - 1),
                role => format!("role{role}"),
            };
            cluster.allocator.put(&framework(at), World::taker(&role));
        }
        cluster
    }

    /// A cycle, and the time that it took.
    fn propose(&mut self) -> (Vec<Proposal>, Duration) {
        let begun = Instant::now();
        let Self { allocator, roles, idle, attributes, capacity, now, looked } = self;
        let machine = |id: &AgentId| {
            looked.set(looked.get() + 1);
            let (id, parts) = idle.get_key_value(id)?;
            Some(Idle {
                parts: parts.clone(),
                attributes,
                hostname: id.as_str(),
                region: None,
                zone: None,
                has_gpus: false,
                rank: 0,
            })
        };
        // Whatever is offered stays free.
        let proposals = allocator.propose(*now, roles, *capacity, *capacity, machine);
        let time = begun.elapsed();
        for Proposal { agent, parts, .. } in &proposals {
            let idle = self.idle.get_mut(agent).expect("known");
            parts::take(idle, parts).expect("idle");
        }
        (proposals, time)
    }

    fn give_back(&mut self, proposal: &Proposal) {
        let Proposal { framework, role, agent, parts } = proposal;
        self.allocator.unbook(framework, role, parts::sum(parts).totals());
        self.roles.unoffer(role, parts);
        parts::give(self.idle.get_mut(agent).expect("known"), parts);
        self.allocator.machine_changed(agent);
    }

    fn decline(&mut self, proposal: &Proposal, ms: u64) {
        self.give_back(proposal);
        let Proposal { framework, role, agent, parts } = proposal.clone();
        self.allocator.refuse(self.now, &framework, &role, &agent, parts, ms);
    }
}

/// How many machines are looked at while a role at its limit declines offers, one by one.
#[test]
fn a_role_at_its_limit_is_shown_few_machines() {
    for limit in [672_000, 10_000] {
        let mut cluster = Cluster::new(200, 10);
        (1..10).for_each(|at| cluster.allocator.remove(&framework(at)));
        let (guarantee, limit) = (Bound::default(), Bound { cpus_milli: Some(limit), ..Bound::default() });
        cluster.roles.set(Role { name: "role0".into(), weight_milli: 1000, guarantee, limit });
        let (mut offers, _) = cluster.propose();
        // The first time all are looked at.
        for turn in 0..100 {
            let offer = offers.remove(0);
            cluster.decline(&offer, 3_600_000);
            cluster.looked.set(0);
            let (next, _) = cluster.propose();
            assert!(!next.is_empty(), "something else is offered");
            offers.extend(next);
            let looked = cluster.looked.get();
            assert!(turn == 0 || looked <= 8, "{looked} machines were looked at in turn {turn}");
        }
    }
}

fn framework(at: usize) -> FrameworkId {
    FrameworkId::from(format!("1b8fa7a4-4a33-4a3b-92a5-3a2bb3f4a70a-{at:04}"))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The least of several times, as busy neighbours only add.
fn least(times: impl IntoIterator<Item = Duration>) -> f64 {
    ms(times.into_iter().min().unwrap_or_default())
}

fn median(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    (ms(times[times.len() / 2]), ms(times[times.len() * 99 / 100]))
}

fn measure(agents: usize, frameworks: usize, mesos_ms: f64) {
    println!("{agents} agents, {frameworks} frameworks (Mesos 1.8: {mesos_ms} ms for a cycle)");
    let mut rounds: [Vec<Duration>; 3] = Default::default();
    let (mut cluster, mut offered) = (Cluster::new(agents, frameworks), Vec::new());
    for _ in 0..3 {
        cluster = Cluster::new(agents, frameworks);
        let (first, time) = cluster.propose();
        assert_eq!(first.len(), agents);
        rounds[0].push(time);
        first.iter().for_each(|proposal| cluster.decline(proposal, 5_000));
        let (second, time) = cluster.propose();
        assert_eq!(second.len(), agents);
        rounds[1].push(time);
        cluster.now = cluster.now + 5_000;
        let (none, time) = cluster.propose();
        assert!(none.is_empty());
        rounds[2].push(time);
        offered = second;
    }
    let [first, again, ended] = rounds.map(least);
    println!("  a cycle: every machine is offered            {first:9.3} ms");
    println!("  a cycle: all were refused, and go to others  {again:9.3} ms");
    println!("  all refusals end, and nothing is idle        {ended:9.3} ms");

    let freed = offered.iter().take(1_000).map(|proposal| {
        cluster.give_back(proposal);
        let (one, time) = cluster.propose();
        assert_eq!(one.len(), 1);
        time
    });
    let (freed, slow) = median(freed.collect());
    println!("  one freed machine: it is offered             {freed:9.3} ms (99 % in {slow:.3})");

    // Machines go round until everybody has refused them.
    let mut proposal = offered[agents - 1].clone();
    let mut round = Vec::new();
    for _ in 0..frameworks {
        cluster.decline(&proposal, 3_600_000);
        let (next, time) = cluster.propose();
        round.push(time);
        match next.into_iter().next() {
            Some(next) => proposal = next,
            None => break,
        }
    }
    assert_eq!(round.len(), frameworks, "everybody is asked once");
    let whole = ms(round.iter().sum());
    println!("  one machine, offered to all in turn          {whole:9.3} ms");
    let refused = (0..200).map(|_| {
        cluster.allocator.resting.clear();
        cluster.allocator.machine_changed(&proposal.agent);
        let (none, time) = cluster.propose();
        assert!(none.is_empty());
        time
    });
    let (refused, slow) = median(refused.collect());
    println!("  one freed machine that all have refused      {refused:9.3} ms (99 % in {slow:.3})");
    cluster.allocator.revive(&framework(7), &Default::default());
    let (one, time) = cluster.propose();
    assert_eq!(one.len(), 1);
    println!("  one framework is revived                     {:9.3} ms", ms(time));
}

/// One offer at a time of a role at its limit is declined; how long it takes until the next is out: the median, and the mean.
fn at_the_limit(agents: usize, cpus_milli: u64) -> (f64, f64) {
    let mut cluster = Cluster::new(agents, 10);
    (1..10).for_each(|at| cluster.allocator.remove(&framework(at)));
    let limit = Bound { cpus_milli: Some(cpus_milli), ..Bound::default() };
    let guarantee = Bound::default();
    cluster.roles.set(Role { name: "role0".into(), weight_milli: 1000, guarantee, limit });
    let (mut offers, _) = cluster.propose();
    assert_eq!(offers.len() as u64, cpus_milli.div_ceil(64_000));
    let mut times = Vec::new();
    for _ in 0..agents / 2 {
        let offer = offers.remove(0);
        cluster.decline(&offer, 3_600_000);
        let (next, time) = cluster.propose();
        assert_eq!(next.len(), 1, "another machine is offered");
        offers.extend(next);
        times.push(time);
    }
    let mean = ms(times.iter().sum()) / times.len() as f64;
    (median(times).0, mean)
}

#[test]
#[ignore = "measures rather than tests"]
fn allocation_cycles() {
    println!("a role at its limit declines each offer, and the rest is idle");
    for (what, limit) in [("of ten machines", 640_000), ("of less than a machine", 10_000)] {
        let (few, _) = at_the_limit(1_000, limit);
        let (many, mean) = at_the_limit(10_000, limit);
        let ratio = many / few;
        println!("  {what:<26} 1,000: {few:.3} ms, 10,000: {many:.3} ms (mean {mean:.3}), ratio {ratio:.2}");
    }
    measure(1_000, 100, 50.0);
    measure(10_000, 1_000, 1_100.0);
    measure(20_000, 2_000, 3_800.0);
}
