//! The kernel's memory of UDP conversations, which outlives mappings.
//!
//! A client that goes on sending from the same port stays where its first packet went: to a container that is gone, or
//! to nobody if it was first. So whoever adds or removes a mapping makes the kernel forget what it knows of that port.
//! TCP needs none of it: a new connection is a new conversation.

use super::netlink::{Messages, Socket};

/// A message of the connection tracker: delete.
const DELETE: u16 = 1 << 8 | 2;
const ORIGINAL: u16 = 1;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
/// Of the original packet, the protocol's number and the port that it went to.
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// Makes the kernel forget UDP conversations that were begun with this port of the machine (or, as a filter knows no
/// better, of any machine: those begin again). Kernels before 5.8 cannot; there they are forgotten when they pause.
pub(super) fn forget_udp(socket: &mut Socket, port: u16) {
    let mut messages = Messages::default();
    let header = [libc::AF_INET as u8, 0, 0, 0];
    messages.add(DELETE, libc::NLM_F_ACK, &header, |m| {
        m.nested(ORIGINAL, |m| {
            m.nested(2, |m| {
                m.attribute(1, &[libc::IPPROTO_UDP as u8]);
                m.attribute(3, &port.to_be_bytes());
            });
        });
        m.nested(FILTER, |m| m.native(FILTER_ORIGINAL, BY_PROTOCOL | BY_DESTINATION_PORT));
    });
    if let Err(error) = socket.all(&messages) {
        tracing::debug!(port, %error, "the kernel does not forget UDP conversations when told to");
    }
}
