//! Where the next batches are: as ingest tells, and as the store says of streams that are behind.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use metrics::counter;
use tracing::warn;
use wire::id::{EventId, HostId, StreamId};

use super::line::Located;
use super::queue::Queue;
use crate::store::candidates::SegmentKey;
use crate::store::exports::find::{self, Found, Page};
use crate::store::exports::{self, Behind};
use crate::store::leases::Share;
use crate::store::{Conn, Group, Stamp, StoreError, slices};

/// So many hosts are looked after at a time, with so many segments of each.
const HOSTS_AT_ONCE: usize = 32;
const SEGMENTS_AT_ONCE: u32 = 8;
const SEGMENTS_TO_THE_END: u32 = 64;
/// So far apart collectors' clocks may be, with the minute that a merged segment holds.
const SLACK_US: i64 = 11 * 60_000_000;
/// For how long it is remembered what is not merged.
const FRESH_AGE: Duration = Duration::from_secs(2);
/// So many streams that are behind are asked for at a time.
const MAX_BEHIND: u32 = 4096;

/// Events that are not in the store any more and were never exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The first of them.
    pub at: EventId,
    /// How many.
    pub n_events: u64,
}

/// Learns what is in segments that were stored just now.
///
/// # Errors
/// When the database fails.
pub(super) async fn told(
    conn: &mut Conn,
    queue: &mut Queue,
    shares: &BTreeSet<Share>,
    keys: &[SegmentKey],
) -> Result<(), StoreError> {
    let found = slices::directories(conn, keys).await?;
    let found = keys.iter().zip(found).filter_map(|(key, entries)| Some((*key, entries?)));
    let ours: Vec<Located> = found
        .flat_map(|(key, entries)| entries.into_iter().map(move |entry| Located { key, entry }))
        .filter(|located| shares.contains(&Share::of(located.entry.stream.host)))
        .collect();
    let mut unknown: Vec<StreamId> =
        ours.iter().map(|located| located.entry.stream).filter(|stream| !queue.knows(*stream)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        for behind in exports::positions(conn, &unknown).await? {
            queue.open(&behind);
        }
    }
    for located in ours {
        queue.learn(located);
    }
    Ok(())
}

/// Compares the watermarks of a share: which streams are stored further than exported. Where to go on, if there are more.
///
/// # Errors
/// When the database fails.
pub(super) async fn compare(
    conn: &mut Conn,
    queue: &mut Queue,
    share: Share,
    after: Option<StreamId>,
    at_once: bool,
) -> Result<Option<StreamId>, StoreError> {
    let buckets: Vec<i16> = share.buckets().collect();
    let found = exports::behind(conn, &buckets, after, MAX_BEHIND).await?;
    for behind in &found {
        queue.open(behind);
        queue.aim(behind.stream, behind.stored, at_once);
    }
    let is_all = found.len() < MAX_BEHIND as usize;
    Ok(found.last().map(|behind: &Behind| behind.stream).filter(|_| !is_all))
}

/// Looks for what nobody told of.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    /// What was not merged yet, a moment ago.
    fresh: Option<(Instant, Vec<Found>)>,
}

/// Streams by host.
type Sought = Vec<(HostId, Vec<StreamId>)>;

impl Seeker {
    /// Looks for what comes next of some streams, and says what is not there any more.
    ///
    /// That is said only of what is in none of the places where it can be, looked into in the order in which batches go
    /// through them: not merged, merged, shed meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn seek(
        &mut self,
        conn: &mut Conn,
        group: Group,
        queue: &mut Queue,
    ) -> Result<Vec<Loss>, StoreError> {
        let hosts: Sought = queue.sought(HOSTS_AT_ONCE).into_iter().collect();
        let all: Vec<StreamId> = hosts.iter().flat_map(|(_, streams)| streams).copied().collect();
        pass_holes(conn, queue, &all).await?;
        let hosts = left(queue, hosts);
        let ended = look(conn, queue, &hosts, 0, SEGMENTS_AT_ONCE).await?;
        let ended = left(queue, ended);
        if ended.is_empty() {
            return Ok(Vec::new());
        }
        let before: Vec<EventId> = ended
            .iter()
            .flat_map(|(_, streams)| streams)
            .filter_map(|stream| Some(queue.line(*stream)?.known(*stream)))
            .collect();
        let is_wide = |at: &EventId| queue.line(at.stream).is_some_and(|line| line.quest().is_wide);
        if before.iter().any(is_wide) {
            self.fresh = None;
        }
        for Found { key, entries } in self.fresh(conn, group).await? {
            for entry in
                entries.iter().filter(|entry| is_sought(queue, entry.stream)).cloned().collect::<Vec<_>>()
            {
                queue.found(Located { key: *key, entry });
            }
        }
        // It may have been merged in between, into rows that bear the time of an earlier batch.
        let mut rest = left(queue, ended);
        let ends = rest.clone();
        let mut back_us = SLACK_US;
        while !rest.is_empty() {
            let ended = look(conn, queue, &rest, back_us, SEGMENTS_TO_THE_END).await?;
            rest.retain(|(host, _)| ended.iter().all(|(other, _)| other != host));
            back_us = 0;
        }
        let streams: Vec<StreamId> = ends.iter().flat_map(|(_, streams)| streams).copied().collect();
        pass_holes(conn, queue, &streams).await?;
        let stuck = before.into_iter().filter(|at| {
            let line = queue.line(at.stream).filter(|line| line.is_sought());
            line.is_some_and(|line| line.known(at.stream) == *at)
        });
        let stuck: Vec<StreamId> = stuck.map(|at| at.stream).collect();
        Ok(stuck.into_iter().filter_map(|stream| give_up(queue, stream)).collect())
    }

    async fn fresh(&mut self, conn: &mut Conn, group: Group) -> Result<&[Found], StoreError> {
        if self.fresh.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH_AGE) {
            self.fresh = Some((Instant::now(), find::fresh(conn, group).await?));
        }
        Ok(self.fresh.as_ref().map(|(_, found)| &found[..]).unwrap_or_default())
    }

    /// Gives back the memory of what was found, if it is old.
    pub(super) fn rest(&mut self) {
        self.fresh.take_if(|(at, _)| at.elapsed() > FRESH_AGE);
    }
}

/// Those of which something has to be looked for still.
fn left(queue: &Queue, mut hosts: Sought) -> Sought {
    hosts.iter_mut().for_each(|(_, streams)| streams.retain(|stream| is_sought(queue, *stream)));
    hosts.retain(|(_, streams)| !streams.is_empty());
    hosts
}

/// Nothing was found where it should be: looks from much earlier on, or says that it is gone.
fn give_up(queue: &mut Queue, stream: StreamId) -> Option<Loss> {
    let lost = queue.change(stream, |line| match line.quest().is_wide {
        false => {
            line.widen();
            None
        }
        true => line.expired(),
    });
    let (seq, n_events) = lost.flatten()?;
    counter!("collector_export_event_expired_total").increment(n_events);
    warn!(
        host.id = %stream.host, %stream, n_events,
        "{n_events} events of {stream} from {seq} on were not exported, and are not in the store any more"
    );
    Some(Loss { at: EventId { stream, seq }, n_events })
}

fn is_sought(queue: &Queue, stream: StreamId) -> bool {
    queue.line(stream).is_some_and(super::line::Line::is_sought)
}

/// Passes what was never stored.
async fn pass_holes(conn: &mut Conn, queue: &mut Queue, streams: &[StreamId]) -> Result<(), StoreError> {
    let mut at: Vec<EventId> =
        streams.iter().filter_map(|stream| Some(queue.line(*stream)?.known(*stream))).collect();
    while !at.is_empty() {
        let holes = find::holes(conn, &at).await?;
        // One behind another.
        at = holes
            .iter()
            .filter_map(|hole| {
                queue.change(hole.at.stream, |line| line.gone(hole.at.seq, hole.n_events));
                Some(queue.line(hole.at.stream)?.known(hole.at.stream))
            })
            .collect();
    }
    Ok(())
}

/// Learns the next segments of these hosts, from `back_us` before where looking stopped; those that have no more.
async fn look(
    conn: &mut Conn,
    queue: &mut Queue,
    hosts: &[(HostId, Vec<StreamId>)],
    back_us: i64,
    limit: u32,
) -> Result<Sought, StoreError> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let page_of = |queue: &Queue, streams: &[StreamId]| {
        let pages = streams.iter().filter_map(|stream| Some(queue.line(*stream)?.quest().page));
        let page = pages.min().unwrap_or(Page::from(Stamp::from_unix_us(0)));
        if back_us == 0 { page } else { Page::from(page.received.plus_us(-back_us)) }
    };
    let pages: Vec<(HostId, Page)> =
        hosts.iter().map(|(host, streams)| (*host, page_of(queue, streams))).collect();
    let found = find::segments(conn, &pages, limit).await?;
    let mut ended = Vec::new();
    for ((host, streams), segments) in hosts.iter().zip(found) {
        let last = segments.last().map(|found| Page { received: found.key.received, id: found.key.id });
        let is_end = segments.len() < limit as usize;
        let entries = segments
            .into_iter()
            .flat_map(|Found { key, entries }| entries.into_iter().map(move |entry| Located { key, entry }));
        let mut entries: Vec<Located> =
            entries.filter(|located| streams.contains(&located.entry.stream)).collect();
        // Commits of different collectors may be in another order than the stream.
        entries.sort_by_key(|located| (located.entry.stream, located.entry.first_seq));
        entries.into_iter().for_each(|located| queue.found(located));
        for stream in streams {
            queue.change(*stream, |line| last.into_iter().for_each(|page| line.looked_upto(page)));
        }
        if is_end {
            ended.push((*host, streams.clone()));
        }
    }
    Ok(ended)
}
