//! `restore`, `restored_stream`: what a store that came out of a backup knows to be missing.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Row as _};
use uuid::Uuid;
use wire::id::{Epoch, HostId, Lane};

use super::statements::{Statement, fan_out, maintenance, routed};
use super::{Pool, Stamp, StoreError};

/// A backup that this store came out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// When the backup was begun.
    pub taken: Stamp,
    /// When it was restored.
    pub restored: Stamp,
    /// The version of the collector that made it.
    pub version: String,
}

/// Events that were stored once, and are not there since the store was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub host: HostId,
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The number of the first of them.
    pub first_seq: u64,
    /// How many; `None`: nobody knows, as the sensor has begun a new epoch meanwhile.
    pub n_events: Option<u64>,
    /// They happened after this: when the last batch before them was sealed, or the epoch began.
    pub since: Option<Stamp>,
    /// They happened before this.
    pub until: Stamp,
}

pub(super) const STATEMENTS: &[Statement] =
    &[IS_EMPTY, CLEAR, MARK, FORGET, REMEMBER, UNSURE, LAST, GAPS, STOOD, SCHEMA];

const IS_EMPTY: Statement = maintenance(
    "restore.is_empty",
    "select not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                         where n.nspname = 'public' and c.relkind in ('r', 'p', 'v'))",
);

const CLEAR: Statement = maintenance("restore.clear", "drop schema public cascade");
const ANEW: &str = "create schema public";

const MARK: Statement =
    maintenance("restore.mark", "insert into restore (id, taken, restored, version) values ($1, $2, $3, $4)");

const FORGET: Statement = maintenance("restore.forget", "delete from restored_stream");

// An epoch's id begins with its time, so the greatest is the last.
const REMEMBER: Statement = maintenance(
    "restore.remember",
    "insert into restored_stream (bucket, host, epoch, lane, next_seq, sealed, newest)
     select bucket, host, epoch, lane, next_seq, sealed,
            rank() over (partition by host order by epoch desc) = 1
       from stream",
);

const UNSURE: Statement = maintenance("restore.unsure", "update host set unsure = $1");

const LAST: Statement = maintenance(
    "restore.last",
    "select taken, restored, version from restore order by restored desc limit 1",
);

const GAPS: Statement = fan_out(
    "restore.gaps",
    "select g.host, g.epoch, g.lane, g.first_seq, g.n_events, g.received, r.sealed, r.host is not null as stood
       from gap g
       left join restored_stream r
         on r.bucket = g.bucket and r.host = g.host and r.epoch = g.epoch and r.lane = g.lane
      where g.cause = 'shed' and g.received >= $1 and g.first_seq = coalesce(r.next_seq, 0)
      order by g.host, g.epoch, g.lane",
);

// Those whose host has begun another epoch since, without a word of how far this one went.
const STOOD: Statement = routed(
    "restore.stood",
    "select r.host, r.epoch, r.lane, r.next_seq, r.sealed,
            (select array_agg(n.epoch order by n.epoch) from stream n
              where n.bucket = r.bucket and n.host = r.host and n.epoch > r.epoch) as later
       from restored_stream r
       join stream s on s.bucket = r.bucket and s.host = r.host and s.epoch = r.epoch and s.lane = r.lane
      where r.bucket = any($1) and r.newest and s.next_seq = r.next_seq
      order by r.host, r.epoch, r.lane",
);

const SCHEMA: Statement =
    maintenance("restore.schema", "select max(version) from _sqlx_migrations where success");

/// Whether there is nothing in the database.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(db: impl PgExecutor<'_>) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(IS_EMPTY.sql).fetch_one(db).await?)
}

/// Removes everything that is in the database.
///
/// # Errors
/// When the database fails; nothing is removed then.
pub async fn clear(pool: &Pool) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    sqlx::query(CLEAR.sql).execute(&mut *transaction).await?;
    sqlx::query(ANEW).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The last migration that the database has seen.
///
/// # Errors
/// When the database fails, or was never used by a collector.
pub async fn schema(db: impl PgExecutor<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar::<_, Option<i64>>(SCHEMA.sql).fetch_one(db).await?.unwrap_or(0))
}

/// Writes down that the store was restored now, and where each stream stands.
///
/// # Errors
/// When the database fails; nothing is written then.
pub async fn mark(pool: &Pool, restore: &Restore) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    sqlx::query(MARK.sql)
        .bind(Uuid::now_v7())
        .bind(restore.taken)
        .bind(restore.restored)
        .bind(&restore.version)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(FORGET.sql).execute(&mut *transaction).await?;
    sqlx::query(REMEMBER.sql).execute(&mut *transaction).await?;
    sqlx::query(UNSURE.sql).bind(restore.taken).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The last time that the store was restored, if it ever was.
///
/// # Errors
/// When the database fails.
pub async fn last(db: impl PgExecutor<'_>) -> Result<Option<Restore>, StoreError> {
    let row = sqlx::query(LAST.sql).fetch_optional(db).await?;
    let restore = |row: PgRow| {
        Ok(Restore {
            taken: row.try_get("taken")?,
            restored: row.try_get("restored")?,
            version: row.try_get("version")?,
        })
    };
    row.map(restore).transpose()
}

/// What is known to be missing since then, by host and stream. Hosts that have not been heard of since may miss more.
///
/// # Errors
/// When the database fails.
pub async fn missing(conn: &mut PgConnection, restore: &Restore) -> Result<Vec<Missing>, StoreError> {
    let mut all = HashMap::new();
    for row in sqlx::query(GAPS.sql).bind(restore.restored).fetch_all(&mut *conn).await? {
        let missing = of_gap(&row)?;
        let stood: bool = row.try_get("stood")?;
        // Of an epoch that the backup does not know: one that began after it, and before it was restored.
        if stood || missing.since.is_some_and(|began| began < restore.restored) {
            all.insert((missing.host, missing.epoch, missing.lane), missing);
        }
    }
    let buckets: Vec<i16> = (0..64).collect();
    for row in sqlx::query(STOOD.sql).bind(buckets).fetch_all(&mut *conn).await? {
        if let Some(missing) = of_stood(&row)? {
            all.entry((missing.host, missing.epoch, missing.lane)).or_insert(missing);
        }
    }
    let mut all: Vec<Missing> = all.into_values().collect();
    all.sort_by_key(|missing| (missing.host, missing.epoch, missing.lane as i16));
    Ok(all)
}

fn of_gap(row: &PgRow) -> Result<Missing, StoreError> {
    let epoch = Epoch::new(row.try_get("epoch")?);
    Ok(Missing {
        host: HostId::new(row.try_get("host")?),
        epoch,
        lane: lane(row)?,
        first_seq: row.try_get::<i64, _>("first_seq")?.cast_unsigned(),
        n_events: Some(row.try_get::<i64, _>("n_events")?.cast_unsigned()),
        since: row.try_get::<Option<Stamp>, _>("sealed")?.or_else(|| began(epoch)),
        until: row.try_get("received")?,
    })
}

fn of_stood(row: &PgRow) -> Result<Option<Missing>, StoreError> {
    let epoch = Epoch::new(row.try_get("epoch")?);
    let later: Option<Vec<Uuid>> = row.try_get("later")?;
    let next = later.and_then(|later| later.first().copied()).and_then(|next| began(Epoch::new(next)));
    let Some(until) = next else { return Ok(None) };
    Ok(Some(Missing {
        host: HostId::new(row.try_get("host")?),
        epoch,
        lane: lane(row)?,
        first_seq: row.try_get::<i64, _>("next_seq")?.cast_unsigned(),
        n_events: None,
        since: row.try_get::<Option<Stamp>, _>("sealed")?.or_else(|| began(epoch)),
        until,
    }))
}

/// When an epoch began, as its id says (UUIDv7).
fn began(epoch: Epoch) -> Option<Stamp> {
    let (seconds, ns) = epoch.uuid().get_timestamp()?.to_unix();
    let us = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    Some(Stamp::from_unix_us(us.saturating_add(i64::from(ns / 1000))))
}

fn lane(row: &PgRow) -> Result<Lane, StoreError> {
    let lane: i16 = row.try_get("lane")?;
    Ok(if lane == Lane::Critical as i16 { Lane::Critical } else { Lane::Bulk })
}
