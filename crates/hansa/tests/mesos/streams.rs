//! C.4 and C.1: a scheduler's stream, byte by byte.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, Scheduler, info, info_with, subscribe_call, task};
use crate::wire::Request;
use serde_json::json;

cases! {
    head: "the head of a stream: chunked, the very type that was asked for, an id",
    beginning: "SUBSCRIBED comes first, HEARTBEAT at once after it",
    one_chunk_each: "a record is a chunk: its length in bytes, a newline, the payload",
    closing_requests: "a stream stays open though the request said Connection: close",
    protobuf: "a stream of protobuf",
    ids: "every connection has a stream id of its own",
    heartbeat_bytes: "an event without content is nothing but its type",
    numbers: "numbers and names are written as Mesos writes them",
    many_bytes: "letters of many bytes are counted in bytes, and not escaped",
}

async fn head(world: &World) {
    let stream = Request::json(PATH, &subscribe_call(&info("streams"))).open(&world.master).await;
    let head = &stream.head;
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    assert_eq!(head.header("content-type"), Some("application/json"), "and no charset");
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!((head.header("content-length"), head.header("content-encoding")), (None, None));
    let id = head.header("mesos-stream-id").expect("an id");
    assert!(!id.is_empty() && id.len() <= 128, "{id}");
}

async fn beginning(world: &World) {
    let mut stream = Request::json(PATH, &subscribe_call(&info("streams"))).open(&world.master).await;
    let first = stream.json().await.expect("an event");
    assert_eq!(first["type"], "SUBSCRIBED");
    let subscribed = &first["subscribed"];
    let id = subscribed["framework_id"]["value"].as_str().expect("an id");
    // The master's uuid and a number of at least four digits.
    let (uuid, number) = id.rsplit_once('-').expect("two parts");
    assert!(
        uuid.len() == 36 && number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit()),
        "{id}"
    );
    assert_eq!(subscribed["heartbeat_interval_seconds"], 15.0);
    let master = &subscribed["master_info"];
    let port: u16 = world.master.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    assert_eq!(master["port"], port, "{master}");
    for key in ["id", "pid", "hostname", "version"] {
        assert!(master[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {master}");
    }
    assert!(master["ip"].is_u64() && master["address"]["port"] == port, "{master}");
    assert_eq!(stream.json().await.expect("an event")["type"], "HEARTBEAT");
}

async fn one_chunk_each(world: &World) {
    let mut stream = Request::json(PATH, &subscribe_call(&info("streams"))).open(&world.master).await;
    for _ in 0..3 {
        let record = stream.text().await.expect("a record");
        let chunk = stream.chunks.pop_front().expect("it came in a chunk");
        assert_eq!(chunk, record.len().to_string().len() + 1 + record.len(), "{record}");
        assert!(!record.contains(['\n', '\r']), "{record}");
    }
}

async fn closing_requests(world: &World) {
    let call = subscribe_call(&info("streams"));
    let mut stream = Request::json(PATH, &call).header("Connection", "close").open(&world.master).await;
    for kind in ["SUBSCRIBED", "HEARTBEAT", "OFFERS"] {
        assert_eq!(stream.json().await.expect("it goes on")["type"], kind);
    }
}

/// The type is field 2, SUBSCRIBE is 1, `subscribe` field 3, `framework_info` field 1 of it, `user` and `name` 1 and 2. In an event the type is
/// field 1: SUBSCRIBED is 1, HEARTBEAT 8.
async fn protobuf(world: &World) {
    let user = info("")["user"].as_str().expect("a user").to_owned();
    let field = |number: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("short");
        [&[number << 3 | 2, length][..], payload].concat()
    };
    let framework_info = [field(1, user.as_bytes()), field(2, b"streams")].concat();
    let call = [&[0x10, 0x01][..], &field(3, &field(1, &framework_info))].concat();
    let mut stream = Request::new("POST", PATH)
        .header("Content-Type", "application/x-protobuf")
        .header("Accept", "application/x-protobuf")
        .body(call)
        .open(&world.master)
        .await;
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("content-type"), Some("application/x-protobuf"));
    let first = stream.record().await.expect("a record");
    assert_eq!(first[..3], [0x08, 0x01, 0x12], "type SUBSCRIBED, then `subscribed`");
    assert_eq!(stream.record().await.expect("a record"), [0x08, 0x08], "HEARTBEAT");
}

async fn ids(world: &World) {
    let mut info = info("streams");
    info["failover_timeout"] = json!(60.0);
    let first = Scheduler::subscribe(world, &info).await;
    info["id"] = json!({"value": first.id});
    let second = Scheduler::subscribe(world, &info).await;
    assert_eq!(first.id, second.id);
    assert_ne!(first.stream_id, second.stream_id);
    assert_eq!(
        first.send(json!({"type": "REVIVE"})).await.status(),
        400,
        "the first stream is not its stream any more"
    );
    second.teardown().await;
}

async fn heartbeat_bytes(world: &World) {
    let mut stream = Request::json(PATH, &subscribe_call(&info("streams"))).open(&world.master).await;
    stream.text().await.expect("SUBSCRIBED");
    assert_eq!(stream.text().await.as_deref(), Some("{\"type\":\"HEARTBEAT\"}"));
}

async fn numbers(world: &World) {
    let mut stream = Request::json(PATH, &subscribe_call(&info_with("streams", "*", &["MULTI_ROLE"])))
        .open(&world.master)
        .await;
    let subscribed = stream.text().await.expect("SUBSCRIBED");
    assert!(
        subscribed.contains("\"heartbeat_interval_seconds\":15.0"),
        "a double has a fraction: {subscribed}"
    );
    stream.text().await.expect("HEARTBEAT");
    let offers = stream.text().await.expect("OFFERS");
    assert!(
        offers.starts_with("{\"type\":\"OFFERS\",\"offers\":{\"offers\":[{")
            || offers.contains("\"offers\":{\"offers\":[{")
    );
    assert!(offers.contains("\"type\":\"SCALAR\"") && offers.contains("\"type\":\"RANGES\""), "{offers}");
    assert!(offers.contains("\"begin\":"), "{offers}");
    assert!(!offers.contains("\"begin\":\"") && !offers.contains("frameworkId"), "{offers}");
    assert!(
        !offers.contains("\"executor_ids\":[]") && !offers.contains(":null"),
        "what is not there is not written"
    );
    for value in offers.split("\"scalar\":{\"value\":").skip(1) {
        let number: String = value.chars().take_while(|letter| *letter != '}').collect();
        assert!(number.contains(['.', 'e']), "{number} is a double");
    }
}

async fn many_bytes(world: &World) {
    let mut framework = Scheduler::subscribe(world, &info("streams")).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[crate::scheduler::launch(&[task("größe-尺寸", &offer, "exit 0")])]).await;
    // The reader takes lengths for bytes; it would not find the next record otherwise.
    let status = framework.until("größe-尺寸", "TASK_FINISHED").await;
    assert_eq!(status["task_id"]["value"], "größe-尺寸");
    framework.teardown().await;
}
