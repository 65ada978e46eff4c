//! `lease`: work that one collector does at a time. All times are the database's.

use std::time::Duration;

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

/// Work that one collector does at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Task {
    /// Moves finished minutes of fresh batches into segments.
    Merge,
    /// Makes partitions ahead, drops what is too old, looks after statistics.
    Retention,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 2] = [Task::Merge, Task::Retention];

    /// `lease.task`.
    pub const fn name(self) -> &'static str {
        match self {
            Task::Merge => "merge",
            Task::Retention => "retention",
        }
    }
}

/// Who has a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `lease.task`; of a later version one that is not known here.
    pub task: String,
    /// The run of a collector.
    pub holder: Uuid,
    /// For how long still; none if it has run out.
    pub left: Option<Duration>,
}

pub(super) const STATEMENTS: &[Statement] = &[TAKE, RELEASE, ALL, NOW];

const TAKE: Statement = maintenance(
    "lease.take",
    "insert into lease (task, holder, held_until)
     values ($1, $2, clock_timestamp() + $3 * interval '1 microsecond')
         on conflict (task) do update set holder = excluded.holder, held_until = excluded.held_until
      where lease.holder = excluded.holder or lease.held_until <= clock_timestamp()",
);

const RELEASE: Statement = maintenance("lease.release", "delete from lease where task = $1 and holder = $2");

const ALL: Statement = maintenance(
    "lease.all",
    "select task, holder, (extract(epoch from held_until - clock_timestamp()) * 1000000)::bigint as left_us
       from lease order by task",
);

const NOW: Statement = maintenance("lease.now", "select clock_timestamp() as now");

/// Takes a task, or keeps it, for so long from now on; false while another has it.
///
/// # Errors
/// When the database fails; then it is not known who has it.
pub async fn take(
    db: impl PgExecutor<'_>,
    task: Task,
    holder: Uuid,
    length: Duration,
) -> Result<bool, StoreError> {
    let length_us = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    let done =
        sqlx::query(TAKE.sql).bind(task.name()).bind(holder).bind(length_us as f64).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a task back, if it is held.
///
/// # Errors
/// When the database fails; the lease then runs out.
pub async fn release(db: impl PgExecutor<'_>, task: Task, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query(RELEASE.sql).bind(task.name()).bind(holder).execute(db).await?;
    Ok(())
}

/// Who has which task.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Held>, StoreError> {
    let rows = sqlx::query(ALL.sql).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let left_us: i64 = row.try_get("left_us")?;
            let left = u64::try_from(left_us).ok().filter(|us| *us > 0).map(Duration::from_micros);
            Ok(Held { task: row.try_get("task")?, holder: row.try_get("holder")?, left })
        })
        .collect()
}

/// What time it is by the database's clock, which all collectors share.
///
/// # Errors
/// When the database fails.
pub async fn now(db: impl PgExecutor<'_>) -> Result<Stamp, StoreError> {
    Ok(sqlx::query(NOW.sql).fetch_one(db).await?.try_get("now")?)
}
