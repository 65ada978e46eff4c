//! `export`: how far each stream is exported; and beside it what was stored late, what the sink refused, and who exports.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use wire::id::{HostId, StreamId};

use super::leases::{self, Task};
use super::statements::{Statement, fan_out, maintenance, routed};
use super::streams::{Keys, keyed, stream_id};
use super::{Begin as _, Stamp, StoreError};

pub mod exporters;
pub mod find;
pub mod late;
pub mod refused;

/// How far a stream is exported, and how far it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    /// The stream.
    pub stream: StreamId,
    /// The number of the first event not yet exported.
    pub next_seq: u64,
    /// The number of the first event not yet stored.
    pub stored: u64,
    /// Nothing that is still to be exported was committed much before this.
    pub received: Stamp,
}

/// What became of the events that a stream is moved on by.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Fate {
    /// The sink took them.
    pub n_sent: u64,
    /// The filter left them out.
    pub n_left_out: u64,
    /// The sink refused them.
    pub n_refused: u64,
    /// They were dropped by retention before they were exported, or are damaged.
    pub n_expired: u64,
    /// They were never stored: shed by the sensor, or refused by the collector.
    pub n_gone: u64,
}

impl Fate {
    /// So many of those that were sent were refused.
    #[must_use]
    pub fn refused(self, n: u64) -> Self {
        Self { n_sent: self.n_sent.saturating_sub(n), n_refused: self.n_refused + n, ..self }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            n_sent: self.n_sent + other.n_sent,
            n_left_out: self.n_left_out + other.n_left_out,
            n_refused: self.n_refused + other.n_refused,
            n_expired: self.n_expired + other.n_expired,
            n_gone: self.n_gone + other.n_gone,
        }
    }
}

/// How one transaction moves a stream on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// The stream.
    pub stream: StreamId,
    /// Where it must stand.
    pub from: u64,
    /// Where it stands then.
    pub upto: u64,
    /// Of the commit that the last of it was stored by.
    pub received: Stamp,
    /// What became of what lies between.
    pub fate: Fate,
}

/// What an attempt to move streams on came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advanced {
    /// All are moved on.
    All,
    /// None is: a share's lease is another's, or a stream stands elsewhere than was thought.
    Lost,
}

/// All streams together, of those that are or were exported.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Streams that are stored further than they are exported.
    pub n_streams: u64,
    /// Events between the two.
    pub n_events: u64,
    /// Receipt of the last that was exported of the stream that is furthest behind.
    pub oldest: Option<Stamp>,
}

pub(super) const STATEMENTS: &[Statement] = &[
    SINCE,
    BEGUN,
    FROM_NOW,
    FINDINGS_FROM_NOW,
    BEHIND,
    POSITIONS,
    TARGETS,
    HELD,
    ADVANCE,
    RECOUNT,
    TOTALS,
    FORGOTTEN,
    FORGET,
];

const SINCE: Statement = maintenance(
    "export.since",
    "insert into export_since (sink, since) values ($1, clock_timestamp()) on conflict (sink) do nothing",
);

const BEGUN: Statement = maintenance("export.begun", "select exists (select from export_since)");

const FROM_NOW: Statement = routed(
    "export.from_now",
    "insert into export (bucket, host, epoch, lane, next_seq, received, n_sent, n_left_out, n_refused, n_expired, n_gone)
     select bucket, host, epoch, lane, next_seq, last_received, 0, 0, 0, 0, 0 from stream where bucket = any($1)
         on conflict (bucket, host, epoch, lane) do nothing",
);

const FINDINGS_FROM_NOW: Statement =
    routed("export.findings_from_now", "update finding set n_exported = n where bucket = any($1)");

/// Streams, how far each is stored and how far exported; of which, is said behind it.
macro_rules! behind {
    ($which:literal) => {
        concat!(
            "select s.host, s.epoch, s.lane, s.next_seq as stored, coalesce(e.next_seq, 0) as next_seq,
            coalesce(e.received, s.first_received) as received
       from stream s
       left join export e on e.bucket = s.bucket and e.host = s.host and e.epoch = s.epoch and e.lane = s.lane
      ",
            $which
        )
    };
}

const BEHIND: Statement = routed(
    "export.behind",
    behind!(
        "where s.bucket = any($1) and s.next_seq > coalesce(e.next_seq, 0)
        and ($2::uuid is null or (s.host, s.epoch, s.lane) > ($2, $3, $4))
      order by s.host, s.epoch, s.lane
      limit $5"
    ),
);

const POSITIONS: Statement = routed(
    "export.positions",
    "select s.host, s.epoch, s.lane, s.next_seq as stored, coalesce(e.next_seq, 0) as next_seq,
            coalesce(e.received, s.first_received) as received
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[]) as k (bucket, host, epoch, lane)
       join stream s on s.bucket = k.bucket and s.host = k.host and s.epoch = k.epoch and s.lane = k.lane
       left join export e on e.bucket = k.bucket and e.host = k.host and e.epoch = k.epoch and e.lane = k.lane
      where k.bucket = any($1)",
);

// How far they are stored, of those streams alone.
const TARGETS: Statement = routed(
    "export.targets",
    "select s.host, s.epoch, s.lane, s.next_seq as stored
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[]) as k (bucket, host, epoch, lane)
       join stream s on s.bucket = k.bucket and s.host = k.host and s.epoch = k.epoch and s.lane = k.lane
      where k.bucket = any($1)",
);

// Keeps others from taking the leases until this transaction ends.
const HELD: Statement = maintenance(
    "export.held",
    "select count(*) from (
        select 1 from lease where task = any($1) and holder = $2 and held_until > clock_timestamp() for share) held",
);

const ADVANCE: Statement = routed(
    "export.advance",
    "insert into export as e (bucket, host, epoch, lane, next_seq, received,
            n_sent, n_left_out, n_refused, n_expired, n_gone)
     select k.bucket, k.host, k.epoch, k.lane, k.upto, k.received,
            k.n_sent, k.n_left_out, k.n_refused, k.n_expired, k.n_gone
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[], $7::bigint[], $8::timestamptz[],
                   $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
            as k (bucket, host, epoch, lane, first, upto, received, n_sent, n_left_out, n_refused, n_expired, n_gone)
      where k.bucket = any($1)
        and (k.first = 0 or exists (select from export t where t.bucket = k.bucket and t.host = k.host
                                       and t.epoch = k.epoch and t.lane = k.lane and t.next_seq = k.first))
         on conflict (bucket, host, epoch, lane) do update
        set next_seq = excluded.next_seq, received = greatest(e.received, excluded.received),
            n_sent = e.n_sent + excluded.n_sent, n_left_out = e.n_left_out + excluded.n_left_out,
            n_refused = e.n_refused + excluded.n_refused, n_expired = e.n_expired + excluded.n_expired,
            n_gone = e.n_gone + excluded.n_gone
      where e.next_seq = excluded.next_seq
            - (excluded.n_sent + excluded.n_left_out + excluded.n_refused + excluded.n_expired + excluded.n_gone)",
);

// The sum stays: until it was stored late, it counted as gone.
const RECOUNT: Statement = routed(
    "export.recount",
    "update export
        set n_sent = n_sent + $5, n_left_out = n_left_out + $6, n_refused = n_refused + $7, n_expired = n_expired + $8,
            n_gone = greatest(0, n_gone - ($5 + $6 + $7 + $8))
      where bucket = $1 and host = $2 and epoch = $3 and lane = $4",
);

const TOTALS: Statement = fan_out(
    "export.totals",
    "select count(*) as n_streams, coalesce(sum(s.next_seq - coalesce(e.next_seq, 0)), 0)::bigint as n_events,
            min(coalesce(e.received, s.first_received)) as oldest
       from stream s
       left join export e on e.bucket = s.bucket and e.host = s.host and e.epoch = s.epoch and e.lane = s.lane
      where s.next_seq > coalesce(e.next_seq, 0)",
);

// Streams that are about to be forgotten, though not all of them was exported.
const FORGOTTEN: Statement = routed(
    "export.forgotten",
    behind!(
        "where s.bucket = any($1) and s.last_received < $2 and s.next_seq > coalesce(e.next_seq, 0)
        and exists (select from export_since)
      limit $3"
    ),
);

const FORGET: Statement = routed(
    "export.forget",
    "delete from export e where e.bucket = any($1)
        and not exists (select from stream s where s.bucket = e.bucket and s.host = e.host
                           and s.epoch = e.epoch and s.lane = e.lane)",
);

/// Says that there is a sink now; true where there was none before. Then, `from_now`, what is stored already counts as
/// exported.
///
/// # Errors
/// When the database fails.
pub async fn begin(conn: &mut PgConnection, sink: &str, from_now: bool) -> Result<bool, StoreError> {
    let mut tx = conn.begin().await?;
    let is_new = sqlx::query(SINCE.sql).bind(sink).execute(&mut *tx).await?.rows_affected() == 1;
    if is_new && from_now {
        let buckets: Vec<i16> = (0..HostId::N_BUCKETS.cast_signed()).collect();
        sqlx::query(FROM_NOW.sql).bind(&buckets).execute(&mut *tx).await?;
        sqlx::query(FINDINGS_FROM_NOW.sql).bind(&buckets).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(is_new)
}

/// Whether there is, or was, a sink.
///
/// # Errors
/// When the database fails.
pub async fn is_begun(conn: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query(BEGUN.sql).fetch_one(conn).await?.try_get(0)?)
}

/// Streams of these buckets that are stored further than exported, in the order of their ids, behind `after`; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn behind(
    conn: &mut PgConnection,
    buckets: &[i16],
    after: Option<StreamId>,
    limit: u32,
) -> Result<Vec<Behind>, StoreError> {
    let rows = sqlx::query(BEHIND.sql)
        .bind(buckets)
        .bind(after.map(|stream| stream.host.uuid()))
        .bind(after.map(|stream| stream.epoch.uuid()))
        .bind(after.map(|stream| stream.lane as i16))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(record).collect()
}

/// How far these streams are exported and stored; those that are not stored at all are left out.
///
/// # Errors
/// When the database fails.
pub async fn positions(conn: &mut PgConnection, streams: &[StreamId]) -> Result<Vec<Behind>, StoreError> {
    let keys = Keys::new(streams.iter());
    let rows = keys.bind(POSITIONS).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

/// How far these streams are stored.
///
/// # Errors
/// When the database fails.
pub async fn targets(
    conn: &mut PgConnection,
    streams: &[StreamId],
) -> Result<Vec<(StreamId, u64)>, StoreError> {
    let keys = Keys::new(streams.iter());
    let rows = keys.bind(TARGETS).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((stream_id(row)?, row.try_get::<i64, _>("stored")?.cast_unsigned()))).collect()
}

/// Within a transaction: whether `holder` has the leases of the shares that these hosts are in, and keeps them until its end.
///
/// # Errors
/// When the database fails.
pub async fn holds(
    conn: &mut PgConnection,
    holder: uuid::Uuid,
    hosts: impl Iterator<Item = HostId>,
) -> Result<bool, StoreError> {
    let shares: BTreeSet<leases::Share> = hosts.map(leases::Share::of).collect();
    let tasks: Vec<&str> = shares.into_iter().map(|share| Task::Export(share).name()).collect();
    let n: i64 = sqlx::query(HELD.sql).bind(&tasks).bind(holder).fetch_one(conn).await?.try_get(0)?;
    Ok(usize::try_from(n).is_ok_and(|n| n == tasks.len()))
}

/// Moves streams on, all or none, in a transaction that sees to it that `holder` has their leases. Sorted by bucket and stream.
///
/// # Errors
/// When the database fails; then it is not known whether they are moved on.
pub async fn advance(
    conn: &mut PgConnection,
    holder: uuid::Uuid,
    advances: &[Advance],
) -> Result<Advanced, StoreError> {
    let mut tx = conn.begin().await?;
    if !holds(&mut tx, holder, advances.iter().map(|a| a.stream.host)).await? {
        return Ok(Advanced::Lost);
    }
    let keys = Keys::new(advances.iter().map(|a| &a.stream));
    let number = |f: fn(&Advance) -> u64| advances.iter().map(|a| f(a).cast_signed()).collect::<Vec<_>>();
    let n = keys
        .bind(ADVANCE)
        .bind(number(|a| a.from))
        .bind(number(|a| a.upto))
        .bind(advances.iter().map(|a| a.received).collect::<Vec<_>>())
        .bind(number(|a| a.fate.n_sent))
        .bind(number(|a| a.fate.n_left_out))
        .bind(number(|a| a.fate.n_refused))
        .bind(number(|a| a.fate.n_expired))
        .bind(number(|a| a.fate.n_gone))
        .execute(&mut *tx)
        .await?
        .rows_affected();
    if usize::try_from(n).is_ok_and(|n| n == advances.len()) {
        tx.commit().await?;
        return Ok(Advanced::All);
    }
    tx.rollback().await?;
    Ok(Advanced::Lost)
}

/// Notes what became of a batch that its stream had passed, and that counted as gone before it was stored.
///
/// # Errors
/// When the database fails.
pub async fn recount(conn: &mut PgConnection, stream: StreamId, fate: Fate) -> Result<(), StoreError> {
    keyed(RECOUNT, stream)
        .bind(fate.n_sent.cast_signed())
        .bind(fate.n_left_out.cast_signed())
        .bind(fate.n_refused.cast_signed())
        .bind(fate.n_expired.cast_signed())
        .execute(conn)
        .await?;
    Ok(())
}

/// How far all streams together are behind.
///
/// # Errors
/// When the database fails.
pub async fn totals(conn: &mut PgConnection) -> Result<Totals, StoreError> {
    let row = sqlx::query(TOTALS.sql).fetch_one(conn).await?;
    Ok(Totals {
        n_streams: row.try_get::<i64, _>("n_streams")?.unsigned_abs(),
        n_events: row.try_get::<i64, _>("n_events")?.unsigned_abs(),
        oldest: row.try_get("oldest")?,
    })
}

/// Streams of which nothing has come since `before`, though they were not exported to their end; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn forgotten(
    conn: &mut PgConnection,
    buckets: &[i16],
    before: Stamp,
    limit: u32,
) -> Result<Vec<Behind>, StoreError> {
    let rows =
        sqlx::query(FORGOTTEN.sql).bind(buckets).bind(before).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

/// Forgets the streams that are not stored any more, and what is older of the rest.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<(), StoreError> {
    sqlx::query(FORGET.sql).bind(buckets).execute(&mut *conn).await?;
    for expire in [late::EXPIRE, refused::EXPIRE] {
        sqlx::query(expire.sql).bind(buckets).bind(before).execute(&mut *conn).await?;
    }
    Ok(())
}

fn record(row: &PgRow) -> Result<Behind, StoreError> {
    Ok(Behind {
        stream: stream_id(row)?,
        next_seq: row.try_get::<i64, _>("next_seq")?.cast_unsigned(),
        stored: row.try_get::<i64, _>("stored")?.cast_unsigned(),
        received: row.try_get("received")?,
    })
}
