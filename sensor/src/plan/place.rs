//! Which bit stands for which row.

use sensor_bpf::event::{MATCH_CHECKED, MATCH_ROWS, MATCH_WORDS};
use wire::decide::Row;

use super::layout::NoRoom;

/// The bits of the rows, in their order. Of the rows that share a word the kernel looks at the patterns of [`MATCH_CHECKED`]
/// only, so rows with patterns are spread over the words; over no more than are needed, as the kernel looks at all of them.
pub(super) fn places(rows: &[&Row]) -> Result<Vec<usize>, NoRoom> {
    let bounded = |what, found, most: u32| match found > most as usize {
        true => Err(NoRoom { what, found, most: most as usize }),
        false => Ok(()),
    };
    let n_checked = rows.iter().filter(|row| !row.checks.is_empty()).count();
    bounded("rows", rows.len(), MATCH_ROWS)?;
    bounded(
        "rows with patterns that are looked at one after another",
        n_checked,
        MATCH_CHECKED * MATCH_WORDS,
    )?;
    let words = rows.len().div_ceil(64).max(n_checked.div_ceil(MATCH_CHECKED as usize)).max(1);
    let mut checked = (0..n_checked).map(|n| n % words * 64 + n / words);
    let taken: Vec<usize> = checked.clone().collect();
    let mut plain = (0..64 * words).filter(|place| !taken.contains(place));
    Ok(rows
        .iter()
        .filter_map(|row| if row.checks.is_empty() { plain.next() } else { checked.next() })
        .collect())
}
