//! What schedulers are told: from our events to `mesos.v1.scheduler.Event`.

use crate::proto::v1::scheduler::Event;
use crate::proto::v1::scheduler::event::{self, Type};
use crate::proto::v1::{self};
use crate::{offer, status};
use core::net::IpAddr;
use hansa_model::framework::{FrameworkEvent, FrameworkInfo};

/// Seconds between heartbeats, as the SUBSCRIBED event promises them.
pub const HEARTBEAT_SECS: u64 = 15;

/// An event as this framework is able to read it; `master` is who sends it.
pub fn write(event: &FrameworkEvent, framework: &FrameworkInfo, master: &v1::MasterInfo) -> Event {
    let agent_id = |agent: &hansa_model::AgentId| v1::AgentId { value: agent.to_string() };
    let executor_id = |id: &String| v1::ExecutorId { value: id.clone() };
    match event {
        FrameworkEvent::Subscribed { framework } => Event {
            subscribed: Some(event::Subscribed {
                framework_id: v1::FrameworkId { value: framework.to_string() },
                heartbeat_interval_seconds: Some(HEARTBEAT_SECS as f64),
                master_info: Some(master.clone()),
            }),
            ..of(Type::Subscribed)
        },
        FrameworkEvent::Offers(offers) => Event {
            offers: Some(event::Offers {
                offers: offers.iter().map(|offer| offer::write(offer, framework)).collect(),
            }),
            ..of(Type::Offers)
        },
        FrameworkEvent::Rescind(offer) => Event {
            rescind: Some(event::Rescind { offer_id: v1::OfferId { value: offer.to_string() } }),
            ..of(Type::Rescind)
        },
        FrameworkEvent::Update(update) => Event {
            update: Some(event::Update { status: status::write(update, framework) }),
            ..of(Type::Update)
        },
        FrameworkEvent::Failure { agent, executor } => Event {
            failure: Some(event::Failure {
                agent_id: Some(agent_id(agent)),
                executor_id: executor.as_ref().map(|(id, _)| executor_id(id)),
                status: executor.as_ref().map(|(_, status)| *status),
            }),
            ..of(Type::Failure)
        },
        FrameworkEvent::Message { agent, executor, data } => Event {
            message: Some(event::Message {
                agent_id: agent_id(agent),
                executor_id: executor_id(executor),
                data: data.bytes().to_vec(),
            }),
            ..of(Type::Message)
        },
        FrameworkEvent::Error(message) => error(message),
    }
}

/// Says that the connection lives.
pub fn heartbeat() -> Event {
    of(Type::Heartbeat)
}

/// Says why a stream ends.
pub fn error(message: &str) -> Event {
    Event { error: Some(event::Error { message: message.to_owned() }), ..of(Type::Error) }
}

/// What a master says of itself. `address` is where it is reached; as some clients read only the older fields, an IPv4
/// address stands in them too.
pub fn master_info(id: &str, hostname: &str, address: IpAddr, port: u16, version: &str) -> v1::MasterInfo {
    let ip = match address {
        // In the order of the network, read as a little-endian number: 127.0.0.1 is 16777343.
        IpAddr::V4(address) => u32::from_le_bytes(address.octets()),
        IpAddr::V6(_) => 0,
    };
    v1::MasterInfo {
        id: id.to_owned(),
        ip,
        port: port.into(),
        pid: Some(format!("master@{}", core::net::SocketAddr::new(address, port))),
        hostname: Some(hostname.to_owned()),
        version: Some(version.to_owned()),
        address: Some(v1::Address {
            hostname: Some(hostname.to_owned()),
            ip: Some(address.to_string()),
            port: port.into(),
        }),
        domain: None,
        // Not QUOTA_V2, though it is there: mesos-go's JSON fails at names that it does not know.
        capabilities: [
            v1::master_info::capability::Type::AgentUpdate,
            v1::master_info::capability::Type::AgentDraining,
        ]
        .map(|kind| v1::master_info::Capability { r#type: Some(kind as i32) })
        .to_vec(),
    }
}

fn of(kind: Type) -> Event {
    Event { r#type: Some(kind as i32), ..Event::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};
    use crate::framework;
    use hansa_model::framework::Raw;

    fn told(event: &FrameworkEvent) -> String {
        let info = decode(Codec::Json, br#"{"user":"u","name":"n"}"#).unwrap();
        let master = master_info("m", "host", [127, 0, 0, 1].into(), 5050, "1.11.0");
        let event = write(event, &framework::read(&info).unwrap(), &master);
        String::from_utf8(encode(Codec::Json, &event)).unwrap()
    }

    #[test]
    fn each_event_to_the_byte() {
        assert_eq!(
            told(&FrameworkEvent::Subscribed { framework: "m-0000".into() }),
            concat!(
                r#"{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"m-0000"},"#,
                r#""heartbeat_interval_seconds":15.0,"master_info":{"id":"m","ip":16777343,"port":5050,"#,
                r#""pid":"master@127.0.0.1:5050","hostname":"host","version":"1.11.0","#,
                r#""address":{"hostname":"host","ip":"127.0.0.1","port":5050},"#,
                r#""capabilities":[{"type":"AGENT_UPDATE"},{"type":"AGENT_DRAINING"}]}}}"#
            )
        );
        assert_eq!(
            told(&FrameworkEvent::Rescind("m-O1".into())),
            r#"{"type":"RESCIND","rescind":{"offer_id":{"value":"m-O1"}}}"#
        );
        assert_eq!(
            told(&FrameworkEvent::Failure { agent: "S0".into(), executor: None }),
            r#"{"type":"FAILURE","failure":{"agent_id":{"value":"S0"}}}"#
        );
        assert_eq!(
            told(&FrameworkEvent::Failure { agent: "S0".into(), executor: Some(("e".into(), 256)) }),
            r#"{"type":"FAILURE","failure":{"agent_id":{"value":"S0"},"executor_id":{"value":"e"},"status":256}}"#
        );
        assert_eq!(
            told(&FrameworkEvent::Message {
                agent: "S0".into(),
                executor: "e".into(),
                data: Raw::new(*b"hi")
            }),
            concat!(
                r#"{"type":"MESSAGE","message":{"agent_id":{"value":"S0"},"executor_id":{"value":"e"},"#,
                r#""data":"aGk="}}"#
            )
        );
        assert_eq!(
            told(&FrameworkEvent::Error("Framework has been removed".into())),
            r#"{"type":"ERROR","error":{"message":"Framework has been removed"}}"#
        );
        assert_eq!(String::from_utf8(encode(Codec::Json, &heartbeat())).unwrap(), r#"{"type":"HEARTBEAT"}"#);
    }
}
