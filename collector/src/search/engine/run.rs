//! One search, from its first statement to its answer.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use wire::id::StreamId;

use super::super::examine::{Located, Material};
use super::super::frontier::{Frontier, Pages};
use super::super::gather::{Gather, Hit};
use super::super::{Fleet, Position, Search};
use super::{Answer, Engine, Failure, Outcome, Progress, read};
use crate::store::Group;
use crate::store::candidates::{self, Candidate, Horizon, Place, SegmentKey, Wanted};
use crate::store::directory::Entry;
use crate::store::reader::{Reader, Readers};
use answer::Kept;

mod answer;
mod locate;

/// What one round of reading brings at most, unless a single batch is larger: what stays in the processor's memory.
const ROUND_BYTES: u64 = 2 << 20;
/// So many segments are read at once, each with up to [`super::super::examine::MEDIUM_BYTES`].
const SEGMENTS_AT_ONCE: usize = 96;
/// Batches that are no more than this together are read whole: events found in them need not be fetched again.
const WHOLE_BYTES: u64 = 512 << 10;

/// A batch's place in its stream: what tells a batch that was moved from one that was not seen.
type Number = (StreamId, u64);

/// A search under way; its workers share it.
pub(super) struct Run {
    search: Arc<Search>,
    fleet: Arc<Fleet>,
    progress: Arc<Progress>,
    readers: Arc<Readers>,
    n_workers: usize,
    wanted: Wanted,
    frontier: tokio::sync::Mutex<Frontier>,
    gather: Mutex<Gather>,
    /// Batches that were fresh and have been looked through.
    seen: Mutex<HashSet<Number>>,
    /// Batches in which something was found.
    kept: Mutex<Kept>,
    /// The last event that was handed out already.
    handed: tokio::sync::Mutex<Option<Position>>,
}

impl Run {
    pub(super) fn new(
        engine: &Engine,
        search: Arc<Search>,
        fleet: Arc<Fleet>,
        progress: Arc<Progress>,
    ) -> Arc<Self> {
        let (wanted, gather) = (search.wanted(), Mutex::new(Gather::new(&search)));
        let (readers, n_workers) = (Arc::clone(&engine.readers), engine.n_workers);
        Arc::new(Self {
            search,
            fleet,
            progress,
            readers,
            n_workers,
            wanted,
            frontier: tokio::sync::Mutex::default(),
            gather,
            seen: Mutex::default(),
            kept: Mutex::default(),
            handed: tokio::sync::Mutex::default(),
        })
    }

    pub(super) async fn finish(self: Arc<Self>) -> Result<Outcome, Failure> {
        let mut reader = self.readers.open().await?;
        if self.search.hosts.as_ref().is_none_or(|hosts| !hosts.is_empty()) {
            let (horizon, fresh) = candidates::fresh(reader.conn()?, Group::WHOLE, &self.wanted).await?;
            let by_term = candidates::is_by_term(&self.wanted);
            let pages = if by_term { Pages::Alike } else { Pages::ByLength };
            *self.frontier.lock().await = Frontier::new(fresh, pages);
            if self.step(&mut reader, horizon).await? && !self.frontier.lock().await.is_done() {
                // Dropped with this future, they are aborted.
                let mut others = JoinSet::new();
                for _ in 1..self.n_workers {
                    others.spawn(Arc::clone(&self).another(horizon));
                }
                self.work(&mut reader, horizon).await?;
                while let Some(other) = others.join_next().await {
                    other??;
                }
            }
        }
        let gather = std::mem::replace(&mut *lock(&self.gather), Gather::new(&self.search));
        let (answer, cursor) = match gather {
            Gather::Events(newest) => {
                let is_full = newest.len() == self.search.limit;
                let hits: Vec<(Position, Hit)> = newest.into_items().collect();
                let last = hits.last().map(|(position, _)| *position).filter(|_| is_full);
                let handed = *self.handed.lock().await;
                let rest = hits.into_iter().filter(|(position, _)| handed.is_none_or(|h| *position < h));
                (
                    Answer::Events(self.events(&mut reader, rest.collect()).await?),
                    last.map(|last| self.search.cursor(last)),
                )
            }
            Gather::Histogram { scale, counts } => (Answer::Histogram(scale.buckets(&counts)), None),
            Gather::Top(counts) => (Answer::Top(counts.finish(self.search.limit)), None),
            Gather::Survey(survey) => {
                let (hits, survey) = survey.finish();
                (Answer::Survey(Box::new(survey(self.events(&mut reader, hits).await?))), None)
            }
        };
        reader.close();
        Ok(Outcome { answer, cursor, stats: self.progress.stats() })
    }

    async fn another(self: Arc<Self>, horizon: Horizon) -> Result<(), Failure> {
        let mut reader = self.readers.open().await?;
        self.work(&mut reader, horizon).await?;
        reader.close();
        Ok(())
    }

    async fn work(&self, reader: &mut Reader, horizon: Horizon) -> Result<(), Failure> {
        while self.step(reader, horizon).await? {}
        Ok(())
    }

    /// Looks through the next segments; false when there are none.
    async fn step(&self, reader: &mut Reader, horizon: Horizon) -> Result<bool, Failure> {
        let chunk = {
            let mut frontier = self.frontier.lock().await;
            loop {
                let floor = lock(&self.gather).floor();
                let chunk = frontier.next(floor);
                let Some((after, size)) = frontier.wanted_page().filter(|_| chunk.is_empty()) else {
                    break chunk;
                };
                frontier
                    .add_page(candidates::merged(reader.conn()?, &self.wanted, horizon, after, size).await?);
            }
        };
        let Some(oldest) = chunk.last().map(|candidate| candidate.key.latest.wall().unix_ns()) else {
            return Ok(false);
        };
        let mut gone = self.look_through(reader, &chunk, false).await?;
        self.follow(reader, &mut gone).await?;
        self.hand_out(reader, &chunk).await?;
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
        let mut gone = HashSet::new();
        for chunk in chunk.chunks(SEGMENTS_AT_ONCE) {
            let keys: Vec<SegmentKey> = chunk.iter().map(|candidate| candidate.key).collect();
            let found = self.locate(reader, &keys, again).await?;
            gone.extend(found.gone);
            let (materials, rest) = read::at_hand(&self.progress, found.batches, &found.payloads);
            self.examine_on(reader, materials, &mut gone).await?;
            self.read_on(reader, rest, &mut gone).await?;
        }
        Ok(gone.into_iter().collect())
    }

    /// Reads batches and looks through them.
    async fn read_on(
        &self,
        reader: &mut Reader,
        batches: Vec<Located>,
        gone: &mut HashSet<SegmentKey>,
    ) -> Result<(), Failure> {
        let is_listed = matches!(*lock(&self.gather), Gather::Events(_));
        let all: u64 = batches.iter().map(|located| u64::from(located.entry.payload_len)).sum();
        let mut rest = batches.into_iter().peekable();
        while rest.peek().is_some() {
            let mut n_bytes = 0;
            let mut round = Vec::new();
            while let Some(located) = rest.next_if(|_| n_bytes < ROUND_BYTES) {
                let range = match is_listed && all <= WHOLE_BYTES {
                    true => 0..located.entry.payload_len,
                    false => located.first_range(&self.search),
                };
                n_bytes += u64::from(range.end);
                round.push((Arc::new(located), range));
            }
            let (materials, missing) = read::beginnings(reader, &self.progress, round).await?;
            gone.extend(fresh_keys(&missing));
            {
                let mut seen = lock(&self.seen);
                let fresh = materials.iter().filter(|material| material.located.key.place == Place::Fresh);
                seen.extend(fresh.map(|material| number(&material.located.entry)));
            }
            self.examine_on(reader, materials, gone).await?;
        }
        Ok(())
    }

    /// Looks through batches until nothing more has to be read of them.
    async fn examine_on(
        &self,
        reader: &mut Reader,
        materials: Vec<Material>,
        gone: &mut HashSet<SegmentKey>,
    ) -> Result<(), Failure> {
        if materials.is_empty() {
            return Ok(());
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
        let read::Examination { gather, whole, rest } =
            read::examined(&self.search, &self.fleet, &self.progress, materials).await?;
        lock(&self.kept).add(whole);
        lock(&self.gather).merge(gather);
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
