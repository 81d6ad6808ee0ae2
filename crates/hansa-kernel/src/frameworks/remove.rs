//! Frameworks that are gone for ever. Their ids stay refused, as far as is remembered; what of them still runs is killed
//! wherever it shows.

use super::Framework;
use crate::command::{Effect, ToStream};
use crate::given_up::GivenUp;
use crate::record::{GivenUpRecord, Record};
use crate::{Kernel, Step};
use hansa_model::event::{Event, OfferEnd};
use hansa_model::framework::FrameworkInfo;
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{FrameworkId, Principal, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many removed frameworks are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 1_000;

/// A stored framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameworkRecord {
    /// What it says of itself.
    pub info: FrameworkInfo,
    /// On whose behalf it subscribed.
    pub principal: Principal,
    /// When it subscribed first.
    pub registered_at: Timestamp,
    /// When it was removed; None: it was not.
    #[serde(default)]
    pub removed_at: Option<Timestamp>,
}

impl FrameworkRecord {
    /// One that was not removed.
    pub(crate) fn of(framework: &Framework) -> Self {
        Self {
            info: (*framework.info).clone(),
            principal: framework.principal.clone(),
            registered_at: framework.registered_at,
            removed_at: None,
        }
    }
}

impl Kernel {
    /// A framework ends for ever, and everything of it.
    pub(crate) fn remove_framework(&mut self, step: &mut Step, id: &FrameworkId, why: &str) {
        if self.frameworks.get(id).is_none() {
            return;
        }
        self.end_offers_of(step, id, OfferEnd::Discarded);
        self.cancel_removal(id);
        let numbers = self.frameworks.get(id).map(|framework| framework.groups.clone()).unwrap_or_default();
        for number in numbers {
            self.abandon_group(step, number, why);
        }
        let runs = self.frameworks.get(id).map(|framework| framework.executors.clone()).unwrap_or_default();
        for container in runs {
            self.abandon_executor(step, &container);
        }
        self.allocator_remove(id);
        let Some(mut framework) = self.frameworks.by_id.remove(id) else { return };
        if let Some(stream) = framework.stream.take() {
            self.frameworks.by_stream.remove(&stream);
            step.stream(stream, ToStream::Close);
            framework.disconnected_at = Some(step.now);
        }
        let record = FrameworkRecord { removed_at: Some(step.now), ..FrameworkRecord::of(&framework) };
        step.record(Record::PutFramework(Box::new(record.clone())));
        step.event(Event::Framework(Arc::new(framework.view())));
        step.event(Event::FrameworkRemoved(id.clone()));
        self.remember_removed(record);
        while self.frameworks.removed.len() > REMEMBERED {
            let Some((_, oldest)) = self.frameworks.removed_in_order.pop_first() else { break };
            self.frameworks.removed.remove(&oldest);
            step.record(Record::DeleteFramework(oldest));
        }
    }

    /// Those that were stored: known, and not connected, or gone.
    pub(crate) fn restore_frameworks(&mut self, step: &mut Step, mut records: Vec<FrameworkRecord>) {
        records.sort_by(|one, other| (one.removed_at, &one.info.id).cmp(&(other.removed_at, &other.info.id)));
        for record in records {
            let id = record.info.id.clone();
            let removed = record.removed_at;
            match removed {
                None => {
                    self.recover_framework(step.now, record);
                    self.show_framework(step, &id);
                }
                Some(_) => {
                    let info = Arc::new(record.info.clone());
                    let mut framework = Framework::new(info, record.principal.clone(), record.registered_at);
                    framework.disconnected_at = removed;
                    step.event(Event::Framework(Arc::new(framework.view())));
                    step.event(Event::FrameworkRemoved(id));
                    self.remember_removed(record);
                }
            }
        }
    }

    /// A framework was removed.
    fn remember_removed(&mut self, record: FrameworkRecord) {
        let at = record.removed_at.unwrap_or_default();
        self.frameworks.removed_in_order.insert((at, record.info.id.clone()));
        self.frameworks.removed.insert(record.info.id.clone(), record);
    }

    /// Nobody is there any more for a group: it ends in everybody's eyes now, and where it runs as soon as can be. What it
    /// has there it holds until then.
    fn abandon_group(&mut self, step: &mut Step, number: u64, why: &str) {
        let Some(group) = self.groups.get_mut(number) else { return };
        let (agent, instance) = (group.agent().clone(), group.instance().clone());
        if group.is_over() {
            let last: Vec<_> =
                group.tasks.iter().map(|task| (task.view.status.task.clone(), task.seen)).collect();
            self.forget_group(step, number);
            for (task, sequence) in last {
                step.effect(Effect::Acknowledge { agent: agent.clone(), task, sequence });
            }
            step.effect(Effect::Release { agent, instance });
            return;
        }
        let record = GivenUpRecord {
            instance: instance.clone(),
            tasks: group.task_ids().cloned().collect(),
            agent,
            at: Some(step.now),
        };
        let open = group
            .tasks
            .iter()
            .filter(|task| !task.view.status.state.is_terminal())
            .map(|task| task.view.status.task.clone())
            .collect();
        let ended: Vec<(usize, TaskStatus)> = group
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| !task.view.status.state.is_terminal())
            .map(|(at, task)| {
                let task = task.view.status.task.clone();
                let status = TaskStatus::new(task, instance.clone(), 0, TaskState::Killed, step.now);
                (at, status.because(Reason::ReasonFrameworkRemoved, why))
            })
            .collect();
        let held = self.pass_on(step.now, number);
        for (at, status) in ended {
            self.show_status(step, number, at, status);
        }
        step.record(Record::PutGivenUp(number, Box::new(record.clone())));
        self.add_given_up(step, number, GivenUp { held, open, ..GivenUp::new(record) });
        self.forget_group(step, number);
        self.kill_given_up(step, number);
    }
}
