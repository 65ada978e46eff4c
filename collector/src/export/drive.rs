//! One connection to the sink, from its making to its end.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wire::id::{EventId, StreamId};
use wire::predicate::Predicate;

use super::Config;
use super::commit::{self, Notes};
use super::feed::Ear;
use super::flight::Flight;
use super::hosts::Hosts;
use super::late::Strays;
use super::locate::{self, Seeker};
use super::ownership::{Owned, Owner};
use super::queue::{Queue, Room};
use super::report::Report;
use super::round::{self, Refusal, Sink};
use crate::kafka::{self, Failure, Meaning, Producer, Reports};
use crate::store::exports::Advanced;
use crate::store::leases::Share;
use crate::store::{Stamp, StoreError};

/// What outlives a connection.
pub(super) struct Memory {
    ear: Ear,
    queue: Queue,
    notes: Notes,
    hosts: Hosts,
    strays: Strays,
    held: BTreeSet<Share>,
    /// Records that are to be sent alone, by their batch.
    suspects: HashMap<(StreamId, u64), HashSet<u32>>,
}

impl Memory {
    /// Nothing, and an ear for what is stored from now on.
    pub(super) fn new(ear: Ear) -> Self {
        Self {
            ear,
            queue: Queue::default(),
            notes: Notes::default(),
            hosts: Hosts::default(),
            strays: Strays::default(),
            held: BTreeSet::new(),
            suspects: HashMap::new(),
        }
    }
}

/// How a connection ended.
pub(super) enum Ended {
    /// As was asked.
    Stopped,
    /// Something is wrong.
    Failed {
        /// What.
        failure: Failure,
        /// Whether anything was taken before that.
        worked: bool,
    },
}

/// A connection that is to be made.
pub(super) struct Session<'a> {
    config: &'a Config,
    predicate: &'a Arc<Predicate>,
    owner: &'a Owner,
    report: &'a Arc<Report>,
    memory: &'a mut Memory,
}

/// Records on their way at most, and bytes.
const MAX_WAITING: (usize, usize) = (60_000, 48 << 20);
/// How much is read and handed over at a time.
const ROOM: Room = Room { n_events: 8_000, n_bytes: 4 << 20 };
/// How often it is written down how far streams are.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often the watermarks of one share are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// How often all are compared at most, as something was missed.
const MISSED_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked for what is exported beside the streams.
const STRAYS_EVERY: Duration = Duration::from_secs(5);
/// How long nothing is done when there is nothing to do.
const IDLE: Duration = Duration::from_millis(200);
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);
/// How long is waited at the end for what is on its way: while something arrives, and at most.
const LANDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(7));
/// Segments that are learned of at a time.
const KEYS_AT_ONCE: usize = 64;

impl<'a> Session<'a> {
    pub(super) fn new(
        config: &'a Config,
        predicate: &'a Arc<Predicate>,
        owner: &'a Owner,
        report: &'a Arc<Report>,
        memory: &'a mut Memory,
    ) -> Self {
        Self { config, predicate, owner, report, memory }
    }

    /// Connects, and exports until it is stopped or something is wrong.
    pub(super) async fn run(self, shutdown: &CancellationToken) -> Ended {
        let settings = self.config.settings.clone();
        let preparing = tokio::task::spawn_blocking(move || kafka::prepare(&settings));
        let Some(prepared) = shutdown.run_until_cancelled(preparing).await else { return Ended::Stopped };
        let ready = match prepared {
            Ok(Ok(ready)) => ready,
            Ok(Err(failure)) => return Ended::Failed { failure, worked: false },
            Err(_) => return Ended::Failed { failure: broken(), worked: false },
        };
        if !ready.created.is_empty() {
            info!("made the topics {}", ready.created.join(", "));
        }
        let flight = Arc::new(Flight::default());
        let producer = Producer::connect(&self.config.settings, ready.max_bytes, self.reports(&flight));
        let producer = match producer {
            Ok(producer) => producer,
            Err(failure) => return Ended::Failed { failure, worked: false },
        };
        self.report.connected();
        let sink = Arc::new(Sink {
            producer,
            topics: self.config.settings.topics.clone(),
            source: self.config.settings.source.clone(),
            max_bytes: ready.max_bytes,
            predicate: Arc::clone(self.predicate),
            flight: Arc::clone(&flight),
            suspects: self.memory.suspects.clone(),
            stop: AtomicBool::new(false),
        });
        info!(max_bytes = ready.max_bytes, "events go to Kafka at {}", self.config.settings.bootstrap);
        let mut driver = Driver {
            config: self.config,
            report: self.report,
            memory: self.memory,
            owned: self.owner.owned(),
            owner: self.owner,
            sink,
            slots: HashMap::new(),
            seeker: Seeker::default(),
            compare: VecDeque::new(),
            times: Times::new(),
            n_arrived: 0,
            failing: false,
        };
        let ended = driver.drive(shutdown).await;
        driver.end(ended).await
    }

    fn reports(&self, flight: &Arc<Flight>) -> Reports {
        let (delivered, troubled) = (Arc::clone(flight), Arc::clone(flight));
        let (report, clock) = (Arc::clone(self.report), self.config.clock);
        Reports {
            delivered: Box::new(move |number, outcome| delivered.reported(number, outcome)),
            trouble: Box::new(move |failure| match failure.meaning {
                // librdkafka goes on trying.
                Meaning::Passing | Meaning::Refused => report.noted(&failure, clock()),
                Meaning::Setup | Meaning::Broken => troubled.failed(failure),
            }),
        }
    }
}

/// When things were done last.
struct Times {
    committed: Instant,
    compared: Instant,
    missed: Option<Instant>,
    strayed: Option<Instant>,
}

impl Times {
    fn new() -> Self {
        Self { committed: Instant::now(), compared: Instant::now(), missed: None, strayed: None }
    }
}

struct Driver<'a> {
    config: &'a Config,
    report: &'a Report,
    memory: &'a mut Memory,
    owner: &'a Owner,
    owned: tokio::sync::watch::Receiver<Owned>,
    sink: Arc<Sink>,
    /// The batches on their way, by slot.
    slots: HashMap<u32, EventId>,
    seeker: Seeker,
    /// Shares to be compared next: from where on, and whether what is behind is looked for at once.
    compare: VecDeque<(Share, Option<StreamId>, bool)>,
    times: Times,
    n_arrived: u64,
    failing: bool,
}

impl Driver<'_> {
    async fn drive(&mut self, shutdown: &CancellationToken) -> Ended {
        // What was told while there was no connection may have been forgotten.
        self.compare_all(true);
        loop {
            if shutdown.is_cancelled() {
                return Ended::Stopped;
            }
            if let Some(failure) = self.sink.flight.failure() {
                return Ended::Failed { failure, worked: self.n_arrived > 0 };
            }
            let is_busy = match self.turn(shutdown).await {
                Ok(Ok(is_busy)) => {
                    self.failing = false;
                    is_busy
                }
                Ok(Err(failure)) => return Ended::Failed { failure, worked: self.n_arrived > 0 },
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(error = %wire::cause::chain(&error), "the export cannot read the store, trying again");
                    }
                    self.memory.ear.forgot();
                    shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                    true
                }
            };
            if !is_busy {
                self.rest(shutdown).await;
            }
        }
    }

    /// Does a little of everything that is to be done; whether there is more.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<Result<bool, Failure>, StoreError> {
        self.follow_shares();
        self.collect();
        if self.times.committed.elapsed() >= COMMIT_EVERY {
            self.commit().await?;
        }
        let mut is_busy = self.hear().await?;
        is_busy |= self.look().await?;
        if let Err(failure) = self.send_strays(shutdown).await? {
            return Ok(Err(failure));
        }
        match self.send(shutdown).await? {
            Ok(sent) => Ok(Ok(is_busy || sent)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Takes over new shares, and forgets those that are another's.
    fn follow_shares(&mut self) {
        let Owned { held, leaving } = self.owned.borrow_and_update().clone();
        let memory = &mut *self.memory;
        if memory.held != held {
            memory.queue.forget(|share| !held.contains(&share));
            self.compare.retain(|(share, _, _)| held.contains(share));
            for share in held.difference(&memory.held) {
                // It may have been this collector's before: what another has done since is in the store only.
                memory.queue.forget(|other| other == *share);
                self.compare.push_front((*share, None, true));
            }
            memory.held = held;
        }
        if !leaving.is_empty() && memory.queue.has_landed(&leaving) && memory.strays.has_landed() {
            self.owner.landed();
        }
        memory.queue.hold(leaving);
    }

    /// Takes in what was reported.
    fn collect(&mut self) {
        let flight = Arc::clone(&self.sink.flight);
        for finished in flight.take_finished() {
            let memory = &mut *self.memory;
            let at = self.slots.remove(&finished.slot);
            let n_refused = finished.refused.len() as u64;
            if let Some(at) = at {
                memory.suspects.remove(&(at.stream, at.seq));
            }
            let is_stray = memory.strays.arrived(&finished);
            if !is_stray {
                memory.queue.arrived(finished.slot, n_refused);
            }
            for (record, reason) in finished.refused {
                let Some(at) = at else { continue };
                let at = EventId { seq: at.seq.saturating_add(u64::from(record)), ..at };
                memory.notes.refused.push(Refusal { at, topic: topic_of(&reason), n_bytes: 0, reason });
            }
        }
        let n = flight.n_arrived();
        self.report.arrived(n - std::mem::replace(&mut self.n_arrived, n));
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.times.committed = Instant::now();
        let now = (self.config.clock)();
        self.report.measure(self.memory.queue.oldest(), self.sink.flight.waiting(), now);
        let memory = &mut *self.memory;
        let mut conn = self.config.pool.acquire().await?;
        let done = commit::commit(
            &mut conn,
            self.config.run,
            &mut memory.queue,
            &mut memory.notes,
            self.report,
            Stamp::floor(now),
        );
        let done = done.await?;
        memory.strays.commit(&mut conn, self.config.run).await?;
        drop(conn);
        if done == Advanced::Lost {
            // Somebody else has moved a stream on: what is remembered is old.
            memory.queue.forget(|_| true);
            self.compare_all(true);
        }
        self.seeker.rest();
        Ok(())
    }

    /// Learns what was stored just now.
    async fn hear(&mut self) -> Result<bool, StoreError> {
        let keys = self.memory.ear.now(KEYS_AT_ONCE);
        let is_heard = self.told(keys).await?;
        let may_look = self.times.missed.is_none_or(|at| at.elapsed() >= MISSED_EVERY);
        if may_look && self.memory.ear.take_missed() {
            self.times.missed = Some(Instant::now());
            self.compare_all(true);
        }
        Ok(is_heard)
    }

    async fn told(&mut self, keys: Vec<crate::store::candidates::SegmentKey>) -> Result<bool, StoreError> {
        if keys.is_empty() {
            return Ok(false);
        }
        let mut conn = self.config.pool.acquire().await?;
        locate::told(&mut conn, &mut self.memory.queue, &self.memory.held, &keys).await?;
        Ok(true)
    }

    fn compare_all(&mut self, at_once: bool) {
        if at_once {
            self.compare.clear();
        }
        self.compare.extend(self.memory.held.iter().map(|share| (*share, None, at_once)));
    }

    /// Compares watermarks, and looks for what is behind.
    async fn look(&mut self) -> Result<bool, StoreError> {
        let mut is_busy = false;
        if self.compare.is_empty() {
            self.compare_all(false);
        }
        let is_urgent = self.compare.front().is_some_and(|(_, _, at_once)| *at_once);
        if (is_urgent || self.times.compared.elapsed() >= COMPARE_EVERY)
            && !self.memory.queue.is_full()
            && let Some((share, after, at_once)) = self.compare.pop_front()
        {
            self.times.compared = Instant::now();
            let mut conn = self.config.pool.acquire().await?;
            let more = locate::compare(&mut conn, &mut self.memory.queue, share, after, at_once).await?;
            if let Some(after) = more {
                self.compare.push_front((share, Some(after), at_once));
            }
            is_busy |= is_urgent;
        }
        if self.memory.queue.is_sought() && !self.memory.queue.is_full() {
            let mut conn = self.config.pool.acquire().await?;
            let lost = self.seeker.seek(&mut conn, self.config.group, &mut self.memory.queue).await?;
            self.memory.notes.lost.extend(lost);
            is_busy = true;
        }
        Ok(is_busy)
    }

    /// Reads and hands over what comes next, if there is room for it; whether there was something.
    async fn send(&mut self, shutdown: &CancellationToken) -> Result<Result<bool, Failure>, StoreError> {
        let (n_records, n_bytes) = self.sink.flight.waiting();
        if n_records >= MAX_WAITING.0 || n_bytes >= MAX_WAITING.1 || !self.memory.queue.has_items() {
            return Ok(Ok(false));
        }
        let items = self.memory.queue.take(ROOM);
        let firsts: Vec<(StreamId, u64)> = items.iter().map(|(stream, item)| (*stream, item.first)).collect();
        let read = async {
            let mut conn = self.config.pool.acquire().await?;
            let read = round::read(&mut conn, &items).await?;
            drop(conn);
            let wanted = items.iter().map(|(stream, _)| stream.host);
            Ok::<_, StoreError>((read, self.memory.hosts.shown(&self.config.pool, wanted).await?))
        };
        let (read, hosts) = match read.await {
            Ok(read) => read,
            Err(error) => {
                self.reread(firsts);
                return Err(error);
            }
        };
        let sink = Arc::clone(&self.sink);
        let task = tokio::task::spawn_blocking(move || round::hand_over(&sink, &hosts, items, read));
        let Some(mut handed) = self.unless_stopped(task, shutdown).await else { return Ok(Err(broken())) };
        self.slots.extend(handed.slots.drain(..));
        if let Some(failure) = handed.failure {
            return Ok(Err(failure));
        }
        for (stream, flying) in handed.flying {
            self.memory.queue.fly(stream, flying);
        }
        self.memory.notes.refused.extend(handed.refused);
        self.reread(handed.missing);
        Ok(Ok(true))
    }

    /// What was taken of these streams, from there on, was not handed over.
    fn reread(&mut self, firsts: Vec<(StreamId, u64)>) {
        let mut seen = HashSet::new();
        for (stream, first) in firsts.into_iter().filter(|(stream, _)| seen.insert(*stream)) {
            self.memory.queue.change(stream, |line| line.reread(first));
        }
    }

    async fn send_strays(&mut self, shutdown: &CancellationToken) -> Result<Result<(), Failure>, StoreError> {
        if self.times.strayed.is_some_and(|at| at.elapsed() < STRAYS_EVERY) {
            return Ok(Ok(()));
        }
        self.times.strayed = Some(Instant::now());
        let memory = &mut *self.memory;
        let mut conn = self.config.pool.acquire().await?;
        let with_findings = self.config.settings.findings;
        let mut read = memory.strays.read(&mut conn, &memory.held, with_findings).await?;
        drop(conn);
        memory.notes.lost.append(&mut read.lost);
        if read.is_empty() {
            return Ok(Ok(()));
        }
        let hosts = memory.hosts.shown(&self.config.pool, read.hosts()).await?;
        let (sink, mut strays) = (Arc::clone(&self.sink), std::mem::take(&mut memory.strays));
        let task = tokio::task::spawn_blocking(move || {
            let handed = strays.hand_over(&sink, &hosts, read);
            (strays, handed)
        });
        let Some((strays, handed)) = self.unless_stopped(task, shutdown).await else {
            return Ok(Err(broken()));
        };
        self.memory.strays = strays;
        match handed {
            Ok(refused) => {
                self.memory.notes.refused.extend(refused);
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Waits for a thread that hands records over. One that waits for room ends when everything does.
    async fn unless_stopped<T>(
        &self,
        mut task: tokio::task::JoinHandle<T>,
        shutdown: &CancellationToken,
    ) -> Option<T> {
        tokio::select! {
            done = &mut task => return done.ok(),
            () = shutdown.cancelled() => self.sink.stop.store(true, Ordering::Relaxed),
        }
        task.await.ok()
    }

    /// Waits until there is something to do.
    async fn rest(&mut self, shutdown: &CancellationToken) {
        let keys = tokio::select! {
            keys = self.memory.ear.next() => keys,
            () = self.sink.flight.changed.notified() => Vec::new(),
            _ = self.owned.changed() => Vec::new(),
            () = tokio::time::sleep(IDLE) => Vec::new(),
            () = shutdown.cancelled() => Vec::new(),
        };
        if self.told(keys).await.is_err() {
            self.memory.ear.forgot();
        }
    }

    /// Waits for what is on its way if that makes sense, writes down how far streams are, and closes the connection.
    async fn end(mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Stopped) {
            self.land().await;
        }
        if let Ended::Failed { failure: Failure { meaning: Meaning::Refused, .. }, .. } = &ended {
            for (slot, record) in self.sink.flight.suspects() {
                if let Some(at) = self.slots.get(&slot) {
                    let of_batch = self.memory.suspects.entry((at.stream, at.seq)).or_default();
                    of_batch.insert(record);
                }
            }
        }
        // Gives up what is on its way, and is reported of it; so what is not reported then will never be.
        self.sink.stop.store(true, Ordering::Relaxed);
        let purging = Arc::clone(&self.sink);
        drop(tokio::task::spawn_blocking(move || purging.producer.close()).await);
        self.collect();
        self.memory.queue.rewind();
        self.memory.strays.rewind();
        if let Err(error) = self.commit().await {
            warn!(error = %wire::cause::chain(&error), "cannot write down how far events are exported: some will be sent twice");
        }
        ended
    }

    /// Waits for what is on its way, as long as something arrives.
    async fn land(&mut self) {
        let begun = Instant::now();
        let mut last = (Instant::now(), self.n_arrived);
        while self.sink.flight.waiting().0 > 0 && begun.elapsed() < LANDING.1 && last.0.elapsed() < LANDING.0
        {
            drop(tokio::time::timeout(IDLE, self.sink.flight.changed.notified()).await);
            self.collect();
            if last.1 != self.n_arrived {
                last = (Instant::now(), self.n_arrived);
            }
        }
        self.collect();
    }
}

fn broken() -> Failure {
    Failure {
        meaning: Meaning::Broken,
        said: "a thread of the export failed, which is a defect of this version".to_owned(),
    }
}

/// What a refusal says of its topic.
fn topic_of(reason: &str) -> String {
    reason.strip_prefix("topic ").and_then(|rest| rest.split(':').next()).unwrap_or_default().to_owned()
}
