//! One search, from its first statement to its answer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join_all;
use uuid::Uuid;
use wire::event::FlatEvent;
use wire::id::StreamId;
use wire::time::WallTime;

use super::super::examine::{Located, Material};
use super::super::frontier::Frontier;
use super::super::gather::{Gather, Hit};
use super::super::{Fleet, Position, Search};
use super::read;
use super::{Answer, Engine, Failure, Outcome, Progress, STATEMENT_TIMEOUT};
use crate::store::candidates::{self, Candidate, Horizon, Place, SegmentKey, Wanted};
use crate::store::directory::Entry;
use crate::store::reader::Reader;
use crate::store::{Group, slices};

/// What one round of reading brings at most, unless a single batch is larger.
const ROUND_BYTES: u64 = 16 << 20;
/// Events are read for the answer so many at a time.
const HITS_AT_ONCE: usize = 500;

/// A batch's place in its stream: what tells a batch that was moved from one that was not seen.
type Number = (StreamId, u64);

pub(super) struct Run<'a> {
    engine: &'a Engine,
    search: Arc<Search>,
    fleet: Arc<Fleet>,
    progress: Arc<Progress>,
    wanted: Wanted,
    gather: Mutex<Gather>,
    /// Batches that were fresh and have been looked through.
    seen: Mutex<HashSet<Number>>,
}

/// What the workers share.
struct Queue {
    frontier: tokio::sync::Mutex<Frontier>,
    horizon: Horizon,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        search: Arc<Search>,
        fleet: Arc<Fleet>,
        progress: Arc<Progress>,
    ) -> Self {
        let (wanted, gather) = (search.wanted(), Mutex::new(Gather::new(&search)));
        Self { engine, search, fleet, progress, wanted, gather, seen: Mutex::default() }
    }

    pub(super) async fn finish(self) -> Result<Outcome, Failure> {
        let mut reader = Reader::open(&self.engine.pool, STATEMENT_TIMEOUT).await?;
        if self.search.hosts.as_ref().is_none_or(|hosts| !hosts.is_empty()) {
            let (horizon, fresh) = candidates::fresh(reader.conn()?, Group::WHOLE, &self.wanted).await?;
            let queue = Queue { frontier: Frontier::new(fresh).into(), horizon };
            if self.step(&mut reader, &queue).await? && !self.is_done(&queue).await {
                let others = (1..self.engine.n_workers).map(|_| self.another(&queue));
                let (this, others) = tokio::join!(self.work(&mut reader, &queue), try_join_all(others));
                this?;
                others?;
            }
        }
        let gather = std::mem::replace(&mut *lock(&self.gather), Gather::new(&self.search));
        let (answer, cursor) = match gather {
            Gather::Events(newest) => {
                let is_full = newest.len() == self.search.limit;
                let hits: Vec<(Position, Hit)> = newest.into_items().collect();
                let last = hits.last().map(|(position, _)| *position).filter(|_| is_full);
                (
                    Answer::Events(self.events(&mut reader, hits).await?),
                    last.map(|last| self.search.cursor(last)),
                )
            }
            Gather::Histogram { scale, counts } => (Answer::Histogram(scale.buckets(&counts)), None),
            Gather::Top(counts) => (Answer::Top(counts.finish(self.search.limit)), None),
        };
        reader.close().await?;
        Ok(Outcome { answer, cursor, stats: self.progress.stats() })
    }

    async fn another(&self, queue: &Queue) -> Result<(), Failure> {
        let mut reader = Reader::open(&self.engine.pool, STATEMENT_TIMEOUT).await?;
        self.work(&mut reader, queue).await?;
        Ok(reader.close().await?)
    }

    async fn work(&self, reader: &mut Reader, queue: &Queue) -> Result<(), Failure> {
        while self.step(reader, queue).await? {}
        Ok(())
    }

    async fn is_done(&self, queue: &Queue) -> bool {
        queue.frontier.lock().await.is_done()
    }

    /// Looks through the next segments; false when there are none.
    async fn step(&self, reader: &mut Reader, queue: &Queue) -> Result<bool, Failure> {
        let chunk = {
            let mut frontier = queue.frontier.lock().await;
            loop {
                let floor = lock(&self.gather).floor();
                let chunk = frontier.next(floor);
                let Some((after, size)) = frontier.wanted_page().filter(|_| chunk.is_empty()) else {
                    break chunk;
                };
                let page =
                    candidates::merged(reader.conn()?, &self.wanted, queue.horizon, after, size).await?;
                frontier.add_page(page);
            }
        };
        let Some(oldest) = chunk.last().map(|candidate| candidate.key.latest.wall().unix_ns()) else {
            return Ok(false);
        };
        let mut gone = self.look_through(reader, &chunk, false).await?;
        self.follow(reader, &mut gone).await?;
        self.progress.reached.fetch_min(oldest, Ordering::Relaxed);
        Ok(true)
    }

    /// Looks through segments; returns those fresh ones that were gone. `again`: only batches not seen fresh.
    async fn look_through(
        &self,
        reader: &mut Reader,
        chunk: &[Candidate],
        again: bool,
    ) -> Result<Vec<SegmentKey>, Failure> {
        let keys: Vec<SegmentKey> = chunk.iter().map(|candidate| candidate.key).collect();
        let (batches, mut gone) = self.locate(reader, &keys, again).await?;
        let mut rest = batches.into_iter().peekable();
        while rest.peek().is_some() {
            let mut n_bytes = 0;
            let mut round = Vec::new();
            while let Some(located) = rest.next_if(|_| n_bytes < ROUND_BYTES) {
                let range = located.first_range(&self.search);
                n_bytes += u64::from(range.end);
                round.push((Arc::new(located), range));
            }
            self.round(reader, round, &mut gone).await?;
        }
        Ok(gone.into_iter().collect())
    }

    /// Reads and examines batches until nothing more has to be read of them.
    async fn round(
        &self,
        reader: &mut Reader,
        batches: Vec<(Arc<Located>, Range<u32>)>,
        gone: &mut HashSet<SegmentKey>,
    ) -> Result<(), Failure> {
        let (materials, missing) = read::beginnings(reader, &self.progress, batches).await?;
        gone.extend(fresh_keys(&missing));
        {
            let mut seen = lock(&self.seen);
            let fresh = materials.iter().filter(|material| material.located.key.place == Place::Fresh);
            seen.extend(fresh.map(|material| number(&material.located.entry)));
        }
        let mut rest = self.examine(materials).await?;
        while !rest.is_empty() {
            let later = rest.split_off(n_within(&rest, ROUND_BYTES));
            let (materials, missing) = read::more(reader, &self.progress, rest).await?;
            gone.extend(fresh_keys(&missing));
            {
                let mut seen = lock(&self.seen);
                let lost: HashSet<Number> = missing.iter().map(|located| number(&located.entry)).collect();
                seen.retain(|number| !lost.contains(number));
            }
            rest = self.examine(materials).await?;
            rest.extend(later);
        }
        Ok(())
    }

    /// Gathers what matches in batches; returns those of which more has to be read.
    async fn examine(&self, materials: Vec<Material>) -> Result<Vec<(Material, Vec<Range<u32>>)>, Failure> {
        let (found, rest) = read::examined(&self.search, &self.fleet, &self.progress, materials).await?;
        lock(&self.gather).merge(found);
        Ok(rest)
    }

    /// Looks for what has been moved meanwhile where it went.
    async fn follow(&self, reader: &mut Reader, gone: &mut Vec<SegmentKey>) -> Result<(), Failure> {
        // All fresh segments of a minute are merged at once.
        let minute = |key: &SegmentKey| key.received.start_of(crate::store::partitions::MINUTE_US);
        gone.sort_unstable_by_key(minute);
        gone.dedup_by_key(|key| minute(key));
        for key in gone.drain(..) {
            let moved = candidates::moved(reader.conn()?, &self.wanted, key).await?;
            for chunk in moved.chunks(64) {
                self.look_through(reader, chunk, true).await?;
            }
        }
        Ok(())
    }

    /// The batches of segments that may match, and the fresh segments that are gone.
    async fn locate(
        &self,
        reader: &mut Reader,
        keys: &[SegmentKey],
        again: bool,
    ) -> Result<(Vec<Located>, HashSet<SegmentKey>), Failure> {
        let (mut batches, mut gone) = (Vec::new(), HashSet::new());
        let floor = lock(&self.gather).floor();
        let mut mixed = Vec::new();
        for (key, entries) in keys.iter().zip(slices::directories(reader.conn()?, keys).await?) {
            let Some(entries) = entries else {
                gone.extend(Some(*key).filter(|key| key.place == Place::Fresh));
                continue;
            };
            // The terms of an only batch have been looked up with its segment.
            if entries.len() > 1 && !self.wanted.terms.is_empty() {
                mixed.push(*key);
                continue;
            }
            let wanted = entries.into_iter().filter(|entry| self.admits(entry, floor, again));
            batches.extend(wanted.map(|entry| Located { key: *key, entry }));
        }
        for (key, contents) in mixed.iter().zip(slices::contents(reader.conn()?, &mixed).await?) {
            let Some(contents) = contents else {
                gone.extend(Some(*key).filter(|key| key.place == Place::Fresh));
                continue;
            };
            let wanted = contents
                .entries
                .iter()
                .filter(|entry| contents.has(entry, &self.wanted.terms) && self.admits(entry, floor, again));
            batches.extend(wanted.map(|entry| Located { key: *key, entry: entry.clone() }));
        }
        Ok((batches, gone))
    }

    /// Whether a batch may match, by its times, its host, and whether it has been seen.
    fn admits(&self, entry: &Entry, floor: Option<WallTime>, again: bool) -> bool {
        entry.latest >= self.wanted.since
            && entry.earliest <= self.wanted.until
            && floor.is_none_or(|floor| entry.latest.wall() >= floor)
            && self.search.hosts.as_ref().is_none_or(|hosts| hosts.contains(&entry.stream.host))
            && !(again && lock(&self.seen).contains(&number(entry)))
    }

    /// Reads what was found, in its order.
    async fn events(
        &self,
        reader: &mut Reader,
        hits: Vec<(Position, Hit)>,
    ) -> Result<Vec<FlatEvent>, Failure> {
        let mut events = Vec::with_capacity(hits.len());
        for hits in hits.chunks(HITS_AT_ONCE) {
            let mut by_batch: HashMap<(Uuid, u32), Vec<(Position, Hit)>> = HashMap::new();
            for (position, hit) in hits {
                let of = (hit.located.key.id, hit.located.entry.offset);
                by_batch.entry(of).or_default().push((*position, hit.clone()));
            }
            let mut found = BTreeMap::new();
            let mut batches: Vec<_> = by_batch.into_iter().collect();
            batches.sort_unstable_by_key(|(of, _)| *of);
            for part in batches.chunks(64) {
                let located = part.iter().filter_map(|(_, hits)| hits.first());
                let whole =
                    located.map(|(_, hit)| (Arc::clone(&hit.located), 0..hit.located.entry.payload_len));
                let (mut materials, gone) = read::beginnings(reader, &self.progress, whole.collect()).await?;
                for located in gone {
                    if let Some(moved) = self.find_again(reader, &located).await? {
                        let whole = 0..moved.entry.payload_len;
                        materials
                            .extend(read::beginnings(reader, &self.progress, vec![(moved, whole)]).await?.0);
                    }
                }
                let mut hits: HashMap<Number, Vec<(Position, Hit)>> = HashMap::new();
                for (position, hit) in part.iter().flat_map(|(_, hits)| hits) {
                    hits.entry(number(&hit.located.entry)).or_default().push((*position, hit.clone()));
                }
                let pairs = materials.into_iter().map(|material| {
                    let hits = hits.remove(&number(&material.located.entry)).unwrap_or_default();
                    (material, hits)
                });
                found.extend(read::flattened(&self.fleet, pairs.collect()).await?);
            }
            events.extend(found.into_iter().rev().map(|(_, event)| event));
        }
        Ok(events)
    }

    /// Where a batch is that was fresh and has been moved since.
    async fn find_again(
        &self,
        reader: &mut Reader,
        located: &Located,
    ) -> Result<Option<Arc<Located>>, Failure> {
        if located.key.place != Place::Fresh {
            return Ok(None);
        }
        let moved = candidates::moved(reader.conn()?, &self.wanted, located.key).await?;
        let keys: Vec<SegmentKey> = moved.iter().map(|candidate| candidate.key).collect();
        for (key, entries) in keys.iter().zip(slices::directories(reader.conn()?, &keys).await?) {
            let same = entries.into_iter().flatten().find(|entry| number(entry) == number(&located.entry));
            if let Some(entry) = same {
                return Ok(Some(Arc::new(Located { key: *key, entry })));
            }
        }
        Ok(None)
    }
}

fn fresh_keys(missing: &[Arc<Located>]) -> impl Iterator<Item = SegmentKey> {
    missing.iter().map(|located| located.key).filter(|key| key.place == Place::Fresh)
}

/// How many of these to read at once: at least one.
fn n_within(rest: &[(Material, Vec<Range<u32>>)], n_bytes: u64) -> usize {
    let mut sum = 0;
    let fits = |(_, ranges): &&(Material, Vec<Range<u32>>)| {
        sum += ranges.iter().map(|range| u64::from(range.end.saturating_sub(range.start))).sum::<u64>();
        sum <= n_bytes
    };
    rest.iter().take_while(fits).count().max(1).min(rest.len())
}

fn number(entry: &Entry) -> Number {
    (entry.stream, entry.first_seq)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
