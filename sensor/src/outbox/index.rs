//! Where each unacknowledged batch is, and which goes first when there is no room. Pure.

use std::collections::{BTreeMap, VecDeque};

use wire::batch::Digest;
use wire::frame::sensor::Held;
use wire::id::{Epoch, Lane};

use super::UNKNOWN;
use super::slot::{Place, Slot};
use crate::spool::{Run, StreamKey};

/// The streams and their parcels.
#[derive(Debug)]
pub(super) struct Index {
    streams: BTreeMap<StreamKey, Stream>,
    live: Option<Epoch>,
    n_memory_bytes: u64,
    n_disk_bytes: u64,
    max_memory_bytes: u64,
}

#[derive(Debug)]
struct Stream {
    acked: u64,
    digest: Digest,
    /// In order, without gaps, from `acked` (or a little before) to the stream's end.
    slots: VecDeque<Slot>,
    end: u64,
    /// Whether it may have a folder on disk.
    on_disk: bool,
}

/// A stream of a sensor before.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) acked: u64,
    /// The chain there, if it is known.
    pub(super) digest: Option<Digest>,
    pub(super) slots: Vec<Slot>,
    pub(super) has_folder_on_disk: bool,
}

/// What an acknowledgement came to.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// What need not be kept any more.
    pub(super) gone: Vec<Slot>,
    /// The stream is done with.
    pub(super) is_finished: bool,
    /// It has a folder on disk, in which something is left.
    pub(super) is_on_disk: bool,
    /// It had one, in which nothing is left now.
    pub(super) has_left_disk: bool,
}

impl Index {
    pub(super) fn new(max_memory_bytes: u64) -> Self {
        Self { streams: BTreeMap::new(), live: None, n_memory_bytes: 0, n_disk_bytes: 0, max_memory_bytes }
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

    /// Enters a stream of a sensor before.
    pub(super) fn restore(&mut self, stream: StreamKey, found: Restored) {
        let Restored { acked, digest, slots, has_folder_on_disk: on_disk } = found;
        slots.iter().for_each(|slot| self.count(*slot));
        let end = slots.last().map_or(acked, |slot| slot.end());
        let (slots, digest) = (slots.into(), digest.unwrap_or(UNKNOWN));
        self.streams.insert(stream, Stream { acked, digest, slots, end, on_disk });
    }

    /// Adds a parcel at the end of its stream.
    pub(super) fn push(&mut self, stream: StreamKey, slot: Slot) {
        self.count(slot);
        let stream = self.stream_mut(stream);
        stream.end = slot.end();
        stream.slots.push_back(slot);
    }

    /// Passes everything below `next_seq`.
    pub(super) fn acknowledge(&mut self, key: StreamKey, next_seq: u64, digest: Digest) -> Passed {
        let Some(stream) = self.streams.get_mut(&key) else { return Passed::default() };
        let mut gone = Vec::new();
        while let Some(slot) = stream.slots.front().copied().filter(|slot| slot.end() <= next_seq) {
            stream.slots.pop_front();
            gone.push(slot);
        }
        stream.acked = next_seq;
        stream.digest = digest;
        let is_on_disk = stream.on_disk && stream.slots.iter().any(|slot| slot.place == Place::Disk);
        let has_left_disk = stream.on_disk && !is_on_disk;
        stream.on_disk = is_on_disk;
        gone.iter().for_each(|slot| self.uncount(*slot));
        let is_finished = self.live != Some(key.epoch) && self.is_drained(key);
        Passed { gone, is_finished, is_on_disk, has_left_disk }
    }

    /// Forgets a stream; whether it may have a folder on disk.
    pub(super) fn remove(&mut self, stream: StreamKey) -> bool {
        let Some(gone) = self.streams.remove(&stream) else { return false };
        gone.slots.iter().for_each(|slot| self.uncount(*slot));
        gone.on_disk
    }

    /// The batch in memory to shed next, if what is held there does not fit: the oldest of the bulk lane, then the oldest of
    /// the critical lane.
    pub(super) fn to_shed(&self) -> Option<(StreamKey, Slot)> {
        if self.n_memory_bytes <= self.max_memory_bytes {
            return None;
        }
        let oldest = |lane| {
            let mut of_lane = self.streams.iter().filter(|(key, _)| key.lane == lane);
            let batch = |s: &Stream| s.slots.iter().copied().find(|slot| slot.holds(Place::Memory));
            of_lane.find_map(|(key, stream)| Some((*key, batch(stream)?)))
        };
        oldest(Lane::Bulk).or_else(|| oldest(Lane::Critical))
    }

    /// The bundles on disk that give way for one of this lane so that so much is free: the oldest of the bulk lane, then, only
    /// for a critical one, the oldest of the critical lane. `None` if that is not enough.
    pub(super) fn giving_way(&self, for_lane: Lane, n_bytes: u64) -> Option<Vec<(StreamKey, Slot)>> {
        let of_lane = |lane| {
            let streams = self.streams.iter().filter(move |(key, _)| key.lane == lane);
            streams.flat_map(|(key, stream)| stream.slots.iter().map(|slot| (*key, *slot)))
        };
        let critical = of_lane(Lane::Critical).filter(|_| for_lane == Lane::Critical);
        let bundles = of_lane(Lane::Bulk).chain(critical).filter(|(_, slot)| slot.holds(Place::Disk));
        let mut freed = 0;
        let enough = |(_, slot): &(StreamKey, Slot)| {
            let goes_on = freed < n_bytes;
            freed += if goes_on { slot.cost() } else { 0 };
            goes_on
        };
        let giving_way: Vec<_> = bundles.take_while(enough).collect();
        (freed >= n_bytes).then_some(giving_way)
    }

    /// The first of a stream that are in memory alone: a tombstone, or batches that follow each other, so many and so large
    /// at the most, though at least one.
    pub(super) fn first_in_memory(&self, stream: StreamKey, max_bytes: u64, max_batches: usize) -> Vec<Slot> {
        let Some(stream) = self.streams.get(&stream) else { return Vec::new() };
        let mut waiting = stream.slots.iter().copied().skip_while(|slot| slot.place == Place::Disk);
        let Some(first) = waiting.next() else { return Vec::new() };
        let mut run = vec![first];
        if first.is_tombstone() {
            return run;
        }
        let mut n_bytes = first.n_bytes();
        for slot in waiting.take_while(|slot| slot.holds(Place::Memory)).take(max_batches.saturating_sub(1)) {
            n_bytes += slot.n_bytes();
            if n_bytes > max_bytes {
                break;
            }
            run.push(slot);
        }
        run
    }

    /// Puts a slot on disk in place of those in memory that it was made of; gives those that were there still. `None` when they
    /// are all acknowledged, or some of them were shed: then it stands for nothing.
    pub(super) fn replace(&mut self, key: StreamKey, made_of: &[Slot], by: Slot) -> Option<Vec<Slot>> {
        let stream = self.streams.get_mut(&key)?;
        let front = stream.slots.front()?.first_seq;
        let rest: Vec<Slot> = made_of.iter().copied().skip_while(|slot| slot.first_seq < front).collect();
        let at = stream.slots.binary_search_by_key(&rest.first()?.first_seq, |slot| slot.first_seq).ok()?;
        let are_there = stream.slots.iter().skip(at).take(rest.len()).copied().eq(rest.iter().copied());
        if !are_there {
            return None;
        }
        stream.slots.drain(at..at + rest.len());
        stream.slots.insert(at, by);
        stream.on_disk = true;
        rest.iter().for_each(|slot| self.uncount(*slot));
        self.count(by);
        Some(rest)
    }

    /// Puts a tombstone in a batch's place, joined with its neighbours of the same place; gives it, all that it covers, and
    /// how many events of it were not acknowledged.
    pub(super) fn bury(&mut self, key: StreamKey, slot: Slot) -> Option<(Slot, Vec<Slot>, u64)> {
        let stream = self.streams.get_mut(&key)?;
        let mut at = stream.slots.binary_search_by_key(&slot.first_seq, |slot| slot.first_seq).ok()?;
        let victim = stream.slots.remove(at)?;
        let mut covered = vec![victim];
        let mut run = victim.run();
        let joins = |other: Option<&Slot>| {
            other.copied().filter(|slot| slot.is_tombstone() && slot.place == victim.place)
        };
        if let Some(before) = joins(at.checked_sub(1).and_then(|i| stream.slots.get(i))) {
            at -= 1;
            stream.slots.remove(at);
            run.first = before.first_seq;
            covered.push(before);
        }
        if let Some(behind) = joins(stream.slots.get(at)) {
            stream.slots.remove(at);
            run.end = behind.end();
            covered.push(behind);
        }
        let tombstone = Slot::tombstone(run, victim.place);
        stream.slots.insert(at, tombstone);
        let n_given_up = victim.end().saturating_sub(victim.first_seq.max(stream.acked));
        self.uncount(victim);
        Some((tombstone, covered, n_given_up))
    }

    /// What batches take in memory.
    pub(super) fn n_memory_bytes(&self) -> u64 {
        self.n_memory_bytes
    }

    /// What bundles take on disk.
    pub(super) fn n_disk_bytes(&self) -> u64 {
        self.n_disk_bytes
    }

    /// The number after the stream's last event; 0 for a stream that is not known.
    pub(super) fn end(&self, stream: StreamKey) -> u64 {
        self.streams.get(&stream).map_or(0, |stream| stream.end)
    }

    /// The number below which nothing is in memory alone: it is on disk, or acknowledged.
    pub(super) fn durable_end(&self, stream: StreamKey) -> u64 {
        let Some(stream) = self.streams.get(&stream) else { return 0 };
        let first = stream.slots.iter().find(|slot| slot.place == Place::Memory);
        first.map_or(stream.end, |slot| slot.first_seq)
    }

    pub(super) fn is_drained(&self, stream: StreamKey) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.slots.is_empty())
    }

    /// Whether something of it is on disk.
    pub(super) fn is_on_disk(&self, stream: StreamKey) -> bool {
        let is_there = |stream: &Stream| stream.slots.iter().any(|slot| slot.place == Place::Disk);
        self.streams.get(&stream).is_some_and(is_there)
    }

    /// Whether just these events are on disk as one file.
    pub(super) fn has_on_disk(&self, stream: StreamKey, run: Run) -> bool {
        self.slot(stream, run.first).is_some_and(|slot| slot.place == Place::Disk && slot.run() == run)
    }

    /// Whether nothing of the epoch is held, and it is not live.
    pub(super) fn is_done_with(&self, epoch: Epoch) -> bool {
        self.live != Some(epoch) && self.streams.keys().all(|key| key.epoch != epoch)
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

    /// All streams, oldest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = StreamKey> {
        self.streams.keys().copied()
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

    fn count(&mut self, slot: Slot) {
        *self.n_bytes_mut(slot.place) += slot.cost();
    }

    fn uncount(&mut self, slot: Slot) {
        *self.n_bytes_mut(slot.place) -= slot.cost();
    }

    fn n_bytes_mut(&mut self, place: Place) -> &mut u64 {
        match place {
            Place::Memory => &mut self.n_memory_bytes,
            Place::Disk => &mut self.n_disk_bytes,
        }
    }

    fn stream_mut(&mut self, stream: StreamKey) -> &mut Stream {
        self.streams.entry(stream).or_insert_with(|| Stream {
            acked: 0,
            digest: Digest::START,
            slots: VecDeque::new(),
            end: 0,
            on_disk: false,
        })
    }
}
