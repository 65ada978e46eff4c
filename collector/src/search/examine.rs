//! One batch, looked through, as far as its bytes have been read.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wire::batch::{Batch, BatchError};
use wire::predicate::Verdict;

use super::gather::Gather;
use super::slices::missing;
use super::{Fleet, Search};
use crate::store::candidates::SegmentKey;
use crate::store::directory::Entry;

/// Payloads up to this are read at once: a second lookup would cost more.
const SMALL_BYTES: u32 = 12 << 10;

/// Up to this, columns are read with all that stands before them: a second lookup would cost as much.
pub(super) const MEDIUM_BYTES: u32 = 128 << 10;

/// Where a batch is.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// The segment.
    pub(super) key: SegmentKey,
    /// The batch there.
    pub(super) entry: Entry,
}

/// A batch, as far as it has been read.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) located: Arc<Located>,
    pub(super) header: Bytes,
    /// Slices of its payload, with where each begins; the first begins at 0.
    pub(super) slices: Vec<(u32, Bytes)>,
}

/// What came of looking through a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Examined {
    /// What matches has been gathered.
    Done,
    /// These ranges of the payload have to be read first.
    More(Vec<Range<u32>>),
}

impl Located {
    /// What to read of its payload first.
    pub(super) fn first_range(&self, search: &Search) -> Range<u32> {
        let length = self.entry.payload_len;
        let end = match self.entry.ends {
            Some(ends) if length > SMALL_BYTES && !search.needs_whole => match &search.needs {
                _ if search.strings_first => ends.strings,
                needs if !needs.columns.is_empty() && length <= MEDIUM_BYTES => length,
                needs if needs.subjects => ends.subjects,
                _ => ends.events,
            },
            _ => length,
        };
        0..end.min(length)
    }
}

impl Material {
    pub(super) fn is_whole(&self) -> bool {
        self.slices.iter().any(|(start, bytes)| {
            *start == 0 && bytes.len() as u64 >= u64::from(self.located.entry.payload_len)
        })
    }

    /// The same in memory of its own: its bytes are part of what was read with it.
    pub(super) fn alone(self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let slices = self.slices.iter().map(|(start, bytes)| (*start, copy(bytes))).collect();
        Self { header: copy(&self.header), slices, located: self.located }
    }

    pub(super) fn open(&self) -> Result<Batch, BatchError> {
        Batch::from_parts(&self.header, self.located.entry.payload_len, self.slices.clone())
    }

    fn whole(&self) -> Range<u32> {
        0..self.located.entry.payload_len
    }
}

/// Gathers what matches in a batch, or says what else must be read.
///
/// # Errors
/// When the batch does not decode, which ingest has checked: then it is damaged.
pub(super) fn examine(
    search: &Search,
    fleet: &Fleet,
    material: &Material,
    gather: &mut Gather,
) -> Result<Examined, BatchError> {
    match attempt(search, fleet, material, gather) {
        // Not foreseen; then all of it is enough.
        Err(BatchError::NotFetched { .. }) if !material.is_whole() => {
            Ok(Examined::More(vec![material.whole()]))
        }
        result => result,
    }
}

fn attempt(
    search: &Search,
    fleet: &Fleet,
    material: &Material,
    gather: &mut Gather,
) -> Result<Examined, BatchError> {
    let batch = material.open()?;
    let entry = &material.located.entry;
    let outer = fleet.outer(entry.stream.host, entry.received.wall());
    let judge = search.predicate.judge(&outer);
    if !material.is_whole() {
        let is_first_look = search.strings_first && material.slices.len() == 1;
        if is_first_look && judge.verdict(&batch)? == Verdict::None {
            return Ok(Examined::Done);
        }
        let lacking = missing(search.needs.ranges(&batch.spans()), &material.slices);
        if !lacking.is_empty() {
            return Ok(Examined::More(if search.needs_whole { vec![material.whole()] } else { lacking }));
        }
    }
    let selected = judge.select(&batch)?;
    gather.take(search, &batch, &outer, &material.located, selected)?;
    Ok(Examined::Done)
}
