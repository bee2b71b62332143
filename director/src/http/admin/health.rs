//! What machines ask: whether this process is up, whether it can work, and how it has been.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::http::answer::Refusal;
use crate::metrics;
use crate::problem::Problem;

/// All is well
#[derive(Serialize, ToSchema)]
pub(super) struct Well {
    #[schema(pattern = "^ok$")]
    status: &'static str,
}

const WELL: Json<Well> = Json(Well { status: "ok" });

/// Whether this process is up
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "isAlive", security(()),
    responses((status = 200, description = "It is", body = Well)),
)]
pub(super) async fn alive() -> Json<Well> {
    WELL
}

/// Whether the database answers and metadata can be signed
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "isReady", security(()),
    responses(
        (status = 200, description = "It does and it can", body = Well),
        (status = 503, description = "Send nobody here now", body = Refusal),
    ),
)]
pub(super) async fn ready(State(api): State<Shared>) -> Result<Json<Well>, Problem> {
    api.service.database().ping().await?;
    api.service.root_state().await?.keys?;
    Ok(WELL)
}

/// How it has been, for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "showMetrics", security(()),
    responses((status = 200, description = "Prometheus' text format", body = String,
        content_type = "text/plain")),
)]
pub(super) async fn metrics(State(api): State<Shared>) -> Response {
    let (root, now) = (api.service.root_state().await, api.service.now());
    if let (Ok(root), Ok(now)) = (root, now) {
        metrics::root_ends_in(root.expires.unix() - now.unix());
    }
    let format = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, metrics::text()).into_response()
}
