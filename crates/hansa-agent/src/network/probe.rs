//! Whether this kernel, with these rights, can give containers addresses of their own: found out by doing it.

use super::netlink::{Refused, Socket};
use super::subnet::Subnet;
use super::{links, namespace, nft};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;

/// What is missing, with a remedy; None: nothing. Everything is tried in a namespace that is gone afterwards, by a thread
/// that is gone with it.
pub(super) fn missing() -> Option<Arc<str>> {
    if !crate::launcher::is_root() {
        return Some("bridge networks (container/bridge): the agent is not root; run it as root".into());
    }
    let tried = std::thread::Builder::new().name("network-probe".into()).spawn(attempt);
    let outcome = match tried.map(std::thread::JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("it could not be tried".into()),
        Err(error) => Err(error.to_string()),
    };
    outcome.err().map(|why| format!("bridge networks (container/bridge): {why}").into())
}

fn attempt() -> Result<(), String> {
    const REMEDY: &str = "use a kernel with CONFIG_NET_NS, CONFIG_BRIDGE, CONFIG_VETH, CONFIG_NF_TABLES_IPV4, \
                          CONFIG_NFT_NAT, CONFIG_NFT_MASQ and CONFIG_NFT_FIB_IPV4";
    let no = |what: &str, why: &dyn std::fmt::Display| format!("no {what} ({why}); {REMEDY}");
    namespace::unshare().map_err(|error| no("network namespaces", &error))?;
    let own = namespace::own().map_err(|error| no("network namespaces", &error))?;
    let mut socket = Socket::open(libc::NETLINK_ROUTE).map_err(|error| no("route netlink", &error))?;
    let mut filter = Socket::open(libc::NETLINK_NETFILTER).map_err(|error| no("nf_tables", &error))?;
    let gateway = Ipv4Addr::new(10, 255, 255, 1);
    let subnet = Subnet::new(gateway, 24).ok_or("no such subnet")?;
    let bridge = links::make_bridge(&mut socket, "bridge", gateway, subnet, 1500)
        .map_err(|error: Refused| no("bridges", &error))?;
    let pair = links::Pair {
        name: "outside",
        inside: "inside",
        hardware: links::hardware_address(gateway),
        bridge,
        mtu: 1500,
    };
    links::make_pair(&mut socket, &pair, own.as_fd()).map_err(|error| no("pairs of links (veth)", &error))?;
    nft::replace(&mut filter, "hansa-probe", "bridge", subnet, &[])
        .map_err(|error| no("address translation by nf_tables", &error))
}
