//! Claims: places for groups, decided one by one or all or nothing.
//!
//! The test is "it fits and is allowed now". A claim made twice gets its first answer. What is granted is stored before
//! its launch leaves.

use crate::command::Refusal;
use crate::groups::{Group, Task};
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::app::Constraint;
use hansa_model::event::{AgentState, Event, OfferEnd, TaskChange, TaskView};
use hansa_model::scheduler::{Answer, Claim, Placement, Rejection};
use hansa_model::task::{TaskState, TaskStatus};
use hansa_model::{Owner, RoleName};
use std::sync::Arc;

/// A placement that is granted.
enum Granted {
    /// Earlier already.
    Before,
    /// Now, under this number, once these offers are rescinded.
    Now(u64, Vec<u64>),
}

impl Kernel {
    /// A scheduler claims places.
    pub(crate) fn claim(&mut self, step: &mut Step, owner: &Owner, claim: Claim) -> Result<Answer, Refusal> {
        if claim.owner != *owner {
            return Err(Refusal::Invalid(format!("{owner} cannot claim for {}", claim.owner)));
        }
        if claim.role.as_str().is_empty() {
            return Err(Refusal::Invalid("a claim needs a role".into()));
        }
        let (role, constraints, placements) = (claim.role, claim.constraints, claim.placements);
        let answers = if claim.gang {
            self.claim_gang(step, owner, &role, &constraints, placements)
        } else {
            let mut answers = Vec::with_capacity(placements.len());
            for placement in placements {
                let granted = self.grant(step, owner, &role, &constraints, placement);
                answers.push(granted.map(|granted| self.publish(step, granted)));
            }
            answers
        };
        Ok(Answer::Claim(answers))
    }

    /// All or nothing: everything is granted first, and only then anybody hears of it.
    fn claim_gang(
        &mut self,
        step: &mut Step,
        owner: &Owner,
        role: &RoleName,
        constraints: &[Constraint],
        placements: Vec<Placement>,
    ) -> Vec<Result<(), Rejection>> {
        let mut granted: Vec<Result<Granted, Rejection>> = placements
            .into_iter()
            .map(|placement| self.grant(step, owner, role, constraints, placement))
            .collect();
        if granted.iter().all(Result::is_ok) {
            return granted
                .into_iter()
                .map(|granted| granted.map(|granted| self.publish(step, granted)))
                .collect();
        }
        for answer in granted.iter_mut().rev() {
            if let Ok(Granted::Now(number, _)) = *answer {
                self.take_back(number);
                *answer = Err(Rejection::GangIncomplete);
            }
        }
        granted.into_iter().map(|answer| answer.map(|_| ())).collect()
    }

    /// Decides one placement; if it is granted, it is on the books, but nobody has heard of it.
    fn grant(
        &mut self,
        step: &Step,
        owner: &Owner,
        role: &RoleName,
        constraints: &[Constraint],
        placement: Placement,
    ) -> Result<Granted, Rejection> {
        let Placement { instance, tasks, spec, agent, allocation } = placement;
        if let Some(number) = self.groups.number_of(&instance) {
            let same = self.groups.get(number).is_some_and(|group| {
                group.owner() == owner
                    && group.role() == role
                    && group.spec() == spec
                    && *group.agent() == agent
                    && **group.allocation() == allocation
                    && group.has_tasks(&tasks)
            });
            return if same { Ok(Granted::Before) } else { Err(Rejection::InstanceExists(instance)) };
        }
        if self.given_up.number_of(&agent, &instance).is_some() {
            // An earlier one of its name is still being ended there.
            return Err(Rejection::InstanceExists(instance));
        }
        let twice = (1..tasks.len()).find(|&at| tasks[..at].contains(&tasks[at])).map(|at| &tasks[at]);
        if let Some(taken) = twice.or_else(|| tasks.iter().find(|task| self.groups.is_taken(task))) {
            return Err(Rejection::TaskIdTaken(taken.clone()));
        }
        let Some(host) = self.agents.get(&agent) else { return Err(Rejection::UnknownAgent(agent)) };
        if host.state() != AgentState::Active {
            return Err(Rejection::AgentNotActive(agent));
        }
        let Some(registered) = self.specs.get(spec) else { return Err(Rejection::UnknownSpec) };
        if tasks.is_empty()
            || tasks.len() != registered.group.tasks.len()
            || !allocation.satisfies(&registered.demand)
        {
            return Err(Rejection::WrongAllocation);
        }
        let Some(node) = self.book.cluster().node(&agent) else { return Err(Rejection::UnknownAgent(agent)) };
        node.free.contains(&allocation).map_err(|short| Rejection::DoesNotFit(short.0))?;
        self.roles.allows(role, &allocation, self.book.free())?;
        let rescinded = self.offers_in_the_way(&agent, role, &allocation)?;

        // From here on it is granted.
        let origin = registered.group.origin.clone();
        self.book.observe(&registered.demand, constraints);
        let number = self.new_number();
        let (id, host) = self.agents.get_key_value(&agent).expect("it was there above");
        let (id, hostname, boot) = (id.clone(), host.hostname.clone(), host.boot());
        self.book.take(&id, &allocation).expect("it fitted above");
        self.agents.get_mut(&id).expect("it was there above").groups.insert(number);
        let role = self.roles.add(role, &allocation);
        let allocation = self.specs.share(spec, allocation);
        let tasks = tasks.into_iter().map(|task| {
            let status = TaskStatus::new(task, instance.clone(), 0, TaskState::Staging, step.now);
            let view = TaskView {
                instance: instance.clone(),
                owner: owner.clone(),
                role: role.clone(),
                spec,
                origin: origin.clone(),
                agent: id.clone(),
                hostname: hostname.clone(),
                allocation: allocation.clone(),
                staged_at: step.now,
                started_at: None,
                status,
                framework: None,
            };
            Task { view: Arc::new(view), seen: 0 }
        });
        let tasks = tasks.collect();
        let group = Group { tasks, boot, killing: None, accepted: false, adopted: false, framework: None };
        self.groups.insert(number, group);
        Ok(Granted::Now(number, rescinded))
    }

    /// Stores, shows and sends what was granted.
    fn publish(&mut self, step: &mut Step, granted: Granted) {
        let Granted::Now(number, rescinded) = granted else { return };
        for offer in rescinded {
            self.end_offer(step, offer, OfferEnd::Rescinded);
        }
        let Some(group) = self.groups.get(number) else { return };
        let (agent, role, spec) = (group.agent().clone(), group.role().clone(), group.spec());
        self.specs.refer(spec, step);
        step.record(Record::PutAssignment(number, Box::new(group.record())));
        for task in &group.tasks {
            step.event(Event::Task { view: task.view.clone(), change: TaskChange::Placed });
        }
        self.send_launch(step, number);
        self.use_changed(step.now, &agent, &role);
    }

    /// Undoes what was granted and not published.
    fn take_back(&mut self, number: u64) {
        let Some(group) = self.groups.undo(number) else { return };
        if let Some(agent) = self.agents.get_mut(group.agent()) {
            agent.groups.remove(&number);
        }
        self.give_back(group.agent(), group.allocation());
        self.roles.subtract(group.role(), group.allocation());
    }
}
