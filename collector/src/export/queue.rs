//! What comes next of every stream of this collector's shares. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use wire::id::{HostId, StreamId};

use super::line::{Flying, Item, Line, Located, What};
use crate::store::Stamp;
use crate::store::exports::{Advance, Behind};
use crate::store::leases::Share;

/// So many batches are remembered, of all streams together: 30 MB. Beyond, they are looked for again later.
pub(super) const MAX_LOCATED: usize = 100_000;
/// So many streams are remembered: beyond, those that are idle are asked for again.
const MAX_LINES: usize = 100_000;
/// So many batches of one stream are taken before the next stream's.
const MAX_TURN: usize = 64;

/// How much is taken at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) n_events: u64,
    pub(super) n_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    lines: HashMap<StreamId, Line>,
    /// Those that have items, in the order of their turns; each once.
    ready: VecDeque<StreamId>,
    is_ready: HashSet<StreamId>,
    /// Those of which something has to be looked for.
    sought: BTreeSet<StreamId>,
    /// Where looking stopped.
    after: Option<StreamId>,
    /// Those of which the store has to be told something.
    unwritten: HashSet<StreamId>,
    by_slot: HashMap<u32, StreamId>,
    /// Shares of which nothing more is taken.
    held_back: BTreeSet<Share>,
    n_located: usize,
}

impl Queue {
    /// Remembers a stream, if it is not remembered already.
    pub(super) fn open(&mut self, behind: &Behind) {
        self.lines.entry(behind.stream).or_insert_with(|| Line::new(behind));
    }

    pub(super) fn knows(&self, stream: StreamId) -> bool {
        self.lines.contains_key(&stream)
    }

    /// A batch was found, of a stream that is remembered.
    pub(super) fn learn(&mut self, located: Located) {
        let (stream, is_full) = (located.entry.stream, self.is_full());
        self.change(stream, |line| {
            if is_full && !line.is_sought() {
                let upto = located.entry.first_seq.saturating_add(u64::from(located.entry.n_events));
                line.aim(upto, true);
            } else if !is_full || line.n_located() == 0 {
                line.learn(located);
            }
        });
    }

    /// A batch was found that was looked for: it is remembered whatever else is.
    pub(super) fn found(&mut self, located: Located) {
        self.change(located.entry.stream, |line| line.learn(located));
    }

    /// So far a stream is stored, as the store says.
    pub(super) fn aim(&mut self, stream: StreamId, stored: u64, at_once: bool) {
        self.change(stream, |line| line.aim(stored, at_once));
    }

    /// Does something with a stream, and notes what it needs then.
    pub(super) fn change<T>(&mut self, stream: StreamId, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let line = self.lines.get_mut(&stream)?;
        let before = line.n_located();
        let done = change(line);
        self.n_located = self.n_located + line.n_located() - before;
        let may_go = line.has_items() && !self.held_back.contains(&Share::of(stream.host));
        if may_go && self.is_ready.insert(stream) {
            self.ready.push_back(stream);
        }
        match line.is_sought() {
            true => self.sought.insert(stream),
            false => self.sought.remove(&stream),
        };
        if line.advance(stream).is_some() {
            self.unwritten.insert(stream);
        }
        Some(done)
    }

    pub(super) fn line(&self, stream: StreamId) -> Option<&Line> {
        self.lines.get(&stream)
    }

    /// The next items, in the order of each stream; streams take turns.
    pub(super) fn take(&mut self, room: Room) -> Vec<(StreamId, Item)> {
        let (mut n_events, mut n_bytes) = (0, 0);
        let mut taken = Vec::new();
        while n_events < room.n_events
            && n_bytes < room.n_bytes
            && let Some(stream) = self.ready.pop_front()
        {
            self.is_ready.remove(&stream);
            for _ in 0..MAX_TURN {
                let Some(item) = self.change_quietly(stream, Line::take).flatten() else { break };
                if let What::Batch(located) = &item.what {
                    n_events += item.upto - item.first;
                    n_bytes += u64::from(located.entry.payload_len);
                }
                taken.push((stream, item));
                if n_events >= room.n_events || n_bytes >= room.n_bytes {
                    break;
                }
            }
            self.change(stream, |_| {});
        }
        taken
    }

    fn change_quietly<T>(&mut self, stream: StreamId, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let line = self.lines.get_mut(&stream)?;
        let before = line.n_located();
        let done = change(line);
        self.n_located = self.n_located + line.n_located() - before;
        Some(done)
    }

    /// An item was handed over, or needs not be.
    pub(super) fn fly(&mut self, stream: StreamId, flying: Flying) {
        if let Some(slot) = flying.slot {
            self.by_slot.insert(slot, stream);
        }
        self.change(stream, |line| line.fly(flying));
    }

    /// All records of a slot are reported; so many were refused. The stream, if it is still remembered.
    pub(super) fn arrived(&mut self, slot: u32, n_refused: u64) {
        if let Some(stream) = self.by_slot.remove(&slot) {
            self.change(stream, |line| line.arrived(slot, n_refused));
        }
    }

    /// Nothing that is on its way will be reported.
    pub(super) fn rewind(&mut self) {
        self.by_slot.clear();
        let streams: Vec<StreamId> = self.lines.keys().copied().collect();
        for stream in streams {
            self.change(stream, Line::rewind);
        }
    }

    /// The next hosts of which something has to be looked for, with those streams; they take turns.
    pub(super) fn sought(&mut self, n_hosts: usize) -> BTreeMap<HostId, Vec<StreamId>> {
        let mut found: BTreeMap<HostId, Vec<StreamId>> = BTreeMap::new();
        let after = self.after.take();
        let behind = |stream: &&StreamId| after.is_none_or(|after| **stream > after);
        let begin = self.sought.iter().filter(behind);
        for stream in begin.chain(self.sought.iter()) {
            if found.len() >= n_hosts && !found.contains_key(&stream.host) {
                break;
            }
            let streams = found.entry(stream.host).or_default();
            if streams.contains(stream) {
                break;
            }
            streams.push(*stream);
            self.after = Some(*stream);
        }
        found
    }

    /// What the store has to be told, in the order in which rows are locked; at most `n`.
    pub(super) fn unwritten(&self, n: usize) -> Vec<Advance> {
        let lines = self.unwritten.iter().filter_map(|stream| self.lines.get(stream)?.advance(*stream));
        let mut advances: Vec<Advance> = lines.take(n).collect();
        advances.sort_by_key(|advance| (advance.stream.host.bucket(), advance.stream));
        advances
    }

    /// The store was told.
    pub(super) fn written(&mut self, advances: &[Advance]) {
        for advance in advances {
            self.unwritten.remove(&advance.stream);
            self.change(advance.stream, |line| line.committed(advance.upto));
        }
        if self.lines.len() > MAX_LINES {
            self.lines.retain(|_, line| !line.is_idle());
        }
    }

    /// Forgets the streams of shares that are not this collector's any more.
    pub(super) fn forget(&mut self, is_lost: impl Fn(Share) -> bool) {
        let lost = |stream: &StreamId| is_lost(Share::of(stream.host));
        self.lines.retain(|stream, _| !lost(stream));
        self.ready.retain(|stream| !lost(stream));
        self.is_ready.retain(|stream| !lost(stream));
        self.sought.retain(|stream| !lost(stream));
        self.unwritten.retain(|stream| !lost(stream));
        self.by_slot.retain(|_, stream| !lost(stream));
        self.n_located = self.lines.values().map(Line::n_located).sum();
    }

    /// Takes nothing more of these shares, which are to be another's.
    pub(super) fn hold(&mut self, leaving: BTreeSet<Share>) {
        if self.held_back == leaving {
            return;
        }
        self.held_back = leaving;
        self.ready.clear();
        self.is_ready.clear();
        let streams: Vec<StreamId> = self.lines.keys().copied().collect();
        for stream in streams {
            self.change(stream, |_| {});
        }
    }

    /// Whether nothing of these shares is on its way, and the store knows all of it.
    pub(super) fn has_landed(&self, leaving: &BTreeSet<Share>) -> bool {
        let mut theirs = self.lines.iter().filter(|(stream, _)| leaving.contains(&Share::of(stream.host)));
        theirs.all(|(_, line)| line.has_landed())
    }

    pub(super) fn has_items(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn is_sought(&self) -> bool {
        !self.sought.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.n_located >= MAX_LOCATED
    }

    /// Receipt of the oldest event that waits.
    pub(super) fn oldest(&self) -> Option<Stamp> {
        self.lines.values().filter_map(Line::oldest).min()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use super::super::line::tests::{batch, behind, stream};
    use super::*;
    use crate::store::exports::Fate;

    const ALL: Room = Room { n_events: u64::MAX, n_bytes: u64::MAX };

    fn queue(n_streams: u128, n_batches: u64) -> Queue {
        let mut queue = Queue::default();
        for n in 0..n_streams {
            queue.open(&behind(stream(n), 0, 0));
            (0..n_batches).for_each(|at| queue.learn(batch(stream(n), at * 5, 5)));
        }
        queue
    }

    #[test]
    fn streams_take_turns_and_each_keeps_its_order() {
        let mut queue = queue(2, 100);
        let taken = queue.take(ALL);
        assert_eq!(taken.len(), 200);
        assert_eq!(taken[64].0, stream(1), "the other one's turn");
        for n in 0..2 {
            let firsts: Vec<u64> = taken.iter().filter(|t| t.0 == stream(n)).map(|t| t.1.first).collect();
            assert_eq!(firsts, (0..100).map(|at| at * 5).collect::<Vec<_>>());
        }
        assert!(!queue.has_items() && queue.n_located == 0);
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let mut queue = queue(3, 10);
        assert_eq!(queue.take(Room { n_events: 12, n_bytes: u64::MAX }).len(), 3);
        assert_eq!(queue.take(Room { n_events: u64::MAX, n_bytes: 25 }).len(), 3);
        assert_eq!(queue.take(ALL).len(), 24);
    }

    #[test]
    fn what_does_not_fit_is_looked_for_later() {
        let mut queue = queue(1, 5);
        queue.n_located = MAX_LOCATED;
        queue.open(&behind(stream(9), 0, 0));
        queue.learn(batch(stream(9), 0, 5));
        assert!(queue.is_sought());
        assert_eq!(queue.sought(5)[&stream(9).host], [stream(9)]);
    }

    #[test]
    fn hosts_that_are_behind_take_turns() {
        let mut queue = Queue::default();
        for n in 0..5 {
            queue.open(&behind(stream(n), 0, 10));
            queue.aim(stream(n), 10, true);
        }
        let mut seen: Vec<HostId> = Vec::new();
        for _ in 0..5 {
            seen.extend(queue.sought(2).into_keys());
        }
        for n in 0..5 {
            assert_eq!(seen.iter().filter(|host| **host == stream(n).host).count(), 2, "{seen:?}");
        }
    }

    #[test]
    fn what_the_store_is_told_is_what_was_reported() {
        let mut queue = queue(2, 2);
        let taken = queue.take(ALL);
        for (slot, (stream, item)) in taken.iter().enumerate() {
            let fate = Fate { n_sent: 5, ..Fate::default() };
            let flying = Flying { upto: item.upto, received: item.received, fate, slot: Some(slot as u32) };
            queue.fly(*stream, flying);
        }
        queue.arrived(1, 0);
        assert!(queue.unwritten(10).is_empty(), "the first of that stream is on its way still");
        queue.arrived(0, 0);
        queue.arrived(2, 1);
        let advances = queue.unwritten(10);
        let mut told: Vec<_> = advances.iter().map(|a| (a.stream, a.upto)).collect();
        told.sort_unstable();
        assert_eq!(told, [(stream(0), 10), (stream(1), 5)]);
        queue.written(&advances);
        assert!(queue.unwritten(10).is_empty());
        queue.rewind();
        assert!(queue.line(stream(1)).is_some_and(|line| line.known(stream(1)).seq == 5));
    }
}
