//! What was found that a person should look at.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::{Json as JsonBody, Query};
use super::{ApiError, State};
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
    json!({
        "id": record.id.to_string(),
        "host": { "id": record.host.to_string(), "name": fleet.name(record.host) },
        "kind": record.kind,
        "about": record.about,
        "severity": severity(record.severity),
        "n": record.n,
        "first_found": record.first_found.to_string(),
        "last_found": record.last_found.to_string(),
        "evidence": record.evidence,
        "summary": summary(record),
    })
}

/// What it means, in a few words.
pub(super) fn summary(record: &Record) -> String {
    let of = |name: &str| match record.evidence.get(name) {
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    };
    let about = &record.about;
    match record.kind.as_str() {
        "residue" if record.evidence.get("end_seq").is_some() => format!(
            "the ledger of {about} does not add up: {} generated, {} stored, shed or rejected, {} merged, {} lost, {} dropped: residue {}",
            of("generated"),
            of("stored_shed_or_rejected"),
            of("merged"),
            of("lost"),
            of("dropped"),
            of("residue")
        ),
        "residue" => format!("the counters of {about} in the store do not add up: {}", record.evidence),
        "gap" => format!(
            "{about} was stored up to {}, and its sensor went on at {} without saying what became of the rest",
            of("stored_up_to"),
            of("went_on_at")
        ),
        "chain" => format!(
            "the digest chain of {about} does not hold at {}",
            of(if record.evidence.get("seq").is_some() { "seq" } else { "first_seq" })
        ),
        "conflict" => {
            format!("other bytes came under a number of {about} that is stored: {}", of("first_seq"))
        }
        "clone" => format!("its certificate is used from two places at once: {}", of("addresses")),
        "tamper" => format!(
            "its sensor tells that somebody touched what is its own ({about}, from event {})",
            of("first_seq")
        ),
        other => format!("{other}: {about}"),
    }
}

fn severity(n: i16) -> &'static str {
    match n {
        i16::MIN..=0 => "information",
        1 => "low",
        2 => "medium",
        3 => "high",
        4.. => "critical",
    }
}
