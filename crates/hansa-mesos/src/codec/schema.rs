//! What the codec knows of each message: made once from the embedded descriptors.

use super::wire::{put_bytes, put_double, put_number};
use crate::proto::DESCRIPTORS;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// All messages and enums.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("build.rs wrote a descriptor set");
    Schema::of(&set)
});

/// All messages and enums; others refer to them by their place here.
#[derive(Default)]
pub(super) struct Schema {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: BTreeMap<String, usize>,
}

/// One message.
pub(super) struct Message {
    /// In the order of declaration, in which Mesos writes them.
    pub fields: Vec<Field>,
    /// (field number, place in `fields`), ascending.
    by_number: Vec<(u32, usize)>,
    /// Place in `fields` by the name in JSON, and by its form in camel case.
    by_name: BTreeMap<String, usize>,
    /// Whether a required field is missing somewhere in it can be told only by looking.
    pub may_lack: bool,
    /// `google.protobuf.Duration`, which people also write as text.
    pub is_duration: bool,
    /// The bytes of one whose required fields are zero, and that has nothing else.
    pub zero: Vec<u8>,
    /// Whether there are maps in it, however deep, to messages that have required fields.
    pub has_maps: bool,
}

/// One field.
pub(super) struct Field {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its name as JSON, with quotes and colon.
    pub key: Vec<u8>,
    /// How often it stands in a message.
    pub label: Label,
    /// What it holds.
    pub kind: Kind,
    /// As JSON: what is written if it is not set.
    pub default: Option<Vec<u8>>,
}

/// How often a field stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Optional,
    Required,
    Repeated,
    /// Entries of key (a text) and value, which is field 2 of the entry's message.
    Map,
}

/// What a field holds: only the types that Mesos uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Bool,
    Text,
    Bytes,
    Enum(usize),
    Message(usize),
}

/// One enum: (number, name) in ascending order of numbers.
pub(super) struct Enum {
    pub values: Vec<(i32, String)>,
}

impl Enum {
    /// Name of a number.
    pub fn name(&self, number: i32) -> Option<&str> {
        let at = self.values.binary_search_by_key(&number, |value| value.0).ok()?;
        Some(&self.values[at].1)
    }

    /// Number of a name.
    pub fn number(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|value| value.1 == name).map(|value| value.0)
    }
}

impl Message {
    /// A field and its place by its number.
    pub fn field(&self, number: u32) -> Option<(usize, &Field)> {
        let at = self.by_number.binary_search_by_key(&number, |entry| entry.0).ok()?;
        let place = self.by_number[at].1;
        Some((place, &self.fields[place]))
    }

    /// A field by its name, in either form.
    pub fn named(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|place| &self.fields[*place])
    }
}

impl Schema {
    /// Where a message is, by its full name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn message(&self, at: usize) -> &Message {
        &self.messages[at]
    }

    pub fn enumeration(&self, at: usize) -> &Enum {
        &self.enums[at]
    }

    fn of(set: &FileDescriptorSet) -> Self {
        let mut found = Found::default();
        for file in &set.file {
            let package = format!(".{}", file.package());
            file.message_type.iter().for_each(|message| found.message(&package, message));
            file.enum_type.iter().for_each(|one| found.enumeration(&package, one));
        }
        let mut schema = Schema { by_name: BTreeMap::new(), enums: found.enums, messages: Vec::new() };
        for (name, message) in &found.messages {
            let message = message_of(message, &found.places, &found.messages, &schema.enums);
            schema.by_name.insert(name.trim_start_matches('.').to_owned(), schema.messages.len());
            schema.messages.push(message);
        }
        schema.mark_what_may_lack();
        for at in 0..schema.messages.len() {
            schema.messages[at].zero = schema.zero(at);
        }
        schema.mark_what_has_maps();
        schema
    }

    fn zero(&self, at: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for field in self.messages[at].fields.iter().filter(|field| field.label == Label::Required) {
            match field.kind {
                Kind::Double => put_double(&mut out, field.number, 0.0),
                Kind::Text | Kind::Bytes => put_bytes(&mut out, field.number, b""),
                Kind::Message(inner) => put_bytes(&mut out, field.number, &self.zero(inner)),
                _ => put_number(&mut out, field.number, 0),
            }
        }
        out
    }

    fn mark_what_has_maps(&mut self) {
        loop {
            let has = |message: &Message| {
                message.fields.iter().any(|field| match (field.label, field.kind) {
                    (Label::Map, Kind::Message(entry)) => {
                        self.map_value(entry).is_some_and(|inner| !inner.zero.is_empty() || inner.has_maps)
                    }
                    (_, Kind::Message(inner)) => self.messages[inner].has_maps,
                    _ => false,
                })
            };
            let more: Vec<usize> = (0..self.messages.len())
                .filter(|at| !self.messages[*at].has_maps && has(&self.messages[*at]))
                .collect();
            if more.is_empty() {
                return;
            }
            more.into_iter().for_each(|at| self.messages[at].has_maps = true);
        }
    }

    /// The message that the entries of a map lead to, if it is one.
    pub fn map_value(&self, entry: usize) -> Option<&Message> {
        match self.messages[entry].field(2)?.1.kind {
            Kind::Message(inner) => Some(&self.messages[inner]),
            _ => None,
        }
    }

    /// A message may lack something if it has a required field, or a message that may.
    fn mark_what_may_lack(&mut self) {
        loop {
            let lacks = |message: &Message| {
                message.fields.iter().any(|field| {
                    let inside = matches!(field.kind, Kind::Message(at) if self.messages[at].may_lack);
                    field.label == Label::Required || inside
                })
            };
            let more: Vec<usize> = (0..self.messages.len())
                .filter(|at| !self.messages[*at].may_lack && lacks(&self.messages[*at]))
                .collect();
            if more.is_empty() {
                return;
            }
            more.into_iter().for_each(|at| self.messages[at].may_lack = true);
        }
    }
}

/// What the descriptors hold, before references are resolved.
#[derive(Default)]
struct Found<'a> {
    /// By full name, with a leading point, in the order of their places.
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: Vec<Enum>,
    /// Places of messages and of enums.
    places: BTreeMap<String, usize>,
}

impl<'a> Found<'a> {
    fn message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        self.places.insert(name.clone(), self.messages.len());
        self.messages.push((name.clone(), message));
        message.nested_type.iter().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|nested| self.enumeration(&name, nested));
    }

    fn enumeration(&mut self, scope: &str, descriptor: &EnumDescriptorProto) {
        let mut values: Vec<_> =
            descriptor.value.iter().map(|value| (value.number(), value.name().to_owned())).collect();
        values.sort();
        self.places.insert(format!("{scope}.{}", descriptor.name()), self.enums.len());
        self.enums.push(Enum { values });
    }
}

fn message_of(
    descriptor: &DescriptorProto,
    places: &BTreeMap<String, usize>,
    messages: &[(String, &DescriptorProto)],
    enums: &[Enum],
) -> Message {
    let fields: Vec<Field> =
        descriptor.field.iter().map(|field| field_of(field, places, messages, enums)).collect();
    let mut by_number: Vec<_> = fields.iter().enumerate().map(|(at, field)| (field.number, at)).collect();
    by_number.sort_unstable();
    let mut by_name = BTreeMap::new();
    for (at, field) in fields.iter().enumerate() {
        by_name.insert(camel_case(&field.name), at);
    }
    for (at, field) in fields.iter().enumerate() {
        by_name.insert(field.name.clone(), at);
    }
    let is_duration =
        places.get(".google.protobuf.Duration").is_some_and(|at| std::ptr::eq(messages[*at].1, descriptor));
    Message { fields, by_number, by_name, may_lack: false, is_duration, zero: Vec::new(), has_maps: false }
}

fn field_of(
    descriptor: &FieldDescriptorProto,
    places: &BTreeMap<String, usize>,
    messages: &[(String, &DescriptorProto)],
    enums: &[Enum],
) -> Field {
    let place = || places[descriptor.type_name()];
    let kind = match descriptor.r#type() {
        Type::Double => Kind::Double,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Uint32 => Kind::Uint32,
        Type::Uint64 => Kind::Uint64,
        Type::Bool => Kind::Bool,
        Type::String => Kind::Text,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(place()),
        Type::Message => Kind::Message(place()),
        other => unreachable!("proto/ has a field of type {other:?}, which the codec does not know"),
    };
    let is_map = match kind {
        Kind::Message(at) => messages[at].1.options.as_ref().is_some_and(|options| options.map_entry()),
        _ => false,
    };
    let label = match descriptor.label() {
        _ if is_map => Label::Map,
        ProtoLabel::Optional => Label::Optional,
        ProtoLabel::Required => Label::Required,
        ProtoLabel::Repeated => Label::Repeated,
    };
    let deprecated = descriptor.options.as_ref().is_some_and(|options| options.deprecated());
    let default = descriptor.default_value.as_deref().filter(|_| !deprecated).map(|text| match kind {
        Kind::Double => {
            let number: f64 = text.parse().expect("the default of a double is a number");
            super::to_json::double(number).into_bytes()
        }
        Kind::Text => serde_json::Value::from(text).to_string().into_bytes(),
        Kind::Enum(at) => {
            assert!(enums[at].number(text).is_some(), "the default is one of the enum's names");
            format!("\"{text}\"").into_bytes()
        }
        _ => text.as_bytes().to_vec(),
    });
    let name = descriptor.name().to_owned();
    let number = u32::try_from(descriptor.number()).expect("field numbers are positive");
    Field { number, key: format!("\"{name}\":").into_bytes(), name, label, kind, default }
}

/// `task_infos` as protobuf's own JSON would write it: `taskInfos`.
pub(super) fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                out.extend(letter.to_uppercase());
                upper = false;
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_known_by_its_full_name() {
        for name in [
            "mesos.v1.scheduler.Call",
            "mesos.v1.Offer.Operation.Launch",
            "mesos.v1.agent.ProcessIO",
            "google.protobuf.Duration",
        ] {
            assert!(SCHEMA.find(name).is_some(), "{name}");
        }
        assert!(SCHEMA.find("mesos.v1.Nothing").is_none());
    }

    #[test]
    fn fields_know_their_defaults() {
        let default = |message: &str, field: &str| {
            let message = SCHEMA.message(SCHEMA.find(message).unwrap());
            message
                .named(field)
                .unwrap()
                .default
                .as_deref()
                .map(|text| String::from_utf8_lossy(text).into_owned())
        };
        assert_eq!(default("mesos.v1.CommandInfo", "shell").as_deref(), Some("true"));
        assert_eq!(default("mesos.v1.HealthCheck", "delay_seconds").as_deref(), Some("15.0"));
        assert_eq!(default("mesos.v1.ContainerInfo.DockerInfo", "network").as_deref(), Some("\"HOST\""));
        assert_eq!(default("mesos.v1.FrameworkInfo", "role"), None, "deprecated");
    }

    #[test]
    fn camel_case_is_known_too() {
        assert_eq!(camel_case("task_infos"), "taskInfos");
        assert_eq!(camel_case("InReceives"), "InReceives");
        let launch = SCHEMA.message(SCHEMA.find("mesos.v1.Offer.Operation.Launch").unwrap());
        assert_eq!(launch.named("taskInfos").unwrap().number, launch.named("task_infos").unwrap().number);
    }
}
