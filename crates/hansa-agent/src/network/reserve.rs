//! Mapped ports are held by a socket of the agent too, as packets never get there but other programs would.
//!
//! So a port that somebody on the machine listens on is not taken from him unseen, nobody takes a mapped one, two agents
//! do not map the same, and the kernel gives it to no outgoing connection. The sockets go with the agent and come back
//! with it; the mappings stay.

use super::state::{Mapping, Protocol};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that nobody else can have.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never used")]
pub(super) enum Reserved {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Takes the machine's port of a mapping.
pub(super) fn reserve(mapping: &Mapping) -> io::Result<Reserved> {
    let address = (Ipv4Addr::UNSPECIFIED, mapping.host_port);
    Ok(match mapping.protocol {
        Protocol::Tcp => Reserved::Tcp(TcpListener::bind(address)?),
        Protocol::Udp => Reserved::Udp(UdpSocket::bind(address)?),
    })
}
