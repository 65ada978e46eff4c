//! The equation that accounts for every record, and where it does not hold. Pure.
//!
//! `generated = stored + merged + lost + dropped + rejected` holds at the end of every batch, per stream. Up to there every
//! number of the stream is stored, shed (its tombstone is there, and it counts as dropped) or refused: so the sum of those
//! three is the number after the batch's last event, and what a batch's header says can be checked by itself.

use wire::ledger::Ledger;

/// Both sides of the equation, of one stream at its last boundary or of many streams together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// What the kernel tried to emit, and the sensor's own events.
    pub generated: u64,
    /// Events in the store.
    pub stored: u64,
    /// Records that went into another record's event.
    pub merged: u64,
    /// What the kernel could not hand over.
    pub lost: u64,
    /// What the sensor's bounds gave up, before or after it was sealed.
    pub dropped: u64,
    /// What the collector refused.
    pub rejected: u64,
}

impl Account {
    /// What nothing explains. Positive: vanished. Negative: more is there than was made.
    pub fn residue(&self) -> i128 {
        let Self { generated, stored, merged, lost, dropped, rejected } = *self;
        let explained = [stored, merged, lost, dropped, rejected].map(i128::from);
        i128::from(generated) - explained.iter().sum::<i128>()
    }

    /// What was generated and is not stored.
    pub fn not_stored(&self) -> u64 {
        [self.lost, self.dropped, self.rejected].into_iter().fold(0, u64::saturating_add)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            generated: self.generated.saturating_add(other.generated),
            stored: self.stored.saturating_add(other.stored),
            merged: self.merged.saturating_add(other.merged),
            lost: self.lost.saturating_add(other.lost),
            dropped: self.dropped.saturating_add(other.dropped),
            rejected: self.rejected.saturating_add(other.rejected),
        }
    }
}

/// The end of a batch, as its header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Boundary {
    /// The number after its last event.
    pub end_seq: u64,
    /// The sensor's counters there.
    pub ledger: Ledger,
}

/// A run of a stream over which the equation ceased to hold, or changed how far it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Residue {
    /// The run begins here: the boundary before.
    pub from_seq: u64,
    /// The number after its last event.
    pub end: Boundary,
    /// The residue at its end.
    pub residue: i128,
}

impl Boundary {
    /// What nothing explains here, given that all before is stored, shed or refused.
    pub fn residue(&self) -> i128 {
        self.ledger.residue(self.end_seq, 0)
    }
}

/// Where a residue appears in these boundaries, which follow each other and `before`.
pub fn residues(before: Boundary, boundaries: &[Boundary]) -> Vec<Residue> {
    let mut last = before;
    let mut found = Vec::new();
    for end in boundaries {
        let residue = end.residue();
        // A residue once there is in every later sum: it is found where it appears.
        if residue != 0 && residue != last.residue() {
            found.push(Residue { from_seq: last.end_seq, end: *end, residue });
        }
        last = *end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(end_seq: u64, generated: u64) -> Boundary {
        Boundary { end_seq, ledger: Ledger { generated, merged: 1, ..Ledger::default() } }
    }

    #[test]
    fn what_is_accounted_for_leaves_nothing() {
        let account = Account { generated: 21, stored: 6, merged: 5, lost: 4, dropped: 3, rejected: 3 };
        assert_eq!((account.residue(), account.not_stored()), (0, 10));
        assert_eq!(Account { stored: 4, ..account }.residue(), 2);
        let most = Account { generated: 0, stored: u64::MAX, lost: u64::MAX, ..Account::default() };
        assert_eq!(most.residue(), -2 * i128::from(u64::MAX));
    }

    #[test]
    fn a_residue_is_found_once_where_it_appears() {
        let run = [at(10, 11), at(20, 24), at(30, 34), at(40, 41)];
        let found = residues(Boundary::default(), &run);
        assert_eq!(found, [Residue { from_seq: 10, end: at(20, 24), residue: 3 }]);
        // The next commit begins where this one ended.
        assert_eq!(residues(at(30, 34), &[at(40, 44), at(50, 54)]), []);
        let grown = residues(at(30, 34), &[at(40, 45)]);
        assert_eq!(grown, [Residue { from_seq: 30, end: at(40, 45), residue: 4 }]);
    }

    #[test]
    fn more_than_was_made_is_a_residue_too() {
        assert_eq!(residues(Boundary::default(), &[at(10, 1)]).first().map(|r| r.residue), Some(-10));
    }
}
