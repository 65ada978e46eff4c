//! `segment`: the batches of one host, for good.

use bytes::Bytes;
use sqlx::postgres::PgConnection;
use uuid::Uuid;
use wire::id::HostId;

use super::candidates::{Place, SegmentKey};
use super::copy::Rows;
use super::directory::{self, Entry};
use super::statements::{Statement, insert};
use super::{Stamp, StoreError};

/// A segment on its way into the store.
#[derive(Clone, Debug)]
pub struct NewSegment<'a> {
    /// Its id, new.
    pub id: Uuid,
    /// The partition it goes to: the commit's time, or (merged) that of the first of its batches.
    pub received: Stamp,
    /// The earliest and the latest indexed time of its events.
    pub earliest: Stamp,
    /// See `earliest`.
    pub latest: Stamp,
    /// How many events all its batches have.
    pub n_events: u32,
    /// The distinct terms of its batches, ascending.
    pub terms: &'a [i64],
    /// Its batches.
    pub entries: &'a [Entry],
    /// The bytes of its payload, in pieces.
    pub payload: &'a [Bytes],
    /// How many bytes it holds if it is packed ([`super::pack`]); `None` where the batches lie in it as they came.
    pub packed: Option<u32>,
}

impl NewSegment<'_> {
    /// What finds it again.
    pub fn key(&self, place: Place, bucket: i16) -> SegmentKey {
        SegmentKey { place, bucket, id: self.id, received: self.received, latest: self.latest }
    }
}

pub(super) const STATEMENTS: &[Statement] = &[COPY];

const COPY: Statement = insert(
    "segment.copy",
    "copy segment (bucket, host, id, received, merged, earliest, latest, n_events, terms, directory, payload, packed)
     from stdin (format binary)",
);

/// Adds segments of one host each; `merged` where they come out of `fresh`.
///
/// # Errors
/// When the database fails.
pub async fn add(
    conn: &mut PgConnection,
    merged: bool,
    segments: impl Iterator<Item = (HostId, NewSegment<'_>)>,
) -> Result<u64, StoreError> {
    let mut rows = Rows::new();
    for (host, s) in segments {
        rows.row(12)
            .i16(host.bucket())
            .uuid(host.uuid())
            .uuid(s.id)
            .stamp(s.received)
            .bool(merged)
            .stamp(s.earliest)
            .stamp(s.latest)
            .i32(s.n_events.cast_signed())
            .i64_array(s.terms)
            .bytes(&directory::encode(s.entries))
            .pieces(s.payload.iter().map(|piece| &piece[..]))
            .optional_i32(s.packed.map(u32::cast_signed));
    }
    rows.copy(conn, COPY).await
}
