//! Which columns are best told from others while a batch is written.

use super::body::Prediction;
use super::cells::{NO_ROW, last_alike};
use super::directory::{ELAPSED_BASE, ITEM_BYTES_BASE, ITEMS_BASE, PARENT_BASE, REFERENCE_BASE};
use super::pending::{Pending, Pools};
use super::varint;
use crate::field::Field;

/// The columns that others follow. They are written before the others of their table, in this order,
/// so that they can be bases. Readers take any column of strings; what is best is for the writer to know.
const BASES: &[Field] = &[
    Field::ProcessExecutable,
    Field::ProcessCgroup,
    Field::ProcessUserName,
    Field::FilePath,
    Field::SourceIp,
    Field::DestinationIp,
];

/// Where a column stands in its table.
pub(super) fn order(field: Field) -> (usize, Field) {
    (BASES.iter().position(|&base| base == field).unwrap_or(BASES.len()), field)
}

/// The bases of one table, as they come up.
pub(super) struct Bases {
    /// For each event the time since its subject's start, plus one.
    elapsed: Vec<u64>,
    /// For each subject how many arguments it has, and their bytes, plus one.
    items: Option<(Vec<u64>, Vec<u64>)>,
    sources: Vec<(u32, Vec<u32>)>,
}

impl Bases {
    /// Those of the subject table, by each subject's parent.
    pub(super) fn of_subjects(parents: &[u32], references: Option<Vec<u32>>) -> Self {
        let references = references.map(|rows| (REFERENCE_BASE, rows));
        let sources = references.into_iter().chain([(PARENT_BASE, of_parents(parents))]).collect();
        Self { elapsed: Vec::new(), items: None, sources }
    }

    /// Those of a group, by each event's time since its subject's start, plus one.
    pub(super) fn of_group(elapsed: Vec<u64>) -> Self {
        Self { elapsed, items: None, sources: Vec::new() }
    }

    /// The best prediction of a column, if one is much shorter than the column itself.
    pub(super) fn predict(&self, column: &Pending) -> Option<Prediction> {
        let cells = &column.cells;
        let numbers = match (column.field, &self.items) {
            (Field::ProcessDurationNs, _) => Some((ELAPSED_BASE, &self.elapsed)),
            (Field::ProcessArgsCount, Some((counts, _))) => Some((ITEMS_BASE, counts)),
            (Field::ProcessArgsBytes, Some((_, bytes))) => Some((ITEM_BYTES_BASE, bytes)),
            _ => None,
        };
        if let Some((base, numbers)) = numbers {
            let rows = cells.iter().zip(numbers).enumerate();
            let exceptions = rows.filter(|(_, (cell, number))| cell != number).map(|(row, _)| row as u32);
            return Some(Prediction { base, exceptions: exceptions.collect() });
        }
        let whole: usize = cells.iter().map(|&cell| varint::width(cell)).sum();
        let wrong = |sources: &[u32]| {
            let rows = cells.iter().zip(sources);
            rows.filter(|&(&cell, &source)| cell != value(cells, source)).count()
        };
        let best = self.sources.iter().map(|(base, sources)| (wrong(sources), *base, sources)).min()?;
        let (n_wrong, base, sources) = best;
        // An exception costs its distance too, and what is left out would have compressed well.
        if 2 * n_wrong * (whole / cells.len().max(1) + 1) >= whole {
            return None;
        }
        let mut exceptions = Vec::with_capacity(n_wrong);
        for (row, (&cell, &source)) in cells.iter().zip(sources).enumerate() {
            if cell != value(cells, source) {
                exceptions.push(row as u32);
            }
        }
        Some(Prediction { base, exceptions })
    }

    /// Takes a column that was written as a base of those after it, if it is one.
    pub(super) fn offer(&mut self, column: &Pending, pools: &Pools) {
        if column.field == Field::ProcessArgs {
            let cell = |cell: u64, of: &dyn Fn(&[u8]) -> u64| {
                if cell == 0 { 0 } else { of(pools.lists.get(cell as u32)) + 1 }
            };
            let counts = column.cells.iter().map(|&list| cell(list, &|list| list.len() as u64 / 4));
            let bytes = column.cells.iter().map(|&list| cell(list, &|list| pools.item_bytes(list)));
            self.items = Some((counts.collect(), bytes.collect()));
        }
        if BASES.contains(&column.field) {
            let id = u32::from(column.field.number());
            self.sources.push((id, last_alike(&column.cells, pools.strings.len(), column.cells.len())));
        }
    }
}

/// The row that predicts each subject: its parent's, if that comes before it.
pub(super) fn of_parents(parents: &[u32]) -> Vec<u32> {
    let rows = parents.iter().enumerate();
    rows.map(|(row, &parent)| if (parent as usize) < row { parent } else { NO_ROW }).collect()
}

/// What the cell of a process's life is at this time; absent without a subject.
pub(super) fn elapsed_cell(time: u64, start: Option<u64>) -> u64 {
    start.map_or(0, |start| time.wrapping_sub(start).wrapping_add(1))
}

fn value(cells: &[u64], source: u32) -> u64 {
    cells.get(source as usize).copied().unwrap_or_default()
}
