//! Marathon's API under `/v2`.

use crate::Master;
use axum::Router;

/// All paths of Marathon's API.
pub fn router(_master: Master) -> Router {
    Router::new()
}
