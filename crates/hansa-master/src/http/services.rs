//! `/hansa/v1/services`: services as they are.

use super::error::ApiError;
use super::extract::{Query, app_id};
use super::lists::{Key, Order, Selector, SortBy, Words, page};
use super::views;
use crate::Master;
use axum::Json;
use axum::extract::{Path, State};
use hansa_api::hansa::{Service, Services};
use hansa_model::AppId;
use serde::Deserialize;

/// The most services in one answer.
const MOST: usize = 50_000;

/// Which services, and which part of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
    label: Option<String>,
    sort: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// Only those whose id comes after this one; sorted otherwise: those that stand behind it.
    after: Option<AppId>,
}

const SORTS: [SortBy<Service>; 6] = [
    ("id", |service| Key::Text(service.id.to_string())),
    ("health", |service| Key::Number(service.health as u64)),
    ("instances", |service| Key::Number(service.instances.into())),
    ("cpus", |service| Key::Number(service.cpus_milli)),
    ("mem", |service| Key::Number(service.mem)),
    ("version", |service| Key::Number(service.version.0)),
];

/// `GET /hansa/v1/services`
pub(super) async fn list(
    State(master): State<Master>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Services>, ApiError> {
    let labels = Selector::parse(wanted.label.as_deref())?;
    let order = Order::parse(wanted.sort.as_deref(), &SORTS)?;
    let words = Words::parse(wanted.q.as_deref());
    let limit = wanted.limit.unwrap_or(MOST).clamp(1, MOST);
    let after = wanted.after.as_ref();
    let services: Vec<Service> = {
        let model = master.read();
        let found = model.apps_after(after.filter(|_| order.is_none())).filter(|app| {
            let spec = &app.current.spec;
            labels.selects(&spec.labels)
                && (words.is_empty() || words.are_in(&[spec.id.as_str(), &views::shown(spec)]))
        });
        // One more tells whether there are more.
        let most = if order.is_some() { usize::MAX } else { limit + 1 };
        found.take(most).map(|app| views::service(&model, app)).collect()
    };
    let (services, next) = match order {
        Some(order) => {
            let sorted = order.sort(services, |service| service.id.clone());
            page(sorted, |service| service.id.clone(), after.map(AppId::as_str), limit)?
        }
        None => page(services, |service| service.id.clone(), None, limit)?,
    };
    Ok(Json(Services { services, next }))
}

/// `GET /hansa/v1/services/{path}`
pub(super) async fn show(
    State(master): State<Master>,
    Path(path): Path<String>,
) -> Result<Json<Service>, ApiError> {
    let model = master.read();
    let id = app_id(&path);
    let app = model.app(&id).ok_or_else(|| ApiError::not_found(format!("there is no service '{id}'")))?;
    Ok(Json(views::service(&model, app)))
}
