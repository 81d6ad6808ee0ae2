//! A client that behaves as a load balancer: it learns from `/v2/events` alone which instances of a service are healthy,
//! sends every request to one of them, and never tries again.

use crate::talk::{LIMIT, get};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two requests of one of the client's threads.
const PAUSE: Duration = Duration::from_millis(3);
const THREADS: usize = 3;

/// A client at work; it ends with this value.
pub struct Balancer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answered with 200.
    pub answered: u64,
    /// Everything else, in words; the first few.
    pub failures: Vec<String>,
    /// How many there were.
    pub failed: u64,
    /// The times at which there was nobody to ask.
    pub idle: u64,
    /// Answers by their text.
    pub answers: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts another's, too.
    pub fn add(&mut self, other: &Tally) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.idle += other.idle;
        self.failures.extend(other.failures.iter().cloned());
        for (text, count) in &other.answers {
            *self.answers.entry(text.clone()).or_default() += count;
        }
    }
}

#[derive(Default)]
struct Shared {
    app: String,
    table: Mutex<Table>,
    tally: Mutex<Tally>,
    stop: AtomicBool,
    /// Requests sent, which also says whose turn it is.
    turn: AtomicU64,
    connected: AtomicBool,
}

/// What the events have said so far.
#[derive(Default)]
struct Table {
    /// Each task's first port.
    ports: BTreeMap<String, u16>,
    /// Healthy instances.
    healthy: BTreeMap<String, SocketAddr>,
    /// The last events, for whoever looks for the cause of a failure.
    heard: VecDeque<String>,
}

impl Balancer {
    /// Follows the events of one app at a master. The app need not be there yet; one that is there already is not seen.
    pub fn start(master: &str, app: &str) -> Self {
        let shared = Arc::new(Shared { app: app.to_owned(), ..Shared::default() });
        let url = format!("{master}/v2/events");
        let follower = shared.clone();
        let mut threads = vec![std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(follow(&url, &follower));
        })];
        let begun = Instant::now();
        while !shared.connected.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < LIMIT, "no event stream from {master}");
            std::thread::sleep(Duration::from_millis(5));
        }
        threads.extend((0..THREADS).map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || ask_on(&shared))
        }));
        Self { shared, threads }
    }

    /// How many instances it takes for healthy.
    pub fn healthy(&self) -> usize {
        self.shared.table().healthy.len()
    }

    /// Forgets what was counted so far and gives it.
    pub fn take(&self) -> Tally {
        std::mem::take(&mut *self.shared.tally())
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn hear(&self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if text("appId") != self.app {
            return;
        }
        let mut table = self.table();
        let line = match text("eventType").as_str() {
            "status_update_event" => {
                let (task, status) = (text("taskId"), text("taskStatus"));
                if status == "TASK_RUNNING" {
                    if let Some(port) = event["ports"][0].as_u64().and_then(|port| u16::try_from(port).ok()) {
                        table.ports.insert(task.clone(), port);
                    }
                } else if !matches!(status.as_str(), "TASK_STAGING" | "TASK_STARTING") {
                    table.ports.remove(&task);
                    table.healthy.retain(|instance, _| !is_of(&task, instance));
                }
                format!("{task} {status}")
            }
            "health_status_changed_event" => {
                let instance = text("instanceId");
                let alive = event["alive"] == true;
                let port = table.ports.iter().find(|(task, _)| is_of(task, &instance)).map(|(_, port)| *port);
                match port.filter(|_| alive) {
                    Some(port) => drop(table.healthy.insert(instance.clone(), ([127, 0, 0, 1], port).into())),
                    None => drop(table.healthy.remove(&instance)),
                }
                format!("{instance} alive={alive}")
            }
            _ => return,
        };
        table.heard.push_back(line);
        if table.heard.len() > 200 {
            table.heard.pop_front();
        }
    }
}

/// Whether a task belongs to an instance: its id goes on where the instance's ends.
fn is_of(task: &str, instance: &str) -> bool {
    task.strip_prefix(instance).is_some_and(|rest| rest.starts_with('.'))
}

/// Reads the stream until the client ends.
async fn follow(url: &str, shared: &Shared) {
    let response = reqwest::Client::new().get(url).header("accept", "text/event-stream").send().await;
    let mut response = response.expect("an event stream");
    assert!(response.status().is_success(), "{}", response.status());
    let mut rest = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let chunk = tokio::time::timeout(Duration::from_millis(100), response.chunk()).await;
        let Ok(chunk) = chunk else { continue };
        let Ok(Some(chunk)) = chunk else { return };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            // The stream's first word says that everything from here on is told.
            shared.connected.store(true, Ordering::SeqCst);
            if let Some(data) = line.strip_prefix("data:") {
                shared.hear(&serde_json::from_str(data.trim()).unwrap_or(Value::Null));
            }
        }
    }
}

/// Sends one request after the other.
fn ask_on(shared: &Shared) {
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::sleep(PAUSE);
        let turn = shared.turn.fetch_add(1, Ordering::Relaxed) as usize;
        let chosen = {
            let table = shared.table();
            let count = table.healthy.len().max(1);
            table.healthy.iter().nth(turn % count).map(|(instance, address)| (instance.clone(), *address))
        };
        let Some((instance, address)) = chosen else {
            shared.tally().idle += 1;
            continue;
        };
        let begun = Instant::now();
        match get(address, "/") {
            Ok(text) => {
                let mut tally = shared.tally();
                tally.answered += 1;
                *tally.answers.entry(text).or_default() += 1;
            }
            Err(error) => {
                let heard: Vec<String> = {
                    let table = shared.table();
                    table.heard.iter().filter(|line| line.contains(&instance)).cloned().collect()
                };
                let mut tally = shared.tally();
                tally.failed += 1;
                if tally.failures.len() < 5 {
                    let took = begun.elapsed();
                    tally
                        .failures
                        .push(format!("{instance} at {address} after {took:?}: {error}; heard: {heard:?}"));
                }
            }
        }
    }
}
