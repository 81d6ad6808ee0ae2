//! A framework that does nothing but keep machines busy: it fills every offer with tasks, at once or so many a second,
//! acknowledges every update, counts, and looks at the clock. It speaks the scheduler API over HTTP as any framework would.

use anyhow::Context;
use hansa_mesos::recordio::Decoder;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Calls under way at once; more would only wait in the master's queue.
const CALLS_AT_ONCE: usize = 32;

/// Whose share it lives of.
const ROLE: &str = "bench";

/// What one task takes: thousandths of a CPU, and MiB.
const TASK: (u64, u64) = (100, 32);

/// What an offer is looked at again for that could not be filled yet.
const TICK: Duration = Duration::from_millis(5);

/// What the framework is to do.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// For how long.
    pub time: Duration,
    /// What each task runs.
    pub command: &'a str,
    /// Tasks launched a second at most; None: as many as there is room for.
    pub pace: Option<u64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Tasks launched a second.
    pub launched: f64,
    /// From a task's launch to its end as the framework heard of it: the median, and what 99 of 100 took at most.
    pub median: Duration,
    pub p99: Duration,
}

/// What the framework saw.
#[derive(Debug, Default)]
struct Seen {
    offers: u64,
    accepts: u64,
    launched: u64,
    finished: u64,
    other_ends: u64,
    /// When the tasks that have not ended were launched.
    begun: HashMap<String, Instant>,
    took: Vec<Duration>,
}

/// Runs a framework against the master at `url`, and says what it saw.
pub async fn run(url: &str, load: Load<'_>) -> anyhow::Result<Outcome> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CALLS_AT_ONCE).build()?;
    let api = format!("{url}/api/v1/scheduler");
    // No offers of machines that are as good as full.
    let enough = json!({"cpus": {"value": TASK.0 as f64 / 1000.0}, "mem": {"value": TASK.1 as f64}});
    let subscribe = json!({
        "type": "SUBSCRIBE",
        "subscribe": {"framework_info": {"user": "root", "name": "no-op", "roles": [ROLE],
            "offer_filters": {ROLE: {"min_allocatable_resources": {"quantities": [{"quantities": enough}]}}},
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]}},
    });
    let request = client.post(&api).header("content-type", "application/json").body(subscribe.to_string());
    let mut stream = request.send().await?.error_for_status()?;
    let stream_id = stream.headers().get("mesos-stream-id").context("no Mesos-Stream-Id")?.clone();
    let (mut decoder, mut framework) = (Decoder::default(), Value::Null);
    let (mut seen, mut calls) = (Seen::default(), JoinSet::new());
    let mut waiting = VecDeque::new();
    let mut ticks = tokio::time::interval(TICK);
    let begun = Instant::now();
    while let Some(left) = load.time.checked_sub(begun.elapsed()) {
        let piece = tokio::select! {
            piece = stream.chunk() => piece?.context("the master ended the stream")?,
            _ = ticks.tick(), if !waiting.is_empty() => Default::default(),
            () = tokio::time::sleep(left) => break,
        };
        decoder.push(&piece);
        let mut bodies = Vec::new();
        while let Some(record) = decoder.next()? {
            let mut event: Value = serde_json::from_slice(&record)?;
            match event["type"].as_str() {
                Some("SUBSCRIBED") => framework = event["subscribed"]["framework_id"].clone(),
                Some("OFFERS") => {
                    if let Value::Array(offers) = event["offers"]["offers"].take() {
                        seen.offers += offers.len() as u64;
                        waiting.extend(offers);
                    }
                }
                Some("RESCIND") => {
                    let id = &event["rescind"]["offer_id"];
                    waiting.retain(|offer: &Value| offer["id"] != *id);
                }
                Some("UPDATE") => bodies.extend(seen.update(&event["update"]["status"])),
                Some("ERROR") => anyhow::bail!("the master says: {event}"),
                _ => {}
            }
        }
        let due = load.pace.map_or(u64::MAX, |pace| (begun.elapsed().as_secs_f64() * pace as f64) as u64);
        while seen.launched < due
            && let Some(offer) = waiting.pop_front()
        {
            bodies.push(seen.accept(&offer, load.command));
        }
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
    let outcome = seen.tell(begun.elapsed().as_secs_f64());
    while calls.join_next().await.is_some() {}
    let teardown = json!({"type": "TEARDOWN", "framework_id": framework}).to_string();
    let request = client.post(&api).header("content-type", "application/json").body(teardown);
    request.header("mesos-stream-id", stream_id).send().await?.error_for_status()?;
    Ok(outcome)
}

impl Seen {
    /// Fills an offer with tasks.
    fn accept(&mut self, offer: &Value, command: &str) -> Value {
        let total = |name: &str| -> f64 {
            let resources = offer["resources"].as_array().into_iter().flatten();
            resources
                .filter(|one| one["name"] == name)
                .filter_map(|one| one["scalar"]["value"].as_f64())
                .sum()
        };
        let room = (total("cpus") * 1000.0 / TASK.0 as f64).min(total("mem") / TASK.1 as f64) as u64;
        let (role, now) = (&offer["allocation_info"]["role"], Instant::now());
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": role}});
        let tasks: Vec<Value> = (0..room)
            .map(|_| {
                self.launched += 1;
                let id = format!("t{}", self.launched);
                self.begun.insert(id.clone(), now);
                json!({
                    "name": "no-op", "task_id": {"value": id}, "agent_id": offer["agent_id"],
                    "command": {"shell": false, "value": command, "arguments": [command]},
                    "resources": [scalar("cpus", TASK.0 as f64 / 1000.0), scalar("mem", TASK.1 as f64)],
                })
            })
            .collect();
        self.accepts += u64::from(room > 0);
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
    fn update(&mut self, status: &Value) -> Option<Value> {
        match status["state"].as_str() {
            Some("TASK_FINISHED") => {
                self.finished += 1;
                let begun = status["task_id"]["value"].as_str().and_then(|id| self.begun.remove(id));
                self.took.extend(begun.map(|begun| begun.elapsed()));
            }
            Some("TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING") | None => {}
            Some(_) => self.other_ends += 1,
        }
        status.get("uuid")?;
        Some(json!({
            "type": "ACKNOWLEDGE",
            "acknowledge": {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]},
        }))
    }

    /// Says what was seen in so many seconds.
    fn tell(&mut self, seconds: f64) -> Outcome {
        self.took.sort();
        let at = |percent: usize| {
            let last = self.took.len().saturating_sub(1);
            self.took.get(last * percent / 100).copied().unwrap_or_default()
        };
        let outcome = Outcome { launched: self.launched as f64 / seconds, median: at(50), p99: at(99) };
        println!(
            "{} offers, {} accepted, {:.0}/s; {} tasks launched, {} finished, {:.0}/s, after {:.1?} (median), {:.1?} (99 of 100); \
         {} ended otherwise",
            self.offers,
            self.accepts,
            self.accepts as f64 / seconds,
            self.launched,
            self.finished,
            self.finished as f64 / seconds,
            outcome.median,
            outcome.p99,
            self.other_ends,
        );
        outcome
    }
}
