//! What one framework would be offered of one machine, or why nothing.

use super::filters::OnMachine;
use super::quota::{Room, Stop};
use super::{Allocator, Idle, Seat, SeatAt};
use crate::roles::RoleAt;
use hansa_model::framework::{Amount, Part, parts};
use hansa_model::planted::{Bug, planted};
use hansa_model::{RoleName, Timestamp};

/// Why a seat is not offered what is left on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The machine has GPUs, and the framework does not know of them.
    Gpus,
    /// The machine is of another region, and the framework does not know of them.
    Region,
    /// The framework's own constraints.
    Constraint,
    /// What is left is kept for other roles.
    Reserved,
    /// Quota.
    Stopped(Stop),
    /// It would be less than is worth an offer.
    TooLittle,
    /// The framework refused as much, until then.
    Refused(Timestamp),
}

/// What the frameworks of one role could have of what is left on a machine.
#[derive(Debug)]
pub(super) struct Portion {
    /// For those that read single reservations.
    plain: Vec<Part>,
    /// For those that read stacks of them, if that is something else.
    refined: Option<Vec<Part>>,
    /// Why there is nothing unreserved, if quota is why.
    stop: Option<Stop>,
    /// Whether quota makes it less than there is.
    pub shrunk: bool,
}

impl Portion {
    pub fn new(role: &RoleName, room: &Room, left: &[Part]) -> Self {
        let mut portion = Self { plain: Vec::new(), refined: None, stop: None, shrunk: false };
        if left.iter().any(|part| part.role().is_some()) {
            portion.refined = Some(Vec::new());
        }
        let mut disk = 0;
        for part in left {
            if part.role().is_some() {
                let own = part.role() == Some(role) || planted(Bug::KeptForAll);
                if part.reservations.len() == 1 && own {
                    portion.plain.push(part.clone());
                }
                if let Some(refined) = portion.refined.as_mut().filter(|_| is_kept_above(part, role)) {
                    refined.push(part.clone());
                }
                continue;
            }
            let amount = match room.shrink(&part.amount) {
                _ if part.source.is_some() => {
                    Amount { disk: room.shrink_disk(part, disk), ..Amount::default() }
                }
                Ok(amount) => amount,
                Err(stop) => {
                    portion.stop = Some(stop);
                    Amount::default()
                }
            };
            disk = disk.saturating_add(amount.disk);
            portion.shrunk |= amount != part.amount;
            if !amount.is_empty() {
                let part = Part { amount, ..part.clone() };
                portion.refined.iter_mut().for_each(|refined| refined.push(part.clone()));
                portion.plain.push(part);
            }
        }
        portion
    }

    /// Whether there is nothing for anybody.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.refined.as_ref().is_none_or(Vec::is_empty)
    }

    /// What a framework could have.
    pub fn parts(&self, refined: bool) -> &[Part] {
        match &self.refined {
            Some(parts) if refined => parts,
            _ => &self.plain,
        }
    }
}

/// Whether a part is kept for this role, or for one that it is below.
fn is_kept_above(part: &Part, role: &RoleName) -> bool {
    part.role().is_some_and(|kept_for| {
        let below = role.as_str().strip_prefix(kept_for.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether an offer of this is worth sending: it contains at least one of the alternatives. None named: any is.
fn is_worth(parts: &[Part], least: &[Amount]) -> bool {
    match parts {
        [] => false,
        _ if least.is_empty() => true,
        [one] => least.iter().any(|least| one.amount.contains(least).is_ok()),
        parts => {
            let sum = parts::sum(parts);
            least.iter().any(|least| sum.contains(least).is_ok())
        }
    }
}

impl Allocator {
    /// What a seat would be offered, or why nothing.
    pub(super) fn evaluate<'p>(
        &self,
        now: Timestamp,
        idle: &Idle<'_>,
        refusals: OnMachine<'_>,
        portion: &'p Portion,
        (at, seat): (SeatAt, &Seat),
    ) -> Result<&'p [Part], Obstacle> {
        if idle.has_gpus && !seat.gpus && self.settings.filter_gpus {
            return Err(Obstacle::Gpus);
        }
        let home = self.settings.region.as_deref();
        if !seat.region_aware && home.is_some() && idle.region.is_some() && idle.region != home {
            return Err(Obstacle::Region);
        }
        let parts = portion.parts(seat.refined);
        if !is_worth(parts, seat.least.as_ref().unwrap_or(&self.settings.min_allocatable)) {
            return Err(match &portion.stop {
                Some(stop) => Obstacle::Stopped(stop.clone()),
                None if parts.is_empty() => Obstacle::Reserved,
                None => Obstacle::TooLittle,
            });
        }
        if let Some(until) = refusals.by(at, seat.epoch).and_then(|refusals| refusals.refused(now, parts)) {
            return Err(Obstacle::Refused(until));
        }
        if !seat.rules.hold(idle) {
            return Err(Obstacle::Constraint);
        }
        Ok(parts)
    }

    /// The same for one seat alone, of all that is left.
    pub(super) fn evaluate_alone(
        &self,
        now: Timestamp,
        idle: &Idle<'_>,
        refusals: OnMachine<'_>,
        left: &[Part],
        room: &Room,
        (at, seat): (SeatAt, &Seat),
    ) -> Result<Vec<Part>, Obstacle> {
        let portion = Portion::new(&seat.role, room, left);
        self.evaluate(now, idle, refusals, &portion, (at, seat)).map(<[Part]>::to_vec)
    }
}

/// The roles that some of these parts are kept for.
pub(super) fn kept_for<'a>(
    left: &'a [Part],
    find: impl Fn(&RoleName) -> Option<RoleAt> + 'a,
) -> impl Iterator<Item = RoleAt> + 'a {
    left.iter().filter_map(Part::role).filter_map(find)
}
