//! `gap`: runs of events that are known not to be there.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use wire::id::{EventId, StreamId};

use super::statements::{Statement, insert, routed};
use super::streams::keyed_at;
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

pub(super) const STATEMENTS: &[Statement] = &[ADD, FILLED, SHED_FROM, EXPIRE];

const ADD: Statement = insert(
    "gap.add",
    "insert into gap (bucket, host, epoch, lane, first_seq, n_events, cause, received)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (bucket, host, epoch, lane, first_seq) do nothing",
);

const FILLED: Statement = routed(
    "gap.filled",
    "delete from gap where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq = $5
        and cause = 'rejected'",
);

const SHED_FROM: Statement = routed(
    "gap.shed_from",
    "select least(coalesce(sum(n_events), 0), 9223372036854775807)::bigint from gap
      where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq >= $5 and cause = 'shed'",
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

/// Takes out the run that a refused batch left: it is stored after all.
///
/// # Errors
/// When the database fails.
pub async fn filled(conn: &mut PgConnection, at: EventId) -> Result<(), StoreError> {
    keyed_at(FILLED, at).execute(conn).await?;
    Ok(())
}

/// How many events of a stream from this number on were shed.
///
/// # Errors
/// When the database fails.
pub async fn shed_from(conn: &mut PgConnection, from: EventId) -> Result<u64, StoreError> {
    let n: i64 = keyed_at(SHED_FROM, from).fetch_one(conn).await?.try_get(0)?;
    Ok(n.unsigned_abs())
}
