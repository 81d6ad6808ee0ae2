//! Several roles' settings at once, all or none; and what an operator should not do by mistake.

use crate::command::Refusal;
use crate::roles::{KINDS, View, bounds, numbers};
use crate::{Kernel, Step};
use hansa_model::resources::Kind;
use hansa_model::role::Role;
use hansa_model::scheduler::Answer;
use std::collections::BTreeMap;

impl Kernel {
    /// Operators' settings for roles. Unless `force`d, refused if the cluster cannot give all that is guaranteed then, or
    /// if a role has more already than its new limit.
    pub(crate) fn set_roles(
        &mut self,
        step: &mut Step,
        roles: Vec<Role>,
        force: bool,
    ) -> Result<Answer, Refusal> {
        for (at, role) in roles.iter().enumerate() {
            if let Some(problem) = self.role_problem(role) {
                return Err(Refusal::Invalid(format!("role '{}': {problem}", role.name)));
            }
            if roles[..at].iter().any(|other| other.name == role.name) {
                return Err(Refusal::Invalid(format!(
                    "role '{}': it is named twice; name it once",
                    role.name
                )));
            }
        }
        if !force && let Some(problem) = self.exceeded(&roles) {
            return Err(Refusal::Invalid(format!("{problem}; set 'force' to look away")));
        }
        for role in roles {
            self.set_role(step, role)?;
        }
        Ok(Answer::Done)
    }

    fn exceeded(&self, changes: &[Role]) -> Option<String> {
        let mut roles: BTreeMap<&str, &Role> =
            self.roles.iter().map(|state| (state.role.name.as_str(), &state.role)).collect();
        roles.extend(changes.iter().map(|role| (role.name.as_str(), role)));
        let capacity = numbers(self.book.capacity());
        for (kind, what) in KINDS.into_iter().enumerate() {
            let own = |name: &str| roles.get(name).and_then(|role| bounds(&role.guarantee)[kind]);
            // What a role is guaranteed is a part of what those are that it is below.
            let above = |name: &str| {
                name.match_indices('/')
                    .map(|(at, _)| &name[..at])
                    .filter_map(own)
                    .any(|guarantee| guarantee > 0)
            };
            let changes_it = changes.iter().any(|role| bounds(&role.guarantee)[kind].is_some());
            let sum = roles
                .keys()
                .filter(|name| !above(name))
                .filter_map(|name| own(name))
                .fold(0, u64::saturating_add);
            if changes_it && sum > capacity[kind] {
                return Some(format!(
                    "all guarantees together would be {} of {what}, and the cluster has {}",
                    amount(what, sum),
                    amount(what, capacity[kind])
                ));
            }
        }
        changes.iter().find_map(|role| {
            let at = self.roles.tree().find(role.name.as_str())?;
            let has = numbers(self.roles.tree().node(at).whole.consumed(View::Claims));
            let limits = bounds(&role.limit);
            let over = (0..KINDS.len()).find(|&kind| limits[kind].is_some_and(|limit| has[kind] > limit))?;
            let (what, limit) = (KINDS[over], limits[over].unwrap_or(0));
            Some(format!(
                "role '{}' has {} of {what} already, more than its new limit of {}",
                role.name,
                amount(what, has[over]),
                amount(what, limit)
            ))
        })
    }
}

/// An amount for people: MiB of what is counted in bytes.
fn amount(kind: Kind, number: u64) -> String {
    match kind {
        Kind::Mem | Kind::Disk => format!("{} MiB", number / hansa_model::resources::MIB),
        _ => hansa_model::resources::milli_text(number),
    }
}
