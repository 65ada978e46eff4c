//! Reading, second step: bytes out of segments, by key.
//!
//! A segment that is gone (dropped by retention, or fresh and merged meanwhile) is left out of the answer. Ranges are of a
//! payload as its directory describes it: of one that is packed ([`super::pack`]) they are cut out of what it holds.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use sqlx::postgres::{PgConnection, PgRow, PgValue};
use sqlx::{AssertSqlSafe, Row, Value as _, ValueRef as _};
use uuid::Uuid;

use super::candidates::{Place, SegmentKey};
use super::directory::{self, Entry};
use super::pack;
use super::statements::{Statement, routed};
use super::{Stamp, StoreError};

/// A segment's table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The distinct terms of its batches, ascending; an entry's terms are positions in it.
    pub terms: Vec<i64>,
    /// Its batches.
    pub entries: Vec<Entry>,
}

impl Contents {
    /// Whether a batch has, of each of these lists, at least one term: see [`super::candidates::Wanted::terms`].
    pub fn has(&self, entry: &Entry, terms: &[Vec<i64>]) -> bool {
        let has = |term: &i64| match self.terms.binary_search(term) {
            Err(_) => false,
            Ok(_) if entry.terms.is_empty() => true,
            Ok(at) => u16::try_from(at).is_ok_and(|at| entry.terms.binary_search(&at).is_ok()),
        };
        terms.iter().all(|any| any.iter().any(has))
    }
}

/// A merged segment that was read in one go.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Its batches.
    pub entries: Vec<Entry>,
    /// Its payload; `None` if that is longer than was asked for.
    pub payload: Option<Bytes>,
}

pub(super) const STATEMENTS: &[Statement] =
    &[CONTENTS_FRESH, CONTENTS_MERGED, WHOLE_MERGED, SLICES_FRESH, SLICES_MERGED, PACKED_MERGED];

// `limit 1` keeps the planner at one index lookup per key, whatever it thinks of the tables' sizes.
const CONTENTS_FRESH: Statement = routed(
    "slices.contents_fresh",
    "select k.n, {terms}, s.directory
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) with ordinality as k (id, received, latest, n)
      cross join lateral (
            select terms, directory from fresh
             where bucket = any($1) and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

const CONTENTS_MERGED: Statement = routed(
    "slices.contents_merged",
    "select k.n, {terms}, s.directory
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::smallint[], $6::uuid[])
            with ordinality as k (id, received, latest, bucket, host, n)
      cross join lateral (
            select terms, directory from segment
             where bucket = any($1) and bucket = k.bucket and host = k.host
               and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

// Finding a row costs as much as reading 10 KB of it: whoever will read most of a payload takes it with the directory.
const WHOLE_MERGED: Statement = routed(
    "slices.whole_merged",
    "select k.n, s.directory, s.payload, s.packed
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::smallint[], $6::uuid[])
            with ordinality as k (id, received, latest, bucket, host, n)
      cross join lateral (
            select directory, packed, case when octet_length(payload) <= $7 and coalesce(packed, 0) <= 8 * $7::bigint
                                           then payload end as payload
              from segment
             where bucket = any($1) and bucket = k.bucket and host = k.host
               and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

const SLICES_FRESH: Statement = routed(
    "slices.fresh",
    "select k.n, s.slice
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[])
            with ordinality as k (id, received, latest, at, len, n)
      cross join lateral (
            select substring(payload from k.at + 1 for k.len) as slice from fresh
             where bucket = any($1) and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

const SLICES_MERGED: Statement = routed(
    "slices.merged",
    "select k.n, s.slice, s.packed
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[],
                   $7::smallint[], $8::uuid[])
            with ordinality as k (id, received, latest, at, len, bucket, host, n)
      cross join lateral (
            select case when packed is null then substring(payload from k.at + 1 for k.len) end as slice, packed
              from segment
             where bucket = any($1) and bucket = k.bucket and host = k.host
               and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

// Of a packed payload no part can be read alone. Its directory is not read: whoever asks for ranges has it.
const PACKED_MERGED: Statement = routed(
    "slices.packed_merged",
    "select k.n, s.payload, s.packed
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::smallint[], $6::uuid[])
            with ordinality as k (id, received, latest, bucket, host, n)
      cross join lateral (
            select payload, packed from segment
             where bucket = any($1) and bucket = k.bucket and host = k.host
               and received = k.received and latest = k.latest and id = k.id
             limit 1) s",
);

/// The terms and directory of each segment; `None` where it is gone. In the order of `keys`.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn contents(
    conn: &mut PgConnection,
    keys: &[SegmentKey],
) -> Result<Vec<Option<Contents>>, StoreError> {
    read(conn, keys, "s.terms").await
}

async fn read(
    conn: &mut PgConnection,
    keys: &[SegmentKey],
    terms: &'static str,
) -> Result<Vec<Option<Contents>>, StoreError> {
    let mut found: Vec<Option<Contents>> = vec![None; keys.len()];
    for merged in [false, true] {
        let part = Part::new(keys.iter().enumerate(), merged);
        if part.n.is_empty() {
            continue;
        }
        let statement = if merged { CONTENTS_MERGED } else { CONTENTS_FRESH };
        let mut query = sqlx::query(AssertSqlSafe(statement.sql.replace("{terms}", terms)))
            .bind(&part.distinct_buckets)
            .bind(&part.ids)
            .bind(&part.received)
            .bind(&part.latest);
        if merged {
            query = query.bind(&part.buckets).bind(&part.hosts);
        }
        for row in query.fetch_all(&mut *conn).await? {
            let (Some(n), Some(id)) = part.place(row.try_get("n")?) else { continue };
            let entries = directory::decode(id, row.try_get("directory")?)?;
            if let Some(slot) = found.get_mut(n) {
                let terms = row.try_get::<Option<_>, _>("terms")?.unwrap_or_default();
                *slot = Some(Contents { terms, entries });
            }
        }
    }
    Ok(found)
}

/// The directory of each segment, without its terms; `None` where it is gone. In the order of `keys`.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn directories(
    conn: &mut PgConnection,
    keys: &[SegmentKey],
) -> Result<Vec<Option<Vec<Entry>>>, StoreError> {
    let found = read(conn, keys, "null::bigint[] as terms").await?;
    Ok(found.into_iter().map(|found| found.map(|contents| contents.entries)).collect())
}

/// The merged ones of these segments, with their payloads up to `max_bytes` (packed ones up to eight times that); `None`
/// where one is gone, or fresh. In the order of `keys`.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn wholes(
    conn: &mut PgConnection,
    keys: &[SegmentKey],
    max_bytes: u32,
) -> Result<Vec<Option<Whole>>, StoreError> {
    let mut found = vec![None; keys.len()];
    let part = Part::new(keys.iter().enumerate(), true);
    if part.n.is_empty() {
        return Ok(found);
    }
    let query = sqlx::query(WHOLE_MERGED.sql)
        .bind(&part.distinct_buckets)
        .bind(&part.ids)
        .bind(&part.received)
        .bind(&part.latest)
        .bind(&part.buckets)
        .bind(&part.hosts)
        .bind(i32::try_from(max_bytes).unwrap_or(i32::MAX));
    for row in query.fetch_all(conn).await? {
        let (Some(n), Some(id)) = part.place(row.try_get("n")?) else { continue };
        let entries = directory::decode(id, row.try_get("directory")?)?;
        let payload = match row.try_get_raw("payload")?.is_null() {
            true => None,
            false => Some(unpacked(id, &row)?),
        };
        if let Some(slot) = found.get_mut(n) {
            *slot = Some(Whole { entries, payload });
        }
    }
    Ok(found)
}

/// Ranges of bytes out of the payloads of segments; `None` where the segment is gone. In the order of `wanted`.
///
/// # Errors
/// When the database fails.
pub async fn slices(
    conn: &mut PgConnection,
    wanted: &[(SegmentKey, Range<u32>)],
) -> Result<Vec<Option<Bytes>>, StoreError> {
    let mut found = vec![None; wanted.len()];
    let mut packed = Vec::new();
    for merged in [false, true] {
        let part = Part::new(wanted.iter().map(|(key, _)| key).enumerate(), merged);
        if part.n.is_empty() {
            continue;
        }
        let ranges = part.n.iter().filter_map(|n| wanted.get(*n)).map(|(_, range)| range);
        let (at, len): (Vec<i32>, Vec<i32>) =
            ranges.map(|r| (r.start as i32, r.end.saturating_sub(r.start) as i32)).unzip();
        let statement = if merged { SLICES_MERGED } else { SLICES_FRESH };
        let mut query = sqlx::query(statement.sql)
            .bind(&part.distinct_buckets)
            .bind(&part.ids)
            .bind(&part.received)
            .bind(&part.latest)
            .bind(&at)
            .bind(&len);
        if merged {
            query = query.bind(&part.buckets).bind(&part.hosts);
        }
        for row in query.fetch_all(&mut *conn).await? {
            let (Some(n), _) = part.place(row.try_get("n")?) else { continue };
            if merged && row.try_get::<Option<i32>, _>("packed")?.is_some() {
                packed.push(n);
            } else if let Some(slot) = found.get_mut(n) {
                *slot = Some(bytes(&row, "slice")?);
            }
        }
    }
    out_of_packed(conn, wanted, packed, &mut found).await?;
    Ok(found)
}

/// Takes ranges, by their place in `wanted`, out of packed payloads, each of which is read once.
async fn out_of_packed(
    conn: &mut PgConnection,
    wanted: &[(SegmentKey, Range<u32>)],
    packed: Vec<usize>,
    found: &mut [Option<Bytes>],
) -> Result<(), StoreError> {
    if packed.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<SegmentKey> = packed.iter().filter_map(|n| Some(wanted.get(*n)?.0)).collect();
    let mut known = HashSet::new();
    keys.retain(|key| known.insert(*key));
    let part = Part::new(keys.iter().enumerate(), true);
    let query = sqlx::query(PACKED_MERGED.sql)
        .bind(&part.distinct_buckets)
        .bind(&part.ids)
        .bind(&part.received)
        .bind(&part.latest)
        .bind(&part.buckets)
        .bind(&part.hosts);
    let mut payloads = HashMap::with_capacity(keys.len());
    for row in query.fetch_all(conn).await? {
        let (Some(n), Some(id)) = part.place(row.try_get("n")?) else { continue };
        let payload = unpacked(id, &row)?;
        payloads.extend(keys.get(n).map(|key| (*key, payload)));
    }
    for n in packed {
        let (Some((key, range)), Some(slot)) = (wanted.get(n), found.get_mut(n)) else { continue };
        let range = range.start as usize..range.end as usize;
        *slot = payloads
            .get(key)
            .filter(|bytes| range.start <= range.end && range.end <= bytes.len())
            .map(|bytes| bytes.slice(range));
    }
    Ok(())
}

/// A row's payload, as its directory describes it.
fn unpacked(id: Uuid, row: &PgRow) -> Result<Bytes, StoreError> {
    let payload = bytes(row, "payload")?;
    match row.try_get("packed")? {
        Some(packed) => pack::unpack(id, &payload, packed),
        None => Ok(payload),
    }
}

/// A column's bytes, without copying them out of what was received.
fn bytes(row: &PgRow, column: &str) -> Result<Bytes, StoreError> {
    let value = sqlx::ValueRef::to_owned(&row.try_get_raw(column)?);
    // Checked here, as `as_ref` below has no way to fail.
    value.as_ref().as_bytes().map_err(sqlx::Error::Decode)?;
    Ok(Bytes::from_owner(Received(value)))
}

/// A value in the connection's own buffer, kept for as long as its bytes are used.
struct Received(PgValue);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().as_bytes().unwrap_or_default()
    }
}

/// The keys of one of the two tables, as the arrays its statements take.
#[derive(Default)]
struct Part {
    n: Vec<usize>,
    distinct_buckets: Vec<i16>,
    ids: Vec<Uuid>,
    received: Vec<Stamp>,
    latest: Vec<Stamp>,
    buckets: Vec<i16>,
    hosts: Vec<Uuid>,
}

impl Part {
    fn new<'a>(keys: impl Iterator<Item = (usize, &'a SegmentKey)>, merged: bool) -> Self {
        let mut part = Self::default();
        for (n, key) in keys {
            match key.place {
                Place::Merged(host) if merged => part.hosts.push(host.uuid()),
                Place::Fresh if !merged => {}
                _ => continue,
            }
            part.n.push(n);
            part.ids.push(key.id);
            part.received.push(key.received);
            part.latest.push(key.latest);
            part.buckets.push(key.bucket);
        }
        part.distinct_buckets = part.buckets.clone();
        part.distinct_buckets.sort_unstable();
        part.distinct_buckets.dedup();
        part
    }

    /// Which key the statement's `n` (from 1) stands for.
    fn place(&self, n: i64) -> (Option<usize>, Option<Uuid>) {
        let at = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
        (at.and_then(|at| self.n.get(at).copied()), at.and_then(|at| self.ids.get(at).copied()))
    }
}
