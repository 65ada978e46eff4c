//! Reading a directory: every number is bounded before anything is made of it.

use super::{
    Block, COLUMNS_BLOCK, Directory, GROUPS, N_WHOLE_BLOCKS, PART, Part, STRINGS_BLOCK, column_type, flag,
    type_number,
};
use crate::batch::error::{BatchError, Flaw, bounded};
use crate::batch::varint::Input;
use crate::event::Kind;
use crate::limits::{
    MAX_BATCH_BYTES, MAX_CELLS_PER_BATCH, MAX_COLUMNS_PER_GROUP, MAX_EVENTS_PER_BATCH, MAX_GROUPS_PER_BATCH,
    MAX_STRINGS_PER_BATCH, MAX_SUBJECTS_PER_BATCH,
};

impl Directory {
    /// Reads a directory; `parted` tells whether its columns lie in blocks of their own or follow it.
    pub(in crate::batch) fn read(
        input: &mut Input<'_>,
        n_events: u32,
        parted: bool,
    ) -> Result<Self, BatchError> {
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
        directory.read_columns(input, n_events)?;
        directory.read_places(input, parted)?;
        if parted {
            directory.read_blocks(input)?;
        }
        Ok(directory)
    }

    fn read_columns(&mut self, input: &mut Input<'_>, n_events: u32) -> Result<(), BatchError> {
        let (mut n_cells, mut n_parts) = (0u64, 0u32);
        self.ends.reserve(GROUPS + self.groups.len());
        for table in 0..GROUPS + self.groups.len() {
            let n_columns = input.varint().map_err(|flaw| flaw.within(PART))?;
            n_parts += bounded("number of columns", n_columns, MAX_COLUMNS_PER_GROUP)?;
            n_cells += n_columns * u64::from(self.n_rows(table, n_events));
            bounded("number of cells", n_cells, MAX_CELLS_PER_BATCH)?;
            self.ends.push(n_parts);
        }
        // Room for the columns only once it is sure that the input can hold them.
        if n_parts as usize > input.len() {
            return Err(malformed("it ends too early"));
        }
        self.parts.reserve(n_parts as usize);
        for table in 0..self.ends.len() {
            let range = self.table_range(table);
            let mut seen = Seen::default();
            for _ in range {
                let part = read_part(input)?;
                if seen.again(&part) {
                    return Err(malformed("a table has a column twice"));
                }
                self.parts.push(part);
            }
        }
        Ok(())
    }

    /// Reads where each column's strings and its bytes begin.
    fn read_places(&mut self, input: &mut Input<'_>, parted: bool) -> Result<(), BatchError> {
        let mut next = 1u64;
        for part in &mut self.parts {
            part.first_new = next as u32;
            if let Some(n) = &mut part.n_new {
                let found = input.varint().map_err(|flaw| flaw.within(PART))?;
                next = next.saturating_add(found);
                bounded("number of strings", next - 1, self.n_strings)?;
                *n = found as u32;
            }
        }
        let mut parts = std::mem::take(&mut self.parts);
        let mut n_bytes = 0u64;
        if !parted {
            self.blocks.resize(N_WHOLE_BLOCKS, Block::default());
        }
        for part in &mut parts {
            let length = input.varint().map_err(|flaw| flaw.within(PART))?;
            n_bytes = n_bytes.saturating_add(length);
            bounded("decompressed size", n_bytes, MAX_BATCH_BYTES)?;
            part.length = length as u32;
            self.place(part, parted)?;
        }
        self.parts = parts;
        Ok(())
    }

    /// Puts a column after those before it.
    fn place(&mut self, part: &mut Part, parted: bool) -> Result<(), BatchError> {
        if part.begins_block && !parted {
            return Err(malformed("a column begins a block in a payload that has its own"));
        }
        if part.begins_block {
            self.blocks.push(Block::default());
        }
        let at = if parted { self.blocks.len().wrapping_sub(1) } else { part.whole_block() };
        let block = self.blocks.get_mut(at).ok_or(malformed("its first column begins no block"))?;
        part.offset = block.raw;
        block.raw += part.length;
        part.block = at as u32;
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
}

fn read_part(input: &mut Input<'_>) -> Result<Part, BatchError> {
    let flawed = |flaw: Flaw| flaw.within(PART);
    let number = input.varint().map_err(flawed)?;
    let number = u32::try_from(number).map_err(|_| malformed("an id is over 32 bits"))?;
    let column_type = input.byte().map_err(flawed)?;
    let flags = input.byte().map_err(flawed)?;
    let mut part = Part { id: number, ..Part::new(0, column_type, 0) };
    part.begins_block = flags & flag::BEGINS_BLOCK != 0;
    part.has_escapes = flags & flag::ESCAPES != 0;
    part.n_new = (flags & flag::STRINGS != 0).then_some(0);
    if flags & flag::BASE != 0 {
        let base = input.varint().map_err(flawed)?;
        part.base = Some(u32::try_from(base).map_err(|_| malformed("an id is over 32 bits"))?);
    }
    match part.field() {
        Some(field) if type_number(field.field_type()) != column_type => {
            let expected = type_number(field.field_type());
            Err(BatchError::ColumnType { field, found: column_type, expected })
        }
        _ => Ok(part),
    }
}

impl Part {
    /// Which of a whole payload's two blocks it lies in.
    fn whole_block(&self) -> usize {
        if self.id == 0 && self.column_type == column_type::STRING_BYTES {
            STRINGS_BLOCK
        } else {
            COLUMNS_BLOCK
        }
    }
}

/// The columns of one table so far.
#[derive(Default)]
struct Seen {
    /// By id and, for the parts every batch has, by type: those below 256.
    low: [[u64; 4]; 2],
    others: Vec<u32>,
}

impl Seen {
    /// Notes a column; whether it was there before.
    fn again(&mut self, part: &Part) -> bool {
        let (kind, number) = if part.id == 0 { (0, u32::from(part.column_type)) } else { (1, part.id) };
        let word = self.low.get_mut(kind).and_then(|bits| bits.get_mut(number as usize / 64));
        if let Some(word) = word {
            let bit = 1 << (number % 64);
            return std::mem::replace(word, *word | bit) & bit != 0;
        }
        let again = self.others.contains(&number);
        self.others.push(number);
        again
    }
}

fn malformed(reason: &'static str) -> BatchError {
    BatchError::Malformed { part: PART, reason }
}
