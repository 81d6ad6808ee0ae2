//! What frameworks keep on machines: reservations and persistent volumes. Each that somebody saw and nobody let go of is
//! there, once, for its role alone, on the machine that it was made on.

use crate::world::World;
use hansa_model::framework::{Amount, DiskSource, Offer, Part};
use hansa_model::{AgentId, RoleName};
use hansa_node::KeptVolume;
use std::collections::BTreeMap;

/// One reservation (by its label) or volume (by its id).
#[derive(Clone, Debug)]
struct Thing {
    agent: AgentId,
    role: RoleName,
    /// Somebody has asked for its end.
    let_go: bool,
    /// A task has had it as a directory.
    used: bool,
}

/// All that somebody saw.
#[derive(Debug, Default)]
pub struct Kept {
    things: BTreeMap<String, Thing>,
    /// Whether the store was ever replaced: then machines may keep more than they have until somebody lets go of it.
    restored: bool,
}

impl Kept {
    /// The store was replaced by an older copy: what was made since is lost.
    pub fn forget(&mut self) {
        self.things.clear();
        self.restored = true;
    }
}

/// A name that no other reservation or volume of any framework here has.
fn name_of(part: &Part) -> Option<String> {
    let label = || part.reservations.last()?.labels.first()?.1.clone();
    part.volume.as_ref().map(|volume| volume.id.clone()).or_else(label)
}

impl World {
    /// A framework asks for the end of a reservation or volume.
    pub fn let_go(&mut self, part: &Part) {
        if let Some(thing) = name_of(part).and_then(|name| self.kept.things.get_mut(&name)) {
            thing.let_go = true;
        }
    }

    /// What is kept on a machine is offered, so it is there.
    pub fn kept_is_offered(&mut self, offer: &Offer) {
        for part in &offer.parts {
            if let (Some(name), Some(role)) = (name_of(part), part.role()) {
                self.thing_seen(&name, &offer.agent, role, false);
            }
        }
    }

    fn thing_seen(&mut self, name: &str, agent: &AgentId, role: &RoleName, used: bool) {
        // What only a container shows may be of a launch whose volume was lost with the newer store: nobody promised that.
        let let_go = used && self.kept.restored;
        let new = Thing { agent: agent.clone(), role: role.clone(), let_go, used };
        let thing = self.kept.things.entry(name.to_owned()).or_insert(new);
        thing.used |= used;
        // If it was let go of, that did not arrive.
        thing.let_go &= used;
        if (&thing.agent, &thing.role) != (agent, role) {
            let what = format!(
                "{name} was made on {} for {}, and is seen on {agent} for {role}",
                thing.agent, thing.role
            );
            self.broke(what);
        }
    }

    /// Volumes that a container sees from now on are made on the machine if they are not there.
    pub fn volumes_are_used(&mut self, number: usize, volumes: Vec<KeptVolume>) {
        for volume in volumes {
            let agent = self.machines[number].id.clone();
            self.thing_seen(&volume.id, &agent, &volume.role, true);
            let KeptVolume { role, id, source, .. } = volume;
            if let Some(source @ DiskSource::Mount(_)) = source {
                let other = self.machines[number].mounted.replace((role.clone(), id.clone()));
                if let Some((of, other)) = other.filter(|other| *other != (role.clone(), id.clone())) {
                    self.broke(format!(
                        "the {source} of node{number} is {id} of {role}, and was {other} of {of}"
                    ));
                }
            }
            self.machines[number].volumes.insert((role, id));
        }
    }

    /// An agent removes a volume and what is in it: somebody has asked for that.
    pub fn volume_is_removed(
        &mut self,
        number: usize,
        role: &RoleName,
        id: &str,
        source: Option<&DiskSource>,
    ) {
        let key = (role.clone(), id.to_owned());
        self.machines[number].volumes.remove(&key);
        let mounted = &mut self.machines[number].mounted;
        let other = match source {
            // It may never have been seen by anybody: then nothing is on the disk.
            Some(DiskSource::Mount(_)) => mounted.take().filter(|other| *other != key),
            _ => None,
        };
        if let Some((of, other)) = other {
            self.broke(format!(
                "{id} of {role} is removed from a disk of node{number} that is {other} of {of}"
            ));
        }
        if self.kept.things.get(id).is_some_and(|thing| thing.used && !thing.let_go) {
            self.broke(format!(
                "volume {id} of {role} is removed from node{number}, and nobody asked for it"
            ));
        }
    }

    /// What is reserved twice, or for another role or on another machine than it was made for.
    pub fn kept_is_confused(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        let mut seen: BTreeMap<String, &AgentId> = BTreeMap::new();
        for (agent, parts) in &picture.reserved {
            for part in parts {
                let (Some(name), Some(role)) = (name_of(part), part.role()) else { continue };
                if let Some(other) = seen.insert(name.clone(), agent) {
                    return Some(format!("{name} is on {other} and again on {agent}"));
                }
                let thing = self.kept.things.get(&name);
                if let Some(thing) = thing.filter(|thing| (&thing.agent, &thing.role) != (agent, role)) {
                    let (made_on, made_for) = (&thing.agent, &thing.role);
                    return Some(format!(
                        "{name} was made on {made_on} for {made_for}, and is kept on {agent} for {role}"
                    ));
                }
            }
        }
        None
    }

    /// What machines set apart by their configuration, and is not there, or there twice: whatever was made of it is it.
    pub fn set_apart_is_confused(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        for (agent, kept) in &picture.reserved {
            let machine = &self.machines[self.machine_of(agent)?];
            for part in &machine.parts {
                let origin = part.origin();
                let here = kept.iter().filter(|part| part.origin() == origin);
                let sizes: Vec<&Amount> = here.map(|part| &part.amount).collect();
                let mut sum = Amount::default();
                sizes.iter().for_each(|amount| sum.add(amount));
                let whole = !part.is_whole() || sizes.len() == 1;
                let good = if self.kept.restored {
                    sum.contains(&part.amount).is_ok()
                } else {
                    sum == part.amount && whole
                };
                if !good {
                    return Some(format!("{agent} sets {part:?} apart, and there are {sizes:?}"));
                }
            }
        }
        None
    }

    /// What of machines' disks of their own is offered, and not as it is: a part of one that cannot be divided, or twice.
    pub fn disk_is_divided(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        for (agent, kept) in &picture.reserved {
            let offers = picture.offers.values().filter(|offer| offer.agent == *agent);
            let offered: Vec<&Part> =
                offers.flat_map(|offer| &offer.parts).filter(|part| part.source.is_some()).collect();
            for part in offered.iter().filter(|part| part.is_whole()) {
                let all = kept.iter().find(|other| other.is_like(part));
                let twice = offered.iter().filter(|other| other.is_like(part)).count() > 1;
                if twice || all.is_none_or(|all| all.amount != part.amount) {
                    return Some(format!(
                        "{part:?} of {agent} is offered, twice: {twice}, and there is {all:?}"
                    ));
                }
            }
        }
        None
    }

    /// What was made, and is not there although nobody let go of it.
    pub fn kept_is_lost(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        for (name, thing) in self.kept.things.iter().filter(|(_, thing)| !thing.let_go) {
            let Thing { agent, role, used, .. } = thing;
            let parts = picture.reserved.get(agent).into_iter().flatten();
            if !parts.filter_map(name_of).any(|kept| kept == *name) {
                return Some(format!("{name}, made on {agent} for {role}, is lost"));
            }
            let there = |number: usize| self.machines[number].volumes.iter().any(|(_, id)| id == name);
            if *used && !self.machine_of(agent).is_some_and(there) {
                return Some(format!("the directory of {name}, made on {agent} for {role}, is lost"));
            }
        }
        None
    }
}
