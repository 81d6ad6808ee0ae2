//! C.5: what is refused at `/api/v1/scheduler`, with which status, and what comes first if several things are wrong.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, Scheduler, info, subscribe_call};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    before_the_call: "method, Content-Type and body are checked in this order",
    the_call: "a call that is not valid in itself is 400",
    subscribing: "SUBSCRIBE is checked: Accept, then Mesos-Stream-Id",
    streams: "other calls need the framework, its connection and its stream's id, in this order",
    accepted: "an accepted call is 202 without body and type",
    lenient_type: "parameters of the Content-Type are forgiven or 415, never anything else",
}

/// Sends a POST with these headers and this body.
async fn post(world: &World, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = Request::new("POST", PATH).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send(&world.master).await;
    (answer.status(), answer.text())
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn before_the_call(world: &World) {
    for method in ["GET", "PUT", "DELETE"] {
        // The method is looked at first: nothing else is right here either.
        let answer = Request::new(method, PATH)
            .header("Content-Type", "text/plain")
            .body("{")
            .send(&world.master)
            .await;
        assert_eq!(answer.status(), 405, "{method}");
        assert!(answer.header("allow").is_some_and(|allowed| allowed.starts_with("POST")), "{method}");
    }
    for (headers, body, status, words) in [
        (&[][..], "{", 400, "Content-Type"),
        (&[("Content-Type", "text/plain")][..], "{", 415, "application/json"),
        (&[("Content-Type", "application/xml")], "{}", 415, "application/x-protobuf"),
        (&[JSON], "", 400, ""),
        (&[JSON], "{", 400, "JSON"),
        (&[JSON], "[]", 400, ""),
        (&[JSON], "\"SUBSCRIBE\"", 400, ""),
        (&[("Content-Type", "application/x-protobuf")], "\u{ff}no protobuf", 400, ""),
    ] {
        let (got, text) = post(world, headers, body).await;
        assert_eq!(got, status, "{headers:?} {body:?}: {text}");
        assert!(text.contains(words), "{headers:?} {body:?}: {text}");
    }
}

async fn the_call(world: &World) {
    let with = |key: &str, value: Value| {
        let mut call = subscribe_call(&info("checks"));
        call["subscribe"]["framework_info"][key] = value;
        call
    };
    for (call, words) in [
        (json!({}), "type"),
        (json!({"type": "NONSENSE"}), "type"),
        (json!({"type": "SUBSCRIBE"}), "subscribe"),
        (json!({"type": "SUBSCRIBE", "subscribe": {}}), "framework_info"),
        (json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}}), "user"),
        (with("id", json!({"value": "x"})), "framework_id"),
        (with("id", json!({})), "value"),
        (with("name", json!(["x", "y"])), ""),
        (json!({"type": "TEARDOWN"}), "framework_id"),
        (json!({"type": "ACCEPT", "framework_id": {"value": "x"}}), "accept"),
        (json!({"type": "DECLINE", "framework_id": {"value": "x"}}), "decline"),
        (json!({"type": "KILL", "framework_id": {"value": "x"}}), "kill"),
        (json!({"type": "KILL", "framework_id": {"value": "x"}, "kill": {}}), "task_id"),
        (json!({"type": "RECONCILE", "framework_id": {"value": "x"}}), "reconcile"),
        (json!({"type": "MESSAGE", "framework_id": {"value": "x"}}), "message"),
        (json!({"type": "SHUTDOWN", "framework_id": {"value": "x"}}), "shutdown"),
        (json!({"type": "ACKNOWLEDGE", "framework_id": {"value": "x"}}), "acknowledge"),
    ] {
        let (status, text) = post(world, &[JSON], &call.to_string()).await;
        assert_eq!(status, 400, "{call}: {text}");
        assert!(text.contains(words), "{call}: {text}");
    }
}

async fn subscribing(world: &World) {
    let call = subscribe_call(&info("checks")).to_string();
    let stream = ("Mesos-Stream-Id", "x");
    let (status, text) = post(world, &[JSON, ("Accept", "text/html"), stream], &call).await;
    assert_eq!(status, 406, "{text}");
    let (status, text) = post(world, &[JSON, stream], &call).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("Mesos-Stream-Id"), "{text}");
}

async fn streams(world: &World) {
    let revive = |id: &str| json!({"type": "REVIVE", "framework_id": {"value": id}}).to_string();
    let (status, text) = post(world, &[JSON], &revive("no-such-framework")).await;
    assert_eq!((status, text.as_str()), (400, "Framework cannot be found"));

    let mut info = info("checks");
    info["failover_timeout"] = json!(60.0);
    let framework = Scheduler::subscribe(world, &info).await;
    let (status, text) = post(world, &[JSON], &revive(&framework.id)).await;
    assert!(status == 400 && text.contains("Mesos-Stream-Id"), "{status}: {text}");
    let (status, text) = post(world, &[JSON, ("Mesos-Stream-Id", "x")], &revive(&framework.id)).await;
    assert!(status == 400 && text.contains(&framework.id), "{status}: {text}");
    let stream = framework.stream_id.clone();
    let (status, text) = post(world, &[JSON, ("Mesos-Stream-Id", &stream)], &revive(&framework.id)).await;
    assert_eq!((status, text.as_str()), (202, ""));
    // An Accept that cannot be met is no matter where nothing is answered.
    let headers = [JSON, ("Mesos-Stream-Id", stream.as_str()), ("Accept", "text/html")];
    assert_eq!(post(world, &headers, &revive(&framework.id)).await.0, 202);
    let unknown = json!({"type": "UNKNOWN", "framework_id": {"value": framework.id}}).to_string();
    assert_eq!(post(world, &[JSON, ("Mesos-Stream-Id", &stream)], &unknown).await.0, 501);

    let id = framework.vanish();
    let begun = std::time::Instant::now();
    loop {
        // The connection is looked at before the stream's id.
        let (status, text) = post(world, &[JSON], &revive(&id)).await;
        match status {
            403 => break assert_eq!(text, "Framework is not subscribed"),
            // The master has not noticed yet.
            400 => assert!(begun.elapsed() < crate::PATIENCE, "{text}"),
            other => panic!("{other}: {text}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    info["id"] = json!({"value": id});
    Scheduler::subscribe(world, &info).await.teardown().await;
}

async fn accepted(world: &World) {
    let framework = Scheduler::subscribe(world, &info("checks")).await;
    let answer = framework.send(json!({"type": "SUPPRESS"})).await;
    assert_eq!((answer.status(), answer.text()), (202, String::new()));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.header("content-length"), Some("0"));
    framework.teardown().await;
}

async fn lenient_type(world: &World) {
    let call = json!({"type": "SUBSCRIBE"}).to_string();
    let (status, text) = post(world, &[("Content-Type", "application/json; charset=utf-8")], &call).await;
    assert!([400, 415].contains(&status), "{status}: {text}");
}
