//! The start: from the stored records and from what was found running to a working agent.

use crate::config::Config;
use crate::groups::{End, Task};
use crate::io::{Found, Output};
use crate::node::Node;
use crate::saved::{Record, Saved, SavedGroup};
use hansa_model::planted::{Bug, planted};
use hansa_model::task::{Reason, TaskState};
use hansa_model::{InstanceId, Timestamp};
use std::collections::BTreeMap;

impl Node {
    /// An agent that continues from `saved`. `found` has every group of which a shim or its files are there; whatever was
    /// left of other groups (processes without a shim) has been ended before. Gives the node and what is to be done first.
    pub fn restore(
        config: Config,
        saved: Saved,
        found: BTreeMap<InstanceId, Found>,
        now: Timestamp,
    ) -> (Node, Vec<Output>) {
        let held: Vec<(InstanceId, SavedGroup)> =
            saved.groups().iter().map(|(instance, group)| (instance.clone(), group.clone())).collect();
        let mut node = Node::empty(config, saved, now);
        // The clock, so that numbers rise even if the store is lost or an older one is put back.
        let process = now.0.max(node.saved.process() + 1);
        node.save(Record::Began { process });
        for (instance, group) in &held {
            for task in &group.launch.tasks {
                node.tasks.entry(task.clone()).or_insert_with(|| instance.clone());
            }
            if let Some(run) = group.executor().filter(|_| !group.is_terminal()) {
                node.executors.entry(run.container.clone()).or_default().groups.push(instance.clone());
            }
        }
        // Executors first: what became of them decides what became of their tasks.
        let executors: Vec<InstanceId> = node.saved.executors().keys().cloned().collect();
        for live in node.executors.values_mut() {
            live.groups.sort_by_key(|instance| (node.saved.groups()[instance].at, instance.clone()));
        }
        for (instance, group) in held.iter().filter(|(_, group)| group.is_pod() && group.delivered) {
            node.resume_pod(now, instance, group, &found);
        }
        for container in &executors {
            node.resume_executor(now, container, found.get(container));
        }
        for (instance, group) in &held {
            let terminal = node.saved.groups().get(instance).is_none_or(SavedGroup::is_terminal);
            match group.executor() {
                _ if terminal && !group.is_terminal() => {}
                Some(run) if !terminal => node.resume_of(now, instance, group, &run.container),
                Some(_) => {}
                None if !terminal => {
                    node.live.insert(instance.clone(), Task::default());
                    node.resume(now, instance, group, found.get(instance));
                }
                None if found.contains_key(instance) => {
                    node.out.push(Output::CleanUp { instance: instance.clone() });
                }
                None => {}
            }
        }
        // What was found of executors and of tasks inside them has been dealt with above.
        let known = |container: &InstanceId| {
            executors.contains(container)
                || node.saved.groups().contains_key(container)
                || node.task_in(container).is_some()
        };
        let strangers: Vec<&InstanceId> = found.keys().filter(|container| !known(container)).collect();
        for stranger in strangers {
            node.out.push(Output::CleanUp { instance: stranger.clone() });
        }
        node.collect(now);
        let first = std::mem::take(&mut node.out);
        (node, first)
    }

    fn resume(&mut self, now: Timestamp, instance: &InstanceId, group: &SavedGroup, found: Option<&Found>) {
        if group.boot != self.config.boot {
            return self.lost(now, instance, TaskState::Gone, "the machine was rebooted");
        }
        match found {
            Some(Found::Running { addresses }) => {
                let addresses = addresses.clone();
                self.report(now, instance, 0, TaskState::Running, |status| status.addresses = addresses);
                self.begin_checks(now, instance);
                self.limit_time(instance);
                self.stop_if_wanted(now, instance);
            }
            Some(Found::Starting) => self.stop_if_wanted(now, instance),
            Some(Found::Exited { .. }) if planted(Bug::ExitMissed) => {}
            Some(Found::Exited { exit, limitation, message }) => {
                self.exited(now, instance, *exit, limitation.clone(), message.clone());
            }
            Some(Found::LaunchFailed { message }) => self.launch_failed(now, instance, message.clone()),
            None if group.running_since.is_some() => {
                self.shim_gone(now, instance, "the task's shim died while no agent looked".into());
            }
            None => {
                self.lost(now, instance, TaskState::Dropped, "the agent stopped before it started the task")
            }
        }
    }

    /// A group of an executor that has not ended with it.
    fn resume_of(&mut self, now: Timestamp, instance: &InstanceId, group: &SavedGroup, run: &InstanceId) {
        if group.boot != self.config.boot {
            self.lost(now, instance, TaskState::Gone, "the machine was rebooted");
        } else if !self.saved.executors().contains_key(run) {
            // The agent ended between its executor's end and its own.
            let words = "executor terminated".to_owned();
            let end = End::new(TaskState::Failed, Some(Reason::ReasonExecutorTerminated), words);
            self.end_all(now, instance, &end);
        }
    }

    /// The tasks of a group, each in a container inside an executor's surroundings.
    fn resume_pod(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        group: &SavedGroup,
        found: &BTreeMap<InstanceId, Found>,
    ) {
        if group.boot != self.config.boot {
            let left = (0..group.launch.tasks.len()).map(|index| group.container(index));
            self.out.extend(
                left.filter(|container| found.contains_key(container))
                    .map(|instance| Output::CleanUp { instance }),
            );
            return;
        }
        let ended =
            |index: usize| group.statuses[index].as_ref().is_some_and(|status| status.state.is_terminal());
        for index in 0..group.launch.tasks.len() {
            let container = group.container(index);
            match found.get(&container) {
                Some(_) if ended(index) => self.out.push(Output::CleanUp { instance: container }),
                None if ended(index) => {}
                Some(Found::Running { .. }) => {
                    self.live.insert(container.clone(), Task::default());
                    self.started(now, &container, Vec::new());
                    self.begin_checks(now, &container);
                    self.limit_time(&container);
                }
                Some(Found::Starting) => drop(self.live.insert(container, Task::default())),
                Some(Found::Exited { exit, limitation, message }) => {
                    self.live.insert(container.clone(), Task::default());
                    self.exited(now, &container, *exit, limitation.clone(), message.clone());
                }
                Some(Found::LaunchFailed { message }) => {
                    self.live.insert(container.clone(), Task::default());
                    self.launch_failed(now, &container, message.clone());
                }
                None => {
                    self.live.insert(container.clone(), Task::default());
                    self.shim_gone(
                        now,
                        &container,
                        "the task's container was gone when the agent came back".into(),
                    );
                }
            }
        }
        self.stop_if_wanted(now, instance);
    }

    fn stop_if_wanted(&mut self, now: Timestamp, instance: &InstanceId) {
        if self.saved.groups().get(instance).is_some_and(|group| group.kill.is_some()) {
            self.begin_end(now, instance);
        }
    }
}
