//! The books on trial: what claims would be granted, and what would come free, if it were done now.
//!
//! A [`Trial`] copies what claims change (machines, roles) and reads the rest from the kernel that it was made of, which
//! stays as it is. What is asked here is decided by the same functions as in earnest.

use crate::Kernel;
use crate::book::Book;
use crate::frameworks::offers_in_the_way;
use crate::roles::Roles;
use hansa_model::app::Constraint;
use hansa_model::event::AgentState;
use hansa_model::scheduler::Rejection;
use hansa_model::{AgentId, Demand, FrameworkId, InstanceId, Owner, RoleName, TaskId};
use hansa_placement::{Choice, Cluster};
use std::collections::BTreeSet;

/// See the module.
#[derive(Debug)]
pub struct Trial<'a> {
    kernel: &'a Kernel,
    book: Book,
    roles: Roles,
    /// Offers that would be taken back by now.
    rescinded: BTreeSet<u64>,
    /// Groups of frameworks that were told to end and still have what they have.
    ending: Vec<u64>,
}

/// A group on a machine that is to be drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Its identity.
    pub instance: InstanceId,
    /// Whose.
    pub owner: Owner,
    /// Its framework, if one launched it: then it is killed.
    pub framework: Option<FrameworkId>,
    /// Its tasks that still live.
    pub tasks: Vec<TaskId>,
    /// Whether it is ending anyway.
    pub killing: bool,
}

impl Kernel {
    /// The books as they are, to try things out on.
    pub fn trial(&self) -> Trial<'_> {
        Trial {
            kernel: self,
            book: self.book.clone(),
            roles: self.roles.clone(),
            rescinded: BTreeSet::new(),
            ending: Vec::new(),
        }
    }
}

impl Trial<'_> {
    /// The machines as they would be by now.
    pub fn cluster(&self) -> &Cluster {
        self.book.cluster()
    }

    /// A machine is drained: what lives on it, in the order in which it would be seen to. None: it is not known.
    pub fn drain(&mut self, id: &AgentId) -> Option<Vec<Resident>> {
        let agent = self.kernel.agents.get(id)?;
        if agent.state() == AgentState::Active {
            self.book.set_state(id, AgentState::Draining);
        }
        for (number, offer) in self.kernel.frameworks.offers.on(id) {
            if self.rescinded.insert(number) {
                self.roles.unoffer(&offer.role, &offer.parts);
            }
        }
        let mut residents = Vec::new();
        for number in self.kernel.numbers_on(id) {
            let Some(group) = self.kernel.groups.get(number).filter(|group| !group.is_over()) else {
                continue;
            };
            let framework = group.framework.as_ref().map(|launched| launched.id.clone());
            if framework.is_some() {
                self.ending.push(number);
            }
            let alive = group.tasks.iter().filter(|task| !task.view.status.state.is_terminal());
            residents.push(Resident {
                instance: group.instance().clone(),
                owner: group.owner().clone(),
                framework,
                tasks: alive.map(|task| task.view.status.task.clone()).collect(),
                killing: group.killing.is_some(),
            });
        }
        Some(residents)
    }

    /// Claims the place that was chosen for one instance.
    ///
    /// # Errors
    /// What the kernel would refuse it for.
    pub fn claim(
        &mut self,
        role: &RoleName,
        demand: &Demand,
        constraints: &[Constraint],
        choice: &Choice,
    ) -> Result<(), Rejection> {
        let Choice { agent, allocation } = choice;
        let Some(node) = self.book.cluster().node(agent) else {
            return Err(Rejection::UnknownAgent(agent.clone()));
        };
        node.free.contains(allocation).map_err(|short| Rejection::DoesNotFit(short.0))?;
        self.roles.allows(role, allocation, self.book.free())?;
        let offers = &self.kernel.frameworks.offers;
        let held = offers.on(agent).filter(|(number, _)| !self.rescinded.contains(number)).collect();
        for number in offers_in_the_way(held, &self.book, &self.roles, agent, role, allocation)? {
            if let Some(offer) = offers.get(number) {
                self.rescinded.insert(number);
                self.roles.unoffer(&offer.role, &offer.parts);
            }
        }
        self.book.observe(demand, constraints);
        self.book.take(agent, allocation).map_err(|short| Rejection::DoesNotFit(short.0))?;
        self.roles.add(role, allocation);
        Ok(())
    }

    /// Time passes until these have ended, and whatever else is ending by then. Whether anything did.
    pub fn settle(&mut self, ended: &[InstanceId]) -> bool {
        let moved = ended.iter().filter_map(|instance| self.kernel.groups.number_of(instance));
        let numbers: Vec<u64> = moved.chain(std::mem::take(&mut self.ending)).collect();
        for &number in &numbers {
            let Some(group) = self.kernel.groups.get(number) else { continue };
            match &group.framework {
                None => self.roles.subtract(group.role(), group.allocation()),
                Some(launched) => {
                    let parts: Vec<_> = launched.held().flat_map(|held| held.parts()).collect();
                    self.roles.subtract_parts(group.role(), &parts);
                }
            }
        }
        !numbers.is_empty()
    }
}
