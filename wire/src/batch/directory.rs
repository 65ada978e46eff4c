//! The directory: which tables a batch has, of which columns, and where each of them lies.
//!
//! All numbers are varints:
//!
//! ```text
//! number of strings, number of subjects, number of groups
//! for each group:  kind, rows
//! for each table (strings, events, subjects, then the groups):  number of columns
//! for each column:  id, type (one byte), flags (one byte), the base if it has one
//! for each column that uses strings:  how many it is the first to use
//! for each column:  length
//! for each block, in parted payloads:  its bytes in the payload (its length when decompressed if it is not compressed)
//! ```
//! What is the same from batch to batch stands together, so that a dictionary's match covers it. Flags: 1 it has
//! a base, 2 it begins a block, 4 it uses strings, 8 its body begins with escapes (see [`super::body`]); a reader
//! ignores others. Columns lie one after the other in this order; a reader skips those whose id it does not know.
//!
//! A base predicts a column, and only what differs is written (see [`super::cells`]):
//!
//! | base | of | predicts |
//! |---|---|---|
//! | 0 | a subject's column | the value of its parent, if that stands before it |
//! | 0 | an event's column of numbers | the time since its subject's start, in ns (absent without a subject), as a process's life is at its exit |
//! | 1 | a column of numbers | how many items the row's `process.args` has (absent without) |
//! | 2 | a column of numbers | how many bytes they have, one more for each |
//! | 3 | a subject's column | the value of its reference, the row that resembles it most |
//! | an id | any column | the value of the last row before with the same value in that column (of strings or lists, before it in its table) |

use super::varint;
use crate::event::Kind;
use crate::field::Field;
use crate::value::FieldType;

mod read;

const PART: &str = "directory";

/// The tables that every batch has; the groups follow.
pub(super) const STRINGS: usize = 0;
pub(super) const EVENTS: usize = 1;
pub(super) const SUBJECTS: usize = 2;
pub(super) const GROUPS: usize = 3;

/// The two blocks of a whole payload: what is text, and everything else.
pub(super) const COLUMNS_BLOCK: usize = 0;
pub(super) const STRINGS_BLOCK: usize = 1;
pub(super) const N_WHOLE_BLOCKS: usize = 2;

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
    /// How many rows before each subject its reference stands; 0 without one. Not in every batch.
    pub(in super::super) const REFERENCE: u8 = 74;
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
/// The number of items of `process.args`. (Fields with the numbers of such bases are never columns.)
pub(super) const ITEMS_BASE: u32 = 1;
/// The bytes of the items of `process.args`, one more for each.
pub(super) const ITEM_BYTES_BASE: u32 = 2;
/// In the subject table: the row that resembles it most.
pub(super) const REFERENCE_BASE: u32 = 3;

mod flag {
    pub(super) const BASE: u8 = 1;
    pub(super) const BEGINS_BLOCK: u8 = 2;
    pub(super) const STRINGS: u8 = 4;
    pub(super) const ESCAPES: u8 = 8;
}

/// One column's framing, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: u32,
    pub(super) column_type: u8,
    pub(super) begins_block: bool,
    pub(super) base: Option<u32>,
    pub(super) has_escapes: bool,
    /// How many strings it is the first to use; `None` for a column without strings.
    pub(super) n_new: Option<u32>,
    /// The number of the first of them.
    pub(super) first_new: u32,
    /// Which block it lies in, and where in that block's decompressed bytes.
    pub(super) block: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Part {
    /// A column that was just laid out.
    pub(super) fn new(id: u16, column_type: u8, length: usize) -> Self {
        Self {
            id: u32::from(id),
            column_type,
            begins_block: false,
            base: None,
            has_escapes: false,
            n_new: None,
            first_new: 1,
            block: 0,
            offset: 0,
            length: length as u32,
        }
    }

    fn flags(&self) -> u8 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.base.is_some(), flag::BASE)
            | flag(self.begins_block, flag::BEGINS_BLOCK)
            | flag(self.n_new.is_some(), flag::STRINGS)
            | flag(self.has_escapes, flag::ESCAPES)
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
            varint::put(out, self.table_range(table).len() as u64);
        }
        for part in &self.parts {
            varint::put(out, u64::from(part.id));
            out.extend_from_slice(&[part.column_type, part.flags()]);
            part.base.into_iter().for_each(|base| varint::put(out, u64::from(base)));
        }
        self.parts.iter().filter_map(|part| part.n_new).for_each(|n| varint::put(out, u64::from(n)));
        self.parts.iter().for_each(|part| varint::put(out, u64::from(part.length)));
        self.blocks.iter().for_each(|block| varint::put(out, u64::from(block.stored)));
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
