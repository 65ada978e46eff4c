//! Events that the sink refused.

use axum::extract::State as AxumState;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::extract::Json as JsonBody;
use super::{ApiError, State};
use crate::store::StoreError;
use crate::store::exports::refused;

const LIMIT: u32 = 10_000;

/// Events that the sink refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedBody {
    /// The last first: `id` (of the event, which searches find as all others), `host`, `topic`, `bytes`, `refused`, `reason`.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Json>,
}

/// Lists the events that Kafka refused: too large for their topic, or against its rules.
#[utoipa::path(get, path = "/api/v1/export/refused", operation_id = "list_refused", tag = "quarantine", responses(
    (status = OK, body = RefusedBody),
), security(("token" = [])))]
pub(super) async fn list(AxumState(state): AxumState<State>) -> Result<JsonBody<RefusedBody>, ApiError> {
    let fleet = state.search.fleet().await?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let records = refused::all(&mut conn, LIMIT).await?;
    let body = |record: &refused::Refused| {
        let host = record.at.stream.host;
        json!({
            "id": record.at.to_string(),
            "host": { "id": host.to_string(), "name": fleet.name(host) },
            "topic": record.topic,
            "bytes": record.n_bytes,
            "refused": record.refused.to_string(),
            "reason": record.reason,
        })
    };
    Ok(JsonBody(RefusedBody { records: records.iter().map(body).collect() }))
}
