//! Storing groups, one transaction each.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use metrics::counter;
use tokio::sync::mpsc;
use tracing::{error, info, warn};
use wire::id::{HostId, StreamId};

use super::answer::{count, outcome};
use super::gather::GROUP_BYTES;
use super::parcel::{Content, Parcel};
use super::plan::{Track, Verdict, decide};
use super::rows::KnownPaths;
use super::work::Work;
use super::{Committed, Config};
use crate::listener::Outcome;
use crate::listener::noise::Noise;
use crate::store::streams::{self, Position};
use crate::store::{self, Begin as _, Fault, Stamp, StoreError, executables, findings, partitions};

/// What one transaction takes at most.
const COMMIT_BYTES: usize = 16 * GROUP_BYTES as usize;
/// How often a group is tried that another collector or the merger got in the way of.
const ATTEMPTS: u32 = 4;
/// Longer than the server lets a statement run: then the connection itself is dead.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the connection's buffers are given back.
const SHRINK_EVERY: Duration = Duration::from_secs(1);
/// How many streams are remembered.
const MAX_TRACKS: usize = 1 << 18;

/// Stores groups one after the other, with a connection of its own.
pub(super) struct Committer {
    config: Config,
    conn: Option<store::Conn>,
    tracks: HashMap<StreamId, Track>,
    paths: KnownPaths,
    /// What is stored is stored under this time or later.
    not_before: Stamp,
    /// What one transaction takes at most now: less after one that took too long.
    most_bytes: usize,
    /// While the database is away: until when it is not asked again, and how long that was.
    away: Option<(Instant, Duration)>,
    noise: Noise,
    /// When the connection's buffers were last given back.
    shrunk: Instant,
}

impl Committer {
    pub(super) fn new(config: Config) -> Self {
        let not_before = Stamp::from_unix_us(i64::MIN);
        Self {
            config,
            conn: None,
            tracks: HashMap::new(),
            paths: KnownPaths::default(),
            not_before,
            most_bytes: COMMIT_BYTES,
            away: None,
            noise: Noise::default(),
            shrunk: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut groups: mpsc::Receiver<Vec<Parcel>>) {
        while let Some(mut group) = groups.recv().await {
            let mut n_bytes: usize = group.iter().map(Parcel::n_bytes).sum();
            while n_bytes < self.most_bytes {
                let Ok(more) = groups.try_recv() else { break };
                n_bytes += more.iter().map(Parcel::n_bytes).sum::<usize>();
                group.extend(more);
            }
            self.take(group).await;
        }
    }

    /// Stores a group and answers every parcel of it.
    async fn take(&mut self, mut group: Vec<Parcel>) {
        if let Some((until, _)) = self.away {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return retry_later(&mut group, left);
            }
        }
        match self.try_hard(&mut group).await {
            Ok(()) => {}
            Err(e) if e.fault() == Fault::Data && group.len() > 1 => self.one_by_one(group).await,
            Err(e) if e.fault() == Fault::Data => self.refuse(group, &e).await,
            Err(e) => self.give_up(&mut group, &e),
        }
    }

    /// After a data error: the culprit is found by storing each alone.
    async fn one_by_one(&mut self, group: Vec<Parcel>) {
        warn!(n_batches = group.len(), "a group cannot be stored as one, storing its batches one by one");
        for parcel in group {
            let mut alone = vec![parcel];
            match self.try_hard(&mut alone).await {
                Ok(()) => {}
                Err(e) if e.fault() == Fault::Data => self.refuse(alone, &e).await,
                Err(e) => self.give_up(&mut alone, &e),
            }
        }
    }

    /// Quarantines what cannot be stored even alone.
    async fn refuse(&mut self, mut alone: Vec<Parcel>, why: &StoreError) {
        alone.iter_mut().for_each(|parcel| parcel.refuse(wire::cause::chain(why)));
        if let Err(e) = self.try_hard(&mut alone).await {
            self.give_up(&mut alone, &e);
        }
    }

    /// Answers "try again later", and leaves the database alone for a while.
    fn give_up(&mut self, group: &mut [Parcel], why: &StoreError) {
        const FIRST: Duration = Duration::from_millis(250);
        const LONGEST: Duration = Duration::from_secs(5);
        self.conn = None;
        self.tracks.clear();
        if why.is_slowness() {
            self.most_bytes = (self.most_bytes / 2).max(GROUP_BYTES as usize);
        }
        // A server that took over from another may not have the last of them.
        self.paths = KnownPaths::default();
        let pause = self.away.map_or(FIRST, |(_, last)| (last * 2).min(LONGEST));
        if self.away.is_none() {
            let (error, n) = (wire::cause::chain(why), group.len());
            match why.fault() {
                Fault::Bug => error!(%error, n_batches = n, "cannot store, sensors keep what they have"),
                _ => warn!(%error, n_batches = n, "the database is away, sensors keep what they have"),
            }
        }
        self.away = Some((Instant::now() + pause, pause));
        counter!("collector_batch_deferred_total").increment(group.len() as u64);
        retry_later(group, pause);
    }

    /// Stores and answers a group, again where someone else was in the way.
    async fn try_hard(&mut self, group: &mut [Parcel]) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            let storing = AssertUnwindSafe(self.store(group)).catch_unwind();
            let done = match tokio::time::timeout(PATIENCE, storing).await {
                Ok(Ok(done)) => done,
                // Nothing is remembered of it: the connection and the tracks go below.
                Ok(Err(_)) => Err(StoreError::Panicked),
                Err(_) => Err(StoreError::timed_out()),
            };
            let e = match done {
                Ok(outcomes) => {
                    if self.away.take().is_some() {
                        info!("the database is back");
                    }
                    self.most_bytes = (self.most_bytes * 2).min(COMMIT_BYTES);
                    self.answer(group, outcomes);
                    return Ok(());
                }
                Err(e) => e,
            };
            self.tracks.clear();
            if let StoreError::Merged { merged_upto, .. } = e {
                self.not_before = merged_upto;
            }
            // Whatever was begun on this connection goes with it.
            self.conn = None;
            let again = match e.fault() {
                Fault::NoPartition => {
                    let now = self.now();
                    partitions::ensure_ahead(self.connection().await?, now).await?;
                    true
                }
                Fault::Transient => e.is_contention(),
                Fault::Data | Fault::Bug => false,
            };
            if !again || attempt >= ATTEMPTS {
                return Err(e);
            }
            attempt += 1;
        }
    }

    fn answer(&self, group: &mut [Parcel], outcomes: Vec<Outcome>) {
        for (parcel, outcome) in group.iter_mut().zip(outcomes) {
            count(parcel, &outcome, &self.noise);
            if let (Outcome::Stored { .. }, Content::Batch(sealed, _)) = (&outcome, &parcel.content)
                && self.config.committed.receiver_count() > 0
            {
                // Nobody listens any more: just as well.
                let _ = self.config.committed.send(Arc::new(Committed {
                    stream: parcel.stream,
                    host_name: parcel.host_name.clone(),
                    received: parcel.received,
                    sealed: sealed.clone(),
                }));
            }
            parcel.answer(outcome);
        }
    }

    /// One attempt: one transaction. Nothing is remembered before the commit.
    async fn store(&mut self, group: &[Parcel]) -> Result<Vec<Outcome>, StoreError> {
        let now = self.now();
        let given: Vec<_> = group.iter().map(Parcel::given).collect();
        let (mut before, asked) = self.tracks_of(group, now).await?;
        let mut after = before.clone();
        let mut verdicts = decide(&mut after, &given);
        if !asked && verdicts.contains(&Verdict::Gap) {
            // Another collector may have stored what lies between: what is remembered here is old.
            for (parcel, _) in group.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Gap) {
                self.tracks.remove(&parcel.stream);
            }
            (before, _) = self.tracks_of(group, now).await?;
            after = before.clone();
            verdicts = decide(&mut after, &given);
        }
        let work = Work::new(group, &verdicts, &before, &after);
        if !work.is_empty() {
            self.add_paths(&work, now).await?;
            let group = self.config.group;
            let announce = self.config.tails.are_elsewhere().then_some(self.config.run);
            let keys = work.write(self.connection().await?, group, now, announce).await?;
            self.config.feed.stored(&keys);
            self.shrink().await?;
        }
        if self.tracks.len() > MAX_TRACKS {
            self.tracks.clear();
        }
        self.tracks.extend(after);
        Ok(group.iter().zip(&verdicts).map(|(parcel, verdict)| outcome(parcel, *verdict)).collect())
    }

    /// Now and then gives back what the connection's buffers have grown to: one large batch would be kept for ever.
    async fn shrink(&mut self) -> Result<(), StoreError> {
        if self.shrunk.elapsed() >= SHRINK_EVERY {
            self.shrunk = Instant::now();
            self.connection().await?.shrink_buffers();
        }
        Ok(())
    }

    /// Where the group's streams stand, asking for those that are not remembered; whether any was asked for.
    async fn tracks_of(
        &mut self,
        group: &[Parcel],
        now: Stamp,
    ) -> Result<(HashMap<StreamId, Track>, bool), StoreError> {
        let mut tracks = HashMap::new();
        let mut unknown = Vec::new();
        for stream in group.iter().map(|parcel| parcel.stream) {
            match self.tracks.get(&stream) {
                Some(track) => drop(tracks.insert(stream, track.clone())),
                None => unknown.push(stream),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok((tracks, false));
        }
        let conn = self.connection().await?;
        let mut found = streams::positions(conn, &unknown).await?;
        if found.len() < unknown.len() {
            let known: std::collections::HashSet<StreamId> = found.iter().map(|(s, _)| *s).collect();
            let new: Vec<StreamId> = unknown.iter().copied().filter(|s| !known.contains(s)).collect();
            streams::create(conn, &new, now).await?;
            let strangers = streams::owned_by_others(conn, &new).await?;
            found.extend(new.into_iter().map(|stream| (stream, Position::START)));
            self.tell_of_strangers(&strangers, now).await?;
        }
        tracks.extend(found.into_iter().map(|(stream, at)| (stream, Track::new(at))));
        Ok((tracks, true))
    }

    /// Tells of streams that begin under an epoch of another host, the second of each pair.
    async fn tell_of_strangers(
        &mut self,
        strangers: &[(StreamId, HostId)],
        now: Stamp,
    ) -> Result<(), StoreError> {
        for (stream, owner) in strangers {
            counter!("collector_finding_total", "finding" => "impersonation").increment(1);
            if let Some(n_suppressed) = self.noise.may_log(Instant::now()) {
                warn!(host.id = %stream.host, %owner, n_suppressed, "a host sends under another host's epoch");
            }
            let found = findings::Found {
                host: stream.host,
                kind: findings::Kind::Impersonation,
                about: stream.epoch.to_string(),
                at: now,
                evidence: serde_json::json!({ "epoch_of": owner.to_string() }),
            };
            findings::add(self.connection().await?, &found).await?;
        }
        Ok(())
    }

    /// Adds the paths that the rows name by hash, before the transaction: one row too many does no harm.
    async fn add_paths(&mut self, work: &Work<'_>, now: Stamp) -> Result<(), StoreError> {
        self.paths.at(now);
        let paths = work.members().flat_map(|member| {
            let of_batch = member.admitted.rows.executables.iter();
            of_batch.map(|(hash, path)| (member.stream.host, *hash, &path[..]))
        });
        let new = self.paths.wanted(paths);
        if new.is_empty() {
            return Ok(());
        }
        let paths = new.iter().map(|(_, hash, path)| (*hash, *path)).collect();
        executables::add(self.connection().await?, now, paths).await?;
        new.into_iter().for_each(|(host, hash, _)| self.paths.added(host, hash));
        Ok(())
    }

    async fn connection(&mut self) -> Result<&mut store::Conn, StoreError> {
        match &mut self.conn {
            Some(conn) => Ok(conn),
            none => Ok(none.insert(store::ingest_connection(&self.config.pool).await?)),
        }
    }

    fn now(&self) -> Stamp {
        Stamp::floor((self.config.clock)()).max(self.not_before)
    }
}

fn retry_later(group: &mut [Parcel], after: Duration) {
    group.iter_mut().for_each(|parcel| parcel.answer(Outcome::Retry { after }));
}
