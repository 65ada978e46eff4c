//! `fresh`: what each ingest commit took in, until it is merged.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::copy::Rows;
use super::directory::{self, Entry};
use super::segment::NewSegment;
use super::statements::{Statement, insert, routed};
use super::{Group, Stamp, StoreError};

pub(super) const STATEMENTS: &[Statement] = &[COPY, DIRECTORIES, PAYLOADS];

const COPY: Statement = insert(
    "fresh.copy",
    "copy fresh (bucket, id, received, earliest, latest, n_events, terms, directory, payload)
     from stdin (format binary)",
);

const DIRECTORIES: Statement = routed(
    "fresh.directories",
    "select id, received, latest, terms, directory from fresh
      where bucket = $1 and received >= $2 and received < $3
      order by received, id",
);

// `offset 0` keeps the lookup of the row apart from the slices cut out of it.
const PAYLOADS: Statement = routed(
    "fresh.payloads",
    "select k.id, k.at, substring(f.payload from k.at + 1 for k.len) as slice
       from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[])
            as k (id, received, latest, at, len)
      cross join lateral (
            select payload from fresh
             where bucket = $1 and received = k.received and latest = k.latest and id = k.id limit 1) f",
);

/// Adds what one commit took in.
///
/// # Errors
/// When the database fails; [`super::Fault::NoPartition`] when that minute has no partition.
pub async fn add(
    conn: &mut PgConnection,
    group: Group,
    segments: impl Iterator<Item = NewSegment<'_>>,
) -> Result<u64, StoreError> {
    let mut rows = Rows::new();
    for s in segments {
        rows.row(9)
            .i16(group.bucket())
            .uuid(s.id)
            .stamp(s.received)
            .stamp(s.earliest)
            .stamp(s.latest)
            .i32(s.n_events.cast_signed())
            .i64_array(s.terms)
            .bytes(&directory::encode(s.entries))
            .pieces(s.payload.iter().map(|piece| &piece[..]));
    }
    rows.copy(conn, COPY).await
}

/// A fresh segment's directory, for the merger.
#[derive(Clone, Debug)]
pub struct FreshDirectory {
    /// Its id.
    pub id: Uuid,
    /// Its commit's time.
    pub received: Stamp,
    /// The latest indexed time of its events.
    pub latest: Stamp,
    /// The distinct terms of its batches.
    pub terms: Vec<i64>,
    /// Its batches.
    pub entries: Vec<Entry>,
}

/// The directories of everything that `group` received in `from..upto`.
///
/// # Errors
/// When the database fails, or a directory is not readable.
pub async fn directories(
    conn: &mut PgConnection,
    group: Group,
    from: Stamp,
    upto: Stamp,
) -> Result<Vec<FreshDirectory>, StoreError> {
    let rows =
        sqlx::query(DIRECTORIES.sql).bind(group.bucket()).bind(from).bind(upto).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let id = row.try_get("id")?;
            Ok(FreshDirectory {
                id,
                received: row.try_get("received")?,
                latest: row.try_get("latest")?,
                terms: row.try_get("terms")?,
                entries: directory::decode(id, row.try_get("directory")?)?,
            })
        })
        .collect()
}

/// The bytes of these ranges of these segments, by segment and start.
///
/// # Errors
/// When the database fails.
pub async fn payloads(
    conn: &mut PgConnection,
    group: Group,
    wanted: &[(&FreshDirectory, Vec<Range<u32>>)],
) -> Result<HashMap<(Uuid, u32), Bytes>, StoreError> {
    let (mut ids, mut received, mut latest, mut at, mut len) = (vec![], vec![], vec![], vec![], vec![]);
    for (source, ranges) in wanted {
        for range in ranges {
            ids.push(source.id);
            received.push(source.received);
            latest.push(source.latest);
            at.push(range.start.cast_signed());
            len.push(range.end.saturating_sub(range.start).cast_signed());
        }
    }
    let rows = sqlx::query(PAYLOADS.sql)
        .bind(group.bucket())
        .bind(&ids)
        .bind(&received)
        .bind(&latest)
        .bind(&at)
        .bind(&len)
        .fetch_all(conn)
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let at: i32 = row.try_get("at")?;
        let slice: Vec<u8> = row.try_get("slice")?;
        found.insert((row.try_get("id")?, at.cast_unsigned()), Bytes::from(slice));
    }
    Ok(found)
}
