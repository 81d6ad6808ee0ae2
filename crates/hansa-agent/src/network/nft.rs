//! The agent's own nf_tables table: which of the machine's ports lead to which container, and how packets come back.
//!
//! ```text
//! table ip hansa-<agent> {
//!     map ports { proto . port : address . port }
//!     chain guard        raw:         what comes from the bridge has an address of it, and goes to no 127.0.0.0/8
//!     chain arriving     prerouting:  to an address of the machine: look in the map
//!     chain own          output:      the same for the machine's own programs
//!     chain leaving      postrouting: outwards, from 127.0.0.0/8, and from the bridge through a mapped port: masqueraded
//!     chain inwards      forward:     into the bridge only from the bridge, by a mapped port, or as an answer
//! }
//! ```
//! One container's ports are added or removed in one transaction; the whole table is replaced in one. Other tables are
//! never looked at.

use super::netlink::{Messages, Refused, Socket};
use super::state::{Mapping, Protocol};
use super::subnet::Subnet;
use std::net::Ipv4Addr;

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM << 8 | 12;
const DELETE_ELEMENT: u16 = SUBSYSTEM << 8 | 14;
const IPV4: u8 = 2;

const LIST_ELEMENT: u16 = 1;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

/// Registers: one of 16 bytes each for a key and what it leads to, and the four bytes of each that are used.
const KEY: u32 = 1;
const KEY_PROTOCOL: u32 = 8;
const KEY_PORT: u32 = 9;
const TARGET: u32 = 2;
const TARGET_ADDRESS: u32 = 12;
const TARGET_PORT: u32 = 13;

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_L4PROTO: u32 = 16;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const STATUS_DNAT: u32 = 1 << 5;
const SOURCE_ADDRESS: u32 = 12;
const DESTINATION_ADDRESS: u32 = 16;

const MAP: &str = "ports";

/// How a comparison comes out.
#[derive(Clone, Copy)]
enum Is {
    Equal = 0,
    Different = 1,
}

/// What stands at the end of a rule.
#[derive(Clone, Copy)]
enum End {
    Accept,
    Drop,
    Masquerade,
    /// To where the map says, if it says anything.
    ToMapped,
}

/// A transaction on one agent's table.
struct Batch<'a> {
    messages: Messages,
    table: &'a str,
}

impl<'a> Batch<'a> {
    fn new(table: &'a str) -> Self {
        let mut messages = Messages::default();
        messages.add(BATCH_BEGIN, 0, &header(0, SUBSYSTEM), |_| ());
        Self { messages, table }
    }

    fn add(&mut self, kind: u16, flags: libc::c_int, attributes: impl FnOnce(&mut Messages)) {
        let table = self.table;
        self.messages.add(kind, flags, &header(IPV4, 0), |m| {
            m.text(1, table);
            attributes(m);
        });
    }

    /// The last message asks for an answer: an element that is set anew to what it is, or a table that is there.
    fn commit(mut self, socket: &mut Socket) -> Result<(), Refused> {
        let last = self.messages.count();
        self.messages.add(BATCH_END, 0, &header(0, SUBSYSTEM), |_| ());
        socket.together(&self.messages, last)
    }

    fn chain(&mut self, name: &str, kind: &str, hook: u32, priority: i32) {
        self.add(NEW_CHAIN, libc::NLM_F_CREATE, |m| {
            m.text(3, name);
            m.nested(4, |m| {
                m.network(1, hook);
                m.network(2, priority.cast_unsigned());
            });
            m.text(7, kind);
        });
    }

    fn rule(&mut self, chain: &str, end: End, conditions: impl FnOnce(&mut Messages)) {
        self.add(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, |m| {
            m.text(2, chain);
            m.nested(4, |m| {
                conditions(m);
                finish(m, end);
            });
        });
    }

    fn elements(&mut self, kind: u16, flags: libc::c_int, elements: &[(Mapping, Ipv4Addr)]) {
        self.add(kind, flags, |m| {
            m.text(2, MAP);
            m.nested(3, |m| {
                for (mapping, address) in elements {
                    m.nested(LIST_ELEMENT, |m| {
                        m.nested(1, |m| m.attribute(VALUE, &key(*mapping)));
                        if kind == NEW_ELEMENT {
                            m.nested(2, |m| m.attribute(VALUE, &target(*mapping, *address)));
                        }
                    });
                }
            });
        });
    }
}

/// The fixed part of a netfilter message.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Each part of a key begins at a multiple of four bytes.
fn key(mapping: Mapping) -> [u8; 8] {
    let [high, low] = mapping.host_port.to_be_bytes();
    [mapping.protocol.number(), 0, 0, 0, high, low, 0, 0]
}

fn target(mapping: Mapping, address: Ipv4Addr) -> [u8; 8] {
    let ([a, b, c, d], [high, low]) = (address.octets(), mapping.container_port.to_be_bytes());
    [a, b, c, d, high, low, 0, 0]
}

fn expression(messages: &mut Messages, name: &str, data: impl FnOnce(&mut Messages)) {
    messages.nested(LIST_ELEMENT, |m| {
        m.text(1, name);
        m.nested(2, data);
    });
}

fn compare(messages: &mut Messages, is: Is, value: &[u8]) {
    expression(messages, "cmp", |m| {
        m.network(1, KEY);
        m.network(2, is as u32);
        m.nested(3, |m| m.attribute(VALUE, value));
    });
}

/// Keeps of a register the bits of a mask.
fn keep_bits(messages: &mut Messages, mask: [u8; 4]) {
    expression(messages, "bitwise", |m| {
        m.network(1, KEY);
        m.network(2, KEY);
        m.network(3, 4);
        m.nested(4, |m| m.attribute(VALUE, &mask));
        m.nested(5, |m| m.attribute(VALUE, &[0; 4]));
    });
}

fn meta(messages: &mut Messages, what: u32, into: u32) {
    expression(messages, "meta", |m| {
        m.network(1, into);
        m.network(2, what);
    });
}

/// Loads a part of the packet: base 1 is the network header, 2 the transport header.
fn payload(messages: &mut Messages, base: u32, offset: u32, length: u32, into: u32) {
    expression(messages, "payload", |m| {
        m.network(1, into);
        m.network(2, base);
        m.network(3, offset);
        m.network(4, length);
    });
}

fn link_is(messages: &mut Messages, which: u32, is: Is, name: &str) {
    let mut value = [0; 16];
    value[..name.len()].copy_from_slice(name.as_bytes());
    meta(messages, which, KEY);
    compare(messages, is, &value);
}

fn address_is(messages: &mut Messages, offset: u32, is: Is, subnet: Subnet) {
    payload(messages, 1, offset, 4, KEY);
    keep_bits(messages, subnet.mask().octets());
    compare(messages, is, &subnet.address().octets());
}

/// Some of these bits of the connection are set.
fn connection_has(messages: &mut Messages, what: u32, bits: u32) {
    expression(messages, "ct", |m| {
        m.network(1, KEY);
        m.network(2, what);
    });
    keep_bits(messages, bits.to_ne_bytes());
    compare(messages, Is::Different, &[0; 4]);
}

/// The packet is for this machine.
fn is_for_us(messages: &mut Messages) {
    const RESULT_KIND: u32 = 3;
    const OF_DESTINATION: u32 = 2;
    const LOCAL: u32 = libc::RTN_LOCAL as u32;
    expression(messages, "fib", |m| {
        m.network(1, KEY);
        m.network(2, RESULT_KIND);
        m.network(3, OF_DESTINATION);
    });
    compare(messages, Is::Equal, &LOCAL.to_ne_bytes());
}

fn finish(messages: &mut Messages, end: End) {
    let verdict = |messages: &mut Messages, code: u32| {
        expression(messages, "immediate", |m| {
            m.network(1, 0);
            m.nested(2, |m| m.nested(VERDICT, |m| m.network(1, code)));
        });
    };
    match end {
        End::Accept => verdict(messages, 1),
        End::Drop => verdict(messages, 0),
        End::Masquerade => expression(messages, "masq", |_| ()),
        End::ToMapped => {
            meta(messages, META_L4PROTO, KEY_PROTOCOL);
            payload(messages, 2, 2, 2, KEY_PORT);
            expression(messages, "lookup", |m| {
                m.text(1, MAP);
                m.network(2, KEY);
                m.network(3, TARGET);
            });
            expression(messages, "nat", |m| {
                const DESTINATION: u32 = 1;
                m.network(1, DESTINATION);
                m.network(2, u32::from(IPV4));
                m.network(3, TARGET_ADDRESS);
                m.network(5, TARGET_PORT);
            });
        }
    }
}

/// Makes the table anew as a whole, with these mappings and their containers' addresses.
///
/// # Errors
/// The kernel refuses, and the table is as it was.
pub(super) fn replace(
    socket: &mut Socket,
    table: &str,
    bridge: &str,
    subnet: Subnet,
    elements: &[(Mapping, Ipv4Addr)],
) -> Result<(), Refused> {
    const PREROUTING: u32 = 0;
    const FORWARD: u32 = 2;
    const OUTPUT: u32 = 3;
    const POSTROUTING: u32 = 4;
    let loopback = Subnet::new(Ipv4Addr::LOCALHOST, 8).unwrap_or(subnet);
    let mut batch = Batch::new(table);
    // Deleting what is not there would be an error; making what is there is none.
    batch.add(NEW_TABLE, libc::NLM_F_CREATE, |_| ());
    batch.add(DELETE_TABLE, 0, |_| ());
    batch.add(NEW_TABLE, libc::NLM_F_CREATE, |_| ());
    batch.add(NEW_SET, libc::NLM_F_CREATE, |m| {
        // Kinds only tell people's tools how to show it: 12 is a protocol, 13 a port, 7 an address.
        const KEY_KIND: u32 = 12 << 6 | 13;
        const TARGET_KIND: u32 = 7 << 6 | 13;
        const IS_MAP: u32 = 8;
        m.text(2, MAP);
        m.network(3, IS_MAP);
        m.network(4, KEY_KIND);
        m.network(5, 8);
        m.network(6, TARGET_KIND);
        m.network(7, 8);
        m.network(10, 1);
    });
    batch.chain("guard", "filter", PREROUTING, -300);
    batch.chain("arriving", "nat", PREROUTING, -100);
    batch.chain("own", "nat", OUTPUT, -100);
    batch.chain("leaving", "nat", POSTROUTING, 100);
    batch.chain("inwards", "filter", FORWARD, 0);
    // The bridge is allowed to carry 127.0.0.0/8 so that the machine's own programs reach mapped ports there. Containers
    // must not use that to reach what listens on the machine's loopback only.
    batch.rule("guard", End::Drop, |m| {
        link_is(m, META_IIFNAME, Is::Equal, bridge);
        address_is(m, DESTINATION_ADDRESS, Is::Equal, loopback);
    });
    batch.rule("guard", End::Drop, |m| {
        link_is(m, META_IIFNAME, Is::Equal, bridge);
        address_is(m, SOURCE_ADDRESS, Is::Different, subnet);
    });
    batch.rule("arriving", End::ToMapped, is_for_us);
    batch.rule("own", End::ToMapped, is_for_us);
    batch.rule("leaving", End::Masquerade, |m| {
        address_is(m, SOURCE_ADDRESS, Is::Equal, subnet);
        link_is(m, META_OIFNAME, Is::Different, bridge);
    });
    batch.rule("leaving", End::Masquerade, |m| {
        address_is(m, SOURCE_ADDRESS, Is::Equal, loopback);
        link_is(m, META_OIFNAME, Is::Equal, bridge);
    });
    // A container that talks to itself or its neighbour through the machine's port must hear the answer from there too.
    batch.rule("leaving", End::Masquerade, |m| {
        address_is(m, SOURCE_ADDRESS, Is::Equal, subnet);
        link_is(m, META_OIFNAME, Is::Equal, bridge);
        connection_has(m, CT_STATUS, STATUS_DNAT);
    });
    for (what, bits) in [(CT_STATE, ESTABLISHED_OR_RELATED), (CT_STATUS, STATUS_DNAT)] {
        batch.rule("inwards", End::Accept, |m| {
            link_is(m, META_OIFNAME, Is::Equal, bridge);
            connection_has(m, what, bits);
        });
    }
    batch.rule("inwards", End::Drop, |m| {
        link_is(m, META_OIFNAME, Is::Equal, bridge);
        link_is(m, META_IIFNAME, Is::Different, bridge);
    });
    // Small enough to fit into one message's attributes, whose length has 16 bits.
    for some in elements.chunks(500) {
        batch.elements(NEW_ELEMENT, libc::NLM_F_CREATE, some);
    }
    batch.add(NEW_TABLE, libc::NLM_F_CREATE | libc::NLM_F_ACK, |_| ());
    batch.commit(socket)
}

/// Adds a container's mappings, all or none.
///
/// # Errors
/// `EEXIST`: one of the ports leads to another container.
pub(super) fn add(
    socket: &mut Socket,
    table: &str,
    mappings: &[Mapping],
    address: Ipv4Addr,
) -> Result<(), Refused> {
    if mappings.is_empty() {
        return Ok(());
    }
    let elements: Vec<_> = mappings.iter().map(|mapping| (*mapping, address)).collect();
    let mut batch = Batch::new(table);
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL | libc::NLM_F_ACK;
    batch.elements(NEW_ELEMENT, flags, &elements);
    batch.commit(socket)
}

/// Removes a mapping. No harm if it is not there.
pub(super) fn remove(socket: &mut Socket, table: &str, mapping: Mapping) -> Result<(), Refused> {
    let mut batch = Batch::new(table);
    batch.elements(DELETE_ELEMENT, libc::NLM_F_ACK, &[(mapping, Ipv4Addr::UNSPECIFIED)]);
    forgiving(batch.commit(socket))
}

/// Removes the whole table. No harm if it is not there.
pub(super) fn remove_table(socket: &mut Socket, table: &str) -> Result<(), Refused> {
    let mut batch = Batch::new(table);
    batch.add(DELETE_TABLE, libc::NLM_F_ACK, |_| ());
    forgiving(batch.commit(socket))
}

fn forgiving(done: Result<(), Refused>) -> Result<(), Refused> {
    match done {
        Err(error) if error.code() == libc::ENOENT => Ok(()),
        done => done,
    }
}

impl Protocol {
    /// Its number in a packet.
    pub(super) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => libc::IPPROTO_TCP as u8,
            Protocol::Udp => libc::IPPROTO_UDP as u8,
        }
    }
}

/// Whether the table is there.
pub(super) fn exists(socket: &mut Socket, table: &str) -> Result<bool, Refused> {
    const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
    let mut question = Messages::default();
    question.add(GET_TABLE, libc::NLM_F_ACK, &header(IPV4, 0), |m| m.text(1, table));
    match socket.ask(&question, |_| ()) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == libc::ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}
