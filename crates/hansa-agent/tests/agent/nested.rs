//! The operator API's nested containers: commands inside a task's container, with and without somebody who listens.

use crate::Test;
use crate::fixture::{Fixture, limited};
use crate::frameworks::group;
use crate::http::Http;
use hansa_mesos::recordio::{Decoder, record};
use hansa_model::task::TaskState;
use serde_json::{Value, json};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "a session runs inside a task's container", run: session },
        Test { name: "a session's command ends with its listener", run: listener },
        Test { name: "a terminal's input and output are attached", run: terminal },
    ]
}

fn started(script: &str, tty: bool) -> (Fixture, String) {
    let mut launch = group("x", &[("task-1", script)], None);
    let mut spec = (*launch.group).clone();
    spec.tasks[0].container.tty = tty;
    launch.group = spec.into();
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(launch);
        master.state(TaskState::Running).await;
    });
    (fixture, address)
}

fn nested(id: &str) -> Value {
    json!({"value": id, "parent": {"value": "x"}})
}

fn session_call(id: &str, command: &str) -> Value {
    json!({"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": {
        "container_id": nested(id), "command": {"value": command, "environment": {"variables": [{"name": "A", "value": "b"}]}},
    }})
}

/// Sends a call whose answer is a stream.
fn stream(fixture: &Fixture, address: &str, call: &Value) -> reqwest::Response {
    let request = reqwest::Client::new()
        .post(format!("http://{address}/slave(1)/api/v1"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("accept", "application/recordio")
        .header("message-accept", "application/json")
        .body(call.to_string());
    let response = fixture.runtime.block_on(limited(request.send())).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/recordio");
    response
}

/// What a stream says, until it ends or `enough`.
fn read(fixture: &Fixture, response: &mut reqwest::Response, enough: impl Fn(&str) -> bool) -> String {
    let mut decoder = Decoder::default();
    let mut text = String::new();
    fixture.runtime.block_on(limited(async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            decoder.push(&chunk);
            while let Some(record) = decoder.next().unwrap() {
                let said: Value = serde_json::from_slice(&record).unwrap();
                assert_eq!(said["type"], "DATA");
                let data: Vec<u8> = base64::Engine::decode(
                    &base64::prelude::BASE64_STANDARD,
                    said["data"]["data"].as_str().unwrap(),
                )
                .unwrap();
                text +=
                    &format!("{}:{}", said["data"]["type"].as_str().unwrap(), String::from_utf8_lossy(&data));
            }
            if enough(&text) {
                return;
            }
        }
    }));
    text
}

fn input(fixture: &Fixture, address: &str, id: &Value, pieces: &[Value]) -> (u16, String) {
    let of = |said: Value| json!({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": said});
    let first = of(json!({"type": "CONTAINER_ID", "container_id": id}));
    let rest = pieces.iter().map(|io| of(json!({"type": "PROCESS_IO", "process_io": io})));
    let body: Vec<u8> =
        std::iter::once(first).chain(rest).flat_map(|call| record(call.to_string().as_bytes())).collect();
    let request = reqwest::Client::new()
        .post(format!("http://{address}/api/v1"))
        .header("content-type", "application/recordio")
        .header("message-content-type", "application/json")
        .body(body);
    fixture.runtime.block_on(limited(async {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }))
}

fn typed(text: &str) -> Value {
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    json!({"type": "DATA", "data": {"type": "STDIN", "data": data}})
}

fn session() {
    let (fixture, address) = started("touch here; sleep 1000", false);
    let call = session_call("n1", "ls here; echo $A >&2; cat; exit 7");
    let mut output = stream(&fixture, &address, &call);
    assert_eq!(input(&fixture, &address, &nested("n1"), &[typed("typed"), typed("")]).0, 200);
    let text = read(&fixture, &mut output, |_| false);
    for piece in ["STDOUT:here\n", "STDERR:b\n", "typed"] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    let http = Http::new(&fixture, &address);
    let wait = json!({"type": "WAIT_CONTAINER", "wait_container": {"container_id": nested("n1")}});
    let (status, answered) = http.post("/api/v1", &wait.to_string());
    let answered: Value = serde_json::from_str(&answered).unwrap();
    assert_eq!((status, &answered["wait_container"]["exit_status"]), (200, &json!(7 << 8)));
    assert_eq!(http.post("/api/v1", &call.to_string()).0, 202, "there is one of this name");
    let remove = json!({"type": "REMOVE_CONTAINER", "remove_container": {"container_id": nested("n1")}});
    assert_eq!(http.post("/api/v1", &remove.to_string()).0, 200);
    assert_eq!(http.post("/api/v1", &wait.to_string()).0, 404);
    let mut stranger = call.clone();
    stranger["launch_nested_container_session"]["container_id"]["parent"]["value"] = json!("y");
    assert_eq!(http.post("/api/v1", &stranger.to_string()).0, 404);
    // The words that clients look for.
    let (status, words) = input(&fixture, &address, &json!({"value": "x"}), &[]);
    assert_eq!((status, words.as_str()), (500, "I/O switchboard server was disabled for this container"));
}

fn listener() {
    let (fixture, address) = started("sleep 1000", false);
    let mut output = stream(&fixture, &address, &session_call("n1", "echo on; sleep 12345"));
    read(&fixture, &mut output, |text| text.contains("on"));
    // The shell at least; what it starts has the words, too.
    assert!(!fixture.processes("sleep 12345").is_empty());
    drop(output);
    fixture.until("the command has ended", || fixture.processes("sleep 12345").is_empty());
    // Without anybody who listens it runs until it is killed.
    let http = Http::new(&fixture, &address);
    let launch = json!({"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {
        "container_id": nested("n2"), "command": {"value": "exec sleep 54321"},
    }});
    assert_eq!(http.post("/api/v1", &launch.to_string()), (200, String::new()));
    fixture.until("it runs", || fixture.processes("sleep 54321").len() == 1);
    let kill =
        json!({"type": "KILL_NESTED_CONTAINER", "kill_nested_container": {"container_id": nested("n2")}});
    assert_eq!(http.post("/api/v1", &kill.to_string()).0, 200);
    let wait =
        json!({"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"container_id": nested("n2")}});
    let answered: Value = serde_json::from_str(&http.post("/api/v1", &wait.to_string()).1).unwrap();
    assert_eq!(answered["wait_nested_container"]["exit_status"], libc::SIGKILL);
}

fn terminal() {
    let (fixture, address) =
        started("stty -echo; echo ready; read line; echo got $line; stty size; sleep 1000", true);
    let id = json!({"value": "x"});
    let call = json!({"type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": {"container_id": id}});
    let mut output = stream(&fixture, &address, &call);
    let text = read(&fixture, &mut output, |text| text.contains("ready"));
    assert!(text.starts_with("STDOUT:ready"), "{text}");
    let size = json!({"type": "CONTROL", "control": {"type": "TTY_INFO", "tty_info": {"window_size": {"rows": 33, "columns": 44}}}});
    assert_eq!(input(&fixture, &address, &id, &[size, typed("a word\n")]).0, 200);
    let text = read(&fixture, &mut output, |text| text.contains("33 44"));
    assert!(text.contains("got a word"), "{text}");
}
