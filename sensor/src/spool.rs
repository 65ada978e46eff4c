//! Sealed batches as files, in folders of this sensor's own: one in memory, and one on disk ([`disk`]).
//!
//! [`Spool`] is meant for tmpfs: nothing is synced, so a file outlives the sensor but not the host. Layout:
//!
//! ```text
//! DIR/lock                          held while a sensor uses the folder
//! DIR/EPOCH.LANE/watermark          how far the stream is acknowledged
//! DIR/EPOCH.LANE/SEQUENCE           a batch or a tombstone, named by its first sequence, 20 digits
//! ```
//!
//! - A file appears whole: it is written beside its name and renamed.
//! - A file's checksum takes in its stream and sequence, so one that was moved is not believed.

mod bundle;
mod clear;
mod dir;
pub mod disk;
mod file;
mod files;
mod name;
mod note;
mod scan;

pub use clear::clear_if_drained;
pub use dir::DirError;
pub use disk::Disk;
pub use file::ItemError;
pub use files::{Files, Listed, Room, SystemFiles};
pub use name::Run;
pub use note::Note;
pub use scan::Found;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use wire::batch::Digest;
use wire::frame::data::Batch;
use wire::id::{Epoch, Lane};

/// One folder of batches.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    on_tmpfs: bool,
    was_there: bool,
    _lock: File,
}

/// A stream of this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamKey {
    /// The run of numbering. Ordered by time, as it is a UUIDv7.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
}

/// What is kept of a run of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parcel {
    /// A sealed batch.
    Batch(Batch),
    /// Events that were given up.
    Tombstone {
        /// The number of the first of them.
        first_seq: u64,
        /// How many.
        n_events: u64,
    },
}

impl Parcel {
    /// The number of its first event.
    pub fn first_seq(&self) -> u64 {
        match self {
            Parcel::Batch(batch) => batch.first_seq,
            Parcel::Tombstone { first_seq, .. } => *first_seq,
        }
    }

    /// The number after its last event.
    pub fn end(&self) -> u64 {
        match self {
            Parcel::Batch(batch) => batch.end(),
            Parcel::Tombstone { first_seq, n_events } => first_seq.saturating_add(*n_events),
        }
    }
}

impl Spool {
    /// Opens the folder, made if it is not there, and tells what a sensor before left in it.
    ///
    /// # Errors
    /// When the folder cannot be made, is not this user's alone, or is in use by another sensor.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Found>), DirError> {
        let was_there = dir.join("lock").exists();
        dir::make_private(dir)?;
        let lock = dir::lock(dir)?;
        let on_tmpfs = dir::is_in_memory(dir);
        let spool = Self { dir: dir.to_owned(), on_tmpfs, was_there, _lock: lock };
        let found = scan::scan(dir)?;
        Ok((spool, found))
    }

    /// Whether the folder is in memory, as it should be.
    pub fn is_on_tmpfs(&self) -> bool {
        self.on_tmpfs
    }

    /// Whether a sensor before had used the folder, and nobody has removed it since.
    pub fn was_there(&self) -> bool {
        self.was_there
    }

    /// Keeps a parcel, replacing what began at the same sequence.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is kept then.
    pub fn write(&self, stream: StreamKey, parcel: &Parcel) -> io::Result<()> {
        let path = self.path(stream, parcel.first_seq());
        let bytes = file::encode(stream, parcel);
        match write_whole(&path, &bytes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(self.stream_dir(stream))?;
                write_whole(&path, &bytes)
            }
            done => done,
        }
    }

    /// Reads the parcel that begins at this sequence.
    ///
    /// # Errors
    /// When there is none, or it is not what was written.
    pub fn read(&self, stream: StreamKey, first_seq: u64) -> Result<Parcel, ItemError> {
        let bytes = fs::read(self.path(stream, first_seq))?;
        file::decode(stream, first_seq, bytes)
    }

    /// Forgets the parcel that begins at this sequence, if there is one.
    ///
    /// # Errors
    /// When the file is there and stays.
    pub fn remove(&self, stream: StreamKey, first_seq: u64) -> io::Result<()> {
        gone(fs::remove_file(self.path(stream, first_seq)))
    }

    /// Keeps how far a stream is acknowledged.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_watermark(&self, stream: StreamKey, next_seq: u64, digest: Digest) -> io::Result<()> {
        let dir = self.stream_dir(stream);
        let bytes = file::encode_watermark(stream, next_seq, digest);
        match fs::write(dir.join(name::WATERMARK), bytes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&dir)?;
                fs::write(dir.join(name::WATERMARK), bytes)
            }
            done => done,
        }
    }

    /// Forgets a stream and all that is kept of it.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn remove_stream(&self, stream: StreamKey) -> io::Result<()> {
        gone(fs::remove_dir_all(self.stream_dir(stream)))
    }

    /// The memory a parcel takes as a file: whole pages and an inode.
    pub fn cost(parcel_bytes: u64) -> u64 {
        const PAGE: u64 = 4096;
        const INODE: u64 = 1024;
        (parcel_bytes + file::OVERHEAD_BYTES).next_multiple_of(PAGE) + INODE
    }

    fn stream_dir(&self, stream: StreamKey) -> PathBuf {
        self.dir.join(name::stream(stream))
    }

    fn path(&self, stream: StreamKey, first_seq: u64) -> PathBuf {
        self.stream_dir(stream).join(format!("{first_seq:020}"))
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(name::UNFINISHED);
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .inspect_err(|_| drop(fs::remove_file(&beside)))
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
