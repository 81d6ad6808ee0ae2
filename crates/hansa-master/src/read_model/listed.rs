//! Which roles are listed: those that somebody is in, that have settings, or of which something is reserved. The kernel
//! knows many more, since it remembers each that ever was something.
//!
//! Kept as a count of reasons for each role, so that a stream can tell in which commit a role came to be listed or went,
//! without looking through everything that could be a reason.

use hansa_model::RoleName;
use hansa_model::event::{AgentView, AppView, FrameworkView, RoleView};
use hansa_model::role::Totals;
use std::collections::{BTreeMap, BTreeSet};

/// Roles whose last coming or going is remembered.
const MOVED: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The commit that is being folded.
    at: u64,
    /// How many reasons there are to list a role; at least one.
    reasons: BTreeMap<RoleName, u32>,
    /// The commit that each role came or went in last, both ways round.
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

    /// Those that came or went in commit `index` or later; None: some of that is forgotten.
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
pub(super) fn of_agent(view: Option<&AgentView>) -> BTreeSet<&RoleName> {
    let parts = view.iter().flat_map(|view| &view.reserved);
    parts.flat_map(|part| &part.reservations).map(|reservation| &reservation.role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
