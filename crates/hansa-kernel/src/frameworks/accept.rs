//! What frameworks do with offers: operations in order, each on what the ones before it left.

use crate::{Kernel, Step};
use hansa_model::event::OfferEnd;
use hansa_model::framework::{
    FrameworkEvent, FrameworkUpdate, OfferFilter, Operation, Part, Source, TaskAsked, parts,
};
use hansa_model::task::{Reason, TaskState, TaskStatus};
use hansa_model::{AgentId, FrameworkId, InstanceId, OfferId, RoleName, TaskId};

/// Offers of one machine and role that are being used up.
pub(super) struct Accepted {
    /// Whose.
    pub id: FrameworkId,
    /// Who pays.
    pub role: RoleName,
    /// Where.
    pub agent: AgentId,
    /// What is left.
    pub left: Vec<Part>,
    /// What of it was made by operations.
    pub made: Vec<Part>,
}

impl Kernel {
    /// A framework takes offers.
    pub(crate) fn accept(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        offers: &[OfferId],
        operations: Vec<Operation>,
        filter: OfferFilter,
    ) {
        self.answered_offers(id);
        let numbers = match self.judge_offers(id, offers) {
            Ok(numbers) => numbers,
            Err(problem) => return self.drop_accept(step, id, offers, operations, &problem),
        };
        let used = operations.iter().any(|operation| match operation {
            Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } => !tasks.is_empty(),
            _ => true,
        });
        let why = if used { OfferEnd::Accepted } else { OfferEnd::Declined };
        let mut accepted: Option<Accepted> = None;
        for number in numbers {
            let Some(offer) = self.end_offer(step, number, why) else { continue };
            let accepted = accepted.get_or_insert_with(|| Accepted {
                id: id.clone(),
                role: offer.role.clone(),
                agent: offer.agent.clone(),
                left: Vec::new(),
                made: Vec::new(),
            });
            parts::give(&mut accepted.left, &offer.parts);
        }
        let Some(mut accepted) = accepted else { return };
        for operation in operations {
            match operation {
                Operation::Launch { tasks } => {
                    tasks.into_iter().for_each(|task| self.launch_task(step, &mut accepted, task));
                }
                Operation::LaunchGroup { executor, tasks } => {
                    self.launch_group(step, &mut accepted, *executor, tasks);
                }
                // What cannot be done is dropped without a word: there is no feedback for operations.
                operation @ (Operation::Reserve { .. }
                | Operation::Unreserve { .. }
                | Operation::Create { .. }
                | Operation::Destroy { .. }) => drop(self.operate(step, &mut accepted, &operation)),
                Operation::Unsupported { .. } => {}
            }
        }
        let Accepted { role, agent, mut left, made, .. } = accepted;
        for part in &made {
            if let Some(from) = left.iter_mut().find(|other| other.is_like(part)) {
                from.amount = from.amount.without(&part.amount);
            }
        }
        left.retain(|part| !part.amount.is_empty());
        if !left.is_empty() {
            if used {
                self.allocator_refuse_rest(step.now, id, &role, &agent, left, filter.refuse_ms);
            } else {
                self.allocator_refuse(step.now, id, &role, &agent, &left, filter.refuse_ms);
            }
        }
    }

    /// Whether these offers can be used together; if not, what is wrong.
    fn judge_offers(&self, id: &FrameworkId, offers: &[OfferId]) -> Result<Vec<u64>, String> {
        if offers.is_empty() {
            return Err("No offers specified".into());
        }
        let mut numbers: Vec<u64> = Vec::with_capacity(offers.len());
        for offer in offers {
            let number =
                self.find_offer(id, offer).ok_or_else(|| format!("Offer {offer} is no longer valid"))?;
            if numbers.contains(&number) {
                return Err(format!("Duplicate offer {offer} in offer list"));
            }
            numbers.push(number);
        }
        let known = |number: &u64| self.frameworks.offers.get(*number);
        let first = numbers.first().and_then(known);
        for offer in numbers.iter().filter_map(known) {
            if first.is_some_and(|first| first.agent != offer.agent) {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {} uses agent {}",
                    offer.id, offer.agent
                ));
            }
            if first.is_some_and(|first| first.role != offer.role) {
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {} is allocated to role {}",
                    offer.id, offer.role
                ));
            }
        }
        Ok(numbers)
    }

    /// Offers that cannot be used (together): those that hold go back, and what was to be launched is dropped.
    fn drop_accept(
        &mut self,
        step: &mut Step,
        id: &FrameworkId,
        offers: &[OfferId],
        operations: Vec<Operation>,
        problem: &str,
    ) {
        for offer in offers {
            if let Some(number) = self.find_offer(id, offer) {
                self.end_offer(step, number, OfferEnd::Declined);
            }
        }
        let message = format!("Task launched with invalid offers: {problem}");
        for operation in operations {
            if let Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } = operation {
                for task in tasks {
                    self.refuse_task(
                        step,
                        id,
                        &task,
                        TaskState::Dropped,
                        Reason::ReasonInvalidOffers,
                        &message,
                    );
                }
            }
        }
    }

    /// Tells a framework that a task that it wanted launched is not.
    pub(super) fn refuse_task(
        &self,
        step: &mut Step,
        id: &FrameworkId,
        task: &TaskAsked,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        let status =
            TaskStatus::new(TaskId::from(task.id.as_str()), InstanceId::from(""), 0, state, step.now)
                .because(reason, message);
        let update = FrameworkUpdate {
            task: task.id.clone(),
            agent: Some(task.agent.clone()),
            address: self
                .agents
                .get(&task.agent)
                .map(|agent| agent.hello.address.clone())
                .unwrap_or_default(),
            executor: None,
            container: None,
            source: Source::SourceMaster,
            status,
            unreachable_since: None,
            uuid: None,
        };
        self.tell(step, id, FrameworkEvent::Update(Box::new(update)));
    }
}
