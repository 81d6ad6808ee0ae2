//! Rows of the wire's facts: what is written to the byte, and what is read however it was written.

use super::schema::{Kind, Label};
use super::*;
use crate::proto::v1::{self, agent, executor, master, scheduler};
use proptest::prelude::*;

fn text<M: Message + Name>(message: &M) -> String {
    String::from_utf8(encode(Codec::Json, message)).unwrap()
}

fn read<M: Message + Name + Default>(json: &str) -> Result<M, String> {
    decode(Codec::Json, json.as_bytes()).map_err(|error| error.to_string())
}

fn framework_id(value: &str) -> v1::FrameworkId {
    v1::FrameworkId { value: value.into() }
}

#[test]
fn a_subscribed_event_to_the_byte() {
    let event = scheduler::Event {
        r#type: Some(scheduler::event::Type::Subscribed as i32),
        subscribed: Some(scheduler::event::Subscribed {
            framework_id: framework_id("m-0000"),
            heartbeat_interval_seconds: Some(15.0),
            master_info: Some(v1::MasterInfo {
                id: "m".into(),
                ip: 16_777_343,
                port: 5050,
                hostname: Some("localhost".into()),
                ..v1::MasterInfo::default()
            }),
        }),
        ..scheduler::Event::default()
    };
    assert_eq!(
        text(&event),
        concat!(
            r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"m-0000"},"#,
            r#""heartbeat_interval_seconds":15.0,"master_info":{"id":"m","ip":16777343,"port":5050,"#,
            r#""hostname":"localhost"}}}"#
        )
    );
}

#[test]
fn offers_nest_twice_and_a_heartbeat_has_no_body() {
    let range = v1::value::Range { begin: 31_000, end: 32_000 };
    let ports = v1::Resource {
        name: "ports".into(),
        r#type: v1::value::Type::Ranges as i32,
        ranges: Some(v1::value::Ranges { range: vec![range] }),
        role: Some("*".into()),
        ..v1::Resource::default()
    };
    let cpus = v1::Resource {
        name: "cpus".into(),
        r#type: v1::value::Type::Scalar as i32,
        scalar: Some(v1::value::Scalar { value: 4.0 }),
        ..v1::Resource::default()
    };
    let offer = v1::Offer {
        id: v1::OfferId { value: "O1".into() },
        framework_id: framework_id("F"),
        agent_id: v1::AgentId { value: "S0".into() },
        hostname: "h".into(),
        resources: vec![ports, cpus],
        ..v1::Offer::default()
    };
    let event = scheduler::Event {
        r#type: Some(scheduler::event::Type::Offers as i32),
        offers: Some(scheduler::event::Offers { offers: vec![offer] }),
        ..scheduler::Event::default()
    };
    assert_eq!(
        text(&event),
        concat!(
            r#"{"type":"OFFERS","offers":{"offers":[{"id":{"value":"O1"},"framework_id":{"value":"F"},"#,
            r#""agent_id":{"value":"S0"},"hostname":"h","resources":["#,
            r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":32000}]},"role":"*"},"#,
            r#"{"name":"cpus","type":"SCALAR","scalar":{"value":4.0}}]}]}}"#
        ),
        "64-bit integers are numbers; a default that is deprecated (role) is not written; no empty arrays"
    );
    let heartbeat =
        scheduler::Event { r#type: Some(scheduler::event::Type::Heartbeat as i32), ..Default::default() };
    assert_eq!(text(&heartbeat), r#"{"type":"HEARTBEAT"}"#);
}

#[test]
fn defaults_that_are_not_set_are_written() {
    assert_eq!(text(&v1::CommandInfo::default()), r#"{"shell":true}"#);
    assert_eq!(
        text(&v1::command_info::Uri { value: "x".into(), ..Default::default() }),
        r#"{"value":"x","extract":true}"#
    );
    assert_eq!(
        text(&v1::AgentInfo { hostname: "h".into(), ..Default::default() }),
        r#"{"hostname":"h","port":5051}"#
    );
    assert_eq!(
        text(&v1::FrameworkInfo { user: "u".into(), name: "n".into(), ..Default::default() }),
        r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#
    );
    assert_eq!(
        text(&v1::container_info::DockerInfo { image: "i".into(), ..Default::default() }),
        r#"{"image":"i","network":"HOST","privileged":false}"#
    );
    assert_eq!(
        text(&v1::HealthCheck::default()),
        concat!(
            r#"{"delay_seconds":15.0,"interval_seconds":10.0,"timeout_seconds":20.0,"#,
            r#""consecutive_failures":3,"grace_period_seconds":10.0}"#
        )
    );
}

#[test]
fn bytes_are_base64_texts_are_not_escaped_and_lines_not_broken() {
    let status = v1::TaskStatus {
        task_id: v1::TaskId { value: "ü\n\"1\"".into() },
        state: v1::TaskState::TaskRunning as i32,
        uuid: Some((0..16).collect()),
        source: Some(v1::task_status::Source::Executor as i32),
        data: Some(vec![255]),
        timestamp: Some(1.5e9),
        ..v1::TaskStatus::default()
    };
    assert_eq!(
        text(&status),
        concat!(
            r#"{"task_id":{"value":"ü\n\"1\""},"state":"TASK_RUNNING","source":"SOURCE_EXECUTOR","data":"/w==","#,
            r#""timestamp":1500000000.0,"uuid":"AAECAwQFBgcICQoLDA0ODw=="}"#
        )
    );
}

#[test]
fn doubles_have_a_fraction_or_an_exponent() {
    let scalar = |value| text(&v1::value::Scalar { value });
    for (value, written) in [
        (1.0, r#"{"value":1.0}"#),
        (0.1, r#"{"value":0.1}"#),
        (-2.5, r#"{"value":-2.5}"#),
        (f64::INFINITY, r#"{"value":"Infinity"}"#),
        (f64::NEG_INFINITY, r#"{"value":"-Infinity"}"#),
    ] {
        assert_eq!(scalar(value), written);
        assert_eq!(read::<v1::value::Scalar>(written).unwrap().value, value);
    }
    for value in [1e16, 1e17, 1e300, 123_456_789_012_345_680.0] {
        let written = scalar(value);
        assert!(written.contains(['.', 'e']), "{written}");
        assert_eq!(read::<v1::value::Scalar>(&written).unwrap().value, value);
    }
}

#[test]
fn maps_are_objects_and_numbers_of_no_name_are_left_out() {
    let mut task = v1::TaskInfo {
        name: "t".into(),
        task_id: v1::TaskId { value: "1".into() },
        agent_id: v1::AgentId { value: "S".into() },
        ..v1::TaskInfo::default()
    };
    task.limits.insert("mem".into(), v1::value::Scalar { value: f64::INFINITY });
    task.limits.insert("cpus".into(), v1::value::Scalar { value: 2.0 });
    let json = concat!(
        r#"{"name":"t","task_id":{"value":"1"},"agent_id":{"value":"S"},"#,
        r#""limits":{"cpus":{"value":2.0},"mem":{"value":"Infinity"}}}"#
    );
    assert_eq!(text(&task), json);
    assert_eq!(read::<v1::TaskInfo>(json).unwrap(), task);
    let odd = scheduler::Event { r#type: Some(99), ..Default::default() };
    assert_eq!(text(&odd), "{}");
    let odd = v1::CapabilityInfo { capabilities: vec![99, 1000, 98] };
    assert_eq!(text(&odd), r#"{"capabilities":["CHOWN"]}"#);
    assert_eq!(text(&v1::CapabilityInfo { capabilities: vec![99] }), "{}");
}

#[test]
fn zeros_in_maps_are_written() {
    let zero = v1::value::Scalar { value: 0.0 };
    let config = v1::quota::QuotaConfig {
        role: "r".into(),
        limits: [("cpus".to_owned(), zero)].into(),
        ..Default::default()
    };
    assert_eq!(text(&config), r#"{"role":"r","limits":{"cpus":{"value":0.0}}}"#);
    let wire = encode(Codec::Protobuf, &config);
    // role "r"; limits { key "cpus", value { value 0.0 } }
    let expected = [&b"\x0a\x01r\x1a\x11\x0a\x04cpus\x12\x09\x09"[..], &[0; 8]].concat();
    assert_eq!(wire, expected);
    let status = v1::quota::QuotaStatus { configs: vec![config], ..Default::default() };
    let call =
        master::Response { get_quota: Some(master::response::GetQuota { status }), ..Default::default() };
    assert_eq!(decode(Codec::Protobuf, &encode(Codec::Protobuf, &call)), Ok(call));
}

#[test]
fn unknown_fields_and_nulls_are_as_if_they_were_not_there() {
    let call: scheduler::Call = read(
        r#"{"type":"SUBSCRIBE","credentials":{"a":[1]},"framework_id":null,
            "subscribe":{"framework_info":{"user":"u","name":"n","slave_id":"x","roles":null,"hostname":""},
            "suppressed_roles":[null]}}"#,
    )
    .unwrap();
    let info = &call.subscribe.as_ref().unwrap().framework_info;
    assert_eq!((call.framework_id.as_ref(), info.roles.len()), (None, 0));
    assert_eq!(info.hostname.as_deref(), Some(""));
    assert!(call.subscribe.unwrap().suppressed_roles.is_empty());
}

#[test]
fn numbers_and_truths_may_be_texts_and_one_may_stand_for_many() {
    let uri: v1::command_info::Uri = read(r#"{"value":"x","executable":"true","cache":"false"}"#).unwrap();
    assert_eq!((uri.executable, uri.cache), (Some(true), Some(false)));
    let range: v1::value::Range = read(r#"{"begin":"31000","end":32000.0}"#).unwrap();
    assert_eq!((range.begin, range.end), (31_000, 32_000));
    let scalar: v1::value::Scalar = read(r#"{"value":"0.5"}"#).unwrap();
    assert_eq!(scalar.value, 0.5);
    let info: v1::FrameworkInfo = read(r#"{"user":"u","name":"n","roles":"x"}"#).unwrap();
    assert_eq!(info.roles, ["x"]);
    let launch: v1::offer::operation::Reserve =
        read(r#"{"resources":{"name":"cpus","type":"SCALAR"}}"#).unwrap();
    assert_eq!(launch.resources.len(), 1);
    let port: Result<v1::AgentInfo, _> = read(r#"{"hostname":"h","port":-7}"#);
    assert_eq!(port.unwrap().port, Some(-7));
}

#[test]
fn enums_go_by_name() {
    let event: scheduler::Call = read(r#"{"type":"BREW_COFFEE"}"#).unwrap();
    assert_eq!(event.r#type, None, "of a newer version: as if it were not there");
    let error = read::<v1::Resource>(r#"{"name":"cpus","type":"WATER"}"#).unwrap_err();
    assert_eq!(error, "field 'type': 'WATER' is none of the names it can have");
    let error = read::<scheduler::Call>(r#"{"type":3}"#).unwrap_err();
    assert_eq!(error, "field 'type': expected a name, found a number");
    let info: v1::CapabilityInfo = read(r#"{"capabilities":["CHOWN","FLY"]}"#).unwrap();
    assert_eq!(info.capabilities, [1000]);
}

#[test]
fn base64_may_be_sloppy() {
    let data = |json: &str| read::<v1::secret::Value>(json).map(|value| value.data);
    for json in [r#"{"data":"aGk="}"#, r#"{"data":"aGk"}"#, "{\"data\":\" aG\\nk= \"}"] {
        assert_eq!(data(json).unwrap(), b"hi", "{json}");
    }
    assert_eq!(data(r#"{"data":""}"#).unwrap(), b"");
    assert!(data(r#"{"data":"a§b"}"#).unwrap_err().starts_with("field 'data': not base64"));
}

#[test]
fn camel_case_does_no_harm() {
    let call: scheduler::Call =
        read(r#"{"type":"ACCEPT","frameworkId":{"value":"F"},"accept":{"offerIds":[{"value":"O"}]}}"#)
            .unwrap();
    assert_eq!(call.framework_id.unwrap().value, "F");
    assert_eq!(call.accept.unwrap().offer_ids.len(), 1);
}

#[test]
fn what_is_missing_is_named_in_either_form() {
    let json = r#"{"type":"SUBSCRIBE","framework_id":{},"subscribe":{"framework_info":{"name":"n"}}}"#;
    let missing = DecodeError::Missing {
        paths: vec!["framework_id.value".into(), "subscribe.framework_info.user".into()],
    };
    assert_eq!(decode::<scheduler::Call>(Codec::Json, json.as_bytes()), Err(missing.clone()));
    assert_eq!(
        missing.to_string(),
        "missing required fields: framework_id.value, subscribe.framework_info.user"
    );
    // type 1; framework_id {}; subscribe { framework_info { name "n" } }
    let wire = [&[0x10, 1, 0x0a, 0, 0x1a, 5, 0x0a, 3, 0x12, 1][..], b"n"].concat();
    assert_eq!(decode::<scheduler::Call>(Codec::Protobuf, &wire), Err(missing));
    let json = r#"{"accept":{"offer_ids":[{"value":"a"},{}],
        "operations":[{"launch":{"task_infos":[{"name":"x","limits":{"cpus":{}}}]}}]}}"#;
    assert_eq!(
        read::<scheduler::Call>(json).unwrap_err(),
        concat!(
            "missing required fields: accept.offer_ids[1].value, ",
            "accept.operations[0].launch.task_infos[0].limits[0].value.value, ",
            "accept.operations[0].launch.task_infos[0].task_id, ",
            "accept.operations[0].launch.task_infos[0].agent_id"
        )
    );
}

#[test]
fn what_is_no_message_is_refused_with_its_place() {
    for (json, words) in [
        ("[]", "expecting a JSON object"),
        ("7", "expecting a JSON object"),
        ("", "not JSON: "),
        ("{\"type\":", "not JSON: "),
        (r#"{"framework_id":"F"}"#, "field 'framework_id': expected an object, found a text"),
        (r#"{"framework_id":{"value":7}}"#, "field 'framework_id.value': expected a text, found a number"),
        (r#"{"type":["ACCEPT"]}"#, "field 'type': expected a single value, found an array"),
        (
            r#"{"decline":{"filters":{"refuse_seconds":"soon"}}}"#,
            "field 'decline.filters.refuse_seconds': 'soon' is no number",
        ),
        (
            r#"{"decline":{"filters":{"refuse_seconds":true}}}"#,
            "field 'decline.filters.refuse_seconds': expected a number, found true or false",
        ),
        (
            r#"{"subscribe":{"framework_info":{"checkpoint":1}}}"#,
            "field 'subscribe.framework_info.checkpoint': expected true or false, found a number",
        ),
    ] {
        let error = read::<scheduler::Call>(json).unwrap_err();
        assert!(error.starts_with(words), "{json}: {error}");
    }
    let error = read::<v1::Address>(r#"{"port":5000000000}"#).unwrap_err();
    assert_eq!(error, "field 'port': 5000000000 is not between -2147483648 and 2147483647");
    assert!(decode::<scheduler::Call>(Codec::Protobuf, b"{}").is_err());
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| {
        let mut json = r#"{"value":"x"}"#.to_owned();
        for _ in 0..depth {
            json = format!(r#"{{"value":"x","parent":{json}}}"#);
        }
        json
    };
    assert!(read::<v1::ContainerId>(&nested(32)).is_ok());
    assert_eq!(read::<v1::ContainerId>(&nested(70)).unwrap_err(), "the message is nested too deeply");
    assert!(read::<v1::ContainerId>(&nested(10_000)).unwrap_err().starts_with("not JSON"));
    let mut wire = b"\x0a\x01x".to_vec();
    for _ in 0..100 {
        let inner = std::mem::take(&mut wire);
        wire = b"\x0a\x01x".to_vec();
        wire::put_bytes(&mut wire, 2, &inner);
    }
    assert_eq!(decode::<v1::ContainerId>(Codec::Protobuf, &wire), Err(DecodeError::TooDeep));
}

#[test]
fn a_span_of_googles_may_be_a_text() {
    let period = |json: &str| {
        let json = format!(r#"{{"agent_id":{{"value":"S"}},"max_grace_period":{json}}}"#);
        let drain = read::<master::call::DrainAgent>(&json).unwrap();
        drain.max_grace_period.map(|period| (period.seconds, period.nanos))
    };
    assert_eq!(period(r#"{"seconds":600}"#), Some((600, 0)));
    assert_eq!(period(r#""600s""#), Some((600, 0)));
    assert_eq!(period(r#""10mins""#), Some((600, 0)));
    assert_eq!(period(r#""1500ms""#), Some((1, 500_000_000)));
    assert_eq!(period("null"), None);
}

#[test]
fn lists_are_read_one_by_one() {
    let resources =
        decode_list::<v1::Resource>(br#"[{"name":"a","type":"SCALAR"},{"name":"b","type":"SET"}]"#);
    assert_eq!(resources.unwrap().len(), 2);
    assert_eq!(decode_list::<v1::Resource>(b"{}"), Err(DecodeError::NotAnArray));
    assert_eq!(decode_list::<v1::Resource>(b"[7]"), Err(DecodeError::NotAnObject));
}

#[test]
fn media_types() {
    assert_eq!(Codec::of_media_type("application/json; charset=utf-8"), Some(Codec::Json));
    assert_eq!(Codec::of_media_type("application/x-protobuf"), Some(Codec::Protobuf));
    assert_eq!(Codec::of_media_type("application/recordio"), None);
}

#[test]
fn fields_out_of_order_and_in_parts_are_one_message() {
    // agent_id's id, then hostname twice, then another part of the id: the last text wins, messages are joined.
    let mut wire = Vec::new();
    wire::put_bytes(&mut wire, 6, b"");
    wire::put_bytes(&mut wire, 1, b"old");
    wire::put_bytes(&mut wire, 1, b"new");
    wire::put_bytes(&mut wire, 6, b"\x0a\x01S");
    let info = v1::AgentInfo::decode(&wire[..]).unwrap();
    let json = to_json::message(table::<v1::AgentInfo>(), &wire).unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), text(&info));
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A message of this type with whatever may stand in it, as bytes.
fn any_message(message: &schema::Message, dice: &mut Dice, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for field in &message.fields {
        let times = match field.label {
            Label::Required => 1,
            Label::Optional => dice.roll(2),
            Label::Repeated | Label::Map => dice.roll(3),
        };
        let is_deep = depth == 0 && matches!(field.kind, Kind::Message(_)) && field.label != Label::Required;
        for _ in 0..if is_deep { 0 } else { times } {
            any_value(&mut out, field, dice, depth);
        }
    }
    out
}

fn any_value(out: &mut Vec<u8>, field: &schema::Field, dice: &mut Dice, depth: usize) {
    let number = field.number;
    match field.kind {
        Kind::Double => wire::put_double(out, number, (dice.roll(2_000_000) as f64 - 1e6) / 1_000.0),
        Kind::Int32 => wire::put_number(out, number, (dice.roll(1 << 31) as i64 - (1 << 30)) as u64),
        Kind::Int64 => wire::put_number(out, number, (dice.roll(1 << 31) << 32) ^ dice.roll(1 << 31)),
        Kind::Uint32 => wire::put_number(out, number, dice.roll(1 << 31)),
        Kind::Uint64 => wire::put_number(out, number, (dice.roll(1 << 31) << 33) ^ dice.roll(1 << 31)),
        Kind::Bool => wire::put_number(out, number, dice.roll(2)),
        Kind::Text => {
            let texts = ["", "a", "\"\\\n\u{1}", "ü\u{2028}😀", "Infinity", "null"];
            wire::put_bytes(out, number, texts[dice.roll(texts.len() as u64) as usize].as_bytes());
        }
        Kind::Bytes => {
            let bytes: Vec<u8> = (0..dice.roll(5)).map(|_| dice.roll(256) as u8).collect();
            wire::put_bytes(out, number, &bytes);
        }
        Kind::Enum(at) => {
            let all = &SCHEMA.enumeration(at).values;
            wire::put_number(out, number, all[dice.roll(all.len() as u64) as usize].0 as u64);
        }
        Kind::Message(at) => {
            let inner = any_message(SCHEMA.message(at), dice, depth.saturating_sub(1));
            wire::put_bytes(out, number, &inner);
        }
    }
}

/// Whatever may stand in a message survives JSON.
fn survives<M: Message + Name + Default + PartialEq>(seed: u64) {
    let wire = any_message(table::<M>(), &mut Dice(seed), 6);
    let message: M = decode(Codec::Protobuf, &wire).unwrap();
    let json = encode(Codec::Json, &message);
    let text = String::from_utf8_lossy(&json);
    assert!(!text.contains(['\n', '\r']), "one line");
    // What was not set but has a default is set now; everything else is as it was.
    let again: M = decode(Codec::Json, &json).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        encode(Codec::Json, &again) == json && again.encoded_len() >= message.encoded_len(),
        "{}",
        text.len()
    );
    let wire = encode(Codec::Protobuf, &message);
    assert!(decode::<M>(Codec::Protobuf, &wire).is_ok_and(|read| read == message));
    let camel: Value = camel_keys(serde_json::from_slice(&json).unwrap());
    assert!(from_value::<M>(&camel).is_ok_and(|read| read == again));
}

/// The same with keys in camel case, except where they are no names of fields.
fn camel_keys(value: Value) -> Value {
    let maps = ["limits", "guarantees", "quantities", "offer_filters", "role_constraints"];
    let maps = maps.into_iter().chain(["node_stage_secrets", "node_publish_secrets", "volume_context"]);
    let maps: Vec<&str> = maps.collect();
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::Object(entries) if maps.contains(&key.as_str()) => {
                        entries.into_iter().map(|(key, value)| (key, camel_keys(value))).collect()
                    }
                    value => camel_keys(value),
                };
                (schema::camel_case(&key), value)
            })
            .collect(),
        Value::Array(values) => values.into_iter().map(camel_keys).collect(),
        value => value,
    }
}

/// Any message of these types, by way of any bytes that happen to be one, or of its JSON.
fn round_trip<M: Message + Name + Default + PartialEq>(bytes: &[u8]) {
    let _ = decode::<M>(Codec::Json, bytes);
    if let Ok(message) = decode::<M>(Codec::Protobuf, bytes) {
        let json = encode(Codec::Json, &message);
        assert!(!json.contains(&b'\n'));
        // What has no meaning (an enum's unknown number) is dropped, and may have been required or the only thing there.
        if let Ok(again) = decode::<M>(Codec::Json, &json) {
            assert_eq!(text(&again), String::from_utf8_lossy(&json));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        round_trip::<scheduler::Call>(&bytes);
        round_trip::<v1::Resource>(&bytes);
        round_trip::<agent::ProcessIo>(&bytes);
        round_trip::<executor::Call>(&bytes);
    }

    #[test]
    fn bytes_that_look_like_fields_never_panic(fields in proptest::collection::vec(
        (1u32..18, prop_oneof![
            any::<u64>().prop_map(Err),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Ok),
        ]), 0..12))
    {
        let mut wire = Vec::new();
        for (number, value) in &fields {
            match value {
                Ok(bytes) => wire::put_bytes(&mut wire, *number, bytes),
                Err(varint) => wire::put_number(&mut wire, *number, *varint),
            }
        }
        round_trip::<v1::TaskStatus>(&wire);
        round_trip::<v1::FrameworkInfo>(&wire);
        round_trip::<v1::ContainerInfo>(&wire);
    }

    #[test]
    fn arbitrary_texts_never_panic(json in r#"[{}\[\]":,a-z0-9._ -]{0,60}"#) {
        let _ = read::<scheduler::Call>(&json);
    }

    #[test]
    fn scalars_come_back(milli in -1_000_000_000_000i64..1_000_000_000_000) {
        let value = milli as f64 / 1_000.0;
        let json = text(&v1::value::Scalar { value });
        prop_assert_eq!(read::<v1::value::Scalar>(&json).unwrap().value, value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_may_stand_in_a_message_survives(seed in any::<u64>()) {
        survives::<scheduler::Call>(seed);
        survives::<scheduler::Event>(seed);
        survives::<executor::Call>(seed);
        survives::<executor::Event>(seed);
        survives::<v1::Offer>(seed);
        survives::<v1::TaskInfo>(seed);
        survives::<v1::TaskStatus>(seed);
        survives::<master::Call>(seed);
        survives::<master::response::GetAgents>(seed);
        survives::<agent::Call>(seed);
        survives::<agent::ProcessIo>(seed);
        survives::<v1::quota::QuotaStatus>(seed);
    }
}
