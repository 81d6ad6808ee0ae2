//! Removing the network of an agent that is dead and does not come back. One that does come back looks after its own.

use super::names::Names;
use super::netlink::{Refused, Socket};
use super::state::{Lease, Protocol};
use super::{NetworkError, conntrack, links, nft};
use std::path::PathBuf;

/// Removes everything that the agent with this id has on the machine: its port mappings, its containers' links, its bridge.
/// No harm if there is nothing. `containers` are the runtime directories of its containers that are still there.
///
/// Network namespaces and reserved ports are not among it: they go with the processes that hold them.
///
/// Blocks for some milliseconds. Nobody may be running as this agent, or it would lose what it has.
///
/// # Errors
/// The kernel does not do it; what could be removed is.
pub fn sweep(agent: &str, containers: &[PathBuf]) -> Result<(), NetworkError> {
    // Others have no network to be removed.
    if !crate::launcher::is_root() {
        return Ok(());
    }
    let mut view = View::open(agent)?;
    // First the mappings: nobody shall be led to who is not there any more.
    let table = view.remove_table(containers);
    let links =
        view.links().and_then(|links| links.iter().try_for_each(|link| links::remove(&mut view.route, link)));
    table.and(links).map_err(refused("remove the network of an agent"))
}

/// What the agent with this id has on the machine, for people: its links and its table of port mappings. None of it can
/// be seen without root's rights.
///
/// # Errors
/// The kernel does not say.
pub fn remains(agent: &str) -> Result<Vec<String>, NetworkError> {
    if !crate::launcher::is_root() {
        return Ok(Vec::new());
    }
    let mut view = View::open(agent)?;
    let looking = refused("look at the network of an agent");
    let mut found: Vec<String> =
        view.links().map_err(&looking)?.iter().map(|link| format!("link {link}")).collect();
    if view.has_table().map_err(&looking)? {
        found.push(format!("table {}", view.names.table));
    }
    Ok(found)
}

fn refused(what: &'static str) -> impl Fn(Refused) -> NetworkError {
    move |refused| NetworkError::Kernel { what, why: refused.to_string() }
}

/// One agent's things, seen from outside of it.
struct View {
    names: Names,
    route: Socket,
    /// None: the kernel has no tables.
    filter: Option<Socket>,
}

impl View {
    fn open(agent: &str) -> Result<Self, NetworkError> {
        let filter = match Socket::open(libc::NETLINK_NETFILTER) {
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => None,
            opened => Some(opened?),
        };
        Ok(Self { names: Names::of(agent), route: Socket::open(libc::NETLINK_ROUTE)?, filter })
    }

    /// The names of its links.
    fn links(&mut self) -> Result<Vec<String>, Refused> {
        let own = |name: &str| name == self.names.bridge || name.starts_with(&self.names.links);
        let all = links::all(&mut self.route)?;
        Ok(all.into_iter().map(|link| link.name).filter(|name| own(name)).collect())
    }

    fn has_table(&mut self) -> Result<bool, Refused> {
        let Some(filter) = &mut self.filter else { return Ok(false) };
        match nft::exists(filter, &self.names.table) {
            // A kernel with netfilter but without tables does not know the question.
            Err(error) if error.code() == libc::EINVAL => Ok(false),
            answer => answer,
        }
    }

    fn remove_table(&mut self, containers: &[PathBuf]) -> Result<(), Refused> {
        if !self.has_table()? {
            return Ok(());
        }
        let Some(filter) = &mut self.filter else { return Ok(()) };
        nft::remove_table(filter, &self.names.table)?;
        let leases = containers.iter().filter_map(|dir| Lease::read(dir).ok().flatten());
        for mapping in leases.flat_map(|lease| lease.mappings) {
            if mapping.protocol == Protocol::Udp {
                conntrack::forget_udp(filter, mapping.host_port);
            }
        }
        Ok(())
    }
}
