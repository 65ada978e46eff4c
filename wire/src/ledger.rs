//! The counters that account for every record.
//!
//! `generated = stored + merged + lost + dropped + rejected` holds exactly, per stream, at every
//! batch's boundary. All counters are cumulative from the start of the epoch.

use serde::{Deserialize, Serialize};

/// A stream's counters at a batch's boundary: what happened to every record up to there.
///
/// `stored` is the sequence after the batch's last event, less what was shed (the tombstones), so
/// it is not repeated here; `rejected` is the collector's to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Records the kernel tried to emit for this stream (and the sensor's own events).
    pub generated: u64,
    /// Records that went into another record's event, or that only told the sensor where it stands.
    pub merged: u64,
    /// Records the kernel could not hand over: a full ring, a skipped program run.
    pub lost: u64,
    /// Records or events that the sensor's bounds, or its crash, gave up.
    pub dropped: u64,
}

impl Ledger {
    /// How many records the counters do not explain, given how many events were stored and rejected.
    /// Positive: vanished without a trace. Negative: more arrived than were made.
    pub fn residue(&self, stored: u64, rejected: u64) -> i128 {
        let accounted = [stored, rejected, self.merged, self.lost, self.dropped].map(i128::from);
        i128::from(self.generated) - accounted.iter().sum::<i128>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residue_is_what_nothing_explains() {
        let ledger = Ledger { generated: 10, merged: 2, lost: 1, dropped: 1 };
        assert_eq!(ledger.residue(6, 0), 0);
        assert_eq!(ledger.residue(5, 1), 0);
        assert_eq!(ledger.residue(5, 0), 1);
        assert_eq!(ledger.residue(u64::MAX, u64::MAX), 6 - 2 * i128::from(u64::MAX));
    }
}
