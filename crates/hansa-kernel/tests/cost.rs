//! What a task costs: `cargo test --release -p hansa-kernel --test cost -- --ignored --nocapture`.

use hansa_kernel::{Command, Kernel, Settings};
use hansa_model::agent::Hello;
use hansa_model::scheduler::{Answer, Call, Claim, Placement};
use hansa_model::spec::{GroupSpec, Origin, TaskSpec};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{Allocation, Demand, InstanceId, Owner, Principal, RoleName, TaskId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

const AGENTS: usize = 5_000;
const TASKS: usize = 1_000_000;

/// Time that this thread was given by a processor, so that busy neighbours do not count.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
#[ignore = "takes a while, and measures rather than tests"]
fn a_million_tasks() {
    let mut kernel = Kernel::new(Settings::default());
    let mut now = Timestamp(1_700_000_000_000);
    for agent in 0..AGENTS {
        let hello = Hello {
            agent: Some(format!("agent-{agent:05}").into()),
            boot: Some(format!("boot-{agent:05}").into()),
            hostname: format!("host-{agent:05}"),
            resources: "cpus:64;mem:262144;disk:1000000;ports:[31000-32000]".parse().unwrap(),
            ..Hello::default()
        };
        kernel.apply(now, Command::AgentConnected { hello: Box::new(hello) });
    }
    let ids: Vec<_> = kernel.cluster().nodes().map(|node| node.id.clone()).collect();
    let demand = Demand { cpus_milli: 100, mem: 1 << 20, ..Demand::default() };
    let allocation = Allocation { cpus_milli: 100, mem: 1 << 20, ..Allocation::default() };
    let task = TaskSpec { name: "_app".into(), demand, ..TaskSpec::default() };
    let origin = Origin::App { id: "/shop/web".into(), version: now };
    let group = Arc::new(GroupSpec { origin, tasks: vec![task], ..GroupSpec::default() });
    let call = |call| Command::Call { owner: Owner::services(), principal: Principal::loopback(), call };
    let answer = kernel.apply(now, call(Call::RegisterSpec { group })).answer;
    let Some(Ok(Answer::Spec(spec))) = answer else { panic!("{answer:?}") };
    let (role, owner) = (RoleName::any(), Owner::services());

    let before = resident();
    let mut costs = [Duration::ZERO; 3];
    let mut tasks: Vec<(TaskId, InstanceId)> = Vec::new();
    for batch in 0..TASKS / 100 {
        now = now + 1;
        let placements: Vec<Placement> = (0..100)
            .map(|at| {
                let instance = format!("shop_web.instance-{:032x}", batch * 100 + at);
                let task = TaskId::from(format!("{instance}._app.1"));
                tasks.push((task.clone(), instance.as_str().into()));
                Placement {
                    instance: instance.into(),
                    tasks: vec![task],
                    spec,
                    agent: ids[(batch * 100 + at) % AGENTS].clone(),
                    allocation: allocation.clone(),
                }
            })
            .collect();
        let claim = Claim {
            owner: owner.clone(),
            role: role.clone(),
            principal: Principal::loopback(),
            gang: false,
            constraints: vec![],
            placements,
        };
        let start = spent();
        let outcome = kernel.apply(now, call(Call::Claim(claim)));
        costs[0] += spent() - start;
        assert_eq!(outcome.effects.len(), 100);
    }
    let after = resident();
    for (step, state) in [(1, TaskState::Running), (2, TaskState::Finished)] {
        let start = spent();
        for (at, (task, instance)) in tasks.iter().enumerate() {
            let status = TaskStatus::new(task.clone(), instance.clone(), step as u64, state, now);
            let agent = ids[at % AGENTS].clone();
            let outcome = kernel.apply(now, Command::Update { agent, status });
            assert!(!outcome.effects.is_empty());
        }
        costs[step] = spent() - start;
        if step == 1 {
            println!("{} MB with all running", resident() >> 20);
        }
    }
    println!(
        "{TASKS} tasks on {AGENTS} agents: {} ns a claim, {} ns an update, {} ns an end; {} bytes a task, ids included",
        costs[0].as_nanos() / TASKS as u128,
        costs[1].as_nanos() / TASKS as u128,
        costs[2].as_nanos() / TASKS as u128,
        (after - before) / TASKS,
    );
}
