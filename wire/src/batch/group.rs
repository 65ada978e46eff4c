//! The events of one kind within a batch, column by column.

use super::column::Column;
use super::error::BatchError;
use super::reader::{Batch, table_of};
use crate::event::{Kind, Row};
use crate::field::Field;

/// The events of one kind: rows in the order of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    pub(super) batch: &'a Batch,
    pub(super) place: usize,
}

impl<'a> Group<'a> {
    /// What happened; perhaps of a kind that this version does not know.
    pub fn kind(self) -> Kind {
        self.batch.directory.groups.get(self.place).map_or(Kind::new(0), |(kind, _)| *kind)
    }

    /// How many rows it has.
    pub fn n_rows(self) -> usize {
        self.batch.directory.groups.get(self.place).map_or(0, |(_, rows)| *rows as usize)
    }

    /// Each row's event number within the batch, ascending.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn positions(self) -> Result<&'a [u32], BatchError> {
        Ok(self.batch.events()?.positions(self.place))
    }

    /// Each row's time on the boot clock, in ns.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn times(self) -> Result<Vec<u64>, BatchError> {
        let times = self.batch.times()?;
        Ok(self.positions()?.iter().map(|&at| times.get(at as usize).copied().unwrap_or_default()).collect())
    }

    /// Each row's subject number; [`super::NO_SUBJECT`] where it has none.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn subjects(self) -> Result<Vec<u32>, BatchError> {
        let subjects = self.batch.event_subjects()?;
        let subject = |&at: &u32| subjects.get(at as usize).copied().unwrap_or(super::NO_SUBJECT);
        Ok(self.positions()?.iter().map(subject).collect())
    }

    /// A field's values, one for each row; `None` if no row has it.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn column(self, field: Field) -> Result<Option<&'a Column>, BatchError> {
        self.batch.column(table_of(self.place), field)
    }

    /// The fields it has columns of, as far as this version knows them.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        self.batch.directory.table(table_of(self.place)).iter().filter_map(|part| part.field())
    }

    /// How many columns it has that this version does not know.
    pub fn n_unknown_columns(self) -> usize {
        let parts = self.batch.directory.table(table_of(self.place));
        parts.iter().filter(|part| part.field().is_none()).count()
    }

    /// One row, materialised.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn row(self, row: usize) -> Result<Row, BatchError> {
        self.batch.row(table_of(self.place), row)
    }
}
