//! What the scheduler costs with very many instances. Not a test of speed by itself (machines differ); run it by hand:
//! `cargo test -p hansa-schedulers --release -- --ignored --nocapture million`.

use super::*;
use crate::services::{Services, Settings};
use hansa_model::event::AgentState;
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, InstanceId, Resources, SpecId, TaskId, Timestamp};
use hansa_placement::{Cluster, Node};
use std::time::{Duration, Instant};

const APPS: usize = 1_000;
const INSTANCES: u32 = 1_000;
const NODES: usize = 5_000;

#[derive(Default)]
struct Clock {
    services: Duration,
    calls: usize,
}

impl Clock {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.services += start.elapsed();
        self.calls += 1;
        result
    }

    fn tell(&mut self, what: &str, count: usize) {
        println!(
            "{what}: {:.2} µs each in the scheduler ({} calls)",
            self.services.as_secs_f64() * 1e6 / count as f64,
            self.calls
        );
        *self = Self::default();
    }
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

#[test]
#[ignore = "takes long, and shows numbers instead of testing anything"]
fn a_million_instances() {
    let mut cluster = Cluster::new();
    for index in 0..NODES {
        let total: Resources = "cpus:32;mem:131072;disk:100000".parse().unwrap();
        cluster.upsert(Node {
            id: AgentId::from(format!("agent{index:05}")),
            hostname: Arc::from(format!("node{index:05}")),
            region: None,
            zone: None,
            attributes: BTreeMap::new(),
            state: AgentState::Active,
            reserved: None,
            free: total.clone(),
            total,
        });
    }
    let mut services = Services::new(Settings::default());
    let (mut clock, mut placing) = (Clock::default(), Clock::default());
    for index in 0..APPS {
        let spec = app(&format!("/load/app{index:04}"), INSTANCES);
        clock.time(|| services.command(Timestamp(1000 + index as u64), change(vec![put(spec)]))).0.unwrap();
    }
    clock.tell("commands", APPS);
    let before = resident();
    let mut groups: Vec<(InstanceId, TaskId)> = Vec::new();
    let (mut next_spec, now) = (0, Timestamp(5_000));
    loop {
        let (call, _) = placing.time(|| services.next_call(now, &cluster));
        let Some(call) = call else { break };
        let answer = match &call {
            Call::RegisterSpec { .. } => {
                next_spec += 1;
                Answer::Spec(SpecId(next_spec))
            }
            Call::Claim(claim) => {
                let placement = &claim.placements[0];
                cluster.take(&placement.agent, &placement.allocation).unwrap();
                groups.push((placement.instance.clone(), placement.tasks[0].clone()));
                Answer::Claim(vec![Ok(())])
            }
            _ => Answer::Done,
        };
        clock.time(|| services.answered(now, call, answer, &cluster));
    }
    let total = APPS * INSTANCES as usize;
    assert_eq!(groups.len(), total);
    placing.tell("asking for claims, placement included", total);
    clock.tell("answers", total);
    println!("memory: {} bytes each, with this test's own 32", (resident() - before) / total as u64);
    for state in [TaskState::Starting, TaskState::Running] {
        for (at, (instance, task)) in groups.iter().enumerate() {
            let status = TaskStatus::new(task.clone(), instance.clone(), 1, state, now);
            clock.time(|| services.notice(now, Notice::Status(status), &cluster));
            if at % 100 == 0 {
                clock.time(|| services.next_call(now, &cluster));
            }
        }
        clock.tell(state.name(), total);
    }
    clock.time(|| while services.next_call(now, &cluster).0.is_some() {});
    assert!(services.by_deployment.is_empty());
    for (instance, task) in &groups {
        let status = TaskStatus::new(task.clone(), instance.clone(), 2, TaskState::Failed, now);
        clock.time(|| services.notice(now, Notice::Status(status), &cluster));
    }
    clock.tell("failures", total);
    services.check().unwrap();
}
