//! Sealed batches, kept until the collector has them.
//!
//! The outbox knows every stream's unacknowledged batches in order. Their bytes are files
//! ([`crate::spool`]), so a crash of the sensor loses none of them; here is only where each is. While no
//! collector takes them they go from memory to disk, where a power cut does not reach them ([`when`] says
//! when, [`keeper`] how). When there is no room, the oldest batches of the bulk lane are shed first and
//! those of the critical lane last; a tombstone stays where they were.
//!
//! One producer seals and appends; one uplink reads and acknowledges; one thread works on the disk
//! ([`DiskThread`]).

mod cache;
mod index;
mod job;
mod keeper;
mod merge;
mod slot;
mod take_up;
mod thread;
mod when;

pub use job::{Done, Job};
pub use take_up::{DiskConfig, Doubt, OutboxConfig};
pub use thread::DiskThread;
pub use when::most_on_disk;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::sync::Notify;
use tracing::{error, warn};
use wire::batch::Digest;
use wire::frame::data::Batch;
use wire::frame::sensor::Held;
use wire::id::{Epoch, Lane};
use wire::time::BootTime;

use self::index::Index;
use self::keeper::Keeper;
use self::slot::{Place, Slot};
use crate::clock::Reading;
use crate::spool::{ItemError, Parcel, Run, Spool, StreamKey};

/// Sealed batches, in order, until they are acknowledged. Shared by the sealer and the uplink.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    changed: Notify,
    /// There may be something to do on disk.
    work: Condvar,
    rotate: AtomicBool,
    doubts: Vec<Doubt>,
    positions: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Inner {
    index: Index,
    spool: Arc<Spool>,
    max_memory_bytes: u64,
    /// None: there is no spool on disk.
    keeper: Option<Keeper>,
    /// Why there is none, though there should be one.
    no_disk: Option<String>,
    in_doubt: Vec<Epoch>,
    n_acknowledged: u64,
    /// Whether there is something to do on disk that does not wait.
    is_urgent: bool,
    totals: [Totals; 2],
}

/// What happened to sealed events since the sensor started, in one lane, all epochs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Events that were shed for want of room, or whose file was damaged.
    pub shed: u64,
    /// Events that a collector rejected.
    pub rejected: u64,
}

/// What an outbox holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// The live epoch; `None` before the first [`Outbox::begin`].
    pub live: Option<Epoch>,
    /// The live epoch's lanes first, even if empty, then older streams, oldest first.
    pub streams: Vec<Held>,
    /// Epochs whose end is not known, as a power cut took it: a collector may have more of them than is held.
    pub in_doubt: Vec<Epoch>,
}

/// Stands for a digest that is not known: no chain comes to it.
pub(crate) const UNKNOWN: Digest = Digest([0xff; 32]);

/// Why a batch could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It does not begin where the stream ends.
    #[error("batch of {lane} begins at {found}, expected {expected}")]
    NotNext {
        /// The lane.
        lane: Lane,
        /// Where it begins.
        found: u64,
        /// Where the stream ends.
        expected: u64,
    },
}

impl Outbox {
    /// Begins a new epoch, live from now on; what is left of the one before is drained behind it.
    pub fn begin(&self, epoch: Epoch) {
        let mut inner = self.lock();
        for stream in inner.index.begin(epoch) {
            inner.forget(stream);
        }
        drop(inner);
        self.rotate.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Keeps a sealed batch of the live epoch. When there is no room, older ones are shed for it; when
    /// it cannot be written, it is shed itself.
    ///
    /// # Errors
    /// When its numbers do not follow the stream's last ones: a bug of the caller, nothing is kept.
    pub fn append(&self, epoch: Epoch, lane: Lane, batch: Batch) -> Result<(), AppendError> {
        let stream = StreamKey { epoch, lane };
        let mut inner = self.lock();
        let expected = inner.index.end(stream);
        if batch.first_seq != expected {
            return Err(AppendError::NotNext { lane, found: batch.first_seq, expected });
        }
        let run = Run { first: batch.first_seq, end: batch.end() };
        let n_bytes = batch.credit_bytes();
        match inner.spool.write(stream, &Parcel::Batch(batch)) {
            Ok(()) => inner.index.push(stream, Slot::batch(run, n_bytes)),
            Err(e) => {
                let n_events = run.n_events();
                error!(error = %e, %lane, n_events, "cannot write a batch to the spool; its events are dropped");
                inner.give_up(stream, run, "unwritable");
            }
        }
        inner.make_room();
        inner.show_bytes();
        counter!("sensor_batch_spooled_total", "lane" => lane_name(lane)).increment(1);
        let is_filling = inner.keeper.is_some() && inner.index.n_memory_bytes() >= inner.max_memory_bytes / 2;
        inner.is_urgent |= is_filling;
        drop(inner);
        if is_filling {
            self.work.notify_one();
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Notes to what the batches that were appended so far reach in the kernel's numbering: kept on disk with them, as it is
    /// given here.
    pub fn note_positions(&self, positions: Vec<u8>) {
        let mut inner = self.lock();
        let Some(epoch) = inner.index.live() else { return };
        let ends = Lane::ALL.map(|lane| inner.index.end(StreamKey { epoch, lane }));
        if let Some(keeper) = &mut inner.keeper {
            keeper.note(epoch, ends, positions);
        }
    }

    /// What was noted last on disk of this boot, by a sensor before: see [`Outbox::note_positions`].
    pub fn positions_before(&self) -> Option<&[u8]> {
        self.positions.as_deref()
    }

    /// Epochs of sensors before whose end is not known.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// Why there is no spool on disk, though there should be one.
    pub fn trouble(&self) -> Option<String> {
        let inner = self.lock();
        let of_keeper = inner.keeper.as_ref().and_then(|keeper| keeper.trouble.clone());
        of_keeper.or_else(|| inner.no_disk.clone())
    }

    /// The next thing to do on disk, if anything is to be done now. There is no other until it is done: see
    /// [`Outbox::finish`].
    pub fn next_job(&self, now: Reading) -> Option<Job> {
        self.lock().next_job(now)
    }

    /// Books what came of a job.
    pub fn finish(&self, done: Done, now: BootTime) {
        if self.lock().finish(done, now) {
            self.changed.notify_one();
        }
    }

    /// Brings to disk what is in memory alone, as far as it has room: whoever does the jobs goes on until
    /// [`Outbox::is_closed_up`].
    pub fn close_up(&self) {
        let mut inner = self.lock();
        if let Some(keeper) = &mut inner.keeper {
            keeper.close_up();
        }
        inner.is_urgent = true;
        drop(inner);
        self.work.notify_one();
    }

    /// Whether nothing is left to do on disk after [`Outbox::close_up`].
    pub fn is_closed_up(&self) -> bool {
        self.lock().keeper.as_ref().is_none_or(Keeper::is_closed_up)
    }

    /// Waits until there is something to do on disk that does not wait, but not longer than this.
    fn rest(&self, at_most: Duration) {
        let inner = self.lock();
        let waited = self.work.wait_timeout_while(inner, at_most, |inner| !inner.is_urgent);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_urgent = false;
    }

    /// Whether the sealer should begin a new epoch with its next batch: after an outage that left
    /// a backlog, so that what happens now is not queued behind it. True until [`Outbox::begin`].
    pub fn wants_new_epoch(&self) -> bool {
        self.rotate.load(Ordering::Relaxed)
    }

    /// Asks for a new epoch.
    pub(crate) fn ask_for_new_epoch(&self) {
        self.rotate.store(true, Ordering::Relaxed);
    }

    /// What is held.
    pub fn holdings(&self) -> Holdings {
        let inner = self.lock();
        let (live, streams) = (inner.index.live(), inner.index.streams());
        Holdings { live, streams, in_doubt: inner.in_doubt.clone() }
    }

    /// The bytes that batches take now, in memory and on disk.
    pub fn n_bytes(&self) -> u64 {
        let inner = self.lock();
        inner.index.n_memory_bytes() + inner.index.n_disk_bytes()
    }

    /// The bytes that batches take in memory now.
    pub fn n_memory_bytes(&self) -> u64 {
        self.lock().index.n_memory_bytes()
    }

    /// The number below which nothing of a stream is in memory alone: it is on disk, or acknowledged. `None` for a stream that
    /// is not held.
    pub fn durable_end(&self, stream: StreamKey) -> Option<u64> {
        let inner = self.lock();
        inner.index.keys().any(|key| key == stream).then(|| inner.index.durable_end(stream))
    }

    /// What happened to a lane's sealed events since the start.
    pub fn totals(&self, lane: Lane) -> Totals {
        let [critical, bulk] = self.lock().totals;
        match lane {
            Lane::Critical => critical,
            Lane::Bulk => bulk,
        }
    }

    /// The parcel that holds this sequence number, if the stream has one. Pending: it is read from disk, and
    /// [`Outbox::changed`] tells when to ask again.
    ///
    /// A batch whose file is damaged becomes a tombstone.
    pub fn parcel(&self, stream: StreamKey, seq: u64) -> Poll<Option<Parcel>> {
        let mut inner = self.lock();
        let found = inner.parcel(stream, seq);
        inner.is_urgent |= found.is_pending();
        drop(inner);
        if found.is_pending() {
            self.work.notify_one();
        }
        found
    }

    /// Takes note that all below `next_seq` is durable, and the chain is at `digest` there: it need
    /// not be kept.
    pub fn acknowledge(&self, stream: StreamKey, next_seq: u64, digest: Digest) {
        let mut inner = self.lock();
        inner.n_acknowledged += 1;
        let passed = inner.index.acknowledge(stream, next_seq, digest);
        for slot in passed.gone {
            inner.remove(stream, slot);
        }
        if let Some(keeper) = &mut inner.keeper {
            if passed.is_on_disk {
                keeper.chores.acknowledged.insert(stream, (next_seq, digest));
            } else if passed.has_left_disk {
                keeper.chores.acknowledged.remove(&stream);
                keeper.chores.streams.push(stream);
            }
        }
        if passed.is_finished {
            inner.forget(stream);
        } else if let Err(e) = inner.spool.write_watermark(stream, next_seq, digest) {
            warn!(error = %e, "cannot write a stream's watermark to the spool");
        }
        inner.show_bytes();
    }

    /// Books events that the collector refused for good.
    pub fn book_rejected(&self, lane: Lane, n_events: u64, reason: &'static str) {
        counter!("sensor_event_rejected_total", "lane" => lane_name(lane), "reason" => reason)
            .increment(n_events);
        self.lock().total(lane).rejected += n_events;
    }

    /// Waits until something was appended or read from disk, or an epoch begun.
    ///
    /// # Cancel safety
    /// May be dropped and called again; a change in between is not missed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn parcel(&mut self, stream: StreamKey, seq: u64) -> Poll<Option<Parcel>> {
        let Some(slot) = self.index.slot(stream, seq) else { return Poll::Ready(None) };
        if slot.holds(Place::Disk) {
            let Some(keeper) = &mut self.keeper else { return Poll::Ready(None) };
            let Some(batch) = keeper.cache.batch(stream, slot.run(), seq) else {
                keeper.want(stream, slot);
                return Poll::Pending;
            };
            return Poll::Ready(Some(Parcel::Batch(batch)));
        }
        if slot.holds(Place::Memory) {
            match self.spool.read(stream, slot.first_seq) {
                Ok(parcel) if parcel.end() == slot.end() => return Poll::Ready(Some(parcel)),
                Ok(_) => self.lose(stream, slot, &ItemError::Damaged("another number of events")),
                Err(e) => self.lose(stream, slot, &e),
            }
        }
        let tombstone = |slot: Slot| Parcel::Tombstone { first_seq: slot.first_seq, n_events: slot.n_events };
        Poll::Ready(self.index.slot(stream, seq).map(tombstone))
    }

    /// A batch in memory whose file is of no use becomes a tombstone.
    fn lose(&mut self, stream: StreamKey, slot: Slot, error: &ItemError) {
        error!(error = %error, lane = %stream.lane, n_events = slot.n_events, "a spooled batch is lost");
        self.bury(stream, slot, "damaged");
    }

    /// Sheds the oldest batches in memory until the rest fits.
    fn make_room(&mut self) {
        while let Some((stream, slot)) = self.index.to_shed() {
            self.bury(stream, slot, "full");
        }
    }

    /// Puts a tombstone where a batch in memory was, joined with one before or behind it.
    fn bury(&mut self, stream: StreamKey, slot: Slot, reason: &'static str) {
        let Some((tombstone, covered, n_events)) = self.index.bury(stream, slot) else { return };
        self.count_shed(stream.lane, n_events, reason);
        // The tombstone first: a crash in between leaves both, and the tombstone counts.
        self.keep_tombstone(stream, tombstone.run());
        for slot in covered.into_iter().filter(|slot| slot.first_seq != tombstone.first_seq) {
            drop(self.spool.remove(stream, slot.first_seq));
        }
    }

    fn give_up(&mut self, stream: StreamKey, run: Run, reason: &'static str) {
        self.count_shed(stream.lane, run.n_events(), reason);
        self.index.push(stream, Slot::tombstone(run, Place::Memory));
        self.keep_tombstone(stream, run);
    }

    fn keep_tombstone(&mut self, stream: StreamKey, run: Run) {
        let tombstone = Parcel::Tombstone { first_seq: run.first, n_events: run.n_events() };
        if let Err(e) = self.spool.write(stream, &tombstone) {
            warn!(error = %e, "cannot write a tombstone to the spool; it is kept in memory only");
        }
    }

    /// What need not be kept goes, wherever it lies.
    fn remove(&mut self, stream: StreamKey, slot: Slot) {
        match (slot.place, &mut self.keeper) {
            (Place::Disk, Some(keeper)) => {
                keeper.cache.forget(stream, slot.run());
                keeper.chores.forget(stream, slot);
            }
            _ => self.remove_in_memory(stream, slot),
        }
    }

    fn remove_in_memory(&mut self, stream: StreamKey, slot: Slot) {
        if let Err(e) = self.spool.remove(stream, slot.first_seq) {
            warn!(error = %e, first_seq = slot.first_seq, "cannot remove a batch from the spool in memory");
        }
    }

    fn forget(&mut self, stream: StreamKey) {
        let may_be_on_disk = self.index.remove(stream);
        if let Err(e) = self.spool.remove_stream(stream) {
            warn!(error = %e, "cannot remove a drained stream from the spool");
        }
        let is_done_with = self.index.is_done_with(stream.epoch);
        if let Some(keeper) = &mut self.keeper {
            keeper.chores.acknowledged.remove(&stream);
            keeper.chores.streams.extend(may_be_on_disk.then_some(stream));
            keeper.chores.epochs.extend(is_done_with.then_some(stream.epoch));
        }
    }

    fn show_bytes(&self) {
        gauge!("sensor_spool_bytes", "place" => "memory").set(self.index.n_memory_bytes() as f64);
        gauge!("sensor_spool_bytes", "place" => "disk").set(self.index.n_disk_bytes() as f64);
    }

    fn count_shed(&mut self, lane: Lane, n_events: u64, reason: &'static str) {
        counter!("sensor_event_dropped_total", "lane" => lane_name(lane), "reason" => reason)
            .increment(n_events);
        self.total(lane).shed += n_events;
    }

    fn total(&mut self, lane: Lane) -> &mut Totals {
        let [critical, bulk] = &mut self.totals;
        match lane {
            Lane::Critical => critical,
            Lane::Bulk => bulk,
        }
    }
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Critical => "critical",
        Lane::Bulk => "bulk",
    }
}

#[cfg(test)]
mod tests;
