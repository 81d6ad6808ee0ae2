//! Marathon's API under `/v2`. Its `/ping` and `/metrics` are served by the port's own router.

use crate::Master;
use axum::Router;

/// All paths of Marathon's API.
pub fn router(_master: Master) -> Router {
    Router::new()
}
