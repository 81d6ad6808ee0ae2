//! Custom executors: the executor API of a real agent, with an executor whose words come from the test.

use crate::Test;
use crate::fixture::{Fixture, limited};
use crate::frameworks::{executor, group};
use crate::http::Http;
use hansa_link::{ToAgentBody, ToMasterBody};
use hansa_mesos::recordio::Decoder;
use hansa_model::InstanceId;
use hansa_model::framework::{ExecutorKind, Raw};
use hansa_model::task::TaskState;
use serde_json::{Value, json};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "a custom executor runs its tasks", run: life },
        Test { name: "a custom executor outlives its agent", run: survives },
        Test { name: "an executor is asked to end and then ended", run: shutdown },
        Test { name: "what executors may not say is refused", run: refused },
    ]
}

const SCRIPT: &str = "env; exec sleep 1000";

/// The stream that an executor listens on.
pub(crate) struct Stream {
    response: reqwest::Response,
    decoder: Decoder,
}

impl Stream {
    pub(crate) fn open(fixture: &Fixture, address: &str, subscribe: Value) -> Self {
        let call = json!({"type": "SUBSCRIBE", "executor_id": {"value": "e1"}, "framework_id": {"value": "f-0000"}, "subscribe": subscribe});
        let request = reqwest::Client::new()
            .post(format!("http://{address}/slave(1)/api/v1/executor"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(call.to_string());
        let response = fixture.runtime.block_on(limited(request.send())).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(!response.headers().contains_key("mesos-stream-id"));
        assert!(!response.headers().contains_key("content-length"));
        Self { response, decoder: Decoder::default() }
    }

    pub(crate) fn next(&mut self, fixture: &Fixture) -> Value {
        fixture.runtime.block_on(limited(async {
            loop {
                if let Some(record) = self.decoder.next().unwrap() {
                    return serde_json::from_slice(&record).unwrap();
                }
                let chunk = self.response.chunk().await.unwrap().expect("the stream goes on");
                self.decoder.push(&chunk);
            }
        }))
    }
}

pub(crate) fn call(fixture: &Fixture, address: &str, body: Value) -> (u16, String) {
    let mut call = json!({"executor_id": {"value": "e1"}, "framework_id": {"value": "f-0000"}});
    call.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    Http::new(fixture, address).post("/api/v1/executor", &call.to_string())
}

const UUID: &str = "AAAAAAAAAAAAAAAAAAAABw==";

fn update(state: &str, uuid: &str) -> Value {
    let status = json!({
        "task_id": {"value": "task-1"}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid,
        "message": "so it is", "data": "aGk=", "executor_id": {"value": "e1"},
    });
    json!({"type": "UPDATE", "update": {"status": status}})
}

/// An agent that runs the executor's program, and its address.
fn started() -> (Fixture, String) {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(group("x", &[("task-1", "")], Some(executor("run-1", ExecutorKind::Custom, SCRIPT))));
    });
    let stdout = fixture.data_dir().join("sandboxes/run-1/stdout");
    let env = || std::fs::read_to_string(&stdout).unwrap_or_default();
    fixture.until("the executor runs", || env().contains("MESOS_EXECUTOR_ID"));
    (fixture, address)
}

fn life() {
    let (mut fixture, address) = started();
    let env = std::fs::read_to_string(fixture.data_dir().join("sandboxes/run-1/stdout")).unwrap();
    for line in [
        "MESOS_EXECUTOR_ID=e1",
        "MESOS_FRAMEWORK_ID=f-0000",
        "MESOS_CHECKPOINT=1",
        "MESOS_RECOVERY_TIMEOUT=15mins",
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=300ms",
        "MESOS_HTTP_COMMAND_EXECUTOR=0",
        "LIBPROCESS_PORT=0",
        &format!("MESOS_AGENT_ENDPOINT={address}"),
        &format!("MESOS_SLAVE_PID=slave(1)@{address}"),
    ] {
        assert!(env.lines().any(|one| one == line), "{line}: {env}");
    }
    assert_eq!(call(&fixture, &address, update("TASK_RUNNING", UUID)).0, 403);
    let mut stream = Stream::open(&fixture, &address, json!({}));
    let subscribed = stream.next(&fixture);
    assert_eq!(subscribed["type"], "SUBSCRIBED");
    // Compared as a whole by clients: nothing else may stand in there.
    assert_eq!(subscribed["subscribed"]["executor_info"]["executor_id"], json!({"value": "e1"}));
    assert_eq!(subscribed["subscribed"]["framework_info"]["id"], json!({"value": "f-0000"}));
    assert_eq!(subscribed["subscribed"]["container_id"], json!({"value": "run-1"}));
    let launch = stream.next(&fixture);
    assert_eq!(
        (&launch["type"], &launch["launch"]["task"]["task_id"]["value"]),
        (&json!("LAUNCH"), &json!("task-1"))
    );
    assert_eq!(call(&fixture, &address, update("TASK_RUNNING", UUID)), (202, String::new()));
    let acknowledged = stream.next(&fixture);
    assert_eq!(acknowledged["acknowledged"], json!({"task_id": {"value": "task-1"}, "uuid": UUID}));
    let status = fixture.with_master(async |master| master.state(TaskState::Running).await);
    let said = status.executor.unwrap();
    assert_eq!((said.uuid, status.message.as_str()), (7, "so it is"));
    // As it came, data and all.
    assert!(said.raw.bytes().windows(2).any(|two| two == b"hi"));
    let message = json!({"type": "MESSAGE", "message": {"data": "aGVsbG8="}});
    assert_eq!(call(&fixture, &address, message).0, 202);
    fixture.with_master(async |master| {
        loop {
            if let ToMasterBody::FromExecutor { data, .. } = master.next().await {
                assert_eq!(data.bytes(), b"hello");
                break;
            }
        }
        let container = InstanceId::from("run-1");
        master.say(ToAgentBody::ToExecutor { container, data: Raw::new(*b"hi") });
        master.kill("x", 700);
    });
    assert_eq!(stream.next(&fixture)["message"], json!({"data": "aGk="}));
    let kill = stream.next(&fixture);
    assert_eq!(
        kill["kill"],
        json!({"task_id": {"value": "task-1"}, "kill_policy": {"grace_period": {"nanoseconds": 700_000_000}}})
    );
    assert_eq!(call(&fixture, &address, update("TASK_KILLED", "AAAAAAAAAAAAAAAAAAAACA==")).0, 202);
    fixture.with_master(async |master| master.update(|status| status.state == TaskState::Killed).await);
    let http = Http::new(&fixture, &address);
    let state = http.json("/state");
    let shown = &state["frameworks"][0]["executors"][0];
    assert_eq!(
        (&shown["id"], &shown["name"], &shown["type"]),
        (&json!("e1"), &json!("an executor"), &json!("CUSTOM"))
    );
    assert_eq!(shown["completed_tasks"][0]["state"], "TASK_KILLED");
    assert_eq!(http.json("/metrics/snapshot")["slave/executors_running"], 1.0);
}

fn survives() {
    let (mut fixture, address) = started();
    let mut stream = Stream::open(&fixture, &address, json!({}));
    for _ in 0..2 {
        stream.next(&fixture);
    }
    fixture.kill_agent();
    let hello = fixture.start_agent();
    assert_eq!(hello.executors.len(), 1);
    let address = hello.address;
    assert_eq!(
        call(&fixture, &address, update("TASK_RUNNING", UUID)).0,
        403,
        "not before it subscribes again"
    );
    let task = json!({"name": "t", "task_id": {"value": "task-1"}, "agent_id": {"value": "a"}});
    let unacknowledged = json!({"unacknowledged_tasks": [task], "unacknowledged_updates": [update("TASK_RUNNING", UUID)["update"]]});
    let mut stream = Stream::open(&fixture, &address, unacknowledged);
    assert_eq!(stream.next(&fixture)["type"], "SUBSCRIBED");
    assert_eq!(stream.next(&fixture)["type"], "ACKNOWLEDGED");
    fixture.with_master(async |master| master.state(TaskState::Running).await);
    // Its end is told, and its tasks' with it.
    let shim = fixture.shims()[0];
    crate::fixture::signal(shim, libc::SIGKILL);
    let last = fixture.with_master(async |master| master.update(|status| status.state.is_terminal()).await);
    assert_eq!(last.reason.unwrap().name(), "REASON_EXECUTOR_TERMINATED");
    fixture.with_master(async |master| {
        loop {
            if let ToMasterBody::ExecutorEnded { executor, .. } = master.next().await {
                return assert_eq!(executor, "e1");
            }
        }
    });
    assert_eq!(
        call(&fixture, &address, update("TASK_RUNNING", UUID)),
        (400, "Executor cannot be found".into())
    );
}

fn shutdown() {
    let (mut fixture, address) = started();
    let mut stream = Stream::open(&fixture, &address, json!({}));
    for _ in 0..2 {
        stream.next(&fixture);
    }
    fixture.with_master(async |master| {
        master.say(ToAgentBody::ShutdownExecutor { container: InstanceId::from("run-1") });
    });
    assert_eq!(stream.next(&fixture)["type"], "SHUTDOWN");
    let wait_status = fixture.with_master(async |master| {
        loop {
            if let ToMasterBody::ExecutorEnded { wait_status, .. } = master.next().await {
                return wait_status;
            }
        }
    });
    assert_eq!(wait_status, libc::SIGKILL, "it did not end by itself");
    fixture.until("nothing of it is left", || fixture.shims().is_empty());
}

fn refused() {
    let (fixture, address) = started();
    let http = Http::new(&fixture, &address);
    assert_eq!(http.get("/api/v1/executor").0, 405);
    assert_eq!(http.post_as("/api/v1/executor", "text/plain", "{}").0, 415);
    assert_eq!(http.post("/api/v1/executor", "{").0, 400);
    assert_eq!(http.post("/api/v1/executor", "{}").0, 400);
    let unknown = json!({"type": "SUBSCRIBE", "subscribe": {}, "framework_id": {"value": "f-0001"}});
    assert_eq!(call(&fixture, &address, unknown), (400, "Framework cannot be found".into()));
    let unknown = json!({"type": "SUBSCRIBE", "subscribe": {}, "executor_id": {"value": "e2"}});
    assert_eq!(call(&fixture, &address, unknown), (400, "Executor cannot be found".into()));
    let (status, words) = call(&fixture, &address, update("TASK_STAGING", UUID));
    assert!(status == 400 && words.contains("TASK_STAGING"), "{words}");
    assert_eq!(call(&fixture, &address, json!({"type": "HEARTBEAT"})).0, 202);
}
