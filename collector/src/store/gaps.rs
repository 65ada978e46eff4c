//! `gap`: runs of events that are known not to be there.

use sqlx::postgres::PgConnection;
use wire::id::StreamId;

use super::statements::{Statement, insert, routed};
use super::{Stamp, StoreError};

/// Why they are not there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The sensor's bounds gave them up; their tombstone came instead.
    Shed,
    /// The collector refused them.
    Rejected,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Shed => "shed",
            Cause::Rejected => "rejected",
        }
    }
}

pub(super) const STATEMENTS: &[Statement] = &[ADD, EXPIRE];

const ADD: Statement = insert(
    "gap.add",
    "insert into gap (bucket, host, epoch, lane, first_seq, n_events, cause, received)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (bucket, host, epoch, lane, first_seq) do nothing",
);

const EXPIRE: Statement = routed("gap.expire", "delete from gap where bucket = any($1) and received < $2");

/// Forgets what is older.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).bind(buckets).bind(before).execute(conn).await?.rows_affected())
}

/// Records that `n_events` from `first_seq` on are not there.
///
/// # Errors
/// When the database fails.
pub async fn add(
    conn: &mut PgConnection,
    stream: StreamId,
    first_seq: u64,
    n_events: u64,
    cause: Cause,
    received: Stamp,
) -> Result<(), StoreError> {
    sqlx::query(ADD.sql)
        .bind(stream.host.bucket())
        .bind(stream.host.uuid())
        .bind(stream.epoch.uuid())
        .bind(stream.lane as i16)
        .bind(first_seq.cast_signed())
        .bind(n_events.cast_signed())
        .bind(cause.name())
        .bind(received)
        .execute(conn)
        .await?;
    Ok(())
}
