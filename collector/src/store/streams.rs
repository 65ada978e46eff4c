//! `stream`: how far each (host, epoch, lane) has been stored.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;
use wire::batch::Digest;
use wire::id::{BootId, Epoch, EventId, HostId, Lane, StreamId};
use wire::ledger::Ledger;

use super::statements::{Statement, fan_out, insert, routed};
use super::{Stamp, StoreError};
use crate::account::{self, Account};

mod replayed;

pub(super) use replayed::STATEMENTS as REPLAY_STATEMENTS;
pub use replayed::{Replayed, replayed};

/// Where a stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The number of the first event not yet stored.
    pub next_seq: u64,
    /// The digest of the chain up to there.
    pub digest: Digest,
}

impl Position {
    /// Where a stream stands that nothing has come of.
    pub const START: Position = Position { next_seq: 0, digest: Digest::START };
}

/// How one transaction moves a stream on.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// The stream.
    pub stream: StreamId,
    /// Where it must stand.
    pub from: Position,
    /// Where it stands then.
    pub to: Position,
    /// Events stored, shed and refused in between.
    pub n_stored: u64,
    /// See `n_stored`.
    pub n_shed: u64,
    /// See `n_stored`.
    pub n_rejected: u64,
    /// What the last batch in between says, if there was one.
    pub boundary: Option<Boundary>,
    /// Of `n_shed`, what was shed before that batch.
    pub n_shed_before: u64,
    /// When the last of it was received.
    pub received: Stamp,
}

/// What a batch says about its stream.
#[derive(Clone, Copy, Debug)]
pub struct Boundary {
    /// The counters after it.
    pub ledger: Ledger,
    /// The number after its last event.
    pub end_seq: u64,
    /// When it was sealed, corrected.
    pub sealed: Stamp,
    /// The boot its events happened in.
    pub boot: BootId,
}

/// A stream with its counters, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The stream.
    pub stream: StreamId,
    /// Where it stands.
    pub position: Position,
    /// Events stored.
    pub n_stored: u64,
    /// Events the sensor shed.
    pub n_shed: u64,
    /// Events the collector refused.
    pub n_rejected: u64,
    /// The sensor's counters at the last batch's boundary.
    pub ledger: Ledger,
    /// The number after that batch's last event, and what was shed before it.
    pub boundary_seq: u64,
    /// See `boundary_seq`.
    pub boundary_shed: u64,
    /// When the first and the last of it was received.
    pub first_received: Stamp,
    /// See `first_received`.
    pub last_received: Stamp,
    /// When its last batch was sealed, corrected.
    pub sealed: Option<Stamp>,
    /// The boot its last batch happened in.
    pub boot: Option<BootId>,
}

pub(super) const STATEMENTS: &[Statement] =
    &[CREATE, OWNED_BY_OTHERS, POSITIONS, ADVANCE, ONE, LOCK, UNBALANCED, OF_HOST, EXPIRE];

const CREATE: Statement = insert(
    "stream.create",
    "insert into stream (bucket, host, epoch, lane, next_seq, digest, n_stored, n_shed, n_rejected,
            generated, merged, lost, dropped, boundary_seq, boundary_shed, first_received, last_received)
     select bucket, host, epoch, lane, 0, $5, 0, 0, 0, 0, 0, 0, 0, 0, 0, $6, $6
       from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::smallint[]) as k (bucket, host, epoch, lane)
         on conflict (bucket, host, epoch, lane) do nothing",
);

// Fleet-wide: whoever has that epoch may be in any bucket.
const OWNED_BY_OTHERS: Statement = fan_out(
    "stream.owned_by_others",
    "select distinct on (k.host, k.epoch, k.lane) k.host, k.epoch, k.lane, s.host as owner
       from unnest($1::uuid[], $2::uuid[], $3::smallint[]) as k (host, epoch, lane)
       join stream s on s.epoch = k.epoch and s.host <> k.host
      order by k.host, k.epoch, k.lane, s.first_received",
);

// The list of buckets stands on the side of the arrays: on that of the table, PostgreSQL 15 goes through the whole
// list for every row it looks up. Ingest talks to the server that holds the group, so nothing is routed by it.
const POSITIONS: Statement = routed(
    "stream.positions",
    "select s.host, s.epoch, s.lane, s.next_seq, s.digest
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[]) as k (bucket, host, epoch, lane)
       join stream s on s.bucket = k.bucket and s.host = k.host and s.epoch = k.epoch and s.lane = k.lane
      where k.bucket = any($1)",
);

// The rows are updated, and so locked, in the order of the arrays, which the caller has sorted: ingest's
// connections do not join in any other way than row by row (see `ingest`).
const ADVANCE: Statement = routed(
    "stream.advance",
    "update stream s
        set next_seq = k.next_seq, digest = k.digest, n_stored = s.n_stored + k.n_stored,
            n_shed = s.n_shed + k.n_shed, n_rejected = s.n_rejected + k.n_rejected,
            generated = coalesce(k.generated, s.generated), merged = coalesce(k.merged, s.merged),
            lost = coalesce(k.lost, s.lost), dropped = coalesce(k.dropped, s.dropped),
            boundary_seq = coalesce(k.boundary_seq, s.boundary_seq),
            boundary_shed = coalesce(s.n_shed + k.boundary_shed, s.boundary_shed),
            last_received = greatest(s.last_received, k.received),
            sealed = coalesce(k.sealed, s.sealed), boot = coalesce(k.boot, s.boot)
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[], $7::bytea[],
                   $8::bigint[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[],
                   $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
                   $17::timestamptz[], $18::timestamptz[], $19::uuid[], $20::bigint[], $21::bigint[])
            as k (bucket, host, epoch, lane, first_seq, before, next_seq, digest, n_stored, n_shed, n_rejected,
                  generated, merged, lost, dropped, received, sealed, boot, boundary_seq, boundary_shed)
      where k.bucket = any($1)
        and s.bucket = k.bucket and s.host = k.host and s.epoch = k.epoch and s.lane = k.lane
        and s.next_seq = k.first_seq and s.digest = k.before",
);

macro_rules! record_from {
    ($rest:literal) => {
        concat!(
            "select host, epoch, lane, next_seq, digest, n_stored, n_shed, n_rejected, generated, merged, lost, dropped,
                    coalesce(boundary_seq, next_seq) as boundary_seq, coalesce(boundary_shed, n_shed) as boundary_shed,
                    first_received, last_received, sealed, boot
               from stream ",
            $rest
        )
    };
}

const OF_HOST: Statement = routed(
    "stream.of_host",
    record_from!("where bucket = $1 and host = $2 order by last_received desc limit $3"),
);

const ONE: Statement =
    routed("stream.one", record_from!("where bucket = $1 and host = $2 and epoch = $3 and lane = $4"));

// Keeps ingest from moving it on meanwhile.
const LOCK: Statement = routed(
    "stream.lock",
    record_from!("where bucket = $1 and host = $2 and epoch = $3 and lane = $4 for update"),
);

// What is not the sum of its parts was changed by something else than a collector.
const UNBALANCED: Statement = fan_out(
    "stream.unbalanced",
    record_from!("where n_stored + n_shed + n_rejected <> next_seq order by last_received desc limit $1"),
);

const EXPIRE: Statement =
    routed("stream.expire", "delete from stream where bucket = any($1) and last_received < $2");

/// Makes rows for streams that have none, at [`Position::START`]. Streams are sorted by the caller.
///
/// # Errors
/// When the database fails.
pub async fn create(
    conn: &mut PgConnection,
    streams: &[StreamId],
    received: Stamp,
) -> Result<(), StoreError> {
    let keys = Keys::new(streams.iter());
    sqlx::query(CREATE.sql)
        .bind(&keys.buckets)
        .bind(&keys.hosts)
        .bind(&keys.epochs)
        .bind(&keys.lanes)
        .bind(&Digest::START.0[..])
        .bind(received)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of these streams whose epoch another host has too, each with the first host that had it.
///
/// # Errors
/// When the database fails.
pub async fn owned_by_others(
    conn: &mut PgConnection,
    streams: &[StreamId],
) -> Result<Vec<(StreamId, HostId)>, StoreError> {
    let keys = Keys::new(streams.iter());
    let rows = sqlx::query(OWNED_BY_OTHERS.sql)
        .bind(&keys.hosts)
        .bind(&keys.epochs)
        .bind(&keys.lanes)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((stream_id(row)?, HostId::new(row.try_get("owner")?)))).collect()
}

/// Where these streams stand; those without a row are left out.
///
/// # Errors
/// When the database fails.
pub async fn positions(
    conn: &mut PgConnection,
    streams: &[StreamId],
) -> Result<Vec<(StreamId, Position)>, StoreError> {
    let keys = Keys::new(streams.iter());
    let rows = sqlx::query(POSITIONS.sql)
        .bind(keys.distinct_buckets())
        .bind(&keys.buckets)
        .bind(&keys.hosts)
        .bind(&keys.epochs)
        .bind(&keys.lanes)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((stream_id(row)?, position(row)?))).collect()
}

/// Moves these streams on, each where it stands as expected, and returns how many were. Sorted by stream.
///
/// The caller rolls back when they are not all: someone else stored something meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn advance(conn: &mut PgConnection, advances: &[Advance]) -> Result<u64, StoreError> {
    let keys = Keys::new(advances.iter().map(|a| &a.stream));
    let number = |f: fn(&Advance) -> u64| advances.iter().map(|a| f(a).cast_signed()).collect::<Vec<_>>();
    let counter = |f: fn(&Ledger) -> u64| {
        advances.iter().map(|a| a.boundary.map(|b| f(&b.ledger).cast_signed())).collect::<Vec<_>>()
    };
    let done = sqlx::query(ADVANCE.sql)
        .bind(keys.distinct_buckets())
        .bind(&keys.buckets)
        .bind(&keys.hosts)
        .bind(&keys.epochs)
        .bind(&keys.lanes)
        .bind(number(|a| a.from.next_seq))
        .bind(advances.iter().map(|a| &a.from.digest.0[..]).collect::<Vec<_>>())
        .bind(number(|a| a.to.next_seq))
        .bind(advances.iter().map(|a| &a.to.digest.0[..]).collect::<Vec<_>>())
        .bind(number(|a| a.n_stored))
        .bind(number(|a| a.n_shed))
        .bind(number(|a| a.n_rejected))
        .bind(counter(|l| l.generated))
        .bind(counter(|l| l.merged))
        .bind(counter(|l| l.lost))
        .bind(counter(|l| l.dropped))
        .bind(advances.iter().map(|a| a.received).collect::<Vec<_>>())
        .bind(advances.iter().map(|a| a.boundary.map(|b| b.sealed)).collect::<Vec<_>>())
        .bind(advances.iter().map(|a| a.boundary.map(|b| b.boot.uuid())).collect::<Vec<_>>())
        .bind(advances.iter().map(|a| a.boundary.map(|b| b.end_seq.cast_signed())).collect::<Vec<_>>())
        .bind(advances.iter().map(|a| a.boundary.map(|_| a.n_shed_before.cast_signed())).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// A host's streams, the one last heard of first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn of_host(conn: &mut PgConnection, host: HostId, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(OF_HOST.sql)
        .bind(host.bucket())
        .bind(host.uuid())
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(record).collect()
}

/// A stream with its counters; `None` where nothing is known of it.
///
/// # Errors
/// When the database fails.
pub async fn one(conn: &mut PgConnection, stream: StreamId) -> Result<Option<Record>, StoreError> {
    keyed(ONE, stream).fetch_optional(conn).await?.as_ref().map(record).transpose()
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut PgConnection, stream: StreamId) -> Result<Option<Record>, StoreError> {
    keyed(LOCK, stream).fetch_optional(conn).await?.as_ref().map(record).transpose()
}

/// Streams whose events stored, shed and refused are not as many as were passed; at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn unbalanced(conn: &mut PgConnection, limit: u32) -> Result<Vec<Record>, StoreError> {
    let rows = sqlx::query(UNBALANCED.sql).bind(i64::from(limit)).fetch_all(conn).await?;
    rows.iter().map(record).collect()
}

pub(super) fn keyed(
    statement: Statement,
    stream: StreamId,
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(statement.sql)
        .bind(stream.host.bucket())
        .bind(stream.host.uuid())
        .bind(stream.epoch.uuid())
        .bind(stream.lane as i16)
}

/// A statement about what begins at an event: its stream's key, then its number.
pub(super) fn keyed_at(
    statement: Statement,
    at: EventId,
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    keyed(statement, at.stream).bind(at.seq.cast_signed())
}

impl Record {
    /// Where its last batch ended, as that said.
    pub fn boundary(&self) -> account::Boundary {
        account::Boundary { end_seq: self.boundary_seq, ledger: self.ledger }
    }

    /// The equation at its last boundary.
    pub fn account(&self) -> Account {
        let Ledger { generated, merged, lost, dropped } = self.ledger;
        // What was shed or refused after the boundary is not in the sensor's counters yet.
        let n_shed_since = self.n_shed.saturating_sub(self.boundary_shed);
        let n_since = self.position.next_seq.saturating_sub(self.boundary_seq);
        Account {
            generated,
            stored: self.n_stored,
            merged,
            lost,
            dropped: dropped.saturating_add(self.boundary_shed),
            rejected: self.n_rejected.saturating_sub(n_since.saturating_sub(n_shed_since)),
        }
    }
}

/// Forgets the streams that nothing has come of since `before`.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut PgConnection, buckets: &[i16], before: Stamp) -> Result<u64, StoreError> {
    Ok(sqlx::query(EXPIRE.sql).bind(buckets).bind(before).execute(conn).await?.rows_affected())
}

fn record(row: &PgRow) -> Result<Record, StoreError> {
    Ok(Record {
        stream: stream_id(row)?,
        position: position(row)?,
        n_stored: number(row, "n_stored")?,
        n_shed: number(row, "n_shed")?,
        n_rejected: number(row, "n_rejected")?,
        ledger: ledger(row)?,
        boundary_seq: number(row, "boundary_seq")?,
        boundary_shed: number(row, "boundary_shed")?,
        first_received: row.try_get("first_received")?,
        last_received: row.try_get("last_received")?,
        sealed: row.try_get("sealed")?,
        boot: row.try_get::<Option<Uuid>, _>("boot")?.map(BootId::new),
    })
}

fn ledger(row: &PgRow) -> Result<Ledger, StoreError> {
    Ok(Ledger {
        generated: number(row, "generated")?,
        merged: number(row, "merged")?,
        lost: number(row, "lost")?,
        dropped: number(row, "dropped")?,
    })
}

fn number(row: &PgRow, name: &str) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>(name)?.cast_unsigned())
}

pub(super) fn stream_id(row: &PgRow) -> Result<StreamId, StoreError> {
    let lane: i16 = row.try_get("lane")?;
    Ok(StreamId {
        host: HostId::new(row.try_get("host")?),
        epoch: Epoch::new(row.try_get("epoch")?),
        lane: if lane == Lane::Critical as i16 { Lane::Critical } else { Lane::Bulk },
    })
}

/// What begins at an event: the stream of the row, and the number in this column.
pub(super) fn event_id(row: &PgRow, seq: &str) -> Result<EventId, StoreError> {
    Ok(EventId { stream: stream_id(row)?, seq: row.try_get::<i64, _>(seq)?.cast_unsigned() })
}

fn position(row: &PgRow) -> Result<Position, StoreError> {
    let digest: &[u8] = row.try_get("digest")?;
    let digest = digest.try_into().map_err(|e| sqlx::Error::ColumnDecode {
        index: "digest".into(),
        source: Box::<dyn std::error::Error + Send + Sync>::from(format!("{e}: {} bytes", digest.len())),
    })?;
    let next_seq = number(row, "next_seq")?;
    Ok(Position { next_seq, digest: Digest(digest) })
}

/// The columns of streams' keys, as arrays.
pub(super) struct Keys {
    buckets: Vec<i16>,
    hosts: Vec<Uuid>,
    epochs: Vec<Uuid>,
    lanes: Vec<i16>,
}

impl Keys {
    pub(super) fn new<'a>(streams: impl Iterator<Item = &'a StreamId>) -> Self {
        let mut keys = Self { buckets: vec![], hosts: vec![], epochs: vec![], lanes: vec![] };
        for stream in streams {
            keys.buckets.push(stream.host.bucket());
            keys.hosts.push(stream.host.uuid());
            keys.epochs.push(stream.epoch.uuid());
            keys.lanes.push(stream.lane as i16);
        }
        keys
    }

    /// A statement about these streams: their buckets, each once, then the columns of the keys.
    pub(super) fn bind(
        &self,
        statement: Statement,
    ) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(statement.sql)
            .bind(self.distinct_buckets())
            .bind(self.buckets.clone())
            .bind(self.hosts.clone())
            .bind(self.epochs.clone())
            .bind(self.lanes.clone())
    }

    fn distinct_buckets(&self) -> Vec<i16> {
        let mut buckets = self.buckets.clone();
        buckets.sort_unstable();
        buckets.dedup();
        buckets
    }
}
