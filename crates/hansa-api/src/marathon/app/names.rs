//! Who an app is and whom it knows: `id`, `role`, `acceptedResourceRoles`, `dependencies`.

use super::{Defaults, Faults};
use crate::marathon::path;
use crate::marathon::read::{Fields, item};
use hansa_model::{AppId, RoleName};

/// Reads `id`, unless the request's URL names the app; absolute.
pub(super) fn read_id(fields: &Fields<'_>, known: Option<&AppId>, faults: &mut Faults) -> String {
    let given = fields.text("id", &mut faults.types);
    let text = match (known, given) {
        (Some(known), _) => known.as_str(),
        (None, Some(given)) => given,
        (None, None) => {
            if fields.get("id").is_none() {
                faults.types.add(fields.at("id"), "error.path.missing");
            }
            return "/".to_owned();
        }
    };
    let id = path::absolute(text, "/");
    path::check(&id, &fields.at("id"), &mut faults.rules);
    id
}

/// Reads `role`.
pub(super) fn read_role(fields: &Fields<'_>, id: &str, defaults: &Defaults, faults: &mut Faults) -> RoleName {
    let Some(role) = fields.text("role", &mut faults.types) else { return defaults.role.clone() };
    let at = fields.at("role");
    if role.is_empty() {
        faults.types.add(at, "error.minLength");
    } else if defaults.enforce_group_role {
        let group = path::parent(id).split('/').nth(1).filter(|group| !group.is_empty());
        let mut valid: Vec<&str> = std::iter::once(defaults.role.as_str()).chain(group).collect();
        valid.dedup();
        if !valid.contains(&role) {
            faults.rules.add(at, format!("got {role}, expected one of: [{}]", valid.join(", ")));
        }
    } else if !is_role(role) {
        faults.rules.add(at, format!("'{role}' is not a valid role name"));
    }
    RoleName::from(role)
}

/// Mesos' rule for role names.
fn is_role(name: &str) -> bool {
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.starts_with('-');
    name == "*"
        || (!name.split('/').any(|part| odd(part) || part == "*")
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\'))
}

/// Reads `acceptedResourceRoles`, sorted.
pub(super) fn read_accepted_roles(
    fields: &Fields<'_>,
    role: &RoleName,
    faults: &mut Faults,
) -> Option<Vec<RoleName>> {
    let mut roles = fields.texts("acceptedResourceRoles", &mut faults.types)?;
    let at = fields.at("acceptedResourceRoles");
    if roles.is_empty() {
        faults.rules.add(at.as_str(), "must not be empty");
    }
    if roles.iter().any(|accepted| accepted != "*" && accepted != role.as_str()) {
        faults.rules.add(at, format!("acceptedResourceRoles can only contain * and {role}"));
    }
    roles.sort();
    roles.dedup();
    Some(roles.into_iter().map(RoleName::from).collect())
}

/// Reads `dependencies`, absolute and sorted.
pub(super) fn read_dependencies(fields: &Fields<'_>, id: &str, faults: &mut Faults) -> Vec<AppId> {
    let given = fields.texts("dependencies", &mut faults.types).unwrap_or_default();
    let at = fields.at("dependencies");
    let mut ids: Vec<String> = Vec::with_capacity(given.len());
    for (index, text) in given.iter().enumerate() {
        let absolute = path::absolute(text, path::parent(id));
        path::check(&absolute, &item(&at, index), &mut faults.rules);
        if !ids.contains(&absolute) {
            ids.push(absolute);
        }
    }
    ids.sort();
    ids.into_iter().map(AppId::from).collect()
}
