//! `/hansa/v1/nodes`: machines, and an operator's orders about them.

use super::error::ApiError;
use super::extract::Query;
use super::views;
use crate::Master;
use crate::cell::{AgentOrder, Request};
use crate::read_model::{Agent, ReadModel};
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Done, Node, Nodes};
use hansa_model::Principal;
use serde::Deserialize;

/// The most machines in one answer.
const MOST: usize = 50_000;

/// Which part of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// How many at most.
    limit: Option<usize>,
    /// Only those whose host name comes after this one.
    after: Option<String>,
}

/// `GET /hansa/v1/nodes`
pub(super) async fn list(State(master): State<Master>, Query(page): Query<Page>) -> Json<Nodes> {
    let mut nodes: Vec<Node> = {
        let model = master.read();
        let wanted = model
            .agents()
            .filter(|agent| page.after.as_deref().is_none_or(|after| agent.view.hostname.as_ref() > after));
        wanted.map(|agent| views::node(&model, agent)).collect()
    };
    nodes.sort_unstable_by(|a, b| (&a.hostname, &a.id).cmp(&(&b.hostname, &b.id)));
    nodes.truncate(page.limit.unwrap_or(MOST).min(MOST));
    Json(Nodes { nodes })
}

/// `GET /hansa/v1/nodes/{id or host name}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<Node>, ApiError> {
    let model = master.read();
    find(&model, &name).map(|agent| Json(views::node(&model, agent)))
}

/// `POST /hansa/v1/nodes/{id or host name}/{order}`
pub(super) async fn order(
    State(master): State<Master>,
    Path((name, order)): Path<(String, String)>,
) -> Result<Json<Done>, ApiError> {
    let order = match order.as_str() {
        "deactivate" => AgentOrder::Deactivate,
        "reactivate" => AgentOrder::Reactivate,
        "drain" => AgentOrder::Drain,
        "gone" => AgentOrder::Gone,
        other => {
            return Err(ApiError::not_found(format!("there is no order '{other}' for a node"))
                .remedy("the orders are deactivate, reactivate, drain and gone"));
        }
    };
    let agent = find(&master.read(), &name)?.view.id.clone();
    let request = Request::AdminAgent { agent, order };
    let (index, _) = master.submit(Principal::loopback(), request).await?;
    Ok(Json(Done { index }))
}

/// By id or by host name.
pub(super) fn find<'a>(model: &'a ReadModel, name: &str) -> Result<&'a Agent, ApiError> {
    model
        .agent(name)
        .or_else(|| model.agent_by_hostname(name))
        .ok_or_else(|| ApiError::not_found(format!("there is no node '{name}'")))
}
