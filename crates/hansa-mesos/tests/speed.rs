//! What the codec costs. Not a test: run it by hand with `cargo test -p hansa-mesos --test speed -- --ignored --nocapture`.

use hansa_mesos::codec::{Codec, decode, encode};
use hansa_mesos::event;
use hansa_mesos::proto::v1::scheduler::{Call, Event};
use hansa_model::Timestamp;
use hansa_model::framework::{Amount, FrameworkEvent, FrameworkInfo, Offer, Part, Reservation};
use hansa_model::resources::{MIB, PortSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

const OFFERS: usize = 1_000;
const ROUNDS: u32 = 20;

fn framework() -> FrameworkInfo {
    let json = br#"{"user":"u","name":"n","id":{"value":"F"},"role":"web"}"#;
    hansa_mesos::framework::read(&decode(Codec::Json, json).unwrap()).unwrap()
}

fn offer(number: usize) -> Arc<Offer> {
    let amount = Amount {
        cpus_milli: 16_000,
        mem: 64_000 * MIB,
        disk: 500_000 * MIB,
        gpus: 0,
        ports: PortSet::from_ranges([(31_000, 31_499), (31_501, 32_000)]),
    };
    let kept =
        Reservation { role: "web".into(), principal: Some("p".into()), labels: Vec::new(), fixed: false };
    Arc::new(Offer {
        id: format!("0d6c1f7e-8a6e-4c7f-9d6a-6f0a3c1b2d4e-O{number}").into(),
        framework: "0d6c1f7e-8a6e-4c7f-9d6a-6f0a3c1b2d4e-0000".into(),
        role: "web".into(),
        agent: format!("0d6c1f7e-8a6e-4c7f-9d6a-6f0a3c1b2d4e-S{number}").into(),
        hostname: format!("node{number}.example").into(),
        address: format!("10.0.{}.{}:5051", number / 256, number % 256),
        parts: vec![
            Part::unreserved(amount.clone()),
            Part { reservations: vec![kept], amount, ..Part::default() },
        ],
        attributes: [("rack", "r12"), ("speed", "2.5")].map(|(name, text)| (name.into(), text.into())).into(),
        region: Some("eu".into()),
        zone: Some("a".into()),
        executors: Vec::new(),
        expires_at: Timestamp(0),
    })
}

fn timed<T>(what: &str, work: impl Fn() -> T) -> T {
    let begin = Instant::now();
    for _ in 1..ROUNDS {
        std::hint::black_box(work());
    }
    let last = work();
    println!("{what}: {:.2} ms", begin.elapsed().as_secs_f64() * 1_000.0 / f64::from(ROUNDS));
    last
}

#[test]
#[ignore = "it measures, and asserts nothing about time"]
fn an_event_of_a_thousand_offers() {
    let framework = framework();
    let master = event::master_info("m", "host", [127, 0, 0, 1].into(), 5050, "1.11.0");
    let offers = FrameworkEvent::Offers((0..OFFERS).map(offer).collect());
    let message = timed("our event to Mesos' message", || event::write(&offers, &framework, &master));
    let protobuf = timed("message to protobuf", || encode(Codec::Protobuf, &message));
    let json = timed("message to JSON", || encode(Codec::Json, &message));
    println!("{} bytes of protobuf, {} of JSON", protobuf.len(), json.len());
    let back: Event = timed("protobuf to message", || decode(Codec::Protobuf, &protobuf).unwrap());
    assert_eq!(back, message);
    let back: Event = timed("JSON to message", || decode(Codec::Json, &json).unwrap());
    assert_eq!(encode(Codec::Json, &back), json);
}

#[test]
#[ignore = "it measures, and asserts nothing about time"]
fn an_accept_of_a_thousand_tasks() {
    let mut tasks = String::new();
    for number in 0..1_000 {
        let comma = if number > 0 { "," } else { "" };
        write!(
            tasks,
            r#"{comma}{{"name":"t","task_id":{{"value":"{number}"}},"agent_id":{{"value":"S"}},"resources":[
                {{"name":"cpus","type":"SCALAR","scalar":{{"value":0.1}}}},
                {{"name":"mem","type":"SCALAR","scalar":{{"value":32}}}}],
                "command":{{"value":"sleep 1","environment":{{"variables":[{{"name":"A","value":"B"}}]}}}}}}"#
        )
        .unwrap();
    }
    let json = format!(
        r#"{{"framework_id":{{"value":"F"}},"type":"ACCEPT","accept":{{"offer_ids":[{{"value":"O"}}],
            "operations":[{{"type":"LAUNCH","launch":{{"task_infos":[{tasks}]}}}}]}}}}"#
    );
    let framework = framework();
    let call: Call = timed("JSON to call", || decode(Codec::Json, json.as_bytes()).unwrap());
    let read = timed("call to ours", || hansa_mesos::call::read(&call, &framework).unwrap());
    assert!(read.is_some());
}
