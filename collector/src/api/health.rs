//! Whether this collector answers.

use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;

/// The answer of a collector that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`: a collector that is not does not answer.
    status: &'static str,
}

/// Tells that the collector runs. Says nothing else, as anybody may ask.
#[utoipa::path(get, path = "/api/v1/healthz", tag = "collector", responses((status = OK, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}
