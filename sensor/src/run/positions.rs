//! How far the sealed batches reach in the kernel's numbering, as a file beside them.
//!
//! Written after each batch went into the spool. Programs and rings outlive the sensor, so the next
//! one goes on counting from here: what a crash took along is booked as dropped, and nothing is
//! counted twice but, if the crash falls between the two writes, one batch as both stored and dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::id::BootId;

use crate::account::Positions;
use crate::record::PerClass;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The boot it is about.
    pub(super) boot: BootId,
    /// How far the sealed batches reach.
    pub(super) positions: Positions,
    /// Whether a CPU without a position has sent nothing that was sealed: the numbering was followed from 0 on.
    /// Else such a CPU's numbering is not known.
    pub(super) from_zero: bool,
    /// Skipped program runs that are booked, of each class.
    pub(super) skipped: PerClass<u64>,
}

/// The file.
#[derive(Debug)]
pub(super) struct PositionsFile {
    path: PathBuf,
}

impl Kept {
    /// Nothing is known of this boot's numbering.
    pub(super) fn nothing(boot: BootId) -> Self {
        Self { boot, positions: Positions::default(), from_zero: false, skipped: [0; 3] }
    }

    /// Whether the next sensor can tell what is missing.
    pub(super) fn tells(&self) -> bool {
        let is_known = |positions: &Vec<_>| !positions.is_empty();
        self.from_zero || self.positions.clean || self.positions.sequences.iter().any(is_known)
    }

    /// Begins to follow programs that were just loaded.
    pub(super) fn begin_at_zero(&mut self) {
        self.positions.sequences = Default::default();
        self.from_zero = true;
    }
}

impl PositionsFile {
    /// The file in this folder, which must be private and should be in tmpfs.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("positions") }
    }

    /// What a sensor of this boot has left; `None` if there was none, or the file is of no use.
    pub(super) fn read(&self, boot: BootId) -> Option<Kept> {
        let bytes = fs::read(&self.path).ok()?;
        let (sum, body) = bytes.split_at_checked(SUM_BYTES)?;
        let whole = blake3::hash(body).as_bytes().starts_with(sum);
        let kept: Kept = postcard::from_bytes(body).ok().filter(|_| whole)?;
        (kept.boot == boot).then_some(kept)
    }

    /// Replaces what it holds.
    ///
    /// # Errors
    /// When it cannot be written; the old content stays.
    pub(super) fn write(&self, kept: &Kept) -> io::Result<()> {
        let body = postcard::to_stdvec(kept).map_err(io::Error::other)?;
        let mut bytes =
            blake3::hash(&body).as_bytes().first_chunk::<SUM_BYTES>().map(Vec::from).unwrap_or_default();
        bytes.extend_from_slice(&body);
        let beside = self.path.with_extension("part");
        fs::write(&beside, bytes)?;
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
        kept.begin_at_zero();
        assert!(kept.tells());
    }

    #[test]
    fn only_an_intact_file_of_this_boot_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = PositionsFile::in_folder(folder.path());
        let (boot, other) = (BootId::new(Uuid::from_u128(1)), BootId::new(Uuid::from_u128(2)));
        assert_eq!(file.read(boot), None);
        let position = Position { cpu: 3, next: 900, gaps: vec![(7, 9)] };
        let positions = Positions { clean: true, sequences: [vec![position], vec![], vec![]] };
        let kept = Kept { boot, positions, from_zero: false, skipped: [1, 2, 3] };
        file.write(&kept).unwrap();
        file.write(&kept).unwrap();
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
