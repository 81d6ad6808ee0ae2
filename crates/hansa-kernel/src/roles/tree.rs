//! The tree of roles: `a/b` is below `a`, and everything is below the root. Whatever a role has counts at itself and at
//! all that it is below; guarantees and limits hold for a role together with all below it.
//!
//! How much has to be **kept** free is known at every node: the larger of what is missing to its own guarantee and of
//! what is kept for those below it. It is kept in mind twice: as claims see it, for which offered resources are free, and
//! as offers see it, for which they are not.

use super::{RoleState, bounds, numbers};
use hansa_model::RoleName;
use hansa_model::role::{Bound, Totals};
use std::collections::{BTreeMap, BTreeSet};

/// A role's place in the tree; it never changes. 0 is the root, which is no role.
pub(crate) type RoleAt = u32;

/// The root of the tree.
pub(crate) const ROOT: RoleAt = 0;

/// An amount of each kind that quota knows: CPU, memory, disk, GPUs.
pub(crate) type Four = [u64; 4];

/// What somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// By tasks and executors.
    pub used: Totals,
    /// Of that, what lies in reservations.
    pub used_reserved: Totals,
    /// All reservations, used or not.
    pub reserved: Totals,
    /// In offers.
    pub offered: Totals,
    /// Of that, what is not reserved.
    pub offered_plain: Totals,
    /// Of that, what is on no disk of its own: what is free for claims, too.
    pub offered_open: Totals,
}

impl Sums {
    /// What counts for shares.
    pub fn allocated(&self) -> Totals {
        self.used.plus(self.offered)
    }

    /// What counts for guarantees and limits: reservations, used or not, and the use of what is not reserved.
    pub fn consumed(&self, view: View) -> Totals {
        let consumed = self.reserved.plus(self.used.minus(self.used_reserved));
        match view {
            View::Claims => consumed,
            View::Offers => consumed.plus(self.offered_plain),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Claims, for which offered resources are free.
    Claims,
    /// Offers, for which they are not.
    Offers,
}

const VIEWS: [View; 2] = [View::Claims, View::Offers];

/// Guarantees can be as large as numbers are; sums of them must still be exact.
type Wide = [u128; 4];

/// What is kept, for each view.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// For the node and all below it.
    whole: [Wide; 2],
    /// For those below it.
    below: [Wide; 2],
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The role.
    pub state: RoleState,
    /// The one that it is right below; the root is below itself.
    pub parent: RoleAt,
    /// What it and all below it have.
    pub whole: Sums,
    kept: Kept,
    touched: bool,
}

/// All roles that were ever named, and all that they are below.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    by_name: BTreeMap<RoleName, RoleAt>,
    nodes: Vec<Node>,
    /// How many have a guarantee; without any, nothing is kept.
    guaranteed: usize,
    /// How many have a limit.
    limited: usize,
    /// Those that miss something to their guarantee, as offers see it.
    missing: BTreeSet<RoleAt>,
    /// Those that have and are offered more than their limit.
    over: BTreeSet<RoleAt>,
    touched: Vec<RoleAt>,
    eased: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self {
            by_name: BTreeMap::new(),
            nodes: Vec::new(),
            guaranteed: 0,
            limited: 0,
            missing: BTreeSet::new(),
            over: BTreeSet::new(),
            touched: Vec::new(),
            eased: 0,
        };
        tree.push(RoleName::from(""), ROOT);
        tree
    }
}

impl Tree {
    /// Where a role is, if it was ever named.
    pub fn find(&self, name: &str) -> Option<RoleAt> {
        self.by_name.get(name).copied()
    }

    /// Where a role is; of one that was never named, where the nearest is that it would be below.
    pub fn nearest(&self, name: &RoleName) -> RoleAt {
        let mut name = name.as_str();
        loop {
            match (self.find(name), parent_of(name)) {
                (Some(at), _) => return at,
                (None, Some(parent)) => name = parent,
                (None, None) => return ROOT,
            }
        }
    }

    /// Where a role is; it is made if it was never named.
    pub fn enter(&mut self, name: &RoleName) -> RoleAt {
        if let Some(at) = self.find(name.as_str()) {
            return at;
        }
        let parent = match parent_of(name.as_str()) {
            Some(parent) => self.enter(&RoleName::from(parent)),
            None => ROOT,
        };
        let at = self.push(name.clone(), parent);
        self.by_name.insert(name.clone(), at);
        at
    }

    fn push(&mut self, name: RoleName, parent: RoleAt) -> RoleAt {
        let at = RoleAt::try_from(self.nodes.len()).expect("fewer than 2^32 roles");
        self.nodes.push(Node {
            state: RoleState::new(name),
            parent,
            whole: Sums::default(),
            kept: Kept::default(),
            touched: false,
        });
        at
    }

    /// A node.
    pub fn node(&self, at: RoleAt) -> &Node {
        &self.nodes[at as usize]
    }

    /// What is settled of a role, for changes that count for nobody's share or quota.
    pub fn state_mut(&mut self, at: RoleAt) -> &mut RoleState {
        &mut self.nodes[at as usize].state
    }

    /// All roles, by name.
    pub fn iter(&self) -> impl Iterator<Item = (RoleAt, &RoleState)> {
        self.by_name.values().map(|&at| (at, &self.node(at).state))
    }

    /// How many places there are, the root's included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node and all that it is below, the root last.
    pub fn chain(&self, at: RoleAt) -> impl Iterator<Item = RoleAt> + '_ {
        let mut next = Some(at);
        std::iter::from_fn(move || {
            let at = next?;
            next = (at != ROOT).then(|| self.node(at).parent);
            Some(at)
        })
    }

    /// Whether nobody has a guarantee or a limit.
    pub fn is_without_quota(&self) -> bool {
        self.guaranteed == 0 && self.limited == 0
    }

    /// Whether anybody has a guarantee.
    pub fn has_guarantees(&self) -> bool {
        self.guaranteed > 0
    }

    /// Rises whenever somebody may have room again whom quota stopped.
    pub fn eased(&self) -> u64 {
        self.eased
    }

    /// Changes a role's settings.
    pub fn set(&mut self, at: RoleAt, role: hansa_model::role::Role) {
        self.state_mut(at).role = role;
        let states = || self.nodes.iter().map(|node| &node.state.role);
        self.guaranteed = states().filter(|role| role.guarantee != Bound::default()).count();
        self.limited = states().filter(|role| role.limit != Bound::default()).count();
        self.eased += 1;
        self.note_over(at);
        self.keep_all();
        self.touch(at);
    }

    /// Something is added to, or (`less`) taken from, what a role has. Nothing gets below zero.
    pub fn change(&mut self, at: RoleAt, less: bool, by: &Sums) {
        let apply = |to: &mut Sums| {
            let change = |to: &mut Totals, by: Totals| {
                if by != Totals::default() {
                    *to = if less { to.minus(by) } else { to.plus(by) };
                }
            };
            change(&mut to.used, by.used);
            change(&mut to.used_reserved, by.used_reserved);
            change(&mut to.reserved, by.reserved);
            change(&mut to.offered, by.offered);
            change(&mut to.offered_plain, by.offered_plain);
            change(&mut to.offered_open, by.offered_open);
        };
        apply(&mut self.state_mut(at).own);
        let mut next = at;
        loop {
            apply(&mut self.nodes[next as usize].whole);
            if self.limited > 0 {
                self.note_over(next);
            }
            if next == ROOT {
                break;
            }
            next = self.node(next).parent;
        }
        if self.guaranteed > 0 {
            self.keep(at);
        }
        if less && !self.is_without_quota() {
            self.eased += 1;
        }
        self.touch(at);
    }

    /// The roles whose shares may have changed since this was asked last; those that they are below are not named.
    pub fn take_touched(&mut self) -> Vec<RoleAt> {
        for &at in &self.touched {
            self.nodes[at as usize].touched = false;
        }
        std::mem::take(&mut self.touched)
    }

    /// The share of a role, or whatever belongs to it, has changed.
    pub fn touch(&mut self, at: RoleAt) {
        let node = &mut self.nodes[at as usize];
        if !node.touched {
            node.touched = true;
            self.touched.push(at);
        }
    }

    /// What is kept in all.
    pub fn kept(&self, view: View) -> Four {
        narrow(self.node(ROOT).kept.whole[view as usize])
    }

    /// What is kept for everybody else: what would be kept in all if this role, and with it those that it is below, had
    /// all of their guarantees.
    pub fn kept_for_others(&self, at: RoleAt, view: View) -> Four {
        let view = view as usize;
        let mut kept = self.node(at).kept.below[view];
        let mut at = at;
        while at != ROOT {
            let (node, parent) = (self.node(at), self.node(self.node(at).parent));
            for (kind, kept) in kept.iter_mut().enumerate() {
                *kept += parent.kept.below[view][kind] - node.kept.whole[view][kind];
            }
            at = node.parent;
        }
        narrow(kept)
    }

    /// Roles that miss something to their guarantee, by their places.
    pub fn below_guarantee(&self) -> impl Iterator<Item = RoleAt> + '_ {
        self.missing.iter().copied()
    }

    /// Roles that have and are offered more than their limit, by their places.
    pub fn over_limit(&self) -> impl Iterator<Item = RoleAt> + '_ {
        self.over.iter().copied()
    }

    fn note_over(&mut self, at: RoleAt) {
        let node = self.node(at);
        let limits = bounds(&node.state.role.limit);
        let consumed = numbers(node.whole.consumed(View::Offers));
        if limits.iter().zip(consumed).any(|(limit, is)| limit.is_some_and(|limit| is > limit)) {
            self.over.insert(at);
        } else {
            self.over.remove(&at);
        }
    }

    /// What of each kind a role misses to its guarantee beyond what those below it miss to theirs, as offers see it.
    pub fn missing(&self, at: RoleAt) -> Four {
        let (node, view) = (self.node(at), View::Offers as usize);
        narrow(std::array::from_fn(|kind| node.kept.whole[view][kind] - node.kept.below[view][kind]))
    }

    fn keep(&mut self, from: RoleAt) {
        let mut at = from;
        loop {
            let before = self.node(at).kept.whole;
            let after = whole(self.node(at));
            self.nodes[at as usize].kept.whole = after;
            if self.missing(at) == [0; 4] {
                self.missing.remove(&at);
            } else {
                self.missing.insert(at);
            }
            if at == ROOT {
                return;
            }
            at = self.node(at).parent;
            let below = &mut self.nodes[at as usize].kept.below;
            for (view, below) in below.iter_mut().enumerate() {
                for (kind, below) in below.iter_mut().enumerate() {
                    *below = *below - before[view][kind] + after[view][kind];
                }
            }
        }
    }

    /// Counts anew what is kept. Those below come after what they are below in the list.
    fn keep_all(&mut self) {
        for node in &mut self.nodes {
            node.kept = Kept::default();
        }
        self.missing.clear();
        for at in (0..self.nodes.len()).rev() {
            let after = whole(&self.nodes[at]);
            self.nodes[at].kept.whole = after;
            if at == 0 {
                break;
            }
            if self.missing(at as RoleAt) != [0; 4] {
                self.missing.insert(at as RoleAt);
            }
            let parent = self.nodes[at].parent as usize;
            for (view, below) in self.nodes[parent].kept.below.iter_mut().enumerate() {
                for (kind, below) in below.iter_mut().enumerate() {
                    *below += after[view][kind];
                }
            }
        }
    }
}

fn missing(node: &Node, view: View) -> Four {
    let consumed = numbers(node.whole.consumed(view));
    let guarantee = bounds(&node.state.role.guarantee);
    std::array::from_fn(|kind| guarantee[kind].unwrap_or(0).saturating_sub(consumed[kind]))
}

fn whole(node: &Node) -> [Wide; 2] {
    VIEWS.map(|view| {
        let missing = missing(node, view);
        std::array::from_fn(|kind| u128::from(missing[kind]).max(node.kept.below[view as usize][kind]))
    })
}

fn narrow(wide: Wide) -> Four {
    wide.map(|number| u64::try_from(number).unwrap_or(u64::MAX))
}

fn parent_of(name: &str) -> Option<&str> {
    name.rfind('/').filter(|&at| at > 0).map(|at| &name[..at])
}
