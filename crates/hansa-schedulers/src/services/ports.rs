//! Service ports: numbers that are unique in the cluster, given to those who ask for any.

use hansa_model::app::AppSpec;
use std::collections::BTreeMap;

/// Which service ports are in use, by how many definitions.
#[derive(Debug, Default)]
pub(super) struct Ports {
    used: BTreeMap<u16, u32>,
    next: u16,
}

impl Ports {
    /// An app's definition is in force.
    pub fn add(&mut self, spec: &AppSpec) {
        for port in &spec.ports {
            if port.port != 0 {
                *self.used.entry(port.port).or_default() += 1;
            }
        }
    }

    /// An app's definition that was in force is not any more.
    pub fn remove(&mut self, spec: &AppSpec) {
        for port in &spec.ports {
            if let Some(count) = self.used.get_mut(&port.port) {
                *count -= 1;
                if *count == 0 {
                    self.used.remove(&port.port);
                }
            }
        }
    }

    /// Replaces each 0 by the port that the app had at the same index, or by one that nobody uses. `taken` are ports
    /// that others were given in the same change.
    pub fn fill(
        &mut self,
        spec: &mut AppSpec,
        before: Option<&AppSpec>,
        (min, max): (u16, u16),
        taken: &mut Vec<u16>,
    ) -> Result<(), String> {
        let own: Vec<u16> = spec.ports.iter().map(|port| port.port).filter(|port| *port != 0).collect();
        for index in 0..spec.ports.len() {
            if spec.ports[index].port != 0 {
                continue;
            }
            let kept = before
                .and_then(|before| before.ports.get(index))
                .map(|port| port.port)
                .filter(|port| *port != 0 && !own.contains(port) && !taken.contains(port));
            let port = match kept {
                Some(port) => port,
                None => self
                    .free((min, max), |port| own.contains(&port) || taken.contains(&port))
                    .ok_or_else(|| format!("All service ports from {min} to {max} are already in use"))?,
            };
            taken.push(port);
            spec.ports[index].port = port;
        }
        Ok(())
    }

    /// The next free port after the one given out last.
    fn free(&mut self, (min, max): (u16, u16), taken: impl Fn(u16) -> bool) -> Option<u16> {
        if min > max {
            return None;
        }
        let start = self.next.clamp(min, max);
        let port = (start..=max)
            .chain(min..start)
            .find(|port| *port != 0 && !self.used.contains_key(port) && !taken(*port))?;
        self.next = port.saturating_add(1);
        Some(port)
    }

    /// Whether exactly these definitions are counted; for checks.
    pub fn are_those_of<'a>(&self, specs: impl Iterator<Item = &'a AppSpec>) -> bool {
        let mut recount = Ports::default();
        specs.for_each(|spec| recount.add(spec));
        recount.used == self.used
    }
}
