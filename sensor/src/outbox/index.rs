//! Where each unacknowledged batch is, and which goes first when there is no room. Pure.

use std::collections::{BTreeMap, VecDeque};

use wire::batch::Digest;
use wire::frame::sensor::Held;
use wire::id::{Epoch, Lane};

use super::UNKNOWN;
use crate::spool::StreamKey;

/// The streams and their parcels.
#[derive(Debug)]
pub(super) struct Index {
    streams: BTreeMap<StreamKey, Stream>,
    live: Option<Epoch>,
    n_bytes: u64,
    max_bytes: u64,
}

#[derive(Debug)]
struct Stream {
    acked: u64,
    digest: Digest,
    /// In order, without gaps, from `acked` (or a little before) to the stream's end.
    slots: VecDeque<Slot>,
    end: u64,
}

/// One parcel's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) first_seq: u64,
    pub(super) n_events: u64,
    /// What a batch costs in memory; 0 for a tombstone.
    cost: u64,
}

impl Slot {
    pub(super) fn batch(first_seq: u64, n_events: u64, cost: u64) -> Self {
        Self { first_seq, n_events, cost: cost.max(1) }
    }

    pub(super) fn tombstone(first_seq: u64, n_events: u64) -> Self {
        Self { first_seq, n_events, cost: 0 }
    }

    pub(super) fn is_batch(self) -> bool {
        self.cost > 0
    }

    pub(super) fn end(self) -> u64 {
        self.first_seq.saturating_add(self.n_events)
    }
}

impl Index {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { streams: BTreeMap::new(), live: None, n_bytes: 0, max_bytes }
    }

    /// Makes this epoch live; gives the streams of the one before that nothing is held of.
    pub(super) fn begin(&mut self, epoch: Epoch) -> Vec<StreamKey> {
        let before = self.live.replace(epoch).filter(|before| *before != epoch);
        for lane in Lane::ALL {
            self.stream_mut(StreamKey { epoch, lane });
        }
        let streams = Lane::ALL.into_iter().filter_map(|lane| Some(StreamKey { epoch: before?, lane }));
        streams.filter(|stream| self.is_drained(*stream)).collect()
    }

    /// Enters a stream of a sensor before. `is_chain_known`: else its digest is not to be compared.
    pub(super) fn restore(&mut self, stream: StreamKey, acked: u64, digest: Digest, is_chain_known: bool) {
        let digest = if is_chain_known { digest } else { UNKNOWN };
        self.streams.insert(stream, Stream { acked, digest, slots: VecDeque::new(), end: acked });
    }

    /// Adds a parcel at the end of its stream.
    pub(super) fn push(&mut self, stream: StreamKey, slot: Slot) {
        self.n_bytes += slot.cost;
        let stream = self.stream_mut(stream);
        stream.end = slot.end();
        stream.slots.push_back(slot);
    }

    /// Passes everything below `next_seq`: gives the first sequences of the parcels that are gone
    /// now, and whether the stream is done with.
    pub(super) fn acknowledge(&mut self, key: StreamKey, next_seq: u64, digest: Digest) -> (Vec<u64>, bool) {
        let Some(stream) = self.streams.get_mut(&key) else { return (Vec::new(), false) };
        let mut gone = Vec::new();
        while let Some(slot) = stream.slots.front().copied().filter(|slot| slot.end() <= next_seq) {
            stream.slots.pop_front();
            self.n_bytes -= slot.cost;
            gone.push(slot.first_seq);
        }
        stream.acked = next_seq;
        stream.digest = digest;
        (gone, self.live != Some(key.epoch) && self.is_drained(key))
    }

    pub(super) fn remove(&mut self, stream: StreamKey) {
        if let Some(gone) = self.streams.remove(&stream) {
            self.n_bytes -= gone.slots.iter().map(|slot| slot.cost).sum::<u64>();
        }
    }

    /// The batch to shed next, if what is held does not fit: the oldest of the bulk lane, then the
    /// oldest of the critical lane.
    pub(super) fn to_shed(&self) -> Option<(StreamKey, Slot)> {
        if self.n_bytes <= self.max_bytes {
            return None;
        }
        let oldest = |lane| {
            let of_lane = self.streams.iter().filter(move |(key, _)| key.lane == lane);
            let batch = |s: &Stream| s.slots.iter().copied().find(|slot| slot.is_batch());
            of_lane.into_iter().find_map(|(key, stream)| Some((*key, batch(stream)?)))
        };
        oldest(Lane::Bulk).or_else(|| oldest(Lane::Critical))
    }

    /// Puts a tombstone in a batch's place, joined with its neighbours; gives it, and the first
    /// sequences of all that it covers.
    pub(super) fn bury(&mut self, key: StreamKey, slot: Slot) -> (Slot, Vec<u64>) {
        let mut tombstone = Slot::tombstone(slot.first_seq, slot.n_events);
        let mut covered = vec![slot.first_seq];
        let Some(stream) = self.streams.get_mut(&key) else { return (tombstone, covered) };
        let Ok(mut at) = stream.slots.binary_search_by_key(&slot.first_seq, |slot| slot.first_seq) else {
            return (tombstone, covered);
        };
        self.n_bytes -= stream.slots.remove(at).map_or(0, |slot| slot.cost);
        if let Some(before) = at.checked_sub(1).and_then(|i| stream.slots.get(i)).copied()
            && !before.is_batch()
        {
            at -= 1;
            stream.slots.remove(at);
            tombstone = Slot::tombstone(before.first_seq, before.n_events + tombstone.n_events);
            covered.push(before.first_seq);
        }
        if let Some(behind) = stream.slots.get(at).copied().filter(|slot| !slot.is_batch()) {
            stream.slots.remove(at);
            tombstone.n_events += behind.n_events;
            covered.push(behind.first_seq);
        }
        stream.slots.insert(at, tombstone);
        (tombstone, covered)
    }

    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The number after the stream's last event; 0 for a stream that is not known.
    pub(super) fn end(&self, stream: StreamKey) -> u64 {
        self.streams.get(&stream).map_or(0, |stream| stream.end)
    }

    pub(super) fn is_drained(&self, stream: StreamKey) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.slots.is_empty())
    }

    /// The parcel that holds this number.
    pub(super) fn slot(&self, stream: StreamKey, seq: u64) -> Option<Slot> {
        let slots = &self.streams.get(&stream)?.slots;
        let at = slots.partition_point(|slot| slot.end() <= seq);
        slots.get(at).copied().filter(|slot| slot.first_seq <= seq)
    }

    pub(super) fn live(&self) -> Option<Epoch> {
        self.live
    }

    /// The live epoch's lanes, then the others, oldest first.
    pub(super) fn streams(&self) -> Vec<Held> {
        let held = |(key, s): (&StreamKey, &Stream)| Held {
            epoch: key.epoch,
            lane: key.lane,
            acked: s.acked,
            digest: s.digest,
            end: s.end,
        };
        let is_live = |key: &StreamKey| self.live == Some(key.epoch);
        let live = self.streams.iter().filter(|(key, _)| is_live(key)).map(held);
        live.chain(self.streams.iter().filter(|(key, _)| !is_live(key)).map(held)).collect()
    }

    fn stream_mut(&mut self, stream: StreamKey) -> &mut Stream {
        self.streams.entry(stream).or_insert_with(|| Stream {
            acked: 0,
            digest: Digest::START,
            slots: VecDeque::new(),
            end: 0,
        })
    }
}
