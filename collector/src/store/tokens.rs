//! `api_token`: bearer tokens, kept as hashes.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};
use crate::access::secret::SecretHash;
use crate::access::{Caller, Role};

/// A token about to be written down.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its new id.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// The most it may do.
    pub role: Role,
    /// Who made it, as [`crate::access::Caller::actor`] says.
    pub created_by: String,
    /// When it was made.
    pub created: Stamp,
    /// When it ends, if it does.
    pub expires: Option<Stamp>,
}

/// A token as it is stored; the secret is not.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// What was written down.
    pub token: NewToken,
    /// When it was revoked, if it was.
    pub revoked: Option<Stamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Stamp>,
}

pub(super) const STATEMENTS: &[Statement] = &[CREATE, CALLER, VALID, USED, REVOKE, ALL];

const CREATE: Statement = maintenance(
    "api_token.create",
    "insert into api_token (id, hash, name, role, created, created_by, expires) values ($1, $2, $3, $4, $5, $6, $7)",
);

const CALLER: Statement = maintenance(
    "api_token.caller",
    "select id, name, role from api_token
         where hash = $1 and revoked is null and (expires is null or expires > $2)",
);

const VALID: Statement = maintenance(
    "api_token.valid",
    "select id from api_token
         where id = any($1) and revoked is null and (expires is null or expires > $2)",
);

const USED: Statement = maintenance(
    "api_token.used",
    "update api_token set last_used = $2 where id = $1 and (last_used is null or last_used < $3)",
);

const REVOKE: Statement =
    maintenance("api_token.revoke", "update api_token set revoked = coalesce(revoked, $2) where id = $1");

const ALL: Statement = maintenance(
    "api_token.all",
    "select id, name, role, created, created_by, expires, revoked, last_used from api_token order by created, id",
);

/// Writes down a token.
///
/// # Errors
/// When the database fails.
pub async fn create(db: impl PgExecutor<'_>, hash: SecretHash, token: &NewToken) -> Result<(), StoreError> {
    sqlx::query(CREATE.sql)
        .bind(token.id)
        .bind(hash.bytes())
        .bind(&token.name)
        .bind(token.role.name())
        .bind(token.created)
        .bind(&token.created_by)
        .bind(token.expires)
        .execute(db)
        .await?;
    Ok(())
}

/// Who holds the token of this hash, if it is valid now.
///
/// # Errors
/// When the database fails.
pub async fn caller(
    db: impl PgExecutor<'_>,
    hash: SecretHash,
    now: Stamp,
) -> Result<Option<Caller>, StoreError> {
    let row = sqlx::query(CALLER.sql).bind(hash.bytes()).bind(now).fetch_optional(db).await?;
    row.map(|row| Ok(Caller { token: row.try_get("id")?, name: row.try_get("name")?, role: role(&row)? }))
        .transpose()
}

/// Which of these tokens are valid now.
///
/// # Errors
/// When the database fails.
pub async fn valid(
    db: impl PgExecutor<'_>,
    tokens: &[Uuid],
    now: Stamp,
) -> Result<HashSet<Uuid>, StoreError> {
    let rows = sqlx::query(VALID.sql).bind(tokens).bind(now).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Writes down that a token was used, at most once a minute.
///
/// # Errors
/// When the database fails.
pub async fn used(db: impl PgExecutor<'_>, token: Uuid, now: Stamp) -> Result<(), StoreError> {
    sqlx::query(USED.sql).bind(token).bind(now).bind(now.plus_us(-60_000_000)).execute(db).await?;
    Ok(())
}

/// Revokes a token. Returns whether there is one of this id; the first time stands.
///
/// # Errors
/// When the database fails.
pub async fn revoke(db: impl PgExecutor<'_>, token: Uuid, now: Stamp) -> Result<bool, StoreError> {
    let done = sqlx::query(REVOKE.sql).bind(token).bind(now).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Every token, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<TokenRecord>, StoreError> {
    sqlx::query(ALL.sql)
        .fetch_all(db)
        .await?
        .into_iter()
        .map(|row| {
            Ok(TokenRecord {
                token: NewToken {
                    id: row.try_get("id")?,
                    name: row.try_get("name")?,
                    role: role(&row)?,
                    created_by: row.try_get("created_by")?,
                    created: row.try_get("created")?,
                    expires: row.try_get("expires")?,
                },
                revoked: row.try_get("revoked")?,
                last_used: row.try_get("last_used")?,
            })
        })
        .collect()
}

fn role(row: &PgRow) -> Result<Role, StoreError> {
    let name: String = row.try_get("role")?;
    name.parse().map_err(|e| StoreError::Database(sqlx::Error::Decode(Box::new(e))))
}
