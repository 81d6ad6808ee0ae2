//! Stands in for the allocator until that is there: whoever wants offers gets what is idle, the one with the least first.

use crate::book::{minus, plus};
use crate::roles::Roles;
use hansa_model::framework::{FrameworkInfo, OfferConstraints, Part, parts};
use hansa_model::role::Totals;
use hansa_model::{AgentId, FrameworkId, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub(crate) struct Taker {
    roles: BTreeSet<RoleName>,
    suppressed: BTreeSet<RoleName>,
}

impl Taker {
    pub fn of(info: &FrameworkInfo, suppressed: BTreeSet<RoleName>, _: OfferConstraints) -> Self {
        Self { roles: info.roles.clone(), suppressed }
    }
}

#[derive(Clone, Debug)]
#[allow(dead_code)]
pub(crate) struct Idle<'a> {
    pub parts: Vec<Part>,
    pub attributes: &'a BTreeMap<String, String>,
    pub hostname: &'a str,
    pub region: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub has_gpus: bool,
    pub rank: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub framework: FrameworkId,
    pub role: RoleName,
    pub agent: AgentId,
    pub parts: Vec<Part>,
}

type Seat = (FrameworkId, RoleName);

#[derive(Debug, Default)]
pub(crate) struct Allocator {
    takers: BTreeMap<FrameworkId, (Taker, bool)>,
    booked: BTreeMap<Seat, Totals>,
    refused: BTreeMap<(Seat, AgentId), (Timestamp, Vec<Part>)>,
    machines: BTreeSet<AgentId>,
}

impl Allocator {
    pub fn put(&mut self, id: &FrameworkId, taker: Taker) {
        self.takers.insert(id.clone(), (taker, true));
    }

    pub fn deactivate(&mut self, id: &FrameworkId) {
        if let Some(taker) = self.takers.get_mut(id) {
            taker.1 = false;
        }
        self.refused.retain(|((framework, _), _), _| framework != id);
    }

    pub fn remove(&mut self, id: &FrameworkId) {
        self.takers.remove(id);
        self.refused.retain(|((framework, _), _), _| framework != id);
    }

    pub fn book(&mut self, id: &FrameworkId, role: &RoleName, totals: Totals) {
        let booked = self.booked.entry((id.clone(), role.clone())).or_default();
        *booked = plus(*booked, totals);
    }

    pub fn unbook(&mut self, id: &FrameworkId, role: &RoleName, totals: Totals) {
        let booked = self.booked.entry((id.clone(), role.clone())).or_default();
        *booked = minus(*booked, totals);
    }

    pub fn refuse(
        &mut self,
        now: Timestamp,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        refused: Vec<Part>,
        refuse_ms: u64,
    ) {
        let key = ((id.clone(), role.clone()), agent.clone());
        self.refused.insert(key, (now + refuse_ms.max(1000), refused));
    }

    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        if let Some((taker, _)) = self.takers.get_mut(id) {
            taker.suppressed.retain(|role| !roles.contains(role));
        }
        self.refused.retain(|((framework, role), _), _| framework != id || !roles.contains(role));
    }

    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        if let Some((taker, _)) = self.takers.get_mut(id) {
            taker.suppressed.extend(roles.iter().cloned());
        }
    }

    pub fn machine_changed(&mut self, agent: &AgentId) {
        self.machines.insert(agent.clone());
    }

    pub fn machine_removed(&mut self, agent: &AgentId) {
        self.machines.remove(agent);
        self.refused.retain(|(_, other), _| other != agent);
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.refused.values().map(|(at, _)| *at).min()
    }

    pub fn propose<'m>(
        &mut self,
        now: Timestamp,
        roles: &mut Roles,
        _: Totals,
        _: Totals,
        machine: impl Fn(&AgentId) -> Option<Idle<'m>>,
    ) -> Vec<Proposal> {
        self.refused.retain(|_, (at, _)| *at > now);
        let mut proposals = Vec::new();
        for agent in self.machines.clone() {
            let Some(mut left) = machine(&agent).map(|idle| idle.parts) else { continue };
            let mut seats: Vec<(u64, Seat)> = Vec::new();
            for (id, (taker, active)) in self.takers.iter().filter(|(_, (_, active))| *active) {
                assert!(active);
                for role in taker.roles.difference(&taker.suppressed) {
                    let seat = (id.clone(), role.clone());
                    seats.push((self.booked.get(&seat).map_or(0, |booked| booked.cpus_milli), seat));
                }
            }
            seats.sort();
            for (_, seat) in seats {
                let mine = |part: &&Part| part.role().is_none_or(|role| *role == seat.1);
                let parts: Vec<Part> = left.iter().filter(mine).cloned().collect();
                let refused = self.refused.get(&(seat.clone(), agent.clone()));
                let worth = parts::sum(&parts);
                if (worth.cpus_milli < 10 && worth.mem < 32 << 20)
                    || refused.is_some_and(|(_, refused)| parts::contain(refused, &parts).is_ok())
                {
                    continue;
                }
                left.retain(|part| !parts.contains(part));
                self.book(&seat.0, &seat.1, worth.totals());
                roles.offer(&seat.1, &parts);
                proposals.push(Proposal { framework: seat.0, role: seat.1, agent: agent.clone(), parts });
            }
        }
        proposals
    }
}
