//! What of a machine is set apart, and who has it: the machine's pots, held against what tasks, executors and offers have.

use super::views;
use crate::read_model::{Agent, ReadModel, framework_of};
use hansa_api::apart::{
    Amounts, DiskKind, DiskPlace, Holding, NodeDetail, NodeDisk, NodeReservation, NodeVolume, Portion,
    ReservationKind, ReservationLabel,
};
use hansa_model::framework::{Amount, DiskSource, Part, Reservation};
use hansa_model::resources::{Allocation, PortSet, Resources};
use hansa_model::role::Totals;
use hansa_model::{FrameworkId, RoleName, TaskId};
use std::collections::BTreeMap;

/// What of a machine is kept for roles, used or not.
pub(super) fn reserved(parts: &[Part]) -> Totals {
    let kept = parts.iter().filter(|part| part.role().is_some());
    kept.fold(Totals::default(), |sum, part| sum.plus(part.amount.totals()))
}

/// A machine with everything that is set apart there.
pub(super) fn detail(model: &ReadModel, agent: &Agent) -> NodeDetail {
    let view = &agent.view;
    let held = Held::on(model, agent);
    let mut open = Amounts::of(&view.total);
    view.reserved.iter().for_each(|part| open.take(&part.amount));
    let mut reservations: BTreeMap<(&RoleName, &[Reservation]), Amounts> = BTreeMap::new();
    let mut disks: BTreeMap<&DiskSource, Vec<&Part>> = BTreeMap::new();
    for part in &view.reserved {
        if let Some(role) = part.role() {
            reservations.entry((role, &part.reservations)).or_default().give(&part.amount);
        }
        if let Some(source) = &part.source {
            disks.entry(source).or_default().push(part);
        }
    }
    let mut volumes: Vec<NodeVolume> = view.reserved.iter().filter_map(|part| held.volume(part)).collect();
    volumes.sort_by(|a, b| (&a.role, &a.id).cmp(&(&b.role, &b.id)));
    NodeDetail {
        node: views::node(model, agent),
        unreserved: held.portion(open, Part::is_open, &held.services),
        reservations: reservations
            .into_iter()
            .filter_map(|((_, stack), total)| held.reservation(stack, total))
            .collect(),
        volumes,
        disks: disks.into_iter().map(|(source, parts)| held.disk(source, &parts)).collect(),
    }
}

/// A task or an executor of a framework, and what it has.
struct Holder<'m> {
    parts: &'m [Part],
    framework: &'m FrameworkId,
    tasks: Vec<&'m TaskId>,
}

/// What is held on a machine.
struct Held<'m> {
    /// By frameworks' live tasks and executors.
    holders: Vec<Holder<'m>>,
    /// In offers, each with whose it is.
    offered: Vec<(&'m Part, &'m FrameworkId)>,
    /// By services, which have nothing that is set apart.
    services: Amounts,
}

impl<'m> Held<'m> {
    fn on(model: &'m ReadModel, agent: &'m Agent) -> Self {
        let id = &agent.view.id;
        let mut held = Held { holders: Vec::new(), offered: Vec::new(), services: Amounts::default() };
        let mut runs: BTreeMap<&str, Vec<&TaskId>> = BTreeMap::new();
        for task in model.agent_tasks(id).filter(|task| !task.status.state.is_terminal()) {
            let Some(framework) = framework_of(task) else {
                held.services.allocate(&task.allocation);
                continue;
            };
            let Some(of) = &task.framework else { continue };
            if let Some(run) = &of.launch.executor {
                runs.entry(run.container.as_str()).or_default().push(&task.status.task);
            }
            let (parts, tasks) = (of.task().parts.as_slice(), vec![&task.status.task]);
            held.holders.push(Holder { parts, framework, tasks });
        }
        for executor in model.executors().filter(|executor| executor.agent == *id) {
            let tasks = runs.remove(executor.run.container.as_str()).unwrap_or_default();
            held.holders.push(Holder { parts: &executor.run.parts, framework: &executor.framework, tasks });
        }
        for offer in model.offers().filter(|offer| offer.agent == *id) {
            held.offered.extend(offer.parts.iter().map(|part| (part, &offer.framework)));
        }
        held
    }

    /// How much of the parts that are wanted tasks and executors have.
    fn used(&self, wanted: impl Fn(&Part) -> bool) -> Amounts {
        let mut sum = Amounts::default();
        let parts = self.holders.iter().flat_map(|holder| holder.parts);
        parts.filter(|part| wanted(part)).for_each(|part| sum.give(&part.amount));
        sum
    }

    /// How much of the parts that are wanted is in offers.
    fn offered(&self, wanted: impl Fn(&Part) -> bool) -> Amounts {
        let mut sum = Amounts::default();
        let parts = self.offered.iter().filter(|(part, _)| wanted(part));
        parts.for_each(|(part, _)| sum.give(&part.amount));
        sum
    }

    /// Who has what of the parts that are wanted, `more` besides.
    fn portion(&self, total: Amounts, wanted: impl Fn(&Part) -> bool, more: &Amounts) -> Portion {
        let mut used = self.used(&wanted);
        used.totals = used.totals.plus(more.totals);
        used.ports = used.ports.union(&more.ports);
        let offered = self.offered(&wanted);
        let mut free = total.clone();
        for part in [&used, &offered] {
            free.totals = free.totals.minus(part.totals);
            free.ports = free.ports.without(&part.ports);
        }
        Portion { total, used, offered, free }
    }

    fn reservation(&self, stack: &[Reservation], total: Amounts) -> Option<NodeReservation> {
        let (innermost, outer) = stack.split_last()?;
        let label = |(key, value): &(String, Option<String>)| ReservationLabel {
            key: key.clone(),
            value: value.clone(),
        };
        Some(NodeReservation {
            role: innermost.role.clone(),
            kind: if innermost.fixed { ReservationKind::Static } else { ReservationKind::Dynamic },
            within: outer.iter().map(|reservation| reservation.role.clone()).collect(),
            principal: innermost.principal.clone(),
            labels: innermost.labels.iter().map(label).collect(),
            portion: self.portion(total, |part| part.reservations == stack, &Amounts::default()),
        })
    }

    fn volume(&self, part: &Part) -> Option<NodeVolume> {
        let volume = part.volume.as_ref()?;
        let holder = self.holders.iter().find(|holder| holder.parts.iter().any(|own| own.is_like(part)));
        let offered = self.offered.iter().find(|(own, _)| own.is_like(part));
        let (state, framework) = match (holder, offered) {
            (Some(holder), _) => (Holding::Used, Some(holder.framework)),
            (None, Some((_, framework))) => (Holding::Offered, Some(*framework)),
            (None, None) => (Holding::Free, None),
        };
        Some(NodeVolume {
            id: volume.id.clone(),
            role: part.role()?.clone(),
            principal: volume.principal.clone(),
            size: part.amount.disk,
            container_path: volume.container_path.clone(),
            disk: part.source.as_ref().map(place),
            state,
            framework: framework.cloned(),
            tasks: holder.into_iter().flat_map(|holder| &holder.tasks).map(|&task| task.clone()).collect(),
        })
    }

    fn disk(&self, source: &DiskSource, parts: &[&Part]) -> NodeDisk {
        let sum = |parts: &mut dyn Iterator<Item = &&Part>| parts.map(|part| part.amount.disk).sum::<u64>();
        let is_on = |part: &Part| part.source.as_ref() == Some(source);
        let size = sum(&mut parts.iter());
        let (used, offered) = (self.used(is_on).totals.disk, self.offered(is_on).totals.disk);
        NodeDisk {
            place: place(source),
            size,
            reserved: sum(&mut parts.iter().filter(|part| part.role().is_some())),
            used,
            offered,
            free: size.saturating_sub(used + offered),
        }
    }
}

fn place(source: &DiskSource) -> DiskPlace {
    let kind = match source {
        DiskSource::Path(_) => DiskKind::Path,
        DiskSource::Mount(_) => DiskKind::Mount,
    };
    DiskPlace { kind, root: source.root().to_owned() }
}

/// Sums of what comes in many forms.
trait Sum: Sized {
    fn of(resources: &Resources) -> Self;
    fn give(&mut self, amount: &Amount);
    fn take(&mut self, amount: &Amount);
    fn allocate(&mut self, given: &Allocation);
}

impl Sum for Amounts {
    fn of(resources: &Resources) -> Self {
        Self { totals: Totals::of(resources), ports: resources.ports.clone() }
    }

    fn give(&mut self, amount: &Amount) {
        self.totals = self.totals.plus(amount.totals());
        self.ports = self.ports.union(&amount.ports);
    }

    fn take(&mut self, amount: &Amount) {
        self.totals = self.totals.minus(amount.totals());
        self.ports = self.ports.without(&amount.ports);
    }

    fn allocate(&mut self, given: &Allocation) {
        let gpus_milli = given.gpus.iter().map(|&(_, milli)| u64::from(milli)).sum();
        let Allocation { cpus_milli, mem, disk, .. } = *given;
        self.totals = self.totals.plus(Totals { cpus_milli, mem, disk, gpus_milli });
        self.ports = self.ports.union(&PortSet::from_ranges(given.ports.iter().map(|&port| (port, port))));
    }
}
