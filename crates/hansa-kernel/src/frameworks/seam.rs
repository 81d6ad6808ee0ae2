//! Between the books and the allocator: it is told what changes, and what it proposes becomes offers.

use super::{Framework, Held, Offers};
use crate::agents::Agent;
use crate::allocator::{Idle, Outstanding, Proposal, Taker};
use crate::{Kernel, Step};
use hansa_model::event::{AgentState, OfferEnd};
use hansa_model::framework::{Amount, FrameworkEvent, FrameworkExplanation, Offer, Part, parts};
use hansa_model::planted::{Bug, planted};
use hansa_model::{AgentId, FrameworkId, RoleName, Timestamp};
use hansa_placement::{Cluster, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Kernel {
    /// A framework takes offers, as it says.
    pub(super) fn allocator_put(&mut self, id: &FrameworkId) {
        let Some(Framework { info, suppressed, constraints, .. }) = self.frameworks.get(id) else { return };
        self.allocator.put(id, Taker::of(info, suppressed.clone(), constraints.clone()));
        self.book.watch();
    }

    /// A framework takes no offers until it is put again.
    pub(super) fn allocator_deactivate(&mut self, id: &FrameworkId) {
        self.allocator.deactivate(id);
    }

    /// A framework is known from the store or from agents only.
    pub(super) fn allocator_recover(&mut self, id: &FrameworkId) {
        self.allocator_put(id);
        self.allocator_deactivate(id);
    }

    /// A framework is gone for good.
    pub(super) fn allocator_remove(&mut self, id: &FrameworkId) {
        self.allocator.remove(id);
    }

    /// A framework refused these parts of a machine.
    pub(super) fn allocator_refuse(
        &mut self,
        now: Timestamp,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        parts: &[Part],
        refuse_ms: u64,
    ) {
        self.allocator.refuse(now, id, role, agent, parts.to_vec(), refuse_ms);
    }

    /// A framework took something of what it was offered, and refused the rest.
    pub(super) fn allocator_refuse_rest(
        &mut self,
        now: Timestamp,
        id: &FrameworkId,
        role: &RoleName,
        agent: &AgentId,
        parts: Vec<Part>,
        refuse_ms: u64,
    ) {
        self.allocator.refuse_rest(now, id, role, agent, parts, refuse_ms);
    }

    /// A framework wants offers again.
    pub(super) fn allocator_revive(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        self.allocator.revive(id, roles);
    }

    /// A framework wants no more offers.
    pub(super) fn allocator_suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<RoleName>) {
        self.allocator.suppress(id, roles);
    }

    /// What was booked for an offer, when it was proposed, is not any more.
    pub(super) fn allocator_offer_ended(&mut self, offer: &Offer) {
        self.unbook_offer(&offer.framework, &offer.role, &offer.parts);
    }

    fn unbook_offer(&mut self, id: &FrameworkId, role: &RoleName, parts: &[Part]) {
        self.allocator.unbook(id, role, parts::sum(parts).totals());
        self.roles.unoffer(role, parts);
    }

    /// The role that pays, and the framework, are charged with what somebody has. The role's name, as all share it.
    pub(super) fn charge(&mut self, id: &FrameworkId, role: &RoleName, held: &Held) -> RoleName {
        let parts = held.parts();
        self.allocator.book(id, role, parts::sum(&parts).totals());
        self.roles.add_parts(role, &parts)
    }

    /// And no longer.
    pub(super) fn discharge(&mut self, id: &FrameworkId, role: &RoleName, held: &Held) {
        let parts = held.parts();
        self.allocator.unbook(id, role, parts::sum(&parts).totals());
        self.roles.subtract_parts(role, &parts);
    }

    /// At the end of a step: whatever became idle goes out in offers, one event for each framework.
    pub(crate) fn offer_what_is_idle(&mut self, step: &mut Step) {
        for id in self.book.take_touched() {
            match self.agents.contains_key(&id) {
                true => self.allocator.machine_changed(&id),
                false => self.allocator.machine_removed(&id),
            }
        }
        if self.frameworks.is_empty() {
            return;
        }
        let (capacity, free) = (self.book.capacity(), self.book.free());
        let view =
            View { agents: &self.agents, cluster: self.book.cluster(), offers: &self.frameworks.offers };
        let timeout_ms = self.settings.offer_timeout_ms;
        let all = || view.offers.iter().map(|(_, offer)| outstanding(offer, timeout_ms)).collect();
        let machine = |id: &AgentId| view.idle(id);
        let back = self.allocator.to_rescind(step.now, &mut self.roles, capacity, free, all, machine);
        for id in back {
            if let Some(number) = self.number_of_offer(&id)
                && let Some(offer) = self.end_offer(step, number, OfferEnd::Rescinded)
            {
                self.allocator.machine_changed(&offer.agent);
            }
        }
        let view =
            View { agents: &self.agents, cluster: self.book.cluster(), offers: &self.frameworks.offers };
        let machine = |id: &AgentId| view.idle(id);
        let proposals = self.allocator.propose(step.now, &mut self.roles, capacity, free, machine);
        let mut made: BTreeMap<FrameworkId, Vec<Arc<Offer>>> = BTreeMap::new();
        for Proposal { framework, role, agent, parts } in proposals {
            match self.make_offer(step, &framework, role.clone(), &agent, parts.clone()) {
                Some(offer) => made.entry(framework).or_default().push(offer),
                None => self.unbook_offer(&framework, &role, &parts),
            }
        }
        for (id, offers) in made {
            self.tell(step, &id, FrameworkEvent::Offers(offers));
        }
    }
}

impl Kernel {
    /// Whether anything is offered to anybody, for invariant checks.
    pub fn has_offers(&self) -> bool {
        self.frameworks.offers.iter().next().is_some()
    }

    /// How many refusals of frameworks hold now, by role. Kept count of: looks at every seat, and at no machine.
    pub fn filters_in_force(&self) -> BTreeMap<RoleName, u64> {
        self.allocator.filters_in_force()
    }

    /// Why a framework is offered what it is offered, or nothing; None: it is not known. Looks at every idle machine.
    pub fn explain_framework(&self, id: &FrameworkId) -> Option<FrameworkExplanation> {
        let (capacity, free) = (self.book.capacity(), self.book.free());
        let view =
            View { agents: &self.agents, cluster: self.book.cluster(), offers: &self.frameworks.offers };
        self.allocator.explain(id, self.now, &self.roles, capacity, free, |agent| view.idle(agent))
    }
}

/// The books, as far as the allocator looks into them.
struct View<'a> {
    agents: &'a BTreeMap<AgentId, Agent>,
    cluster: &'a Cluster,
    offers: &'a Offers,
}

impl<'a> View<'a> {
    /// A machine that takes work.
    fn idle(&self, id: &AgentId) -> Option<Idle<'a>> {
        let (agent, node) = (self.agents.get(id)?, self.cluster.node(id)?);
        (node.state == AgentState::Active).then(|| Idle {
            parts: idle(agent, node, self.offers),
            attributes: &agent.hello.attributes,
            hostname: &agent.hostname,
            region: agent.hello.region.as_deref(),
            zone: agent.hello.zone.as_deref(),
            has_gpus: !agent.hello.resources.gpus.is_empty(),
            rank: self.cluster.rank(id),
        })
    }
}

/// An offer as the allocator sees it; all have had the same time.
fn outstanding(offer: &Arc<Offer>, timeout_ms: u64) -> Outstanding<'_> {
    Outstanding {
        id: &offer.id,
        framework: &offer.framework,
        role: &offer.role,
        agent: &offer.agent,
        parts: &offer.parts,
        made_at: Timestamp(offer.expires_at.0.saturating_sub(timeout_ms)),
    }
}

/// What could be offered of a machine now.
pub(super) fn idle(agent: &Agent, node: &Node, offers: &Offers) -> Vec<Part> {
    let mut idle = free(agent, node);
    let offers = offers.on(&node.id).filter(|_| !planted(Bug::OfferedTwice));
    for part in offers.flat_map(|(_, offer)| &offer.parts) {
        if let Some(from) = idle.iter_mut().find(|other| other.is_like(part)) {
            from.amount = from.amount.without(&part.amount);
        }
    }
    idle.retain(|part| !part.amount.is_empty());
    idle
}

/// What could be offered of a machine if nothing were offered. Nothing, if it takes no work or holds more than it has.
fn free(agent: &Agent, node: &Node) -> Vec<Part> {
    if node.state != AgentState::Active || agent.overcommitted {
        return Vec::new();
    }
    let open = Part::unreserved(Amount::offerable(&node.free));
    std::iter::once(open).filter(|part| !part.amount.is_empty()).chain(agent.pots.free()).collect()
}
