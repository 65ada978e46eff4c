//! `collector`: the runs of collectors that share this store. All times are the database's.

use std::time::Duration;

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;

use super::statements::{Statement, maintenance};
use super::{Pool, Stamp, StoreError};

/// What a run says of itself.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Made at its start.
    pub run: Uuid,
    /// Kept in its home.
    pub id: Uuid,
    /// Its machine's name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Sensors connected to it.
    pub n_sessions: usize,
    /// Tails it serves.
    pub n_tails: usize,
}

/// A run, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Made at its start.
    pub run: Uuid,
    /// Kept in its home.
    pub id: Uuid,
    /// Its machine's name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// Its version.
    pub version: String,
    /// When it began.
    pub started: Stamp,
    /// When it was last heard of.
    pub last_seen: Stamp,
    /// How long ago that is.
    pub silent: Duration,
    /// Sensors connected to it then.
    pub n_sessions: u64,
}

/// A run that was heard of within this time lives. The statements say it too.
pub const ALIVE: Duration = Duration::from_secs(15);

impl Record {
    /// Whether it runs now, as far as can be told.
    pub fn is_alive(&self) -> bool {
        self.silent < ALIVE
    }
}

pub(super) const STATEMENTS: &[Statement] = &[SEEN, GONE, LEFT, ALL, EXPIRE];

const SEEN: Statement = maintenance(
    "collector.seen",
    "with me as (
        insert into collector (run, id, name, listen, version, started, last_seen, n_sessions, n_tails)
        values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), $6, $7)
            on conflict (run) do update
            set last_seen = clock_timestamp(), n_sessions = excluded.n_sessions, n_tails = excluded.n_tails)
     select coalesce(sum(n_tails), 0)::bigint as n_tails from collector
      where run <> $1 and last_seen > clock_timestamp() - interval '15 s'",
);

const GONE: Statement = maintenance("collector.gone", "delete from collector where run = $1");

const LEFT: Statement =
    maintenance("collector.left", "update host set collector = null, connected = null where collector = $1");

const ALL: Statement = maintenance(
    "collector.all",
    "select run, id, name, listen, version, started, last_seen, n_sessions,
            greatest(extract(epoch from clock_timestamp() - last_seen) * 1000000, 0)::bigint as silent_us
       from collector order by started, run",
);

const EXPIRE: Statement = maintenance(
    "collector.expire",
    "delete from collector where last_seen < clock_timestamp() - interval '1 day'",
);

/// Says that a run lives, and returns how many tails the others serve.
///
/// # Errors
/// When the database fails.
pub async fn seen(db: impl PgExecutor<'_>, presence: &Presence) -> Result<u64, StoreError> {
    let n = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let row = sqlx::query(SEEN.sql)
        .bind(presence.run)
        .bind(presence.id)
        .bind(&presence.name)
        .bind(&presence.listen)
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(n(presence.n_sessions))
        .bind(n(presence.n_tails))
        .fetch_one(db)
        .await?;
    Ok(row.try_get::<i64, _>("n_tails")?.unsigned_abs())
}

/// Takes a run out that stops: its hosts are connected nowhere.
///
/// # Errors
/// When the database fails; then it is silent, and counts as gone a little later.
pub async fn gone(pool: &Pool, run: Uuid) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query(LEFT.sql).bind(run).execute(&mut *tx).await?;
    sqlx::query(GONE.sql).bind(run).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Every run that did not stop cleanly within the last day, in the order of their starts.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(ALL.sql).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Record {
                run: row.try_get("run")?,
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                listen: row.try_get("listen")?,
                version: row.try_get("version")?,
                started: row.try_get("started")?,
                last_seen: row.try_get("last_seen")?,
                silent: Duration::from_micros(row.try_get::<i64, _>("silent_us")?.unsigned_abs()),
                n_sessions: u64::from(row.try_get::<i32, _>("n_sessions")?.unsigned_abs()),
            })
        })
        .collect()
}

/// Forgets runs that have been silent for a day.
///
/// # Errors
/// When the database fails.
pub async fn expire(db: impl PgExecutor<'_>) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).execute(db).await?.rows_affected())
}
