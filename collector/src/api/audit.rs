//! Who did what to tokens, enrolments and hosts.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error::ErrorBody;
use super::extract::{Json, Query};
use super::{ApiError, State};
use crate::store::audit::{self, Record};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 10_000;

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 10000; 100 if absent.
    limit: Option<u32>,
    /// Where the answer before this one stopped.
    cursor: Option<Uuid>,
}

/// Entries, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entries {
    /// The newest first.
    entries: Vec<EntryBody>,
    /// Where to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Uuid>,
}

/// One thing that was done, or tried.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryBody {
    /// Its id.
    id: Uuid,
    /// When (RFC 3339).
    at: String,
    /// Who: `token:ID NAME`, `host:ID`, `collector` or `anonymous`.
    actor: String,
    /// What, as noun and verb: `token.create`.
    action: String,
    /// What it was done to.
    about: String,
    /// Where the call came from.
    address: Option<String>,
    /// `done` or `refused`.
    outcome: String,
    /// More, in words.
    detail: Option<String>,
}

/// Lists who did what to tokens, enrolments and hosts, the newest first.
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "list_audit", tag = "tokens", params(Wanted), responses(
    (status = OK, body = Entries),
    (status = BAD_REQUEST, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Entries>, ApiError> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::bad_request(
            "invalid_limit",
            format!("invalid limit {limit}, expected 1 to {MAX_LIMIT}"),
        ));
    }
    let mut entries: Vec<_> = audit::before(&state.pool, wanted.cursor, limit + 1)
        .await?
        .into_iter()
        .map(EntryBody::from)
        .collect();
    let is_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let cursor = entries.last().filter(|_| is_more).map(|entry| entry.id);
    Ok(Json(Entries { entries, cursor }))
}

impl From<Record> for EntryBody {
    fn from(record: Record) -> Self {
        let Record { id, at, actor, action, about, address, outcome, detail } = record;
        Self { id, at: at.to_string(), actor, action, about, address, outcome, detail }
    }
}
