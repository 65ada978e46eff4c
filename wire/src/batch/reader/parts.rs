//! Finding a part's bytes: fetched, decompressed, cut out.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::super::directory::Part;
use super::super::error::BatchError;
use super::super::{block, dictionary};
use super::{Batch, cached};

impl Batch {
    /// The bytes of a column that every batch has.
    pub(super) fn structural(
        &self,
        table: usize,
        column_type: u8,
        name: &'static str,
    ) -> Result<Bytes, BatchError> {
        let parts = self.directory.table(table);
        let part = parts.iter().find(|part| part.id == 0 && part.column_type == column_type);
        let part =
            part.ok_or(BatchError::Malformed { part: name, reason: "a column every batch has is missing" })?;
        self.bytes(part, name)
    }

    /// A column's bytes, decompressed.
    pub(in super::super) fn bytes(&self, part: &Part, name: &'static str) -> Result<Bytes, BatchError> {
        let block = self.block(part.block as usize, name)?;
        let range = part.offset as usize..part.offset as usize + part.length as usize;
        if range.end > block.len() {
            return Err(BatchError::Malformed { part: name, reason: "it ends beyond its block" });
        }
        Ok(block.slice(range))
    }

    pub(super) fn block(&self, place: usize, name: &'static str) -> Result<&Bytes, BatchError> {
        let missing = BatchError::Malformed { part: name, reason: "its block is missing" };
        let (Some(cell), Some(block)) = (self.blocks.get(place), self.directory.blocks.get(place)) else {
            return Err(missing);
        };
        cached(cell, || {
            let before = self.directory.blocks.iter().take(place).map(|block| block.stored).sum::<u32>();
            let start = self.blocks_at + before;
            let stored = self.fetched(start..start + block.stored, name)?;
            let dictionaries = self.whole.as_ref().and_then(|(_, dictionaries)| dictionaries.as_ref());
            let dictionary = dictionaries.map(|both| both.of(dictionary::Part::Strings));
            Ok(match block::restore(name, &stored, block.raw as usize, dictionary)? {
                Cow::Borrowed(_) => stored,
                Cow::Owned(bytes) => bytes.into(),
            })
        })
    }

    fn fetched(&self, range: Range<u32>, part: &'static str) -> Result<Bytes, BatchError> {
        for (start, bytes) in &self.slices {
            let end = start.saturating_add(bytes.len() as u32);
            if *start <= range.start && range.end <= end {
                return Ok(bytes.slice((range.start - start) as usize..(range.end - start) as usize));
            }
        }
        Err(BatchError::NotFetched { part, start: range.start, end: range.end })
    }
}
