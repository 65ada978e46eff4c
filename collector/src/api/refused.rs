//! Events and findings that the sink refused.

use axum::extract::State as AxumState;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;
use wire::id::HostId;

use super::extract::Json as JsonBody;
use super::{ApiError, State};
use crate::store::StoreError;
use crate::store::exports::refused;
use crate::store::findings::{self, Refusal};

const LIMIT: u32 = 10_000;

/// What the sink refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedBody {
    /// The last first: `id` (the record's `ce_id`: of an event, which searches find as all others, or of a finding), `host`,
    /// `topic`, `bytes`, `refused`, `reason`.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Json>,
}

/// Lists the events and findings that Kafka refused: too large for their topic, or against its rules.
#[utoipa::path(get, path = "/api/v1/export/refused", operation_id = "list_refused", tag = "quarantine", responses(
    (status = OK, body = RefusedBody),
), security(("token" = [])))]
pub(super) async fn list(AxumState(state): AxumState<State>) -> Result<JsonBody<RefusedBody>, ApiError> {
    let fleet = state.search.fleet().await?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let body = |(host, refusal): (HostId, Refusal)| {
        let shown = json!({
            "id": refusal.id,
            "host": { "id": host.to_string(), "name": fleet.name(host) },
            "topic": refusal.topic,
            "bytes": refusal.n_bytes,
            "refused": refusal.at.to_string(),
            "reason": refusal.reason,
        });
        (refusal.at, shown)
    };
    let events = refused::all(&mut conn, LIMIT).await?.into_iter().map(|record| {
        let refused::Refused { at, topic, n_bytes, refused, reason } = record;
        (at.stream.host, Refusal { id: at.to_string(), topic, n_bytes, at: refused, reason })
    });
    let findings = findings::refused(&mut conn, LIMIT).await?;
    let mut records: Vec<_> = events.chain(findings).map(body).collect();
    records.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    records.truncate(LIMIT as usize);
    Ok(JsonBody(RefusedBody { records: records.into_iter().map(|(_, shown)| shown).collect() }))
}
