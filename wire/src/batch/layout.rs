//! Columns laid out end to end, on their way into a payload.

use super::body::{self, FirstUse};
use super::directory::{Part, type_number};
use super::pending::{Pools, Table};
use super::predict::Bases;

/// Lays out a table's columns, each with the base that suits it best.
pub(super) fn write_table(
    layout: &mut Layout,
    table: &mut Table,
    mut bases: Bases,
    first_use: &mut FirstUse,
    pools: &Pools,
) {
    table.finish();
    for column in table.columns.iter().filter(|column| !column.cells.is_empty()) {
        let column_type = type_number(column.field.field_type());
        let prediction = bases.predict(column);
        let (start, first_new) = (layout.bytes.len(), first_use.next());
        body::write(&mut layout.bytes, column, prediction.as_ref(), first_use, &pools.lists);
        let mut part = Part::new(column.field.number(), column_type, layout.bytes.len() - start);
        part.base = prediction.map(|prediction| prediction.base);
        part.has_escapes = !column.escapes.is_empty();
        part.n_new = column.has_strings().then(|| first_use.next() - first_new);
        layout.parts.push(part);
        bases.offer(column, pools);
    }
}

/// Columns end to end.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Vec<Part>,
    /// Where each table's columns end in `parts`.
    pub(super) ends: Vec<u32>,
}

impl Layout {
    pub(super) fn column(&mut self, id: u16, column_type: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.parts.push(Part::new(id, column_type, self.bytes.len() - start));
    }

    pub(super) fn end_table(&mut self) {
        self.ends.push(self.parts.len() as u32);
    }

    pub(super) fn append(&mut self, other: Layout) {
        let before = self.parts.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.parts.extend(other.parts);
        self.ends.extend(other.ends.into_iter().map(|end| end + before));
    }
}
