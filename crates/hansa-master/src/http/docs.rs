//! `/hansa/v1/docs`: the description of the API as a page to read, made of the document itself.

use axum::response::Html;

/// `GET /hansa/v1/docs`
pub(super) async fn page() -> Html<String> {
    Html(hansa_api::openapi::page(&hansa_api::openapi::hansa()))
}
