//! What goes on while there is a connection: a little of everything, in turns.
//!
//! | module | holds |
//! |---|---|
//! | `learn` | what comes next, as ingest tells and as the watermarks say |
//! | `send` | reads what comes next and hands it over |
//! | `end` | how a connection ends |

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use wire::id::{EventId, StreamId};

use super::Config;
use super::commit;
use super::locate::Seeker;
use super::ownership::{Owned, Owner};
use super::report::Report;
use super::round::{Refusal, Sink, Subject};
use super::session::{Ended, Memory};
use crate::kafka::Failure;
use crate::store::exports::Advanced;
use crate::store::leases::Share;
use crate::store::{Stamp, StoreError};

mod end;
mod learn;
mod send;

/// How often it is written down how far streams are.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is done when there is nothing to do.
const IDLE: Duration = Duration::from_millis(200);
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

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

/// A connection, and what is known of what goes over it.
pub(super) struct Driver<'a> {
    config: &'a Config,
    report: &'a Report,
    memory: &'a mut Memory,
    owner: &'a Owner,
    owned: tokio::sync::watch::Receiver<Owned>,
    sink: Arc<Sink>,
    /// What is on its way, by slot.
    slots: HashMap<u32, Subject>,
    seeker: Seeker,
    /// Shares to be compared next: from where on, and whether what is behind is looked for at once.
    compare: VecDeque<(Share, Option<StreamId>, bool)>,
    times: Times,
    n_arrived: u64,
    failing: bool,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        config: &'a Config,
        report: &'a Report,
        memory: &'a mut Memory,
        owner: &'a Owner,
        sink: Arc<Sink>,
    ) -> Self {
        Self {
            config,
            report,
            memory,
            owned: owner.owned(),
            owner,
            sink,
            slots: HashMap::new(),
            seeker: Seeker::default(),
            compare: VecDeque::new(),
            times: Times::new(),
            n_arrived: 0,
            failing: false,
        }
    }

    /// Exports until it is stopped or something is wrong.
    pub(super) async fn drive(&mut self, shutdown: &CancellationToken) -> Ended {
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
            let subject = self.slots.remove(&finished.slot);
            if let Some(subject) = subject {
                memory.doubts.remove(&subject);
            }
            let is_stray = memory.strays.arrived(&finished);
            if !is_stray {
                memory.queue.arrived(finished.slot, finished.refused.len() as u64);
            }
            for (record, reason) in finished.refused {
                let Some(Subject::Batch(at)) = subject else { continue };
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
        memory.strays.commit(&mut conn, self.config.run, self.report, Stamp::floor(now)).await?;
        drop(conn);
        if done == Advanced::Lost {
            // Somebody else has moved a stream on: what is remembered is old.
            memory.queue.forget(|_| true);
            self.compare_all(true);
        }
        self.seeker.rest();
        Ok(())
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
}

/// What a refusal says of its topic.
fn topic_of(reason: &str) -> String {
    reason.strip_prefix("topic ").and_then(|rest| rest.split(':').next()).unwrap_or_default().to_owned()
}
