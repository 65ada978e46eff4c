//! What was found that a person should look at.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::{Json as JsonBody, Query};
use super::{ApiError, State};
use crate::record::native;
use crate::search::Fleet;
use crate::store::StoreError;
use crate::store::findings::{self, Record};

/// So many are listed.
pub(super) const MAX_LISTED: u32 = 1_000;

/// Which findings are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those about this host, by name or id.
    host: Option<String>,
}

/// Open findings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingsBody {
    /// The gravest first, then the latest: `id`, `host`, `kind`, `about`, `severity`, `n`, `first_found`, `last_found`,
    /// `evidence`, `summary`.
    #[schema(value_type = Vec<Object>)]
    findings: Vec<Json>,
}

/// Lists the open findings, at most 1000: what should not be, once for each host and thing it is about.
#[utoipa::path(get, path = "/api/v1/findings", operation_id = "list_findings", tag = "findings", params(Wanted), responses(
    (status = OK, body = FindingsBody),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name."),
), security(("token" = [])))]
pub(super) async fn list(
    AxumState(state): AxumState<State>,
    Query(wanted): Query<Wanted>,
) -> Result<JsonBody<FindingsBody>, ApiError> {
    let fleet = state.search.fleet().await?;
    let host = wanted.host.as_deref().map(|name| fleet.resolve(name)).transpose()?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let found = match host {
        Some(host) => findings::of_host(&mut conn, host, MAX_LISTED).await?,
        None => findings::open(&mut conn, MAX_LISTED).await?,
    };
    let open = found.iter().filter(|record| record.state == "open");
    Ok(JsonBody(FindingsBody { findings: open.map(|record| body(record, &fleet)).collect() }))
}

pub(super) fn body(record: &Record, fleet: &Fleet) -> Json {
    native::finding(&record.finding(), &fleet.name(record.host))
}
