//! The thread that makes and removes networks, and what it knows.

use super::names::{self, Names};
use super::netlink::{Refused, Socket};
use super::reserve::{Reserved, reserve};
use super::state::{self, Lease, Mapping, Protocol};
use super::subnet::{self, Subnet};
use super::{Attachment, NetworkError, Request, Settings, conntrack, links, namespace, nft};
use crate::data_dir::shared_file;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The name of a container's link inside it.
const INSIDE: &str = "eth0";

/// How often is looked whether somebody has thrown away the table (as a firewall does that replaces everything).
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// The agents of one machine choose their subnets one after the other.
const CHOICE_LOCK: &str = "hansa-subnets.lock";

/// A container's network, as the thread holds it.
#[derive(Debug)]
struct Held {
    lease: Lease,
    _ports: Vec<Reserved>,
}

/// The bridge, while there is one.
#[derive(Clone, Copy, Debug)]
struct Bridge {
    index: u32,
    subnet: Subnet,
    mtu: u32,
}

struct Worker {
    settings: Settings,
    names: Names,
    /// The machine's network namespace.
    home: OwnedFd,
    links: Socket,
    filter: Socket,
    bridge: Option<Bridge>,
    held: BTreeMap<PathBuf, Held>,
    /// The last address given; the next comes after it, so that none is used again soon.
    last_address: u32,
    /// The last link's number.
    last_link: u32,
}

/// Starts the thread; it ends when nobody can ask it any more.
pub(super) fn start(settings: Settings) -> io::Result<Sender<Request>> {
    let (requests, received) = channel();
    let worker = new(settings)?;
    std::thread::Builder::new().name("network".into()).spawn(move || worker.run(&received))?;
    Ok(requests)
}

/// For the network namespace that the calling thread is in.
fn new(settings: Settings) -> io::Result<Worker> {
    Ok(Worker {
        names: Names::of(&settings.agent),
        home: namespace::own()?,
        links: Socket::open(libc::NETLINK_ROUTE)?,
        filter: Socket::open(libc::NETLINK_NETFILTER)?,
        bridge: None,
        held: BTreeMap::new(),
        last_address: 0,
        last_link: 0,
        settings,
    })
}

fn kernel(what: &'static str) -> impl Fn(Refused) -> NetworkError {
    move |refused| NetworkError::Kernel { what, why: refused.to_string() }
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(LOOK_AFTER) {
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => self.look_after(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Nobody waits for an answer any more: then it is thrown away.
    fn serve(&mut self, request: Request) {
        match request {
            Request::Attach(dir, mappings, reply) => drop(reply.send(self.attach(&dir, mappings))),
            Request::Release(dir, reply) => {
                self.release(&dir);
                let _ = reply.send(());
            }
            Request::Recover(dirs, reply) => drop(reply.send(self.recover(dirs))),
            Request::Close(reply) => {
                if self.held.is_empty() {
                    self.remove_bridge();
                }
                let _ = reply.send(());
            }
        }
    }

    fn attach(&mut self, dir: &Path, mappings: Vec<Mapping>) -> Result<Attachment, NetworkError> {
        let bridge = self.bridge()?;
        let address = self.free_address(bridge.subnet)?;
        let gateway = bridge.subnet.gateway();
        let lease = Lease::new(self.free_link(), address, mappings);
        lease.write(dir)?;
        let made = self.make(bridge, &lease);
        let (namespace, ports) = match made {
            Ok(made) => made,
            Err(error) => {
                // Its links are gone with its namespace; its mappings were not made.
                Lease::remove(dir)?;
                return Err(error);
            }
        };
        self.held.insert(dir.to_owned(), Held { lease, _ports: ports });
        Ok(Attachment { namespace, address, gateway })
    }

    fn make(&mut self, bridge: Bridge, lease: &Lease) -> Result<(OwnedFd, Vec<Reserved>), NetworkError> {
        let mut inside = namespace::make(&self.home)?;
        let pair = links::Pair {
            name: &lease.link,
            inside: INSIDE,
            hardware: links::hardware_address(lease.address),
            bridge: bridge.index,
            mtu: bridge.mtu,
        };
        links::make_pair(&mut self.links, &pair, inside.fd.as_fd())
            .map_err(kernel("link the container to the bridge"))?;
        let gateway = bridge.subnet.gateway();
        links::furnish(&mut inside.socket, INSIDE, lease.address, bridge.subnet, gateway)
            .map_err(kernel("give the container its address"))?;
        let ports = lease.mappings.iter().map(taken).collect::<Result<_, _>>()?;
        self.map(lease)?;
        Ok((inside.fd, ports))
    }

    fn map(&mut self, lease: &Lease) -> Result<(), NetworkError> {
        let mut added = nft::add(&mut self.filter, &self.names.table, &lease.mappings, lease.address);
        if added.as_ref().is_err_and(|error| error.code() == libc::ENOENT) {
            self.look_after();
            added = nft::add(&mut self.filter, &self.names.table, &lease.mappings, lease.address);
        }
        added.map_err(kernel("map the machine's ports to the container"))?;
        self.forget_udp(&lease.mappings);
        Ok(())
    }

    fn forget_udp(&mut self, mappings: &[Mapping]) {
        for mapping in mappings.iter().filter(|mapping| mapping.protocol == Protocol::Udp) {
            conntrack::forget_udp(&mut self.filter, mapping.host_port);
        }
    }

    /// The mappings first, then the sockets that hold the ports, then the file.
    fn release(&mut self, dir: &Path) {
        let lease = match self.held.get(dir) {
            Some(held) => Some(held.lease.clone()),
            None => Lease::read(dir).unwrap_or_default(),
        };
        if let Some(lease) = &lease {
            for mapping in &lease.mappings {
                let others = self.held.iter().any(|(other, held)| {
                    let same = |own: &Mapping| {
                        (own.protocol, own.host_port) == (mapping.protocol, mapping.host_port)
                    };
                    other != dir && held.lease.mappings.iter().any(same)
                });
                if !others && let Err(error) = nft::remove(&mut self.filter, &self.names.table, *mapping) {
                    tracing::error!(port = mapping.host_port, %error, "cannot remove a port mapping");
                }
            }
            self.forget_udp(&lease.mappings);
        }
        if self.held.remove(dir).is_none()
            && let Some(lease) = &lease
        {
            // From an earlier life: what it gave last is not to be given next.
            self.last_address = self.last_address.max(lease.address.into());
        }
        if let Err(error) = Lease::remove(dir) {
            tracing::error!(dir = %dir.display(), %error, "cannot remove the file of a container's network");
        }
    }

    fn recover(&mut self, dirs: Vec<PathBuf>) -> BTreeMap<PathBuf, Ipv4Addr> {
        for dir in dirs {
            match Lease::read(&dir) {
                Ok(Some(lease)) => {
                    let ports = lease.mappings.iter().filter_map(|mapping| {
                        taken(mapping).inspect_err(|error| tracing::warn!(%error, "a mapped port")).ok()
                    });
                    let ports = ports.collect();
                    self.last_address = self.last_address.max(lease.address.into());
                    self.held.insert(dir, Held { lease, _ports: ports });
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(dir = %dir.display(), %error, "cannot read a container's network");
                }
            }
        }
        if let Err(error) = self.sweep_links() {
            tracing::error!(%error, "cannot remove the links that an earlier life of this agent left");
        }
        if self.held.is_empty() {
            self.remove_bridge();
        } else if let Err(error) = self.bridge() {
            tracing::error!(%error, "the network of running containers cannot be repaired");
        }
        self.held.iter().map(|(dir, held)| (dir.clone(), held.lease.address)).collect()
    }

    /// Removes links of this agent that belong to no container.
    fn sweep_links(&mut self) -> Result<(), Refused> {
        let own = self.names.links.clone();
        for link in links::all(&mut self.links)? {
            let held = self.held.values().any(|held| held.lease.link == link.name);
            if link.name.starts_with(&own) && !held {
                links::remove(&mut self.links, &link.name)?;
            }
        }
        Ok(())
    }

    fn remove_bridge(&mut self) {
        self.bridge = None;
        let removed = nft::remove_table(&mut self.filter, &self.names.table)
            .and_then(|()| links::remove(&mut self.links, &self.names.bridge));
        if let Err(error) = removed {
            tracing::error!(%error, bridge = self.names.bridge, "cannot remove the bridge");
        }
    }

    /// Puts back what others have thrown away.
    fn look_after(&mut self) {
        let Some(bridge) = self.bridge.filter(|_| !self.held.is_empty()) else { return };
        match nft::exists(&mut self.filter, &self.names.table) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(
                    table = self.names.table,
                    "somebody removed the port mappings; they are made again"
                );
                if let Err(error) = self.write_table(bridge.subnet) {
                    tracing::error!(%error, "cannot make the port mappings again");
                }
            }
            Err(error) => tracing::error!(%error, "cannot look after the port mappings"),
        }
    }

    fn write_table(&mut self, subnet: Subnet) -> Result<(), NetworkError> {
        let elements: Vec<_> = self
            .held
            .values()
            .flat_map(|held| held.lease.mappings.iter().map(|mapping| (*mapping, held.lease.address)))
            .collect();
        nft::replace(&mut self.filter, &self.names.table, &self.names.bridge, subnet, &elements)
            .map_err(kernel("make the table of port mappings"))
    }

    /// The bridge, made if it is not there.
    fn bridge(&mut self) -> Result<Bridge, NetworkError> {
        let there = links::index_of(&mut self.links, &self.names.bridge).ok();
        if let (Some(bridge), Some(index)) = (self.bridge, there)
            && bridge.index == index
        {
            return Ok(bridge);
        }
        // Held until the bridge has its address and everybody can see that.
        let _choice = shared_file(CHOICE_LOCK).inspect(|file| drop(file.lock()));
        let (used, mtu) = self.surroundings(there)?;
        let subnet = self.choose(&used)?;
        let index = match there {
            Some(index) => index,
            None => links::make_bridge(&mut self.links, &self.names.bridge, subnet.gateway(), subnet, mtu)
                .map_err(kernel("make a bridge"))?,
        };
        let bridge = Bridge { index, subnet, mtu };
        if let Err(error) = self.furnish(bridge) {
            if self.held.is_empty() {
                self.remove_bridge();
            }
            return Err(error);
        }
        tracing::info!(bridge = self.names.bridge, %subnet, mtu, "containers with addresses of their own live here");
        self.bridge = Some(bridge);
        Ok(bridge)
    }

    /// Everything about the bridge but the link itself.
    fn furnish(&mut self, bridge: Bridge) -> Result<(), NetworkError> {
        state::write_subnet(&self.settings.data_dir, bridge.subnet)?;
        let name = &self.names.bridge;
        set(&format!("/proc/sys/net/ipv4/conf/{name}/route_localnet"), "1")?;
        let ipv6 = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        if Path::new(&ipv6).exists() {
            set(&ipv6, "1")?;
        }
        let forward = "/proc/sys/net/ipv4/ip_forward";
        if std::fs::read_to_string(forward)?.trim() == "0" {
            tracing::info!("containers need packets to be forwarded: {forward} is set to 1");
            set(forward, "1")?;
        }
        self.write_table(bridge.subnet)?;
        let names: Vec<String> = self.held.values().map(|held| held.lease.link.clone()).collect();
        for name in names {
            // One that has just ended is no reason to leave the others alone.
            if let Err(error) = links::join_bridge(&mut self.links, &name, bridge.index) {
                tracing::warn!(link = name, %error, "cannot put a container's link into the bridge");
            }
        }
        Ok(())
    }

    /// The subnets that are in use on the machine, and how large packets may be.
    fn surroundings(&mut self, bridge: Option<u32>) -> Result<(Vec<Subnet>, u32), NetworkError> {
        let looking = kernel("look at the machine's routes");
        let routes = links::routes(&mut self.links).map_err(&looking)?;
        let links = links::all(&mut self.links).map_err(&looking)?;
        let outwards = routes.iter().find(|route| route.to.length() == 0);
        let mtu = outwards
            .and_then(|route| links.iter().find(|link| link.index == route.link))
            .map(|link| link.mtu);
        let others = routes.iter().filter(|route| route.to.length() > 0 && Some(route.link) != bridge);
        Ok((others.map(|route| route.to).collect(), mtu.unwrap_or(1500).clamp(576, 65_535)))
    }

    /// What containers have been promised, what the operator says, what was used last, what is free.
    fn choose(&self, used: &[Subnet]) -> Result<Subnet, NetworkError> {
        let last = state::read_subnet(&self.settings.data_dir);
        if let Some(last) = last.filter(|_| !self.held.is_empty()) {
            return Ok(last);
        }
        let free = |subnet: &Subnet| !used.iter().any(|used| used.overlaps(*subnet));
        if let Some(wanted) = self.settings.subnet {
            return match used.iter().find(|used| used.overlaps(wanted)) {
                None => Ok(wanted),
                Some(used) => Err(NetworkError::NoSubnet(format!(
                    "--bridge-subnet {wanted} overlaps {used}, to which this machine has a route: choose another"
                ))),
            };
        }
        last.filter(free).or_else(|| subnet::choose(names::hash(&self.settings.agent), used)).ok_or_else(|| {
            NetworkError::NoSubnet(
                "the machine has routes to all of 172.16.0.0/12 and 10.0.0.0/8: choose a subnet with --bridge-subnet".into(),
            )
        })
    }

    fn free_address(&mut self, subnet: Subnet) -> Result<Ipv4Addr, NetworkError> {
        let range = subnet.for_containers();
        let count = range.end - range.start;
        let from = if range.contains(&self.last_address) { self.last_address + 1 - range.start } else { 0 };
        let taken: std::collections::BTreeSet<u32> =
            self.held.values().map(|held| held.lease.address.into()).collect();
        let free = (0..count).map(|step| range.start + (from + step) % count).find(|at| !taken.contains(at));
        self.last_address = free.ok_or(NetworkError::Full(subnet))?;
        Ok(self.last_address.into())
    }

    /// A name that no link of ours has. A link outlives its container for a moment, so names are not used again soon.
    fn free_link(&mut self) -> String {
        if self.last_link == 0 {
            self.last_link = (crate::shim::boottime_ms() & 0xff_ffff) as u32;
        }
        loop {
            self.last_link = (self.last_link + 1) & 0xff_ffff;
            let name = format!("{}{:06x}", self.names.links, self.last_link);
            if links::index_of(&mut self.links, &name).is_err() {
                return name;
            }
        }
    }
}

fn taken(mapping: &Mapping) -> Result<Reserved, NetworkError> {
    reserve(mapping).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            NetworkError::PortInUse { port: mapping.host_port, protocol: mapping.protocol }
        }
        _ => NetworkError::Kernel { what: "take a port of the machine", why: error.to_string() },
    })
}

fn set(path: &str, value: &str) -> Result<(), NetworkError> {
    std::fs::write(path, value).map_err(|error| NetworkError::Kernel {
        what: "prepare the machine for containers with addresses of their own",
        why: format!("{path}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Runs something in a thread with a network of its own, if that can be had.
    fn on_a_machine(act: impl FnOnce(Worker, &Path) + Send + 'static) {
        if let Some(missing) = super::super::probe::missing() {
            println!("SKIPPED: {missing}");
            return;
        }
        let run = move || {
            namespace::unshare().unwrap();
            let temp = tempfile::tempdir().unwrap();
            let settings = Settings { agent: "a1".into(), data_dir: temp.path().to_owned(), subnet: None };
            act(new(settings).unwrap(), temp.path());
        };
        std::thread::spawn(run).join().unwrap();
    }

    fn tcp(host_port: u16) -> Vec<Mapping> {
        vec![Mapping { protocol: Protocol::Tcp, host_port, container_port: 80 }]
    }

    #[test]
    fn what_others_throw_away_comes_back() {
        on_a_machine(|mut worker, dir| {
            let a = dir.join("a");
            let _held = worker.attach(&a, tcp(31_000)).unwrap();
            let mapped = |worker: &mut Worker| {
                let again =
                    nft::add(&mut worker.filter, &worker.names.table, &tcp(31_000), Ipv4Addr::LOCALHOST);
                again.is_err_and(|error| error.code() == libc::EEXIST)
            };
            assert!(mapped(&mut worker));
            nft::remove_table(&mut worker.filter, &worker.names.table).unwrap();
            worker.look_after();
            assert!(mapped(&mut worker), "the table");
            // Also when the next container is the first to see it.
            nft::remove_table(&mut worker.filter, &worker.names.table).unwrap();
            let _other = worker.attach(&dir.join("b"), tcp(31_001)).unwrap();
            assert!(mapped(&mut worker));
            links::remove(&mut worker.links, &worker.names.bridge).unwrap();
            let before = worker.bridge.unwrap();
            let _third = worker.attach(&dir.join("c"), tcp(31_002)).unwrap();
            let after = worker.bridge.unwrap();
            assert!(before.index != after.index && before.subnet == after.subnet, "the bridge");
        });
    }

    #[test]
    fn addresses_go_round_and_run_out() {
        on_a_machine(|mut worker, dir| {
            worker.settings.subnet = Some("10.1.2.0/29".parse().unwrap());
            let held: Vec<Attachment> =
                (0..5).map(|at| worker.attach(&dir.join(at.to_string()), Vec::new()).unwrap()).collect();
            let last = |attachment: &Attachment| attachment.address().octets()[3];
            assert_eq!(held.iter().map(last).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
            let full = worker.attach(&dir.join("5"), Vec::new()).unwrap_err().to_string();
            assert!(full.contains("10.1.2.0/29") && full.contains("--bridge-subnet"), "{full}");
            for at in ["3", "1", "1"] {
                worker.release(&dir.join(at));
            }
            let again = ["1", "3"].map(|at| worker.attach(&dir.join(at), Vec::new()).unwrap());
            assert_eq!(again.each_ref().map(last), [3, 5], "in turn");
            assert_eq!(Lease::read(&dir.join("5")).unwrap(), None, "a refused one leaves nothing");
        });
    }

    #[test]
    fn of_a_dead_agent_nothing_is_left_and_others_keep_theirs() {
        on_a_machine(|mut worker, dir| {
            let settings = Settings { agent: "a10".into(), ..worker.settings.clone() };
            let mut other = new(settings).unwrap();
            let mine = dir.join("mine");
            let udp = Mapping { protocol: Protocol::Udp, host_port: 31_001, container_port: 53 };
            let held = worker.attach(&mine, [tcp(31_000), vec![udp]].concat()).unwrap();
            let _theirs = other.attach(&dir.join("theirs"), tcp(31_002)).unwrap();
            let remains = |agent: &str| super::super::remains(agent).unwrap();
            assert_eq!((remains("a1").len(), remains("a10").len()), (3, 3), "{:?}", remains("a1"));
            // Although its container still lives: whoever sweeps has ended it, and the kernel may be slow.
            super::super::sweep("a1", std::slice::from_ref(&mine)).unwrap();
            assert_eq!((remains("a1").len(), remains("a10").len()), (0, 3), "{:?}", remains("a1"));
            super::super::sweep("a1", &[mine]).unwrap();
            super::super::sweep("nobody", &[]).unwrap();
            drop(held);
        });
    }

    /// Prints what a network costs; how long is nobody's promise.
    #[test]
    fn two_hundred_networks() {
        on_a_machine(|mut worker, dir| {
            let begin = Instant::now();
            let mut each = Vec::new();
            let held: Vec<Attachment> = (0..200)
                .map(|at: u16| {
                    let begin = Instant::now();
                    let made = worker.attach(&dir.join(at.to_string()), tcp(31_000 + at)).unwrap();
                    each.push(begin.elapsed());
                    made
                })
                .collect();
            let made = begin.elapsed();
            each.sort();
            let begin = Instant::now();
            (0..200).for_each(|at| worker.release(&dir.join(at.to_string())));
            let released = begin.elapsed();
            println!(
                "200 networks in {made:?} (half within {:?}, 198 within {:?}), released in {released:?}",
                each[100], each[197]
            );
            assert!(worker.held.is_empty());
            drop(held);
        });
    }
}
