//! The directory: which tables a batch has, of which columns, and where each of them lies.
//!
//! All numbers are varints:
//!
//! ```text
//! number of strings, number of subjects, number of groups
//! for each group:  kind, rows
//! for each table (strings, events, subjects, then the groups):
//!     number of columns
//!     for each column:  id, type (one byte), length × 4 + 2 if it has a base + 1 if it begins a block,
//!                       the base: 0 or the id of a column of strings or lists before it
//! for each block, in parted payloads:  its bytes in the payload (its length when decompressed if it is not compressed)
//! ```
//! Columns lie one after the other in this order; a reader skips those whose id it does not know.
//!
//! A base predicts a column, and only what differs is written (see [`super::cells`]). Base 0 of a
//! subject's column: the value of its parent, if that stands before it. Base 0 of an event's column of
//! numbers: the time since its subject's start, in ns (absent without a subject), as a process's life is at
//! its exit. A column: the value of the last row before with the same value there.

use super::error::{BatchError, bounded};
use super::varint::{self, Input};
use crate::event::Kind;
use crate::field::Field;
use crate::limits::{
    MAX_BATCH_BYTES, MAX_CELLS_PER_BATCH, MAX_COLUMNS_PER_GROUP, MAX_EVENTS_PER_BATCH, MAX_GROUPS_PER_BATCH,
    MAX_STRINGS_PER_BATCH, MAX_SUBJECTS_PER_BATCH,
};
use crate::value::FieldType;

const PART: &str = "directory";

/// The tables that every batch has; the groups follow.
pub(super) const STRINGS: usize = 0;
pub(super) const EVENTS: usize = 1;
pub(super) const SUBJECTS: usize = 2;
pub(super) const GROUPS: usize = 3;

/// What a column holds: a field (by its id), or one of the parts every batch has (id 0).
pub(super) mod column_type {
    pub(in super::super) const STRINGS_WITH_ZEROS: u8 = 64;
    pub(in super::super) const STRING_BYTES: u8 = 65;
    pub(in super::super) const EVENT_GROUP: u8 = 66;
    pub(in super::super) const EVENT_TIME: u8 = 67;
    pub(in super::super) const EVENT_SUBJECT: u8 = 68;
    pub(in super::super) const START: u8 = 69;
    pub(in super::super) const PID: u8 = 70;
    pub(in super::super) const IMAGE: u8 = 71;
    pub(in super::super) const PARENT: u8 = 72;
    pub(in super::super) const IS_NEW: u8 = 73;
}

/// A type's number in a column's framing.
pub(super) const fn type_number(field_type: FieldType) -> u8 {
    match field_type {
        FieldType::Keyword => 1,
        FieldType::KeywordList => 2,
        FieldType::Uint => 3,
        FieldType::Int => 4,
        FieldType::Bool => 5,
        FieldType::Ip => 6,
        FieldType::Time => 7,
    }
}

/// In the subject table: the base that is each subject's parent.
pub(super) const PARENT_BASE: u32 = 0;
/// In a group: the base that is the time since the start of each event's subject.
pub(super) const ELAPSED_BASE: u32 = 0;

/// One column's framing, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: u32,
    pub(super) column_type: u8,
    pub(super) begins_block: bool,
    pub(super) base: Option<u32>,
    /// Which block it lies in, and where in that block's decompressed bytes.
    pub(super) block: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Part {
    pub(super) fn new(id: u16, column_type: u8, length: usize, base: Option<u32>) -> Self {
        let (id, length) = (u32::from(id), length as u32);
        Self { id, column_type, begins_block: false, base, block: 0, offset: 0, length }
    }

    /// The field it holds, if it is one that this version knows.
    pub(super) fn field(&self) -> Option<Field> {
        Field::from_number(u16::try_from(self.id).ok()?)
    }
}

/// A run of columns that is compressed as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Block {
    /// Bytes in the payload, and decompressed; the same if it is not compressed.
    pub(super) stored: u32,
    pub(super) raw: u32,
}

/// What the directory says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) n_strings: u32,
    pub(super) n_subjects: u32,
    /// Each group's kind and rows.
    pub(super) groups: Vec<(Kind, u32)>,
    /// All tables' columns, one table after the other.
    pub(super) parts: Vec<Part>,
    /// Where each table's columns end in `parts`.
    pub(super) ends: Vec<u32>,
    pub(super) blocks: Vec<Block>,
}

impl Directory {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        varint::put(out, u64::from(self.n_strings));
        varint::put(out, u64::from(self.n_subjects));
        varint::put(out, self.groups.len() as u64);
        for (kind, rows) in &self.groups {
            varint::put(out, u64::from(kind.number()));
            varint::put(out, u64::from(*rows));
        }
        for table in 0..self.ends.len() {
            let parts = self.table(table);
            varint::put(out, parts.len() as u64);
            for part in parts {
                varint::put(out, u64::from(part.id));
                out.push(part.column_type);
                let flags = u64::from(part.base.is_some()) << 1 | u64::from(part.begins_block);
                varint::put(out, u64::from(part.length) << 2 | flags);
                part.base.into_iter().for_each(|base| varint::put(out, u64::from(base)));
            }
        }
        self.blocks.iter().for_each(|block| varint::put(out, u64::from(block.stored)));
    }

    /// Reads a directory; `parted` tells whether its columns lie in blocks of their own or follow it.
    pub(super) fn read(input: &mut Input<'_>, n_events: u32, parted: bool) -> Result<Self, BatchError> {
        let mut next = |what, limit| {
            let found = input.varint().map_err(|flaw| flaw.within(PART))?;
            bounded(what, found, limit)
        };
        let n_strings = next("number of strings", MAX_STRINGS_PER_BATCH)?;
        let n_subjects = next("number of subjects", MAX_SUBJECTS_PER_BATCH)?;
        let n_groups = next("number of groups", MAX_GROUPS_PER_BATCH)?;
        let mut directory = Self { n_strings, n_subjects, ..Self::default() };
        let mut n_rows = 0u32;
        for _ in 0..n_groups {
            let kind = Kind::new(next("kind", u32::from(u16::MAX))? as u16);
            let rows = next("rows of a group", MAX_EVENTS_PER_BATCH)?;
            if directory.groups.iter().any(|(other, _)| *other == kind) {
                return Err(malformed("it has two groups of one kind"));
            }
            directory.groups.push((kind, rows));
            n_rows += rows;
        }
        if n_rows != n_events {
            return Err(malformed("its groups do not add up to the header's number of events"));
        }
        directory.read_tables(input, n_events, parted)?;
        if parted {
            directory.read_blocks(input)?;
        }
        Ok(directory)
    }

    fn read_tables(&mut self, input: &mut Input<'_>, n_events: u32, parted: bool) -> Result<(), BatchError> {
        let (mut n_cells, mut n_bytes) = (0u64, 0u64);
        for table in 0..GROUPS + self.groups.len() {
            let n_columns = input.varint().map_err(|flaw| flaw.within(PART))?;
            bounded("number of columns", n_columns, MAX_COLUMNS_PER_GROUP)?;
            n_cells += n_columns * u64::from(self.n_rows(table, n_events));
            bounded("number of cells", n_cells, MAX_CELLS_PER_BATCH)?;
            let first = self.parts.len();
            for _ in 0..n_columns {
                let mut part = read_part(input)?;
                n_bytes += u64::from(part.length);
                bounded("decompressed size", n_bytes, MAX_BATCH_BYTES)?;
                self.place(&mut part, parted)?;
                if self.parts.iter().skip(first).any(|other| same(other, &part)) {
                    return Err(malformed("a table has a column twice"));
                }
                self.parts.push(part);
            }
            self.ends.push(self.parts.len() as u32);
        }
        Ok(())
    }

    /// Puts a column after those before it.
    fn place(&mut self, part: &mut Part, parted: bool) -> Result<(), BatchError> {
        if part.begins_block && !parted {
            return Err(malformed("it has blocks in a payload of one frame"));
        }
        if part.begins_block || (!parted && self.blocks.is_empty()) {
            self.blocks.push(Block::default());
        }
        let block = self.blocks.last_mut().ok_or(malformed("its first column begins no block"))?;
        part.offset = block.raw;
        block.raw += part.length;
        part.block = self.blocks.len() as u32 - 1;
        Ok(())
    }

    fn read_blocks(&mut self, input: &mut Input<'_>) -> Result<(), BatchError> {
        for block in &mut self.blocks {
            let stored = input.varint().map_err(|flaw| flaw.within(PART))?;
            if stored > u64::from(block.raw) {
                return Err(malformed("a block is larger in the payload than decompressed"));
            }
            block.stored = stored as u32;
        }
        Ok(())
    }

    /// A table's columns.
    pub(super) fn table(&self, table: usize) -> &[Part] {
        self.parts.get(self.table_range(table)).unwrap_or_default()
    }

    /// Where a table's columns are in `parts`.
    pub(super) fn table_range(&self, table: usize) -> std::ops::Range<usize> {
        let end = |table: usize| self.ends.get(table).copied().unwrap_or_default() as usize;
        let start = table.checked_sub(1).map_or(0, end);
        start..end(table).max(start)
    }

    /// How many rows a table has.
    pub(super) fn n_rows(&self, table: usize, n_events: u32) -> u32 {
        match table {
            STRINGS => 0,
            EVENTS => n_events,
            SUBJECTS => self.n_subjects,
            _ => self.groups.get(table - GROUPS).map_or(0, |(_, rows)| *rows),
        }
    }
}

fn read_part(input: &mut Input<'_>) -> Result<Part, BatchError> {
    let flawed = |flaw: super::error::Flaw| flaw.within(PART);
    let id =
        u32::try_from(input.varint().map_err(flawed)?).map_err(|_| malformed("an id is over 32 bits"))?;
    let column_type = input.byte().map_err(flawed)?;
    let length = input.varint().map_err(flawed)?;
    let (begins_block, has_base) = (length & 1 == 1, length & 2 == 2);
    let length = bounded("length of a column", length >> 2, MAX_BATCH_BYTES)?;
    let base = if has_base {
        let base = input.varint().map_err(flawed)?;
        Some(u32::try_from(base).map_err(|_| malformed("an id is over 32 bits"))?)
    } else {
        None
    };
    let part = Part { id, column_type, begins_block, base, block: 0, offset: 0, length };
    match part.field() {
        Some(field) if type_number(field.field_type()) != column_type => {
            let expected = type_number(field.field_type());
            Err(BatchError::ColumnType { field, found: column_type, expected })
        }
        _ => Ok(part),
    }
}

fn same(a: &Part, b: &Part) -> bool {
    a.id == b.id && (a.id != 0 || a.column_type == b.column_type)
}

fn malformed(reason: &'static str) -> BatchError {
    BatchError::Malformed { part: PART, reason }
}
