//! What frameworks see, held against what is there.

use super::{OFFER_ENDS_MS, is_of_framework};
use crate::machine::Process;
use crate::master::FrameworkTask;
use crate::world::World;
use hansa_model::framework::Amount;
use hansa_model::role::Totals;
use hansa_model::{AgentId, Allocation, InstanceId, TaskId};

impl World {
    /// What must hold of frameworks whenever the master has moved.
    pub fn check_frameworks(&mut self) {
        let offers = || self.offered_twice().or_else(|| self.never_ends());
        let set_apart = || self.set_apart_is_confused().or_else(|| self.disk_is_divided());
        let found = offers().or_else(|| self.kept_is_confused()).or_else(set_apart);
        let found = found.or_else(|| self.not_repeated());
        if let Some(what) = found {
            self.broke(what);
        }
    }

    /// What is offered of a machine and what is in use there are no more than it has.
    fn offered_twice(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        for (agent, total) in &picture.totals {
            let mut offers = picture.offers.values().filter(|offer| offer.agent == *agent).peekable();
            if offers.peek().is_none() {
                continue;
            }
            let mut free = total.clone();
            for (name, allocation) in picture.in_use_on(agent) {
                if let Err(error) = free.take(&allocation) {
                    return Some(format!("{agent} is offered, and has no room for {name}: {error}"));
                }
            }
            let mut left = Amount::offerable(&free);
            for offer in offers {
                for part in &offer.parts {
                    if let Err(error) = left.take(&part.amount) {
                        let what = &offer.id;
                        return Some(format!("{what} has of {agent} what others have: {error} for {part:?}"));
                    }
                }
            }
        }
        None
    }

    /// An offer that a framework has had in hand for longer than any may be.
    fn never_ends(&self) -> Option<String> {
        let offers = self.frameworks.iter().flat_map(|framework| framework.offers.values());
        let mut late = offers.filter(|seen| self.is_late(seen.at, OFFER_ENDS_MS));
        late.next().map(|seen| format!("{} was not answered, and does not end", seen.offer.id))
    }

    /// A framework has called REVIVE: it refuses nothing, and what is idle has gone out or is kept from it for another
    /// reason.
    pub(super) fn check_revived(&mut self, number: usize) {
        let id = self.frameworks[number].id();
        let Some(master) = &self.master else { return };
        let Some(explanation) = master.cell.kernel().explain_framework(&id) else { return };
        let refuses = explanation.roles.iter().any(|role| role.suppressed || !role.filters.is_empty());
        if explanation.active && refuses {
            self.broke(format!("{id} has called REVIVE, and still refuses something: {explanation:?}"));
        }
        self.check_idle(number);
    }

    /// Whatever is idle has a reason why a framework is not offered it.
    pub fn check_idle(&mut self, number: usize) {
        let id = self.frameworks[number].id();
        let Some(master) = &self.master else { return };
        let Some(explanation) = master.cell.kernel().explain_framework(&id) else { return };
        let mut obstacles = explanation.roles.iter().flat_map(|role| &role.obstacles);
        if let Some(forgotten) = obstacles.find(|obstacle| obstacle.words == "they are about to be offered") {
            let names = forgotten.examples.join(", ");
            self.broke(format!("{names} could be offered to {id}, and nobody does it"));
        }
    }

    /// Why frameworks are not yet what they should be; None: they are.
    pub fn frameworks_not_converged(&self) -> Option<String> {
        let master = self.master.as_ref()?;
        let shown = &master.picture.framework_tasks;
        for framework in &self.frameworks {
            let id = framework.id();
            if !framework.subscribed {
                return Some(format!("{id} is not subscribed"));
            }
            for (task, told) in &framework.tasks {
                let here = shown.iter().find(|(_, shown)| shown.framework == id && shown.task == *task);
                let state = here.map(|(_, shown)| shown.state);
                if told.is_open() && told.killed {
                    return Some(format!(
                        "{task} of {id} was killed, and its framework believes it {:?}",
                        told.state
                    ));
                }
                if told.is_open() != state.is_some_and(|state| !state.is_terminal()) {
                    return Some(format!(
                        "{task} of {id} is shown as {state:?}, and it was told {:?}",
                        told.state
                    ));
                }
                let runs = here.is_some_and(|(name, shown)| self.runs(name, shown));
                if told.is_open() != runs {
                    return Some(format!("{task} of {id} runs: {runs}, and it was told {:?}", told.state));
                }
            }
            let own = |offer: &&std::sync::Arc<hansa_model::framework::Offer>| offer.framework == id;
            if let Some(offer) = master.picture.offers.values().filter(own).find(|offer| {
                !framework.offers.contains_key(&offer.id) && !framework.answered.contains(&offer.id)
            }) {
                return Some(format!("{} is outstanding, and {id} never saw it", offer.id));
            }
        }
        self.executors_not_converged().or_else(|| self.use_is_confused()).or_else(|| self.kept_is_lost())
    }

    /// A machine of which more or less is shown as in use than somebody has.
    fn use_is_confused(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        let mut all = picture.allocated.iter();
        all.find_map(|(agent, shown)| {
            let used = picture.in_use_on(agent);
            let sum = used.iter().fold(Totals::default(), |sum, (_, own)| {
                let gpus_milli = own.gpus.iter().map(|(_, milli)| u64::from(*milli)).sum();
                let Allocation { cpus_milli, mem, disk, .. } = *own;
                sum.plus(Totals { cpus_milli, mem, disk, gpus_milli })
            });
            (sum != *shown).then(|| format!("{shown:?} of {agent} is shown as in use, and {used:?} is"))
        })
    }

    fn executors_not_converged(&self) -> Option<String> {
        let picture = &self.master.as_ref()?.picture;
        for machine in &self.machines {
            let lives = machine.processes.iter().filter(|(_, process)| process.is_alive());
            for (instance, _) in lives.filter(|(instance, _)| is_of_framework(instance)) {
                let tasks = &picture.framework_tasks;
                let known = tasks.values().any(|shown| shown.instance == *instance)
                    || tasks.contains_key(&TaskId::from(instance.as_str()))
                    || picture.executors.contains_key(instance);
                if !known {
                    return Some(format!("{instance} runs on {}, and nobody knows", machine.id));
                }
            }
            for group in machine.saved.groups().values().filter(|group| group.launch.framework.is_some()) {
                if !group.unacknowledged.is_empty() {
                    let what = &group.launch.instance;
                    return Some(format!(
                        "updates of {what} on {} wait: {:?}",
                        machine.id, group.unacknowledged
                    ));
                }
            }
        }
        let lives = |agent: &AgentId, container: &InstanceId| {
            let machine = self.machine_of(agent).map(|number| &self.machines[number]);
            machine.and_then(|machine| machine.processes.get(container)).is_some_and(Process::is_alive)
        };
        let mut dead = picture.executors.iter().filter(|(container, view)| !lives(&view.agent, container));
        dead.next()
            .map(|(container, view)| format!("executor {container} is shown on {} and is dead", view.agent))
    }

    fn runs(&self, name: &TaskId, shown: &FrameworkTask) -> bool {
        self.machines.iter().any(|machine| machine.has_alive(&shown.instance, name, shown.by.as_ref()))
    }
}
