//! Decoding a field's column, with what predicts it.

use super::super::body::{self, Rows};
use super::super::cells::{NO_ROW, Predicted, last_alike};
use super::super::column::Column;
use super::super::directory::{
    ELAPSED_BASE, GROUPS, ITEM_BYTES_BASE, ITEMS_BASE, PARENT_BASE, Part, REFERENCE_BASE, SUBJECTS,
    column_type,
};
use super::super::error::{BatchError, Flaw};
use super::super::events::all;
use super::super::predict::{elapsed_cell, of_parents};
use super::{Batch, cached};
use crate::event::Row;
use crate::field::Field;
use crate::value::FieldType;

impl Batch {
    pub(in super::super) fn column(&self, table: usize, field: Field) -> Result<Option<&Column>, BatchError> {
        let range = self.directory.table_range(table);
        let number = u32::from(field.number());
        let place = self.directory.table(table).iter().position(|part| part.id == number);
        place.map(|place| self.column_at(range.start + place)).transpose()
    }

    pub(in super::super) fn row(&self, table: usize, row: usize) -> Result<Row, BatchError> {
        let mut values = Row::default();
        for place in self.directory.table_range(table) {
            let field = self.directory.parts.get(place).and_then(Part::field);
            let Some(field) = field else { continue };
            if let Some(value) = self.column_at(place)?.value(row, self.strings()?) {
                values.set(field, value);
            }
        }
        Ok(values)
    }

    pub(super) fn column_at(&self, place: usize) -> Result<&Column, BatchError> {
        let (Some(cell), Some(part)) = (self.columns.get(place), self.directory.parts.get(place)) else {
            return Err(BatchError::Malformed { part: "directory", reason: "it has no such column" });
        };
        cached(cell, || {
            let name = part.field().map_or("unknown column", Field::name);
            let Some(field) = part.field() else {
                return Err(BatchError::Malformed { part: name, reason: "its field is unknown" });
            };
            let table = self.directory.ends.partition_point(|&end| end as usize <= place);
            let numbers;
            let is_number = field.field_type() == FieldType::Uint;
            let predicted = match part.base {
                None => None,
                Some(ELAPSED_BASE) if table >= GROUPS && is_number => {
                    numbers = self.elapsed(table - GROUPS)?;
                    Some(Predicted::Numbers(&numbers))
                }
                Some(base @ (ITEMS_BASE | ITEM_BYTES_BASE)) if is_number => {
                    numbers = self.items(table, place, base, name)?;
                    Some(Predicted::Numbers(&numbers))
                }
                Some(base) => Some(Predicted::Rows(self.sources(table, place, base, name)?)),
            };
            let n_rows = self.directory.n_rows(table, self.header.n_events) as usize;
            let body = self.bytes(part, name)?;
            let rows = Rows { n_rows, first_new: part.first_new, has_escapes: part.has_escapes, predicted };
            body::read(field.field_type(), &body, rows, self.directory.n_strings)
                .map_err(|flaw| flaw.within(name))
        })
    }

    /// For each row of a group the time since its subject's start, as a cell.
    fn elapsed(&self, group: usize) -> Result<Vec<u64>, BatchError> {
        let (events, subjects) = (self.event_subjects()?, self.subjects()?);
        let times = self.times()?;
        let cell = |&at: &u32| {
            let time = times.get(at as usize).copied().unwrap_or_default();
            let subject = events.get(at as usize);
            // `NO_SUBJECT` is no subject's number.
            let start = subject.and_then(|&subject| subjects.starts().get(subject as usize).copied());
            elapsed_cell(time, start)
        };
        Ok(self.events()?.positions(group).iter().map(cell).collect())
    }

    /// For each row of a table the row that predicts it by this base; only columns before `place` can be one.
    fn sources(
        &self,
        table: usize,
        place: usize,
        base: u32,
        name: &'static str,
    ) -> Result<&[u32], BatchError> {
        if base == PARENT_BASE && table == SUBJECTS {
            return Ok(cached(&self.by_parent, || Ok(of_parents(self.parents()?)))?);
        }
        if base == REFERENCE_BASE && table == SUBJECTS {
            return Ok(cached(&self.references, || self.read_references())?);
        }
        let at = self.before(table, place, base, name)?;
        cached(self.by_column.get(at).ok_or(no_base(name))?, || {
            let (rows, most) = match self.column_at(at)? {
                Column::Keyword(rows) | Column::Ip(rows) => (&rows[..], self.directory.n_strings),
                Column::List(lists) => (lists.rows(), lists.n_distinct()),
                _ => {
                    return Err(BatchError::Malformed {
                        part: name,
                        reason: "its base is not a column of strings",
                    });
                }
            };
            Ok(last_alike(rows, most as usize, rows.len()))
        })
        .map(Vec::as_slice)
    }

    /// Where the column with this id stands, if it is in this table and before `place`.
    fn before(&self, table: usize, place: usize, id: u32, name: &'static str) -> Result<usize, BatchError> {
        let range = self.directory.table_range(table);
        let at = self.directory.table(table).iter().position(|part| part.id == id && id != 0);
        at.map(|at| range.start + at).filter(|&at| at < place).ok_or(no_base(name))
    }

    /// For each row how many arguments it has, or their bytes with one more for each, as a cell.
    fn items(
        &self,
        table: usize,
        place: usize,
        base: u32,
        name: &'static str,
    ) -> Result<Vec<u64>, BatchError> {
        let id = u32::from(Field::ProcessArgs.number());
        let Column::List(lists) = self.column_at(self.before(table, place, id, name)?)? else {
            return Err(no_base(name));
        };
        let mut cells = vec![0];
        if base == ITEMS_BASE {
            cells.extend(lists.lengths().map(|n| n + 1));
        } else {
            cells.extend(lists.sizes(self.strings()?).map(|n| n + 1));
        }
        Ok(lists.rows().iter().map(|&list| cells.get(list as usize).copied().unwrap_or_default()).collect())
    }

    fn read_references(&self) -> Result<Vec<u32>, BatchError> {
        let name = "references";
        let bytes = self.structural(SUBJECTS, column_type::REFERENCE, name)?;
        let mut row = 0u64;
        let reference = |back: u64| {
            row += 1;
            match row - 1 {
                _ if back == 0 => Ok(NO_ROW),
                row if back <= row => Ok((row - back) as u32),
                _ => Err(Flaw("a reference is to a row there is not")),
            }
        };
        all(&bytes, self.directory.n_subjects as usize, reference).map_err(|flaw| flaw.within(name))
    }
}

fn no_base(part: &'static str) -> BatchError {
    BatchError::Malformed { part, reason: "its base is no column before it" }
}
