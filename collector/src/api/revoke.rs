//! Revoking a host.

use axum::extract::State as AxumState;
use axum::http::StatusCode;
use uuid::Uuid;
use wire::id::HostId;

use super::error::ErrorBody;
use super::extract::Path;
use super::peer::Peer;
use super::{ApiError, State};
use crate::access::Caller;
use crate::store::{StoreError, audit, hosts};

/// Revokes a host for ever: its sessions are cut within seconds, and it can neither connect nor renew. What it
/// sent stays. The machine may be enrolled again, as a new host.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/revoke", operation_id = "revoke_host", tag = "hosts", params(("id" = Uuid, Path, description = "The host's id.")), responses(
    (status = NO_CONTENT),
    (status = NOT_FOUND, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn revoke(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Peer(address): Peer,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let (host, now) = (HostId::new(id), super::now());
    let mut transaction = state.pool.begin().await.map_err(StoreError::from)?;
    if !hosts::revoke(&mut *transaction, host, now).await? {
        return Err(ApiError::not_found(format!("host {id} not found")).hint("`vedette hosts` shows the ids"));
    }
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: &caller.actor(),
            action: "host.revoke",
            about: &format!("host:{id}"),
            address: Some(address),
            outcome: audit::Outcome::Done,
            detail: None,
        },
    )
    .await?;
    // The other collectors see it when they next look; this one need not wait.
    state.revocations.add(host);
    Ok(StatusCode::NO_CONTENT)
}
