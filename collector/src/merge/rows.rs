//! Which fresh batches make up which merged segment. Pure.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Bare, bare};
use wire::id::HostId;

use crate::store::directory::{Entry, TermTable, host_term};
use crate::store::fresh::FreshDirectory;
use crate::store::segment::NewSegment;
use crate::store::{Stamp, StoreError, pack};

/// The most events a merged segment has (one batch may have more).
const MAX_EVENTS: u32 = 8_000;
/// The most terms, before doubles are removed.
const MAX_TERMS: usize = TermTable::MAX_TERMS;
/// How many bytes of payload are read at a time.
const MAX_BYTES: u64 = 32 << 20;

/// A batch, and the fresh segment it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) source: &'a FreshDirectory,
    pub(super) entry: &'a Entry,
}

/// The batches of one merged segment.
#[derive(Clone, Debug)]
pub(super) struct Planned<'a> {
    host: HostId,
    pieces: Vec<Piece<'a>>,
}

/// A merged segment, ready to be added.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) host: HostId,
    received: Stamp,
    terms: Vec<i64>,
    entries: Vec<Entry>,
    payload: Bytes,
    packed: Option<u32>,
}

/// Spreads the batches of a host over segments.
pub(super) fn plan(host: HostId, mut pieces: Vec<Piece<'_>>) -> Vec<Planned<'_>> {
    // Batches of a stream side by side, so that readers find runs of them.
    pieces.sort_by_key(|p| (p.entry.stream, p.entry.first_seq));
    let mut planned: Vec<Planned<'_>> = Vec::new();
    let (mut n_events, mut n_terms) = (0_u32, 0_usize);
    for piece in pieces {
        n_events = n_events.saturating_add(piece.entry.n_events);
        n_terms += piece.entry.terms.len();
        match planned.last_mut() {
            Some(last) if n_events <= MAX_EVENTS && n_terms <= MAX_TERMS => last.pieces.push(piece),
            _ => {
                (n_events, n_terms) = (piece.entry.n_events, piece.entry.terms.len());
                planned.push(Planned { host, pieces: vec![piece] });
            }
        }
    }
    planned
}

/// How many of these are built at a time: at least one.
pub(super) fn fitting(planned: &[Planned<'_>]) -> usize {
    let mut n_bytes = 0;
    let n = planned.iter().take_while(|p| {
        n_bytes += p.n_bytes();
        n_bytes <= MAX_BYTES
    });
    n.count().max(1).min(planned.len())
}

/// The bytes that are read for these: for each fresh segment the ranges of the batches taken out of it.
pub(super) fn wanted<'a>(planned: &[Planned<'a>]) -> Vec<(&'a FreshDirectory, Vec<Range<u32>>)> {
    let mut wanted: Vec<(&FreshDirectory, Vec<Range<u32>>)> = Vec::new();
    let mut at: HashMap<Uuid, usize> = HashMap::new();
    for piece in planned.iter().flat_map(|p| &p.pieces) {
        let n = *at.entry(piece.source.id).or_insert_with(|| {
            wanted.push((piece.source, Vec::new()));
            wanted.len() - 1
        });
        if let Some((_, ranges)) = wanted.get_mut(n) {
            ranges.push(piece.entry.range());
        }
    }
    wanted
}

impl Piece<'_> {
    fn terms(&self, without: i64) -> Vec<i64> {
        let all = &self.source.terms;
        let named = self.entry.terms.iter().filter_map(|at| all.get(usize::from(*at)).copied());
        let terms: Vec<i64> = if self.entry.terms.is_empty() { all.clone() } else { named.collect() };
        terms.into_iter().filter(|term| *term != without).collect()
    }
}

impl Planned<'_> {
    fn n_bytes(&self) -> u64 {
        self.pieces.iter().map(|p| u64::from(p.entry.payload_len)).sum()
    }

    /// Puts the bytes together; `bytes` has, by segment and start, what [`wanted`] asked for.
    pub(super) fn build(&self, bytes: &HashMap<(Uuid, u32), Bytes>) -> Result<Built, StoreError> {
        // The host is a column here.
        let without = host_term(self.host);
        let terms: Vec<Vec<i64>> = self.pieces.iter().map(|piece| piece.terms(without)).collect();
        let table = TermTable::new(terms.iter().map(Vec::as_slice));
        let alone = self.pieces.len() == 1;
        let mut batches = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let id = piece.source.id;
            let batch = bytes
                .get(&(id, piece.entry.offset))
                .filter(|b| b.len() == piece.entry.range().len())
                .ok_or(StoreError::Directory { id, what: "pointing beyond its payload" })?;
            batches.push(batch.clone());
        }
        let Payload { bytes: payload, lengths, packed } = together(&batches);
        let mut entries = Vec::with_capacity(self.pieces.len());
        let mut offset = 0;
        for ((piece, terms), payload_len) in self.pieces.iter().zip(&terms).zip(lengths) {
            let terms = if alone { Vec::new() } else { table.positions(terms) };
            entries.push(Entry { offset, payload_len, terms, ..piece.entry.clone() });
            offset = offset.saturating_add(payload_len);
        }
        let received = self.pieces.iter().map(|piece| piece.source.received).min().unwrap_or_default();
        Ok(Built { host: self.host, received, terms: table.terms().to_vec(), entries, payload, packed })
    }
}

/// The payload of a segment.
struct Payload {
    bytes: Bytes,
    /// The length of each batch's payload in it, or in what it holds.
    lengths: Vec<u32>,
    packed: Option<u32>,
}

/// The payloads of batches, packed if that is smaller.
fn together(batches: &[Bytes]) -> Payload {
    let as_it_came = |batch: &Bytes| Bare { columns: batch.to_vec(), text: Vec::new() };
    let bare = |batch: &Bytes| bare(batch, pack::MAX_PAYLOAD_BYTES).unwrap_or_else(|| as_it_came(batch));
    let mut n_bytes = 0;
    let fits = |bare: &Bare| {
        n_bytes += bare.columns.len() + bare.text.len();
        n_bytes <= pack::MAX_BYTES
    };
    let payloads: Vec<Bare> = batches.iter().map(bare).take_while(fits).collect();
    let all = batches.iter().map(Bytes::len).sum::<usize>();
    let packed = if payloads.len() == batches.len() { pack::pack(&payloads) } else { None };
    if let Some((bytes, n)) = packed.filter(|(bytes, _)| bytes.len() < all) {
        let lengths = payloads.iter().map(|bare| (bare.columns.len() + bare.text.len()) as u32).collect();
        return Payload { bytes: bytes.into(), lengths, packed: Some(n) };
    }
    let lengths = batches.iter().map(|batch| batch.len() as u32).collect();
    Payload { bytes: batches.concat().into(), lengths, packed: None }
}

impl Built {
    /// The row to add.
    pub(super) fn row(&self) -> NewSegment<'_> {
        NewSegment {
            id: Uuid::now_v7(),
            received: self.received,
            earliest: self.entries.iter().map(|e| e.earliest).min().unwrap_or(self.received),
            latest: self.entries.iter().map(|e| e.latest).max().unwrap_or(self.received),
            n_events: self.entries.iter().map(|e| e.n_events).sum(),
            terms: &self.terms,
            entries: &self.entries,
            payload: std::slice::from_ref(&self.payload),
            packed: self.packed,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use wire::id::{Epoch, Lane, StreamId};

    use crate::store::directory::Head;

    use super::*;

    fn source(batches: &[(u64, u32)]) -> FreshDirectory {
        let stream = StreamId {
            host: HostId::new(Uuid::from_u128(1)),
            epoch: Epoch::new(Uuid::from_u128(2)),
            lane: Lane::Bulk,
        };
        let entries = batches.iter().enumerate().map(|(n, (first_seq, n_events))| Entry {
            stream,
            first_seq: *first_seq,
            n_events: *n_events,
            received: Stamp::default(),
            earliest: Stamp::default(),
            latest: Stamp::default(),
            head: Head::Other(Bytes::new()),
            offset: n as u32 * 3,
            payload_len: 3,
            ends: None,
            terms: vec![n as u16],
        });
        let entries: Vec<Entry> = entries.collect();
        let terms = (0..entries.len() as i64).map(|n| n * 10).collect();
        FreshDirectory {
            id: Uuid::from_u128(3),
            received: Stamp::default(),
            latest: Stamp::default(),
            terms,
            entries,
        }
    }

    #[test]
    fn a_segment_is_full_at_its_bound_and_keeps_the_order_of_the_stream() {
        let source = source(&[(5_000, 4_000), (0, 5_000), (9_000, 9_000), (18_000, 1)]);
        let pieces = source.entries.iter().map(|entry| Piece { source: &source, entry }).collect();
        let planned = plan(HostId::new(Uuid::from_u128(1)), pieces);
        let seqs: Vec<Vec<u64>> =
            planned.iter().map(|p| p.pieces.iter().map(|p| p.entry.first_seq).collect()).collect();
        assert_eq!(seqs, [vec![0], vec![5_000], vec![9_000], vec![18_000]]);
    }

    #[test]
    fn bytes_and_terms_stay_with_their_batch() {
        let source = source(&[(10, 10), (0, 10)]);
        let pieces = source.entries.iter().map(|entry| Piece { source: &source, entry }).collect();
        let planned = plan(HostId::new(Uuid::from_u128(1)), pieces);
        let bytes = HashMap::from([
            ((source.id, 0), Bytes::from_static(b"abc")),
            ((source.id, 3), Bytes::from_static(b"def")),
        ]);
        let built = planned[0].build(&bytes).expect("all bytes are there");
        assert_eq!(&built.payload[..], b"defabc");
        assert_eq!((built.entries[0].offset, built.entries[1].offset), (0, 3));
        assert_eq!(built.terms, [0, 10]);
        assert_eq!((&built.entries[0].terms[..], &built.entries[1].terms[..]), (&[1][..], &[0][..]));
        assert!(planned[0].build(&HashMap::new()).is_err());
    }
}
