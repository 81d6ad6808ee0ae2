//! What must always hold. Tests and the simulator call it after every step; a master in production never does.

use crate::agents::Agent;
use crate::book::{counted, what_remains};
use crate::frameworks::FrameworkRecord;
use crate::record::{GoneRecord, Record};
use crate::{Kernel, Timer};
use hansa_model::maintenance::Maintenance;
use hansa_model::role::Totals;
use hansa_model::{AgentId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

impl Kernel {
    /// Checks every invariant. Panics with words if one is broken.
    pub fn check(&self) {
        self.check_machines();
        self.check_groups();
        self.check_roles_and_specs();
        self.check_frameworks();
        for (at, timer) in &self.timers {
            let due = match timer {
                Timer::Agent(id) => self.agents.get(id).and_then(|agent| agent.deadline),
                Timer::Kill(number) => {
                    let live = self.groups.get(*number).and_then(|group| group.killing.as_ref());
                    let given_up = self.given_up.get(*number).and_then(|entry| entry.again_at);
                    live.map(|killing| killing.again_at).or(given_up)
                }
                Timer::GivenUp(number) => self.given_up.get(*number).map(|entry| entry.forget_at),
                Timer::Offer(offer) => self.frameworks.offers.get(*offer).map(|offer| offer.expires_at),
                Timer::Framework(id) => self.frameworks.get(id).and_then(|framework| framework.removal_at),
                Timer::Update(number, at) => {
                    let launched = self.groups.get(*number).and_then(|group| group.framework.as_ref());
                    launched.and_then(|launched| launched.waiting[*at].again_at)
                }
            };
            assert_eq!(due, Some(*at), "{timer:?} is for something");
        }
    }

    /// Whether a group is being killed, wherever its machine is; None: there is none of that name.
    pub fn is_killing(&self, instance: &InstanceId) -> Option<bool> {
        let group = self.groups.get(self.groups.number_of(instance)?)?;
        Some(group.killing.is_some())
    }

    /// All that is to be found in the store once everything so far is durable, in the order of tables and keys.
    pub fn stored(&self) -> Vec<Record> {
        let agents = self.agents.values().map(|agent| Record::PutAgent(Box::new(agent.record())));
        let specs = self.specs.iter().filter(|(_, spec)| spec.stored);
        let specs = specs.map(|(id, spec)| Record::PutSpec(id, spec.group.clone()));
        let groups = self.groups.iter().filter(|(_, group)| group.framework.is_none());
        let groups = groups.map(|(number, group)| Record::PutAssignment(number, Box::new(group.record())));
        let given_up = self.given_up.iter();
        let given_up =
            given_up.map(|(number, entry)| Record::PutGivenUp(number, Box::new(entry.record.clone())));
        let roles = self.roles.iter().filter(|state| state.is_configured());
        let roles = roles.map(|state| Record::PutRole(state.role.clone()));
        let frameworks = self.frameworks.iter().map(|(_, framework)| FrameworkRecord::of(framework));
        let frameworks = frameworks.chain(self.frameworks.removed().cloned());
        let frameworks = frameworks.map(|record| Record::PutFramework(Box::new(record)));
        let parts = self.agents.iter().filter(|(_, agent)| !agent.pots.is_empty());
        let parts = parts.map(|(id, agent)| Record::PutParts(id.clone(), agent.pots.records()));
        let all = agents.chain(specs).chain(groups).chain(given_up).chain(roles);
        let gone = self.frameworks.gone();
        let gone = gone.map(|(agent, at)| Record::PutGone(agent.clone(), GoneRecord { at: *at }));
        let said = Some(self.maintenance.clone()).filter(|said| **said != Maintenance::default());
        all.chain(frameworks).chain(parts).chain(gone).chain(said.map(Record::PutMaintenance)).collect()
    }

    fn check_machines(&self) {
        let (mut capacity, mut free) = (Totals::default(), Totals::default());
        assert_eq!(self.agents.len(), self.book.cluster().nodes().count(), "every agent is a machine");
        for (id, agent) in &self.agents {
            let node = self.book.cluster().node(id).expect("every agent is a machine");
            assert_eq!(node.state, agent.state(), "state of {id}");
            assert_eq!(node.total, agent.hello.resources, "total of {id}");
            let taken = self.held_on(agent).chain(Self::kept_on(agent));
            let (remains, fits) = what_remains(&node.total, taken);
            assert_eq!(node.free, remains, "free on {id}");
            assert!(fits || agent.overcommitted, "{id} holds more than it has, and does not know");
            assert!(!agent.settling, "{id} is settled between commands");
            self.check_idle(id, agent);
            let (more_capacity, more_free) = counted(self.book.cluster(), id);
            (capacity, free) = (capacity.plus(more_capacity), free.plus(more_free));
            self.check_held(id, agent);
        }
        assert_eq!((self.book.capacity(), self.book.free()), (capacity, free), "totals of the pool");
    }

    fn check_held(&self, id: &AgentId, agent: &Agent) {
        assert_eq!(agent.deadline.is_some(), agent.unreachable_since.is_none(), "deadline of {id}");
        for &number in &agent.groups {
            assert_eq!(
                self.groups.get(number).map(|group| group.agent()),
                Some(id),
                "group {number} on {id}"
            );
        }
        for &number in &agent.given_up {
            let entry = self.given_up.get(number).expect("a given-up group is known");
            assert_eq!(entry.record.agent, *id, "given-up group {number}");
        }
        if agent.unreachable_since.is_none() {
            assert_eq!(self.hostnames.get(&agent.hostname), Some(id), "{id} bears its name");
        }
    }

    fn check_groups(&self) {
        let mut instances = BTreeSet::new();
        let mut tasks = 0;
        for (number, group) in self.groups.iter() {
            assert!(number <= self.last_number, "numbers rise");
            assert!(instances.insert(group.instance()), "{} lives twice", group.instance());
            assert_eq!(self.groups.number_of(group.instance()), Some(number));
            self.check_framework_group(number, group);
            let agent = self.agents.get(group.agent()).expect("a group's agent is known");
            assert!(agent.groups.contains(&number), "{} knows its groups", group.agent());
            for task in &group.tasks {
                tasks += 1;
                let view = &task.view;
                assert_eq!(self.groups.number_of_task(&view.status.task), Some(number));
                assert_eq!(&view.instance, group.instance());
                let unreachable = view.status.state == hansa_model::task::TaskState::Unreachable;
                let alive = !view.status.state.is_terminal();
                assert_eq!(unreachable, alive && agent.unreachable_since.is_some(), "{}", view.status.task);
            }
            assert!(
                self.given_up.number_of(group.agent(), group.instance()).is_none(),
                "{} is given up and lives on one machine",
                group.instance()
            );
        }
        assert_eq!(self.groups.index_sizes(), (self.groups.len(), tasks), "tables by instance and task");
        let (by_number, by_group) = self.given_up.sizes();
        assert_eq!(by_number, by_group, "tables of the given up");
        for (number, entry) in self.given_up.iter() {
            let known = self.agents.get(&entry.record.agent);
            assert!(known.is_none_or(|agent| agent.given_up.contains(&number)), "given up {number}");
            assert!(!entry.open.is_empty(), "given up {number} has ended");
            assert!(
                self.timers.contains(&(entry.forget_at, Timer::GivenUp(number))),
                "given up {number} for ever"
            );
        }
    }

    fn check_roles_and_specs(&self) {
        let mut used = self.sums_of_roles();
        let mut specs = BTreeMap::new();
        for (_, group) in self.groups.iter() {
            *specs.entry(group.spec()).or_insert(0) += 1;
        }
        for state in self.roles.iter() {
            let sum = used.remove(&state.role.name).unwrap_or_default();
            assert_eq!(state.own, sum, "use of role {}", state.role.name);
        }
        assert!(used.is_empty(), "roles that nobody knows: {used:?}");
        for (id, spec) in self.specs.iter() {
            assert_eq!(spec.groups, specs.remove(&id).unwrap_or(0), "groups of spec {id:?}");
            assert!(spec.groups > 0 || spec.holders > 0, "spec {id:?} is needed by nobody");
            assert!(
                spec.stored || spec.passing || spec.groups == 0,
                "spec {id:?} is stored with its first group"
            );
        }
        assert!(specs.is_empty(), "specs that nobody knows: {specs:?}");
    }
}
