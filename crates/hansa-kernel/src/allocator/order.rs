//! Who comes before whom: the tree of roles in which somebody takes offers, each level in the order of shares.
//!
//! At every role stand, side by side, the roles right below it and what is its **own**: the frameworks in just this role,
//! and the schedulers that claim in it and have unmet demand (as one). Following the smallest share down leads to who
//! comes first, however many there are.

use super::{Seat, SeatAt};
use crate::roles::{DEFAULT_WEIGHT, ROOT, RoleAt, Roles, Share, share};
use hansa_model::role::Totals;
use std::collections::{BTreeMap, BTreeSet};

/// Stands for all that claim in a role, among its frameworks.
pub(super) const CLAIMS: SeatAt = SeatAt::MAX;

/// Stands for a role's own, among the roles below it: no role is the root.
const OWN: RoleAt = ROOT;

/// The shares on the way down to somebody: of the top role, of those below it, of the last one's own, and last of
/// somebody among these. Of two paths, the smaller comes first.
pub(super) type Path = Vec<(Share, u32)>;

/// The shares that decide between two.
pub(super) fn deciding(one: &Path, other: &Path) -> Option<(Share, Share)> {
    let differ = one.iter().zip(other).find(|((_, one), (_, other))| one != other);
    differ.map(|(&(one, _), &(other, _))| (one, other))
}

/// A role.
#[derive(Debug, Default)]
struct Node {
    /// Roles right below it that have somebody, and [`OWN`] if this one has.
    branches: BTreeSet<(Share, RoleAt)>,
    /// Its own.
    own: BTreeSet<(Share, SeatAt)>,
    /// The shares by which they stand in these sets.
    branch_share: Option<Share>,
    own_share: Option<Share>,
    claims_share: Option<Share>,
    /// What its frameworks have, also those that take no offers now.
    booked: Totals,
}

/// A seat as it was counted.
#[derive(Debug)]
struct Standing {
    role_at: RoleAt,
    booked: Totals,
    share: Option<Share>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// What shares are of. It follows the cluster in steps: while a large one comes up machine by machine, shares need
    /// not be counted anew with each of them.
    capacity: Totals,
    nodes: Vec<Node>,
    seats: BTreeMap<SeatAt, Standing>,
}

impl Order {
    /// Whether so much has changed about the cluster that the order has to be made anew; then it is empty.
    pub fn begin(&mut self, capacity: Totals) -> bool {
        let is_far = |(is, was): (u64, u64)| is.abs_diff(was) > was / 64;
        let (is, was) = (crate::roles::numbers(capacity), crate::roles::numbers(self.capacity));
        let far = is.into_iter().zip(was).any(is_far);
        if far {
            *self = Self { capacity, ..Self::default() };
        }
        far
    }

    /// Counts a seat as it is now; None: it is gone.
    pub fn set(&mut self, roles: &Roles, at: SeatAt, seat: Option<(RoleAt, &Seat)>) {
        if let Some(old) = self.seats.remove(&at) {
            let node = self.node_mut(roles, old.role_at);
            node.booked = node.booked.minus(old.booked);
            if let Some(share) = old.share {
                node.own.remove(&(share, at));
            }
            if seat.is_none_or(|(role_at, _)| role_at != old.role_at) {
                self.refresh(roles, old.role_at);
            }
        }
        let Some((role_at, seat)) = seat else { return };
        let share = seat.wants.then(|| share(seat.booked, self.capacity, DEFAULT_WEIGHT));
        let node = self.node_mut(roles, role_at);
        node.booked = node.booked.plus(seat.booked);
        if let Some(share) = share {
            node.own.insert((share, at));
        }
        self.seats.insert(at, Standing { role_at, booked: seat.booked, share });
        self.refresh(roles, role_at);
    }

    /// Counts a role as it is now, and what it is below.
    pub fn refresh(&mut self, roles: &Roles, role_at: RoleAt) {
        let capacity = self.capacity;
        let state = &roles.tree().node(role_at).state;
        let node = self.node_mut(roles, role_at);
        let claims = || share(state.own.allocated().minus(node.booked), capacity, DEFAULT_WEIGHT);
        let claims = (!state.demand.is_empty()).then(claims);
        move_to(&mut node.own, &mut node.claims_share, claims, CLAIMS);
        let own = (!node.own.is_empty()).then(|| share(state.own.allocated(), capacity, DEFAULT_WEIGHT));
        move_to(&mut node.branches, &mut node.own_share, own, OWN);
        let mut at = role_at;
        while at != ROOT {
            let node = self.node_mut(roles, at);
            let share = (!node.branches.is_empty()).then(|| roles.share_at(at, capacity));
            let mut stands = node.branch_share;
            let parent = roles.tree().node(at).parent;
            move_to(&mut self.node_mut(roles, parent).branches, &mut stands, share, at);
            self.node_mut(roles, at).branch_share = stands;
            at = parent;
        }
    }

    /// Goes through the roles at and below this one that have somebody of their own, in order, until there is an answer.
    pub fn walk<T>(&self, from: RoleAt, visit: &mut impl FnMut(RoleAt) -> Option<T>) -> Option<T> {
        let node = self.nodes.get(from as usize)?;
        node.branches.iter().find_map(|&(_, branch)| match branch {
            OWN => visit(from),
            below => self.walk(below, visit),
        })
    }

    /// Whether nobody is at or below a role.
    pub fn is_empty(&self, role_at: RoleAt) -> bool {
        self.nodes.get(role_at as usize).is_none_or(|node| node.branches.is_empty())
    }

    /// A role's own, in order; [`CLAIMS`] is one of them.
    pub fn own(&self, role_at: RoleAt) -> impl Iterator<Item = SeatAt> {
        self.nodes.get(role_at as usize).into_iter().flat_map(|node| &node.own).map(|&(_, at)| at)
    }

    /// The path to somebody in a role. Of seats that take no offers, too.
    pub fn path(&self, roles: &Roles, role_at: RoleAt, who: SeatAt) -> Path {
        let capacity = self.capacity;
        let tree = roles.tree();
        let own = tree.node(role_at).state.own.allocated();
        let has = match self.seats.get(&who) {
            Some(standing) => standing.booked,
            None => own.minus(self.nodes.get(role_at as usize).map_or(own, |node| node.booked)),
        };
        let mut path =
            vec![(share(has, capacity, DEFAULT_WEIGHT), who), (share(own, capacity, DEFAULT_WEIGHT), OWN)];
        let above = tree.chain(role_at).filter(|&at| at != ROOT);
        path.extend(above.map(|at| (roles.share_at(at, capacity), at)));
        path.reverse();
        path
    }

    fn node_mut(&mut self, roles: &Roles, at: RoleAt) -> &mut Node {
        if self.nodes.len() <= at as usize {
            self.nodes.resize_with(roles.tree().len(), Node::default);
        }
        &mut self.nodes[at as usize]
    }
}

/// Moves somebody in a set to another share; None: is not in it.
fn move_to(set: &mut BTreeSet<(Share, u32)>, stands: &mut Option<Share>, share: Option<Share>, who: u32) {
    if *stands == share {
        return;
    }
    if let Some(old) = *stands {
        set.remove(&(old, who));
    }
    if let Some(new) = share {
        set.insert((new, who));
    }
    *stands = share;
}
