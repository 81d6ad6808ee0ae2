//! How tasks stand, when frameworks ask. Answers are the master's word: told once, and not to be acknowledged.

use crate::groups::Group;
use crate::{Kernel, Step};
use hansa_model::framework::{FrameworkEvent, FrameworkUpdate, Source};
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, FrameworkId, InstanceId, TaskId, Timestamp};

/// What is known of a task that nobody here knows.
struct Unknown {
    state: TaskState,
    message: &'static str,
    since: Option<Timestamp>,
}

impl Kernel {
    /// A framework asks how these tasks stand, or (none are named) all that are known.
    pub(crate) fn reconcile(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        tasks: Vec<(String, Option<AgentId>)>,
    ) {
        if tasks.is_empty() {
            let numbers =
                self.frameworks.get(id).map(|framework| framework.groups.clone()).unwrap_or_default();
            for number in numbers {
                let count = self.groups.get(number).map_or(0, |group| group.tasks.len());
                (0..count).for_each(|at| self.tell_latest(step, number, at));
            }
            return;
        }
        for (task, agent) in tasks {
            let known = self.find_framework_task(id, &task, agent.as_ref());
            let known = known.or_else(|| self.find_framework_task(id, &task, None));
            let place = known.and_then(|number| {
                let launched = self.groups.get(number)?.framework.as_ref()?;
                Some((number, launched.launch.tasks.iter().position(|other| other.id == task)?))
            });
            match place {
                Some((number, at)) => self.tell_latest(step, number, at),
                None => self.tell_unknown(step, id, task, agent),
            }
        }
    }

    /// What a framework was told last of a task, or is being told now.
    fn tell_latest(&self, step: &mut Step, number: u64, at: usize) {
        let Some(group) = self.groups.get(number) else { return };
        let status = latest(group, at).clone();
        let since = self
            .agents
            .get(group.agent())
            .and_then(|agent| agent.unreachable_since)
            .filter(|_| status.state == TaskState::Unreachable);
        let status = status.because(Reason::ReasonReconciliation, "Reconciliation: Latest task state");
        self.tell_status(step, number, at, status, since);
    }

    fn tell_unknown(&self, step: &mut Step, id: &FrameworkId, task: String, agent: Option<AgentId>) {
        let Some(Unknown { state, message, since }) = self.what_became_of(agent.as_ref()) else {
            // It may be on a machine that has not come back yet: whoever asks again will know.
            return;
        };
        let status = TaskStatus::new(TaskId::from(task.as_str()), InstanceId::from(""), 0, state, step.now)
            .because(Reason::ReasonReconciliation, message);
        let update = FrameworkUpdate {
            task,
            address: agent
                .as_ref()
                .and_then(|agent| self.agents.get(agent))
                .map(|agent| agent.hello.address.clone())
                .unwrap_or_default(),
            agent,
            executor: None,
            container: None,
            source: Source::SourceMaster,
            status,
            unreachable_since: since,
            uuid: None,
        };
        self.tell(step, id, FrameworkEvent::Update(Box::new(update)));
    }

    /// What can be said of a task that nobody knows, by where it should be.
    fn what_became_of(&self, agent: Option<&AgentId>) -> Option<Unknown> {
        let says = |state, message, since| Some(Unknown { state, message, since });
        let away = |agent: &crate::agents::Agent| !agent.greeted && agent.unreachable_since.is_none();
        let Some(id) = agent else {
            if self.agents.values().any(away) {
                return None;
            }
            return says(TaskState::Unknown, "Reconciliation: Task is unknown", None);
        };
        match self.agents.get(id) {
            Some(agent) if away(agent) => None,
            Some(agent) => match agent.unreachable_since {
                None => says(TaskState::Gone, "Reconciliation: Task is unknown to the agent", None),
                since => says(TaskState::Unreachable, "Reconciliation: Task is unreachable", since),
            },
            None if self.frameworks.is_gone(id) => {
                says(TaskState::GoneByOperator, "Reconciliation: Task is gone", None)
            }
            None => says(TaskState::Unknown, "Reconciliation: Task is unknown", None),
        }
    }
}

/// The status of a task that its framework knows, or is about to.
fn latest(group: &Group, at: usize) -> &TaskStatus {
    let view = &group.tasks[at].view.status;
    let told = group.framework.as_ref().and_then(|launched| launched.waiting[at].updates.front());
    // Out of reach is news of its own.
    told.filter(|_| view.state != TaskState::Unreachable).unwrap_or(view)
}
