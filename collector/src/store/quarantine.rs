//! `quarantine`: batches that could not be stored, kept as they came.

use sqlx::postgres::PgConnection;
use wire::batch::Sealed;
use wire::id::StreamId;

use super::statements::{Statement, routed};
use super::{Stamp, StoreError};

/// How many batches of one host are kept with their bytes; of later ones only the reason.
pub const MAX_KEPT_PER_HOST: i64 = 16;

pub(super) const STATEMENTS: &[Statement] = &[ADD, EXPIRE];

const ADD: Statement = routed(
    "quarantine.add",
    "insert into quarantine (bucket, host, epoch, lane, first_seq, n_events, received, reason, header, payload)
     select $1, $2, $3, $4, $5, $6, $7, $8, case when room then $9::bytea end, case when room then $10::bytea end
       from (select count(*) < $11 as room from quarantine
              where bucket = $1 and host = $2 and payload is not null) kept
         on conflict (bucket, host, epoch, lane, first_seq) do nothing",
);

const EXPIRE: Statement =
    routed("quarantine.expire", "delete from quarantine where bucket = any($1) and received < $2");

/// Forgets what is older.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).bind(buckets).bind(before).execute(conn).await?.rows_affected())
}

/// A batch that is refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The stream it came in.
    pub stream: StreamId,
    /// Where it would have begun.
    pub first_seq: u64,
    /// How many events it claims.
    pub n_events: u64,
    /// When it came.
    pub received: Stamp,
    /// Why it is refused.
    pub reason: &'a str,
    /// Its bytes.
    pub sealed: &'a Sealed,
}

/// Keeps a refused batch.
///
/// # Errors
/// When the database fails.
pub async fn add(conn: &mut PgConnection, refused: &Refused<'_>) -> Result<(), StoreError> {
    sqlx::query(ADD.sql)
        .bind(refused.stream.host.bucket())
        .bind(refused.stream.host.uuid())
        .bind(refused.stream.epoch.uuid())
        .bind(refused.stream.lane as i16)
        .bind(refused.first_seq.cast_signed())
        .bind(refused.n_events.cast_signed())
        .bind(refused.received)
        // Text in PostgreSQL has no NUL.
        .bind(refused.reason.replace('\0', "\\x00"))
        .bind(&refused.sealed.header[..])
        .bind(&refused.sealed.payload[..])
        .bind(MAX_KEPT_PER_HOST)
        .execute(conn)
        .await?;
    Ok(())
}
