//! Offers that stand, and what they come to: whose, for which role and how much is kept count of as they come and go, so
//! that nobody goes through all of them to know.

use hansa_model::framework::{Offer, parts};
use hansa_model::role::Totals;
use hansa_model::{AgentId, FrameworkId, OfferId, RoleName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is offered for a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    offers: u64,
    totals: Totals,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Offers {
    by_id: BTreeMap<OfferId, Arc<Offer>>,
    by_framework: BTreeMap<FrameworkId, BTreeSet<OfferId>>,
    by_role: BTreeMap<RoleName, Sum>,
    sum: Totals,
}

impl Offers {
    /// One is made.
    pub fn put(&mut self, offer: &Arc<Offer>) {
        self.remove(&offer.id);
        self.by_framework.entry(offer.framework.clone()).or_default().insert(offer.id.clone());
        let totals = parts::sum(&offer.parts).totals();
        let sum = self.by_role.entry(offer.role.clone()).or_default();
        *sum = Sum { offers: sum.offers + 1, totals: sum.totals.plus(totals) };
        self.sum = self.sum.plus(totals);
        self.by_id.insert(offer.id.clone(), offer.clone());
    }

    /// One has ended.
    pub fn remove(&mut self, id: &OfferId) -> Option<Arc<Offer>> {
        let offer = self.by_id.remove(id)?;
        if let Some(ids) = self.by_framework.get_mut(&offer.framework) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_framework.remove(&offer.framework);
            }
        }
        let totals = parts::sum(&offer.parts).totals();
        if let Some(sum) = self.by_role.get_mut(&offer.role) {
            *sum = Sum { offers: sum.offers - 1, totals: sum.totals.minus(totals) };
            if sum.offers == 0 {
                self.by_role.remove(&offer.role);
            }
        }
        self.sum = self.sum.minus(totals);
        Some(offer)
    }

    /// Nothing is offered of a machine any more.
    pub fn agent_gone(&mut self, agent: &AgentId) {
        let there = self.by_id.values().filter(|offer| offer.agent == *agent);
        let there: Vec<OfferId> = there.map(|offer| offer.id.clone()).collect();
        for id in there {
            self.remove(&id);
        }
    }

    /// All, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Offer>> {
        self.by_id.values()
    }

    /// Those of a framework, by id.
    pub fn of(&self, framework: &FrameworkId) -> impl Iterator<Item = &Arc<Offer>> {
        self.by_framework.get(framework).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// How many each framework holds that holds any.
    pub fn held(&self) -> impl Iterator<Item = (&FrameworkId, usize)> {
        self.by_framework.iter().map(|(id, offers)| (id, offers.len()))
    }

    /// What is offered for each role that something is offered for.
    pub fn by_role(&self) -> impl Iterator<Item = (&RoleName, Totals)> {
        self.by_role.iter().map(|(role, sum)| (role, sum.totals))
    }

    /// What is offered in all.
    pub fn sum(&self) -> Totals {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::Timestamp;
    use hansa_model::framework::{Amount, Part};

    fn offer(number: u64) -> Arc<Offer> {
        let amount = Amount {
            cpus_milli: 100 + number,
            mem: number << 20,
            gpus: (number % 3) as u16,
            ..Amount::default()
        };
        Arc::new(Offer {
            id: format!("o{}", number % 40).into(),
            framework: format!("f{}", number % 5).into(),
            role: format!("r{}", number % 4).as_str().into(),
            agent: format!("a{}", number % 7).into(),
            hostname: "host".into(),
            address: String::new(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            executors: Vec::new(),
            expires_at: Timestamp(number),
            parts: vec![Part::unreserved(amount.clone()), Part::unreserved(amount)],
        })
    }

    /// What a count of all comes to.
    fn check(offers: &Offers) {
        let (mut held, mut roles, mut all) = (BTreeMap::new(), BTreeMap::new(), Totals::default());
        for offer in offers.iter() {
            let totals = parts::sum(&offer.parts).totals();
            *held.entry(&offer.framework).or_insert(0) += 1;
            let sum: &mut Sum = roles.entry(offer.role.clone()).or_default();
            *sum = Sum { offers: sum.offers + 1, totals: sum.totals.plus(totals) };
            all = all.plus(totals);
        }
        assert_eq!(offers.held().collect::<BTreeMap<_, _>>(), held);
        assert_eq!((&offers.by_role, offers.sum()), (&roles, all));
        for (framework, count) in held {
            let own: Vec<_> = offers.of(framework).collect();
            assert!(own.len() == count && own.iter().all(|offer| offer.framework == *framework));
        }
    }

    #[test]
    fn what_is_counted_is_what_a_count_of_all_comes_to() {
        let mut offers = Offers::default();
        let mut number = 1_u64;
        for step in 0..2_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let which = (number >> 33) % 1_000;
            match step % 50 {
                49 => offers.agent_gone(&format!("a{}", which % 7).into()),
                other if other % 3 == 0 => drop(offers.remove(&format!("o{}", which % 40).into())),
                // Now and then one of an id that is there already.
                _ => offers.put(&offer(which)),
            }
            check(&offers);
        }
        for number in 0..40 {
            offers.remove(&format!("o{number}").into());
        }
        assert!(offers.by_framework.is_empty() && offers.by_role.is_empty());
        assert_eq!(offers.sum(), Totals::default());
    }
}
