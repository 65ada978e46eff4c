//! What hosts call: a first certificate for a token, and the next for the last.

use std::net::IpAddr;

use axum::extract::State as AxumState;
use time::OffsetDateTime;
use wire::enrolment::{Certified, Challenge, EnrollRequest, RenewRequest};

use super::error::ErrorBody;
use super::extract::Json;
use super::peer::Peer;
use super::{ApiError, State};
use crate::enrolment::renew::{self, RenewError};
use crate::enrolment::{self, Call, EnrollError, challenge as challenges};
use crate::store::hosts::Standing;

/// Gives a new host an id and its first certificate, for an enrolment token.
#[utoipa::path(post, path = "/api/v1/enroll", tag = "enrolment", request_body = EnrollRequest, responses(
    (status = OK, body = Certified),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = FORBIDDEN, body = ErrorBody),
    (status = TOO_MANY_REQUESTS, body = ErrorBody),
))]
pub(super) async fn enroll(
    AxumState(state): AxumState<State>,
    Peer(address): Peer,
    Json(request): Json<EnrollRequest>,
) -> Result<Json<Certified>, ApiError> {
    let call = admit(&state, address)?;
    match enrolment::enroll(&state.pool, &state.ca, call, &request).await {
        Ok(certified) => Ok(Json(certified)),
        Err(error) => {
            metrics::counter!("collector_enrolments_refused_total").increment(1);
            if matches!(error, EnrollError::Token) {
                note(&state, call, "host.enroll", &error).await;
            }
            Err(error.into())
        }
    }
}

/// Gives something to sign to a host that is about to renew.
#[utoipa::path(post, path = "/api/v1/renew/challenge", tag = "enrolment", responses(
    (status = OK, body = Challenge),
    (status = TOO_MANY_REQUESTS, body = ErrorBody),
))]
pub(super) async fn challenge(
    AxumState(state): AxumState<State>,
    Peer(address): Peer,
) -> Result<Json<Challenge>, ApiError> {
    let call = admit(&state, address)?;
    let key = state.ca.current().serving().derived_secret(challenges::PURPOSE);
    let now = call.now.unix_timestamp().max(0) as u64;
    Ok(Json(Challenge { challenge: challenges::make(&key, rand::random(), now) }))
}

/// Gives a host its next certificate, for the last one (ended for at most 90 days) and a proof of its key.
#[utoipa::path(post, path = "/api/v1/renew", tag = "enrolment", request_body = RenewRequest, responses(
    (status = OK, body = Certified),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = FORBIDDEN, body = ErrorBody),
    (status = TOO_MANY_REQUESTS, body = ErrorBody),
))]
pub(super) async fn renew(
    AxumState(state): AxumState<State>,
    Peer(address): Peer,
    Json(request): Json<RenewRequest>,
) -> Result<Json<Certified>, ApiError> {
    let call = admit(&state, address)?;
    match renew::renew(&state.pool, &state.ca, call, &request).await {
        Ok(certified) => Ok(Json(certified)),
        Err(error) => {
            metrics::counter!("collector_renewals_refused_total").increment(1);
            if matches!(error, RenewError::Certificate | RenewError::Signature | RenewError::TooOld { .. }) {
                note(&state, call, "host.renew", &error).await;
            }
            Err(error.into())
        }
    }
}

fn admit(state: &State, address: IpAddr) -> Result<Call, ApiError> {
    if state.limits.admit(address) {
        return Ok(Call { address, now: OffsetDateTime::now_utc() });
    }
    metrics::counter!("collector_enrolments_throttled_total").increment(1);
    Err(ApiError::too_many("too many enrolments and renewals at once").hint("try again in a few seconds"))
}

async fn note(state: &State, call: Call, action: &'static str, error: &(dyn std::error::Error + Sync)) {
    if state.limits.note() {
        let why = error.to_string();
        tracing::warn!(address = %call.address, action, why, "refused {action} from {}: {why}", call.address);
        enrolment::note_refusal(&state.pool, call, action, &why).await;
    }
}

impl From<EnrollError> for ApiError {
    fn from(error: EnrollError) -> Self {
        let message = error.to_string();
        match error {
            EnrollError::Request(_) => Self::bad_request("invalid_csr", message),
            EnrollError::Facts(_) => Self::bad_request("invalid_facts", message),
            EnrollError::Token => Self::forbidden("invalid_token", message)
                .hint("make a new one with `vedette enroll-token create`: each is good for one host"),
            EnrollError::Store(cause) => cause.into(),
            EnrollError::Certificate(cause) => Self::internal(cause),
        }
    }
}

impl From<RenewError> for ApiError {
    fn from(error: RenewError) -> Self {
        const AGAIN: &str = "enrol the host again, with a token from `vedette enroll-token create`";
        let message = error.to_string();
        match error {
            RenewError::Request(_) => Self::bad_request("invalid_csr", message),
            RenewError::Challenge => {
                Self::forbidden("invalid_challenge", message).hint("ask for a new challenge")
            }
            RenewError::Certificate => Self::forbidden("invalid_certificate", message).hint(AGAIN),
            RenewError::TooOld { .. } => Self::forbidden("certificate_too_old", message).hint(AGAIN),
            RenewError::Signature => Self::forbidden("invalid_signature", message),
            RenewError::Standing(standing) => {
                let code = match standing {
                    Standing::Revoked => "revoked",
                    Standing::Superseded => "superseded",
                    Standing::Unknown | Standing::Good => "unknown_host",
                };
                Self::forbidden(code, message).hint(AGAIN)
            }
            RenewError::Store(cause) => cause.into(),
            RenewError::Make(cause) => Self::internal(cause),
        }
    }
}
