//! A.7: containers inside of a task's container, and their streams.

use crate::World;
use crate::cases;
use crate::containers::{agent_of, drain};
use crate::scheduler::{Scheduler, info, launch, task};
use crate::wire::{Answer, Request, Stream};
use base64::Engine;
use serde_json::{Value, json};

cases! {
    session: "a command in a task's container, with its output and its status",
    life: "LAUNCH, WAIT, KILL and REMOVE of a nested container, in both families of calls",
    refusals: "a container that is there is 202, without its parent 404",
    unread: "a container whose output nobody reads runs on",
    terminal: "a session with a terminal has its size, and what is typed is read",
    input: "ATTACH_CONTAINER_INPUT is a stream; its end is the end of the input",
    no_switchboard: "the input of a task without a terminal cannot be had, in the words that clients look for",
    closed: "a session ends when nobody reads it any more",
    default_type: "without Accept a session is records of JSON, and is called application/json",
}

struct Place<'w> {
    framework: Scheduler<'w>,
    agent: String,
    parent: Value,
}

/// A task that runs, to enter.
async fn place<'w>(world: &'w World, id: &str) -> Place<'w> {
    let mut framework = Scheduler::subscribe(world, &info("nested")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[launch(&[task(id, &offer, "sleep 100000")])]).await;
    let status = framework.until(id, "TASK_RUNNING").await;
    Place { framework, agent: agent_of(&offer), parent: status["container_status"]["container_id"].clone() }
}

impl Place<'_> {
    fn id(&self, name: &str) -> Value {
        json!({"value": name, "parent": self.parent})
    }

    async fn call(&self, kind: &str, body: Value) -> Answer {
        Request::json("/api/v1", &json!({"type": kind, kind.to_lowercase(): body})).send(&self.agent).await
    }

    async fn open(&self, name: &str, command: &str, container: Value) -> Stream {
        let call = json!({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
            "container_id": self.id(name), "command": {"value": command}, "container": container,
        }});
        let stream = Request::new("POST", "/api/v1")
            .header("Content-Type", "application/json")
            .header("Accept", "application/recordio")
            .header("Message-Accept", "application/json")
            .body(call.to_string())
            .open(&self.agent)
            .await;
        assert_eq!(stream.head.status, 200, "{:?}", stream.head);
        assert_eq!(stream.head.header("content-type"), Some("application/recordio"));
        assert_eq!(stream.head.header("message-content-type"), Some("application/json"));
        stream
    }

    async fn exit_status(&self, name: &str) -> Value {
        let waited = self.call("WAIT_CONTAINER", json!({"container_id": self.id(name)})).await.json();
        assert_eq!(waited["type"], "WAIT_CONTAINER");
        waited["wait_container"]["exit_status"].clone()
    }
}

fn record(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    format!("{}\n{text}", text.len()).into_bytes()
}

/// What is sent to attach to an input, with these pieces; an empty one ends it.
fn attached(id: &Value, pieces: &[&str]) -> Request {
    let of = |content: Value| json!({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": content});
    let mut body = record(&of(json!({"type": "CONTAINER_ID", "container_id": id})));
    for piece in pieces {
        let data = base64::engine::general_purpose::STANDARD.encode(piece);
        let data = json!({"type": "DATA", "data": {"type": "STDIN", "data": data}});
        body.extend(record(&of(json!({"type": "PROCESS_IO", "process_io": data}))));
    }
    Request::new("POST", "/api/v1")
        .header("Content-Type", "application/recordio")
        .header("Message-Content-Type", "application/json")
        .header("Accept", "application/json")
        .body(body)
}

async fn session(world: &World) {
    let place = place(world, "entered").await;
    let mut stream = place.open("session", "echo inside; echo error >&2; exit 5", Value::Null).await;
    let (text, status) = tokio::join!(drain(&mut stream), place.exit_status("session"));
    assert!(text.contains("inside") && text.contains("error"), "{text}");
    assert_eq!(status, 5 << 8, "as wait tells it");
    place.framework.teardown().await;
}

async fn life(world: &World) {
    let place = place(world, "lives").await;
    for (launch, wait, kill, remove) in [
        ("LAUNCH_CONTAINER", "WAIT_CONTAINER", "KILL_CONTAINER", "REMOVE_CONTAINER"),
        (
            "LAUNCH_NESTED_CONTAINER",
            "WAIT_NESTED_CONTAINER",
            "KILL_NESTED_CONTAINER",
            "REMOVE_NESTED_CONTAINER",
        ),
    ] {
        let id = json!({"container_id": place.id(launch)});
        let mut body = id.clone();
        body["command"] = json!({"value": "sleep 100000"});
        let answer = place.call(launch, body).await;
        assert_eq!((answer.status(), answer.text()), (200, String::new()), "{launch}");
        assert_eq!(place.call(remove, id.clone()).await.status(), 500, "{remove}: it runs");
        let (waited, killed) = tokio::join!(place.call(wait, id.clone()), async {
            // It is found as soon as it is executed.
            let begun = std::time::Instant::now();
            loop {
                let answer = place.call(kill, id.clone()).await;
                if answer.status() == 200 {
                    break answer.text();
                }
                assert!(begun.elapsed() < crate::PATIENCE, "{}", answer.text());
            }
        });
        assert_eq!(killed, "");
        let waited = waited.json();
        assert_eq!(waited["type"], wait);
        assert_eq!(waited[wait.to_lowercase()]["exit_status"], 9, "SIGKILL: {waited}");
        assert_eq!(place.call(remove, id.clone()).await.status(), 200);
        assert_eq!(place.call(wait, id).await.status(), 404, "nothing is left");
    }
    place.framework.teardown().await;
}

async fn refusals(world: &World) {
    let place = place(world, "refuses").await;
    let mut body = json!({"container_id": place.id("twice"), "command": {"value": "sleep 100000"}});
    assert_eq!(place.call("LAUNCH_CONTAINER", body.clone()).await.status(), 200);
    assert_eq!(place.call("LAUNCH_CONTAINER", body.clone()).await.status(), 202, "it is there");
    body["container_id"] = json!({"value": "orphan", "parent": {"value": "no-such-container"}});
    assert_eq!(place.call("LAUNCH_CONTAINER", body).await.status(), 404);
    let nobody = json!({"container_id": place.id("nobody")});
    for kind in ["WAIT_CONTAINER", "KILL_CONTAINER", "ATTACH_CONTAINER_OUTPUT"] {
        assert_eq!(place.call(kind, nobody.clone()).await.status(), 404, "{kind}");
    }
    let alone = json!({"container_id": {"value": "alone"}, "command": {"value": "true"}});
    let answer = place.call("LAUNCH_CONTAINER", alone).await;
    assert!(matches!(answer.status(), 200 | 501 | 403), "standalone containers: {}", answer.text());
    place.framework.teardown().await;
}

async fn unread(world: &World) {
    let place = place(world, "ignored").await;
    // More than any pipe or buffer holds.
    let command = "i=0; while [ $i -lt 400 ]; do head -c 16384 /dev/zero; i=$((i+1)); done; exit 7";
    let body = json!({"container_id": place.id("loud"), "command": {"value": command}});
    assert_eq!(place.call("LAUNCH_CONTAINER", body).await.status(), 200);
    assert_eq!(place.exit_status("loud").await, 7 << 8);
    place.framework.teardown().await;
}

async fn terminal(world: &World) {
    let place = place(world, "shown").await;
    let tty = json!({"type": "MESOS", "tty_info": {"window_size": {"rows": 33, "columns": 77}}});
    let mut stream = place.open("terminal", "stty size; read line; echo \"read <$line>\"", tty).await;
    let input = attached(&place.id("terminal"), &["typed\n"]);
    let (text, _) = tokio::join!(drain(&mut stream), input.send(&place.agent));
    assert!(text.contains("33 77"), "{text:?}");
    assert!(text.contains("read <typed>"), "{text:?}");
    place.framework.teardown().await;
}

async fn input(world: &World) {
    let place = place(world, "fed").await;
    let mut stream = place.open("fed", "cat; echo over", Value::Null).await;
    let input = attached(&place.id("fed"), &["one\n", "two\n", ""]);
    let (text, answer) = tokio::join!(drain(&mut stream), input.send(&place.agent));
    assert_eq!(text, "one\ntwo\nover\n");
    assert_eq!((answer.status(), answer.text()), (200, String::new()));
    let nobody = attached(&place.id("nobody"), &["x"]).send(&place.agent).await;
    assert_eq!(nobody.status(), 404);
    place.framework.teardown().await;
}

async fn no_switchboard(world: &World) {
    let place = place(world, "plain").await;
    let answer = attached(&place.parent, &["x"]).send(&place.agent).await;
    assert_eq!(answer.status(), 500);
    assert!(
        answer.text().contains("I/O switchboard server was disabled for this container"),
        "{}",
        answer.text()
    );
    place.framework.teardown().await;
}

async fn closed(world: &World) {
    let place = place(world, "left").await;
    let mut stream = place.open("left", "echo begun; sleep 100000", Value::Null).await;
    assert_eq!(stream.json().await.expect("its first words")["type"], "DATA");
    drop(stream);
    assert_eq!(place.exit_status("left").await, 9);
    place.framework.teardown().await;
}

async fn default_type(world: &World) {
    let place = place(world, "typed").await;
    let call = json!({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
        "container_id": place.id("typed"), "command": {"value": "echo hello"},
    }});
    let request =
        Request::new("POST", "/api/v1").header("Content-Type", "application/json").body(call.to_string());
    let mut stream = request.open(&place.agent).await;
    assert_eq!((stream.head.status, stream.head.header("content-type")), (200, Some("application/json")));
    assert_eq!(drain(&mut stream).await, "hello\n");
    place.framework.teardown().await;
}
