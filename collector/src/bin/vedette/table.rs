//! Tables that fit the terminal, of strings that cannot harm it.
//!
//! Crates for tables cut or wrap every column alike. Here an id is shown whole or not at all, columns give way by
//! rank, and a live tail lays out each line as it comes, without the rows to come.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use vedette_collector::escape;

/// Between two columns.
const GAP: usize = 2;

/// A column, and how it gives way where the terminal is narrow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    /// It may be cut down to so many characters; `None`: an id or a time, which is of no use when cut.
    least: Option<usize>,
    /// Where columns must be left out, the one with the highest number goes first.
    rank: u8,
}

/// A column that is shown whole or not at all.
pub(crate) const fn whole(name: &'static str, rank: u8) -> Column {
    Column { name, least: None, rank }
}

/// A column whose cells may be cut to `least` characters.
pub(crate) const fn cut(name: &'static str, least: usize, rank: u8) -> Column {
    Column { name, least: Some(least), rank }
}

/// Rows under a heading; each row is one line.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, each cell escaped.
    pub(crate) fn push<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| escape::terminal(cell.as_ref())).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, as wide as the terminal.
    pub(crate) fn show(&self) -> String {
        self.fitted(width())
    }

    fn fitted(&self, width: Option<usize>) -> String {
        let heading: Vec<String> = self.columns.iter().map(|c| c.name.to_uppercase()).collect();
        let named = heading.iter().any(|name| !name.is_empty());
        let lines = || named.then_some(&heading).into_iter().chain(&self.rows);
        let widest = |n: usize| lines().filter_map(|row| row.get(n)).map(|cell| cell.width()).max();
        let wanted: Vec<usize> = (0..self.columns.len()).map(|n| widest(n).unwrap_or(0)).collect();
        let widths = layout(&self.columns, &wanted, width);
        lines().map(|row| line(row, &widths)).collect::<Vec<_>>().join("\n")
    }
}

/// How wide each column is, given how wide it wants to be; `None`: it is left out.
pub(crate) fn layout(columns: &[Column], wanted: &[usize], width: Option<usize>) -> Vec<Option<usize>> {
    let Some(width) = width else { return wanted.iter().map(|n| Some(*n)).collect() };
    let least = |column: &Column, wanted: usize| column.least.map_or(wanted, |least| least.min(wanted));
    let total = |widths: &[Option<usize>]| {
        let n = widths.iter().flatten().count();
        widths.iter().flatten().sum::<usize>() + GAP * n.saturating_sub(1)
    };
    let wanted: Vec<usize> = wanted.iter().map(|n| (*n).min(width)).collect();
    let mut widths: Vec<_> = columns.iter().zip(&wanted).map(|(c, n)| Some(least(c, *n))).collect();
    while total(&widths) > width && widths.iter().flatten().count() > 1 {
        let shown = columns.iter().zip(&mut widths).filter(|(_, width)| width.is_some());
        if let Some((_, last)) = shown.max_by_key(|(column, _)| column.rank) {
            *last = None;
        }
    }
    // What is left goes to the narrowest first, so that one long cell does not take all of it.
    let mut left = width.saturating_sub(total(&widths));
    while left > 0 {
        let wants = widths.iter_mut().zip(&wanted).filter_map(|(has, wants)| Some((has.as_mut()?, *wants)));
        let Some((has, _)) = wants.filter(|(has, wants)| **has < *wants).min_by_key(|(has, _)| **has) else {
            break;
        };
        *has += 1;
        left -= 1;
    }
    if let [one] = &mut *widths.iter_mut().flatten().collect::<Vec<_>>() {
        **one = (**one).min(width);
    }
    widths
}

/// The cells, each as wide as its column, without blanks at the end.
pub(crate) fn line<S: AsRef<str>>(cells: &[S], widths: &[Option<usize>]) -> String {
    let (mut out, mut pad) = (String::new(), 0);
    for (cell, width) in cells.iter().zip(widths) {
        let Some(width) = *width else { continue };
        let cell = shortened(cell.as_ref(), width);
        out.extend(std::iter::repeat_n(' ', pad));
        out.push_str(&cell);
        pad = width.saturating_sub(cell.width()).saturating_add(GAP);
    }
    out.truncate(out.trim_end().len());
    out
}

/// The columns of the terminal that standard output is, or that `COLUMNS` claims.
pub(crate) fn width() -> Option<usize> {
    let claimed = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    claimed.or_else(|| {
        let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(std::io::stdout())?;
        Some(usize::from(columns)).filter(|n| *n > 0)
    })
}

/// The text, cut where the terminal ends.
pub(crate) fn fitting(text: &str) -> String {
    width().map_or_else(|| text.to_owned(), |width| shortened(text, width))
}

/// The text in at most so many columns, the last of them `…` where something is missing.
fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut out: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [whole("id", 0), cut("name", 4, 2), whole("pid", 3), cut("details", 6, 1)];

    fn table(width: Option<usize>) -> String {
        let mut table = Table::new(&COLUMNS);
        table.push(["0011223344", "a-long-name", "4242", "sh -c 'rm -rf /tmp/everything'"]);
        table.push(["0011223345", "short", "7", "\u{1b}[2J"]);
        table.fitted(width)
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 1..80 {
            for line in table(Some(width)).lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        expect_test::expect![[r"
            ID          NAME         PID   DETAILS
            0011223344  a-long-name  4242  sh -c 'rm -rf /tmp/everything'
            0011223345  short        7     \x1b[2J"]]
        .assert_eq(&table(None));
    }

    #[test]
    fn texts_are_cut_then_columns_left_out_and_ids_stay_whole() {
        expect_test::expect![[r"
            ID          NAME       PID   DETAILS
            0011223344  a-long-n…  4242  sh -c 'r…
            0011223345  short      7     \x1b[2J"]]
        .assert_eq(&table(Some(38)));
        expect_test::expect![[r"
            ID          DETAILS
            0011223344  sh -c 'rm …
            0011223345  \x1b[2J"]]
        .assert_eq(&table(Some(23)));
        expect_test::expect![[r"
            ID
            0011223344
            0011223345"]]
        .assert_eq(&table(Some(12)));
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shortened("漢字漢字", 8), "漢字漢字");
        assert_eq!(shortened("漢字漢字", 7), "漢字漢…");
        assert_eq!(shortened("漢字漢字", 6), "漢字…");
        assert_eq!(shortened("漢字", 0), "");
    }
}
