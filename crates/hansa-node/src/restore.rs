//! The start: from the stored records and from what was found running to a working agent.

use crate::config::Config;
use crate::groups::Task;
use crate::io::{Found, Output};
use crate::node::Node;
use crate::saved::{Record, Saved, SavedGroup};
use hansa_model::planted::{Bug, planted};
use hansa_model::task::TaskState;
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
            if !group.is_terminal() {
                node.live.insert(instance.clone(), Task::default());
                node.resume(now, instance, group, found.get(instance));
            } else if found.contains_key(instance) {
                node.out.push(Output::CleanUp { instance: instance.clone() });
            }
        }
        for stranger in found.keys().filter(|instance| !node.saved.groups().contains_key(*instance)) {
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
                self.stop_if_wanted(now, instance, group);
            }
            Some(Found::Starting) => self.stop_if_wanted(now, instance, group),
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

    fn stop_if_wanted(&mut self, now: Timestamp, instance: &InstanceId, group: &SavedGroup) {
        if group.kill.is_some() {
            self.begin_end(now, instance);
        }
    }
}
