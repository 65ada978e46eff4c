//! How far the sealed batches reach in the kernel's numbering, as a file beside them, and noted with those on disk.
//!
//! Written after each batch went into the spool. Programs and rings outlive the sensor, so the next
//! one goes on counting from here: what a crash took along is booked as dropped, and nothing is
//! counted twice but, if the crash falls between the two writes, one batch as both stored and dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::id::BootId;

use crate::account::{Position, Positions, Start};
use crate::record::{Class, PerClass};

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The boot it is about.
    pub(super) boot: BootId,
    /// Which of the boot's numberings; see [`crate::probe::Probe::numbering`].
    pub(super) numbering: u32,
    /// How far the sealed batches reach.
    pub(super) positions: Positions,
    /// Whether a CPU without a position has sent nothing that was sealed: the numbering was followed from 0 on.
    /// Else such a CPU's numbering is not known.
    pub(super) from_zero: bool,
    /// Skipped program runs that are booked, of each class.
    pub(super) skipped: PerClass<u64>,
    /// Other numberings, all of whose records were taken and are sealed.
    pub(super) finished: Vec<u32>,
}

/// The same as the file holds it: other versions know other numbers of classes.
#[derive(Serialize, Deserialize)]
struct Written {
    boot: BootId,
    numbering: u32,
    clean: bool,
    sequences: Vec<Vec<Position>>,
    from_zero: bool,
    skipped: Vec<u64>,
    finished: Vec<u32>,
}

/// The file.
#[derive(Debug)]
pub(super) struct PositionsFile {
    path: PathBuf,
}

impl Kept {
    /// Nothing is known of this boot's numbering.
    pub(super) fn nothing(boot: BootId) -> Self {
        Self {
            boot,
            numbering: 0,
            positions: Positions::default(),
            from_zero: false,
            skipped: [0; 3],
            finished: Vec::new(),
        }
    }

    /// What is known of a numbering: one is followed only after the one before was finished, so any other has not been touched.
    pub(super) fn start(&self, numbering: u32) -> Start {
        match self.tells() {
            true if self.numbering == numbering => Start::Resumed(self.positions.clone()),
            true if !self.finished.contains(&numbering) => Start::Fresh,
            _ => Start::Unknown,
        }
    }

    /// What a sensor of this boot has kept; `None` if the bytes are another boot's, or of no use.
    pub(super) fn decode(bytes: &[u8], boot: BootId) -> Option<Self> {
        let (sum, body) = bytes.split_at_checked(SUM_BYTES)?;
        let whole = blake3::hash(body).as_bytes().starts_with(sum);
        let written: Written = postcard::from_bytes(body).ok().filter(|_| whole)?;
        (written.boot == boot).then(|| written.into())
    }

    /// The same as bytes, with a checksum.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let body = postcard::to_stdvec(&Written::from(self)).map_err(io::Error::other)?;
        let mut bytes =
            blake3::hash(&body).as_bytes().first_chunk::<SUM_BYTES>().map(Vec::from).unwrap_or_default();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Whether the next sensor can tell what is missing.
    pub(super) fn tells(&self) -> bool {
        let is_known = |positions: &Vec<_>| !positions.is_empty();
        self.from_zero || self.positions.clean || self.positions.sequences.iter().any(is_known)
    }

    /// All records of the numbering that is followed were taken and are sealed.
    pub(super) fn finish(&mut self) {
        self.finished.push(self.numbering);
    }

    /// Follows a numbering from here on.
    pub(super) fn follow(&mut self, numbering: u32, start: &Start) {
        self.numbering = numbering;
        self.from_zero = !matches!(start, Start::Unknown);
        self.positions = match start {
            Start::Resumed(positions) => positions.clone(),
            Start::Fresh | Start::Unknown => Positions::default(),
        };
        // From here on records leave the rings, and a crash loses them.
        self.positions.clean = false;
    }
}

impl From<&Kept> for Written {
    fn from(kept: &Kept) -> Self {
        Self {
            boot: kept.boot,
            numbering: kept.numbering,
            clean: kept.positions.clean,
            sequences: kept.positions.sequences.to_vec(),
            from_zero: kept.from_zero,
            skipped: kept.skipped.to_vec(),
            finished: kept.finished.clone(),
        }
    }
}

impl From<Written> for Kept {
    fn from(written: Written) -> Self {
        let (mut sequences, mut skipped) = (PerClass::<Vec<Position>>::default(), PerClass::<u64>::default());
        for ((class, of_class), n) in Class::ALL.into_iter().zip(written.sequences).zip(written.skipped) {
            *class.of_mut(&mut sequences) = of_class;
            *class.of_mut(&mut skipped) = n;
        }
        Self {
            boot: written.boot,
            numbering: written.numbering,
            positions: Positions { clean: written.clean, sequences },
            from_zero: written.from_zero,
            skipped,
            finished: written.finished,
        }
    }
}

impl PositionsFile {
    /// The file in this folder, which must be private and should be in tmpfs.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("positions") }
    }

    /// What a sensor of this boot has left; `None` if there was none, or the file is of no use.
    pub(super) fn read(&self, boot: BootId) -> Option<Kept> {
        Kept::decode(&fs::read(&self.path).ok()?, boot)
    }

    /// Replaces what it holds.
    ///
    /// # Errors
    /// When it cannot be written; the old content stays.
    pub(super) fn write(&self, kept: &[u8]) -> io::Result<()> {
        let beside = self.path.with_extension("part");
        fs::write(&beside, kept)?;
        fs::rename(&beside, &self.path)
    }
}

/// How much of the body's blake3 stands before it.
const SUM_BYTES: usize = 8;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::account::Position;

    #[test]
    fn a_sensor_that_crashed_before_its_first_batch_leaves_what_the_next_one_counts_from() {
        let mut kept = Kept::nothing(BootId::new(Uuid::from_u128(1)));
        assert!(!kept.tells());
        assert!(matches!(kept.start(7), Start::Unknown));
        kept.follow(7, &Start::Fresh);
        assert!(kept.tells());
        assert!(matches!(kept.start(7), Start::Resumed(_)));
    }

    #[test]
    fn numberings_are_followed_one_after_another() {
        let mut kept = Kept::nothing(BootId::new(Uuid::from_u128(1)));
        kept.follow(7, &Start::Fresh);
        assert!(matches!(kept.start(8), Start::Fresh), "nobody has touched it");
        kept.finish();
        kept.follow(8, &kept.start(8));
        assert!(matches!(kept.start(7), Start::Unknown) && kept.finished == [7]);
        // Back to what was there before, while another one was begun and never followed.
        let resumed = kept.start(8);
        kept.follow(9, &Start::Fresh);
        kept.finish();
        kept.follow(8, &resumed);
        assert!(matches!(kept.start(8), Start::Resumed(_)));
    }

    #[test]
    fn only_an_intact_file_of_this_boot_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = PositionsFile::in_folder(folder.path());
        let (boot, other) = (BootId::new(Uuid::from_u128(1)), BootId::new(Uuid::from_u128(2)));
        assert_eq!(file.read(boot), None);
        let position = Position { cpu: 3, next: 900, gaps: vec![(7, 9)] };
        let positions = Positions { clean: true, sequences: [vec![position], vec![], vec![]] };
        let kept =
            Kept { boot, numbering: 5, positions, from_zero: false, skipped: [1, 2, 3], finished: vec![4] };
        let bytes = kept.encode().unwrap();
        file.write(&bytes).unwrap();
        file.write(&bytes).unwrap();
        assert_eq!(file.read(boot), Some(kept));
        assert_eq!(file.read(other), None);
        let path = folder.path().join("positions");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(file.read(boot), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(file.read(boot), None, "{at} bytes");
        }
    }
}
