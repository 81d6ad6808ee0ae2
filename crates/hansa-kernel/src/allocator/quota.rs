//! How much a role may be offered of a machine's unreserved resources, and who is stopped by that.

use crate::roles::{Four, KINDS, ROOT, RoleAt, Roles, View, numbers};
use hansa_model::framework::{Amount, Part};
use hansa_model::resources::{Kind, MIB, WHOLE_GPU};
use hansa_model::role::Totals;
use std::collections::BTreeMap;

/// The place of disk among the four.
const DISK: usize = 2;

/// What stops a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A limit: of which role, on what.
    Limit(RoleAt, Kind),
    /// What is free of a kind is kept for what others are guaranteed.
    Headroom(Kind),
}

/// What a role may have more, and who says so.
#[derive(Clone, Debug)]
pub(super) struct Room {
    most: Four,
    /// Of what is on disks of their own, where nothing is kept for guarantees.
    most_disk: u64,
    stops: [Option<Stop>; 4],
}

impl Room {
    /// The role's room, with `free` unreserved resources in the cluster (offered ones included).
    pub fn of(roles: &Roles, at: RoleAt, free: Totals) -> Self {
        let tree = roles.tree();
        if tree.is_without_quota() {
            return Self { most: [u64::MAX; 4], most_disk: u64::MAX, stops: [None, None, None, None] };
        }
        let offered = numbers(tree.node(ROOT).whole.offered_open);
        let free = numbers(free);
        let idle = std::array::from_fn(|kind| free[kind].saturating_sub(offered[kind]));
        let headroom = roles.headroom_allows(at, idle, View::Offers);
        let limits = roles.limits_allow(at);
        let most = std::array::from_fn(|kind| headroom[kind].min(limits[kind].0));
        let stops = std::array::from_fn(|kind| match (headroom[kind], limits[kind]) {
            (u64::MAX, (u64::MAX, _)) => None,
            (headroom, (limit, by)) if limit <= headroom => Some(Stop::Limit(by, KINDS[kind])),
            _ => Some(Stop::Headroom(KINDS[kind])),
        });
        Self { most, most_disk: limits[DISK].0, stops }
    }

    /// As much of what is on a disk of its own as there is room for, besides what the role gets of other disk: of a disk that
    /// cannot be divided all or nothing.
    pub fn shrink_disk(&self, part: &Part, besides: u64) -> u64 {
        let most = self.most_disk.saturating_sub(besides) / MIB * MIB;
        let disk = part.amount.disk;
        if part.is_whole() && disk > most { 0 } else { disk.min(most) }
    }

    /// As much of it as there is room for; or why nothing at all: nobody can use memory without CPUs,
    /// nor the other way round.
    pub fn shrink(&self, amount: &Amount) -> Result<Amount, Stop> {
        let [cpus, mem, disk, gpus] = self.most;
        let gpus = u16::try_from(gpus / u64::from(WHOLE_GPU)).unwrap_or(u16::MAX);
        let less = Amount {
            cpus_milli: amount.cpus_milli.min(cpus),
            mem: amount.mem.min(mem / MIB * MIB),
            disk: amount.disk.min(disk / MIB * MIB),
            gpus: amount.gpus.min(gpus),
            ports: amount.ports.clone(),
        };
        let none = [cpus == 0, mem < MIB].into_iter().position(|none| none);
        match none.and_then(|kind| self.stops[kind].clone()) {
            Some(stop) => Err(stop),
            None => Ok(less),
        }
    }
}

/// Roles that quota kept from something, and what room they had then. Once there is more, they have a cause to be looked
/// at.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    roles: BTreeMap<RoleAt, Four>,
    /// As of which number of easings, and with how much free, they are known to be stopped.
    eased: u64,
    free: Totals,
}

impl Stopped {
    /// A role is stopped.
    pub fn insert(&mut self, role_at: RoleAt, room: Room) {
        self.roles.insert(role_at, room.most);
    }

    /// Takes out the roles that have more room than when they were stopped.
    pub fn take_eased(&mut self, roles: &Roles, free: Totals) -> Vec<RoleAt> {
        let eased = roles.tree().eased();
        let more_free = numbers(free).into_iter().zip(numbers(self.free)).any(|(free, before)| free > before);
        let same = self.eased == eased && !more_free;
        (self.eased, self.free) = (eased, free);
        if same || self.roles.is_empty() {
            return Vec::new();
        }
        let has_room = |(&at, then): (&RoleAt, &Four)| {
            let now = Room::of(roles, at, free).most;
            now.iter().zip(then).any(|(now, then)| now > then).then_some(at)
        };
        let eased: Vec<RoleAt> = self.roles.iter().filter_map(has_room).collect();
        for at in &eased {
            self.roles.remove(at);
        }
        eased
    }
}
