//! Who did what to tokens, enrolments and hosts.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error::ErrorBody;
use super::extract::{Json, Query};
use super::{ApiError, State};
use crate::store::audit::{self, Head, Record};
use crate::store::{Stamp, StoreError};

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
    /// Not before: `7d`, or a time such as `2026-01-31T12:00:00Z`.
    since: Option<String>,
}

/// Which end of the chain was noted earlier.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// `NUMBER:DIGEST`, as an earlier answer's `head`.
    noted: Option<String>,
}

/// What is found when the chain is followed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifiedBody {
    /// How many entries are chained.
    entries: u64,
    /// The end of the chain, `NUMBER:DIGEST`: kept elsewhere, it shows a log that was written anew.
    head: String,
    /// What is wrong with it; nothing if it is whole.
    breaks: Vec<BreakBody>,
}

/// What is wrong with the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BreakBody {
    /// At which entry, from 1.
    number: u64,
    /// What was found and what was expected.
    message: String,
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
    /// Its place in the chain, from 1; absent of what was there before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// The digest of it and all before it, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
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
    let since = wanted.since.as_deref().map(|text| {
        let moment = crate::search::moment(text, super::now().wall()).map(Stamp::floor);
        moment.ok_or_else(|| {
            let found: String = text.chars().take(64).collect();
            ApiError::bad_request(
                "invalid_time",
                format!("invalid since {found:?}, expected a span such as 7d, or a time such as 2026-01-31T12:00:00Z"),
            )
        })
    });
    let mut entries: Vec<_> = audit::before(&state.pool, wanted.cursor, since.transpose()?, limit + 1)
        .await?
        .into_iter()
        .map(EntryBody::from)
        .collect();
    let is_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let cursor = entries.last().filter(|_| is_more).map(|entry| entry.id);
    Ok(Json(Entries { entries, cursor }))
}

/// Follows the chain of entries from the first to the last, and says where it is broken.
#[utoipa::path(get, path = "/api/v1/audit/verify", operation_id = "verify_audit", tag = "tokens", params(Noted), responses(
    (status = OK, body = VerifiedBody),
    (status = BAD_REQUEST, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn verify(
    AxumState(state): AxumState<State>,
    Query(noted): Query<Noted>,
) -> Result<Json<VerifiedBody>, ApiError> {
    let noted: Option<Head> = match noted.noted.map(|text| text.parse()).transpose() {
        Ok(noted) => noted,
        Err(said) => return Err(ApiError::bad_request("invalid_head", said)),
    };
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let walk = audit::verify(&mut conn, noted).await?;
    let breaks =
        walk.breaks.iter().map(|found| BreakBody { number: found.number, message: found.said.clone() });
    Ok(Json(VerifiedBody {
        entries: walk.head().number,
        head: walk.head().to_string(),
        breaks: breaks.collect(),
    }))
}

impl From<Record> for EntryBody {
    fn from(record: Record) -> Self {
        let Record { id, at, actor, action, about, address, outcome, detail, number, digest } = record;
        let digest = digest.map(hex::encode);
        Self { id, at: at.to_string(), actor, action, about, address, outcome, detail, number, digest }
    }
}
