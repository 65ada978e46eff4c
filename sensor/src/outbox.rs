//! Sealed batches, kept until the collector has them.
//!
//! The outbox knows every stream's unacknowledged batches in order. Their bytes are files
//! ([`crate::spool`]), so a crash of the sensor loses none of them; here is only where each is. When
//! it is full, the oldest batches of the bulk lane are shed first and those of the critical lane
//! last; a tombstone stays where they were.
//!
//! One producer seals and appends; one uplink reads and acknowledges.

mod index;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{counter, gauge};
use tokio::sync::Notify;
use tracing::{error, info, warn};
use wire::batch::Digest;
use wire::frame::data::Batch;
use wire::frame::sensor::Held;
use wire::id::{Epoch, Lane};

use self::index::{Index, Slot};
use crate::spool::{DirError, ItemError, Parcel, Spool, StreamKey};

/// How an outbox is kept.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// The spool's folder; should be in tmpfs. See [`OutboxConfig::default_dir`].
    pub dir: PathBuf,
    /// The most memory that batches may take, in bytes.
    pub max_bytes: u64,
}

/// Sealed batches, in order, until they are acknowledged. Shared by the sealer and the uplink.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    changed: Notify,
    rotate: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    index: Index,
    spool: Spool,
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

impl OutboxConfig {
    /// Where the sensor of this name keeps its batches: `/dev/shm/vedette/NAME/spool`.
    pub fn default_dir(name: &str) -> PathBuf {
        PathBuf::from("/dev/shm/vedette").join(name).join("spool")
    }
}

impl Outbox {
    /// Opens the spool and takes up what a sensor before left there: it is drained behind the live
    /// epoch.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(config: &OutboxConfig) -> Result<Self, DirError> {
        let (spool, found) = Spool::open(&config.dir)?;
        if !spool.is_on_tmpfs() {
            warn!(
                path = %config.dir.display(),
                "spool folder is not in tmpfs: batches are written to disk, unsynced; set one in /dev/shm"
            );
        }
        let mut inner = Inner { index: Index::new(config.max_bytes), spool, totals: [Totals::default(); 2] };
        for stream in found {
            inner.take_up(stream);
        }
        let n_bytes = inner.index.n_bytes();
        if n_bytes > 0 {
            info!(n_bytes, n_streams = inner.index.streams().len(), "took up batches of a sensor before");
        }
        Ok(Self { inner: Mutex::new(inner), changed: Notify::new(), rotate: AtomicBool::new(false) })
    }

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
        let (first_seq, n_events) = (batch.first_seq, u64::from(batch.n_events));
        let cost = Spool::cost(batch.credit_bytes());
        match inner.spool.write(stream, &Parcel::Batch(batch)) {
            Ok(()) => inner.index.push(stream, Slot::batch(first_seq, n_events, cost)),
            Err(e) => {
                error!(error = %e, %lane, n_events, "cannot write a batch to the spool; its events are dropped");
                inner.index.push(stream, Slot::tombstone(first_seq, n_events));
                inner.count_shed(lane, n_events, "unwritable");
                inner.keep_tombstone(stream, first_seq, n_events);
            }
        }
        inner.make_room();
        gauge!("sensor_spool_bytes").set(inner.index.n_bytes() as f64);
        counter!("sensor_batch_spooled_total", "lane" => lane_name(lane)).increment(1);
        drop(inner);
        self.changed.notify_one();
        Ok(())
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
        Holdings { live: inner.index.live(), streams: inner.index.streams() }
    }

    /// The bytes that batches take now.
    pub fn n_bytes(&self) -> u64 {
        self.lock().index.n_bytes()
    }

    /// What happened to a lane's sealed events since the start.
    pub fn totals(&self, lane: Lane) -> Totals {
        let [critical, bulk] = self.lock().totals;
        match lane {
            Lane::Critical => critical,
            Lane::Bulk => bulk,
        }
    }

    /// The parcel that holds this sequence number, if the stream has one.
    ///
    /// A batch whose file is damaged becomes a tombstone.
    pub fn parcel(&self, stream: StreamKey, seq: u64) -> Option<Parcel> {
        self.lock().parcel(stream, seq)
    }

    /// Takes note that all below `next_seq` is durable, and the chain is at `digest` there: it need
    /// not be kept.
    pub fn acknowledge(&self, stream: StreamKey, next_seq: u64, digest: Digest) {
        let mut inner = self.lock();
        let (gone, finished) = inner.index.acknowledge(stream, next_seq, digest);
        for first_seq in gone {
            if let Err(e) = inner.spool.remove(stream, first_seq) {
                warn!(error = %e, first_seq, "cannot remove an acknowledged batch from the spool");
            }
        }
        if finished {
            inner.forget(stream);
        } else if let Err(e) = inner.spool.write_watermark(stream, next_seq, digest) {
            warn!(error = %e, "cannot write a stream's watermark to the spool");
        }
        gauge!("sensor_spool_bytes").set(inner.index.n_bytes() as f64);
    }

    /// Books events that the collector refused for good.
    pub fn book_rejected(&self, lane: Lane, n_events: u64, reason: &'static str) {
        counter!("sensor_event_rejected_total", "lane" => lane_name(lane), "reason" => reason)
            .increment(n_events);
        self.lock().total(lane).rejected += n_events;
    }

    /// Waits until something was appended or an epoch begun.
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
    /// Enters a stream that was found in the folder. A hole between files becomes a tombstone.
    fn take_up(&mut self, found: crate::spool::Found) {
        let stream = found.stream;
        let Some(&(first, _)) = found.parcels.first() else { return self.forget(stream) };
        let known = found.watermark.filter(|(seq, _)| *seq <= first);
        let (base, digest) = known.unwrap_or((first, Digest::START));
        self.index.restore(stream, base, digest, known.is_some() || first == 0);
        for (first_seq, size) in found.parcels {
            let end = self.index.end(stream);
            if first_seq > end {
                self.give_up(stream, end, first_seq - end, "missing");
            }
            match self.spool.read(stream, first_seq) {
                Ok(Parcel::Batch(b)) if first_seq >= end => {
                    let cost = Spool::cost(size);
                    self.index.push(stream, Slot::batch(first_seq, u64::from(b.n_events), cost));
                }
                Ok(Parcel::Tombstone { n_events, .. }) if first_seq >= end => {
                    self.index.push(stream, Slot::tombstone(first_seq, n_events));
                }
                // Covered by a tombstone that was written before the file could be removed.
                Ok(_) => drop(self.spool.remove(stream, first_seq)),
                Err(e) => {
                    warn!(error = %e, first_seq, lane = %stream.lane, "a spooled batch is of no use");
                    drop(self.spool.remove(stream, first_seq));
                }
            }
        }
        if self.index.is_drained(stream) {
            self.forget(stream);
        }
        self.make_room();
    }

    fn parcel(&mut self, stream: StreamKey, seq: u64) -> Option<Parcel> {
        let slot = self.index.slot(stream, seq)?;
        if slot.is_batch() {
            match self.spool.read(stream, slot.first_seq) {
                Ok(parcel) if parcel.end() == slot.end() => return Some(parcel),
                Ok(_) => self.lose(stream, slot, &ItemError::Damaged("another number of events")),
                Err(e) => self.lose(stream, slot, &e),
            }
        }
        let slot = self.index.slot(stream, seq)?;
        Some(Parcel::Tombstone { first_seq: slot.first_seq, n_events: slot.n_events })
    }

    /// A batch whose file is of no use becomes a tombstone.
    fn lose(&mut self, stream: StreamKey, slot: Slot, error: &ItemError) {
        error!(error = %error, lane = %stream.lane, n_events = slot.n_events, "a spooled batch is lost");
        self.bury(stream, slot, "damaged");
    }

    /// Sheds the oldest batches until the rest fits.
    fn make_room(&mut self) {
        while let Some((stream, slot)) = self.index.to_shed() {
            self.bury(stream, slot, "full");
        }
    }

    /// Puts a tombstone where a batch was, joined with one before or behind it.
    fn bury(&mut self, stream: StreamKey, slot: Slot, reason: &'static str) {
        self.count_shed(stream.lane, slot.n_events, reason);
        let (tombstone, covered) = self.index.bury(stream, slot);
        // The tombstone first: a crash in between leaves both, and the tombstone counts.
        self.keep_tombstone(stream, tombstone.first_seq, tombstone.n_events);
        for first_seq in covered.into_iter().filter(|seq| *seq != tombstone.first_seq) {
            drop(self.spool.remove(stream, first_seq));
        }
    }

    fn give_up(&mut self, stream: StreamKey, first_seq: u64, n_events: u64, reason: &'static str) {
        self.count_shed(stream.lane, n_events, reason);
        self.index.push(stream, Slot::tombstone(first_seq, n_events));
        self.keep_tombstone(stream, first_seq, n_events);
    }

    fn keep_tombstone(&mut self, stream: StreamKey, first_seq: u64, n_events: u64) {
        if let Err(e) = self.spool.write(stream, &Parcel::Tombstone { first_seq, n_events }) {
            warn!(error = %e, "cannot write a tombstone to the spool; it is kept in memory only");
        }
    }

    fn forget(&mut self, stream: StreamKey) {
        self.index.remove(stream);
        if let Err(e) = self.spool.remove_stream(stream) {
            warn!(error = %e, "cannot remove a drained stream from the spool");
        }
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
