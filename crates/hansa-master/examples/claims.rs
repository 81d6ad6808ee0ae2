//! Short tasks through claims: a master in this process, a real agent beside it, and a scheduler that speaks nothing but
//! claims. It keeps the agent full of `/bin/true` until all have ended. Beside it, `runc run` of the same command.
//!
//! Arguments: the program, how many tasks. Everything is as in production: durable store, gRPC, shims, cgroups.

#[path = "claims/beside.rs"]
mod beside;

use anyhow::{Context, Result, bail};
use hansa_master::cell::{Answer, Outsider, Request};
use hansa_master::{Master, Options, start};
use hansa_model::event::{AgentState, Event};
use hansa_model::resources::{Allocation, Demand, MIB};
use hansa_model::scheduler::{self, Call, Claim, Placement};
use hansa_model::spec::{Command, GroupSpec, TaskSpec};
use hansa_model::task::TaskState;
use hansa_model::{AgentId, InstanceId, Principal, RoleName, SpecId, TaskId};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Thousandths of a CPU that one task takes.
const CPUS_MILLI: u64 = 250;

/// What the agent offers: room for 16 of them at a time.
const RESOURCES: &str = "cpus:4;mem:8192;disk:1000;ports:[29000-29999]";

/// The agent's process; ends with this value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [program, tasks] = &words[..] else { bail!("usage: claims PROGRAM TASKS") };
    let tasks: usize = tasks.parse()?;
    let folder = std::env::temp_dir().join(format!("hansa-claims-{}", std::process::id()));
    let outcome = bench(Path::new(program), tasks, &folder).await;
    let _ = std::fs::remove_dir_all(&folder);
    outcome?;
    beside::runc(tasks.min(200))
}

async fn bench(program: &Path, tasks: usize, folder: &Path) -> Result<()> {
    let running = start(Options::new("127.0.0.1:0".parse()?, folder.join("master"))).await?;
    let master = running.master().clone();
    let url = format!("http://{}", running.address());
    let agent = agent(program, &url, &folder.join("agent"))?;
    let id = active(&master).await?;
    print_memory("agent idle", agent.0.id());

    let mut scheduler = Scheduler::new(master.clone(), id);
    // Once, so that everything has been touched.
    scheduler.run(32).await?;
    let writes = master.metrics().write_seconds.view();
    let begun = Instant::now();
    let failed = scheduler.run(tasks).await?;
    let took = begun.elapsed();
    let after = master.metrics().write_seconds.view();
    println!(
        "{tasks} tasks of /bin/true through claims: {:.2} s, {:.0} tasks/s, {failed} failed",
        took.as_secs_f64(),
        tasks as f64 / took.as_secs_f64()
    );
    println!("  {} durable writes, {:.2} s together", after.count - writes.count, after.sum - writes.sum);
    print_memory("agent after", agent.0.id());
    drop(agent);
    running.stop().await?;
    Ok(())
}

fn agent(program: &Path, master: &str, folder: &PathBuf) -> Result<Agent> {
    let mut command = std::process::Command::new(program);
    command.args(["agent", "--master", master, "--listen", "127.0.0.1:0", "--hostname", "bench"]);
    command.args(["--resources", RESOURCES, "--data-dir"]).arg(folder).env("HANSA_LOG", "warn");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Ok(Agent(child.with_context(|| format!("cannot start {}", program.display()))?))
}

/// Waits for the one agent.
async fn active(master: &Master) -> Result<AgentId> {
    let mut published = master.subscribe();
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            for event in &published.recv().await?.events {
                if let Event::Agent(view) = event
                    && view.state == AgentState::Active
                {
                    return Ok(view.id.clone());
                }
            }
        }
    })
    .await
    .context("the agent does not come")?
}

/// Claims a place for each task, as long as there is one.
struct Scheduler {
    master: Master,
    agent: AgentId,
    name: Outsider,
    spec: Option<SpecId>,
    next: u64,
}

impl Scheduler {
    fn new(master: Master, agent: AgentId) -> Self {
        Self { master, agent, name: Outsider::named("bench"), spec: None, next: 0 }
    }

    async fn call(&self, call: Call) -> Result<scheduler::Answer> {
        let request = Request::Call { by: self.name.clone(), call };
        match self.master.submit(Principal::loopback(), request).await {
            Ok((_, Answer::Call(answer))) => Ok(answer),
            other => bail!("the kernel answers {other:?}"),
        }
    }

    async fn spec(&mut self) -> Result<SpecId> {
        if let Some(spec) = self.spec {
            return Ok(spec);
        }
        let task = TaskSpec {
            name: "true".into(),
            command: Command::Argv(vec!["/bin/true".into()]),
            demand: Demand { cpus_milli: CPUS_MILLI, mem: 16 * MIB, ..Demand::default() },
            kill_grace_ms: 1_000,
            ..TaskSpec::default()
        };
        let group = GroupSpec { tasks: vec![task], ..GroupSpec::default() };
        let scheduler::Answer::Spec(spec) = self.call(Call::RegisterSpec { group: group.into() }).await?
        else {
            bail!("the spec was not registered")
        };
        Ok(*self.spec.insert(spec))
    }

    fn placement(&mut self, spec: SpecId) -> Placement {
        self.next += 1;
        Placement {
            instance: InstanceId::from(format!("bench-{}", self.next)),
            tasks: vec![TaskId::from(format!("bench-{}.1", self.next))],
            spec,
            agent: self.agent.clone(),
            allocation: Allocation { cpus_milli: CPUS_MILLI, mem: 16 * MIB, ..Allocation::default() },
        }
    }

    /// Runs so many tasks to their end; how many did not finish well.
    async fn run(&mut self, tasks: usize) -> Result<usize> {
        let spec = self.spec().await?;
        let mut published = self.master.subscribe();
        let mut free = (4_000 / CPUS_MILLI) as usize;
        let (mut claimed, mut ended, mut failed) = (0, 0, 0);
        while ended < tasks {
            let now = free.min(tasks - claimed);
            if now > 0 {
                let placements: Vec<Placement> = (0..now).map(|_| self.placement(spec)).collect();
                let claim = Claim {
                    owner: self.name.owner().clone(),
                    role: RoleName::any(),
                    principal: Principal::loopback(),
                    gang: false,
                    constraints: Vec::new(),
                    placements,
                };
                let scheduler::Answer::Claim(answers) = self.call(Call::Claim(claim)).await? else {
                    bail!("a claim was not answered as one")
                };
                if let Some(refused) = answers.into_iter().find_map(Result::err) {
                    bail!("a claim was refused: {refused}");
                }
                claimed += now;
                free -= now;
            }
            // Everything that has been said by now: claims are made together.
            let mut news = Some(published.recv().await?);
            while let Some(batch) = news {
                for event in &batch.events {
                    if let Event::Task { view, .. } = event
                        && view.owner == *self.name.owner()
                        && view.status.state.is_terminal()
                    {
                        ended += 1;
                        free += 1;
                        failed += usize::from(view.status.state != TaskState::Finished);
                    }
                }
                news = published.try_recv().ok();
            }
        }
        Ok(failed)
    }
}

fn print_memory(what: &str, pid: u32) {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let size = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .and_then(|kb| kb.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    println!("  {what}: RSS {:.1} MB, PSS {:.1} MB", size("Rss:") / 1000.0, size("Pss:") / 1000.0);
}
