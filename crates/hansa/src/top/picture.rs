//! What is known of the cluster, changed by events.

use hansa_api::hansa::{Deployment, Node, Service, StreamEvent, Task};
use hansa_model::event::AgentState;
use hansa_model::role::Totals;
use hansa_model::{AgentId, AppId, DeploymentId, TaskId};
use std::collections::BTreeMap;

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Machines.
    pub nodes: BTreeMap<AgentId, Node>,
    /// Services.
    pub services: BTreeMap<AppId, Service>,
    /// Tasks that have not ended.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Deployments under way.
    pub deployments: BTreeMap<DeploymentId, String>,
    /// The last thing that somebody should look at.
    pub alarm: Option<String>,
}

/// What all machines that are not out of reach have, give and use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// What they have.
    pub total: Totals,
    /// What is given to tasks.
    pub given: Totals,
    /// What tasks really use.
    pub used: Totals,
}

impl Picture {
    /// From lists; an alarm stays.
    pub fn of(
        nodes: Vec<Node>,
        services: Vec<Service>,
        tasks: Vec<Task>,
        deployments: Vec<Deployment>,
        before: &Picture,
    ) -> Self {
        let live = tasks.into_iter().filter(|task| !task.state.is_terminal());
        Self {
            nodes: nodes.into_iter().map(|node| (node.id.clone(), node)).collect(),
            services: services.into_iter().map(|service| (service.id.clone(), service)).collect(),
            tasks: live.map(|task| (task.id.clone(), task)).collect(),
            deployments: deployments.into_iter().map(|one| (one.id, one.waiting_for)).collect(),
            alarm: before.alarm.clone(),
        }
    }

    /// Takes what an event says.
    pub fn apply(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Resync { .. } => {}
            StreamEvent::Node(node) => drop(self.nodes.insert(node.id.clone(), node)),
            StreamEvent::NodeRemoved { id } => drop(self.nodes.remove(&id)),
            StreamEvent::Usage { id, used, machine } => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.used = Some(used);
                    node.machine = Some(machine);
                }
            }
            StreamEvent::Service(service) => drop(self.services.insert(service.id.clone(), service)),
            StreamEvent::ServiceRemoved { id } => drop(self.services.remove(&id)),
            StreamEvent::Task(task) if task.state.is_terminal() => drop(self.tasks.remove(&task.id)),
            StreamEvent::Task(task) => drop(self.tasks.insert(task.id.clone(), task)),
            StreamEvent::TaskRemoved { id, .. } => drop(self.tasks.remove(&id)),
            StreamEvent::Deployment { id, waiting_for, state, .. } => match state.as_str() {
                "succeeded" | "failed" => drop(self.deployments.remove(&id)),
                _ => drop(self.deployments.insert(id, waiting_for)),
            },
            StreamEvent::Alarm { message, .. } => self.alarm = Some(message),
            StreamEvent::Role(_)
            | StreamEvent::RoleRemoved { .. }
            | StreamEvent::Framework(_)
            | StreamEvent::FrameworkRemoved { .. } => {}
        }
    }

    /// All machines that are not out of reach together.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        let reached = self.nodes.values().filter(|node| node.state != AgentState::Unreachable);
        for node in reached {
            let total = Totals::of(&node.total);
            for (sum, part) in [
                (&mut sums.total, Some(&total)),
                (&mut sums.given, Some(&node.allocated)),
                (&mut sums.used, node.used.as_ref()),
            ] {
                if let Some(part) = part {
                    *sum = sum.plus(*part);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::task::TaskState;

    #[test]
    fn events_change_the_picture() {
        let mut picture = Picture::of(
            vec![samples::node()],
            vec![],
            vec![samples::task("a.1")],
            vec![],
            &Picture::default(),
        );
        assert_eq!((picture.nodes.len(), picture.tasks.len()), (1, 1));
        picture.apply(StreamEvent::Task(samples::task("b.1")));
        picture.apply(StreamEvent::Task(Task { state: TaskState::Failed, ..samples::task("a.1") }));
        assert_eq!(picture.tasks.keys().map(TaskId::as_str).collect::<Vec<_>>(), ["b.1"]);
        let used = Totals { cpus_milli: 700, ..Totals::default() };
        picture.apply(StreamEvent::Usage { id: "agent-1".into(), used, machine: Totals::default() });
        assert_eq!(picture.sums().used.cpus_milli, 700);
        picture.apply(StreamEvent::Deployment {
            id: "d".into(),
            services: vec![],
            step: 0,
            steps: 1,
            waiting_for: "x".into(),
            state: "running".into(),
        });
        assert_eq!(picture.deployments.len(), 1);
        picture.apply(StreamEvent::NodeRemoved { id: "agent-1".into() });
        assert_eq!(picture.sums(), Sums::default());
    }
}
