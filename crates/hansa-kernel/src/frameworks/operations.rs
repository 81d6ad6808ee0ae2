//! Reservations and volumes are made and unmade: by frameworks with what they were offered, by operators with what is
//! free.

use super::accept::Accepted;
use super::names;
use super::pots::{Pots, allocation_of};
use crate::command::{Effect, Refusal};
use crate::record::Record;
use crate::{Kernel, Step};
use hansa_model::event::OfferEnd;
use hansa_model::framework::{Amount, FrameworkInfo, Operation, Part, parts};
use hansa_model::planted::{Bug, planted};
use hansa_model::scheduler::Answer;
use hansa_model::{AgentId, Allocation, RoleName};

/// One change: what there was becomes what there is to be.
struct Change {
    from: Part,
    to: Part,
}

/// What a part of an operation changes, or what is wrong with it.
type Judge = fn(&Part) -> Result<Change, String>;

impl Kernel {
    /// A framework's operation on what is left of its offers: all of it, or nothing and why.
    pub(super) fn operate(
        &mut self,
        step: &mut Step,
        accepted: &mut Accepted,
        operation: &Operation,
    ) -> Result<(), String> {
        let info = self.frameworks.get(&accepted.id).map(|framework| framework.info.clone());
        let changes = self.changes(&accepted.agent, operation)?;
        for change in &changes {
            may(operation, change, info.as_deref(), &accepted.role)?;
        }
        let mut left = accepted.left.clone();
        take_all(&mut left, &changes)?;
        self.change(step, &accepted.agent, &changes)?;
        let made: Vec<Part> = changes.into_iter().map(|change| change.to).collect();
        parts::give(&mut left, &made);
        accepted.left = left;
        accepted.made.extend(made);
        Ok(())
    }

    /// An operator's operation on what is free on a machine. Offers in the way are rescinded.
    pub(crate) fn agent_parts(
        &mut self,
        step: &mut Step,
        id: &AgentId,
        operation: &Operation,
    ) -> Result<Answer, Refusal> {
        let Some(agent) = self.agents.get(id) else { return Err(Refusal::UnknownAgent(id.clone())) };
        let changes = self.changes(id, operation).map_err(Refusal::Invalid)?;
        let mut free: Vec<Part> = agent.pots.free().collect();
        if let Some(node) = self.book.cluster().node(id).filter(|_| !agent.overcommitted) {
            free.push(Part::unreserved(Amount::offerable(&node.free)));
        }
        let fits = |free: &[Part]| take_all(&mut free.to_vec(), &changes);
        fits(&free).map_err(Refusal::NotFree)?;
        let mut offers: Vec<_> = self.frameworks.offers.on(id).collect();
        let mut rescinded = Vec::new();
        let without = |offers: &[(u64, &std::sync::Arc<hansa_model::framework::Offer>)]| {
            let mut left = free.clone();
            for part in offers.iter().flat_map(|(_, offer)| &offer.parts) {
                if let Some(from) = left.iter_mut().find(|other| other.is_like(part)) {
                    from.amount = from.amount.without(&part.amount);
                }
            }
            left
        };
        while fits(&without(&offers)).is_err() {
            let Some((number, _)) = offers.pop() else { break };
            rescinded.push(number);
        }
        for number in rescinded {
            self.end_offer(step, number, OfferEnd::Rescinded);
        }
        self.change(step, id, &changes).map_err(Refusal::NotFree)?;
        Ok(Answer::Done)
    }

    /// What an operation changes, if it makes sense in itself.
    fn changes(&self, agent: &AgentId, operation: &Operation) -> Result<Vec<Change>, String> {
        let (parts, to_change): (_, Judge) = match operation {
            Operation::Reserve { parts } => (parts, reserve),
            Operation::Unreserve { parts } => (parts, unreserve),
            Operation::Create { parts } => (parts, create),
            Operation::Destroy { parts } => (parts, destroy),
            _ => return Err("the operation does not change resources".into()),
        };
        let mut changes: Vec<Change> = Vec::with_capacity(parts.len());
        for part in parts.iter().filter(|part| !part.amount.is_empty()) {
            let change = to_change(part)?;
            if let (Operation::Create { .. }, Some(role), Some(volume)) =
                (operation, part.role(), &part.volume)
            {
                let twice = changes.iter().any(|other| {
                    other.to.role() == Some(role)
                        && other.to.volume.as_ref().is_some_and(|made| made.id == volume.id)
                });
                let known =
                    self.agents.get(agent).is_some_and(|agent| agent.pots.has_volume(role, &volume.id));
                if twice || known {
                    return Err(format!(
                        "disk.persistence.id '{}' is taken: role '{role}' has a volume of it on this agent; choose another",
                        volume.id
                    ));
                }
            }
            changes.push(change);
        }
        if changes.is_empty() {
            Err("resources: there is nothing in it to change".into())
        } else {
            Ok(changes)
        }
    }

    /// Makes the changes, all or none. What is taken from was found to be free, and is in no offer.
    fn change(&mut self, step: &mut Step, id: &AgentId, changes: &[Change]) -> Result<(), String> {
        let gone = "the resources are not free on the agent any more";
        let agent = self.agents.get(id).ok_or("the agent is not known")?;
        let mut pots = agent.pots.clone();
        let mut removed = Vec::new();
        // Devices that move between the machine's book and pots; the book follows below.
        let mut free = match self.book.cluster().node(id) {
            Some(node) => node.free.clone(),
            None => return Err("the agent is not known".into()),
        };
        for Change { from, to } in changes {
            let devices = if from.is_open() {
                let gpus = hansa_model::resources::GpuDemand::whole(from.amount.gpus);
                let picked = free.pick(&hansa_model::Demand { gpus, ..hansa_model::Demand::default() });
                let picked = picked.map_err(|_| gone)?;
                let devices: Vec<u16> = picked.gpus.iter().map(|&(device, _)| device).collect();
                free.take(&allocation_of(&from.amount, &devices)).map_err(|_| gone)?;
                devices
            } else {
                pots.shrink(from).ok_or(gone)?
            };
            if to.is_open() {
                free.give_back(&allocation_of(&to.amount, &devices));
            } else {
                pots.grow(to, devices);
            }
            if let (Some(volume), None, Some(role)) = (&from.volume, &to.volume, from.role()) {
                removed.push((role.clone(), volume.id.clone()));
            }
        }
        self.change_pots(step, id, pots);
        self.configure_pots(step, id);
        for (role, volume) in removed.into_iter().filter(|_| !planted(Bug::RemovalNotSent)) {
            step.effect(Effect::RemoveVolume { agent: id.clone(), role, id: volume });
        }
        Ok(())
    }

    /// A machine's reservations are these from now on: stored, shown, on its books and on those of the roles.
    pub(crate) fn change_pots(&mut self, step: &mut Step, id: &AgentId, pots: Pots) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let before = std::mem::replace(&mut agent.pots, pots);
        let after = agent.pots.clone();
        if !planted(Bug::PartsNotStored) {
            step.record(Record::PutParts(id.clone(), after.records()));
        }
        self.charge_pots(&before, false);
        self.charge_pots(&after, true);
        for role in before.iter().chain(after.iter()).filter_map(super::pots::Pot::role) {
            self.use_changed(step.now, id, role);
        }
        self.recount(id);
        self.book.touch(id);
        // At once: whoever reserved something and asks for it shall see it.
        self.show_agent(step, id);
    }

    /// What a machine's configuration sets apart is set apart, and what it no longer does is everybody's as far as nobody
    /// has it. (What is offered of it is none of that: there is more than is configured only while all of it is in use.)
    pub(crate) fn configure_pots(&mut self, step: &mut Step, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let configured = &agent.hello.parts;
        if configured.is_empty() && agent.pots.iter().all(|pot| pot.part.origin().is_none()) {
            return;
        }
        let of =
            |allocation: &Allocation| allocation.gpus.iter().map(|&(device, _)| device).collect::<Vec<_>>();
        let kept: Vec<u16> = Self::kept_on(agent).flat_map(of).collect();
        let used: Vec<u16> = self.held_on(agent).flat_map(of).collect();
        let all = 0..u16::try_from(agent.hello.resources.gpus.len()).unwrap_or(u16::MAX);
        let mut devices: Vec<u16> = all.filter(|device| !kept.contains(device)).collect();
        devices.sort_by_key(|device| used.contains(device));
        let mut pots = agent.pots.clone();
        if pots.configure(configured, devices) {
            self.change_pots(step, id, pots);
        }
    }

    /// Reservations count for the roles that they are made for, used or not.
    pub(crate) fn charge_pots(&mut self, pots: &Pots, more: bool) {
        for pot in pots.iter() {
            let Some(role) = pot.role() else { continue };
            let kept = pot.part.amount.totals();
            if more {
                self.roles.reserve(role, kept);
            } else {
                self.roles.unreserve(role, kept);
            }
        }
    }
}

/// Takes what all changes need.
fn take_all(left: &mut Vec<Part>, changes: &[Change]) -> Result<(), String> {
    for Change { from, .. } in changes {
        parts::take(left, std::slice::from_ref(from)).map_err(|short| match &from.volume {
            Some(volume) => format!("volume {} is not free, or of another size", volume.id),
            None if from.is_whole() => {
                let disk = from.source.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("the {disk} is not free, or of another size: it is taken whole or not at all")
            }
            None => format!("there is {short} for the operation"),
        })?;
    }
    Ok(())
}

/// `to` is as it is to be, the new reservation last.
fn reserve(to: &Part) -> Result<Change, String> {
    let mut from = to.clone();
    let Some(last) = from.reservations.pop() else {
        return Err("resources: they name no reservation; add one to 'reservations'".into());
    };
    if to.volume.is_some() {
        return Err("resources: a volume cannot be reserved; reserve disk and make the volume of it".into());
    }
    if last.fixed {
        return Err("reservations: a STATIC one can only be made by the agent's --resources".into());
    }
    disk_only(to)?;
    if last.role == RoleName::any() {
        return Err("reservations: nothing can be reserved for the role '*'".into());
    }
    if let Some(problem) = names::problem(&last.role) {
        return Err(format!("reservations: {problem}"));
    }
    if let Some(above) = from.role()
        && !names::is_below(above, &last.role)
    {
        return Err(format!(
            "reservations: role '{}' is not below '{above}', whose reservation it refines",
            last.role
        ));
    }
    Ok(Change { from, to: to.clone() })
}

/// What is said to be on a disk of its own is disk.
fn disk_only(part: &Part) -> Result<(), String> {
    match &part.source {
        Some(source) if part.amount != (Amount { disk: part.amount.disk, ..Amount::default() }) => {
            Err(format!("resources: on the {source} there is disk only"))
        }
        _ => Ok(()),
    }
}

fn unreserve(from: &Part) -> Result<Change, String> {
    let mut to = from.clone();
    match to.reservations.pop() {
        None => Err("resources: they are not reserved".into()),
        Some(last) if last.fixed => {
            Err("reservations: a STATIC one can only be changed by the agent's --resources".into())
        }
        Some(_) if from.volume.is_some() => {
            Err("resources: a persistent volume cannot be unreserved; destroy it first".into())
        }
        Some(_) => Ok(Change { from: from.clone(), to }),
    }
}

fn create(to: &Part) -> Result<Change, String> {
    let Some(volume) = &to.volume else {
        return Err("volumes: 'disk.persistence' is missing".into());
    };
    if to.reservations.is_empty() {
        return Err(format!("volume {}: it needs reserved disk; reserve it first", volume.id));
    }
    let disk_only = Amount { disk: to.amount.disk, ..Amount::default() };
    if to.amount != disk_only {
        return Err(format!("volume {}: it is made of disk only", volume.id));
    }
    Ok(Change { from: Part { volume: None, ..to.clone() }, to: to.clone() })
}

fn destroy(from: &Part) -> Result<Change, String> {
    if from.volume.is_none() {
        return Err("volumes: 'disk.persistence' is missing".into());
    }
    Ok(Change { from: from.clone(), to: Part { volume: None, ..from.clone() } })
}

/// Whether a framework may do that with what was offered to it in this role.
fn may(
    operation: &Operation,
    change: &Change,
    info: Option<&FrameworkInfo>,
    role: &RoleName,
) -> Result<(), String> {
    let principal = info.and_then(|info| info.principal.as_deref());
    match operation {
        Operation::Reserve { .. } => {
            let Some(last) = change.to.reservations.last() else { return Ok(()) };
            if last.role != *role {
                return Err(format!(
                    "reservations: role '{}' is not '{role}', which the offer is for",
                    last.role
                ));
            }
            if last.principal.is_some() && last.principal.as_deref() != principal {
                return Err("reservations: 'principal' is not the framework's".into());
            }
        }
        Operation::Create { .. } => {
            let named = change.to.volume.as_ref().and_then(|volume| volume.principal.as_deref());
            if named.is_some() && named != principal {
                return Err("disk.persistence: 'principal' is not the framework's".into());
            }
        }
        _ => {}
    }
    Ok(())
}
