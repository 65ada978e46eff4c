//! How batches lie in segments: large ones alone, small ones side by side. Pure.

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::Sealed;
use wire::id::StreamId;

use super::admit::Admitted;
use crate::store::Stamp;
use crate::store::directory::{Entry, Head, TermTable, host_term};
use crate::store::segment::NewSegment;

/// A batch with so many events, or bytes, is a segment of its own.
pub(super) const LARGE_EVENTS: u64 = 1_000;
pub(super) const LARGE_BYTES: usize = 128 << 10;

/// A batch that goes into a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) stream: StreamId,
    pub(super) first_seq: u64,
    pub(super) n_events: u32,
    pub(super) received: Stamp,
    pub(super) sealed: &'a Sealed,
    pub(super) admitted: &'a Admitted,
}

impl Member<'_> {
    pub(super) fn is_large(&self) -> bool {
        u64::from(self.n_events) >= LARGE_EVENTS || self.sealed.payload.len() >= LARGE_BYTES
    }

    fn entry(&self, offset: u32, terms: Vec<u16>) -> Entry {
        Entry {
            stream: self.stream,
            first_seq: self.first_seq,
            n_events: self.n_events,
            received: self.received,
            earliest: self.admitted.earliest,
            latest: self.admitted.latest,
            head: Head::of(&self.sealed.header),
            offset,
            payload_len: length(&self.sealed.payload),
            ends: self.admitted.ends,
            terms,
        }
    }
}

/// A segment, ready to be added.
#[derive(Debug)]
pub(super) struct Built {
    n_events: u32,
    terms: Vec<i64>,
    entries: Vec<Entry>,
    payload: Vec<Bytes>,
}

impl Built {
    /// One large batch.
    pub(super) fn alone(member: Member<'_>) -> Self {
        Self {
            n_events: member.n_events,
            terms: member.admitted.terms.clone(),
            entries: vec![member.entry(0, Vec::new())],
            payload: vec![member.sealed.payload.clone()],
        }
    }

    /// Small batches of many hosts, in more than one segment where their terms are too many for one.
    pub(super) fn together(members: Vec<Member<'_>>) -> Vec<Self> {
        if members.is_empty() {
            return Vec::new();
        }
        let terms: Vec<Vec<i64>> = members
            .iter()
            .map(|m| {
                let mut terms = m.admitted.terms.clone();
                terms.push(host_term(m.stream.host));
                terms
            })
            .collect();
        let table = TermTable::new(terms.iter().map(Vec::as_slice));
        if table.terms().len() > TermTable::MAX_TERMS && members.len() > 1 {
            let mut members = members;
            let rest = members.split_off(members.len() / 2);
            let mut all = Self::together(members);
            all.extend(Self::together(rest));
            return all;
        }
        let (mut entries, mut payload, mut offset) = (Vec::new(), Vec::new(), 0_u32);
        for (member, terms) in members.iter().zip(&terms) {
            let entry = member.entry(offset, table.positions(terms));
            offset = entry.range().end;
            entries.push(entry);
            payload.push(member.sealed.payload.clone());
        }
        let n_events = members.iter().map(|m| m.n_events).sum();
        vec![Self { n_events, terms: table.terms().to_vec(), entries, payload }]
    }

    /// The row to add, under the commit's time.
    pub(super) fn row(&self, received: Stamp) -> NewSegment<'_> {
        NewSegment {
            id: Uuid::now_v7(),
            received,
            earliest: self.entries.iter().map(|e| e.earliest).min().unwrap_or(received),
            latest: self.entries.iter().map(|e| e.latest).max().unwrap_or(received),
            n_events: self.n_events,
            terms: &self.terms,
            entries: &self.entries,
            payload: &self.payload,
            packed: None,
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
