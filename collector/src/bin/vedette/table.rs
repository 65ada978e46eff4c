//! Tables that fit the terminal, of strings that cannot harm it.

use comfy_table::{ContentArrangement, Row, Table, presets};
use vedette_collector::escape;

/// A table without lines, with a heading; each row stays on one line, cut where the terminal ends.
pub(crate) fn new(heading: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…");
    table.set_header(heading.iter().map(|h| h.to_uppercase()));
    table
}

/// Adds a row, each cell escaped.
pub(crate) fn push<S: AsRef<str>>(table: &mut Table, cells: impl IntoIterator<Item = S>) {
    let mut row =
        Row::from(cells.into_iter().map(|cell| escape::terminal(cell.as_ref())).collect::<Vec<_>>());
    row.max_height(1);
    table.add_row(row);
}

/// The table as text, without blanks at the ends of lines.
pub(crate) fn show(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The terminal's width in columns, if there is a terminal.
pub(crate) fn width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// The text, cut where the terminal ends.
pub(crate) fn cut(text: &str) -> String {
    use unicode_width::UnicodeWidthChar as _;
    let Some(columns) = width() else { return text.to_owned() };
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            out.pop();
            out.push('…');
            return out;
        }
        out.push(c);
    }
    out
}
