//! What a stream is made of that lies in memory, on disk, or in both: a start after a crash finds what was on its way. Pure.

use std::cmp::Reverse;

use wire::batch::Digest;

use super::slot::{Place, Slot};
use crate::spool::Run;

/// What was found of a stream, in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) slots: Vec<Slot>,
    /// How far it was acknowledged, as far as is known.
    pub(super) watermarks: Vec<(u64, Digest)>,
    /// From where to where there were events at least, as things began there, be they of use or not.
    pub(super) listed: Option<Run>,
    /// Whether it has a folder on disk.
    pub(super) has_folder_on_disk: bool,
}

/// A stream without gaps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Merged {
    pub(super) acked: u64,
    /// The chain there, if it is known.
    pub(super) digest: Option<Digest>,
    /// In order.
    pub(super) slots: Vec<Slot>,
    /// Those of them that stand for what was not found: tombstones in memory, of which there are no files yet.
    pub(super) holes: Vec<Run>,
    /// What is not needed.
    pub(super) superfluous: Vec<Slot>,
}

/// Puts together what was found.
///
/// - What is acknowledged is not needed.
/// - A bundle whose batches are all in memory is not needed: if its sync failed, nobody knows what it holds.
/// - Of what holds the same events, that which holds the most counts.
/// - What is missing in between is a hole, and so is what would begin in the middle of something else.
pub(super) fn merge(found: Found) -> Merged {
    let watermark = found.watermarks.into_iter().max_by_key(|(seq, _)| *seq);
    let mut merged = Merged::default();
    let (mut slots, acked): (Vec<Slot>, Vec<Slot>) =
        found.slots.into_iter().partition(|slot| watermark.is_none_or(|(seq, _)| slot.end() > seq));
    merged.superfluous = acked;
    let in_memory = covered_by_batches(&slots);
    let is_twice = |slot: &Slot| {
        let run = slot.run();
        slot.holds(Place::Disk)
            && in_memory.iter().any(|memory| memory.first <= run.first && run.end <= memory.end)
    };
    merged.superfluous.extend(slots.extract_if(.., |slot| is_twice(slot)));
    slots.sort_by_key(|slot| {
        (slot.first_seq, Reverse(slot.end()), !slot.is_tombstone(), slot.place == Place::Memory)
    });
    let listed = found.listed.unwrap_or(Run { first: u64::MAX, end: 0 });
    let first = slots.first().map_or(u64::MAX, |slot| slot.first_seq).min(listed.first);
    (merged.acked, merged.digest) = match watermark {
        Some((seq, digest)) => (seq, Some(digest)),
        None if (1..u64::MAX).contains(&first) => (first, None),
        None => (0, Some(Digest::START)),
    };
    let mut at = merged.acked;
    for slot in slots {
        if slot.first_seq > at {
            merged.hole(Run { first: at, end: slot.first_seq });
            at = slot.first_seq;
        }
        // The first may be acknowledged in part, if it is made of several batches.
        let is_split = merged.slots.is_empty() && (slot.place == Place::Disk || slot.is_tombstone());
        if slot.first_seq == at || is_split && slot.end() > at {
            at = slot.end();
            merged.slots.push(slot);
        } else {
            if slot.end() > at {
                merged.hole(Run { first: at, end: slot.end() });
                at = slot.end();
            }
            merged.superfluous.push(slot);
        }
    }
    if listed.end > at {
        merged.hole(Run { first: at, end: listed.end });
    }
    merged
}

impl Merged {
    fn hole(&mut self, run: Run) {
        self.holes.push(run);
        self.slots.push(Slot::tombstone(run, Place::Memory));
    }
}

/// The runs of events that batches in memory hold without a gap.
fn covered_by_batches(slots: &[Slot]) -> Vec<Run> {
    let mut runs: Vec<Run> =
        slots.iter().filter(|slot| slot.holds(Place::Memory)).map(|slot| slot.run()).collect();
    runs.sort_unstable();
    runs.dedup_by(|next, before| {
        let joins = next.first == before.end;
        if joins {
            before.end = next.end;
        }
        joins
    });
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(first: u64, end: u64) -> Run {
        Run { first, end }
    }

    fn batch(first: u64, end: u64) -> Slot {
        Slot::batch(run(first, end), 100)
    }

    fn bundle(first: u64, end: u64) -> Slot {
        Slot::bundle(run(first, end), 100)
    }

    fn shed(first: u64, end: u64, place: Place) -> Slot {
        Slot::tombstone(run(first, end), place)
    }

    fn of(slots: &[Slot], watermark: Option<u64>) -> Merged {
        let watermarks = watermark.map(|seq| (seq, Digest([7; 32]))).into_iter().collect();
        merge(Found { slots: slots.to_vec(), watermarks, ..Found::default() })
    }

    #[test]
    fn a_backlog_goes_on_from_disk_to_memory() {
        let merged = of(&[batch(30, 40), bundle(10, 20), bundle(20, 30)], None);
        assert_eq!((merged.acked, merged.digest), (10, None));
        assert_eq!(merged.slots, [bundle(10, 20), bundle(20, 30), batch(30, 40)]);
        assert_eq!((merged.holes.len(), merged.superfluous.len()), (0, 0));
        assert_eq!(of(&[batch(0, 1)], None).digest, Some(Digest::START));
    }

    #[test]
    fn memory_counts_before_a_bundle_that_may_be_torn_and_after_one_that_was_finished() {
        let merged = of(&[bundle(0, 30), batch(0, 10), batch(10, 30)], None);
        assert_eq!(merged.slots, [batch(0, 10), batch(10, 30)]);
        assert_eq!(merged.superfluous, [bundle(0, 30)]);
        // Half of the files in memory were removed already.
        let merged = of(&[bundle(0, 30), batch(10, 20), batch(20, 30), batch(30, 40)], None);
        assert_eq!(merged.slots, [bundle(0, 30), batch(30, 40)]);
        assert_eq!(merged.superfluous, [batch(10, 20), batch(20, 30)]);
    }

    #[test]
    fn what_is_acknowledged_is_not_needed_and_may_end_in_a_bundle() {
        let merged = of(&[bundle(0, 10), bundle(10, 30), batch(30, 40)], Some(20));
        assert_eq!((merged.acked, merged.digest), (20, Some(Digest([7; 32]))));
        assert_eq!(merged.slots, [bundle(10, 30), batch(30, 40)]);
        assert_eq!(merged.superfluous, [bundle(0, 10)]);
        assert!(of(&[bundle(0, 10)], Some(10)).slots.is_empty());
    }

    #[test]
    fn holes_and_what_was_shed_are_tombstones() {
        let merged = of(&[bundle(30, 40), shed(5, 20, Place::Disk), bundle(10, 20)], Some(0));
        let hole = |first, end| shed(first, end, Place::Memory);
        assert_eq!(merged.slots, [hole(0, 5), shed(5, 20, Place::Disk), hole(20, 30), bundle(30, 40)]);
        assert_eq!(merged.holes, [run(0, 5), run(20, 30)]);
        assert_eq!(merged.superfluous, [bundle(10, 20)], "shed, and then joined");
    }

    prop_compose! {
        fn slots()(of in proptest::collection::vec((0..60u64, 1..30u64, 0..4u8), 0..12)) -> Vec<Slot> {
            let slot = |(first, n, kind)| match kind {
                0 => batch(first, first + n),
                1 => bundle(first, first + n),
                2 => shed(first, first + n, Place::Memory),
                _ => shed(first, first + n, Place::Disk),
            };
            of.into_iter().map(slot).collect()
        }
    }

    proptest! {
        /// Whatever lies there: the stream has no gap, ends where the last thing ends, and each thing is used or not needed.
        #[test]
        fn any_heap_of_files_is_a_stream(slots in slots(), watermark in proptest::option::of(0..80u64)) {
            let merged = of(&slots, watermark);
            let mut at = merged.acked;
            for (n, slot) in merged.slots.iter().enumerate() {
                prop_assert!(slot.first_seq == at || n == 0 && slot.first_seq < at);
                prop_assert!(slot.end() > at);
                at = slot.end();
            }
            let end = slots.iter().map(|slot| slot.end()).max().unwrap_or(0);
            prop_assert_eq!(at, end.max(watermark.unwrap_or(0)));
            let n_used = merged.slots.len() - merged.holes.len();
            prop_assert_eq!(n_used + merged.superfluous.len(), slots.len());
        }
    }
}
