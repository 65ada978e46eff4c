//! API tokens: made and shown once, listed without their secrets, revoked.

use std::time::Duration;

use axum::extract::State as AxumState;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::ErrorBody;
use super::extract::{Json, Path};
use super::peer::Peer;
use super::{ApiError, State};
use crate::access::secret::{Purpose, Secret};
use crate::access::{Caller, Role};
use crate::span;
use crate::store::tokens::{self, NewToken, TokenRecord};
use crate::store::{StoreError, audit};

const DEFAULT_TTL: &str = "30d";
const MAX_TTL: Duration = Duration::from_secs(366 * 86_400);
const MAX_NAME_BYTES: usize = 128;

/// What token is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    /// The most it may do.
    role: Role,
    /// How long it is valid, such as `30d` (the default); at most `366d`.
    ttl: Option<String>,
    /// What to call it.
    #[serde(default)]
    name: String,
}

/// A token just made; it cannot be shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedToken {
    /// The token, to be sent as `Authorization: Bearer …`.
    token: String,
    /// The rest, as `list` shows it.
    #[serde(flatten)]
    about: TokenBody,
}

/// A token as it is listed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenBody {
    /// Its id, to revoke it by.
    id: Uuid,
    /// What it is called.
    name: String,
    /// The most it may do.
    role: Role,
    /// When it was made (RFC 3339).
    created: String,
    /// Who made it.
    created_by: String,
    /// When it ends.
    expires: Option<String>,
    /// When it was last used, to the minute.
    last_used: Option<String>,
    /// When it was revoked.
    revoked: Option<String>,
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tokens {
    /// The oldest first.
    tokens: Vec<TokenBody>,
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "create_token", tag = "tokens", request_body = CreateToken, responses(
    (status = CREATED, body = CreatedToken),
    (status = BAD_REQUEST, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn create(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Peer(address): Peer,
    Json(request): Json<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    let ttl = ttl(request.ttl.as_deref().unwrap_or(DEFAULT_TTL), MAX_TTL, "366d")?;
    if request.name.len() > MAX_NAME_BYTES || request.name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(
            "invalid_name",
            format!("invalid name, expected at most {MAX_NAME_BYTES} bytes without control characters"),
        ));
    }
    let now = super::now();
    let secret = Secret::generate(Purpose::Api);
    let token = NewToken {
        id: Uuid::now_v7(),
        name: request.name,
        role: request.role,
        created: now,
        created_by: caller.actor(),
        expires: Some(now.plus_us(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))),
    };
    let mut transaction = state.pool.begin().await.map_err(StoreError::from)?;
    tokens::create(&mut *transaction, secret.hash(), &token).await?;
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: &token.created_by,
            action: "token.create",
            about: &format!("token:{}", token.id),
            address: Some(address),
            outcome: audit::Outcome::Done,
            detail: Some(token.role.name()),
        },
    )
    .await?;
    let about = TokenRecord { token, revoked: None, last_used: None }.into();
    Ok((StatusCode::CREATED, Json(CreatedToken { token: secret.reveal().to_owned(), about })))
}

/// Lists all tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "tokens", responses((status = OK, body = Tokens)), security(("token" = [])))]
pub(super) async fn list(AxumState(state): AxumState<State>) -> Result<Json<Tokens>, ApiError> {
    let records = tokens::all(&state.pool).await?;
    Ok(Json(Tokens { tokens: records.into_iter().map(TokenBody::from).collect() }))
}

/// Revokes a token: the next request with it is refused, and tails and searches under way end.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revoke_token", tag = "tokens", params(("id" = Uuid, Path, description = "The token's id.")), responses(
    (status = NO_CONTENT),
    (status = NOT_FOUND, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn revoke(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Peer(address): Peer,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let now = super::now();
    let mut transaction = state.pool.begin().await.map_err(StoreError::from)?;
    if !tokens::revoke(&mut *transaction, id, now).await? {
        return Err(
            ApiError::not_found(format!("token {id} not found")).hint("`vedette token list` shows the ids")
        );
    }
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: &caller.actor(),
            action: "token.revoke",
            about: &format!("token:{id}"),
            address: Some(address),
            outcome: audit::Outcome::Done,
            detail: None,
        },
    )
    .await?;
    state.revocations.tokens().cut(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Reads how long a token is to live.
pub(super) fn ttl(text: &str, most: Duration, most_text: &str) -> Result<Duration, ApiError> {
    let ttl = span::parse(text).map_err(|e| ApiError::bad_request("invalid_ttl", e.to_string()))?;
    if ttl > most {
        return Err(ApiError::bad_request(
            "invalid_ttl",
            format!("ttl {text:?} is too long, expected at most {most_text}"),
        ));
    }
    Ok(ttl)
}

impl From<TokenRecord> for TokenBody {
    fn from(record: TokenRecord) -> Self {
        let TokenRecord { token, revoked, last_used } = record;
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            created: token.created.to_string(),
            created_by: token.created_by,
            expires: token.expires.map(|t| t.to_string()),
            last_used: last_used.map(|t| t.to_string()),
            revoked: revoked.map(|t| t.to_string()),
        }
    }
}
