//! `/hansa/v1/roles`: how teams share the pool.

use super::error::ApiError;
use super::extract::{Body, Query};
use super::views;
use crate::Master;
use crate::cell::Request;
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Done, RoleStatus, Roles};
use hansa_model::role::{Bound, Role, USUAL_WEIGHT};
use hansa_model::{Principal, RoleName};
use serde::Deserialize;

/// Characters of a role's name.
const LONGEST_NAME: usize = 128;

/// Thousandths of the largest weight.
const LARGEST_WEIGHT: u64 = 1_000_000_000;

/// A role's settings as a client sends them; the name stands in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    name: Option<RoleName>,
    #[serde(default = "usual_weight")]
    weight_milli: u64,
    #[serde(default)]
    guarantee: Bound,
    #[serde(default)]
    limit: Bound,
}

fn usual_weight() -> u64 {
    USUAL_WEIGHT
}

/// Roles in a page at most.
const MOST: usize = 10_000;

/// Which part of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// How many at most.
    limit: Option<usize>,
    /// Only those after this one.
    after: Option<RoleName>,
}

/// `GET /hansa/v1/roles`
pub(super) async fn list(State(master): State<Master>, Query(page): Query<Page>) -> Json<Roles> {
    let model = master.read();
    let limit = page.limit.unwrap_or(MOST).clamp(1, MOST);
    let offered = views::offered(&model);
    let after = |name: &&RoleName| page.after.as_ref().is_none_or(|after| *name > after);
    let mut wanted = model.listed_roles().filter(after);
    let roles: Vec<RoleStatus> =
        wanted.by_ref().take(limit).map(|name| views::role(&model, name, &offered)).collect();
    let next = wanted.next().and_then(|_| roles.last()).map(|last| last.role.name.clone());
    Json(Roles { roles, next })
}

/// `PUT /hansa/v1/roles/{name}`
pub(super) async fn set(
    State(master): State<Master>,
    Path(name): Path<String>,
    Body(settings): Body<Settings>,
) -> Result<Json<Done>, ApiError> {
    let role = checked(&name, settings)?;
    let (index, _) = master.submit(Principal::loopback(), Request::SetRole(role)).await?;
    Ok(Json(Done { index }))
}

/// `DELETE /hansa/v1/roles/{name}`: it has the settings again that a role has of which nothing was ever said.
pub(super) async fn forget(
    State(master): State<Master>,
    Path(name): Path<RoleName>,
) -> Result<Json<Done>, ApiError> {
    if !master.read().roles().any(|view| view.role.name == name) {
        return Err(ApiError::not_found(format!("there is no role '{name}'"))
            .remedy("`hansa role list` shows the roles that are configured or used"));
    }
    let (index, _) = master.submit(Principal::loopback(), Request::SetRole(Role::usual(name))).await?;
    Ok(Json(Done { index }))
}

fn checked(name: &str, settings: Settings) -> Result<Role, ApiError> {
    let proper = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != '\\';
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('-') || !name.chars().all(proper) {
        return Err(ApiError::invalid("name", format!("'{name}' cannot be a role's name"))
            .remedy("1 to 128 characters without blanks and slashes, not beginning with '-'"));
    }
    if settings.name.is_some_and(|own| own.as_str() != name) {
        return Err(ApiError::invalid("name", "the body names another role than the path"));
    }
    if !(1..=LARGEST_WEIGHT).contains(&settings.weight_milli) {
        return Err(ApiError::invalid(
            "weight_milli",
            format!("the weight must be from 1 to {LARGEST_WEIGHT}"),
        ));
    }
    let (guarantee, limit) = (&settings.guarantee, &settings.limit);
    for (field, least, most) in [
        ("cpus_milli", guarantee.cpus_milli, limit.cpus_milli),
        ("mem", guarantee.mem, limit.mem),
        ("disk", guarantee.disk, limit.disk),
        ("gpus_milli", guarantee.gpus_milli, limit.gpus_milli),
    ] {
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            let message = format!("the guarantee of {least} is above the limit of {most}");
            return Err(ApiError::invalid(&format!("guarantee.{field}"), message));
        }
    }
    Ok(Role {
        name: RoleName::from(name),
        weight_milli: settings.weight_milli,
        guarantee: settings.guarantee,
        limit: settings.limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, body: &str) -> Result<Role, String> {
        let settings = serde_json::from_str(body).map_err(|error| error.to_string())?;
        checked(name, settings).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn settings_are_checked() {
        let role = check(
            "team-a",
            r#"{"weight_milli": 2000, "limit": {"mem": 5}, "guarantee": {"mem": 5, "disk": 9}}"#,
        )
        .unwrap();
        assert_eq!((role.weight_milli, role.limit.mem, role.guarantee.disk), (2000, Some(5), Some(9)));
        assert_eq!(check("*", "{}").unwrap().weight_milli, 1000);
        assert!(check("a", r#"{"name": "b"}"#).is_err());
        assert!(check("a", r#"{"weight": 2}"#).unwrap_err().contains("unknown field"));
        assert!(check("a", r#"{"weight_milli": 0}"#).is_err());
        assert!(
            check("a", r#"{"limit": {"mem": 4}, "guarantee": {"mem": 5}}"#)
                .unwrap_err()
                .contains("guarantee.mem")
        );
        for name in ["", "a b", "a/b", "-a", "a\n", &"a".repeat(129)] {
            assert!(check(name, "{}").is_err(), "{name:?}");
        }
    }
}
