//! A small scheduler: enough of one to say what a case is about in a few lines.

use crate::World;
use crate::wire::{Answer, Request, Stream};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// Where schedulers speak.
pub const PATH: &str = "/api/v1/scheduler";

/// What a framework says of itself at least.
pub fn info(name: &str) -> Value {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    json!({"user": user, "name": name})
}

/// The same with capabilities; in roles instead of a role if it has MULTI_ROLE.
pub fn info_with(name: &str, role: &str, capabilities: &[&str]) -> Value {
    let mut info = info(name);
    if capabilities.contains(&"MULTI_ROLE") {
        info["roles"] = json!([role]);
    } else {
        info["role"] = json!(role);
    }
    info["capabilities"] = capabilities.iter().map(|kind| json!({"type": kind})).collect();
    info
}

/// The call that subscribes.
pub fn subscribe_call(info: &Value) -> Value {
    let mut call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
    if !info["id"].is_null() {
        call["framework_id"] = info["id"].clone();
    }
    call
}

/// An amount of a scalar kind.
pub fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// A command task that takes little.
pub fn task(id: &str, offer: &Value, command: &str) -> Value {
    json!({
        "name": id,
        "task_id": {"value": id},
        "agent_id": offer["agent_id"],
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
        "command": {"value": command},
    })
}

/// An operation that launches tasks.
pub fn launch(tasks: &[Value]) -> Value {
    json!({"type": "LAUNCH", "launch": {"task_infos": tasks}})
}

/// How much of a scalar kind there is in a list of resources.
pub fn amount(resources: &Value, name: &str) -> f64 {
    let all = resources.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|one| one["name"] == name).filter_map(|one| one["scalar"]["value"].as_f64()).sum()
}

/// Whether nothing comes after this state.
pub fn is_terminal(state: &str) -> bool {
    [
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_ERROR",
        "TASK_LOST",
        "TASK_DROPPED",
        "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    ]
    .contains(&state)
}

/// A subscribed framework.
pub struct Scheduler<'w> {
    world: &'w World,
    /// Its id.
    pub id: String,
    /// Its stream's id.
    pub stream_id: String,
    /// Its stream.
    pub stream: Stream,
    events: VecDeque<Value>,
    /// Offers that hold.
    pub offers: VecDeque<Value>,
}

impl<'w> Scheduler<'w> {
    /// Subscribes; the first event must be SUBSCRIBED.
    pub async fn subscribe(world: &'w World, info: &Value) -> Self {
        Self::with(world, &subscribe_call(info)).await
    }

    /// The same with a call of one's own.
    pub async fn with(world: &'w World, call: &Value) -> Self {
        let mut stream = Request::json(PATH, call).open(&world.master).await;
        assert_eq!(stream.head.status, 200, "{:?}", stream.head);
        let stream_id = stream.head.header("mesos-stream-id").expect("a stream id").to_owned();
        let first = stream.json().await.expect("an event");
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        let id = first["subscribed"]["framework_id"]["value"].as_str().expect("an id").to_owned();
        Self { world, id, stream_id, stream, events: VecDeque::new(), offers: VecDeque::new() }
    }

    /// Makes a call of this framework on this stream.
    pub async fn send(&self, mut call: Value) -> Answer {
        call["framework_id"] = json!({"value": self.id});
        Request::json(PATH, &call).header("Mesos-Stream-Id", &self.stream_id).send(&self.world.master).await
    }

    /// The same; it must be accepted.
    pub async fn call(&self, call: Value) {
        let answer = self.send(call.clone()).await;
        assert_eq!((answer.status(), answer.text()), (202, String::new()), "{call}");
    }

    /// Accepts an offer with operations; what is left is not wanted again for long.
    pub async fn accept(&self, offer: &Value, operations: &[Value]) {
        self.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0.0}
        }}))
        .await;
    }

    /// Declines an offer.
    pub async fn decline(&self, offer: &Value, refuse_seconds: f64) {
        self.call(json!({"type": "DECLINE", "decline": {
            "offer_ids": [offer["id"]], "filters": {"refuse_seconds": refuse_seconds}
        }}))
        .await;
    }

    async fn next(&mut self) -> Value {
        let event = self.stream.json().await.expect("the stream goes on");
        match event["type"].as_str() {
            Some("OFFERS") => {
                self.offers.extend(event["offers"]["offers"].as_array().expect("offers").iter().cloned());
            }
            Some("RESCIND") => self.offers.retain(|offer| offer["id"] != event["rescind"]["offer_id"]),
            _ => {}
        }
        event
    }

    /// The first event of this kind that was not asked for before; panics if none comes, however much else does.
    pub async fn event(&mut self, kind: &str) -> Value {
        let found = tokio::time::timeout(crate::PATIENCE, self.find_event(kind)).await;
        found.unwrap_or_else(|_| panic!("no {kind}"))
    }

    async fn find_event(&mut self, kind: &str) -> Value {
        if let Some(at) = self.events.iter().position(|event| event["type"] == kind) {
            return self.events.remove(at).expect("it was just found");
        }
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
            self.events.push_back(event);
        }
    }

    /// Panics if an event of this kind comes within the time, or came before.
    pub async fn quiet(&mut self, kind: &str, time: Duration) {
        let begun = tokio::time::Instant::now();
        loop {
            let came = self.events.iter().find(|event| event["type"] == kind);
            assert!(came.is_none(), "there should be none: {came:?}");
            match tokio::time::timeout_at(begun + time, self.next()).await {
                Ok(event) => self.events.push_back(event),
                Err(_) => return,
            }
        }
    }

    /// An offer with at least one cpu and 128 MiB.
    pub async fn offer(&mut self) -> Value {
        self.offer_where("1 cpu and 128 MiB", |offer| {
            amount(&offer["resources"], "cpus") >= 1.0 && amount(&offer["resources"], "mem") >= 128.0
        })
        .await
    }

    /// The first offer that is as wanted; others are kept.
    pub async fn offer_where(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = tokio::time::Instant::now();
        loop {
            if let Some(at) = self.offers.iter().position(&wanted) {
                return self.offers.remove(at).expect("it was just found");
            }
            assert!(begun.elapsed() < crate::PATIENCE, "no offer with {what}, only {:?}", self.offers);
            let event = self.next().await;
            self.events.push_back(event);
        }
    }

    /// The next update of a task, acknowledged if it is to be; panics if none comes.
    pub async fn update(&mut self, task: &str) -> Value {
        let found = tokio::time::timeout(crate::PATIENCE, self.find_update(task)).await;
        found.unwrap_or_else(|_| panic!("no update of {task}"))
    }

    async fn find_update(&mut self, task: &str) -> Value {
        let is_of_task = |event: &Value| event["update"]["status"]["task_id"]["value"] == task;
        let event = match self.events.iter().position(is_of_task) {
            Some(at) => self.events.remove(at).expect("it was just found"),
            None => loop {
                let event = self.next().await;
                if is_of_task(&event) {
                    break event;
                }
                self.events.push_back(event);
            },
        };
        let status = event["update"]["status"].clone();
        self.acknowledge(&status).await;
        status
    }

    /// Acknowledges an update if it has a uuid.
    pub async fn acknowledge(&self, status: &Value) {
        if status["uuid"].is_null() {
            return;
        }
        self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
            "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]
        }}))
        .await;
    }

    /// The update that brings a task to this state; panics if it ends otherwise.
    pub async fn until(&mut self, task: &str, state: &str) -> Value {
        loop {
            let status = self.update(task).await;
            let now = status["state"].as_str().expect("a state");
            if now == state {
                return status;
            }
            assert!(!is_terminal(now), "{task} should be {state}: {status}");
        }
    }

    /// Launches a task on some offer and waits until it runs; gives its last update.
    pub async fn run(&mut self, id: &str, command: &str) -> Value {
        let offer = self.offer().await;
        self.accept(&offer, &[launch(&[task(id, &offer, command)])]).await;
        self.until(id, "TASK_RUNNING").await
    }

    /// Ends the framework with all its tasks.
    pub async fn teardown(self) {
        self.call(json!({"type": "TEARDOWN"})).await;
    }

    /// Goes away without a word.
    pub fn vanish(self) -> String {
        self.id
    }
}
