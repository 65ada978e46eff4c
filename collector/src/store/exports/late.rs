//! `export_late`: batches that were stored after their stream had passed them.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use wire::id::EventId;

use crate::store::statements::{Statement, insert, routed};
use crate::store::streams::{event_id, keyed_at};
use crate::store::{Stamp, StoreError};

/// A batch that is to be exported out of its order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Late {
    /// Its first event.
    pub at: EventId,
    /// Of the commit that stored it.
    pub received: Stamp,
    /// How many events it has; 0 where an earlier version noted it.
    pub n_events: u64,
}

pub(in crate::store) const STATEMENTS: &[Statement] = &[ADD, OF_BUCKETS, DONE, EXPIRE];

const ADD: Statement = insert(
    "export_late.add",
    "insert into export_late (bucket, host, epoch, lane, first_seq, received, n_events)
     select $1, $2, $3, $4, $5, $6, $7 where exists (select from export_since)
         on conflict (bucket, host, epoch, lane, first_seq) do nothing",
);

const OF_BUCKETS: Statement = routed(
    "export_late.of_buckets",
    "select host, epoch, lane, first_seq, received, n_events from export_late where bucket = any($1)
      order by host, epoch, lane, first_seq limit $2",
);

const DONE: Statement = routed(
    "export_late.done",
    "delete from export_late where bucket = $1 and host = $2 and epoch = $3 and lane = $4 and first_seq = $5",
);

pub(super) const EXPIRE: Statement =
    routed("export_late.expire", "delete from export_late where bucket = any($1) and received < $2");

/// Notes that a batch is stored which its stream has passed, if there is a sink.
///
/// # Errors
/// When the database fails.
pub async fn add(conn: &mut PgConnection, late: Late) -> Result<(), StoreError> {
    keyed_at(ADD, late.at).bind(late.received).bind(late.n_events.cast_signed()).execute(conn).await?;
    Ok(())
}

/// Those of these buckets, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn of_buckets(
    conn: &mut PgConnection,
    buckets: &[i16],
    limit: u32,
) -> Result<Vec<Late>, StoreError> {
    let rows = sqlx::query(OF_BUCKETS.sql).bind(buckets).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(Late {
                at: event_id(row, "first_seq")?,
                received: row.try_get("received")?,
                n_events: row.try_get::<i64, _>("n_events")?.unsigned_abs(),
            })
        })
        .collect()
}

/// Notes that it is not waiting any more.
///
/// # Errors
/// When the database fails.
pub async fn done(conn: &mut PgConnection, at: EventId) -> Result<(), StoreError> {
    keyed_at(DONE, at).execute(conn).await?;
    Ok(())
}
