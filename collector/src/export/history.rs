//! Replays what is stored, the oldest first, as records: for `vedette export`.
//!
//! Time is walked through in stretches. A stretch holds the events whose indexed time lies in it, whatever batch they came
//! with; so when one is handed out whole, whoever reads can go on behind it, now or after a year. Within a stretch each
//! stream is in its order.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use wire::batch::{Batch, BatchError};
use wire::time::{BootTime, WallTime, indexed_time};

use super::hosts::{Hosts, Shown};
use super::line::Located;
use crate::record::{ExportRecord, Format, Group, Renderer};
use crate::search::{Engine, Failure, Search};
use crate::store::candidates::{self, Candidate, PageEnd};
use crate::store::reader::Reader;
use crate::store::{Group as Buckets, Pool, Stamp, slices};

/// What is replayed, and as what.
pub struct History {
    /// The store.
    pub pool: Pool,
    /// Its connections for long reads.
    pub engine: Arc<Engine>,
    /// What is asked for, and from when to when.
    pub search: Search,
    /// The schema of each group's records.
    pub format: Arc<dyn Fn(Group) -> Format + Send + Sync>,
}

/// What is handed out.
#[derive(Debug)]
pub enum Step {
    /// Records, in the order of each stream.
    Records(Vec<ExportRecord>),
    /// All up to here (inclusive) were handed out.
    Upto(WallTime),
}

/// Stretches are so long at first, at least and at most.
const STRETCH_NS: (i64, i64, i64) = (60_000_000_000, 1_000_000_000, 86_400_000_000_000);
/// A stretch with fewer events is followed by a longer one, one with more is cut.
const EVENTS: (u64, u64) = (5_000, 100_000);
/// Segments whose directories are read at a time.
const SEGMENTS_AT_ONCE: usize = 64;
/// So many keys are asked for at a time.
const PAGE: u32 = 2_000;
/// How many bytes of batches are read at a time.
const ROUND_BYTES: u64 = 4 << 20;

impl History {
    /// Hands out everything, until nobody takes it any more.
    ///
    /// # Errors
    /// When the database fails, or a stored batch is damaged in a way that this version does not know.
    pub async fn replay(self, out: mpsc::Sender<Step>) -> Result<(), Failure> {
        let (mut from, end) = self.search.range();
        let mut width = STRETCH_NS.0;
        let mut hosts = Hosts::default();
        while from <= end {
            let upto = from.saturating_add_ns(width - 1).min(end);
            let mut reader = self.engine.readers().open().await?;
            let found = self.candidates(&mut reader, from, upto).await?;
            let n_events: u64 = found.iter().map(|candidate| u64::from(candidate.n_events)).sum();
            if n_events > EVENTS.1 && width > STRETCH_NS.1 {
                reader.close();
                width = (width / 4).max(STRETCH_NS.1);
                continue;
            }
            let batches = self.batches(&mut reader, &found, from, upto).await?;
            let mut rest = batches.into_iter().peekable();
            while rest.peek().is_some() {
                let mut n_bytes = 0;
                let mut round = Vec::new();
                while let Some(located) = rest.next_if(|_| n_bytes < ROUND_BYTES) {
                    n_bytes += u64::from(located.entry.payload_len);
                    round.push(located);
                }
                let wanted: Vec<_> =
                    round.iter().map(|located| (located.key, located.entry.range())).collect();
                let bytes = slices::slices(reader.conn()?, &wanted).await?;
                let of = round.iter().map(|located| located.entry.stream.host);
                let shown = hosts.shown(&self.pool, of).await?;
                let made = self.records(round, bytes, shown, (from, upto)).await?;
                if !made.is_empty() && out.send(Step::Records(made)).await.is_err() {
                    return Ok(());
                }
            }
            reader.close();
            if out.send(Step::Upto(upto)).await.is_err() {
                return Ok(());
            }
            if n_events < EVENTS.0 {
                width = width.saturating_mul(2).min(STRETCH_NS.2);
            }
            let next = upto.saturating_add_ns(1);
            if next <= upto {
                break;
            }
            from = next;
        }
        Ok(())
    }

    /// The segments that may hold something of a stretch.
    async fn candidates(
        &self,
        reader: &mut Reader,
        from: WallTime,
        upto: WallTime,
    ) -> Result<Vec<Candidate>, Failure> {
        let wanted = self.search.part(from, upto);
        let (horizon, mut found) = candidates::fresh(reader.conn()?, Buckets::WHOLE, &wanted).await?;
        let mut after: Option<PageEnd> = None;
        loop {
            let page = candidates::merged(reader.conn()?, &wanted, horizon, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.into());
            found.extend(page);
        }
    }

    /// The batches of these segments that may hold something, stream by stream in their order.
    async fn batches(
        &self,
        reader: &mut Reader,
        found: &[Candidate],
        from: WallTime,
        upto: WallTime,
    ) -> Result<Vec<Located>, Failure> {
        let wanted = self.search.part(from, upto);
        let (from, upto) = (Stamp::floor(from), Stamp::ceil(upto));
        let mut batches = Vec::new();
        for chunk in found.chunks(SEGMENTS_AT_ONCE) {
            let keys: Vec<_> = chunk.iter().map(|candidate| candidate.key).collect();
            let contents = slices::contents(reader.conn()?, &keys).await?;
            for (key, contents) in keys.into_iter().zip(contents) {
                let Some(contents) = contents else { continue };
                for entry in &contents.entries {
                    let host = entry.stream.host;
                    let is_wanted = entry.latest >= from
                        && entry.earliest <= upto
                        && wanted.hosts.as_ref().is_none_or(|hosts| hosts.contains(&host))
                        && contents.has(entry, &wanted.terms);
                    if is_wanted {
                        let mut entry = entry.clone();
                        entry.terms = Vec::new();
                        batches.push(Located { key, entry });
                    }
                }
            }
        }
        batches.sort_by_key(|located| (located.entry.stream, located.entry.first_seq));
        Ok(batches)
    }

    async fn records(
        &self,
        round: Vec<Located>,
        bytes: Vec<Option<Bytes>>,
        hosts: Shown,
        range: (WallTime, WallTime),
    ) -> Result<Vec<ExportRecord>, Failure> {
        let (search, format) = (self.search.clone(), Arc::clone(&self.format));
        let made = tokio::task::spawn_blocking(move || {
            let mut made = Vec::new();
            for (located, bytes) in round.into_iter().zip(bytes) {
                let Some(bytes) = bytes else { continue };
                let stream = located.entry.stream;
                if let Err(error) = of_batch(&search, &*format, &located, bytes, &hosts, range, &mut made) {
                    tracing::error!(%stream, %error, "a stored batch of {stream} does not decode: {error}");
                }
            }
            made
        });
        Ok(made.await?)
    }
}

fn of_batch(
    search: &Search,
    format: &(dyn Fn(Group) -> Format + Send + Sync),
    located: &Located,
    bytes: Bytes,
    hosts: &Shown,
    (from, upto): (WallTime, WallTime),
    made: &mut Vec<ExportRecord>,
) -> Result<(), BatchError> {
    let entry = &located.entry;
    let batch = Batch::from_parts(&entry.head.bytes(), entry.payload_len, vec![(0, bytes)])?;
    let (outer, facts) = hosts.outer(entry.stream.host, entry.received.wall());
    let (times, clock) = (batch.times()?, batch.header().clock);
    let mut renderers: Vec<(Format, Renderer<'_>)> = Vec::new();
    for event in search.predicate().select(&batch, &outer)? {
        let at = BootTime::from_ns(times.get(event as usize).copied().unwrap_or_default());
        let time = indexed_time(clock.timestamp(at), outer.received);
        if time < from || time > upto {
            continue;
        }
        let group = batch.events()?.locate(event).and_then(|(group, _)| batch.groups().nth(group));
        let wanted = format(group.map_or(Group::Other, |group| Group::of(group.kind())));
        if !renderers.iter().any(|(known, _)| *known == wanted) {
            renderers.push((wanted, Renderer::new(wanted, &batch, &outer, &facts)));
        }
        for (_, renderer) in renderers.iter_mut().filter(|(known, _)| *known == wanted) {
            made.extend(renderer.event(event)?);
        }
    }
    Ok(())
}
