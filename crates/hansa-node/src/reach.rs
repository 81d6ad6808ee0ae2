//! What a probe may reach of a task, and at which address.

use hansa_model::app::CheckPort;
use hansa_model::container::NetworkSpec;

/// What a check may reach of a task.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// The task's network.
    pub network: &'a NetworkSpec,
    /// The machine's ports that are the task's.
    pub ports: &'a [u16],
    /// The machine's address.
    pub machine: &'a str,
    /// The task's own address, if it has one.
    pub own: Option<&'a str>,
}

impl Reach<'_> {
    /// IP address and port. `from_within`: as somebody in the task's own network would ask, else as somebody on another
    /// machine would.
    ///
    /// # Errors
    /// There is no such address, in words.
    pub fn address(self, port: CheckPort, from_within: bool, ipv6: bool) -> Result<(String, u16), String> {
        let no_port = |index: u16| format!("the task has no port with index {index}");
        match self.network {
            NetworkSpec::Host => {
                let host = match (from_within, ipv6) {
                    (_, true) => "::1",
                    (true, false) => "127.0.0.1",
                    (false, false) => self.machine,
                };
                let port = match port {
                    CheckPort::Number(port) => port,
                    CheckPort::Index(index) => {
                        *self.ports.get(usize::from(index)).ok_or_else(|| no_port(index))?
                    }
                };
                Ok((host.to_owned(), port))
            }
            NetworkSpec::None => {
                Err("the container has no network that it could be asked by: use a check by command".into())
            }
            NetworkSpec::Bridge { .. } if ipv6 => {
                Err("the container has no IPv6 address: bridge networks are IPv4".into())
            }
            NetworkSpec::Bridge { mappings } => {
                let own = || self.own.map(str::to_owned).ok_or("the container has no address");
                let index = match port {
                    CheckPort::Number(port) if from_within => return Ok((own()?, port)),
                    CheckPort::Number(port) => return Ok((self.machine.to_owned(), port)),
                    CheckPort::Index(index) => index,
                };
                let mapping = mappings.get(usize::from(index)).ok_or_else(|| no_port(index))?;
                match mapping.allocated(self.ports).filter(|_| !from_within) {
                    Some(port) => Ok((self.machine.to_owned(), port)),
                    None => Ok((own()?, mapping.container_port(self.ports).ok_or_else(|| no_port(index))?)),
                }
            }
        }
    }
}
