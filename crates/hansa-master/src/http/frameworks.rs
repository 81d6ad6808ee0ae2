//! `/hansa/v1/frameworks`: schedulers from outside, what they have, and why they are offered what they are offered.

use super::error::ApiError;
use super::extract::Query;
use super::lists;
use crate::Master;
use crate::cell::{Answer, Request};
use crate::read_model::{Framework, ReadModel};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hansa_api::framework::{
    FrameworkDetail, FrameworkExplanation, FrameworkFilter, FrameworkOffer, FrameworkRole, FrameworkState,
    FrameworkSummary, Frameworks, LastOffer, OfferObstacle, RoleExplanation,
};
use hansa_api::hansa::Done;
use hansa_model::event::AgentState;
use hansa_model::framework::{self as kernel, Amount, FrameworkCall, Offer, parts};
use hansa_model::resources::{Resources, WHOLE_GPU};
use hansa_model::role::Totals;
use hansa_model::task::TaskState;
use hansa_model::{Principal, RoleName};
use serde::Deserialize;
use std::sync::Arc;

/// Which frameworks.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Also those that are gone.
    #[serde(default)]
    all: bool,
    /// How many at most.
    limit: Option<usize>,
    /// Only those after the one with this id.
    after: Option<String>,
}

/// Frameworks in a page at most.
const MOST: usize = 10_000;

/// `GET /hansa/v1/frameworks`
pub(super) async fn list(
    State(master): State<Master>,
    Query(which): Query<Which>,
) -> Result<Json<Frameworks>, ApiError> {
    let model = master.read();
    let capacity = capacity(&model);
    let gone = model.completed_frameworks().filter(|_| which.all);
    let mut frameworks: Vec<FrameworkSummary> =
        model.frameworks().chain(gone).map(|framework| summary(&model, framework, &capacity)).collect();
    frameworks.sort_unstable_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let limit = which.limit.unwrap_or(MOST).clamp(1, MOST);
    let (frameworks, next) =
        lists::page(frameworks, |framework| framework.id.clone(), which.after.as_deref(), limit)?;
    Ok(Json(Frameworks { frameworks, next }))
}

/// `GET /hansa/v1/frameworks/{id or name}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<FrameworkDetail>, ApiError> {
    let id = id_of(&master.read(), &name)?;
    let explained = ask(&master, &id).await?;
    let model = &*master.read();
    let framework = find(model, &id)?;
    let info = &framework.view.info;
    let tasks = || model.told_of(&info.id).map(|told| told.view.status.state);
    let standings = explained.iter().flat_map(|explained| &explained.roles);
    let filters = standings.clone().flat_map(|standing| {
        standing.filters.iter().map(move |filter| FrameworkFilter {
            role: standing.role.clone(),
            node: filter.agent.clone(),
            hostname: model.hostname(&filter.agent),
            refused: text(&parts::sum(&filter.parts)),
            until: filter.until,
        })
    });
    let mut filters: Vec<FrameworkFilter> = filters.collect();
    filters.sort_by(|a, b| (a.until, &a.hostname, &a.role).cmp(&(b.until, &b.hostname, &b.role)));
    let count = |wanted: fn(TaskState) -> bool| size(tasks().filter(|state| wanted(*state)).count());
    Ok(Json(FrameworkDetail {
        summary: summary(model, framework, &capacity(model)),
        hostname: info.hostname.clone(),
        webui_url: info.webui_url.clone(),
        capabilities: info.capabilities.iter().map(|capability| capability_name(*capability)).collect(),
        checkpoint: info.checkpoint,
        failover_timeout_ms: info.failover_timeout_ms,
        registered_at: framework.view.registered_at,
        reregistered_at: framework.view.reregistered_at,
        executors: size(model.executors().filter(|executor| executor.framework == info.id).count()),
        unreachable_tasks: count(|state| state == TaskState::Unreachable),
        completed_tasks: count(TaskState::is_terminal) + size(framework.ended.len()),
        in_roles: standings.map(|standing| role(model, framework, standing)).collect(),
        outstanding: offers_of(model, framework).map(offer).collect(),
        filters,
    }))
}

/// `GET /hansa/v1/frameworks/{id or name}/explain`
pub(super) async fn explain(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<FrameworkExplanation>, ApiError> {
    let id = id_of(&master.read(), &name)?;
    let explained = ask(&master, &id).await?;
    let model = master.read();
    let framework = find(&model, &id)?;
    let roles: Vec<RoleExplanation> = explained
        .iter()
        .flat_map(|explained| &explained.roles)
        .map(|standing| RoleExplanation {
            standing: role(&model, framework, standing),
            words: standing.words.clone(),
            last_offer: standing.last_offer.as_ref().map(|last| LastOffer {
                at: last.at,
                node: last.agent.clone(),
                hostname: model.hostname(&last.agent),
            }),
            obstacles: standing
                .obstacles
                .iter()
                .map(|obstacle| OfferObstacle {
                    words: obstacle.words.clone(),
                    machines: obstacle.machines,
                    examples: obstacle.examples.clone(),
                })
                .collect(),
        })
        .collect();
    let summary = match &explained {
        None => "it is gone, and is offered nothing".to_owned(),
        Some(explained) if !explained.active => "it is not connected, and is offered nothing".to_owned(),
        Some(_) => {
            let words = roles.iter().map(|role| format!("{}: {}", role.standing.role, role.words));
            words.collect::<Vec<_>>().join("; ")
        }
    };
    Ok(Json(FrameworkExplanation { id, name: framework.view.info.name.clone(), summary, roles }))
}

/// `DELETE /hansa/v1/frameworks/{id or name}`: its tasks are killed, and its id is never taken again.
pub(super) async fn remove(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<Done>, ApiError> {
    let id = id_of(&master.read(), &name)?;
    if master.read().framework(&id).is_none() {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "conflict",
            format!("framework '{id}' is gone already"),
        ));
    }
    let call = Box::new(FrameworkCall::Teardown);
    let request = Request::Framework { framework: Some(id.as_str().into()), call };
    let (index, _) = master.submit(Principal::loopback(), request).await?;
    Ok(Json(Done { index }))
}

/// What the allocator says; None: the framework is gone.
async fn ask(master: &Master, id: &str) -> Result<Option<kernel::FrameworkExplanation>, ApiError> {
    if master.read().framework(id).is_none() {
        return Ok(None);
    }
    match master.submit(Principal::loopback(), Request::ExplainFramework(id.into())).await? {
        (_, Answer::Framework(explanation)) => Ok(Some(*explanation)),
        (_, other) => Err(ApiError::internal(format!("a framework was asked for, and this came: {other:?}"))),
    }
}

/// The id of the framework that has this id, or alone has this name.
fn id_of(model: &ReadModel, name: &str) -> Result<String, ApiError> {
    if find(model, name).is_ok() {
        return Ok(name.to_owned());
    }
    let mut named = model.frameworks().filter(|framework| framework.view.info.name == name);
    match (named.next(), named.next()) {
        (Some(framework), None) => Ok(framework.view.info.id.to_string()),
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("framework", format!("several frameworks are named '{name}'"))
                .remedy("name it by its id; `hansa framework list` shows them"))
        }
        (None, _) => Err(ApiError::not_found(format!("there is no framework '{name}'"))
            .remedy("`hansa framework list --all` shows all frameworks")),
    }
}

fn find<'m>(model: &'m ReadModel, id: &str) -> Result<&'m Framework, ApiError> {
    let mut gone = model.completed_frameworks();
    let found = model.framework(id).or_else(|| gone.find(|framework| framework.view.info.id.as_str() == id));
    found.ok_or_else(|| ApiError::not_found(format!("there is no framework '{id}'")))
}

pub(super) fn summary(model: &ReadModel, framework: &Framework, capacity: &Totals) -> FrameworkSummary {
    let view = &framework.view;
    let info = &view.info;
    let (state, since) = match (framework.removed_at, view.disconnected_at) {
        (Some(at), _) => (FrameworkState::Completed, at),
        _ if view.connected => {
            (FrameworkState::Connected, view.reregistered_at.unwrap_or(view.registered_at))
        }
        (None, at) if view.recovered => (FrameworkState::Recovered, at.unwrap_or(view.registered_at)),
        (None, at) => (FrameworkState::Disconnected, at.unwrap_or(view.registered_at)),
    };
    let (mut allocated, mut tasks) = (Amount::default(), 0);
    for told in model.told_of(&info.id).filter(|told| !told.view.status.state.is_terminal()) {
        tasks += 1;
        if let Some(of) = &told.view.framework {
            allocated.add(&parts::sum(&of.task().parts));
        }
    }
    for executor in model.executors().filter(|executor| executor.framework == info.id) {
        allocated.add(&parts::sum(&executor.run.parts));
    }
    let allocated = allocated.totals();
    let (mut held, mut offers) = (allocated, 0);
    for offer in offers_of(model, framework) {
        offers += 1;
        held = held.plus(parts::sum(&offer.parts).totals());
    }
    let (share_ppm, dominant) = share(&held, capacity);
    FrameworkSummary {
        id: info.id.to_string(),
        name: info.name.clone(),
        principal: info.principal.as_deref().map(Principal::from),
        user: info.user.clone(),
        roles: info.roles.iter().cloned().collect(),
        suppressed: view.suppressed.iter().cloned().collect(),
        state,
        since,
        given_up_at: (state == FrameworkState::Disconnected).then(|| since + info.failover_timeout_ms),
        tasks,
        offers,
        allocated,
        share_ppm,
        dominant,
    }
}

fn role(model: &ReadModel, framework: &Framework, standing: &kernel::RoleStanding) -> FrameworkRole {
    let held = offers_of(model, framework).filter(|offer| offer.role == standing.role);
    let offered = held.fold(Totals::default(), |sum, offer| sum.plus(parts::sum(&offer.parts).totals()));
    FrameworkRole {
        role: RoleName::clone(&standing.role),
        suppressed: standing.suppressed,
        // Zero where it would be less: the two are of different moments.
        allocated: standing.allocated.minus(offered),
        offered,
        share_ppm: standing.share_ppm,
        weight_milli: standing.weight_milli,
        guarantee: standing.guarantee.clone(),
        limit: standing.limit.clone(),
        role_used: standing.role_allocated,
        role_share_ppm: standing.role_share_ppm,
    }
}

fn offers_of<'m>(model: &'m ReadModel, framework: &'m Framework) -> impl Iterator<Item = &'m Offer> {
    model.offers_of(&framework.view.info.id).map(Arc::as_ref)
}

fn offer(offer: &Offer) -> FrameworkOffer {
    FrameworkOffer {
        id: offer.id.to_string(),
        role: offer.role.clone(),
        node: offer.agent.clone(),
        hostname: offer.hostname.to_string(),
        resources: text(&parts::sum(&offer.parts)),
        expires_at: Some(offer.expires_at),
    }
}

/// In Mesos' notation.
fn text(amount: &Amount) -> String {
    let resources = Resources {
        cpus_milli: amount.cpus_milli,
        mem: amount.mem,
        disk: amount.disk,
        gpus: vec![WHOLE_GPU; usize::from(amount.gpus)],
        ports: amount.ports.clone(),
    };
    resources.to_string()
}

/// What all machines have that are not out of reach.
pub(super) fn capacity(model: &ReadModel) -> Totals {
    let reached = model.agents().filter(|agent| agent.view.state != AgentState::Unreachable);
    reached.fold(Totals::default(), |sum, agent| sum.plus(Totals::of(&agent.view.total)))
}

/// The largest share of any kind, in millionths, and the kind.
fn share(held: &Totals, capacity: &Totals) -> (u64, Option<String>) {
    let kinds = [
        ("cpus", held.cpus_milli, capacity.cpus_milli),
        ("mem", held.mem, capacity.mem),
        ("disk", held.disk, capacity.disk),
        ("gpus", held.gpus_milli, capacity.gpus_milli),
    ];
    let ppm = |part: u64, whole: u64| {
        u64::try_from(u128::from(part) * 1_000_000 / u128::from(whole)).unwrap_or(u64::MAX)
    };
    let shares = kinds.into_iter().filter(|(_, part, whole)| *part > 0 && *whole > 0);
    let shares = shares.map(|(kind, part, whole)| (ppm(part, whole), kind));
    // Between equals the first kind.
    let largest = shares.reduce(|largest, other| if other.0 > largest.0 { other } else { largest });
    largest.map_or((0, None), |(ppm, kind)| (ppm, Some(kind.to_owned())))
}

/// Mesos' name of it: `PARTITION_AWARE`.
fn capability_name(capability: kernel::Capability) -> String {
    match serde_json::to_value(capability) {
        Ok(serde_json::Value::String(name)) => name.to_uppercase(),
        _ => format!("{capability:?}"),
    }
}

fn size(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_share_counts() {
        let capacity = Totals { cpus_milli: 8_000, mem: 1_000, disk: 0, gpus_milli: 0 };
        let held = Totals { cpus_milli: 1_000, mem: 500, disk: 7, gpus_milli: 0 };
        assert_eq!(share(&held, &capacity), (500_000, Some("mem".into())));
        assert_eq!(share(&Totals::default(), &capacity), (0, None));
        let even = Totals { cpus_milli: 4_000, ..held };
        assert_eq!(share(&even, &capacity), (500_000, Some("cpus".into())));
    }

    #[test]
    fn capabilities_have_mesos_names() {
        assert_eq!(capability_name(kernel::Capability::PartitionAware), "PARTITION_AWARE");
    }
}
