//! Who reads `/state` of a large cluster, and whether launches beside it become slower for it.

use crate::agents::{self, Last, Room};
use crate::framework::{self, Load, Outcome};
use crate::{all_joined, post};
use hansa_master::{Options, Running, start};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Services that the tasks are of.
const SERVICES: usize = 100;
/// Who read at the same time, each asking again as soon as it has an answer.
const READERS: usize = 2;
/// Tasks that the framework launches a second: so few that a machine of two cores has time left.
const PACE: u64 = 500;

/// A master with so many simulated agents and running tasks; a framework launches for `seconds`, alone, beside readers, and
/// alone again.
pub async fn state(agents: usize, tasks: usize, seconds: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("hansa-swarm-{}", std::process::id()));
    let running = start(Options::new("127.0.0.1:0".parse()?, &folder)).await?;
    // One more each, for the framework.
    let room = Room { tasks: tasks.div_ceil(agents) + 1, last: Last::OfServicesRunning };
    agents::start_in_process(running.master(), agents, room).await?;
    all_joined(running.master(), agents).await?;
    let begun = Instant::now();
    post(&running, SERVICES, tasks.div_ceil(SERVICES)).await?;
    while (running.master().read().counts().running() as usize) < tasks {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{agents} agents, {tasks} tasks running after {:.1?}", begun.elapsed());

    let alone =
        tell("/state, nothing beside it", &read_for(&running, 1, Duration::from_secs(seconds)).await?);
    let url = format!("http://{}", running.address());
    let time = Duration::from_secs(seconds);
    let load = Load { time, command: "/bin/true", pace: Some(PACE) };
    let before = framework::run(&url, load).await?;
    let (beside, reads) = tokio::join!(framework::run(&url, load), read_for(&running, READERS, time));
    let beside = beside?;
    let busy = tell(&format!("/state, {READERS} readers beside a framework"), &reads?);
    let after = framework::run(&url, load).await?;
    let of_alone = |of: fn(&Outcome) -> f64| of(&beside) / ((of(&before) + of(&after)) / 2.0);
    println!(
        "launches beside {READERS} readers: {:.2} of the launches a second that there were alone, {:.2} of the median time to \
         an end; /state takes {:.2} times as long beside launches",
        of_alone(|outcome| outcome.launched),
        of_alone(|outcome| outcome.median.as_secs_f64()),
        busy / alone,
    );
    running.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Prints what reads took; gives the median in seconds.
fn tell(what: &str, reads: &[(Duration, usize)]) -> f64 {
    let mut times: Vec<Duration> = reads.iter().map(|(time, _)| *time).collect();
    times.sort();
    let Some(longest) = times.last() else {
        println!("{what}: no answer in this time");
        return 0.0;
    };
    let median = times[times.len() / 2];
    let bytes = reads.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    println!(
        "{what}: {} answers of {} MB, median {median:.2?}, longest {longest:.2?}",
        times.len(),
        bytes / 1_000_000
    );
    median.as_secs_f64()
}

/// Time and bytes of each answer, begun within that time, to so many readers.
async fn read_for(
    running: &Running,
    readers: usize,
    time: Duration,
) -> anyhow::Result<Vec<(Duration, usize)>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{}/state", running.address());
    let over = Arc::new(AtomicBool::new(false));
    let mut all = JoinSet::new();
    for _ in 0..readers {
        let (client, url, over) = (client.clone(), url.clone(), over.clone());
        all.spawn(async move {
            let mut reads = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let mut answer = client.get(&url).send().await?.error_for_status()?;
                let mut bytes = 0;
                while let Some(piece) = answer.chunk().await? {
                    bytes += piece.len();
                }
                reads.push((begun.elapsed(), bytes));
            }
            anyhow::Ok(reads)
        });
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut reads = Vec::new();
    while let Some(one) = all.join_next().await {
        reads.extend(one??);
    }
    Ok(reads)
}
