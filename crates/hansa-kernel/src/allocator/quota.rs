//! How much a role may be offered of a machine's unreserved resources, and what stops it.

use crate::roles::{Four, KINDS, ROOT, RoleAt, Roles, View, numbers};
use hansa_model::framework::{Amount, Part};
use hansa_model::resources::{Kind, MIB, WHOLE_GPU};
use hansa_model::role::Totals;

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

    /// What the role may have more, of what is on no disk of its own.
    pub fn most(&self) -> Four {
        self.most
    }

    /// How far this room goes on a machine; `disks`: there is something unreserved on disks of their own.
    pub fn reach(&self, disks: bool) -> Reach {
        // Without CPUs or memory there is nothing of the rest either.
        let most = if self.short().is_some() { [0; 4] } else { self.most };
        Reach { most, most_disk: self.most_disk, disks }
    }

    /// Which of CPUs and memory there is nothing of.
    fn short(&self) -> Option<usize> {
        let [cpus, mem, ..] = self.most;
        [cpus == 0, mem < MIB].into_iter().position(|none| none)
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
        match self.short().and_then(|kind| self.stops[kind].clone()) {
            Some(stop) => Err(stop),
            None => Ok(less),
        }
    }
}

/// How far a room goes on a machine: with less room nobody gets more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach {
    most: Four,
    most_disk: u64,
    disks: bool,
}

impl Reach {
    /// Whether nobody who wants nothing with this can want anything with `room`.
    pub fn covers(&self, room: &Reach) -> bool {
        let less = room.most.iter().zip(self.most).all(|(room, most)| *room <= most);
        // What a role gets of disks of their own is what its limit leaves besides what it gets of other disk: more, if that
        // is less.
        let same = !self.disks || room.most_disk == u64::MAX || room.most[DISK] == self.most[DISK];
        less && room.most_disk <= self.most_disk && same
    }

    /// What both cover.
    pub fn and(&self, other: &Reach) -> Reach {
        let most = std::array::from_fn(|kind| self.most[kind].min(other.most[kind]));
        let most_disk = self.most_disk.min(other.most_disk);
        let disks = self.disks || other.disks;
        let same = !disks || self.most[DISK] == other.most[DISK];
        // With other amounts of other disk, nothing is known of disks of their own.
        Reach { most, most_disk: if same { most_disk } else { 0 }, disks }
    }
}
