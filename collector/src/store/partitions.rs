//! Partitions: made ahead of time, dropped when their time has passed.
//!
//! A partition's name says what it holds: `fresh_202611210940` (a minute), `segment_20261121` (a day), both in
//! UTC. The catalogue is the only record of which there are.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::statements::{Statement, maintenance};
use super::{Fault, Stamp, StoreError};

/// The width of a partition of `fresh`.
pub const MINUTE_US: i64 = 60_000_000;
/// The width of all others.
pub const DAY_US: i64 = 86_400_000_000;

/// How many minutes of `fresh` are made ahead.
const MINUTES_AHEAD: i64 = 10;
/// How many days of the others.
const DAYS_AHEAD: i64 = 3;

/// A partitioned table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the tables' own names")]
pub enum Parent {
    Fresh,
    Segment,
    Process,
    Connection,
    Executable,
}

impl Parent {
    /// All of them.
    pub const ALL: [Parent; 5] =
        [Parent::Fresh, Parent::Segment, Parent::Process, Parent::Connection, Parent::Executable];
    /// Those with a partition a day.
    pub const DAILY: [Parent; 4] = [Parent::Segment, Parent::Process, Parent::Connection, Parent::Executable];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Parent::Fresh => "fresh",
            Parent::Segment => "segment",
            Parent::Process => "process",
            Parent::Connection => "connection",
            Parent::Executable => "executable",
        }
    }

    const fn width_us(self) -> i64 {
        match self {
            Parent::Fresh => MINUTE_US,
            _ => DAY_US,
        }
    }

    /// How times are written in its partitions' names.
    const fn format(self) -> &'static str {
        match self {
            Parent::Fresh => "%Y%m%d%H%M",
            _ => "%Y%m%d",
        }
    }
}

/// One partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Partition {
    /// The table it is part of.
    pub parent: Parent,
    /// The start of what it holds.
    pub from: Stamp,
}

impl Partition {
    /// The partition of `parent` that holds `at`.
    pub fn of(parent: Parent, at: Stamp) -> Self {
        Self { parent, from: at.start_of(parent.width_us()) }
    }

    /// The end of what it holds (exclusive).
    pub fn upto(self) -> Stamp {
        self.from.plus_us(self.parent.width_us())
    }

    /// Its name.
    pub fn name(self) -> String {
        format!("{}_{}", self.parent.name(), civil(self.from).strftime(self.parent.format()))
    }

    /// The partition with this name, if it is one of ours.
    pub fn from_name(parent: Parent, name: &str) -> Option<Self> {
        let digits = name.strip_prefix(parent.name())?.strip_prefix('_')?;
        // A day alone does not parse as a time.
        let padded = format!("{digits}{}", if parent == Parent::Fresh { "" } else { "0000" });
        let at = DateTime::strptime("%Y%m%d%H%M", padded).ok()?;
        let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let partition = Self::of(parent, Stamp::from_unix_us(at.as_microsecond()));
        (partition.name() == name).then_some(partition)
    }

    fn bounds(self) -> (String, String) {
        let show = |at: Stamp| match self.parent {
            Parent::Executable => civil(at).strftime("%Y-%m-%d").to_string(),
            _ => civil(at).strftime("%Y-%m-%d %H:%M:00+00").to_string(),
        };
        (show(self.from), show(self.upto()))
    }
}

pub(super) const STATEMENTS: &[Statement] =
    &[LIST, CREATE, CREATE_FRESH, ATTACH, DROP, ANALYZE, OUTDATED, LOCK, IMPATIENT];

const LIST: Statement = maintenance(
    "partition.list",
    "select c.relname::text as name,
            -- Null: it is being dropped.
            coalesce(pg_total_relation_size(c.oid), 0) as n_bytes
       from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = $1::text::regclass
      order by c.relname",
);

const CREATE: Statement =
    maintenance("partition.create", "create table if not exists {partition} (like {parent} including all)");

// Dropped in a few minutes: not worth a vacuum, nor statistics.
const CREATE_FRESH: Statement = maintenance(
    "partition.create_fresh",
    "create table if not exists {partition} (like {parent} including all)
       with (autovacuum_enabled = off, toast.autovacuum_enabled = off)",
);

const ATTACH: Statement = maintenance(
    "partition.attach",
    "alter table {parent} attach partition {partition} for values from ('{from}') to ('{upto}')",
);

const DROP: Statement = maintenance("partition.drop", "drop table if exists {partition}");

const ANALYZE: Statement = maintenance("partition.analyze", "analyze {partition}");

// Rows whose bytes are stored apart make a table look tiny, and the server's own rule acts late.
const OUTDATED: Statement = maintenance(
    "partition.outdated",
    "select p.relname::text as parent, c.relname::text as name
       from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
       join pg_stat_user_tables s on s.relid = c.oid
      where p.relname in ('segment', 'process', 'connection')
        and s.n_mod_since_analyze > 500 + greatest(c.reltuples, 0) * 0.3",
);

// Waits for the transactions that are writing into it, and keeps new ones out until the end of this one.
const LOCK: Statement = maintenance("partition.lock", "lock table {partition} in share mode");

const IMPATIENT: Statement = maintenance("partition.impatient", "set local lock_timeout = '200ms'");

/// The partitions of a table with their sizes in bytes (indexes and external values too), oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut PgConnection, parent: Parent) -> Result<Vec<(Partition, u64)>, StoreError> {
    let rows = sqlx::query(LIST.sql).bind(parent.name()).fetch_all(conn).await?;
    let mut found = Vec::new();
    for row in &rows {
        let name: String = row.try_get("name")?;
        let n_bytes: i64 = row.try_get("n_bytes")?;
        found.extend(Partition::from_name(parent, &name).map(|p| (p, n_bytes.unsigned_abs())));
    }
    Ok(found)
}

/// Makes the partitions of the time around `now` and of the next minutes and days.
///
/// # Errors
/// When the database fails.
pub async fn ensure_ahead(conn: &mut PgConnection, now: Stamp) -> Result<(), StoreError> {
    for parent in Parent::ALL {
        // One behind too, as collectors' clocks differ a little.
        let ahead = if parent == Parent::Fresh { MINUTES_AHEAD } else { DAYS_AHEAD };
        let there = list(conn, parent).await?;
        for n in -1..=ahead {
            let partition = Partition::of(parent, now.plus_us(n * parent.width_us()));
            if !there.iter().any(|(p, _)| *p == partition) {
                ensure(conn, partition).await?;
            }
        }
    }
    Ok(())
}

/// Makes a partition unless it is there.
///
/// # Errors
/// When the database fails.
pub async fn ensure(conn: &mut PgConnection, partition: Partition) -> Result<(), StoreError> {
    match make(conn, partition).await {
        // Another collector made it meanwhile, or is at it: is already a partition, or it, or its row type, exists.
        Err(StoreError::Database(sqlx::Error::Database(e)))
            if matches!(e.code().as_deref(), Some("42809" | "42P07" | "42710" | "23505" | "42P17")) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Drops a partition, unless it is in use just now: then false, and the caller tries again later.
///
/// # Errors
/// When the database fails.
pub async fn drop(conn: &mut PgConnection, partition: Partition) -> Result<bool, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query(IMPATIENT.sql).execute(&mut *tx).await?;
    match sqlx::query(fill(DROP, partition)).execute(&mut *tx).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(true)
        }
        Err(e) => {
            tx.rollback().await?;
            let e = StoreError::from(e);
            if e.fault() == Fault::Transient { Ok(false) } else { Err(e) }
        }
    }
}

/// Tells the planner what is in a partition.
///
/// # Errors
/// When the database fails.
pub async fn analyze(conn: &mut PgConnection, partition: Partition) -> Result<(), StoreError> {
    sqlx::query(fill(ANALYZE, partition)).execute(conn).await?;
    Ok(())
}

/// The partitions that have changed so much since [`analyze`] that the planner is misled.
///
/// # Errors
/// When the database fails.
pub async fn outdated_statistics(conn: &mut PgConnection) -> Result<Vec<Partition>, StoreError> {
    let rows = sqlx::query(OUTDATED.sql).fetch_all(conn).await?;
    let mut found = Vec::new();
    for row in &rows {
        let (parent, name): (String, String) = (row.try_get("parent")?, row.try_get("name")?);
        let parent = Parent::ALL.into_iter().find(|p| p.name() == parent);
        found.extend(parent.and_then(|parent| Partition::from_name(parent, &name)));
    }
    Ok(found)
}

/// Waits until nobody writes into a partition, and lets nobody until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut PgConnection, partition: Partition) -> Result<(), StoreError> {
    sqlx::query(fill(LOCK, partition)).execute(conn).await?;
    Ok(())
}

async fn make(conn: &mut PgConnection, partition: Partition) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    let create = if partition.parent == Parent::Fresh { CREATE_FRESH } else { CREATE };
    sqlx::query(fill(create, partition)).execute(&mut *tx).await?;
    sqlx::query(fill(ATTACH, partition)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The statement for this partition. Names and bounds are made from numbers only.
fn fill(statement: Statement, partition: Partition) -> AssertSqlSafe<String> {
    let (from, upto) = partition.bounds();
    AssertSqlSafe(
        statement
            .sql
            .replace("{partition}", &partition.name())
            .replace("{parent}", partition.parent.name())
            .replace("{from}", &from)
            .replace("{upto}", &upto),
    )
}

fn civil(at: Stamp) -> DateTime {
    let at = Timestamp::from_microsecond(at.unix_us()).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        let at = Stamp::from_unix_us(1_795_254_047_123_456);
        for parent in Parent::ALL {
            let partition = Partition::of(parent, at);
            assert!(partition.from <= at && at < partition.upto());
            assert_eq!(Partition::from_name(parent, &partition.name()), Some(partition));
        }
        assert_eq!(Partition::of(Parent::Fresh, at).name(), "fresh_202611210940");
        assert_eq!(Partition::from_name(Parent::Segment, "segment_2026112"), None);
        assert_eq!(Partition::from_name(Parent::Segment, "segment_host_latest"), None);
    }
}
