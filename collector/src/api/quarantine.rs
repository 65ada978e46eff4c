//! Batches that were refused, and replaying them.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use wire::batch::Header;
use wire::id::EventId;

use super::error::ErrorBody;
use super::extract::{Json as JsonBody, Path, Query};
use super::peer::Peer;
use super::{ApiError, State};
use crate::access::Caller;
use crate::ingest::replay::{self, Asked, Outcome};
use crate::search::Fleet;
use crate::store::quarantine::{self, Record};
use crate::store::{Begin as _, StoreError};

const DEFAULT_LIMIT: u32 = 1_000;
const MAX_LIMIT: u32 = 10_000;

/// Which batches are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those of this host, by name or id.
    host: Option<String>,
    /// How many at most, 1 to 10000; 1000 if absent.
    limit: Option<u32>,
}

/// Batches in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineBody {
    /// The one that came last first: `id`, `host`, `events`, `received`, `reason`, `tries`, `bytes` (absent where they were
    /// not kept).
    #[schema(value_type = Vec<Object>)]
    batches: Vec<Json>,
}

/// What came of replaying a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayBody {
    /// The batch.
    id: String,
    /// `stored`, or `refused`: then it stays in quarantine.
    outcome: &'static str,
    /// How many events are stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    /// Why it is refused, as this version says.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Lists the batches that could not be stored.
#[utoipa::path(get, path = "/api/v1/quarantine", operation_id = "list_quarantine", tag = "quarantine", params(Wanted), responses(
    (status = OK, body = QuarantineBody),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name."),
), security(("token" = [])))]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    Query(wanted): Query<Wanted>,
) -> Result<JsonBody<QuarantineBody>, ApiError> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("invalid limit {limit}, expected 1 to {MAX_LIMIT}");
        return Err(ApiError::bad_request("invalid_limit", message));
    }
    let fleet = state.search.fleet().await?;
    let host = wanted.host.as_deref().map(|name| fleet.resolve(name)).transpose()?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let records = match host {
        Some(host) => quarantine::of_host(&mut conn, host, limit).await?,
        None => quarantine::all(&mut conn, limit).await?,
    };
    Ok(JsonBody(QuarantineBody { batches: records.iter().map(|record| body(record, &fleet)).collect() }))
}

/// Shows a batch in quarantine: why it is there, and what its header says, if that can be read.
#[utoipa::path(get, path = "/api/v1/quarantine/{id}", operation_id = "show_quarantined", tag = "quarantine",
    params(("id" = String, Path, description = "HOST.EPOCH.LANE.SEQUENCE, as the list has it.")), responses(
    (status = OK, body = Object),
    (status = NOT_FOUND, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn show(
    AxumState(state): AxumState<State>,
    Path(id): Path<String>,
) -> Result<JsonBody<Json>, ApiError> {
    let at = parsed(&id)?;
    let fleet = state.search.fleet().await?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    let (record, sealed) = quarantine::take(&mut tx, at).await?.ok_or_else(|| not_there(at))?;
    tx.rollback().await.map_err(StoreError::from)?;
    let mut json = body(&record, &fleet);
    if let (Some(sealed), Some(object)) = (sealed, json.as_object_mut()) {
        let header = match Header::decode(&sealed.header) {
            Ok(header) => json!({
                "events": header.n_events,
                "boot": header.boot.to_string(),
                "sealed": header.clock.timestamp(header.sealed).to_string(),
                "generated": header.ledger.generated,
                "merged": header.ledger.merged,
                "lost": header.ledger.lost,
                "dropped": header.ledger.dropped,
            }),
            Err(error) => json!({ "unreadable": error.to_string() }),
        };
        object.insert("header".to_owned(), header);
    }
    Ok(JsonBody(json))
}

/// Reads a batch in quarantine again, as after an upgrade, and stores it in its place; what is refused again stays.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/replay", operation_id = "replay_quarantined", tag = "quarantine",
    params(("id" = String, Path, description = "HOST.EPOCH.LANE.SEQUENCE, as the list has it.")), responses(
    (status = OK, body = ReplayBody),
    (status = NOT_FOUND, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn replay(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Peer(address): Peer,
    Path(id): Path<String>,
) -> Result<JsonBody<ReplayBody>, ApiError> {
    let at = parsed(&id)?;
    let host_name = state.search.fleet().await?.name(at.stream.host);
    let config = replay::Config {
        pool: state.pool.clone(),
        committed: state.committed.clone(),
        run: state.run,
        tails: state.serving.clone(),
    };
    let asked = Asked { actor: caller.actor(), address };
    let (outcome, events, reason) = match replay::replay(&config, at, &host_name, &asked).await? {
        Outcome::Stored { n_events } => ("stored", Some(n_events), None),
        Outcome::Refused { reason } => ("refused", None, Some(reason)),
        Outcome::Unknown => return Err(not_there(at)),
    };
    Ok(JsonBody(ReplayBody { id: at.to_string(), outcome, events, reason }))
}

fn parsed(id: &str) -> Result<EventId, ApiError> {
    id.parse().map_err(|error: wire::id::IdError| {
        ApiError::bad_request("invalid_id", error.to_string()).hint("`vedette quarantine` shows the ids")
    })
}

fn not_there(at: EventId) -> ApiError {
    ApiError::not_found(format!("batch {at} not found in quarantine"))
        .hint("`vedette quarantine` shows what is there; it may have been replayed meanwhile")
}

fn body(record: &Record, fleet: &Fleet) -> Json {
    let host = record.at.stream.host;
    let mut json = json!({
        "id": record.at.to_string(),
        "host": { "id": host.to_string(), "name": fleet.name(host) },
        "epoch": record.at.stream.epoch.to_string(),
        "lane": record.at.stream.lane.to_string(),
        "first_sequence": record.at.seq,
        "events": record.n_events,
        "received": record.received.to_string(),
        "reason": record.reason,
        "tries": record.n_tries,
    });
    if let (Some(n), Some(object)) = (record.n_bytes, json.as_object_mut()) {
        object.insert("bytes".to_owned(), n.into());
    }
    json
}
