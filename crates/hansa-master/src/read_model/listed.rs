//! Which roles are listed: those that somebody is in, that have settings, or for which something is reserved. The kernel
//! knows many more, since it remembers each that ever was something.
//!
//! Kept as a count of reasons for each role, and as a sum of what is reserved for it, so that a stream can tell in which
//! commit a role came to be listed, went, or got more or less reserved, without looking through everything that could be
//! a reason.

use hansa_model::RoleName;
use hansa_model::event::{AgentView, AppView, FrameworkView, RoleView};
use hansa_model::role::Totals;
use std::collections::{BTreeMap, BTreeSet};

/// Roles whose last change is remembered.
const MOVED: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The commit that is being folded.
    at: u64,
    /// How many reasons there are to list a role; at least one.
    reasons: BTreeMap<RoleName, u32>,
    /// What all machines keep for each role that any keeps something for.
    reserved: BTreeMap<RoleName, Totals>,
    /// The commit that each role came, went, or got more or less reserved in last, both ways round.
    moved: BTreeMap<RoleName, u64>,
    moves: BTreeSet<(u64, RoleName)>,
    /// Of commits up to this one, some of that is forgotten.
    forgotten: u64,
}

impl Listed {
    /// What comes now is of this commit.
    pub(super) fn begin(&mut self, at: u64) {
        self.at = at;
    }

    /// By name.
    pub(super) fn names(&self) -> impl Iterator<Item = &RoleName> {
        self.reasons.keys()
    }

    /// Whether there is a reason to list it.
    pub(super) fn has(&self, name: &RoleName) -> bool {
        self.reasons.contains_key(name)
    }

    /// What all machines keep for a role, used or not.
    pub(super) fn reserved(&self, name: &RoleName) -> Totals {
        self.reserved.get(name).copied().unwrap_or_default()
    }

    /// Those that came, went, or got more or less reserved in commit `index` or later; None: some of that is forgotten.
    pub(super) fn moved_since(&self, index: u64) -> Option<impl Iterator<Item = &RoleName>> {
        let later = self.moves.range((index, RoleName::from(""))..);
        (index > self.forgotten).then(|| later.map(|(_, name)| name))
    }

    /// These reasons hold instead of those.
    pub(super) fn replace(&mut self, before: BTreeSet<&RoleName>, now: BTreeSet<&RoleName>) {
        for &came in now.difference(&before) {
            let reasons = self.reasons.entry(came.clone()).or_default();
            *reasons += 1;
            if *reasons == 1 {
                self.note(came);
            }
        }
        for &went in before.difference(&now) {
            let Some(reasons) = self.reasons.get_mut(went) else { continue };
            *reasons -= 1;
            if *reasons == 0 {
                self.reasons.remove(went);
                self.note(went);
            }
        }
    }

    /// A machine is like this instead of like that; None: it is not there.
    pub(super) fn replace_agent(&mut self, before: Option<&AgentView>, now: Option<&AgentView>) {
        let parts = [before, now].map(|view| view.map(|view| view.reserved.as_slice()).unwrap_or_default());
        // Machines are told of often, and seldom because of this.
        if parts[0] == parts[1] {
            return;
        }
        self.replace(of_agent(before), of_agent(now));
        let (kept, keeps) = (kept_by(before), kept_by(now));
        let roles: BTreeSet<&RoleName> = kept.keys().chain(keeps.keys()).copied().collect();
        for role in roles {
            let of = |some: &BTreeMap<&RoleName, Totals>| some.get(role).copied().unwrap_or_default();
            let (less, more) = (of(&kept), of(&keeps));
            if less == more {
                continue;
            }
            let sum = self.reserved(role).minus(less).plus(more);
            if sum == Totals::default() {
                self.reserved.remove(role);
            } else {
                self.reserved.insert(role.clone(), sum);
            }
            self.note(role);
        }
    }

    fn note(&mut self, name: &RoleName) {
        if let Some(before) = self.moved.insert(name.clone(), self.at) {
            self.moves.remove(&(before, name.clone()));
        }
        self.moves.insert((self.at, name.clone()));
        if self.moves.len() > MOVED
            && let Some((index, name)) = self.moves.pop_first()
        {
            self.moved.remove(&name);
            self.forgotten = index;
        }
    }
}

/// A role with tasks, or with settings of its own.
pub(super) fn of_role(view: Option<&RoleView>) -> BTreeSet<&RoleName> {
    let is_something = |view: &&RoleView| view.allocated != Totals::default() || !view.role.is_usual();
    view.filter(is_something).map(|view| &view.role.name).into_iter().collect()
}

/// The roles that a framework is in.
pub(super) fn of_framework(view: Option<&FrameworkView>) -> BTreeSet<&RoleName> {
    view.iter().flat_map(|view| &view.info.roles).collect()
}

/// The role that a service is in.
pub(super) fn of_app(view: Option<&AppView>) -> BTreeSet<&RoleName> {
    view.iter().map(|view| &view.current.spec.role).collect()
}

/// The roles that something of a machine is kept for.
fn of_agent(view: Option<&AgentView>) -> BTreeSet<&RoleName> {
    let parts = view.iter().flat_map(|view| &view.reserved);
    parts.flat_map(|part| &part.reservations).map(|reservation| &reservation.role).collect()
}

/// What a machine keeps for each role. What is kept for a role inside what is kept for another is the inner one's.
fn kept_by(view: Option<&AgentView>) -> BTreeMap<&RoleName, Totals> {
    let mut kept: BTreeMap<&RoleName, Totals> = BTreeMap::new();
    for part in view.iter().flat_map(|view| &view.reserved) {
        if let Some(role) = part.role() {
            let sum = kept.entry(role).or_default();
            *sum = sum.plus(part.amount.totals());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::Timestamp;
    use hansa_model::event::AgentState;
    use hansa_model::framework::{Amount, Part, Reservation};

    /// A machine that keeps so many thousandths of a CPU for the innermost of each stack of roles.
    fn machine(kept: &[(&[&'static str], u64)]) -> AgentView {
        let reservation = |&role: &&'static str| Reservation {
            role: role.into(),
            principal: None,
            labels: Vec::new(),
            fixed: false,
        };
        let part = |&(roles, cpus_milli): &(&[&'static str], u64)| Part {
            reservations: roles.iter().map(reservation).collect(),
            amount: Amount { cpus_milli, ..Amount::default() },
            ..Part::default()
        };
        AgentView {
            id: "a".into(),
            hostname: "a.test".into(),
            address: String::new(),
            state: AgentState::Active,
            since: Timestamp(0),
            total: Default::default(),
            allocated: Totals::default(),
            reserved: kept.iter().map(part).collect(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
            version: String::new(),
            registered_at: Timestamp(0),
            missing_isolation: Vec::new(),
        }
    }

    #[test]
    fn what_is_reserved_is_summed_over_machines() {
        let mut listed = Listed::default();
        let cpus = |listed: &Listed, role: &'static str| listed.reserved(&role.into()).cpus_milli;
        let (small, large) =
            (machine(&[(&["a"], 500)]), machine(&[(&["a"], 1_000), (&["a", "a/b"], 250), (&[], 9)]));
        listed.begin(1);
        listed.replace_agent(None, Some(&small));
        listed.begin(2);
        listed.replace_agent(None, Some(&large));
        assert_eq!((cpus(&listed, "a"), cpus(&listed, "a/b"), cpus(&listed, "b")), (1_500, 250, 0));
        // A machine keeps less for one and as much for the other.
        let less = machine(&[(&["a"], 100), (&["a", "a/b"], 250)]);
        listed.begin(3);
        listed.replace_agent(Some(&large), Some(&less));
        assert_eq!((cpus(&listed, "a"), cpus(&listed, "a/b")), (600, 250));
        assert_eq!((moved(&listed, 1), moved(&listed, 3)), (vec!["a/b", "a"], vec!["a"]));
        listed.begin(4);
        listed.replace_agent(Some(&less), Some(&less));
        assert!(moved(&listed, 4).is_empty(), "nothing of it changed");
        listed.begin(5);
        listed.replace_agent(Some(&less), None);
        listed.replace_agent(Some(&small), None);
        assert!(listed.reserved.is_empty() && listed.reasons.is_empty());
    }

    fn names(names: &[&'static str]) -> BTreeSet<RoleName> {
        names.iter().map(|&name| RoleName::from(name)).collect()
    }

    fn change(listed: &mut Listed, at: u64, before: &[&'static str], now: &[&'static str]) {
        listed.begin(at);
        listed.replace(names(before).iter().collect(), names(now).iter().collect());
    }

    fn moved(listed: &Listed, since: u64) -> Vec<&str> {
        listed.moved_since(since).unwrap().map(RoleName::as_str).collect()
    }

    #[test]
    fn a_role_goes_with_its_last_reason() {
        let mut listed = Listed::default();
        change(&mut listed, 1, &[], &["a", "b"]);
        change(&mut listed, 2, &[], &["a"]);
        change(&mut listed, 3, &["a", "b"], &["b", "c"]);
        assert_eq!(listed.names().map(RoleName::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((moved(&listed, 1), moved(&listed, 2)), (vec!["a", "b", "c"], vec!["c"]));
        change(&mut listed, 4, &["a"], &[]);
        assert!(!listed.has(&"a".into()) && listed.has(&"b".into()));
        assert_eq!((moved(&listed, 1), moved(&listed, 4)), (vec!["b", "c", "a"], vec!["a"]));
        assert!(moved(&listed, 5).is_empty());
    }

    #[test]
    fn what_is_remembered_of_it_is_bounded() {
        let mut listed = Listed::default();
        for at in 1..=MOVED as u64 + 2 {
            let name = RoleName::from(format!("r{at}"));
            listed.begin(at);
            listed.replace(BTreeSet::new(), [&name].into());
            listed.replace([&name].into(), BTreeSet::new());
        }
        assert_eq!((listed.moves.len(), listed.moved.len(), listed.reasons.len()), (MOVED, MOVED, 0));
        assert!(listed.moved_since(2).is_none());
        assert_eq!(moved(&listed, 3).len(), MOVED);
    }
}
