//! 200 containers at once on one agent.

use crate::ms;
use crate::start::sleeper;
use crate::stream::{Stream, post};
use crate::support::{Cluster, processes_below};
use serde_json::json;
use std::time::Instant;

const MANY: usize = 200;

pub async fn run() {
    println!("\n-- many: {MANY} containers at once on one agent, each with a network and a mapped port");
    let resources = "cpus:8;mem:100000;disk:10000;ports:[20000-20999]";
    let cluster = Cluster::start_with(1, &["--resources", resources]).await;
    let mut stream = Stream::open(&cluster.http.base);
    let first = post(&cluster.http.base, &sleeper("/first", true));
    stream.running("/first", 1);
    first.taken();
    let before = memory(&cluster);
    let mut many = sleeper("/many", true);
    many["instances"] = json!(MANY);
    let begun = Instant::now();
    let posted = post(&cluster.http.base, &many);
    stream.running("/many", MANY);
    let took = begun.elapsed();
    posted.taken();
    println!(
        "POST to the last TASK_RUNNING: {:.0} ms, {:.1} ms a container",
        ms(took),
        ms(took) / MANY as f64
    );
    let after = memory(&cluster);
    let each = (after - before) as f64 / 1000.0 / MANY as f64;
    println!("memory: {each:.2} MB PSS a container beyond the program's own; aim: under 5 MB");
}

/// Kilobytes, shared pages divided among those who share them, of the agent and of all shims with their containers' first
/// processes.
fn memory(cluster: &Cluster) -> u64 {
    let all = processes_below(&cluster.agents[0].data_dir);
    all.keys().map(|pid| pss(*pid)).sum()
}

fn pss(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
