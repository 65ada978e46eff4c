//! Where the next batches of streams are: keys and directories, no payloads.
//!
//! A batch is in `fresh` until it is merged into `segment`, and readable in both for some minutes then. Whoever looks into
//! `fresh` first and into `segment` after that meets each batch at least once.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;
use wire::id::{EventId, HostId, StreamId};

use crate::store::candidates::{Place, SegmentKey};
use crate::store::directory::{self, Entry};
use crate::store::statements::{Statement, routed};
use crate::store::streams::{Keys, event_id};
use crate::store::{Group, Stamp, StoreError};

/// Behind which a host's segments are asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Page {
    /// Commits from here on.
    pub received: Stamp,
    /// Of those at that moment, the ones behind this.
    pub id: Uuid,
}

impl Page {
    /// Everything from this moment on.
    pub fn from(received: Stamp) -> Self {
        Self { received, id: Uuid::nil() }
    }
}

/// A segment and what it holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// What finds it again.
    pub key: SegmentKey,
    /// Its batches.
    pub entries: Vec<Entry>,
}

/// Events that will never come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hole {
    /// The first of them.
    pub at: EventId,
    /// How many.
    pub n_events: u64,
}

pub(in crate::store) const STATEMENTS: &[Statement] = &[SEGMENTS, FRESH, HOLES];

// `bucket >= 0` opens the index by receipt; the condition on `received` alone leaves out partitions.
const SEGMENTS: Statement = routed(
    "export.segments",
    "select k.n, s.bucket, s.host, s.id, s.received, s.latest, s.directory
       from unnest($2::smallint[], $3::uuid[], $4::timestamptz[], $5::uuid[])
            with ordinality as k (bucket, host, received, id, n)
      cross join lateral (
            select bucket, host, id, received, latest, directory from segment
             where bucket = any($1) and bucket >= 0 and bucket = k.bucket and host = k.host
               and received >= k.received and (received, id) > (k.received, k.id)
             order by received, id limit $6) s
      order by k.n, s.received, s.id",
);

const FRESH: Statement = routed(
    "export.fresh",
    "select bucket, id, received, latest, directory from fresh
      where bucket = $1 and received >= (select merged_upto from merge where bucket = $1)
      order by received, id",
);

const HOLES: Statement = routed(
    "export.holes",
    "select k.host, k.epoch, k.lane, g.first_seq, g.n_events
       from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[])
            as k (bucket, host, epoch, lane, first_seq)
       join gap g on g.bucket = k.bucket and g.host = k.host and g.epoch = k.epoch and g.lane = k.lane
                 and g.first_seq = k.first_seq
      where k.bucket = any($1)",
);

/// The next segments of each of these hosts, in the order of their commits, at most `limit` of each; by the place in `hosts`.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn segments(
    conn: &mut PgConnection,
    hosts: &[(HostId, Page)],
    limit: u32,
) -> Result<Vec<Vec<Found>>, StoreError> {
    let mut buckets: Vec<i16> = hosts.iter().map(|(host, _)| host.bucket()).collect();
    let of_each = buckets.clone();
    buckets.sort_unstable();
    buckets.dedup();
    let rows = sqlx::query(SEGMENTS.sql)
        .bind(buckets)
        .bind(of_each)
        .bind(hosts.iter().map(|(host, _)| host.uuid()).collect::<Vec<_>>())
        .bind(hosts.iter().map(|(_, page)| page.received).collect::<Vec<_>>())
        .bind(hosts.iter().map(|(_, page)| page.id).collect::<Vec<_>>())
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut found: Vec<Vec<Found>> = hosts.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let n: i64 = row.try_get("n")?;
        let place = Place::Merged(HostId::new(row.try_get("host")?));
        let slot = usize::try_from(n).ok().and_then(|n| n.checked_sub(1)).and_then(|n| found.get_mut(n));
        if let Some(slot) = slot {
            slot.push(one(row, place)?);
        }
    }
    Ok(found)
}

/// What is not merged yet.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn fresh(conn: &mut PgConnection, group: Group) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query(FRESH.sql).bind(group.bucket()).fetch_all(conn).await?;
    rows.iter().map(|row| one(row, Place::Fresh)).collect()
}

/// Those of these events from which on others will never come.
///
/// # Errors
/// When the database fails.
pub async fn holes(conn: &mut PgConnection, at: &[EventId]) -> Result<Vec<Hole>, StoreError> {
    let streams: Vec<StreamId> = at.iter().map(|at| at.stream).collect();
    let keys = Keys::new(streams.iter());
    let seqs: Vec<i64> = at.iter().map(|at| at.seq.cast_signed()).collect();
    let rows = keys.bind(HOLES).bind(seqs).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let at = event_id(row, "first_seq")?;
            Ok(Hole { at, n_events: row.try_get::<i64, _>("n_events")?.unsigned_abs() })
        })
        .collect()
}

fn one(row: &sqlx::postgres::PgRow, place: Place) -> Result<Found, StoreError> {
    let id = row.try_get("id")?;
    Ok(Found {
        key: SegmentKey {
            place,
            bucket: row.try_get("bucket")?,
            id,
            received: row.try_get("received")?,
            latest: row.try_get("latest")?,
        },
        entries: directory::decode(id, row.try_get("directory")?)?,
    })
}
