//! What must always hold of frameworks and what belongs to them. See [`Kernel::check`].

use super::pots::{Held, Taken};
use crate::agents::Agent;
use crate::book::totals;
use crate::groups::Group;
use crate::roles::Sums;
use crate::{Kernel, Timer};
use hansa_model::event::AgentState;
use hansa_model::framework::{Amount, Part, parts};
use hansa_model::{AgentId, Allocation, RoleName};
use std::collections::{BTreeMap, BTreeSet};

impl Kernel {
    /// Checks every invariant of frameworks. Panics with words if one is broken.
    pub(crate) fn check_frameworks(&self) {
        for (id, framework) in self.frameworks.iter() {
            assert_eq!(*id, framework.info.id);
            assert!(!self.frameworks.is_removed(id), "{id} is removed and there");
            assert_eq!(framework.stream.is_none(), framework.removal_at.is_some(), "{id} waits for its end");
            if let Some(stream) = framework.stream {
                assert_eq!(self.frameworks.on_stream(stream), Some(id), "stream {stream}");
            }
            let mut tasks = BTreeSet::new();
            for &number in &framework.groups {
                let group = self.groups.get(number).expect("a framework's group is known");
                let launched = group.framework.as_ref().expect("a framework's group is a framework's");
                assert_eq!(launched.id, *id, "group {number}");
                tasks.extend(launched.launch.tasks.iter().map(|task| (task.id.clone(), number)));
            }
            assert_eq!(framework.tasks, tasks, "tasks of {id}");
            for number in &framework.offers {
                let offer = self.frameworks.offers.get(*number).expect("a framework's offer is known");
                assert_eq!(offer.framework, *id, "{:?}", offer.id);
            }
            for container in &framework.executors {
                let executor = &self.frameworks.executors[container];
                assert!(executor.view.framework == *id && !executor.ending, "executor {container}");
            }
        }
        let connected = self.frameworks.iter().filter(|(_, framework)| framework.stream.is_some()).count();
        let (streams, removed, in_order) = self.frameworks.sizes();
        assert_eq!((streams, removed), (connected, in_order), "tables of frameworks");
        for (number, offer) in self.frameworks.offers.iter() {
            let framework = self.frameworks.get(&offer.framework).expect("an offer's framework is known");
            assert!(framework.stream.is_some(), "{:?} is of a framework that listens", offer.id);
            assert!(framework.offers.contains(&number), "{} knows its offers", offer.framework);
            let agent = self.agents.get(&offer.agent).expect("an offer's agent is known");
            assert_eq!(agent.state(), AgentState::Active, "{:?} is of a machine that takes work", offer.id);
            let timer = (offer.expires_at, Timer::Offer(number));
            assert!(self.timers.contains(&timer), "{:?} ends", offer.id);
        }
        for (container, executor) in &self.frameworks.executors {
            let agent = self.agents.get(&executor.view.agent).expect("an executor's agent is known");
            assert!(agent.executors.contains(container), "{} knows its executors", executor.view.agent);
            let framework = self.frameworks.get(&executor.view.framework);
            let owned = framework.is_some_and(|framework| framework.executors.contains(container));
            assert_eq!(owned, !executor.ending, "executor {container} is its framework's");
        }
    }

    /// A group of a framework.
    pub(crate) fn check_framework_group(&self, number: u64, group: &Group) {
        let Some(launched) = &group.framework else {
            assert!(!group.is_over(), "{} is over and still there", group.instance());
            return;
        };
        let framework = self.frameworks.get(&launched.id).expect("a group's framework is known");
        assert!(framework.groups.contains(&number), "{} knows its groups", launched.id);
        assert!(!group.is_over() || launched.waits(), "{} is over and waits for nothing", group.instance());
        for (task, held) in group.tasks.iter().zip(&launched.held) {
            let (ended, name) = (task.view.status.state.is_terminal(), &task.view.status.task);
            assert!(ended || held.is_some(), "what lives has its own: {name}");
            let Some(held) = held.as_ref().filter(|_| ended) else { continue };
            let volumes = held.pots.iter().all(|taken| taken.part.volume.is_some());
            let left = !group.is_over() && volumes && held.open == Allocation::default();
            assert!(left, "what ended holds at most volumes, and those with others: {name}");
        }
        for (task, waiting) in group.tasks.iter().zip(&launched.waiting) {
            let numbers: Vec<u64> = waiting.updates.iter().map(|status| status.sequence).collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "updates in order: {numbers:?}");
            assert!(numbers.last().is_none_or(|last| *last <= task.seen), "updates that nobody sent");
            let listens = framework.stream.is_some() && !numbers.is_empty();
            assert_eq!(waiting.again_at.is_some(), listens, "updates are told again: {}", group.instance());
        }
    }

    /// What is offered of a machine is free there, and what is used of its pots is what somebody has.
    pub(crate) fn check_idle(&self, id: &AgentId, agent: &Agent) {
        let node = self.book.cluster().node(id).expect("every agent is a machine");
        let mut free = vec![hansa_model::framework::Part::unreserved(Amount::offerable(&node.free))];
        free.extend(agent.pots.free());
        for (_, offer) in self.frameworks.offers.on(id) {
            assert!(!agent.overcommitted, "{id} holds more than it has, and offers it");
            parts::take(&mut free, &offer.parts).expect("what is offered is free");
        }
        self.check_configured(id, agent);
        let groups = agent.groups.iter().filter_map(|&number| self.groups.get(number)?.framework.as_ref());
        let held = groups.flat_map(|launched| launched.held());
        let executors = agent.executors.iter().map(|run| &self.frameworks.executors[run].held);
        let given_up = agent.given_up.iter().filter_map(|&number| self.given_up.get(number)?.held.as_ref());
        let all: Vec<&Held> = held.chain(executors).chain(given_up).collect();
        let taken: Vec<&Taken> = all.iter().flat_map(|held| &held.pots).collect();
        for pot in agent.pots.iter() {
            let mut sum = pot.free().clone();
            for taken in taken.iter().filter(|taken| taken.part.is_like(&pot.part)) {
                sum.add(&taken.part.amount);
            }
            assert_eq!(sum, pot.part.amount, "use of a pot on {id}: {:?}", pot.part);
        }
        for taken in taken {
            assert!(agent.pots.get(&taken.part).is_some(), "a pot on {id}: {:?}", taken.part);
        }
    }

    /// What a machine's configuration sets apart is set apart, whatever was made of it; more than that only as long as
    /// somebody has it.
    fn check_configured(&self, id: &AgentId, agent: &Agent) {
        let configured = &agent.hello.parts;
        let pots = agent.pots.iter().map(|pot| &pot.part);
        for origin in configured.iter().chain(pots).filter_map(Part::origin) {
            let wanted = parts::sum_of(configured, &origin);
            let has = agent.pots.of_origin(&origin);
            // Of a disk that cannot be divided, what is left of another size stays until nobody has it. GPUs may be in
            // other pots.
            let needed = Amount { gpus: wanted.gpus.min(has.gpus), ..wanted.clone() };
            let there = has.contains(&needed).is_ok() || (origin.is_whole() && !has.is_empty());
            assert!(there, "{id} sets apart {wanted:?} of {origin:?}, and has {has:?}");
            let over = agent.pots.superfluous(&origin, &wanted);
            // Who uses it is not known before the agent has said so.
            assert!(
                over.is_empty() || !agent.greeted,
                "{over:?} of {origin:?} on {id} is configured no more, and nobody has it"
            );
        }
        for pot in agent.pots.iter().filter(|pot| pot.part.source.is_some()) {
            let amount = &pot.part.amount;
            assert_eq!(*amount, Amount { disk: amount.disk, ..Amount::default() }, "a disk on {id}");
            let split = pot.part.is_whole() && !pot.free().is_empty() && pot.free() != amount;
            assert!(!split, "a part of {:?} on {id} is used", pot.part);
        }
    }

    /// What each role has, counted afresh.
    pub(crate) fn sums_of_roles(&self) -> BTreeMap<&RoleName, Sums> {
        let mut sums: BTreeMap<&RoleName, Sums> = BTreeMap::new();
        fn use_parts(sum: &mut Sums, held: &Held) {
            for part in held.parts() {
                sum.used = sum.used.plus(part.amount.totals());
                if part.role().is_some() {
                    sum.used_reserved = sum.used_reserved.plus(part.amount.totals());
                }
            }
        }
        for (_, group) in self.groups.iter() {
            let sum = sums.entry(group.role()).or_default();
            match &group.framework {
                None => sum.used = sum.used.plus(totals(group.allocation())),
                Some(launched) => launched.held().for_each(|held| use_parts(sum, held)),
            }
        }
        sums.retain(|_, sum| *sum != Sums::default());
        for executor in self.frameworks.executors.values().filter(|executor| !executor.ending) {
            use_parts(sums.entry(&executor.view.role).or_default(), &executor.held);
        }
        for pot in self.agents.values().flat_map(|agent| agent.pots.iter()) {
            if let Some(role) = pot.role() {
                let sum = sums.entry(role).or_default();
                sum.reserved = sum.reserved.plus(pot.part.amount.totals());
            }
        }
        for (_, offer) in self.frameworks.offers.iter() {
            let sum = sums.entry(&offer.role).or_default();
            for part in &offer.parts {
                sum.offered = sum.offered.plus(part.amount.totals());
                if part.role().is_none() {
                    sum.offered_plain = sum.offered_plain.plus(part.amount.totals());
                }
                if part.is_open() {
                    sum.offered_open = sum.offered_open.plus(part.amount.totals());
                }
            }
        }
        sums
    }
}
