//! `exporter`: what each collector that exports says of it. All times are the database's.

use std::time::Duration;

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;

use crate::store::statements::{Statement, maintenance};
use crate::store::{Stamp, StoreError};

/// What a collector says of its exporting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exporter {
    /// The run of the collector.
    pub run: Uuid,
    /// Whether the sink takes what it is given.
    pub works: bool,
    /// Events since this run began.
    pub n_sent: u64,
    /// Lately.
    pub per_second: f64,
    /// Receipt of the oldest event that waits.
    pub oldest: Option<Stamp>,
    /// What went wrong last, and what is to be done.
    pub error: Option<String>,
    /// When that was.
    pub error_at: Option<Stamp>,
}

/// The same, and how long ago it was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was said.
    pub exporter: Exporter,
    /// How long ago.
    pub silent: Duration,
}

/// One that was heard of within this time exports.
pub const ALIVE: Duration = Duration::from_secs(15);

pub(in crate::store) const STATEMENTS: &[Statement] = &[SAY, ALL, GONE];

const SAY: Statement = maintenance(
    "exporter.say",
    "insert into exporter (run, seen, works, n_sent, per_second, oldest, error, error_at)
     values ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7)
         on conflict (run) do update
        set seen = excluded.seen, works = excluded.works, n_sent = excluded.n_sent, per_second = excluded.per_second,
            oldest = excluded.oldest, error = excluded.error, error_at = excluded.error_at",
);

const ALL: Statement = maintenance(
    "exporter.all",
    "select run, works, n_sent, per_second, oldest, error, error_at,
            greatest(extract(epoch from clock_timestamp() - seen) * 1000000, 0)::bigint as silent_us
       from exporter order by run",
);

const GONE: Statement = maintenance(
    "exporter.gone",
    "delete from exporter where run = $1 or seen < clock_timestamp() - interval '1 day'",
);

/// Says it.
///
/// # Errors
/// When the database fails.
pub async fn say(db: impl PgExecutor<'_>, exporter: &Exporter) -> Result<(), StoreError> {
    sqlx::query(SAY.sql)
        .bind(exporter.run)
        .bind(exporter.works)
        .bind(exporter.n_sent.cast_signed())
        .bind(exporter.per_second)
        .bind(exporter.oldest)
        .bind(&exporter.error)
        .bind(exporter.error_at)
        .execute(db)
        .await?;
    Ok(())
}

/// What all have said, also those that are silent since.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Seen>, StoreError> {
    let rows = sqlx::query(ALL.sql).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Seen {
                exporter: Exporter {
                    run: row.try_get("run")?,
                    works: row.try_get("works")?,
                    n_sent: row.try_get::<i64, _>("n_sent")?.unsigned_abs(),
                    per_second: row.try_get("per_second")?,
                    oldest: row.try_get("oldest")?,
                    error: row.try_get("error")?,
                    error_at: row.try_get("error_at")?,
                },
                silent: Duration::from_micros(row.try_get::<i64, _>("silent_us")?.unsigned_abs()),
            })
        })
        .collect()
}

/// Takes out one that stops, and those that have been silent for a day.
///
/// # Errors
/// When the database fails; then it is silent.
pub async fn gone(db: impl PgExecutor<'_>, run: Uuid) -> Result<(), StoreError> {
    sqlx::query(GONE.sql).bind(run).execute(db).await?;
    Ok(())
}
