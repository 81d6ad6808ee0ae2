//! `/hansa/v1/nodes`: machines, and an operator's orders about them.

use super::error::ApiError;
use super::extract::Query;
use super::lists::{Key, Order, Selector, SortBy, Words, page};
use super::{apart, views};
use crate::Master;
use crate::cell::{AgentOrder, Request};
use crate::read_model::{Agent, ReadModel};
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::apart::NodeDetail;
use hansa_api::hansa::{Done, Node, Nodes};
use hansa_model::Principal;
use serde::Deserialize;

/// The most machines in one answer.
const MOST: usize = 50_000;

/// Which machines, and which part of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
    /// A selector of attributes.
    label: Option<String>,
    sort: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// Only those whose host name comes after this one; sorted otherwise: those that stand behind it.
    after: Option<String>,
}

const SORTS: [SortBy<Node>; 8] = [
    ("hostname", |node| Key::Text(node.hostname.clone())),
    ("state", |node| Key::Number(node.state as u64)),
    ("tasks", |node| Key::Number(node.tasks.into())),
    ("cpus", |node| Key::Number(node.allocated.cpus_milli)),
    ("mem", |node| Key::Number(node.allocated.mem)),
    ("cpus_used", |node| node.used.map_or(Key::Nothing, |used| Key::Number(used.cpus_milli))),
    ("mem_used", |node| node.used.map_or(Key::Nothing, |used| Key::Number(used.mem))),
    ("registered_at", |node| Key::Number(node.registered_at.0)),
];

/// `GET /hansa/v1/nodes`
pub(super) async fn list(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Nodes>, ApiError> {
    let labels = Selector::parse(wanted.label.as_deref())?;
    let order = Order::parse(wanted.sort.as_deref(), &SORTS)?;
    let words = Words::parse(wanted.q.as_deref());
    let limit = wanted.limit.unwrap_or(MOST).clamp(1, MOST);
    let after = wanted.after.as_deref();
    let mut nodes: Vec<Node> = {
        let model = master.read();
        let wanted = model.agents().filter(|agent| {
            let view = &agent.view;
            let state = views::state_name(view.state);
            (order.is_some() || after.is_none_or(|after| view.hostname.as_ref() > after))
                && labels.selects(&view.attributes)
                && words.are_in(&[view.id.as_str(), &view.hostname, &view.address, state])
        });
        wanted.map(|agent| views::node(&model, agent)).collect()
    };
    let (nodes, next) = match order {
        Some(order) => {
            let sorted = order.sort(nodes, |node| (node.hostname.clone(), node.id.clone()));
            page(sorted, |node| node.hostname.clone(), after, limit)?
        }
        None => {
            nodes.sort_unstable_by(|a, b| (&a.hostname, &a.id).cmp(&(&b.hostname, &b.id)));
            page(nodes, |node| node.hostname.clone(), None, limit)?
        }
    };
    Ok(Json(Nodes { nodes, next }))
}

/// `GET /hansa/v1/nodes/{id or host name}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(name): Path<String>,
) -> Result<Json<NodeDetail>, ApiError> {
    let model = master.read();
    find(&model, &name).map(|agent| Json(apart::detail(&model, agent)))
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
