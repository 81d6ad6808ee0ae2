//! The master loses its store and starts from an older copy. What was promised since the copy was made is forgotten; but
//! no running task ends for it, and everything converges once clients have said again what they want.

use crate::frameworks::is_of_framework;
use crate::oracle::{Intent, Oracle};
use crate::report::Fault;
use crate::run::{app_of, is_task_of};
use crate::world::World;
use hansa_link::ToAgentBody;
use hansa_model::event::AgentState;
use hansa_model::{AppId, InstanceId, TaskId, Timestamp};
use std::collections::BTreeSet;

/// What a copy of the store is.
#[derive(Debug, Clone)]
struct Copy {
    store: Vec<u8>,
    /// What clients had asked for.
    oracle: Oracle,
    /// What ran although the master had given it up: it is to end wherever its machine comes back.
    given_up: BTreeSet<InstanceId>,
}

/// The copy, and what has come of putting it back.
#[derive(Debug, Default)]
pub struct Restored {
    copy: Option<Copy>,
    /// Whether the copy was put back and no master has told yet what is in it.
    fresh: bool,
    /// What ran when the copy was put back, and nobody has given a reason to end since.
    pub spared: BTreeSet<InstanceId>,
    /// Apps of which no client has said since what their instances are to be.
    pub untold: BTreeSet<AppId>,
    /// Machines that have not been seen since: what the master says of their reach is as old as the copy.
    pub unseen: BTreeSet<usize>,
}

impl World {
    /// Somebody makes a copy of the master's store, in the midst of everything.
    pub fn copy_store(&mut self) {
        if self.master.as_ref().is_none_or(|master| master.picture.index == 0) {
            return;
        }
        let mut oracle = self.oracle.clone();
        for (app, intent) in self.asked.values().flat_map(|asked| &asked.intents) {
            oracle.unsure(app, intent.clone());
        }
        for (group, intent) in self.asked.values().flat_map(|asked| &asked.groups) {
            oracle.unsure_group(group, intent.clone());
        }
        self.note(format_args!("the store is copied"));
        let given_up = self.given_up();
        self.restored.copy = Some(Copy { store: self.disk.copy(), oracle, given_up });
    }

    /// What runs and the master does not show any more. Of machines it has not seen since an older store was put back, it
    /// may not know yet what runs.
    fn given_up(&self) -> BTreeSet<InstanceId> {
        let shown: BTreeSet<_> =
            self.master.iter().flat_map(|master| master.picture.tasks.values()).map(|(of, _)| of).collect();
        let seen =
            self.machines.iter().enumerate().filter(|(number, _)| !self.restored.unseen.contains(number));
        let running =
            seen.flat_map(|(_, machine)| &machine.processes).filter(|(_, process)| process.is_alive());
        running.map(|(instance, _)| instance).filter(|instance| !shown.contains(instance)).cloned().collect()
    }

    /// The master dies, its store is lost, and the copy takes its place.
    pub fn put_back_store(&mut self) {
        let Some(Copy { store, oracle, given_up }) = self.restored.copy.clone() else { return };
        let Some(term) = self.master.as_ref().map(|master| master.cell.term()) else { return };
        self.crash_master();
        self.note(format_args!("an older store is put back"));
        self.report.count(Fault::OlderStore);
        self.disk.put_back(store);
        // Whoever does this sees to it that the clock is right: terms follow from it.
        let behind = Timestamp(term.0 + 1).since(self.master_now());
        self.master_skew += i64::try_from(behind).unwrap_or(0);
        let alive = |process: &crate::machine::Process| process.is_alive() && process.sick_until <= self.now;
        let running = self.machines.iter().flat_map(|machine| &machine.processes);
        let running = running.filter(|(_, process)| alive(process) && !oracle.is_killed(&process.task));
        // Frameworks' tasks are never in a store, and end when their frameworks say so.
        let running =
            running.filter(|(instance, _)| !is_of_framework(instance) && !given_up.contains(*instance));
        self.restored.spared = running.map(|(instance, _)| instance.clone()).collect();
        self.kept.forget();
        // Also of what is sick just now, and of what an older copy before this one left to itself, nobody has said anything.
        let processes = self.machines.iter().flat_map(|machine| machine.processes.keys());
        let processes = processes.filter(|instance| !is_of_framework(instance));
        self.restored.untold.extend(processes.map(app_of));
        self.restored.untold.extend(self.oracle.apps().chain(oracle.apps()).cloned());
        self.restored.unseen = (0..self.machines.len()).collect();
        self.restored.fresh = true;
        self.oracle = oracle;
    }

    /// Once a master has told what it restored: what the copy knows it goes on with, and with the deployments under way in it.
    pub fn look_at_restored(&mut self) {
        if !std::mem::take(&mut self.restored.fresh) {
            return;
        }
        let Some(master) = &self.master else { return };
        let known = |instance: &InstanceId| master.picture.tasks.values().any(|(other, _)| other == instance);
        let deployed = |app: &AppId| master.picture.deployments.values().any(|apps| apps.contains(app));
        self.restored.spared.retain(|instance| !known(instance) && !deployed(&app_of(instance)));
    }

    /// A client has spoken of apps and tasks: what becomes of them is its will.
    pub fn forget_spared_of(&mut self, intents: &[(AppId, Intent)], kills: &[TaskId]) {
        let killed = |instance: &InstanceId| {
            kills.iter().any(|task| is_task_of(task, instance))
                || intents.iter().any(|(app, _)| *app == app_of(instance))
        };
        self.restored.spared.retain(|instance| !killed(instance));
    }

    /// The same for machines that were out of reach for no longer than it takes to say so.
    pub fn forget_spared_on_unreached(&mut self) {
        let unreached = self.master.as_mut().map(|master| std::mem::take(&mut master.picture.unreached));
        for agent in unreached.unwrap_or_default() {
            let Some(machine) = self.machines.iter().find(|machine| machine.id == agent) else { continue };
            self.restored.spared.retain(|instance| !machine.processes.contains_key(instance));
        }
    }

    /// What becomes of tasks on machines out of reach, their strategy says.
    pub fn forget_spared_on(&mut self, unreachable: &[usize]) {
        let restored = &mut self.restored;
        if restored.spared.is_empty() && restored.unseen.is_empty() {
            return;
        }
        for &number in unreachable {
            restored.spared.retain(|instance| !self.machines[number].processes.contains_key(instance));
        }
        let Some(master) = &self.master else { return };
        let is_active = |number: &usize| {
            master.picture.agents.get(&self.machines[*number].id) == Some(&AgentState::Active)
        };
        restored.unseen.retain(|number| !is_active(number));
    }

    /// The master says something to an agent: nothing that ran when an older store was put back is to end for that.
    pub fn check_spared(&mut self, body: &ToAgentBody) {
        // What has ended by itself meanwhile (its machine was out of reach, and its shim ended it) is not ended for it.
        let runs = |instance: &InstanceId| {
            let own = self.machines.iter().find_map(|machine| machine.processes.get(instance));
            own.is_some_and(crate::machine::Process::is_alive)
        };
        if let ToAgentBody::Kill { instance, message, .. } = body
            && self.restored.spared.contains(instance)
            && runs(instance)
        {
            self.broke(format!(
                "{instance} runs and is to end because an older store was put back: {message}"
            ));
        }
    }
}
