//! `enroll_token`: what enrols a host, once, or so many hosts.

use sqlx::PgExecutor;
use wire::id::HostId;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};
use crate::access::secret::SecretHash;

/// An enrolment token about to be written down.
#[derive(Debug, Clone)]
pub struct NewEnrollToken {
    /// How many hosts it enrols.
    pub hosts: u16,
    /// What each host it enrols will be tagged with, as `key=value`.
    pub tags: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: Stamp,
    /// When it ends.
    pub expires: Stamp,
}

pub(super) const STATEMENTS: &[Statement] = &[CREATE, REDEEM];

const CREATE: Statement = maintenance(
    "enroll_token.create",
    "with old as (delete from enroll_token where expires < $6)
         insert into enroll_token (hash, tags, created, created_by, expires, hosts)
         values ($1, $2, $3, $4, $5, $7)",
);

// One that a collector of the release before has spent is used and counts no hosts.
const REDEEM: Statement = maintenance(
    "enroll_token.redeem",
    "update enroll_token set used = $3, used_by = $2, enrolled = enrolled + 1
         where hash = $1 and enrolled < hosts and (used is null) = (enrolled = 0) and expires > $3
         returning tags",
);

/// Writes down a token, and forgets those that ended more than a week before.
///
/// # Errors
/// When the database fails.
pub async fn create(
    db: impl PgExecutor<'_>,
    hash: SecretHash,
    token: &NewEnrollToken,
) -> Result<(), StoreError> {
    const WEEK_US: i64 = 7 * 86_400 * 1_000_000;
    sqlx::query(CREATE.sql)
        .bind(hash.bytes())
        .bind(&token.tags)
        .bind(token.created)
        .bind(&token.created_by)
        .bind(token.expires)
        .bind(token.created.plus_us(-WEEK_US))
        .bind(i32::from(token.hosts))
        .execute(db)
        .await?;
    Ok(())
}

/// Spends a token on a host, if it has one left and has not ended, and returns its tags. Of any number of
/// calls at once exactly as many get them as it has hosts: the row is the lock.
///
/// # Errors
/// When the database fails.
pub async fn redeem(
    db: impl PgExecutor<'_>,
    hash: SecretHash,
    host: HostId,
    now: Stamp,
) -> Result<Option<Vec<String>>, StoreError> {
    let tags = sqlx::query_scalar(REDEEM.sql)
        .bind(hash.bytes())
        .bind(host.uuid())
        .bind(now)
        .fetch_optional(db)
        .await?;
    Ok(tags)
}
