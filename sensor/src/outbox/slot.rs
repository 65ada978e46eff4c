//! One place in a stream: what lies there, and where.

use crate::spool::{Run, Spool, disk};

/// A parcel's place. Small, as a long backlog has many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) first_seq: u64,
    pub(super) n_events: u64,
    /// How large it is; 0 for a tombstone.
    n_bytes: u32,
    pub(super) place: Place,
}

/// Where a parcel lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In memory, as a file of its own.
    Memory,
    /// On disk, in a bundle that has just these events.
    Disk,
}

impl Slot {
    /// A batch in memory, with a header and a payload of so many bytes.
    pub(super) fn batch(run: Run, n_bytes: u64) -> Self {
        Self::new(run, n_bytes, Place::Memory)
    }

    /// A bundle on disk, with a file of so many bytes.
    pub(super) fn bundle(run: Run, n_bytes: u64) -> Self {
        Self::new(run, n_bytes, Place::Disk)
    }

    pub(super) fn tombstone(run: Run, place: Place) -> Self {
        Self { first_seq: run.first, n_events: run.n_events(), n_bytes: 0, place }
    }

    fn new(run: Run, n_bytes: u64, place: Place) -> Self {
        let n_bytes = u32::try_from(n_bytes.max(1)).unwrap_or(u32::MAX);
        Self { first_seq: run.first, n_events: run.n_events(), n_bytes, place }
    }

    /// How large its batch, or its file on disk, is; 0 for a tombstone.
    pub(super) fn n_bytes(self) -> u64 {
        self.n_bytes.into()
    }

    /// What it takes where it lies.
    pub(super) fn cost(self) -> u64 {
        match self.place {
            _ if self.is_tombstone() => 0,
            Place::Memory => Spool::cost(self.n_bytes()),
            Place::Disk => disk::cost(self.n_bytes()),
        }
    }

    pub(super) fn is_tombstone(self) -> bool {
        self.n_bytes == 0
    }

    /// Whether events lie there, and here.
    pub(super) fn holds(self, place: Place) -> bool {
        self.place == place && !self.is_tombstone()
    }

    pub(super) fn end(self) -> u64 {
        self.first_seq.saturating_add(self.n_events)
    }

    pub(super) fn run(self) -> Run {
        Run { first: self.first_seq, end: self.end() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 512 MiB of the smallest files are 105,000 slots, 2.5 MB.
    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 24);
    }
}
