//! Offers: leases of idle resources, one book-keeper with claims.
//!
//! What is idle on a machine is what is free there, in the machine's book and in its pots, and not offered. Offered
//! resources stay free in the books, so that placement sees them: an offer is a promise, not a use. A claim may take them,
//! rescinding the offer in the same step, if its role is guaranteed what it claims or its weighted share is below that of
//! the offer's role (which counts what is offered to it). An offer ends when its lease does, when its framework answers or
//! goes away, when its machine takes no more work, or when somebody else needs it.

use super::seam::idle;
use crate::book::Book;
use crate::roles::Roles;
use crate::{Kernel, Step, Timer};
use hansa_model::event::{Event, OfferEnd};
use hansa_model::framework::{Amount, FrameworkEvent, Offer, OfferFilter, Part, parts};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::Rejection;
use hansa_model::{AgentId, Allocation, FrameworkId, OfferId, RoleName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A framework that lets an offer run out is not offered the like again for so long; the time doubles with each that it
/// lets run out in a row.
const HOARDED_MS: u64 = 30_000;
/// Until it is as long as this.
const HOARDED_AT_MOST_MS: u64 = 600_000;

/// Outstanding offers.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    by_number: BTreeMap<u64, Arc<Offer>>,
    by_agent: BTreeMap<AgentId, BTreeSet<u64>>,
    last: u64,
}

impl Offers {
    /// One.
    pub fn get(&self, number: u64) -> Option<&Arc<Offer>> {
        self.by_number.get(&number)
    }

    /// Those of one machine, by number.
    pub fn on(&self, agent: &AgentId) -> impl Iterator<Item = (u64, &Arc<Offer>)> {
        let numbers = self.by_agent.get(agent).into_iter().flatten();
        numbers.filter_map(|&number| Some((number, self.by_number.get(&number)?)))
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Offer>)> {
        self.by_number.iter().map(|(&number, offer)| (number, offer))
    }

    fn insert(&mut self, number: u64, offer: Arc<Offer>) {
        self.by_agent.entry(offer.agent.clone()).or_default().insert(number);
        self.by_number.insert(number, offer);
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Offer>> {
        let offer = self.by_number.remove(&number)?;
        if let Some(numbers) = self.by_agent.get_mut(&offer.agent) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_agent.remove(&offer.agent);
            }
        }
        Some(offer)
    }
}

impl Kernel {
    /// Makes an offer, if it can be held.
    pub(crate) fn make_offer(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        role: RoleName,
        agent: &AgentId,
        parts: Vec<Part>,
    ) -> Option<Arc<Offer>> {
        let idle = idle(self.agents.get(agent)?, self.book.cluster().node(agent)?, &self.frameworks.offers);
        parts::contain(&idle, &parts).ok()?;
        self.frameworks.get(id)?.stream?;
        let hello = &self.agents.get(agent)?.hello;
        self.frameworks.offers.last += 1;
        let number = self.frameworks.offers.last;
        let offer = Arc::new(Offer {
            id: OfferId::from(format!("{}-O{number}", self.settings.leadership)),
            framework: id.clone(),
            role,
            agent: agent.clone(),
            hostname: self.agents.get(agent)?.hostname.clone(),
            address: hello.address.clone(),
            parts,
            attributes: hello.attributes.clone(),
            region: hello.region.clone(),
            zone: hello.zone.clone(),
            executors: self.executor_ids(id, agent),
            expires_at: step.now + self.settings.offer_timeout_ms,
        });
        self.timers.insert((offer.expires_at, Timer::Offer(number)));
        self.frameworks.get_mut(id)?.offers.insert(number);
        self.frameworks.offers.insert(number, offer.clone());
        step.event(Event::Offer(offer.clone()));
        Some(offer)
    }

    /// The number of an outstanding offer.
    pub(crate) fn number_of_offer(&self, offer: &OfferId) -> Option<u64> {
        let number = offer.as_str().strip_prefix(self.settings.leadership.as_str())?.strip_prefix("-O")?;
        let number = number.parse().ok()?;
        (self.frameworks.offers.get(number)?.id == *offer).then_some(number)
    }

    /// The number of a framework's outstanding offer.
    pub(crate) fn find_offer(&self, id: &FrameworkId, offer: &OfferId) -> Option<u64> {
        let number = self.number_of_offer(offer)?;
        (self.frameworks.offers.get(number)?.framework == *id).then_some(number)
    }

    /// An offer holds no longer; its framework is told if it did not do that itself.
    pub(crate) fn end_offer(&mut self, step: &mut Step, number: u64, why: OfferEnd) -> Option<Arc<Offer>> {
        let offer = self.frameworks.offers.remove(number)?;
        self.timers.remove(&(offer.expires_at, Timer::Offer(number)));
        if let Some(framework) = self.frameworks.get_mut(&offer.framework) {
            framework.offers.remove(&number);
        }
        step.event(Event::OfferEnded { id: offer.id.clone(), why });
        if matches!(why, OfferEnd::Rescinded | OfferEnd::Expired) && !planted(Bug::OfferEndNotTold) {
            self.tell(step, &offer.framework, FrameworkEvent::Rescind(offer.id.clone()));
        }
        self.allocator_offer_ended(&offer);
        self.book.touch(&offer.agent);
        Some(offer)
    }

    /// All offers of a framework end.
    pub(crate) fn end_offers_of(&mut self, step: &mut Step, id: &FrameworkId, why: OfferEnd) {
        let numbers = self.frameworks.get(id).map(|framework| framework.offers.clone()).unwrap_or_default();
        for number in numbers {
            self.end_offer(step, number, why);
        }
    }

    /// Nothing of a machine may be offered any more.
    pub(crate) fn rescind_on(&mut self, step: &mut Step, agent: &AgentId) {
        let numbers: Vec<u64> = self.frameworks.offers.on(agent).map(|(number, _)| number).collect();
        for number in numbers {
            self.end_offer(step, number, OfferEnd::Rescinded);
        }
    }

    /// A framework let an offer run out.
    pub(crate) fn offer_ran_out(&mut self, step: &mut Step, number: u64) {
        let Some(offer) = self.end_offer(step, number, OfferEnd::Expired) else { return };
        let Some(framework) = self.frameworks.get_mut(&offer.framework) else { return };
        let refuse_ms = HOARDED_MS.saturating_mul(1 << framework.hoarded.min(16)).min(HOARDED_AT_MOST_MS);
        framework.hoarded += 1;
        self.allocator_refuse(step.now, &offer.framework, &offer.role, &offer.agent, &offer.parts, refuse_ms);
    }

    /// A framework gives offers back. Those that have ended meanwhile are no error.
    pub(crate) fn decline(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        offers: &[OfferId],
        filter: OfferFilter,
    ) {
        self.answered_offers(id);
        for offer in offers {
            let Some(number) = self.find_offer(id, offer) else { continue };
            if let Some(offer) = self.end_offer(step, number, OfferEnd::Declined) {
                self.allocator_refuse(
                    step.now,
                    id,
                    &offer.role,
                    &offer.agent,
                    &offer.parts,
                    filter.refuse_ms,
                );
            }
        }
    }

    /// A framework answers its offers: it is no hoarder.
    pub(crate) fn answered_offers(&mut self, id: &FrameworkId) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.hoarded = 0;
        }
    }

    /// A framework forgets its filters in these roles (none are named: in all), and wants offers there again.
    pub(crate) fn revive(&mut self, step: &mut Step, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if !roles.is_subset(&framework.info.roles) {
            return;
        }
        let roles = if roles.is_empty() { framework.info.roles.clone() } else { roles.clone() };
        framework.suppressed.retain(|role| !roles.contains(role));
        framework.hoarded = 0;
        self.allocator_revive(id, &roles);
        self.show_framework(step, id);
    }

    /// A framework wants no offers in these roles (none are named: in all) until it says otherwise.
    pub(crate) fn suppress(&mut self, step: &mut Step, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if !roles.is_subset(&framework.info.roles) {
            return;
        }
        let roles = if roles.is_empty() { framework.info.roles.clone() } else { roles.clone() };
        framework.suppressed.extend(roles.iter().cloned());
        self.allocator_suppress(id, &roles);
        self.show_framework(step, id);
    }

    /// See [`offers_in_the_way`].
    pub(crate) fn offers_in_the_way(
        &self,
        agent: &AgentId,
        role: &RoleName,
        allocation: &Allocation,
    ) -> Result<Vec<u64>, Rejection> {
        let offers = self.frameworks.offers.on(agent).collect();
        offers_in_the_way(offers, &self.book, &self.roles, agent, role, allocation)
    }
}

/// The offers on a machine that a claim, which fits into what is free, has to take from; those of the roles with the
/// highest shares first. Refused if some of them are of roles that are better entitled.
pub(crate) fn offers_in_the_way(
    mut offers: Vec<(u64, &Arc<Offer>)>,
    book: &Book,
    roles: &Roles,
    agent: &AgentId,
    role: &RoleName,
    allocation: &Allocation,
) -> Result<Vec<u64>, Rejection> {
    let Some(node) = book.cluster().node(agent).filter(|_| !offers.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut free = node.free.clone();
    if free.take(allocation).is_err() {
        return Ok(Vec::new());
    }
    let left = Amount::offerable(&free);
    let fits = |offers: &[(u64, &Arc<Offer>)]| {
        left.contains(&open_of(offers.iter().map(|(_, offer)| *offer))).is_ok()
    };
    if fits(&offers) {
        return Ok(Vec::new());
    }
    let capacity = book.capacity();
    let share_of = |role: &RoleName| {
        let at = roles.tree().find(role.as_str());
        at.map_or(0, |at| roles.share_at(at, capacity))
    };
    let guaranteed = roles.is_guaranteed(role, allocation);
    offers.retain(|(_, offer)| offer.parts.iter().any(Part::is_open));
    offers.sort_by_cached_key(|(number, offer)| (share_of(&offer.role), std::cmp::Reverse(*number)));
    let mut rescinded = Vec::new();
    while let Some((number, offer)) = offers.pop() {
        if !guaranteed && roles.compare(role, &offer.role, capacity).is_ge() {
            return Err(Rejection::Offered { framework: offer.framework.clone(), role: offer.role.clone() });
        }
        rescinded.push(number);
        if fits(&offers) {
            break;
        }
    }
    Ok(rescinded)
}

/// What of these offers is neither reserved nor on a disk of its own.
pub(crate) fn open_of<'a>(offers: impl Iterator<Item = &'a Arc<Offer>>) -> Amount {
    let mut sum = Amount::default();
    for part in offers.flat_map(|offer| &offer.parts).filter(|part| part.is_open()) {
        sum.add(&part.amount);
    }
    sum
}
