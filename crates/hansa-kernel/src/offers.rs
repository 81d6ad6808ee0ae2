//! Offers: leases of idle resources, one book-keeper with claims.
//!
//! An offer is what was free and not offered on one machine. Offered resources stay free in the cluster's book, so that
//! placement sees them: an offer is a promise, not a use. A claim may take them, rescinding the offer in the same step,
//! if its role is guaranteed what it claims or its weighted share is below that of the offer's role (which counts what is
//! offered to it). An offer ends when its lease does, when it is declined, or when its machine takes no more work.
//!
//! Not here yet: subscribed frameworks, accepting, filters.

use crate::book::plus;
use crate::command::Refusal;
use crate::{Kernel, Step, Timer};
use hansa_model::event::AgentState;
use hansa_model::role::Totals;
use hansa_model::scheduler::{Answer, Rejection};
use hansa_model::{AgentId, Allocation, Owner, Resources, RoleName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// One offer, never used twice within a leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(pub u64);

/// What a framework is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// To whom.
    pub framework: Owner,
    /// The role that would pay.
    pub role: RoleName,
    /// Where.
    pub agent: AgentId,
    /// What.
    pub resources: Resources,
    /// Until when.
    pub expires_at: Timestamp,
}

/// News about offers, for the frameworks.
#[derive(Clone, Debug, PartialEq)]
pub enum OfferNews {
    /// Made.
    Made(Offer),
    /// It holds no longer: its lease ended, or somebody else needs it.
    Rescinded(Offer),
}

/// Outstanding offers.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    by_id: BTreeMap<OfferId, Offer>,
    by_agent: BTreeMap<AgentId, BTreeSet<OfferId>>,
    last: u64,
}

impl Offers {
    /// Those of one machine, by id.
    pub fn on(&self, agent: &AgentId) -> impl Iterator<Item = &Offer> {
        self.by_agent.get(agent).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_id.values()
    }

    /// What is offered to a role in all.
    pub fn offered_to(&self, role: &RoleName) -> Totals {
        self.by_id
            .values()
            .filter(|offer| offer.role == *role)
            .fold(Totals::default(), |sum, offer| plus(sum, Totals::of(&offer.resources)))
    }

    fn insert(&mut self, offer: Offer) {
        self.by_agent.entry(offer.agent.clone()).or_default().insert(offer.id);
        self.by_id.insert(offer.id, offer);
    }

    fn remove(&mut self, id: OfferId) -> Option<Offer> {
        let offer = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_agent.get_mut(&offer.agent) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_agent.remove(&offer.agent);
            }
        }
        Some(offer)
    }
}

impl Kernel {
    /// The role that idle resources are offered to next: of those with unmet demand, the one with the lowest weighted
    /// share, counting what is offered to it already.
    pub fn next_role(&self) -> Option<&RoleName> {
        let capacity = self.book.capacity();
        self.roles
            .iter()
            .filter(|state| !state.demand.is_empty())
            .map(|state| &state.role.name)
            .min_by_key(|name| (self.roles.share_with(name, self.offers.offered_to(name), capacity), *name))
    }

    /// Offers all that is free on a machine, and not offered yet, to a framework.
    pub(crate) fn offer(
        &mut self,
        step: &mut Step,
        framework: Owner,
        role: RoleName,
        id: &AgentId,
        lease_ms: u64,
    ) -> Result<Answer, Refusal> {
        let node = self.book.cluster().node(id).ok_or_else(|| Refusal::UnknownAgent(id.clone()))?;
        if node.state != AgentState::Active {
            return Err(Refusal::Invalid(format!("agent {id} takes no new work")));
        }
        let resources = left(&node.free, self.offers.on(id));
        if Totals::of(&resources) == Totals::default() {
            return Err(Refusal::Invalid(format!("nothing is left to offer on agent {id}")));
        }
        self.offers.last += 1;
        let offer = Offer {
            id: OfferId(self.offers.last),
            framework,
            role,
            agent: id.clone(),
            resources,
            expires_at: step.now + lease_ms,
        };
        self.timers.insert((offer.expires_at, Timer::Offer(offer.id)));
        self.offers.insert(offer.clone());
        step.offer(OfferNews::Made(offer));
        Ok(Answer::Done)
    }

    /// A framework gives an offer back. One that has ended meanwhile is no error.
    pub(crate) fn decline(&mut self, framework: &Owner, id: OfferId) -> Result<Answer, Refusal> {
        if self.offers.by_id.get(&id).is_some_and(|offer| offer.framework == *framework) {
            self.end_offer(id);
        }
        Ok(Answer::Done)
    }

    /// An offer holds no longer.
    pub(crate) fn rescind(&mut self, step: &mut Step, id: OfferId) {
        if let Some(offer) = self.end_offer(id) {
            step.offer(OfferNews::Rescinded(offer));
        }
    }

    /// Nothing of a machine may be offered any more.
    pub(crate) fn rescind_on(&mut self, step: &mut Step, agent: &AgentId) {
        let ids: Vec<OfferId> = self.offers.on(agent).map(|offer| offer.id).collect();
        for id in ids {
            self.rescind(step, id);
        }
    }

    fn end_offer(&mut self, id: OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        self.timers.remove(&(offer.expires_at, Timer::Offer(id)));
        Some(offer)
    }

    /// The offers on a machine that a claim, which fits into what is free, has to take from; those of the roles with the
    /// highest shares first. Refused if some of them are of roles that are better entitled.
    pub(crate) fn offers_in_the_way(
        &self,
        agent: &AgentId,
        role: &RoleName,
        allocation: &Allocation,
    ) -> Result<Vec<OfferId>, Rejection> {
        let Some(node) = self.book.cluster().node(agent) else { return Ok(Vec::new()) };
        let mut offers: Vec<&Offer> = self.offers.on(agent).collect();
        if offers.is_empty() || left(&node.free, offers.iter().copied()).contains(allocation).is_ok() {
            return Ok(Vec::new());
        }
        let capacity = self.book.capacity();
        let share_of = |role: &RoleName| self.roles.share_with(role, self.offers.offered_to(role), capacity);
        let guaranteed = self.roles.is_guaranteed(role, allocation);
        let own = share_of(role);
        offers.sort_by_cached_key(|offer| (share_of(&offer.role), std::cmp::Reverse(offer.id)));
        let mut rescinded = Vec::new();
        while let Some(offer) = offers.pop() {
            if !guaranteed && own >= share_of(&offer.role) {
                break;
            }
            rescinded.push(offer.id);
            if left(&node.free, offers.iter().copied()).contains(allocation).is_ok() {
                return Ok(rescinded);
            }
        }
        Err(Rejection::Offered)
    }
}

/// What is left of `free` besides the offers.
pub(crate) fn left<'a>(free: &Resources, offers: impl Iterator<Item = &'a Offer>) -> Resources {
    let mut left = free.clone();
    for offer in offers {
        let offered = &offer.resources;
        left.cpus_milli = left.cpus_milli.saturating_sub(offered.cpus_milli);
        left.mem = left.mem.saturating_sub(offered.mem);
        left.disk = left.disk.saturating_sub(offered.disk);
        for (left, offered) in left.gpus.iter_mut().zip(&offered.gpus) {
            *left = left.saturating_sub(*offered);
        }
        for port in offered.ports.iter() {
            left.ports.remove(port);
        }
    }
    left
}
