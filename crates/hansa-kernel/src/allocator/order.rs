//! Who comes before whom.

use super::{Seat, SeatAt};
use crate::roles::{DEFAULT_WEIGHT, ROOT, RoleAt, Roles, Share, share};
use hansa_model::role::Totals;

/// The shares on the way down to somebody: of the top role, of those below it, of the role itself beside those below it
/// (as 0), and last its own in the role. Of two, the smaller comes first.
pub(super) type Path = Vec<(Share, u32)>;

/// The path of a seat.
pub(super) fn path(roles: &Roles, capacity: Totals, role_at: RoleAt, at: SeatAt, seat: &Seat) -> Path {
    let tree = roles.tree();
    let own = tree.node(role_at).state.own.allocated();
    let mut path =
        vec![(share(seat.booked, capacity, DEFAULT_WEIGHT), at), (share(own, capacity, DEFAULT_WEIGHT), 0)];
    let above = tree.chain(role_at).filter(|&at| at != ROOT);
    path.extend(above.map(|at| (roles.share_at(at, capacity), at)));
    path.reverse();
    path
}

/// The shares that decide between two.
pub(super) fn deciding(one: &Path, other: &Path) -> Option<(Share, Share)> {
    let differ = one.iter().zip(other).find(|((_, one), (_, other))| one != other);
    differ.map(|(&(one, _), &(other, _))| (one, other))
}
