//! A master with simulated agents: how long until every instance of every service runs, what each thread worked for
//! it, and what it weighs. Everything is as in production except the agents: the HTTP port takes the services,
//! the store is durable.
//!
//! - `swarm cell AGENTS SERVICES INSTANCES`: agents are channels in the master's process.
//! - `swarm link AGENTS SERVICES INSTANCES`: agents are in a process of their own, each with a gRPC stream of its own.
//! - `swarm serve ADDRESS AGENTS SERVICES INSTANCES`: agents as in `cell`; once all runs it says so and stays until its
//!   stdin ends, for whoever measures a client: the console.
//! - `swarm offers AGENTS SECONDS`: a framework over HTTP that fills every offer; its tasks end at once.
//! - `swarm state AGENTS TASKS SECONDS`: `/state` of so many, and a framework that launches at a steady pace alone and beside
//!   readers.
//! - `swarm framework URL SECONDS`: the same framework, with tasks of `/bin/true`, on a cluster that is there.

mod agents;
mod framework;
mod measure;
mod state;

use agents::{Last, Room};
use anyhow::Context;
use framework::Load;
use hansa_master::{Master, Options, Running, start};
use measure::{Threads, resident_mib};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USAGE: &str = "usage: swarm cell|link AGENTS SERVICES INSTANCES, serve ADDRESS AGENTS SERVICES INSTANCES, \
                     offers AGENTS SECONDS, state AGENTS TASKS SECONDS, framework URL SECONDS";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [how @ ("cell" | "link"), agents, services, instances] => {
            load(how, agents.parse()?, services.parse()?, instances.parse()?).await
        }
        ["serve", address, agents, services, instances] => {
            serve(address.parse()?, agents.parse()?, services.parse()?, instances.parse()?).await
        }
        ["offers", agents, seconds] => offers(agents.parse()?, seconds.parse()?).await,
        ["state", agents, tasks, seconds] => {
            state::state(agents.parse()?, tasks.parse()?, seconds.parse()?).await
        }
        ["framework", url, seconds] => framework::run(url, all_of(seconds.parse()?)).await.map(drop),
        // The other process of `link`.
        ["agents", master, agents, tasks] => {
            let room = Room { tasks: tasks.parse()?, last: Last::Running };
            agents::serve(master, agents.parse()?, room).await
        }
        _ => anyhow::bail!(USAGE),
    }
}

/// The process of `link` that the agents are in; ends with this value.
struct AgentProcess(Child);

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn load(how: &str, agents: usize, services: usize, instances: usize) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("hansa-swarm-{}", std::process::id()));
    let running = start(Options::new("127.0.0.1:0".parse()?, &folder)).await?;
    println!("idle: {} MiB", resident_mib("self"));
    let room = Room { tasks: services * instances / agents + 1, last: Last::Running };
    let other = match how {
        "link" => Some(agent_process(&running, agents, room.tasks)?),
        _ => {
            agents::start_in_process(running.master(), agents, room).await?;
            None
        }
    };
    all_joined(running.master(), agents).await?;
    println!("{agents} agents: {} MiB", resident_mib("self"));

    let pids: Vec<(&str, String)> = std::iter::once(("master", "self".to_owned()))
        .chain(other.iter().map(|other| ("agents", other.0.id().to_string())))
        .collect();
    let before: Vec<Threads> = pids.iter().map(|(_, pid)| Threads::of(pid)).collect();
    let begun = Instant::now();
    post(&running, services, instances).await?;
    println!("all accepted after {:.2?}", begun.elapsed());
    let wanted = services * instances;
    while (running.master().read().counts().running() as usize) < wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    println!(
        "{wanted} running after {took:.2?}: {:.0}/s; {} MiB",
        wanted as f64 / took.as_secs_f64(),
        resident_mib("self")
    );
    let metrics = running.master().metrics();
    let writes = metrics.write_seconds.view();
    println!(
        "{} durable writes in {:.2} s; {} fsyncs of them in {:.2?}",
        writes.count,
        writes.sum,
        metrics.syncs.count(),
        metrics.syncs.time()
    );
    for ((name, pid), before) in pids.iter().zip(before) {
        println!("{name}, processor time:");
        for (thread, seconds) in Threads::of(pid).since(&before) {
            println!("{seconds:>8.2} s  {thread}");
        }
    }
    drop(other);
    running.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// A cluster that is there to be looked at.
async fn serve(address: SocketAddr, agents: usize, services: usize, instances: usize) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("hansa-swarm-{}", std::process::id()));
    let running = start(Options::new(address, &folder)).await?;
    let room = Room { tasks: services * instances / agents + 1, last: Last::Running };
    agents::start_in_process(running.master(), agents, room).await?;
    all_joined(running.master(), agents).await?;
    post(&running, services, instances).await?;
    while (running.master().read().counts().running() as usize) < services * instances {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{agents} agents, {} running at http://{}", services * instances, running.address());
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    running.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// As much as there is room for.
fn all_of(seconds: u64) -> Load<'static> {
    Load { time: Duration::from_secs(seconds), command: "/bin/true", pace: None }
}

/// A framework on simulated agents whose tasks end at once.
async fn offers(agents: usize, seconds: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("hansa-swarm-{}", std::process::id()));
    let running = start(Options::new("127.0.0.1:0".parse()?, &folder)).await?;
    agents::start_in_process(running.master(), agents, Room { tasks: 10, last: Last::Finished }).await?;
    all_joined(running.master(), agents).await?;
    let before = Threads::of("self");
    let url = format!("http://{}", running.address());
    framework::run(&url, all_of(seconds)).await?;
    println!("{} MiB; processor time, the framework's included:", resident_mib("self"));
    for (thread, seconds) in Threads::of("self").since(&before) {
        println!("{seconds:>8.2} s  {thread}");
    }
    running.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// All services, one after the other, as any client would.
async fn post(running: &Running, services: usize, instances: usize) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/v2/apps", running.address());
    for number in 0..services {
        let app = serde_json::json!({
            "id": format!("/app{number}"), "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "disk": 0,
            "instances": instances, "portDefinitions": [],
        });
        let request = client.post(&url).header("content-type", "application/json").body(app.to_string());
        request.send().await?.error_for_status()?;
    }
    Ok(())
}

fn agent_process(running: &Running, agents: usize, room: usize) -> anyhow::Result<AgentProcess> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "agents",
        &format!("http://{}", running.address()),
        &agents.to_string(),
        &room.to_string(),
    ]);
    // It ends when this end of its stdin is closed, however this process ends.
    let child = command.stdin(Stdio::piped()).spawn().context("cannot start the agents")?;
    Ok(AgentProcess(child))
}

async fn all_joined(master: &Master, agents: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while master.read().agents().count() < agents {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "the agents do not join");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    master.catch_up().await?;
    Ok(())
}
