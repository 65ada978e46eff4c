//! Taking up what a sensor before left: in memory, on disk, or in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex};

use metrics::gauge;
use tokio::sync::Notify;
use tracing::{error, info, warn};
use wire::id::{BootId, Epoch, Lane};
use wire::time::{BootTime, WallTime};

use super::index::{Index, Restored};
use super::keeper::Keeper;
use super::merge::{Found, Merged, merge};
use super::slot::{Place, Slot};
use super::{Inner, Outbox, Totals};
use crate::spool::disk::Left;
use crate::spool::{DirError, Disk, Files, Note, Parcel, Run, Spool, StreamKey};

/// How an outbox is kept.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// The spool's folder; should be in tmpfs. See [`crate::config::default_spool`].
    pub dir: PathBuf,
    /// The most memory that batches may take, in bytes.
    pub max_bytes: u64,
    /// Where batches go while no collector takes them; none: they stay in memory.
    pub disk: Option<DiskConfig>,
}

/// The spool on disk.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Its folder.
    pub dir: PathBuf,
    /// The most that it may take there, in bytes; it takes less of a small file system.
    pub max_bytes: u64,
    /// How files are worked on.
    pub files: Arc<dyn Files>,
    /// The boot that this is.
    pub boot: BootId,
    /// When this is, on the boot clock.
    pub now: BootTime,
}

/// An epoch of a sensor before whose end is not known: the host went down, or what lay in memory was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// Which epoch.
    pub epoch: Epoch,
    /// When it was last noted what is durable. What was sealed in the time from then on may have been stored, or not.
    pub since: WallTime,
    /// The number below which all events of the critical lane, and of the bulk lane, are on disk or were acknowledged.
    pub durable: [u64; 2],
    /// Whether the host was started again since.
    pub rebooted: bool,
}

impl Outbox {
    /// Opens the spool and takes up what a sensor before left there: it is drained behind the live epoch.
    ///
    /// A disk that cannot be used is said, and done without.
    ///
    /// # Errors
    /// When the folder in memory cannot be used.
    pub fn open(config: &OutboxConfig) -> Result<Self, DirError> {
        let (spool, in_memory) = Spool::open(&config.dir)?;
        if !spool.is_on_tmpfs() {
            warn!(
                path = %config.dir.display(),
                "spool folder is not in tmpfs: batches are written to disk, unsynced; set one in /dev/shm"
            );
        }
        let was_there = spool.was_there();
        let mut inner = Inner {
            index: Index::new(config.max_bytes),
            spool: Arc::new(spool),
            max_memory_bytes: config.max_bytes,
            keeper: None,
            no_disk: None,
            in_doubt: Vec::new(),
            n_acknowledged: 0,
            is_urgent: false,
            totals: [Totals::default(); 2],
        };
        let left = match &config.disk {
            Some(disk) => inner.open_disk(disk),
            None => Left::default(),
        };
        let mut streams = BTreeMap::<StreamKey, Found>::new();
        for found in in_memory {
            let of_stream = streams.entry(found.stream).or_default();
            of_stream.watermarks.extend(found.watermark);
            of_stream.listed = found
                .parcels
                .first()
                .zip(found.parcels.last())
                .map(|(first, last)| Run { first: first.0, end: last.0 });
            of_stream.slots = inner.read_in_memory(found.stream, found.parcels);
        }
        for found in left.streams {
            let of_stream = streams.entry(found.stream).or_default();
            of_stream.has_folder_on_disk = true;
            of_stream.watermarks.extend(found.watermark);
            of_stream
                .slots
                .extend(found.bundles.into_iter().map(|(run, n_bytes)| Slot::bundle(run, n_bytes)));
            of_stream.slots.extend(found.shed.into_iter().map(|run| Slot::tombstone(run, Place::Disk)));
        }
        for (stream, found) in streams {
            inner.take_up(stream, found);
        }
        inner.make_room();
        let (n_memory_bytes, n_disk_bytes) = (inner.index.n_memory_bytes(), inner.index.n_disk_bytes());
        if n_memory_bytes + n_disk_bytes > 0 {
            let n_streams = inner.index.keys().count();
            info!(n_memory_bytes, n_disk_bytes, n_streams, "took up batches of a sensor before");
        }
        let boot = config.disk.as_ref().map(|disk| disk.boot);
        let doubts = doubts(&left.notes, &inner.index, boot, was_there);
        inner.in_doubt = in_doubt(&left.notes, &inner.index, boot, was_there);
        let of_this_boot = left.notes.into_iter().rfind(|note| Some(note.boot) == boot);
        Ok(Self {
            inner: Mutex::new(inner),
            changed: Notify::new(),
            work: Condvar::new(),
            rotate: AtomicBool::new(false),
            doubts,
            positions: of_this_boot.map(|note| note.positions),
        })
    }
}

impl Inner {
    fn open_disk(&mut self, config: &DiskConfig) -> Left {
        match Disk::open(config.files.clone(), &config.dir) {
            Ok((disk, left)) => {
                let epochs = left.notes.iter().map(|note| note.epoch).collect();
                self.keeper = Some(Keeper::new(disk, config.max_bytes, config.boot, epochs, config.now));
                left
            }
            Err(e) => {
                let reason = wire::cause::chain(&e);
                error!(reason, "there is no spool on disk: batches are kept in memory alone");
                gauge!("sensor_spool_disk_closed").set(1.0);
                self.no_disk = Some(format!("there is no spool on disk: {reason}"));
                Left::default()
            }
        }
    }

    /// What lies in memory of a stream; removes what is of no use.
    fn read_in_memory(&mut self, stream: StreamKey, parcels: Vec<(u64, u64)>) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (first_seq, _) in parcels {
            match self.spool.read(stream, first_seq) {
                Ok(Parcel::Batch(batch)) => {
                    let run = Run { first: first_seq, end: batch.end() };
                    slots.push(Slot::batch(run, batch.credit_bytes()));
                }
                Ok(tombstone @ Parcel::Tombstone { .. }) => {
                    let run = Run { first: first_seq, end: tombstone.end() };
                    slots.push(Slot::tombstone(run, Place::Memory));
                }
                Err(e) => {
                    warn!(error = %e, first_seq, lane = %stream.lane, "a spooled batch is of no use");
                    drop(self.spool.remove(stream, first_seq));
                }
            }
        }
        slots
    }

    /// Enters a stream that was found. A hole becomes a tombstone.
    fn take_up(&mut self, stream: StreamKey, found: Found) {
        let has_folder_on_disk = found.has_folder_on_disk;
        let Merged { acked, digest, slots, holes, superfluous } = merge(found);
        let in_use: BTreeSet<u64> =
            slots.iter().filter(|slot| slot.place == Place::Memory).map(|s| s.first_seq).collect();
        for slot in superfluous {
            // A hole's tombstone may take the place of the file.
            if slot.place == Place::Disk || !in_use.contains(&slot.first_seq) {
                self.remove(stream, slot);
            }
        }
        self.index.restore(stream, Restored { acked, digest, slots, has_folder_on_disk });
        for run in holes {
            self.count_shed(stream.lane, run.n_events(), "missing");
            self.keep_tombstone(stream, run);
        }
        if self.index.is_drained(stream) {
            self.forget(stream);
        }
    }
}

/// Whether an epoch's end is known: it was closed in good order, or what lay in memory lies there still.
fn is_known(note: &Note, boot: Option<BootId>, was_there: bool) -> bool {
    note.closed || Some(note.boot) == boot && was_there
}

fn doubts(notes: &[Note], index: &Index, boot: Option<BootId>, was_there: bool) -> Vec<Doubt> {
    let unknown = notes.iter().filter(|note| !is_known(note, boot, was_there));
    let doubt = |note: &Note| {
        let epoch = note.epoch;
        let durable = Lane::ALL.map(|lane| note.durable(lane).max(index.end(StreamKey { epoch, lane })));
        Doubt { epoch, since: note.noted, durable, rebooted: Some(note.boot) != boot }
    };
    unknown.map(doubt).collect()
}

/// The epochs of which a collector may have more than is held: those on disk that a power cut may have reached, be it that it took
/// their end, or that it brought back files that were forgotten.
fn in_doubt(notes: &[Note], index: &Index, boot: Option<BootId>, was_there: bool) -> Vec<Epoch> {
    let ran_in_this_boot = |epoch| notes.iter().any(|note| note.epoch == epoch && Some(note.boot) == boot);
    let on_disk = index.keys().filter(|key| index.is_on_disk(*key)).map(|key| key.epoch);
    let mut epochs: Vec<Epoch> = on_disk.filter(|epoch| !(was_there && ran_in_this_boot(*epoch))).collect();
    epochs.dedup();
    epochs
}
