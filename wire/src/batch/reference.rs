//! Which row each row of a small table resembles most: most of a process's fields are those of a sibling.

use super::cells::NO_ROW;
use super::pending::Table;

/// Up to so many rows references are looked for: in larger tables they are no shorter than other bases.
const MAX_ROWS: usize = 256;
/// How far back a row's reference may stand.
const WITHIN: usize = 48;

/// For each row the row before it that has most cells in common with it, else [`NO_ROW`]; `None` for a large table.
pub(super) fn of_rows(table: &Table) -> Option<Vec<u32>> {
    if table.n_rows > MAX_ROWS {
        return None;
    }
    let n_columns = table.columns.len();
    // Row by row, so that two rows are compared in one go.
    let mut cells = vec![0; table.n_rows * n_columns];
    for (place, column) in table.columns.iter().enumerate() {
        for (row, &cell) in column.cells.iter().enumerate() {
            if let Some(slot) = cells.get_mut(row * n_columns + place) {
                *slot = cell;
            }
        }
    }
    let row = |row: usize| cells.get(row * n_columns..(row + 1) * n_columns).unwrap_or_default();
    let none = vec![0; n_columns];
    let best = |at: usize| {
        let of = row(at);
        let mut best = (alike(of, &none), NO_ROW);
        for other in (at.saturating_sub(WITHIN)..at).rev() {
            let n = alike(of, row(other));
            if n > best.0 {
                best = (n, other as u32);
            }
        }
        best.1
    };
    Some((0..table.n_rows).map(best).collect())
}

fn alike(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}
