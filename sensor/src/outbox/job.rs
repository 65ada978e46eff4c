//! What is to be done on disk, and what came of it. To decide and to book is the outbox's, under its lock; to do it takes no lock
//! and may take as long as it takes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wire::batch::Digest;
use wire::frame::data::Batch;
use wire::id::Epoch;

use super::slot::Slot;
use crate::spool::disk::{Shed, Superfluous, is_full};
use crate::spool::{Disk, ItemError, Note, Parcel, Room, Run, Spool, StreamKey};

/// Something to do on disk, decided by [`super::Outbox::next_job`].
#[derive(Debug)]
#[must_use = "the outbox gives no other job until this one is done"]
pub struct Job {
    pub(super) disk: Arc<Disk>,
    pub(super) spool: Arc<Spool>,
    pub(super) task: Task,
}

#[derive(Debug)]
pub(super) enum Task {
    /// Look how much room there is.
    Look,
    /// Read a bundle.
    Load(StreamKey, Slot),
    /// Bring what lies in memory to disk, for which this gives way.
    Save(StreamKey, Vec<Slot>, Vec<Shed>),
    /// Note what is durable; what is noted of these epochs is not needed any more.
    Note(Note, Vec<Epoch>),
    /// Forget what is not needed.
    Tidy(Chores),
}

/// What came of a job, for [`super::Outbox::finish`].
#[derive(Debug)]
pub struct Done(pub(super) Outcome);

#[derive(Debug)]
pub(super) enum Outcome {
    Looked(io::Result<Room>),
    Loaded(StreamKey, Slot, Result<Vec<Batch>, ItemError>),
    /// How long the bundle's file is.
    Saved(StreamKey, Vec<Slot>, Result<u64, SaveError>),
    Noted(io::Result<()>),
    Tidied(io::Result<()>),
}

#[derive(Debug)]
pub(super) enum SaveError {
    /// The disk did not take it.
    Disk(io::Error),
    /// A batch in memory is of no use, or was acknowledged meanwhile.
    Memory(Slot, ItemError),
}

/// What is to be forgotten on disk.
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// How far streams are acknowledged.
    pub(super) acknowledged: BTreeMap<StreamKey, (u64, Digest)>,
    /// Files that are not needed.
    pub(super) gone: BTreeMap<StreamKey, Superfluous>,
    /// Bundles of which only a tombstone stays.
    pub(super) shed: Vec<Shed>,
    /// Streams of which nothing is left.
    pub(super) streams: Vec<StreamKey>,
    /// Epochs of which nothing is left.
    pub(super) epochs: Vec<Epoch>,
    /// Nothing may be written any more: only removed.
    pub(super) only_remove: bool,
}

impl Job {
    /// Does it.
    pub fn run(self) -> Done {
        let Self { disk, spool, task } = self;
        Done(match task {
            Task::Look => Outcome::Looked(disk.room()),
            Task::Load(stream, slot) => {
                Outcome::Loaded(stream, slot, disk.load(stream, slot.run(), slot.n_bytes()))
            }
            Task::Save(stream, slots, shed) => {
                let saved = save(&disk, &spool, stream, &slots, &shed);
                Outcome::Saved(stream, slots, saved)
            }
            Task::Note(note, old) => Outcome::Noted(
                disk.write_note(&note)
                    .and_then(|()| old.iter().try_for_each(|epoch| disk.remove_note(*epoch))),
            ),
            Task::Tidy(chores) => Outcome::Tidied(chores.run(&disk)),
        })
    }
}

fn save(
    disk: &Disk,
    spool: &Spool,
    stream: StreamKey,
    slots: &[Slot],
    shed: &[Shed],
) -> Result<u64, SaveError> {
    shed.iter().try_for_each(|shed| disk.shed(shed)).map_err(SaveError::Disk)?;
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(0) };
    let run = Run { first: first.first_seq, end: last.end() };
    if first.is_tombstone() {
        return disk.save_tombstone(stream, run).map(|()| 0).map_err(SaveError::Disk);
    }
    let read = |slot: &Slot| match spool.read(stream, slot.first_seq) {
        Ok(Parcel::Batch(batch)) if batch.end() == slot.end() => Ok(batch),
        Ok(_) => Err(SaveError::Memory(*slot, ItemError::Damaged("another number of events"))),
        Err(error) => Err(SaveError::Memory(*slot, error)),
    };
    let batches: Vec<Batch> = slots.iter().map(read).collect::<Result<_, _>>()?;
    disk.save(stream, run, &batches).map_err(SaveError::Disk)
}

impl Chores {
    /// A file is not needed any more.
    pub(super) fn forget(&mut self, stream: StreamKey, slot: Slot) {
        let files = self.gone.entry(stream).or_default();
        if slot.is_tombstone() { &mut files.shed } else { &mut files.bundles }.push(slot.run());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
            && self.gone.is_empty()
            && self.shed.is_empty()
            && self.streams.is_empty()
            && self.epochs.is_empty()
    }

    /// Does as much of it as can be done; the first error that says more than that the disk is full.
    fn run(self, disk: &Disk) -> io::Result<()> {
        let mut done = Ok(());
        let mut note = |result: io::Result<()>| {
            if let Err(error) = result
                && !is_full(&error)
                && done.is_ok()
            {
                done = Err(error);
            }
        };
        if !self.only_remove {
            for (stream, (next_seq, digest)) in &self.acknowledged {
                note(disk.write_watermark(*stream, *next_seq, *digest));
            }
            self.shed.iter().for_each(|shed| note(disk.shed(shed)));
        }
        self.gone.iter().for_each(|(stream, files)| note(disk.forget(*stream, files)));
        self.streams.iter().for_each(|stream| note(disk.remove_stream(*stream)));
        self.epochs.iter().for_each(|epoch| note(disk.remove_note(*epoch)));
        done
    }
}
