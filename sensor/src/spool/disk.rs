//! The part of the spool that a power cut does not take: a folder on disk, in which nothing counts before it was synced.
//!
//! ```text
//! DIR/lock                          held while a sensor uses the folder
//! DIR/EPOCH.note                    what was durable of an epoch, and when
//! DIR/EPOCH.LANE/watermark          how far the stream was acknowledged, some time ago
//! DIR/EPOCH.LANE/FIRST-END          batches with these events, 20 digits each
//! DIR/EPOCH.LANE/FIRST-END.shed     these events were given up; an empty file
//! ```
//!
//! - A file appears whole: it is written beside its name (`.part`), synced, renamed, and the folder is synced.
//! - A name says which events a file holds, so that of a file that is of no use it is known what is lost.
//! - To shed a file takes no room: it is renamed and emptied.
//! - After an error that is not for want of room nothing more may be written ([`is_full`]): what a failed sync left is not known,
//!   and a second one that succeeds proves nothing (<https://wiki.postgresql.org/wiki/Fsync_Errors>).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::batch::Digest;
use wire::frame::data::Batch;
use wire::id::Epoch;

use super::file::{CHECKSUM_BYTES, decode_watermark, encode_watermark};
use super::name::{self, Name};
use super::{DirError, Files, ItemError, Note, Room, Run, StreamKey, bundle, note};

/// The most that a note or a watermark takes; positions of a thousand CPUs fit.
const MAX_SMALL_BYTES: u64 = 1 << 20;

/// A folder of batches on disk.
#[derive(Debug)]
pub struct Disk {
    files: Arc<dyn Files>,
    dir: PathBuf,
    _lock: Option<File>,
}

/// What a sensor before left on disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Its streams, oldest first.
    pub streams: Vec<LeftStream>,
    /// What it noted of its epochs, oldest first. One that is damaged is not mentioned.
    pub notes: Vec<Note>,
}

/// One stream on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftStream {
    /// Which.
    pub stream: StreamKey,
    /// How far it was acknowledged at least, and the chain there; `None` if that is not known.
    pub watermark: Option<(u64, Digest)>,
    /// Bundles, with the length of their files; not read yet. In no order.
    pub bundles: Vec<(Run, u64)>,
    /// What was given up. In no order.
    pub shed: Vec<Run>,
}

/// Files of a stream that are not needed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Superfluous {
    /// Bundles.
    pub bundles: Vec<Run>,
    /// Tombstones.
    pub shed: Vec<Run>,
}

/// A bundle that gives way to a tombstone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shed {
    /// Of which stream.
    pub stream: StreamKey,
    /// The bundle.
    pub victim: Run,
    /// What the tombstone covers.
    pub tombstone: Run,
    /// Tombstones that it takes the place of.
    pub joined: Vec<Run>,
}

impl Disk {
    /// Opens the folder, made if it is not there, and tells what is in it. Removes files that were never finished; leaves
    /// alone, and does not mention, what it does not know.
    ///
    /// # Errors
    /// When the folder cannot be made or read, is not this user's alone, or is in use by another sensor.
    pub fn open(files: Arc<dyn Files>, dir: &Path) -> Result<(Self, Left), DirError> {
        let lock = files.claim(dir)?;
        let disk = Self { files, dir: dir.to_owned(), _lock: lock };
        let left = disk.scan().map_err(|source| DirError::Io { path: dir.to_owned(), source })?;
        Ok((disk, left))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps batches that follow each other; durable when this returns without an error. How long the file is.
    ///
    /// # Errors
    /// When they are not durable; whether a part of them is there is not known then.
    pub fn save(&self, stream: StreamKey, run: Run, batches: &[Batch]) -> io::Result<u64> {
        let bytes = bundle::encode(stream, batches);
        self.keep(stream, &name::bundle(run), &bytes)?;
        self.files.sync_dir(&self.stream_dir(stream))?;
        Ok(bytes.len() as u64)
    }

    /// Keeps a tombstone for what was given up before it came here; durable when this returns without an error.
    ///
    /// # Errors
    /// As [`Disk::save`].
    pub fn save_tombstone(&self, stream: StreamKey, run: Run) -> io::Result<()> {
        self.keep(stream, &name::shed(run), &[])?;
        self.files.sync_dir(&self.stream_dir(stream))
    }

    /// Puts a tombstone in a bundle's place; durable when this returns without an error.
    ///
    /// # Errors
    /// When something of it failed. What is left is a hole, which stands for the same.
    pub fn shed(&self, shed: &Shed) -> io::Result<()> {
        let dir = self.stream_dir(shed.stream);
        let tombstone = dir.join(name::shed(shed.tombstone));
        match self.files.rename(&dir.join(name::bundle(shed.victim)), &tombstone) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => done?,
        }
        self.files.truncate(&tombstone)?;
        // Before what it stands for goes: else a power cut could take that alone, and leave nothing at the stream's begin.
        self.files.sync_dir(&dir)?;
        let mut joined = shed.joined.iter().filter(|run| **run != shed.tombstone);
        joined.try_for_each(|run| gone(self.files.remove(&dir.join(name::shed(*run)))))
    }

    /// Reads the batches of a bundle whose file should be so long.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn load(&self, stream: StreamKey, run: Run, n_bytes: u64) -> Result<Vec<Batch>, ItemError> {
        let bytes = self.files.read(&self.stream_dir(stream).join(name::bundle(run)), n_bytes)?;
        bundle::decode(stream, run, bytes)
    }

    /// Keeps how far a stream is acknowledged. Its name is not synced: an older one may come back after a power cut.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_watermark(&self, stream: StreamKey, next_seq: u64, digest: Digest) -> io::Result<()> {
        self.keep(stream, name::WATERMARK, &encode_watermark(stream, next_seq, digest))
    }

    /// Forgets files, if they are there. They may come back after a power cut; a collector that has their events says so.
    ///
    /// # Errors
    /// When a file is there and stays.
    pub fn forget(&self, stream: StreamKey, files: &Superfluous) -> io::Result<()> {
        let dir = self.stream_dir(stream);
        let bundles = files.bundles.iter().map(|run| name::bundle(*run));
        let mut names = bundles.chain(files.shed.iter().map(|run| name::shed(*run)));
        names.try_for_each(|name| gone(self.files.remove(&dir.join(name))))
    }

    /// Forgets a stream and all that is kept of it.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn remove_stream(&self, stream: StreamKey) -> io::Result<()> {
        let dir = self.stream_dir(stream);
        let listed = match self.files.list(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for one in listed {
            gone(self.files.remove(&dir.join(one.name)))?;
        }
        gone(self.files.remove_dir(&dir))
    }

    /// Replaces what is noted of an epoch; durable when this returns without an error.
    ///
    /// # Errors
    /// When it is not durable.
    pub fn write_note(&self, note: &Note) -> io::Result<()> {
        self.replace(&self.dir.join(name::note(note.epoch)), &note::encode(note))?;
        self.files.sync_dir(&self.dir)
    }

    /// Forgets what is noted of an epoch.
    ///
    /// # Errors
    /// When the note is there and stays.
    pub fn remove_note(&self, epoch: Epoch) -> io::Result<()> {
        gone(self.files.remove(&self.dir.join(name::note(epoch))))
    }

    /// How much room its file system has.
    ///
    /// # Errors
    /// When that does not say.
    pub fn room(&self) -> io::Result<Room> {
        self.files.room(&self.dir)
    }

    fn keep(&self, stream: StreamKey, name: &str, bytes: &[u8]) -> io::Result<()> {
        let dir = self.stream_dir(stream);
        match self.replace(&dir.join(name), bytes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.files.make_dir(&dir)?;
                self.files.sync_dir(&self.dir)?;
                self.replace(&dir.join(name), bytes)
            }
            done => done,
        }
    }

    /// The file under its name; the name is not durable yet.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".");
        beside.push(name::UNFINISHED);
        let beside = PathBuf::from(beside);
        self.files
            .write_synced(&beside, bytes)
            .and_then(|()| self.files.rename(&beside, path))
            .inspect_err(|_| drop(self.files.remove(&beside)))
    }

    fn scan(&self) -> io::Result<Left> {
        let mut left = Left::default();
        for one in self.files.list(&self.dir)? {
            let path = self.dir.join(&one.name);
            if let Some(stream) = name::parse_stream(&one.name) {
                left.streams.push(self.scan_stream(stream)?);
            } else if let Some(epoch) = name::parse_note(&one.name) {
                let bytes = self.files.read(&path, MAX_SMALL_BYTES).unwrap_or_default();
                left.notes.extend(note::decode(epoch, &bytes));
            } else if name::parse(&one.name) == Some(Name::Unfinished) {
                drop(self.files.remove(&path));
            }
        }
        left.streams.sort_unstable_by_key(|left| left.stream);
        left.notes.sort_unstable_by_key(|note| note.epoch);
        Ok(left)
    }

    fn scan_stream(&self, stream: StreamKey) -> io::Result<LeftStream> {
        let mut left = LeftStream { stream, watermark: None, bundles: Vec::new(), shed: Vec::new() };
        let dir = self.stream_dir(stream);
        for one in self.files.list(&dir)? {
            let path = dir.join(&one.name);
            match name::parse(&one.name) {
                Some(Name::Bundle(run)) => left.bundles.push((run, one.n_bytes)),
                Some(Name::Shed(run)) => left.shed.push(run),
                Some(Name::Watermark) => {
                    let bytes = self.files.read(&path, MAX_SMALL_BYTES).unwrap_or_default();
                    left.watermark = decode_watermark(stream, &bytes);
                }
                Some(Name::Unfinished) => drop(self.files.remove(&path)),
                None => {}
            }
        }
        Ok(left)
    }

    fn stream_dir(&self, stream: StreamKey) -> PathBuf {
        self.dir.join(name::stream(stream))
    }
}

/// What a bundle takes of a disk: whole blocks and an inode.
pub fn cost(file_bytes: u64) -> u64 {
    const BLOCK: u64 = 4096;
    const INODE: u64 = 1024;
    file_bytes.next_multiple_of(BLOCK) + INODE
}

/// What these batches take as one bundle.
pub fn cost_of(n_batches: usize, credit_bytes: u64) -> u64 {
    cost(credit_bytes + 12 * n_batches as u64 + 4 + CHECKSUM_BYTES as u64)
}

/// Whether an error only says that there is no room: what was to be written is not there, and the rest is as it was.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
