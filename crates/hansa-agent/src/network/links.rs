//! Links, addresses and routes, by the kernel's route netlink.

use super::netlink::{Attributes, Messages, Refused, Socket, u32_at};
use super::subnet::Subnet;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VETH_INFO_PEER: u16 = 1;
/// A bridge port's right to give back a frame to where it came from.
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
/// No link-local address, and so no duplicate address detection.
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const ACK: libc::c_int = libc::NLM_F_ACK;
const NEW: libc::c_int = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const UP: u32 = libc::IFF_UP as u32;

/// A link, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Bytes that a packet may have.
    pub mtu: u32,
}

/// One pair of links: one end on the machine, the other in a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// The machine's end.
    pub name: &'a str,
    /// The container's end.
    pub inside: &'a str,
    /// The container's hardware address.
    pub hardware: [u8; 6],
    /// The bridge that the machine's end belongs to.
    pub bridge: u32,
    /// Bytes that a packet may have.
    pub mtu: u32,
}

/// The fixed part of a message about a link.
fn link_header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// A hardware address that follows from an IP address: who has that IP address after us is found where we were.
pub(super) fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    // The second bit says that nobody sold it.
    [0x02, 0x48, a, b, c, d]
}

/// Makes a bridge that is up, with an address.
pub(super) fn make_bridge(
    socket: &mut Socket,
    name: &str,
    gateway: Ipv4Addr,
    subnet: Subnet,
    mtu: u32,
) -> Result<u32, Refused> {
    let mut messages = Messages::default();
    messages.add(libc::RTM_NEWLINK, NEW, &link_header(0, UP), |m| {
        m.text(IFLA_IFNAME, name);
        m.native(IFLA_MTU, mtu);
        // Fixed, or it would change with its ports, and containers would lose their way.
        m.attribute(IFLA_ADDRESS, &hardware_address(gateway));
        m.nested(IFLA_LINKINFO, |m| m.attribute(IFLA_INFO_KIND, b"bridge"));
    });
    socket.all(&messages)?;
    let index = index_of(socket, name)?;
    address_bridge(socket, index, gateway, subnet)?;
    Ok(index)
}

/// Gives a bridge its address. No harm if it has it.
pub(super) fn address_bridge(
    socket: &mut Socket,
    index: u32,
    gateway: Ipv4Addr,
    subnet: Subnet,
) -> Result<(), Refused> {
    let mut messages = Messages::default();
    add_address(&mut messages, index, gateway, subnet);
    match socket.all(&messages) {
        Err(error) if error.code() == libc::EEXIST => Ok(()),
        done => done,
    }
}

/// Takes a bridge's address away.
#[cfg(test)]
pub(super) fn unaddress_bridge(
    socket: &mut Socket,
    index: u32,
    gateway: Ipv4Addr,
    subnet: Subnet,
) -> Result<(), Refused> {
    let mut messages = Messages::default();
    address_message(&mut messages, libc::RTM_DELADDR, ACK, index, gateway, subnet);
    socket.all(&messages)
}

/// Makes a pair with one end in the bridge and the other, still without an address, in a container's namespace.
pub(super) fn make_pair(
    socket: &mut Socket,
    pair: &Pair<'_>,
    namespace: BorrowedFd<'_>,
) -> Result<(), Refused> {
    let mut messages = Messages::default();
    messages.add(libc::RTM_NEWLINK, NEW, &link_header(0, 0), |m| {
        m.text(IFLA_IFNAME, pair.name);
        m.native(IFLA_MTU, pair.mtu);
        m.native(IFLA_MASTER, pair.bridge);
        m.nested(IFLA_LINKINFO, |m| {
            m.attribute(IFLA_INFO_KIND, b"veth");
            m.nested(IFLA_INFO_DATA, |m| {
                m.nested(VETH_INFO_PEER, |m| {
                    m.raw(&link_header(0, 0));
                    m.text(IFLA_IFNAME, pair.inside);
                    m.native(IFLA_MTU, pair.mtu);
                    m.attribute(IFLA_ADDRESS, &pair.hardware);
                    m.native(IFLA_NET_NS_FD, namespace.as_raw_fd().cast_unsigned());
                });
            });
        });
    });
    socket.all(&messages)?;
    join_bridge(socket, pair.name, pair.bridge)
}

/// Puts a link into a bridge, up, and so that what a container sends to itself by the machine's address comes back.
pub(super) fn join_bridge(socket: &mut Socket, name: &str, bridge: u32) -> Result<(), Refused> {
    let mut messages = Messages::default();
    messages.add(libc::RTM_NEWLINK, ACK, &link_header(0, UP), |m| {
        m.text(IFLA_IFNAME, name);
        m.native(IFLA_MASTER, bridge);
    });
    messages.add(libc::RTM_NEWLINK, ACK, &link_header(0, 0), |m| {
        m.text(IFLA_IFNAME, name);
        m.nested(IFLA_LINKINFO, |m| {
            m.attribute(IFLA_INFO_SLAVE_KIND, b"bridge");
            m.nested(IFLA_INFO_SLAVE_DATA, |m| m.attribute(IFLA_BRPORT_MODE, &[1]));
        });
    });
    socket.all(&messages)?;
    let mut messages = Messages::default();
    messages.add(libc::RTM_NEWLINK, ACK, &link_header(0, 0), |m| {
        m.text(IFLA_IFNAME, name);
        m.nested(IFLA_AF_SPEC, |m| {
            let family = libc::AF_INET6 as u16;
            m.nested(family, |m| m.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]));
        });
    });
    // A kernel without IPv6 does not know what is meant.
    let _ = socket.all(&messages);
    Ok(())
}

/// Lets a namespace's own loopback work. `inside` is a socket of that namespace.
pub(super) fn raise_loopback(inside: &mut Socket) -> Result<(), Refused> {
    let mut messages = Messages::default();
    messages.add(libc::RTM_NEWLINK, ACK, &link_header(0, UP), |m| m.text(IFLA_IFNAME, "lo"));
    inside.all(&messages)
}

/// Gives a container's end its address and its way out. `inside` is a socket of the container's namespace.
pub(super) fn furnish(
    inside: &mut Socket,
    name: &str,
    address: Ipv4Addr,
    subnet: Subnet,
    gateway: Ipv4Addr,
) -> Result<(), Refused> {
    let index = index_of(inside, name)?;
    let mut messages = Messages::default();
    for name in ["lo", name] {
        messages.add(libc::RTM_NEWLINK, ACK, &link_header(0, UP), |m| m.text(IFLA_IFNAME, name));
    }
    add_address(&mut messages, index, address, subnet);
    let header = route_header(libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, libc::RTN_UNICAST);
    messages.add(libc::RTM_NEWROUTE, NEW, &header, |m| {
        m.attribute(RTA_GATEWAY, &gateway.octets());
        m.native(RTA_OIF, index);
    });
    inside.all(&messages)
}

fn add_address(messages: &mut Messages, index: u32, address: Ipv4Addr, subnet: Subnet) {
    address_message(messages, libc::RTM_NEWADDR, NEW, index, address, subnet);
}

fn address_message(
    messages: &mut Messages,
    kind: u16,
    flags: libc::c_int,
    index: u32,
    address: Ipv4Addr,
    subnet: Subnet,
) {
    let mut header = [0; 8];
    header[0] = libc::AF_INET as u8;
    header[1] = subnet.length();
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    messages.add(kind, flags, &header, |m| {
        m.attribute(IFA_LOCAL, &address.octets());
        m.attribute(IFA_ADDRESS, &address.octets());
    });
}

fn route_header(table: u8, protocol: u8, kind: u8) -> [u8; 12] {
    [libc::AF_INET as u8, 0, 0, 0, table, protocol, 0, kind, 0, 0, 0, 0]
}

/// Removes a link, and with it its other end. No harm if it is not there.
pub(super) fn remove(socket: &mut Socket, name: &str) -> Result<(), Refused> {
    let mut messages = Messages::default();
    messages.add(libc::RTM_DELLINK, ACK, &link_header(0, 0), |m| m.text(IFLA_IFNAME, name));
    match socket.all(&messages) {
        Err(error) if error.code() == libc::ENODEV => Ok(()),
        done => done,
    }
}

/// The number of a link.
pub(super) fn index_of(socket: &mut Socket, name: &str) -> Result<u32, Refused> {
    let mut question = Messages::default();
    question.add(libc::RTM_GETLINK, ACK, &link_header(0, 0), |m| m.text(IFLA_IFNAME, name));
    let mut index = None;
    socket.ask(&question, |body| index = body.get(4..8).map(|_| u32_at(body, 4)))?;
    index.ok_or_else(|| std::io::Error::from_raw_os_error(libc::ENODEV).into())
}

/// All links.
pub(super) fn all(socket: &mut Socket) -> Result<Vec<Link>, Refused> {
    let mut question = Messages::default();
    question.add(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_header(0, 0), |_| ());
    let mut links = Vec::new();
    socket.ask(&question, |body| {
        let Some(attributes) = body.get(16..) else { return };
        let mut link = Link { index: u32_at(body, 4), name: String::new(), mtu: 0 };
        for (kind, value) in Attributes(attributes) {
            match kind {
                IFLA_IFNAME => link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
                IFLA_MTU if value.len() >= 4 => link.mtu = u32_at(value, 0),
                _ => {}
            }
        }
        links.push(link);
    })?;
    Ok(links)
}

/// One route: where it leads, and by which link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What is reached by it; length 0: everything else.
    pub to: Subnet,
    /// The link's number; 0: none (it is refused, or there are several).
    pub link: u32,
}

/// All routes to IPv4 networks, in all tables but the one of the machine's own addresses.
pub(super) fn routes(socket: &mut Socket) -> Result<Vec<Route>, Refused> {
    let mut question = Messages::default();
    question.add(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &route_header(0, 0, 0), |_| ());
    let mut routes = Vec::new();
    socket.ask(&question, |body| {
        let Some(attributes) = body.get(12..).filter(|_| body[4] != libc::RT_TABLE_LOCAL) else { return };
        let (mut to, mut link) = (Ipv4Addr::UNSPECIFIED, 0);
        for (kind, value) in Attributes(attributes) {
            match (kind, value) {
                (RTA_DST, &[a, b, c, d]) => to = Ipv4Addr::new(a, b, c, d),
                (RTA_OIF, &[_, _, _, _]) => link = u32_at(value, 0),
                _ => {}
            }
        }
        routes.extend(Subnet::new(to, body[1]).map(|to| Route { to, link }));
    })?;
    Ok(routes)
}
