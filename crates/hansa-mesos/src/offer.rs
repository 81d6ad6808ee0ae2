//! Offers, and what they say of machines.

use crate::proto::v1;
use crate::proto::v1::value::{Range, Ranges, Scalar, Text, Type};
use crate::resources::{self, Form};
use core::net::IpAddr;
use hansa_model::framework::{Capability, FrameworkInfo, Offer};
use std::collections::BTreeMap;

/// What agents' addresses are followed by.
const AGENT_PATH: &str = "/slave(1)";

/// An offer as this framework is able to read it.
pub fn write(offer: &Offer, framework: &FrameworkInfo) -> v1::Offer {
    let multi_role = framework.can(Capability::MultiRole);
    with(offer, Form::of(framework, &offer.role), multi_role)
}

/// An offer as operators read it.
pub fn write_whole(offer: &Offer) -> v1::Offer {
    with(offer, Form::whole(Some(&offer.role)), true)
}

fn with(offer: &Offer, form: Form<'_>, tells_role: bool) -> v1::Offer {
    v1::Offer {
        id: v1::OfferId { value: offer.id.to_string() },
        framework_id: v1::FrameworkId { value: offer.framework.to_string() },
        agent_id: v1::AgentId { value: offer.agent.to_string() },
        hostname: offer.hostname.to_string(),
        url: url(&offer.hostname, &offer.address),
        domain: domain(offer.region.as_deref(), offer.zone.as_deref()),
        resources: resources::write(&offer.parts, form),
        attributes: attributes(&offer.attributes),
        executor_ids: offer.executors.iter().map(|id| v1::ExecutorId { value: id.clone() }).collect(),
        unavailability: None,
        allocation_info: tells_role
            .then(|| v1::resource::AllocationInfo { role: Some(offer.role.to_string()) }),
    }
}

/// Where an agent of this name listens at `host:port`; None if that is no such thing.
pub fn url(hostname: &str, address: &str) -> Option<v1::Url> {
    let (host, port) = split(address)?;
    Some(v1::Url {
        scheme: "http".into(),
        address: v1::Address {
            hostname: Some(hostname.to_owned()),
            ip: host.parse::<IpAddr>().ok().map(|ip| ip.to_string()),
            port: port.into(),
        },
        path: Some(AGENT_PATH.into()),
        ..v1::Url::default()
    })
}

/// Host (an IPv6 address without its brackets) and port.
pub(crate) fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// Region and zone; None unless both are known.
pub fn domain(region: Option<&str>, zone: Option<&str>) -> Option<v1::DomainInfo> {
    use v1::domain_info::FaultDomain;
    use v1::domain_info::fault_domain::{RegionInfo, ZoneInfo};
    let (region, zone) = (RegionInfo { name: region?.to_owned() }, ZoneInfo { name: zone?.to_owned() });
    Some(v1::DomainInfo { fault_domain: Some(FaultDomain { region, zone }) })
}

/// A machine's attributes, each of the type that its text is written like.
pub fn attributes(attributes: &BTreeMap<String, String>) -> Vec<v1::Attribute> {
    attributes.iter().map(|(name, text)| attribute(name, text)).collect()
}

/// Like Mesos: a number is a scalar, ranges are in brackets, all else is text.
fn attribute(name: &str, text: &str) -> v1::Attribute {
    let of =
        |kind: Type| v1::Attribute { name: name.to_owned(), r#type: kind as i32, ..v1::Attribute::default() };
    if let Some(value) = number(text) {
        v1::Attribute { scalar: Some(Scalar { value }), ..of(Type::Scalar) }
    } else if let Some(range) = ranges(text) {
        v1::Attribute { ranges: Some(Ranges { range }), ..of(Type::Ranges) }
    } else {
        v1::Attribute { text: Some(Text { value: text.to_owned() }), ..of(Type::Text) }
    }
}

fn number(text: &str) -> Option<f64> {
    // `inf` and `nan` are words.
    let begins = text.starts_with(|letter: char| letter.is_ascii_digit() || "+-.".contains(letter));
    text.parse().ok().filter(|value: &f64| begins && value.is_finite())
}

fn ranges(text: &str) -> Option<Vec<Range>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let one = |range: &str| {
        let (begin, end) = range.split_once('-')?;
        Some(Range { begin: begin.trim().parse().ok()?, end: end.trim().parse().ok()? })
    };
    inside.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, decode, encode};
    use crate::framework;
    use hansa_model::Timestamp;
    use hansa_model::framework::{Amount, Part};

    fn offer() -> Offer {
        Offer {
            id: "m-O1".into(),
            framework: "m-0000".into(),
            role: "web".into(),
            agent: "m-S0".into(),
            hostname: "node1".into(),
            address: "10.0.0.1:5051".into(),
            parts: vec![Part::unreserved(Amount { cpus_milli: 4_000, ..Amount::default() })],
            attributes: [
                ("rack", "r1"),
                ("speed", "2.5"),
                ("ids", "[1-3,5-5]"),
                ("odd", "[a]"),
                ("n", "nan"),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
            region: Some("eu".into()),
            zone: Some("a".into()),
            executors: vec!["e1".into()],
            expires_at: Timestamp(0),
        }
    }

    fn json(capabilities: &str) -> String {
        let info = format!(r#"{{"user":"u","name":"n","capabilities":[{capabilities}]}}"#);
        let info = framework::read(&decode(Codec::Json, info.as_bytes()).unwrap()).unwrap();
        String::from_utf8(encode(Codec::Json, &write(&offer(), &info))).unwrap()
    }

    #[test]
    fn an_offer_to_the_byte_for_the_simplest_framework() {
        assert_eq!(
            json(""),
            concat!(
                r#"{"id":{"value":"m-O1"},"framework_id":{"value":"m-0000"},"agent_id":{"value":"m-S0"},"#,
                r#""hostname":"node1","url":{"scheme":"http","address":{"hostname":"node1","ip":"10.0.0.1","#,
                r#""port":5051},"path":"/slave(1)"},"#,
                r#""domain":{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"a"}}},"#,
                r#""resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"role":"*"}],"#,
                r#""attributes":[{"name":"ids","type":"RANGES","ranges":{"range":[{"begin":1,"end":3},"#,
                r#"{"begin":5,"end":5}]}},{"name":"n","type":"TEXT","text":{"value":"nan"}},"#,
                r#"{"name":"odd","type":"TEXT","text":{"value":"[a]"}},"#,
                r#"{"name":"rack","type":"TEXT","text":{"value":"r1"}},"#,
                r#"{"name":"speed","type":"SCALAR","scalar":{"value":2.5}}],"executor_ids":[{"value":"e1"}]}"#
            )
        );
    }

    #[test]
    fn capabilities_change_what_is_told() {
        let many = json(r#"{"type":"MULTI_ROLE"}"#);
        let told = r#""resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"role":"*","allocation_info":{"role":"web"}}]"#;
        assert!(many.contains(told), "{many}");
        assert!(many.ends_with(r#","allocation_info":{"role":"web"}}"#), "{many}");
        let refined = json(r#"{"type":"RESERVATION_REFINEMENT"}"#);
        assert!(refined.contains(r#""resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":4.0}}]"#));
        let whole = encode(Codec::Json, &write_whole(&offer()));
        assert!(
            String::from_utf8(whole).unwrap().contains(r#""value":4.0},"allocation_info":{"role":"web"}}"#)
        );
    }

    #[test]
    fn addresses_of_all_kinds() {
        assert_eq!(split("[::1]:5051"), Some(("::1", 5051)));
        assert_eq!(split("node1:80"), Some(("node1", 80)));
        assert_eq!(split("node1"), None);
        assert_eq!(url("h", "node1:80").unwrap().address.ip, None);
    }
}
