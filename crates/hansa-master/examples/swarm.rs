//! A master with simulated agents in its process: how long until every instance of every service runs, what each
//! thread worked for it, and what it weighs. Everything is as in production except that agents are channels: the HTTP
//! port takes the services, the store is durable.
//!
//! Arguments: agents, services, instances of each.

use hansa_link::{ToAgentBody, ToMaster, ToMasterBody};
use hansa_master::session::Session;
use hansa_master::{Options, clock, start};
use hansa_model::agent::Hello;
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{AgentId, Term};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [agents, services, instances] = numbers[..] else {
        anyhow::bail!("usage: swarm AGENTS SERVICES INSTANCES")
    };
    let folder = std::env::temp_dir().join(format!("hansa-swarm-{}", std::process::id()));
    let running = start(Options::new("127.0.0.1:0".parse()?, &folder)).await?;
    let master = running.master().clone();
    println!("idle: {} MiB", resident_mib());

    for number in 0..agents {
        let mut session = master.connect().await?;
        session.to_master.send(hello(number, services * instances / agents + 1)).await?;
        tokio::spawn(work(session));
    }
    master.catch_up().await?;
    println!("{agents} agents: {} MiB", resident_mib());

    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/v2/apps", running.address());
    let begun = Instant::now();
    for number in 0..services {
        let app = serde_json::json!({
            "id": format!("/app{number}"), "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "disk": 0,
            "instances": instances, "portDefinitions": [],
        });
        let request = client.post(&url).header("content-type", "application/json").body(app.to_string());
        request.send().await?.error_for_status()?;
    }
    println!("all accepted after {:?}", begun.elapsed());
    let wanted = services * instances;
    loop {
        let counts = master.read().counts();
        if counts.running() as usize >= wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    println!(
        "{wanted} running after {took:?}: {:.0}/s; {} MiB",
        wanted as f64 / took.as_secs_f64(),
        resident_mib()
    );
    let writes = master.metrics().write_seconds.view();
    println!("{} durable writes, {:.2} s together", writes.count, writes.sum);
    for (thread, seconds) in processor_seconds()? {
        println!("{seconds:>8.2} s  {thread}");
    }
    running.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn hello(number: usize, tasks: usize) -> ToMaster {
    let hello = Hello {
        agent: Some(AgentId::from(format!("agent-{number}"))),
        boot: Some("boot".into()),
        hostname: format!("machine-{number}"),
        address: "127.0.0.1:1".into(),
        resources: format!("cpus:{};mem:{};disk:1000;ports:[31000-32000]", tasks, tasks * 16 + 16)
            .parse()
            .unwrap(),
        ..Hello::default()
    };
    say(ToMasterBody::Hello(Box::new(hello)))
}

fn say(body: ToMasterBody) -> ToMaster {
    ToMaster { cluster: None, term: Term(0), body }
}

/// Runs at once what it is told to run.
async fn work(mut session: Session) {
    let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
    let mut beats = 0;
    loop {
        let answer = tokio::select! {
            _ = heartbeat.tick() => {
                beats += 1;
                vec![ToMasterBody::Heartbeat { number: beats }]
            }
            message = session.to_agent.recv() => match message.map(|message| message.body) {
                Some(ToAgentBody::Launch { launch, .. }) => {
                    let status = |task: &hansa_model::TaskId| {
                        TaskStatus::new(task.clone(), launch.instance.clone(), 1, TaskState::Running, clock::now())
                    };
                    launch.tasks.iter().map(|task| ToMasterBody::Update(status(task))).collect()
                }
                Some(_) => continue,
                None => return,
            },
        };
        for body in answer {
            if session.to_master.send(say(body)).await.is_err() {
                return;
            }
        }
    }
}

fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096 / (1 << 20)
}

/// User and system time of all threads of the same name.
fn processor_seconds() -> anyhow::Result<BTreeMap<String, f64>> {
    let mut seconds = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(thread?.path().join("stat"))?;
        let (Some(from), Some(to)) = (stat.find('('), stat.rfind(')')) else { continue };
        let ticks: u64 =
            stat[to + 2..].split(' ').skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        *seconds.entry(stat[from + 1..to].to_owned()).or_insert(0.0) += ticks as f64 / 100.0;
    }
    Ok(seconds)
}
