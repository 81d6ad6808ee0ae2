//! A.8: the executor API of agents.
//!
//! The executor that is launched only writes down its environment and sleeps; what an executor says, these cases say
//! themselves, with that environment. So nothing need be built for an agent to start.

use crate::World;
use crate::cases;
use crate::scheduler::{Scheduler, info, launch, scalar, task};
use crate::wire::{Answer, Request, Stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;

cases! {
    environment: "an executor is told who it is, where its agent is, and how long it may take",
    life: "SUBSCRIBED, LAUNCH, an update that goes through unchanged, ACKNOWLEDGED, KILL",
    several_tasks: "a second task of the same executor comes as a LAUNCH",
    messages: "messages pass in both directions, to the byte",
    refusals: "what an executor may not say is refused",
    shutdown: "SHUTDOWN reaches the executor, its tasks fail with it, and the framework hears FAILURE",
    dies: "an executor that ends takes its tasks with it",
    says_it_twice: "after a task's last word nothing more is heard of it",
    heartbeats: "an executor's heartbeat is 202, and it gets one seldom",
    protobuf: "an executor may speak protobuf",
    bad_requests: "what executors send is checked as what schedulers send",
    many_at_once: "updates of several tasks do not wait for each other",
    comes_back: "an executor that subscribes again replaces its old stream",
}

const UUID: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// An executor of a framework, impersonated.
pub struct Executor<'s, 'w> {
    /// Its framework.
    pub framework: &'s mut Scheduler<'w>,
    /// Its agent's address.
    pub agent: String,
    environment: BTreeMap<String, String>,
}

/// What a launched executor does instead of being one.
const STAND_IN: &str = "env > \"$MESOS_SANDBOX/environment\"; exec sleep 100000";

/// A task for an executor of this id.
pub fn executor_task(id: &str, offer: &Value, executor: &str) -> Value {
    let mut task = task(id, offer, "");
    task["command"] = Value::Null;
    task["data"] = json!("aGVsbG8=");
    task["executor"] = json!({
        "executor_id": {"value": executor},
        "name": "stand-in",
        "command": {"value": STAND_IN},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    task
}

impl<'s, 'w> Executor<'s, 'w> {
    /// Launches a task with an executor, and reads the executor's environment.
    async fn launch(framework: &'s mut Scheduler<'w>, task: &str, id: &str) -> Self {
        let offer = framework.offer().await;
        let task = executor_task(task, &offer, id);
        Self::launch_as(framework, &offer, task).await
    }

    /// The same with a task, and where.
    pub async fn launch_as(framework: &'s mut Scheduler<'w>, offer: &Value, task: Value) -> Self {
        framework.accept(offer, &[launch(std::slice::from_ref(&task))]).await;
        let id = task["executor"]["executor_id"]["value"].as_str().expect("an id").to_owned();
        let address = &offer["url"]["address"];
        let agent = format!("{}:{}", address["ip"].as_str().expect("an ip"), address["port"]);
        let path = format!("/frameworks/{}/executors/{id}/runs/latest/environment", framework.id);
        let begun = std::time::Instant::now();
        let environment = loop {
            let answer = Request::get(&format!("/files/download?path={path}")).send(&agent).await;
            // `env` writes all at once, and the executor's id is part of it.
            if answer.status() == 200 && answer.text().contains("MESOS_EXECUTOR_ID=") {
                break answer.text();
            }
            assert!(begun.elapsed() < crate::PATIENCE, "{}: {}", answer.status(), answer.text());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { framework, agent, environment: environment.lines().filter_map(pair).collect() }
    }

    fn of(&self, mut call: Value) -> Value {
        call["framework_id"] = json!({"value": self.environment["MESOS_FRAMEWORK_ID"]});
        call["executor_id"] = json!({"value": self.environment["MESOS_EXECUTOR_ID"]});
        call
    }

    async fn open(&self, call: Value) -> Stream {
        Request::json("/api/v1/executor", &self.of(call))
            .open(&self.environment["MESOS_AGENT_ENDPOINT"])
            .await
    }

    async fn send(&self, call: Value) -> Answer {
        Request::json("/api/v1/executor", &self.of(call))
            .send(&self.environment["MESOS_AGENT_ENDPOINT"])
            .await
    }

    async fn call(&self, call: Value) {
        let answer = self.send(call.clone()).await;
        assert_eq!((answer.status(), answer.text()), (202, String::new()), "{call}");
    }

    /// Subscribes; the stream after SUBSCRIBED.
    pub async fn subscribe(&self) -> Stream {
        let mut stream = self.open(json!({"type": "SUBSCRIBE", "subscribe": {}})).await;
        assert_eq!(stream.head.status, 200, "{:?}", stream.head);
        assert_eq!(stream.head.header("content-type"), Some("application/json"));
        assert_eq!(stream.head.header("mesos-stream-id"), None, "streams of executors have no id");
        let first = next(&mut stream).await;
        assert_eq!(first["type"], "SUBSCRIBED", "{first}");
        let subscribed = &first["subscribed"];
        // Compared as objects by some: nothing else may be in them.
        assert_eq!(
            subscribed["executor_info"]["executor_id"],
            json!({"value": self.environment["MESOS_EXECUTOR_ID"]})
        );
        assert_eq!(subscribed["framework_info"]["id"], json!({"value": self.framework.id}));
        assert_eq!(subscribed["agent_info"]["id"], json!({"value": self.environment["MESOS_SLAVE_ID"]}));
        assert!(subscribed["container_id"]["value"].is_string(), "{subscribed}");
        stream
    }

    /// Says how a task stands.
    pub async fn says(&self, task: &str, state: &str, uuid: &str) {
        self.call(update(task, state, uuid)).await;
    }
}

fn update(task: &str, state: &str, uuid: &str) -> Value {
    json!({"type": "UPDATE", "update": {"status": {
        "task_id": {"value": task},
        "state": state,
        "source": "SOURCE_EXECUTOR",
        "uuid": uuid,
        "data": "b2s=",
        "message": "all is well",
        "labels": {"labels": [{"key": "a", "value": "b"}, {"key": "a"}]},
    }}})
}

/// The next event that is not a heartbeat.
pub async fn next(stream: &mut Stream) -> Value {
    loop {
        let event = stream.json().await.expect("the stream goes on");
        if event["type"] != "HEARTBEAT" {
            return event;
        }
    }
}

async fn environment(world: &World) {
    let mut info = info("executors");
    info["checkpoint"] = json!(true);
    let mut framework = Scheduler::subscribe(world, &info).await;
    let id = framework.id.clone();
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let is = |name: &str| executor.environment.get(name).map(String::as_str);
    assert_eq!((is("MESOS_FRAMEWORK_ID"), is("MESOS_EXECUTOR_ID")), (Some(id.as_str()), Some("e")));
    assert_eq!(is("MESOS_AGENT_ENDPOINT"), Some(executor.agent.as_str()));
    assert_eq!(is("MESOS_SLAVE_PID"), Some(format!("slave(1)@{}", executor.agent).as_str()));
    assert_eq!((is("MESOS_CHECKPOINT"), is("LIBPROCESS_PORT")), (Some("1"), Some("0")));
    for name in ["MESOS_SANDBOX", "MESOS_DIRECTORY", "MESOS_SLAVE_ID"] {
        assert!(is(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    for name in
        ["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "MESOS_RECOVERY_TIMEOUT", "MESOS_SUBSCRIPTION_BACKOFF_MAX"]
    {
        let value = is(name).unwrap_or_else(|| panic!("{name}"));
        let unit = value.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        assert!(["ns", "us", "ms", "secs", "mins", "hrs", "days", "weeks"].contains(&unit), "{name}={value}");
    }
    framework.teardown().await;
}

async fn life(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut stream = executor.subscribe().await;
    let event = next(&mut stream).await;
    assert_eq!(event["type"], "LAUNCH", "{event}");
    let task = &event["launch"]["task"];
    assert_eq!((&task["task_id"], &task["data"]), (&json!({"value": "t"}), &json!("aGVsbG8=")));
    executor.says("t", "TASK_RUNNING", UUID).await;
    let status = executor.framework.until("t", "TASK_RUNNING").await;
    assert_eq!((&status["uuid"], &status["data"]), (&json!(UUID), &json!("b2s=")));
    assert_eq!((&status["message"], &status["source"]), (&json!("all is well"), &json!("SOURCE_EXECUTOR")));
    assert_eq!(status["labels"], json!({"labels": [{"key": "a", "value": "b"}, {"key": "a"}]}));
    assert_eq!(status["executor_id"], json!({"value": "e"}));
    let event = next(&mut stream).await;
    assert_eq!(
        event,
        json!({"type": "ACKNOWLEDGED", "acknowledged": {"task_id": {"value": "t"}, "uuid": UUID}})
    );
    executor.framework.call(json!({"type": "KILL", "kill": {"task_id": {"value": "t"}}})).await;
    let event = next(&mut stream).await;
    assert_eq!((&event["type"], &event["kill"]["task_id"]), (&json!("KILL"), &json!({"value": "t"})));
    executor.says("t", "TASK_KILLED", "AQEBAQEBAQEBAQEBAQEBAQ==").await;
    executor.framework.until("t", "TASK_KILLED").await;
    framework.teardown().await;
}

async fn several_tasks(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t1", "e").await;
    let mut stream = executor.subscribe().await;
    assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], "t1");
    let slave = executor.environment["MESOS_SLAVE_ID"].clone();
    let offer =
        executor.framework.offer_where("the same agent", |offer| offer["agent_id"]["value"] == slave).await;
    executor.framework.accept(&offer, &[launch(&[executor_task("t2", &offer, "e")])]).await;
    assert_eq!(next(&mut stream).await["launch"]["task"]["task_id"]["value"], "t2");
    // The same id for something else is a mistake.
    let offer =
        executor.framework.offer_where("the same agent", |offer| offer["agent_id"]["value"] == slave).await;
    let mut other = executor_task("t3", &offer, "e");
    other["executor"]["name"] = json!("another");
    executor.framework.accept(&offer, &[launch(&[other])]).await;
    assert_eq!(executor.framework.update("t3").await["state"], "TASK_ERROR");
    framework.teardown().await;
}

async fn messages(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut stream = executor.subscribe().await;
    next(&mut stream).await;
    let agent = json!({"value": executor.environment["MESOS_SLAVE_ID"]});
    let message = json!({"agent_id": agent, "executor_id": {"value": "e"}, "data": "AP9/"});
    executor.framework.call(json!({"type": "MESSAGE", "message": message})).await;
    assert_eq!(next(&mut stream).await, json!({"type": "MESSAGE", "message": {"data": "AP9/"}}));
    executor.call(json!({"type": "MESSAGE", "message": {"data": "/wCA"}})).await;
    let event = executor.framework.event("MESSAGE").await;
    assert_eq!(event["message"], json!({"agent_id": agent, "executor_id": {"value": "e"}, "data": "/wCA"}));
    framework.teardown().await;
}

async fn refusals(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let before = executor.send(update("t", "TASK_RUNNING", UUID)).await;
    assert_eq!((before.status(), before.text().as_str()), (403, "Executor is not subscribed"));
    let mut stream = executor.subscribe().await;
    next(&mut stream).await;
    let with = |key: &str, value: Value| {
        let mut call = update("t", "TASK_RUNNING", UUID);
        call["update"]["status"][key] = value;
        call
    };
    for call in [
        with("uuid", Value::Null),
        with("uuid", json!("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1")),
        with("source", Value::Null),
        with("source", json!("SOURCE_AGENT")),
        with("state", json!("TASK_STAGING")),
        with("executor_id", json!({"value": "another"})),
        with("check_status", json!({})),
        with("check_status", json!({"type": "TCP", "command": {"exit_code": 0}})),
        json!({"type": "UPDATE"}),
        json!({"type": "MESSAGE"}),
        json!({}),
    ] {
        let answer = executor.send(call.clone()).await;
        assert_eq!(answer.status(), 400, "{call}: {}", answer.text());
    }
    let endpoint = executor.environment["MESOS_AGENT_ENDPOINT"].clone();
    for (framework, id) in [("no-such-framework", "e"), (executor.framework.id.as_str(), "no-such-executor")]
    {
        let call = json!({
            "type": "SUBSCRIBE", "subscribe": {},
            "framework_id": {"value": framework}, "executor_id": {"value": id},
        });
        let answer = Request::json("/api/v1/executor", &call).send(&endpoint).await;
        assert_eq!(answer.status(), 400, "{call}: {}", answer.text());
    }
    let answer = Request::get("/api/v1/executor").send(&endpoint).await;
    assert_eq!(answer.status(), 405);
    framework.teardown().await;
}

async fn shutdown(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut stream = executor.subscribe().await;
    next(&mut stream).await;
    executor.says("t", "TASK_RUNNING", UUID).await;
    executor.framework.until("t", "TASK_RUNNING").await;
    next(&mut stream).await;
    let agent = json!({"value": executor.environment["MESOS_SLAVE_ID"]});
    executor
        .framework
        .call(json!({"type": "SHUTDOWN", "shutdown": {"executor_id": {"value": "e"}, "agent_id": agent}}))
        .await;
    assert_eq!(next(&mut stream).await, json!({"type": "SHUTDOWN"}));
    // It does not end by itself, so it is ended.
    let status = executor.framework.update("t").await;
    assert!(["TASK_FAILED", "TASK_KILLED"].contains(&status["state"].as_str().expect("a state")), "{status}");
    let failure = executor.framework.event("FAILURE").await;
    assert_eq!(failure["failure"]["executor_id"], json!({"value": "e"}), "{failure}");
    assert!(failure["failure"]["status"].is_i64() && failure["failure"]["agent_id"] == agent, "{failure}");
    framework.teardown().await;
}

async fn dies(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let offer = framework.offer().await;
    let mut task = executor_task("t", &offer, "short-lived");
    task["executor"]["command"]["value"] = json!("exit 7");
    framework.accept(&offer, &[launch(&[task])]).await;
    let status = framework.until("t", "TASK_FAILED").await;
    assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status}");
    let failure = framework.event("FAILURE").await;
    assert_eq!(failure["failure"]["status"], 7 << 8, "the raw wait status: {failure}");
    framework.teardown().await;
}

async fn comes_back(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut first = executor.subscribe().await;
    let task = next(&mut first).await["launch"]["task"].clone();
    executor.says("t", "TASK_RUNNING", UUID).await;
    let mut status = update("t", "TASK_RUNNING", UUID)["update"].clone();
    status["status"]["timestamp"] = json!(1.0);
    let mut second = executor
        .open(json!({"type": "SUBSCRIBE", "subscribe": {
            "unacknowledged_tasks": [task], "unacknowledged_updates": [status]
        }}))
        .await;
    assert_eq!(next(&mut second).await["type"], "SUBSCRIBED");
    executor.framework.until("t", "TASK_RUNNING").await;
    loop {
        let event = next(&mut second).await;
        match event["type"].as_str() {
            Some("ACKNOWLEDGED") => break assert_eq!(event["acknowledged"]["uuid"], UUID),
            // It was told of it before it came back.
            Some("LAUNCH") => panic!("the task is known to it: {event}"),
            _ => {}
        }
    }
    while let Some(event) = first.json().await {
        assert_ne!(event["type"], "LAUNCH", "the old stream ends: {event}");
    }
    framework.teardown().await;
}

async fn says_it_twice(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut stream = executor.subscribe().await;
    next(&mut stream).await;
    executor.says("t", "TASK_FAILED", UUID).await;
    executor.says("t", "TASK_FINISHED", "AQEBAQEBAQEBAQEBAQEBAQ==").await;
    executor.framework.until("t", "TASK_FAILED").await;
    executor.framework.quiet("UPDATE", std::time::Duration::from_millis(500)).await;
    framework.teardown().await;
}

async fn heartbeats(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let mut stream = executor.subscribe().await;
    executor.call(json!({"type": "HEARTBEAT"})).await;
    // Clients exist that take an early one for a mistake: the next event is the task.
    let event = stream.json().await.expect("an event");
    assert_eq!(event["type"], "LAUNCH", "{event}");
    framework.teardown().await;
}

async fn protobuf(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("it is short");
        assert!(length < 128, "one byte of length");
        [&[number << 3 | 2, length], bytes].concat()
    };
    // Call: executor_id 1, framework_id 2, type 3 (SUBSCRIBE 1), subscribe 4.
    let body = [
        field(1, &field(1, b"e")),
        field(2, &field(1, executor.environment["MESOS_FRAMEWORK_ID"].as_bytes())),
        vec![0x18, 1],
        field(4, &[]),
    ]
    .concat();
    let mut stream = Request::new("POST", "/api/v1/executor")
        .header("Content-Type", "application/x-protobuf")
        .header("Accept", "application/x-protobuf")
        .body(body)
        .open(&executor.agent)
        .await;
    assert_eq!(
        (stream.head.status, stream.head.header("content-type")),
        (200, Some("application/x-protobuf"))
    );
    let first = stream.record().await.expect("an event");
    assert_eq!(first[..2], [0x08, 1], "Event: type 1 is SUBSCRIBED 1");
    framework.teardown().await;
}

async fn bad_requests(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t", "e").await;
    let call = executor.of(json!({"type": "SUBSCRIBE", "subscribe": {}})).to_string();
    let post = |kind: Option<&str>, accept: &str, body: &str| {
        let request = Request::new("POST", "/slave(1)/api/v1/executor").header("Accept", accept).body(body);
        match kind {
            Some(kind) => request.header("Content-Type", kind),
            None => request,
        }
    };
    for (request, status) in [
        (post(None, "application/json", &call), 400),
        (post(Some("text/plain"), "application/json", &call), 415),
        (post(Some("application/json"), "application/json", "{"), 400),
        (post(Some("application/json"), "text/html", &call), 406),
    ] {
        let answer = request.send(&executor.agent).await;
        assert_eq!(answer.status(), status, "{request:?}: {}", answer.text());
    }
    framework.teardown().await;
}

async fn many_at_once(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("executors")).await;
    let executor = Executor::launch(&mut framework, "t1", "e").await;
    let mut stream = executor.subscribe().await;
    next(&mut stream).await;
    let slave = executor.environment["MESOS_SLAVE_ID"].clone();
    let offer =
        executor.framework.offer_where("the same agent", |offer| offer["agent_id"]["value"] == slave).await;
    executor.framework.accept(&offer, &[launch(&[executor_task("t2", &offer, "e")])]).await;
    next(&mut stream).await;
    executor.says("t1", "TASK_RUNNING", UUID).await;
    let first = executor.framework.event("UPDATE").await;
    executor.says("t2", "TASK_RUNNING", "AQEBAQEBAQEBAQEBAQEBAQ==").await;
    // The first one is not acknowledged, and does not stand in the way.
    let second = executor.framework.event("UPDATE").await;
    let task = |event: &Value| event["update"]["status"]["task_id"]["value"].clone();
    assert_eq!((task(&first), task(&second)), (json!("t1"), json!("t2")));
    framework.teardown().await;
}
