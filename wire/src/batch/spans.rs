//! Where a batch's parts lie in its payload.

use std::ops::Range;

use super::directory::{
    Directory, ELAPSED_BASE, EVENTS, GROUPS, ITEM_BYTES_BASE, ITEMS_BASE, PARENT_BASE, REFERENCE_BASE,
    STRINGS, SUBJECTS,
};
use crate::event::Kind;
use crate::field::Field;

/// Byte ranges of a payload's parts, so that a store can fetch only the slices that a search needs.
///
/// The parts lie in this order without gaps: directory, strings, events, subjects, then each group's
/// columns. So `0..strings.end` is all that a search of strings reads. In a payload of one frame every
/// range is the whole payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSpans {
    /// What [`super::Batch::from_parts`] needs at least; from 0 on.
    pub directory: Range<u32>,
    /// [`super::Batch::strings`].
    pub strings: Range<u32>,
    /// [`super::Batch::events`].
    pub events: Range<u32>,
    /// [`super::Batch::subjects`] and all of [`super::Batch::subject_column`].
    pub subjects: Range<u32>,
    /// The columns of subjects (`None`) and of each kind; neighbours may share a range.
    pub columns: Vec<ColumnSpan>,
}

/// Where one column lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpan {
    /// Whose column it is: a kind's, or the subjects'.
    pub kind: Option<Kind>,
    /// The field.
    pub field: Field,
    /// The bytes that have to be fetched for it, ascending: its own, and where it is told from others
    /// (as a process's user is from its parent's) theirs.
    pub ranges: Vec<Range<u32>>,
}

impl PartSpans {
    /// `whole`: the payload's length if it is one frame.
    pub(super) fn new(directory: &Directory, blocks_at: u32, whole: Option<u32>) -> Self {
        let mut ranges = Vec::with_capacity(directory.blocks.len());
        let mut at = blocks_at;
        for block in &directory.blocks {
            ranges.push(at..at + block.stored);
            at += block.stored;
        }
        let range_of = |block: u32| match whole {
            Some(length) => 0..length,
            None => ranges.get(block as usize).cloned().unwrap_or_default(),
        };
        let table = |table: usize| {
            let parts = directory.table(table);
            let first = parts.first().map(|part| range_of(part.block)).unwrap_or_default();
            let last = parts.last().map(|part| range_of(part.block)).unwrap_or_default();
            first.start..last.end
        };
        let identity =
            |table| directory.table(table).iter().filter(|part| part.id == 0).map(|part| part.block);
        let mut columns = Vec::new();
        for place in SUBJECTS..GROUPS + directory.groups.len() {
            let kind =
                place.checked_sub(GROUPS).and_then(|at| directory.groups.get(at)).map(|(kind, _)| *kind);
            // The blocks of each column, its bases' included: bases stand before what they predict.
            let mut blocks: Vec<(u32, Vec<u32>)> = Vec::new();
            for part in directory.table(place) {
                let mut needed = vec![part.block];
                match part.base {
                    None => {}
                    Some(PARENT_BASE | REFERENCE_BASE) if kind.is_none() => needed.extend(identity(SUBJECTS)),
                    Some(ELAPSED_BASE) => needed.extend(identity(EVENTS).chain(identity(SUBJECTS))),
                    Some(base) => {
                        let id = match base {
                            ITEMS_BASE | ITEM_BYTES_BASE => u32::from(Field::ProcessArgs.number()),
                            id => id,
                        };
                        let of_base = blocks.iter().find(|(other, _)| *other == id);
                        needed.extend(of_base.iter().flat_map(|(_, blocks)| blocks));
                        if base == ITEM_BYTES_BASE {
                            needed.extend(identity(STRINGS));
                        }
                    }
                }
                needed.sort_unstable();
                needed.dedup();
                if let Some(field) = part.field() {
                    let mut ranges: Vec<_> = needed.iter().map(|&block| range_of(block)).collect();
                    ranges.dedup();
                    columns.push(ColumnSpan { kind, field, ranges });
                }
                blocks.push((part.id, needed));
            }
        }
        Self {
            directory: 0..whole.unwrap_or(blocks_at),
            strings: table(STRINGS),
            events: table(EVENTS),
            subjects: table(SUBJECTS),
            columns,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::batch::{Batch, BatchError, Builder, Sealed};
    use crate::sample::{Host, Mix};

    fn sealed(n_events: u32) -> Sealed {
        Host::new(3, Mix::BENCHMARK).batch(&mut Builder::new(), n_events)
    }

    fn slice(sealed: &Sealed, range: &Range<u32>) -> (u32, bytes::Bytes) {
        (range.start, sealed.payload.slice(range.start as usize..range.end as usize))
    }

    fn open(sealed: &Sealed, ranges: &[Range<u32>]) -> Batch {
        let slices = ranges.iter().map(|range| slice(sealed, range)).collect();
        Batch::from_parts(&sealed.header, sealed.payload.len() as u32, slices).unwrap()
    }

    #[test]
    fn strings_need_no_more_than_their_prefix() {
        let sealed = sealed(3_000);
        let spans = Batch::open(&sealed).unwrap().spans();
        let batch = open(&sealed, std::slice::from_ref(&(0..spans.strings.end)));
        assert!(!batch.strings().unwrap().is_empty());
        assert!(matches!(batch.subjects(), Err(BatchError::NotFetched { .. })));
        assert!((spans.strings.end as usize) < sealed.payload.len() / 2);
    }

    #[test]
    fn a_column_needs_no_more_than_its_ranges() {
        let sealed = sealed(3_000);
        let whole = Batch::open(&sealed).unwrap();
        let spans = whole.spans();
        assert!(spans.columns.len() > 30);
        for ColumnSpan { kind, field, ranges } in spans.columns {
            let parts = [std::slice::from_ref(&spans.directory), &ranges[..]].concat();
            let batch = open(&sealed, &parts);
            let group = |batch: &Batch| batch.groups().position(|group| Some(group.kind()) == kind);
            let column = match group(&batch) {
                Some(at) => batch.groups().nth(at).unwrap().column(field).unwrap(),
                None => batch.subject_column(field).unwrap(),
            };
            assert!(column.is_some(), "{field}");
        }
    }

    #[test]
    fn parts_lie_one_after_the_other() {
        let sealed = sealed(3_000);
        let spans = Batch::open(&sealed).unwrap().spans();
        let order = [&spans.directory, &spans.strings, &spans.events, &spans.subjects];
        assert!(order.windows(2).all(|pair| matches!(pair, [a, b] if a.end == b.start)));
        assert!(spans.subjects.end as usize <= sealed.payload.len());
    }

    #[test]
    fn a_payload_of_one_frame_has_one_range() {
        let sealed = sealed(20);
        let spans = Batch::open(&sealed).unwrap().spans();
        let all = 0..sealed.payload.len() as u32;
        assert_eq!((&spans.strings, &spans.subjects), (&all, &all));
        assert!(spans.columns.iter().all(|column| column.ranges == std::slice::from_ref(&all)));
        let cut = vec![(0, sealed.payload.slice(..20))];
        let error = Batch::from_parts(&sealed.header, sealed.payload.len() as u32, cut).unwrap_err();
        assert!(matches!(error, BatchError::NotFetched { .. }));
    }
}
