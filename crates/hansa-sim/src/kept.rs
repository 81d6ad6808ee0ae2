//! What frameworks keep on machines: reservations and persistent volumes. Each that somebody saw and nobody let go of is
//! there, once, for its role alone, on the machine that it was made on.

use crate::world::World;
use hansa_model::framework::{Offer, Part};
use hansa_model::{AgentId, RoleName};
use hansa_node::ShimPlan;
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
}

impl Kept {
    /// The store was replaced by an older copy: what was made since is lost.
    pub fn forget(&mut self) {
        self.things.clear();
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
        let new = Thing { agent: agent.clone(), role: role.clone(), let_go: false, used };
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

    /// A container starts: volumes that it sees are made on the machine if they are not there.
    pub fn volumes_are_used(&mut self, number: usize, plan: &ShimPlan) {
        let around = plan.inside.iter().flat_map(|inside| &inside.volumes);
        let volumes: Vec<_> = plan.volumes.iter().chain(around).cloned().collect();
        for volume in volumes {
            let agent = self.machines[number].id.clone();
            self.thing_seen(&volume.id, &agent, &volume.role, true);
            self.machines[number].volumes.insert((volume.role, volume.id));
        }
    }

    /// An agent removes a volume and what is in it: somebody has asked for that.
    pub fn volume_is_removed(&mut self, number: usize, role: &RoleName, id: &str) {
        self.machines[number].volumes.remove(&(role.clone(), id.to_owned()));
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
