//! `lease`: work that one collector does at a time. All times are the database's.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{PgExecutor, Row as _};
use uuid::Uuid;
use wire::id::HostId;

use super::statements::{Statement, maintenance};
use super::{Stamp, StoreError};

/// Work that one collector does at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Task {
    /// Moves finished minutes of fresh batches into segments.
    Merge,
    /// Makes partitions ahead, drops what is too old, looks after statistics.
    Retention,
    /// Exports what the hosts of a share have sent.
    Export(Share),
}

/// A part of the hosts: four buckets. The streams of a share are exported by one collector at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Share(u8);

impl Share {
    /// How many there are.
    pub const N: usize = 16;
    const BUCKETS: i16 = HostId::N_BUCKETS as i16 / Self::N as i16;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Share> + Clone {
        (0..Self::N as u8).map(Share)
    }

    /// The one that a host is in.
    pub fn of(host: HostId) -> Self {
        Self((host.bucket() / Self::BUCKETS).unsigned_abs() as u8)
    }

    /// Its buckets.
    pub fn buckets(self) -> impl Iterator<Item = i16> {
        let first = i16::from(self.0) * Self::BUCKETS;
        first..first + Self::BUCKETS
    }

    const fn task(self) -> &'static str {
        match self.0 {
            0 => "export-0",
            1 => "export-1",
            2 => "export-2",
            3 => "export-3",
            4 => "export-4",
            5 => "export-5",
            6 => "export-6",
            7 => "export-7",
            8 => "export-8",
            9 => "export-9",
            10 => "export-10",
            11 => "export-11",
            12 => "export-12",
            13 => "export-13",
            14 => "export-14",
            _ => "export-15",
        }
    }

    fn of_task(task: &str) -> Option<Self> {
        Self::all().find(|share| share.task() == task)
    }
}

impl Task {
    /// Those that are done always, by one collector or another.
    pub const ALWAYS: [Task; 2] = [Task::Merge, Task::Retention];

    /// `lease.task`.
    pub const fn name(self) -> &'static str {
        match self {
            Task::Merge => "merge",
            Task::Retention => "retention",
            Task::Export(share) => share.task(),
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

impl Held {
    /// The share whose export it is about, if it is.
    pub fn share(&self) -> Option<Share> {
        Share::of_task(&self.task)
    }
}

pub(super) const STATEMENTS: &[Statement] = &[TAKE, RELEASE, ALL, NOW];

const TAKE: Statement = maintenance(
    "lease.take",
    "insert into lease (task, holder, held_until)
     select task, $2, clock_timestamp() + $3 * interval '1 microsecond' from unnest($1::text[]) as k (task)
         on conflict (task) do update set holder = excluded.holder, held_until = excluded.held_until
      where lease.holder = excluded.holder or lease.held_until <= clock_timestamp()
     returning task",
);

const RELEASE: Statement =
    maintenance("lease.release", "delete from lease where task = any($1) and holder = $2");

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
    Ok(!take_all(db, vec![task.name()], holder, length).await?.is_empty())
}

/// Takes shares, or keeps them, for so long from now on; those that are held then.
///
/// # Errors
/// When the database fails; then it is not known who has them.
pub async fn take_shares(
    db: impl PgExecutor<'_>,
    shares: &BTreeSet<Share>,
    holder: Uuid,
    length: Duration,
) -> Result<BTreeSet<Share>, StoreError> {
    let tasks = shares.iter().map(|share| share.task()).collect();
    let taken = take_all(db, tasks, holder, length).await?;
    Ok(taken.iter().filter_map(|task| Share::of_task(task)).collect())
}

/// Takes tasks by their names; those that are held then.
async fn take_all(
    db: impl PgExecutor<'_>,
    tasks: Vec<&str>,
    holder: Uuid,
    length: Duration,
) -> Result<Vec<String>, StoreError> {
    let length_us = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    let rows = sqlx::query(TAKE.sql).bind(tasks).bind(holder).bind(length_us as f64).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get("task")?)).collect()
}

/// Gives shares back, those that are held.
///
/// # Errors
/// When the database fails; the leases then run out.
pub async fn release_shares(
    db: impl PgExecutor<'_>,
    shares: &BTreeSet<Share>,
    holder: Uuid,
) -> Result<(), StoreError> {
    let tasks: Vec<&str> = shares.iter().map(|share| share.task()).collect();
    sqlx::query(RELEASE.sql).bind(tasks).bind(holder).execute(db).await?;
    Ok(())
}

/// Gives a task back, if it is held.
///
/// # Errors
/// When the database fails; the lease then runs out.
pub async fn release(db: impl PgExecutor<'_>, task: Task, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query(RELEASE.sql).bind(vec![task.name()]).bind(holder).execute(db).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_divide_the_buckets() {
        let all: Vec<i16> = Share::all().flat_map(Share::buckets).collect();
        assert_eq!(all, (0..HostId::N_BUCKETS as i16).collect::<Vec<_>>());
        let host = HostId::new(Uuid::from_u128(7));
        assert!(Share::of(host).buckets().any(|bucket| bucket == host.bucket()));
        for share in Share::all() {
            assert_eq!(Share::of_task(Task::Export(share).name()), Some(share));
        }
    }
}
