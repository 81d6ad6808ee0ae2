//! A framework that does nothing but keep machines busy: it fills every offer with tasks, acknowledges every update, and
//! counts. It speaks the scheduler API over HTTP as any framework would.

use anyhow::Context;
use hansa_mesos::recordio::Decoder;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Calls under way at once; more would only wait in the master's queue.
const CALLS_AT_ONCE: usize = 32;

/// What one task takes: thousandths of a CPU, and MiB.
const TASK: (u64, u64) = (100, 32);

/// What the framework saw.
#[derive(Debug, Default)]
pub struct Seen {
    offers: AtomicU64,
    accepts: AtomicU64,
    launched: AtomicU64,
    finished: AtomicU64,
    other_ends: AtomicU64,
}

/// Runs a framework against the master at `url` for that long, each task `command`, and says what it saw; gives how many tasks
/// it launched a second.
pub async fn run(url: &str, time: Duration, command: &str) -> anyhow::Result<f64> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CALLS_AT_ONCE).build()?;
    let api = format!("{url}/api/v1/scheduler");
    let subscribe = json!({
        "type": "SUBSCRIBE",
        "subscribe": {"framework_info": {"user": "root", "name": "no-op", "roles": ["bench"],
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]}},
    });
    let request = client.post(&api).header("content-type", "application/json").body(subscribe.to_string());
    let mut stream = request.send().await?.error_for_status()?;
    let stream_id = stream.headers().get("mesos-stream-id").context("no Mesos-Stream-Id")?.clone();
    let (mut decoder, mut framework) = (Decoder::default(), Value::Null);
    let (seen, mut calls) = (Arc::new(Seen::default()), JoinSet::new());
    let mut names = 0_u64;
    let begun = Instant::now();
    while let Some(left) = time.checked_sub(begun.elapsed()) {
        let Ok(piece) = tokio::time::timeout(left, stream.chunk()).await else { break };
        decoder.push(&piece?.context("the master ended the stream")?);
        while let Some(record) = decoder.next()? {
            let event: Value = serde_json::from_slice(&record)?;
            let bodies = match event["type"].as_str() {
                Some("SUBSCRIBED") => {
                    framework = event["subscribed"]["framework_id"].clone();
                    Vec::new()
                }
                Some("OFFERS") => {
                    let offers = event["offers"]["offers"].as_array().into_iter().flatten();
                    offers.map(|offer| accept(offer, command, &mut names, &seen)).collect()
                }
                Some("UPDATE") => update(&event["update"]["status"], &seen).into_iter().collect(),
                Some("ERROR") => anyhow::bail!("the master says: {event}"),
                _ => Vec::new(),
            };
            for mut body in bodies {
                body["framework_id"] = framework.clone();
                let request = client.post(&api).header("content-type", "application/json");
                let request = request.header("mesos-stream-id", stream_id.clone()).body(body.to_string());
                if calls.len() >= CALLS_AT_ONCE
                    && let Some(ended) = calls.join_next().await
                {
                    ended??;
                }
                calls.spawn(async move {
                    request.send().await?.error_for_status()?.bytes().await?;
                    anyhow::Ok(())
                });
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} offers, {} accepted, {:.0}/s; {} tasks launched, {} finished, {:.0}/s; {} ended otherwise",
        count(&seen.offers),
        count(&seen.accepts),
        count(&seen.accepts) as f64 / took,
        count(&seen.launched),
        count(&seen.finished),
        count(&seen.finished) as f64 / took,
        count(&seen.other_ends),
    );
    while calls.join_next().await.is_some() {}
    let teardown = json!({"type": "TEARDOWN", "framework_id": framework}).to_string();
    let request = client.post(&api).header("content-type", "application/json").body(teardown);
    request.header("mesos-stream-id", stream_id).send().await?.error_for_status()?;
    Ok(count(&seen.launched) as f64 / took)
}

/// Fills an offer with tasks.
fn accept(offer: &Value, command: &str, names: &mut u64, seen: &Seen) -> Value {
    let total = |name: &str| -> f64 {
        let resources = offer["resources"].as_array().into_iter().flatten();
        resources.filter(|one| one["name"] == name).filter_map(|one| one["scalar"]["value"].as_f64()).sum()
    };
    let room = (total("cpus") * 1000.0 / TASK.0 as f64).min(total("mem") / TASK.1 as f64) as u64;
    let role = &offer["allocation_info"]["role"];
    let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": role}});
    let tasks: Vec<Value> = (0..room)
        .map(|_| {
            *names += 1;
            json!({
                "name": "no-op", "task_id": {"value": format!("t{names}")}, "agent_id": offer["agent_id"],
                "command": {"shell": false, "value": command, "arguments": [command]},
                "resources": [scalar("cpus", TASK.0 as f64 / 1000.0), scalar("mem", TASK.1 as f64)],
            })
        })
        .collect();
    seen.offers.fetch_add(1, Ordering::Relaxed);
    seen.accepts.fetch_add(u64::from(room > 0), Ordering::Relaxed);
    seen.launched.fetch_add(room, Ordering::Relaxed);
    json!({
        "type": "ACCEPT",
        "accept": {
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
            "filters": {"refuse_seconds": 0.0},
        },
    })
}

/// Counts an update, and acknowledges it if it asks for that.
fn update(status: &Value, seen: &Seen) -> Option<Value> {
    match status["state"].as_str() {
        Some("TASK_FINISHED") => drop(seen.finished.fetch_add(1, Ordering::Relaxed)),
        Some("TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING") | None => {}
        Some(_) => drop(seen.other_ends.fetch_add(1, Ordering::Relaxed)),
    }
    status.get("uuid")?;
    Some(json!({
        "type": "ACKNOWLEDGE",
        "acknowledge": {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]},
    }))
}
